"""A real time stamp authority: OpenSSL's, behind a small HTTP server on this machine, that can misbehave."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # how long a test takes says nothing of what it tests
settings.load_profile("patient")

# Without `certs`: OpenSSL writes that set unsorted, which is no DER.
_CONFIG = """
[tsa]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    by: ec.EllipticCurvePrivateKey,
    extensions: list[x509.ExtensionType],
    since: datetime,
    until: datetime,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(_name(issuer), _name(subject), key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(since)
    builder = builder.not_valid_after(until)
    for each in extensions:
        builder = builder.add_extension(each, critical=True)
    return builder.sign(by, hashes.SHA256())


class Stamper:
    """A time stamp authority.

    Attributes:
        mode: what it does: "good", or one of the ways to misbehave that `_answer` names.
        asked: how often it was asked.
        between: the certificate between its root and its own, if there is one.
    """

    def __init__(self, folder: Path, *, expired: bool = False, between: bool = False) -> None:
        self.folder, self.mode, self.asked = folder, "good", 0
        self.hold = threading.Event()
        self._lock, self._last = threading.Lock(), b""
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        since, until = now - timedelta(days=30), now + timedelta(days=-1 if expired else 30)
        root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self._root = root
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self.root = _certificate("root", root, "root", root, [authority], since, now + timedelta(days=30))
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        issuer, by, self.between = "root", root, None
        if between:
            issuer, by = "between", ec.generate_private_key(ec.SECP256R1())
            self.between = _certificate("between", by, "root", root, [authority], since, until)
        leaf = _certificate("tsa", key, issuer, by, [usage], since, until)
        (folder / "root.pem").write_bytes(self.root.public_bytes(Encoding.PEM))
        (folder / "tsa.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
        (folder / "tsa.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
        self.leaf = leaf
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The root, and what is between it and the certificate that signs; a stamp brings that one alone."""
        chain = (self.root, self.between)
        return tuple(each.public_bytes(Encoding.DER) for each in chain if each is not None)

    def stop(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def stamp(self, query: bytes) -> bytes:
        with self._lock:
            (self.folder / "query").write_bytes(query)
            command = ["openssl", "ts", "-reply", "-config", self.folder / "tsa.cnf", "-section", "tsa"]
            files = ["-queryfile", self.folder / "query", "-out", self.folder / "reply"]
            subprocess.run([*command, *files], check=True, capture_output=True, timeout=30)
            return (self.folder / "reply").read_bytes()

    def misused(self, query: bytes) -> bytes:
        """The same stamp, signed with a certificate of the same root that is for servers."""
        (self.folder / "good").write_bytes(self.stamp(query))
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        web = _certificate(
            "web", key, "root", self._root, [usage], now - timedelta(days=1), now + timedelta(days=1)
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "web.pem").write_bytes(web.public_bytes(Encoding.PEM) + pem)
        for command in (
            "openssl ts -reply -in good -token_out -out token",
            "openssl cms -verify -noverify -inform DER -in token -out info",
            "openssl cms -sign -binary -nodetach -econtent_type id-smime-ct-TSTInfo -md sha256 -nosmimecap"
            " -in info -signer web.pem -outform DER -out signed",
        ):
            subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True, timeout=30)
        content = bytes.fromhex("3003020100") + (self.folder / "signed").read_bytes()
        return b"\x30\x82" + len(content).to_bytes(2, "big") + content  # TimeStampResp, granted

    def _answer(self, query: bytes) -> tuple[int, bytes]:
        match self.mode:
            case "down":
                return 503, b""
            case "huge":
                return 200, b"0" * (1 << 20)
            case "garbage":
                return 200, b"<html>hello</html>"
            case "redirect":
                return 302, b""
            case "hang":
                self.hold.wait(20)
            case "imprint":  # what is hashed is replaced, the nonce is kept
                at = query.index(b"\x04\x20") + 2
                return 200, self.stamp(query[:at] + bytes(32) + query[at + 32 :])
            case "misused":
                return 200, self.misused(query)
            case "replay" if self._last:
                return 200, self._last
        self._last = self.stamp(query)
        return 200, self._last

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stamper = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                stamper.asked += 1
                query = self.rfile.read(int(self.headers["Content-Length"]))
                status, body = stamper._answer(query)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "file:///etc/passwd")
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # the other side had enough
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        return Handler


@pytest.fixture
def stamper(tmp_path: Path) -> Iterator[Callable[..., Stamper]]:
    """Makes time stamp authorities by name; each has a root of its own."""
    made: list[Stamper] = []

    def make(name: str = "tsa", **more: bool) -> Stamper:
        made.append(Stamper(tmp_path / "authorities" / name, **more))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture(scope="session")
def lasting_stamper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stamper]]:
    """As `stamper`, for what is made once and stamped by the same authorities all along."""
    made: list[Stamper] = []

    def make(name: str = "tsa", **more: bool) -> Stamper:
        made.append(Stamper(tmp_path_factory.mktemp("authorities") / name, **more))
        return made[-1]

    yield make
    for each in made:
        each.stop()
