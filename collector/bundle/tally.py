"""Counts what the lines of segments and derived tables say: records and gaps, kind by kind.

The same count goes into a statement and is made again when it is verified.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from collector.bundle import layout
from collector.canonical import loads
from collector.lines import Readable, Sealed, scan
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
        evidence = name.startswith((layout.SEGMENTS, layout.DERIVED))
        take = self._take_evidence if evidence else _take_any

        def look(lines: list[bytes]) -> None:
            for line in lines:
                try:
                    take(loads(line))
                except (ValueError, TypeError, KeyError, AttributeError):
                    raise VerifyError(f"{name}: a line that is not of this format: {line[:60]!a}") from None

        return scan(source, Path(name), look=look)

    def _take_evidence(self, value: Json) -> None:
        if "record" in value:
            record = value["record"]
            self._records[_word(record["kind"])] += 1
            for gap in record["gaps"]:
                self._gaps[record["kind"]][_word(gap["reason"])] += 1
        else:
            gap = value["gap"]
            self._gaps[_word(gap["kind"])][_word(gap["reason"])] += 1


def _take_any(value: Json) -> None:
    if not isinstance(value, dict):
        raise TypeError


def _word(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
