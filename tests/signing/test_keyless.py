"""Signing without a key of one's own: a Fulcio on the loopback certifies, our verifier and cosign verify."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from collector.bundle.identity import PublicKey
from collector.bundle.keyless import Identity, check_certified
from collector.bundle.roots import Roots, roots_in
from collector.bundle.statement import PREDICATE_TYPE
from collector.model import ConfigError
from collector_signing import Sigstore

ISSUER = "https://token.actions.example"
SUBJECT = "https://git.example/acme/audit/.github/workflows/nightly.yml@refs/heads/main"
TOKEN = "eyJhbGciOi.payload.signature"
COSIGN = os.environ.get("COSIGN") or shutil.which("cosign")
HERE = Path(__file__).parent


class Site:
    """A machine that signs with certified keys, and an auditor's trust file beside it."""

    def __init__(self, machine: Any, fulcio: Any, url: str, tsa: Any) -> None:
        self.machine, self.fulcio, self.url, self.tsa = machine, fulcio, url, tsa
        self.home: Path = machine.home
        self.fulcio.tokens[TOKEN] = (ISSUER, SUBJECT)
        (self.home / "token").write_text(TOKEN + "\n")
        self.configure(stamped=True)

    def configure(self, *, stamped: bool) -> None:
        stamp = f'[[stamp]]\nname = "tsa"\nurl = "{self.tsa.url}"\n'
        stamp += f'certificates = ["{self.tsa.folder}/root.pem"]\n'
        (self.home / "collector.toml").write_text(
            '[[source]]\nuse = "program"\nfolder = "program"\n[sign]\nuse = "sigstore"\n'
            f'token_file = "token"\nfulcio = "{self.url}"\n{stamp if stamped else ""}'
        )

    def run(self) -> Path:
        ran = self.machine("run", "--quiet")
        assert ran.returncode in (0, 3), ran.stderr
        return next((self.home / "state/evidence").rglob("*.zip"))

    def trust(self, *, root: Any = None, authority: Any = None, **more: str) -> Path:
        path = self.home / "auditor.toml"
        (self.home / "trusted_root.json").write_text(json.dumps(root or self.fulcio.trusted_root()))
        lines = {"name": "nightly", "issuer": ISSUER, "subject": SUBJECT, "root": "trusted_root.json"} | more
        table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items() if key != "revoked")
        table += f"revoked = {more['revoked']}\n" if "revoked" in more else ""
        clock = authority or self.tsa
        stamps = f'[[authority]]\nname = "clock"\nfile = "{clock.folder}/root.pem"\n'
        path.write_text(f"[[identity]]\n{table}{stamps}")
        return path

    def verify(self, bundle: Path, **more: Any) -> str:
        """ "" if it verifies, else why not."""
        done = self.machine("verify", bundle, "--trust", self.trust(**more), "--output", "json")
        (found,) = json.loads(done.stdout)["bundles"] if done.stdout else ({"verified": False},)
        assert found["verified"] == (done.returncode == 0)
        return "" if found["verified"] else str(found.get("error") or found) + done.stderr


@pytest.fixture
def site(machine: Any, fulcio: Any, serve: Any, stamper: Callable[..., Any]) -> Site:
    return Site(machine, fulcio, serve(fulcio.handler()), stamper())


def test_a_run_is_verified_by_the_name_that_it_was_certified_for(site: Site) -> None:
    bundle = site.run()
    assert site.verify(bundle) == ""
    assert site.verify(bundle, root=site.fulcio.trusted_root(logs=False)) == ""
    assert "signature valid, signer unknown" in site.verify(bundle, subject=SUBJECT + "x")
    assert "signature valid, signer unknown" in site.verify(bundle, issuer=ISSUER + "x")
    assert "revoked since" in site.verify(bundle, revoked='{ at = 2020-01-01T00:00:00Z, reason = "left" }')
    assert site.verify(bundle, revoked='{ at = 2999-01-01T00:00:00Z, reason = "later" }') == ""
    listed = site.machine("keys", "list", "--trust", site.trust())
    assert SUBJECT.split("/")[2] in listed.stdout
    assert "an [[identity]] table" in " ".join(listed.stdout.split())


def test_without_a_trusted_stamp_the_name_counts_for_nothing(site: Site, stamper: Callable[..., Any]) -> None:
    said = site.verify(site.run(), authority=stamper("foreign"))
    assert "no stamp by a trusted authority shows" in said


def test_nothing_is_collected_where_no_authority_is_configured(site: Site) -> None:
    site.configure(stamped=False)
    ran = site.machine("run")
    assert ran.returncode == 2
    assert "[[stamp]]" in ran.stderr
    assert not (site.home / "state/evidence").exists()


def test_a_stamp_that_fails_is_told_with_the_moment_until_which_one_counts(site: Site) -> None:
    site.tsa.mode = "down"
    ran = site.machine("run", "--output", "json")
    assert "a stamp that comes later does not count" in ran.stdout
    site.tsa.mode = "good"
    assert site.machine("deliver").returncode == 0
    assert site.verify(next((site.home / "state/evidence").rglob("*.zip"))) == ""  # it came in time


@pytest.mark.skipif(COSIGN is None, reason="cosign is not here (Debian 13 has it)")
def test_cosign_verifies_name_log_and_time(site: Site) -> None:
    bundle = site.run()
    printed = site.machine("keys", "trusted-root", "--trust", site.trust())
    (site.home / "root.json").write_text(printed.stdout)
    for name in ("statement.sigstore.json", "plan.json"):
        unzipped = subprocess.run(["unzip", "-p", bundle, name], capture_output=True, check=True)
        (site.home / name).write_bytes(unzipped.stdout)

    def cosign(issuer: str = ISSUER, subject: str = SUBJECT) -> tuple[int, str]:
        words = [
            *(str(COSIGN), "verify-blob-attestation", "--bundle", "statement.sigstore.json"),
            *("--new-bundle-format", "--type", PREDICATE_TYPE, "--certificate-identity", subject),
            *("--certificate-oidc-issuer", issuer, "--trusted-root", "root.json"),
            *("--use-signed-timestamps", "--insecure-ignore-tlog", "plan.json"),
        ]
        done = subprocess.run(words, cwd=site.home, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    assert cosign()[0] == 0, cosign()[1]
    assert cosign(subject=SUBJECT + "x")[0] != 0
    assert cosign(issuer=ISSUER + "x")[0] != 0
    other = json.loads(printed.stdout)
    other["ctlogs"] = []
    (site.home / "root.json").write_text(json.dumps(other))
    assert cosign()[0] != 0


@pytest.mark.skipif(COSIGN is None, reason="cosign is not here (Debian 13 has it)")
def test_a_trusted_root_that_cosign_writes_is_read(site: Site) -> None:
    chain = b"".join(each.public_bytes(Encoding.PEM) for each in (site.fulcio.intermediate, site.fulcio.root))
    (site.home / "chain.pem").write_bytes(chain)
    log = site.fulcio.log.public_key()
    (site.home / "log.pem").write_bytes(log.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    words = ["trusted-root", "create", "--certificate-chain", "chain.pem", "--ctfe-key", "log.pem"]
    words += ["--ctfe-start-time", "2020-01-01T00:00:00Z", "--out", "made.json"]
    subprocess.run([str(COSIGN), *words], cwd=site.home, check=True, capture_output=True, timeout=60)
    assert site.verify(site.run(), root=json.loads((site.home / "made.json").read_bytes())) == ""


def test_the_script_verifies_with_the_key_of_the_certificate(site: Site) -> None:
    """As docs/signing.md says, with OpenSSL alone."""
    bundle = site.run()
    page = (HERE.parents[1] / "docs/signing.md").read_text()
    (steps,) = [each.split("```")[0] for each in page.split("```sh\n")[1:] if "signer.crt" in each]
    shutil.copyfile(bundle, site.home / "bundle.zip")
    shutil.copyfile(HERE.parents[1] / "docs/verify.sh", site.home / "verify.sh")
    shutil.copyfile(site.tsa.folder / "root.pem", site.home / "tsa.pem")
    for name, each in (("root.pem", site.fulcio.root), ("between.pem", site.fulcio.intermediate)):
        (site.home / name).write_bytes(each.public_bytes(Encoding.PEM))
    done = subprocess.run(["sh", "-eu", "-c", steps], cwd=site.home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert SUBJECT in done.stdout
    assert "signer.crt: OK" in done.stdout
    assert "verified: " in done.stdout


@dataclasses.dataclass
class Case:
    """A certificate that verifies, and what it is held against."""

    certificates: list[str]
    key: PublicKey
    identity: Identity
    moment: datetime

    def verdict(self) -> str:
        try:
            check_certified(self.identity, self.certificates, self.key, self.moment)
        except ValueError as error:
            assert "\n" not in str(error)
            return str(error)
        return ""


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def public(key: ec.EllipticCurvePrivateKey) -> PublicKey:
    data = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey.from_pem(data.decode())


@pytest.fixture
def case(fulcio: Any) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    made = fulcio.certify(key.public_key(), ISSUER, SUBJECT)
    roots = roots_in(json.dumps(fulcio.trusted_root()).encode(), "root")
    identity = Identity("nightly", ISSUER, SUBJECT, roots)
    return Case([pem(made), pem(fulcio.intermediate)], public(key), identity, datetime.now(UTC))


def test_a_certificate_counts_for_its_key_its_name_and_its_minutes_alone(case: Case, fulcio: Any) -> None:
    assert case.verdict() == ""
    replace = dataclasses.replace
    assert replace(case, certificates=case.certificates[:1]).verdict() == ""  # the trusted root has the rest
    early, late = (case.moment + timedelta(minutes=each) for each in (-10, 10))
    assert "was valid from" in replace(case, moment=late).verdict()
    assert "was valid from" in replace(case, moment=early).verdict()
    assert replace(case, moment=case.moment - timedelta(minutes=4)).verdict() == ""  # clocks differ
    stranger = ec.generate_private_key(ec.SECP256R1())
    assert replace(case, key=public(stranger)).verdict() == "its certificate is for another key"
    for bad in ("x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        assert "cannot be read" in replace(case, certificates=[bad]).verdict()
        assert "cannot be read" in replace(case, certificates=[case.certificates[0], bad]).verdict()

    def other(**more: Any) -> str:
        made = fulcio.certify(stranger.public_key(), ISSUER, SUBJECT, **more)
        return replace(case, certificates=[pem(made)], key=public(stranger)).verdict()

    assert other() == ""
    assert other(by=stranger) == "its certificate leads to no authority of the trusted root"
    assert "leads to no" in other(use=x509.ExtendedKeyUsageOID.SERVER_AUTH)
    assert "no log of the trusted root" in other(logged=False)
    mail = fulcio.certify(stranger.public_key(), ISSUER, "ana@acme.example")
    found = replace(case, certificates=[pem(mail)], key=public(stranger))
    assert "ana@acme.example" in found.verdict()
    named = dataclasses.replace(case.identity, subject="ana@acme.example")
    assert replace(found, identity=named).verdict() == ""


def test_an_intermediate_that_is_no_authority_or_anothers_proves_nothing(case: Case, fulcio: Any) -> None:
    """A certificate for code must not certify others; one between must lead to a root of the reader."""
    user, victim = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    own = fulcio.certify(user.public_key(), ISSUER, "eve@acme.example")
    forged = fulcio.certify(victim.public_key(), ISSUER, SUBJECT, by=user)
    found = dataclasses.replace(case, certificates=[pem(forged), pem(own)], key=public(victim))
    assert "leads to no authority" in found.verdict()
    fake = fulcio.authority("between", user, "root", user)
    found = dataclasses.replace(case, certificates=[pem(forged), pem(fake)], key=public(victim))
    assert "leads to no authority" in found.verdict()


def test_authorities_and_logs_count_within_their_times(case: Case, fulcio: Any) -> None:
    root = fulcio.trusted_root()

    def verdict(value: Any) -> str:
        roots = roots_in(json.dumps(value).encode(), "root")
        return dataclasses.replace(case, identity=dataclasses.replace(case.identity, roots=roots)).verdict()

    assert verdict(root) == ""
    root["certificateAuthorities"][0]["validFor"]["end"] = "2020-01-01T00:00:00Z"
    assert "no authority for the moment" in verdict(root)
    root = fulcio.trusted_root()
    root["ctlogs"][0]["publicKey"]["validFor"]["start"] = "2999-01-01T00:00:00Z"
    assert "no log of the trusted root" in verdict(root)
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    root = fulcio.trusted_root()
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    root["ctlogs"][0]["publicKey"]["rawBytes"] = base64.b64encode(data).decode()
    assert "no log of the trusted root" in verdict(root)


@pytest.mark.parametrize(
    "bad", [b"", b"[]", b"{}", b'{"certificateAuthorities":[]}', b'{"certificateAuthorities":3}']
)
def test_what_is_no_trusted_root_is_one_line(bad: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^trust\.toml:3: .*trusted root"):
        roots_in(bad, "trust.toml:3")


def test_a_certificate_of_the_public_fulcio_verifies_by_sigstores_own_root() -> None:
    """One that a public project signed a release with, and the trusted root that `sigstore` brings along."""
    from importlib.resources import files

    (folder,) = [each for each in files("sigstore._store").iterdir() if each.name.endswith("sigstore.dev")]
    roots = roots_in(folder.joinpath("trusted_root.json").read_bytes(), "root")
    text = (HERE / "fulcio-public.pem").read_text()
    signer = x509.load_pem_x509_certificate(text.encode())
    data = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (subject,) = signer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    identity = Identity("x", "https://token.actions.githubusercontent.com", subject.value, roots)
    moment = datetime(2025, 2, 4, 20, 40, tzinfo=UTC)
    found = Case([text], PublicKey.from_pem(data.decode()), identity, moment)
    assert found.verdict() == ""
    assert "was valid from" in dataclasses.replace(found, moment=moment + timedelta(minutes=6)).verdict()
    first = Roots(roots.authorities, dict(list(roots.logs.items())[:1]))
    without = dataclasses.replace(identity, roots=first)
    assert "no log of the trusted root" in dataclasses.replace(found, identity=without).verdict()


def complaint(settings: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        Sigstore(settings).signer()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_keeps_a_signer_from_its_certificate_is_one_line_without_the_token(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"token_file": str(site.home / "token"), "fulcio": site.url}
    assert Sigstore(good).signer()
    for mode, said in {
        "another key": "it certifies another key",
        "nothing": "holds no certificates",
        "huge": "HTTP status 200",
        "no json": "HTTP status 200",
    }.items():
        site.fulcio.mode = mode
        assert said in complaint(good)
    (site.home / "token").write_text("eyJother.token.x")
    assert "HTTP status 401: There was an error processing the identity token …" in complaint(good)
    (site.home / "token").write_text("")
    assert "holds no identity token" in complaint(good)
    assert "No such file" in complaint({**good, "token_file": str(site.home / "none")})
    (site.home / "token").write_text(TOKEN)
    assert "cannot be reached" in complaint({**good, "fulcio": "http://127.0.0.1:1"})
    assert "must be https://" in complaint({**good, "fulcio": "http://fulcio.example"})
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "GITLAB_", "BUILDKITE", "CIRCLE", "ACTIONS_")):
            monkeypatch.delenv(name)
    assert "name a token_file" in complaint({"fulcio": site.url}) or "token" in complaint(
        {"fulcio": site.url}
    )


def test_the_token_is_shown_and_no_password_of_netrc(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a password in place of the token nothing would be certified."""
    (tmp_path / "netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    settings = {"token_file": str(site.home / "token"), "fulcio": site.url}
    assert Sigstore(settings).signer().certificates  # type: ignore[attr-defined]


def test_a_signer_is_renewed_when_it_is_no_longer_young(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate of a run that collected for an hour is not the one that it began with."""
    import collector_signing.fulcio as module

    signer: Any = Sigstore({"token_file": str(site.home / "token"), "fulcio": site.url}).signer()
    assert signer.renewed() is signer
    monkeypatch.setattr(module, "_YOUNG", timedelta(0))
    new = signer.renewed()
    assert new.public_key != signer.public_key
    assert new.certificates != signer.certificates
    assert site.fulcio.asked == 2
