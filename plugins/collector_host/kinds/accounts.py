"""Kinds about accounts: users, groups, password ageing, homes, keys that log in."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["KINDS"]

_ACCOUNTS = Operation("host:accounts", "root: reads /etc/shadow and /etc/gshadow; the rest is open to anyone")
_HOMES = Operation("host:homes", "root: looks into home directories that are closed to others")
_KEYS = Operation("host:keys", "root: reads authorized_keys of every account")

_STATUS = "set, locked (cannot match), empty (none needed) or none (no shadow line)"

_USER = Kind(
    name="host_user",
    title="Local accounts",
    columns=(
        Column("username", "VARCHAR", "login name", identity=Identity.LOGIN),
        Column("uid", "BIGINT", "user number"),
        Column("gid", "BIGINT", "number of the primary group"),
        Column(
            "description",
            "VARCHAR",
            "full name; NULL for accounts of the system, and where none is given",
            identity=Identity.PERSON_NAME,
        ),
        Column("directory", "VARCHAR", "home directory"),
        Column("shell", "VARCHAR", "login shell"),
        Column("groups", "VARCHAR[]", "names of all its groups, primary first"),
        Column(
            "system", "BOOLEAN", "whether its number is below the first one for people (login.defs), not root"
        ),
        Column(
            "login_shell", "BOOLEAN", "whether its shell lets it log in (not nologin, false, sync and such)"
        ),
        Column("shell_listed", "BOOLEAN", "whether its shell is in /etc/shells"),
        Column("password_status", "VARCHAR", _STATUS),
        Column("password_in_passwd", "BOOLEAN", "whether the passwd line itself holds a hash or is empty"),
        Column("expires_on", "DATE", "day from which the account is shut; NULL: never"),
        Column(
            "can_log_in",
            "BOOLEAN",
            "login shell, and a password that is set or empty; keys are host_authorized_key",
        ),
        Column("duplicate_uid", "BOOLEAN", "whether another line has the same number"),
        Column("duplicate_name", "BOOLEAN", "whether another line has the same name"),
        Column("group_exists", "BOOLEAN", "whether its primary group is in /etc/group"),
        Column("line", "BIGINT", "line of /etc/passwd"),
    ),
    identity=("username", "line"),
    operations=(_ACCOUNTS,),
    examples=(
        "SELECT username FROM host_user WHERE uid = 0 AND username <> 'root'",
        "SELECT username FROM host_user WHERE system AND can_log_in",
    ),
)

_GROUP = Kind(
    name="host_group",
    title="Local groups",
    columns=(
        Column("groupname", "VARCHAR", "name", identity=Identity.LOGIN),
        Column("gid", "BIGINT", "group number"),
        Column("members", "VARCHAR[]", "accounts listed as members", identity=Identity.LOGIN),
        Column("primary_members", "VARCHAR[]", "accounts whose primary group it is", identity=Identity.LOGIN),
        Column("unknown_members", "VARCHAR[]", "listed members without an account", identity=Identity.LOGIN),
        Column("password_status", "VARCHAR", _STATUS),
        Column(
            "administrators", "VARCHAR[]", "accounts that may change it (gshadow)", identity=Identity.LOGIN
        ),
        Column("duplicate_gid", "BOOLEAN", "whether another line has the same number"),
        Column("duplicate_name", "BOOLEAN", "whether another line has the same name"),
        Column("line", "BIGINT", "line of /etc/group"),
    ),
    identity=("groupname", "line"),
    operations=(_ACCOUNTS,),
    examples=("SELECT members FROM host_group WHERE groupname IN ('sudo', 'wheel', 'docker')",),
)

_SHADOW = Kind(
    name="host_shadow",
    title="Password ageing; the hash itself is cut on the target",
    columns=(
        Column("username", "VARCHAR", "login name", identity=Identity.LOGIN),
        Column("password_status", "VARCHAR", "set, locked (cannot match) or empty (none needed)"),
        Column("hash_alg", "VARCHAR", "id of the hash scheme: y, 6, 5, 2b, 1, des …; NULL: no hash"),
        Column("last_change", "DATE", "day of the last change; NULL: not recorded"),
        Column("must_change", "BOOLEAN", "whether the password must be changed at the next login"),
        Column("min", "BIGINT", "days before it may be changed; NULL: no limit"),
        Column("max", "BIGINT", "days after which it must be changed; NULL: no limit"),
        Column("warning", "BIGINT", "days of warning before that"),
        Column("inactive", "BIGINT", "days after that until the account is shut; NULL: never"),
        Column("expire", "DATE", "day from which the account is shut; NULL: never"),
        Column("has_user", "BOOLEAN", "whether /etc/passwd has the account"),
        Column("line", "BIGINT", "line of /etc/shadow"),
    ),
    identity=("username", "line"),
    operations=(_ACCOUNTS,),
    examples=(
        "SELECT username FROM host_shadow WHERE password_status = 'set' AND coalesce(max, 99999) > 365",
    ),
)

_NAME_SERVICE = Kind(
    name="host_name_service",
    title="Where names of users, groups and hosts are looked up, in order",
    columns=(
        Column("database", "VARCHAR", "passwd, group, shadow, hosts …"),
        Column("services", "VARCHAR[]", "sources in order, as in files, sss, ldap"),
        Column("remote", "BOOLEAN", "whether one of them asks another machine"),
    ),
    identity=("database",),
    operations=(_ACCOUNTS,),
    examples=("SELECT services FROM host_name_service WHERE database = 'passwd' AND remote",),
)

_HOME = Kind(
    name="host_home",
    title="Home directories of accounts that can log in",
    columns=(
        Column("username", "VARCHAR", "login name", identity=Identity.LOGIN),
        Column("directory", "VARCHAR", "home directory"),
        Column("exists", "BOOLEAN", "whether it is there"),
        Column("mode", "VARCHAR", "permissions in octal, as in 0750"),
        Column("owner_uid", "BIGINT", "number of its owner"),
        Column("owned_by_user", "BOOLEAN", "whether the account owns it"),
        Column("group_writable", "BOOLEAN", "whether its group may write"),
        Column("world_readable", "BOOLEAN", "whether anyone may read or enter it"),
        Column("world_writable", "BOOLEAN", "whether anyone may write"),
        Column(
            "risky_files", "VARCHAR[]", "of .rhosts, .shosts, .netrc, .forward, .pgpass: those that are there"
        ),
        Column("open_dot_files", "VARCHAR[]", "dot files that group or others may write"),
        Column("ssh_mode", "VARCHAR", "permissions of .ssh; NULL: not there"),
        Column("private_keys", "VARCHAR[]", "files in .ssh that hold a private key"),
        Column("unencrypted_private_keys", "VARCHAR[]", "those of them that no passphrase protects"),
    ),
    identity=("username",),
    operations=(_HOMES,),
    examples=("SELECT username, mode FROM host_home WHERE world_readable OR group_writable",),
)

_KEY = Kind(
    name="host_authorized_key",
    title="Public keys that may log in by SSH",
    columns=(
        Column("username", "VARCHAR", "account that the key opens", identity=Identity.LOGIN),
        Column("uid", "BIGINT", "its number"),
        Column("key_file", "VARCHAR", "file that lists the key"),
        Column("line", "BIGINT", "its line"),
        Column("algorithm", "VARCHAR", "key type, as in ssh-ed25519"),
        Column("bits", "BIGINT", "key size"),
        Column("fingerprint", "VARCHAR", "SHA256: and base64, as ssh-keygen shows it"),
        Column("comment", "VARCHAR", "comment; often a person's address", identity=Identity.MAIL),
        Column("options", "VARCHAR[]", "options before the key", free_text=True),
        Column("forced_command", "BOOLEAN", "whether it may run one command only"),
        Column("from_restricted", "BOOLEAN", "whether it works from named addresses only"),
        Column("certificate_authority", "BOOLEAN", "whether it signs other keys"),
        Column("expires_at", "TIMESTAMP", "when it stops working; NULL: never"),
        Column("file_mode", "VARCHAR", "permissions of the file in octal"),
        Column("file_owner_uid", "BIGINT", "owner of the file"),
        Column("file_writable_by_others", "BOOLEAN", "whether group or others may write the file"),
        Column("weak", "BOOLEAN", "DSA, or RSA below 2048 bits"),
    ),
    identity=("username", "key_file", "line"),
    operations=(_KEYS,),
    examples=("SELECT key_file, algorithm, bits FROM host_authorized_key WHERE weak",),
)

KINDS: tuple[Kind, ...] = (_USER, _GROUP, _SHADOW, _NAME_SERVICE, _HOME, _KEY)
