"""Trying a store: each promise that is broken is found, and nothing else is said to be broken."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from collector.deliver.canary import BACK, DIGEST, DUPLICATE, TAKES, check
from collector.model import Enforced, SinkRefused, SinkUnreadable
from collector_directory import DirectorySink


class Replacing(DirectorySink):
    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        super().put(key, file, sha256, absent=False)


class Careless(DirectorySink):
    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        import hashlib

        data = file.read()
        super().put(key, io.BytesIO(data), hashlib.sha256(data).hexdigest(), absent)


class Lying(DirectorySink):
    def get(self, key: str) -> IO[bytes]:
        with super().get(key) as file:
            return io.BytesIO(file.read()[:-1])


class WriteOnly(DirectorySink):
    def head(self, key: str) -> int | None:
        raise SinkUnreadable("no")

    def get(self, key: str) -> IO[bytes]:
        raise SinkUnreadable("no")

    def list(self, prefix: str) -> Iterator[str]:
        raise SinkUnreadable("no")


class Refusing(DirectorySink):
    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        raise SinkRefused("these credentials may not write")


class Down(DirectorySink):
    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


class Buggy(DirectorySink):
    def check(self, key: str) -> list[Enforced]:
        raise KeyError("a bug")


def missed(sink: DirectorySink) -> list[str]:
    return [each.what for each in check(sink, "canary").found if each.promised and each.held is not True]


def test_a_good_store_holds_and_is_left_as_it_was(tmp_path: Path) -> None:
    sink = DirectorySink({"path": str(tmp_path / "store")})
    found = check(sink, "canary")
    assert found.holds
    assert [each.held for each in found.found if each.promised] == [True] * 4
    assert list((tmp_path / "store").rglob("*")) == []


def test_what_a_store_cannot_promise_is_said(tmp_path: Path) -> None:
    found = check(DirectorySink({"path": str(tmp_path / "store")}), "canary")
    (unlocked,) = [each for each in found.found if not each.promised]
    assert unlocked.held is False
    assert "locks" in unlocked.detail


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (Replacing, [DUPLICATE, BACK]),
        (Careless, [DIGEST]),
        (Lying, [BACK]),
        (WriteOnly, []),
        (Refusing, [TAKES]),
        (Down, [TAKES]),
        (Buggy, ["what this kind of store promises beside"]),
    ],
)
def test_each_broken_promise_is_found_and_no_other(
    tmp_path: Path, kind: type[DirectorySink], broken: list[str]
) -> None:
    sink = kind({"path": str(tmp_path / "store")})
    assert missed(sink) == broken
    assert check(sink, "again").holds == (not broken)


def test_a_store_that_is_down_has_broken_nothing_but_could_not_be_tried(tmp_path: Path) -> None:
    (found,) = check(Down({"path": str(tmp_path)}), "canary").found
    assert (found.held, found.promised) == (None, True)
    assert "Connection refused" in found.detail


def test_not_being_able_to_read_is_said_and_breaks_nothing(tmp_path: Path) -> None:
    found = check(WriteOnly({"path": str(tmp_path)}), "canary")
    assert [each.held for each in found.found if each.what == BACK] == [None]
    assert found.holds
