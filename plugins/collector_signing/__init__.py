"""Signers whose private key lies elsewhere: in a token, in GnuPG's agent, at a key service. Or nowhere.

Each is a class of its own in `choices`; what it needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.hookspecs import SignerType, hookimpl
from collector_signing.choices import AwsKms, AzureKms, GoogleKms, Gpg, Pkcs11, Sigstore, Vault

__all__ = [
    "AwsKms",
    "AzureKms",
    "GoogleKms",
    "Gpg",
    "Pkcs11",
    "Sigstore",
    "Vault",
    "api",
    "collector_signers",
]

api = 1


@hookimpl
def collector_signers() -> Sequence[type[SignerType]]:
    """All of them."""
    return [AwsKms, AzureKms, GoogleKms, Gpg, Pkcs11, Sigstore, Vault]
