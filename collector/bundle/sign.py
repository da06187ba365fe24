"""The envelope: DSSE (v1.0.2) around the statement, by securesystemslib.

Its JSON is canonical and holds nothing that is not rebuilt from payload, key ids and signatures when
it is read. A key id is the key's fingerprint, whatever name the key has where it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.bundle.identity import PublicKey
from collector.canonical import dumps, loads
from collector.model import ConfigError, VerifyError

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signer

__all__ = ["PAYLOAD_TYPE", "parse_envelope", "sign", "signed_by"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MAX_SIGNATURES = 8


def sign(payload: bytes, signer: Signer) -> bytes:
    """Sign a statement's bytes; the signature is verified before it is given out.

    Returns:
        The canonical bytes of the envelope.

    Raises:
        ConfigError: the key is of a kind that is not allowed, or its signature does not verify.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signature

    try:
        key = PublicKey.of(signer.public_key)
    except ValueError as error:
        raise ConfigError(f"signing key: {error}") from None
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    made = signer.sign(envelope.pae())
    envelope.signatures = {key.fingerprint: Signature(key.fingerprint, made.signature)}
    if not signed_by(envelope, key):
        raise ConfigError(f"signing key {key.fingerprint}: what it signed does not verify")
    return dumps(envelope.to_dict())


def parse_envelope(data: bytes) -> Envelope:
    """Read an envelope that is exactly as `sign` writes it. Raises VerifyError for anything else."""
    from securesystemslib.dsse import Envelope

    try:
        value = loads(data)
        signatures = value["signatures"]
        shaped = isinstance(signatures, list) and 0 < len(signatures) <= _MAX_SIGNATURES
        envelope = Envelope.from_dict(value) if shaped else None
        rebuilt = _rebuilt(envelope) if envelope else b""
    except Exception:  # noqa: BLE001 - the library raises of many kinds for hostile values; one line will do
        raise VerifyError("statement.dsse.json: not a DSSE envelope") from None
    if envelope is None or rebuilt != data:
        raise VerifyError("statement.dsse.json: not in canonical form")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise VerifyError(f"statement.dsse.json: payload type {envelope.payload_type!a:.80}")
    return envelope


def _rebuilt(envelope: Envelope) -> bytes:
    # What the library does not know it carries along; the format has no such thing.
    for signature in envelope.signatures.values():
        signature.unrecognized_fields = {}
    return dumps(envelope.to_dict())


def signed_by(envelope: Envelope, key: PublicKey) -> bool:
    """Whether the envelope holds a good signature by this key."""
    from securesystemslib.exceptions import VerificationError

    try:
        envelope.verify([key.verifier()], 1)
    except (VerificationError, ValueError):
        return False
    return True
