"""What a run must withstand, each with one clear line and nothing half-written."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.deliver.lock import hold

PIECE = 12  # characters of a secret that must not be found together


def one_line(text: str) -> str:
    told = [line for line in text.splitlines() if line.startswith("collector: ")]
    assert len(told) == 1, text
    assert "Traceback" not in text
    return told[0]


def test_two_runs_at_once_are_one_run_and_one_line(machine: Any) -> None:
    with hold(machine.home / "state", "default"):
        done = machine("run")
    assert done.returncode == 75
    assert "another run holds the lock (pid " in one_line(done.stderr)


def test_no_key_is_in_hand_before_the_lock_is(machine: Any) -> None:
    """A rotation holds the lock: whoever had read the old key before would sign with it afterwards."""
    (machine.home / "config" / "key.pem").unlink()
    with hold(machine.home / "state", "default"):
        assert machine("run").returncode == 75
    done = machine("run")
    assert (done.returncode, "no such key file" in done.stderr) == (2, True)


def test_a_key_that_others_can_read_stops_a_run_before_it_asks_anyone(machine: Any) -> None:
    (machine.home / "config" / "key.pem").chmod(0o644)
    done = machine("run")
    assert done.returncode == 2
    assert "must be 0600" in one_line(done.stderr)


def test_no_key_stops_a_run_and_says_what_makes_one(machine: Any) -> None:
    (machine.home / "config" / "secret.key").unlink()
    done = machine("run")
    assert done.returncode == 2
    assert "`collector init` makes one" in one_line(done.stderr)


def test_a_folder_that_is_not_there_is_a_gap_and_no_pass(machine: Any) -> None:
    machine.configure('use = "program"\nfolder = "nowhere"')
    result = machine.run()
    assert result["exit"] == 3
    assert result["findings"]["pass"] == 0
    assert result["findings"]["unknown"] > 0


def test_an_accepted_gap_leaves_the_exit_code_at_0(machine: Any) -> None:
    machine.configure('use = "program"\nfolder = "nowhere"', more='exceptions = "exceptions.toml"')
    (machine.home / "exceptions.toml").write_text(
        '[[accepted_gap]]\nkind = "program_*"\nowner = "ciso"\napprover = "board"\n'
        'reason = "moved next month"\nuntil = 2099-01-01\n'
    )
    assert machine.run()["exit"] == 0


@pytest.mark.parametrize(("threshold", "code"), [("fail", 1), ("fail:critical", 0), ("control", 1)])
def test_thresholds_make_the_exit_code(machine: Any, threshold: str, code: int) -> None:
    machine.configure('use = "program"\nfolder = "program"')
    done = machine("run", "--fail-on", threshold, "--quiet")
    assert done.returncode == code, done.stderr


def test_sigterm_ends_a_run_cleanly_within_20_seconds(machine: Any) -> None:
    process = subprocess.Popen(
        machine.command("run", "--output", "json"),
        cwd=machine.home,
        env=machine.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "step=collect" in line or "collecting" in line:
            break
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    out, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert process.returncode == 3, errors

    result = json.loads(out)
    assert result["gaps"] > 0
    assert machine("verify", result["bundle"], "--reperform").returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB: less than a run of this machine needs."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.needs_root
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(machine: Any, small_disk: Path) -> None:
    done = machine("run", "--state", small_disk)
    assert done.returncode == 2
    assert "No space left on device" in one_line(done.stderr)
    left = [path for path in small_disk.rglob("*") if path.is_file() and path.suffix == ".zip"]
    assert left == []


def test_no_planted_secret_is_in_any_byte_that_a_run_wrote(machine: Any, planted: Any) -> None:
    machine.configure('use = "program"\nfolder = "program"')
    policy = machine.home / "program" / "policies" / "passwords.md"
    texts = [text for text, _ in planted.values()]
    policy.write_text(policy.read_text() + "\n\n" + "\n\n".join(texts) + "\n")
    roster = machine.home / "program" / "roster.csv"
    secret_row = f'p999,Some Body,some.body@example.org,"{texts[0].splitlines()[0]}",2020-01-01,,sbody\n'
    roster.write_text(roster.read_text() + secret_row)
    done = machine("run", "--output", "json")
    assert done.returncode in (0, 3), done.stderr
    written = [done.stdout.encode(), done.stderr.encode()]
    for path in (machine.home / "state").rglob("*"):
        if path.is_file():
            written += [path.read_bytes(), *_inner(path)]
    whole = b"\n".join(written).decode("utf-8", "replace")
    for name, (_, secret) in planted.items():
        found = [
            secret[at : at + PIECE]
            for at in range(len(secret) - PIECE + 1)
            if secret[at : at + PIECE] in whole
        ]
        assert found == [], name


def _inner(path: Path) -> Iterator[bytes]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                data = archive.read(name)
                yield gzip.decompress(data) if name.endswith(".gz") else data


def test_a_call_that_never_comes_back_does_not_hold_up_the_run(machine: Any) -> None:
    here = Path(__file__).parent / "hanging"
    site = machine.home / "site"
    info = site / "collector_hanging-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: collector-hanging\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[evidence_collector]\nhanging = collector_hanging\n")
    shutil.copy(here / "collector_hanging.py", site)
    machine.configure('use = "hanging"', more='call_timeout = "1s"\nrun_timeout = "2s"')
    environ = {**machine.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        machine.command("run", "--output", "json"),
        cwd=machine.home,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["tasks"]["failed"] == 1
