"""The authorities of a trust file as a Sigstore trusted root, by which cosign checks the time of a bundle.

    cosign verify-blob-attestation … --trusted-root ROOT.json --use-signed-timestamps

In the form of Sigstore's `TrustedRoot` (protobuf-specs, `sigstore_trustroot.proto`) in JSON. It holds
authorities for time stamps and, where identities are trusted, what their own trusted roots say of those who
certify them. A key is given to cosign by itself, and there is no log of signatures.

A chain of several certificates begins, there, with the one that signs the stamps, and cosign takes no other
one then. A trust file names who may issue that one, which an authority renews every year or so. So each
issuer is an entry by itself: a root, and an intermediate that was seen to lead to one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from collector.bundle.stamp import issued
from collector.bundle.trust import Authority, Trust
from collector.canonical import dumps
from collector.model import ConfigError, Json

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["MEDIA_TYPE", "trusted_root"]

MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"


def trusted_root(trust: Trust) -> bytes:
    """The canonical bytes of the trusted root, one entry for each certificate that may issue stamps' signers.

    Raises:
        ConfigError: the trust file has no authority, or one without a root certificate.
    """
    if not trust.authorities:
        raise ConfigError("trust: no [[authority]], so there is nobody by whom cosign could check a time")
    entries = [_entry(each.name, issuer) for each in trust.authorities for issuer in _issuers(each)]
    roots = [each.roots for each in trust.identities]
    return dumps(
        {
            "mediaType": MEDIA_TYPE,
            "timestampAuthorities": entries,
            "certificateAuthorities": _once(entry for each in roots for entry in each.authority_entries),
            "ctlogs": _once(entry for each in roots for entry in each.log_entries),
            "tlogs": [],
        }
    )


def _once(entries: Iterable[Json]) -> list[Json]:
    return list({dumps(each): each for each in entries}.values())


def _issuers(authority: Authority) -> list[Certificate]:
    """The roots of an authority, and the intermediates under them, level by level."""
    from cryptography.x509 import load_der_x509_certificate

    found = [load_der_x509_certificate(each) for each in dict.fromkeys(authority.certificates)]
    issuers = level = [each for each in found if each.issuer == each.subject]
    if not issuers:
        raise ConfigError(
            f"trust: authority {authority.name} has no root certificate, one that is its own issuer;"
            " cosign needs the one that all its stamps lead to"
        )
    while level:
        level = [each for each in found if each not in issuers and _may_issue(each) and _is_by(each, level)]
        issuers = [*issuers, *level]
    return issuers


def _may_issue(certificate: Certificate) -> bool:
    from cryptography.x509 import BasicConstraints, ExtensionNotFound

    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except (ExtensionNotFound, ValueError):
        return False


def _is_by(certificate: Certificate, issuers: Iterable[Certificate]) -> bool:
    return any(issued(certificate, each) for each in issuers)


def _entry(name: str, issuer: Certificate) -> Json:
    import base64

    from cryptography.hazmat.primitives.serialization import Encoding

    raw = base64.b64encode(issuer.public_bytes(Encoding.DER)).decode()
    return {
        "subject": {"commonName": name, "organization": ""},
        "certChain": {"certificates": [{"rawBytes": raw}]},
        "validFor": {"start": f"{issuer.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"},
    }
