"""Reads the roster, `roster.csv`: one row a person.

The first row names the columns, in any order: all of COLUMNS and no others, so that nothing personal
is read that nobody declared. A row that makes no sense is a fault with its lines; the others stay.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

from collector.model import Json, Span
from collector_program.csv_rows import Row, rows

__all__ = ["COLUMNS", "FILE", "Fault", "Person", "Roster", "read_roster"]

FILE = "roster.csv"
COLUMNS = ("id", "name", "mail", "role", "joined_on", "left_on", "logins")

MAX_FAULTS = 200  # told one by one; a file of a million broken rows must not become a million gaps
MAX_ROWS = 100_000
_MAX_CELL = 512
_MAX_LOGINS = 64
_BOM = "\ufeff"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_MAIL = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,255}\Z")
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@$+\\-]{0,127}\Z")
_DATE = re.compile(r"[12]\d{3}-\d\d-\d\d\Z", re.ASCII)
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would carry out


@dataclass(frozen=True, slots=True)
class Person:
    """A row that made sense: the line where it begins, and its values by column."""

    line: int
    data: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Fault:
    """What makes no sense, and where; never quotes what the cell holds. Sorted by `line`."""

    line: int
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{FILE} {self.where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Roster:
    """What a roster says. `spans` cover every name and mail address; None: they cannot be told."""

    people: tuple[Person, ...]
    faults: tuple[Fault, ...]
    spans: tuple[Span, ...] | None


def read_roster(text: str) -> Roster:
    """Read a whole roster; whatever it holds, nothing is raised."""
    remaining = rows(text, len(_BOM) if text.startswith(_BOM) else 0)
    header = next(remaining, None)
    if header is None:
        return Roster((), (Fault(1, "line 1", f"empty; the first row must be {','.join(COLUMNS)}"),), ())
    names = [cell.value.strip() for cell in header.cells]
    if reason := header.fault or _bad_header(names):
        return Roster((), (Fault(header.first, _lines(header), reason),), None)
    return _people(names, remaining)


def _people(names: list[str], remaining: Iterator[Row]) -> Roster:
    people: list[Person] = []
    faults: list[Fault] = []
    spans: list[Span] = []
    more = 0
    for row in islice(remaining, MAX_ROWS):
        read = _person(names, row)
        if isinstance(read, Person):
            people.append(read)
            spans += _spans(names, row)
        elif len(faults) < MAX_FAULTS:
            faults.append(Fault(row.first, _lines(row), read))
            spans.append(Span(row.start, row.end, "person_name"))
        else:
            more += 1
    if more:
        faults.append(Fault(faults[-1].line + 1, f"after line {faults[-1].line}", f"{more:,} more such rows"))
    if unread := next(remaining, None):
        faults.append(
            Fault(unread.first, f"from line {unread.first} on", f"over {MAX_ROWS:,} rows, not read")
        )
    once, twice = _unique(people)
    told = sorted([*faults, *twice], key=lambda fault: fault.line)
    return Roster(once, tuple(told), None if more or unread else tuple(spans))


def _bad_header(names: list[str]) -> str:
    allowed = f"must be {','.join(COLUMNS)}, in any order"
    if missing := [name for name in COLUMNS if name not in names]:
        return f"column {missing[0]} is missing; they {allowed}"
    if len(names) > len(COLUMNS):
        return f"{len(names)} columns; they {allowed}"
    return ""


def _lines(row: Row) -> str:
    return f"line {row.first}" if row.first == row.last else f"lines {row.first} to {row.last}"


def _spans(names: list[str], row: Row) -> list[Span]:
    classes = {"name": "person_name", "mail": "mail"}
    return [
        Span(cell.start, cell.end, classes[name])
        for name, cell in zip(names, row.cells, strict=True)
        if name in classes and cell.end > cell.start
    ]


def _person(names: list[str], row: Row) -> Person | str:
    """The person, or why the row makes no sense."""
    if row.fault:
        return row.fault
    if len(row.cells) != len(names):
        return f"number of cells is {len(row.cells)}, must be {len(names)} as in the first row"
    values = {name: cell.value.strip() for name, cell in zip(names, row.cells, strict=True)}
    for name in COLUMNS:
        if reason := _bad_cell(name, values[name]):
            return f"{name}: {reason}"
    logins = list(dict.fromkeys(_logins(values["logins"])))
    data = {name: values[name] or None for name in COLUMNS if name != "logins"}
    return Person(row.first, {**data, "logins": logins})


def _bad_cell(name: str, value: str) -> str:
    if len(value) > _MAX_CELL:
        return f"longer than {_MAX_CELL} characters"
    if not value.isprintable():
        return "holds a line end or another control character"
    if value.startswith(_FORMULA):
        return "begins like a formula (=, +, - or @)"
    if not value:
        return "is empty" if name in ("id", "name") else ""
    return _bad_value(name, value)


def _bad_value(name: str, value: str) -> str:
    match name:
        case "id":
            return "" if _ID.match(value) else "may hold letters, digits and . _ - only, at most 64"
        case "mail":
            return "" if _MAIL.match(value) else "no mail address"
        case "joined_on" | "left_on":
            return "" if _is_date(value) else "no date; written as 2026-11-24"
        case "logins":
            return _bad_logins(_logins(value))
        case _:
            return ""


def _bad_logins(logins: list[str]) -> str:
    if len(logins) > _MAX_LOGINS:
        return f"more than {_MAX_LOGINS}"
    if not all(_LOGIN.match(login) for login in logins):
        return r"a login may hold letters, digits and . _ @ $ + \ - only; several are separated by ;"
    return ""


def _logins(value: str) -> list[str]:
    return [login for part in value.split(";") if (login := part.strip())]


def _is_date(value: str) -> bool:
    if not _DATE.match(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _unique(people: list[Person]) -> tuple[tuple[Person, ...], list[Fault]]:
    """Those whose id stands once, and a fault for each id that does not: neither row is believed."""
    lines: dict[str, list[int]] = defaultdict(list)
    for person in people:
        lines[person.data["id"]].append(person.line)
    twice = {id_: where for id_, where in lines.items() if len(where) > 1}
    faults = [
        Fault(where[0], _several(where), f"id {id_} stands {len(where)} times; each person needs one row")
        for id_, where in twice.items()
    ]
    told = faults[:MAX_FAULTS]
    if rest := faults[MAX_FAULTS:]:
        told.append(Fault(rest[0].line, f"from line {rest[0].line} on", f"{len(rest):,} more such ids"))
    return tuple(person for person in people if person.data["id"] not in twice), told


def _several(lines: list[int]) -> str:
    shown = [str(line) for line in lines[:5]] + (["…"] if len(lines) > 5 else [])
    return f"lines {', '.join(shown[:-1])} and {shown[-1]}"
