"""Reads back what a store has under a key, and no more than that can be."""

from __future__ import annotations

import hashlib

from collector.model import DeliveryError, Sink

__all__ = ["check_stored"]

_CHUNK = 1 << 20


def check_stored(sink: Sink, key: str, sha256: str, size: int) -> None:
    """Compare what is stored with what was sent.

    Args:
        sha256: of what was sent, in hexadecimal.
        size: its bytes; a store that gives more is not read to an end that may never come.

    Raises:
        DeliveryError: other bytes are stored.
        SinkUnreadable, OSError, SinkRefused: as `Sink.get`.
    """
    digest, left = hashlib.sha256(), size
    with sink.get(key) as stored:
        while left >= 0 and (chunk := stored.read(min(_CHUNK, left + 1))):
            digest.update(chunk)
            left -= len(chunk)
    if left != 0 or digest.hexdigest() != sha256:
        raise DeliveryError("other bytes are stored under this key")
