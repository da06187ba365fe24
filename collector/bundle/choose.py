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
        if member == layout.CONTROLS:
            return [at for at, line in enumerate(lines) if self._control(line)]
        if member == layout.FINDINGS:
            return list(self._findings(lines))
        if member == layout.LEDGER:
            return list(self._called(lines))
        return list(self._recorded(member, lines))

    def _control(self, line: bytes) -> bool:
        name = _field(layout.CONTROLS, line, "control")
        self.controls.add(name)
        if name not in self._controls:
            return False
        self._shown.take(layout.CONTROLS, line)
        return True

    def _findings(self, lines: list[bytes]) -> Iterator[int]:
        for at, line in enumerate(lines):
            check = line[_CHECK : line.find(b'"', _CHECK)]
            if check in self._checks or (self._records and self._about(line)):
                self._shown.take(layout.FINDINGS, line)
                yield at

    def _about(self, line: bytes) -> bool:
        if not self._subjects.search(line):
            return False
        subject = _field(layout.FINDINGS, line, "subject")
        return any(subject == id_ or subject.endswith(f"/{id_}") for id_ in self._records)

    def _recorded(self, member: str, lines: list[bytes]) -> Iterator[int]:
        search = self._evidence.search
        for at, line in enumerate(lines):
            # What is searched for stands in nested data too; most lines that have it are wanted.
            if search(line) and self._is_wanted(value := _parsed(member, line), member):
                self._shown.count(member, value)
                self._follow(value)
                yield at

    def _is_wanted(self, value: Mapping[str, Json], member: str) -> bool:
        there = value.get("record") or value.get("gap")
        if not isinstance(there, dict):
            raise VerifyError(f"{member}: a line that is neither a record nor a gap")
        if self._records and there.get("id") in self._records:
            self.found.add(there["id"])
            return True
        return there.get("kind") in self._whole.kinds

    def _follow(self, value: Json) -> None:
        """Remember the calls behind a record or gap. Neighbours often rest on the same ones."""
        there = value.get("record") or value["gap"]
        calls = [*there.get("calls", ()), there.get("call")]
        calls += [gap.get("call") for gap in there.get("gaps", ())]
        if calls != self._last:
            self._last = calls
            self._calls.add(call for call in calls if call)

    def _called(self, lines: list[bytes]) -> Iterator[int]:
        for at, line in enumerate(lines):
            call = _parsed(layout.LEDGER, line)
            if str(call.get("call")) in self._calls or call.get("op") in self._ops:
                self._shown.count(layout.LEDGER, call)
                yield at


def _any(marks: Iterable[bytes]) -> re.Pattern[bytes]:
    found = b"|".join(marks)
    return re.compile(found or rb"(?!)")


def _field(member: str, line: bytes, key: str) -> str:
    return str(_parsed(member, line).get(key))


def _parsed(member: str, line: bytes) -> Mapping[str, Json]:
    try:
        value = loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise VerifyError(f"{member}: a line that is no JSON object")
    return value
