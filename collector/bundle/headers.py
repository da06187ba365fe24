"""The bytes of a ZIP archive that are not contents, as the one form that bundles allow.

From name, size and CRC of its members in order, every header follows: stored, version 2.0 (4.5 where
ZIP64 is needed), made on Unix, mode 0644, 1980-01-01 00:00, no flags, no comment, no extra field but
ZIP64's where a size or offset does not fit 32 bits (PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["LOCAL_SIZE", "SIGNATURE", "Member", "directory", "local_header"]

SIGNATURE = b"PK\x03\x04"
LOCAL_SIZE = 30  # of a local header before its name
_TOP16, _TOP32 = 0xFFFF, 0xFFFFFFFF
_ZIP64 = 1
_DATE = 1 << 5 | 1  # 1980-01-01
_UNIX = 3 << 8
_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive: `offset` is that of its local header."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def start(self) -> int:
        """Where its contents begin."""
        return self.offset + len(local_header(self))

    @property
    def end(self) -> int:
        """Where its contents end."""
        return self.start + self.size


def local_header(member: Member) -> bytes:
    """What stands before a member's contents."""
    large = member.size >= _TOP32
    name = member.name.encode("ascii")
    size = _TOP32 if large else member.size
    extra = struct.pack("<HHQQ", _ZIP64, 16, member.size, member.size) if large else b""
    fixed = struct.pack(
        "<4sHHHHHLLLHH",
        SIGNATURE,
        _version(large),
        0,
        0,
        0,
        _DATE,
        member.crc,
        size,
        size,
        len(name),
        len(extra),
    )
    return fixed + name + extra


def directory(members: Sequence[Member]) -> Iterator[bytes]:
    """What stands behind the last member's contents, to the end of the file, in pieces."""
    start = members[-1].end if members else 0
    size = 0
    for member in members:
        entry = _entry(member)
        size += len(entry)
        yield entry
    count = len(members)
    if count >= _TOP16 or size >= _TOP32 or start >= _TOP32:
        made = _version(True)
        yield struct.pack(
            "<4sQHHLLQQQQ", b"PK\x06\x06", 44, _UNIX | made, made, 0, 0, count, count, size, start
        )
        yield struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
    low = min(count, _TOP16)
    yield struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, low, low, min(size, _TOP32), min(start, _TOP32), 0)


def _entry(member: Member) -> bytes:
    wide = b""
    if member.size >= _TOP32:
        wide += struct.pack("<QQ", member.size, member.size)
    if member.offset >= _TOP32:
        wide += struct.pack("<Q", member.offset)
    extra = struct.pack("<HH", _ZIP64, len(wide)) + wide if wide else b""
    name = member.name.encode("ascii")
    size = min(member.size, _TOP32)
    needed = _version(bool(wide))
    fixed = struct.pack(
        "<4sHHHHHHLLL", b"PK\x01\x02", _UNIX | needed, needed, 0, 0, 0, _DATE, member.crc, size, size
    )
    rest = struct.pack("<HHHHHLL", len(name), len(extra), 0, 0, 0, _MODE, min(member.offset, _TOP32))
    return fixed + rest + name + extra


def _version(large: bool) -> int:
    return 45 if large else 20
