"""Home directories and the keys that log in by SSH (authorized_keys, sshd(8))."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames, Line
from ..rows import Hide, Item, Miss, Row, cannot_read, column_gaps, integer, malformed
from .accounts import User, hide_gecos, users

__all__ = ["homes", "keys"]

_RISKY = (".rhosts", ".shosts", ".netrc", ".forward", ".pgpass")
_WRITABLE = 0o022
_LEAST_RSA = 2048
_KEY_TYPE = re.compile(r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]{1,60}\Z")
_SIZES = {"ssh-ed25519": 256, "sk-ssh-ed25519@openssh.com": 256, "sk-ecdsa-sha2-nistp256@openssh.com": 256}


def _logins(frames: Frames) -> list[User]:
    return [user for user in users(frames.file("/etc/passwd")) if isinstance(user, User)]


def homes(frames: Frames) -> Iterator[Item]:
    """The section `homes`: host_home, one row for each account with a login shell."""
    passwd = frames.file("/etc/passwd")
    if passwd.unknown or not passwd.exists:
        yield Miss("host_home", *cannot_read(frames, passwd))
    seen: set[str] = set()
    for user in _logins(frames):
        if not user.login_shell or user.name in seen:
            continue
        seen.add(user.name)
        yield _home(frames, user)
    for line in users(passwd):
        if isinstance(line, User):
            yield from hide_gecos(line)


def _home(frames: Frames, user: User) -> Row:
    data: dict[str, Json] = {"username": user.name, "directory": user.home}
    home = frames.files.get(user.home)
    if home is None:
        why = "its home is not an absolute path, or holds white space"
        return Row("host_home", user.name, data, column_gaps(("exists", "mode"), Outcome.UNSUPPORTED, why))
    if not home.exists:
        gaps = column_gaps(_ALL, *cannot_read(frames, home)) if home.unknown else ()
        return Row("host_home", user.name, data if home.unknown else data | {"exists": False}, gaps)
    data |= {
        "exists": True,
        "mode": home.mode,
        "owner_uid": home.uid,
        "owned_by_user": home.uid == user.uid,
        "group_writable": home.has(0o020),
        "world_readable": home.has(0o005),
        "world_writable": home.has(0o002),
    }
    listed = frames.folders.get(user.home)
    if listed is not None and listed.status == "denied":
        why = f"needs root to look into {user.home}"
        return Row("host_home", user.name, data, column_gaps(_INSIDE, Outcome.DENIED, why))
    if listed is not None and listed.status == "budget":
        why = f"{user.home}: more files than are looked at in one folder"
        return Row("host_home", user.name, data, column_gaps(_INSIDE, Outcome.BUDGET, why))
    inside, gaps = _inside(frames, user)
    return Row("host_home", user.name, data | inside, gaps)


def _inside(frames: Frames, user: User) -> tuple[dict[str, Json], tuple[ColumnGap, ...]]:
    """What a home holds that matters, and what of it could not be looked at."""
    dots = [file for file in frames.below(user.home) if file.name.startswith(".")]
    ssh = next((file for file in dots if file.name == ".ssh"), None)
    keys_there = frames.below(f"{user.home}/.ssh")
    private = [file for file in keys_there if file.lines]
    gaps: tuple[ColumnGap, ...] = ()
    closed = frames.folders.get(f"{user.home}/.ssh")
    if closed is not None and closed.status not in ("ok", "missing"):
        gaps = column_gaps(_KEYS, Outcome.DENIED, f"needs root to look into {user.home}/.ssh")
    for file in keys_there:
        if file.unknown:
            gaps = column_gaps(_KEYS, *cannot_read(frames, file))
    data: dict[str, Json] = {
        "risky_files": [file.name for file in dots if file.name in _RISKY],
        "open_dot_files": [file.name for file in dots if file.kind == "regular" and file.has(_WRITABLE)],
        "ssh_mode": ssh.mode if ssh else None,
        "private_keys": [file.name for file in private],
        "unencrypted_private_keys": [file.name for file in private if file.lines[0].text == "unencrypted"],
    }
    return data, gaps


_KEYS = ("private_keys", "unencrypted_private_keys")
_INSIDE = ("risky_files", "open_dot_files", "ssh_mode", *_KEYS)
_ALL = (
    "exists",
    "mode",
    "owner_uid",
    "owned_by_user",
    "group_writable",
    "world_readable",
    "world_writable",
    *_INSIDE,
)


# --- authorized_keys ---------------------------------------------------------------------------------


def _split_options(text: str) -> tuple[list[str], str]:
    """Options before a key, and the rest: commas separate, spaces end them, quotes protect both."""
    options: list[str] = []
    current = ""
    quoted = False
    for place, character in enumerate(text):
        if character == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        if not quoted and character == ",":
            options.append(current)
            current = ""
        elif not quoted and character in " \t":
            return [*options, current], text[place:].strip()
        else:
            current += character
    return [*options, current], ""


def _parts(blob: bytes) -> Iterator[bytes]:
    """The length-prefixed strings of a public key (RFC 4253, section 6.6)."""
    at = 0
    while at + 4 <= len(blob):
        (size,) = struct.unpack_from(">I", blob, at)
        if size > len(blob) - at - 4:
            return
        yield blob[at + 4 : at + 4 + size]
        at += 4 + size


def _bits(algorithm: str, blob: bytes) -> int | None:
    if algorithm in _SIZES:
        return _SIZES[algorithm]
    if match := re.search(r"nistp(\d{3})", algorithm):
        return int(match[1])
    parts = list(_parts(blob))
    place = {"ssh-rsa": 2, "ssh-dss": 1}.get(algorithm)
    if place is None or len(parts) <= place:
        return None
    return int.from_bytes(parts[place]).bit_length()


def _expiry(options: list[str]) -> str | None:
    for option in options:
        if match := re.match(r'expiry-time="?(\d{8})(\d{4})?(\d{2})?Z?"?\Z', option, re.IGNORECASE):
            digits = match[1] + (match[2] or "0000") + (match[3] or "00")
            try:
                return (
                    datetime.strptime(digits, "%Y%m%d%H%M%S")
                    .replace(tzinfo=UTC)
                    .strftime("%Y-%m-%dT%H:%M:%SZ")
                )
            except ValueError:
                return None
    return None


def _key(text: str) -> dict[str, Json] | None:
    """One line of authorized_keys: `[options] type base64 [comment]`; None where it is none."""
    options: list[str] = []
    if not _KEY_TYPE.match(text.split(None, 1)[0]):
        options, text = _split_options(text)
    words = text.split(None, 2)
    if len(words) < 2 or not _KEY_TYPE.match(words[0]):
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    inner = next(_parts(blob), b"")
    if inner != words[0].encode():
        return None
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    bits = _bits(words[0], blob)
    lower = [option.lower() for option in options]
    return {
        "algorithm": words[0],
        "bits": bits,
        "fingerprint": f"SHA256:{digest}",
        "comment": words[2].strip() if len(words) > 2 else None,
        "options": options,
        "forced_command": any(option.startswith("command=") for option in lower),
        "from_restricted": any(option.startswith("from=") for option in lower),
        "certificate_authority": "cert-authority" in lower,
        "expires_at": _expiry(options),
        "weak": words[0] == "ssh-dss" or (words[0] == "ssh-rsa" and (bits or 0) < _LEAST_RSA),
    }


def keys(frames: Frames) -> Iterator[Item]:
    """The section `keys`: host_authorized_key."""
    uids = {user.name: user.uid for user in reversed(_logins(frames))}
    for pair in frames.values("user"):
        name, _, path = pair.partition(":")
        file = frames.file(path)
        if file.unknown:
            reason, detail = cannot_read(frames, file)
            yield Miss("host_authorized_key", reason, f"{detail} (account {name})")
        for line in file.lines if file.readable else []:
            yield from _key_row(name, uids.get(name), file, line)
    for user in _logins(frames):
        yield from hide_gecos(user)
    passwd = frames.file("/etc/passwd")
    if not passwd.readable:
        yield Miss("host_authorized_key", *cannot_read(frames, passwd))


def _key_row(name: str, uid: int | None, file: File, line: Line) -> Iterator[Item]:
    text = line.text.strip()
    if not text or text.startswith("#"):
        return
    found = _key(text)
    if found is None:
        yield malformed("host_authorized_key", file.path, line, "no public key")
        yield Hide(line.at, line.at + len(line.text), "secret")
        return
    data: dict[str, Json] = {
        "username": name,
        "uid": integer(str(uid)),
        "key_file": file.path,
        "line": line.number,
        **found,
        "file_mode": file.mode,
        "file_owner_uid": file.uid,
        "file_writable_by_others": file.has(_WRITABLE),
    }
    yield Row("host_authorized_key", f"{name}:{file.path}:{line.number}", data)
    if comment := found["comment"]:
        start = line.at + line.text.rindex(comment)
        yield Hide(start, start + len(comment), "mail")
