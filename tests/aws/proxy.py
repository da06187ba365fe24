"""An HTTP proxy in front of an AWS double: counts requests, adds latency, denies and throttles.

As a process: `python proxy.py TARGET_PORT DELAY_SECONDS` prints its port; a GET of `/_counts` gives a JSON
object of requests by what was asked, `/_reset` forgets them. `Proxy(target)` is the same in a thread.
What was asked is told apart by the header `X-Operation`, which tests add, or else by method, host and path.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Proxy:
    """A proxy on a free port of loopback.

    Attributes:
        counts: requests by what was asked; `asked` counts each by its bytes too, so that what is asked
            twice is seen.
        answers: by `service:Operation`, what is answered in place of the double's answer: a function of the
            request's body to status and JSON.
        fault: given `service:Operation` and the number of the request of its kind (from 1), says with
            which code it fails, or "" if it is let through.
    """

    def __init__(self, target: int, delay: float = 0.0) -> None:
        self.target = target
        self.delay = delay
        self.counts: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.fault: Callable[[str, int], str] = lambda op, number: ""
        self.answers: dict[str, Callable[[bytes], tuple[int, Any]]] = {}
        self._lock = threading.Lock()
        self._local = threading.local()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        with self._lock:
            self.counts.clear()
            self.asked.clear()
            self.failed.clear()
        self.fault = lambda op, number: ""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self, op: str, key: str) -> int:
        with self._lock:
            self.counts[op] += 1
            self.asked[f"{op} {key}"] += 1
            return self.counts[op]

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        connection = getattr(self._local, "connection", None)
        for attempt in (1, 2):
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=120)
            try:
                connection.request(method, path, body or None, headers)
                answer = connection.getresponse()
                data = answer.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                connection = None
                if attempt == 2:
                    raise
                continue
            self._local.connection = connection
            return answer.status, answer.getheaders(), data
        raise AssertionError

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one small server
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path.startswith("/_"):
                    return self._own()
                op = self.headers.get("X-Operation") or _guessed(self.command, self.headers, self.path, body)
                number = proxy.count(op, _key(self.command, self.headers, self.path, body))
                if proxy.delay:
                    time.sleep(proxy.delay)
                if code := proxy.fault(op, number):
                    with proxy._lock:
                        proxy.failed[op] += 1
                    return self._fail(code, "query" if b"Action=" in body else "json")
                if answer := proxy.answers.get(op):
                    status, told = answer(body)
                    code = told.get("__type", "") if isinstance(told, dict) else ""
                    own = [("Content-Type", "application/x-amz-json-1.1")] + [
                        ("x-amzn-ErrorType", code)
                    ] * bool(code)
                    return self._answer(status, own, json.dumps(told).encode())
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
                status, given, data = proxy.forward(self.command, self.path, headers, body)
                self._answer(status, given, data)
                return None

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = pass_on  # noqa: N815 - http.server's names

            def _answer(self, status: int, given: Any, data: bytes) -> None:
                self.send_response_only(status)
                for name, value in given:
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)
                self.wfile.flush()

            def _own(self) -> None:
                if self.path == "/_reset":
                    proxy.reset()
                told = {"counts": proxy.counts, "twice": sum(n - 1 for n in proxy.asked.values())}
                self._answer(200, [("Content-Type", "application/json")], json.dumps(told).encode())

            def _fail(self, code: str, guessed: str) -> None:
                protocol = self.headers.get("X-Protocol", guessed)
                status = (
                    503 if code in ("SlowDown", "RequestLimitExceeded") else 400 if "hrottl" in code else 403
                )
                self._answer(status, *_error(protocol, code))

            def log_message(self, *given: Any) -> None:
                pass

        return Handler


def _error(protocol: str, code: str) -> tuple[list[tuple[str, str]], bytes]:
    """An error as each of AWS's protocols writes it."""
    message = f"made to fail with {code}"
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    if protocol == "ec2":
        text = f"<Response><Errors>{error}</Errors></Response>"
        return [("Content-Type", "text/xml")], text.encode()
    if protocol == "query":
        text = f"<ErrorResponse>{error}</ErrorResponse>"
        return [("Content-Type", "text/xml")], text.encode()
    if protocol == "rest-xml":
        return [("Content-Type", "application/xml")], error.encode()
    if protocol == "smithy-rpc-v2-cbor":
        both = {"__type": code, "message": message}
        data = bytes([0xA2]) + b"".join(_cbor(name) + _cbor(value) for name, value in both.items())
        return [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")], data
    body = json.dumps({"__type": code, "message": message}).encode()
    return [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)], body


def _cbor(text: str) -> bytes:
    data = text.encode()
    return (bytes([0x60 + len(data)]) if len(data) < 24 else bytes([0x78, len(data)])) + data


def _service(headers: Any) -> str:
    scope = headers.get("Authorization", "").partition("Credential=")[2].split("/")
    return scope[3] if len(scope) > 3 else ""


def _guessed(method: str, headers: Any, path: str, body: bytes) -> str:
    target = headers.get("X-Amz-Target", "").rpartition(".")[2]
    action = next((part[7:].decode() for part in body.split(b"&") if part.startswith(b"Action=")), "")
    return f"{_service(headers)}:{target or action or method}"


def _key(method: str, headers: Any, path: str, body: bytes) -> str:
    who = headers.get("Authorization", "").partition("Credential=")[2].split("/")
    told = [method, headers.get("Host", ""), path, who[0], who[2:4], headers.get("X-Amz-Target", "")]
    return hashlib.sha256(repr(told).encode() + body).hexdigest()


if __name__ == "__main__":
    made = Proxy(int(sys.argv[1]), float(sys.argv[2]))
    print(made.port, flush=True)  # noqa: T201 - whoever started it reads this
    threading.Event().wait()
