"""Trust files: what they say decides whose signature counts, and a wrong one is one clear line."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.bundle.identity import PublicKey
from collector.bundle.keypair import generate_key, public_path
from collector.bundle.seal import SealedBundle
from collector.bundle.trust import (
    Authority,
    Revocation,
    Trust,
    TrustedKey,
    load_trust,
    trust_entry,
    trust_of_key,
)
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
        (
            'revoked = { at = 2027-01-01T00:00:00Z, reason = "sold" }',
            "revoked since 2027-01-01 00:00 UTC: sold, and no stamp",
        ),
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


KEY = PublicKey("", "SHA256:x")  # its time alone is looked at
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 9), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0, minute=0, second=0)  # coarse, so that equal ones occur
)
REVOCATIONS = st.builds(Revocation, MOMENTS, st.just("sold"))
KEYS = st.builds(
    TrustedKey,
    st.just("a"),
    st.just(KEY),
    valid_from=st.none() | MOMENTS,
    valid_until=st.none() | MOMENTS,
    revoked=st.none() | REVOCATIONS,
)


@given(KEYS, REVOCATIONS, MOMENTS, MOMENTS)
def test_a_revocation_takes_nothing_from_what_was_stamped_before(
    key: TrustedKey, revoked: Revocation, signed: datetime, stamped: datetime
) -> None:
    whole = TrustedKey(key.name, KEY, "bundle", key.valid_from, key.valid_until)
    after = TrustedKey(key.name, KEY, "bundle", key.valid_from, key.valid_until, revoked)
    if stamped < revoked.at:
        assert after.refusal(signed, stamped) == whole.refusal(signed, stamped)
    else:
        assert "revoked" in after.refusal(signed, stamped)
    assert "revoked" in after.refusal(signed)


@given(KEYS, MOMENTS, MOMENTS, MOMENTS)
def test_where_there_is_a_stamp_the_signers_word_on_the_time_is_nothing(
    key: TrustedKey, one: datetime, other: datetime, stamped: datetime
) -> None:
    assert key.refusal(one, stamped) == key.refusal(other, stamped)


@given(KEYS, MOMENTS, st.none() | MOMENTS)
def test_a_key_counts_only_within_its_time(
    key: TrustedKey, signed: datetime, stamped: datetime | None
) -> None:
    moment = stamped or signed
    within = (key.valid_from or moment) <= moment <= (key.valid_until or moment)
    revoked = key.revoked is not None and (stamped is None or stamped >= key.revoked.at)
    assert (key.refusal(signed, stamped) == "") == (within and not revoked)


def test_a_stamp_at_the_moment_of_revocation_is_none_before_it() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    key = TrustedKey("a", KEY, revoked=Revocation(at, "sold"))
    assert key.refusal(at, at - timedelta(seconds=1)) == ""
    assert key.refusal(at - timedelta(days=9), at) == "the key is revoked since 2026-05-01 00:00 UTC: sold"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A root certificate in PEM, as openssl makes it."""
    folder = tmp_path_factory.mktemp("authority")
    make = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=time"]
    files = ["-keyout", folder / "k.pem", "-out", folder / "c.pem"]
    subprocess.run([*make, *files], check=True, capture_output=True)
    return (folder / "c.pem").read_bytes()


def authority(name: str = "acme") -> str:
    return f'[[authority]]\nname = "{name}"\nfile = "roots.pem"\n'


def test_authorities_are_read_from_files_beside_the_trust_file(
    keys: Path, tmp_path: Path, certificate: bytes
) -> None:
    (tmp_path / "roots.pem").write_bytes(b"# ours\n" + certificate + certificate)
    entry = trust_entry((keys / "ed.pub.pem").read_text(), "a")
    found = load_trust(trust_file(tmp_path, "stamps = 1\n" + entry + authority() + authority("b")))
    der = subprocess.run(
        ["openssl", "x509", "-outform", "DER"], input=certificate, check=True, capture_output=True
    ).stdout
    assert found.authorities == (Authority("acme", (der, der)), Authority("b", (der, der)))
    assert (found.stamps_required, found.signers) == (1, 1)


def test_a_witness_and_a_number_of_signers_can_be_asked_for(keys: Path, tmp_path: Path) -> None:
    text = trust_entry((keys / "ed.pub.pem").read_text(), "a")
    text += trust_entry((keys / "ec.pub.pem").read_text(), "b").replace('"bundle"', '"witness"')
    found = load_trust(trust_file(tmp_path, "signers = 2\n" + text))
    assert found.signers == 2
    assert [key.purpose for key in found.keys] == ["bundle", "witness"]


def test_mistakes_about_authorities_and_numbers_are_one_line(
    keys: Path, tmp_path: Path, certificate: bytes
) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(certificate)
    entry = trust_entry((keys / "ed.pub.pem").read_text(), "a")

    def said(text: str) -> str:
        return complaint(trust_file(tmp_path, text))

    assert "trust.toml:1: signers: more than there are [[key]] and [[identity]] tables" in said(
        "signers = 2\n" + entry
    )
    assert "stamps: more than there are [[authority]] tables" in said("stamps = 1\n" + entry)
    assert "from 1 to 2" in said("signers = 0\n" + entry)
    other = trust_entry((keys / "ec.pub.pem").read_text(), "b")
    for twice in (entry + other, (entry + other).replace('"bundle"', '"witness"')):
        assert 'trust.toml:1: signers: 2 need one with purpose = "bundle"' in said("signers = 2\n" + twice)
    assert "from 1 to 2" in said("signers = 3\n" + entry + other + other)
    assert "two authorities of one name" in said(entry + authority() + authority())
    assert "url" in said(entry + authority() + 'url = "http://x"\n')
    for content, what in (
        (b"", "not certificates in PEM"),
        (certificate.replace(b"BEGIN C", b"BEGIN D"), "not certificates in PEM"),
        (certificate + (keys / "ed.pem").read_bytes(), "private key"),
        (certificate + b"#" * 2**18, "larger than"),
    ):
        roots.write_bytes(content)
        assert what in said(entry + authority())
    roots.unlink()
    assert "No such file" in said(entry + authority())
    os.mkfifo(roots)
    assert "not a regular file" in said(entry + authority())


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_is_none_in_utc_is_one_line(keys: Path, tmp_path: Path, moment: str) -> None:
    entry = trust_entry((keys / "ed.pub.pem").read_text(), "a")
    said = complaint(trust_file(tmp_path, f"{entry}until = {moment}\n"))
    assert "until: no moment between the years 1 and 9999" in said
    said = complaint(trust_file(tmp_path, f'{entry}until = "{moment}"\n'))
    assert "until: must be a time such as" in said


def test_a_trust_that_nothing_can_meet_cannot_be_made() -> None:
    key = TrustedKey("a", KEY)
    for wrong in (
        lambda: Trust((key,), signers=2),
        lambda: Trust((key,), signers=0),
        lambda: Trust((key, TrustedKey("b", PublicKey("", "SHA256:y"))), signers=2),
        lambda: Trust((key,), stamps_required=1),
        lambda: Trust((key,), (Authority("a", ()), Authority("a", ()))),
    ):
        with pytest.raises(ConfigError):
            wrong()
