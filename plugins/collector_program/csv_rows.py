"""Splits CSV and remembers where each cell stands.

RFC 4180 with any of the three line ends: a cell may be quoted, a quote inside is doubled, line ends
inside quotes belong to the cell. The standard library's reader gives no positions, and the spans of
names and mail addresses must be known, since the text is kept with these cut out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["MAX_CELLS", "Cell", "Row", "rows"]

MAX_CELLS = 64  # no roster is wider; a row of a million commas must not fill memory
_PLAIN = re.compile(r'[^",\r\n]*')
_JUNK = re.compile(r"[^,\r\n]*")
_BLANK = re.compile(r"[\r\n]*")
_LINE = re.compile(r"[^\r\n]*")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's value, and the characters between its quotes, if any: `text[start:end]`."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is not blank.

    Attributes:
        first, last: its lines, counted from 1.
        start, end: its characters, without the line end.
        cells: what it holds; what could be read of them where `fault` is not "".
        fault: why it is no CSV.
    """

    first: int
    last: int
    start: int
    end: int
    cells: tuple[Cell, ...]
    fault: str = ""


def rows(text: str, start: int = 0) -> Iterator[Row]:
    """Give the rows of a text from character `start` on; whatever it holds, nothing is raised."""
    at, line = start, 1
    while True:
        begin = _end(_BLANK, text, at)
        line += _line_ends(text, at, begin)
        if begin == len(text):
            return
        row = _row(text, begin, line)
        yield row
        at, line = row.end, row.last


def _row(text: str, start: int, line: int) -> Row:
    cells: list[Cell] = []
    fault = ""
    at = start
    while True:
        cell, at, wrong = _quoted(text, at) if text.startswith('"', at) else _plain(text, at)
        cells.append(cell)
        fault = fault or wrong
        if not text.startswith(",", at):
            break
        at += 1
        if len(cells) == MAX_CELLS:
            fault, at = f"more than {MAX_CELLS} cells", _end(_LINE, text, at)
            break
    last = line + _line_ends(text, start, at)
    return Row(line, last, start, at, tuple(cells), fault)


def _line_ends(text: str, start: int, end: int) -> int:
    pairs = text.count("\r\n", start, end)
    return text.count("\n", start, end) + text.count("\r", start, end) - pairs


def _plain(text: str, start: int) -> tuple[Cell, int, str]:
    end = _end(_PLAIN, text, start)
    cell = Cell(text[start:end], start, end)
    if text.startswith('"', end):
        return cell, _end(_JUNK, text, end), "a quote inside a cell that does not begin with one"
    return cell, end, ""


def _quoted(text: str, start: int) -> tuple[Cell, int, str]:
    begin = at = start + 1
    while True:
        close = text.find('"', at)
        if close < 0:
            return Cell(text[begin:], begin, len(text)), len(text), "a quote that is never closed"
        if not text.startswith('""', close):
            break
        at = close + 2
    cell = Cell(text[begin:close].replace('""', '"'), begin, close)
    end = _end(_JUNK, text, close + 1)
    return cell, end, "characters after a closing quote" if end > close + 1 else ""


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start
