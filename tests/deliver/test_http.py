"""The sinks `https` and `webdav` against a real nginx: TLS, who we are, nothing replaced, nothing torn."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from collector.deliver.series import Link, key
from collector.model import ConfigError, Sink, SinkRefused, SinkTaken, SinkUnreadable
from collector_http import HttpsSink, WebdavSink, collector_sinks
from collector_http.webdav import members

KEY = "acme/20261124T020000Z/00000001-0123456789ab.zip"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CONFIG = """
load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
daemon off; pid {home}/pid; error_log {home}/error.log; user {user};
events {{ }}
http {{
  access_log {home}/access.log;
  client_max_body_size 20m; client_body_temp_path {home}/t1; proxy_temp_path {home}/t2;
  fastcgi_temp_path {home}/t3; uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
  map $http_authorization $allowed {{ default 0; "Bearer right" 1; }}
  server {{
    listen 127.0.0.1:{plain};
    root {home}/files;
    location /store/ {{
      dav_methods PUT DELETE MKCOL MOVE; dav_ext_methods PROPFIND OPTIONS; create_full_put_path on;
    }}
    location /bearer/ {{ if ($allowed = 0) {{ return 401; }} dav_methods PUT; create_full_put_path on; }}
    location /writeonly/ {{
      dav_methods PUT; create_full_put_path on;
      if ($request_method ~ ^(GET|HEAD)$) {{ return 403; }}
    }}
    location /guarded/ {{
{guard}
    }}
    location /moved/ {{ return 307 http://127.0.0.1:{plain}/store/; }}
    location /full/ {{ return 507; }}
    location /busy/ {{ return 503; }}
  }}
  server {{
    listen 127.0.0.1:{tls} ssl;
    root {home}/files;
    ssl_certificate {home}/server.pem; ssl_certificate_key {home}/server.key;
    ssl_client_certificate {home}/ca.pem; ssl_verify_client optional;
    location /store/ {{ dav_methods PUT; create_full_put_path on; }}
    location /certain/ {{
      if ($ssl_client_verify != SUCCESS) {{ return 403; }}
      dav_methods PUT; create_full_put_path on;
    }}
    location /basic/ {{
      auth_basic "x"; auth_basic_user_file {home}/users; dav_methods PUT; create_full_put_path on;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    home: Path
    plain: int
    tls: int

    def http(self, place: str = "store") -> str:
        return f"http://127.0.0.1:{self.plain}/{place}"

    def https(self, place: str = "store") -> str:
        return f"https://localhost:{self.tls}/{place}"

    def files(self, place: str = "store") -> list[str]:
        top = self.home / "files" / place
        return sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())


def openssl(*arguments: Any) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certificates(home: Path) -> None:
    """An authority, a server and a client."""
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        *new, "-x509", "-days", 9, "-subj", "/CN=test", "-keyout", home / "ca.key", "-out", home / "ca.pem"
    )
    (home / "names").write_text("subjectAltName=DNS:localhost")
    for name in ("server", "client"):
        made = home / name
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{made}.key", "-out", f"{made}.csr")
        signed = ("-CA", home / "ca.pem", "-CAkey", home / "ca.key", "-extfile", home / "names")
        openssl("x509", "-req", "-days", 9, "-in", f"{made}.csr", *signed, "-out", f"{made}.pem")


def guard() -> str:
    """The lines that docs/sinks.md gives for nginx."""
    page = (Path(__file__).parents[2] / "docs" / "sinks.md").read_text()
    lines = page.partition("```nginx\n")[2].partition("```")[0].splitlines()[1:-1]
    assert any("return 412" in line for line in lines)
    return "\n".join(line.replace("192.0.2.10", "127.0.0.1") for line in lines)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("nginx")
    certificates(home)
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", "right"], check=True, capture_output=True, text=True
    ).stdout
    (home / "users").write_text(f"evidence:{hashed}")
    server = Server(home, free_port(), free_port())
    user = "root" if os.geteuid() == 0 else "nobody"
    (home / "nginx.conf").write_text(
        CONFIG.format(home=home, plain=server.plain, tls=server.tls, user=user, guard=guard())
    )
    (home / "files" / "store").mkdir(parents=True)
    process = subprocess.Popen([NGINX, "-c", str(home / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            assert process.poll() is None, (home / "error.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", server.plain), 0.2).close()
                break
            except OSError:
                threading.Event().wait(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def server(running: Server) -> Server:
    shutil.rmtree(running.home / "files")
    (running.home / "files" / "store").mkdir(parents=True)
    return running


@pytest.fixture(params=[HttpsSink, WebdavSink])
def sink(request: pytest.FixtureRequest, server: Server) -> Sink:
    made: Sink = request.param({"url": server.http()})
    return made


def put(sink: Sink, where: str, data: bytes, absent: bool = True) -> None:
    sink.put(where, io.BytesIO(data), hashlib.sha256(data).hexdigest(), absent)


def read(sink: Sink, where: str) -> bytes:
    with sink.get(where) as file:
        return file.read()


# --- both ---------------------------------------------------------------------------------------------


def test_they_are_sinks() -> None:
    assert collector_sinks() == [HttpsSink, WebdavSink]
    for each in collector_sinks():
        assert isinstance(each({"url": "https://store.example.org/in/"}), Sink)
        assert each({"url": "https://store.example.org/in/"}).address == "https://store.example.org/in"


def test_what_is_put_is_there_and_comes_back(sink: Sink, server: Server) -> None:
    data = os.urandom(3_000_001)
    assert sink.head(KEY) is None
    put(sink, KEY, data)
    assert sink.head(KEY) == len(data)
    assert read(sink, KEY) == data
    assert server.files() == [KEY]
    with pytest.raises(FileNotFoundError):
        sink.get("acme/other.zip")


def test_nothing_that_is_stored_is_replaced_unless_asked(sink: Sink, server: Server) -> None:
    put(sink, KEY, b"first")
    with pytest.raises(SinkTaken):
        put(sink, KEY, b"second")
    assert read(sink, KEY) == b"first"
    put(sink, KEY, b"third", absent=False)
    assert read(sink, KEY) == b"third"
    assert server.files() == [KEY]


def test_bytes_that_were_not_announced_are_not_stored(sink: Sink, server: Server) -> None:
    with pytest.raises(SinkRefused, match="not those that were announced"):
        sink.put(KEY, io.BytesIO(b"x"), hashlib.sha256(b"y").hexdigest())
    assert server.files() == []


@pytest.mark.parametrize("bad", ["../x.zip", "/x", "a//b", ".hidden", "a?b", "a%2fb", "a#b", ""])
def test_a_key_leads_nowhere_else(sink: Sink, bad: str) -> None:
    for use in (lambda: put(sink, bad, b"x"), lambda: sink.get(bad), lambda: sink.head(bad)):
        with pytest.raises(SinkRefused, match="is no key"):
            use()


@pytest.mark.parametrize("kind", [HttpsSink, WebdavSink])
@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"url": "http://store.example.org/"}, "must be https"),
        ({"url": "http://127.0.0.1.example.org/"}, "must be https"),
        ({"url": "ftp://store.example.org/"}, "is no address"),
        ({"url": "https://u:secret@store.example.org/"}, "must hold no user"),
        ({"url": "https://h/", "token": "x", "user": "y"}, "one of them"),
    ],
)
def test_settings_that_cannot_be_used_are_one_clear_line(kind: Any, more: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error) as caught:
        kind(more)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", [HttpsSink, WebdavSink])
@pytest.mark.parametrize(
    ("place", "error", "told"),
    [("moved", SinkRefused, "redirect"), ("full", OSError, "no space left"), ("busy", OSError, "503")],
)
def test_what_the_store_answers_is_told(
    kind: Any, place: str, error: type[Exception], told: str, server: Server
) -> None:
    with pytest.raises(error, match=told):
        put(kind({"url": server.http(place)}), KEY, b"x")
    assert server.files() == []


@pytest.mark.parametrize("kind", [HttpsSink, WebdavSink])
def test_a_dead_store_is_an_error_that_may_pass_and_says_so_in_one_line(kind: Any) -> None:
    with pytest.raises(ConnectionError, match=r"could not be reached: .*refused") as caught:
        put(kind({"url": f"http://127.0.0.1:{free_port()}/x"}), KEY, b"x")
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("kind", [HttpsSink, WebdavSink])
def test_a_store_that_says_nothing_costs_no_more_than_its_time(kind: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = kind({"url": f"http://127.0.0.1:{silent.getsockname()[1]}/x", "timeout": 0.5})
        with pytest.raises(TimeoutError, match=r"within 0\.5 s"):
            put(sink, KEY, b"x")


# --- https --------------------------------------------------------------------------------------------


def test_a_certificate_of_an_unknown_authority_stops_before_anything_is_sent(server: Server) -> None:
    with pytest.raises(OSError, match=r"TLS: .*nothing was sent"):
        put(HttpsSink({"url": server.https()}), KEY, b"x")
    put(HttpsSink({"url": server.https(), "ca": str(server.home / "ca.pem")}), KEY, b"x")
    assert server.files() == [KEY]


def test_a_certificate_for_another_name_stops_before_anything_is_sent(server: Server) -> None:
    url = server.https().replace("localhost", "127.0.0.1")
    with pytest.raises(OSError, match="TLS"):
        put(HttpsSink({"url": url, "ca": str(server.home / "ca.pem")}), KEY, b"x")


def test_a_client_certificate_lets_us_in(server: Server) -> None:
    ca = {"url": server.https("certain"), "ca": str(server.home / "ca.pem")}
    with pytest.raises(SinkRefused, match="403"):
        put(HttpsSink(ca), KEY, b"x")
    client = {
        name: str(server.home / f"client.{end}")
        for name, end in (("certificate", "pem"), ("certificate_key", "key"))
    }
    put(HttpsSink(ca | client), KEY, b"x")
    assert server.files("certain") == [KEY]


@pytest.mark.parametrize("right", [True, False])
def test_passwords_and_tokens_let_us_in_or_not_and_are_in_no_error(server: Server, right: bool) -> None:
    word = "right" if right else "wrong-secret"
    basic = HttpsSink(
        {
            "url": server.https("basic"),
            "ca": str(server.home / "ca.pem"),
            "user": "evidence",
            "password": word,
        }
    )
    bearer = HttpsSink({"url": server.http("bearer"), "token": word})
    for sink in (basic, bearer):
        if right:
            put(sink, KEY, b"x")
            assert read(sink, KEY) == b"x"
        else:
            with pytest.raises(SinkRefused, match="401") as caught:
                put(sink, KEY, b"x")
            assert word not in f"{caught.value}{sink.address}{sink.permissions()}"


def test_netrc_is_not_looked_into(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login evidence password right\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with pytest.raises(SinkRefused, match="401"):
        put(HttpsSink({"url": server.https("basic"), "ca": str(server.home / "ca.pem")}), KEY, b"x")


def test_nginx_does_not_enforce_if_none_match_and_checking_says_so(server: Server) -> None:
    """What docs/sinks.md says of it; were this to change, the page must."""
    for status in (201, 204):
        answer = requests.put(f"{server.http()}/x", data=b"x", headers={"If-None-Match": "*"}, timeout=5)
        assert answer.status_code == status
    sink = HttpsSink({"url": server.http()})
    put(sink, ".collector-check/1/canary", b"canary")
    found = {each.what: each.held for each in sink.check(".collector-check/1/canary")}
    assert list(found.values()) == [False, False, False]
    assert not [name for name in server.files() if "canary" in name]


def test_nginx_refuses_a_second_put_as_the_documentation_has_it(server: Server) -> None:
    for status in (201, 412, 412):
        answer = requests.put(f"{server.http('guarded')}/a/x.zip", data=b"x", timeout=5)
        assert answer.status_code == status
    sink = HttpsSink({"url": server.http("guarded")})
    put(sink, ".collector-check/1/canary", b"canary")
    assert next(iter(sink.check(".collector-check/1/canary"))).held is True
    put(sink, KEY, b"x")
    assert read(sink, KEY) == b"x"


def test_a_store_that_enforces_it_refuses_by_itself() -> None:
    """Where looking first shows nothing, 412 does."""
    seen: list[dict[str, str]] = []

    class Strict(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def do_PUT(self) -> None:
            seen.append(dict(self.headers))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(412)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Strict) as strict:
        thread = threading.Thread(target=strict.serve_forever)
        thread.start()
        try:
            with pytest.raises(SinkTaken):
                put(HttpsSink({"url": f"http://127.0.0.1:{strict.server_port}"}), KEY, b"x")
        finally:
            strict.shutdown()
            thread.join()
    assert seen[0]["If-None-Match"] == "*"
    # RFC 9530's form of the SHA-256 of "x".
    assert seen[0]["Content-Digest"] == "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:"


def test_a_store_that_only_takes_is_told_apart_from_one_that_is_empty(server: Server) -> None:
    sink = HttpsSink({"url": server.http("writeonly")})
    put(sink, KEY, b"x")
    assert server.files("writeonly") == [KEY]
    for use in (lambda: sink.head(KEY), lambda: sink.get(KEY), lambda: list(sink.list(""))):
        with pytest.raises(SinkUnreadable):
            use()


def test_a_torn_answer_is_an_error_and_no_short_bundle() -> None:
    class Torn(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"x" * 40)

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Torn) as torn:
        thread = threading.Thread(target=torn.serve_forever)
        thread.start()
        try:
            with pytest.raises(OSError, match=r"early|could not be reached"):
                read(HttpsSink({"url": f"http://127.0.0.1:{torn.server_port}"}), KEY)
        finally:
            torn.shutdown()
            thread.join()


# --- webdav -------------------------------------------------------------------------------------------


def test_a_collection_lists_its_keys(server: Server) -> None:
    sink = WebdavSink({"url": server.http()})
    assert list(sink.list("")) == list(sink.list("acme/")) == []
    other = KEY.replace("acme", "other")
    for each in (KEY, other):
        put(sink, each, b"x")
    (server.home / "files" / "store" / "acme" / ".hidden").write_text("x")
    assert list(sink.list("")) == [KEY, other]
    assert list(sink.list("acme/")) == list(sink.list("acme/20261124T020000Z/00000001-")) == [KEY]
    assert list(sink.list("acm/")) == []


def test_who_comes_second_to_the_name_is_refused_by_the_store(server: Server) -> None:
    class Late(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            (server.home / "files" / "store" / KEY).write_bytes(b"the other's")
            return super().read(size)

    sink = WebdavSink({"url": server.http()})
    with pytest.raises(SinkTaken):
        sink.put(KEY, Late(b"mine"), hashlib.sha256(b"mine").hexdigest())
    assert read(sink, KEY) == b"the other's"
    assert server.files() == [KEY]


def test_an_upload_that_was_cut_leaves_no_key(server: Server) -> None:
    class Cut(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the disk went away")

    sink = WebdavSink({"url": server.http()})
    with pytest.raises(OSError):
        sink.put(KEY, Cut(b"x" * 100), hashlib.sha256(b"x" * 100).hexdigest())
    assert list(sink.list("")) == []
    put(sink, KEY, b"x")
    assert server.files() == [KEY]


def test_what_arrived_torn_does_not_get_its_name() -> None:
    """A store that answers 201 and keeps the half: nothing would ever replace it under its key."""
    kept: dict[str, bytes] = {}
    asked: list[str] = []

    class Torn(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked.append(self.command)
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.command == "PUT":
                kept[self.path] = data[: len(data) // 2]
            if self.command == "DELETE":
                kept.pop(self.path, None)
            self.send_response(200 if self.command == "HEAD" else 201)
            self.send_header("Content-Length", str(len(kept.get(self.path, b""))))
            self.end_headers()

        do_PUT = do_HEAD = do_MKCOL = do_MOVE = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Torn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sink = WebdavSink({"url": f"http://127.0.0.1:{server.server_port}/store"})
        with pytest.raises(OSError, match="5 of 10 bytes arrived"):
            put(sink, KEY, b"0123456789")
    finally:
        server.shutdown()
        server.server_close()
    assert "MOVE" not in asked
    assert kept == {}


def test_the_oldest_go_and_the_newest_stays(server: Server, bundle: Any, tmp_path: Path) -> None:
    sink = WebdavSink({"url": server.http(), "keep": 2 * 86400.0})
    keys = []
    for day in range(4):
        path, digest = bundle(tmp_path / f"{day}.zip", Link("2026-11-24T02:00:00Z", day + 1, None), day)
        keys.append(key("acme", Link("2026-11-24T02:00:00Z", day + 1, None), digest))
        put(sink, keys[-1], path.read_bytes())
    assert list(sink.prune("acme/", "2026-11-27T02:00:00Z")) == [keys[0]]
    assert list(sink.prune("acme/", "2040-01-01T00:00:00Z")) == keys[1:3]
    assert server.files() == [keys[3]]


def test_checking_a_collection_says_what_it_keeps_and_leaves_nothing(server: Server) -> None:
    sink = WebdavSink({"url": server.http()})
    put(sink, ".collector-check/1/canary", b"canary")
    assert [(each.held, each.promised) for each in sink.check(".collector-check/1/canary")] == [
        (True, True),
        (False, False),
    ]
    assert server.files() == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<a>",
        b"\xff\xfe<\x00",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<" * 100_000,
    ],
)
def test_a_listing_that_is_none_is_refused(answer: bytes) -> None:
    with pytest.raises(SinkRefused):
        members(answer)


def test_a_listing_cannot_lead_elsewhere_or_in_circles(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = WebdavSink({"url": "https://store.example.org/in"})
    listed = [("/in/", True), ("/other/x.zip", False), ("/in/../etc/x", False), ("/in/acme/", True)]
    inside = [*listed, ("/in/acme/x.zip", False), ("/in/acme/", True)]
    monkeypatch.setattr(sink, "_members", lambda folder: inside if folder else listed)
    assert list(sink.list("")) == ["acme/x.zip"]
