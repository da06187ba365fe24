"""Listening sockets and the programs behind them (/proc/net, /proc/*/fd)."""

from __future__ import annotations

import ipaddress
import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from collector.model import ColumnGap, Json, Outcome

from ..frames import Frames, Line
from ..rows import Item, Miss, Row, column_gaps, integer, malformed, unread
from .accounts import User, hide_gecos, users

__all__ = ["ports"]

_TABLES = {
    "/proc/net/tcp": ("tcp", "ipv4"),
    "/proc/net/tcp6": ("tcp", "ipv6"),
    "/proc/net/udp": ("udp", "ipv4"),
    "/proc/net/udp6": ("udp", "ipv6"),
}
_SOCKET = re.compile(
    r"\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ [0-9A-F]{2} (?:\S+\s+){3}(\d+)\s+\d+ (\d+)"
)


@dataclass(frozen=True, slots=True)
class _Socket:
    protocol: str
    family: str
    address: str
    port: int
    uid: int
    inode: str


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel prints it: 32-bit words in the byte order of the machine (little here)."""
    words = [int(text[place : place + 8], 16) for place in range(0, len(text), 8)]
    raw = struct.pack(f"<{len(words)}I", *words)
    return ipaddress.IPv4Address(raw) if len(raw) == 4 else ipaddress.IPv6Address(raw)


def _socket(path: str, line: Line) -> _Socket | None:
    match = _SOCKET.match(line.text)
    if match is None:
        return None
    protocol, family = _TABLES[path]
    return _Socket(
        protocol, family, str(_address(match[1])), int(match[2], 16), integer(match[3]) or 0, match[4]
    )


class _Processes:
    """Which processes hold a socket, and what they are."""

    def __init__(self, frames: Frames) -> None:
        self.holders: dict[str, set[str]] = defaultdict(set)
        for line in frames.command("sockets").lines:
            pid, _, inode = line.text.partition(" ")
            self.holders[inode].add(pid)
        self.names: dict[str, str] = {}
        self.programs: dict[str, str] = {}
        for line in frames.command("pids").lines:
            what, _, rest = line.text.partition(" ")
            pid, _, value = rest.partition(" ")
            (self.names if what == "n" else self.programs)[pid] = value


def ports(frames: Frames) -> Iterator[Item]:
    """The section `ports`: host_listening_port."""
    accounts = [user for user in users(frames.file("/etc/passwd")) if isinstance(user, User)]
    logins = {user.uid: user.name for user in reversed(accounts)}
    for user in accounts:
        yield from hide_gecos(user)
    groups: dict[tuple[str, str, str, int], list[_Socket]] = defaultdict(list)
    for path in _TABLES:
        for line in frames.file(path).lines:
            if socket := _socket(path, line):
                groups[socket.protocol, socket.family, socket.address, socket.port].append(socket)
            else:
                yield malformed("host_listening_port", path, line, "no socket line")
    processes = _Processes(frames)
    for sockets in groups.values():
        yield _row(frames, sockets, processes, logins)
    if not frames.file("/proc/net/tcp").exists:
        yield Miss("host_listening_port", Outcome.UNSUPPORTED, "/proc/net/tcp is not there")
    yield from unread(frames, "host_listening_port", lambda path: path in _TABLES)


def _row(frames: Frames, sockets: list[_Socket], processes: _Processes, logins: dict[int, str]) -> Row:
    first = sockets[0]
    address = ipaddress.ip_address(first.address)
    mapped = getattr(address, "ipv4_mapped", None) or address
    pids = set().union(*(processes.holders.get(socket.inode, set()) for socket in sockets))
    gaps: tuple[ColumnGap, ...] = ()
    if not frames.root and any(socket.inode not in processes.holders for socket in sockets):
        why = f"needs root to see which process of uid {first.uid} holds it"
        gaps = column_gaps(("processes", "paths"), Outcome.DENIED, why)
    elif not frames.root and any(pid not in processes.programs for pid in pids):
        gaps = column_gaps(
            ("paths",), Outcome.DENIED, "needs root to see the program of another user's process"
        )
    elif frames.command("sockets").status != "run":
        gaps = column_gaps(("processes", "paths"), Outcome.UNSUPPORTED, "no running system was asked")
    data: dict[str, Json] = {
        "protocol": first.protocol,
        "family": first.family,
        "address": first.address,
        "port": first.port,
        "loopback": mapped.is_loopback,
        "any_address": mapped.is_unspecified,
        "uid": min(socket.uid for socket in sockets),
        "username": logins.get(min(socket.uid for socket in sockets)),
        "processes": sorted({processes.names[pid] for pid in pids if pid in processes.names}),
        "paths": sorted({processes.programs[pid] for pid in pids if pid in processes.programs}),
        "sockets": len(sockets),
    }
    key = (
        f"{first.protocol}:{first.address}:{first.port}"
        if first.family == "ipv4"
        else f"{first.protocol}:[{first.address}]:{first.port}"
    )
    return Row("host_listening_port", key, data, gaps)
