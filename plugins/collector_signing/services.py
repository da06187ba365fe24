"""Keys at services, by securesystemslib's signers and their URIs; imported when one of them is used.

A signer's module was loaded without its SDK, so it is loaded once more before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import reload
from typing import TypeVar

from securesystemslib.signer import Key, Signature, Signer

from collector.model import ConfigError, Json
from collector_signing.made import Made

__all__ = ["aws", "azure", "google", "vault"]

_MAX_SHOWN = 200
Value = TypeVar("Value")


def aws(settings: Mapping[str, Json]) -> Signer:
    """A key of AWS KMS."""
    from securesystemslib.signer import _aws_signer

    reload(_aws_signer)
    from collector_signing.kms import KmsSigner

    return _Told("AWS KMS", lambda: KmsSigner.reached(settings))


def google(settings: Mapping[str, Json]) -> Signer:
    """A key of Google Cloud KMS."""
    from securesystemslib.signer import _gcp_signer

    reload(_gcp_signer)
    service = _gcp_signer.GCPSigner

    def reach() -> Signer:
        uri, key = service.import_(settings["key"])
        return service.from_priv_key_uri(uri, key)

    return _Told("Google Cloud KMS", reach)


def azure(settings: Mapping[str, Json]) -> Signer:
    """A key of Azure Key Vault."""
    from securesystemslib.signer import _azure_signer

    reload(_azure_signer)
    service = _azure_signer.AzureSigner

    def reach() -> Signer:
        uri, key = service.import_(settings["vault"], settings["key"])
        return service.from_priv_key_uri(uri, key)

    return _Told("Azure Key Vault", reach)


def vault(settings: Mapping[str, Json]) -> Signer:
    """A key of HashiCorp Vault."""
    from securesystemslib.signer import _vault_signer

    reload(_vault_signer)
    service = _vault_signer.VaultSigner

    def reach() -> Signer:
        uri, key = service.import_(settings["key"])
        return service.from_priv_key_uri(uri, key)

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
