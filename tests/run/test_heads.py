"""Runs that have lost their state: what a store has at its head counts if we signed it, and else is told."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.bundle.excerpt import excerpt
from collector.model import VerifyError


def lose_state(machine: Any) -> None:
    shutil.rmtree(machine.home / "state" / "series")


def test_a_head_that_somebody_else_signed_is_told_and_nothing_is_chained_to_it(
    machine: Any, make_machine: Callable[[Path], Any], tmp_path: Path
) -> None:
    source = 'use = "program"\nfolder = "program"'
    machine.configure(source)
    first = Path(machine.run("--as-of", "2026-11-24T02:00:00Z")["bundle"])
    stranger = make_machine(tmp_path / "stranger")
    stranger.configure(source)
    forged = Path(stranger.run("--as-of", "2026-11-24T03:00:00Z")["bundle"])
    planted = first.parents[1] / forged.parent.name / forged.name
    planted.parent.mkdir()
    shutil.copyfile(forged, planted)
    lose_state(machine)

    done = machine("run", "--output", "json", "--as-of", "2026-11-24T04:00:00Z", "--quiet")
    assert done.returncode == 4
    assert "the newest bundle there is not ours" in done.stderr
    assert "signer unknown: SHA256:" in done.stderr
    result = json.loads(machine("run", "--output", "json", "--as-of", "2026-11-24T05:00:00Z").stdout)
    assert result["sequence"] == 2  # of the epoch that the run before began
    assert Path(result["bundle"]).is_file()
    assert "20261124T040000Z" in result["bundle"]


def test_a_head_that_a_rotated_key_signed_is_ours(machine: Any) -> None:
    machine.configure('use = "program"\nfolder = "program"')
    machine.run("--as-of", "2026-11-24T02:00:00Z")
    assert machine("keys", "rotate").returncode == 0
    lose_state(machine)
    assert machine.run("--as-of", "2026-11-24T04:00:00Z")["sequence"] == 2


def test_our_own_bundle_under_a_later_number_is_not_the_head(machine: Any) -> None:
    machine.configure('use = "program"\nfolder = "program"')
    bundle = Path(machine.run("--as-of", "2026-11-24T02:00:00Z")["bundle"])
    shutil.copyfile(bundle, bundle.with_name(bundle.name.replace("00000001-", "00000077-")))
    lose_state(machine)
    done = machine("run", "--output", "json", "--as-of", "2026-11-24T04:00:00Z")
    assert done.returncode == 4
    result = json.loads(done.stdout)
    assert result["sequence"] == 1
    assert any("belongs at " in each for each in result["problems"])


class Endless(io.RawIOBase):
    """A store's answer that has a beginning and no end."""

    def __init__(self, begin: bytes) -> None:
        self._begin = begin

    def read(self, size: int = -1, /) -> bytes:
        data, self._begin = self._begin[:size], self._begin[size:]
        return data or b"x" * size


@pytest.mark.parametrize("begin", [b"", b"PK\x03\x04", b"PK\x01\x02"])
def test_a_head_without_an_end_does_not_fill_the_disk(tmp_path: Path, begin: bytes) -> None:
    with (tmp_path / "copy").open("w+b") as out, pytest.raises(VerifyError):
        excerpt(Endless(begin), out)  # type: ignore[arg-type]  # all that is asked of a file
    assert (tmp_path / "copy").stat().st_blocks * 512 <= 257 << 20
