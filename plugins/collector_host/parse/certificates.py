"""Certificates of services and authorities that the host trusts: every one in a file (RFC 5280, RFC 7468)."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames
from ..rows import Item, Miss, Row, malformed, unread

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["certificates", "trust"]

_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----")
_MOST_IN_FILE = 2000  # certificates; the largest bundles of authorities hold some hundreds
_LEAST_RSA, _LEAST_EC = 2048, 224
_WEAK_HASHES = {"md5", "sha1"}
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
)
_MOST_NAMES = 200
_QUIET = threading.Lock()  # filters of warnings are the process's; two threads must not swap them


def _blocks(file: File) -> Iterator[tuple[int, str | None]]:
    """Line and text of each certificate; None for one without an end."""
    held: list[str] = []
    first, label = 0, ""
    for line in file.lines:
        text = line.text.strip()
        if match := _BEGIN.match(text):
            if held:
                yield first, None
            first, label, held = line.number, match[1], ["-----BEGIN CERTIFICATE-----"]
        elif held and text == f"-----END {label}-----":
            held.append("-----END CERTIFICATE-----\n")
            # A TRUSTED CERTIFICATE has OpenSSL's trust settings behind it, which is no X.509.
            yield first, "\n".join(held) if label in ("CERTIFICATE", "X509 CERTIFICATE") else None
            held = []
        elif held:
            held.append(text)
    if held:
        yield first, None


def _key(certificate: x509.Certificate) -> tuple[str, int | None]:
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ec", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "dsa", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", 256
    return ("ed448", 456) if isinstance(key, ed448.Ed448PublicKey) else ("other", None)


def _hash(certificate: x509.Certificate) -> str | None:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return algorithm.name if algorithm is not None else None


def _may_sign(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        return bool(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _names(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    found = [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]
    return found[:_MOST_NAMES]


def _weak(algorithm: str, bits: int | None, digest: str | None, own: bool) -> bool:
    small = (algorithm in ("rsa", "dsa") and (bits or 0) < _LEAST_RSA) or (
        algorithm == "ec" and (bits or 0) < _LEAST_EC
    )
    return small or (digest in _WEAK_HASHES and not own)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(text: str) -> tuple[dict[str, Json], list[str]] | None:
    """The columns of one certificate and the names that it is for; None where it cannot be read.

    The library warns of serial numbers and lengths that RFC 5280 forbids. Old authorities have them; a
    warning is no answer to anyone here.
    """
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _columns(text)


def _columns(text: str) -> tuple[dict[str, Json], list[str]] | None:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
        algorithm, bits = _key(certificate)
        digest = _hash(certificate)
        own = certificate.subject == certificate.issuer
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        data: dict[str, Json] = {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "common_name": str(names[0].value) if names else None,
            "serial": f"{certificate.serial_number:x}",
            "not_valid_before": _time(certificate.not_valid_before_utc),
            "not_valid_after": _time(certificate.not_valid_after_utc),
            "key_algorithm": algorithm,
            "key_bits": bits,
            "signing_algorithm": digest,
            "self_signed": own,
            "ca": _may_sign(certificate),
            "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
            "weak": _weak(algorithm, bits, digest, own),
        }
        return data, _names(certificate)
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
    ):
        return None


def _all(file: File, kind: str) -> Iterator[tuple[int, int, dict[str, Json], list[str]] | Miss]:
    """Each certificate of a file: place, line, columns, names."""
    for number, (line, text) in enumerate(_blocks(file), 1):
        if number > _MOST_IN_FILE:
            yield Miss(kind, Outcome.BUDGET, f"{file.path}: more than {_MOST_IN_FILE} certificates")
            return
        found = _read(text) if text is not None else None
        if found is None:
            yield malformed(kind, file.path, line, "no certificate that can be read")
        else:
            yield number, line, *found


def _used_by(path: str, given: list[str]) -> list[str]:
    reasons = [
        f"option: {option}" for option in given if path == option or path.startswith(f"{option.rstrip('/')}/")
    ]
    return reasons or [f"folder: {'/'.join(path.split('/')[:3])}"]


def certificates(frames: Frames) -> Iterator[Item]:
    """The section `certificates`: host_certificate."""
    given = frames.values("given")
    for file in frames.files.values():
        key_inside = any(line.text == "(private key)" for line in file.lines)
        count = 0
        for found in _all(file, "host_certificate"):
            count += 1
            if isinstance(found, Miss):
                yield found
                continue
            number, _, columns, names = found
            data = {
                "path": file.path,
                "number": number,
                **columns,
                "names": names,
                "key_in_file": key_inside,
                "mode": file.mode,
                "used_by": _used_by(file.path, given),
            }
            yield Row("host_certificate", f"{file.path}#{number}", data)
        binary = file.path.endswith((".der", ".cer", ".crt")) and file.size and not key_inside
        if file.readable and not count and binary:
            yield Miss(
                "host_certificate",
                Outcome.UNSUPPORTED,
                f"{file.path}: holds no PEM certificate; DER is not read",
            )
    yield from unread(frames, "host_certificate")
    for folder in frames.folders.values():
        if folder.status == "missing" and folder.path in given:
            yield Miss(
                "host_certificate",
                Outcome.VANISHED,
                f"{folder.path}: named by the option certificates, but not there",
            )
    if "certificates" in frames.values("budget"):
        yield Miss(
            "host_certificate", Outcome.BUDGET, "more than 500 certificate files: the rest was not read"
        )


def trust(frames: Frames) -> Iterator[Item]:
    """The section `trust`: host_ca_certificate."""
    local: set[Json] = set()
    for file in frames.files.values():
        if file.path not in _BUNDLES:
            for found in _all(file, "host_ca_certificate"):
                if isinstance(found, Miss):
                    yield found
                else:
                    local.add(found[2]["sha256"])
    gaps: tuple[ColumnGap, ...] = ()
    for path in _BUNDLES:
        for found in _all(frames.file(path), "host_ca_certificate"):
            if isinstance(found, Miss):
                yield found
                continue
            number, _, columns, _ = found
            data = {"path": path, "number": number, **columns, "local": columns["sha256"] in local}
            yield Row("host_ca_certificate", f"{path}#{number}", data, gaps)
    yield from unread(frames, "host_ca_certificate")
