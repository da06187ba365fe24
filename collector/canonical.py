"""Canonical JSON, and the digests over it.

Keys are sorted, text is UTF-8, there are no spaces (docs/format.md, "Determinism"): the same value
always has the same bytes. Numbers are JSON's; NaN and infinities are no JSON and become null, so
sources give them as text.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import orjson

from collector.model import Json

__all__ = ["dumps", "file_sha256", "loads", "salted", "sha256_hex"]

_SALT_HEX = 32  # 128 bits: enough that undisclosed lines cannot be guessed


def dumps(value: Json) -> bytes:
    """The canonical bytes of a JSON value."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def loads(data: bytes | str) -> Json:
    """Parse JSON strictly. Raises ValueError for anything else."""
    return orjson.loads(data)


def salted(prefix: bytes, suffix: bytes, key: bytes | None) -> bytes:
    """Put `"salt"` between the two halves of a canonical object, keeping its keys sorted.

    Args:
        prefix: the object up to where the key belongs, without the comma, as in `{"record":{…}`.
        suffix: the rest, with its leading comma where one is due; at least `}`.
        key: the salt key; None writes no salt.

    Returns:
        One line without its newline. The salt is the keyed digest of the line without salt, cut to
        128 bits.
    """
    if key is None:
        return prefix + suffix
    digest = hmac.digest(key, prefix + suffix, "sha256").hex()[:_SALT_HEX]
    return b'%s,"salt":"%s"%s' % (prefix, digest.encode(), suffix)


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal, in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
