"""`readiness` and `explain`: what a bundle says about controls."""

from __future__ import annotations

from datetime import datetime
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
@click.option(
    "--from",
    "begins",
    metavar="TIME",
    help="Look at all bundles from this day or time on (UTC), not at one.",
)
@click.option("--to", "ends", metavar="TIME", help="Look at all bundles up to this day or time, included.")
@click.option(
    "--key",
    type=_PATH,
    metavar="FILE",
    help="Over a period: trust the public key in this PEM file, and it alone.",
)
@click.option(
    "--trust",
    type=_PATH,
    metavar="FILE",
    help="Over a period: trust the keys of this trust file; else the user's.",
)
@configured("series", "state")
@printing
def readiness(
    bundle: Path | None,
    frameworks: tuple[str, ...],
    begins: str | None,
    ends: str | None,
    key: Path | None,
    trust: Path | None,
    configured: Configured,
    output: Output,
) -> int:
    """Show how the controls stand in BUNDLE, or in the series' newest bundle.

    For each framework: how many controls are satisfied, fail, hold in part, are shown by people only or
    have no evidence; and what could not be seen, by cause.

    With --from or --to: how they stood over that period, from all bundles of the series in the configured
    store, or in the folder BUNDLE. Which controls held throughout; which failed, and when; which could not be
    proven, and when; and where the series has holes: nights that are missing, bundles that do not verify,
    forks, clocks that ran backwards. Nothing counts as holding in a hole. Without --to the period ends
    with the newest bundle, without --from it begins with the oldest.

    \b
    Exit codes:
      2  usage or configuration, or no bundle in the period
      1  a bundle, or the series in the period, does not verify
      0  it could be shown, whatever fails or is missing
    """
    if begins is None and ends is None:
        if key or trust:
            raise click.UsageError("--key and --trust are for a period; `collector verify` verifies a bundle")
        return _readiness(bundle, frameworks, configured, output)
    from collector.cli.options import moment

    period = moment("--from", begins), moment("--to", ends, last=True)
    return _over_period(bundle, frameworks, period, (key, trust), configured, output)


def _readiness(
    bundle: Path | None, frameworks: tuple[str, ...], configured: Configured, output: Output
) -> int:
    from collector.cli.bundles import opened_or_newest
    from collector.report.readiness import readiness as look
    from collector.report.readiness import readiness_json, readiness_text

    with opened_or_newest(bundle, configured) as evidence:
        found = look(evidence, frameworks)
    output.give(readiness_json(found), lambda page: readiness_text(found, page, listed=bool(frameworks)))
    return 0


def _over_period(
    folder: Path | None,
    frameworks: tuple[str, ...],
    period: tuple[datetime | None, datetime | None],
    keys: tuple[Path | None, Path | None],
    configured: Configured,
    output: Output,
) -> int:
    from collector.cli.bundles import store_of, trusted
    from collector.report.period import Asked
    from collector.report.period import period as look
    from collector.report.period_text import period_json, period_text

    store = store_of(folder, configured)
    asked = Asked(store.folder, *period, frameworks, store.series, store.waiting)
    found = look(asked, trusted(*keys))
    value = period_json(found)
    output.give(value, lambda page: period_text(found, page, listed=bool(frameworks)))
    output.complain(f"{each.where}: {each.what}: {each.text}" for each in found.holes.contradictions)
    code: int = value["exit"]
    return code


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
