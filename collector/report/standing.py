"""How one control stood over a period: what each run saw of it, joined to stretches, and what that comes to.

Pure functions over small values. What was not seen never counts as holding: a test takes runs and
evidence away in every way and shows that no control comes nearer to `held`.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["DOUBTED", "NOT_JUDGED", "STANDINGS", "State", "Stretch", "believed", "standing", "stretches"]

STANDINGS = ("held", "failed", "waived", "unproven", "manual", "no_evidence", "not_applicable")
"""What a control comes to over a period, in the order in which tables show it."""


@dataclass(frozen=True, slots=True)
class State:
    """What one run says of a control: its status, and the objectives that decide it with theirs."""

    status: str
    why: tuple[tuple[str, str], ...] = ()


NOT_JUDGED = State("not_judged")
"""The run did not judge the control."""

DOUBTED = State("doubted")
"""The run's word does not count: its bundle is forked, its chain torn, or its clock ran backwards."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Runs in a row that say the same of a control, with no hole between them; or a hole.

    Attributes:
        status: a control's status, `not_judged`, `doubted` or `hole`.
        since, until: the moments of the first and the last run: all that is known lies between them.
        runs: how many there are; none in a hole.
        why: the objectives that decide it, with their status, of all these runs; a hole's words.
    """

    status: str
    since: datetime
    until: datetime
    runs: int
    why: tuple[tuple[str, str], ...]


def believed(state: State, doubted: bool) -> State:
    """A run's word, where its bundle is in doubt: that something failed still counts, nothing else does."""
    return DOUBTED if doubted and state.status != "not_satisfied" else state


def stretches(
    moments: Sequence[datetime], states: Sequence[State], cuts: Container[int]
) -> tuple[Stretch, ...]:
    """Join runs that say the same.

    Args:
        moments: of the runs, in order.
        states: what each says.
        cuts: numbers of runs before which there is a hole.
    """
    found: list[Stretch] = []
    first = 0
    for number in range(1, len(states) + 1):
        ends = number == len(states) or number in cuts or states[number].status != states[first].status
        if ends:
            why = dict.fromkeys(each for state in states[first:number] for each in state.why)
            stretch = (moments[first], moments[number - 1], number - first)
            found.append(Stretch(states[first].status, *stretch, tuple(why)))
            first = number
    return tuple(found)


def standing(states: Sequence[State], whole: bool) -> str:
    """What a control comes to, the first that fits (docs/format.md, "Over a period").

    Args:
        states: what each run says, whether its bundle is in doubt or not.
        whole: whether the period has no hole, and no bundle in doubt.
    """
    statuses = {state.status for state in states}
    if "not_satisfied" in statuses:
        return "failed"
    if statuses == {"manual"}:
        return "manual"
    if statuses == {"no_evidence"} and not any(_unknown(state) for state in states):
        return "no_evidence"
    if not whole or not statuses:
        return "unproven"
    if statuses == {"not_applicable"}:
        return "not_applicable"
    if statuses <= {"satisfied", "waived"}:
        return "waived" if "waived" in statuses else "held"
    return "unproven"


def _unknown(state: State) -> bool:
    return any(status == "unknown" for _, status in state.why)
