"""Killed by the kernel at any moment, a run loses nothing that it said it kept, and sends nothing twice.

`COLLECTOR_TEST_KILLS` says how often (20 if it is not set); the moments come from a seed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.deliver.outbox import Outbox
from collector_directory import DirectorySink

KILLS = int(os.environ.get("COLLECTOR_TEST_KILLS", "20"))
RUNS = max(4, KILLS // 4)  # a run takes seconds, a delivery less than one
DELIVERIES = KILLS - RUNS
SEED = 20261124
SINKS = "".join(f'[[sink]]\nuse = "directory"\npath = "{name}"\n' for name in ("one", "two"))
WAITING = 2  # bundles that each killed delivery has to send

# Ends the process just before its nth change to the file system, once delivering has begun.
AT_CHANGE = """
import os, signal, sys
left = [{at}]
def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""


@pytest.fixture
def tiny(machine: Any) -> Any:
    """A machine that audits a small programme folder and has two stores."""
    source = '[[source]]\nuse = "program"\nfolder = "program"\n'
    (machine.home / "collector.toml").write_text(f'frameworks = ["soc2-2017"]\n{source}{SINKS}')
    return machine


def start(machine: Any, *arguments: str, before: str = "") -> subprocess.Popen[str]:
    command = machine.command(*arguments)
    command[2] = before + command[2]
    return subprocess.Popen(
        command,
        cwd=machine.home,
        env=machine.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kept(stderr: str) -> Iterator[str]:
    """The bundles that a run said it kept, in lines that were written whole."""
    for line in stderr.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and told.get("message") == "kept":
            yield told["bundle"]


def killed_run(machine: Any, chance: random.Random) -> list[str]:
    """Start a run and kill it: at any moment, or from the moment on at which it delivers."""
    process = start(machine, "run", "--output", "json")
    assert process.stderr is not None
    seen = ""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, 4))
    else:
        for line in process.stderr:
            seen += line
            if '"step": "deliver"' in line:
                break
        time.sleep(chance.uniform(0, 0.15))
    process.send_signal(signal.SIGKILL)
    _, rest = process.communicate(timeout=60)
    return list(kept(seen + rest))


def chain(store: Path) -> dict[str, str]:
    """Key to SHA-256 of a store's bundles, once they have proven to be one chain, each place taken once."""
    found: dict[str, str] = {}
    before: str | None = None
    for number, path in enumerate(sorted(store.rglob("*.zip")), 1):
        with zipfile.ZipFile(path) as archive:
            payload = base64.b64decode(json.loads(archive.read("statement.dsse.json"))["payload"])
        series = json.loads(payload)["predicate"]["series"]
        assert (series["sequence"], series["previous"]) == (number, before), path
        before = hashlib.sha256(payload).hexdigest()
        assert path.name == f"{number:08d}-{before[:12]}.zip"
        found[path.relative_to(store).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def check(machine: Any, promised: set[str]) -> None:
    """Everything promised is in both stores, once, alike and sound, and nothing is left behind."""
    one, two = (machine.home / name for name in ("one", "two"))
    stored = chain(one)
    assert chain(two) == stored
    assert promised <= set(stored)
    for folder in (one, two, machine.home / "state" / "outbox"):
        left = [path for path in folder.rglob("*") if path.is_file()]
        assert all(path.suffix == ".zip" for path in left), left
    assert list((machine.home / "state" / "outbox").rglob("*.zip")) == []
    done = machine("verify", *(one / key for key in stored), "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_runs_killed_at_any_moment_lose_nothing_that_they_kept(tiny: Any) -> None:
    chance = random.Random(SEED)
    promised: set[str] = set()
    for _ in range(RUNS):
        promised |= set(killed_run(tiny, chance))
    done = tiny("run", "--output", "json")
    assert done.returncode in (0, 3), done.stderr
    promised |= set(kept(done.stderr))
    check(tiny, promised)


def finish(machine: Any, *, whole: bool) -> None:
    """Deliver what was left: with the whole program, or, which is quicker, with its outbox alone."""
    if whole:
        done = machine("deliver", "--output", "json")
        assert done.returncode == 0, done.stderr
        return
    sinks = [DirectorySink({"path": str(machine.home / name)}) for name in ("one", "two")]
    assert Outbox(machine.home / "state" / "outbox").deliver(sinks).problems == []


def waiting(machine: Any) -> set[str]:
    """Fill the outbox: the stores' folders are files, so that nothing can be sent."""
    promised: set[str] = set()
    for name in ("one", "two"):
        (machine.home / name).write_text("")
    for _ in range(WAITING):
        done = machine("run", "--output", "json")
        assert done.returncode == 4, done.stderr
        promised |= set(kept(done.stderr))
    for name in ("one", "two"):
        (machine.home / name).unlink()
    return promised


def test_deliveries_killed_at_any_moment_lose_nothing_and_send_nothing_twice(tiny: Any) -> None:
    chance = random.Random(SEED + 1)
    promised = waiting(tiny)
    assert len(promised) == WAITING
    saved = shutil.copytree(tiny.home / "state", tiny.home / "saved")
    ended = 0
    for number in range(DELIVERIES):
        for name in ("state", "one", "two"):
            shutil.rmtree(tiny.home / name, ignore_errors=True)
        shutil.copytree(saved, tiny.home / "state")
        # Every third by the clock; the others just before a change, where a clock seldom strikes.
        timed = number % 3 == 0
        hook = "" if timed else AT_CHANGE.format(at=chance.randint(1, 90))
        process = start(tiny, "deliver", "--output", "json", before=hook)
        if timed:
            time.sleep(chance.uniform(0, 1))
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        ended += process.returncode == -signal.SIGKILL
        finish(tiny, whole=timed or number == DELIVERIES - 1)
        if number == DELIVERIES - 1:
            check(tiny, promised)
        else:
            assert set(chain(tiny.home / "one")) == set(chain(tiny.home / "two")) == promised
            assert list((tiny.home / "state" / "outbox").rglob("*.zip")) == []
    assert ended > DELIVERIES // 3  # most were killed before they were done
