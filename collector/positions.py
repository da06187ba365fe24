"""Finds the line of every key in a TOML text.

The standard library's parser gives values without positions, and an error that does not say where it
is sends people searching. The text has been parsed before it comes here, so this reads only as much
of the grammar (toml.io, v1.0.0) as tells where keys stand. It never raises: where it loses its way it
gives what it found so far.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["KeyPath", "find"]

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_KEY = re.compile(r"""[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_DOT = re.compile(r"[ \t]*+\.[ \t]*+")
_STRINGS = (  # the long forms first; up to two quotes may stand before the closing three
    re.compile(r'"""(?:[^\\]|\\.)*?""""{0,2}', re.DOTALL),
    re.compile(r"'''.*?''''{0,2}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*+"'),
    re.compile(r"'[^'\n]*+'"),
)
_BARE = re.compile(r"[^,\]}#\n]++")


class _LostError(Exception):
    """The text is not what the grammar says; what was found so far stands."""


def find(text: str) -> Mapping[KeyPath, int]:
    """The line, counted from 1, of each key path; elements of arrays are counted from 0."""
    finder = _Finder(text)
    with suppress(_LostError, RecursionError, ValueError):  # the caller falls back to the enclosing table
        finder.document()
    return finder.lines


class _Finder:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._lengths: dict[KeyPath, int] = {}  # of arrays of tables, so far

    def document(self) -> None:
        table: KeyPath = ()
        self._take(_BLANK)
        while self._at < len(self._text):
            table = self._header() if self._sees("[") else self._pair(table)
            self._take(_BLANK)

    def _sees(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _LostError
        self._at = match.end()
        return match.group()

    def _expect(self, sign: str) -> None:
        self._take(_BLANK)
        if not self._sees(sign):
            raise _LostError
        self._at += len(sign)

    def _note(self, path: KeyPath, at: int) -> None:
        line = bisect_left(self._newlines, at) + 1
        for length in range(len(path), 0, -1):
            if self.lines.setdefault(path[:length], line) != line:
                return

    def _header(self) -> KeyPath:
        start = self._at
        many = self._sees("[[")
        self._at += 2 if many else 1
        self._take(_BLANK)
        path: KeyPath = ()
        for key in self._keys():
            path = (*path, key)
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        self._expect("]]" if many else "]")
        if many:
            path = self._next_element(path)
        self._note(path, start)
        return path

    def _next_element(self, path: KeyPath) -> KeyPath:
        if path and isinstance(path[-1], int) and path[:-1] in self._lengths:
            path = path[:-1]
        index = self._lengths.get(path, 0)
        self._lengths[path] = index + 1
        return (*path, index)

    def _keys(self) -> KeyPath:
        keys: list[str] = []
        while True:
            keys.append(_plain(self._take(_KEY)))
            if not _DOT.match(self._text, self._at):
                return tuple(keys)
            self._take(_DOT)

    def _pair(self, table: KeyPath) -> KeyPath:
        start = self._at
        path = (*table, *self._keys())
        self._note(path, start)
        self._expect("=")
        self._take(_BLANK)
        self._value(path)
        return table

    def _value(self, path: KeyPath) -> None:
        if self._sees("["):
            self._array(path)
        elif self._sees("{"):
            self._inline_table(path)
        else:
            quoted = ('"""', "'''", '"', "'")
            form = next(
                (form for form, sign in zip(_STRINGS, quoted, strict=True) if self._sees(sign)), _BARE
            )
            self._take(form)

    def _array(self, path: KeyPath) -> None:
        self._expect("[")
        index = 0
        while not self._ends("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._expect("{")
        while not self._ends("}"):
            self._pair(path)

    def _ends(self, sign: str) -> bool:
        """Step over a comma, if any, and over the closing sign, if it is there."""
        self._take(_BLANK)
        if self._sees(","):
            self._at += 1
            self._take(_BLANK)
        if not self._sees(sign):
            return False
        self._at += 1
        return True


def _plain(key: str) -> str:
    if key[0] == '"' and "\\" in key:
        return str(tomllib.loads(f"key = {key}")["key"])
    return key[1:-1] if key[0] in "\"'" else key
