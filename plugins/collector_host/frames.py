"""The probe's output, taken apart: files, folders, commands and facts (probe.sh says the format).

Nothing here raises for what a target sends: a line that is no frame is kept as `strays`, and what is cut
off is told by `complete`.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["Command", "File", "Folder", "Frames", "Line", "read"]

_STAT_FIELDS = 9
_TYPES = (
    (stat.S_ISREG, "regular"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "symlink"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISFIFO, "fifo"),
    (stat.S_ISBLK, "block"),
    (stat.S_ISCHR, "character"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of content: its text, its place in the answer in characters, its number from 1."""

    text: str
    at: int
    number: int


@dataclass(slots=True)
class File:
    """A file as the probe saw it.

    Attributes:
        status: ok (content read), found (looked at only), special (no regular file), denied, missing,
            dangling (a link to nothing), name (its name has a line break), failed.
        raw: st_mode; 0 where it could not be looked at.
        lines: its content.
        truncated: whether content was left out because of its size.
    """

    path: str
    status: str
    raw: int = 0
    uid: int = 0
    gid: int = 0
    user: str | None = None
    group: str | None = None
    mtime: int = 0
    size: int = 0
    lines: list[Line] = field(default_factory=list)
    truncated: bool = False

    @property
    def exists(self) -> bool:
        """Whether it was there to look at."""
        return self.raw != 0

    @property
    def readable(self) -> bool:
        """Whether its content is in `lines`."""
        return self.status == "ok"

    @property
    def unknown(self) -> bool:
        """Whether it may hold something that we did not see."""
        return self.status in ("denied", "failed", "name") or self.truncated

    @property
    def mode(self) -> str | None:
        """Permissions in octal, four digits; None where it could not be looked at."""
        return f"{stat.S_IMODE(self.raw):04o}" if self.raw else None

    @property
    def kind(self) -> str | None:
        """regular, directory, symlink, …; None where it could not be looked at."""
        return next((name for test, name in _TYPES if test(self.raw)), None)

    def has(self, bits: int) -> bool | None:
        """Whether any of these permission bits is set; None where it could not be looked at."""
        return bool(self.raw & bits) if self.raw else None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def text(self) -> str:
        """The whole content."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was listed: status ok, missing, denied or budget (too many files)."""

    path: str
    status: str


@dataclass(slots=True)
class Command:
    """A command's output. Status: run, missing (no such program), skipped or denied."""

    label: str
    status: str
    lines: list[Line] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    exit: int | None = None

    @property
    def ran(self) -> bool:
        """Whether it ran and ended well."""
        return self.status == "run" and self.exit == 0

    @property
    def missing(self) -> bool:
        """Whether there is no such program."""
        return self.status == "missing"

    @property
    def complaint(self) -> str:
        """The last line of its standard error, if any."""
        return next((line for line in reversed(self.errors) if line.strip()), "")


@dataclass(slots=True)
class Frames:
    """One section's answer."""

    section: str = ""
    uid: int = -1
    files: dict[str, File] = field(default_factory=dict)
    folders: dict[str, Folder] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    facts: list[tuple[str, str]] = field(default_factory=list)
    strays: list[Line] = field(default_factory=list)
    complete: bool = False

    @property
    def root(self) -> bool:
        """Whether the probe ran as root."""
        return self.uid == 0

    def file(self, *paths: str) -> File:
        """The first of these that exists, else what is known of the first."""
        for path in paths:
            if (file := self.files.get(path)) is not None and file.exists:
                return file
        return self.files.get(paths[0]) or File(paths[0], "missing")

    def command(self, label: str) -> Command:
        """A command's output; status skipped where the probe did not get to it."""
        return self.commands.get(label) or Command(label, "skipped")

    def below(self, folder: str) -> list[File]:
        """Files directly in a folder that exist or may, by name in the order of bytes."""
        found = [file for path, file in self.files.items() if path.rpartition("/")[0] == folder]
        return sorted(
            (file for file in found if file.status != "missing"), key=lambda file: file.path.encode()
        )

    def values(self, name: str) -> list[str]:
        """The values of facts of that name."""
        return [value for known, value in self.facts if known == name]


def _integer(text: str, base: int = 10) -> int:
    try:
        return int(text, base)
    except ValueError:
        return 0


def _file(rest: str) -> File | None:
    parts = rest.split(" ", _STAT_FIELDS - 1)
    if len(parts) < _STAT_FIELDS:
        return None
    status, raw, uid, gid, user, group, mtime, size, path = parts
    if status == "name":
        path = path + "\ufffd"
    return File(
        path=path or "/",
        status=status,
        raw=_integer(raw, 16),
        uid=_integer(uid),
        gid=_integer(gid),
        user=user if user not in ("-", "UNKNOWN") else None,
        group=group if group not in ("-", "UNKNOWN") else None,
        mtime=_integer(mtime),
        size=_integer(size),
    )


def stat_lines(lines: list[Line]) -> Iterator[tuple[Line, File | None]]:
    """Read `S mode uid gid user group mtime size path` lines of a walk; None for other lines."""
    for line in lines:
        yield line, _file("found " + line.text[2:]) if line.text.startswith("S ") else None


class _Reader:
    def __init__(self) -> None:
        self.frames = Frames()
        self.sink: File | Command | None = None
        self.number = 0

    def file(self, rest: str) -> bool:
        file = _file(rest)
        if file is None:
            return False
        known = self.frames.files.get(file.path)
        # A file may be looked at in one frame and read in another: what says more stays.
        if known is None or (not known.readable and (file.readable or not known.exists)):
            self.frames.files[file.path] = file
        self._start(file)
        return True

    def folder(self, rest: str) -> bool:
        status, space, path = rest.partition(" ")
        if known := self.frames.folders.get(path):
            status = known.status if status == "ok" else status
        self.frames.folders[path] = Folder(path, status)
        return bool(space)

    def command(self, rest: str) -> bool:
        status, space, label = rest.partition(" ")
        command = Command(label, status)
        self.frames.commands[label] = command
        self._start(command)
        return bool(space)

    def fact(self, rest: str) -> bool:
        name, space, value = rest.partition(" ")
        if name in ("truncated", "failed") and (file := self.frames.files.get(value)):
            file.truncated = file.truncated or name == "truncated"
            file.status = "failed" if name == "failed" else file.status
        self.frames.facts.append((name, value))
        return bool(space)

    def opening(self, rest: str) -> bool:
        parts = rest.split(" ")
        if len(parts) == 3:
            self.frames.section, self.frames.uid = parts[1], _integer(parts[2])
        return len(parts) == 3

    def ended(self, rest: str) -> bool:
        if isinstance(self.sink, Command):
            self.sink.exit = _integer(rest) if rest.isdigit() else None
        return isinstance(self.sink, Command)

    def content(self, text: str, at: int) -> bool:
        if self.sink is None:
            return False
        self.number += 1
        self.sink.lines.append(Line(text, at, self.number))
        return True

    def error(self, text: str) -> bool:
        if isinstance(self.sink, Command):
            self.sink.errors.append(text)
        return isinstance(self.sink, Command)

    def _start(self, sink: File | Command) -> None:
        self.sink, self.number = sink, 0


def read(text: str) -> Frames:
    """Take one section's answer apart. Lines that are no frame end in `strays`."""
    reader = _Reader()
    frames: dict[str, Callable[[str], bool]] = {
        "F": reader.file,
        "D": reader.folder,
        "C": reader.command,
        "K": reader.fact,
        "P": reader.opening,
        "X": reader.ended,
    }
    at = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        known = True
        if line.startswith("|"):
            known = reader.content(line[1:], at + 1)
        elif line.startswith("!"):
            known = reader.error(line[1:])
        elif line == "Z":
            reader.frames.complete = True
        elif line:
            known = line[1:2] == " " and line[0] in frames and frames[line[0]](line[2:])
        if not known:
            reader.frames.strays.append(Line(line, at, number))
        at += len(raw) + 1
    return reader.frames
