"""What a partial bundle is to show, and which lines of a bundle that takes.

The answer depends on what stands in the bundle's own mappings and kinds, so that who verifies a partial
bundle comes to the same answer from the same two, whatever the discloser says.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.assess.mappings import Check, Mappings
from collector.canonical import dumps, loads
from collector.model import Json

__all__ = ["Asked", "CallIds", "Whole", "list_operations", "whole"]

_MAX_ASKED = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be disclosed: controls (`framework:id`), checks, kinds and ids of records.

    Raises:
        ValueError: one of these is no text, is there twice or out of order, or there are too many.
    """

    controls: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    records: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for names in (self.controls, self.checks, self.kinds, self.records):
            if not all(isinstance(name, str) for name in names) or len(names) > _MAX_ASKED:
                raise ValueError(f"not a list of at most {_MAX_ASKED} texts")
            if list(names) != sorted(set(names)):
                raise ValueError("not sorted, or one twice")

    def document(self) -> bytes:
        """The bytes of `disclosure.json`."""
        names = {"controls": self.controls, "checks": self.checks, "kinds": self.kinds}
        return dumps({"format": 1, **names, "records": self.records})

    @classmethod
    def parse(cls, data: bytes) -> Asked:
        """Read `disclosure.json`. Raises ValueError for what `document` would not write."""
        value = loads(data)
        try:
            asked = cls(*(tuple(value[key]) for key in ("controls", "checks", "kinds", "records")))
        except (KeyError, TypeError):
            raise ValueError("not of this format") from None
        if asked.document() != data:
            raise ValueError("not of this format, or not in canonical form")
        return asked


@dataclass(frozen=True, slots=True)
class Whole:
    """What has to be there without a line missing.

    Attributes:
        objectives: name to its checks, for the objectives of the controls that are shown.
        checks: whose findings are shown.
        kinds: whose populations are shown: what these checks read, and what was asked for by name.
    """

    objectives: Mapping[str, frozenset[str]]
    checks: frozenset[str]
    kinds: frozenset[str]


def whole(asked: Asked, objectives: Iterable[str], mappings: Mappings) -> Whole:
    """What follows from what was asked, and from the objectives of the controls that are shown."""
    by_objective = {
        name: frozenset(check.id for check in mappings.checks.values() if name in check.objectives)
        for name in objectives
    }
    checks = frozenset(asked.checks).union(*by_objective.values())
    read = {kind for name in checks for kind in _kinds(mappings.checks.get(name))}
    return Whole(by_objective, checks, frozenset(asked.kinds) | read)


def _kinds(check: Check | None) -> tuple[str, ...]:
    return check.kinds if check else ()


def list_operations(kinds: Mapping[str, Mapping[str, Json]], wanted: Iterable[str]) -> frozenset[str]:
    """The operations that list these kinds; those of its inputs for a derived kind.

    Raises:
        KeyError, TypeError: `kinds` are not those of a `kinds.json`.
    """
    found: set[str] = set()
    for name in wanted:
        for source in _inputs(kinds, name):
            found.update(each["name"] for each in kinds[source]["operations"] if each["lists"])
    return frozenset(found)


def _inputs(kinds: Mapping[str, Mapping[str, Json]], name: str) -> Sequence[str]:
    derived = kinds[name]["derived"] if name in kinds else None
    if derived:
        return [each for each in derived["reads"] if each in kinds]
    return [name] if name in kinds else []


class CallIds:
    """Many ids of calls in eight bytes each.

    What is kept is Python's keyed hash of 64 bits: that two of a hundred million ids meet by chance is less
    likely than one in a thousand, and would disclose a line of the ledger that was not asked for, no more.
    """

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._kept: list[array[int]] = []

    def add(self, ids: Iterable[str]) -> None:
        """Take ids in."""
        self._new.update(map(hash, ids))
        if len(self._new) >= _RUN:
            self._settle()

    def _settle(self) -> None:
        run = array("q", sorted(self._new))
        self._new = set()
        while self._kept and len(self._kept[-1]) < 2 * len(run):
            run = _merged(self._kept.pop(), run)
        self._kept.append(run)

    def __contains__(self, id_: str) -> bool:
        value = hash(id_)
        return value in self._new or any(_holds(run, value) for run in self._kept)


_RUN = 1 << 17


def _holds(run: array[int], value: int) -> bool:
    at = bisect_left(run, value)
    return at < len(run) and run[at] == value


def _merged(one: array[int], other: array[int]) -> array[int]:
    from heapq import merge

    return array("q", merge(one, other))
