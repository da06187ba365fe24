"""Whole trees of other distributions: what their files tell, and what they cannot tell."""

from __future__ import annotations

import pytest

from collector.model import Outcome

UBUNTU = [
    ("host_os", "os", {"id": "ubuntu", "platform": "debian", "major": 22, "codename": "jammy"}),
    (
        "host_kernel",
        "kernel",
        {"newest_installed": "5.15.0-105-generic", "newest_runs": False, "reboot_required": True},
    ),
    ("host_boot_loader", "grub", {"password_set": True, "superusers": ["root"]}),
    ("host_user", "guest", {"password_status": "empty", "can_log_in": True}),
    ("host_user", "mallory", {"password_status": "set", "password_in_passwd": True, "group_exists": False}),
    ("host_user", "toor", {"duplicate_uid": True, "password_status": "locked", "can_log_in": False}),
    ("host_user", "ada", {"expires_on": "2026-02-16", "groups": ["ada", "sudo", "docker"]}),
    ("host_shadow", "ada", {"hash_alg": "y", "max": 365, "inactive": 30, "last_change": "2023-12-09"}),
    ("host_shadow", "guest", {"password_status": "empty", "must_change": True}),
    (
        "host_group",
        "sudo",
        {"members": ["ada", "gone"], "unknown_members": ["gone"], "administrators": ["ada"]},
    ),
    ("host_home", "ada", {"risky_files": [".netrc"], "unencrypted_private_keys": ["id_ed25519"]}),
    (
        "host_authorized_key",
        "ada:/home/ada/.ssh/authorized_keys:3",
        {"forced_command": True, "from_restricted": True},
    ),
    ("host_sudo", "sudo", {"use_pty": True, "timestamp_timeout": 5.0, "logfile": "/var/log/sudo.log"}),
    (
        "host_password_policy",
        "password-policy",
        {"minlen": 14, "minclass": 3, "remember": 7, "deny": 4, "unlock_time": 900},
    ),
    (
        "host_login_defs",
        "login-defs",
        {"pass_max_days": 365, "umask": "027", "default_inactive": 30, "login_retries": None},
    ),
    ("host_shell_defaults", "shell-defaults", {"tmout": 900, "tmout_readonly": True}),
    ("host_mount", "/mnt/with space", {"readonly": True, "in_fstab": False}),
    ("host_mount", "/backup", {"mounted": False, "in_fstab": True}),
    ("host_disk_encryption", "/dev/mapper/vg-root", {"encrypted": True, "encryption": "LUKS2"}),
    ("host_package", "telnet:amd64", {"installed": False}),
    (
        "host_package_update",
        "openssl:amd64",
        {"candidate": "3.0.2-0ubuntu1.15", "security": True, "held": True},
    ),
    ("host_update_lists", "apt", {"present": True, "lists": 3, "security_lists": 1}),
    (
        "host_update_policy",
        "apt",
        {"enabled": True, "security": True, "automatic_reboot": True, "excluded": ["linux-"]},
    ),
    ("host_timer", "apt-daily-upgrade", {"enabled": True, "schedule": ["OnCalendar=*-*-* 6:00"]}),
    (
        "host_rsyslog",
        "rsyslog",
        {"file_create_mode": "0640", "remote_encrypted": True, "listens": ["imtcp 514"]},
    ),
    (
        "host_audit",
        "audit",
        {"immutable_configured": True, "rules_configured": 2, "max_log_file_action": "keep_logs"},
    ),
    (
        "host_time_sync",
        "time",
        {"services": ["chrony"], "servers": ["ntp.ubuntu.com", "10.0.0.1"], "run_as": "_chrony"},
    ),
    ("host_cron", "cron", {"implementation": "debian", "restricted": True}),
    ("host_crontab", "/var/spool/cron/crontabs/ada:1", {"run_as": "ada", "day_of_week": "1"}),
    ("host_crontab", "/etc/cron.daily/has.dot", {"effective": False, "skipped": "name"}),
    ("host_crontab", "/etc/cron.daily/notexec", {"effective": False, "skipped": "not-executable"}),
    ("host_apparmor", "apparmor", {"enabled": True, "loaded": 3, "enforcing": 2, "complaining": 1}),
    ("host_mandatory_access", "mandatory-access", {"system": "apparmor", "enforcing": True}),
    ("host_container_engine", "docker", {"installed": True, "tcp": True}),
    ("host_crypto_policy", "crypto-policy", {"openssl_min_protocol": "TLSv1.2", "openssl_security_level": 2}),
    ("host_banner", "/etc/issue", {"discloses_system": False, "empty": False}),
    ("host_banner", "/etc/issue.net", {"discloses_system": True}),
    ("host_banner", "/etc/motd", {"exists": False}),
]
RHEL = [
    ("host_os", "os", {"id": "rhel", "platform": "rhel", "major": 9}),
    ("host_shadow", "root", {"hash_alg": "6", "password_status": "set"}),
    ("host_boot_loader", "grub", {"password_set": True}),
    (
        "host_password_policy",
        "password-policy",
        {
            "quality_module": "pam_pwquality",
            "minlen": 8,
            "remember": 24,
            "deny": 5,
            "unlock_time": 0,
            "even_deny_root": True,
            "hash_algorithm": "sha512",
            "su_restricted": False,
            "nullok": False,
        },
    ),
    (
        "host_selinux",
        "selinux",
        {
            "installed": True,
            "enabled": True,
            "enforcing": False,
            "mode": "permissive",
            "config_mode": "enforcing",
            "boot_disabled": True,
        },
    ),
    ("host_mandatory_access", "mandatory-access", {"system": "selinux", "active": True, "enforcing": False}),
    ("host_crypto_policy", "crypto-policy", {"fips_enabled": True, "policy": "DEFAULT"}),
    (
        "host_package_source",
        "/etc/yum.repos.d/redhat.repo:1:baseos:https://cdn.example.org/baseos",
        {"verified": True, "encrypted": True},
    ),
    (
        "host_package_source",
        "/etc/yum.repos.d/redhat.repo:7:extra:http://extra.example.org/",
        {"verified": False, "encrypted": False},
    ),
    (
        "host_update_policy",
        "dnf",
        {"installed": True, "enabled": True, "security": True, "mail": "ops@example.org"},
    ),
    ("host_cron", "cron", {"implementation": "cronie"}),
    ("host_crontab", "/etc/cron.d/with.dot:1", {"effective": True}),
    ("host_crontab", "/etc/cron.d/old.rpmsave", {"skipped": "name"}),
    ("host_shell_defaults", "shell-defaults", {"umask": "002", "umask_group_writable": True}),
]
ALPINE = [
    ("host_os", "os", {"id": "alpine", "platform": "alpine", "major": 3}),
    (
        "host_package",
        "busybox:x86_64",
        {"version": "1.36.1-r29", "manager": "apk", "maintainer_domain": "alpinelinux.org"},
    ),
    ("host_user", "ada", {"password_status": "empty", "password_in_passwd": True, "can_log_in": True}),
    (
        "host_package_source",
        "/etc/apk/repositories:1::http://dl-cdn.alpinelinux.org/alpine/v3.20/main",
        {"encrypted": False},
    ),
    ("host_update_policy", "apk", {"enabled": True}),
    ("host_cron", "cron", {"implementation": "busybox"}),
    ("host_crontab", "/etc/crontabs/root:1", {"run_as": "root", "minute": "*/15"}),
    ("host_time_sync", "time", {"services": ["busybox-ntpd"], "enabled": True, "servers": ["pool.ntp.org"]}),
    ("host_service", "ntpd@openrc", {"enabled": True}),
    ("host_service", "sshd@openrc", {"enabled": False}),
    ("host_sshd_config", "sshd", {"installed": False}),
    ("host_sudo", "sudo", {"installed": False}),
    ("host_audit", "audit", {"installed": False}),
]
CASES = [
    (name, *case)
    for name, cases in (("ubuntu", UBUNTU), ("rhel", RHEL), ("alpine", ALPINE))
    for case in cases
]


@pytest.mark.parametrize(
    ("name", "kind", "id_", "expected"), CASES, ids=[f"{name} {kind} {id_}" for name, kind, id_, _ in CASES]
)
def test_a_tree_tells(name: str, kind: str, id_: str, expected: dict, request: pytest.FixtureRequest) -> None:
    record = request.getfixturevalue(name).rows(kind)[id_]
    assert {column: record.data.get(column) for column in expected} == expected
    assert not {gap.column for gap in record.gaps} & set(expected)


BROKEN = [
    ("host_kernel_module", "/etc/modprobe.d/hardening.conf:5"),
    ("host_sysctl", "/etc/sysctl.d/10-a.conf:5"),
    ("host_user", "/etc/passwd:8"),
    ("host_authorized_key", "/home/ada/.ssh/authorized_keys:4"),
    ("host_sudoers", "/etc/sudoers:12"),
    ("host_login_defs", "/etc/login.defs:10"),
    ("host_pam", "/etc/pam.d/sshd:5"),
    ("host_limit", "/etc/security/limits.d/50-core.conf:3"),
    ("host_mount", "/etc/fstab:5"),
    ("host_package_source", "/etc/apt/sources.list:4"),
    ("host_audit_rule", "/etc/audit/rules.d/10-base.rules:5"),
    ("host_rsyslog_rule", "/etc/rsyslog.d/50-default.conf:8"),
    ("host_crontab", "/etc/crontab:4"),
    ("host_apparmor_profile", "/sys/kernel/security/apparmor/profiles:4"),
]


@pytest.mark.parametrize(("kind", "where"), BROKEN, ids=[where for _, where in BROKEN])
def test_a_broken_line_is_a_gap_with_file_and_line(kind: str, where: str, ubuntu) -> None:
    (gap,) = [gap for gap in ubuntu.gaps if gap.kind == kind and gap.detail.startswith(f"{where}:")]
    assert gap.reason is Outcome.MALFORMED


def test_accounts_of_a_directory_service_are_not_forgotten(ubuntu) -> None:
    assert "/etc/nsswitch.conf:1: accounts that sss adds are not listed" in ubuntu.details("host_user")


def test_what_only_a_running_system_tells_is_a_gap_in_a_tree(ubuntu) -> None:
    assert "no running kernel was asked" in ubuntu.details("host_firewall_rule")
    gaps = {gap.column for gap in ubuntu.rows("host_firewall")["ipv4"].gaps}
    assert {"active", "input_default_deny", "rules"} <= gaps
    assert "enabled" in {gap.column for gap in ubuntu.one("host_audit").gaps}


def test_a_pin_makes_its_package_uncertain_and_no_other(ubuntu) -> None:
    updates = ubuntu.rows("host_package_update")
    assert {gap.column for gap in updates["nodejs:amd64"].gaps} == {"candidate", "security", "origins"}
    assert updates["openssl:amd64"].gaps == ()
    assert "bash:amd64" not in updates


def test_the_origin_of_updates_on_rhel_is_told_as_unsupported(rhel) -> None:
    assert [gap.reason for gap in rhel.gaps if gap.kind == "host_package_update"] == [Outcome.UNSUPPORTED]
