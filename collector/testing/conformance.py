"""What a source's class must be before anything is asked: names, types, operations, permissions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from collector.model import Column, Derived, Fault, Kind, Operation, Option, Outcome, Source
from collector.values import check_type

__all__ = ["check_derived", "check_kind", "check_source"]

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_OPERATION = re.compile(r"[A-Za-z0-9_.-]+:[A-Za-z0-9_./-]+\Z")
_OPTION_TYPES = ("string", "path", "integer", "boolean", "duration", "strings", "paths", "table")
_ATTRIBUTES = ("name", "title", "options", "kinds", "discovery", "errors")
_METHODS = ("root", "discover", "plan", "collect", "send", "permissions")


def check_source(source: type[Source]) -> list[str]:
    """Hold a source's class against the contract.

    Returns:
        One line for each thing that is wrong; empty if the class conforms.
    """
    if missing := [name for name in (*_ATTRIBUTES, *_METHODS) if not hasattr(source, name)]:
        return [f"{source.__name__}: {', '.join(missing)} missing"]
    return [*_names(source), *_options(source.options), *_errors(source), *_kinds(source)]


def check_kind(kind: Kind, source: str) -> list[str]:
    """Hold one collected kind of the source of that name against the contract."""
    return [*_table(kind, source), *_operations(kind)]


def check_derived(derived: Derived, source: str, kinds: Iterable[Kind]) -> list[str]:
    """Hold a derived kind against the contract; `kinds` are those that it may read."""
    found = _table(derived.kind, source)
    known = {kind.name: kind for kind in kinds}
    if derived.kind.operations:
        found.append(f"{derived.kind.name}: a derived kind has no operations")
    for name, columns in derived.reads.items():
        if name not in known:
            found.append(f"{derived.kind.name} reads {name}, which is no kind")
            continue
        names = {column.name for column in known[name].columns}
        found += [
            f"{derived.kind.name} reads {name}.{column}, which is no column"
            for column in columns
            if column not in names
        ]
    return found


def _names(source: type[Source]) -> Iterator[str]:
    if not _NAME.match(source.name):
        yield f"name {source.name!r}: lower case letters, digits and _ only"
    if not source.title:
        yield f"{source.name}: title is empty"
    if not source.kinds:
        yield f"{source.name}: has no kinds"
    names = [kind.name for kind in source.kinds]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name}: two kinds of one name"
    for operation in source.discovery:
        yield from _operation(f"{source.name} discovery", operation)


def _options(options: Sequence[Option]) -> Iterator[str]:
    for option in options:
        if option.type not in _OPTION_TYPES:
            yield f"option {option.name}: type {option.type!r} is none of {', '.join(_OPTION_TYPES)}"
        if not option.meaning:
            yield f"option {option.name}: meaning is empty"
        if option.required and option.default is not None:
            yield f"option {option.name}: required, so its default never counts"


def _errors(source: type[Source]) -> Iterator[str]:
    for code, fault in source.errors.items():
        if not isinstance(fault, Fault):
            yield f"errors[{code!r}]: must be a Fault"
        elif fault.outcome is Outcome.OK:
            yield f"errors[{code!r}]: an error cannot mean ok"


def _kinds(source: type[Source]) -> Iterator[str]:
    for kind in source.kinds:
        yield from check_kind(kind, source.name)
        if not source.permissions([kind]).strip():
            yield f"{kind.name}: permissions says nothing"


def _operations(kind: Kind) -> Iterator[str]:
    if not kind.lists:
        yield f"{kind.name}: no operation lists its population"
    cited = {call for column in kind.columns for call in column.calls}
    for operation in kind.operations:
        yield from _operation(kind.name, operation)
        if not operation.lists and operation.name not in cited:
            yield f"{kind.name}: {operation.name} fills no column, so its failure would go unseen"


def _operation(where: str, operation: Operation) -> Iterator[str]:
    if not _OPERATION.match(operation.name):
        yield f"{where}: operation {operation.name!r} is not written service:Action"
    if not operation.permission:
        yield f"{where}: {operation.name} names no permission"


def _table(kind: Kind, source: str) -> list[str]:
    found = [line for column in kind.columns for line in _column(kind, column)]
    if not kind.name.startswith(f"{source}_"):
        found.append(f"{kind.name}: must begin with {source}_")
    if not kind.title:
        found.append(f"{kind.name}: title is empty")
    return found or _sql(kind)


def _column(kind: Kind, column: Column) -> Iterator[str]:
    where = f"{kind.name}.{column.name}"
    try:
        check_type(column.type)
    except ValueError as error:
        yield f"{where}: {error}"
    if not column.meaning:
        yield f"{where}: meaning is empty"
    if (column.secret or column.identity) and column.type not in ("VARCHAR", "VARCHAR[]"):
        yield f"{where}: {column.type} cannot be secret or identify; VARCHAR and VARCHAR[] can"
    if column.secret and column.identity:
        yield f"{where}: secret and identity exclude each other"


def _sql(kind: Kind) -> list[str]:
    """Make the table in DuckDB and bind the kind's example questions to it."""
    import duckdb

    columns = ", ".join(f'"{column.name}" {column.type}' for column in kind.columns)
    found = []
    with duckdb.connect(":memory:") as database:
        try:
            database.execute("CREATE MACRO as_of() AS TIMESTAMP '2026-11-24 02:00:00'")
            database.execute(f'CREATE TABLE "{kind.name}" ({columns})')
        except duckdb.Error as error:
            return [f"{kind.name}: {_first_line(error)}"]
        for example in kind.examples:
            try:
                database.execute(example)
            except duckdb.Error as error:
                found.append(f"{kind.name}: example {example!r}: {_first_line(error)}")
    return found


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
