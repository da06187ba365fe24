"""Runs of the agent within a test: what was collected, and what the checks make of it."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from collector import plugins as registry
from collector.assess import tables
from collector.assess.bind import Bound, bind
from collector.assess.evidence import read
from collector.assess.mappings import Mappings, load
from collector.assess.verdicts import Order, judge, open_database
from collector.collect.ask import Limits, Stop
from collector.collect.executor import Settings, collect, discover
from collector.collect.ledger import Entry
from collector.collect.plan import Plan, make
from collector.keys import create_secret, load_secret
from collector.lines import read_lines
from collector.model import Source
from collector.run import folder as layout
from collector_kubernetes.source import Kubernetes

__all__ = ["Evidence", "Judged", "Runs"]

_SEVERITY = ("pass", "not_applicable", "fail", "unknown")


@dataclass
class Evidence:
    """What one run left.

    Attributes:
        records: lines by kind.
        gaps: lines of gaps; those of columns stand in their records.
        calls: the ledger.
        plan: what was due, and what is absent.
        complete: whether discovery was answered.
        folder: laid out as a bundle.
    """

    records: dict[str, list[dict[str, Any]]]
    gaps: list[dict[str, Any]]
    calls: list[Entry]
    plan: Plan
    complete: bool
    folder: Path
    failures: list[str] = field(default_factory=list)

    def ids(self, kind: str) -> set[str]:
        """Ids of the records of a kind, of which there are no two alike within one cluster."""
        found = [record["id"] for record in self.records.get(kind, ())]
        scopes = {json.dumps(record["scope"], sort_keys=True) for record in self.records.get(kind, ())}
        assert len(scopes) > 1 or len(found) == len(set(found)), f"{kind}: one record twice"
        return set(found)

    def data(self, kind: str, id_: str) -> dict[str, Any]:
        """The columns of one record; {} where it is not there."""
        return next((each["data"] for each in self.records.get(kind, ()) if each["id"] == id_), {})

    def reasons(self, kind: str) -> set[str]:
        """Why parts of a kind's population are missing."""
        return {gap["reason"] for gap in self.gaps if gap["kind"] == kind}

    def asked(self, op: str) -> list[Entry]:
        """The ledger's lines of an operation, in order of their pages."""
        return sorted((call for call in self.calls if call.op == op), key=lambda call: call.page)

    def absent(self) -> dict[str, str]:
        """Kinds that are not served, and what the plan says of each."""
        return {each.kind: each.why for each in self.plan.absent}


@dataclass(frozen=True)
class Judged:
    """What the checks came to.

    Attributes:
        findings: results by check and subject; "*" is a population that is not known whole. Of several
            clusters the worst.
        not_run: checks of kinds that were not planned.
        failed: checks that could not be run, and why.
    """

    findings: Mapping[tuple[str, str], str]
    lines: list[dict[str, Any]]
    not_run: tuple[str, ...]
    failed: Mapping[str, str]

    def of(self, check: str) -> dict[str, str]:
        """Results of one check by subject."""
        return {subject: result for (name, subject), result in self.findings.items() if name == check}

    @cached_property
    def checks(self) -> set[str]:
        """Checks that gave a result."""
        return {check for check, _ in self.findings}


class Runs:
    """Runs of the source, each in a folder of its own."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._secret = scratch / "secret.key"
        create_secret(self._secret)
        self._keys = load_secret(self._secret)
        self._plugins = registry.load()
        self._count = 0

    def collect(
        self,
        limits: Limits | None = None,
        seconds: float = 120,
        as_of: datetime | None = None,
        workers: int = 8,
        source: type[Source] = Kubernetes,
        **settings: Any,
    ) -> Evidence:
        """Collect with the settings of one `[[source]]` table; `source` is Kubernetes, or a class of its.

        Raises:
            ValueError: the settings lead to nothing.
        """
        limits = limits or Limits(tries=1)
        found = discover(source, settings, self._secret, limits, Stop())
        lost = [] if found.complete else [(source.name, found.root.scope)]
        moment = as_of or datetime.now(UTC).replace(microsecond=0)
        plan = make(moment, (), [(source, settings, found.items)], lost)
        self._count += 1
        folder = self._scratch / f"run{self._count}"
        folder.mkdir()
        layout.write_plan(folder, plan, self._plugins, self._keys)
        done = collect(plan, Settings(folder, self._secret, workers, limits, seconds), [found])
        layout.write_ledger(folder, done.ledger, self._keys)
        segments = layout.place(folder, done)
        paths = [folder / "segments" / f"{name}.jsonl.gz" for name in segments.values() if name]
        due = layout.due_derived(self._plugins, plan)
        layout.write_derived(folder, due, paths, self._keys)
        paths += sorted((folder / "derived").glob("*.jsonl.gz"))
        evidence = Evidence({}, [], list(done.ledger.entries.values()), plan, found.complete, folder)
        evidence.failures = [written.failure for written in done.written if written.failure]
        for line in (json.loads(line) for path in paths for line in read_lines(path)):
            if "gap" in line:
                evidence.gaps.append(line["gap"])
            else:
                evidence.records.setdefault(line["record"]["kind"], []).append(line["record"])
        return evidence

    def judge(self, evidence: Evidence) -> Judged:
        """What the checks make of a run. Each subject's worst result counts."""
        folder = evidence.folder
        nothing = {"format": 1, "waivers": [], "out_of_scope": [], "accepted_gaps": []}
        layout.write_exceptions(folder, nothing, self._keys)
        held, mappings, bound = read(folder), *self._checks
        planned = [each for each in bound if set(each.check.kinds) <= held.kinds.keys()]
        not_run = [each.check.id for each in bound if not set(each.check.kinds) <= held.kinds.keys()]
        with (
            tempfile.TemporaryDirectory(dir=self._scratch) as scratch,
            self._database(Path(scratch)) as database,
        ):
            tables.create(database, held.kinds)
            order = Order(evidence.plan.as_of, Path(scratch), folder, None, 60, {}, frozenset())
            told = judge(database, held, mappings, planned, not_run, order, lambda _: None)
        lines = [json.loads(line) for line in read_lines(folder / "findings.jsonl.gz")]
        findings: dict[tuple[str, str], str] = {}
        for line in lines:
            key = line["check"], line["subject"]
            findings[key] = max(line["result"], findings.get(key, "pass"), key=_SEVERITY.index)
        return Judged(findings, lines, tuple(not_run), dict(told["failed"]))

    @cached_property
    def _checks(self) -> tuple[Mappings, list[Bound]]:
        """The mappings, and the checks that read what this source gives, ready to run."""
        kinds = {kind.name for kind in Kubernetes.kinds}
        derived = [each for pack in self._plugins.packs for each in pack.derived]
        kinds |= {each.kind.name for each in derived if kinds.issuperset(each.reads)}
        mappings = load([Path(pack.folder) for pack in self._plugins.packs], strict=True)
        wanted = [check for check in mappings.checks.values() if set(check.kinds) <= kinds]
        known = layout.all_kinds(self._plugins)
        with tempfile.TemporaryDirectory() as scratch, self._database(Path(scratch)) as database:
            tables.create(database, known)
            return mappings, bind(database, wanted, known, strict=True)[0]

    @contextlib.contextmanager
    def _database(self, scratch: Path) -> Iterator[Any]:
        with contextlib.closing(open_database(scratch, 256 << 20, threads=1)) as database:
            database.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
            yield database
