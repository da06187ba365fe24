"""Key pairs on disk: the private half for its user alone, the public half beside it."""

from __future__ import annotations

import os
from pathlib import Path

from collector.bundle.identity import PublicKey
from collector.keys import create_whole, read_private
from collector.model import ConfigError

__all__ = ["complete_key", "generate_key", "new_private_key", "public_path"]


def public_path(path: Path) -> Path:
    """Where the public half of a key file lies: `key.pub.pem` beside `key.pem`."""
    return path.with_name(f"{path.stem}.pub{path.suffix or '.pem'}")


def new_private_key(ecdsa: bool, passphrase: str | None = None) -> tuple[bytes, PublicKey]:
    """A new private key in PEM (PKCS #8), and its public half.

    Args:
        ecdsa: on P-256; else Ed25519.
        passphrase: what to encrypt it under; None leaves it plain.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    private = generate_private_key(SECP256R1()) if ecdsa else Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
    return pem, PublicKey.from_pem(public.decode())


def generate_key(path: Path) -> PublicKey:
    """Make an Ed25519 key pair: `path` for this user alone, and its public half beside it.

    Raises:
        FileExistsError: one of both exists; neither is replaced.
        OSError: they cannot be written.
    """
    beside = public_path(path)
    if os.path.lexists(beside):
        raise FileExistsError(f"{beside} exists")
    private, public = new_private_key(ecdsa=False)
    create_whole(path, private, 0o600)
    create_whole(beside, public.pem.encode(), 0o644)
    return public


def complete_key(path: Path) -> PublicKey:
    """Write the public half of a key that has none beside it, as where making the pair was cut off.

    Raises:
        ConfigError: `read_private` refuses the key, or it cannot be read, as where it has a passphrase.
        FileExistsError, OSError: as `generate_key`.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    beside = public_path(path)
    try:
        private = load_pem_private_key(read_private(path), None)
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        public = PublicKey.from_pem(pem.decode())
    except (TypeError, ValueError):  # TypeError: it has a passphrase
        raise ConfigError(
            f"{beside}: missing; `openssl pkey -in {path} -pubout -out {beside}` makes it"
        ) from None
    create_whole(beside, public.pem.encode(), 0o644)
    return public
