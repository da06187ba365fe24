"""Kinds about how people prove who they are: PAM, password rules, login definitions, shells, limits."""

from __future__ import annotations

from collector.model import Column, Kind, Operation

__all__ = ["KINDS"]

_PAM = Operation("host:pam", "anyone: reads /etc/pam.d, /etc/security, /etc/login.defs")
_SHELLS = Operation(
    "host:shells", "anyone: reads /etc/shells, /etc/profile, /etc/profile.d, /etc/bash.bashrc"
)
_LIMITS = Operation(
    "host:limits", "anyone: reads /etc/security/limits.conf and limits.d, systemd's coredump.conf"
)

_PAM_KIND = Kind(
    name="host_pam",
    title="PAM stacks as they run, included files expanded",
    columns=(
        Column("service", "VARCHAR", "the program's stack, as in sshd, sudo, login"),
        Column("type", "VARCHAR", "auth, account, password or session"),
        Column("position", "BIGINT", "place in the stack of that type, from 1"),
        Column("control", "VARCHAR", "required, requisite, sufficient, optional or [value=action …]"),
        Column("optional_missing", "BOOLEAN", "whether a missing module is passed over silently (leading -)"),
        Column("module", "VARCHAR", "module file without its directory, as in pam_unix.so"),
        Column("arguments", "VARCHAR[]", "arguments", free_text=True),
        Column("source", "VARCHAR", "file that the line is in"),
        Column("line", "BIGINT", "its line"),
    ),
    identity=("service", "type", "position"),
    operations=(_PAM,),
    examples=(
        "SELECT service FROM host_pam WHERE module = 'pam_unix.so' AND list_contains(arguments, 'nullok')",
    ),
)

_POLICY = Kind(
    name="host_password_policy",
    title="What is asked of a new password and after failed logins, as enforced by the PAM stacks",
    columns=(
        Column(
            "quality_module",
            "VARCHAR",
            "pam_pwquality, pam_cracklib, pam_passwdqc; NULL: none checks quality",
        ),
        Column(
            "quality_enforced",
            "BOOLEAN",
            "whether the password stack runs such a module as required or requisite",
        ),
        Column(
            "minlen",
            "BIGINT",
            "least length enforced; without a quality module that of pam_unix (6 by default)",
        ),
        Column("minclass", "BIGINT", "least number of character classes"),
        Column("dcredit", "BIGINT", "digits: below 0, at least so many"),
        Column("ucredit", "BIGINT", "upper case: below 0, at least so many"),
        Column("lcredit", "BIGINT", "lower case: below 0, at least so many"),
        Column("ocredit", "BIGINT", "other characters: below 0, at least so many"),
        Column("difok", "BIGINT", "characters that must differ from the old password"),
        Column("maxrepeat", "BIGINT", "same characters in a row allowed; 0: no limit"),
        Column("maxsequence", "BIGINT", "length of a monotonic run allowed; 0: no limit"),
        Column("dictcheck", "BOOLEAN", "whether a dictionary is looked through"),
        Column("usercheck", "BOOLEAN", "whether the login name in it is refused"),
        Column("enforcing", "BOOLEAN", "whether a weak password is refused, not only warned about"),
        Column("enforce_for_root", "BOOLEAN", "whether it holds for root too"),
        Column("retry", "BIGINT", "tries before giving up"),
        Column("remember", "BIGINT", "old passwords that may not come back; 0: none remembered"),
        Column(
            "hash_algorithm",
            "VARCHAR",
            "scheme for new hashes: yescrypt, sha512 … as pam_unix or login.defs says",
        ),
        Column("rounds", "BIGINT", "cost of the hash, where set"),
        Column("nullok", "BOOLEAN", "whether an empty password logs in"),
        Column("lockout_module", "VARCHAR", "pam_faillock, pam_tally2; NULL: none counts failures"),
        Column("deny", "BIGINT", "failures after which an account is locked; 0 or NULL: never"),
        Column("unlock_time", "BIGINT", "seconds until it opens again; 0: only an administrator opens it"),
        Column("fail_interval", "BIGINT", "seconds in which failures are counted together"),
        Column("even_deny_root", "BOOLEAN", "whether root is locked too"),
        Column("fail_delay", "BIGINT", "microseconds that a failure is delayed by pam_faildelay"),
        Column("su_restricted", "BOOLEAN", "whether su is kept to a group by pam_wheel"),
        Column("su_group", "VARCHAR", "that group"),
        Column("mfa_modules", "VARCHAR[]", "second-factor modules in auth stacks"),
        Column("sources", "VARCHAR[]", "file:line of what decided, in the order in which it was applied"),
    ),
    identity=(),
    operations=(_PAM,),
    examples=(
        "SELECT minlen >= 14 FROM host_password_policy",
        "SELECT deny, unlock_time FROM host_password_policy",
    ),
)

_LOGIN_DEFS = Kind(
    name="host_login_defs",
    title="Defaults for new accounts and logins (login.defs, useradd)",
    columns=(
        Column("installed", "BOOLEAN", "whether /etc/login.defs is there"),
        Column("pass_max_days", "BIGINT", "days after which a new account's password must be changed"),
        Column("pass_min_days", "BIGINT", "days before it may be changed"),
        Column("pass_warn_age", "BIGINT", "days of warning"),
        Column("pass_min_len", "BIGINT", "least length, where PAM is not used"),
        Column("encrypt_method", "VARCHAR", "hash scheme for new passwords"),
        Column("sha_crypt_min_rounds", "BIGINT", "least rounds of SHA schemes"),
        Column("sha_crypt_max_rounds", "BIGINT", "most rounds of SHA schemes"),
        Column("yescrypt_cost_factor", "BIGINT", "cost of yescrypt"),
        Column("umask", "VARCHAR", "mask for new files in octal, as in 027"),
        Column("home_mode", "VARCHAR", "permissions of new homes in octal"),
        Column("uid_min", "BIGINT", "first user number for people"),
        Column("uid_max", "BIGINT", "last user number for people"),
        Column("gid_min", "BIGINT", "first group number for people"),
        Column("login_retries", "BIGINT", "tries of a login on a console"),
        Column("login_timeout", "BIGINT", "seconds for such a login"),
        Column("fail_delay", "BIGINT", "seconds after a failure"),
        Column("faillog_enab", "BOOLEAN", "whether failures are logged"),
        Column("log_unkfail_enab", "BOOLEAN", "whether unknown names are logged (they can be passwords)"),
        Column("log_ok_logins", "BOOLEAN", "whether successes are logged"),
        Column("usergroups_enab", "BOOLEAN", "whether each user has a group of its own"),
        Column("create_home", "BOOLEAN", "whether homes are made for new users"),
        Column(
            "default_inactive",
            "BIGINT",
            "useradd: days after expiry until a new account is shut; -1 or NULL: never",
        ),
        Column("default_shell", "VARCHAR", "useradd: shell of new accounts"),
    ),
    identity=(),
    operations=(_PAM,),
    examples=("SELECT pass_max_days <= 365 FROM host_login_defs",),
)

_SHELL = Kind(
    name="host_shell",
    title="Shells that count as valid (/etc/shells)",
    columns=(
        Column("path", "VARCHAR", "the program"),
        Column("exists", "BOOLEAN", "whether it is there"),
        Column("line", "BIGINT", "line of /etc/shells"),
    ),
    identity=("path", "line"),
    operations=(_SHELLS,),
    examples=("SELECT path FROM host_shell WHERE path LIKE '%nologin'",),
)

_SHELL_DEFAULTS = Kind(
    name="host_shell_defaults",
    title="What login shells start with: umask and idle time-out",
    columns=(
        Column("umask", "VARCHAR", "mask that wins in the files every login shell reads; NULL: none sets it"),
        Column("umask_source", "VARCHAR", "file:line that sets it"),
        Column("umask_group_writable", "BOOLEAN", "whether new files can be written by their group"),
        Column("umask_world_readable", "BOOLEAN", "whether new files can be read by anyone"),
        Column("tmout", "BIGINT", "seconds of idleness after which a shell ends; 0: never; NULL: not set"),
        Column("tmout_readonly", "BOOLEAN", "whether users cannot change that"),
        Column("tmout_source", "VARCHAR", "file:line that sets it"),
        Column("pam_umask", "BOOLEAN", "whether PAM sets a mask at login"),
        Column("files", "VARCHAR[]", "files looked at, in the order in which shells read them"),
    ),
    identity=(),
    operations=(_SHELLS,),
    examples=("SELECT tmout BETWEEN 1 AND 900 AND tmout_readonly FROM host_shell_defaults",),
)

_LIMIT = Kind(
    name="host_limit",
    title="Limits of sessions (limits.conf and limits.d)",
    columns=(
        Column("source", "VARCHAR", "file"),
        Column("line", "BIGINT", "its line"),
        Column("domain", "VARCHAR", "whom it is for: a name, @group, * or a range"),
        Column("type", "VARCHAR", "soft, hard or - for both"),
        Column("item", "VARCHAR", "what is limited: core, nofile, maxlogins …"),
        Column("value", "VARCHAR", "the limit"),
    ),
    identity=("source", "line"),
    operations=(_LIMITS,),
    examples=("SELECT domain, value FROM host_limit WHERE item = 'maxlogins'",),
)

_CORE_DUMP = Kind(
    name="host_core_dump",
    title="Whether crashed programs leave their memory behind",
    columns=(
        Column("limit_hard", "VARCHAR", "hard core limit for everyone that wins; NULL: none set"),
        Column("limit_source", "VARCHAR", "file:line that sets it"),
        Column("suid_dumpable", "BIGINT", "fs.suid_dumpable; 0: privileged programs leave none"),
        Column("core_pattern", "VARCHAR", "where the kernel puts dumps", free_text=True),
        Column("systemd_coredump", "BOOLEAN", "whether systemd-coredump is installed"),
        Column("storage", "VARCHAR", "its Storage setting in effect"),
        Column("process_size_max", "VARCHAR", "its ProcessSizeMax setting in effect"),
        Column("restricted", "BOOLEAN", "hard limit 0 for everyone, or storage none: no dump is kept"),
    ),
    identity=(),
    operations=(_LIMITS,),
    examples=("SELECT restricted AND suid_dumpable = 0 FROM host_core_dump",),
)

KINDS: tuple[Kind, ...] = (_PAM_KIND, _POLICY, _LOGIN_DEFS, _SHELL, _SHELL_DEFAULTS, _LIMIT, _CORE_DUMP)
