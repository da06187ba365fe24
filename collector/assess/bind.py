"""Binds checks to tables, so that a column that does not exist is found before anything is judged.

A single-row check is bound to its kind's table; what it reads comes from the expression. A `query`
is bound against views that hold nothing but the columns that it says it reads, so that DuckDB's
binder proves the list complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collector.assess import sql
from collector.assess.mappings import Check
from collector.assess.tables import IMPLICIT, quoted
from collector.model import Json, MappingError
from collector.toml import nearest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Bound", "bind"]

_SCOPED = ("_id", "_scope")
"""What a query sees beside the columns that it names."""

_GIVES = ("id", "pass", "detail")
"""What a query's rows must hold; `scope`, the `_scope` of what it judged, may stand beside them."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A check that can be run.

    Attributes:
        kind: the kind that its findings name; of a query, the first that it reads.
        reads: every kind it reads, with the columns.
        applies_reads, pass_reads: the columns of its two expressions.
        sql: a query within its views.
        scoped: whether a query says itself in which scope each of its subjects lies.
        unsupported: what the tables at hand lack of it; "" if it can be run.
    """

    check: Check
    kind: str
    reads: Mapping[str, tuple[str, ...]]
    applies_reads: tuple[str, ...] = ()
    pass_reads: tuple[str, ...] = ()
    sql: str = ""
    scoped: bool = False
    unsupported: str = ""


def bind(
    connection: DuckDBPyConnection,
    checks: Iterable[Check],
    kinds: Mapping[str, Mapping[str, Json]],
    *,
    strict: bool,
) -> tuple[list[Bound], list[str]]:
    """Bind checks to the tables that `collector.assess.tables.create` made of `kinds`.

    Args:
        strict: the mappings are loaded with their plugins, so that an unknown kind or column is a
            misspelling. Else they are newer or older than the evidence: a check of an unknown kind is
            not run, and a column that is missing makes it unsupported.

    Returns:
        The checks that can be judged, and the ids of those that are not run.

    Raises:
        MappingError: SQL that a check may not hold, or, if strict, that does not fit the tables.
    """
    bound: list[Bound] = []
    not_run: list[str] = []
    checks = list(checks)
    expressions = [text for check in checks for _, text in _parts(check)]
    known = sql.parsed(connection, expressions, [check.query for check in checks if check.query is not None])
    read = _read(connection, checks, kinds, known)
    for check in checks:
        unknown = [kind for kind in check.kinds if kind not in kinds]
        if unknown and strict:
            raise MappingError(
                f"{check.where}: check {check.id}: no kind {unknown[0]}{nearest(unknown[0], kinds)}"
            )
        if unknown:
            not_run.append(check.id)
        else:
            bound.append(_bind(connection, check, kinds, strict, read, known))
    return bound, not_run


@dataclass(frozen=True, slots=True)
class _Part:
    """An expression over one row that a check may hold, and its type where it is known already."""

    statement: sql.Statement
    type: str = ""


_Parts = Mapping[tuple[str, str], _Part]


def _parts(check: Check) -> Iterator[tuple[str, str]]:
    """The expressions of a check over one row, by their keys."""
    for part, text in (("applies", check.applies), ("pass", check.pass_)):
        if text is not None:
            yield part, text


def _read(
    connection: DuckDBPyConnection,
    checks: Sequence[Check],
    kinds: Mapping[str, Mapping[str, Json]],
    known: sql.Parsed,
) -> _Parts:
    """All expressions over one row that may stand where they do, with their types.

    One statement for a kind in place of one for each of its expressions: those take milliseconds each. Where
    one expression is at fault, those of its kind are left to be bound alone, so that the error names it.
    """
    by_kind: dict[str, dict[tuple[str, str], str]] = {}
    read: dict[tuple[str, str], _Part] = {}
    for check in checks:
        for part, text in _parts(check) if check.kind in kinds else ():
            with suppress(sql.Refused):
                read[check.id, part] = _Part(sql.expression(connection, text, known))
                by_kind.setdefault(check.kind, {})[check.id, part] = text
    for kind, texts in by_kind.items():
        listed = ", ".join(f'({text}\n) AS "{number}"' for number, text in enumerate(texts.values()))
        columns, error = _describe(connection, f"SELECT {listed} FROM t.{quoted(kind)}")
        if not error:
            types = (columns[str(number)] for number in range(len(texts)))
            read |= {key: replace(read[key], type=type_) for key, type_ in zip(texts, types, strict=True)}
    return read


def _bind(
    connection: DuckDBPyConnection,
    check: Check,
    kinds: Mapping[str, Mapping[str, Json]],
    strict: bool,
    read: _Parts,
    known: sql.Parsed,
) -> Bound:
    try:
        bound = (
            _query(connection, check, kinds, known)
            if check.query is not None
            else _row(connection, check, kinds, read)
        )
    except sql.Refused as error:
        raise MappingError(f"{check.where}: check {check.id}: {error}") from None
    if bound.unsupported and strict:
        raise MappingError(f"{check.where}: check {check.id}: {bound.unsupported}")
    return bound


def _columns(kind: Mapping[str, Json]) -> dict[str, str]:
    """The kind's column names by their lower case, as SQL looks them up."""
    return {column["name"].lower(): column["name"] for column in kind["columns"]}


def _pseudonyms(kind: Mapping[str, Json]) -> frozenset[str]:
    return frozenset(
        column["name"].lower()
        for column in kind["columns"]
        if column.get("identity") in ("person_name", "mail") or column.get("secret")
    )


def _row(
    connection: DuckDBPyConnection,
    check: Check,
    kinds: Mapping[str, Mapping[str, Json]],
    read: _Parts,
) -> Bound:
    kind = kinds[check.kind]
    columns, hidden = _columns(kind), _pseudonyms(kind)
    reads: dict[str, tuple[str, ...]] = {}
    missing: set[str] = set()
    for part, text in _parts(check):
        known = read.get((check.id, part))
        statement = known.statement if known else sql.expression(connection, text)
        _refuse_looking(statement, hidden, part)
        reads[part] = tuple(sorted(columns[name] for name in statement.names if name in columns))
        missing |= {name for name in statement.names if name not in columns and name not in IMPLICIT}
    both = tuple(sorted({column for found in reads.values() for column in found}))
    bound = Bound(
        check,
        check.kind,
        {check.kind: both},
        applies_reads=reads.get("applies", ()),
        pass_reads=reads["pass"],
    )
    if missing:
        name = min(missing)
        return _unsupported(bound, f"{check.kind} has no column {name}{nearest(name, columns.values())}")
    for part, text in _parts(check):
        type_, error = read[check.id, part].type, ""
        if not type_:
            found, error = _describe(connection, f"SELECT ({text}\n) AS pass FROM t.{quoted(check.kind)}")
            type_ = found.get("pass", "")
        if error:
            return _unsupported(bound, f"{part}: {error}")
        if type_ not in ("BOOLEAN", '"NULL"'):
            raise sql.Refused(f"{part} gives {type_}, must give BOOLEAN")
    return bound


def _query(
    connection: DuckDBPyConnection,
    check: Check,
    kinds: Mapping[str, Mapping[str, Json]],
    known: sql.Parsed,
) -> Bound:
    assert check.query is not None
    statement = sql.query(connection, check.query, known)
    views: list[str] = []
    missing = ""
    reads: dict[str, tuple[str, ...]] = {}
    hidden: set[str] = set()
    for name, wanted in check.reads.items():
        columns = _columns(kinds[name])
        hidden |= _pseudonyms(kinds[name]) & {each.lower() for each in wanted}
        absent = [each for each in wanted if each.lower() not in columns]
        if absent and not missing:
            missing = f"{name} has no column {absent[0]}{nearest(absent[0], columns.values())}"
        reads[name] = tuple(sorted(columns[each.lower()] for each in wanted if each.lower() in columns))
        listed = ", ".join(quoted(each) for each in (*_SCOPED, *reads[name]))
        views.append(f"{quoted(name)} AS (SELECT {listed} FROM t.{quoted(name)})")
    if stray := sorted(statement.tables - set(check.reads)):
        raise sql.Refused(f"query names {stray[0]}, which is not in its reads")
    _refuse_looking(statement, frozenset(hidden), "query")
    bound = Bound(
        check,
        check.kind,
        reads,
        sql=f"WITH {', '.join(views)} SELECT * FROM (\n{check.query}\n)",
    )
    if missing:
        return _unsupported(bound, missing)
    found, error = _describe(connection, bound.sql)
    if error:
        return _unsupported(bound, f"query: {error}")
    if lacking := [name for name in _GIVES if name not in found]:
        raise sql.Refused(f"query gives no column {lacking[0]}; it must give {', '.join(_GIVES)}")
    if found["pass"] not in ("BOOLEAN", '"NULL"'):
        raise sql.Refused(f"query gives {found['pass']} as pass, must give BOOLEAN")
    return replace(bound, scoped="scope" in found)


def _refuse_looking(statement: sql.Statement, hidden: frozenset[str], part: str) -> None:
    if looked := sorted(statement.looked_into & hidden):
        raise sql.Refused(
            f"{part} looks into {looked[0]}, which holds a pseudonym or digest: compare it as a whole"
        )


def _describe(connection: DuckDBPyConnection, text: str) -> tuple[dict[str, str], str]:
    """The columns that a SELECT gives, and the first line of the binder's error."""
    import duckdb

    try:
        rows: Sequence[tuple[str, ...]] = connection.execute(f"DESCRIBE {text}").fetchall()
    except (duckdb.Error, UnicodeDecodeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return {}, " ".join(lines[:2]) if len(lines) > 1 and "andidate" in lines[1] else lines[0]
    return {row[0]: row[1] for row in rows}, ""


def _unsupported(bound: Bound, why: str) -> Bound:
    return replace(bound, unsupported=why)
