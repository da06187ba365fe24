"""Parsers: no text makes one raise, and each line of a file is a row, a comment or a gap."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector_host.frames import read
from collector_host.kinds import KINDS
from collector_host.rows import Hide, Item, Miss, Row
from collector_host.sections import SECTIONS, section_of

PATHS = {
    "os": ["/etc/os-release", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu/vulnerabilities/x"],
    "kernel": ["/proc/cmdline", "/proc/stat", "/sys/kernel/security/lockdown", "/run/reboot-required.pkgs"],
    "boot": ["/boot/grub/grub.cfg", "/boot/grub2/user.cfg"],
    "modules": ["/proc/modules", "/etc/modprobe.d/a.conf", "/proc/cmdline", "/lib/modules/1/modules.dep"],
    "sysctl": ["/etc/sysctl.d/a.conf", "/etc/sysctl.conf", "/etc/ufw/ufw.conf"],
    "accounts": [
        "/etc/passwd",
        "/etc/group",
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/nsswitch.conf",
        "/etc/login.defs",
        "/etc/shells",
    ],
    "homes": ["/etc/passwd", "/home/a/.ssh/id"],
    "keys": ["/etc/passwd", "/home/a/.ssh/authorized_keys"],
    "sudo": ["/etc/sudoers", "/etc/sudoers.d/a"],
    "sshd": ["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/a.conf"],
    "banners": ["/etc/issue", "/etc/motd"],
    "pam": [
        "/etc/pam.d/passwd",
        "/etc/pam.d/sshd",
        "/etc/security/pwquality.conf",
        "/etc/security/faillock.conf",
        "/etc/login.defs",
    ],
    "shells": ["/etc/shells", "/etc/profile", "/etc/profile.d/a.sh", "/etc/pam.d/login"],
    "limits": ["/etc/security/limits.conf", "/etc/systemd/coredump.conf"],
    "mounts": ["/proc/self/mountinfo", "/etc/fstab"],
    "disks": ["/proc/swaps", "/etc/crypttab", "/sys/block/dm-0/dm/uuid"],
    "files": ["/etc/passwd"],
    "walk": ["/etc/passwd", "/etc/group", "/proc/self/mountinfo"],
    "logs": ["/etc/group"],
    "firewall": ["/etc/ufw/ufw.conf", "/proc/net/ip_tables_names", "/proc/modules"],
    "ports": ["/etc/passwd", "/proc/net/tcp", "/proc/net/udp6"],
    "services": ["/etc/systemd/system/a.service", "/etc/systemd/system/a.timer", "/etc/init.d/b"],
    "packages": ["/var/lib/dpkg/status", "/lib/apk/db/installed"],
    "updates": ["/var/lib/dpkg/status", "/etc/apt/preferences", "/var/lib/apt/lists/x_InRelease"],
    "update-policy": [
        "/etc/apt/sources.list",
        "/etc/apt/sources.list.d/a.sources",
        "/etc/yum.repos.d/a.repo",
        "/etc/apk/repositories",
    ],
    "containers": ["/etc/docker/daemon.json", "/usr/lib/systemd/system/docker.service"],
    "protection": ["/etc/aide.conf"],
    "audit": ["/etc/audit/auditd.conf", "/etc/audit/rules.d/a.rules"],
    "logging": ["/etc/systemd/journald.conf", "/etc/rsyslog.conf", "/etc/rsyslog.d/a.conf"],
    "time": ["/etc/chrony/chrony.conf", "/etc/ntp.conf", "/etc/systemd/timesyncd.conf"],
    "cron": ["/etc/crontab", "/etc/cron.d/a", "/var/spool/cron/crontabs/a"],
    "mac": ["/sys/kernel/security/apparmor/profiles", "/etc/selinux/config", "/sys/fs/selinux/enforce"],
    "certificates": ["/etc/nginx/a.pem"],
    "trust": ["/etc/ssl/certs/ca-certificates.crt", "/usr/local/share/ca-certificates/a.crt"],
    "crypto": ["/etc/ssl/openssl.cnf", "/etc/crypto-policies/config"],
}
COMMANDS = {
    "os": ["arch", "virtualization"],
    "kernel": ["secure-boot"],
    "sysctl": ["sysctl"],
    "sudo": ["version"],
    "sshd": ["sshd", "processes"],
    "disks": ["lsblk"],
    "walk": ["walk", "packaged"],
    "logs": ["logs"],
    "firewall": ["nft", "iptables", "ip6tables", "unit-links"],
    "ports": ["sockets", "pids"],
    "services": ["units", "unit-files", "unit-links", "boot-links", "processes"],
    "packages": ["rpm"],
    "updates": ["offered", "apk"],
    "update-policy": ["apt-config", "unit-links"],
    "protection": ["scheduled", "aide-audit", "processes"],
    "audit": ["status", "rules", "processes"],
    "time": ["timedatectl", "chronyc", "processes"],
    "cron": ["processes"],
    "crypto": ["openssl"],
}
PROGRAMS = "sshd sudo auditd rsyslogd systemd-journald chronyd ntpd cron apparmor_parser nft dockerd aide"
# Words that bring a parser beyond its first test.
WORDS = st.sampled_from(
    [
        *"""
        a root ALL ALL=(ALL:ALL) NOPASSWD: = == : :: , ; # ## " ' \\ \\" ( ) { } [ ] !
        @include @includedir /etc/sudoers.d /etc/a * ** ? - -- -a -w -S -F -k always,exit x
        y 0 1 -1 65534 99999999999999999999 ٣ yes no Match User Include Port auth required
        pam_unix.so pam_pwquality.so [default=die] minlen= minlen=9 include substack deb
        http://a [trusted=yes] install blacklist /bin/false User_Alias A Defaults env_keep
        += $6$a x:0:0:: |uid=0(root) package: Package: Status: install ok installed Version:
        1~ -----BEGIN -----END CERTIFICATE----- -----BEGIN_CERTIFICATE----- * * * * * @daily
        Zz== ssh-rsa AAAAB3NzaC1yc2E= ssh-ed25519 *.* @@host action( type="omfwd" ) if then
        stop $IncludeConfig [Unit] ExecStart= OnCalendar= S 81ed 0 0 root root 0 0 /a
        cap_a=ep {"nftables":[{"rule":{"expr":[{"match":{"left":{}}}]}}]} *filter :INPUT -A
        INPUT -j -m tcp --dport !
        """.split(),
        *(" ", "\t", "\x00", "\x1f", "\u2028", "é", "\ufffd"),
        *("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"),
    ]
)
LINE = st.one_of(
    st.lists(WORDS, max_size=8).map(" ".join), st.lists(WORDS, max_size=8).map("".join), st.text(max_size=30)
).map(lambda text: text.replace("\n", " ").replace("\r", " "))
LINES = st.lists(LINE, max_size=6)
TYPES = {kind.name: {column.name: column.type for column in kind.columns} for kind in KINDS}


def answer(
    section: str,
    uid: int,
    contents: Iterable[tuple[str, list[str]]],
    outputs: Iterable[tuple[str, list[str]]],
) -> str:
    parts = [f"P 1 {section} {uid}"]
    parts += [f"K program /usr/sbin/{name}" for name in PROGRAMS.split()]
    for path, lines in contents:
        parts += [f"F ok 81a4 0 0 root root 1 99 {path}", *(f"|{line}" for line in lines)]
    for label, lines in outputs:
        parts += [f"C run {label}", *(f"|{line}" for line in lines), "!", "X 0"]
    return "\n".join([*parts, "Z"])


def check(items: list[Item], text: str) -> None:
    for item in items:
        if isinstance(item, Hide):
            assert 0 <= item.start <= item.end <= len(text)
        elif isinstance(item, Miss):
            assert item.kind in TYPES
            assert "\n" not in item.detail
        else:
            assert set(item.data) <= set(TYPES[item.kind])
            assert {gap.column for gap in item.gaps} <= set(TYPES[item.kind])
            json.dumps(dict(item.data), allow_nan=False)


def test_every_section_is_fuzzed() -> None:
    assert set(PATHS) == set(SECTIONS)
    assert {section_of(kind) for kind in KINDS} == set(PATHS)


@pytest.mark.parametrize("section", sorted(SECTIONS))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_text_makes_a_parser_raise(section: str, data: st.DataObject) -> None:
    contents = [(path, data.draw(LINES)) for path in PATHS[section]]
    outputs = [(label, data.draw(LINES)) for label in COMMANDS.get(section, [])]
    text = answer(section, data.draw(st.sampled_from([0, 1000])), contents, outputs)
    check(list(SECTIONS[section].parse(read(text))), text)


@pytest.mark.parametrize("section", sorted(SECTIONS))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=st.text(max_size=400))
def test_no_answer_makes_a_parser_raise(section: str, raw: str) -> None:
    check(list(SECTIONS[section].parse(read(raw))), raw)


# Files of one statement a line: section, path, kinds that tell of a line by number.
LINEWISE = [
    ("accounts", "/etc/passwd", "host_user"),
    ("accounts", "/etc/shadow", "host_shadow"),
    ("accounts", "/etc/group", "host_group"),
    ("limits", "/etc/security/limits.conf", "host_limit"),
    ("update-policy", "/etc/apt/sources.list", "host_package_source"),
    ("update-policy", "/etc/apk/repositories", "host_package_source"),
    ("cron", "/etc/crontab", "host_crontab"),
    ("keys", "/home/a/.ssh/authorized_keys", "host_authorized_key"),
    ("shells", "/etc/shells", "host_shell"),
]


def silent(section: str, line: str) -> bool:
    """Whether a line is allowed to say nothing: empty, a comment, or what the format knows as no entry."""
    text = line.strip()
    bare = line.partition("#")[0].strip()
    return {
        "accounts": not text or line.startswith("#") or line[:1] in "+-",
        "limits": not bare,
        "update-policy": not bare,
        "shells": not bare,
        "cron": not text or text.startswith("#") or "=" in text,
        "keys": not text or text.startswith("#"),
    }[section]


@pytest.mark.parametrize(("section", "path", "kind"), LINEWISE, ids=[path for _, path, _ in LINEWISE])
@settings(max_examples=80, deadline=None)
@given(lines=LINES)
def test_each_line_is_a_row_a_comment_or_a_gap(section: str, path: str, kind: str, lines: list[str]) -> None:
    text = answer(section, 0, [(path, lines)], [])
    text = text.replace("K program", f"K user a:{path}\nK program", 1) if section == "keys" else text
    items = list(SECTIONS[section].parse(read(text)))
    told = {item.data["line"] for item in items if isinstance(item, Row) and item.kind == kind}
    told |= {
        int(item.detail.removeprefix(f"{path}:").partition(":")[0])
        for item in items
        if isinstance(item, Miss) and item.kind == kind and item.detail.startswith(f"{path}:")
    }
    for number, line in enumerate(lines, 1):
        assert number in told or silent(section, line), line
