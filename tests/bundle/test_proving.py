"""Proving beside choosing: the same lines, proofs and errors, whatever happens to the second process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import merkle
from collector.bundle import disclose as disclosing
from collector.bundle import layout, proofs
from collector.bundle.archive import Archive
from collector.bundle.disclose import disclose
from collector.bundle.proofs import Choose, spill
from collector.bundle.proving import Proving
from collector.bundle.seal import SealedBundle
from collector.bundle.selection import Asked
from collector.lines import LineWriter
from collector.model import CollectorError, VerifyError

Seals = Callable[[str], SealedBundle]

NEVER = 1 << 62


def every(step: int) -> Choose:
    """Takes one line in so many, counted over all few lines that it is asked about."""
    seen = 0

    def choose(lines: list[bytes]) -> list[int]:
        nonlocal seen
        seen += len(lines)
        return [at for at in range(len(lines)) if (seen - len(lines) + at) % step == 0]

    return choose


def shown(bundle: Path, folder: Path, worth_it: int, step: int) -> bytes:
    """What is disclosed of every file of lines."""
    folder.mkdir()
    with Archive(bundle) as archive, Proving(archive, folder, worth_it) as proving:
        assert (proving._second.process is None) == (worth_it == NEVER)
        names = [each.name for each in archive.members if layout.holds_lines(each.name)]
        spills = [proving.spill(name, 7, every(step)) for name in names]
        found = b"".join(piece for each in spills for piece in each.pieces())
    assert len(found) == sum(each.length for each in spills)
    return found


@pytest.mark.parametrize("step", [1, 3, 1500, 4000])
def test_a_second_process_proves_what_this_one_does(sealed: Seals, tmp_path: Path, step: int) -> None:
    alone = shown(sealed("ed").path, tmp_path / "alone", NEVER, step)
    assert shown(sealed("ed").path, tmp_path / "beside", 0, step) == alone
    assert b'"member":"findings.jsonl.gz"' in alone


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 2100), data=st.data())
def test_paths_of_any_lines_lead_to_the_root(
    tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with LineWriter(folder / "lines", b"k" * 32) as writer:
        for number in range(count):
            writer.write(b'{"check":"%d"' % number)
    root = writer.close().root
    taken = data.draw(st.sets(st.integers(0, count - 1), max_size=60) if count else st.just(set()))
    before = 0

    def choose(lines: list[bytes]) -> Sequence[int]:
        nonlocal before
        before += len(lines)
        return [at for at in range(len(lines)) if before - len(lines) + at in taken]

    with (folder / "lines").open("rb") as file:
        made = spill(file, "ledger.jsonl.gz", count, choose, folder)
    assert (made.root, made.size) == (root.hex(), count)
    climber, climbed = merkle.Climber(count, root), []
    for line in map(json.loads, b"".join(made.pieces()).splitlines()):
        path = [bytes.fromhex(each) for each in line["path"]]
        assert climber.proves(line["line"].encode(), line["index"], path)
        climbed.append(line["index"])
    assert climbed == sorted(taken)


def test_large_lines_wait_on_disk_and_come_out_the_same(
    sealed: Seals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = shown(sealed("ed").path, tmp_path / "usual", NEVER, 2)
    monkeypatch.setattr(proofs, "_WAITING", 1000)
    assert shown(sealed("ed").path, tmp_path / "aside", NEVER, 2) == usual


def test_a_second_process_that_is_killed_is_said_and_nothing_is_written(
    sealed: Seals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Proving] = []

    def killed(archive: Archive, folder: Path) -> Proving:
        made.append(Proving(archive, folder, worth_it=0))
        assert made[0]._second.process is not None
        made[0]._second.process.kill()
        return made[0]

    monkeypatch.setattr(disclosing, "Proving", killed)
    with pytest.raises(CollectorError, match="was ended: nothing is disclosed; try again"):
        disclose(sealed("ed").path, Asked(records=("host_user-1",)), tmp_path / "part.zip")
    assert made
    assert not list(tmp_path.iterdir())


def test_it_does_not_outlive_a_choice_that_fails(sealed: Seals, tmp_path: Path) -> None:
    def choose(_: list[bytes]) -> list[int]:
        raise VerifyError("not chosen")

    with (
        Archive(sealed("ed").path) as archive,
        pytest.raises(VerifyError, match="not chosen"),
        Proving(archive, tmp_path, worth_it=0) as proving,
    ):
        proving.spill(layout.FINDINGS, 1, choose)
    assert proving._second.process is not None
    assert proving._second.process.returncode is not None


def test_the_error_is_the_same_with_it(sealed: Seals, tmp_path: Path, forger: Any) -> None:
    members = dict(forger.members(sealed("ed").path))
    name = layout.FINDINGS
    path = forger.archive([*((each, b"[" if each == name else data) for each, data in members.items())])
    said = []
    for worth_it in (0, NEVER):
        with (
            pytest.raises(VerifyError, match="not gzip") as caught,
            Archive(path) as archive,
            Proving(archive, tmp_path, worth_it) as proving,
        ):
            (tmp_path / name).unlink(missing_ok=True)
            proving.spill(name, 1, every(1))
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_disk_that_cannot_be_written_is_said(sealed: Seals, tmp_path: Path) -> None:
    with (
        Archive(sealed("ed").path) as archive,
        Proving(archive, tmp_path / "none", worth_it=0) as proving,
        pytest.raises(FileNotFoundError),
    ):
        proving.spill(layout.FINDINGS, 1, every(1))


@pytest.mark.parametrize("lines", [1, 20_000])
def test_a_bundle_that_another_is_renamed_over_meanwhile_is_not_disclosed_from(
    sealed: Seals, forger: Any, tmp_path: Path, lines: int
) -> None:
    """The second process opens the path again; what it read is held against what was chosen from."""
    path = tmp_path / "bundle.zip"
    shutil.copyfile(sealed("ed").path, path)
    other = forger.gzip(b'{"check":"a"}\n' * lines)
    members = forger.members(path)
    forged = forger.archive([(each, other if each == layout.FINDINGS else data) for each, data in members])
    with Archive(path) as archive:
        forged.replace(path)
        with (
            Proving(archive, tmp_path, worth_it=0) as proving,
            pytest.raises(VerifyError, match="changed while it was disclosed"),
        ):
            proving.spill(layout.FINDINGS, 3000, every(1))
