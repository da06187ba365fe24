"""One request to an API server: raw JSON, gzip, a page at a time, within limits of size and time.

Lists are read as they come, not through the client's models, which cost five times as much and drop what they
do not know. What must not stay is taken off here, before anything else sees the answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import orjson

from collector.model import CallFailed, Fault, Json, Outcome, Reply
from collector_kubernetes.clusters import Connection
from collector_kubernetes.kubelets import CONFIGZ
from collector_kubernetes.objects import trimmed
from collector_kubernetes.served import CORE, GROUPS, RESOURCES, VERSION, answers

__all__ = ["ERRORS", "METADATA", "send"]

METADATA = "metadata"
"""Value of `secrets` with which lists hold the metadata of objects alone."""

_SIZES = (500, 50, 5)  # objects in a page; fewer where they are so large that the page would not fit
_MAX_BODY = 48 * 2**20  # bytes of one answer: 500 objects of 100 KB; etcd holds 1.5 MB in one at most
_PIECE = 1 << 18
_JSON = "application/json"
_PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_VERSION = re.compile(r"(?:[a-z0-9.-]+/)?v[0-9a-z]+\Z")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")

ERRORS: Mapping[str, Fault] = {
    "401": Fault(Outcome.DENIED),
    "403": Fault(Outcome.DENIED),
    "404": Fault(Outcome.FAILED),
    "410": Fault(Outcome.TRUNCATED, again=True),
    "429": Fault(Outcome.BUDGET, retry=True),
    "500": Fault(Outcome.FAILED, retry=True),
    "502": Fault(Outcome.FAILED, retry=True),
    "503": Fault(Outcome.FAILED, retry=True),
    "504": Fault(Outcome.TIMEOUT, retry=True),
    "login": Fault(Outcome.DENIED),
    "certificate": Fault(Outcome.UNREACHABLE),
    "broken": Fault(Outcome.FAILED, retry=True),
    "malformed": Fault(Outcome.MALFORMED),
    "too-large": Fault(Outcome.BUDGET),
}

Params = Mapping[str, Json]


def send(connection: Connection, op: str, params: Params, timeout: float) -> Reply:
    """Ask once.

    Raises:
        CallFailed: the server's status, or what was wrong with its answer.
        TimeoutError, ConnectionError: as they say.
    """
    end = time.monotonic() + timeout
    if (path := _fixed(op, params)) is not None:
        data, size = _get(connection, path, _JSON, end)
        if not answers(op, data):
            raise CallFailed("malformed", "the answer is not what was asked for")
        return Reply(data, size=size)
    path = _list(op, params)
    sizes = [size for size in _SIZES if size <= params.get("size", _SIZES[0])]
    for number in sizes:
        asked = {"limit": number} | {
            name: params[param]
            for param, name in (("continue", "continue"), ("select", "fieldSelector"))
            if param in params
        }
        accept = _PARTIAL if params.get("secrets") == METADATA else _JSON
        try:
            data, size = _get(connection, f"{path}?{urlencode(asked)}", accept, end)
        except CallFailed as error:
            if error.code == "too-large" and number != sizes[-1]:
                continue
            raise
        return _page(data, size, {**params, "size": number})
    raise AssertionError("the last size returns or raises")


def _fixed(op: str, params: Params) -> str | None:
    """The path of a question that has one page."""
    if op == RESOURCES:
        return _version(str(params["version"]))
    if op == CONFIGZ:
        return f"/api/v1/nodes/{_named(str(params['node']))}/proxy/configz"
    return {VERSION: "/version", CORE: "/api", GROUPS: "/apis"}.get(op)


def _list(op: str, params: Params) -> str:
    version = _version(str(params["version"]))
    namespace = f"/namespaces/{_named(str(params['namespace']))}" if "namespace" in params else ""
    resource = params.get("resource") or op.partition(":")[2].partition(".")[0]
    return f"{version}{namespace}/{_named(str(resource))}"


def _version(version: str) -> str:
    if not _VERSION.match(version):
        raise CallFailed("malformed", f"{version[:80]!r} is no version of an API")
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _named(name: str) -> str:
    """A name as URLs may hold it: names come from the server, and must lead nowhere else."""
    if not _NAME.match(name):
        raise CallFailed("malformed", f"{name[:80]!r} is no name of an object")
    return quote(name, safe="")


def _page(data: Json, size: int, params: Params) -> Reply:
    items = data.get("items") if isinstance(data, dict) else None
    if items is None and isinstance(data, dict) and "items" in data:
        items = []  # Go's empty slice
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise CallFailed("malformed", "the answer is no list of objects")
    token = _continue(data.get("metadata"))
    if token and token == params.get("continue"):
        raise CallFailed("malformed", "the list names the same page again and again")
    following = {**params, "continue": token} if token else None
    values = "secrets" not in params
    kept = {"items": [trimmed(item, values) for item in items]}
    return Reply(kept, items=len(items), next=following, size=size, keep=False)


def _continue(metadata: Json) -> str:
    token = metadata.get("continue") if isinstance(metadata, dict) else 0  # every list has metadata
    if token is not None and not isinstance(token, str):
        raise CallFailed("malformed", "the answer does not say whether it has a next page")
    return token or ""


def _get(connection: Connection, path: str, accept: str, end: float) -> tuple[Json, int]:
    body, size = _fetched(connection, path, accept, end)
    try:
        return orjson.loads(body), size
    except orjson.JSONDecodeError as error:
        raise CallFailed("malformed", f"the answer is no JSON: {error}") from None


def _fetched(connection: Connection, path: str, accept: str, end: float) -> tuple[bytes, int]:
    import urllib3.exceptions

    headers = {
        **connection.headers(),
        "Accept": accept,
        "Accept-Encoding": "gzip",
        "User-Agent": "evidence-collector",
    }
    left = max(end - time.monotonic(), 0.1)
    try:
        response = connection.pool.request(
            "GET",
            connection.host + path,
            headers=headers,
            timeout=urllib3.Timeout(connect=min(left, 5.0), read=left),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            body = _body(response, end)
        finally:
            response.release_conn()
    except urllib3.exceptions.HTTPError as error:
        _broken(error)
    except ValueError as error:  # files of keys and certificates are read when first used
        raise CallFailed("login", type(error).__name__) from None
    if response.status != 200:
        raise CallFailed(str(response.status), _message(body))
    return body, len(body)


def _body(response: Any, end: float) -> bytes:
    """The whole body, decoded; what is too large or too slow is left unread."""
    pieces, size = [], 0
    while piece := response.read1(_PIECE, decode_content=True):  # what is there: none waits for more
        size += len(piece)
        if size > _MAX_BODY:
            response.close()
            raise CallFailed("too-large", f"an answer of more than {_MAX_BODY >> 20} MiB")
        if time.monotonic() > end:
            response.close()
            raise TimeoutError("the answer did not end in time")
        pieces.append(piece)
    return b"".join(pieces)


def _broken(error: Exception) -> NoReturn:
    import urllib3.exceptions as named

    cause: BaseException = getattr(error, "reason", None) or error
    if isinstance(error, named.SSLError) or isinstance(cause, named.SSLError):
        raise CallFailed("certificate", _line(cause)) from None
    if isinstance(error, (named.NewConnectionError, named.ProxyError, named.ProtocolError)):
        raise ConnectionError(_line(cause)) from None
    if isinstance(error, named.TimeoutError) or isinstance(cause, named.TimeoutError):
        raise TimeoutError("no answer in time") from None
    raise CallFailed("broken", _line(cause)) from None


def _message(body: bytes) -> str:
    """What the server says of an error: the message of its Status, or nothing."""
    try:
        told = orjson.loads(body)
        return _line(told["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def _line(what: object) -> str:
    return " ".join(str(what).split())[:400]
