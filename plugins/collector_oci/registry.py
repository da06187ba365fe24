"""Requests to one OCI registry (OCI Distribution Specification 1.1): tokens, blobs, manifests, tags.

TLS everywhere but on loopback. Credentials go to the configured registry's host and to the token service
that is configured, since a registry that was taken over could name any. A redirect of a download is followed
without them, an upload is sent nowhere else.
"""

from __future__ import annotations

import errno
import hashlib
import io
import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from collector.model import ConfigError, Json, SinkRefused, SinkUnreadable

__all__ = ["Registry", "digest_of"]

_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z"
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_MAX_ANSWER = 4 << 20  # the specification's own limit for manifests
_MAX_PAGES = 10_000  # of tags
_HOPS = 3  # of a download that is redirected to where the registry keeps its blobs
_TRIES = 5  # of a chunk whose connection was cut, or that did not arrive
_LEAST_CHUNK, _MOST_CHUNK = 1 << 16, 1 << 30  # a chunk is held in memory
_LATER = {408, 425, 429, 500, 502, 503, 504}


def digest_of(data: bytes) -> str:
    """As OCI writes it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """A repository of a registry; connects when it is first asked."""

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self.origin: str = settings["registry"].rstrip("/")
        self.repository: str = settings["repository"]
        if not _safe(self.origin) or urlsplit(self.origin).path:
            raise ConfigError(
                f"sink oci: registry {self.origin!r}; must be https://host[:port] (http:// on loopback only)"
            )
        if not _REPOSITORY.match(self.repository) or len(self.repository) > 255:
            raise ConfigError(
                f"sink oci: repository {self.repository!r}; must be lower case, as acme/evidence"
            )
        if not _LEAST_CHUNK <= settings["chunk"] <= _MOST_CHUNK:
            raise ConfigError(f"sink oci: chunk must be from {_LEAST_CHUNK} to {_MOST_CHUNK} bytes")
        self._trusted = _hosts(self.origin, settings.get("token_service"))
        self._settings = settings
        self._chunk: int = settings["chunk"]
        self._session: Any = None
        self._bearer = ""

    def manifest(self, reference: str) -> tuple[bytes, str] | None:
        """A manifest's bytes and media type, by tag or digest; None where there is none."""
        accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        answer = self._ask(
            "GET", self._url(f"manifests/{reference}"), allowed=(404,), headers=accept, reads=True
        )
        if answer.status_code == 404:
            answer.close()
            return None
        return self._body(answer), answer.headers.get("Content-Type", "")

    def put_manifest(self, reference: str, manifest: bytes, kind: str, absent: bool = False) -> bool:
        """Store a manifest under a tag or its digest.

        Args:
            absent: ask the registry to refuse where there is one (`If-None-Match: *`, RFC 9110, section
                13.1.2). The distribution specification does not speak of it; a registry may pass over it.

        Returns:
            False where it refused for that; else True.
        """
        headers = {"Content-Type": kind} | ({"If-None-Match": "*"} if absent else {})
        place, taken = self._url(f"manifests/{reference}"), (412,) if absent else ()
        answer = self._ask("PUT", place, data=manifest, headers=headers, allowed=taken)
        answer.close()
        if answer.status_code == 412:
            return False
        told = answer.headers.get("Docker-Content-Digest", digest_of(manifest))
        if told != digest_of(manifest):
            raise OSError(errno.EIO, f"the registry says that it stored {told}, not {digest_of(manifest)}")
        return True

    def delete(self, what: str) -> int:
        """Delete `manifests/…` or `blobs/…`. Returns the status."""
        answer = self._ask("DELETE", self._url(what), allowed=tuple(range(300, 600)))
        answer.close()
        return int(answer.status_code)

    def tags(self) -> Iterator[str]:
        """All tags of the repository, page by page."""
        url = self._url("tags/list?n=1000")
        for _ in range(_MAX_PAGES):
            answer = self._ask("GET", url, allowed=(404,), reads=True)
            if answer.status_code == 404:
                answer.close()
                return  # no repository before the first push
            following = answer.links.get("next", {}).get("url")
            yield from _strings(self._body(answer))
            if not following:
                return
            url = self._own(urljoin(url, following))
        raise SinkRefused(f"more than {_MAX_PAGES} pages of tags: this is no store of bundles")

    def has(self, digest: str) -> bool:
        """Whether a blob is there."""
        answer = self._ask("HEAD", self._url(f"blobs/{digest}"), allowed=(404,), reads=True)
        answer.close()
        return bool(answer.status_code != 404)

    def upload(self, digest: str, file: IO[bytes], size: int) -> None:
        """Store a blob: small ones in one piece, others in chunks; a chunk that was cut is gone on with."""
        with self._begun() as answer:
            place = self._own(urljoin(self.origin, answer.headers.get("Location", "")))
        if size > self._chunk:
            place, at = self._chunks(place, file, size)
            data: Any = b""
        else:
            data, at = file.read(), 0
        finish = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._ask("PUT", finish, data=data, headers=headers, allowed=(400,))
        answer.close()
        if answer.status_code == 400:
            raise SinkRefused(f"the registry refuses what arrived ({at or size} bytes): not of this digest")

    def blob(self, digest: str) -> IO[bytes]:
        """Read a blob; reading raises OSError at the end where it is not of its digest."""
        url, own = self._url(f"blobs/{digest}"), True
        for _ in range(_HOPS):
            answer = self._ask("GET", url, allowed=(301, 302, 303, 307, 308), reads=True, own=own)
            if answer.status_code < 300:
                return io.BufferedReader(_Blob(answer, digest, self._settings["timeout"]), 1 << 20)
            answer.close()
            url, own = urljoin(url, answer.headers.get("Location", "")), False
            if not _safe(url):
                raise SinkRefused("the registry redirects to where there is no TLS")
        raise SinkRefused(f"the registry redirects more than {_HOPS} times")

    def _begun(self) -> Any:
        return self._ask("POST", self._url("blobs/uploads/"), headers={"Content-Length": "0"})

    def _chunks(self, place: str, file: IO[bytes], size: int) -> tuple[str, int]:
        at, tries = 0, 0
        while at < size:
            file.seek(at)
            data = file.read(self._chunk)
            headers = {
                "Content-Range": f"{at}-{at + len(data) - 1}",
                "Content-Type": "application/octet-stream",
            }
            try:
                answer = self._ask("PATCH", place, data=data, headers=headers, allowed=(416,))
            except (ConnectionError, TimeoutError):
                if tries + 1 >= _TRIES:
                    raise
                answer = self._ask("GET", place, reads=True)
            answer.close()
            place = self._own(urljoin(place, answer.headers.get("Location", place)))
            before, at = at, _arrived(answer.headers.get("Range", ""), size)
            tries = 0 if at > before else tries + 1
            if tries >= _TRIES:
                raise OSError(errno.EPROTO, f"the registry has {at} of {size} bytes, and takes no more")
        return place, at

    def _url(self, rest: str) -> str:
        return f"{self.origin}/v2/{self.repository}/{rest}"

    def _own(self, url: str) -> str:
        """An address that the registry named, if it is the registry's own."""
        if urlsplit(url)[:2] != urlsplit(self.origin)[:2]:
            raise SinkRefused("the registry points to another host, where nothing is sent")
        return url

    def _ask(
        self,
        method: str,
        url: str,
        *,
        allowed: tuple[int, ...] = (),
        reads: bool = False,
        own: bool = True,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> Any:
        answer = self._once(method, url, own, headers, data)
        if answer.status_code == 401 and own:
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            self._log_in(challenge)
            answer = self._once(method, url, own, headers, data)
        if answer.status_code in allowed or 200 <= answer.status_code < 300:
            return answer
        answer.close()
        raise _fault(answer, reads)

    def _once(self, method: str, url: str, own: bool, headers: Mapping[str, str] | None, data: Any) -> Any:
        sent = dict(headers or {})
        if own and self._bearer:
            sent["Authorization"] = self._bearer
        return self._sent(method, url, headers=sent, data=data)

    def _sent(self, method: str, url: str, **more: Any) -> Any:
        """One request, to whom the configured authorities vouch for."""
        timeout = self._settings["timeout"]
        ca = {"verify": self._settings["ca"]} if self._settings.get("ca") else {}
        with _clear_errors(timeout):
            return self._opened().request(
                method, url, timeout=timeout, allow_redirects=False, stream=True, **ca, **more
            )

    def _opened(self) -> Any:
        if self._session is None:
            import requests

            session = requests.Session()
            session.trust_env = not _is_loopback(self.origin)
            session.auth = lambda request: request  # requests would else look into ~/.netrc
            session.headers["Accept-Encoding"] = "identity"
            self._session = session
        return self._session

    def _log_in(self, challenge: str) -> None:
        """Answer a challenge: Basic as it is, Bearer by a token from the service that it names."""
        from requests.auth import _basic_auth_str

        user, password = self._settings.get("user"), self._settings.get("password") or ""
        basic = _basic_auth_str(user.encode(), password.encode()) if user else ""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            self._bearer = basic
            return
        asked = dict(_CHALLENGE.findall(rest))
        realm = asked.pop("realm", "")
        if not _safe(realm):
            raise SinkRefused("the registry names a token service without TLS")
        if basic and urlsplit(realm).hostname not in self._trusted:
            raise SinkRefused(
                f"the registry names a token service at another host, {urlsplit(realm).netloc!a:.100}, where"
                " user and password do not go; if they may, name it as token_service"
            )
        scope = f"repository:{self.repository}:pull,push"
        answer = self._sent(
            "GET",
            realm,
            params={"service": asked.get("service", ""), "scope": scope},
            headers={"Authorization": basic} if basic else {},
        )
        if answer.status_code != 200:
            answer.close()
            raise SinkRefused(
                f"the token service answers {answer.status_code}: user or password are not right"
            )
        self._bearer = f"Bearer {_token(self._body(answer))}"

    def _body(self, answer: Any) -> bytes:
        with _clear_errors(self._settings["timeout"]), answer:
            data: bytes = answer.raw.read(_MAX_ANSWER + 1, decode_content=True)
        if len(data) > _MAX_ANSWER:
            raise SinkRefused(f"an answer of more than {_MAX_ANSWER} bytes")
        return data

    def __del__(self) -> None:
        if getattr(self, "_session", None) is not None:
            self._session.close()


class _Blob(io.RawIOBase):
    """A blob's bytes, compared with its digest at their end."""

    def __init__(self, answer: Any, digest: str, timeout: float) -> None:
        self._answer = answer
        self._digest = digest
        self._timeout = timeout
        self._seen = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _clear_errors(self._timeout):
            data: bytes = self._answer.raw.read(len(buffer), decode_content=False)
        self._seen.update(data)
        if not data and f"sha256:{self._seen.hexdigest()}" != self._digest:
            raise OSError(errno.EIO, "the registry gave other bytes than those of this digest")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._answer.close()
        super().close()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _hosts(origin: str, service: str | None) -> set[str | None]:
    """Whom user and password are sent to. Raises ConfigError for a token service that is no address."""
    if service is not None and (not _safe(service) or urlsplit(service).path.strip("/")):
        raise ConfigError(
            f"sink oci: token_service {service!r}; must be https://host[:port] (http:// on loopback only)"
        )
    return {urlsplit(each).hostname for each in (origin, service) if each}


def _safe(url: str) -> bool:
    parts = urlsplit(url)
    named = bool(parts.hostname) and not parts.username and not parts.password
    return named and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(url)))


def _arrived(told: str, size: int) -> int:
    """How many bytes a registry has: `Range: 0-N`, N included; "0-0" is what some say of none."""
    match = re.match(r"(?:bytes=)?0-(\d+)\Z", told)
    last = int(match[1]) if match else 0
    if not 0 <= last < size:
        raise OSError(errno.EPROTO, "the registry says that it has more than was sent")
    return last + 1 if last else 0


def _strings(body: bytes) -> list[str]:
    import json

    try:
        found = json.loads(body)["tags"] or []
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SinkRefused("the registry's list of tags is none") from None
    return [each for each in found if isinstance(each, str)]


def _token(body: bytes) -> str:
    import json

    try:
        found = json.loads(body)
        token = found.get("token") or found["access_token"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SinkRefused("the token service's answer holds no token") from None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise SinkRefused("the token service's answer holds no token")
    return token


@contextmanager
def _clear_errors(timeout: float) -> Iterator[None]:
    import requests
    import urllib3

    try:
        yield
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise TimeoutError(f"no answer within {timeout:g} s") from None
    except requests.exceptions.SSLError:
        raise OSError(
            errno.EPROTO, "TLS: the registry's certificate is not trusted; nothing was sent"
        ) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError):
        raise ConnectionError("the registry could not be reached, or went away") from None


def _fault(answer: Any, reads: bool) -> Exception:
    status = answer.status_code
    said = f"the registry answers {status}"
    if status in (401, 403):
        return (
            SinkUnreadable(f"{said} to reading")
            if reads
            else SinkRefused(f"{said}: these credentials may not")
        )
    if status == 507:
        return OSError(errno.ENOSPC, f"{said}: no space left there")
    if status in _LATER:
        return OSError(errno.EAGAIN, said)
    return SinkRefused(said)
