"""Stretches of a text that are replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Stretch", "apart"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What to replace in a text; without a digest it is the keyed digest of the stretch."""

    start: int
    end: int
    by: str
    digest: str = ""


def apart(found: Iterable[Stretch]) -> list[Stretch]:
    """Put what overlaps together; only a stretch that is alone keeps the digest that it came with."""
    merged: list[Stretch] = []
    for each in sorted(found, key=lambda one: (one.start, -one.end, not one.digest, one.by)):
        if each.start >= each.end:
            continue
        last = merged[-1] if merged else None
        if last is None or each.start >= last.end:
            merged.append(each)
        elif each.end > last.end:
            merged[-1] = Stretch(last.start, each.end, last.by)
    return merged
