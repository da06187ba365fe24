"""systemd and other init systems: what starts at boot, and settings files with drop-ins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..frames import File, Frames

__all__ = ["Boot", "Settings", "settings"]

_SEARCH = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
_SYSV = re.compile(r"/etc/rc[2345S]\.d/S\d\d(.+)\Z")
_OPENRC = re.compile(r"/etc/runlevels/[^/]+/(.+)\Z")


@dataclass(slots=True)
class Boot:
    """What starts at boot.

    Attributes:
        wanted: units that another unit pulls in, by links in .wants and .requires.
        masked: units that cannot start.
        aliases: alias to the unit that it stands for.
        scripts: names of SysV or OpenRC scripts that are started.
        systemd: whether systemd runs this host.
    """

    wanted: set[str] = field(default_factory=set)
    masked: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    scripts: set[str] = field(default_factory=set)
    openrc: set[str] = field(default_factory=set)
    systemd: bool = False

    @classmethod
    def read(cls, frames: Frames) -> Boot:
        """From the probe's `unit-links` and `boot-links`."""
        boot = cls(systemd="running" in frames.values("systemd"))
        for line in frames.command("unit-links").lines:
            path, arrow, target = line.text.partition(" -> ")
            if arrow:
                boot._link(path, target)
        for line in frames.command("boot-links").lines:
            if match := _SYSV.match(line.text):
                boot.scripts.add(match[1])
            elif match := _OPENRC.match(line.text):
                boot.openrc.add(match[1])
        return boot

    def _link(self, path: str, target: str) -> None:
        folder, _, unit = path.rpartition("/")
        if folder.endswith((".wants", ".requires")):
            self.wanted.add(unit)
        elif target == "/dev/null":
            self.masked.add(unit)
        elif (name := target.rsplit("/", 1)[-1]) != unit:
            self.aliases[unit] = name

    def starts(self, *names: str) -> bool:
        """Whether one of these services starts at boot, by whichever init system."""
        return any(self._starts(name) for name in names)

    def _starts(self, name: str) -> bool:
        units = {f"{name}.service", f"{name}.socket", f"{name}.timer"} - self.masked
        if units & self.wanted:
            return True
        if f"{name}.service" in self.masked:
            return False
        return name in self.openrc or name in self.scripts


@dataclass(slots=True)
class Settings:
    """A systemd settings file in effect: keys of all sections, and the files that set something."""

    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    unread: list[File] = field(default_factory=list)


def _chosen(frames: Frames, name: str) -> Iterator[File]:
    """The main file, then drop-ins by name; of one name, the earliest folder's counts (systemd.unit(5))."""
    mains = [frames.file(f"{folder}/{name}") for folder in _SEARCH]
    yield from [file for file in mains if file.exists or file.unknown][:1]
    drop_ins: dict[str, File] = {}
    for folder in _SEARCH:
        for file in frames.below(f"{folder}/{name}.d"):
            drop_ins.setdefault(file.name, file)
    for key in sorted(drop_ins, key=str.encode):
        yield drop_ins[key]


def settings(frames: Frames, name: str) -> Settings:
    """Read `name` (as in journald.conf) with its drop-ins; later lines win, an empty value resets."""
    found = Settings()
    for file in _chosen(frames, name):
        if file.unknown:
            found.unread.append(file)
        before = (dict(found.values), sum(map(len, found.lists.values())))
        for line in file.lines:
            text = line.text.strip()
            key, equals, value = text.partition("=")
            if not equals or text[0] in "#;[":
                continue
            _set(found, key.strip(), value.strip())
        if (dict(found.values), sum(map(len, found.lists.values()))) != before:
            found.sources.append(file.path)
    return found


def _set(found: Settings, key: str, value: str) -> None:
    if value:
        found.values[key] = value
        found.lists.setdefault(key, []).append(value)
    else:
        found.values.pop(key, None)
        found.lists.pop(key, None)
