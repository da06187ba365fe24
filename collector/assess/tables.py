"""Evidence into typed tables: one pass over the segments, then DuckDB reads each kind.

Each table has the kind's columns and, beside them, `_id`, `_scope` (its canonical JSON), `_gaps`
(names of the columns that could not be had), `_reasons` (the same with why) and `_redactions` (paths
that were redacted). A value
that does not fit its column, or that a detector replaced, counts as a gap of that column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from collector.assess.populations import GapLine
from collector.canonical import dumps, loads
from collector.lines import read_lines
from collector.model import Json, Outcome, VerifyError
from collector.values import Fits, fits

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["IMPLICIT", "Loaded", "Shape", "create", "insert", "load", "quoted"]

IMPLICIT: Mapping[str, str] = {
    "_id": "VARCHAR",
    "_scope": "VARCHAR",
    "_gaps": "VARCHAR[]",
    "_reasons": "VARCHAR[]",
    "_redactions": "VARCHAR[]",
}
_LEAST_OBJECT = 1 << 20  # bytes; DuckDB sets aside twice its largest object for each thread


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def create(connection: DuckDBPyConnection, kinds: Mapping[str, Mapping[str, Json]]) -> None:
    """Make an empty table for each kind, in schema `t`, where no unqualified name finds it."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS t")
    for name, kind in kinds.items():
        columns = [(column["name"], column["type"]) for column in kind["columns"]]
        listed = ", ".join(f"{quoted(column)} {type_}" for column, type_ in [*IMPLICIT.items(), *columns])
        connection.execute(f"CREATE TABLE t.{quoted(name)} ({listed})")


class Loaded:
    """What loading found besides rows.

    Attributes:
        gaps: every gap line, and a `malformed` one for what could not be used.
        column_gaps: kinds to the columns that some record lacks, with the scopes and reasons.
        counts: records of each kind.
    """

    def __init__(self) -> None:
        self.gaps: list[GapLine] = []
        self.column_gaps: dict[str, dict[str, dict[bytes, tuple[str, str]]]] = {}
        self.counts: dict[str, int] = {}

    def lacks(self, kind: str, column: str, scope: bytes, reason: str, detail: str) -> None:
        """Note that a record of this scope lacks a column; the first reason in order stays."""
        found = self.column_gaps.setdefault(kind, {}).setdefault(column, {})
        new = (reason, detail)
        found[scope] = min(found.get(scope, new), new)


class Shape:
    """How a kind's records become rows."""

    def __init__(self, name: str, kind: Mapping[str, Json]) -> None:
        self.name = name
        self.columns: list[tuple[str, Fits]] = [
            (column["name"], fits(column["type"])) for column in kind["columns"]
        ]
        self.known = {column["name"] for column in kind["columns"]}

    def row(self, record: Mapping[str, Json], loaded: Loaded) -> bytes:
        """One line of JSON for DuckDB."""
        data, scope = record["data"], dumps(record["scope"])
        gaps = {}
        for gap in record["gaps"]:
            gaps[gap["column"]] = (gap["reason"], gap.get("detail", ""))
        paths = []
        for redaction in record["redactions"]:
            paths.append(redaction["path"])
            if redaction["by"] not in ("column", "person"):
                column = _head(redaction["path"])
                gaps.setdefault(
                    column, (Outcome.REDACTED.value, f"a secret was found there ({redaction['by']})")
                )
        row: dict[str, Any] = {}
        for name, fits_column in self.columns:
            value = data.get(name)
            if value is None:
                continue
            if name in gaps:
                continue
            if fits_column(value):
                row[name] = value
            else:
                gaps[name] = (Outcome.MALFORMED.value, "the value does not fit the column's type")
        for column, (reason, detail) in gaps.items():
            loaded.lacks(self.name, column, scope, reason, detail)
        row["_id"], row["_scope"] = record["id"], scope.decode()
        row["_gaps"], row["_redactions"] = list(gaps), paths
        row["_reasons"] = [
            f"{column}: {reason}{f' ({why})' if why else ''}" for column, (reason, why) in gaps.items()
        ]
        return dumps(row)


def _head(path: str) -> str:
    """The column that a redaction's path begins with."""
    for at, character in enumerate(path):
        if character in ".[":
            return path[:at]
    return path


def load(
    connection: DuckDBPyConnection,
    segments: Sequence[Path],
    kinds: Mapping[str, Mapping[str, Json]],
    scratch: Path,
) -> Loaded:
    """Read segments into the tables that `create` made.

    Args:
        connection: not locked yet: DuckDB reads files that this function writes into `scratch`.
        segments: in the order of the archive.
        kinds: the `kinds` of `kinds.json`.
        scratch: an empty folder of the run's own.

    Raises:
        VerifyError: a segment that is no segment.
    """
    loaded = Loaded()
    shapes = {name: Shape(name, kind) for name, kind in kinds.items()}
    longest: dict[str, int] = {}
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        for path in segments:
            for kind, row in _rows(path, shapes, loaded):
                if kind not in files:
                    files[kind] = stack.enter_context(
                        (scratch / f"{kind}.jsonl").open("wb", buffering=1 << 20)
                    )
                files[kind].write(row + b"\n")
                longest[kind] = max(longest.get(kind, 0), len(row))
                loaded.counts[kind] = loaded.counts.get(kind, 0) + 1
    for kind in sorted(files):
        insert(connection, kind, kinds[kind], scratch / f"{kind}.jsonl", longest[kind])
        (scratch / f"{kind}.jsonl").unlink()
        _duplicates(connection, kind, loaded)
    return loaded


def _rows(path: Path, shapes: Mapping[str, Shape], loaded: Loaded) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(read_lines(path), 1):
        try:
            item = loads(line)
            if "gap" in item:
                gap = item["gap"]
                loaded.gaps.append(GapLine(gap["kind"], gap["scope"], gap["reason"], gap.get("detail", "")))
                continue
            record = item["record"]
            shape = shapes.get(record["kind"])
            if shape is not None:
                yield record["kind"], shape.row(record, loaded)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            where = f"segments/{path.name} line {number}"
            raise VerifyError(f"{where}: neither a record nor a gap ({type(error).__name__})") from error


def insert(
    connection: DuckDBPyConnection, name: str, kind: Mapping[str, Json], file: Path, longest: int
) -> None:
    """Read one kind's rows, of at most `longest` bytes, from a file of JSON lines into its table."""
    types = [*IMPLICIT.items(), *((column["name"], column["type"]) for column in kind["columns"])]
    object_size = max(longest + 1, _LEAST_OBJECT)
    columns = "{" + ", ".join(f"{_literal(column)}: {_literal(type_)}" for column, type_ in types) + "}"
    connection.execute(
        f"INSERT INTO t.{quoted(name)} SELECT * FROM read_json({_literal(str(file))}, "
        f"format = 'newline_delimited', columns = {columns}, maximum_object_size = {object_size})"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _duplicates(connection: DuckDBPyConnection, kind: str, loaded: Loaded) -> None:
    """Two records of one id make it unclear which is meant: their population is not as it should be."""
    found = connection.execute(
        f"SELECT _scope, min(_id), count(*) FROM (SELECT _scope, _id FROM t.{quoted(kind)} "
        "GROUP BY ALL HAVING count(*) > 1) GROUP BY _scope ORDER BY _scope"
    ).fetchall()
    for scope, example, ids in found:
        more = f" and {ids - 1} other ids" if ids > 1 else ""
        detail = f"more than one record has the id {example}{more}"
        loaded.gaps.append(GapLine(kind, loads(scope), Outcome.MALFORMED.value, detail))
