"""Trust in a name instead of a key: certificates by Fulcio, Sigstore's authority, as it describes them.

Whoever signs without a key of his own makes one that lives for minutes, and Fulcio certifies for whom (an
identity that an OpenID provider vouches for). So a signature counts if the certificate in the statement is
for its key and for a name that the reader trusts, leads to an authority that the reader trusts, stands in a
log of certificates where the reader names logs, and was valid at a moment that a stamp proves. Nobody
is asked: what to trust comes as a file, Sigstore's `TrustedRoot` in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from collector.bundle.identity import PublicKey
from collector.bundle.logged import check_logged
from collector.bundle.roots import Roots, loaded
from collector.bundle.stamp import SKEW

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from cryptography.x509.verification import ExtensionPolicy

    from collector.bundle.trust import Revocation

__all__ = ["MAX_CERTIFICATES", "Identity", "check_certified"]

MAX_CERTIFICATES = 4
"""In a statement: the signer's own, and those between it and a root; Fulcio has one of these."""

_DEPTH = 3  # intermediates between the signer's certificate and a root
_ISSUER = "1.3.6.1.4.1.57264.1.8"  # Fulcio's: the provider, a UTF8String in DER
_ISSUER_BEFORE = "1.3.6.1.4.1.57264.1.1"  # the same in older certificates, as bare bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """A name of a trust file, with the times between which what is signed for it counts.

    Attributes:
        issuer: the OpenID provider's address.
        subject: whom the provider vouches for, letter by letter: a mail address, a workflow's address.
        roots: by whom it must be certified.
    """

    name: str
    issuer: str
    subject: str
    roots: Roots
    purpose: str = "bundle"
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    revoked: Revocation | None = None


def check_certified(
    identity: Identity, certificates: Sequence[str], key: PublicKey, moment: datetime
) -> None:
    """Hold a statement's certificates against a name that is trusted.

    Args:
        certificates: in PEM, the signer's own first.
        key: what signed.
        moment: by when it had signed, as a stamp proves.

    Raises:
        ValueError: why they prove nothing, in one line. Hostile bytes raise nothing else.
    """
    from cryptography.x509 import load_pem_x509_certificate

    try:
        leaf, *between = [load_pem_x509_certificate(each.encode()) for each in certificates]
        found = _key(leaf)
        issuer, subjects = _issuer(leaf), list(_subjects(leaf))
    except Exception:  # noqa: BLE001 - parsed late, from hostile bytes, by code that raises of many kinds
        raise ValueError("its certificate cannot be read") from None
    if found != key:
        raise ValueError("its certificate is for another key")
    if issuer != identity.issuer or subjects != [identity.subject]:
        raise ValueError(f"its certificate is for {', '.join(map(ascii, subjects))} by {issuer!a}")
    begins = leaf.not_valid_before_utc
    if timedelta() < begins - moment <= SKEW:
        moment = begins  # nobody signs before his key is made: two honest clocks are that far apart
    check_logged(leaf, _certifier(leaf, between, identity.roots, moment), identity.roots)


def _key(certificate: Certificate) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey.from_pem(public.decode())


def _issuer(certificate: Certificate) -> str:
    from cryptography.x509 import ExtensionNotFound, ObjectIdentifier

    def value(oid: str) -> bytes:
        extension: Any = certificate.extensions.get_extension_for_oid(ObjectIdentifier(oid))
        return bytes(extension.value.value)

    try:
        data = value(_ISSUER)
    except ExtensionNotFound:
        return value(_ISSUER_BEFORE).decode()
    # A UTF8String (tag 12) of less than 128 bytes, or of less than 256 with its length in a byte of its own.
    head = 2 if data[1] < 0x80 else 3
    if data[0] != 12 or data[1] > 0x81 or data[head - 1] != len(data) - head:
        raise ValueError
    return data[head:].decode()


def _subjects(certificate: Certificate) -> Iterator[str]:
    from cryptography.x509 import RFC822Name, SubjectAlternativeName, UniformResourceIdentifier

    for each in certificate.extensions.get_extension_for_class(SubjectAlternativeName).value:
        if not isinstance(each, RFC822Name | UniformResourceIdentifier):
            raise ValueError  # noqa: TRY004 - a name of another kind, which no trust file can name
        yield each.value


def _certifier(leaf: Certificate, between: list[Certificate], roots: Roots, moment: datetime) -> Certificate:
    """The certificate above the signer's, once the chain from it to a root was verified as of the moment."""
    from cryptography.x509.verification import PolicyBuilder, Store

    trusted = [each for chain, span in roots.authorities if span.holds(moment) for each in loaded(chain)]
    tops = [each for each in trusted if each.issuer == each.subject]
    if not tops:
        raise ValueError("the trusted root has no authority for the moment of its stamp")
    others = [*between, *(each for each in trusted if each not in tops)]
    ours, theirs = _policies()
    rules = PolicyBuilder().store(Store(tops)).time(moment.astimezone(UTC).replace(tzinfo=None))
    rules = rules.max_chain_depth(_DEPTH).extension_policies(ca_policy=theirs, ee_policy=ours)
    try:
        chain = rules.build_client_verifier().verify(leaf, others).chain
    except Exception:  # noqa: BLE001 - as above: certificates between are parsed late
        raise ValueError(_why(leaf, moment)) from None
    return chain[1]


def _policies() -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """What a signer's certificate, and one above it, must be for. Those of the web's do not fit Fulcio's."""
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName
    from cryptography.x509.oid import ExtendedKeyUsageOID
    from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy

    def is_for_code(_policy: Policy, _certificate: Certificate, uses: ExtendedKeyUsage) -> None:
        if ExtendedKeyUsageOID.CODE_SIGNING not in uses:
            raise ValueError

    def is_authority(_policy: Policy, _certificate: Certificate, limits: BasicConstraints) -> None:
        if not limits.ca:
            raise ValueError

    def may_certify(_policy: Policy, _certificate: Certificate, uses: KeyUsage) -> None:
        if not uses.key_cert_sign:
            raise ValueError

    free, any_ = ExtensionPolicy.permit_all(), Criticality.AGNOSTIC
    ours = free.require_present(ExtendedKeyUsage, any_, is_for_code)
    theirs = free.require_present(BasicConstraints, any_, is_authority)
    return (
        ours.require_present(SubjectAlternativeName, any_, None),
        theirs.require_present(KeyUsage, any_, may_certify),
    )


def _why(leaf: Certificate, moment: datetime) -> str:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begins <= moment <= ends:
        times = f"{begins:%Y-%m-%d %H:%M:%S} to {ends:%H:%M:%S} UTC"
        return f"its certificate was valid from {times}, and it is stamped at {moment:%Y-%m-%d %H:%M:%S}"
    return "its certificate leads to no authority of the trusted root"
