"""The archive: written in canonical form, read with suspicion.

The reader does not follow the archive's own directory. It walks the members from the first byte on,
rebuilds every header from name, size and CRC, and compares; the directory too. So each byte of the
file is either contents, which digests cover, or exactly what it must be.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from collector.bundle import layout
from collector.bundle.headers import LOCAL_SIZE, SIGNATURE, Member, directory, local_header
from collector.model import ConfigError, VerifyError

__all__ = ["Archive", "ArchiveWriter", "Window"]

_CHUNK = 1 << 20


class ArchiveWriter:
    """Writes an archive beside its destination and renames it when all is on disk.

    A context manager: leaving it by an exception leaves nothing behind.

    Raises:
        ValueError: from `add`, for a member that no bundle may have there.
        ConfigError: from `add`, for a member that is larger than any reader takes.
        FileExistsError: on leaving, if something stands at the destination.
        OSError: the disk is full, or a source cannot be read.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._members: list[Member] = []
        self._at = 0

    def __enter__(self) -> ArchiveWriter:
        descriptor, name = tempfile.mkstemp(prefix=".bundle-", dir=self._out.parent)
        self._temporary = Path(name)
        self._file = os.fdopen(descriptor, "wb", buffering=_CHUNK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()
            self._temporary.unlink(missing_ok=True)

    def add(self, name: str, source: Path | bytes) -> str:
        """Append a member, by streaming, and return the SHA-256 of its contents in hexadecimal."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        digest = hashlib.sha256()
        self.add_chunks(name, size, _hashed(_chunks(source), digest.update))
        return digest.hexdigest()

    def add_chunks(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """As `add`, for contents that come in pieces and whose size is known before."""
        layout.check_names([*(member.name for member in self._members[-1:]), name])
        if size > layout.largest(name):
            raise ConfigError(
                f"{name}: {size} bytes, at most {layout.largest(name)} in one bundle; take less"
            )
        crc = 0
        self._file.write(local_header(Member(name, size, 0, self._at)))
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            self._file.write(chunk)
        self._close_member(Member(name, size, crc, self._at))

    def _close_member(self, member: Member) -> None:
        if self._file.tell() != member.end:
            raise OSError(f"{member.name} changed while it was read")
        self._file.seek(member.offset)
        self._file.write(local_header(member))
        self._file.seek(member.end)
        self._members.append(member)
        self._at = member.end

    def _finish(self) -> None:
        layout.check_names(member.name for member in self._members)
        self._file.writelines(directory(self._members))
        self._file.flush()
        os.fsync(self._file.fileno())
        if os.path.lexists(self._out):  # a rename would replace it
            raise FileExistsError(f"{self._out} exists")
        self._temporary.rename(self._out)
        _sync_folder(self._out.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _hashed(chunks: Iterable[bytes], update: Callable[[bytes], object]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk


class Window:
    """A member's contents as a file that is read once, forwards; `sha256` and `crc` cover what was read."""

    def __init__(self, file: IO[bytes], member: Member) -> None:
        self._file = file
        self._member = member
        self._at = member.start
        self._digest = hashlib.sha256()
        self._crc = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes. Raises VerifyError at the end if the archive's CRC says otherwise."""
        left = self._member.end - self._at
        self._file.seek(self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        self._digest.update(data)
        self._crc = zlib.crc32(data, self._crc)
        if self._at == self._member.end and self._crc != self._member.crc:
            raise VerifyError(f"{self._member.name}: does not fit its checksum in the archive")
        if not data and left and size:
            raise VerifyError(f"{self._member.name}: cut off")
        return data

    def drain(self) -> None:
        """Read what is left."""
        while self.read(_CHUNK):
            pass

    def sha256(self) -> str:
        """The SHA-256 of all of it, in hexadecimal."""
        self.drain()
        return self._digest.hexdigest()


class Archive:
    """An archive whose form has been checked: names, order, sizes, and every byte between contents.

    The contents have not: each is held against its CRC when it is read, and against the signed digest
    by `collector.bundle.verify`.

    Attributes:
        members: in archive order.

    Raises:
        VerifyError: it is not in canonical form; the message says where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path)
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self.members = tuple(self._walk())
            self._compare_directory()
        except BaseException:
            self._file.close()
            raise
        self._by_name = {member.name: member for member in self.members}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def window(self, name: str) -> Window:
        """A member's contents, to be read once. Raises VerifyError if there is none of this name."""
        if name not in self._by_name:
            raise VerifyError(f"{self.path.name}: {name} is missing")
        return Window(self._file, self._by_name[name])

    def read(self, name: str) -> bytes:
        """A whole member in memory; for those that `layout.largest` keeps small."""
        return self.window(name).read()

    def extract(self, folder: Path) -> dict[str, str]:
        """Write all members below a folder that does not exist yet, readable by this user alone.

        Returns:
            Member to the SHA-256 of what was written, in hexadecimal.

        Raises:
            VerifyError: contents do not fit their checksum; what was written so far stays.
            OSError: the folder exists or cannot be written.
        """
        folder.mkdir(mode=0o700, parents=True)
        written = {}
        for member in self.members:
            target = folder / member.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            window = Window(self._file, member)
            with _created(target) as file:
                while chunk := window.read(_CHUNK):
                    file.write(chunk)
            written[member.name] = window.sha256()
        return written

    def _walk(self) -> Iterator[Member]:
        names: list[str] = []
        at = 0
        while (fixed := self._at(at, LOCAL_SIZE))[:4] == SIGNATURE and len(names) <= layout.MAX_MEMBERS:
            member = self._member(at, fixed)
            names.append(member.name)
            yield member
            at = member.end
        try:
            layout.check_names(names)
        except ValueError as error:
            raise VerifyError(f"{self.path.name}: {error}") from None
        if not names:
            raise VerifyError(f"{self.path.name}: not a bundle: it does not begin with a member")

    def _member(self, at: int, fixed: bytes) -> Member:
        if len(fixed) < LOCAL_SIZE:
            raise VerifyError(f"{self.path.name}: cut off at byte {at}")
        crc, _, size, name_size, extra_size = struct.unpack("<14xLLLHH", fixed)
        raw = self._at(at + LOCAL_SIZE, name_size)
        extra = self._at(at + LOCAL_SIZE + name_size, min(extra_size, 20))
        try:
            name = raw.decode("ascii")
            limit = layout.largest(name)
            layout.place(name)
        except ValueError as error:
            why = f"a name that is not ASCII: {raw[:80]!r}" if isinstance(error, UnicodeError) else str(error)
            raise VerifyError(f"{self.path.name}: at byte {at}: {why}") from None
        if len(extra) == 20:
            (size,) = struct.unpack("<4xQ8x", extra)
        member = Member(name, size, crc, at)
        if self._at(at, len(local_header(member))) != local_header(member):
            raise VerifyError(f"{self.path.name}: the header of {name} is not in canonical form")
        if size > limit:
            raise VerifyError(f"{self.path.name}: {name} has {size} bytes, at most {limit}")
        if member.end > self._size:
            raise VerifyError(f"{self.path.name}: cut off in {name}")
        return member

    def _compare_directory(self) -> None:
        at = self.members[-1].end
        for piece in directory(self.members):
            if self._at(at, len(piece)) != piece:
                raise VerifyError(f"{self.path.name}: the archive's directory is not what its members give")
            at += len(piece)
        if at != self._size:
            raise VerifyError(f"{self.path.name}: {self._size - at} bytes behind the archive's end")

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)


def _opened(path: Path) -> IO[bytes]:
    try:
        # Not to wait for a writer, should the path be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise VerifyError(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise VerifyError(f"{path}: not a regular file")
    return os.fdopen(descriptor, "rb")


def _created(path: Path) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")
