"""The sink `sftp` against a real sshd: who it talks to, whole or not at all, on from where it was cut."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest

from collector.deliver.series import Link, key
from collector.model import ConfigError, Sink, SinkRefused, SinkTaken, SinkUnreadable
from collector_sftp import SftpSink, collector_sinks

KEY = "acme/20261124T020000Z/00000001-0123456789ab.zip"
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
ROOT = os.geteuid() == 0


def keygen(path: Path, kind: str = "ed25519") -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


def fingerprint(public: Path) -> str:
    done = subprocess.run(["ssh-keygen", "-lf", str(public)], check=True, capture_output=True, text=True)
    return done.stdout.split()[1]


@dataclass
class Server:
    """An sshd that this user runs for itself."""

    home: Path
    port: int

    def settings(self, **more: Any) -> dict[str, Any]:
        made = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getuser(),
            "path": str(self.home / "store"),
            "key": str(self.home / "user"),
            "known_hosts": str(self.home / "known_hosts"),
            "timeout": 10.0,
        }
        return made | more

    def sink(self, **more: Any) -> SftpSink:
        return SftpSink(self.settings(**more))

    def files(self) -> list[str]:
        store = self.home / "store"
        return sorted(path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file())


@contextmanager
def serving(home: Path, command: str = "internal-sftp") -> Iterator[Server]:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "store").mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = keygen(home / "host")
    (home / "authorized").write_text(keygen(home / "user"))
    (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    lines = (
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {home / 'host'}",
        f"AuthorizedKeysFile {home / 'authorized'}",
        f"PidFile {home / 'pid'}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        f"Subsystem sftp {command}",
    )
    (home / "sshd_config").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([SSHD, "-D", "-q", "-f", str(home / "sshd_config")])
    try:
        wait_for(port, process)
        yield Server(home, port)
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "sshd did not start"
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    raise AssertionError("sshd does not listen")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    shutil.rmtree(running.home / "store")
    (running.home / "store").mkdir()
    return running


def put(sink: Sink, where: str, data: bytes, absent: bool = True) -> None:
    sink.put(where, io.BytesIO(data), hashlib.sha256(data).hexdigest(), absent)


def read(sink: Sink, where: str) -> bytes:
    with sink.get(where) as file:
        return file.read()


def test_it_is_a_sink() -> None:
    sink = SftpSink({"host": "store.example.org", "user": "evidence", "path": "in"})
    assert isinstance(sink, Sink)
    assert collector_sinks() == [SftpSink]
    assert sink.address == "sftp://evidence@store.example.org:22/~/in"


def test_what_is_put_is_there_and_comes_back(server: Server) -> None:
    sink = server.sink()
    data = os.urandom(3_000_001)
    assert sink.head(KEY) is None
    put(sink, KEY, data)
    assert sink.head(KEY) == len(data)
    assert read(sink, KEY) == data
    assert list(sink.list("acme/")) == list(sink.list("")) == [KEY]
    assert list(sink.list("acme/20261124T020000Z/00000001-")) == [KEY]
    assert list(sink.list("other/")) == list(sink.list("acm/")) == []
    assert server.files() == [KEY]
    assert (server.home / "store" / KEY).stat().st_mode & 0o077 in (0, 0o044)


def test_an_empty_file_is_a_file(server: Server) -> None:
    put(server.sink(), KEY, b"")
    assert server.sink().head(KEY) == 0
    assert read(server.sink(), KEY) == b""


def test_nothing_that_is_stored_is_replaced_unless_asked(server: Server) -> None:
    sink = server.sink()
    put(sink, KEY, b"first")
    with pytest.raises(SinkTaken):
        put(sink, KEY, b"second")
    assert read(sink, KEY) == b"first"
    put(sink, KEY, b"third", absent=False)
    assert read(sink, KEY) == b"third"
    assert server.files() == [KEY]


def test_who_comes_second_to_the_name_is_refused(server: Server) -> None:
    """Between looking and renaming another machine stores the key: the rename itself must refuse."""
    sink = server.sink()

    class Late(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            place = server.home / "store" / KEY
            place.write_bytes(b"the other's")
            return super().read(size)

    with pytest.raises(SinkTaken):
        sink.put(KEY, Late(b"mine"), hashlib.sha256(b"mine").hexdigest())
    assert read(sink, KEY) == b"the other's"
    assert server.files() == [KEY]


def test_bytes_that_were_not_announced_are_not_stored(server: Server) -> None:
    with pytest.raises(SinkRefused, match="not those that were announced"):
        server.sink().put(KEY, io.BytesIO(b"x"), hashlib.sha256(b"y").hexdigest())
    assert server.files() == []


@pytest.mark.parametrize("bad", ["../x.zip", "/etc/x", "a//b", ".hidden", "a/../b", "a\0b", "x" * 300, ""])
def test_a_key_leads_nowhere_else(server: Server, bad: str) -> None:
    with pytest.raises(SinkRefused, match="is no key"):
        put(server.sink(), bad, b"x")
    with pytest.raises(SinkRefused, match="is no key"):
        server.sink().get(bad)


def test_what_is_not_there_is_not_found(server: Server) -> None:
    with pytest.raises(FileNotFoundError):
        server.sink().get(KEY)


# --- who the server is --------------------------------------------------------------------------------


def test_an_unknown_host_key_stops_before_anything_is_sent(server: Server, tmp_path: Path) -> None:
    sink = server.sink(known_hosts=str(tmp_path / "none"))
    with pytest.raises(SinkRefused, match="nothing was sent") as caught:
        put(sink, KEY, b"x")
    assert fingerprint(server.home / "host.pub") in str(caught.value)
    assert not (tmp_path / "none").exists()
    assert server.files() == []


def test_a_changed_host_key_stops_before_anything_is_sent(server: Server, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other")
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {other}")
    with pytest.raises(SinkRefused, match="the host key has changed"):
        put(server.sink(known_hosts=str(known)), KEY, b"x")
    assert known.read_text() == f"[127.0.0.1]:{server.port} {other}"
    assert server.files() == []


def test_a_revoked_host_key_does_not_count(server: Server, tmp_path: Path) -> None:
    line = (server.home / "known_hosts").read_text()
    (tmp_path / "known").write_text(f"{line}\n@revoked {line}")
    with pytest.raises(SinkRefused, match="nothing was sent"):
        put(server.sink(known_hosts=str(tmp_path / "known")), KEY, b"x")


def test_a_pinned_fingerprint_stands_for_the_file(server: Server, tmp_path: Path) -> None:
    pinned = fingerprint(server.home / "host.pub")
    put(server.sink(known_hosts=str(tmp_path / "none"), host_key=["SHA256:other", pinned]), KEY, b"x")
    assert server.files() == [KEY]
    # The file does not help where another key is pinned.
    with pytest.raises(SinkRefused, match="not in `host_key`"):
        server.sink(host_key=["SHA256:" + "A" * 43]).head(KEY)


# --- who we are ---------------------------------------------------------------------------------------


def test_a_key_that_the_server_does_not_know_is_refused(server: Server, tmp_path: Path) -> None:
    keygen(tmp_path / "stranger")
    with pytest.raises(SinkRefused, match="does not accept"):
        server.sink(key=str(tmp_path / "stranger")).head(KEY)


def test_a_key_that_others_can_read_is_not_used(server: Server, tmp_path: Path) -> None:
    shutil.copy(server.home / "user", tmp_path / "open")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(SinkRefused, match="must be 0600"):
        server.sink(key=str(tmp_path / "open")).head(KEY)


def test_a_password_is_in_no_error_and_no_address(server: Server) -> None:
    sink = server.sink(password="correct horse", key=None)
    with pytest.raises(SinkRefused) as caught:
        sink.head(KEY)
    assert "correct horse" not in f"{caught.value}{sink.address}{sink.permissions()}"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"port": 0}, "from 1 to 65535"),
        ({"host_key": ["aa:bb"]}, "no fingerprint"),
        ({"password": "x", "key": "/y"}, "one of them"),
        ({"path": ""}, "must name a folder"),
    ],
)
def test_settings_that_cannot_be_used_are_one_clear_line(more: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        SftpSink({"host": "h", "user": "u", "path": "p"} | more)


# --- what breaks --------------------------------------------------------------------------------------


def test_a_dead_host_is_an_error_that_may_pass(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        put(server.sink(port=port), KEY, b"x")


def test_a_host_that_says_nothing_costs_no_more_than_its_time(server: Server) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        sink = server.sink(port=silent.getsockname()[1], timeout=1.0)
        with pytest.raises(OSError, match=r"connection was lost|no answer"):
            put(sink, KEY, b"x")


@pytest.mark.needs_root
def test_a_full_disk_leaves_nothing_and_says_so(server: Server) -> None:
    store = server.home / "store"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(store)], check=True)
    try:
        with pytest.raises(OSError, match="its disk may be full"):
            put(server.sink(), KEY, os.urandom(3_000_000))
        assert server.files() == []
    finally:
        subprocess.run(["umount", str(store)], check=True)


class Cutting:
    """A relay on loopback that cuts each connection after so many bytes towards the server."""

    def __init__(self, port: int, after: int) -> None:
        self.after, self.passed, self._to = after, 0, port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, socket.create_connection(("127.0.0.1", self._to)) as far:
                back = threading.Thread(target=self._copy, args=(far, near, 1 << 40), daemon=True)
                back.start()
                self.passed += self._copy(near, far, self.after)
                for each in (near, far):
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                back.join()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket, limit: int) -> int:
        passed = 0
        try:
            while passed < limit and (data := source.recv(65536)):
                target.sendall(data)
                passed += len(data)
        except OSError:
            pass
        return passed

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def cutting(server: Server) -> Iterator[Callable[[int], Cutting]]:
    made: list[Cutting] = []

    def make(after: int) -> Cutting:
        made.append(Cutting(server.port, after))
        line = (server.home / "known_hosts").read_text().splitlines()[0].split(" ", 1)[1]
        with (server.home / "known_hosts").open("a") as known:
            known.write(f"[127.0.0.1]:{made[-1].port} {line}\n")
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_an_upload_that_was_cut_goes_on_from_there(server: Server, cutting: Any) -> None:
    data = os.urandom(8_000_000)
    cut = cutting(5_000_000)
    with pytest.raises(OSError, match="connection was lost"):
        put(server.sink(port=cut.port), KEY, data)
    (left,) = server.files()
    assert left.endswith(".part")
    arrived = (server.home / "store" / left).stat().st_size
    assert 1_000_000 < arrived < len(data)

    whole = cutting(1 << 40)
    sink = server.sink(port=whole.port)
    put(sink, KEY, data)
    assert read(sink, KEY) == data
    assert server.files() == [KEY]
    del sink
    whole.close()
    threading.Event().wait(0.2)
    assert whole.passed < len(data) - arrived + 500_000  # not sent again; the rest is SSH's own


def test_a_partial_upload_of_other_bytes_is_begun_again(server: Server) -> None:
    data = os.urandom(300_000)
    sink = server.sink()
    folder = (server.home / "store" / KEY).parent
    folder.mkdir(parents=True)
    part = folder / f".{Path(KEY).name}.{hashlib.sha256(data).hexdigest()[:16]}.part"
    for left in (b"something else", data + b"more", data[:1000] + b"!" + data[1001:2000], data):
        part.write_bytes(left)
        put(sink, KEY, data, absent=False)
        assert read(sink, KEY) == data
        assert server.files() == [KEY]


def test_the_connection_is_made_again_after_the_server_came_back(tmp_path: Path) -> None:
    home = tmp_path / "again"
    with serving(home) as first:
        sink = first.sink()
        put(sink, KEY, b"x")
        pids = subprocess.run(
            ["pgrep", "-P", (home / "pid").read_text().strip()], capture_output=True, text=True
        )
        for pid in pids.stdout.split():  # the session of this connection, not the listener
            os.kill(int(pid), 9)
        with pytest.raises(OSError):
            for _ in range(50):
                sink.head(KEY)
        assert sink.head(KEY) == 1


def test_a_server_that_only_takes_is_told_apart_from_one_that_is_empty(tmp_path: Path) -> None:
    denied = "internal-sftp -P open,read,readdir,opendir"
    with serving(tmp_path / "no", denied) as server, pytest.raises(SinkUnreadable):
        list(server.sink().list(""))
    with serving(tmp_path / "wo", "internal-sftp -P read,readdir,opendir") as server:
        sink = server.sink()
        put(sink, KEY, b"secret")
        assert server.files() == [KEY]
        with pytest.raises(SinkUnreadable), sink.get(KEY) as file:
            file.read()
        with pytest.raises(SinkTaken):
            put(sink, KEY, b"secret")


# --- retention and checking ---------------------------------------------------------------------------


def test_the_oldest_go_by_their_own_statement_with_their_stamps_and_the_newest_stays(
    server: Server, bundle: Any, tmp_path: Path
) -> None:
    sink = server.sink(keep=2 * 86400.0)
    keys = []
    for day in range(4):
        link = Link("2026-11-24T02:00:00Z", day + 1, None)
        path, digest = bundle(tmp_path / f"{day}.zip", link, day)
        keys.append(key("acme", link, digest))
        put(sink, keys[-1], path.read_bytes())
    stamp = keys[0].removesuffix("zip") + "ca.tsr"
    put(sink, stamp, b"stamp")
    assert list(sink.prune("acme/", "2026-11-27T02:00:00Z")) == [stamp, keys[0]]
    assert list(sink.list("acme/")) == keys[1:]
    assert list(sink.prune("acme/", "2030-01-01T00:00:00Z")) == keys[1:3]
    assert list(server.sink().prune("acme/", "2040-01-01T00:00:00Z")) == []
    assert server.files() == [keys[3]]


def test_checking_says_what_the_server_keeps_and_leaves_nothing(server: Server) -> None:
    sink = server.sink()
    canary = ".collector-check/1/canary"
    put(sink, canary, b"canary")
    assert [(each.held, each.promised) for each in sink.check(canary)] == [(True, True), (False, False)]
    assert list((server.home / "store").iterdir()) == []
    assert "Match User" in sink.permissions()
