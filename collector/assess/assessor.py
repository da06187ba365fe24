"""The parent's side of assessing: starts the child, watches it, blames a check that ends it.

The child is started early, so that mappings are loaded while evidence is still being collected and
an error in them is known before anyone was asked anything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import IO, Any

from collector.canonical import dumps, loads
from collector.model import CollectorError, ConfigError, Json, MappingError, VerifyError

__all__ = ["Assessor", "Budget", "Summary"]

_RESTARTS = 8  # times that a check may end the child before judging is given up
_ERRORS: Mapping[str, type[CollectorError]] = {
    "MappingError": MappingError,
    "VerifyError": VerifyError,
    "ConfigError": ConfigError,
}


@dataclass(frozen=True, slots=True)
class Budget:
    """What judging may cost.

    Attributes:
        memory: bytes that the database uses before it spills to the run's folder.
        cpu: seconds of CPU.
        wall: seconds in which the child must have said something.
        seconds: what one statement may take before it is interrupted.
        disk: bytes of one file that it writes.
        threads: of the database.
    """

    memory: int = 512 << 20
    cpu: int = 1_800
    wall: float = 90.0
    seconds: float = 60.0
    disk: int = 16 << 30
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Summary:
    """What judging came to.

    Attributes:
        findings: result to count.
        failing: severity to count, of failures without a waiver.
        controls: framework to status to count.
        records: kind to count.
        populations: kind, scope and whether complete.
        not_run: checks of kinds that were not collected.
        failed: checks that could not be run, and why.
    """

    findings: Mapping[str, int]
    failing: Mapping[str, int]
    controls: Mapping[str, Mapping[str, int]]
    records: Mapping[str, int]
    populations: Sequence[Mapping[str, Any]]
    not_run: Sequence[str]
    failed: Mapping[str, str]


class Assessor:
    """A child that has loaded the mappings and waits for evidence.

    Args:
        mappings: folders of packs.
        kinds: as `kinds.json` holds them: of all plugins, or of a bundle.
        frameworks: those that count; None: all.
        only: the kinds that can have records; checks that read another are loaded and not bound. None: all.
        strict: whether an unknown kind or column is an error.
        scratch: an empty folder of the run's own; it is emptied again.
    """

    def __init__(
        self,
        mappings: Sequence[Path],
        kinds: Mapping[str, Json],
        scratch: Path,
        *,
        frameworks: Sequence[str] | None,
        strict: bool,
        only: Collection[str] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget or Budget()
        self._scratch = scratch
        self._request = {
            "mappings": [str(folder) for folder in mappings],
            "kinds": dict(kinds),
            "only": sorted(kinds if only is None else only),
            "frameworks": None if frameworks is None else list(frameworks),
            "strict": strict,
            "memory": self._budget.memory,
            "cpu": self._budget.cpu,
            "disk": self._budget.disk,
            "threads": self._budget.threads,
        }
        self._starts = 0
        self._ready = False
        self._why = ""
        self._start()

    def __enter__(self) -> Assessor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ready(self) -> None:
        """Wait until the mappings are loaded. Raises MappingError for what is wrong with them."""
        if not self._ready:
            answer = self._answer()
            if answer is None or "ready" not in answer:
                raise MappingError(f"the mappings could not be loaded: {self._why}")
            self._ready = True

    def judge(self, folder: Path, out: Path, as_of: str, salt_key: bytes | None) -> Summary:
        """Judge a run's folder; writes `findings.jsonl.gz` and `controls.jsonl.gz` into `out`.

        Raises:
            OSError: the disk is full, or cannot be used.
            VerifyError: the folder is not as the format says, or judging it cannot be ended within the
                limits even without the checks that broke them.
        """
        skip: dict[str, str] = {}
        alone: list[str] = []
        for _ in range(_RESTARTS):
            self.ready()
            for name in ("findings.jsonl.gz", "controls.jsonl.gz"):
                (out / name).unlink(missing_ok=True)  # of an earlier judging, or of one that was ended
            self._send(
                {
                    "folder": str(folder),
                    "out": str(out),
                    "scratch": str(self._here),
                    "as_of": as_of,
                    "salt_key": salt_key.hex() if salt_key else None,
                    "seconds": self._budget.seconds,
                    "skip": skip,
                    "alone": alone,
                }
            )
            running, answer = self._watch()
            if answer is not None:
                return Summary(**answer)
            if len(running) == 1:
                skip[running[0]] = f"the check ended what ran it: {self._why}"
            elif running and not set(running) <= set(alone):
                alone += running
            else:
                break
            self._end()
            self._start()
        raise VerifyError(f"the evidence could not be judged: {self._why}")

    def _watch(self) -> tuple[list[str], dict[str, Any] | None]:
        """What ran when the child ended, or its last answer."""
        running: list[str] = []
        while (answer := self._answer()) is not None:
            if "running" in answer:
                running = answer["running"]
            elif "done" in answer:
                return running, answer["done"]
        return running, None

    def _start(self) -> None:
        self._starts += 1
        self._here = self._scratch / str(self._starts)
        self._here.mkdir(parents=True)
        self._ready = False
        self._why = "the limits of memory or time were reached"
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler=0", "-m", "collector.assess.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._here,
            env={"PATH": os.defpath, "PYTHONPATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
        )
        self._answers: Queue[bytes] = Queue()
        assert self._process.stdout is not None
        threading.Thread(target=_pump, args=(self._process.stdout, self._answers), daemon=True).start()
        self._send({**self._request, "scratch": str(self._here)})

    def _send(self, message: Mapping[str, Json]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: the missing answer says so
            self._process.stdin.write(dumps(message) + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any] | None:
        """The next answer; None if the child ended or said nothing in time."""
        try:
            line = self._answers.get(timeout=self._budget.wall)
        except Empty:
            return None
        if not line:
            return None
        answer: dict[str, Any] = loads(line)
        if "crash" in answer:
            self._why = answer["crash"]
            return None
        if answer.get("error") == "OSError":
            raise OSError(answer["errno"], answer["message"], str(self._scratch))
        if "error" in answer:
            raise _ERRORS.get(answer["error"], VerifyError)(answer["message"])
        return answer

    def _end(self) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        shutil.rmtree(self._here, ignore_errors=True)


def _pump(source: IO[bytes], answers: Queue[bytes]) -> None:
    with source:
        for line in source:
            answers.put(line)
    answers.put(b"")
