"""Texts that AWS hands out in base64, as what they are, so that secrets in them can be found.

Only the encoding is taken off (base64, and gzip below it as cloud-init allows); what is no text stays
as it came.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from collector.model import Json

__all__ = ["decode"]

_MOST = 1 << 20  # bytes; user data has 16 KiB at most, some fifty times that when it was packed well


def decode(item: dict[str, Json], path: str) -> None:
    """Replace the text at a path, in place; the objects on the way are copied."""
    *way, name = path.split(".")
    for step in way:
        inner = item.get(step)
        if not isinstance(inner, dict):
            return
        item[step] = item = dict(inner)
    if isinstance(item.get(name), str):
        item[name] = _text(item[name])


def _text(told: str) -> str:
    try:
        data = base64.b64decode(told, validate=True)
        if data.startswith(b"\x1f\x8b"):
            data = _unpacked(data)
        text = data.decode()
    except (ValueError, binascii.Error, zlib.error):
        return told
    return told if "\0" in text else text


def _unpacked(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    made = unpacking.decompress(data, _MOST)
    if unpacking.unconsumed_tail:
        raise ValueError("too large when unpacked")
    return made
