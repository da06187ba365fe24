"""The probe's sections: which parser reads each, and what it may need more than anyone may do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from collector.model import Kind

from .frames import Frames
from .rows import Item

__all__ = ["SECTIONS", "Section", "section_of"]

_READ = "CAP_DAC_READ_SEARCH"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the probe.

    Attributes:
        parser: module and function below `parse` that read its answer.
        closed: paths that only root may read or enter by default.
        commands: commands that answer root alone.
        capabilities: what an account that is not root needs for both.
        verbatim: whether its answer is kept as text; a large public one is kept as digest and size.
    """

    parser: str
    closed: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = (_READ,)
    verbatim: bool = True

    def parse(self, frames: Frames) -> Iterator[Item]:
        """Read its answer; the parser's module is loaded at its first use."""
        module, _, function = self.parser.partition(".")
        found: Iterator[Item] = getattr(import_module(f"{__package__}.parse.{module}"), function)(frames)
        return found


def _open(parser: str, verbatim: bool = True) -> Section:
    return Section(parser, capabilities=(), verbatim=verbatim)


SECTIONS: dict[str, Section] = {
    "os": _open("system.os"),
    "kernel": Section("system.kernel", ("/sys/kernel/security/lockdown",)),
    "boot": Section("system.boot", ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub2/user.cfg")),
    "modules": _open("settings.modules"),
    "sysctl": Section("settings.sysctl", ("/proc/sys (some of it)",)),
    "accounts": Section("accounts.accounts", ("/etc/shadow", "/etc/gshadow")),
    "homes": Section("homes.homes", ("home directories",)),
    "keys": Section("homes.keys", ("~/.ssh/authorized_keys",)),
    "sudo": Section("sudo.sudo", ("/etc/sudoers", "/etc/sudoers.d")),
    "sshd": Section("sshd.sshd", ("/etc/ssh/ssh_host_*_key (sshd reads them)",), ("sshd -T",)),
    "banners": _open("banners.banners"),
    "pam": _open("passwords.pam"),
    "shells": _open("sessions.shells"),
    "limits": _open("sessions.limits"),
    "mounts": _open("storage.mounts"),
    "disks": _open("storage.disks"),
    "files": Section("files.files", ("folders closed to others (stat only)",)),
    "walk": Section("files.walk", ("folders closed to others (stat only)",)),
    "logs": Section("files.logs", ("folders below /var/log that are closed to others (stat only)",)),
    "firewall": Section(
        "firewall.firewall",
        ("/proc/net/ip_tables_names",),
        ("nft -j list ruleset", "iptables-save", "ip6tables-save"),
        (_READ, "CAP_NET_ADMIN", "CAP_NET_RAW"),
    ),
    "ports": Section("ports.ports", ("/proc/*/fd", "/proc/*/exe"), (), (_READ, "CAP_SYS_PTRACE")),
    "services": Section("services.services", ("/proc/*/exe",), (), (_READ, "CAP_SYS_PTRACE")),
    "packages": _open("packages.packages"),
    "updates": _open("updates.updates"),
    "update-policy": _open("sources.update_policy"),
    "containers": Section("tools.containers", ("/etc/docker", "/var/lib/docker", "/var/lib/containers")),
    "protection": Section("tools.protection", ("/etc/aide", "/var/lib/aide", "/var/spool/cron")),
    "audit": Section(
        "audit.audit",
        ("/etc/audit",),
        ("auditctl -s", "auditctl -l"),
        (_READ, "CAP_AUDIT_CONTROL"),
    ),
    "logging": Section("logs.logging", ("/etc/rsyslog.conf and rsyslog.d, where they are closed",)),
    "time": Section("schedule.time", ("/etc/chrony, where it is closed",)),
    "cron": Section("schedule.cron", ("/var/spool/cron", "/etc/crontab and cron.d, where they are closed")),
    "mac": Section("guards.mac", ("/sys/kernel/security/apparmor/profiles",), (), (_READ, "CAP_MAC_ADMIN")),
    "certificates": Section("certificates.certificates", ("/etc/ssl/private", "/etc/letsencrypt/live")),
    "trust": _open("certificates.trust", verbatim=False),
    "crypto": _open("guards.crypto"),
}


def section_of(kind: Kind) -> str:
    """The section that a kind comes from; each has one."""
    return kind.operations[0].name.partition(":")[2]
