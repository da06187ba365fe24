"""Keys as bundles and trust files name them: by the fingerprint of their public half.

Allowed are Ed25519 and ECDSA on P-256 with SHA-256: what OpenSSL 3.0 verifies with one command, and
every key service offers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.lean import load_securesystemslib

if TYPE_CHECKING:
    from securesystemslib.signer import Key

__all__ = ["ALLOWED", "PublicKey"]

ALLOWED = "Ed25519 or ECDSA P-256"
_MAX_PEM = 10_000


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key.

    Attributes:
        pem: its SubjectPublicKeyInfo in PEM (RFC 7468), as OpenSSL writes it.
        fingerprint: `SHA256:` and the SHA-256 of its DER in base64 without padding.
    """

    pem: str
    fingerprint: str

    @classmethod
    def from_pem(cls, pem: str) -> PublicKey:
        """Read a public key. Raises ValueError, in one line, for anything else."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        if len(pem) > _MAX_PEM:
            raise ValueError(f"longer than {_MAX_PEM} characters")
        if "PRIVATE KEY" in pem:
            raise ValueError("a private key, where the public one belongs")
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("not a public key in PEM") from None
        return cls._from(key)

    @classmethod
    def of(cls, key: Key) -> PublicKey:
        """The public key that a signer shows. Raises ValueError for a kind that is not allowed."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        value = str(key.keyval.get("public", ""))
        if key.keytype == "ed25519":
            try:
                return cls._from(Ed25519PublicKey.from_public_bytes(binascii.unhexlify(value)))
            except ValueError:
                raise ValueError("not an Ed25519 public key") from None
        return cls.from_pem(value)

    @classmethod
    def _from(cls, key: object) -> PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey):
            raise ValueError(f"a key of another kind; allowed are {ALLOWED}")  # noqa: TRY004 - bad input
        if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
            raise ValueError(f"a key on {key.curve.name}; allowed are {ALLOWED}")  # noqa: TRY004
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        digest = base64.b64encode(hashlib.sha256(der).digest()).rstrip(b"=")
        return cls(pem.decode(), "SHA256:" + digest.decode())

    def verifier(self) -> Key:
        """The key as securesystemslib takes it, with the fingerprint as its id."""
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        load_securesystemslib()
        from securesystemslib.signer import SSlibKey

        return SSlibKey.from_crypto(load_pem_public_key(self.pem.encode()), keyid=self.fingerprint)
