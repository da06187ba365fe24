"""From findings to objectives, from objectives to controls: the two orders of docs/format.md.

Pure functions over small values. A test enumerates all small cases and shows that a finding that
turns unknown makes no status better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["ControlStatus", "Counts", "Related", "Status", "control_status", "objective_status"]


class Status(StrEnum):
    """What an objective comes to."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    WAIVED = "waived"
    NO_EVIDENCE = "no_evidence"
    STALE = "stale"
    PASS = "pass"  # noqa: S105 - a verdict
    NOT_APPLICABLE = "not_applicable"


class ControlStatus(StrEnum):
    """What a control comes to."""

    NOT_APPLICABLE = "not_applicable"
    NOT_SATISFIED = "not_satisfied"
    WAIVED = "waived"
    SATISFIED = "satisfied"
    PARTIAL = "partial"
    STALE = "stale"
    MANUAL = "manual"
    NO_EVIDENCE = "no_evidence"


@dataclass(slots=True)
class Counts:
    """The findings of an objective's checks.

    Attributes:
        ran: checks that gave any finding or were run over an empty population.
        fail: failures without a waiver.
    """

    ran: int = 0
    passed: int = 0
    fail: int = 0
    unknown: int = 0
    waived: int = 0
    not_applicable: int = 0

    def __iadd__(self, other: Counts) -> Counts:
        self.ran += other.ran
        self.passed += other.passed
        self.fail += other.fail
        self.unknown += other.unknown
        self.waived += other.waived
        self.not_applicable += other.not_applicable
        return self


def objective_status(counts: Counts, stale: bool) -> Status:
    """The first that fits."""
    if counts.fail:
        return Status.FAIL
    if counts.unknown:
        return Status.UNKNOWN
    if counts.waived:
        return Status.WAIVED
    if not counts.ran:
        return Status.NO_EVIDENCE
    if stale:
        return Status.STALE
    return Status.PASS if counts.passed else Status.NOT_APPLICABLE


@dataclass(frozen=True, slots=True)
class Related:
    """What is known of one control.

    Attributes:
        objectives: objective to status, of all that relate to it.
        alone: those of them that show the whole control by themselves (`equal-to`, `superset-of`).
        sufficient: sets of objectives that together show the whole control.
        manual: whether only a person can show it.
        out_of_scope: whether an exception in force takes it out.
    """

    objectives: Mapping[str, Status]
    alone: frozenset[str] = frozenset()
    sufficient: Sequence[Sequence[str]] = field(default_factory=tuple)
    manual: bool = False
    out_of_scope: bool = False


def control_status(related: Related) -> ControlStatus:
    """The first that fits."""
    statuses = set(related.objectives.values())
    if related.out_of_scope:
        return ControlStatus.NOT_APPLICABLE
    if Status.FAIL in statuses:
        return ControlStatus.NOT_SATISFIED
    if Status.UNKNOWN not in statuses:
        if Status.WAIVED in statuses:
            return ControlStatus.WAIVED
        if _satisfied(related):
            return ControlStatus.SATISFIED
    if Status.PASS in statuses:
        return ControlStatus.PARTIAL
    if Status.STALE in statuses:
        return ControlStatus.STALE
    return ControlStatus.MANUAL if related.manual else ControlStatus.NO_EVIDENCE


def _satisfied(related: Related) -> bool:
    if any(related.objectives.get(name) is Status.PASS for name in related.alone):
        return True
    for names in related.sufficient:
        found = [related.objectives.get(name, Status.NO_EVIDENCE) for name in names]
        if all(each in (Status.PASS, Status.NOT_APPLICABLE) for each in found) and Status.PASS in found:
            return True
    return False
