"""Sinks side by side, each in its own time; tries that wait; limits that are told."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from collector.deliver import backoff
from collector.deliver.outbox import Outbox
from collector.deliver.series import Link, key, record_head
from collector_directory import DirectorySink

NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)


@pytest.fixture
def waiting(tmp_path: Path, bundle: Any) -> Callable[..., Outbox]:
    """An outbox in which two bundles wait."""

    def make(**limits: Any) -> Outbox:
        state = tmp_path / "state"
        outbox = Outbox(state / "outbox", **limits)
        previous = None
        for number in (1, 2):
            link = Link("2026-11-24T02:00:00Z", number, previous)
            path, previous = bundle(tmp_path / f"{number}.zip", link, number)
            outbox.add(path, key("acme", link, previous))
            record_head(state, "acme", link, previous)
        return outbox

    return make


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., DirectorySink]:
    return lambda kind, name: kind({"path": str(tmp_path / name)})


class Meeting(DirectorySink):
    """Stores only once another sink stores too."""

    meeting: threading.Barrier

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        self.meeting.wait(60)
        super().put(key, file, sha256, absent)


class Stuck(DirectorySink):
    """Never answers; `release` ends it."""

    release: threading.Event

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        self.release.wait(60)
        super().put(key, file, sha256, absent)


class Dead(DirectorySink):
    tries = 0

    def head(self, key: str) -> int | None:
        type(self).tries += 1
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


@pytest.fixture
def stuck() -> Iterator[type[Stuck]]:
    Stuck.release = threading.Event()
    yield Stuck
    Stuck.release.set()


@pytest.fixture
def dead() -> type[Dead]:
    Dead.tries = 0
    return Dead


def test_sinks_are_served_at_the_same_time(waiting: Any, store: Any, chain: Any, tmp_path: Path) -> None:
    Meeting.meeting = threading.Barrier(2)
    delivered = waiting().deliver([store(Meeting, "one"), store(Meeting, "two")])
    assert delivered.problems == []
    assert chain(tmp_path / "one") == chain(tmp_path / "two") == [1, 2]


def test_a_sink_that_never_answers_costs_its_own_time_and_no_bundle(
    waiting: Any, store: Any, chain: Any, tmp_path: Path, stuck: type[Stuck]
) -> None:
    outbox = waiting(seconds=2.0)
    delivered = outbox.deliver([store(stuck, "stuck"), store(DirectorySink, "fine")], now=NOW)
    assert not stuck.release.is_set()
    assert delivered.sinks == [store(DirectorySink, "fine").address]
    assert "not done after 2 s" in delivered.problems[0]
    assert chain(tmp_path / "fine") == [1, 2]
    assert len(outbox.entries()) == 2


def test_what_a_sink_does_after_its_time_is_not_written_down_but_found(
    waiting: Any, store: Any, chain: Any, tmp_path: Path, stuck: type[Stuck]
) -> None:
    outbox = waiting(seconds=0.3)
    sink = store(stuck, "stuck")
    outbox.deliver([sink], now=NOW)
    stuck.release.set()
    for _ in range(200):
        if list(sink.list("acme/")):
            break
        time.sleep(0.02)
    time.sleep(0.1)
    assert all(sink.address not in entry.done for entry in outbox.entries())
    assert outbox.deliver([sink], now=NOW).problems == []
    assert chain(tmp_path / "stuck") == [1, 2]
    assert outbox.entries() == []


def test_a_run_waits_longer_after_each_failure_and_says_until_when(
    waiting: Any, store: Any, dead: type[Dead], tmp_path: Path
) -> None:
    outbox = waiting()
    sink = store(dead, "dead")
    now, waits = NOW, []
    for _ in range(10):
        told = outbox.deliver([sink], now=now, patient=True).problems[0]
        due = backoff.wait_until(tmp_path / "state" / "outbox", sink, now)
        assert due is not None
        assert f"{due:%Y-%m-%dT%H:%M:%SZ}" in told
        tries = dead.tries
        early = outbox.deliver([sink], now=due - timedelta(seconds=1), patient=True)
        assert dead.tries == tries
        assert f"next try from {due:%Y-%m-%dT%H:%M:%SZ} on" in early.problems[0]
        assert "2 bundles stay" in early.problems[0]
        waits.append(due - now)
        now = due
    assert waits[0] == timedelta(minutes=5)
    assert waits == sorted(waits)
    assert waits[-1] == backoff.LONGEST < timedelta(hours=24)


def test_whoever_delivers_by_hand_does_not_wait(waiting: Any, store: Any, dead: type[Dead]) -> None:
    outbox = waiting()
    sink = store(dead, "dead")
    outbox.deliver([sink], now=NOW)
    outbox.deliver([sink], now=NOW)
    assert dead.tries == 2  # nor does it try the second bundle where the first failed


def test_waiting_survives_the_process_and_ends_with_success(
    waiting: Any, store: Any, dead: type[Dead], chain: Any, tmp_path: Path
) -> None:
    waiting().deliver([store(dead, "store")], now=NOW)
    again = Outbox(tmp_path / "state" / "outbox")
    alive = store(DirectorySink, "store")
    assert again.deliver([alive], now=NOW, patient=True).sinks == []
    assert again.deliver([alive], now=NOW + backoff.LONGEST, patient=True).sinks == [alive.address]
    assert chain(tmp_path / "store") == [1, 2]


def test_success_forgets_failures(waiting: Any, store: Any, dead: type[Dead], tmp_path: Path) -> None:
    outbox = waiting()
    sink = store(dead, "store")
    outbox.deliver([sink], now=NOW)
    folder = tmp_path / "state" / "outbox"
    assert backoff.wait_until(folder, sink, NOW) is not None
    backoff.succeeded(folder, sink)
    assert backoff.wait_until(folder, sink, NOW) is None
    assert backoff.failed(folder, sink, NOW) == NOW + timedelta(minutes=5)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"failures":"x","not_before":3}'])
def test_a_damaged_note_means_trying_now(store: Any, dead: type[Dead], tmp_path: Path, note: bytes) -> None:
    sink = store(dead, "store")
    backoff.failed(tmp_path, sink, NOW)
    (path,) = (tmp_path / ".sinks").iterdir()
    path.write_bytes(note)
    assert backoff.wait_until(tmp_path, sink, NOW) is None


def test_a_clock_that_was_set_back_holds_nothing_up(store: Any, dead: type[Dead], tmp_path: Path) -> None:
    sink = store(dead, "store")
    backoff.failed(tmp_path, sink, NOW)
    assert backoff.wait_until(tmp_path, sink, NOW - timedelta(days=365)) is None


def test_runs_of_two_series_may_note_a_failure_at_once(
    store: Any, dead: type[Dead], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share the sink's note, and its name while it is written; one of them renames it first."""
    sink = store(dead, "store")
    replace = Path.replace

    def taken(path: Path, target: Path) -> Path:
        replace(path, target)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", taken)
    assert backoff.failed(tmp_path, sink, NOW) == NOW + timedelta(minutes=5)
    assert backoff.wait_until(tmp_path, sink, NOW) == NOW + timedelta(minutes=5)


def test_one_failing_sink_does_not_make_another_wait(
    waiting: Any, store: Any, dead: type[Dead], chain: Any, tmp_path: Path
) -> None:
    outbox = waiting()
    sinks = [store(dead, "dead"), store(DirectorySink, "fine")]
    outbox.deliver(sinks, now=NOW, patient=True)
    assert outbox.deliver(sinks, now=NOW, patient=True).sinks == [sinks[1].address]
    assert chain(tmp_path / "fine") == [1, 2]
