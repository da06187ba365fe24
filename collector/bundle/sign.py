"""The envelope: DSSE (v1.0.2) around the statement, by securesystemslib.

Its JSON is canonical and holds nothing that is not rebuilt from payload, key ids and signatures when
it is read. A key id is the key's fingerprint, whatever name the key has where it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.bundle.identity import PublicKey
from collector.canonical import dumps, loads
from collector.lean import load_securesystemslib
from collector.model import ConfigError, VerifyError

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import Signer

__all__ = [
    "PAYLOAD_TYPE",
    "certificates",
    "fresh",
    "parse_envelope",
    "public_key",
    "refuse_twins",
    "sign",
    "signatures",
    "signed_by",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MAX_SIGNATURES = 2  # the agent's and a witness'


def sign(payload: bytes, signer: Signer, witness: Signer | None = None) -> bytes:
    """Sign a statement's bytes; each signature is verified before it is given out.

    Args:
        signer: the agent's key, whose signature comes first.
        witness: a second key, of somebody else, that signs the same.

    Returns:
        The canonical bytes of the envelope.

    Raises:
        ConfigError: a key is of a kind that is not allowed, its signature does not verify, or both keys
            are the same.
    """
    load_securesystemslib()
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    if witness is not None:
        refuse_twins(signer, witness)
    for each in (signer, witness):
        if each is not None:
            _add(envelope, each)
    return dumps(envelope.to_dict())


def _add(envelope: Envelope, signer: Signer) -> None:
    from securesystemslib.signer import Signature

    key = public_key(signer)
    made = signer.sign(envelope.pae())
    envelope.signatures[key.fingerprint] = Signature(key.fingerprint, made.signature)
    if not signed_by(envelope, key):
        raise ConfigError(f"signing key {key.fingerprint}: what it signed does not verify")


def refuse_twins(signer: Signer, witness: Signer) -> None:
    """Raise ConfigError where both sign with the same key: nobody is a witness of himself."""
    key = public_key(witness)
    if key == public_key(signer):
        raise ConfigError(f"[witness] has the key of [sign], {key.fingerprint}; it must be another one")


def public_key(signer: Signer) -> PublicKey:
    """The key that a signer signs with. Raises ConfigError for a kind that is not allowed."""
    try:
        return PublicKey.of(signer.public_key)
    except ValueError as error:
        raise ConfigError(f"signing key: {error}") from None


def certificates(signer: Signer) -> tuple[str, ...]:
    """What vouches for a signer's key, if certificates do: in PEM, the key's own first."""
    return tuple(getattr(signer, "certificates", ()))


def fresh(signer: Signer) -> Signer:
    """The signer as it shall sign now: one whose key lives for minutes makes a new one.

    Raises:
        ConfigError: it cannot.
    """
    renewed = getattr(signer, "renewed", None)
    made: Signer = signer if renewed is None else renewed()
    return made


def signatures(envelope: Envelope) -> tuple[bytes, ...]:
    """The bytes of an envelope's signatures, in its order: what stamps are over."""
    return tuple(bytes.fromhex(each.signature) for each in envelope.signatures.values())


def parse_envelope(data: bytes) -> Envelope:
    """Read an envelope that is exactly as `sign` writes it. Raises VerifyError for anything else."""
    load_securesystemslib()
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
