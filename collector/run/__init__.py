"""One run from configuration to delivered bundle: what cron runs.

The steps are those of docs/architecture.md, one direction, no back and forth: plan, collect, derive,
judge, seal, outbox, deliver. A run that is stopped goes on from where it is: what was collected is
judged and sealed, and what was not is a gap.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from collector.assess import Assessor, Summary
from collector.assess import exceptions as exceptions_of
from collector.bundle.authority import TimeAuthority
from collector.bundle.seal import SealedBundle, seal
from collector.bundle.sign import certificates, refuse_twins
from collector.collect.ask import Limits, Stop
from collector.collect.executor import Collected, Discovered, Settings, collect, discover
from collector.collect.plan import Plan, make, timestamp
from collector.collect.redact import RedactingFilter, Redactor
from collector.collect.worker import Written
from collector.config import Config
from collector.deliver.lock import hold
from collector.deliver.series import Link
from collector.keys import Keys, load_secret
from collector.model import ConfigError
from collector.plugins import Plugins
from collector.run import delivery
from collector.run import folder as layout
from collector.run.facts import facts, total_gaps, undiscovered_gaps
from collector.run.result import RunResult, Threshold, exit_reasons, threshold

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["Progress", "RunResult", "Threshold", "make_plan", "run", "threshold"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: the step, and for `collect` how many tasks of how many are done."""

    step: str
    done: int = 0
    total: int = 0
    detail: str = ""


Report = Callable[[Progress], None]


def make_plan(
    config: Config, plugins: Plugins, as_of: datetime, stop: Stop, *, ask: bool
) -> tuple[Plan, list[Discovered]]:
    """Plan what is configured.

    Args:
        ask: whether discovery calls are made; else what needs them stays unresolved.

    Raises:
        ConfigError: two tables collect the same; a source refuses its options.
    """
    limits = Limits(call_timeout=config.call_timeout)
    discovered: list[Discovered] = []
    planned = []
    for entry in config.sources:
        source = plugins.sources[entry.use]
        try:
            if ask:
                found = discover(source, entry.settings, config.secret_key, limits, stop)
                discovered.append(found)
                items = found.items
            else:
                items = source(entry.settings).plan(None)
        except ValueError as error:
            raise ConfigError(f"{entry.where}: source {entry.use}: {error}") from None
        planned.append((source, entry.settings, items))
    undiscovered = [(each.source.name, each.root.scope) for each in discovered if not each.complete]
    frameworks = config.frameworks or _known_frameworks(plugins)
    return make(as_of, frameworks, planned, undiscovered), discovered


def run(
    config: Config,
    plugins: Plugins,
    *,
    as_of: datetime,
    stop: threading.Event,
    report: Report,
    fail_on: Sequence[Threshold] = (),
) -> RunResult:
    """Run once.

    Args:
        as_of: the moment that time-dependent checks use.
        stop: set from outside to come to an end early.
        report: told of each step.
        fail_on: thresholds that make the exit code 1.

    Raises:
        LockedError: another run of this series holds the lock.
        ConfigError: found before anyone was asked anything.
        MappingError: the mappings, which are loaded while evidence is collected, cannot be used; nothing
            is written.
        DeliveryError: the outbox is full; nothing was collected.
    """
    keys = load_secret(config.secret_key)
    authorities = delivery.authorities(config)
    delivery.made_sinks(config, plugins)  # none is reached yet; a table that cannot be used is found now
    exceptions = exceptions_of.load(config.exceptions)
    notes = [note for note in (delivery.outbox(config).check_room(),) if note]
    with hold(config.state, config.series), ExitStack() as stack:
        signers = _signers(config, plugins)  # with the lock in hand: a rotation may just have ended
        stack.enter_context(_redacted_logs(keys))
        scratch = _fresh(config.state / "runs" / config.series)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        folder = scratch / "bundle"
        folder.mkdir()
        assessor = stack.enter_context(_assessor(config, plugins, scratch / "assess"))
        steps = _Steps(config, plugins, keys, folder, as_of, stop, report)
        plan, discovered = steps.plan()
        with _loading(assessor, stop) as loaded:
            gathered = steps.gather(plan, discovered)
        loaded.result()
        layout.write_exceptions(folder, exceptions, keys)
        layout.copy_mappings(folder, plugins.packs, plan.frameworks)
        report(Progress("judge"))
        summary = assessor.judge(folder, folder, timestamp(as_of), keys.salt)
        report(Progress("seal"))
        in_force = exceptions_of.parse(folder / "exceptions.json", as_of)
        sealed, place = steps.seal(gathered, summary, signers, authorities, scratch / "bundle.zip")
        report(Progress("deliver"))
        sent = delivery.deliver(config, plugins, sealed, place, timestamp(as_of), late=not stop.is_set())
    gaps = total_gaps(gathered.collected) + undiscovered_gaps(plan, plugins)
    reasons = exit_reasons(summary, gaps, in_force, fail_on, undelivered=bool(sent.problems or place.doubts))
    failed = [f"check {id_}: {why}" for id_, why in summary.failed.items()]
    return RunResult(
        bundle=sent.bundle,
        series=config.series,
        sequence=place.sequence,
        tasks=_task_states(gathered),
        calls=len(gathered.collected.ledger),
        gaps=sum(gaps.values()),
        records=sum(sum(written.records.values()) for written in gathered.collected.written),
        findings=summary.findings,
        controls=summary.controls,
        delivered=sent.sinks,
        exit=reasons[0],
        reasons=reasons,
        problems=[
            *notes,
            *sent.notes,
            *place.doubts,
            *sent.problems,
            *sent.unstamped,
            *failed,
        ],
    )


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What collecting and deriving left."""

    plan: Plan
    collected: Collected
    segments: dict[str, str]
    derived: list[layout.DerivedSegment]


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of one run that share everything."""

    config: Config
    plugins: Plugins
    keys: Keys
    folder: Path
    as_of: datetime
    stop: threading.Event
    report: Report

    def plan(self) -> tuple[Plan, list[Discovered]]:
        """Ask what planning needs."""
        self.report(Progress("plan"))
        stop = Stop(self.config.run_timeout, self.stop)
        return make_plan(self.config, self.plugins, self.as_of, stop, ask=True)

    def gather(self, plan: Plan, discovered: Sequence[Discovered]) -> _Gathered:
        """Collect, and compute the derived kinds."""
        layout.write_plan(self.folder, plan, self.plugins, self.keys)
        done = _Counter(self.report, len(plan.tasks))
        parts = self.folder.parent / "parts"
        parts.mkdir()  # apart from the bundle: a worker that was given up may still write there
        settings = Settings(
            folder=parts,
            secret_key=self.config.secret_key,
            workers=self.config.workers,
            limits=Limits(call_timeout=self.config.call_timeout),
            seconds=self.config.run_timeout,
        )
        collected = collect(plan, settings, discovered, event=self.stop, done=done)
        layout.write_ledger(self.folder, collected.ledger, self.keys)
        segments = layout.place(self.folder, collected)
        paths = [self.folder / "segments" / f"{name}.jsonl.gz" for name in segments.values() if name]
        due = layout.due_derived(self.plugins, plan)
        return _Gathered(plan, collected, segments, layout.write_derived(self.folder, due, paths, self.keys))

    def seal(
        self,
        gathered: _Gathered,
        summary: Summary,
        signers: tuple[Signer, Signer | None],
        authorities: Sequence[TimeAuthority],
        out: Path,
    ) -> tuple[SealedBundle, Link]:
        """State the facts, sign them, have them stamped, and write the bundle."""
        place = delivery.link(self.config, self.plugins, self.as_of, signers[0])
        stated = facts(
            plan=gathered.plan,
            plugins=self.plugins,
            configuration=self.keys.configuration_digest(self.config.digest),
            collected=gathered.collected,
            segments=gathered.segments,
            derived=gathered.derived,
            summary=summary,
            secret_key_id=self.keys.id,
            keep=delivery.keep(self.config),
            series=place.facts(self.config.series, self.config.cadence),
        )
        signer, witness = signers
        sealed = seal(self.folder, stated, signer, out, witness=witness, authorities=authorities)
        return sealed, place


class _Counter:
    """Counts tasks as they end, from their threads."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        report(Progress("collect", 0, total))

    def __call__(self, written: Written) -> None:
        with self._lock:
            self._done += 1
            self._report(Progress("collect", self._done, self._total, written.task))


def _task_states(gathered: _Gathered) -> dict[str, int]:
    states = Counter(
        "failed" if written.failure else "done" if written.complete else "incomplete"
        for written in gathered.collected.written
    )
    return {
        "planned": len(gathered.plan.tasks),
        **{name: states[name] for name in ("done", "incomplete", "failed")},
    }


@contextmanager
def _loading(assessor: Assessor, stop: threading.Event) -> Iterator[Future[None]]:
    """Wait for the mappings beside collecting, which ends early if they cannot be used."""
    with ThreadPoolExecutor(1, thread_name_prefix="mappings") as pool:
        loaded = pool.submit(assessor.ready)
        loaded.add_done_callback(lambda done: stop.set() if done.exception() else None)
        yield loaded


@contextmanager
def _redacted_logs(keys: Keys) -> Iterator[None]:
    """Whatever is logged during a run passes through redaction first."""
    redacting = RedactingFilter(Redactor({}, keys))
    handlers = logging.getLogger("collector").handlers
    for handler in handlers:
        handler.addFilter(redacting)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(redacting)


def _signers(config: Config, plugins: Plugins) -> tuple[Signer, Signer | None]:
    entries = (config.sign, config.witness)
    made = [plugins.signers[each.use](each.settings).signer() if each else None for each in entries]
    signer, witness = made
    assert signer is not None
    for entry, each in zip(entries, made, strict=True):
        if entry and each and certificates(each) and not config.stamps:
            raise ConfigError(
                f"{entry.where}: a key that is certified for minutes counts with a time stamp alone;"
                " name an authority in a [[stamp]] table"
            )
    if witness is not None:
        refuse_twins(signer, witness)
    return signer, witness


def _assessor(config: Config, plugins: Plugins, scratch: Path) -> Assessor:
    wanted = {kind.name for entry in config.sources for kind in plugins.sources[entry.use].kinds}
    derived = (each for pack in plugins.packs for each in pack.derived)
    return Assessor(
        [Path(pack.folder) for pack in plugins.packs],
        layout.all_kinds(plugins),
        scratch,
        frameworks=config.frameworks or None,
        strict=True,
        only=wanted | {each.kind.name for each in derived if wanted.issuperset(each.reads)},
    )


def _known_frameworks(plugins: Plugins) -> tuple[str, ...]:
    return tuple(
        sorted(
            path.stem for pack in plugins.packs for path in (Path(pack.folder) / "frameworks").glob("*.json")
        )
    )


def _fresh(folder: Path) -> Path:
    """An empty folder for this run; the lock is held, so what lies there was left by one that died."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder
