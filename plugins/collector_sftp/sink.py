"""The sink `sftp`: bundles as files below a folder of another machine.

A bundle is written under a temporary name, made durable where the server offers that, and renamed:
it is there whole or not at all. What a cut connection left under the temporary name is read back, and the
next try goes on behind it if it is a beginning of the same bundle.

Plain SFTP renames never replace (draft-ietf-secsh-filexfer-02, section 6.5); `posix-rename` does, and is
used only where replacing was asked for.
"""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from stat import S_ISDIR, S_ISREG
from typing import IO, Any, ClassVar

from collector.hookspecs import check_key, is_key, outdated
from collector.model import (
    ConfigError,
    Enforced,
    Json,
    Option,
    SinkRefused,
    SinkTaken,
    SinkUnreadable,
)
from collector_sftp.connection import Connection, fsync, is_lost

__all__ = ["SftpSink"]

_CHUNK = 1 << 20
_REQUEST = 32768  # what every server must take and give in one packet
_MAX_DEPTH = 10  # a key has at most nine parts
_MAX_ENTRIES = 1_000_000  # of all folders that one listing may walk: three thousand years of nights
_PORTS = range(1, 65536)


class SftpSink:
    """Bundles on an SSH server."""

    name: ClassVar[str] = "sftp"
    title: ClassVar[str] = "A folder of another machine, by SFTP"
    options: ClassVar[tuple[Option, ...]] = (
        Option("host", "string", "name or address of the server", required=True),
        Option("port", "integer", "its port", default=22),
        Option("user", "string", "whom to log in as", required=True),
        Option("path", "string", "the folder there; relative to where a login begins", required=True),
        Option("key", "path", "private key file, 0600"),
        Option("passphrase", "string", "of the private key; give it as ${ENV}"),
        Option("password", "string", "in place of a key; give it as ${ENV}"),
        Option("agent", "boolean", "whether keys of a running ssh-agent may be used", default=False),
        Option("known_hosts", "path", "file of the host keys that are trusted", default="~/.ssh/known_hosts"),
        Option("host_key", "strings", "fingerprints (`SHA256:…`) that are trusted in place of known_hosts"),
        Option("timeout", "duration", "what one answer of the server may take", default="30s"),
        Option("keep", "duration", "how long bundles are kept; for ever if left out"),
    )
    confirms: ClassVar[bool] = False
    replaces: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Json]) -> None:
        given = {option.name: option.default for option in self.options} | dict(settings)
        if given["port"] not in _PORTS:
            raise ConfigError(f"sink sftp: port {given['port']} is none; must be from 1 to 65535")
        if bad := [each for each in given["host_key"] or () if not str(each).startswith("SHA256:")]:
            raise ConfigError(
                f"sink sftp: host_key {bad[0]!r} is no fingerprint; must be SHA256:… as from ssh-keygen -l"
            )
        if given["password"] is not None and given["key"] is not None:
            raise ConfigError("sink sftp: both key and password; must be one of them")
        if not given["path"] or "\0" in given["path"]:
            raise ConfigError("sink sftp: path must name a folder of the server")
        self._where = given
        self._path: str = given["path"].rstrip("/") or "/"
        self._keep: float | None = given["keep"]
        self._connection = Connection(given)

    @property
    def address(self) -> str:
        """As sftp(1) writes it."""
        host = f"[{self._where['host']}]" if ":" in self._where["host"] else self._where["host"]
        path = self._path if self._path.startswith("/") else f"/~/{self._path}"
        return f"sftp://{self._where['user']}@{host}:{self._where['port']}{path}"

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store a file under a key; a partial upload of the same bytes is gone on with.

        Raises:
            SinkTaken: something is stored under the key.
            SinkRefused: the bytes are not those announced, the key is none, or the server lets nobody in.
            OSError: the server could not be reached or would not store it.
        """
        path = self._file(key)
        folder, _, name = path.rpartition("/")
        # One name for one content: whoever goes on behind it sends the same bytes.
        made = f"{folder}/.{name}.{sha256[:16]}.part"
        with self._connection.files() as files:
            if absent and _exists(files, path):
                raise SinkTaken(f"{name} is there already, and nothing that is stored is replaced")
            _make_folders(files, folder)
            try:
                _fill(files, made, file, sha256)
                _place(files, made, path, absent)
            except (OSError, SinkRefused) as error:
                # Where the connection went, what has arrived stays: the next try goes on behind it. Where
                # the server is there and says no, as for a full disk, it is in the way.
                if not (isinstance(error, OSError) and is_lost(error)):
                    _remove(files, made)
                raise

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored. Raises FileNotFoundError, or SinkUnreadable where only writing is allowed."""
        path = self._file(key)
        with self._connection.files() as files, _reading(path):
            return io.BufferedReader(_Reader(self._connection, files.open(path, "rb"), path), _CHUNK)

    def head(self, key: str) -> int | None:
        """Its size, or None."""
        path = self._file(key)
        with self._connection.files() as files, _reading(path):
            try:
                return int(files.stat(path).st_size)
            except FileNotFoundError:
                return None

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, sorted."""
        below = prefix.rpartition("/")[0]
        with self._connection.files() as files, _reading(self._path):
            start = below if below and is_key(below) else ""
            found = [key for key in _walk(files, self._path, start) if key.startswith(prefix)]
        yield from sorted(found)

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:
        """Delete the oldest bundles of each series, up to those that `keep` before `as_of` allows."""
        if self._keep is None:
            return []
        gone: list[str] = []
        for key in outdated(list(self.list(prefix)), as_of, self._keep, self.get):
            with self._connection.files() as files:
                _remove(files, self._file(key))
            gone.append(key)
        return gone

    def check(self, key: str) -> Sequence[Enforced]:
        """Whether a rename replaces, and whether the user that stores can delete; canaries are removed."""
        path, other = self._file(key), self._file(f"{key}-renamed")
        with self._connection.files() as files:
            found = [_renaming(files, path, other), _deleting(files, path)]
            _remove(files, other)
            for folder in _parents(path, self._path):
                _remove_folder(files, folder)
        return found

    def permissions(self) -> str:
        """What sshd_config must say of the user, and which of it write-only delivery can do without."""
        user = self._where["user"]
        return (
            f"# sshd_config of {self._where['host']}\n"
            f"Match User {user}\n"
            "    ForceCommand internal-sftp\n"
            "    DisableForwarding yes\n"
            "    PermitTTY no\n"
            "# Upload: the user may write below the path, and make and rename files there.\n"
            "# Read back and resume: the user may read them. Without that right\n"
            "# (internal-sftp -P read,readdir,opendir) bundles are delivered but never compared.\n"
            "# keep, and check: the user may remove files. Without that right (internal-sftp -P remove)\n"
            "# what a cut connection left under a temporary name stays.\n"
        )

    def _file(self, key: str) -> str:
        return f"{self._path.rstrip('/')}/{check_key(key)}"


class _Reader(io.RawIOBase):
    """A remote file that is read many packets at a time, and never further ahead than was asked."""

    def __init__(self, connection: Connection, file: Any, path: str) -> None:
        self._connection = connection  # lives as long as what is read through it
        self._path = path
        self._file = file
        self._size = int(file.stat().st_size)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + min(len(buffer), 2 * _CHUNK), self._size)
        wanted = [(at, min(_REQUEST, end - at)) for at in range(self._at, end, _REQUEST)]
        with self._connection.files(), _reading(self._path):
            data = b"".join(self._file.readv(wanted)) if wanted else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _reading:  # noqa: N801 - reads as a word
    """Turns a refusal to read into the contract's word for it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, PermissionError):
            raise SinkUnreadable(f"{self._path}: this user may not read it") from None


def _exists(files: Any, path: str) -> bool:
    try:
        files.stat(path)
    except (FileNotFoundError, PermissionError):
        return False
    return True


def _make_folders(files: Any, folder: str) -> None:
    """Make a folder and those above it, closed to everyone else."""
    if _exists(files, folder):
        return
    above = folder.rpartition("/")[0]
    if above:
        _make_folders(files, above)
    try:
        files.mkdir(folder, 0o700)
    except OSError as error:
        # Servers give one code for all; another run may have made it, or it is there and may not be seen.
        if isinstance(error, PermissionError) or not _exists(files, folder):
            raise OSError(error.errno or errno.EIO, f"{_said(error)} (making a folder)", folder) from None


def _fill(files: Any, made: str, file: IO[bytes], sha256: str) -> None:
    """Write a file under its temporary name, behind what of it is there already."""
    size = file.seek(0, io.SEEK_END)
    start = _common(files, made, file, size)
    digest = hashlib.sha256()
    file.seek(0)
    for chunk in _chunks(file, start):
        digest.update(chunk)
    try:
        with files.open(made, "r+b" if start else "wb") as out:
            out.seek(start)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                _write(out, chunk)
            if not fsync(files, out):
                out.flush()
        stored = int(files.stat(made).st_size)
    except PermissionError:
        raise SinkRefused(f"{made}: this user may not write it") from None
    except OSError as error:
        if is_lost(error):
            raise
        raise OSError(errno.EIO, f"{_said(error)} (its disk may be full)", made) from None
    if digest.hexdigest() != sha256:
        raise SinkRefused("the bytes to store are not those that were announced")
    if stored != size:
        raise OSError(errno.EIO, f"{stored} of {size} bytes arrived", made)


def _write(out: Any, chunk: bytes) -> None:
    """Write many packets at a time; the last one waits for the answers to all before it.

    paramiko loses the answers that are still to come when something else is asked, and with them that the
    disk was full.
    """
    out.set_pipelined(True)
    out.write(chunk[:-1])
    out.set_pipelined(False)
    out.write(chunk[-1:])


def _common(files: Any, made: str, file: IO[bytes], size: int) -> int:
    """How many bytes under a temporary name are the beginning of a file; 0 where they cannot be compared."""
    try:
        there = int(files.stat(made).st_size)
        if not 0 < there <= size:
            return 0
        file.seek(0)
        with files.open(made, "rb") as partial:
            for at in range(0, there, _CHUNK):
                end = min(at + _CHUNK, there)
                wanted = [(each, min(_REQUEST, end - each)) for each in range(at, end, _REQUEST)]
                if b"".join(partial.readv(wanted)) != file.read(end - at):
                    return 0
    except (FileNotFoundError, PermissionError):
        return 0
    return there


def _chunks(file: IO[bytes], length: int) -> Iterator[bytes]:
    while length > 0 and (chunk := file.read(min(_CHUNK, length))):
        length -= len(chunk)
        yield chunk


def _place(files: Any, made: str, path: str, absent: bool) -> None:
    try:
        (files.rename if absent else files.posix_rename)(made, path)
    except OSError as error:
        if is_lost(error):
            raise
        if absent and _exists(files, path):
            name = path.rpartition("/")[2]
            raise SinkTaken(f"{name} is there already, and nothing that is stored is replaced") from None
        raise OSError(error.errno or errno.EIO, f"{_said(error)} (giving it its name)", path) from None


def _said(error: OSError) -> str:
    """What the server said, on one line; it is its own text."""
    said = " ".join((error.strerror or str(error)).split())[:200]
    return "".join(each for each in said if each.isprintable()) or "refused"


def _remove(files: Any, path: str) -> None:
    try:
        files.remove(path)
    except FileNotFoundError:
        return
    except PermissionError:
        if path.endswith(".part"):
            return  # a store that lets nobody delete keeps what was torn too
        raise


def _remove_folder(files: Any, path: str) -> None:
    """Remove a folder that is empty and ours to remove, else leave it."""
    try:
        files.rmdir(path)
    except OSError as error:
        if is_lost(error):
            raise


def _parents(path: str, top: str) -> Iterator[str]:
    folder = path.rpartition("/")[0]
    while len(folder) > len(top):
        yield folder
        folder = folder.rpartition("/")[0]


def _walk(files: Any, top: str, below: str) -> Iterator[str]:
    """The keys of all files below a folder, no further than a key can reach."""
    left = _MAX_ENTRIES
    folders = [below]
    while folders:
        folder = folders.pop()
        try:
            entries = files.listdir_attr(f"{top}/{folder}".rstrip("/") or "/")
        except FileNotFoundError:
            continue
        left -= len(entries)
        if left < 0:
            raise SinkRefused(f"more than {_MAX_ENTRIES} files: this is no store of bundles")
        for entry in entries:
            key = f"{folder}/{entry.filename}".lstrip("/")
            if not is_key(key):
                continue
            if S_ISDIR(entry.st_mode or 0) and key.count("/") < _MAX_DEPTH:
                folders.append(key)
            elif S_ISREG(entry.st_mode or 0):
                yield key


def _renaming(files: Any, path: str, other: str) -> Enforced:
    what = "a rename does not replace what is stored"
    with files.open(other, "wb") as out:
        out.write(b"another")
    try:
        files.rename(other, path)
    except OSError as error:
        if is_lost(error):
            raise
        return Enforced(what, True, _said(error))
    return Enforced(what, False, "the server replaced it: two machines may overwrite each other's bundles")


def _deleting(files: Any, path: str) -> Enforced:
    what = "what is stored cannot be deleted"
    try:
        files.remove(path)
    except OSError as error:
        if is_lost(error):
            raise
        return Enforced(what, True, _said(error), promised=False)
    detail = "deleted by the user that stored it; where that must not be, use a store with locks"
    return Enforced(what, False, detail, promised=False)
