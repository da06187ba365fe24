"""Whether a log of certificates has promised to show one (Certificate Transparency, RFC 6962)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from collector.bundle.roots import Roots

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

__all__ = ["check_logged"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def check_logged(leaf: Certificate, above: Certificate, roots: Roots) -> None:
    """Where the reader names logs, one of them must have promised to show this certificate.

    Args:
        leaf: the certificate.
        above: the one that certifies it.
        roots: what the reader trusts.

    Raises:
        ValueError: none has.
    """
    from cryptography.x509 import ExtensionNotFound, PrecertificateSignedCertificateTimestamps

    if not roots.logs:
        return
    try:
        promised = leaf.extensions.get_extension_for_class(PrecertificateSignedCertificateTimestamps).value
    except ExtensionNotFound:
        promised = ()  # type: ignore[assignment]
    if not any(_is_logged(each, leaf, above, roots) for each in promised):
        raise ValueError("no log of the trusted root has promised to show its certificate")


def _is_logged(
    promise: SignedCertificateTimestamp, leaf: Certificate, above: Certificate, roots: Roots
) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    at = promise.timestamp.replace(tzinfo=UTC)
    data, span = roots.logs.get(promise.log_id, (b"", None))
    if span is None or not span.holds(at):
        return False
    key, signed = load_der_public_key(data), _promised(promise, at, leaf, above)
    try:
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(promise.signature, signed, ECDSA(SHA256()))
        elif isinstance(key, RSAPublicKey):
            key.verify(promise.signature, signed, PKCS1v15(), SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _promised(
    promise: SignedCertificateTimestamp, at: datetime, leaf: Certificate, above: Certificate
) -> bytes:
    """What a log signs over a certificate to come (RFC 6962, section 3.2)."""
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = above.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body, more = leaf.tbs_precertificate_bytes, promise.extension_bytes
    return b"".join(
        (
            b"\x00\x00",  # version 1, a certificate's time stamp
            ((at - _EPOCH) // timedelta(milliseconds=1)).to_bytes(8, "big"),
            b"\x00\x01",  # a certificate to come
            hashlib.sha256(public).digest(),
            len(body).to_bytes(3, "big"),
            body,
            len(more).to_bytes(2, "big"),
            more,
        )
    )
