"""Files of JSON lines: written salted, hashed and compressed in one pass, read with suspicion.

A file is one gzip member (RFC 1952) with no name and no time in its header. Each line ends in a
newline and is, without it, a leaf of the file's Merkle tree. Memory is constant both ways: a block's
worth of lines, whatever the file's size.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from collector.merkle import Tree
from collector.model import VerifyError

__all__ = ["LIMITS", "Limits", "LineWriter", "Readable", "Sealed", "line_batches", "read_lines", "scan"]

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no flags, no time, unknown system
_LAST_BLOCK = b"\x03\x00"  # an empty final deflate block
_RAW = -15  # deflate without a container, window of 32 KiB
_LEVEL = 1  # isal's: a quarter faster than 2, a twentieth larger

# A block is hashed and compressed at once, so that both run outside the interpreter's lock, beside the
# next block's salts. Its borders depend on the lines alone, never on timing: same lines, same bytes.
_BLOCK = 1 << 21
_READ = 1 << 16
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file of lines may cost its reader.

    Attributes:
        line: bytes in one line. The largest honest one is a text kept whole, a few MiB.
        size: uncompressed bytes. A million records with ten findings each take 2 GB.
        ratio: uncompressed to compressed bytes. Lines that differ in an id alone reach about 60;
            deflate's end is 1,032.
        free: bytes to which `ratio` does not apply yet, so that a small file may be uniform.
    """

    line: int = 16 << 20
    size: int = 64 << 30
    ratio: int = 250
    free: int = 4 << 20


LIMITS = Limits()


class Readable(Protocol):
    """What bytes are read from: an open file, or a stretch of one."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """A finished file of lines.

    Attributes:
        path: where it lies.
        sha256: of the uncompressed bytes, in hexadecimal.
        lines: how many.
        size: uncompressed bytes.
        root: of the Merkle tree over the lines (RFC 6962), 32 bytes.
    """

    path: Path
    sha256: str
    lines: int
    size: int
    root: bytes


class _Salter:
    """`collector.canonical.salted` with the key's two HMAC states (RFC 2104) made once."""

    def __init__(self, key: bytes) -> None:
        padded = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\x00")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def salted(self, prefix: bytes, suffix: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(prefix + suffix)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return b"".join((prefix, b',"salt":"', outer.hexdigest()[:32].encode(), b'"', suffix))


class LineWriter:
    """Writes a new file of lines, with a salt in each if a key is given.

    Without `tree` the sealed file has no root and no count: for lines that are sealed elsewhere.

    A context manager: leaving it seals the file; leaving it by an exception closes the file as it is,
    incomplete and refused by every reader. Not for use from two threads at once.

    Raises:
        OSError: the file exists or cannot be written, as on a full disk; from any method.
    """

    def __init__(self, path: Path, salt_key: bytes | None, *, tree: bool = True) -> None:
        self.path = path
        self._salter = _Salter(salt_key) if salt_key is not None else None
        self._lines: list[bytes] = []
        self._waiting = 0
        self._tree = Tree() if tree else None
        self._sealed: Sealed | None = None
        self._sink = _Sink(path)

    def write(self, prefix: bytes, suffix: bytes = b"}") -> None:
        """Write one canonical JSON object, given in two halves between which its salt belongs.

        Raises:
            ValueError: the line is longer than a reader allows, or the file is closed.
        """
        if self._sealed is not None:
            raise ValueError(f"{self.path} is closed")
        line = self._salter.salted(prefix, suffix) if self._salter else prefix + suffix
        if len(line) > LIMITS.line:
            raise ValueError(f"line of {len(line)} bytes, at most {LIMITS.line}")
        self._lines.append(line)
        self._waiting += len(line)
        if self._waiting >= _BLOCK:
            self._flush()

    def write_all(self, lines: Sequence[bytes]) -> None:
        """Write whole lines that need no salt, many at a time. Raises ValueError as `write` does."""
        if self._sealed is not None or self._salter is not None:
            raise ValueError(f"{self.path} is closed, or its lines need salts")
        self._lines.extend(lines)
        self._waiting += sum(map(len, lines))
        if self._waiting >= _BLOCK:
            self._flush()

    def _flush(self) -> None:
        lines = self._lines
        if self._tree is not None:
            self._tree.extend(lines)
        lines.append(b"")
        block = b"\n".join(lines)
        if block.count(b"\n") != len(lines) - 1:
            raise ValueError("a line with a newline in it")
        self._lines, self._waiting = [], 0
        self._sink.put(block)

    def close(self) -> Sealed:
        """Seal the file and say what is in it; a second call says the same again."""
        if self._sealed is None:
            try:
                if self._lines:
                    self._flush()
                sha256, size = self._sink.finish()
            finally:
                self._sink.abandon()
            count, root = (0, b"") if self._tree is None else (len(self._tree), self._tree.root())
            self._sealed = Sealed(self.path, sha256, count, size, root)
        return self._sealed

    def __enter__(self) -> LineWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._sink.abandon()


class _Sink:
    """Hashes, compresses and writes blocks, one behind the producer; with a thread from the second on."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=_BLOCK)
        self._file.write(_HEADER)
        self._digest = hashlib.sha256()
        self._crc = 0
        self._size = 0
        self._pool: ThreadPoolExecutor | None = None
        self._packed: Future[bytes] | None = None

    def put(self, block: bytes) -> None:
        from isal import isal_zlib

        self._settle()
        if self._size and self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="lines")
        if self._pool is not None:
            self._packed = self._pool.submit(_deflated, block)
        else:
            self._file.write(_deflated(block))
        # Here the lock is let go of, so that the thread starts at once instead of after its 5 ms.
        self._digest.update(block)
        self._crc = isal_zlib.crc32(block, self._crc)
        self._size += len(block)

    def _settle(self) -> None:
        if self._packed is not None:
            self._file.write(self._packed.result())
            self._packed = None

    def finish(self) -> tuple[str, int]:
        self._settle()
        self._file.write(_LAST_BLOCK + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))
        return self._digest.hexdigest(), self._size

    def abandon(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        self._file.close()


def _deflated(block: bytes) -> bytes:
    """A block as whole deflate blocks that end on a byte's border.

    In one call: each return to the interpreter waits up to 5 ms for its lock, and a compressor whose
    output buffer has to grow returns five times. What shrinks more than a reader lets pass is packed
    again without matches (a hundredth at best): a target that answers with a mebibyte of one letter
    must not make evidence that nobody may open.
    """
    from isal import isal_zlib

    for level in (_LEVEL, 0):
        packer = isal_zlib._ParallelCompress(buffersize=2 * len(block) + 512, level=level)
        packed: bytes = packer.compress_and_crc(block, b"")[0]
        if len(packed) * LIMITS.ratio > len(block):
            break
    return packed


def _inflated(source: Readable, name: str, limit: Limits) -> Iterator[bytes]:
    """The uncompressed bytes, in pieces, held against the limits before each is handed on.

    The container is read here, since libraries skip header fields and some the checksum: what this
    format does not write is refused.
    """
    from isal import isal_zlib

    if source.read(len(_HEADER)) != _HEADER:
        raise VerifyError(f"{name}: not gzip with the header of this format")
    packed = size = crc = 0
    unpacker = isal_zlib.decompressobj(wbits=_RAW)
    data = b""
    while not unpacker.eof:
        data = unpacker.unconsumed_tail
        if not data:
            data = source.read(_READ)
            packed += len(data)
        piece = _piece(unpacker, data, name)
        size += len(piece)
        _hold(size, packed - len(unpacker.unconsumed_tail), name, limit)
        crc = isal_zlib.crc32(piece, crc)
        if piece:
            yield piece
    trailer = unpacker.unused_data + source.read(_READ)
    if trailer != struct.pack("<II", crc, size & 0xFFFFFFFF):
        raise VerifyError(f"{name}: its gzip checksum is wrong, or bytes follow it")


def _piece(unpacker: Any, data: bytes, name: str) -> bytes:
    from isal.igzip_lib import IsalError

    try:
        piece: bytes = unpacker.decompress(data, _PIECE)
    except IsalError as error:  # type: ignore[misc]  # the stub calls the class an instance
        raise VerifyError(f"{name}: damaged: {error}") from None
    if not data and not piece and not unpacker.eof:
        raise VerifyError(f"{name}: cut off")
    return piece


def _hold(size: int, packed: int, name: str, limit: Limits) -> None:
    if size > limit.size:
        raise VerifyError(f"{name}: more than {limit.size} bytes uncompressed")
    if size > limit.free and size > limit.ratio * packed:
        raise VerifyError(f"{name}: expands more than {limit.ratio} times")


def line_batches(
    source: Readable,
    name: str,
    limit: Limits = LIMITS,
    passing: Callable[[bytes], None] | None = None,
) -> Iterator[list[bytes]]:
    """Read a file of lines from its compressed bytes, a block's worth of lines at a time.

    Args:
        source: the compressed bytes, from where it stands to its end.
        name: what it is called in errors.
        limit: what it may cost.
        passing: given the uncompressed bytes in pieces, each before its lines are handed on.

    Raises:
        VerifyError: it is not one gzip stream of newline-ended, non-empty lines, or costs too much.
    """
    open_line: list[bytes] = []
    for piece in _inflated(source, name, limit):
        if passing is not None:
            passing(piece)
        lines = piece.split(b"\n")
        open_line.append(lines[0])
        if sum(map(len, open_line)) > limit.line or (
            len(piece) > limit.line and any(len(line) > limit.line for line in lines)
        ):
            raise VerifyError(f"{name}: a line of more than {limit.line} bytes")
        if len(lines) == 1:
            continue
        lines[0] = b"".join(open_line)
        open_line = [lines.pop()]
        if not all(lines):
            raise VerifyError(f"{name}: an empty line")
        yield lines
    if any(open_line):
        raise VerifyError(f"{name}: the last line does not end")


def read_lines(path: Path, limit: Limits = LIMITS) -> Iterator[bytes]:
    """The lines of a file without their newlines; see `line_batches` for what is refused.

    Raises:
        VerifyError: as `line_batches` does, or the file is missing.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise VerifyError(f"{path}: {error.strerror}") from None
    with file:
        for lines in line_batches(file, path.name, limit):
            yield from lines


def scan(
    source: Readable,
    path: Path,
    limit: Limits = LIMITS,
    look: Callable[[list[bytes]], None] | None = None,
) -> Sealed:
    """Count, hash and grow the tree of a file of lines, as its writer did.

    Args:
        source: the compressed bytes.
        path: what it is called, in errors too.
        limit: what it may cost.
        look: given each batch of lines; what it raises ends the scan.
    """
    digest = _Digest()
    tree = Tree()
    for lines in line_batches(source, str(path), limit, digest.update):
        if look is not None:
            look(lines)
        tree.extend(lines)
    return Sealed(path, digest.hexdigest(), len(tree), digest.size, tree.root())


class _Digest:
    """The SHA-256 and the number of the bytes that pass."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.size = 0

    def update(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self.size += len(piece)

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()
