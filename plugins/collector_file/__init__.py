"""The signer `file`: a private key in a PEM file that belongs to this user alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from collector.hookspecs import SignerType, hookimpl, read_private
from collector.model import ConfigError, Json, Option

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import Key, Signer

__all__ = ["FileSigner", "api", "collector_signers"]

api = 1

_WANTED = "must be an Ed25519 or ECDSA P-256 private key in PEM, without a passphrase"


class FileSigner:
    """Signs with Ed25519 (RFC 8032), or ECDSA on P-256 with SHA-256."""

    name: ClassVar[str] = "file"
    title: ClassVar[str] = "A private key in a file of this user's"
    options: ClassVar[tuple[Option, ...]] = (
        Option("key", "path", "the private key in PEM, mode 0600; left out: the one that `init` made"),
    )

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._settings = settings

    def signer(self) -> Signer:
        """Read the key.

        Raises:
            ConfigError: it is missing, open to others, or of another kind.
        """
        from securesystemslib.signer import CryptoSigner

        return CryptoSigner(self._private())

    def public_key(self) -> Key:
        """The public half of the key in the file. Raises ConfigError as `signer` does."""
        from securesystemslib.signer import SSlibKey

        return SSlibKey.from_crypto(self._private().public_key())

    def _private(self) -> Ed25519PrivateKey | EllipticCurvePrivateKey:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not self._settings.get("key"):
            raise ConfigError("[sign] key: names no file")
        path = Path(self._settings["key"])
        try:
            key = load_pem_private_key(read_private(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Without the library's words: they may quote what stands in the file.
            raise ConfigError(f"{path}: {_WANTED}") from None
        if isinstance(key, Ed25519PrivateKey):
            return key
        if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
            return key
        raise ConfigError(f"{path}: {_WANTED}")


@hookimpl
def collector_signers() -> Sequence[type[SignerType]]:
    """The one way to sign that needs nothing but a file."""
    return [FileSigner]
