"""Time stamps by a real authority: what is accepted, what is not, and who else accepts it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import Signer

from collector.bundle import authority as asking
from collector.bundle.archive import Archive
from collector.bundle.authority import TimeAuthority, ask_all
from collector.bundle.seal import SealedBundle, seal
from collector.bundle.sign import parse_envelope, signatures
from collector.bundle.stamp import MAX_STAMP, check_stamp
from collector.bundle.trust import Authority, Revocation, Trust, TrustedKey, trust_of_key
from collector.bundle.verify import verify
from collector.model import ConfigError, VerifyError

Run = tuple[Path, dict[str, Any]]
Stampers = Callable[..., Any]  # tests/conftest.py
Signers = Callable[[str], Signer]
SIGNATURE = bytes(range(64))


def known(stamper: Any, name: str = "tsa", **more: Any) -> TimeAuthority:
    return TimeAuthority(name, stamper.url, stamper.certificates, **more)


def trusting(keys: Path, *stampers: Any, required: int = 0, **key: Any) -> Trust:
    trusted = dataclasses.replace(trust_of_key(keys / "ed.pub.pem").keys[0], **key)
    witness = TrustedKey("witness", trust_of_key(keys / "ec.pub.pem").keys[0].key, "witness")
    authorities = tuple(Authority(f"trusted{n}", each.certificates) for n, each in enumerate(stampers))
    return Trust((trusted, witness), authorities, required)


@pytest.fixture
def sealed_by(run: Run, signer: Signers, tmp_path: Path) -> Callable[..., SealedBundle]:
    """Seals the small run, with its calls made just now."""
    folder, facts = run
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    facts["window"] = {"from": "2020-01-01T00:00:00Z", "to": now}
    made = iter(range(9))

    def make(*authorities: TimeAuthority, witness: str | None = None) -> SealedBundle:
        out = tmp_path / f"b{next(made)}.zip"
        for name in ("README.txt", "verify.sh"):
            (folder / name).unlink(missing_ok=True)
        second = signer(witness) if witness else None
        return seal(folder, facts, signer("ed"), out, witness=second, authorities=authorities)

    return make


def test_a_stamp_is_in_the_bundle_and_counts(
    sealed_by: Any, stamper: Stampers, keys: Path, tmp_path: Path
) -> None:
    tsa = stamper()
    sealed = sealed_by(known(tsa))
    assert not sealed.unstamped
    found = verify(sealed.path, trusting(keys, tsa, required=1))
    (stamp,) = found.stamps
    assert (stamp.authority, stamp.signature, stamp.name) == ("trusted0", 0, "stamps/tsa.tsr")
    assert abs(stamp.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert found.predicate["authorities"] == ["tsa"]
    assert not found.warnings


def test_openssl_verifies_the_stamp_over_the_signature(
    sealed_by: Any, stamper: Stampers, tmp_path: Path
) -> None:
    tsa = stamper()
    with Archive(sealed_by(known(tsa)).path) as archive:
        (signature,) = signatures(parse_envelope(archive.read("statement.dsse.json")))
        (tmp_path / "sig").write_bytes(signature)
        (tmp_path / "tsr").write_bytes(archive.read("stamps/tsa.tsr"))
    done = subprocess.run(
        [
            *("openssl", "ts", "-verify", "-data", tmp_path / "sig"),
            *("-in", tmp_path / "tsr", "-CAfile", tsa.folder / "root.pem"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Verification: OK" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("down", "HTTP status 503"),
        ("huge", f"larger than {MAX_STAMP} bytes"),
        ("garbage", "not a time stamp"),
        ("redirect", "a redirect, which is not followed"),
        ("imprint", "over other bytes"),
        ("hang", "no answer"),
    ],
)
def test_a_failing_authority_leaves_the_bundle_unstamped_and_says_why(
    sealed_by: Any, stamper: Stampers, keys: Path, monkeypatch: pytest.MonkeyPatch, mode: str, why: str
) -> None:
    bad, good = stamper("bad"), stamper("good")
    bad.mode = mode
    monkeypatch.setattr(asking, "SECONDS", 1.5)
    monkeypatch.setattr(asking.TimeAuthority.stamp, "__defaults__", (1.5,))
    sealed = sealed_by(known(bad, "bad"), known(good, "good"))
    assert list(sealed.unstamped) == ["bad"]
    assert why in sealed.unstamped["bad"]
    found = verify(sealed.path, trusting(keys, bad, good))
    assert [each.name for each in found.stamps] == ["stamps/good.tsr"]
    assert found.warnings == ("not stamped by bad, which was asked",)
    with pytest.raises(VerifyError, match="stamped by 1 of the 2 trusted authorities"):
        verify(sealed.path, trusting(keys, bad, good, required=2))


def test_an_authority_that_is_not_there_is_said(stamper: Stampers) -> None:
    tsa = stamper()
    gone = known(tsa)
    tsa.stop()
    assert "cannot be reached" in ask_all([gone], [SIGNATURE]).problems["tsa"]


def test_an_answer_to_another_request_is_refused(stamper: Stampers) -> None:
    tsa = stamper()
    known(tsa).stamp(SIGNATURE)
    tsa.mode = "replay"
    with pytest.raises(ValueError, match="nonce is not ours"):
        known(tsa).stamp(SIGNATURE)


def test_a_foreign_and_an_expired_certificate_are_refused(stamper: Stampers) -> None:
    tsa, other = stamper(), stamper("other")
    with pytest.raises(ValueError, match="lead to none of those given"):
        TimeAuthority("tsa", tsa.url, other.certificates).stamp(SIGNATURE)
    with pytest.raises(ValueError, match="had run out"):
        known(stamper("old", expired=True)).stamp(SIGNATURE)


VERIFIES = """
import sys
import threading
from collector.bundle.stamp import check_stamp
signature, stamp, *certificates = map(bytes.fromhex, sys.stdin.read().split())
print(check_stamp(stamp, signature, certificates).time)
"""


def test_another_root_of_the_same_name_takes_nothing_from_a_stamp(stamper: Stampers) -> None:
    """As after a change of keys. The library hands certificates over in the order of their hashes."""
    tsa, other = stamper(between=True), stamper("other", between=True)
    given = [SIGNATURE, known(tsa).stamp(SIGNATURE), *other.certificates, *tsa.certificates]
    told = "\n".join(each.hex() for each in given)
    for seed in range(8):
        done = subprocess.run(
            [sys.executable, "-c", VERIFIES],
            input=told,
            env={"PYTHONHASHSEED": f"{seed}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_a_certificate_that_is_not_for_stamps_makes_none(stamper: Stampers) -> None:
    tsa = stamper()
    tsa.mode = "misused"
    with pytest.raises(ValueError, match="certificate is not for time stamps"):
        known(tsa).stamp(SIGNATURE)


def test_a_stamp_under_another_policy_is_refused(stamper: Stampers) -> None:
    tsa = stamper()
    assert known(tsa, policy="1.2.3.4.1").stamp(SIGNATURE)
    with pytest.raises(ValueError, match="another policy"):
        known(tsa, policy="1.2.3.4.2").stamp(SIGNATURE)


def test_a_stamp_far_from_this_machines_clock_is_refused(
    stamper: Stampers, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=2)

    monkeypatch.setattr(asking, "datetime", Later)
    with pytest.raises(ValueError, match="apart; one of them is wrong"):
        known(stamper()).stamp(SIGNATURE)


def test_a_stamp_by_an_authority_that_is_not_trusted_counts_for_nothing(
    sealed_by: Any, stamper: Stampers, keys: Path
) -> None:
    sealed = sealed_by(known(stamper()))
    found = verify(sealed.path, trusting(keys))
    assert not found.stamps
    assert found.warnings == ("stamps/tsa.tsr: by no authority of the trust file; it counts for nothing",)
    with pytest.raises(VerifyError, match="stamped by 0 of the 1 trusted"):
        verify(sealed.path, trusting(keys, stamper("other"), required=1))


def test_a_revoked_key_counts_for_what_was_stamped_before(
    sealed_by: Any, stamper: Stampers, keys: Path
) -> None:
    tsa = stamper()
    stamped, plain = sealed_by(known(tsa)), sealed_by()
    soon = Revocation(datetime.now(UTC) + timedelta(minutes=5), "sold")
    before = Revocation(datetime.now(UTC) - timedelta(days=1), "sold")
    assert verify(stamped.path, trusting(keys, tsa, revoked=soon)).stamps
    for path, trust in (
        (plain.path, trusting(keys, tsa, revoked=soon)),
        (stamped.path, trusting(keys, tsa, revoked=before)),
        (stamped.path, trusting(keys, revoked=soon)),
    ):
        with pytest.raises(VerifyError, match="revoked"):
            verify(path, trust)


def test_a_witness_signs_and_is_stamped_too(sealed_by: Any, stamper: Stampers, keys: Path) -> None:
    tsa = stamper()
    sealed = sealed_by(known(tsa), witness="ec")
    found = verify(sealed.path, trusting(keys, tsa), expected_signers=2)
    assert [each.name for each in found.signers] == ["ed.pub.pem", "witness"]
    assert {each.name for each in found.stamps} == {"stamps/tsa.tsr", "stamps/tsa.witness.tsr"}
    alone = trust_of_key(keys / "ed.pub.pem")
    assert "counts for nothing" in verify(sealed.path, alone).warnings[0]
    with pytest.raises(VerifyError, match="signed by 1 of the 2 trusted keys"):
        verify(sealed.path, alone, expected_signers=2)


def test_a_witness_signature_cannot_be_taken_away(sealed_by: Any, keys: Path, forger: Any) -> None:
    from collector.canonical import dumps, loads

    members = forger.members(sealed_by(witness="ec").path)
    envelope = loads(members[-1][1])
    envelope["signatures"].pop()
    with pytest.raises(VerifyError, match="1 signatures, where the statement names 2 signers"):
        verify(forger.archive([*members[:-1], (members[-1][0], dumps(envelope))]), trusting(keys))


def test_the_agent_is_no_witness_of_itself(sealed_by: Any) -> None:
    with pytest.raises(ConfigError, match="it must be another one"):
        sealed_by(witness="ed")


def test_a_stamp_of_another_bundle_is_refused(
    sealed_by: Any, stamper: Stampers, keys: Path, forger: Any
) -> None:
    tsa = stamper()
    one, two = (forger.members(sealed_by(known(tsa), witness=each).path) for each in (None, "ec"))
    stamp = dict(two)["stamps/tsa.tsr"]
    bad = [(name, stamp if name == "stamps/tsa.tsr" else data) for name, data in one]
    with pytest.raises(VerifyError, match=r"stamps/tsa\.tsr: not over this bundle's signature"):
        verify(forger.archive(bad), trusting(keys, tsa))


def test_a_late_stamp_is_found_beside_the_bundle(sealed_by: Any, stamper: Stampers, keys: Path) -> None:
    tsa = stamper()
    sealed = sealed_by()
    with Archive(sealed.path) as archive:
        (signature,) = signatures(parse_envelope(archive.read("statement.dsse.json")))
    beside = sealed.path.with_name(f"{sealed.path.stem}.tsa.tsr")
    beside.write_bytes(known(tsa).stamp(signature))
    assert [each.authority for each in verify(sealed.path, trusting(keys, tsa, required=1)).stamps]
    beside.write_bytes(known(tsa).stamp(signature + b"x"))
    with pytest.raises(VerifyError, match="beside the bundle: not over this bundle's signature"):
        verify(sealed.path, trusting(keys, tsa))
    beside.write_bytes(b"0" * (MAX_STAMP + 1))
    with pytest.raises(VerifyError, match="larger than"):
        verify(sealed.path, trusting(keys, tsa))


@pytest.mark.parametrize("name", ["2.tsa.tsr", "2.tsa.witness.tsr", "A.tsr", "tsa.more.witness.tsr"])
def test_the_stamp_of_a_bundle_whose_name_begins_alike_is_not_this_ones(
    sealed_by: Any, stamper: Stampers, keys: Path, name: str
) -> None:
    tsa = stamper()
    sealed = sealed_by()
    sealed.path.with_name(f"{sealed.path.stem}.{name}").write_bytes(known(tsa).stamp(b"of bundle.2.zip"))
    assert not verify(sealed.path, trusting(keys, tsa)).stamps


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_stamp_proves_nothing_or_the_same(stamper: Stampers, data: st.DataObject) -> None:
    """Hostile bytes raise ValueError and nothing else; what still verifies says the same time."""
    good, certificates = _good(stamper)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = check_stamp(bytes(bad), SIGNATURE, certificates)
    except ValueError:
        return
    assert found == check_stamp(good, SIGNATURE, certificates)


_MADE: list[tuple[bytes, tuple[bytes, ...]]] = []


def _good(stamper: Stampers) -> tuple[bytes, tuple[bytes, ...]]:
    if not _MADE:
        tsa = stamper()
        _MADE.append((known(tsa).stamp(SIGNATURE), tsa.certificates))
    return _MADE[0]


def test_no_time_that_a_statement_may_name_breaks_the_verifier(
    sealed_by: Any, run: Run, stamper: Stampers, keys: Path
) -> None:
    """Stamps are looked at before keys, and a stranger may have one of an authority that is trusted."""
    tsa = stamper()
    for year in ("0001", "9999"):
        run[1]["window"] = {"from": "0001-01-01T00:00:00Z", "to": f"{year}-12-31T23:59:59Z"}
        if year == "0001":
            run[1]["window"]["to"] = "0001-01-01T00:00:00Z"
            assert verify(sealed_by(known(tsa)).path, trusting(keys, tsa)).stamps
        else:
            with pytest.raises(VerifyError, match="before the last call"):
                verify(sealed_by(known(tsa)).path, trusting(keys, tsa))


def test_an_authority_is_shown_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most authorities speak plain HTTP, and ~/.netrc may have a `default`."""
    shown: list[str | None] = []

    class Curious(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(503)

        def log_message(self, *_: Any) -> None:
            return

    (tmp_path / "netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Curious)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        authority = TimeAuthority("curious", f"http://127.0.0.1:{server.server_port}", ())
        with pytest.raises(ValueError, match="HTTP status 503"):
            authority.stamp(b"signature")
    finally:
        server.shutdown()
        server.server_close()
    assert shown == [None]
