"""Container engines, and tools that protect a host: integrity, malware, intruders."""

from __future__ import annotations

import json
from collections.abc import Iterator

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames
from ..rows import Item, Row, cannot_read, column_gaps, moment, program, running
from .units import Boot

__all__ = ["containers", "protection"]

# Engine: programs, sockets, settings file, folders with one entry for each container.
_ENGINES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, tuple[str, ...]]] = {
    "docker": (
        ("dockerd",),
        ("/run/docker.sock", "/var/run/docker.sock"),
        "/etc/docker/daemon.json",
        ("/var/lib/docker/containers",),
    ),
    "containerd": (("containerd",), ("/run/containerd/containerd.sock",), "/etc/containerd/config.toml", ()),
    "podman": (
        ("podman",),
        ("/run/podman/podman.sock",),
        "/etc/containers/containers.conf",
        ("/var/lib/containers/storage/overlay-containers",),
    ),
    "crio": (("crio",), ("/run/crio/crio.sock",), "/etc/crio/crio.conf", ()),
    "kubelet": (("kubelet",), (), "", ("/run/containerd/io.containerd.runtime.v2.task/k8s.io",)),
    "lxc": (("lxc-start", "lxd"), ("/var/lib/lxd/unix.socket",), "", ("/var/lib/lxc",)),
    "snapd": (("snapd",), ("/run/snapd.socket",), "", ()),
}
_BY_FOLDER = {"kubelet": "/var/lib/kubelet", "snapd": "/usr/lib/snapd/snapd"}
_LARGEST_CONFIG = 200_000  # characters of a settings file that is kept as JSON


def _config(file: File) -> Json:
    if not file.path.endswith(".json") or not file.readable or len(file.text) > _LARGEST_CONFIG:
        return None
    try:
        return json.loads(file.text)
    except (ValueError, RecursionError):
        return None


def _count(frames: Frames, folders: tuple[str, ...]) -> int | None:
    counts = dict(value.partition(" ")[::-2] for value in frames.values("count"))
    found = [int(counts[folder]) for folder in folders if counts.get(folder, "").isdigit()]
    return sum(found) if found else None


def _tcp(frames: Frames, name: str, config: Json) -> bool:
    if name != "docker":
        return False
    hosts = config.get("hosts", []) if isinstance(config, dict) else []
    listed = isinstance(hosts, list) and any(str(host).startswith("tcp://") for host in hosts)
    starts = [
        file.lines[-1].text for path, file in frames.files.items() if "docker.service" in path and file.lines
    ]
    return listed or any(text == "ExecStart tcp" for text in starts)


def containers(frames: Frames) -> Iterator[Item]:
    """The section `containers`: host_container_engine, one row for each engine that is known here."""
    for name, (programs, sockets, settings, folders) in _ENGINES.items():
        socket = frames.file(*sockets) if sockets else File("", "missing")
        config_file = frames.file(settings) if settings else File("", "missing")
        config = _config(config_file)
        installed = program(frames, *programs) is not None or (
            name in _BY_FOLDER and frames.file(_BY_FOLDER[name]).exists
        )
        data: dict[str, Json] = {
            "name": name,
            "installed": installed,
            "socket": socket.path or None,
            "running": socket.exists if sockets else None,
            "socket_mode": socket.mode,
            "socket_group": socket.group,
            "socket_world_writable": socket.has(0o002),
            "config_file": config_file.path if config_file.exists else None,
            "config": config,
            "tcp": _tcp(frames, name, config),
            "containers": _count(frames, folders),
        }
        yield Row(
            "host_container_engine", name, data, _container_gaps(frames, socket, config_file, config, folders)
        )


def _container_gaps(
    frames: Frames, socket: File, config_file: File, config: Json, folders: tuple[str, ...]
) -> tuple[ColumnGap, ...]:
    gaps: tuple[ColumnGap, ...] = ()
    if socket.unknown and not socket.exists:
        gaps += column_gaps(("running", "socket_mode", "socket_world_writable"), *cannot_read(frames, socket))
    if config_file.unknown:
        gaps += column_gaps(("config", "tcp"), *cannot_read(frames, config_file))
    elif (
        config_file.readable
        and config_file.path.endswith(".json")
        and config is None
        and config_file.text.strip()
    ):
        gaps += column_gaps(("config", "tcp"), Outcome.MALFORMED, f"{config_file.path}: no JSON")
    for folder in folders:
        listed = frames.folders.get(folder)
        if listed is not None and listed.status == "denied":
            gaps += column_gaps(("containers",), Outcome.DENIED, f"needs root to list {folder}")
    return gaps


# --- integrity and malware ---------------------------------------------------------------------------

_INTEGRITY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "aide": (("aide",), ("/var/lib/aide/aide.db", "/var/lib/aide/aide.db.gz")),
    "tripwire": (("tripwire",), ("/var/lib/tripwire",)),
    "samhain": (("samhain",), ()),
    "wazuh": (("wazuh-agentd", "/var/ossec/bin/wazuh-agentd"), ()),
    "ossec": (("ossec-agentd", "/var/ossec/bin/ossec-agentd"), ()),
    "osquery": (("osqueryd",), ()),
    "falco": (("falco",), ()),
}
_DAEMONS = {
    "samhain": "samhain",
    "wazuh": "wazuh-agent",
    "ossec": "ossec",
    "osquery": "osqueryd",
    "falco": "falco",
}
# Name: purpose, programs or paths, process, units, signatures.
_PROTECTION: dict[str, tuple[str, tuple[str, ...], str, tuple[str, ...], tuple[str, ...]]] = {
    "clamav": (
        "scanner",
        ("clamd", "clamscan"),
        "clamd",
        ("clamav-daemon", "clamd@scan"),
        ("/var/lib/clamav/daily.cld", "/var/lib/clamav/daily.cvd", "/var/lib/clamav/main.cvd"),
    ),
    "rkhunter": ("rootkit", ("rkhunter",), "", (), ("/var/lib/rkhunter/db/rkhunter.dat",)),
    "chkrootkit": ("rootkit", ("chkrootkit",), "", ("chkrootkit",), ()),
    "fail2ban": ("lockout", ("fail2ban-server",), "fail2ban-server", ("fail2ban",), ()),
    "crowdsec": ("lockout", ("crowdsec",), "crowdsec", ("crowdsec",), ()),
    "sshguard": ("lockout", ("sshguard",), "sshguard", ("sshguard",), ()),
    "defender": ("endpoint", ("mdatp", "/opt/microsoft/mdatp/sbin/wdavdaemon"), "wdavdaemon", ("mdatp",), ()),
    "crowdstrike": (
        "endpoint",
        ("falcond", "/opt/CrowdStrike/falcond"),
        "falcon-sensor",
        ("falcon-sensor",),
        (),
    ),
    "sentinelone": (
        "endpoint",
        ("/opt/sentinelone/bin/sentinelctl",),
        "sentinelone-agent",
        ("sentinelone",),
        (),
    ),
}


def _there(frames: Frames, names: tuple[str, ...]) -> bool:
    return any(frames.file(name).exists if name.startswith("/") else program(frames, name) for name in names)


def _scheduled(frames: Frames) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in frames.command("scheduled").lines:
        name, _, path = line.text.partition(" ")
        found.setdefault(name, []).append(path)
    return found


def protection(frames: Frames) -> Iterator[Item]:
    """The section `protection`: host_file_integrity, host_malware_protection."""
    boot = Boot.read(frames)
    scheduled = _scheduled(frames)
    for name in _INTEGRITY:
        yield _integrity(frames, boot, name, scheduled)
    for name in _PROTECTION:
        yield _guard(frames, boot, name, scheduled)


def _integrity(frames: Frames, boot: Boot, name: str, scheduled: dict[str, list[str]]) -> Row:
    programs, databases = _INTEGRITY[name]
    installed = _there(frames, programs)
    database = frames.file(*databases) if databases else None
    timers = boot.starts("dailyaidecheck", "aidecheck", "aide-check") if name == "aide" else False
    data: dict[str, Json] = {
        "name": name,
        "installed": installed,
        "database": database.exists if database and installed else None,
        "database_at": moment(database.mtime) if database and database.exists else None,
        "scheduled": installed
        and bool(scheduled.get(name) or timers or boot.starts(_DAEMONS.get(name, name))),
    }
    gaps: tuple[ColumnGap, ...] = ()
    if database and database.unknown and not database.exists and installed:
        gaps = column_gaps(("database", "database_at"), *cannot_read(frames, database))
    if name == "aide" and installed:
        data["audit_tools_watched"] = bool(frames.command("aide-audit").lines)
        for path in ("/etc/aide.conf", "/etc/aide/aide.conf", "/etc/aide/aide.conf.d"):
            if frames.file(path).unknown:
                gaps += column_gaps(("audit_tools_watched",), *cannot_read(frames, frames.file(path)))
    return Row("host_file_integrity", name, data, gaps)


def _guard(frames: Frames, boot: Boot, name: str, scheduled: dict[str, list[str]]) -> Row:
    purpose, programs, process, units, signatures = _PROTECTION[name]
    installed = _there(frames, programs)
    written = [frames.file(path).mtime for path in signatures if frames.file(path).exists]
    runs = running(frames, process) if process else None
    jobs = scheduled.get(name, []) or (scheduled.get("clamscan", []) if name == "clamav" else [])
    data: dict[str, Json] = {
        "name": name,
        "purpose": purpose,
        "installed": installed,
        "running": runs,
        "enabled": installed and bool(boot.starts(*units) or jobs),
        "signatures_at": moment(max(written, default=0)),
    }
    gaps: tuple[ColumnGap, ...] = ()
    if process and runs is None:
        gaps = column_gaps(("running",), Outcome.UNSUPPORTED, "processes cannot be seen")
    return Row("host_malware_protection", name, data, gaps)
