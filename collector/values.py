"""Column types, and whether a JSON value fits one.

DuckDB turns what does not fit into NULL or bends it until it does; here a value that does not fit
is found before it reaches a table, so that it becomes a gap and not a silent NULL
(docs/format.md, "Verdicts").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from math import isfinite

from collector.model import Json, Kind

__all__ = ["PLAIN", "Fits", "check_type", "fits", "misfits"]

_SCALARS = ("BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP", "DATE", "JSON")
_TOKEN = re.compile(r'\s*(?:([A-Z]+)|"([A-Za-z_][A-Za-z0-9_]{0,62})"|(\[\])|([(),]))')
_MONTH_DAY = r"(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_DATE = re.compile(rf"[12]\d{{3}}-{_MONTH_DAY}\Z", re.ASCII)
_TIMESTAMP = re.compile(
    rf"[12]\d{{3}}-{_MONTH_DAY}T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{{1,6}})?Z\Z", re.ASCII
)
_MIN_BIGINT, _MAX_BIGINT = -(2**63), 2**63 - 1

PLAIN = {"BOOLEAN": bool, "VARCHAR": str}
"""Types whose values fit if Python gives them this type; for the others see `fits`."""

Fits = Callable[[Json], bool]


def _real_day(text: str) -> bool:
    if text[8:10] <= "28":
        return True
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _number(value: Json) -> bool:
    """What canonical JSON can write as a number: integers of 64 bits, and no NaN or infinity."""
    return isfinite(value) if type(value) is float else type(value) is int and _MIN_BIGINT <= value < 2**64


def _scalar(name: str) -> Fits:
    match name:
        case "BOOLEAN":
            return lambda value: value is None or value is True or value is False
        case "BIGINT":
            return lambda value: value is None or (type(value) is int and _MIN_BIGINT <= value <= _MAX_BIGINT)
        case "DOUBLE":
            return lambda value: value is None or _number(value)
        case "VARCHAR":
            return lambda value: value is None or type(value) is str
        case "DATE":
            return lambda value: (
                value is None or (type(value) is str and bool(_DATE.match(value)) and _real_day(value))
            )
        case "TIMESTAMP":
            return lambda value: (
                value is None or (type(value) is str and bool(_TIMESTAMP.match(value)) and _real_day(value))
            )
        case _:
            return lambda _value: True


def _list(item: Fits) -> Fits:
    return lambda value: value is None or (type(value) is list and all(item(each) for each in value))


def _struct(fields: dict[str, Fits]) -> Fits:
    """Fields that the type does not name are the target's news: kept as evidence, in no table."""

    def fits_struct(value: Json) -> bool:
        if value is None:
            return True
        return type(value) is dict and all(field(value.get(name)) for name, field in fields.items())

    return fits_struct


class _Parser:
    """Recursive descent over the grammar in `collector.model.Column`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._token: tuple[str, str] | None = None
        self._next()

    def _next(self) -> None:
        if not self._text[self._at :].strip():
            self._token = None
            return
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise ValueError(f"column type {self._text!r}: cannot be read from character {self._at + 1}")
        self._at = match.end()
        word, name, brackets, sign = match.groups()
        self._token = ("word", word) if word else ("name", name) if name else ("sign", brackets or sign)

    def _take(self, kind: str, value: str | None = None) -> str:
        if self._token is None or self._token[0] != kind or (value is not None and self._token[1] != value):
            raise ValueError(f"column type {self._text!r}: expected {value or kind} before {self._at}")
        taken = self._token[1]
        self._next()
        return taken

    def whole(self) -> Fits:
        fits = self._type()
        if self._token is not None:
            raise ValueError(f"column type {self._text!r}: {self._token[1]!r} is too much")
        return fits

    def _type(self) -> Fits:
        word = self._take("word")
        if word == "STRUCT":
            fits = self._fields()
        elif word in _SCALARS:
            fits = _scalar(word)
        else:
            raise ValueError(f"column type {self._text!r}: {word} is none of {', '.join(_SCALARS)}, STRUCT")
        while self._token == ("sign", "[]"):
            self._next()
            fits = _list(fits)
        return fits

    def _fields(self) -> Fits:
        self._take("sign", "(")
        fields: dict[str, Fits] = {}
        while True:
            name = self._take("name")
            if name.lower() in map(str.lower, fields):
                raise ValueError(f"column type {self._text!r}: field {name} twice (SQL ignores case)")
            fields[name] = self._type()
            if self._token != ("sign", ","):
                break
            self._next()
        self._take("sign", ")")
        return _struct(fields)


@cache
def fits(type_: str) -> Fits:
    """Compile a column type into a test of JSON values; None fits every type.

    Raises:
        ValueError: it is no type that a column can have.
    """
    return _Parser(type_).whole()


def check_type(type_: str) -> None:
    """Raise ValueError unless a column can have this type."""
    fits(type_)


def misfits(kind: Kind, data: Json) -> list[str]:
    """The names of the columns whose value in `data` does not fit, in the kind's order."""
    return [
        column.name
        for column in kind.columns
        if (value := data.get(column.name)) is not None and not fits(column.type)(value)
    ]
