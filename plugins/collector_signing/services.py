"""Keys at services, by securesystemslib's signers and their URIs; imported when one of them is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from securesystemslib.signer import (
    AWSSigner,
    AzureSigner,
    GCPSigner,
    Key,
    Signature,
    Signer,
    SSlibKey,
    VaultSigner,
)

from collector.model import ConfigError, Json
from collector_signing.made import Made

if TYPE_CHECKING:
    from botocore.client import BaseClient

__all__ = ["aws", "azure", "google", "vault"]

_MAX_SHOWN = 200
_SECONDS = 20  # for one attempt; a key service answers within one
_TRIES = 3
Value = TypeVar("Value")


def aws(settings: Mapping[str, Json]) -> Signer:
    """A key of AWS KMS."""
    return _Told("AWS KMS", lambda: _Kms.reached(settings))


def google(settings: Mapping[str, Json]) -> Signer:
    """A key of Google Cloud KMS."""

    def reach() -> Signer:
        uri, key = GCPSigner.import_(settings["key"])
        return GCPSigner.from_priv_key_uri(uri, key)

    return _Told("Google Cloud KMS", reach)


def azure(settings: Mapping[str, Json]) -> Signer:
    """A key of Azure Key Vault."""

    def reach() -> Signer:
        uri, key = AzureSigner.import_(settings["vault"], settings["key"])
        return AzureSigner.from_priv_key_uri(uri, key)

    return _Told("Azure Key Vault", reach)


def vault(settings: Mapping[str, Json]) -> Signer:
    """A key of HashiCorp Vault."""

    def reach() -> Signer:
        uri, key = VaultSigner.import_(settings["key"])
        return VaultSigner.from_priv_key_uri(uri, key)

    return _Told("Vault", reach)


class _Told(Made):
    """A signer whose library's exceptions, of which there are many, become one line."""

    def __init__(self, service: str, reach: Callable[[], Signer]) -> None:
        self._service = service
        self._signer = self._told(reach)

    @property
    def public_key(self) -> Key:
        return self._signer.public_key

    def sign(self, payload: bytes) -> Signature:
        return self._told(lambda: self._signer.sign(payload))

    def _told(self, call: Callable[[], Value]) -> Value:
        try:
            return call()
        except ConfigError:
            raise
        except Exception as error:  # the boundary of libraries that raise of many kinds
            words = " ".join(str(error).split())[:_MAX_SHOWN]
            raise ConfigError(f"[sign] {self._service}: {type(error).__name__}: {words}") from error


class _Kms(AWSSigner):
    """securesystemslib's signer with a client of our own: its own knows neither region nor endpoint."""

    def __init__(self, key: str, public_key: SSlibKey, client: BaseClient) -> None:
        self.aws_key_id = key
        self._public_key = public_key
        self.client = client
        self.aws_algo = self.aws_algos[public_key.scheme]

    @classmethod
    def reached(cls, settings: Mapping[str, Json]) -> _Kms:
        import boto3
        from botocore.config import Config
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        session = boto3.session.Session(
            profile_name=settings.get("profile"), region_name=settings.get("region")
        )
        times = Config(
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            retries={"total_max_attempts": _TRIES, "mode": "standard"},
        )
        client = session.client("kms", endpoint_url=settings.get("endpoint"), config=times)
        found = client.get_public_key(KeyId=settings["key"])
        if "ECDSA_SHA_256" not in found["SigningAlgorithms"]:
            spec = found.get("KeySpec", "another")
            raise ConfigError(f"[sign] AWS KMS: key {settings['key']} is {spec}; it must be ECC_NIST_P256")
        # The ARN and no alias: an alias may be moved to another key between here and signing.
        return cls(found["KeyId"], SSlibKey.from_crypto(load_der_public_key(found["PublicKey"])), client)
