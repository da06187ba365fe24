"""`assess`, `verify` and `query`: what can be done with a bundle alone."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import MOMENT, Output, printing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.model import Json
    from collector.report.page import Page

__all__ = ["assess", "query", "verify"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=_PATH)
@click.option(
    "--mappings",
    type=_PATH,
    multiple=True,
    metavar="FOLDER",
    help="Judge with the mapping pack in this folder, not the bundle's own. May be given more than once.",
)
@click.option("--installed", is_flag=True, help="Judge with the mapping packs of the installed plugins.")
@click.option(
    "--framework", "frameworks", multiple=True, metavar="NAME", help="Only this framework's controls."
)
@click.option("--as-of", type=MOMENT, metavar="TIME", help="The moment that checks use; else the run's own.")
@click.option(
    "--out", type=_PATH, metavar="FOLDER", help="Keep findings.jsonl.gz and controls.jsonl.gz there."
)
@printing
def assess(
    bundle: Path,
    mappings: tuple[Path, ...],
    installed: bool,
    frameworks: tuple[str, ...],
    as_of: datetime | None,
    out: Path | None,
    output: Output,
) -> None:
    """Judge the evidence in BUNDLE again.

    BUNDLE is a bundle, or a folder with what one holds. No plugin is needed and no system is asked. The
    bundle is not changed. Whether it is genuine is for `collector verify` to say.
    """
    from collector.assess import assess as judge
    from collector.cli.bundles import opened
    from collector.report.verdicts import summary_text

    with ExitStack() as stack:
        folder = stack.enter_context(opened(bundle)).folder
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="collector-assess-")))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        packs = [*mappings, *(_installed() if installed else [])]
        summary = judge(
            folder, out=out or scratch, as_of=as_of, packs=packs or None, frameworks=frameworks or None
        )
    value = asdict(summary)
    output.give(value, lambda page: summary_text(value, page))


def _installed() -> list[Path]:
    from collector.plugins import load

    return [Path(pack.folder) for pack in load().packs]


@click.command()
@click.argument("bundles", type=_PATH, nargs=-1, required=True, metavar="BUNDLE...")
@click.option(
    "--key", type=_PATH, metavar="FILE", help="Trust the public key in this PEM file, and it alone."
)
@click.option(
    "--trust", type=_PATH, metavar="FILE", help="Trust the keys of this trust file; else the user's."
)
@click.option("--reperform", is_flag=True, help="Also compute every verdict again and compare it.")
@click.option(
    "--signers",
    type=click.IntRange(1, 2),
    metavar="N",
    help="How many trusted keys must have signed; else what the trust file says, or 1.",
)
@printing
def verify(
    bundles: tuple[Path, ...],
    key: Path | None,
    trust: Path | None,
    reperform: bool,
    signers: int | None,
    output: Output,
) -> int:
    """Prove that each BUNDLE is whole and signed by a key that is trusted.

    A folder is a store: every bundle in it is verified, and the series that they make: places, holes,
    forks, replays, the chain, clocks that ran backwards, nights that are missing. A partial bundle is
    verified as far as it goes.

    Checked are the archive's form to the last byte, the signature and its signer, the digest of every
    file, the Merkle trees over every line, and what plan and ledger say against what the statement says.
    A good signature by a key that is not trusted does not verify. Time stamps, in the bundle and beside it,
    count if an authority of the trust file made them.

    Exit code: 0 if all verify, 1 if one does not, 2 for what cannot be asked.
    """
    from collector.cli.bundles import trusted
    from collector.report.store import store_json
    from collector.report.verdicts import verified_json

    known = trusted(key, trust)
    known = known if signers is None else replace(known, signers=signers)
    results = [verified_json(path, known, reperform) for path in bundles if not path.is_dir()]
    folders = [path for path in bundles if path.is_dir()]
    store = store_json(folders, known, reperform) if folders else None
    good = all(each["verified"] for each in (*results, *([store] if store else [])))
    value = {"bundles": results, "store": store, "exit": 0 if good else 1}
    output.give(value, lambda page: _verify_text(results, store, page))
    output.complain(_broken(results, store))
    return 0 if good else 1


def _broken(results: Sequence[Json], store: Json) -> list[str]:
    remarks = [each for each in store["remarks"] if each["breaks"]] if store else []
    return [f"{each['where']}: {each['what']}: {each['text']}" for each in remarks] + [
        f"{each['bundle']}: {each['error']}" for each in results if not each["verified"]
    ]


def _verify_text(results: Sequence[Json], store: Json, page: Page) -> list[str]:
    from collector.report.store import store_text
    from collector.report.verdicts import verified_text

    lines = [line for each in results for line in verified_text(each, page)]
    return lines + (store_text(store, page) if store else [])


@click.command()
@click.argument("bundle", type=_PATH)
@click.argument("sql")
@printing
def query(bundle: Path, sql: str, output: Output) -> None:
    """Ask the evidence in BUNDLE one question in SQL.

    Each kind is a table under its own name, with its columns and `_id`, `_scope`, `_gaps`, `_reasons` and
    `_redactions`; `finding`, `control` and `call` hold the findings, the control states and the ledger.

    \b
    collector query BUNDLE "SELECT username, shell FROM host_user WHERE uid = 0"
    """
    if not sql.strip():
        raise click.UsageError("SQL is blank")
    from collector.assess.query import query as ask
    from collector.cli.bundles import opened
    from collector.report.verdicts import rows_text

    with opened(bundle) as evidence:
        answer = ask(evidence.folder, sql)
        columns, rows = list(answer.columns), [list(row) for row in answer.rows]
    output.give({"columns": columns, "rows": rows}, lambda page: rows_text(columns, rows, page))
