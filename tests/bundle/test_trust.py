"""Trust files: what they say decides whose signature counts, and a wrong one is one clear line."""

from __future__ import annotations

import base64
import hashlib
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.bundle.seal import SealedBundle
from collector.bundle.trust import generate_key, load_trust, public_path, trust_entry, trust_of_key
from collector.bundle.verify import verify
from collector.model import ConfigError, VerifyError

Seals = Callable[[str], SealedBundle]


def trust_file(folder: Path, text: str) -> Path:
    path = folder / "trust.toml"
    path.write_text(text)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_trust(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_entry_that_init_writes_is_trusted(sealed: Seals, keys: Path, tmp_path: Path) -> None:
    name = 'host "web1" \\ ünï'
    text = trust_entry((keys / "ed.pub.pem").read_text(), name)
    trust = load_trust(trust_file(tmp_path, text + trust_entry((keys / "ec.pub.pem").read_text(), "other")))
    assert trust.keys[0].name == name
    assert verify(sealed("ed").path, trust).signers[0].name == name
    assert verify(sealed("ec").path, trust).signers[0].name == "other"


def test_a_fingerprint_is_that_of_the_der_that_openssl_writes(keys: Path) -> None:
    for name in ("ed", "ec"):
        path = keys / f"{name}.pub.pem"
        der = subprocess.run(
            ["openssl", "pkey", "-pubin", "-in", path, "-outform", "DER"], check=True, capture_output=True
        ).stdout
        digest = base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
        assert trust_of_key(path).keys[0].key.fingerprint == f"SHA256:{digest}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("from = 2026-11-25T00:00:00Z", "signed before 2026-11-25 00:00 UTC"),
        ("until = 2026-11-24T02:00:00Z", "signed after 2026-11-24 02:00 UTC"),
        ('revoked = { at = 2027-01-01T00:00:00Z, reason = "sold" }', "revoked since 2027-01-01: sold"),
    ],
)
def test_a_key_outside_its_time_does_not_count(
    sealed: Seals, keys: Path, tmp_path: Path, more: str, said: str
) -> None:
    entry = trust_entry((keys / "ed.pub.pem").read_text(), "web1") + more + "\n"
    with pytest.raises(VerifyError, match=said):
        verify(sealed("ed").path, load_trust(trust_file(tmp_path, entry)))


def test_a_key_within_its_time_counts(sealed: Seals, keys: Path, tmp_path: Path) -> None:
    entry = trust_entry((keys / "ed.pub.pem").read_text(), "web1")
    entry += "from = 2026-11-24T03:00:00+01:00\nuntil = 2026-11-25T00:00:00Z\n"
    assert verify(sealed("ed").path, load_trust(trust_file(tmp_path, entry))).lines


def test_a_key_may_lie_in_a_file_beside_the_trust_file(sealed: Seals, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes((keys / "ed.pub.pem").read_bytes())
    trust = load_trust(trust_file(tmp_path, '[[key]]\nname = "a"\nfile = "a.pem"\n'))
    assert verify(sealed("ed").path, trust).lines


def test_each_mistake_has_its_line(keys: Path, tmp_path: Path) -> None:
    ed = (keys / "ed.pub.pem").read_text()
    entry = trust_entry(ed, "a")

    def said(text: str) -> str:
        return complaint(trust_file(tmp_path, text))

    assert "no key" in said("")
    assert "either `key`" in said('[[key]]\nname = "a"\n')
    assert "either `key`" in said(entry + 'file = "x"\n')
    assert "trust.toml:4: " in said(entry.replace("bundle", "bundles"))
    assert "purpos" in said(entry + 'purpos = "bundle"\n')
    assert "not a public key" in said(entry.replace("BEGIN PUBLIC", "BEGIN PUBLIK"))
    assert "private key" in said(entry.replace("PUBLIC KEY", "PRIVATE KEY"))
    assert "same key" in said(entry + trust_entry(ed, "b"))
    assert "same key" in said(entry + entry)
    assert "No such file" in said('[[key]]\nname = "a"\nfile = "none.pem"\n')
    assert "must be a time" in said(entry + 'from = "soon"\n')
    assert "must say when" in said(entry + 'revoked = { reason = "x" }\n')
    assert "reason" in said(entry + "revoked = { at = 2027-01-01T00:00:00Z }\n")


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    for words in (["RSA", "rsa_keygen_bits:2048"], ["EC", "ec_paramgen_curve:P-384"]):
        private = tmp_path / "k.pem"
        make = ["openssl", "genpkey", "-quiet", "-algorithm", words[0], "-pkeyopt", words[1], "-out", private]
        subprocess.run([each for each in make if each != "-quiet"], check=True, capture_output=True)
        public = tmp_path / "k.pub.pem"
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        with pytest.raises(ConfigError, match="allowed are Ed25519 or ECDSA P-256"):
            trust_of_key(public)


def test_a_new_key_pair_is_private_and_replaces_nothing(tmp_path: Path) -> None:
    made = generate_key(tmp_path / "key.pem")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert public_path(tmp_path / "key.pem") == tmp_path / "key.pub.pem"
    assert trust_of_key(tmp_path / "key.pub.pem").keys[0].key == made
    kept = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    for gone in ("key.pem", "key.pub.pem"):
        with pytest.raises(FileExistsError):
            generate_key(tmp_path / "key.pem")
        assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == kept
        (tmp_path / gone).unlink()
        kept = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
