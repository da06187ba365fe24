"""Strict reading of TOML: what is wrong is said in one line that names file, line and key.

All of the project's own files that people write (collector.toml, exceptions.toml, trust.toml, mapping
packs) come through here, so that a misspelt key is an error with the nearest known name everywhere.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from collector import positions
from collector.model import CollectorError, ConfigError, Json

__all__ = [
    "MAX_BYTES",
    "Document",
    "Place",
    "Table",
    "nearest",
    "parse",
    "parse_duration",
    "printable",
    "quoted",
    "read",
]

MAX_BYTES = 4 * 2**20  # a hundred times the largest file that people write; parsing it takes a second
_MAX_SHOWN = 80  # characters of a key that an error repeats
_MAX_SECONDS = 100 * 366 * 86400  # a century: no cadence or retention is longer

# The parser's time grows with the square of a dotted key's parts, and nothing of ours has three.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")
_CLOCK = re.compile(r"[0-9]:[0-9]")  # stands in every time, and in few files
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")

Default = TypeVar("Default")
_REQUIRED: Any = object()


def nearest(word: str, known: Iterable[str]) -> str:
    """What may have been meant: " (did you mean X?)", or "" where nothing known is near."""
    from difflib import get_close_matches

    names = {name.lower(): name for name in known}
    found = get_close_matches(word.lower()[:_MAX_SHOWN], names, n=1, cutoff=0.6)
    return f" (did you mean {names[found[0]]}?)" if found else ""


def printable(text: str) -> str:
    """Text that is safe in a line of its own: control characters escaped, cut where it is long."""
    safe = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[: _MAX_SHOWN + 1])
    return safe if len(text) <= _MAX_SHOWN else f"{safe[:_MAX_SHOWN]}..."


def quoted(text: str) -> str:
    """Text between quotes, as `printable` shows it."""
    return f"'{printable(text)}'"


def parse_duration(text: str) -> int:
    """Seconds in a duration as people write it: "15s", "30m", "24h", "400d", "2w".

    Raises:
        ValueError: it is none, or longer than a century.
    """
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f'{quoted(text)} is no duration; write a number and a unit, as in "24h" (s m h d w)')
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > _MAX_SECONDS:
        raise ValueError(f"{text!r} is longer than a century")
    return seconds


@dataclass(frozen=True)
class Document:
    """A TOML file that was read.

    Attributes:
        data: as the standard library gives it.
        path: as it was asked for; errors show it.
        text: what was parsed.
    """

    data: Mapping[str, Json]
    path: Path
    text: str = field(repr=False)

    @cached_property
    def _lines(self) -> Mapping[positions.KeyPath, int]:
        return positions.find(self.text)

    def line(self, *keys: str | int) -> int:
        """The line of a key path, else of the nearest table around it, else 1.

        Arrays, of tables too, are entered by index: `line("source", 0, "folder")`.
        """
        for length in range(len(keys), 0, -1):
            if line := self._lines.get(keys[:length]):
                return line
        return 1

    def where(self, *keys: str | int) -> str:
        """`file:line` of a key path."""
        return f"{shown_path(self.path)}:{self.line(*keys)}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. As a text it is `file:line`, which is worked out only when it is shown:
    finding lines takes longer than reading a file."""

    document: Document
    keys: tuple[str | int, ...]

    def __str__(self) -> str:
        return self.document.where(*self.keys)


def shown_path(path: Path) -> str:
    """A path that is safe in a line of its own, whole: where something is must not be cut."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(path))


def read(path: Path, error: type[CollectorError] = ConfigError, limit: int = MAX_BYTES) -> Document:
    """Read a TOML file of at most `limit` bytes.

    Raises:
        error: it cannot be read, is too large, is not UTF-8, or is no TOML; a duplicate key is none.
    """
    try:
        # Not blocking: a named pipe in the file's place must not hold the program up.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise error(f"{shown_path(path)}: not a regular file")
            data = file.read(limit + 1)
    except OSError as problem:
        raise error(f"{shown_path(path)}: cannot be read: {problem.strerror}") from None
    except ValueError:  # a NUL in the path
        raise error(f"{shown_path(path)}: no path of a file") from None
    return parse(data, path, error, limit)


def parse(
    data: bytes, path: Path, error: type[CollectorError] = ConfigError, limit: int = MAX_BYTES
) -> Document:
    """Parse the bytes of a TOML file; `path` is for errors only.

    Raises:
        error: as `read` does.
    """
    shown = shown_path(path)
    if len(data) > limit:
        raise error(f"{shown}: larger than {limit} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise error(f"{shown}:{line}: not UTF-8") from None
    text = text.replace("\r\n", "\n")
    dotted = any(line.count(".") >= 100 for line in text.splitlines())
    if dotted and (found := _LONG_KEY.search(text)):
        line = text.count("\n", 0, found.start()) + 1
        raise error(f"{shown}:{line}: a dotted key of more than a hundred parts")
    try:
        return Document(_loads(text), path, text)
    except RecursionError:
        raise error(f"{shown}: nested too deeply") from None
    except ValueError as problem:
        raise error(_parse_error(shown, text, str(problem))) from None


def _loads(text: str) -> Mapping[str, Json]:
    """Parse, in a twentieth of the standard library's time; what is no TOML is named by that one."""
    import rtoml

    try:
        parsed: Mapping[str, Json] = rtoml.loads(text)
    except ValueError:
        return tomllib.loads(text.removeprefix("\ufeff"))  # as editors on Windows begin a file
    # Its own type of offsets can be neither copied nor sent to another process.
    return _with_plain_offsets(parsed) if _CLOCK.search(text) else parsed


def _with_plain_offsets(value: Json) -> Json:
    match value:
        case dict():
            return {key: _with_plain_offsets(inner) for key, inner in value.items()}
        case list():
            return [_with_plain_offsets(inner) for inner in value]
        case datetime() if (offset := value.utcoffset()) is not None:
            return value.replace(tzinfo=timezone(offset))
    return value


def _parse_error(shown: str, text: str, message: str) -> str:
    found = _POSITION.search(message)
    if found is None:  # such as a number of more digits than Python converts
        return f"{shown}: not TOML: {message}"
    line = found[1] or text.rstrip("\n").count("\n") + 1
    what = message[: found.start()]
    if what.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")):
        what += "; a key or table stands twice"
    column = f" (column {found[2]})" if found[2] else " (end of file)"
    return f"{shown}:{line}: not TOML: {what}{column}"


class Table:
    """Takes the keys of one table, each once and of one type; `finish` refuses what is left.

    Each method takes a key, and a default for where it is left out; without one the key must be
    there. All raise `error`, with file, line and key.

    Args:
        document: where the table stands.
        data: the table.
        keys: the path to it, empty for the document's top.
        error: what to raise.
    """

    def __init__(
        self,
        document: Document,
        data: Mapping[str, Json],
        keys: Iterable[str | int] = (),
        error: type[CollectorError] = ConfigError,
    ) -> None:
        self.document = document
        self.data = data
        self.keys = tuple(keys)
        self.error = error
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[str]:
        """The names of its keys, in the file's order."""
        return iter(self.data)

    def where(self, *keys: str | int) -> str:
        """`file:line` of the table, or of a key path in it."""
        return self.document.where(*self.keys, *keys)

    def place(self) -> Place:
        """Where the table stands, to be shown perhaps."""
        return Place(self.document, self.keys)

    def wrong(self, what: str, *keys: str | int) -> CollectorError:
        """The error to raise about the table or a key in it; `what` says what would be right."""
        shown = next((_show(key) for key in reversed(keys) if isinstance(key, str)), "")
        return self.error(f"{self.where(*keys)}: {shown}: {what}" if shown else f"{self.where()}: {what}")

    def finish(self, also: Iterable[str] = ()) -> None:
        """Refuse every key that was not asked for; `also` are names that are taken elsewhere."""
        known = [*self._known, *also]
        for key in self.data:
            if key not in known:
                allowed = nearest(key, known) or f"; allowed here: {', '.join(known) or 'nothing'}"
                raise self.wrong(f"unknown key{allowed}", key)

    def string(self, key: str, default: Default = _REQUIRED, *, choices: Iterable[str] = ()) -> str | Default:
        """Text that is not blank, one of `choices` where there are any."""
        if self._left_out(key, default):
            return default
        value = self._text(self.data[key], key)
        allowed = tuple(choices)
        if allowed and value not in allowed:
            near = nearest(value, allowed) or f"; allowed: {', '.join(allowed)}"
            raise self.wrong(f"{quoted(value)} is not allowed{near}", key)
        return value

    def strings(self, key: str, default: Default = _REQUIRED) -> tuple[str, ...] | Default:
        """A list of texts, none of them blank, none twice."""
        if self._left_out(key, default):
            return default
        values = self.data[key]
        if type(values) is not list:
            self._mistyped(key, "a list of strings", values)
        texts: list[str] = []
        for index, value in enumerate(values):
            text = self._text(value, key, index)
            if text in texts:
                raise self.wrong(f"{quoted(text)} stands twice", key, index)
            texts.append(text)
        return tuple(texts)

    def integer(
        self, key: str, default: Default = _REQUIRED, *, least: int = 0, most: int = 2**63 - 1
    ) -> int | Default:
        """A whole number from `least` to `most`."""
        if self._left_out(key, default):
            return default
        value = self.data[key]
        if type(value) is not int:
            self._mistyped(key, "a whole number", value)
        if not least <= value <= most:
            raise self.wrong(f"must be from {least} to {most}", key)
        return value

    def boolean(self, key: str, default: Default = _REQUIRED) -> bool | Default:
        """`true` or `false`."""
        if self._left_out(key, default):
            return default
        value = self.data[key]
        if type(value) is not bool:
            self._mistyped(key, "true or false", value)
        return value

    def duration(self, key: str, default: Default = _REQUIRED, *, least: int = 1) -> int | Default:
        """A duration such as "24h", in seconds, at least `least` of them."""
        if self._left_out(key, default):
            return default
        value = self.data[key]
        if type(value) is not str:
            self._mistyped(key, 'a duration such as "24h"', value)
        try:
            seconds = parse_duration(value)
        except ValueError as problem:
            raise self.wrong(str(problem), key) from None
        if seconds < least:
            raise self.wrong(f'must be at least "{least}s"', key)
        return seconds

    def date(self, key: str, default: Default = _REQUIRED) -> date | Default:
        """A day such as 2027-01-31, with quotes or without."""
        if self._left_out(key, default):
            return default
        value = self.data[key]
        if type(value) is date:
            return value
        if type(value) is not str:
            self._mistyped(key, "a date such as 2027-01-31", value)
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            raise self.wrong(f"{quoted(value)} is no date; write 2027-01-31", key) from None

    def table(self, key: str, default: Default = _REQUIRED) -> Table | Default:
        """A table in the table."""
        if self._left_out(key, default):
            return default
        value = self.data[key]
        if type(value) is not dict:
            self._mistyped(key, "a table", value)
        return Table(self.document, value, (*self.keys, key), self.error)

    def tables(self, key: str) -> tuple[Table, ...]:
        """An array of tables, `[[key]]`; empty where it is left out."""
        self._known[key] = None
        values = self.data.get(key, [])
        if type(values) is not list or not all(type(value) is dict for value in values):
            raise self.wrong(f"must be an array of tables, written [[{_show(key)}]]", key)
        return tuple(
            Table(self.document, value, (*self.keys, key, index), self.error)
            for index, value in enumerate(values)
        )

    def value(self, key: str, default: Default = _REQUIRED) -> Json:
        """Anything, as JSON: dates and times become the text that the format writes for them."""
        if self._left_out(key, default):
            return default
        try:
            return _json(self.data[key])
        except ValueError as problem:
            raise self.wrong(str(problem), key) from None

    def _left_out(self, key: str, default: object) -> bool:
        self._known[key] = None
        if key in self.data:
            return False
        if default is _REQUIRED:
            near = next((each for each in self.data if nearest(each, [key])), None)
            hint = f" (is {_show(near)} meant for it?)" if near and near not in self._known else ""
            raise self.wrong(f"{_show(key)} is missing{hint}")
        return True

    def _text(self, value: Json, *keys: str | int) -> str:
        if type(value) is not str:
            self._mistyped(keys[0], "a string", value, *keys[1:])
        if not value.strip():
            raise self.wrong("is blank", *keys)
        return str(value)

    def _mistyped(self, key: str | int, right: str, value: Json, *more: str | int) -> NoReturn:
        raise self.wrong(f"must be {right}, is {_TYPES.get(type(value), 'something else')}", key, *more)


_TYPES = {
    str: "a string",
    int: "a whole number",
    float: "a decimal number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    date: "a date",
    datetime: "a date and time",
    time: "a time",
}


def _show(key: str | int) -> str:
    text = str(key)
    return text if _BARE_KEY.match(text) and len(text) <= _MAX_SHOWN else f'"{printable(text)}"'


def _json(value: Json) -> Json:
    if type(value) is dict:
        return {key: _json(each) for key, each in value.items()}
    if type(value) is list:
        return [_json(each) for each in value]
    if type(value) is datetime:
        from datetime import UTC

        try:
            moment = value if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            raise ValueError("no moment between the years 1 and 9999 in UTC") from None
        return moment.replace(tzinfo=None).isoformat() + "Z"
    if type(value) in (date, time):
        return value.isoformat()
    if type(value) is float and not -1e308 <= value <= 1e308:
        raise ValueError("numbers must be finite")
    return value
