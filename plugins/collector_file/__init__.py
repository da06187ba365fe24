"""The signer `file`: a private key in a PEM file that belongs to this user alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from collector.hookspecs import SignerType, hookimpl, load_securesystemslib, read_private
from collector.model import ConfigError, Json, Option

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import Key, Signer

__all__ = ["FileSigner", "api", "collector_signers"]

api = 1

_WANTED = "must be an Ed25519 or ECDSA P-256 private key in PEM"
_MAX_KEY = 64 * 2**10  # a key is a hundredth of it


class FileSigner:
    """Signs with Ed25519 (RFC 8032), or ECDSA on P-256 with SHA-256."""

    name: ClassVar[str] = "file"
    title: ClassVar[str] = "A private key in a file of this user's"
    options: ClassVar[tuple[Option, ...]] = (
        Option("key", "path", "the private key in PEM, mode 0600; left out: the one that `init` made"),
        Option("passphrase", "string", "what the key is encrypted under, as ${NAME} or { file = PATH }"),
    )

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._settings = settings

    def signer(self) -> Signer:
        """Read the key.

        Raises:
            ConfigError: it is missing, open to others, or of another kind.
        """
        load_securesystemslib()
        from securesystemslib.signer import CryptoSigner

        return CryptoSigner(self._private())

    def public_key(self) -> Key:
        """The public half of the key in the file. Raises ConfigError as `signer` does."""
        load_securesystemslib()
        from securesystemslib.signer import SSlibKey

        return SSlibKey.from_crypto(self._private().public_key())

    def _private(self) -> Ed25519PrivateKey | EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if not self._settings.get("key"):
            raise ConfigError("[sign] key: names no file")
        path = Path(self._settings["key"])
        key = _opened(path, self._settings.get("passphrase"))
        if isinstance(key, Ed25519PrivateKey):
            return key
        if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
            return key
        raise ConfigError(f"{path}: {_WANTED}")


def _opened(path: Path, passphrase: str | None) -> object:
    """The key in a file; errors are without the library's words, which may quote what stands in it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = read_private(path)
    if len(data) > _MAX_KEY:
        raise ConfigError(f"{path}: {_WANTED}; it is larger than {_MAX_KEY} bytes")
    encrypted = b"ENCRYPTED" in data  # PKCS #8's label (RFC 7468), and the header of older forms
    if encrypted and not passphrase:
        raise ConfigError(f"{path}: is encrypted; [sign] passphrase must say under what")
    if passphrase and not encrypted and b"PRIVATE KEY" in data:
        raise ConfigError(f"{path}: is not encrypted; leave [sign] passphrase out, or encrypt it")
    try:
        return load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = "the passphrase does not open it, or it is broken" if encrypted else _WANTED
        raise ConfigError(f"{path}: {why}") from None


@hookimpl
def collector_signers() -> Sequence[type[SignerType]]:
    """The one way to sign that needs nothing but a file."""
    return [FileSigner]
