"""The built-in signer: it signs with what the file holds, and says what is wrong with any other file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from securesystemslib.signer import Signature

from collector.bundle.identity import PublicKey
from collector.bundle.trust import trust_of_key
from collector.hookspecs import API
from collector.model import ConfigError
from collector_file import FileSigner, api, collector_signers


def complaint(path: Path | None) -> str:
    with pytest.raises(ConfigError) as caught:
        FileSigner({"key": path}).signer()
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
    wanted = "must be an Ed25519 or ECDSA P-256 private key in PEM, without a passphrase"
    for content in (b"", b"SECRET", (keys / "ed.pub.pem").read_bytes()):
        bad.write_bytes(content)
        assert complaint(bad) == f"{bad}: {wanted}"
    for words in (
        ["RSA"],
        ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        ["ED25519", "-aes256", "-pass", "pass:x"],
    ):
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", *words, "-out", bad], check=True, capture_output=True
        )
        assert wanted in complaint(bad)


def test_a_key_that_others_may_read_is_refused(keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "open.pem"
    path.write_bytes((keys / "ed.pem").read_bytes())
    path.chmod(0o640)
    assert "must be 0600" in complaint(path)


def test_the_plugin_gives_one_signer_of_the_contracts_version() -> None:
    assert api == API
    assert [signer.name for signer in collector_signers()] == ["file"]
    assert [option.required for option in FileSigner.options] == [False]
