"""Lays text out for a terminal: aligned, no wider than it, colours only where they are wanted.

What is shown comes from systems that may be hostile: a subject's name with an escape sequence in it
must not move the cursor. So everything passes through `clean`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Page", "clean", "count", "scope_text"]

_GAP = "  "
_LEAST = 20  # a column is wrapped to no less, or words stand one below the other
_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_STATUS = {
    "fail": "red",
    "not_satisfied": "red",
    "failed": "red",
    "critical": "red",
    "high": "red",
    "unknown": "yellow",
    "partial": "yellow",
    "stale": "yellow",
    "unproven": "yellow",
    "medium": "yellow",
    "pass": "green",
    "satisfied": "green",
    "held": "green",
}


def clean(text: object) -> str:
    """Text in one line, in which nothing but letters is left: controls are shown as escapes."""
    line = " ".join(str(text).split())
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 record", "1,204 records"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def scope_text(scope: object) -> str:
    """A scope as people read it: "host web1"; "" where it names nothing."""
    pairs = scope.items() if isinstance(scope, dict) else ()
    return clean(", ".join(f"{key} {value}" for key, value in pairs))


@dataclass(frozen=True, slots=True)
class Page:
    """How wide lines may be, and whether they may be coloured."""

    width: int = 100
    colour: bool = False

    def paint(self, style: str, text: str) -> str:
        """Text in a style: bold, dim, red, green or yellow; "" is none."""
        if not self.colour or not style or not text:
            return text
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"

    def status(self, word: str, width: int = 0) -> str:
        """A result, status or severity in words, padded, in its colour."""
        return self.paint(_STATUS.get(word, ""), clean(word).replace("_", " ").ljust(width))

    def heading(self, text: str, note: str = "") -> str:
        """A line that opens a part."""
        return self.paint("bold", text) + (f"  {self.paint('dim', note)}" if note else "")

    def wrap(self, text: str, indent: int = 0, hang: int | None = None) -> list[str]:
        """A paragraph; `hang` is the indent of its second and later lines."""
        lines = textwrap.wrap(
            clean(text),
            max(self.width, indent + _LEAST),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent if hang is None else hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        return lines or []

    def table(
        self,
        rows: Sequence[Sequence[object]],
        header: Sequence[str] = (),
        *,
        indent: int = 2,
        right: Sequence[int] = (),
        styles: Sequence[str] = (),
    ) -> list[str]:
        """Aligned columns; the last one wraps within the page.

        Args:
            rows: of one length.
            header: names of the columns.
            right: indices of columns that are aligned to the right.
            styles: for each column: "" for none, "status" for `status`'s colours, else a style.
        """
        cells = [[clean(cell) for cell in row] for row in rows]
        if not cells:
            return []
        shown = [list(header), *cells] if header else cells
        widths = [max(len(row[column]) for row in shown) for column in range(len(cells[0]))]
        start = indent + sum(width + len(_GAP) for width in widths[:-1])
        lines: list[str] = []
        for number, row in enumerate(shown):
            first = header and number == 0
            last = textwrap.wrap(
                row[-1], max(self.width - start, _LEAST), break_long_words=False, break_on_hyphens=False
            ) or [""]
            padded = [_padded(cell, widths[at], at in right) for at, cell in enumerate(row[:-1])]
            if len(widths) - 1 in right:
                last[0] = last[0].rjust(widths[-1])
            painted = [
                self._cell(cell, row[at], "dim" if first else styles[at] if at < len(styles) else "")
                for at, cell in enumerate([*padded, last[0]])
            ]
            lines.append((" " * indent + _GAP.join(painted)).rstrip())
            lines.extend(" " * start + more for more in last[1:])
        return lines

    def _cell(self, padded: str, word: str, style: str) -> str:
        return self.paint(_STATUS.get(word.replace(" ", "_"), "") if style == "status" else style, padded)


def _padded(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
