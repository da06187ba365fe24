"""Chooses the lines that a disclosure takes: controls first, then findings, evidence and calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orjson import loads  # as `collector.canonical` has it, without a call in between

from collector.bundle import layout
from collector.bundle.selection import Asked, CallIds, Whole, list_operations
from collector.bundle.shown import Shown
from collector.canonical import dumps
from collector.model import Json, VerifyError

__all__ = ["Chooser"]

_CHECK = len(b'{"check":"')  # a finding begins with its check


Taken = Iterator[Mapping[str, Json]]
"""The lines that are taken, parsed; their places are noted on the way."""


class Chooser:
    """Chooses among the lines of one member after the other; what was chosen decides what is next.

    Attributes:
        controls: every control that was seen.
        found: the ids of records that were asked for and found.
    """

    def __init__(self, asked: Asked, shown: Shown, kinds: Mapping[str, Mapping[str, Json]]) -> None:
        self._asked = asked
        self._shown = shown
        self._kinds = kinds
        self._controls = frozenset(asked.controls)
        self._records = frozenset(asked.records)
        self._calls = CallIds()
        self._last: Sequence[Json] = ()
        self.controls: set[str] = set()
        self.found: set[str] = set()
        self.narrow(Whole({}, frozenset(), frozenset()))

    def narrow(self, whole: Whole) -> None:
        """Say what follows from the controls that were chosen."""
        self._whole = whole
        self._checks = frozenset(check.encode() for check in whole.checks)
        self._ops = list_operations(self._kinds, whole.kinds)
        kinds = [re.escape(b'"kind":' + dumps(kind)) for kind in whole.kinds]
        self._evidence = _any(kinds + [re.escape(b'"id":' + dumps(id_)) for id_ in self._records])
        # A subject is a record's id; where a check joins, it may put the scope before it: `web1/ana`.
        self._subjects = _any([b'["/]' + re.escape(dumps(id_)[1:]) for id_ in self._records])

    def choose(self, member: str, lines: list[bytes]) -> list[int]:
        """The places of the lines that are taken, from 0.

        Raises:
            VerifyError: a line that is not as the format says.
        """
        places: list[int] = []
        if member == layout.CONTROLS:
            taken = self._controls_of(lines, places)
        elif member == layout.FINDINGS:
            taken = self._findings_of(lines, places)
        elif member == layout.LEDGER:
            taken = self._calls_of(lines, places)
        else:
            taken = self._evidence_of(member, lines, places)
        # One line at a time goes through all, since many parsed ones held at once take longer to make.
        self._shown.count(member, taken)
        return places

    def _controls_of(self, lines: list[bytes], places: list[int]) -> Taken:
        for at, line in enumerate(lines):
            value = _parsed(layout.CONTROLS, line)
            name = str(value.get("control"))
            self.controls.add(name)
            if name in self._controls:
                places.append(at)
                yield value

    def _findings_of(self, lines: list[bytes], places: list[int]) -> Taken:
        for at, line in enumerate(lines):
            check = line[_CHECK : line.find(b'"', _CHECK)]
            if check in self._checks or (self._records and self._about(line)):
                places.append(at)
                yield _parsed(layout.FINDINGS, line)

    def _about(self, line: bytes) -> bool:
        if not self._subjects.search(line):
            return False
        subject = str(_parsed(layout.FINDINGS, line).get("subject"))
        return any(subject == id_ or subject.endswith(f"/{id_}") for id_ in self._records)

    def _evidence_of(self, member: str, lines: list[bytes], places: list[int]) -> Taken:
        search = self._evidence.search
        for at, line in enumerate(lines):
            # What is searched for stands in nested data too; most lines that have it are wanted.
            if not search(line):
                continue
            value = _parsed(member, line)
            there = value.get("record") or value.get("gap")
            if not isinstance(there, dict):
                raise VerifyError(f"{member}: a line that is neither a record nor a gap")
            if self._is_wanted(there):
                self._follow(there)
                places.append(at)
                yield value

    def _is_wanted(self, there: Mapping[str, Json]) -> bool:
        if self._records and there.get("id") in self._records:
            self.found.add(there["id"])
            return True
        return there.get("kind") in self._whole.kinds

    def _follow(self, there: Mapping[str, Json]) -> None:
        """Remember the calls behind a record or gap. Neighbours often rest on the same ones."""
        calls = [*there.get("calls", ()), there.get("call")]
        calls += [gap.get("call") for gap in there.get("gaps", ())]
        if calls != self._last:
            self._last = calls
            self._calls.add(call for call in calls if call)

    def _calls_of(self, lines: list[bytes], places: list[int]) -> Taken:
        for at, line in enumerate(lines):
            call = _parsed(layout.LEDGER, line)
            if str(call.get("call")) in self._calls or call.get("op") in self._ops:
                places.append(at)
                yield call


def _any(marks: Iterable[bytes]) -> re.Pattern[bytes]:
    found = b"|".join(marks)
    return re.compile(found or rb"(?!)")


def _parsed(member: str, line: bytes) -> Mapping[str, Json]:
    try:
        value = loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise VerifyError(f"{member}: a line that is no JSON object")
    return value
