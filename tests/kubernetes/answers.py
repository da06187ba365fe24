"""A server over real HTTPS that speaks as a Kubernetes API does, remembers what it was asked, and can fail.

    server.faults["/api/v1/pods"] = [None, gone()]    the second request of this path; None lets one through
    server.faults["/api/v1/secrets"] = denied()       each of them
    server.fault = lambda asked: throttled() if asked.number % 3 == 0 else None

The path of a fault has no query. `recorded.py` and `between.py` say where its answers come from.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import json
import shutil
import ssl
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "Answer",
    "Asked",
    "Server",
    "beside",
    "broken",
    "cut",
    "denied",
    "garbage",
    "gone",
    "huge",
    "slow",
    "status",
    "throttled",
    "torn",
]

_HERE = Path(__file__).parent
_COMPRESSED_FROM = 1024  # bytes; a real server compresses from 128 KiB on, and tests have little

Object = dict[str, Any]


def beside(name: str) -> Any:
    """A module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(f"kubernetes_{name}", _HERE / f"{name}.py")
    assert spec and spec.loader
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        path: without the query, unquoted, without a slash at the end.
        number: the how-manieth of this path, from 1.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    number: int
    target: str = ""


@dataclass(frozen=True)
class Answer:
    """What is sent.

    Attributes:
        body: JSON where it is no bytes; a function where only what would be answered tells.
        delay: seconds before the first byte.
        sent: how many bytes of the body are sent before the connection is cut; all where None.
        pause: seconds between any two thousand bytes.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    sent: int | None = None
    pause: float = 0.0
    instead: bool = True  # False: with the status and body that would be answered


def status(code: int, reason: str, message: str, **details: Any) -> Object:
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code}
    return {**told, "message": message, "reason": reason, **({"details": details} if details else {})}


def denied(what: str = "this") -> Answer:
    return Answer(403, status(403, "Forbidden", f'{what} is forbidden: User "someone" cannot list it'))


def gone() -> Answer:
    """A continue token that has expired, without a token to go on with."""
    text = "The provided continue parameter is too old to display a consistent list result."
    return Answer(410, status(410, "Expired", text))


def throttled(after: int = 1) -> Answer:
    body = status(429, "TooManyRequests", "too many requests", retryAfterSeconds=after)
    return Answer(429, body, {"Retry-After": str(after)})


def broken(code: int = 500) -> Answer:
    return Answer(code, status(code, "InternalError", "etcdserver: request timed out"))


def torn(after: int = 200) -> Answer:
    """The right answer, cut off within its body, which its length promises whole."""
    return Answer(sent=after, instead=False)


def cut() -> Answer:
    """No answer at all."""
    return Answer(sent=-1)


def garbage(body: bytes = b"<html>hello</html>", content: str = "application/json") -> Answer:
    return Answer(200, body, {"Content-Type": content})


def huge(size: int) -> Answer:
    """A page that compresses to nearly nothing and has one item of `size` bytes."""
    item = {"metadata": {"name": "huge", "namespace": "default", "uid": "huge"}, "data": {"a": "0" * size}}
    return Answer(200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [item]})


def slow(seconds: float, pause: float = 0.0) -> Answer:
    """The right answer, late; with `pause`, also in drops."""
    return Answer(delay=seconds, pause=pause, instead=False)


class Server:
    """What both have.

    Attributes:
        faults: by path, one fault for every request, or a list with one for each in turn.
        fault: a function of the request; asked where `faults` has none.
        asked: all requests, oldest first.
        url: `https://127.0.0.1:PORT`; `authority` is the file that its certificate is signed by.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="recorded-"))
        self.faults: dict[str, Answer | list[Answer | None]] = {}
        self.fault: Callable[[Asked], Answer | None] = lambda asked: None
        self.asked: list[Asked] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        issuer = beside("authority").Authority(self.folder)
        self.authority: Path = issuer.certificate
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*issuer.server())
        self._server = _Https(tls, type("Handler", (_Handler,), {"served": self}))
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def server(self) -> dict[str, Any]:
        """What a context of `kubeconfig()` needs to know of this server."""
        return {"server": self.url, "authority": self.authority}

    def kubeconfig(self, name: str = "recorded", **more: Any) -> Path:
        """A kubeconfig with one context, and a token that nobody looks at."""
        context = {**self.server(), "token": "recorded", **more}
        file: Path = beside("cluster").kubeconfig(self.folder / f"{name}.kubeconfig", {name: context})
        return file

    def paths(self) -> list[str]:
        """What was asked, with queries."""
        return [each.target for each in self.asked]

    def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def told(self, asked: Asked) -> Answer:
        """What is sent: a fault, the answer, or the answer in a way that a fault says."""
        planned = self.faults.get(asked.path)
        if isinstance(planned, list):
            planned = planned[asked.number - 1] if asked.number <= len(planned) else None
        fault = planned or self.fault(asked)
        if fault and fault.instead:
            return fault
        answer = self.answer(asked)
        if not fault:
            return answer
        return replace(answer, delay=fault.delay, sent=fault.sent, pause=fault.pause)

    def remember(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Asked:
        parts = urlsplit(target)
        path, query = unquote(parts.path).rstrip("/"), dict(parse_qsl(parts.query, keep_blank_values=True))
        with self._lock:
            self._counts[path] += 1
            asked = Asked(method, path, query, headers, body, self._counts[path], target)
            self.asked.append(asked)
        return asked


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    served: Server

    def reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.served.told(self.served.remember(self.command, self.path, headers, body))
        time.sleep(answer.delay)
        if answer.sent == -1:
            self.close_connection = True
            return
        self._send(answer, "gzip" in headers.get("accept-encoding", ""))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = reply  # noqa: N815 - http.server's names

    def _send(self, answer: Answer, compressed: bool) -> None:
        headers = {"Content-Type": "application/json", **answer.headers}
        data = answer.body
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
            if compressed and len(data) >= _COMPRESSED_FROM:
                data, headers["Content-Encoding"] = gzip.compress(data, 1), "gzip"
        self.send_response_only(answer.status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(data if answer.sent is None else data[: answer.sent], answer.pause)
        if answer.sent is not None:
            self.close_connection = True

    def _write(self, data: bytes, pause: float) -> None:
        step = 1000 if pause else len(data) or 1
        for at in range(0, len(data), step):
            self.wfile.write(data[at : at + step])
            self.wfile.flush()
            time.sleep(pause)

    def log_message(self, *_: Any) -> None:
        pass


class _Https(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._tls = tls

    def finish_request(self, request: Any, client_address: Any) -> None:
        # Here, in the connection's own thread, a slow handshake keeps nobody else waiting.
        with contextlib.suppress(OSError), self._tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the other side had enough
