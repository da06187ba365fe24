"""Counts what the lines of segments and derived tables say: records and gaps, kind by kind.

The same count goes into a statement and is made again when it is verified.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from orjson import loads  # as `collector.canonical` has it, without a call in between

from collector.bundle import layout
from collector.lines import Readable, Sealed, line_batches, scan
from collector.model import Json, VerifyError

__all__ = ["Tally"]


class Tally:
    """Reads files of lines one after the other, and keeps what a statement says about them."""

    def __init__(self) -> None:
        self._records: Counter[str] = Counter()
        self._gaps: defaultdict[str, Counter[str]] = defaultdict(Counter)

    @property
    def counts(self) -> dict[str, int]:
        """Kind to records, where there are any."""
        return dict(self._records)

    @property
    def gaps(self) -> dict[str, dict[str, int]]:
        """Kind to reason to gaps: those of whole populations and those of a record's columns alike."""
        return {kind: dict(reasons) for kind, reasons in self._gaps.items()}

    def read(self, source: Readable, name: str) -> Sealed:
        """Hash and count one file. Raises VerifyError for lines that are not as the format says."""
        sealed = scan(source, Path(name), look=self._looker(name))
        self._check_words(name)
        return sealed

    def count(self, source: Readable, name: str) -> None:
        """Count one file. Raises VerifyError for lines that are not as the format says."""
        look = self._looker(name)
        for lines in line_batches(source, name):
            look(lines)
        self._check_words(name)

    def _looker(self, name: str) -> Callable[[list[bytes]], None]:
        take = self._take_evidence if name.startswith((layout.SEGMENTS, layout.DERIVED)) else _take_any

        def look(lines: list[bytes]) -> None:
            try:
                take(map(loads, lines))
            except (ValueError, TypeError, KeyError, AttributeError):
                raise VerifyError(f"{name}: a line that is not of this format") from None

        return look

    def _check_words(self, name: str) -> None:
        if not all(isinstance(word, str) for word in self._words()):
            raise VerifyError(f"{name}: a line that is not of this format: a kind or reason that is no text")

    def _words(self) -> Iterator[Json]:
        yield from self._records
        for kind, reasons in self._gaps.items():
            yield kind
            yield from reasons

    def _take_evidence(self, values: Iterable[Json]) -> None:
        # In one loop, since every line of every bundle passes here; words are held against their type once.
        counts = self._records
        for value in values:
            if "record" in value:
                record = value["record"]
                kind = record["kind"]
                counts[kind] += 1
                for gap in record["gaps"]:
                    self._gaps[kind][gap["reason"]] += 1
            else:
                gap = value["gap"]
                self._gaps[gap["kind"]][gap["reason"]] += 1


def _take_any(values: Iterable[Json]) -> None:
    if not all(type(value) is dict for value in values):
        raise TypeError
