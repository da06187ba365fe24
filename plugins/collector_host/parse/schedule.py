"""Time synchronisation and scheduled jobs (chrony.conf(5), crontab(5), run-parts(8))."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames, Line
from ..rows import Item, Row, cannot_read, column_gaps, malformed, program, running, unread
from .units import Boot, settings

__all__ = ["cron", "time"]

# --- time --------------------------------------------------------------------------------------------

# Service: its process, its units, its settings files.
_SERVICES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "chrony": (
        "chronyd",
        ("chrony", "chronyd"),
        (
            "/etc/chrony/chrony.conf",
            "/etc/chrony.conf",
            "/etc/chrony/conf.d/",
            "/etc/chrony/sources.d/",
            "/etc/chrony.d/",
        ),
    ),
    "ntpsec": ("ntpd", ("ntpsec",), ("/etc/ntpsec/ntp.conf",)),
    "ntp": ("ntpd", ("ntp", "ntpd"), ("/etc/ntp.conf",)),
    "openntpd": ("ntpd", ("openntpd",), ("/etc/openntpd/ntpd.conf",)),
    "busybox-ntpd": ("ntpd", ("ntpd",), ("/etc/conf.d/ntpd",)),
    "systemd-timesyncd": ("systemd-timesyncd", ("systemd-timesyncd",), ()),
}


def _present(frames: Frames, name: str) -> bool:
    process, _, files = _SERVICES[name]
    if program(frames, process) is None:
        return (
            name == "busybox-ntpd"
            and frames.file("/etc/init.d/ntpd").exists
            and frames.file("/etc/conf.d/ntpd").exists
        )
    if process != "ntpd":
        return True
    if name == "busybox-ntpd":
        return frames.file("/etc/conf.d/ntpd").exists and not frames.file("/etc/ntp.conf").exists
    return frames.file(files[0]).exists


def _servers(frames: Frames, name: str) -> tuple[list[str], list[str], list[File]]:
    """Servers that a service asks, the files that name them, and files that could not be read."""
    if name == "systemd-timesyncd":
        conf = settings(frames, "timesyncd.conf")
        named = [word for value in conf.lists.get("NTP", []) for word in value.split()]
        fallback = [word for value in conf.lists.get("FallbackNTP", []) for word in value.split()]
        built_in = [
            line.text.partition("=")[2].split()
            for line in frames.file("/etc/systemd/timesyncd.conf", "/usr/lib/systemd/timesyncd.conf").lines
            if line.text.startswith("#FallbackNTP=")
        ]
        return named or fallback or (built_in[0] if built_in else []), conf.sources, conf.unread
    servers: list[str] = []
    sources: list[str] = []
    hidden: list[File] = []
    for file in frames.files.values():
        if not any(
            file.path == path or (path.endswith("/") and file.path.startswith(path))
            for path in _SERVICES[name][2]
        ):
            continue
        hidden += [file] if file.unknown else []
        found = [server for line in file.lines if (server := _server(line.text, name))]
        servers += found
        sources += [file.path] if found else []
    return list(dict.fromkeys(servers)), sources, hidden


def _server(text: str, name: str) -> str | None:
    if name == "busybox-ntpd":
        match = re.search(r"-p\s+([^\s\"']+)", text)
    else:
        match = re.match(r"\s*(?:server|servers|pool|peer)\s+(\S+)", text)
    if match is None or match[1].startswith("127.127."):  # a driver for a local clock, no server
        return None
    return match[1]


def _in_step(frames: Frames) -> bool | None:
    for line in frames.command("timedatectl").lines:
        if line.text.startswith("NTPSynchronized="):
            return line.text.endswith("=yes")
    tracking = frames.command("chronyc")
    if tracking.ran:
        return any(re.match(r"Leap status\s*:\s*Normal", line.text) for line in tracking.lines)
    return True if frames.file("/run/systemd/timesync/synchronized").exists else None


def time(frames: Frames) -> Iterator[Item]:
    """The section `time`: host_time_sync."""
    boot = Boot.read(frames)
    there = [name for name in _SERVICES if _present(frames, name)]
    runs = [name for name in there if running(frames, _SERVICES[name][0])]
    starts = [name for name in there if boot.starts(*_SERVICES[name][1])]
    chosen = next(iter([*runs, *starts, *there]), None)
    gaps: tuple[ColumnGap, ...] = ()
    data: dict[str, Json] = {
        "installed": bool(there),
        "services": there,
        "hypervisor_clock": _hypervisor(frames),
    }
    if chosen is None:
        data |= {"enabled": False, "active": False, "running_services": [], "servers": []}
        yield Row("host_time_sync", "time", data, _step_gap(data, _in_step(frames)))
        return
    servers, sources, hidden = _servers(frames, chosen)
    users = [
        re.match(r"\s*user\s+(\S+)", line.text)
        for line in frames.file("/etc/chrony/chrony.conf", "/etc/chrony.conf").lines
    ]
    data |= {
        "service": chosen,
        "enabled": bool(starts),
        "active": bool(runs),
        "running_services": runs,
        "servers": servers,
        "run_as": next((match[1] for match in users if match), None) if chosen == "chrony" else None,
        "sources": sources,
    }
    for file in hidden:
        gaps = column_gaps(("servers", "sources"), *cannot_read(frames, file))
    if running(frames, "chronyd") is None:
        gaps += column_gaps(
            ("active", "running_services", "service"), Outcome.UNSUPPORTED, "processes cannot be seen"
        )
    yield Row("host_time_sync", "time", data, gaps + _step_gap(data, _in_step(frames)))


def _step_gap(data: dict[str, Json], in_step: bool | None) -> tuple[ColumnGap, ...]:
    if in_step is None:
        why = "neither timedatectl nor chronyc tells whether the clock is in step"
        return column_gaps(("synchronized",), Outcome.UNSUPPORTED, why)
    data["synchronized"] = in_step
    return ()


def _hypervisor(frames: Frames) -> bool:
    return bool(
        re.search(r"kvm|hyperv|vmware", frames.file("/sys/class/ptp/ptp0/clock_name").text, re.IGNORECASE)
    )


# --- cron --------------------------------------------------------------------------------------------

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")  # what Debian's cron and run-parts take
_CRONIE_SKIPS = re.compile(r"^[.#]|~$|\.(rpmsave|rpmorig|rpmnew|swp|cfsaved)$|,v$")
_WRITABLE = 0o022
_PARTS = {
    **{f"/etc/cron.{name}": name for name in ("hourly", "daily", "weekly", "monthly")},
    **{f"/etc/periodic/{name}": name for name in ("15min", "hourly", "daily", "weekly", "monthly")},
}
_USER_TABS = ("/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs")
_VARIABLE = re.compile(r"[A-Za-z_\"'][\w\"']*\s*=")
_EVENTS = {"reboot", "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"}


def _implementation(frames: Frames) -> str | None:
    if frames.file("/var/lib/dpkg/status").exists and program(frames, "cron"):
        return "debian"
    if program(frames, "fcron"):
        return "other"
    if program(frames, "crond"):
        return "busybox" if frames.file("/lib/apk/db/installed").exists else "cronie"
    return "other" if program(frames, "cron") else None


def _skipped(frames: Frames, file: File, implementation: str | None, script: bool) -> str | None:
    """Why cron or run-parts passes a file over: name, not-executable, mode, owner; None: it does not."""
    if implementation == "cronie":
        odd = bool(_CRONIE_SKIPS.search(file.name))
    elif implementation == "busybox":
        odd = file.name.startswith(".")
    else:
        odd = not _PLAIN_NAME.match(file.name)
    if odd:
        return "name"
    if script:
        return None if file.has(0o111) else "not-executable"
    if file.has(_WRITABLE):
        return "mode"
    # Who owns the files of a folder tree says nothing about the host that it was taken from.
    return "owner" if file.uid != 0 and not frames.values("tree") else None


def _schedule(words: list[str]) -> dict[str, Json]:
    names = ("minute", "hour", "day_of_month", "month", "day_of_week")
    return dict(zip(names, words, strict=True))


def _entry(line: Line, with_user: bool, owner: str) -> dict[str, Json] | None:
    """One line of a crontab; None where it is none."""
    text = line.text.strip()
    fields = 1 if text.startswith("@") else 5
    words = text.split(None, fields + with_user)
    if len(words) < fields + with_user + 1:
        return None
    data: dict[str, Json] = {"run_as": words[fields] if with_user else owner, "command": words[-1]}
    if fields == 1:
        event = words[0][1:].lower()
        return data | {"event": event} if event in _EVENTS else None
    if not all(re.match(r"[-0-9*/,A-Za-z~?]+\Z", word) for word in words[:5]):
        return None
    return data | _schedule(words[:5])


def _table(file: File, with_user: bool) -> Iterator[Item]:
    for line in file.lines:
        text = line.text.strip()
        if not text or text.startswith("#") or _VARIABLE.match(text):
            continue
        # A leading minus of cronie keeps the job out of the log; busybox knows no such thing.
        entry = _entry(Line(text.removeprefix("-"), line.at, line.number), with_user, file.name)
        if entry is None:
            yield malformed("host_crontab", file.path, line, "no crontab line")
            continue
        data: dict[str, Json] = {
            "source": file.path,
            "line": line.number,
            "type": "entry",
            "effective": True,
            "writable_by_others": file.has(_WRITABLE),
            **entry,
        }
        yield Row("host_crontab", f"{file.path}:{line.number}", data)


def _whole(file: File, type_: str, why: str | None, event: str | None = None) -> Row:
    data: dict[str, Json] = {
        "source": file.path,
        "line": 0,
        "type": type_,
        "effective": why is None,
        "skipped": why,
        "event": event,
        "run_as": "root" if type_ == "script" else None,
        "command": file.path if type_ == "script" else None,
        "writable_by_others": file.has(_WRITABLE),
    }
    return Row("host_crontab", file.path, data)


def _system_tables(frames: Frames, implementation: str | None) -> Iterator[Item]:
    """/etc/crontab and /etc/cron.d, which busybox does not know."""
    if implementation == "busybox":
        return
    yield from _table(frames.file("/etc/crontab"), with_user=True)
    for file in frames.below("/etc/cron.d"):
        if file.kind == "directory":
            continue
        why = _skipped(frames, file, implementation, script=False)
        if why is not None:
            yield _whole(file, "file", why)
        else:
            yield from _table(file, with_user=True)


def _jobs(frames: Frames, implementation: str | None) -> Iterator[Item]:
    yield from _system_tables(frames, implementation)
    for folder in _USER_TABS:
        for file in frames.below(folder):
            if file.kind == "regular" and not file.name.startswith("tmp."):
                yield from _table(file, with_user=False)
    for folder, event in _PARTS.items():
        for file in frames.below(folder):
            if file.kind == "regular" and file.name != ".placeholder":
                yield _whole(file, "script", _skipped(frames, file, implementation, script=True), event)


def _names(file: File) -> list[str]:
    return [line.text.strip() for line in file.lines if line.text.strip() and not line.text.startswith("#")]


def _state(frames: Frames, implementation: str | None) -> Row:
    boot = Boot.read(frames)
    allow, deny = frames.file("/etc/cron.allow"), frames.file("/etc/cron.deny")
    at_allow, at_deny = frames.file("/etc/at.allow"), frames.file("/etc/at.deny")
    runs = running(frames, "cron", "crond", "fcron")
    at = program(frames, "at", "atd") is not None
    data: dict[str, Json] = {
        "installed": implementation is not None,
        "at_installed": at,
        "allow_exists": allow.exists,
        "allowed": _names(allow),
        "deny_exists": deny.exists,
        "denied": _names(deny),
        "restricted": allow.exists,
    }
    if implementation is not None:
        data |= {
            "implementation": implementation,
            "running": runs,
            "boot_enabled": boot.starts("cron", "crond", "fcron"),
        }
    if at:
        # Without either file only root may use at; an empty at.deny lets everyone.
        data |= {"at_allow_exists": at_allow.exists, "at_deny_exists": at_deny.exists}
        data |= {"at_restricted": at_allow.exists or not at_deny.exists}
    gaps: tuple[ColumnGap, ...] = ()
    if implementation is not None and runs is None:
        gaps += column_gaps(("running",), Outcome.UNSUPPORTED, "processes cannot be seen")
    for file, column in ((allow, "allowed"), (deny, "denied")):
        if file.unknown:
            gaps += column_gaps((column,), *cannot_read(frames, file))
    return Row("host_cron", "cron", data, gaps)


def cron(frames: Frames) -> Iterator[Item]:
    """The section `cron`: host_cron, host_crontab."""
    implementation = _implementation(frames)
    yield _state(frames, implementation)
    yield from _jobs(frames, implementation)
    yield from unread(frames, "host_crontab", lambda path: not path.endswith((".allow", ".deny")))
