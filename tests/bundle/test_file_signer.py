"""The built-in signer: it signs with what the file holds, and says what is wrong with any other file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from securesystemslib.signer import Signature

from collector.bundle.identity import PublicKey
from collector.bundle.trust import trust_of_key
from collector.hookspecs import API
from collector.model import ConfigError
from collector_file import FileSigner, api, collector_signers


def complaint(path: Path | None, passphrase: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        FileSigner({"key": path, "passphrase": passphrase}).signer()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["ed", "ec"])
def test_what_it_signs_verifies_with_its_public_key(keys: Path, name: str) -> None:
    signer = FileSigner({"key": str(keys / f"{name}.pem")})
    made: Signature = signer.signer().sign(b"payload")
    signer.public_key().verify_signature(made, b"payload")
    assert PublicKey.of(signer.public_key()) == trust_of_key(keys / f"{name}.pub.pem").keys[0].key


def test_keys_that_cannot_be_used_are_named(keys: Path, tmp_path: Path) -> None:
    assert "no such key file" in complaint(tmp_path / "none.pem")
    assert "names no file" in complaint(None)
    bad = tmp_path / "bad.pem"
    bad.touch(0o600)
    wanted = "must be an Ed25519 or ECDSA P-256 private key in PEM"
    for content in (b"", b"SECRET", (keys / "ed.pub.pem").read_bytes()):
        bad.write_bytes(content)
        assert complaint(bad) == f"{bad}: {wanted}"
    for words in (
        ["RSA"],
        ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ):
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", *words, "-out", bad], check=True, capture_output=True
        )
        assert wanted in complaint(bad)


@pytest.mark.parametrize("algorithm", [["ED25519"], ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]])
def test_an_encrypted_key_opens_with_its_passphrase_alone(tmp_path: Path, algorithm: list[str]) -> None:
    path = tmp_path / "key.pem"
    secret = ["-aes256", "-pass", "pass:correct horse"]
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", *algorithm, *secret, "-out", path],
        check=True,
        capture_output=True,
    )
    path.chmod(0o600)
    signer = FileSigner({"key": path, "passphrase": "correct horse"})
    signer.public_key().verify_signature(signer.signer().sign(b"payload"), b"payload")
    assert complaint(path) == f"{path}: is encrypted; [sign] passphrase must say under what"
    wrong = complaint(path, "battery staple")
    assert wrong == f"{path}: the passphrase does not open it, or it is broken"
    path.write_bytes(path.read_bytes()[:-60])
    assert complaint(path, "correct horse") == wrong


def test_a_passphrase_for_a_plain_key_is_refused(keys: Path) -> None:
    assert "is not encrypted" in complaint(keys / "ed.pem", "x")


def test_a_torn_key_is_refused(keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "torn.pem"
    path.touch(0o600)
    whole = (keys / "ed.pem").read_bytes()
    for length in range(len(whole) - 30):  # the last line of dashes may miss its end
        path.write_bytes(whole[:length])
        assert "must be an Ed25519" in complaint(path)
    path.write_bytes(whole + b"#" * 2**16)
    assert "larger than" in complaint(path)


def test_links_folders_pipes_and_others_files_are_refused(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "link.pem").symlink_to(keys / "ed.pem")
    assert "symbolic link" in complaint(tmp_path / "link.pem")
    assert "not a regular file" in complaint(tmp_path)
    os.mkfifo(tmp_path / "pipe.pem", 0o600)
    assert "not a regular file" in complaint(tmp_path / "pipe.pem")


@pytest.mark.needs_root
def test_a_key_of_somebody_else_is_refused(keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pem"
    path.write_bytes((keys / "ed.pem").read_bytes())
    path.chmod(0o600)
    os.chown(path, 12345, 12345)
    assert "belongs to uid 12345" in complaint(path)


def test_a_key_that_others_may_read_is_refused(keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "open.pem"
    path.write_bytes((keys / "ed.pem").read_bytes())
    path.chmod(0o640)
    assert "must be 0600" in complaint(path)


def test_the_plugin_gives_one_signer_of_the_contracts_version() -> None:
    assert api == API
    assert [signer.name for signer in collector_signers()] == ["file"]
    assert [option.required for option in FileSigner.options] == [False, False]
