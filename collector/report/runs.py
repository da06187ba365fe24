"""What the runs of a period say of controls, one small row a run.

A year of nights has more findings than fit into memory, and a period needs none of them: of each bundle
are kept the number of each control's state, the scopes that it speaks of and the gaps that its statement
counts. A bundle's file is open no longer than it takes to read that.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from collector.bundle.judged import extract_judged
from collector.canonical import dumps
from collector.deliver.audit import Bundle
from collector.model import Json, MappingError, VerifyError
from collector.report.changes import Definitions
from collector.report.evidence import Evidence
from collector.report.readiness import decisive
from collector.report.screen import STATUSES
from collector.report.standing import NOT_JUDGED, State

__all__ = ["Run", "Runs"]


@dataclass(frozen=True, slots=True)
class Run:
    """One bundle of the period.

    Attributes:
        bundle: its place, moment and statement.
        states: by the number of each control the number of its state; controls that came later are not in it.
        mappings: which mappings it was judged by.
        scopes: what it speaks of, each as canonical JSON.
        gaps: kind to reason to how many, as its statement counts them.
    """

    bundle: Bundle
    states: array[int]
    mappings: str
    scopes: frozenset[str]
    gaps: Mapping[str, Mapping[str, int]]


class Runs:
    """Takes bundles in, one after the other.

    Args:
        frameworks: whose controls are kept; all if there is none.
        begins, ends: the moments of bundles that are kept lie between, both included; None: no end.

    Attributes:
        found: by statement.
        definitions: what each of the mappings says.
    """

    def __init__(
        self, frameworks: Sequence[str], begins: datetime | None, ends: datetime | None, series: str | None
    ) -> None:
        self.found: dict[str, Run] = {}
        self.definitions: dict[str, Definitions] = {}
        self._wanted = frozenset(frameworks)
        self._series, self._begins, self._ends = series, begins, ends
        self._controls: dict[str, int] = {}
        self._states: list[State] = [NOT_JUDGED]
        self._numbers: dict[State, int] = {NOT_JUDGED: 0}
        self._scopes: dict[frozenset[str], frozenset[str]] = {}

    def take(self, path: Path, statement: str, predicate: Mapping[str, Json]) -> None:
        """Keep what a bundle says that was verified, if it is one of the period.

        Raises:
            VerifyError: what it says of controls cannot be read.
        """
        bundle = Bundle.of(path, statement, predicate)
        if not self._concerned(bundle) or statement in self.found:
            return
        with tempfile.TemporaryDirectory(prefix="collector-period-") as scratch:
            folder = Path(scratch) / "judged"
            mappings = extract_judged(path, statement, folder, self.definitions)
            evidence = Evidence(folder)
            try:
                if mappings not in self.definitions:
                    self.definitions[mappings] = Definitions.of(evidence.mappings)
                states = self._row(evidence.controls())
            except MappingError as error:
                raise VerifyError(f"{path.name}: its mappings: {error}") from None
        scopes = frozenset(dumps(each["scope"]).decode() for each in predicate["completeness"])
        scopes = self._scopes.setdefault(scopes, scopes)
        self.found[statement] = Run(bundle, states, mappings, scopes, predicate["gaps"])

    @property
    def controls(self) -> Sequence[str]:
        """All controls that any run judged, in the order in which they were met."""
        return list(self._controls)

    def states(self, control: str, runs: Iterable[Run]) -> list[State]:
        """What each of these runs says of a control."""
        at = self._controls[control]
        return [self._states[each.states[at]] if at < len(each.states) else NOT_JUDGED for each in runs]

    def _concerned(self, bundle: Bundle) -> bool:
        if self._series is not None and bundle.name != self._series:
            return False
        after = self._begins is None or bundle.as_of >= self._begins
        return after and (self._ends is None or bundle.as_of <= self._ends)

    def _row(self, lines: Iterable[Mapping[str, Json]]) -> array[int]:
        """The numbers of the states of one bundle's controls; 0 for those that it did not judge."""
        found: dict[int, int] = {}
        for line in lines:
            control, status = line["control"], line["status"]
            if self._wanted and control.partition(":")[0] not in self._wanted:
                continue
            number = self._controls.setdefault(control, len(self._controls))
            if number in found or status not in STATUSES:
                raise VerifyError(f"controls.jsonl.gz: {control} stands twice, or its status is none")
            found[number] = self._number(line)
        return array("L", (found.get(number, 0) for number in range(len(self._controls))))

    def _number(self, line: Mapping[str, Json]) -> int:
        try:
            state = State(line["status"], decisive(line))
            number = self._numbers.setdefault(state, len(self._states))
        except (KeyError, TypeError, AttributeError):
            raise VerifyError("controls.jsonl.gz: a line that is not as the format says") from None
        if number == len(self._states):
            self._states.append(state)
        return number
