"""Reads files below one folder and never outside it.

Every step down is an `openat` that refuses symbolic links, so that neither a link nor a folder that
is swapped during the run leads out. Sizes, depth and number are bounded before anything is read.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from collector.model import CallFailed, Fault, Outcome

__all__ = ["ERRORS", "Entry", "Folder"]

ERRORS: dict[str, Fault] = {
    "no-folder": Fault(Outcome.UNREACHABLE),  # the configured folder is not there
    "missing": Fault(Outcome.FAILED),  # the roster or policies/ is not there: that is no empty programme
    "vanished": Fault(Outcome.VANISHED),
    "denied": Fault(Outcome.DENIED),
    "link": Fault(Outcome.UNSUPPORTED),
    "not-a-file": Fault(Outcome.UNSUPPORTED),
    "not-markdown": Fault(Outcome.UNSUPPORTED),
    "bad-name": Fault(Outcome.MALFORMED),
    "not-text": Fault(Outcome.MALFORMED),
    "too-large": Fault(Outcome.BUDGET),
    "too-many": Fault(Outcome.BUDGET),
    "too-deep": Fault(Outcome.BUDGET),
    "io": Fault(Outcome.FAILED, retry=True),
}

MAX_FILES = 1_000  # a large organisation has some two hundred policies
MAX_DEPTH = 8
_CHUNK = 2**20
_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LEAF = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not hold the run up


@dataclass(frozen=True, slots=True)
class Entry:
    """A file found below a folder; `fault` is a key of ERRORS where it cannot be read, else ""."""

    path: str
    fault: str = ""


class Folder:
    """One folder, read until a moment.

    Args:
        path: where it is; the folder itself may be reached through links.
        until: on the monotonic clock; reading stops there with TimeoutError.

    Both methods raise CallFailed with a code of ERRORS, and TimeoutError.
    """

    def __init__(self, path: str, until: float) -> None:
        self._path = path
        self._until = until

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a regular file, at most `limit` of them."""
        with _refusals(path), self._parent(path) as (folder, name):
            descriptor = os.open(name, _LEAF, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise CallFailed("not-a-file", f"{path}: not a regular file")
                return self._chunks(file, path, limit)

    def files(self, path: str) -> list[Entry]:
        """All files below a folder, sorted; names that begin with a dot are left out."""
        found: list[Entry] = []
        with _refusals(path), self._parent(path) as (folder, name):
            descriptor = os.open(name, _STEP, dir_fd=folder)
            try:
                self._walk(descriptor, path, 1, found)
            finally:
                os.close(descriptor)
        return sorted(found, key=lambda entry: entry.path)

    def _chunks(self, file: BinaryIO, path: str, limit: int) -> bytes:
        whole = bytearray()
        while chunk := file.read(min(_CHUNK, limit + 1 - len(whole))):
            whole += chunk
            if len(whole) > limit:
                raise CallFailed("too-large", f"{path}: more than {limit:,} bytes")
            self._check_time(path)
        return bytes(whole)

    def _walk(self, descriptor: int, path: str, depth: int, found: list[Entry]) -> None:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if len(found) >= MAX_FILES:
                    raise CallFailed("too-many", f"{path}: more than {MAX_FILES:,} files")
                self._check_time(path)
                self._enter(descriptor, f"{path}/{entry.name}", entry, depth, found)

    def _enter(
        self, descriptor: int, path: str, entry: os.DirEntry[str], depth: int, found: list[Entry]
    ) -> None:
        if not entry.name.isprintable():  # also what is not UTF-8
            found.append(Entry(ascii(path)[1:-1], "bad-name"))
        elif entry.is_symlink():
            found.append(Entry(path, "link"))
        elif entry.is_file(follow_symlinks=False):
            found.append(Entry(path))
        elif not entry.is_dir(follow_symlinks=False):
            found.append(Entry(path, "not-a-file"))
        elif depth >= MAX_DEPTH:
            found.append(Entry(path, "too-deep"))
        else:
            self._descend(descriptor, path, entry.name, depth, found)

    def _descend(self, descriptor: int, path: str, name: str, depth: int, found: list[Entry]) -> None:
        try:
            below = os.open(name, _STEP, dir_fd=descriptor)
        except OSError as error:
            found.append(Entry(path, _code(error)))
            return
        try:
            self._walk(below, path, depth + 1, found)
        finally:
            os.close(below)

    def _check_time(self, path: str) -> None:
        if time.monotonic() > self._until:
            raise TimeoutError(f"{path}: not read in time")

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        """The open folder that holds `path`, and the last part of it."""
        *steps, name = _parts(path)
        try:
            folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise CallFailed("no-folder", "the programme's folder does not exist") from None
        try:
            for step in steps:
                below = os.open(step, _STEP, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder, name
        finally:
            os.close(folder)


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise CallFailed("bad-name", f"{ascii(path)[1:-1]}: not a path below the folder")
    return parts


@contextmanager
def _refusals(path: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        code = _code(error)
        why = "a symbolic link, which is refused" if code == "link" else error.strerror
        raise CallFailed(code, f"{path}: {why}") from error


def _code(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return "missing"
        case errno.EACCES | errno.EPERM:
            return "denied"
        case errno.ELOOP:
            return "link"
        case errno.ENOTDIR | errno.ENXIO | errno.EISDIR:
            return "not-a-file"
        case _:
            return "io"
