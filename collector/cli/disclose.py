"""`disclose`: a part of a bundle for somebody who may not see the rest."""

from __future__ import annotations

from pathlib import Path

import click

from collector.cli.options import Output, printing, writing_to

__all__ = ["disclose"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=_PATH)
@click.option(
    "--control",
    "controls",
    multiple=True,
    metavar="CONTROL",
    help="Its line, the findings of its objectives' checks, and all that these read.",
)
@click.option("--check", "checks", multiple=True, metavar="CHECK", help="Its findings, and what it reads.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="All records and gaps of this kind.")
@click.option(
    "--record", "records", multiple=True, metavar="ID", help="The records of this id and findings about them."
)
@click.option("-o", "--out", type=_PATH, required=True, metavar="FILE", help="Where to; must not exist yet.")
@printing
def disclose(
    bundle: Path,
    controls: tuple[str, ...],
    checks: tuple[str, ...],
    kinds: tuple[str, ...],
    records: tuple[str, ...],
    out: Path,
    output: Output,
) -> None:
    """Write a part of BUNDLE that still verifies against the same signature.

    Records bring the calls behind them. Each line comes with the proof that it stands in the signed trees;
    nothing can be guessed of those that stay behind. The statement itself is shown whole: counts, scopes of
    targets, as whom they were asked. Options may be given more than once.
    """
    from collector.bundle.disclose import disclose as write
    from collector.bundle.selection import Asked
    from collector.report.parts import disclosed_json, disclosed_text

    asked = Asked(*(tuple(sorted(set(names))) for names in (controls, checks, kinds, records)))
    with writing_to(out):
        value = disclosed_json(write(bundle, asked, out))
    output.give(value, lambda page: disclosed_text(value, page))
