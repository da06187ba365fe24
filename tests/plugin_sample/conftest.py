"""A backup server on loopback, and the sample plugin on the path."""

import importlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

JOBS = [
    {"name": "mail", "encrypted": True, "keep_days": 90, "tell": "ops@example.org"},
    {"name": "files/shared", "encrypted": False, "keep_days": 14, "tell": None},
    {"name": "never-ran", "encrypted": True, "keep_days": 30, "tell": "ops@example.org"},
]
RUNS = {"mail": "2026-11-23T03:00:00Z", "files/shared": "2026-11-01T03:00:00Z"}


class Server(ThreadingHTTPServer):
    """Two jobs a page. `odd` maps a path to what goes wrong there: a status, or a word."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.odd = {}
        self.asked = []

    @property
    def settings(self):
        return {"url": f"http://127.0.0.1:{self.server_port}", "token": "right"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        self.server.asked.append(self.path)
        odd = self.server.odd.get(url.path)
        if self.headers["Authorization"] != "Bearer right":
            self.answer(401, {})
        elif isinstance(odd, int):
            self.answer(odd, {})
        elif odd == "slow":
            time.sleep(1)
        elif odd == "torn":
            self.answer(200, {"jobs": JOBS}, claimed=10_000)
        elif odd == "not-json":
            self.answer(200, None, body=b"<html>")
        elif url.path == "/jobs":
            start = int(parse_qs(url.query).get("page", ["0"])[0])
            more = str(start + 2) if start + 2 < len(JOBS) else None
            self.answer(200, {"jobs": JOBS[start : start + 2], "next": more})
        else:
            run = RUNS.get(unquote(url.path.split("/")[2]))
            self.answer(200 if run else 404, {"succeeded_at": run})

    def answer(self, status, data, body=None, claimed=None):
        body = json.dumps(data).encode() if body is None else body
        self.send_response(status)
        self.send_header("Content-Length", str(claimed or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sample(monkeypatch):
    """The module `collector_sample`, as its author would import it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("collector_sample")
