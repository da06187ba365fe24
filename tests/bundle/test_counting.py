"""Counting beside hashing: the same answers and errors as without, whatever happens to the second process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.bundle import verify as verifying
from collector.bundle.archive import Archive
from collector.bundle.counting import Counting, count
from collector.bundle.seal import SealedBundle
from collector.bundle.trust import Trust
from collector.bundle.verify import verify
from collector.model import VerifyError

Seals = Callable[[str], SealedBundle]


def _always(monkeypatch: pytest.MonkeyPatch) -> list[Counting]:
    """From now on every verification counts in a second process; those that did."""
    made: list[Counting] = []

    def counting(archive: Archive) -> Counting:
        made.append(Counting(archive, worth_it=0))
        return made[-1]

    monkeypatch.setattr(verifying, "Counting", counting)
    return made


def test_a_second_process_counts_what_this_one_does(sealed: Seals) -> None:
    with Archive(sealed("ed").path) as archive, Counting(archive, worth_it=0) as counting:
        assert counting._second.process is not None
        assert counting.result() == count(archive)
        assert counting._second.process.returncode == 0


def test_a_small_bundle_starts_no_process(sealed: Seals) -> None:
    with Archive(sealed("ed").path) as archive, Counting(archive) as counting:
        assert counting._second.process is None
        assert counting.result().counts == sealed("ed").counts


def test_one_that_is_killed_costs_time_and_not_the_verdict(sealed: Seals) -> None:
    with Archive(sealed("ed").path) as archive, Counting(archive, worth_it=0) as counting:
        assert counting._second.process is not None
        counting._second.process.kill()
        assert counting.result() == count(archive)


def test_it_does_not_outlive_a_verification_that_fails(sealed: Seals) -> None:
    with (
        Archive(sealed("ed").path) as archive,
        pytest.raises(VerifyError),
        Counting(archive, worth_it=0) as counting,
    ):
        raise VerifyError("something else")
    assert counting._second.process is not None
    assert counting._second.process.returncode is not None


def test_a_verification_is_the_same_with_it(
    sealed: Seals, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _always(monkeypatch)
    assert verify(sealed("ed").path, trust).lines == 3047
    assert len(made) == 1


@pytest.mark.parametrize(
    "line", [b'{"record":null}', b'{"gap":{"kind":"a"}}', b"[1]", b'{"record":{"kind":1,"gaps":[]}}']
)
def test_the_error_is_the_same_with_it(
    sealed: Seals, trust: Trust, forger: Any, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    members = forger.members(sealed("ed").path)
    name = next(name for name, _ in members if name.startswith("segments/"))
    bad = [(each, forger.gzip(line + b"\n") if each == name else data) for each, data in members]
    path = forger.signed(bad)
    said = []
    for _ in range(2):
        with pytest.raises(VerifyError, match="not of this format") as caught:
            verify(path, trust)
        said.append(str(caught.value))
        _always(monkeypatch)
    assert said[0] == said[1]


def test_a_bundle_that_another_is_renamed_over_meanwhile_is_not_verified(
    sealed: Seals, trust: Trust, forger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process opens the path again; what it read is held against what is signed."""
    path = tmp_path / "bundle.zip"
    shutil.copyfile(sealed("ed").path, path)
    members = forger.members(sealed("ed").path)
    name = next(name for name, _ in members if name.startswith("segments/"))
    other = forger.archive(
        [
            (each, forger.gzip(b'{"gap":{"kind":"host_user","reason":"off"}}\n') if each == name else data)
            for each, data in members
        ]
    )

    def counting(archive: Archive) -> Counting:
        other.replace(path)
        return Counting(archive, worth_it=0)

    monkeypatch.setattr(verifying, "Counting", counting)
    with pytest.raises(VerifyError, match="changed while it was verified"):
        verify(path, trust)
