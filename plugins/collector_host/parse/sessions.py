"""What sessions start with: shells, umask, idle time-out, limits, core dumps."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json

from ..frames import File, Frames
from ..rows import Item, Row, cannot_read, column_gaps, integer, malformed, program, unread
from .passwords import login_defs_values
from .units import settings

__all__ = ["limits", "shells"]

_LIMIT_FIELDS = 4
_UMASK = re.compile(
    r"(?:^|[;&\s])umask\s+(?:-S\s+)?([0-7]{1,4}|[ugoa]*[+=-][rwx]*(?:,[ugoa]*[+=-][rwx]*)*)(?=$|[;&\s])"
)
_TMOUT = re.compile(
    r"(?:^|[;&\s])(?:(?:export|readonly|declare|typeset)\s+(?:-\S+\s+)*)?TMOUT=[\"']?(\d{1,9})"
)
_READONLY = re.compile(
    r"(?:readonly\s+(?:\S+\s+)*TMOUT|(?:declare|typeset)\s+(?:-\S+\s+)*-\w*r\w*\s+(?:\S+\s+)*TMOUT)"
)
_BITS = {"r": 4, "w": 2, "x": 1}


def shells(frames: Frames) -> Iterator[Item]:
    """The section `shells`: host_shell, host_shell_defaults."""
    file = frames.file("/etc/shells")
    for line in file.lines:
        text = line.text.partition("#")[0].strip()
        if not text:
            continue
        if not text.startswith("/"):
            yield malformed("host_shell", file.path, line, "no absolute path")
            continue
        there = frames.files.get(text)
        data = {"path": text, "exists": there.exists if there else None, "line": line.number}
        yield Row("host_shell", f"{text}#{line.number}", data)
    yield from unread(frames, "host_shell", lambda path: path == file.path)
    yield _defaults(frames)


def _mask(text: str) -> str | None:
    """A umask in octal digits, also from u=rwx,g=rx,o= (what is allowed, not what is masked)."""
    if text.isdigit():
        return text.rjust(3, "0")
    allowed = {"u": 7, "g": 7, "o": 7}
    for clause in text.split(","):
        match = re.match(r"([ugoa]*)([+=-])([rwx]*)\Z", clause)
        if match is None:
            return None
        bits = sum(_BITS[letter] for letter in set(match[3]))
        for who in set(match[1].replace("a", "ugo") or "ugo"):
            allowed[who] = (
                bits if match[2] == "=" else allowed[who] | bits if match[2] == "+" else allowed[who] & ~bits
            )
    return "".join(str(7 - allowed[who]) for who in "ugo")


def _read_order(frames: Frames) -> Iterator[tuple[File, str, int]]:
    """Lines that a login shell reads, in order: /etc/profile, and within it what it sources."""
    rc = frames.file("/etc/bash.bashrc", "/etc/bashrc")
    parts = frames.below("/etc/profile.d")
    profile = frames.file("/etc/profile")
    pending = {"/etc/profile.d": parts, rc.path: [rc]}
    for line in profile.lines:
        text = line.text.strip()
        if text.startswith("#"):
            continue
        for mark in [mark for mark in pending if mark in text]:
            for file in pending.pop(mark):
                yield from ((file, inner.text.strip(), inner.number) for inner in file.lines)
        yield profile, text, line.number
    for files in pending.values():
        for file in files:
            yield from ((file, inner.text.strip(), inner.number) for inner in file.lines)


class _Shell:
    def __init__(self) -> None:
        self.mask: str | None = None
        self.mask_at = self.idle_at = self.mask_file = ""
        self.idle: int | None = None
        self.fixed = False
        self.files: list[str] = []

    def line(self, file: File, text: str, number: int) -> None:
        if file.path not in self.files:
            self.files.append(file.path)
        if text.startswith("#"):
            return
        for match in _UMASK.finditer(text):
            mask = _mask(match[1])
            # Of branches in one file the laxest counts: some account gets it.
            if mask and not (self.mask_file == file.path and self.mask and int(self.mask, 8) <= int(mask, 8)):
                self.mask, self.mask_at, self.mask_file = mask, f"{file.path}:{number}", file.path
        idle = _TMOUT.search(text)
        if idle and not self.fixed:
            self.idle, self.idle_at = integer(idle[1]), f"{file.path}:{number}"
        self.fixed = self.fixed or bool(_READONLY.search(text))


def _pam_umask(frames: Frames) -> tuple[bool, str | None]:
    for path, file in frames.files.items():
        if path.startswith("/etc/pam.d/"):
            for line in file.lines:
                if re.match(r"-?session\s.*\bpam_umask\.so", line.text):
                    match = re.search(r"\bumask=(\d{1,4})", line.text)
                    return True, match[1] if match else None
    return False, None


def _defaults(frames: Frames) -> Row:
    shell = _Shell()
    for file, text, number in _read_order(frames):
        shell.line(file, text, number)
    pam, given = _pam_umask(frames)
    if shell.mask is None and pam:
        value, number = login_defs_values(frames.file("/etc/login.defs")).get("UMASK", ("022", 0))
        shell.mask = _mask(given or value)
        shell.mask_at = "pam_umask" if given or not number else f"/etc/login.defs:{number}"
    mask = int(shell.mask, 8) if shell.mask else None
    data: dict[str, Json] = {
        "umask": shell.mask,
        "umask_source": shell.mask_at or None,
        "umask_group_writable": None if mask is None else not mask & 0o020,
        "umask_world_readable": None if mask is None else not mask & 0o004,
        "tmout": shell.idle,
        "tmout_readonly": shell.fixed,
        "tmout_source": shell.idle_at or None,
        "pam_umask": pam,
        "files": shell.files,
    }
    gaps: tuple[ColumnGap, ...] = ()
    for path, file in frames.files.items():
        if file.unknown and not path.startswith("/etc/pam.d"):
            columns = ("umask", "umask_group_writable", "umask_world_readable", "tmout", "tmout_readonly")
            gaps = column_gaps(columns, *cannot_read(frames, file))
    return Row("host_shell_defaults", "shell-defaults", data, gaps)


def _limit_files(frames: Frames) -> list[File]:
    return [frames.file("/etc/security/limits.conf"), *frames.below("/etc/security/limits.d")]


def limits(frames: Frames) -> Iterator[Item]:
    """The section `limits`: host_limit, host_core_dump."""
    core: tuple[str, str] | None = None
    for file in _limit_files(frames):
        for line in file.lines:
            words = line.text.partition("#")[0].split()
            if not words:
                continue
            if len(words) == 2 and words[1] == "-":
                words = [words[0], "-", "all", "-"]  # limits.conf(5): no limits at all for that domain
            if len(words) != _LIMIT_FIELDS:
                yield malformed("host_limit", file.path, line, "not four fields")
                continue
            domain, type_, item, value = words
            where = f"{file.path}:{line.number}"
            data = {
                "source": file.path,
                "line": line.number,
                "domain": domain,
                "type": type_,
                "item": item,
                "value": value,
            }
            yield Row("host_limit", where, data)
            if domain == "*" and item == "core" and type_ in ("hard", "-"):
                core = (value, where)
    yield from unread(frames, "host_limit", lambda path: path.startswith("/etc/security"))
    yield _core(frames, core)


def _core(frames: Frames, limit: tuple[str, str] | None) -> Row:
    coredump = settings(frames, "coredump.conf")
    there = program(frames, "systemd-coredump") is not None
    storage = coredump.values.get("Storage", "external") if there else None
    pattern = frames.file("/proc/sys/kernel/core_pattern")
    dumpable = frames.file("/proc/sys/fs/suid_dumpable")
    collected = "systemd-coredump" in pattern.text
    data: dict[str, Json] = {
        "limit_hard": limit[0] if limit else None,
        "limit_source": limit[1] if limit else None,
        "suid_dumpable": integer(dumpable.text),
        "core_pattern": pattern.text.strip() or None,
        "systemd_coredump": there,
        "storage": storage,
        "process_size_max": coredump.values.get("ProcessSizeMax"),
        "restricted": bool(limit and limit[0] == "0") or (collected and storage == "none"),
    }
    gaps: tuple[ColumnGap, ...] = ()
    for file in [*_limit_files(frames), *coredump.unread, pattern, dumpable]:
        if file.unknown:
            gaps = column_gaps(
                ("limit_hard", "suid_dumpable", "core_pattern", "storage", "restricted"),
                *cannot_read(frames, file),
            )
    return Row("host_core_dump", "core-dump", data, gaps)
