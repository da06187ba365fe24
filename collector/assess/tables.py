"""Evidence into typed tables: one pass over the segments, then DuckDB reads each kind.

Each table has the kind's columns and, beside them, `_id`, `_scope` (its canonical JSON), `_gaps`
(names of the columns that could not be had), `_reasons` (the same with why) and `_redactions` (paths
that were redacted). A value
that does not fit its column, or that a detector replaced, counts as a gap of that column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from collector.assess.populations import GapLine
from collector.assess.rows import Loaded, Shape
from collector.canonical import loads
from collector.lines import read_lines
from collector.model import Json, Outcome, VerifyError
from collector.values import check_type

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["IMPLICIT", "create", "insert", "load", "quoted"]

IMPLICIT: Mapping[str, str] = {
    "_id": "VARCHAR",
    "_scope": "VARCHAR",
    "_gaps": "VARCHAR[]",
    "_reasons": "VARCHAR[]",
    "_redactions": "VARCHAR[]",
}
_CHUNK = 32 << 20  # bytes of rows that DuckDB reads at a time
_LEAST_OBJECT = 1 << 20  # bytes; DuckDB sets aside twice its largest object for each thread


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def create(connection: DuckDBPyConnection, kinds: Mapping[str, Mapping[str, Json]]) -> None:
    """Make an empty table for each kind, in schema `t`, where no unqualified name finds it."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS t")
    connection.begin()  # one for all: each commit is written through to the disk
    for name, kind in kinds.items():
        columns = [(column["name"], column["type"]) for column in kind["columns"]]
        for _, type_ in columns:
            check_type(type_)
        listed = ", ".join(f"{quoted(column)} {type_}" for column, type_ in [*IMPLICIT.items(), *columns])
        connection.execute(f"CREATE TABLE t.{quoted(name)} ({listed})")
    connection.commit()


def load(
    connection: DuckDBPyConnection,
    segments: Sequence[Path],
    kinds: Mapping[str, Mapping[str, Json]],
    scratch: Path,
    wanted: Mapping[str, Collection[str]] | None = None,
) -> Loaded:
    """Read segments into the tables that `create` made.

    Args:
        connection: not locked yet: DuckDB reads files that this function writes into `scratch`.
        segments: in the order of the archive.
        kinds: the `kinds` of `kinds.json`.
        scratch: an empty folder of the run's own.
        wanted: kind to the columns that will be looked at; the others stay NULL, and kinds that are not
            in it stay empty. None: everything.

    Raises:
        VerifyError: a segment that is no segment.
    """
    loaded = Loaded()
    shapes = {
        name: Shape(name, kind, None if wanted is None else wanted[name])
        for name, kind in kinds.items()
        if wanted is None or name in wanted
    }
    with _Inserter(connection, kinds, scratch, wanted) as inserter:
        for path in segments:
            for kind, row in _rows(path, shapes, loaded):
                inserter.add(kind, row)
    for kind in sorted(name for name in shapes if loaded.counts.get(name, 0) > 1):
        _duplicates(connection, kind, loaded)
    return loaded


class _Rows:
    """A file of rows of one kind in the making. Rows go to it at once: small objects that are kept make
    memory that is never given back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("wb", buffering=1 << 20)
        self.longest = 0
        self._size = 0

    def add(self, row: bytes) -> int:
        """Write a row, and say how many bytes there are now."""
        self.file.write(row)
        self.file.write(b"\n")
        self.longest = max(self.longest, len(row))
        self._size += len(row)
        return self._size


class _Inserter:
    """Gathers rows in files and lets DuckDB read those that are full while more are written."""

    def __init__(
        self,
        connection: DuckDBPyConnection,
        kinds: Mapping[str, Mapping[str, Json]],
        scratch: Path,
        wanted: Mapping[str, Collection[str]] | None,
    ) -> None:
        self._connection = connection
        self._kinds = kinds
        self._wanted = wanted
        self._scratch = scratch
        self._open: dict[str, _Rows] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="insert")
        self._running: Future[None] | None = None
        self._files = 0

    def __enter__(self) -> _Inserter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool:
            if kind is None:
                self._wait()
                self._connection.begin()  # one for all that is left: each commit goes through to the disk
                for name in sorted(self._open):
                    self._hand_over(name)
                self._wait()
                self._connection.commit()

    def add(self, kind: str, row: bytes) -> None:
        """Take a row."""
        rows = self._open.get(kind)
        if rows is None:
            self._files += 1
            rows = self._open[kind] = _Rows(self._scratch / f"{self._files}.jsonl")
        if rows.add(row) >= _CHUNK:
            self._hand_over(kind)

    def _hand_over(self, kind: str) -> None:
        rows = self._open.pop(kind)
        rows.file.close()
        self._wait()
        self._running = self._pool.submit(self._insert, kind, rows)

    def _insert(self, kind: str, rows: _Rows) -> None:
        wanted = None if self._wanted is None else self._wanted[kind]
        insert(self._connection, kind, self._kinds[kind], rows.path, rows.longest, wanted)
        rows.path.unlink()

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()
            self._running = None


def _rows(path: Path, shapes: Mapping[str, Shape], loaded: Loaded) -> Iterator[tuple[str, bytes]]:
    for number, line in enumerate(read_lines(path), 1):
        try:
            item = loads(line)
            if "gap" in item:
                gap = item["gap"]
                loaded.gaps.append(GapLine(gap["kind"], gap["scope"], gap["reason"], gap.get("detail", "")))
                continue
            record = item["record"]
            kind = record["kind"]
            loaded.counts[kind] = loaded.counts.get(kind, 0) + 1
            shape = shapes.get(kind)
            if shape is not None:
                yield kind, shape.row(record, loaded)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            where = f"segments/{path.name} line {number}"
            raise VerifyError(f"{where}: neither a record nor a gap ({type(error).__name__})") from error


def insert(
    connection: DuckDBPyConnection,
    name: str,
    kind: Mapping[str, Json],
    file: Path,
    longest: int,
    wanted: Collection[str] | None = None,
) -> None:
    """Read one kind's rows, of at most `longest` bytes, from a file of JSON lines into its table.

    Only the columns `wanted` are read, if they are given.
    """
    columns = [each for each in kind["columns"] if wanted is None or each["name"] in wanted]
    types = {**IMPLICIT, **{column["name"]: column["type"] for column in columns}}
    into = ", ".join(map(quoted, types))
    listed = ", ".join(f"{_literal(column)}: {_literal(type_)}" for column, type_ in types.items())
    chosen = ", ".join(
        f"coalesce({column}, [])" if column in IMPLICIT and type_.endswith("[]") else quoted(column)
        for column, type_ in types.items()
    )
    connection.execute(
        f"INSERT INTO t.{quoted(name)} ({into}) SELECT {chosen} FROM read_json({_literal(str(file))}, "
        f"format = 'newline_delimited', columns = {{{listed}}}, "
        f"maximum_object_size = {max(longest + 1, _LEAST_OBJECT)})"
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
