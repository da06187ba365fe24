"""`readiness` and `explain`: what a bundle says about controls."""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.options import Configured, Output, configured, printing

__all__ = ["explain", "readiness"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=_PATH, required=False)
@click.option(
    "--framework",
    "frameworks",
    multiple=True,
    metavar="NAME",
    help="Name each control of this framework, with what decides it. May be given more than once.",
)
@configured("series", "state")
@printing
def readiness(
    bundle: Path | None, frameworks: tuple[str, ...], configured: Configured, output: Output
) -> None:
    """Show how the controls stand in BUNDLE, or in the series' newest bundle.

    For each framework: how many controls are satisfied, fail, hold in part, are shown by people only or
    have no evidence; and what could not be seen, by cause.
    """
    from collector.cli.bundles import opened_or_newest
    from collector.report.readiness import readiness as look
    from collector.report.readiness import readiness_json, readiness_text

    with opened_or_newest(bundle, configured) as evidence:
        found = look(evidence, frameworks)
    output.give(readiness_json(found), lambda page: readiness_text(found, page, listed=bool(frameworks)))


@click.command()
@click.argument("control")
@click.argument("bundle", type=_PATH, required=False)
@configured("series", "state")
@printing
def explain(control: str, bundle: Path | None, configured: Configured, output: Output) -> None:
    """Show why CONTROL stands as it does in BUNDLE, or in the series' newest bundle.

    From the control to its objectives, their checks, the findings, the records that they speak of, and the
    calls whose answers those hold. CONTROL is written framework:id, as in iso27001-2022:A.8.3.
    """
    from collector.cli.bundles import opened_or_newest
    from collector.report.explain import explain as look
    from collector.report.explain import explain_text

    with opened_or_newest(bundle, configured) as evidence:
        found = look(evidence, control)
    output.give(found, lambda page: explain_text(found, page))
