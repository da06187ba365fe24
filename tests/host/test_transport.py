"""The transport to this machine: bounded in time and size, and it leaves nothing running."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from collector_host.transport import LocalTransport, Transport

LOCAL = LocalTransport()
MINE = os.getpid()  # another run of these tests may be going on


def test_it_is_a_transport() -> None:
    assert isinstance(LOCAL, Transport)
    assert LOCAL.name


def test_output_complaint_and_status_come_back() -> None:
    done = LOCAL.run(["sh", "-c", "cat; echo oops >&2; exit 3"], b"text", 10, 100)
    assert (done.status, done.stdout, done.stderr, done.truncated) == (3, b"text", b"oops\n", False)


def test_large_input_and_output_do_not_block_each_other() -> None:
    text = b"x" * 3_000_000
    done = LOCAL.run(["cat"], text, 20, 4_000_000)
    assert done.stdout == text


def test_input_that_nobody_reads_is_no_error() -> None:
    assert LOCAL.run(["sh", "-c", "echo done"], b"x" * 3_000_000, 10, 100).stdout == b"done\n"


def test_a_command_that_hangs_is_ended_with_its_children(spawned: Callable[[str], bool]) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"0\.5 seconds"):
        LOCAL.run(["sh", "-c", f"sleep 61.{MINE} & sleep 61.{MINE}"], b"", 0.5, 100)
    assert time.monotonic() - began < 30
    assert not spawned(f"sleep 61.{MINE}")


def test_a_child_that_keeps_the_pipe_does_not_hold_up_the_answer(spawned: Callable[[str], bool]) -> None:
    began = time.monotonic()
    done = LOCAL.run(["sh", "-c", f"sleep 62.{MINE} & echo answer"], b"", 10, 100)
    assert done.stdout == b"answer\n"
    assert time.monotonic() - began < 30
    assert not spawned(f"sleep 62.{MINE}")


def test_a_command_that_ignores_signals_is_ended_too(spawned: Callable[[str], bool]) -> None:
    with pytest.raises(TimeoutError):
        LOCAL.run(["sh", "-c", f"trap '' TERM INT HUP; while :; do sleep 63.{MINE}; done"], b"", 0.5, 100)
    assert not spawned(f"sleep 63.{MINE}")


def test_output_without_end_is_cut_at_the_limit() -> None:
    done = LOCAL.run(["yes"], b"", 10, 1000)
    assert len(done.stdout) == 1000
    assert done.truncated


def test_complaints_without_end_are_cut_and_do_not_block() -> None:
    done = LOCAL.run(["sh", "-c", "head -c 1000000 /dev/zero >&2; echo done"], b"", 10, 100)
    assert done.stdout == b"done\n"
    assert len(done.stderr) == 65536


def test_a_missing_program_is_file_not_found() -> None:
    with pytest.raises(FileNotFoundError):
        LOCAL.run(["/no/such/program"], b"", 1, 1)


def test_the_callers_environment_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "secret")
    assert b"PLANTED" not in LOCAL.run(["env"], b"", 5, 10_000).stdout
