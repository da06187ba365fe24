"""Answers questions about evidence in SQL: each kind is a table, under its own name."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.assess import tables
from collector.assess.evidence import read
from collector.assess.verdicts import lock, open_database
from collector.lines import read_lines
from collector.model import CollectorError
from collector.toml import nearest, quoted

__all__ = ["Answer", "query"]

_MEMORY = 1 << 30
_ROWS = 10_000
_NOTHING = "the query asks nothing; it must be a SELECT"
_NO_TABLE = re.compile(r"Table with name (.+?) does not exist!")
_TEXT, _COUNT = "VARCHAR", "BIGINT"
_TABLES = {
    "finding": (
        "findings",
        {
            **dict.fromkeys(("check", "detail", "kind", "result", "severity", "subject", "salt"), _TEXT),
            **dict.fromkeys(("scope", "waiver"), "JSON"),
        },
    ),
    "control": ("controls", {"control": _TEXT, "status": _TEXT, "objectives": "JSON", "salt": _TEXT}),
    "call": (
        "ledger",
        {
            **dict.fromkeys(("call", "op", "outcome", "detail", "as", "answer", "salt"), _TEXT),
            **dict.fromkeys(("ms", "tries", "page", "items", "bytes"), _COUNT),
            "at": "TIMESTAMP",
            "more": "BOOLEAN",
            "params": "JSON",
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of a query, as text where JSON has no type for them."""

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]


def query(folder: Path, sql: str) -> Answer:
    """Ask an extracted bundle. The tables are its kinds, `finding`, `control` and `call`.

    Each kind has, beside its columns, `_id`, `_scope`, `_gaps`, `_reasons` and `_redactions`.

    Raises:
        CollectorError: the SQL is wrong; the message is DuckDB's.
        VerifyError: the folder is not as the format says.
    """
    import duckdb

    evidence = read(folder)
    with tempfile.TemporaryDirectory(prefix="collector-query-") as scratch:
        connection = open_database(Path(scratch), _MEMORY, threads=2)
        tables.create(connection, evidence.kinds)
        tables.load(connection, evidence.segments, evidence.kinds, Path(scratch))
        _lines(connection, folder, Path(scratch))
        lock(connection)
        connection.execute("USE t")
        try:
            cursor = connection.execute(_one(connection, sql))
            if cursor is None or cursor.description is None:
                raise CollectorError(_NOTHING)
            columns = [each[0] for each in cursor.description]
            rows = [list(map(_plain, row)) for row in cursor.fetchmany(_ROWS)]
        except (duckdb.Error, UnicodeDecodeError) as error:
            raise CollectorError(_said(str(error), [*evidence.kinds, *_TABLES])) from None
        connection.close()
    return Answer(columns, iter(rows))


def _one(connection: Any, sql: str) -> Any:
    """The one statement of a query: of several, only the last one's answer could be shown."""
    statements = connection.extract_statements(sql)
    if not statements:
        raise CollectorError(_NOTHING)
    if len(statements) > 1:
        raise CollectorError(f"{len(statements)} statements; ask one question at a time")
    return statements[0]


def _said(message: str, known: Sequence[str]) -> str:
    """DuckDB's message as one line; of a table that is not there, with the nearest that this bundle has.

    Its own guess may be a table of the database's system, and it shows the SQL again below.
    """
    if not (missing := _NO_TABLE.search(message)):
        return " ".join(message.split())
    name = missing[1]
    near = nearest(name, known) or "; `SHOW TABLES` lists its kinds"
    return f"the bundle has no table {quoted(name)}{near}"


def _lines(connection: Any, folder: Path, scratch: Path) -> None:
    """Findings, controls and the ledger as tables of their own."""
    for table, (name, types) in _TABLES.items():
        rows = scratch / f"{table}.rows"
        longest = 0
        with rows.open("wb") as out:
            for line in read_lines(folder / f"{name}.jsonl.gz"):
                out.write(line + b"\n")
                longest = max(longest, len(line))
        columns = ", ".join(f"'{column}': '{type_}'" for column, type_ in types.items())
        connection.execute(
            f"CREATE TABLE t.{tables.quoted(table)} AS SELECT * FROM read_json('{rows.as_posix()}', "
            f"format = 'newline_delimited', columns = {{{columns}}}, "
            f"maximum_object_size = {max(longest + 1, 1 << 20)})"
        )
        rows.unlink()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, dict)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
