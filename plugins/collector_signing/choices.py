"""What `[sign] use` may name, with the options of each.

Every one signs with Ed25519 (RFC 8032) or ECDSA on P-256 with SHA-256 (FIPS 186-5) and nothing else:
that is what OpenSSL and cosign verify with one command.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from collector.hookspecs import load_securesystemslib
from collector.model import ConfigError, Json, Option

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

__all__ = ["AwsKms", "AzureKms", "GoogleKms", "Gpg", "Pkcs11", "Sigstore", "Vault"]


class _Elsewhere(ABC):
    """A signer whose key is asked for, and whose library may be missing."""

    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    libraries: ClassVar[Sequence[str]] = ()

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._settings = settings

    def signer(self) -> Signer:
        """Reach the key. Raises ConfigError if it cannot be reached or is of a kind that is not allowed."""
        for library in self.libraries:
            try:
                import_module(library)
            except ImportError:
                raise ConfigError(
                    f'[sign] use = "{self.name}" needs {library}: '
                    f"pip install 'evidence-collector[{self.name}]'"
                ) from None
        load_securesystemslib()
        return self._reach(self._settings)

    def public_key(self) -> Key:
        """The public half. Raises ConfigError as `signer` does."""
        return self.signer().public_key

    @abstractmethod
    def _reach(self, settings: Mapping[str, Json]) -> Signer: ...


class Pkcs11(_Elsewhere):
    """A key in a hardware token, by the token's PKCS#11 module."""

    name = "pkcs11"
    title = "A key in a hardware token (PKCS#11)"
    options = (
        Option("module", "path", "the token's PKCS#11 library", required=True),
        Option("token", "string", "the token's label; may be left out where there is one token"),
        Option("key", "string", "the key's label (CKA_LABEL)"),
        Option("id", "string", "the key's id (CKA_ID) in hexadecimal"),
        Option("pin", "string", "the user's PIN, as ${NAME} or { file = PATH }", required=True),
    )
    libraries = ("PyKCS11",)

    def _reach(self, settings: Mapping[str, Json]) -> Signer:
        from collector_signing.pkcs11 import TokenSigner

        return TokenSigner(settings)


class Gpg(_Elsewhere):
    """A key in the care of GnuPG's agent."""

    name = "gpg"
    title = "A key in the care of GnuPG's agent (NIST P-256)"
    options = (
        Option("key", "string", "fingerprint of the key or subkey, 40 hexadecimal digits", required=True),
        Option("home", "path", "GnuPG's home folder; the user's if left out"),
        Option("passphrase", "string", "what opens the key, as ${NAME} or { file = PATH }"),
    )

    def _reach(self, settings: Mapping[str, Json]) -> Signer:
        from collector_signing.gpg import AgentSigner

        return AgentSigner(settings)


class AwsKms(_Elsewhere):
    """A key of AWS KMS. Needs kms:GetPublicKey and kms:Sign; credentials as boto3 finds them."""

    name = "awskms"
    title = "A key of AWS Key Management Service (ECC_NIST_P256)"
    options = (
        Option("key", "string", "key id, ARN, alias/NAME or an alias's ARN", required=True),
        Option("region", "string", "its region; else the environment's or the profile's"),
        Option("profile", "string", "the profile of AWS's own configuration files"),
        Option("endpoint", "string", "another address than AWS's"),
    )
    libraries = ("boto3",)

    def _reach(self, settings: Mapping[str, Json]) -> Signer:
        from collector_signing.services import aws

        return aws(settings)


class GoogleKms(_Elsewhere):
    """A key of Google Cloud KMS. Needs roles/cloudkms.publicKeyViewer and roles/cloudkms.signer."""

    name = "gcpkms"
    title = "A key of Google Cloud KMS (EC_SIGN_P256_SHA256)"
    options = (Option("key", "string", "projects/…/cryptoKeyVersions/N, the whole name", required=True),)
    libraries = ("google.cloud.kms",)

    def _reach(self, settings: Mapping[str, Json]) -> Signer:
        from collector_signing.services import google

        return google(settings)


class AzureKms(_Elsewhere):
    """A key of Azure Key Vault. Needs the role Key Vault Crypto User."""

    name = "azurekms"
    title = "A key of Azure Key Vault (EC P-256)"
    options = (
        Option("vault", "string", "name of the vault, the first part of its address", required=True),
        Option("key", "string", "name of the key; its newest version signs", required=True),
    )
    libraries = ("azure.identity", "azure.keyvault.keys")

    def _reach(self, settings: Mapping[str, Json]) -> Signer:
        from collector_signing.services import azure

        return azure(settings)


class Vault(_Elsewhere):
    """A key of HashiCorp Vault's transit engine; VAULT_ADDR and VAULT_TOKEN say where and as whom."""

    name = "vault"
    title = "A key of HashiCorp Vault's transit engine (ed25519)"
    options = (Option("key", "string", "name of the key; its newest version signs", required=True),)
    libraries = ("hvac",)

    def _reach(self, settings: Mapping[str, Json]) -> Signer:
        from collector_signing.services import vault

        return vault(settings)


class Sigstore(_Elsewhere):
    """A key that lives for minutes, and Fulcio's certificate that says whose it is."""

    name = "sigstore"
    title = "No key of one's own: Sigstore certifies a new one for an OpenID identity (keyless)"
    options = (
        Option(
            "token_file", "path", "the identity token; left out: as GitHub, GitLab, Google and others give it"
        ),
        Option("fulcio", "string", "who certifies", default="https://fulcio.sigstore.dev"),
        Option("ca", "path", "authorities to trust for its TLS in place of the system's, PEM"),
    )

    def _reach(self, settings: Mapping[str, Json]) -> Signer:
        from collector_signing.fulcio import CertifiedSigner

        return CertifiedSigner(settings)

    def public_key(self) -> Key:
        """None that could be trusted. Raises ConfigError."""
        raise ConfigError(
            '[sign] use = "sigstore" has a new key each time: a trust file names whom it is certified for, '
            "in an [[identity]] table"
        )
