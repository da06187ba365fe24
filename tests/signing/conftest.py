"""Real keepers of keys: SoftHSM, GnuPG, and servers on the loopback that speak as key services do."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ROOT = Path(__file__).parents[2]
MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def done(*words: Any, **environ: str) -> str:
    made = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, env=os.environ | environ, timeout=120
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Settings for a SoftHSM token with the keys `ed`, `ec`, `p384` and `rsa`, and twice `twin`."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    for label in ("one", "two"):
        done(
            "softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345", "--pin", "98765"
        )
    kinds = {
        "ed": "EC:edwards25519",
        "ec": "EC:prime256v1",
        "p384": "EC:secp384r1",
        "rsa": "rsa:2048",
    }
    tool = ["pkcs11-tool", "--module", MODULE, "-l", "--pin", "98765", "--token-label", "one"]
    for number, (label, kind) in enumerate([*kinds.items(), ("twin", kinds["ec"]), ("twin", kinds["ec"])]):
        done(*tool, "--keypairgen", "--key-type", kind, "--label", label, "--id", f"0{number}")
    yield {"module": MODULE, "token": "one", "pin": "98765"}
    patch.undo()


@pytest.fixture
def connected(tmp_path: Path) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a TLS connection that has been set up and carries nothing yet."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=here"
    done(*new.split(), "-keyout", key, "-out", certificate)
    trusting, serving = (ssl.SSLContext(each) for each in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER))
    trusting.load_verify_locations(certificate)
    serving.load_cert_chain(certificate, key)
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(one, two, server_hostname="here")
    server = serving.wrap_bio(two, one, server_side=True)
    for each in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            each.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        client.read(1)  # what a server sends after it, tickets, is read
    return client, server


@dataclass
class Keyring:
    """A GnuPG home with keys by name."""

    home: Path
    keys: dict[str, str]


@pytest.fixture(scope="session")
def keyring() -> Iterator[Keyring]:
    """Keys `ec` (no passphrase), `sealed` (passphrase `horse %41`), `ed` and `old` (expired)."""
    home = Path("/tmp") / f"gpg-{os.getpid()}"  # short: the path of a socket has 107 bytes
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback"]
    keys = {}
    for name, passphrase, kind, more in (
        ("ec", "", "nistp256", ["never"]),
        ("sealed", "horse %41", "nistp256", ["never"]),
        ("ed", "", "ed25519", ["never"]),
        ("old", "", "nistp256", ["20200102T000000"]),
    ):
        then = ["--faked-system-time", "20200101T000000!"] if name == "old" else []
        done(*gpg, *then, "--passphrase", passphrase, "--quick-generate-key", name, kind, "sign", *more)
        listed = done(*gpg, "--with-colons", "--list-keys", f"={name}")
        keys[name] = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    done("gpgconf", "--homedir", home, "--kill", "gpg-agent")  # it remembers passphrases
    yield Keyring(home, keys)
    done("gpgconf", "--homedir", home, "--kill", "all")
    shutil.rmtree(home)


@pytest.fixture
def serve() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], str]]:
    """Starts a server on the loopback, and stops it again."""
    servers: list[ThreadingHTTPServer] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class _Json(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...

    def body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")

    def give(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def kms() -> type[BaseHTTPRequestHandler]:
    """AWS KMS as its reference describes GetPublicKey and Sign with a digest, around one real key."""
    key = ec.generate_private_key(ec.SECP256R1())

    class Kms(_Json):
        def do_POST(self) -> None:
            asked = self.body()
            operation = self.headers["X-Amz-Target"].split(".")[1]
            if operation == "GetPublicKey":
                public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                self.give(
                    {
                        "KeyId": "arn:aws:kms:eu-west-1:1111:key/k",
                        "PublicKey": base64.b64encode(public).decode(),
                        "KeySpec": "ECC_NIST_P256",
                        "SigningAlgorithms": ["ECDSA_SHA_256"],
                    }
                )
                return
            assert asked["KeyId"] == "arn:aws:kms:eu-west-1:1111:key/k"
            assert (asked["MessageType"], asked["SigningAlgorithm"]) == ("DIGEST", "ECDSA_SHA_256")
            digest = base64.b64decode(asked["Message"])
            made = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
            self.give({"KeyId": asked["KeyId"], "Signature": base64.b64encode(made).decode()})

    return Kms


@pytest.fixture
def transit() -> type[BaseHTTPRequestHandler]:
    """Vault's transit engine as its API page describes it, around a real key of two versions."""
    versions = {"1": ed25519.Ed25519PrivateKey.generate(), "2": ed25519.Ed25519PrivateKey.generate()}

    class Transit(_Json):
        def do_GET(self) -> None:
            if self.headers["X-Vault-Token"] != "t0ken":
                self.give({"errors": ["permission denied"]}, 403)
                return
            assert self.path == "/v1/transit/keys/evidence"
            raw = {name: key.public_key().public_bytes_raw() for name, key in versions.items()}
            keys = {name: {"public_key": base64.b64encode(each).decode()} for name, each in raw.items()}
            self.give({"data": {"keys": keys, "type": "ed25519"}})

        def do_POST(self) -> None:
            asked = self.body()
            assert self.path.startswith("/v1/transit/sign/evidence")
            made = versions[str(asked["key_version"])].sign(base64.b64decode(asked["input"]))
            signature = f"vault:v{asked['key_version']}:{base64.b64encode(made).decode()}"
            self.give({"data": {"signature": signature}})

        do_PUT = do_POST  # noqa: N815 - the server looks for this name

    return Transit


@pytest.fixture
def moto() -> Iterator[str]:
    """moto's server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS credentials that open nothing."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)


@dataclass
class Machine:
    """Runs the command line in a home of its own."""

    home: Path

    def __call__(self, *words: Any, **environ: str) -> subprocess.CompletedProcess[str]:
        program = "from collector.cli import main; main()"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COLLECTOR_", "XDG_"))
        }
        own = {
            "HOME": str(self.home),
            "COLLECTOR_CONFIG_DIR": str(self.home / "config"),
            "COLLECTOR_STATE": str(self.home / "state"),
        }
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, words)],
            cwd=self.home,
            env=kept | own | environ,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a small programme to audit, and secret.key."""
    (tmp_path / "program").mkdir()
    (tmp_path / "program/policy.md").write_text("# Nothing\n")
    made = Machine(tmp_path)
    assert made("init", "--quiet").returncode == 0
    return made


@pytest.fixture
def openssl(tmp_path: Path) -> Callable[[bytes, bytes, str], bool]:
    """Whether OpenSSL verifies a signature over data with a public key in PEM."""

    def verifies(signature: bytes, data: bytes, pem: str) -> bool:
        for name, content in (("sig", signature), ("data", data), ("key", pem.encode())):
            (tmp_path / f"openssl.{name}").write_bytes(content)
        key, sig, file = (str(tmp_path / f"openssl.{name}") for name in ("key", "sig", "data"))
        edwards = len(signature) == 64
        words = (
            ["pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", file, "-sigfile", sig]
            if edwards
            else ["dgst", "-sha256", "-verify", key, "-signature", sig, file]
        )
        return subprocess.run(["openssl", *words], capture_output=True).returncode == 0

    return verifies


@pytest.fixture
def pae() -> Callable[[bytes], bytes]:
    """What DSSE signs (its protocol page, v1.0.2), written down a second time."""

    def made(payload: bytes) -> bytes:
        kind = b"application/vnd.in-toto+json"
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)

    return made


@pytest.fixture
def digest() -> Callable[[bytes], bytes]:
    return lambda data: hashlib.sha256(data).digest()


def _der(tag: int, data: bytes) -> bytes:
    size = bytes([len(data)]) if len(data) < 128 else b"\x81" + bytes([len(data)])
    return bytes([tag]) + size + data


class Fulcio:
    """An authority that certifies by the page of Fulcio's API (v2), with a log of certificates (RFC 6962).

    Attributes:
        tokens: identity token to issuer and subject.
        minutes: how long its certificates are valid.
        mode: "good", or one of the ways to misbehave that `_answer` names.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, tuple[str, str]] = {}
        self.minutes, self.mode, self.asked = 10, "good", 0
        self.now = datetime.now(UTC) - timedelta(seconds=5)
        self.top, self.between, self.log = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.root = self.authority("root", self.top, "root", self.top)
        self.intermediate = self.authority("between", self.between, "root", self.top)

    def authority(
        self, subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey
    ) -> x509.Certificate:
        usage = dict.fromkeys(
            "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
            " crl_sign encipher_only decipher_only".split(),
            False,
        )
        builder = self._builder(subject, key.public_key(), issuer, timedelta(days=300))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        return builder.add_extension(x509.KeyUsage(key_cert_sign=True, **usage), True).sign(
            by, hashes.SHA256()
        )

    def _builder(self, subject: str, key: Any, issuer: str, lasts: timedelta) -> x509.CertificateBuilder:
        def name(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)] if text else [])

        builder = x509.CertificateBuilder(name(issuer), name(subject), key, x509.random_serial_number())
        return builder.not_valid_before(self.now).not_valid_after(self.now + lasts)

    def certify(
        self,
        key: Any,
        issuer: str,
        subject: str,
        *,
        use: x509.ObjectIdentifier = x509.ExtendedKeyUsageOID.CODE_SIGNING,
        by: ec.EllipticCurvePrivateKey | None = None,
        logged: bool = True,
    ) -> x509.Certificate:
        """A certificate for a public key; `by` another key than the authority's is a forger."""
        kind = x509.RFC822Name if "://" not in subject else x509.UniformResourceIdentifier
        builder = self._builder("", key, "between", timedelta(minutes=self.minutes))
        builder = builder.add_extension(x509.SubjectAlternativeName([kind(subject)]), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), False)
        provider = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
        builder = builder.add_extension(
            x509.UnrecognizedExtension(provider, _der(12, issuer.encode())), False
        )
        signing = by or self.between
        if not logged:
            return builder.sign(signing, hashes.SHA256())
        promise = self._promise(builder.sign(signing, hashes.SHA256()).tbs_certificate_bytes)
        place = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
        return builder.add_extension(
            x509.UnrecognizedExtension(place, _der(4, len(promise).to_bytes(2, "big") + promise)), False
        ).sign(signing, hashes.SHA256())

    @property
    def log_id(self) -> bytes:
        return hashlib.sha256(self._public(self.log)).digest()

    def _public(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def _promise(self, body: bytes) -> bytes:
        """A SignedCertificateTimestamp over a certificate to come (RFC 6962, section 3.2)."""
        at = int(self.now.timestamp() * 1000).to_bytes(8, "big")
        entry = hashlib.sha256(self._public(self.between)).digest() + len(body).to_bytes(3, "big") + body
        made = self.log.sign(b"\0\0" + at + b"\0\1" + entry + b"\0\0", ec.ECDSA(hashes.SHA256()))
        sct = b"\0" + self.log_id + at + b"\0\0" + b"\x04\x03" + len(made).to_bytes(2, "big") + made
        return len(sct).to_bytes(2, "big") + sct

    def trusted_root(self, *, logs: bool = True) -> dict[str, Any]:
        """What a verifier is given, in Sigstore's form."""
        span = {"validFor": {"start": f"{self.now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"}}

        def raw(data: bytes) -> dict[str, str]:
            return {"rawBytes": base64.b64encode(data).decode()}

        chain = [raw(each.public_bytes(Encoding.DER)) for each in (self.intermediate, self.root)]
        details = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", **span}
        log = {
            "baseUrl": "https://log.example/",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {**raw(self._public(self.log)), **details},
            "logId": {"keyId": base64.b64encode(self.log_id).decode()},
        }
        authority = {
            "subject": {"organization": "test", "commonName": "root"},
            "uri": "https://fulcio.example/",
            "certChain": {"certificates": chain},
            **span,
        }
        value = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "certificateAuthorities": [authority],
            "ctlogs": [log] if logs else [],
            "tlogs": [],
            "timestampAuthorities": [],
        }
        return dict(json.loads(json.dumps(value)))  # no part of it stands in two places

    def handler(self) -> type[BaseHTTPRequestHandler]:
        fulcio = self

        class Handler(_Json):
            def do_POST(self) -> None:
                assert self.path == "/api/v2/signingCert"
                fulcio.asked += 1
                self.give(*fulcio._answer(self.headers["Authorization"], self.body()))

        return Handler

    def _answer(self, authorization: str, asked: Any) -> tuple[Any, int]:
        token = authorization.removeprefix("Bearer ")
        if token not in self.tokens:
            return {"code": 16, "message": f"There was an error processing the identity token {token}"}, 401
        request = x509.load_pem_x509_csr(base64.b64decode(asked["certificateSigningRequest"]))
        assert request.is_signature_valid
        key: Any = request.public_key()
        match self.mode:
            case "another key":
                key = self.log.public_key()
            case "nothing":
                return {}, 200
            case "huge":
                return {"x": "x" * (1 << 20)}, 200
            case "no json":
                return "x", 200
        chain = [self.certify(key, *self.tokens[token]), self.intermediate, self.root]
        pems = [each.public_bytes(Encoding.PEM).decode() for each in chain]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}, 201


@pytest.fixture
def fulcio() -> Fulcio:
    return Fulcio()
