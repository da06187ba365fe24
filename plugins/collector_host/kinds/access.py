"""Kinds about remote and privileged access: sshd, sudo, what the host says at login."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["KINDS"]

_SSHD = Operation("host:sshd", "root: runs sshd -T, which reads host keys; reads /etc/ssh/sshd_config.d")
_SUDO = Operation("host:sudo", "root: reads /etc/sudoers and /etc/sudoers.d")
_BANNERS = Operation("host:banners", "anyone: reads /etc/issue, /etc/issue.net, /etc/motd")


def _flags(names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "BOOLEAN", f"{name}, as a yes or no") for name in names.split())


def _numbers(names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "BIGINT", f"{name}, as a number") for name in names.split())


def _words(names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "VARCHAR", f"{name}, as a word; NULL: none") for name in names.split())


def _lists(names: str) -> tuple[Column, ...]:
    return tuple(
        Column(name, "VARCHAR[]", f"{name}, in order; empty or NULL: none") for name in names.split()
    )


_SSHD_CONFIG = Kind(
    name="host_sshd_config",
    title="The SSH server's settings in effect outside Match blocks",
    columns=(
        Column("installed", "BOOLEAN", "whether an SSH server is there; if not, all else is NULL"),
        Column(
            "origin",
            "VARCHAR",
            "sshd -T: the server itself said so; files: read from its files, in its order",
        ),
        Column("files", "VARCHAR[]", "configuration files, in the order in which they are read"),
        Column("listening", "BOOLEAN", "whether a process of it listens"),
        Column("permitrootlogin", "VARCHAR", "no, prohibit-password, forced-commands-only or yes"),
        *_flags(
            "passwordauthentication permitemptypasswords kbdinteractiveauthentication pubkeyauthentication"
            " hostbasedauthentication kerberosauthentication gssapiauthentication ignorerhosts"
            " ignoreuserknownhosts usepam strictmodes permituserrc printlastlog printmotd tcpkeepalive usedns"
            " x11forwarding x11uselocalhost allowagentforwarding disableforwarding permittty"
        ),
        Column("permituserenvironment", "VARCHAR", "no, yes or a pattern of names"),
        Column("compression", "VARCHAR", "no, yes or delayed"),
        Column("allowtcpforwarding", "VARCHAR", "no, yes, local or remote"),
        Column("allowstreamlocalforwarding", "VARCHAR", "no, yes, local or remote"),
        Column("gatewayports", "VARCHAR", "no, yes or clientspecified"),
        Column("permittunnel", "VARCHAR", "no, yes, point-to-point or ethernet"),
        *_numbers(
            "logingracetime maxauthtries maxsessions clientaliveinterval clientalivecountmax requiredrsasize"
            " x11displayoffset"
        ),
        Column("maxstartups", "VARCHAR", "start:rate:full"),
        Column("maxstartups_start", "BIGINT", "unauthenticated connections from which some are refused"),
        Column("maxstartups_rate", "BIGINT", "per cent refused from there"),
        Column("maxstartups_full", "BIGINT", "from so many all are refused"),
        *_words(
            "loglevel syslogfacility banner forcecommand chrootdirectory addressfamily versionaddendum"
            " authorizedkeyscommand authorizedkeyscommanduser trustedusercakeys revokedkeys rekeylimit"
            " persourcemaxstartups"
        ),
        Column("port", "BIGINT[]", "ports"),
        *_lists(
            "listenaddress ciphers macs kexalgorithms hostkeyalgorithms pubkeyacceptedalgorithms hostkey"
            " authorizedkeysfile authenticationmethods acceptenv subsystem"
        ),
        Column("allowusers", "VARCHAR[]", "accounts let in; empty: all", identity=Identity.LOGIN),
        Column("allowgroups", "VARCHAR[]", "groups let in; empty: all", identity=Identity.LOGIN),
        Column("denyusers", "VARCHAR[]", "accounts kept out", identity=Identity.LOGIN),
        Column("denygroups", "VARCHAR[]", "groups kept out", identity=Identity.LOGIN),
        Column("config_mode", "VARCHAR", "permissions of /etc/ssh/sshd_config in octal"),
        Column("config_uid", "BIGINT", "its owner"),
        Column("config_gid", "BIGINT", "its group"),
    ),
    identity=(),
    operations=(_SSHD,),
    examples=(
        "SELECT permitrootlogin FROM host_sshd_config WHERE installed",
        "SELECT array_to_string(ciphers, ',') LIKE '%cbc%' FROM host_sshd_config",
    ),
)

_SSHD_MATCH = Kind(
    name="host_sshd_match",
    title="Settings inside the SSH server's Match blocks, which override the rest for some",
    columns=(
        Column("source", "VARCHAR", "file"),
        Column("line", "BIGINT", "line of the setting"),
        Column("criteria", "VARCHAR", "for whom, as in user admin address 10.0.0.0/8"),
        Column("keyword", "VARCHAR", "the setting in lower case"),
        Column("value", "VARCHAR", "its value", free_text=True),
    ),
    identity=("source", "line"),
    operations=(_SSHD,),
    examples=(
        "SELECT criteria FROM host_sshd_match WHERE keyword = 'passwordauthentication' AND value = 'yes'",
    ),
)

_SUDO_KIND = Kind(
    name="host_sudo",
    title="sudo: installed, and its defaults; where those for some are weaker, the weaker",
    columns=(
        Column("installed", "BOOLEAN", "whether sudo is there"),
        Column("version", "VARCHAR", "its version"),
        Column(
            "use_pty", "BOOLEAN", "whether commands get a terminal of their own (on by default from 1.9.14)"
        ),
        Column("logfile", "VARCHAR", "log file of its own; NULL: syslog only"),
        Column("log_input", "BOOLEAN", "whether input is recorded"),
        Column("log_output", "BOOLEAN", "whether output is recorded"),
        Column("requiretty", "BOOLEAN", "whether a terminal is needed"),
        Column("env_reset", "BOOLEAN", "whether the environment is cleaned (default on)"),
        Column("env_keep", "VARCHAR[]", "variables that are kept", free_text=True),
        Column("secure_path", "VARCHAR", "search path of commands; NULL: the caller's"),
        Column("authenticate", "BOOLEAN", "whether everyone is asked for a password by default (default on)"),
        Column(
            "timestamp_timeout",
            "DOUBLE",
            "minutes until it is asked for again; below 0: never; default 15, distributions may differ",
        ),
        Column("passwd_tries", "BIGINT", "tries of the password (default 3)"),
        Column("targetpw", "BOOLEAN", "whether the target's password is asked for"),
        Column("rootpw", "BOOLEAN", "whether root's password is asked for"),
        Column("runaspw", "BOOLEAN", "whether the runas user's password is asked for"),
        Column("files", "VARCHAR[]", "files read, in order"),
        Column(
            "skipped_files",
            "VARCHAR[]",
            "files in included folders that sudo does not read (. in the name or ~ at the end)",
        ),
        Column("alternatives", "VARCHAR[]", "other such programs installed: doas, sudo-rs, run0"),
    ),
    identity=(),
    operations=(_SUDO,),
    examples=("SELECT use_pty FROM host_sudo WHERE installed",),
)

_SUDOERS = Kind(
    name="host_sudoers",
    title="sudo rules, aliases expanded",
    columns=(
        Column("source", "VARCHAR", "file"),
        Column("line", "BIGINT", "first line of the rule"),
        Column("number", "BIGINT", "place among the rules of that line, from 1"),
        Column("users", "VARCHAR[]", "whom it is for: names, %groups, #numbers", identity=Identity.LOGIN),
        Column("hosts", "VARCHAR[]", "where it holds"),
        Column("runas_users", "VARCHAR[]", "as whom", identity=Identity.LOGIN),
        Column("runas_groups", "VARCHAR[]", "with which groups"),
        Column("tags", "VARCHAR[]", "NOPASSWD, NOEXEC, SETENV …"),
        Column("commands", "VARCHAR[]", "what may be run", free_text=True),
        Column("nopasswd", "BOOLEAN", "whether no password is asked for"),
        Column("all_commands", "BOOLEAN", "whether every command is allowed"),
        Column("negated", "BOOLEAN", "whether it uses ! in commands, which is easily walked round"),
        Column("text", "VARCHAR", "the rule as written", free_text=True),
    ),
    identity=("source", "line", "number"),
    operations=(_SUDO,),
    examples=("SELECT users, source FROM host_sudoers WHERE nopasswd AND all_commands",),
)

_BANNER = Kind(
    name="host_banner",
    title="What the host tells before and after login",
    columns=(
        Column("path", "VARCHAR", "file"),
        Column("exists", "BOOLEAN", "whether it is there"),
        Column("empty", "BOOLEAN", "whether it says nothing"),
        Column("text", "VARCHAR", "its text", free_text=True),
        Column(
            "discloses_system",
            "BOOLEAN",
            "whether it tells system, release or architecture (\\s \\r \\m \\v or the system's name)",
        ),
        Column("shown", "VARCHAR", "console login, network login, after login"),
        Column("mode", "VARCHAR", "permissions in octal"),
        Column("uid", "BIGINT", "owner"),
        Column("writable_by_others", "BOOLEAN", "whether group or others may write it"),
    ),
    identity=("path",),
    operations=(_BANNERS,),
    examples=("SELECT path FROM host_banner WHERE discloses_system",),
)

KINDS: tuple[Kind, ...] = (_SSHD_CONFIG, _SSHD_MATCH, _SUDO_KIND, _SUDOERS, _BANNER)
