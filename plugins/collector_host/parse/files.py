"""Permissions: paths that security rests on, the walk over local file systems, log files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames, Line, stat_lines
from ..rows import Item, Miss, Row, cannot_read, column_gaps, file_columns, malformed, moment, unread
from .accounts import User, hide_gecos, users
from .storage import Mount, mounts_of

__all__ = ["files", "logs", "walk"]

_TOPICS = (
    (r"/etc/ssh/ssh_host_", "ssh-host-key"),
    (r"/etc/ssh", "ssh"),
    (r"/etc/(ssl|pki/tls)/private", "tls-key"),
    (r"/etc/sudo", "sudo"),
    (r"/(etc|var/spool)/(cron|at\b|anacrontab|at\.)", "cron"),
    (r"/boot|/etc/default/grub", "boot"),
    (r"/etc/(pam|security)", "pam"),
    (r"/(etc|var/log)/audit|/(usr/)?sbin/(au|aureport)", "audit"),
    (r"/var/log|/etc/rsyslog|/etc/systemd/journald", "logging"),
    (r"/etc/(apt|yum|pki/rpm|apk)|/usr/share/keyrings", "packages"),
    (r"/etc/(passwd|shadow|group|gshadow|nsswitch|login\.defs|shells)", "accounts"),
)
_WALK_KINDS = ("host_suid_bin", "host_file_capability", "host_world_writable", "host_unowned_file")
_SETUID, _SETGID, _STICKY = 0o4000, 0o2000, 0o1000
_CAPABILITY = re.compile(r"(/.*?) (?:= )?((?:cap_[a-z_,0-9]+|all|=)[=+][eip]*.*)\Z")
_ROOT_LIKE = set(
    "cap_setuid cap_setgid cap_sys_admin cap_sys_ptrace cap_sys_module cap_dac_override cap_dac_read_search"
    " cap_chown cap_fowner cap_fsetid cap_setfcap cap_setpcap cap_sys_rawio cap_mac_admin cap_mac_override"
    " cap_sys_chroot cap_bpf all".split()
)


def _topic(path: str) -> str:
    return next((topic for pattern, topic in _TOPICS if re.match(pattern, path)), "system")


def files(frames: Frames) -> Iterator[Item]:
    """The section `files`: host_file."""
    targets = dict(link.partition(" -> ")[::2] for link in frames.values("link"))
    for path, file in frames.files.items():
        data: dict[str, Json] = {
            "path": path,
            "topic": _topic(path),
            "exists": file.exists,
            "target": targets.get(path),
        }
        gaps: tuple[ColumnGap, ...] = ()
        if not file.exists and file.unknown:
            del data["exists"]
            gaps = column_gaps(("exists", "mode", *_BITS, "uid", "gid"), *cannot_read(frames, file))
        if file.exists:
            data |= file_columns(file) | {"size": file.size, "mtime": moment(file.mtime)}
            data |= {name: file.has(bits) for name, bits in _BITS.items()}
        yield Row("host_file", path, data, gaps)
    yield from unread(frames, "host_file", lambda path: path not in frames.files)


_BITS = {
    "owner_writable": 0o200,
    "group_readable": 0o040,
    "group_writable": 0o020,
    "group_executable": 0o010,
    "world_readable": 0o004,
    "world_writable": 0o002,
    "world_executable": 0o001,
    "sticky": _STICKY,
}


class _Names:
    """Names of owners: the host's own files first, then what stat said."""

    def __init__(self, frames: Frames) -> None:
        accounts = [user for user in users(frames.file("/etc/passwd")) if isinstance(user, User)]
        self.users = {user.uid: user.name for user in reversed(accounts)}
        fields = [line.text.split(":") for line in frames.file("/etc/group").lines]
        self.groups = {
            int(part[2]): part[0] for part in reversed(fields) if len(part) > 2 and part[2].isdigit()
        }
        self.hidden = [hide for user in accounts for hide in hide_gecos(user)]

    def columns(self, file: File) -> dict[str, Json]:
        data = file_columns(file)
        data["username"] = self.users.get(file.uid) or file.user
        data["groupname"] = self.groups.get(file.gid) or file.group
        return data


def _mount_of(path: str, mounts: dict[str, Mount]) -> Mount | None:
    while path:
        if path in mounts:
            return mounts[path]
        path = path.rpartition("/")[0]
    return mounts.get("/")


class _Walk:
    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.names = _Names(frames)
        self.mounts, _ = mounts_of(frames)
        packaged = frames.command("packaged")
        self.packaged: set[str] | None = None
        if packaged.status == "run":
            paths = {line.text for line in packaged.lines}
            self.packaged = paths | {f"/usr{path}" for path in paths}

    def file(self, file: File) -> Iterator[Row]:
        mount = _mount_of(file.path, self.mounts)
        base: dict[str, Json] = {
            "path": file.path,
            **self.names.columns(file),
            "mount": mount.path if mount else None,
        }
        if file.kind == "regular" and file.has(_SETUID | _SETGID):
            yield self._suid(file, base, mount)
        if file.has(0o002) and file.kind != "symlink":
            yield Row("host_world_writable", file.path, base | {"sticky": file.has(_STICKY)})
        if base["username"] is None or base["groupname"] is None:
            yield Row("host_unowned_file", file.path, base)

    def _suid(self, file: File, base: dict[str, Json], mount: Mount | None) -> Row:
        data = base | {
            "setuid": file.has(_SETUID),
            "setgid": file.has(_SETGID),
            "root": file.uid == 0 and file.has(_SETUID),
            "writable_by_others": file.has(0o022),
            "nosuid": mount is not None and "nosuid" in mount.options,
            "packaged": file.path in self.packaged if self.packaged is not None else None,
        }
        gaps: tuple[ColumnGap, ...] = ()
        if self.packaged is None:
            why = "only dpkg is asked for the package of a file"
            gaps = column_gaps(("packaged",), Outcome.UNSUPPORTED, why)
        return Row("host_suid_bin", file.path, data, gaps)


def _capability(line: Line) -> Row | None:
    match = _CAPABILITY.match(line.text)
    if match is None:
        return None
    clauses = re.findall(r"([a-z_0-9,]*)[=+]([eip]+)", match[2])
    names = sorted({name for clause, _ in clauses for name in clause.split(",") if name} or {"all"})
    data: dict[str, Json] = {
        "path": match[1],
        "capabilities": names,
        "flags": "".join(sorted({flag for _, flags in clauses for flag in flags})),
        "text": match[2],
        "as_root": bool(_ROOT_LIKE & set(names)),
    }
    return Row("host_file_capability", match[1], data)


def walk(frames: Frames) -> Iterator[Item]:
    """The section `walk`: SUID programs, file capabilities, world-writable and unowned files."""
    found = _Walk(frames)
    yield from found.names.hidden
    for line, file in stat_lines(frames.command("walk").lines):
        if file is not None:
            yield from found.file(file)
        elif line.text == "N":
            for kind in _WALK_KINDS:
                yield Miss(
                    kind,
                    Outcome.MALFORMED,
                    "a file was passed over: its path holds a line break",
                )
        elif line.text.strip():
            yield _capability(line) or malformed("host_file_capability", "walk", line, "no getcap line")
    yield from _bounds(frames)


def _bounds(frames: Frames) -> Iterator[Miss]:
    """What the walk did not see, told for each of its kinds."""
    command = frames.command("walk")
    denied = [line for line in command.errors if "Permission denied" in line or "not permitted" in line]
    for kind in _WALK_KINDS:
        if command.status != "run":
            yield Miss(kind, Outcome.UNSUPPORTED, "no find program, or no local file system to walk")
        elif command.exit == 124 or "walk" in frames.values("budget"):
            yield Miss(
                kind,
                Outcome.BUDGET,
                "the walk ended before it had seen everything (options walk_seconds, walk_entries)",
            )
        elif denied:
            yield Miss(
                kind,
                Outcome.DENIED,
                f"needs root to walk {len(denied)} or more folders, as in {denied[0][:200]}",
            )
        elif command.exit is None:
            yield Miss(kind, Outcome.TRUNCATED, "the walk's answer was cut off")
        elif command.complaint and command.exit:
            yield Miss(kind, Outcome.FAILED, command.complaint[:200])
    if "getcap" in frames.values("unsupported"):
        yield Miss(
            "host_file_capability",
            Outcome.UNSUPPORTED,
            "getcap is not installed: capabilities cannot be seen",
        )


def logs(frames: Frames) -> Iterator[Item]:
    """The section `logs`: host_log_file."""
    names = _Names(frames)
    yield from names.hidden
    command = frames.command("logs")
    for line, file in stat_lines(command.lines):
        if file is None:
            if line.text.strip():
                yield malformed(
                    "host_log_file", "/var/log", line, "a path with a line break in a name, or no stat line"
                )
            continue
        data = {"path": file.path, **names.columns(file), "size": file.size, "mtime": moment(file.mtime)}
        data |= {
            name: file.has(_BITS[name]) for name in ("group_writable", "world_readable", "world_writable")
        }
        yield Row("host_log_file", file.path, data)
    for error in command.errors:
        if "denied" in error:
            yield Miss("host_log_file", Outcome.DENIED, f"needs root: {error[:200]}")
    if command.status == "missing":
        yield Miss("host_log_file", Outcome.UNSUPPORTED, "find is not installed")
    yield from unread(frames, "host_log_file", lambda path: path == "/var/log")
