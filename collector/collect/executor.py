"""Runs a plan: discovery here, tasks on an executor, a target's tasks together.

Threads by default; any `concurrent.futures.Executor` does, since a job is plain data. One target
that hangs does not hold up the others, and what does not come back in time is a gap.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from collector.collect.ask import Asker, Limits, Memory, Stop
from collector.collect.ledger import Ledger
from collector.collect.pace import Paces
from collector.collect.plan import Plan, Planned, target_digest
from collector.collect.redact import Redactor
from collector.collect.scribe import Scribe
from collector.collect.worker import Job, Written, run_job
from collector.keys import load_secret
from collector.model import Absent, Gap, Json, Kind, Outcome, Source, Target, Task

__all__ = ["Collected", "Discovered", "Settings", "collect", "discover"]

_DISCOVERING = 16  # questions that discovery asks at the same time
_LEAST_THREADS = 4  # for each target, so that one with much to tell is not last by far
_GRACE = 5.0  # seconds that a worker gets, beyond its own deadline, to close its segments


@dataclass(frozen=True, slots=True)
class Settings:
    """How a plan is run.

    Attributes:
        folder: the run's folder; segments go below it.
        secret_key: path of the secret key.
        workers: tasks at the same time.
        limits: what one call may cost.
        seconds: what collecting may take altogether.
    """

    folder: Path
    secret_key: Path
    workers: int = 4
    limits: Limits = field(default_factory=Limits)
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Discovered:
    """What planning asked: the tasks of one source, its calls, and whether all were answered."""

    source: type[Source]
    settings: Mapping[str, Json]
    items: Sequence[Task | Absent]
    ledger: Ledger
    memory: Memory
    root: Target
    complete: bool


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run of a plan left in the folder."""

    written: tuple[Written, ...]
    ledger: Ledger


def discover(
    source: type[Source], settings: Mapping[str, Json], secret_key: Path, limits: Limits, stop: Stop
) -> Discovered:
    """Ask a source's discovery calls and let it plan with the answers."""
    keys = load_secret(secret_key)
    made = source(settings)
    root = made.root()
    ledger, memory = Ledger(), Memory()
    with ThreadPoolExecutor(_DISCOVERING, thread_name_prefix="discover") as pool:
        asker = Asker(
            made,
            root,
            frozenset(operation.name for operation in source.discovery),
            keys=keys,
            redactor=Redactor({}, keys),
            ledger=ledger,
            memory=memory,
            paces=Paces(time.monotonic),
            limits=limits,
            stop=stop,
            pool=pool,
        )
        found = made.discover(asker)
    deciding = {operation.name for operation in source.discovery if operation.lists}
    complete = all(outcome.answered for op, outcome in asker.heard.values() if op in deciding)
    complete = complete and not asker.unfinished and not asker.broken
    return Discovered(source, settings, made.plan(found), ledger, memory, root, complete)


def collect(
    plan: Plan,
    settings: Settings,
    discovered: Sequence[Discovered] = (),
    *,
    event: threading.Event | None = None,
    done: Callable[[Written], None] | None = None,
    executor: Executor | None = None,
) -> Collected:
    """Carry out a plan.

    Args:
        plan: what to ask.
        settings: where, with which keys, within which limits.
        discovered: whose ledgers belong to this run.
        event: set from outside to end early (threads see it; other executors only their deadline).
        done: called after each task; with another executor, after each target.
        executor: where jobs run; None: threads of this process.

    Returns:
        What each task wrote, in the order of the plan, and the whole ledger.
    """
    ledger = Ledger()
    for each in discovered:
        ledger.merge(each.ledger.entries)
    memories = {target_digest(each.root): each.memory for each in discovered}
    jobs = _jobs(plan, settings)
    event = event or threading.Event()
    own = (
        ThreadPoolExecutor(max_workers=max(1, min(settings.workers, len(jobs) or 1)))
        if executor is None
        else None
    )
    futures: dict[Future[list[Written]], Job] = {}
    for digest, job in jobs.items():
        if own is not None:
            futures[own.submit(run_job, job, event, done, memories.get(digest))] = job
        else:
            assert executor is not None
            futures[_submitted(executor, job)] = job
    results = _gather(futures, settings, event, done if own is None else None)
    if own is not None:
        own.shutdown(wait=False, cancel_futures=True)
    for written in results.values():
        ledger.merge(written.calls)
    return Collected(tuple(results[planned.id] for planned in plan.tasks), ledger)


def _submitted(executor: Executor, job: Job) -> Future[list[Written]]:
    """Hand a job over; an executor that broke over an earlier job refuses the later ones."""
    try:
        return executor.submit(run_job, job)
    except RuntimeError as error:
        refused: Future[list[Written]] = Future()
        refused.set_exception(error)
        return refused


def _jobs(plan: Plan, settings: Settings) -> dict[str, Job]:
    by_target: dict[str, list[Planned]] = defaultdict(list)
    for planned in plan.tasks:
        by_target[target_digest(planned.task.target)].append(planned)
    until = time.time() + settings.seconds
    least = min(settings.workers, _LEAST_THREADS)
    threads = max(least, settings.workers // max(1, len(by_target)))
    return {
        digest: Job(
            tuple(sorted(tasks, key=lambda planned: planned.task.kinds)),  # a service's tasks side by side
            settings.folder,
            settings.secret_key,
            settings.limits,
            threads,
            settings.seconds,
            until,
        )
        for digest, tasks in by_target.items()
    }


def _gather(
    futures: Mapping[Future[list[Written]], Job],
    settings: Settings,
    event: threading.Event,
    done: Callable[[Written], None] | None,
) -> dict[str, Written]:
    results: dict[str, Written] = {}
    pending = set(futures)
    end = time.monotonic() + settings.seconds + settings.limits.call_timeout + _GRACE
    while pending and time.monotonic() < end:
        finished, pending = wait(pending, timeout=0.2)
        if event.is_set():
            end = min(end, time.monotonic() + settings.limits.call_timeout + _GRACE)
            event = threading.Event()  # the end was brought nearer once; a second look must not move it
        for future in finished:
            for written in _result(future, futures[future], settings):
                results[written.task] = written
                if done is not None:
                    done(written)
    for future in pending:
        future.cancel()
        for planned in futures[future].tasks:
            results[planned.id] = _lost(
                planned, settings, Outcome.TIMEOUT, "the worker did not come back in time"
            )
    return results


def _result(future: Future[list[Written]], job: Job, settings: Settings) -> list[Written]:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - a worker that dies is a gap of all that it had to do
        why = f"the worker failed: {type(error).__name__}: {error}"
        return [_lost(planned, settings, Outcome.FAILED, why) for planned in job.tasks]


def _lost(planned: Planned, settings: Settings, reason: Outcome, why: str) -> Written:
    """Stand in for a task whose worker gave nothing back: a segment of gaps alone."""
    keys = load_secret(settings.secret_key)
    kinds: dict[str, Kind] = {kind.name: kind for kind in planned.source.kinds}
    redactor = Redactor(kinds, keys)
    why = redactor.line(" ".join(why.split()))
    scribe = Scribe(settings.folder / f"{planned.id}.lost", planned.task, kinds, {}, redactor, keys.salt)
    for kind in planned.task.kinds:
        scribe.gap(Gap(kind, planned.task.target.scope, reason, None, why))
    return Written(planned.id, scribe.close(), {}, dict(scribe.gaps), why, complete=False)
