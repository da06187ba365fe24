"""Values that columns held and texts must not show: found again as whole words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from collector.collect.detect import lower
from collector.collect.likely import harmless

__all__ = ["Known", "Seen"]

_MIN_LENGTH = 4  # shorter words are found everywhere
_MAX_VALUES = 50_000  # some 10 MB; a list of more people than that is kept without its text
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A stretch of text that holds a known value, and what stands for it."""

    start: int
    end: int
    digest: str


class Known:
    """Remembers values, and finds them in texts in one pass, however many they are.

    Names and mail addresses are found whatever their case, as their pseudonyms ignore it too; secrets
    only as they are. `overflown`: more values came than are kept, so no text can be called clean.
    """

    def __init__(self) -> None:
        self._by_word: dict[str, dict[str, tuple[int, str, bool]]] = {}
        self._values: dict[str, str] = {}
        self.overflown = False

    def add(self, value: str, digest: str, *, exact: bool) -> None:
        """Remember a value and its digest; `exact`: its case counts. Short or telling nothing: not kept."""
        value = value.strip()
        word = _WORD.search(lower(value))
        if len(value) < _MIN_LENGTH or word is None or value in self._values or harmless(value):
            return
        if len(self._values) >= _MAX_VALUES:
            self.overflown = True
            return
        self._values[value] = digest
        entry = (word.start(), digest, exact)
        self._by_word.setdefault(word[0], {})[value if exact else lower(value)] = entry

    def digest(self, value: str) -> str | None:
        """What stands for a value that is exactly a known one, whatever its case."""
        for known, (_, digest, exact) in self._by_word.get(_first(value), {}).items():
            if (value.strip() if exact else lower(value.strip())) == known:
                return digest
        return None

    def find(self, text: str) -> list[Seen]:
        """Where known values stand in a text as whole words; stretches may overlap."""
        if not self._by_word:
            return []
        small = lower(text)
        found: list[Seen] = []
        for word in _WORD.finditer(small):
            for value, (offset, digest, exact) in self._by_word.get(word[0], {}).items():
                start = word.start() - offset
                end = start + len(value)
                if start >= 0 and (text if exact else small).startswith(value, start) and _whole(small, end):
                    found.append(Seen(start, end, digest))
        return found


def _first(value: str) -> str:
    word = _WORD.search(lower(value))
    return word[0] if word else ""


def _whole(text: str, end: int) -> bool:
    """Whether a value that ends there ends at the end of a word."""
    return end == len(text) or not (_WORD.match(text[end - 1]) and _WORD.match(text[end]))
