"""Users, groups, password ageing and name services (passwd(5), shadow(5), group(5), nsswitch.conf(5))."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames, Line
from ..rows import Hide, Item, Miss, Row, cannot_read, column_gaps, day, integer, malformed, unread

__all__ = ["User", "accounts", "hide_gecos", "users"]

_T = TypeVar("_T")

_PASSWD_FIELDS = 7
_SHADOW_FIELDS = 9
_GROUP_FIELDS = 4
_NOBODY = 65534
_NO_LOGIN = re.compile(r"/(nologin|false|true|sync|shutdown|halt)$")
# Name services that add accounts which no local file lists.
_ACCOUNT_SERVICES = set("sss ldap nis nisplus winbind oslogin cache_oslogin google hesiod extrausers".split())
_REMOTE = set(
    "sss ldap nis nisplus winbind dns mdns mdns4 mdns_minimal mdns4_minimal resolve wins google oslogin"
    " cache_oslogin hesiod".split()
)


@dataclass(frozen=True, slots=True)
class User:
    """One line of /etc/passwd, the hash already told by the probe as a state."""

    line: Line
    name: str
    password: str
    uid: int
    gid: int
    gecos: str
    home: str
    shell: str

    @property
    def login_shell(self) -> bool:
        """Whether its shell lets it log in; an empty one means /bin/sh."""
        return not _NO_LOGIN.search(self.shell)


def users(file: File) -> Iterator[User | Line]:
    """Read /etc/passwd; lines that make no sense come back as they are."""
    for line in file.lines:
        if line.text.startswith("#") or not line.text.strip():
            continue
        if line.text[0] in "+-":
            continue  # compat entries for NIS name no account; nsswitch.conf tells that NIS is asked
        fields = line.text.split(":")
        if len(fields) != _PASSWD_FIELDS:
            yield line
            continue
        uid, gid = integer(fields[2]), integer(fields[3])
        if not fields[0] or uid is None or gid is None:
            yield line
            continue
        yield User(line, fields[0], fields[1], uid, gid, fields[4], fields[5], fields[6])


def _status(password: str) -> str:
    """The probe's word for a password field, without the scheme."""
    return {"shadow": "none"}.get(password, password.partition(".")[0])


def _scheme(password: str) -> str | None:
    return password.partition(".")[2] or None


@dataclass(frozen=True, slots=True)
class _Shadow:
    line: Line
    name: str
    password: str
    numbers: tuple[int | None, ...]


def _shadows(file: File) -> Iterator[_Shadow | Line]:
    for line in file.lines:
        if line.text.startswith("#") or not line.text.strip():
            continue
        fields = line.text.split(":")
        numbers = tuple(integer(field) for field in fields[2:8])
        broken = len(fields) != _SHADOW_FIELDS or any(
            value is None and field for value, field in zip(numbers, fields[2:8], strict=True)
        )
        if broken or not fields[0]:
            yield line
            continue
        yield _Shadow(line, fields[0], fields[1], numbers)


def _first_uid(frames: Frames) -> int:
    for line in frames.file("/etc/login.defs").lines:
        words = line.text.split()
        if len(words) > 1 and words[0] == "UID_MIN":
            return integer(words[1]) or 1000
    return 1000


@dataclass(slots=True)
class _Group:
    line: Line
    name: str
    password: str
    gid: int
    members: list[str]


def _groups(file: File) -> Iterator[_Group | Line]:
    for line in file.lines:
        if line.text.startswith("#") or not line.text.strip() or line.text[0] in "+-":
            continue
        fields = line.text.split(":")
        gid = integer(fields[2]) if len(fields) == _GROUP_FIELDS else None
        if gid is None or not fields[0]:
            yield line
            continue
        members = [name.strip() for name in fields[3].split(",") if name.strip()]
        yield _Group(line, fields[0], fields[1], gid, members)


class _Accounts:
    """All files of the section, read once."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.bad: list[Miss] = []
        passwd, group = frames.file("/etc/passwd"), frames.file("/etc/group")
        shadow, gshadow = frames.file("/etc/shadow"), frames.file("/etc/gshadow")
        self.users = list(self._kept(users(passwd), passwd, "host_user", User))
        self.groups = list(self._kept(_groups(group), group, "host_group", _Group))
        self.shadows = list(self._kept(_shadows(shadow), shadow, "host_shadow", _Shadow))
        self.gshadow = {
            fields[0]: fields
            for line in gshadow.lines
            if len(fields := line.text.split(":")) == _GROUP_FIELDS
        }
        self.by_name: dict[str, _Shadow] = {}
        for entry in self.shadows:
            self.by_name.setdefault(entry.name, entry)

    def _kept(self, found: Iterator[_T | Line], file: File, kind: str, wanted: type[_T]) -> Iterator[_T]:
        for item in found:
            if isinstance(item, wanted):
                yield item
            elif isinstance(item, Line):
                self.bad.append(
                    malformed(kind, file.path, item, "wrong number of fields, or no number where one is due")
                )


def accounts(frames: Frames) -> Iterator[Item]:
    """The section `accounts`: host_user, host_group, host_shadow, host_name_service."""
    known = _Accounts(frames)
    yield from known.bad
    yield from _user_rows(known)
    yield from _group_rows(known)
    yield from _shadow_rows(known)
    yield from _name_services(frames)
    yield from unread(frames, "host_user", lambda path: path == "/etc/passwd")
    yield from unread(frames, "host_group", lambda path: path == "/etc/group")
    yield from unread(frames, "host_shadow", lambda path: path == "/etc/shadow")


def _user_rows(known: _Accounts) -> Iterator[Item]:
    uids = Counter(user.uid for user in known.users)
    names = Counter(user.name for user in known.users)
    group_names = {group.gid: group.name for group in reversed(known.groups)}
    listed = {line.text.strip() for line in known.frames.file("/etc/shells").lines}
    first_uid = _first_uid(known.frames)
    for user in known.users:
        system = 0 < user.uid < first_uid or user.uid == _NOBODY
        primary = group_names.get(user.gid)
        others = [
            group.name for group in known.groups if user.name in group.members and group.name != primary
        ]
        password, gaps = _password_columns(known, user)
        data: dict[str, Json] = {
            "username": user.name,
            "uid": user.uid,
            "gid": user.gid,
            "description": _person(user, system),
            "directory": user.home,
            "shell": user.shell,
            "groups": [*([primary] if primary else []), *others],
            "system": system,
            "login_shell": user.login_shell,
            "shell_listed": (user.shell or "/bin/sh") in listed,
            "duplicate_uid": uids[user.uid] > 1,
            "duplicate_name": names[user.name] > 1,
            "group_exists": primary is not None,
            "line": user.line.number,
            **password,
        }
        key = user.name if names[user.name] == 1 else f"{user.name}#{user.line.number}"
        yield Row("host_user", key, data, gaps)
        yield from hide_gecos(user)


def _password_columns(known: _Accounts, user: User) -> tuple[dict[str, Json], tuple[ColumnGap, ...]]:
    """What is known of a user's password, from passwd itself or from shadow, where passwd says so."""
    shadow, entry = known.frames.file("/etc/shadow"), known.by_name.get(user.name)
    elsewhere = user.password == "shadow"  # noqa: S105 - the probe's word for "see /etc/shadow"
    status = _status(entry.password if entry and elsewhere else user.password)
    gaps: tuple[ColumnGap, ...] = ()
    if elsewhere and shadow.unknown:
        columns = ("password_status", "expires_on", *(("can_log_in",) if user.login_shell else ()))
        gaps = column_gaps(columns, *cannot_read(known.frames, shadow))
        status = ""
    data: dict[str, Json] = {
        "password_status": status or None,
        "password_in_passwd": not elsewhere and _status(user.password) != "locked",
        "expires_on": day(entry.numbers[5]) if entry else None,
        "can_log_in": user.login_shell and (status in ("set", "empty") if status else None),
    }
    return data, gaps


def hide_gecos(user: User) -> Iterator[Hide]:
    """The comment field of a passwd line: a person's name, room and telephone."""
    if user.gecos and not _names_itself(user):
        start = user.line.at + len(":".join((user.name, user.password, *user.line.text.split(":")[2:4]))) + 1
        yield Hide(start, start + len(user.gecos), "person_name")


def _names_itself(user: User) -> bool:
    return user.gecos.strip(" ,").lower() in ("", user.name.lower())


def _person(user: User, system: bool) -> str | None:
    """The full name of a person. What a system's account says of itself ("Mailing List Manager") is none,
    and as a name it would be looked for, and replaced, in every text."""
    return None if system or _names_itself(user) else user.gecos.split(",")[0].strip() or None


def _group_rows(known: _Accounts) -> Iterator[Item]:
    gshadow = known.frames.file("/etc/gshadow")
    accounts_known = {user.name for user in known.users}
    gids = Counter(group.gid for group in known.groups)
    names = Counter(group.name for group in known.groups)
    for group in known.groups:
        shadow = known.gshadow.get(group.name)
        gaps: tuple[ColumnGap, ...] = ()
        password: str | None = group.password
        if group.password == "shadow":  # noqa: S105 - the word for "see /etc/gshadow"
            password = shadow[1] if shadow else "none"
            if gshadow.unknown:
                gaps = column_gaps(("password_status", "administrators"), *cannot_read(known.frames, gshadow))
                password = None
        data: dict[str, Json] = {
            "groupname": group.name,
            "gid": group.gid,
            "members": group.members,
            "primary_members": [user.name for user in known.users if user.gid == group.gid],
            "unknown_members": [name for name in group.members if name not in accounts_known],
            "password_status": _status(password) if password is not None else None,
            "administrators": [name for name in shadow[2].split(",") if name] if shadow else [],
            "duplicate_gid": gids[group.gid] > 1,
            "duplicate_name": names[group.name] > 1,
            "line": group.line.number,
        }
        key = group.name if names[group.name] == 1 else f"{group.name}#{group.line.number}"
        yield Row("host_group", key, data, gaps)


def _shadow_rows(known: _Accounts) -> Iterator[Item]:
    names = Counter(entry.name for entry in known.shadows)
    accounts_known = {user.name for user in known.users}
    for entry in known.shadows:
        changed, least, most, warning, inactive, expire = entry.numbers
        data: dict[str, Json] = {
            "username": entry.name,
            "password_status": _status(entry.password),
            "hash_alg": _scheme(entry.password),
            "last_change": day(changed) if changed else None,
            "must_change": changed == 0,
            "min": least,
            "max": most,
            "warning": warning,
            "inactive": inactive,
            "expire": day(expire),
            "has_user": entry.name in accounts_known,
            "line": entry.line.number,
        }
        yield Row(
            "host_shadow", entry.name if names[entry.name] == 1 else f"{entry.name}#{entry.line.number}", data
        )


def _name_services(frames: Frames) -> Iterator[Item]:
    file = frames.file("/etc/nsswitch.conf")
    seen: set[str] = set()
    for line in file.lines:
        text = line.text.partition("#")[0].strip()
        if not text:
            continue
        database, colon, rest = text.partition(":")
        if not colon:
            yield malformed("host_name_service", file.path, line, "no database")
            continue
        services = re.sub(r"\[[^\]]*\]", " ", rest).split()
        name = database.strip()
        data = {"database": name, "services": services, "remote": bool(_REMOTE & set(services))}
        if name in seen:
            yield malformed("host_name_service", file.path, line, "database named twice")
            continue
        seen.add(name)
        yield Row("host_name_service", name, data)
        for service in sorted(_ACCOUNT_SERVICES & set(services)):
            if name in ("passwd", "group"):
                kind = "host_user" if name == "passwd" else "host_group"
                why = f"{file.path}:{line.number}: accounts that {service} adds are not listed"
                yield Miss(kind, Outcome.UNSUPPORTED, why)
    yield from unread(frames, "host_name_service", lambda path: path == file.path)
