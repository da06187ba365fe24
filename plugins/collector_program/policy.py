"""Reads a policy: Markdown that opens with TOML front matter between two lines `+++`.

The front matter is strict: a key that is not known, or a value of the wrong type, is never dropped in
silence, since a misspelt parameter would read as "states nothing".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from collector.model import Json, Span
from collector_program.kinds import PARAMETERS

__all__ = ["Policy", "Unreadable", "read_policy"]

STATUSES = ("draft", "approved", "retired")

_FENCE = "+++"
_BOM = "\ufeff"
_MAX_FRONT = 64 * 2**10  # characters; real ones have a few hundred
_MAX_NUMBER = 1_000_000
_MAX_TITLE = 200
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}\Z")
_MAIL = re.compile(r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_WORD = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
_AT_LINE = re.compile(r"\(at line (\d+)")
_PEOPLE = ("owner", "approver")

_Reader = Callable[[Json], Json]


class Unreadable(Exception):  # noqa: N818 - what a file is, not a breakdown
    """A file that is no policy: the line, the reason, and what of its text must not be written."""

    def __init__(self, line: int, reason: str, spans: tuple[Span, ...] | None = None) -> None:
        super().__init__(f"line {line}: {reason}")
        self.spans = spans


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy's front matter says.

    Attributes:
        data: column name to value, without what could not be read.
        faults: column name to where and why, for those that are there and could not be read.
        spans: what of the text must not be written.
        words: how many words stand below the front matter, without headings and comments.
    """

    data: dict[str, Json]
    faults: dict[str, str]
    spans: tuple[Span, ...]
    words: int


def read_policy(text: str) -> Policy:
    """Read a policy.

    Raises:
        Unreadable: there is no front matter, it is no TOML, has a key that is not known, or lacks
            `id` or `title`.
    """
    start, front = _front_matter(text)
    end = start + len(front)
    hidden = (Span(start, end, "person_name"),) if end > start else ()
    # A name may stand where an id belongs: then nothing of the front matter is kept.
    unsure = hidden + _mails(text, end)
    given = _parse(front, unsure)
    if stray := _unknown_key(given):
        raise Unreadable(_line_of(front, stray[0]), stray[1], unsure)
    data, faults = _values(given, front)
    if missing := [name for name in ("id", "title") if name not in data and name not in faults]:
        raise Unreadable(1, f"`{missing[0]}` is missing", unsure)
    spans = unsure if any(name in faults for name in _PEOPLE) else _mails(text, 0)
    return Policy(data, faults, spans, _words(text[end:].partition("\n")[2]))


def _words(body: str) -> int:
    """Words that a reader sees: what is in a comment, in a heading or is marks alone is no rule."""
    seen = "".join(
        part.partition("-->")[2] if number else part for number, part in enumerate(body.split("<!--"))
    )
    lines = (line for line in seen.splitlines() if not line.lstrip().startswith("#"))
    return sum(len(_WORD.findall(line)) for line in lines)


def _front_matter(text: str) -> tuple[int, str]:
    """Where the front matter starts, and it itself, without its fences."""
    opening = len(_BOM) if text.startswith(_BOM) else 0
    first, _, _ = text[opening : opening + _MAX_FRONT].partition("\n")
    if first.rstrip() != _FENCE:
        raise Unreadable(1, f"a policy begins with a line {_FENCE} and its front matter")
    start = opening + len(first) + 1
    closing = re.compile(r"^\+\+\+[ \t\r]*$", re.MULTILINE).search(text, start, start + _MAX_FRONT)
    if closing is None:
        raise Unreadable(1, f"no second line {_FENCE} within {_MAX_FRONT:,} characters ends the front matter")
    return start, text[start : closing.start()]


def _parse(front: str, unsure: tuple[Span, ...]) -> dict[str, Json]:
    try:
        return tomllib.loads(front)
    except RecursionError:
        raise Unreadable(2, "front matter is nested too deeply", unsure) from None
    except ValueError as error:  # tomllib's own error, and int's for numbers of thousands of digits
        found = _AT_LINE.search(str(error))
        line = int(found[1]) + 1 if found else front.count("\n") + 1
        raise Unreadable(line, "front matter is not TOML", unsure) from None


def _unknown_key(given: dict[str, Json]) -> tuple[str, str] | None:
    """A key that is not known, with the reason for people; keys are shown without odd characters."""
    parameters = given.get("parameters", {})
    if not isinstance(parameters, dict):
        return "parameters", "`parameters` must be a table"
    for name in given:
        if name != "parameters" and name not in _READERS:
            return name, f"{_shown(name)} is not known; allowed: {', '.join(_READERS)}, parameters"
    for name in parameters:
        if name not in PARAMETERS:
            return name, f"parameter {_shown(name)} is not known; allowed: {', '.join(PARAMETERS)}"
    return None


def _values(given: dict[str, Json], front: str) -> tuple[dict[str, Json], dict[str, str]]:
    data: dict[str, Json] = {}
    faults: dict[str, str] = {}
    said = [(name, given[name], _READERS[name]) for name in _READERS if name in given]
    parameters = given.get("parameters", {})
    said += [(name, parameters[name], _number) for name in PARAMETERS if name in parameters]
    for name, value, reader in said:
        try:
            data[name] = reader(value)
        except ValueError as error:
            faults[name] = f"line {_line_of(front, name)}: {name} {error}"
    return data, faults


def _pattern(pattern: re.Pattern[str], allowed: str) -> _Reader:
    def read(value: Json) -> Json:
        if not isinstance(value, str) or not pattern.match(value):
            raise ValueError(allowed)
        return value

    return read


def _title(value: Json) -> Json:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TITLE or not value.isprintable():
        raise ValueError(f"must be one line of text, at most {_MAX_TITLE} characters")
    return value


def _status(value: Json) -> Json:
    if value not in STATUSES:
        raise ValueError(f"must be one of {', '.join(STATUSES)}")
    return value


def _date(value: Json) -> Json:
    if not isinstance(value, date) or isinstance(value, datetime) or not 1000 <= value.year < 3000:
        raise ValueError("must be a date without quotes, as in 2026-11-24")
    return value.isoformat()


def _number(value: Json) -> Json:
    if type(value) is not int or not 0 <= value <= _MAX_NUMBER:
        raise ValueError(f"must be a whole number from 0 to {_MAX_NUMBER:,}")
    return value


_person_id = _pattern(_ID, "must be the `id` of a person on the roster, not a name or a mail address")

_READERS: dict[str, _Reader] = {
    "id": _pattern(_ID, "may hold letters, digits and . _ - only, at most 64"),
    "title": _title,
    "version": _pattern(_VERSION, 'must be text in quotes, as in "1.10"'),
    "status": _status,
    "owner": _person_id,
    "approver": _person_id,
    "approved_on": _date,
    "review_by": _date,
}


def _line_of(front: str, key: str) -> int:
    """The line of the file on which a key is set, as far as can be told; 2 is the front matter's first."""
    found = re.search(rf"^[ \t]*\[*[\"']?{re.escape(key)}[\"']?[ \t]*[=.\]]", front, re.MULTILINE)
    return front.count("\n", 0, found.start()) + 2 if found else 2


def _shown(key: str) -> str:
    return f"`{key}`" if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", key) else "a key"


def _mails(text: str, start: int) -> tuple[Span, ...]:
    return tuple(Span(found.start(), found.end(), "mail") for found in _MAIL.finditer(text, start))
