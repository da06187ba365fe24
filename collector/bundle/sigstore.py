"""The statement as a Sigstore bundle, version 0.3, which cosign verifies with key and time.

    cosign verify-blob-attestation --bundle statement.sigstore.json --key KEY.pub.pem --new-bundle-format \\
        --type https://evidence-collector.dev/evidence/v1 --trusted-root ROOT.json --use-signed-timestamps \\
        --insecure-ignore-tlog plan.json

It says nothing that the envelope and the stamps do not say, and is built from them again where it is
verified. Its envelope has the agent's signature alone, as the specification wants one, and that without
its key id: verifiers hold an id against the fingerprint that SSH would give the key, and skip it else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from collector.canonical import dumps

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
    import base64

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    fingerprint, signature = next(iter(envelope.signatures.items()))
    return dumps(
        {
            "mediaType": MEDIA_TYPE,
            "dsseEnvelope": {
                "payload": text(envelope.payload),
                "payloadType": envelope.payload_type,
                "signatures": [{"sig": text(bytes.fromhex(signature.signature))}],
            },
            "verificationMaterial": {
                "publicKey": {"hint": fingerprint},
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{"signedTimestamp": text(stamp)} for stamp in stamps]
                },
                "tlogEntries": [],
            },
        }
    )
