"""The sink `directory`: bundles as files below a folder, kept as long as is asked.

A bundle is written beside its place, made durable, and linked into it: it is there whole or not at all,
and nothing that is there is replaced. Retention goes by the day in a bundle's epoch and its file's
time, set to when it was stored; only the oldest bundles of a series go, never its newest.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, ClassVar

from collector.hookspecs import hookimpl
from collector.model import Json, Option, Sink, SinkRefused

__all__ = ["DirectorySink", "api", "collector_sinks"]

api = 1

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*){0,8}\Z")
_CHUNK = 1 << 20


class DirectorySink:
    """Bundles below a folder."""

    name: ClassVar[str] = "directory"
    title: ClassVar[str] = "A folder of this machine, or one that is mounted"
    options: ClassVar[tuple[Option, ...]] = (
        Option("path", "path", "the folder; it is made where it is missing", required=True),
        Option("keep", "duration", "how long bundles are kept; for ever if left out"),
    )

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._folder = Path(settings["path"])
        self._keep: int | None = settings.get("keep")

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder)

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store a file under a key. Raises SinkRefused where something is there, OSError as the disk does."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            descriptor = os.open(
                made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "wb") as out:
                if _copy(file, out) != sha256:
                    raise SinkRefused("the bytes to store are not those that were announced")
            self._place(made, path, absent)
        finally:
            made.unlink(missing_ok=True)
        _sync(path.parent)

    def _place(self, made: Path, path: Path, absent: bool) -> None:
        if not absent:
            made.replace(path)
            return
        try:
            os.link(made, path)
        except FileExistsError:
            raise SinkRefused(
                f"{path.name} is there already, and nothing that is stored is replaced"
            ) from None

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored."""
        return self._path(key).open("rb")

    def head(self, key: str) -> int | None:
        """Its size, or None."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, sorted."""
        if not self._folder.is_dir():
            return
        keys = (
            path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file()
        )
        yield from sorted(key for key in keys if key.startswith(prefix) and _KEY.match(key))

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:
        """Delete what was stored longer ago than `keep` before `as_of`; never a series' newest bundle."""
        if self._keep is None:
            return []
        until = datetime.strptime(as_of, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() - self._keep
        gone = []
        for key in [*self.list(prefix)][:-1]:
            path = self._path(key)
            if path.stat().st_mtime >= until:
                break  # what follows is newer: a hole in the middle of a chain is never made
            path.unlink()
            gone.append(key)
        return gone

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise SinkRefused(f"{key!r} is no key: letters, digits, `.`, `_` and `-`, in parts joined by /")
        return self._folder / key


def _copy(file: IO[bytes], out: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        out.write(chunk)
    out.flush()
    os.fsync(out.fileno())
    return digest.hexdigest()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@hookimpl
def collector_sinks() -> Sequence[type[Sink]]:
    """The one sink."""
    return [DirectorySink]
