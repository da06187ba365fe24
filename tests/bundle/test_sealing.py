"""A bundle that was sealed verifies, and other tools read it."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Signer

from collector.bundle import layout
from collector.bundle.open import open_bundle
from collector.bundle.seal import SealedBundle, seal
from collector.bundle.trust import Trust, trust_of_key
from collector.bundle.verify import verify
from collector.canonical import file_sha256
from collector.model import ConfigError

Signers = Callable[[str], Signer]
Seals = Callable[[str], SealedBundle]
Run = tuple[Path, dict[str, Any]]


@pytest.mark.parametrize("name", ["ed", "ec"])
def test_a_sealed_bundle_verifies_with_its_key(sealed: Seals, keys: Path, name: str) -> None:
    bundle = sealed(name)
    verified = verify(bundle.path, trust_of_key(keys / f"{name}.pub.pem"))
    assert verified.digest == bundle.digest
    assert verified.signers[0].key.fingerprint == bundle.fingerprint
    assert verified.lines == 30 + 9 + 2 + 1 + 3000 + 5
    assert verified.predicate["counts"] == {"host_user": 9, "host_mount": 1, "host_login": 1}
    assert verified.predicate["gaps"] == {"host_user": {"denied": 1}, "host_mount": {"timeout": 1}}


def test_the_same_run_gives_the_same_bytes(run: Run, signer: Signers, tmp_path: Path) -> None:
    folder, facts = run
    for out in ("a.zip", "b.zip"):
        seal(folder, facts, signer("ed"), tmp_path / out)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_members_stand_in_the_order_of_the_format(sealed: Seals) -> None:
    with zipfile.ZipFile(sealed("ed").path) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    folders = [name.split("/")[0] for name in names]
    assert list(dict.fromkeys(folders)) == [
        "plan.json",
        "kinds.json",
        "ledger.jsonl.gz",
        "segments",
        "derived",
        "mappings",
        "exceptions.json",
        "findings.jsonl.gz",
        "controls.jsonl.gz",
        "README.txt",
        "verify.sh",
        "statement.dsse.json",
        "statement.sigstore.json",
    ]
    segments = [name for name in names if name.startswith("segments/")]
    assert segments == sorted(segments, reverse=True)


def test_other_programs_unpack_what_was_packed(sealed: Seals, run: Run, tmp_path: Path) -> None:
    folder, _ = run
    subprocess.run(["unzip", "-q", sealed("ed").path, "-d", tmp_path / "out"], check=True)
    for path in folder.rglob("*"):
        if path.is_file():
            assert file_sha256(path) == file_sha256(tmp_path / "out" / path.relative_to(folder))


def test_opening_gives_the_run_folder_back(sealed: Seals, run: Run, tmp_path: Path) -> None:
    folder, _ = run
    opened = open_bundle(sealed("ed").path, tmp_path / "opened")
    for path in folder.rglob("*"):
        if path.is_file():
            assert file_sha256(path) == file_sha256(opened / path.relative_to(folder))
    assert opened.stat().st_mode & 0o077 == 0


def test_a_bundle_never_replaces_what_is_there(run: Run, signer: Signers, tmp_path: Path) -> None:
    (tmp_path / "out.zip").write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        seal(*run, signer("ed"), tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == b"kept"
    assert not list(tmp_path.glob(".bundle-*"))


def test_a_failed_seal_leaves_nothing_behind(run: Run, signer: Signers, tmp_path: Path) -> None:
    folder, facts = run
    for broken in ({**facts, "as_of": "yesterday"}, {**facts, "mood": "good"}):
        with pytest.raises(ValueError, match=r"predicate\.(as_of|mood)"):
            seal(folder, broken, signer("ed"), tmp_path / "out.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_with_too_much_or_too_little_is_refused(run: Run, signer: Signers, tmp_path: Path) -> None:
    folder, facts = run
    (folder / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes.txt belongs in no bundle"):
        seal(folder, facts, signer("ed"), tmp_path / "out.zip")
    (folder / "notes.txt").unlink()
    (folder / "kinds.json").unlink()
    with pytest.raises(ValueError, match=r"kinds.json is not there"):
        seal(folder, facts, signer("ed"), tmp_path / "out.zip")
    (folder / "kinds.json").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match=r"neither a file nor a folder"):
        seal(folder, facts, signer("ed"), tmp_path / "out.zip")


def test_what_would_be_too_many_files_to_verify_is_not_sealed(
    run: Run, signer: Signers, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "MAX_MEMBERS", 31)
    with pytest.raises(
        ConfigError, match="2 targets answered, which makes 12 files, and a bundle has at most 11"
    ):
        seal(*run, signer("ed"), tmp_path / "out.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    monkeypatch.setattr(layout, "MAX_MEMBERS", 32)
    assert verify(seal(*run, signer("ed"), tmp_path / "out.zip").path, trust).members == 14


def test_what_would_be_too_large_to_verify_is_not_sealed(run: Run, signer: Signers, tmp_path: Path) -> None:
    os.truncate(run[0] / "plan.json", (64 << 20) + 1)
    with pytest.raises(ConfigError, match=r"plan\.json: 67108865 bytes, at most 67108864 in one bundle"):
        seal(*run, signer("ed"), tmp_path / "out.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_verifying_says_that_the_time_is_the_signers_word(sealed: Seals, trust: Trust) -> None:
    (warning,) = verify(sealed("ed").path, trust).warnings
    assert "not stamped" in warning
