"""Kinds about software: packages, where they come from, updates, containers, protection."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["KINDS"]

_PACKAGES = Operation("host:packages", "anyone: runs dpkg-query or rpm -qa, or reads /lib/apk/db/installed")
_UPDATES = Operation("host:updates", "anyone: reads the package manager's local lists; never refreshes them")
_POLICY = Operation(
    "host:update-policy", "anyone: runs apt-config dump; reads /etc/apt, /etc/yum.repos.d, /etc/dnf, /etc/apk"
)
_CONTAINERS = Operation(
    "host:containers", "root: reads /etc/docker/daemon.json, looks into /var/lib of container engines"
)
_PROTECTION = Operation(
    "host:protection", "root: looks for the databases of AIDE, ClamAV and others; reads their settings"
)

_PACKAGE = Kind(
    name="host_package",
    title="Installed packages",
    columns=(
        Column("name", "VARCHAR", "name", identity=Identity.RESOURCE),
        Column("version", "VARCHAR", "version installed"),
        Column("arch", "VARCHAR", "architecture"),
        Column("manager", "VARCHAR", "dpkg, rpm or apk"),
        Column("source", "VARCHAR", "source package"),
        Column("installed", "BOOLEAN", "whether it is fully installed (not only its settings left)"),
        Column("status", "VARCHAR", "state as the package manager says it"),
        Column("held", "BOOLEAN", "whether it is kept from being updated"),
        Column("section", "VARCHAR", "section or group"),
        Column(
            "maintainer_domain",
            "VARCHAR",
            "domain of the maintainer's or packager's address; hints at where it came from",
        ),
    ),
    identity=("name", "arch", "version"),
    operations=(_PACKAGES,),
    examples=("SELECT name FROM host_package WHERE installed AND name IN ('telnet', 'nis', 'rsh-client')",),
)

_UPDATE = Kind(
    name="host_package_update",
    title="Installed packages for which the local lists hold a newer version",
    columns=(
        Column("name", "VARCHAR", "name", identity=Identity.RESOURCE),
        Column("arch", "VARCHAR", "architecture"),
        Column("version", "VARCHAR", "version installed"),
        Column("candidate", "VARCHAR", "newest version offered"),
        Column("security", "BOOLEAN", "whether a security archive offers a newer version"),
        Column("origins", "VARCHAR[]", "archives that offer it, as in Debian-Security:stable-security"),
        Column("held", "BOOLEAN", "whether the package is kept from being updated"),
    ),
    identity=("name", "arch"),
    operations=(_UPDATES,),
    examples=("SELECT name, version, candidate FROM host_package_update WHERE security",),
)

_LISTS = Kind(
    name="host_update_lists",
    title="The local lists that pending updates are told from, and their age",
    columns=(
        Column("manager", "VARCHAR", "apt, dnf, apk …"),
        Column("present", "BOOLEAN", "whether there are lists; without them no pending update can be seen"),
        Column("refreshed_at", "TIMESTAMP", "when the newest list was fetched; NULL: never"),
        Column("lists", "BIGINT", "number of package lists"),
        Column("security_lists", "BIGINT", "of them: of security archives"),
        Column("pending", "BIGINT", "packages with a newer version"),
        Column("pending_security", "BIGINT", "of them: by a security archive"),
    ),
    identity=("manager",),
    operations=(_UPDATES,),
    examples=("SELECT date_diff('day', refreshed_at, as_of()) <= 7 FROM host_update_lists",),
)

_SOURCE = Kind(
    name="host_package_source",
    title="Archives that packages are installed from",
    columns=(
        Column("source", "VARCHAR", "file"),
        Column("line", "BIGINT", "line or first line of its paragraph"),
        Column("manager", "VARCHAR", "apt, dnf or apk"),
        Column("enabled", "BOOLEAN", "whether it is used"),
        Column("uri", "VARCHAR", "address", free_text=True),
        Column("suite", "VARCHAR", "suite or repository id"),
        Column("components", "VARCHAR[]", "components"),
        Column("types", "VARCHAR[]", "deb, deb-src …"),
        Column("encrypted", "BOOLEAN", "whether it is fetched by https or from this machine"),
        Column("verified", "BOOLEAN", "whether signatures are asked for (no trusted=yes, gpgcheck=0)"),
        Column("signed_by", "VARCHAR", "keys that may sign it; NULL: any key that is trusted"),
        Column("security", "BOOLEAN", "whether it is a security archive"),
    ),
    identity=("source", "line", "uri", "suite"),
    operations=(_POLICY,),
    examples=("SELECT source, uri FROM host_package_source WHERE enabled AND NOT verified",),
)

_UPDATE_POLICY = Kind(
    name="host_update_policy",
    title="Automatic updates, as the settings in effect say",
    columns=(
        Column("manager", "VARCHAR", "apt, dnf, apk …"),
        Column(
            "installed",
            "BOOLEAN",
            "whether a tool for automatic updates is there (unattended-upgrades, dnf-automatic)",
        ),
        Column("enabled", "BOOLEAN", "whether settings and timers together install updates by themselves"),
        Column("refresh_days", "BIGINT", "days between refreshing the lists; 0: never"),
        Column("upgrade_days", "BIGINT", "days between automatic updates; 0: never"),
        Column("security", "BOOLEAN", "whether security archives are among what is installed by itself"),
        Column("origins", "VARCHAR[]", "archives that are installed from by itself"),
        Column("excluded", "VARCHAR[]", "packages left out"),
        Column("automatic_reboot", "BOOLEAN", "whether it restarts the machine when needed"),
        Column("mail", "VARCHAR", "who is told", identity=Identity.MAIL),
        Column("timer_enabled", "BOOLEAN", "whether the timer or cron job that starts it is on"),
        Column("unsigned_allowed", "BOOLEAN", "whether settings let unsigned packages or archives in"),
        Column("signature_check", "BOOLEAN", "whether package signatures are checked by default"),
    ),
    identity=("manager",),
    operations=(_POLICY,),
    examples=("SELECT enabled AND security FROM host_update_policy",),
)

_ENGINE = Kind(
    name="host_container_engine",
    title="Container engines, by their files and sockets",
    columns=(
        Column("name", "VARCHAR", "docker, containerd, podman, crio, kubelet, lxc, snapd"),
        Column("installed", "BOOLEAN", "whether its program is there"),
        Column("socket", "VARCHAR", "its socket"),
        Column("running", "BOOLEAN", "whether the socket is there"),
        Column("socket_mode", "VARCHAR", "permissions of the socket in octal"),
        Column("socket_group", "VARCHAR", "group that may use it: as good as root", identity=Identity.LOGIN),
        Column("socket_world_writable", "BOOLEAN", "whether anyone may use it"),
        Column("config_file", "VARCHAR", "settings file; NULL: none"),
        Column("config", "JSON", "its content, where it is JSON", free_text=True),
        Column("tcp", "BOOLEAN", "whether its settings make it listen on a network address"),
        Column("containers", "BIGINT", "containers whose folders are there; NULL: cannot be told"),
    ),
    identity=("name",),
    operations=(_CONTAINERS,),
    examples=("SELECT name, socket_mode FROM host_container_engine WHERE socket_world_writable OR tcp",),
)

_INTEGRITY = Kind(
    name="host_file_integrity",
    title="Tools that watch files for change",
    columns=(
        Column("name", "VARCHAR", "aide, tripwire, samhain, wazuh, ossec, osquery, falco"),
        Column("installed", "BOOLEAN", "whether its program is there"),
        Column("database", "BOOLEAN", "whether its reference is there; NULL: it has none"),
        Column("database_at", "TIMESTAMP", "when the reference was last written"),
        Column("scheduled", "BOOLEAN", "whether a cron job, timer or service runs it"),
        Column(
            "audit_tools_watched", "BOOLEAN", "whether its settings name auditctl and auditd; NULL: not told"
        ),
    ),
    identity=("name",),
    operations=(_PROTECTION,),
    examples=("SELECT name FROM host_file_integrity WHERE installed AND scheduled",),
)

_MALWARE = Kind(
    name="host_malware_protection",
    title="Protection against malware and intruders",
    columns=(
        Column(
            "name",
            "VARCHAR",
            "clamav, rkhunter, chkrootkit, fail2ban, crowdsec, defender, crowdstrike, sentinelone …",
        ),
        Column("purpose", "VARCHAR", "scanner, rootkit, lockout or endpoint"),
        Column("installed", "BOOLEAN", "whether its program is there"),
        Column("running", "BOOLEAN", "whether its program runs; NULL: it is not a daemon"),
        Column("enabled", "BOOLEAN", "whether it starts at boot or by schedule"),
        Column("signatures_at", "TIMESTAMP", "when its signatures were last written; NULL: it has none here"),
    ),
    identity=("name",),
    operations=(_PROTECTION,),
    examples=("SELECT name FROM host_malware_protection WHERE installed AND (running OR enabled)",),
)

KINDS: tuple[Kind, ...] = (
    _PACKAGE,
    _UPDATE,
    _LISTS,
    _SOURCE,
    _UPDATE_POLICY,
    _ENGINE,
    _INTEGRITY,
    _MALWARE,
)
