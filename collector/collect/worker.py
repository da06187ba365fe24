"""Carries out the tasks of one target, wherever an executor puts it.

A job is plain data. The worker makes the source again from its class and settings, loads the keys
from where they lie, and leaves segments in the run's folder; it signs nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from collector.collect.ask import Asker, Limits, Memory, Stop
from collector.collect.ledger import Entry, Ledger
from collector.collect.pace import Paces
from collector.collect.plan import Planned, call_id
from collector.collect.redact import Redactor
from collector.collect.scribe import GapKey, PluginFault, Scribe
from collector.keys import load_secret
from collector.lines import Sealed
from collector.model import Due, Gap, Kind, Outcome, Source, Task, UndeclaredCall

__all__ = ["Job", "Written", "run_job"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """The tasks of one target, which share pacing and memory.

    Attributes:
        tasks: of one target, in the order in which they are begun.
        folder: where segments are written; every worker must see it.
        secret_key: path of the secret key.
        threads: tasks that run at the same time, and questions beside them that a task asks at once.
        seconds: what the job may take.
        until: when the run's time is used up, however late the job began; seconds since 1970.
        detect: whether detectors look for undeclared secrets.
    """

    tasks: tuple[Planned, ...]
    folder: Path
    secret_key: Path
    limits: Limits
    threads: int
    seconds: float
    until: float
    detect: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """What one task left behind.

    Attributes:
        task: its id.
        segment: the finished file; its path is below the run's folder.
        records: how many of each kind.
        gaps: how many, by kind, column, scope and reason, as `Scribe.gaps`.
        calls: ledger entries by id, of this task's target; the first task of a job carries them all.
        failure: what went wrong inside the source; "" if nothing did.
        complete: whether every list that it owed was answered to the end.
    """

    task: str
    segment: Sealed
    records: Mapping[str, int]
    gaps: Mapping[GapKey, int]
    failure: str
    complete: bool
    calls: Mapping[str, Entry] = field(default_factory=dict)


def run_job(
    job: Job,
    event: threading.Event | None = None,
    done: Callable[[Written], None] | None = None,
    memory: Memory | None = None,
) -> list[Written]:
    """Carry out a job's tasks, several at a time, and give what they wrote in the order of the tasks.

    Args:
        job: plain data.
        event: set from outside to end early; None where the worker cannot see one.
        done: called after each task, from its thread.
        memory: what discovery already asked of this target.
    """
    first = job.tasks[0]
    source = first.source(first.settings)
    keys = load_secret(job.secret_key)
    kinds = {kind.name: kind for kind in first.source.kinds}
    ledger, memory, paces = Ledger(), memory or Memory(), Paces(time.monotonic)
    stop = Stop(min(job.seconds, job.until - time.time()), event)
    callers = ThreadPoolExecutor(max_workers=max(1, job.threads), thread_name_prefix="call")

    def attempt(planned: Planned, since: str) -> Written | str:
        """Carry out a task, or say why it must be begun again."""
        declared = _declared(planned.task, kinds)
        redactor = Redactor(kinds, keys, job.detect)
        asker = Asker(
            source,
            planned.task.target,
            declared,
            keys=keys,
            redactor=redactor,
            ledger=ledger,
            memory=memory,
            paces=paces,
            limits=job.limits,
            stop=stop,
            pool=callers,
            since=since,
        )
        path = job.folder / f"{planned.id}.part"
        scribe = Scribe(path, planned.task, kinds, asker.heard, redactor, keys.salt)
        due = _due(planned.task, asker)
        failure = _collect(planned, source, asker, scribe)
        if asker.stale and not since:
            asker.forget()
            scribe.close()
            path.unlink()
            return f"begun again: {asker.stale}"
        return _finished(planned, asker, scribe, kinds, redactor, due, failure)

    def one(planned: Planned) -> Written:
        written = attempt(planned, "")
        if isinstance(written, str):
            written = attempt(planned, written)
        assert isinstance(written, Written)
        if done is not None:
            done(written)
        return written

    with callers, ThreadPoolExecutor(max_workers=max(1, min(job.threads, len(job.tasks)))) as pool:
        results = list(pool.map(one, job.tasks))
    return [replace(results[0], calls=dict(ledger.entries)), *results[1:]]


def _declared(task: Task, kinds: Mapping[str, Kind]) -> frozenset[str]:
    return frozenset(operation.name for name in task.kinds for operation in kinds[name].operations)


def _due(task: Task, asker: Asker) -> dict[str, Due]:
    """By id, the calls that must be made; before any record is, since redaction learns from records."""
    return {call_id(task.target, each.op, asker.shown(each.op, each.params), 1): each for each in task.due}


def _collect(planned: Planned, source: Source, asker: Asker, scribe: Scribe) -> str:
    """Write down what the source gives; what went wrong inside it, or ""."""
    try:
        for item in source.collect(planned.task, asker):
            scribe.write(item)
    except (UndeclaredCall, PluginFault) as error:
        return str(error)
    except Exception as error:  # the plugin boundary: whatever it raises is a gap of all its kinds
        log.debug("task %s failed", planned.id, exc_info=True)
        return f"{type(error).__name__}: {error}"
    return ""


def _finished(
    planned: Planned,
    asker: Asker,
    scribe: Scribe,
    kinds: Mapping[str, Kind],
    redactor: Redactor,
    due: Mapping[str, Due],
    failure: str,
) -> Written:
    """Write the gaps that follow from the calls, and close the segment."""
    task = planned.task
    failure = failure or asker.broken
    if failure:
        failure = redactor.line(f"plugin {task.target.source}: {' '.join(failure.split())}")
        log.warning("task %s (%s) failed: %s", planned.id, ", ".join(task.kinds), failure)
        for kind in task.kinds:
            scribe.gap(Gap(kind, task.target.scope, Outcome.FAILED, None, failure))
    holes = {
        (gap.kind, gap.call): gap
        for gap in (
            *_failed(task, asker, kinds, frozenset(scribe.cited)),
            *_left(task, asker, kinds),
            *_not_asked(task, asker, due),
        )
    }
    for gap in holes.values():
        scribe.gap(gap)
    complete = not failure and _all_answered(asker, due)
    return Written(planned.id, scribe.close(), dict(scribe.records), dict(scribe.gaps), failure, complete)


def _all_answered(asker: Asker, due: Mapping[str, Due]) -> bool:
    ops = {each.op for each in due.values()}
    failed = any(op in ops and not outcome.answered for op, outcome in asker.heard.values())
    return asker.heard.keys() >= due.keys() and not failed and ops.isdisjoint(asker.unfinished.values())


# The gaps that follow from the calls themselves, whatever the source made of them.


def _failed(
    task: Task, asker: Asker, kinds: Mapping[str, Kind], cited: frozenset[tuple[str, str]]
) -> Iterator[Gap]:
    """Lists that failed, and details that failed and that no record or gap of the kind speaks of."""
    for call, (op, outcome) in sorted(asker.heard.items()):
        if outcome.answered:
            continue
        for name in task.kinds:
            operation = kinds[name].operation(op)
            if operation is not None and (operation.lists or (name, call) not in cited):
                yield Gap(name, task.target.scope, outcome, call, asker.details.get(call, ""))


def _left(task: Task, asker: Asker, kinds: Mapping[str, Kind]) -> Iterator[Gap]:
    """Lists that the source left before their last page."""
    for call, op in sorted(asker.unfinished.items()):
        for name in task.kinds:
            if kinds[name].operation(op) is not None:
                detail = "the list was left before its last page"
                yield Gap(name, task.target.scope, Outcome.TRUNCATED, call, detail)


def _not_asked(task: Task, asker: Asker, due: Mapping[str, Due]) -> Iterator[Gap]:
    """Lists that were due and that the source did not ask for."""
    for call, each in due.items():
        if call not in asker.heard:
            detail = f"{each.op} was due and was not asked"
            yield Gap(each.kind, task.target.scope, Outcome.FAILED, None, detail)
