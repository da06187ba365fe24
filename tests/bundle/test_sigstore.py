"""The Sigstore bundle, as those read it who are not us: cosign and the `sigstore` package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from securesystemslib.signer import Signer

from collector.bundle.archive import Archive
from collector.bundle.authority import TimeAuthority
from collector.bundle.seal import seal
from collector.bundle.sign import parse_envelope, signatures
from collector.bundle.statement import PREDICATE_TYPE
from collector.bundle.trust import Authority, Trust, trust_of_key
from collector.bundle.trusted_root import trusted_root
from collector.bundle.verify import verify
from collector.model import ConfigError, VerifyError

COSIGN = os.environ.get("COSIGN") or shutil.which("cosign")
needs_cosign = pytest.mark.skipif(
    COSIGN is None, reason="cosign is not here (Debian 13 has it): the bundle is read by `sigstore` alone"
)

Unpacked = tuple[Path, Any]


@pytest.fixture(params=["ed", "ec"])
def unpacked(
    request: pytest.FixtureRequest,
    run: tuple[Path, dict[str, Any]],
    signer: Callable[[str], Signer],
    keys: Path,
    stamper: Callable[..., Any],
    tmp_path: Path,
) -> Unpacked:
    """A stamped bundle with a witness, unpacked, with `key.pem` and `root.json` beside; and the authority."""
    folder, facts = run
    facts["window"] = {"from": "2020-01-01T00:00:00Z", "to": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    tsa = stamper()
    asked = [TimeAuthority("tsa", tsa.url, tsa.certificates)]
    other = "ec" if request.param == "ed" else "ed"
    seal(
        folder,
        facts,
        signer(request.param),
        tmp_path / "bundle.zip",
        witness=signer(other),
        authorities=asked,
    )
    out = tmp_path / "out"
    with Archive(tmp_path / "bundle.zip") as archive:
        for member in archive.members:
            path = out / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member.name))
    shutil.copyfile(keys / f"{request.param}.pub.pem", out / "key.pem")
    trust = Trust(trust_of_key(out / "key.pem").keys, (Authority("tsa", tsa.certificates),))
    (out / "root.json").write_bytes(trusted_root(trust))
    return out, tsa


@needs_cosign
def test_cosign_takes_chains_of_several_certificates_and_several_roots(
    run: tuple[Path, dict[str, Any]],
    signer: Callable[[str], Signer],
    keys: Path,
    stamper: Callable[..., Any],
    tmp_path: Path,
) -> None:
    folder, facts = run
    facts["window"] = {"from": "2020-01-01T00:00:00Z", "to": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    tsa, foreign = stamper(between=True), stamper("foreign")
    asked = [TimeAuthority("tsa", tsa.url, tsa.certificates)]
    assert not seal(folder, facts, signer("ed"), tmp_path / "bundle.zip", authorities=asked).unstamped
    root, between = tsa.certificates
    stray = stamper("stray", between=True).certificates[1]  # it is called as ours, and by another root
    leaf = tsa.leaf.public_bytes(Encoding.DER)
    with Archive(tmp_path / "bundle.zip") as archive:
        for name in ("statement.sigstore.json", "plan.json"):
            (tmp_path / name).write_bytes(archive.read(name))
    shutil.copyfile(keys / "ed.pub.pem", tmp_path / "key.pem")
    chains = {
        (root, between): True,
        (between, root): True,
        (leaf, between, root): True,
        (*foreign.certificates, root, between): True,
        (root,): False,
        (root, stray): False,
        foreign.certificates: False,
    }
    for certificates, good in chains.items():
        trust = Trust(trust_of_key(tmp_path / "key.pem").keys, (Authority("x", certificates),))
        (tmp_path / "root.json").write_bytes(trusted_root(trust))
        done = cosign(tmp_path)
        assert (done.returncode == 0) == good, done.stderr
        stamped = verify(tmp_path / "bundle.zip", trust).stamps
        assert bool(stamped) == good


def test_a_trusted_root_needs_an_authority_and_its_root(trust: Trust, stamper: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"no \[\[authority\]\]"):
        trusted_root(trust)
    tsa = stamper(between=True)
    with pytest.raises(ConfigError, match="authority tsa has no root certificate"):
        trusted_root(Trust(trust.keys, (Authority("tsa", tsa.certificates[1:]),)))


def cosign(out: Path, blob: str = "plan.json") -> subprocess.CompletedProcess[str]:
    words = [
        *(str(COSIGN), "verify-blob-attestation", "--bundle", "statement.sigstore.json"),
        *("--key", "key.pem", "--new-bundle-format", "--type", PREDICATE_TYPE),
        *("--trusted-root", "root.json", "--use-signed-timestamps", "--insecure-ignore-tlog", blob),
    ]
    return subprocess.run(words, cwd=out, capture_output=True, text=True, timeout=60, check=False)


@needs_cosign
def test_cosign_verifies_key_time_and_any_member(unpacked: Unpacked) -> None:
    out, _ = unpacked
    for blob in ("plan.json", "findings.jsonl.gz", "verify.sh"):
        done = cosign(out, blob)
        assert done.returncode == 0, done.stderr
        assert "Verified OK" in done.stderr + done.stdout


@needs_cosign
def test_cosign_refuses_another_file_key_authority_or_statement(unpacked: Unpacked, keys: Path) -> None:
    out, _ = unpacked
    assert cosign(out).returncode == 0
    assert "does not match any digest" in cosign(out, "root.json").stderr
    bundle = json.loads((out / "statement.sigstore.json").read_bytes())

    def refused() -> str:
        done = cosign(out)
        assert done.returncode != 0
        return done.stderr

    stamps = bundle["verificationMaterial"].pop("timestampVerificationData")
    (out / "statement.sigstore.json").write_text(json.dumps(bundle))
    assert "threshold not met for verified signed timestamps" in refused()
    bundle["verificationMaterial"]["timestampVerificationData"] = stamps
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(b"acme", b"acne")).decode()
    (out / "statement.sigstore.json").write_text(json.dumps(bundle))
    assert "accepted signatures do not match" in refused()
    (out / "key.pem").write_bytes((keys / "stranger.pub.pem").read_bytes())
    refused()


def test_the_sigstore_package_reads_envelope_and_stamps(unpacked: Unpacked) -> None:
    from sigstore.dsse import Envelope
    from sigstore_models.bundle.v1 import Bundle

    out, _ = unpacked
    read = Bundle.from_json((out / "statement.sigstore.json").read_bytes())
    assert read.dsse_envelope is not None
    envelope = parse_envelope((out / "statement.dsse.json").read_bytes())
    theirs = Envelope(read.dsse_envelope)
    assert theirs.signature == signatures(envelope)[0]
    assert theirs.pae() == envelope.pae()
    dated = read.verification_material.timestamp_verification_data
    assert dated is not None
    (stamp,) = dated.rfc3161_timestamps
    assert stamp.signed_timestamp == (out / "stamps/tsa.tsr").read_bytes()


def test_a_sigstore_bundle_that_says_more_or_other_is_refused(
    sealed: Callable[[str], Any], trust: Trust, forger: Any
) -> None:
    path = sealed("ed").path
    members = forger.members(path)
    with Archive(path) as archive:
        good = archive.read("statement.sigstore.json")
    assert verify(forger.archive([*members, ("statement.sigstore.json", good)]), trust)
    changed = {
        "a byte more": good + b"\n",
        "another key": good.replace(b'"hint":"SHA256:', b'"hint":"SHA256:x'),
        "more space": good.replace(b":", b": ", 1),
        "an entry more": good.replace(b'"tlogEntries":[]', b'"tlogEntries":[{}]'),
    }
    for bad in changed.values():
        assert bad != good
        with pytest.raises(VerifyError, match=r"statement\.sigstore\.json: not what the statement"):
            verify(forger.archive([*members, ("statement.sigstore.json", bad)]), trust)
