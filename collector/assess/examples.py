"""Runs a check's examples: the evidence that it must judge one way or another.

They go the way that evidence goes, through the same tables and the same judge, so that an example
proves what a run would say.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collector.assess import tables
from collector.assess.bind import Bound, bind
from collector.assess.evidence import moment
from collector.assess.judge import Judge
from collector.assess.mappings import Check, Example
from collector.assess.populations import GapLine, Population, Populations
from collector.assess.rows import Loaded, Shape
from collector.assess.verdicts import open_database
from collector.canonical import dumps, loads
from collector.model import Json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Outcome", "judge_example", "run"]

_MEMORY = 256 << 20
_SCOPE: Mapping[str, str] = {"example": "1"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an example came to: subject to result, where a query was asked; else one result."""

    check: str
    number: int
    expected: str | Mapping[str, str]
    found: str | Mapping[str, str]

    @property
    def holds(self) -> bool:
        """Whether the check did what it says. Of a query, subjects that the example leaves out count too."""
        return self.expected == self.found


def run(checks: Sequence[Check], kinds: Mapping[str, Mapping[str, Json]]) -> Iterator[Outcome]:
    """Run the examples of checks.

    Args:
        checks: as loaded from a pack.
        kinds: every kind, as `kinds.json` holds them.

    Raises:
        MappingError: a check that cannot be bound.
    """
    with tempfile.TemporaryDirectory(prefix="collector-examples-") as folder:
        scratch = Path(folder)
        connection = open_database(scratch, _MEMORY, threads=2)
        connection.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
        tables.create(connection, kinds)
        bound, _ = bind(connection, checks, kinds, strict=True)
        for each in bound:
            for number, example in enumerate(each.check.examples, 1):
                found = judge_example(connection, each, example, kinds, scratch)
                by_subject = {subject: result for (_, subject), result in found.items()}
                shown = by_subject if each.check.query is not None else by_subject.get("1", "nothing")
                yield Outcome(each.check.id, number, example.expect, shown)
        connection.close()


def judge_example(
    connection: DuckDBPyConnection,
    bound: Bound,
    example: Example,
    kinds: Mapping[str, Mapping[str, Json]],
    scratch: Path,
) -> dict[tuple[str, str], str]:
    """Judge an example's evidence by its check. Returns scope and subject to result, or the error.

    Raises:
        ValueError: the example names a column that is not there, or a value that does not fit.
    """
    as_of = moment(example.as_of, "as_of")
    connection.execute(f"CREATE OR REPLACE MACRO as_of() AS TIMESTAMP '{as_of:%Y-%m-%d %H:%M:%S}'")
    connection.execute("DROP SCHEMA IF EXISTS v CASCADE")
    loaded = Loaded()
    for kind in bound.reads:
        rows = list(example.tables.get(kind, ())) if bound.check.query is not None else [_single(example)]
        connection.execute(f"DELETE FROM t.{tables.quoted(kind)}")
        _fill(connection, kind, kinds[kind], rows, loaded, scratch)
    gap = (GapLine("", {}, "denied", "as the example says"),)
    populations = Populations(
        {kind: (Population(kind, {}, gap if kind in example.incomplete else ()),) for kind in bound.reads}
    )
    judge = Judge(connection, populations, loaded, seconds=30, running=lambda _: None, skip={})
    found: dict[tuple[str, str], str] = {}
    for findings in judge.findings([bound], apart=lambda _: False):
        for (text,) in (row for batch in findings.batches for row in batch):
            line = loads(text)
            if line["subject"]:
                found[dumps(line["scope"]).decode(), line["subject"]] = line["result"]
    if judge.failed:
        return {("", ""): f"failed: {judge.failed[bound.check.id]}"}
    return found


def _single(example: Example) -> dict[str, Json]:
    return {**example.data, "_gaps": list(example.gaps), "_id": "1"}


def _fill(
    connection: DuckDBPyConnection,
    name: str,
    kind: Mapping[str, Json],
    rows: Sequence[Mapping[str, Json]],
    loaded: Loaded,
    scratch: Path,
) -> None:
    shape = Shape(name, kind)
    known = {column["name"] for column in kind["columns"]}
    lines = []
    for number, row in enumerate(rows, 1):
        data = {key: value for key, value in row.items() if not key.startswith("_")}
        if stray := data.keys() - known:
            raise ValueError(f"{name} has no column {sorted(stray)[0]}")
        record = {
            "kind": name,
            "id": str(row.get("_id", number)),
            "scope": row.get("_scope", _SCOPE),
            "data": data,
            "gaps": [{"column": column, "reason": "denied"} for column in row.get("_gaps", ())],
            "redactions": row.get("_redactions", []),
        }
        if wrong := [column for column, _, fits in shape.columns if not fits(data.get(column))]:
            raise ValueError(f"{name}.{wrong[0]}: the example's value does not fit the column's type")
        lines.append(shape.row(record, loaded))
    loaded.counts[name] = len(lines)
    if lines:
        file = scratch / "rows.jsonl"
        file.write_bytes(b"\n".join(lines) + b"\n")
        tables.insert(connection, name, kind, file, max(map(len, lines)))
