"""Services and timers: unit files with drop-ins, what starts at boot, what runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames
from ..rows import Item, Row, column_gaps, unread
from .units import Boot

__all__ = ["services"]

_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_SCHEDULE = ("OnCalendar", "OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec")
_NOT_SERVICES = {
    "README",
    "functions",
    "rc",
    "rcS",
    "skeleton",
    "halt",
    "reboot",
    "single",
    "killprocs",
    "functions.sh",
}


@dataclass(slots=True)
class _Unit:
    name: str
    file: File
    drop_ins: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    install: bool = False

    def last(self, key: str) -> str | None:
        found = self.values.get(key)
        return found[-1] if found else None

    def read(self, file: File) -> None:
        for line in file.lines:
            if line.text.startswith("["):
                self.install = self.install or line.text.startswith("[Install]")
                continue
            key, _, value = line.text.partition("=")
            if value.strip():
                self.values.setdefault(key.strip(), []).append(value.strip())
            else:
                self.values.pop(key.strip(), None)


def _units(frames: Frames, suffix: str, aliases: dict[str, str]) -> Iterator[_Unit]:
    chosen: dict[str, File] = {}
    for folder in _FOLDERS:
        for file in frames.below(folder):
            if file.name.endswith(suffix) and file.name not in aliases:
                chosen.setdefault(file.name, file)
    for name in sorted(chosen, key=str.encode):
        unit = _Unit(name, chosen[name])
        unit.read(chosen[name])
        drop_ins: dict[str, File] = {}
        for folder in _FOLDERS:
            for file in frames.below(f"{folder}/{name}.d"):
                drop_ins.setdefault(file.name, file)
        for key in sorted(drop_ins, key=str.encode):
            unit.read(drop_ins[key])
            unit.drop_ins.append(drop_ins[key].path)
        yield unit


@dataclass(frozen=True, slots=True)
class _Manager:
    """What systemd says of its units, where it runs."""

    running: bool
    shown: dict[str, dict[str, str]]
    states: dict[str, str]
    programs: set[str] | None

    @classmethod
    def read(cls, frames: Frames, boot: Boot) -> _Manager:
        shown: dict[str, dict[str, str]] = {}
        current: dict[str, str] = {}
        for line in frames.command("units").lines:
            key, equals, value = line.text.partition("=")
            if key == "Id" and equals:
                current = shown.setdefault(value, {})
            if equals:
                current[key] = value
            if not line.text:
                current = {}
        words = [line.text.split() for line in frames.command("unit-files").lines]
        states = {parts[0]: parts[1] for parts in words if len(parts) > 1}
        processes = frames.command("processes")
        programs = None
        if processes.status == "run":
            programs = {_merged(line.text[2:].removesuffix(" (deleted)")) for line in processes.lines}
        return cls(boot.systemd and frames.command("units").ran, shown, states, programs)


def _merged(path: str) -> str:
    """A path as it is where /bin, /sbin and /lib are links into /usr."""
    return path.removeprefix("/usr")


def _program(unit: _Unit) -> str | None:
    start = unit.last("ExecStart")
    return re.sub(r"^[-@:+!|]+", "", start).strip("\"'") or None if start else None


def _enabled(name: str, boot: Boot) -> bool:
    """Whether something pulls the unit in: a link to it, or to an instance of a template."""
    if name in boot.masked:
        return False
    wanted = boot.wanted | {
        alias for alias, unit in boot.aliases.items() if unit == name and alias in boot.wanted
    }
    if "@." in name:
        stem, _, suffix = name.partition("@.")
        return any(unit.startswith(f"{stem}@") and unit.endswith(f".{suffix}") for unit in wanted)
    return name in wanted or any(boot.aliases.get(unit) == name for unit in wanted)


def _state(unit: _Unit, boot: Boot, manager: _Manager) -> str:
    """The word that systemctl has for whether a unit file starts by itself."""
    if unit.name in boot.masked:
        return "masked"
    if told := manager.states.get(unit.name):
        return told
    if _enabled(unit.name, boot):
        return "enabled" if unit.install else "static"
    return "disabled" if unit.install else "static"


def _activity(
    unit: _Unit, manager: _Manager, frames: Frames
) -> tuple[dict[str, Json], tuple[ColumnGap, ...]]:
    if manager.running:
        shown = manager.shown.get(unit.name, {})
        state = shown.get("ActiveState", "inactive")
        return {
            "active": state in ("active", "reloading", "activating"),
            "active_state": state,
            "sub_state": shown.get("SubState", "dead"),
        }, ()
    path = _program(unit)
    if path is None:
        return {"active": False}, ()
    if manager.programs is not None and frames.root:
        return {"active": _merged(path) in manager.programs}, ()
    why = "needs root to see the programs of other users' processes, and no service manager was asked"
    reason = Outcome.UNSUPPORTED if manager.programs is None else Outcome.DENIED
    return {}, column_gaps(("active",), reason, why)


def _service(unit: _Unit, boot: Boot, manager: _Manager, frames: Frames) -> Row:
    stem = unit.name.removesuffix(".service")
    activity, gaps = _activity(unit, manager, frames)
    by_socket = _enabled(f"{stem}.socket", boot)
    masked = unit.name in boot.masked
    data: dict[str, Json] = {
        "name": stem,
        "manager": "systemd",
        "description": unit.last("Description"),
        "enabled": not masked and (_enabled(unit.name, boot) or by_socket or _enabled(f"{stem}.timer", boot)),
        "unit_state": _state(unit, boot, manager),
        "masked": masked,
        "run_as": unit.last("User"),
        "program": _program(unit),
        "source": unit.file.path,
        "drop_ins": unit.drop_ins,
        "socket_activated": by_socket,
        **activity,
    }
    return Row("host_service", f"{stem}@systemd" if "@" not in stem else f"{stem}systemd", data, gaps)


def _timer(unit: _Unit, boot: Boot, manager: _Manager) -> Row:
    stem = unit.name.removesuffix(".timer")
    shown = manager.shown.get(unit.name, {})
    data: dict[str, Json] = {
        "name": stem,
        "unit": unit.last("Unit") or f"{stem}.service",
        "schedule": [f"{key}={value}" for key in _SCHEDULE for value in unit.values.get(key, [])],
        "enabled": _enabled(unit.name, boot),
        "unit_state": _state(unit, boot, manager),
        "active": manager.running and shown.get("ActiveState") == "active",
        "source": unit.file.path,
    }
    gaps: tuple[ColumnGap, ...] = ()
    if boot.systemd and not manager.running:
        gaps = column_gaps(("active",), Outcome.FAILED, "systemd runs, but systemctl did not answer")
    return Row("host_timer", stem, data, gaps)


def _script_activity(
    file: File, frames: Frames, manager: _Manager
) -> tuple[dict[str, Json], tuple[ColumnGap, ...]]:
    """Whether a script's service runs: as OpenRC or systemd says, or as its program does."""
    if "running" in frames.values("openrc"):
        return {"active": file.name in frames.values("started")}, ()
    if manager.running:
        # systemd makes a unit of each script, and tells its state like any other's.
        state = manager.shown.get(f"{file.name}.service", {}).get("ActiveState", "inactive")
        return {"active": state in ("active", "reloading", "activating"), "active_state": state}, ()
    paths = [line.text.partition("=")[2] for line in file.lines if line.text.startswith("program=")]
    starts = bool(paths) or any(line.text == "starts" for line in file.lines)
    if not starts and file.readable:
        return {"active": False}, ()  # it does something once and leaves nothing running
    if paths and manager.programs is not None and frames.root:
        return {"active": any(_merged(path) in manager.programs for path in paths), "program": paths[-1]}, ()
    why = "no service manager was asked, and what runs does not tell"
    return {"program": paths[-1] if paths else None}, column_gaps(("active",), Outcome.UNSUPPORTED, why)


def _scripts(frames: Frames, boot: Boot, manager: _Manager, known: set[str]) -> Iterator[Row]:
    """Scripts in /etc/init.d that no unit stands for."""
    openrc = "running" in frames.values("openrc") or bool(boot.openrc)
    for file in frames.below("/etc/init.d"):
        if file.name in known or file.name in _NOT_SERVICES or file.kind != "regular" or not file.has(0o111):
            continue
        activity, gaps = _script_activity(file, frames, manager)
        data: dict[str, Json] = {
            "name": file.name,
            "manager": "openrc" if openrc else "sysv",
            "enabled": file.name in (boot.openrc if openrc else boot.scripts),
            "masked": False,
            "source": file.path,
            "drop_ins": [],
            "socket_activated": False,
            **activity,
        }
        yield Row("host_service", f"{file.name}@{data['manager']}", data, gaps)


def services(frames: Frames) -> Iterator[Item]:
    """The section `services`: host_service, host_timer."""
    boot = Boot.read(frames)
    manager = _Manager.read(frames, boot)
    known: set[str] = set()
    for unit in _units(frames, ".service", boot.aliases):
        known.add(unit.name.removesuffix(".service"))
        yield _service(unit, boot, manager, frames)
    for unit in _units(frames, ".timer", boot.aliases):
        yield _timer(unit, boot, manager)
    known |= {alias.removesuffix(".service") for alias in boot.aliases}
    yield from _scripts(frames, boot, manager, known)
    yield from unread(frames, "host_service")
    yield from unread(frames, "host_timer", lambda path: "systemd" in path)
