"""What the AWS benchmark runs against: moto, a proxy that counts and records, and a client that plays back.

As a process (`python -m tests.bench.aws_servers TARGET_PORT DELAY FILE`) it is the proxy of
`tests/aws/proxy.py` which, told to end, writes all requests that it saw to FILE, one JSON object a line.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

__all__ = ["Recorded", "moto", "proxied", "replayed"]

_AWS = Path(__file__).parents[1] / "aws"
_THREADS = 32  # as many as a run of the agent asks at the same time


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", _AWS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[int]:
    """moto's server on a free port, as the tests run it; gives the port."""
    made = _loaded("conftest").Moto(folder)
    try:
        yield made.port
    finally:
        made.close()


class Recorded:
    """A proxy that runs as a process of its own, and what it saw."""

    def __init__(self, target: int, delay: float, file: Path) -> None:
        self._file = file
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(target), str(delay), str(file)], stdout=subprocess.PIPE
        )
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def counts(self) -> tuple[int, int]:
        """Requests since the proxy began, and how many of them had been asked before."""
        with urllib.request.urlopen(f"{self.url}/_counts", timeout=60) as answer:
            told = json.load(answer)
        return sum(told["counts"].values()), told["twice"]

    def close(self) -> list[dict[str, Any]]:
        """End the proxy; the requests that it saw."""
        self._process.terminate()
        self._process.wait(60)
        return [json.loads(line) for line in self._file.read_text().splitlines()]


@contextlib.contextmanager
def proxied(target: int, delay: float, folder: Path) -> Iterator[Recorded]:
    made = Recorded(target, delay, folder / "requests.jsonl")
    try:
        yield made
    finally:
        made.close()


def replayed(port: int, requests: list[dict[str, Any]]) -> float:
    """Seconds that a server needs to answer requests that a client with no cost of its own sends."""
    local = threading.local()

    def send(asked: dict[str, Any]) -> None:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        body = base64.b64decode(asked["body"]) or None
        local.connection.request(asked["method"], asked["path"], body, asked["headers"])
        local.connection.getresponse().read()

    began = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(send, requests):
            pass
    return time.monotonic() - began


def main(target: int, delay: float, file: Path) -> None:
    seen: list[dict[str, Any]] = []
    proxy = _loaded("proxy").Proxy(target, delay)
    forward = proxy.forward

    def remembered(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        told = base64.b64encode(body).decode()
        seen.append({"method": method, "path": path, "headers": headers, "body": told})
        return forward(method, path, headers, body)

    def end(*_: object) -> None:
        file.write_text("".join(json.dumps(each) + "\n" for each in seen))
        os._exit(0)

    proxy.forward = remembered
    signal.signal(signal.SIGTERM, end)
    print(proxy.port, flush=True)  # noqa: T201 - whoever started it reads this
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
