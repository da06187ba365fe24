"""Signs with a key in the care of GnuPG's agent; imported when it is used.

An OpenPGP signature covers a trailer of its own beside the data (RFC 9580, 5.2.4), so neither OpenSSL nor
cosign could verify one over an envelope. The agent knows no OpenPGP: it signs a digest with the bare key
(its PKSIGN, over the Assuan protocol). With ECDSA on P-256 that is the signature that everyone verifies.
With Ed25519 it is one over a digest, that nobody else makes, so such keys are refused.
"""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
from collections.abc import Mapping
from urllib.parse import quote_from_bytes, unquote_to_bytes

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from securesystemslib.signer import Key, Signature, SSlibKey

from collector.model import ConfigError, Json
from collector_signing.made import Made

__all__ = ["AgentSigner"]

_SECONDS = 60
_MAX_LINE = 1002  # of Assuan, with its line end
_MAX_LINES = 100
_FINGERPRINT = re.compile(r"[0-9A-F]{40}\Z")
_GRIP = re.compile(r"[0-9A-F]{40}\Z")


class AgentSigner(Made):
    """A P-256 key of the user's keyring.

    Raises:
        ConfigError: gpg is not installed, has no such key, or the key is of another kind, expired or revoked.
    """

    def __init__(self, settings: Mapping[str, Json]) -> None:
        fingerprint = str(settings["key"]).replace(" ", "").upper()
        if not _FINGERPRINT.match(fingerprint):
            raise ConfigError("[sign] key: must be a fingerprint of 40 hexadecimal digits")
        self._home = ["--homedir", str(settings["home"])] if settings.get("home") else []
        self._passphrase = settings.get("passphrase")
        self._grip = self._found(fingerprint)
        self._public = self._exported(fingerprint)

    @property
    def public_key(self) -> Key:
        """The key's public half."""
        return self._public

    def sign(self, payload: bytes) -> Signature:
        """Have the agent sign the payload's SHA-256."""
        digest = hashlib.sha256(payload).hexdigest().upper()
        mode = "loopback" if self._passphrase else "error"  # never a window that nobody answers
        self._gpg("gpgconf", "--launch", "gpg-agent")
        path = self._gpg("gpgconf", "--list-dirs", "agent-socket").strip()
        try:
            with _Agent(unquote_to_bytes(path), self._passphrase) as agent:
                agent.ask(f"OPTION pinentry-mode={mode}")
                agent.ask(f"SIGKEY {self._grip}")
                agent.ask(f"SETHASH --hash=sha256 {digest}")
                made = agent.ask("PKSIGN")
        except OSError as error:
            raise ConfigError(f"[sign] gpg's agent: {error.strerror or error}") from None
        return Signature(self._public.keyid, encode_dss_signature(_value(made, "r"), _value(made, "s")).hex())

    def _found(self, fingerprint: str) -> str:
        """The agent's name of the key, its grip (GnuPG's doc/DETAILS gives the fields)."""
        words = ["--with-keygrip", "--with-colons", "--list-secret-keys", f"{fingerprint}!"]
        key: list[str] = []
        current = ""
        for line in self._gpg("gpg", "--batch", *words).splitlines():
            fields = line.split(":")
            if fields[0] in ("sec", "ssb"):
                key = fields
            elif fields[0] == "fpr":
                current = fields[9]
            elif fields[0] == "grp" and current == fingerprint and _GRIP.match(fields[9]):
                _check(key, fingerprint)
                return fields[9]
        raise ConfigError(f"[sign] key: gpg has no secret key {fingerprint}")

    def _exported(self, fingerprint: str) -> SSlibKey:
        line = self._gpg("gpg", "--batch", "--export-ssh-key", f"{fingerprint}!")
        try:
            key = load_ssh_public_key(line.encode())
        except ValueError:
            key = None
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise ConfigError(f"[sign] key: gpg gives no public key on P-256 for {fingerprint}")
        return SSlibKey.from_crypto(key)

    def _gpg(self, program: str, *words: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - words are ours, and a fingerprint that was checked
                [program, *self._home, *words], capture_output=True, timeout=_SECONDS, check=False
            )
        except FileNotFoundError:
            raise ConfigError(f"[sign] {program} is not installed") from None
        except subprocess.TimeoutExpired:
            raise ConfigError(f"[sign] {program} does not answer") from None
        if done.returncode != 0:
            why = " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
            raise ConfigError(f"[sign] {program}: {why}")
        return done.stdout.decode("utf-8", "replace")


def _check(key: list[str], fingerprint: str) -> None:
    if key[1] in ("r", "e", "i"):
        states = {"r": "revoked", "e": "expired", "i": "invalid"}
        raise ConfigError(f"[sign] key: gpg says that {fingerprint} is {states[key[1]]}")
    if len(key) < 17 or key[16] != "nistp256":
        raise ConfigError(f"[sign] key: {fingerprint} must be on nistp256, which ECDSA's signatures need")


class _Agent:
    """A conversation in the Assuan protocol: lines, answered by OK or ERR, with data before it."""

    def __init__(self, path: bytes, passphrase: str | None) -> None:
        self._secret = passphrase
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        self._path = path

    def __enter__(self) -> _Agent:
        try:
            self._socket.connect(self._path)
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")
        self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, line: str) -> bytes:
        """Send a line; the data that comes before the OK."""
        self._send(line.encode())
        return self._answer()

    def _send(self, line: bytes) -> None:
        self._socket.sendall(line + b"\n")

    def _answer(self) -> bytes:
        data = b""
        for _ in range(_MAX_LINES):
            word, _, rest = self._lines.readline(_MAX_LINE).rstrip(b"\n").partition(b" ")
            if word == b"OK":
                return data
            if word == b"D":
                data += unquote_to_bytes(rest)
            elif word == b"INQUIRE":
                self._tell(rest)
            elif word not in (b"S", b"#"):
                raise ConfigError(f"[sign] gpg's agent: {rest.decode('ascii', 'replace')[:200] or 'hung up'}")
        raise ConfigError("[sign] gpg's agent: does not come to an end")

    def _tell(self, what: bytes) -> None:
        if what.split(b" ")[0] == b"PASSPHRASE" and self._secret:
            self._send(b"D " + quote_from_bytes(self._secret.encode(), safe=" ").encode())
        self._send(b"END")


def _value(expression: bytes, name: str) -> int:
    """A number of the canonical S-expression `(7:sig-val(5:ecdsa(1:r32:…)(1:s32:…)))` (RFC 9804)."""
    found = re.search(rb"\(1:%s([0-9]{1,3}):" % name.encode(), expression)
    if found is None:
        raise ConfigError("[sign] gpg's agent: gives no ECDSA signature")
    return int.from_bytes(expression[found.end() : found.end() + int(found[1])])
