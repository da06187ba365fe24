"""What the statement says of a run, beside its members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from collector import __version__
from collector.assess import Summary
from collector.canonical import dumps
from collector.collect.executor import Collected
from collector.collect.plan import Plan, timestamp
from collector.collect.scribe import GapKey
from collector.model import Json, Outcome
from collector.plugins import Plugins
from collector.run.folder import DerivedSegment

__all__ = ["Gaps", "facts", "total_gaps", "undiscovered_gaps"]

Gaps = Mapping[GapKey, int]


def total_gaps(collected: Collected) -> Counter[GapKey]:
    """All gaps of a run, by kind, column, scope and reason."""
    total: Counter[GapKey] = Counter()
    for written in collected.written:
        total.update(written.gaps)
    return total


def undiscovered_gaps(plan: Plan, plugins: Plugins) -> Counter[GapKey]:
    """The populations that a failed discovery left unknown: one gap for each kind of its source."""
    return Counter(
        (kind.name, "", dumps(dict(scope)).decode(), Outcome.FAILED.value)
        for source, scope in plan.undiscovered
        for kind in plugins.sources[source].kinds
    )


def facts(
    *,
    plan: Plan,
    plugins: Plugins,
    configuration: str,
    collected: Collected,
    segments: Mapping[str, str],
    derived: Sequence[DerivedSegment],
    summary: Summary,
    secret_key_id: str,
    keep: int | None,
    series: Mapping[str, Json],
) -> dict[str, Any]:
    """The facts of a run (docs/schemas/statement.json), but for what sealing finds itself."""
    calls = [entry.at for entry in collected.ledger if entry.tries]
    now = timestamp(plan.as_of)
    return {
        "agent": {"name": "evidence-collector", "version": __version__, "digest": None},
        "plugins": _plugins(plugins),
        "configuration": configuration,
        "principals": sorted({entry.principal for entry in collected.ledger if entry.principal}),
        "window": {"from": min(calls, default=now), "to": max(calls, default=now)},
        "as_of": now,
        "tasks": [
            {
                "id": written.task,
                "state": "failed" if written.failure else "done" if written.complete else "stopped",
                "segment": segments[written.task] or None,
            }
            for written in collected.written
        ],
        "derived": [
            {
                "kind": each.derived.kind.name,
                "version": each.derived.version,
                "segment": each.segment.sha256 if each.segment else None,
            }
            for each in derived
        ],
        "completeness": list(summary.populations),
        "keep": keep,
        "secret_key_id": secret_key_id,
        "series": dict(series),
    }


def _plugins(plugins: Plugins) -> list[dict[str, Json]]:
    found = []
    for name, origin in sorted(plugins.origin.items()):
        distribution, _, version = origin.rpartition(" ")
        found.append(
            {
                "name": name,
                "distribution": distribution or name,
                "version": version or "unknown",
                "digest": None,
            }
        )
    return found
