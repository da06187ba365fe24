"""Requests to one HTTP store: who it is, who we are, and what its answers mean.

TLS everywhere but on loopback. A redirect is never followed: it would take credentials, and a bundle, to
where nobody configured. Answers are the sink contract's: OSError for what may work later, SinkRefused for
what will not.
"""

from __future__ import annotations

import errno
import io
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import quote, urlsplit

from collector.model import ConfigError, Json, Option, SinkRefused, SinkUnreadable

__all__ = ["ACCESS", "Connection"]

ACCESS = (
    Option("token", "string", "bearer token; give it as ${ENV}"),
    Option("user", "string", "user name, where the store asks for one"),
    Option("password", "string", "of the user; give it as ${ENV}"),
    Option("certificate", "path", "client certificate, PEM"),
    Option("certificate_key", "path", "key of the client certificate, PEM; the same file if left out"),
    Option("ca", "path", "certificates of the authorities to trust, PEM, in place of the system's"),
    Option("timeout", "duration", "what one answer of the store may take", default="60s"),
)
"""Options that every HTTP store has."""

_MAX_ANSWER = 32 << 20  # a listing of 50,000 files; bundles are streamed and not held to it
_RANGE = 4 << 20
_CHUNK = 1 << 20
_LATER = {408, 425, 429, 500, 502, 503, 504}


class Connection:
    """A session that is made when it is first needed."""

    def __init__(self, name: str, url: str, settings: Mapping[str, Json]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"sink {name}: {url!r} is no address; must be https://…")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(f"sink {name}: url must hold no user, password, query or fragment")
        self.loopback = _is_loopback(parts.hostname)
        if parts.scheme == "http" and not self.loopback:
            raise ConfigError(f"sink {name}: http:// sends bundles unprotected; must be https://")
        if settings.get("token") and settings.get("user"):
            raise ConfigError(f"sink {name}: both token and user; must be one of them")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.base = url.rstrip("/")
        self._settings = settings
        self._session: Any = None

    def url(self, key: str) -> str:
        """Where a key lies."""
        return f"{self.base}/{quote(key)}"

    def ask(
        self, method: str, url: str, *, reads: bool = False, allowed: tuple[int, ...] = (), **more: Any
    ) -> Any:
        """One request. A failed status that is not among `allowed` is raised.

        Args:
            method: HTTP's.
            url: of this store.
            reads: whether being denied means that these credentials may not read.
            allowed: statuses, beside those of success, that the caller knows what to do with.
            more: as requests has it.

        Raises:
            SinkUnreadable, SinkRefused, OSError: as the contract says.
        """
        timeout = self._settings["timeout"]
        with _clear_errors(timeout):
            answer = self._opened().request(
                method, url, timeout=timeout, allow_redirects=False, stream=True, **self._verify(), **more
            )
        if answer.status_code not in allowed and not 200 <= answer.status_code < 300:
            answer.close()
            raise _fault(answer, reads)
        return answer

    def body(self, answer: Any) -> bytes:
        """A small answer, whole; OSError where it is larger than any that is expected."""
        with _clear_errors(self._settings["timeout"]), answer:
            found = bytearray()
            for chunk in answer.iter_content(1 << 16):
                found += chunk
                if len(found) > _MAX_ANSWER:
                    raise OSError(errno.EMSGSIZE, f"an answer of more than {_MAX_ANSWER} bytes")
            return bytes(found)

    def stream(self, answer: Any) -> IO[bytes]:
        """A large answer, as a file; reading raises OSError where it ends before it should."""
        return io.BufferedReader(_Streamed(answer, self._settings["timeout"]), _CHUNK)

    def parts(self, url: str, size: int) -> IO[bytes]:
        """What is stored, as a file to seek in."""
        return io.BufferedReader(_Ranged(self, url, size), _CHUNK)

    def _verify(self) -> dict[str, Any]:
        # Handed to each request: a session's own is overruled by the environment.
        ca = self._settings.get("ca")
        return {"verify": ca} if ca else {}

    def _opened(self) -> Any:
        if self._session is None:
            import requests

            session = requests.Session()
            session.trust_env = not self.loopback  # a proxy of the environment cannot reach this machine
            session.auth = _auth(self._settings)
            session.headers["Accept-Encoding"] = "identity"  # bundles come back as they are
            if certificate := self._settings.get("certificate"):
                session.cert = (certificate, self._settings.get("certificate_key") or certificate)
            self._session = session
        return self._session

    def __del__(self) -> None:
        if getattr(self, "_session", None) is not None:
            self._session.close()


class _Streamed(io.RawIOBase):
    """A response's body as a file."""

    def __init__(self, answer: Any, timeout: float) -> None:
        self._answer = answer
        self._timeout = timeout
        length = answer.headers.get("Content-Length", "")
        self._left = int(length) if length.isdigit() else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _clear_errors(self._timeout):
            data: bytes = self._answer.raw.read(len(buffer), decode_content=False)
        if self._left is not None:
            self._left -= len(data)
            if not data and self._left > 0:
                raise OSError(errno.EIO, f"the answer ended {self._left} bytes early")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._answer.close()
        super().close()


class _Ranged(io.RawIOBase):
    """A stored file that is read in parts, by Range requests (RFC 9110, section 14)."""

    def __init__(self, connection: Connection, url: str, size: int) -> None:
        self._connection = connection
        self._url = url
        self._size = size
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
        end = min(self._at + min(len(buffer), _RANGE), self._size)
        if end <= self._at:
            return 0
        headers = {"Range": f"bytes={self._at}-{end - 1}"}
        answer = self._connection.ask("GET", self._url, reads=True, headers=headers)
        if answer.status_code != 206:
            answer.close()
            raise OSError(errno.EOPNOTSUPP, "the store gives no parts of what it holds")
        data = self._connection.body(answer)[: end - self._at]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _auth(settings: Mapping[str, Json]) -> Callable[[Any], Any]:
    """What each request carries. Always set: requests would else look into ~/.netrc."""
    from requests.auth import HTTPBasicAuth

    if user := settings.get("user"):
        return HTTPBasicAuth(user.encode(), (settings.get("password") or "").encode())
    token = settings.get("token")

    def bearer(request: Any) -> Any:
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    return bearer


@contextmanager
def _clear_errors(timeout: float) -> Iterator[None]:
    """One line for what requests and urllib3 say in many."""
    import requests
    import urllib3

    try:
        yield
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise TimeoutError(f"no answer within {timeout:g} s") from None
    except requests.exceptions.SSLError as error:
        raise OSError(errno.EPROTO, f"TLS: {_cause(error)}; nothing was sent") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise ConnectionError(f"the store could not be reached: {_cause(error)}") from None


def _cause(error: BaseException) -> str:
    """The innermost reason."""
    seen = error
    for _ in range(10):
        args = [each for each in seen.args if isinstance(each, BaseException)]
        inner = getattr(seen, "reason", None) if not args else args[0]
        if not isinstance(inner, BaseException):
            break
        seen = inner
    return _line(getattr(seen, "strerror", None) or getattr(seen, "verify_message", None) or str(seen))


def _line(text: str) -> str:
    return "".join(each for each in " ".join(str(text).split())[:200] if each.isprintable())


def _fault(answer: Any, reads: bool) -> Exception:
    status = answer.status_code
    said = f"the store answers {status} {_line(answer.reason or '')}".rstrip()
    if 300 <= status < 400:
        return SinkRefused(f"{said}, a redirect, which is not followed; name the final address")
    if status == 404:
        return FileNotFoundError(errno.ENOENT, said)
    if status in (401, 403) and reads:
        return SinkUnreadable(f"{said} to reading")
    if status == 507:
        return OSError(errno.ENOSPC, f"{said}: no space left there")
    if status in _LATER:
        return OSError(errno.EAGAIN, said)
    return SinkRefused(said)
