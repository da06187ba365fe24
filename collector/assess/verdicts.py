"""Judges a run's folder: findings, objectives, controls. Runs inside the child process.

The order is that of docs/format.md: checks by id, their findings by scope and subject, controls by
framework and place in its catalogue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from collector.assess import exceptions as exceptions_module
from collector.assess import tables
from collector.assess.bind import Bound
from collector.assess.evidence import Evidence, moment
from collector.assess.judge import RESULTS, Findings, Judge
from collector.assess.mappings import Mappings
from collector.assess.populations import Populations, compute
from collector.assess.states import Counts, Related, Status, control_status, objective_status
from collector.canonical import dumps, loads
from collector.lines import LineWriter
from collector.model import Json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Order", "judge", "lock", "open_database"]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be judged, and within which limits.

    Attributes:
        as_of: the moment that time-dependent checks use.
        scratch: an empty folder for the database and what it spills.
        salt_key: None writes no salts.
        seconds: what one statement may take.
        skip: checks that ended an earlier try, and why.
        alone: checks that are run one by one, since one of them ended an earlier try.
        out: where `findings.jsonl.gz` and `controls.jsonl.gz` go.
    """

    as_of: datetime
    scratch: Path
    out: Path
    salt_key: bytes | None
    seconds: float
    skip: Mapping[str, str]
    alone: frozenset[str]


def open_database(scratch: Path, memory: int, threads: int) -> DuckDBPyConnection:
    """An empty database that spills into `scratch` and uses at most `memory` bytes before it does."""
    import duckdb

    connection = duckdb.connect(str(scratch / "evidence.duckdb"))
    connection.execute(f"SET memory_limit = '{memory // 2**20}MiB'")
    connection.execute(f"SET temp_directory = '{(scratch / 'spill').as_posix()}'")
    connection.execute(f"SET threads = {threads}")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    # It makes a join of each list of six constants or more, which costs more than comparing with them all.
    connection.execute("SET disabled_optimizers = 'in_clause'")
    return connection


def judge(
    connection: DuckDBPyConnection,
    evidence: Evidence,
    mappings: Mappings,
    checks: Sequence[Bound],
    not_run: Sequence[str],
    order: Order,
    running: Callable[[Sequence[str]], None],
) -> dict[str, Json]:
    """Load, lock, judge, and write findings and control states.

    Returns:
        Counts: `findings` by result, `failing` (without waivers) by severity, `controls` by framework
        and status, `records` by kind,
        `populations`, `not_run`.
    """
    loaded = tables.load(connection, evidence.segments, evidence.kinds, order.scratch, _wanted(checks))
    populations = compute(evidence.plan, evidence.kinds, evidence.calls, loaded.gaps)
    connection.execute(f"CREATE OR REPLACE MACRO as_of() AS TIMESTAMP '{order.as_of:%Y-%m-%d %H:%M:%S}'")
    lock(connection)
    exceptions = exceptions_module.parse(evidence.folder / "exceptions.json", order.as_of)
    judge = Judge(
        connection,
        populations,
        loaded,
        seconds=order.seconds,
        running=running,
        skip=order.skip,
        alone=order.alone,
    )
    totals: Counter[str] = Counter()
    failing: Counter[str] = Counter()
    counts: dict[str, Counts] = {}
    with LineWriter(order.out / "findings.jsonl.gz", order.salt_key, tree=False) as lines:
        for findings in judge.findings(checks, lambda id_: bool(order.salt_key) or exceptions.waives(id_)):
            check = findings.bound.check
            waived = _write(lines, findings, exceptions, salted=bool(order.salt_key))
            counts[check.id] = _counts(findings, waived)
            failing[check.severity] += counts[check.id].fail
            totals.update(dict(zip(RESULTS, findings.counts, strict=True)))
        lines.close()
    ages = _oldest(evidence)
    statuses = {
        name: _objective(mappings, name, checks, counts, ages, order.as_of) for name in mappings.objectives
    }
    controls = _controls(mappings, statuses, exceptions.out_of_scope, order)
    return {
        "findings": {name: totals[name] for name in RESULTS},
        "failing": dict(+failing),
        "controls": controls,
        "records": loaded.counts,
        "populations": _populations_json(populations),
        "not_run": sorted(not_run),
        "failed": dict(judge.failed),
    }


def _wanted(checks: Sequence[Bound]) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for bound in checks:
        for kind, columns in bound.reads.items():
            wanted.setdefault(kind, set()).update(columns)
    return wanted


def lock(connection: DuckDBPyConnection) -> None:
    """From here on a check is all that runs, and it can reach nothing but the tables."""
    for setting in ("enable_external_access = false", "lock_configuration = true"):
        connection.execute(f"SET {setting}")


def _write(
    lines: LineWriter, findings: Findings, exceptions: exceptions_module.Exceptions, *, salted: bool
) -> int:
    """Write a check's findings. Returns how many failures a waiver covers."""
    check = findings.bound.check.id
    waives = exceptions.waives(check)
    if not waives and not salted:
        for batch in findings.batches:
            lines.write_all([line.encode() for (line,) in batch])
        return 0
    waived = 0
    for batch in findings.batches:
        for before, after, _, scope, subject in batch:
            end = after.encode()
            if waives and scope and (waiver := exceptions.waiver(check, subject, loads(scope))):
                waived += 1
                end = end.removesuffix(b"null}") + dumps(waiver) + b"}"
            if salted:
                lines.write(before.encode(), end)
            else:
                lines.write_all([before.encode() + end])
    return waived


def _counts(findings: Findings, waived: int) -> Counts:
    passed, failed, unknown, not_applicable = findings.counts
    return Counts(1, passed, failed - waived, unknown, waived, not_applicable)


def _oldest(evidence: Evidence) -> dict[str, str]:
    """Kind to the time of the oldest call that it rests on, whether answered or not."""
    by_op: dict[str, str] = {}
    for call in evidence.calls.values():
        at = by_op.get(call["op"])
        by_op[call["op"]] = call["at"] if at is None else min(at, call["at"])
    ages = {}
    for name, kind in evidence.kinds.items():
        found = [by_op[each["name"]] for each in kind["operations"] if each["name"] in by_op]
        if found:
            ages[name] = min(found)
    for name, kind in evidence.kinds.items():
        if kind["derived"]:
            found = [ages[read] for read in kind["derived"]["reads"] if read in ages]
            if found:
                ages[name] = min(found)
    return ages


def _objective(
    mappings: Mappings,
    name: str,
    checks: Sequence[Bound],
    counts: Mapping[str, Counts],
    ages: Mapping[str, str],
    as_of: datetime,
) -> tuple[Status, Counts]:
    total = Counts()
    oldest = ""
    for bound in checks:
        if name in bound.check.objectives:
            total += counts[bound.check.id]
            found = [ages[kind] for kind in bound.reads if kind in ages]
            oldest = min([*([oldest] if oldest else []), *found], default="")
    age = (as_of - moment(oldest[:19] + "Z", "ledger")).total_seconds() if oldest else 0
    return objective_status(total, age > mappings.objectives[name].max_age), total


def _controls(
    mappings: Mappings,
    statuses: Mapping[str, tuple[Status, Counts]],
    out_of_scope: frozenset[str],
    order: Order,
) -> dict[str, dict[str, int]]:
    related: dict[str, list[tuple[str, str]]] = {}
    for objective in mappings.objectives.values():
        for relation in objective.relations:
            related.setdefault(relation.control, []).append((objective.id, relation.relation))
    totals: dict[str, dict[str, int]] = {}
    with LineWriter(order.out / "controls.jsonl.gz", order.salt_key, tree=False) as lines:
        for framework in mappings.frameworks.values():
            found: Counter[str] = Counter()
            for control in framework.controls.values():
                if control.withdrawn or not control.assessable:
                    continue
                id_ = f"{framework.id}:{control.id}"
                status, objectives = _control(mappings, id_, related.get(id_, []), statuses, out_of_scope)
                found[status] += 1
                before = dumps({"control": id_, "objectives": objectives})[:-1]
                lines.write(before, b',"status":"%s"}' % status.encode())
            totals[framework.id] = dict(sorted(found.items()))
        lines.close()
    return totals


def _control(
    mappings: Mappings,
    id_: str,
    related: Sequence[tuple[str, str]],
    statuses: Mapping[str, tuple[Status, Counts]],
    out_of_scope: frozenset[str],
) -> tuple[str, dict[str, Json]]:
    rule = mappings.rules.get(id_)
    names = {name for name, _ in related} | {
        name for names in (rule.sufficient if rule else ()) for name in names
    }
    status = control_status(
        Related(
            objectives={name: statuses[name][0] for name in names},
            alone=frozenset(name for name, how in related if how in ("equal-to", "superset-of")),
            sufficient=rule.sufficient if rule else (),
            manual=bool(rule and rule.manual),
            out_of_scope=id_ in out_of_scope,
        )
    )
    return status.value, {name: _objective_json(*statuses[name]) for name in sorted(names)}


def _objective_json(status: Status, counts: Counts) -> dict[str, Json]:
    return {
        "status": status.value,
        "pass": counts.passed,
        "fail": counts.fail,
        "unknown": counts.unknown,
        "waived": counts.waived,
    }


def _populations_json(populations: Populations) -> list[dict[str, Json]]:
    return [
        {"kind": each.kind, "scope": dict(each.scope), "complete": each.complete}
        for found in populations.by_kind.values()
        for each in found
    ]
