"""Mandatory access control and system-wide cryptography."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json

from ..frames import File, Frames
from ..rows import Item, Row, cannot_read, column_gaps, integer, malformed, program, unread
from .sources import ini

__all__ = ["crypto", "mac"]

_PROFILES = "/sys/kernel/security/apparmor/profiles"
_MODES = {"enforcing", "permissive", "disabled"}


def _arguments(frames: Frames) -> dict[str, str]:
    words = " ".join(line.text for line in frames.file("/proc/cmdline").lines).split()
    return dict(word.partition("=")[::2] for word in words)


def _profiles(frames: Frames) -> Iterator[tuple[str, str] | Item]:
    for line in frames.file(_PROFILES).lines:
        match = re.match(r"(.+) \(([a-z]+)\)\Z", line.text)
        if match is None:
            yield malformed("host_apparmor_profile", _PROFILES, line, "no name and mode")
        else:
            yield match[1], match[2]


def _apparmor(frames: Frames, profiles: dict[str, str]) -> Row:
    enabled = frames.file("/sys/module/apparmor/parameters/enabled").text.strip() == "Y"
    on_disk = [file for file in frames.below("/etc/apparmor.d") if file.kind == "regular"]
    installed = program(frames, "apparmor_parser") is not None or enabled
    data: dict[str, Json] = {"installed": installed, "enabled": enabled}
    if installed:
        modes = list(profiles.values())
        data |= {
            "boot_argument": _arguments(frames).get("apparmor"),
            "profiles_on_disk": len(on_disk),
            "loaded": len(modes),
            "enforcing": modes.count("enforce") + modes.count("kill"),
            "complaining": modes.count("complain"),
            "disabled": [file.name for file in frames.below("/etc/apparmor.d/disable")],
        }
    gaps: tuple[ColumnGap, ...] = ()
    for path in (_PROFILES, "/sys/module/apparmor/parameters/enabled"):
        if frames.file(path).unknown:
            columns = ("loaded", "enforcing", "complaining") if path == _PROFILES else ("enabled",)
            gaps += column_gaps(columns, *cannot_read(frames, frames.file(path)))
    return Row("host_apparmor", "apparmor", data, gaps)


def _selinux(frames: Frames) -> Row:
    config = frames.file("/etc/selinux/config")
    values = dict(
        line.text.strip().partition("=")[::2] for line in config.lines if not line.text.startswith("#")
    )
    enforce = frames.file("/sys/fs/selinux/enforce")
    data: dict[str, Json] = {"installed": config.exists, "enabled": enforce.exists}
    if config.exists or enforce.exists:
        arguments = _arguments(frames)
        enforcing = enforce.text.strip() == "1"
        mode = values.get("SELINUX", "").strip().lower()
        data |= {
            "enforcing": enforcing,
            "mode": ("enforcing" if enforcing else "permissive") if enforce.exists else "disabled",
            "config_mode": mode if mode in _MODES else None,
            "policy": values.get("SELINUXTYPE", "").strip() or None,
            "boot_disabled": arguments.get("selinux") == "0" or arguments.get("enforcing") == "0",
            "deny_unknown": frames.file("/sys/fs/selinux/deny_unknown").text.strip() == "1",
        }
    gaps: tuple[ColumnGap, ...] = ()
    if config.unknown:
        gaps += column_gaps(("config_mode", "policy"), *cannot_read(frames, config))
    if enforce.unknown:
        gaps += column_gaps(("enforcing", "mode"), *cannot_read(frames, enforce))
    return Row("host_selinux", "selinux", data, gaps)


def _either(apparmor: Row, selinux: Row) -> Row:
    linux = bool(selinux.data.get("enabled"))
    armor = bool(apparmor.data.get("enabled"))
    enforcing = bool(selinux.data.get("enforcing")) or (armor and (apparmor.data.get("enforcing") or 0) > 0)
    data: dict[str, Json] = {
        "system": "selinux" if linux else "apparmor" if armor else "none",
        "active": linux or armor,
        "enforcing": enforcing,
    }
    needed = [gap for gap in (*apparmor.gaps, *selinux.gaps) if gap.column in ("enabled", "enforcing")]
    gaps = column_gaps(("enforcing",), needed[0].reason, needed[0].detail) if needed and not linux else ()
    if needed and linux and any(gap.column == "enforcing" for gap in selinux.gaps):
        gaps = column_gaps(("enforcing",), needed[0].reason, needed[0].detail)
    return Row("host_mandatory_access", "mandatory-access", data, gaps)


def mac(frames: Frames) -> Iterator[Item]:
    """The section `mac`: host_apparmor, host_apparmor_profile, host_selinux, host_mandatory_access."""
    profiles: dict[str, str] = {}
    for found in _profiles(frames):
        if isinstance(found, tuple):
            profiles[found[0]] = found[1]
        else:
            yield found
    apparmor, selinux = _apparmor(frames, profiles), _selinux(frames)
    yield from (apparmor, selinux, _either(apparmor, selinux))
    for name, mode in profiles.items():
        yield Row("host_apparmor_profile", name, {"name": name, "mode": mode})
    yield from unread(frames, "host_apparmor_profile", lambda path: path == _PROFILES)


def _openssl(file: File) -> dict[str, str]:
    """The system's default section: openssl_conf names a section, that by ssl_conf one, and so on."""
    sections: dict[str, dict[str, str]] = {}
    for _, name, values in ini(file):
        plain = {key: value.partition("#")[0].strip() for key, value in values.items()}
        sections[name] = {**sections.get(name, {}), **plain}
    start = sections.get("", {}).get("openssl_conf") or sections.get("default", {}).get("openssl_conf")
    tls = sections.get(start or "", {}).get("ssl_conf")
    return sections.get(sections.get(tls or "", {}).get("system_default") or "-", {})


def crypto(frames: Frames) -> Iterator[Item]:
    """The section `crypto`: host_crypto_policy."""
    fips = frames.file("/proc/sys/crypto/fips_enabled")
    policies = [frames.file("/etc/crypto-policies/state/current"), frames.file("/etc/crypto-policies/config")]
    words = [
        line.text.strip()
        for file in policies
        for line in file.lines
        if line.text.strip() and line.text[0] != "#"
    ]
    conf = frames.file("/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf")
    found = _openssl(conf)
    ciphers = found.get("CipherString")
    level = re.search(r"SECLEVEL\s*=\s*(\d)", ciphers or "")
    version = frames.command("openssl")
    told = re.match(r"(?:OpenSSL|LibreSSL) (\S+)", version.lines[0].text) if version.lines else None
    data: dict[str, Json] = {
        "fips_enabled": fips.text.strip() == "1",
        "policy": words[0] if words else None,
        "openssl_version": told[1] if told else None,
        "openssl_min_protocol": found.get("MinProtocol"),
        "openssl_security_level": integer(level[1]) if level else None,
        "openssl_cipher_string": ciphers,
    }
    gaps: tuple[ColumnGap, ...] = ()
    if conf.unknown:
        columns = ("openssl_min_protocol", "openssl_security_level", "openssl_cipher_string")
        gaps = column_gaps(columns, *cannot_read(frames, conf))
    if fips.unknown:
        gaps += column_gaps(("fips_enabled",), *cannot_read(frames, fips))
    yield Row("host_crypto_policy", "crypto-policy", data, gaps)
