"""The sink `webdav`: bundles as files below a collection (RFC 4918).

A bundle is put under a temporary name and moved with `Overwrite: F`, so that it is there whole or not at
all, and the store refuses to replace what is there.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, ClassVar
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from collector.hookspecs import check_key, is_key, outdated
from collector.model import Enforced, Json, Option, SinkRefused, SinkTaken
from collector_http.connection import ACCESS, Connection

__all__ = ["WebdavSink", "members"]

_MAX_FOLDERS = 100_000  # epochs of all series; each is one request of a listing
_PROPFIND = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/></prop></propfind>'
)
_ANY = tuple(range(300, 600))


class WebdavSink:
    """Bundles on a WebDAV server."""

    name: ClassVar[str] = "webdav"
    title: ClassVar[str] = "A WebDAV collection"
    options: ClassVar[tuple[Option, ...]] = (
        Option("url", "string", "the collection; it must be there", required=True),
        *ACCESS,
        Option("keep", "duration", "how long bundles are kept; for ever if left out"),
    )
    confirms: ClassVar[bool] = False
    replaces: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Json]) -> None:
        given = {"timeout": 60.0, **settings}
        self._connection = Connection(self.name, given["url"], given)
        self._keep: float | None = given.get("keep")

    @property
    def address(self) -> str:
        """The collection."""
        return self._connection.base

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store a file under a key.

        Raises:
            SinkTaken: something is stored under the key.
            SinkRefused: the key is none, the bytes are not those announced, or the store says no.
            OSError: the store could not be reached or cannot now.
        """
        folder, _, name = check_key(key).rpartition("/")
        made = self._connection.url(f"{folder}/.{name}.{sha256[:16]}.part".lstrip("/"))
        self._make_folders(folder)
        counted = _Counted(file)
        self._connection.ask("PUT", made, data=counted).close()
        if counted.digest.hexdigest() != sha256:
            self._remove(made)
            raise SinkRefused("the bytes to store are not those that were announced")
        self._check_arrived(made, counted.len)
        headers = {"Destination": self._connection.url(key), "Overwrite": "F" if absent else "T"}
        answer = self._connection.ask("MOVE", made, headers=headers, allowed=(412,))
        answer.close()
        if answer.status_code == 412:
            self._remove(made)
            raise SinkTaken(f"{key} is there already, and nothing that is stored is replaced")

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored. Raises FileNotFoundError if nothing is, SinkUnreadable where it may not be."""
        url = self._connection.url(check_key(key))
        return self._connection.stream(self._connection.ask("GET", url, reads=True))

    def head(self, key: str) -> int | None:
        """Its size, or None."""
        answer = self._connection.ask(
            "HEAD", self._connection.url(check_key(key)), reads=True, allowed=(404,)
        )
        answer.close()
        length = answer.headers.get("Content-Length", "")
        return None if answer.status_code == 404 else int(length) if length.isdigit() else 0

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, sorted."""
        below = prefix.rpartition("/")[0]
        start = below if below and is_key(below) else ""
        yield from sorted(key for key in self._walk(start) if key.startswith(prefix))

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:
        """Delete the oldest bundles of each series, up to those that `keep` before `as_of` allows."""
        if self._keep is None:
            return []
        gone: list[str] = []
        for key in outdated(list(self.list(prefix)), as_of, self._keep, self._in_parts):
            self._connection.ask("DELETE", self._connection.url(key), allowed=(404,)).close()
            gone.append(key)
        return gone

    def check(self, key: str) -> Sequence[Enforced]:
        """Whether MOVE keeps to `Overwrite: F`, and whether what is stored can be deleted."""
        url, other = self._connection.url(key), self._connection.url(f"{key}-moved")
        self._connection.ask("PUT", other, data=b"another").close()
        headers = {"Destination": url, "Overwrite": "F"}
        moved = self._connection.ask("MOVE", other, headers=headers, allowed=_ANY).status_code
        deleted = self._connection.ask("DELETE", url, allowed=_ANY).status_code
        self._connection.ask("DELETE", other, allowed=_ANY).close()
        folder = key.rpartition("/")[0]
        self._connection.ask("DELETE", self._connection.url(folder) + "/", allowed=_ANY).close()
        return [
            Enforced("MOVE with Overwrite: F does not replace", moved == 412, f"answered {moved}"),
            Enforced(
                "what is stored cannot be deleted",
                not 200 <= deleted < 300,
                f"answered {deleted}",
                promised=False,
            ),
        ]

    def permissions(self) -> str:
        """What to let through, method by method."""
        return (
            f"MKCOL, PUT, MOVE {self.address}/*      upload\n"
            f"PROPFIND, HEAD, GET {self.address}/*      read back and compare, `verify` over the store\n"
            f"DELETE {self.address}/*      keep, `collector sink check`, and removing what was refused\n"
        )

    def _remove(self, url: str) -> None:
        self._connection.ask("DELETE", url, allowed=_ANY).close()

    def _check_arrived(self, url: str, size: int) -> None:
        """Before it gets its name, after which nothing replaces it: a torn bundle would stay for ever."""
        answer = self._connection.ask("HEAD", url, allowed=_ANY)
        answer.close()
        length = answer.headers.get("Content-Length", "")
        if answer.status_code == 200 and length.isdigit() and int(length) != size:
            self._remove(url)
            raise OSError(errno.EIO, f"{int(length)} of {size} bytes arrived")

    def _in_parts(self, key: str) -> IO[bytes]:
        return self._connection.parts(self._connection.url(key), self.head(key) or 0)

    def _make_folders(self, folder: str) -> None:
        made = ""
        for part in folder.split("/") if folder else ():
            made = f"{made}{part}/"
            # 405: there already (RFC 4918, section 9.3.1); some stores answer 301 to that.
            url = self._connection.url(made)
            self._connection.ask("MKCOL", url, allowed=(301, 405)).close()

    def _walk(self, start: str) -> Iterator[str]:
        base = urlsplit(self._connection.base).path.rstrip("/") + "/"
        folders, seen = [start], 0
        while folders:
            folder = folders.pop()
            seen += 1
            if seen > _MAX_FOLDERS:
                raise SinkRefused(f"more than {_MAX_FOLDERS} collections: this is no store of bundles")
            for path, is_folder in self._members(folder):
                key = path.removeprefix(base).rstrip("/")
                if not path.startswith(base) or not is_key(key) or key == folder:
                    continue
                if not is_folder:
                    yield key
                elif key.startswith(folder and f"{folder}/"):  # never up again, so that it ends
                    folders.append(key)

    def _members(self, folder: str) -> Sequence[tuple[str, bool]]:
        url = self._connection.url(f"{folder}/" if folder else "")
        headers = {"Depth": "1", "Content-Type": "application/xml"}
        answer = self._connection.ask(
            "PROPFIND", url, reads=True, headers=headers, data=_PROPFIND, allowed=(404,)
        )
        if answer.status_code == 404:
            answer.close()
            return []
        return members(self._connection.body(answer))


class _Counted:
    """A file that is hashed while it is sent."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.len = file.seek(0, 2)  # the length, by the name that requests looks for
        file.seek(0)
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def members(answer: bytes) -> list[tuple[str, bool]]:
    """Path and whether it is a collection, of each member that a `multistatus` names.

    Raises:
        SinkRefused: it is none, or it declares a document type, which no honest server does.
    """
    try:
        text = answer.decode()
        if "<!" in text:
            raise SinkRefused("the store's listing declares a document type")
        root = ElementTree.fromstring(text)  # noqa: S314 - nothing is declared, so nothing expands
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError, RecursionError):
        raise SinkRefused("the store's listing is no WebDAV answer") from None
    found = []
    for response in root.iter("{DAV:}response"):
        href = urlsplit(response.findtext("{DAV:}href") or "").path
        found.append((unquote(href), response.find(".//{DAV:}collection") is not None))
    return found
