"""The statement as a Sigstore bundle, version 0.3, which cosign verifies with key and time.

    cosign verify-blob-attestation --bundle statement.sigstore.json --key KEY.pub.pem --new-bundle-format \\
        --type https://evidence-collector.dev/evidence/v1 --trusted-root ROOT.json --use-signed-timestamps \\
        --insecure-ignore-tlog plan.json

It says nothing that the envelope and the stamps do not say, and is built from them again where it is
verified. Its envelope has the agent's signature alone, as the specification wants one, and that without
its key id: verifiers hold an id against the fingerprint that SSH would give the key, and skip it else.
Where a certificate vouches for the key, it stands in the place of the key's name, and cosign is told
`--certificate-identity` and `--certificate-oidc-issuer` in place of `--key`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from collector.canonical import dumps, loads
from collector.model import Json

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = ["MEDIA_TYPE", "sigstore_bundle"]

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def sigstore_bundle(envelope: Envelope, stamps: Sequence[bytes]) -> bytes:
    """The canonical bytes of the Sigstore bundle.

    Args:
        envelope: the statement's; its first signature is the one that goes in.
        stamps: those over that signature, in the order of their labels.
    """
    fingerprint, signature = next(iter(envelope.signatures.items()))
    return dumps(
        {
            "mediaType": MEDIA_TYPE,
            "dsseEnvelope": {
                "payload": _text(envelope.payload),
                "payloadType": envelope.payload_type,
                "signatures": [{"sig": _text(bytes.fromhex(signature.signature))}],
            },
            "verificationMaterial": {
                **_signer(envelope.payload, fingerprint),
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{"signedTimestamp": _text(stamp)} for stamp in stamps]
                },
                "tlogEntries": [],
            },
        }
    )


def _signer(payload: bytes, fingerprint: str) -> dict[str, Json]:
    certificates = loads(payload)["predicate"]["signer"].get("certificates")
    if not certificates:
        return {"publicKey": {"hint": fingerprint}}
    # As text, since nobody has looked yet whether it is one: PEM is base64 between two lines (RFC 7468).
    return {"certificate": {"rawBytes": "".join(certificates[0].splitlines()[1:-1])}}


def _text(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()
