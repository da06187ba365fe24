"""A bundle without its evidence: what tells who signed it, from a stream of any length, in little room."""

from __future__ import annotations

import os
import struct
from typing import IO

from collector.bundle import layout
from collector.bundle.headers import LOCAL_SIZE, SIGNATURE
from collector.model import VerifyError

__all__ = ["excerpt"]

_CHUNK = 1 << 20
_MOST = 256 << 20  # written: statement and Sigstore bundle at their largest, stamps, headers, the directory
_LONGEST = 256  # of a name or of the fields behind it; `Archive` allows less


def excerpt(file: IO[bytes], out: IO[bytes]) -> None:
    """Copy an archive, each byte to its place, but leave holes where the files are that the statement signs.

    What is left is an archive of the same form, to be read by `Archive`, but for the contents of these files.

    Args:
        file: read once, forwards.
        out: seekable and empty; gets at most 256 MiB.

    Raises:
        VerifyError: it is no bundle, or more than one can be.
    """
    _Excerpt(file, out).go()


class _Excerpt:
    def __init__(self, file: IO[bytes], out: IO[bytes]) -> None:
        self._file = file
        self._out = out
        self._room = _MOST

    def go(self) -> None:
        for _ in range(layout.MAX_MEMBERS + 1):
            fixed = self._kept(LOCAL_SIZE)
            if fixed[:4] != SIGNATURE:
                self._copy(_MOST + 1)
                return
            if len(fixed) < LOCAL_SIZE:
                raise VerifyError("cut off")
            self._member(fixed)
        raise VerifyError(f"more than {layout.MAX_MEMBERS} members")

    def _member(self, fixed: bytes) -> None:
        size, name_size, extra_size = struct.unpack("<22xLHH", fixed)
        if name_size > _LONGEST or extra_size > _LONGEST:
            raise VerifyError("not in canonical form")
        raw, extra = self._kept(name_size), self._kept(extra_size)
        if len(extra) == 20:
            (size,) = struct.unpack("<4xQ8x", extra)
        try:
            name = raw.decode("ascii")
            signed, limit = layout.is_signed(name), layout.largest(name)
        except ValueError as error:
            raise VerifyError(str(error)) from None
        if size > limit:
            raise VerifyError(f"{name} has {size} bytes, at most {limit}")
        if signed:
            self._skip(size)
        else:
            self._copy(size)

    def _kept(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (chunk := self._file.read(size - len(data))):
            data += chunk
        self._write(data)
        return data

    def _copy(self, size: int) -> None:
        while size and (chunk := self._file.read(min(_CHUNK, size))):
            size -= len(chunk)
            self._write(chunk)

    def _skip(self, size: int) -> None:
        while size and (chunk := self._file.read(min(_CHUNK, size))):
            size -= len(chunk)
            self._out.seek(len(chunk), os.SEEK_CUR)

    def _write(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room < 0:
            raise VerifyError(f"more than {_MOST} bytes beside its evidence")
        self._out.write(data)
