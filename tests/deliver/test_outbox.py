"""Nothing is lost and nothing is stored twice, whatever breaks and wherever it ends."""

from __future__ import annotations

import errno
import io
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.canonical import file_sha256
from collector.deliver import durable
from collector.deliver.outbox import Delivered, Outbox
from collector.deliver.series import Link, key, next_link, record_head
from collector.model import DeliveryError, Json, SinkRefused, SinkUnreadable
from collector_directory import DirectorySink

Digest = Callable[[IO[bytes]], str]


class Site:
    """A state folder and the runs over it."""

    def __init__(self, folder: Path, bundle: Any, digest: Digest, as_of: Callable[[int], datetime]) -> None:
        self.folder = folder
        self.outbox = Outbox(folder / "state" / "outbox")
        self._bundle, self._digest, self._as_of = bundle, digest, as_of
        self.day = 0

    def sink(self, name: str) -> DirectorySink:
        return DirectorySink({"path": str(self.folder / name)})

    def run(self, *sinks: Any) -> Delivered:
        """As `collector run` ends: link, bundle, outbox, head, delivery."""
        self.day += 1
        state = self.folder / "state"
        link = next_link(state, "acme", self._as_of(self.day), sinks, self._digest)
        path, full = self._bundle(self.folder / "runs" / f"{self.day}.zip", link, self.day)
        self.outbox.add(path, key("acme", link, full))
        record_head(state, "acme", link, full)
        return self.outbox.deliver(sinks, "acme")


@pytest.fixture
def site(tmp_path: Path, bundle: Any, digest: Digest, as_of: Callable[[int], datetime]) -> Site:
    return Site(tmp_path, bundle, digest, as_of)


class Dead(DirectorySink):
    """A store that is down."""

    def head(self, key: str) -> int | None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


class Buggy(DirectorySink):
    """A plugin with a bug."""

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        raise KeyError("nothing that a sink should raise")


class WriteOnly(DirectorySink):
    """A store that lets nobody read."""

    def head(self, key: str) -> int | None:
        raise SinkUnreadable("head")

    def get(self, key: str) -> IO[bytes]:
        raise SinkUnreadable("get")

    def list(self, prefix: str) -> Iterator[str]:
        raise SinkUnreadable("list")


class Lying(DirectorySink):
    """A store that says it has what it has not."""

    def get(self, key: str) -> IO[bytes]:
        with super().get(key) as file:
            return io.BytesIO(file.read()[:-1])


def test_a_bundle_leaves_the_outbox_when_every_sink_has_it(site: Site, chain: Any) -> None:
    one, two = site.sink("one"), site.sink("two")
    delivered = site.run(one, two)
    assert delivered.sinks == [one.address, two.address]
    assert delivered.problems == []
    assert site.outbox.entries() == []
    assert [path for path in (site.folder / "state" / "outbox").rglob("*") if path.is_file()] == []
    assert chain(site.folder / "one") == chain(site.folder / "two") == [1]


def test_bundle_note_and_head_are_on_disk_before_anything_is_sent(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    seen: list[Path] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    class Watched(DirectorySink):
        def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
            state = site.folder / "state"
            files = [path for path in state.rglob("*") if path.is_file()]
            folders = {folder for path in files for folder in path.parents if folder.is_relative_to(state)}
            assert [path for path in (*files, *folders) if path.stat().st_ino not in synced] == []
            seen.extend(files)
            super().put(key, file, sha256, absent)

    monkeypatch.setattr(os, "fsync", noted)
    site.run(Watched({"path": str(site.folder / "store")}))
    assert [path.suffix for path in seen].count(".zip") == 1
    assert len(seen) == 3, "the bundle, its note, the head of the series"


def test_a_dead_sink_does_not_hold_up_the_others_and_gets_all_in_order_later(site: Site, chain: Any) -> None:
    dead, alive = Dead({"path": str(site.folder / "dead")}), site.sink("alive")
    for _ in range(3):
        delivered = site.run(dead, alive)
        assert delivered.sinks == [alive.address]
        assert "Connection refused; it stays in the outbox" in delivered.problems[0]
    assert chain(site.folder / "alive") == [1, 2, 3]
    assert len(site.outbox.entries()) == 3

    put: list[str] = []

    class Watched(DirectorySink):
        def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
            put.append(key)
            super().put(key, file, sha256, absent)

    site.outbox.deliver([Watched({"path": str(site.folder / "dead")}), alive], "acme")
    assert [int(each.split("/")[2][:8]) for each in put] == [1, 2, 3]
    assert site.outbox.entries() == []


def test_a_sink_stops_at_the_first_bundle_that_it_does_not_take(site: Site) -> None:
    class Picky(DirectorySink):
        def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
            if "/00000002-" in key:
                raise OSError(errno.EIO, "Input/output error")
            super().put(key, file, sha256, absent)

    picky = Picky({"path": str(site.folder / "store")})
    for _ in range(3):
        site.run(picky)
    assert [each.split("/")[2][:8] for each in picky.list("acme/")] == ["00000001"]


def test_a_plugin_with_a_bug_does_not_hold_up_the_others(site: Site, chain: Any) -> None:
    delivered = site.run(Buggy({"path": str(site.folder / "bug")}), site.sink("fine"))
    assert "KeyError" in delivered.problems[0]
    assert chain(site.folder / "fine") == [1]


def test_a_new_sink_starts_with_what_waits(site: Site, chain: Any) -> None:
    dead = Dead({"path": str(site.folder / "dead")})
    site.run(dead)
    site.run(dead)
    site.run(dead, site.sink("new"))
    assert chain(site.folder / "new") == [1, 2, 3]


def test_the_same_bytes_under_the_key_count_as_delivered(site: Site, chain: Any) -> None:
    site.run(Dead({"path": str(site.folder / "store")}))
    entry = site.outbox.entries()[0]
    with entry.path.open("rb") as file:
        site.sink("store").put(entry.key, file, entry.sha256)
    delivered = site.outbox.deliver([site.sink("store")])
    assert delivered.problems == []
    assert chain(site.folder / "store") == [1]


def test_other_bytes_under_the_key_are_an_error_and_stay(site: Site) -> None:
    site.run(Dead({"path": str(site.folder / "store")}))
    entry = site.outbox.entries()[0]
    place = site.folder / "store" / entry.key
    place.parent.mkdir(parents=True)
    place.write_bytes(b"something else")
    delivered = site.outbox.deliver([site.sink("store")])
    assert "other bytes are stored under this key" in delivered.problems[0]
    assert place.read_bytes() == b"something else"
    assert entry.path.exists()


def test_a_store_that_never_stops_sending_is_not_listened_to_for_ever(site: Site) -> None:
    class Endless(DirectorySink):
        def get(self, key: str) -> IO[bytes]:
            return Path("/dev/zero").open("rb")

    problem = site.run(Endless({"path": str(site.folder / "one")})).problems[0]
    assert "other bytes are stored under this key" in problem
    assert len(site.outbox.entries()) == 1


def test_what_leaves_while_room_is_counted_takes_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another series delivers at the same time, under a lock of its own."""
    site.run()
    (entry,) = site.outbox.entries()
    gone = entry.path.with_name("00000009-001122334455.zip")
    rglob = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda path, pattern: iter([*rglob(path, pattern), gone]))
    assert site.outbox.check_room() == ""


def test_what_is_stored_is_read_back(site: Site) -> None:
    delivered = site.run(Lying({"path": str(site.folder / "store")}))
    assert "other bytes" in delivered.problems[0]
    assert len(site.outbox.entries()) == 1


def test_a_store_that_nobody_may_read_is_believed_once(site: Site, chain: Any) -> None:
    sink = WriteOnly({"path": str(site.folder / "store")})
    assert site.run(sink).problems == []
    assert chain(site.folder / "store") == [1]


def test_what_a_stranger_stored_where_nobody_may_read_is_never_taken_for_ours(site: Site) -> None:
    """It was there before anything was sent, so that it stays an error however often it is tried."""
    site.run()
    (entry,) = site.outbox.entries()
    store = site.folder / "one"
    (store / entry.key).parent.mkdir(parents=True)
    (store / entry.key).write_bytes(b"somebody else's")
    sink = WriteOnly({"path": str(store)})
    for _ in range(3):
        (problem,) = site.outbox.deliver([sink], "acme").problems
        assert "something is stored under this key, and cannot be read back" in problem
    assert [each.key for each in site.outbox.entries()] == [entry.key]


def test_what_a_store_did_not_confirm_and_nobody_may_read_is_not_believed_the_next_time(site: Site) -> None:
    class Vague(WriteOnly):
        def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
            super().put(key, file, sha256, absent)
            raise SinkRefused("nothing shows what it holds")

    for told in ("nothing shows what it holds", "cannot be read back", "cannot be read back"):
        sink = Vague({"path": str(site.folder / "one")})
        delivered = site.outbox.deliver([sink], "acme") if site.day else site.run(sink)
        assert told in delivered.problems[0]
    assert len(site.outbox.entries()) == 1


@pytest.mark.parametrize("suffix", [".json", ".zip"])
def test_a_delivery_that_ends_while_a_bundle_leaves_is_ended_by_the_next_where_nobody_may_read(
    site: Site, chain: Any, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    sink = WriteOnly({"path": str(site.folder / "one")})
    remove = durable.remove

    def crash(path: Path) -> None:
        remove(path)
        if path.suffix == suffix and path.stem.startswith("0000"):
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(durable, "remove", crash)
        with pytest.raises(Crash):
            site.run(sink)
    assert site.run(sink).problems == []
    assert site.outbox.entries() == []
    assert chain(site.folder / "one") == [1, 2]
    assert [path for path in (site.folder / "state" / "outbox").rglob("*") if path.is_file()] == []


def test_a_second_bundle_for_a_place_in_the_series_is_refused(site: Site) -> None:
    """A state folder put back from a backup would fork the chain."""
    store = site.sink("store")
    site.run(store)
    saved = shutil.copytree(site.folder / "state", site.folder / "saved")
    site.run(store)
    shutil.rmtree(site.folder / "state")
    shutil.copytree(saved, site.folder / "state")
    delivered = site.run(store)
    assert "has this place in the series already" in delivered.problems[0]
    assert len(list(store.list("acme/"))) == 2


def test_bundles_of_another_series_are_left_alone(site: Site, bundle: Any) -> None:
    link = Link("2026-11-24T02:00:00Z", 1, None)
    path, full = bundle(site.folder / "x.zip", link)
    site.outbox.add(path, key("other", link, full))
    site.run(site.sink("store"))
    assert [each.split("/")[0] for each in site.sink("store").list("")] == ["acme"]
    assert [entry.key.split("/")[0] for entry in site.outbox.entries()] == ["other"]


def test_without_sinks_everything_waits(site: Site) -> None:
    site.run()
    assert len(site.outbox.entries()) == 1


def test_an_entry_without_its_note_is_delivered_all_the_same(site: Site, chain: Any) -> None:
    site.run(Dead({"path": str(site.folder / "store")}))
    for content in (None, b"{", b"[]", b'{"done":3,"sha256":"x"}'):
        note = site.outbox.entries()[0].path.with_suffix(".json")
        note.unlink() if content is None else note.write_bytes(content)
        assert site.outbox.entries()[0].sha256 == file_sha256(site.outbox.entries()[0].path)
    site.outbox.deliver([site.sink("store")])
    assert chain(site.folder / "store") == [1]


def test_a_bundle_that_rotted_in_the_outbox_is_not_stored(site: Site) -> None:
    site.run(Dead({"path": str(site.folder / "store")}))
    entry = site.outbox.entries()[0]
    entry.path.write_bytes(entry.path.read_bytes()[:-1] + b"!")
    delivered = site.outbox.deliver([site.sink("store")])
    assert "not those that were announced" in delivered.problems[0]
    assert list(site.sink("store").list("")) == []


def test_only_a_key_of_a_bundle_is_taken(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ValueError, match="no key"):
        site.outbox.add(tmp_path / "x", "../../x.zip")
    assert (tmp_path / "x").exists()


def test_another_bundle_under_a_waiting_key_is_refused(site: Site, bundle: Any) -> None:
    link = Link("2026-11-24T02:00:00Z", 1, None)
    path, full = bundle(site.folder / "a.zip", link)
    site.outbox.add(path, key("acme", link, full))
    other, _ = bundle(site.folder / "b.zip", link, size=5)
    with pytest.raises(DeliveryError, match="another bundle waits there"):
        site.outbox.add(other, key("acme", link, full))


def test_room_is_warned_of_and_then_refused(site: Site, bundle: Any) -> None:
    link = Link("2026-11-24T02:00:00Z", 1, None)
    path, full = bundle(site.folder / "a.zip", link, size=1000)
    size = path.stat().st_size
    site.outbox.add(path, key("acme", link, full))
    folder = site.folder / "state" / "outbox"
    assert Outbox(folder, limit=size * 2).check_room() == ""
    assert f"{size} of at most {size + 9} bytes wait" in Outbox(folder, limit=size + 9).check_room()
    with pytest.raises(DeliveryError, match="nothing is collected until") as caught:
        Outbox(folder, limit=size).check_room()
    assert caught.value.exit_code == 4
    assert len(site.outbox.entries()) == 1


def test_a_problem_is_logged_loudly(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        site.run(Dead({"path": str(site.folder / "dead")}))
    assert "not delivered" in caplog.text


def test_a_full_disk_leaves_the_bundle_where_it_was(request: pytest.FixtureRequest, bundle: Any) -> None:
    link = Link("2026-11-24T02:00:00Z", 1, None)
    path, full = bundle(Path(tempfile.mkdtemp(dir="/dev/shm")) / "a.zip", link, size=1_300_000)
    small_disk: Path = request.getfixturevalue("small_disk")
    outbox = Outbox(small_disk / "outbox")
    try:
        with pytest.raises(OSError) as caught:
            outbox.add(path, key("acme", link, full))
        assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
        assert outbox.entries() == []
        assert list(small_disk.rglob("*.new")) == []
        assert path.exists()
    finally:
        shutil.rmtree(path.parent)


def test_a_bundle_comes_from_another_file_system_too(tmp_path: Path, bundle: Any) -> None:
    link = Link("2026-11-24T02:00:00Z", 1, None)
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        path, full = bundle(folder / "a.zip", link)
        assert folder.stat().st_dev != tmp_path.stat().st_dev
        entry = Outbox(tmp_path / "outbox").add(path, key("acme", link, full))
        assert file_sha256(entry.path) == entry.sha256
        assert not path.exists()
    finally:
        shutil.rmtree(folder)


# A run that is killed by the kernel just before its nth change to a file.
KILLED = """
import os, signal, sys
from pathlib import Path

from collector_directory import DirectorySink
from collector.deliver.outbox import Outbox
from collector.deliver.series import Link, key, record_head

folder, at = Path(sys.argv[1]), int(sys.argv[2])
epoch, sequence, previous, bundle, digest = sys.argv[3:8]
link = Link(epoch, int(sequence), previous or None)
left = [at]

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sinks = [DirectorySink({"path": str(folder / name)}) for name in ("one", "two")]
sys.addaudithook(watch)
outbox = Outbox(folder / "state" / "outbox")
outbox.add(Path(bundle), key("acme", link, digest))
record_head(folder / "state", "acme", link, digest)
outbox.deliver(sinks, "acme")
"""


def test_a_run_killed_at_any_point_loses_nothing_and_stores_nothing_twice(
    tmp_path: Path, bundle: Any, digest: Digest, as_of: Callable[[int], datetime], chain: Any
) -> None:
    ended, at = 0, 0
    while ended == 0:
        at += 1
        folder = tmp_path / str(at)
        site = Site(folder, bundle, digest, as_of)
        sinks = (site.sink("one"), site.sink("two"))
        site.run(*sinks)
        link = next_link(folder / "state", "acme", as_of(1), sinks, digest)
        path, full = bundle(folder / "runs" / "killed.zip", link, 1)
        facts = (link.epoch, str(link.sequence), link.previous or "", str(path), full)
        code = [sys.executable, "-c", KILLED, str(folder), str(at), *facts]
        status = subprocess.run(code, check=False).returncode
        assert status in (0, -signal.SIGKILL)
        ended = 1 if status == 0 else 0

        name = key("acme", link, full)
        taken = (folder / "state" / "outbox" / name).exists() or (folder / "two" / name).exists()
        assert taken or path.exists(), f"lost when killed before change {at}"
        # The next run goes on, whatever is there.
        assert site.run(*sinks).problems == []
        expected = [1, 2, 3] if taken else [1, 2]
        assert chain(folder / "one") == chain(folder / "two") == expected
        assert site.outbox.entries() == []
        assert list(folder.rglob("one/**/*.new")) == []
        left = [path for path in (folder / "state" / "outbox").rglob("*") if path.is_file()]
        assert left == [], f"left behind when killed before change {at}"
    assert at > 12  # the run changes files at least so often


def test_what_lies_in_the_outbox_and_was_not_left_by_a_run_stays(site: Site, bundle: Any) -> None:
    """Notes of stamps that are owed outlive their bundles; other series and other files are not ours."""
    box = site.folder / "state" / "outbox"
    (box / "acme/20261124T020000Z").mkdir(parents=True)
    (box / "other/20261124T020000Z").mkdir(parents=True)
    kept = ["acme/20261124T020000Z/00000001-00112233aabb.stamps.json", "acme/20261124T020000Z/notes.json"]
    kept += ["other/20261124T020000Z/00000001-00112233aabb.json", "acme/.later.new"]
    left = ["acme/20261124T020000Z/00000001-00112233aabb.json"]
    left += [f"acme/20261124T020000Z/.00000001-00112233aabb{end}.new" for end in (".zip", ".json")]
    for name in (*kept, *left):
        (box / name).write_bytes(b"x")
    assert site.run(site.sink("one")).problems == []
    found = {path.relative_to(box).as_posix() for path in box.rglob("*") if path.is_file()}
    assert found == set(kept)


class Crash(BaseException):
    """The process ends."""


class Faulty(DirectorySink):
    """A directory that fails or ends the process, before or after it did what was asked."""

    def __init__(self, options: Mapping[str, Json], faults: list[str]) -> None:
        super().__init__(options)
        self._faults = faults

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        fault = self._faults.pop() if self._faults else "fine"
        if fault == "down":
            raise OSError(errno.ETIMEDOUT, "Connection timed out")
        if fault == "refused":
            raise SinkRefused("no")
        if fault == "crash before":
            raise Crash
        if fault == "torn":
            (self._folder / ".torn.new").parent.mkdir(parents=True, exist_ok=True)
            (self._folder / ".torn.new").write_bytes(file.read(10))
            raise Crash
        super().put(key, file, sha256, absent)
        if fault == "crash after":
            raise Crash
        if fault == "lost answer":
            raise OSError(errno.ECONNRESET, "Connection reset by peer")


FAULTS = st.lists(
    st.sampled_from(["fine", "down", "refused", "crash before", "crash after", "torn", "lost answer"]),
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=FAULTS, two=FAULTS, runs=st.integers(1, 5))
def test_whatever_fails_every_store_ends_with_every_bundle_once(
    one: list[str],
    two: list[str],
    runs: int,
    bundle: Any,
    digest: Digest,
    as_of: Callable[[int], datetime],
    chain: Any,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), bundle, digest, as_of)
        for _ in range(runs):
            sinks = [Faulty({"path": f"{folder}/one"}, one), Faulty({"path": f"{folder}/two"}, two)]
            try:
                site.run(*sinks)
            except Crash:
                continue
        assert site.outbox.deliver([site.sink("one"), site.sink("two")], "acme").problems == []
        assert chain(Path(folder) / "one") == chain(Path(folder) / "two") == list(range(1, runs + 1))
        assert site.outbox.entries() == []


@pytest.mark.needs_root
def test_a_full_disk_under_the_notes_is_told_for_each_sink_and_nothing_is_lost_or_sent_twice(
    tmp_path: Path, small_disk: Path, bundle: Any, chain: Any
) -> None:
    if not small_disk.is_mount():
        pytest.skip("no file system could be mounted")
    link = Link("2026-11-24T02:00:00Z", 1, None, "first")
    path, full = bundle(tmp_path / "b.zip", link)
    box = Outbox(small_disk / "outbox")
    box.add(path, key("acme", link, full))
    record_head(small_disk, "acme", link, full)
    stores = [tmp_path / "one", tmp_path / "two"]
    sinks = [DirectorySink({"path": str(each)}) for each in stores]
    full_up = small_disk / "full"
    with pytest.raises(OSError, match="No space left"), full_up.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    told = box.deliver(sinks, "acme")
    assert len(told.problems) == 2
    assert all("the outbox cannot be written: [Errno 28]" in each for each in told.problems)
    assert not told.sinks
    assert len(box.entries()) == 1
    full_up.unlink()
    assert box.deliver(sinks, "acme", patient=True).problems == []
    assert [chain(each) for each in stores] == [[1], [1]]
    assert box.entries() == []
