"""What the tests of collecting share: a source to change, and a rig that carries out its tasks."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from collector.canonical import loads
from collector.collect.ask import Asker, Limits, Memory, Stop
from collector.collect.ledger import Entry, Ledger
from collector.collect.pace import Paces
from collector.collect.plan import Planned
from collector.collect.redact import Redactor
from collector.collect.worker import Job, Written, run_job
from collector.keys import Keys, create_secret, load_secret
from collector.lines import read_lines
from collector.model import Json, Source, Task


class Patient(Stop):
    """Notes how long it was asked to sleep, and does not."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__(seconds)
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass
class Ran:
    """What one task left."""

    written: Written
    calls: Mapping[str, Entry]
    lines: list[dict[str, Json]]

    @property
    def records(self) -> list[dict[str, Json]]:
        return [line["record"] for line in self.lines if "record" in line]

    @property
    def gaps(self) -> list[dict[str, Json]]:
        return [line["gap"] for line in self.lines if "gap" in line]

    def reasons(self, kind: str = "made_thing") -> list[str]:
        return sorted(gap["reason"] for gap in self.gaps if gap["kind"] == kind)

    def column_gaps(self) -> dict[str, dict[str, str]]:
        """Record id to column to reason."""
        return {
            record["id"]: {gap["column"]: gap["reason"] for gap in record["gaps"]} for record in self.records
        }

    def entries(self, op: str) -> list[Entry]:
        return sorted((each for each in self.calls.values() if each.op == op), key=lambda each: each.page)


class Rig:
    """Asks and carries out tasks below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs = 0
        self.secret_key = folder / "secret.key"
        create_secret(self.secret_key)

    @property
    def keys(self) -> Keys:
        return load_secret(self.secret_key)

    def folder(self) -> Path:
        self._jobs += 1
        made = self._folder / f"run{self._jobs}"
        made.mkdir()
        return made

    def asker(
        self,
        source: Source,
        *,
        limits: Limits | None = None,
        stop: Stop | None = None,
        ledger: Ledger | None = None,
        memory: Memory | None = None,
        declared: Sequence[str] = ("made:List", "made:Detail", "side:List"),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Asker:
        return Asker(
            source,
            source.root(),
            frozenset(declared),
            keys=self.keys,
            redactor=Redactor({kind.name: kind for kind in source.kinds}, self.keys),
            ledger=Ledger() if ledger is None else ledger,
            memory=memory or Memory(),
            paces=Paces(monotonic),
            limits=limits or Limits(call_timeout=5.0),
            stop=stop or Patient(),
        )

    def run(
        self,
        source: type[Any],
        *tasks: Task,
        settings: Mapping[str, Json] | None = None,
        seconds: float = 30.0,
        late: float = 0.0,
        tries: int = 1,
        event: Any = None,
        threads: int = 1,
    ) -> list[Ran]:
        """Run one job; without tasks, what the source plans."""
        settings = settings or {}
        planned = [Planned(task, source, settings) for task in tasks or source(settings).plan(None)]
        limits = Limits(call_timeout=5.0, tries=tries)
        until = time.time() + seconds - late
        job = Job(tuple(planned), self.folder(), self.secret_key, limits, threads, seconds, until)
        written = run_job(job, event)
        calls = written[0].calls
        return [Ran(each, calls, read(each)) for each in written]

    def one(self, source: type[Any], *tasks: Task, **more: Any) -> Ran:
        (ran,) = self.run(source, *tasks, **more)
        return ran


def read(written: Written) -> list[dict[str, Json]]:
    return [loads(line) for line in read_lines(written.segment.path)] if written.segment.lines else []


@pytest.fixture
def lines_of() -> Callable[[Written], list[dict[str, Json]]]:
    return read


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with the source to change, as another process would import it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "sources"))
    return importlib.import_module("made_source")
