"""Time stamps (RFC 3161): a third party's word that a signature was there at its time.

A stamp is the whole answer of an authority, a TimeStampResp in DER, over the bytes of one signature of
the statement's envelope. It is verified as of its own time: a certificate that has run out since then
takes nothing from what it stamped before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from collector.toml import printable

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampRequest, TimeStampResponse, VerifierBuilder

__all__ = [
    "MAX_STAMP",
    "SKEW",
    "WITNESS",
    "Stamp",
    "check_answer",
    "check_stamp",
    "is_over",
    "issued",
    "labels",
    "over_first",
]

MAX_STAMP = 64 * 2**10
"""Bytes of a stamp: one with a chain of certificates takes some five thousand."""

SKEW = timedelta(minutes=5)
"""How far two honest clocks may be apart."""

WITNESS = ".witness"
"""What follows the authority's name in the label of a stamp over the second signature."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a verified stamp proves.

    Attributes:
        time: when it was made, by the authority's clock.
        latest: the same with the authority's own tolerance added; the signature existed by then.
    """

    time: datetime
    latest: datetime


def labels(authority: str, signatures: int) -> tuple[str, ...]:
    """What an authority's stamps are called, one for each signature of the envelope in its order."""
    return tuple(authority + suffix for suffix in ("", WITNESS)[:signatures])


def over_first(stamps: Mapping[str, bytes]) -> list[bytes]:
    """Of stamps by label, those over the first signature, in the order of labels."""
    return [data for label, data in sorted(stamps.items()) if not label.endswith(WITNESS)]


def check_stamp(data: bytes, signature: bytes, certificates: Sequence[bytes]) -> Stamp:
    """Verify a stamp over a signature.

    Checked are its form, its imprint, the CMS signature, the chain up to one of the certificates as of
    the stamp's time, and that the signer's certificate is for time stamps.

    Args:
        data: the authority's answer in DER.
        signature: what it must be over.
        certificates: roots, and intermediates that the answer may lack, in DER.

    Raises:
        ValueError: why it proves nothing, in one line. Hostile bytes raise nothing else.
    """
    from rfc3161_client import VerifierBuilder

    return _verified(_decoded(data), signature, certificates, VerifierBuilder())


def check_answer(
    data: bytes, request: TimeStampRequest, signature: bytes, certificates: Sequence[bytes], policy: str
) -> Stamp:
    """Verify a stamp on receipt: as `check_stamp`, and that it answers this request, under this policy.

    Args:
        policy: the OID of the policy that it must name; "" for any.

    Raises:
        ValueError: as `check_stamp` does.
    """
    from cryptography.x509 import ObjectIdentifier
    from rfc3161_client import VerifierBuilder

    answer = _decoded(data)
    given = ObjectIdentifier(policy) if policy else None
    return _verified(answer, signature, certificates, VerifierBuilder(nonce=request.nonce, policy_id=given))


def is_over(data: bytes, signature: bytes) -> bool:
    """Whether this is a stamp in form, with the imprint of these bytes; nothing about who made it.

    Raises:
        ValueError: it is no stamp.
    """
    import hashlib

    from rfc3161_client.verify import SHA256_OID, SHA384_OID, SHA512_OID

    known = {SHA256_OID: "sha256", SHA384_OID: "sha384", SHA512_OID: "sha512"}
    answer = _decoded(data)
    try:
        imprint = answer.tst_info.message_imprint
        algorithm = known.get(imprint.hash_algorithm.dotted_string)
        message = imprint.message
    except Exception:  # noqa: BLE001 - read lazily from hostile bytes, by code that raises of many kinds
        raise ValueError("not a time stamp") from None
    return algorithm is not None and hashlib.new(algorithm, signature).digest() == message


def _decoded(data: bytes) -> TimeStampResponse:
    from rfc3161_client import decode_timestamp_response

    if len(data) > MAX_STAMP:
        raise ValueError(f"larger than {MAX_STAMP} bytes")
    try:
        answer = decode_timestamp_response(data)
        refusal = "" if answer.status == 0 else "; ".join([f"status {answer.status}", *answer.status_string])
        same = answer.as_bytes() == data
    except Exception:  # noqa: BLE001 - the parser raises of many kinds for hostile bytes; one line will do
        raise ValueError("not a time stamp in DER (RFC 3161)") from None
    if refusal:
        raise ValueError(f"the authority granted no stamp: {printable(refusal)}")
    if not same:
        raise ValueError("a time stamp with bytes that say nothing")
    return answer


def _verified(
    answer: TimeStampResponse, signature: bytes, certificates: Sequence[bytes], builder: VerifierBuilder
) -> Stamp:
    from rfc3161_client import VerificationError

    try:
        for certificate in _above(answer, _loaded(certificates)):
            builder = builder.add_root_certificate(certificate)
        builder.build().verify_message(answer, signature)
        info = answer.tst_info
        time = info.gen_time
        return Stamp(time, time + _tolerance(answer))
    except VerificationError as error:
        raise ValueError(_why(str(error))) from None
    except Exception:  # noqa: BLE001 - as above: what is inside is parsed late
        raise ValueError("a time stamp that cannot be read") from None


def _tolerance(answer: TimeStampResponse) -> timedelta:
    accuracy = answer.tst_info.accuracy
    if accuracy is None:
        return timedelta()
    return timedelta(
        seconds=accuracy.seconds or 0, milliseconds=accuracy.millis or 0, microseconds=accuracy.micros or 0
    )


def _loaded(certificates: Sequence[bytes]) -> list[Certificate]:
    from cryptography.x509 import load_der_x509_certificate

    return [load_der_x509_certificate(each) for each in dict.fromkeys(certificates)]


def _above(answer: TimeStampResponse, given: Sequence[Certificate]) -> Sequence[Certificate]:
    """Those of the given certificates that the answer's own lead to; all of them where it leads to none.

    An authority that has been given a new root of the same name has two. OpenSSL takes whichever it finds
    first by the name, and the library hands them over in no order.
    """
    from cryptography.x509 import load_der_x509_certificate

    found: list[Certificate] = []
    level = [load_der_x509_certificate(each) for each in sorted(answer.signed_data.certificates)]
    while level:
        level = [
            each
            for each in given
            if each not in found and any(each == below or issued(below, each) for below in level)
        ]
        found += level
    return found or given


def issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether a certificate names another as its issuer and is signed by it."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


_REASONS = (
    ("Mismatch between messages", "it is over other bytes"),
    ("Nonce", "it answers another request: its nonce is not ours"),
    ("Policy", "it is under another policy"),
    ("EKU", "its signer's certificate is not for time stamps"),
    ("certificate purpose", "its signer's certificate is not for time stamps"),
    ("certificate has expired", "its signer's certificate, or one above it, had run out at the stamp's time"),
    ("not yet valid", "its signer's certificate, or one above it, was not valid yet at the stamp's time"),
    ("certificate verify error", "its signer's certificates lead to none of those given"),
    ("signature", "its own signature is not good"),
)


def _why(message: str) -> str:
    """The library's words, which carry OpenSSL's error stack, as one line of ours."""
    return next((why for part, why in _REASONS if part.lower() in message.lower()), "it does not verify")
