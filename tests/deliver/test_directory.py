"""The sink `directory`: whole or not at all, nothing replaced, the oldest go first."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import keeping
from collector.bundle.layout import STATEMENT
from collector.deliver.series import Link, key
from collector.model import Sink, SinkRefused, SinkTaken
from collector_directory import DirectorySink, collector_sinks

KEY = "acme/20261124T020000Z/00000001-0123456789ab.zip"
DAY = 86400
ROOT = Path(__file__).parents[2]


def put(sink: DirectorySink, where: str, data: bytes, absent: bool = True) -> None:
    sink.put(where, io.BytesIO(data), hashlib.sha256(data).hexdigest(), absent)


def read(sink: DirectorySink, where: str) -> bytes:
    with sink.get(where) as file:
        return file.read()


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def sink(tmp_path: Path) -> DirectorySink:
    return DirectorySink({"path": str(tmp_path / "store"), "keep": None})


def test_it_is_a_sink(sink: DirectorySink) -> None:
    assert isinstance(sink, Sink)
    assert collector_sinks() == [DirectorySink]


def test_what_is_put_is_there(sink: DirectorySink, tmp_path: Path) -> None:
    assert sink.head(KEY) is None
    put(sink, KEY, b"bundle")
    assert sink.head(KEY) == 6
    with sink.get(KEY) as file:
        assert file.read() == b"bundle"
    assert (
        list(sink.list("acme/"))
        == list(sink.list(""))
        == list(sink.list("acme/20261124T020000Z/0000"))
        == [KEY]
    )
    assert list(sink.list("other/")) == list(sink.list("acm/")) == []
    assert oct((tmp_path / "store" / KEY).stat().st_mode & 0o777) == "0o600"
    assert files(tmp_path / "store") == [KEY]


def test_making_one_touches_nothing(tmp_path: Path) -> None:
    sink = DirectorySink({"path": str(tmp_path / "store")})
    assert list(sink.list("acme/")) == []
    assert sink.prune("acme/", "2026-11-24T02:00:00Z") == []
    assert not (tmp_path / "store").exists()


def test_nothing_that_is_stored_is_replaced(sink: DirectorySink, tmp_path: Path) -> None:
    put(sink, KEY, b"first")
    with pytest.raises(SinkRefused, match="is there already"):
        put(sink, KEY, b"second")
    assert read(sink, KEY) == b"first"
    put(sink, KEY, b"third", absent=False)
    assert read(sink, KEY) == b"third"
    assert files(tmp_path / "store") == [KEY]


def test_of_two_at_once_one_wins_whole(sink: DirectorySink, tmp_path: Path) -> None:
    outcomes: list[str] = []
    ready = threading.Barrier(4)

    def work(letter: str) -> None:
        own = DirectorySink({"path": str(tmp_path / "store")})
        data = io.BytesIO(letter.encode() * 300_000)
        ready.wait()
        try:
            own.put(f"acme/{letter}", data, hashlib.sha256(data.getvalue()).hexdigest())
            os.link(tmp_path / "store" / "acme" / letter, tmp_path / "store" / "acme" / "one")
            outcomes.append(letter)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert read(sink, "acme/one") == outcomes[0].encode() * 300_000


def test_bytes_that_were_not_announced_are_not_stored(sink: DirectorySink, tmp_path: Path) -> None:
    with pytest.raises(SinkRefused, match="not those that were announced"):
        sink.put(KEY, io.BytesIO(b"x"), "0" * 64)
    assert files(tmp_path / "store") == []


@pytest.mark.parametrize(
    "where",
    [
        "", ".", "..", "../x", "a/../x", "/etc/x", "a//b", "a/", "/", "a/.hidden", "a b", "a\nb", "a\0b",
        "-x", "é", "a/" * 10 + "a", "x" * 201, "C:\\x", "a/~",
    ],
)  # fmt: skip
def test_odd_keys_are_refused_before_anything_is_touched(
    sink: DirectorySink, tmp_path: Path, where: str
) -> None:
    for call in (
        lambda: put(sink, where, b"x"),
        lambda: sink.get(where),
        lambda: sink.head(where),
    ):
        with pytest.raises(SinkRefused, match="is no key"):
            call()
    assert not (tmp_path / "store").exists()


def test_a_missing_key_is_file_not_found(sink: DirectorySink) -> None:
    with pytest.raises(FileNotFoundError):
        sink.get(KEY)


def test_a_folder_that_is_a_file_is_an_oserror_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(OSError, match="store"):
        put(DirectorySink({"path": str(tmp_path / "store")}), KEY, b"x")


def test_a_full_disk_leaves_no_half_file_and_says_so(small_disk: Path) -> None:
    sink = DirectorySink({"path": str(small_disk)})
    with pytest.raises(OSError) as caught:
        put(sink, KEY, b"x" * (2 << 20))
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert "00000001-0123456789ab.zip" in str(caught.value)
    assert str(small_disk) in str(caught.value)
    assert files(small_disk) == []
    put(sink, KEY, b"x" * 1000)
    assert sink.head(KEY) == 1000


def test_a_file_system_without_hard_links_works_too(
    sink: DirectorySink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    put(sink, KEY, b"first")
    with pytest.raises(SinkRefused, match="is there already"):
        put(sink, KEY, b"second")
    assert read(sink, KEY) == b"first"
    assert files(tmp_path / "store") == [KEY]


KILLED = """
import hashlib, io, os, signal, sys
from collector_directory import DirectorySink

class Dying(io.BytesIO):
    def read(self, size=-1):
        if self.tell() > 3 << 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)

DirectorySink({"path": sys.argv[1]}).put(sys.argv[2], Dying(b"x" * (8 << 20)), "0" * 64)
"""


def test_a_killed_put_leaves_nothing_under_the_key_and_the_next_one_clears_up(
    sink: DirectorySink, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    done = subprocess.run([sys.executable, "-c", KILLED, str(store), KEY], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(files(store)) == 1  # what it had written, beside its place
    assert sink.head(KEY) is None
    assert list(sink.list("")) == []
    put(sink, KEY, b"whole")
    assert files(store) == [KEY]


def filled(folder: Path, bundle: Any, days: list[int], keep: float, series: str = "acme") -> DirectorySink:
    sink = DirectorySink({"path": str(folder), "keep": keep})
    for sequence, day in enumerate(days, 1):
        link = Link("2026-11-24T02:00:00Z", sequence, None)
        path, full = bundle(folder.parent / "b.zip", link, day)
        put(sink, key(series, link, full), path.read_bytes())
    return sink


def numbers(sink: DirectorySink, series: str = "acme") -> list[int]:
    return [int(each.split("/")[2][:8]) for each in sink.list(f"{series}/")]


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_statement_lies_where_it_is_looked_for() -> None:
    assert keeping._STATEMENT == STATEMENT
    schema = json.loads((ROOT / "docs" / "schemas" / "statement.json").read_text())
    predicate = schema["properties"]["predicate"]
    assert "as_of" in predicate["required"]


def test_what_is_older_than_asked_goes_and_is_named(
    tmp_path: Path, bundle: Any, as_of: Callable[[int], datetime]
) -> None:
    sink = filled(tmp_path / "store", bundle, [0, 1, 2, 3], keep=2 * DAY)
    before = list(sink.list(""))
    assert list(sink.prune("acme/", text(as_of(3)))) == before[:1]
    assert numbers(sink) == [2, 3, 4]
    assert sink.prune("acme/", text(as_of(3))) == []


def test_the_time_of_files_does_not_count(
    tmp_path: Path, bundle: Any, as_of: Callable[[int], datetime]
) -> None:
    sink = filled(tmp_path / "store", bundle, [0, 1, 2], keep=5 * DAY)
    for each in sink.list(""):
        os.utime(tmp_path / "store" / each, (0, 0))
    assert sink.prune("acme/", text(as_of(3))) == []


def test_the_newest_of_each_series_stays_however_old(
    tmp_path: Path, bundle: Any, as_of: Callable[[int], datetime]
) -> None:
    filled(tmp_path / "store", bundle, [0, 1], keep=DAY, series="other")
    sink = filled(tmp_path / "store", bundle, [0, 1, 2], keep=DAY)
    sink.prune("", text(as_of(900)))
    assert numbers(sink) == [3]
    assert numbers(sink, "other") == [2]


def test_only_the_series_that_was_named_is_pruned(
    tmp_path: Path, bundle: Any, as_of: Callable[[int], datetime]
) -> None:
    filled(tmp_path / "store", bundle, [0, 1], keep=DAY, series="other")
    sink = filled(tmp_path / "store", bundle, [0, 1], keep=DAY)
    sink.prune("acme/", text(as_of(900)))
    assert numbers(sink, "other") == [1, 2]


def test_stamps_go_with_their_bundle_and_are_no_newest_bundle(
    tmp_path: Path, bundle: Any, as_of: Callable[[int], datetime]
) -> None:
    sink = filled(tmp_path / "store", bundle, [0, 1], keep=DAY)
    old, new = sink.list("")
    for each in (old, new):
        put(sink, each.removesuffix("zip") + "authority.tsr", b"stamp")
        put(sink, each.removesuffix("zip") + "sigstore.json", b"{}")
    gone = sink.prune("acme/", text(as_of(900)))
    assert len(gone) == 3
    assert sorted(sink.list("")) == sorted(
        [new, new.removesuffix("zip") + "authority.tsr", new.removesuffix("zip") + "sigstore.json"]
    )


def test_without_a_limit_everything_stays(
    tmp_path: Path, bundle: Any, as_of: Callable[[int], datetime]
) -> None:
    filled(tmp_path / "store", bundle, [0, 1, 2], keep=DAY)
    assert DirectorySink({"path": str(tmp_path / "store")}).prune("acme/", text(as_of(900))) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(st.integers(0, 9) | st.none(), min_size=1, max_size=7),
    keep=st.integers(1, 6),
    now=st.integers(0, 20),
)
def test_pruning_makes_no_hole_and_spares_what_is_young(
    tmp_path_factory: pytest.TempPathFactory,
    bundle: Any,
    as_of: Callable[[int], datetime],
    days: list[int | None],
    keep: int,
    now: int,
) -> None:
    """`None`: a bundle that cannot be read."""
    store = tmp_path_factory.mktemp("prune") / "store"
    sink = filled(store, bundle, [day or 0 for day in days], keep=keep * DAY)
    for number, name in enumerate(sink.list("")):
        if days[number] is None:
            (store / name).write_bytes(b"PK\x05\x06 broken")
    sink.prune("acme/", text(as_of(now)))
    left = numbers(sink)
    assert left == list(range(left[0], len(days) + 1))
    gone = days[: left[0] - 1]
    assert all(day is None or day < now - keep for day in gone)
    assert not gone or gone[-1] is not None


def test_two_that_store_one_key_at_once_leave_it_whole_and_the_later_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (DirectorySink({"path": str(tmp_path)}) for _ in range(2))
    link = os.link

    def late(made: Path, path: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        with ThreadPoolExecutor(1) as other:
            other.submit(put, two, KEY, b"bundle").result()
        link(made, path)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(SinkTaken):
        put(one, KEY, b"bundle")
    assert files(tmp_path) == [KEY]
    assert read(one, KEY) == b"bundle"
