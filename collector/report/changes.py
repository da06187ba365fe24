"""What controls were judged by, and what of it changed between two runs.

A check that was added midway says nothing of the time before it. So for each control it is told since
which run it has been judged by other checks, or has been counted otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.canonical import dumps, sha256_hex

if TYPE_CHECKING:
    from collector.assess.mappings import Check, Mappings

__all__ = ["Change", "Definitions", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """What of a control's mappings is not as it was.

    Attributes:
        added, removed: checks that it is judged by since then, or no longer.
        altered: checks that now ask something else.
        counted: whether its objectives, or how they count, are others.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    altered: tuple[str, ...]
    counted: bool

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.removed or self.altered or self.counted)


@dataclass(frozen=True, slots=True)
class Definitions:
    """What the mappings of a bundle say, as far as it decides verdicts.

    Attributes:
        titles: framework to its title.
        controls: control, `framework:id`, to its title, in the frameworks' order.
        checks: check to the digest of what it asks.
        answers: objective to its checks.
        counts: control to its objectives, each with the digest of how it counts there.
        rules: control to the digest of what shows the whole of it.
    """

    titles: Mapping[str, str]
    controls: Mapping[str, str]
    checks: Mapping[str, str]
    answers: Mapping[str, frozenset[str]]
    counts: Mapping[str, Mapping[str, str]]
    rules: Mapping[str, str]

    @classmethod
    def of(cls, mappings: Mappings) -> Definitions:
        """Take what decides verdicts; titles, reasons and examples do not."""
        frameworks = mappings.frameworks
        return cls(
            titles={name: each.title for name, each in frameworks.items()},
            controls={
                f"{name}:{control.id}": control.title
                for name, each in frameworks.items()
                for control in each.controls.values()
            },
            checks={name: _asks(each) for name, each in mappings.checks.items()},
            answers=_answers(mappings.checks.values()),
            counts=_counts(mappings),
            rules={name: _digest(each.sufficient, each.manual) for name, each in mappings.rules.items()},
        )

    def judged_by(self, control: str) -> frozenset[str]:
        """The checks of a control's objectives."""
        return frozenset().union(*(self.answers.get(name, ()) for name in self.counts.get(control, ())))


def changed(before: Definitions, after: Definitions, controls: Iterable[str]) -> dict[str, Change]:
    """Control to what of its mappings changed, of these controls those of which anything did."""
    others = {name for name, asks in after.checks.items() if before.checks.get(name, asks) != asks}
    found = {name: _change(before, after, name, others) for name in controls}
    return {name: change for name, change in found.items() if change}


def _change(before: Definitions, after: Definitions, control: str, others: set[str]) -> Change:
    was, now = before.judged_by(control), after.judged_by(control)
    return Change(
        added=tuple(sorted(now - was)),
        removed=tuple(sorted(was - now)),
        altered=tuple(sorted(was & now & others)),
        counted=before.counts.get(control) != after.counts.get(control)
        or before.rules.get(control) != after.rules.get(control),
    )


def _asks(check: Check) -> str:
    reads = sorted((kind, list(columns)) for kind, columns in check.reads.items())
    return _digest(check.kind, check.applies, check.pass_, check.query, reads, check.witness)


def _answers(checks: Iterable[Check]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for check in checks:
        for name in check.objectives:
            found.setdefault(name, set()).add(check.id)
    return {name: frozenset(names) for name, names in found.items()}


def _counts(mappings: Mappings) -> dict[str, dict[str, str]]:
    """An objective counts by its relation and age; one that only stands in a rule counts by the rule."""
    found: dict[str, dict[str, str]] = {}
    for objective in mappings.objectives.values():
        for relation in objective.relations:
            how = _digest(relation.relation, objective.max_age)
            found.setdefault(relation.control, {})[objective.id] = how
    for control, rule in mappings.rules.items():
        for name in sorted({name for names in rule.sufficient for name in names}):
            how = _digest(None, mappings.objectives[name].max_age)
            found.setdefault(control, {}).setdefault(name, how)
    return found


def _digest(*parts: object) -> str:
    return sha256_hex(dumps([list(each) if isinstance(each, tuple) else each for each in parts]))
