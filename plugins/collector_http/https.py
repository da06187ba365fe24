"""The sink `https`: bundles by PUT, each under its own address.

`If-None-Match: *` asks the store to refuse a second PUT (RFC 9110, section 13.1.2). Not all do: nginx
ignores it. So the sink looks first, which is not atomic; `collector sink check` tells what a store does.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, ClassVar

from collector.hookspecs import check_key
from collector.model import Enforced, Json, Option, SinkRefused, SinkTaken, SinkUnreadable
from collector_http.connection import ACCESS, Connection

__all__ = ["HttpsSink", "content_digest"]

_CHUNK = 1 << 20


def content_digest(sha256: str) -> str:
    """A digest as the header Content-Digest has it (RFC 9530, section 2)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


class HttpsSink:
    """Bundles below an address that takes PUT."""

    name: ClassVar[str] = "https"
    title: ClassVar[str] = "A web server that takes PUT"
    options: ClassVar[tuple[Option, ...]] = (
        Option("url", "string", "the address that keys are put below", required=True),
        Option("content_digest", "boolean", "whether to send the SHA-256 along, RFC 9530", default=True),
        *ACCESS,
        Option("keep", "duration", "how long the server's rules keep bundles; the collector deletes none"),
    )
    confirms: ClassVar[bool] = False
    replaces: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Json]) -> None:
        given = {option.name: option.default for option in self.options} | {"timeout": 60.0} | dict(settings)
        self._connection = Connection(self.name, given["url"], given)
        self._digest: bool = given["content_digest"]

    @property
    def address(self) -> str:
        """The address."""
        return self._connection.base

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store a file under a key.

        Raises:
            SinkTaken: something is stored under the key.
            SinkRefused: the key is none, the bytes are not those announced, or the store says no.
            OSError: the store could not be reached or cannot now.
        """
        url = self._connection.url(check_key(key))
        # A PUT is the commit: the bytes must be known to be right before.
        if _sha256(file) != sha256:
            raise SinkRefused("the bytes to store are not those that were announced")
        if absent and self._is_there(url):
            raise SinkTaken(f"{key} is there already, and nothing that is stored is replaced")
        headers = {"Content-Type": "application/zip"}
        headers |= {"If-None-Match": "*"} if absent else {}
        headers |= {"Content-Digest": content_digest(sha256)} if self._digest else {}
        file.seek(0)
        answer = self._connection.ask("PUT", url, data=file, headers=headers, allowed=(404, 409, 412))
        answer.close()
        if answer.status_code == 412:
            raise SinkTaken(f"{key} is there already, and nothing that is stored is replaced")
        if answer.status_code in (404, 409):
            raise SinkRefused(f"the store answers {answer.status_code}: it makes no folders, or takes no PUT")

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored. Raises FileNotFoundError if nothing is, SinkUnreadable where it may not be."""
        url = self._connection.url(check_key(key))
        return self._connection.stream(self._connection.ask("GET", url, reads=True))

    def head(self, key: str) -> int | None:
        """Its size, or None."""
        url = self._connection.url(check_key(key))
        return self._size(url)

    def list(self, prefix: str) -> Iterator[str]:  # noqa: ARG002
        """HTTP has no word for it."""
        raise SinkUnreadable("plain HTTP cannot list what is stored; a webdav sink can")

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:  # noqa: ARG002
        """Nothing: what cannot be listed cannot be pruned."""
        return []

    def check(self, key: str) -> Sequence[Enforced]:
        """Whether the store itself refuses a second PUT and wrong bytes, and lets nobody delete."""
        found = [self._second_put(key), self._wrong_digest(f"{key}-digest"), self._deletes(key)]
        self._connection.ask("DELETE", self._connection.url(f"{key}-digest"), allowed=_ANY).close()
        return found

    def permissions(self) -> str:
        """What to let through, method by method."""
        return (
            f"PUT {self.address}/*      upload\n"
            f"HEAD, GET {self.address}/*      read back and compare\n"
            f"DELETE {self.address}/.collector-check/*      `collector sink check` only\n"
        )

    def _size(self, url: str) -> int | None:
        answer = self._connection.ask("HEAD", url, reads=True, allowed=(404,))
        answer.close()
        length = answer.headers.get("Content-Length", "")
        if answer.status_code == 404:
            return None
        return int(length) if length.isdigit() else 0

    def _is_there(self, url: str) -> bool:
        try:
            return self._size(url) is not None
        except SinkUnreadable:
            return False

    def _second_put(self, key: str) -> Enforced:
        what = "the store itself refuses a second PUT with If-None-Match: *"
        headers = {"If-None-Match": "*"}
        answer = self._connection.ask(
            "PUT", self._connection.url(key), data=b"again", headers=headers, allowed=_ANY
        )
        answer.close()
        held = answer.status_code in (409, 412)
        detail = f"answered {answer.status_code}"
        if not held:
            detail += "; the sink looks before it puts, which two machines at the same moment can pass"
        return Enforced(what, held, detail, promised=False)

    def _wrong_digest(self, key: str) -> Enforced:
        headers = {"Content-Digest": content_digest(hashlib.sha256(b"other").hexdigest())}
        answer = self._connection.ask(
            "PUT", self._connection.url(key), data=b"this", headers=headers, allowed=_ANY
        )
        answer.close()
        held = 400 <= answer.status_code < 500
        detail = f"answered {answer.status_code}"
        return Enforced(
            "bytes that are not those of Content-Digest are refused", held, detail, promised=False
        )

    def _deletes(self, key: str) -> Enforced:
        answer = self._connection.ask("DELETE", self._connection.url(key), allowed=_ANY)
        answer.close()
        held = not 200 <= answer.status_code < 300
        detail = f"answered {answer.status_code}"
        return Enforced("what is stored cannot be deleted", held, detail, promised=False)


_ANY = tuple(range(300, 600))


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
