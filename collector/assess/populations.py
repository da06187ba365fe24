"""Which populations are complete: computed from plan and ledger, never claimed.

A population is all records of a kind in a scope. It is complete when each list call that the plan
says is due has its last page in the ledger, and no gap line of its kind lies in its scope
(docs/format.md, "Evidence").
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collector.canonical import dumps, sha256_hex
from collector.model import Json, Outcome

__all__ = ["GapLine", "Population", "Populations", "compute", "overlap"]

_NO_KIND: Mapping[str, Json] = {"operations": ()}
_MAX_SHOWN = 5  # gaps that a population's detail names; the rest are counted


@dataclass(frozen=True, slots=True)
class GapLine:
    """A gap line of a segment: kind, scope, reason, and one line about it."""

    kind: str
    scope: Mapping[str, str]
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Population:
    """All records of a kind in a scope.

    Attributes:
        gaps: why it is incomplete; empty: it is complete.
        absent: why there cannot be any; "" where there can.
    """

    kind: str
    scope: Mapping[str, str]
    gaps: tuple[GapLine, ...] = ()
    absent: str = ""

    @property
    def complete(self) -> bool:
        """Whether all of it was seen."""
        return not self.gaps

    @property
    def detail(self) -> str:
        """The gaps in one line."""
        counted = Counter(f"{gap.reason}: {gap.detail}" if gap.detail else gap.reason for gap in self.gaps)
        shown = [f"{text} ({n}x)" if n > 1 else text for text, n in sorted(counted.items())]
        more = f"; {len(shown) - _MAX_SHOWN} more" if len(shown) > _MAX_SHOWN else ""
        return "not all of it was seen: " + "; ".join(shown[:_MAX_SHOWN]) + more


Scopes = dict[str, dict[bytes, Mapping[str, str]]]
Holes = dict[str, list[GapLine]]


@dataclass(frozen=True, slots=True)
class Populations:
    """All populations of a run, by kind, in the order of their scopes."""

    by_kind: Mapping[str, tuple[Population, ...]] = field(default_factory=dict)

    def incomplete(self, kind: str) -> tuple[Population, ...]:
        """Those of a kind of which not everything was seen."""
        return tuple(each for each in self.by_kind.get(kind, ()) if not each.complete)

    def absent(self, kind: str) -> tuple[Population, ...]:
        """Those of a kind that cannot have members."""
        return tuple(each for each in self.by_kind.get(kind, ()) if each.absent)


def overlap(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two scopes can have a record in common: what both name, they name alike."""
    return all(other[key] == value for key, value in one.items() if key in other)


def compute(
    plan: Mapping[str, Json],
    kinds: Mapping[str, Mapping[str, Json]],
    calls: Mapping[str, Mapping[str, Json]],
    gaps: Iterable[GapLine],
) -> Populations:
    """Compute the populations of a run.

    Args:
        plan: `plan.json`.
        kinds: the `kinds` of `kinds.json`.
        calls: ledger entries by id.
        gaps: every gap line of every segment, and what loading found malformed.

    Returns:
        One population for each kind and scope that the plan names; those of derived kinds in the
        scopes of what they read.
    """
    scopes: Scopes = defaultdict(dict)
    holes: Holes = defaultdict(list)
    for gap in gaps:
        holes[gap.kind].append(gap)
    for task in plan["tasks"]:
        for kind in task["kinds"]:
            scopes[kind][dumps(task["scope"])] = task["scope"]
        owed = {due["kind"] for due in task["due"]}
        for kind in task["kinds"]:
            if kind not in owed and any(each["lists"] for each in kinds.get(kind, _NO_KIND)["operations"]):
                why = "the plan says no list call that would show all of it"
                holes[kind].append(GapLine(kind, task["scope"], Outcome.FAILED.value, why))
        for due in task["due"]:
            if hole := _unanswered(task, due, calls):
                holes[due["kind"]].append(hole)
    absent: dict[tuple[str, bytes], str] = {}
    for each in plan["absent"]:
        scopes[each["kind"]][dumps(each["scope"])] = each["scope"]
        absent[each["kind"], dumps(each["scope"])] = each["why"]
    _undiscovered(plan, kinds, scopes, holes)
    _derive(kinds, scopes, holes)
    return Populations(
        {
            kind: tuple(
                Population(
                    kind,
                    scope,
                    tuple(gap for gap in holes[kind] if overlap(gap.scope, scope)),
                    absent.get((kind, key), ""),
                )
                for key, scope in sorted(found.items())
            )
            for kind, found in sorted(scopes.items())
            if kind in kinds
        }
    )


def _undiscovered(
    plan: Mapping[str, Json], kinds: Mapping[str, Mapping[str, Json]], scopes: Scopes, holes: Holes
) -> None:
    """What a failed discovery would have found is missing from every kind of its source."""
    why = "what there is to collect could not be discovered"
    for each in plan["undiscovered"]:
        for kind, declared in kinds.items():
            if declared["source"] == each["source"] and not declared["derived"]:
                holes[kind].append(GapLine(kind, each["scope"], Outcome.FAILED.value, why))
                scopes[kind] = scopes[kind] or {dumps(each["scope"]): each["scope"]}


def _unanswered(
    task: Mapping[str, Json], due: Mapping[str, Json], calls: Mapping[str, Mapping[str, Json]]
) -> GapLine | None:
    """The hole that a due list leaves which the ledger does not show to its last page."""
    target = sha256_hex(dumps([task["source"], task["scope"]]))[:8]
    page = 1
    while True:
        digest = sha256_hex(dumps([due["op"], due["params"], page]))[:16]
        call = calls.get(f"{target}/{digest}")
        if call is None:
            reason = Outcome.TRUNCATED if page > 1 else Outcome.FAILED
            return GapLine(
                due["kind"], task["scope"], reason.value, f"{due['op']} page {page} is not in the ledger"
            )
        if call["outcome"] not in (Outcome.OK, Outcome.ABSENT):
            return GapLine(due["kind"], task["scope"], call["outcome"], call["detail"])
        if not call["more"]:
            return None
        page += 1


def _derive(
    kinds: Mapping[str, Mapping[str, Json]],
    scopes: Scopes,
    holes: Holes,
) -> None:
    """A derived kind lives where its inputs live, and lacks what they lack."""
    for kind, declared in kinds.items():
        reads: Sequence[str] = sorted((declared["derived"] or {}).get("reads", ()))
        for read in reads:
            scopes[kind] |= scopes.get(read, {})
            holes[kind] += [
                GapLine(kind, gap.scope, gap.reason, f"{read}: {gap.detail}" if gap.detail else read)
                for gap in holes.get(read, ())
            ]
