"""Whose signatures count: the trust file, and the key pair that `init` makes.

    [[key]]
    name = "acme audit host"
    purpose = "bundle"                # what it may sign; this is the only purpose so far
    file = "key.pub.pem"              # relative to the trust file; or key = the PEM itself in three quotes
    from = 2026-01-01T00:00:00Z       # optional
    until = 2028-01-01T00:00:00Z      # optional
    revoked = { at = 2027-03-01T00:00:00Z, reason = "host sold" }   # optional

A key inside a bundle is no reason to trust it: only what stands in this file is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collector.bundle.identity import PublicKey
from collector.canonical import dumps
from collector.model import ConfigError
from collector.toml import Table, read

__all__ = [
    "Revocation",
    "Trust",
    "TrustedKey",
    "generate_key",
    "load_trust",
    "public_path",
    "trust_entry",
    "trust_of_key",
]

_PURPOSES = ("bundle",)
_MAX_PEM = 10_000


@dataclass(frozen=True, slots=True)
class Revocation:
    """That a key no longer counts, since when, and why."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One key of a trust file, with the times between which what it signed counts."""

    name: str
    key: PublicKey
    purpose: str = "bundle"
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    revoked: Revocation | None = None

    def refusal(self, signed_at: datetime) -> str:
        """Why a good signature of this moment does not count, or "" if it does.

        A revoked key never counts: whoever has it can also choose the moment that he writes down.
        """
        if self.revoked:
            when = self.revoked.at.strftime("%Y-%m-%d")
            return f"the key is revoked since {when}: {self.revoked.reason}"
        if self.valid_from and signed_at < self.valid_from:
            return f"signed before {self.valid_from:%Y-%m-%d %H:%M} UTC, from when the key is trusted"
        if self.valid_until and signed_at > self.valid_until:
            return f"signed after {self.valid_until:%Y-%m-%d %H:%M} UTC, until when the key is trusted"
        return ""


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys whose signatures count. Refuses two of one fingerprint."""

    keys: tuple[TrustedKey, ...]

    def __post_init__(self) -> None:
        fingerprints = [each.key.fingerprint for each in self.keys]
        if len(set(fingerprints)) != len(fingerprints):
            raise ConfigError("trust: the same key stands twice")

    def find(self, fingerprint: str) -> TrustedKey | None:
        """The key of that fingerprint, if it is trusted."""
        return next((each for each in self.keys if each.key.fingerprint == fingerprint), None)


def load_trust(path: Path) -> Trust:
    """Read a trust file. Raises ConfigError that names file, line and key."""
    document = read(path)
    top = Table(document, document.data)
    keys = tuple(_trusted(table, path.parent) for table in top.tables("key"))
    top.finish()
    if not keys:
        raise ConfigError(f"{path}: no key; it needs at least one [[key]] table")
    _refuse_twins(keys, path)
    return Trust(keys)


def trust_of_key(path: Path) -> Trust:
    """Trust one public key in a PEM file, and it alone. Raises ConfigError if it is none."""
    return Trust((TrustedKey(path.name, _public(_read_pem(path), str(path))),))


def trust_entry(public_pem: str, name: str) -> str:
    """A trust file's table for a public key. Raises ValueError if it is none."""
    key = PublicKey.from_pem(public_pem)
    return (
        f"# {key.fingerprint}\n"
        "[[key]]\n"
        f"name = {dumps(name).decode()}\n"  # JSON's strings are TOML's too
        'purpose = "bundle"\n'
        f'key = """\n{key.pem}"""\n'
    )


def public_path(path: Path) -> Path:
    """Where the public half of a key file lies: `key.pub.pem` beside `key.pem`."""
    return path.with_name(f"{path.stem}.pub{path.suffix or '.pem'}")


def generate_key(path: Path) -> PublicKey:
    """Make an Ed25519 key pair: `path` for this user alone, and its public half beside it.

    Raises:
        FileExistsError: one of both exists; neither is replaced.
        OSError: they cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    beside = public_path(path)
    if os.path.lexists(beside):
        raise FileExistsError(f"{beside} exists")
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _create(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _create(beside, public, 0o644)
    return PublicKey.from_pem(public.decode())


def _create(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _trusted(table: Table, folder: Path) -> TrustedKey:
    revoked = table.table("revoked", None)
    entry = TrustedKey(
        name=table.string("name"),
        key=_key(table, folder),
        purpose=table.string("purpose", "bundle", choices=_PURPOSES),
        valid_from=_moment(table, "from"),
        valid_until=_moment(table, "until"),
        revoked=_revocation(revoked) if revoked is not None else None,
    )
    table.finish()
    return entry


def _key(table: Table, folder: Path) -> PublicKey:
    pem, file = table.string("key", None), table.string("file", None)
    if (pem is None) == (file is None):
        raise table.wrong("a key needs either `key` (the PEM itself) or `file`")
    if file is not None:
        path = folder / Path(file).expanduser()
        return _public(_read_pem(path), f"{table.where('file')}: {path}")
    return _public(str(pem), f"{table.where('key')}: key")


def _public(pem: str, where: str) -> PublicKey:
    try:
        return PublicKey.from_pem(pem)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _read_pem(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_PEM).decode("ascii")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a public key in PEM") from None


def _revocation(table: Table) -> Revocation:
    at = _moment(table, "at")
    if at is None:
        raise table.wrong("must say when, as in at = 2027-03-01T00:00:00Z", "at")
    revocation = Revocation(at, table.string("reason"))
    table.finish()
    return revocation


def _moment(table: Table, key: str) -> datetime | None:
    value = table.value(key, None)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise table.wrong("must be a time such as 2027-03-01T00:00:00Z", key) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refuse_twins(keys: Iterable[TrustedKey], path: Path) -> None:
    seen: dict[str, str] = {}
    for each in keys:
        other = seen.setdefault(each.key.fingerprint, each.name)
        if other != each.name:
            raise ConfigError(f"{path}: keys {other} and {each.name} are the same key")
