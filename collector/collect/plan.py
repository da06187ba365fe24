"""What will be asked of whom, decided before anything is.

The plan is what completeness is measured against: a list call that it says is due and that the
ledger lacks is a gap, whatever a source made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from collector.canonical import dumps, sha256_hex
from collector.collect.redact import Redactor
from collector.model import Absent, ConfigError, Due, Json, Source, Target, Task

__all__ = ["Plan", "Planned", "call_id", "make", "plan_json", "target_digest", "timestamp"]

_TARGET_HEX, _CALL_HEX, _TASK_HEX = 8, 16, 16


def target_digest(target: Target) -> str:
    """What tells a target from others: the digest of its source and scope."""
    return sha256_hex(dumps([target.source, dict(target.scope)]))[:_TARGET_HEX]


def call_id(target: Target, op: str, params: Mapping[str, Json], page: int) -> str:
    """A call's id: its target's digest, and the digest of what is asked and which page of it.

    `params` are those of the first page, as the ledger shows them (pseudonyms in place of people),
    so that an id gives nothing away and stays the same from run to run.
    """
    return f"{target_digest(target)}/{sha256_hex(dumps([op, dict(params), page]))[:_CALL_HEX]}"


def timestamp(moment: datetime) -> str:
    """A moment as the format writes it: UTC, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Planned:
    """A task, and how a worker builds the source that carries it out."""

    task: Task
    source: type[Source]
    settings: Mapping[str, Json]

    @property
    def id(self) -> str:
        """The digest of target and kinds."""
        target = self.task.target
        return sha256_hex(dumps([target.source, dict(target.scope), sorted(self.task.kinds)]))[:_TASK_HEX]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run will ask, in the order of task ids."""

    as_of: datetime
    frameworks: tuple[str, ...]
    tasks: tuple[Planned, ...]
    absent: tuple[Absent, ...]
    undiscovered: tuple[tuple[str, Mapping[str, str]], ...] = ()
    """Sources, and the scope below which a failed discovery left targets unknown."""


def make(
    as_of: datetime,
    frameworks: Sequence[str],
    planned: Sequence[tuple[type[Source], Mapping[str, Json], Sequence[Task | Absent]]],
    undiscovered: Sequence[tuple[str, Mapping[str, str]]] = (),
) -> Plan:
    """Put the tasks of all sources in order.

    Raises:
        ConfigError: two `[[source]]` tables would collect the same kinds from the same target.
    """
    tasks: dict[str, Planned] = {}
    absent: list[Absent] = []
    for source, settings, items in planned:
        for item in items:
            if isinstance(item, Absent):
                absent.append(item)
                continue
            task = Planned(item, source, settings)
            if task.id in tasks:
                scope = ", ".join(f"{key} {value}" for key, value in item.target.scope.items())
                raise ConfigError(
                    f"two [[source]] tables collect from the same target ({source.name}: {scope}); "
                    "remove one, or tell them apart by name"
                )
            tasks[task.id] = task
    ordered = tuple(tasks[id_] for id_ in sorted(tasks))
    absent.sort(key=lambda each: dumps([each.kind, dict(each.scope)]))
    return Plan(as_of, tuple(frameworks), ordered, tuple(absent), tuple(undiscovered))


def plan_json(plan: Plan, redactor: Redactor) -> dict[str, Json]:
    """The plan as `plan.json` holds it, without its salt."""
    return {
        "format": 1,
        "as_of": timestamp(plan.as_of),
        "frameworks": list(plan.frameworks),
        "tasks": [_task_json(planned, redactor) for planned in plan.tasks],
        "absent": [{"kind": each.kind, "scope": dict(each.scope), "why": each.why} for each in plan.absent],
        "undiscovered": [{"source": source, "scope": dict(scope)} for source, scope in plan.undiscovered],
    }


def _task_json(planned: Planned, redactor: Redactor) -> dict[str, Json]:
    task = planned.task
    return {
        "id": planned.id,
        "source": task.target.source,
        "scope": dict(task.target.scope),
        "principal": task.target.principal,
        "kinds": sorted(task.kinds),
        "due": [_due_json(task.target, due, redactor) for due in task.due],
    }


def _due_json(target: Target, due: Due, redactor: Redactor) -> dict[str, Json]:
    params = redactor.params(due.params)
    return {"kind": due.kind, "op": due.op, "params": params, "call": call_id(target, due.op, params, 1)}
