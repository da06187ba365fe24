"""The sink `directory`: bundles as files below a folder, kept as long as is asked.

A bundle is written beside its place, made durable, and linked into it: it is there whole or not at all,
and nothing that is there is replaced.

Retention goes by what the bundles say of themselves (`collector.hookspecs.outdated`).
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar

from collector.hookspecs import check_key, hookimpl, is_key, outdated
from collector.model import Enforced, Json, Option, Sink, SinkRefused, SinkTaken

__all__ = ["DirectorySink", "api", "collector_sinks"]

api = 1

_CHUNK = 1 << 20
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # file systems without hard links


class DirectorySink:
    """Bundles below a folder."""

    name: ClassVar[str] = "directory"
    title: ClassVar[str] = "A folder of this machine, or one that is mounted"
    options: ClassVar[tuple[Option, ...]] = (
        Option("path", "path", "the folder; it is made where it is missing", required=True),
        Option("keep", "duration", "how long bundles are kept; for ever if left out"),
    )
    confirms: ClassVar[bool] = True
    replaces: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._folder = Path(settings["path"])
        self._keep: float | None = settings.get("keep")

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder)

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store a file under a key.

        Raises:
            SinkTaken: something is stored under the key.
            SinkRefused: the key is none, or the bytes are not those announced.
            OSError: the disk would not; nothing is left of what was written.
        """
        path = self._path(key)
        made = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
        try:
            _make_folder(path.parent)
            try:
                if _copy(file, made) != sha256:
                    raise SinkRefused("the bytes to store are not those that were announced")
                _place(made, path, absent)
            finally:
                made.unlink(missing_ok=True)
            _remove_leftovers(path.parent)
            _sync(path.parent)
        except OSError as error:
            raise OSError(
                error.errno, f"{error.strerror or error} (storing {path.name})", str(path.parent)
            ) from error

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored. Raises FileNotFoundError if nothing is."""
        return self._path(key).open("rb")

    def head(self, key: str) -> int | None:
        """Its size, or None."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, sorted."""
        yield from sorted(key for key in self._keys(prefix) if key.startswith(prefix))

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:
        """Delete the oldest bundles of each series, up to those that `keep` before `as_of` allows.

        Returns:
            The keys that went, the stamps beside bundles among them.
        """
        if self._keep is None:
            return []
        gone: list[str] = []
        for key in outdated(list(self.list(prefix)), as_of, self._keep, self.get):
            path = self._path(key)
            path.unlink(missing_ok=True)
            for left in path.parent.glob(f".{path.name}.*.new"):
                left.unlink(missing_ok=True)
            _sync(path.parent)
            gone.append(key)
        return gone

    def check(self, key: str) -> Sequence[Enforced]:
        """A folder keeps nobody who may write to it from deleting: shown by removing the canary."""
        path = self._path(key)
        for each in (path, *path.parent.glob(f"{path.name}*")):
            each.unlink(missing_ok=True)
        for folder in (path.parent, *path.parent.parents):
            if folder == self._folder or next(folder.iterdir(), None) is not None:
                break
            folder.rmdir()
        detail = "deleted by the user that stored it; where that must not be, use a store with locks"
        return [Enforced("what is stored cannot be deleted", False, detail, promised=False)]

    def permissions(self) -> str:
        """A folder that the user who runs the collector owns, and nobody else can enter."""
        import getpass
        import shlex

        made = f"install -d -m 0700 -o {shlex.quote(getpass.getuser())} {shlex.quote(str(self._folder))}"
        return f"# Write, read back, resume and check: the folder's owner may do all of it.\n{made}\n"

    def _keys(self, prefix: str) -> Iterator[str]:
        """Walk no further than the prefix needs: a store may hold many series."""
        below = prefix.rpartition("/")[0]
        top = self._folder / below if not below or is_key(below) else self._folder
        for path in top.rglob("*"):
            key = path.relative_to(self._folder).as_posix()
            if is_key(key) and path.is_file():
                yield key

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)


def _copy(file: IO[bytes], made: Path) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    digest = hashlib.sha256()
    with os.fdopen(os.open(made, flags, 0o600), "wb") as out:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _place(made: Path, path: Path, absent: bool) -> None:
    if not absent:
        made.replace(path)
        return
    try:
        os.link(made, path)
    except OSError as error:
        # Who else stored the key meanwhile took away what lay beside it, too (`_remove_leftovers`).
        if path.exists():
            raise SinkTaken(f"{path.name} is there already, and nothing that is stored is replaced") from None
        if error.errno not in _NO_LINKS:
            raise
        made.rename(path)


def _remove_leftovers(folder: Path) -> None:
    """What processes left that were killed while they stored a key that is there by now."""
    for left in folder.glob(".*.new"):
        if (folder / left.name[1:].rsplit(".", 2)[0]).exists():
            left.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    made = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for each in reversed(made):
        _sync(each.parent)


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
