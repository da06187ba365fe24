"""Whose signatures count: the trust file.

    signers = 2                       # optional: that an agent and a witness must have signed; 1 if left out
    stamps = 1                        # optional: how many of the authorities must have stamped; 0 if left out

    [[key]]
    name = "acme audit host"
    purpose = "bundle"                # "bundle": the agent's; "witness": somebody's who signs beside it
    file = "key.pub.pem"              # relative to the trust file; or key = the PEM itself in three quotes
    from = 2026-01-01T00:00:00Z       # optional
    until = 2028-01-01T00:00:00Z      # optional
    revoked = { at = 2027-03-01T00:00:00Z, reason = "host sold" }   # optional

    [[identity]]                      # optional: a name in place of a key, as Sigstore's Fulcio certifies it
    name = "acme's workflow"
    issuer = "https://token.actions.githubusercontent.com"
    subject = "https://github.com/acme/audit/.github/workflows/nightly.yml@refs/heads/main"
    root = "trusted_root.json"        # by whom it must be certified; the rest as of a key

    [[authority]]                     # optional: whose time stamps count
    name = "acme time"
    file = "acme-time.pem"            # its root certificates, intermediate ones too if need be

A key inside a bundle is no reason to trust it: only what stands in this file is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collector.bundle.identity import PublicKey
from collector.bundle.keyless import Identity, check_certified
from collector.bundle.roots import MAX_ROOT, roots_in
from collector.canonical import dumps
from collector.model import ConfigError
from collector.toml import Document, Table, read, shown_path

__all__ = [
    "PURPOSES",
    "Authority",
    "Revocation",
    "Trust",
    "TrustedKey",
    "certificates_in",
    "load_trust",
    "trust_entry",
    "trust_in",
    "trust_of_key",
]

PURPOSES = ("bundle", "witness")
_MAX_PEM = 10_000
_MAX_CERTIFICATES = 256 * 2**10  # a root and its intermediates are a twentieth of it
_MOST_SIGNERS = 2  # the agent and a witness: an envelope holds no more
_MOST_STAMPS = 8  # as many authorities as a bundle may be stamped by


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

    def refusal(self, signed_at: datetime, stamped_at: datetime | None = None) -> str:
        """Why a good signature of this moment does not count, or "" if it does.

        A revoked key counts for what was stamped before, and for nothing else: whoever has the key can
        choose the moment that he writes down, but not the one that an authority does. For the same
        reason the key's time is held against the stamp's moment wherever there is one.

        Args:
            signed_at: when it was signed, by the signer's own word.
            stamped_at: by when it was signed, as an authority's verified stamp says; None without one.
        """
        if self.revoked and not (stamped_at and stamped_at < self.revoked.at):
            unproven = ", and no stamp proves an earlier signature" if stamped_at is None else ""
            return f"the key is revoked since {_shown(self.revoked.at)}: {self.revoked.reason}{unproven}"
        word, moment = ("stamped", stamped_at) if stamped_at else ("signed", signed_at)
        if self.valid_from and moment < self.valid_from:
            return f"{word} before {_shown(self.valid_from)}, from when the key is trusted"
        if self.valid_until and moment > self.valid_until:
            return f"{word} after {_shown(self.valid_until)}, until when the key is trusted"
        return ""


@dataclass(frozen=True, slots=True)
class Authority:
    """A time stamp authority whose word counts: its root and intermediate certificates in DER."""

    name: str
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys whose signatures count, and what they must come with.

    Refuses two keys of one fingerprint, and a number that the keys or authorities cannot reach.

    Attributes:
        keys: whose signatures count.
        authorities: whose stamps count.
        stamps_required: how many of the authorities must have stamped a bundle.
        signers: how many of the keys and identities must have signed it.
        identities: names that count in place of a key.
    """

    keys: tuple[TrustedKey, ...]
    authorities: tuple[Authority, ...] = ()
    stamps_required: int = 0
    signers: int = 1
    identities: tuple[Identity, ...] = ()

    def __post_init__(self) -> None:
        fingerprints = [each.key.fingerprint for each in self.keys]
        if len(set(fingerprints)) != len(fingerprints):
            raise ConfigError("trust: the same key stands twice")
        if len({each.name for each in self.authorities}) != len(self.authorities):
            raise ConfigError("trust: two authorities of one name")
        if not 1 <= self.signers <= len(self.keys) + len(self.identities):
            known = f"{len(self.keys)} keys and {len(self.identities)} identities"
            raise ConfigError(f"trust: {self.signers} signers are required of {known}")
        if self.signers > 1 and not _both((*self.keys, *self.identities)):
            raise ConfigError("trust: 2 signers are required, and there is no witness beside an agent")
        if not 0 <= self.stamps_required <= len(self.authorities):
            raise ConfigError(
                f"trust: {self.stamps_required} stamps are required of {len(self.authorities)} authorities"
            )

    def find(self, fingerprint: str) -> TrustedKey | None:
        """The key of that fingerprint, if it is trusted."""
        return next((each for each in self.keys if each.key.fingerprint == fingerprint), None)

    def certified(
        self, certificates: Sequence[str], key: PublicKey, stamped_at: datetime | None
    ) -> TrustedKey:
        """The key of a certificate, as trusted as the identity that it is for.

        Args:
            certificates: those of the statement, in PEM, the signer's own first.
            key: the signer's.
            stamped_at: by when it was signed, as an authority's verified stamp says; None without one.

        Raises:
            ValueError: no identity vouches for it; why, in one line.
        """
        if not self.identities:
            raise ValueError("the trust file has no [[identity]]")
        if stamped_at is None:
            raise ValueError("no stamp by a trusted authority shows that its certificate was valid then")
        reasons = []
        for each in self.identities:
            try:
                check_certified(each, certificates, key, stamped_at)
            except ValueError as error:
                reasons.append(f"{each.name}: {error}")
                continue
            return TrustedKey(each.name, key, each.purpose, each.valid_from, each.valid_until, each.revoked)
        raise ValueError("; ".join(reasons))


def _both(known: Iterable[TrustedKey | Identity]) -> bool:
    return {each.purpose for each in known} == set(PURPOSES)


def load_trust(path: Path) -> Trust:
    """Read a trust file. Raises ConfigError that names file, line and key."""
    return trust_in(read(path))


def trust_in(document: Document) -> Trust:
    """What a trust file's text says; the files that it names are read. Raises ConfigError as `load_trust`."""
    top, path = Table(document, document.data), document.path
    keys = tuple(_trusted(table, path.parent) for table in top.tables("key"))
    authorities = tuple(_authority(table, path.parent) for table in top.tables("authority"))
    identities = tuple(_identity(table, path.parent) for table in top.tables("identity"))
    stamps = top.integer("stamps", 0, most=_MOST_STAMPS)
    signers = top.integer("signers", 1, least=1, most=_MOST_SIGNERS)
    top.finish()
    if not keys and not identities:
        raise ConfigError(f"{path}: no key; it needs at least one [[key]] or [[identity]] table")
    _refuse_twins(keys, path)
    if len({each.name for each in authorities}) != len(authorities):
        raise top.wrong("two authorities of one name", "authority")
    if signers > (most := len(keys) + len(identities)):
        raise top.wrong(f"more than there are [[key]] and [[identity]] tables, which are {most}", "signers")
    if signers > 1 and not _both((*keys, *identities)):
        raise top.wrong('2 need one with purpose = "bundle" and one with purpose = "witness"', "signers")
    if stamps > len(authorities):
        raise top.wrong(f"more than there are [[authority]] tables, which are {len(authorities)}", "stamps")
    return Trust(keys, authorities, stamps, signers, identities)


def trust_of_key(path: Path) -> Trust:
    """Trust one public key in a PEM file, and it alone. Raises ConfigError if it is none."""
    return Trust((TrustedKey(path.name, _public(_read_pem(path), str(path))),))


def trust_entry(public_pem: str, name: str, purpose: str = "bundle") -> str:
    """A trust file's table for a public key. Raises ValueError if it is none."""
    key = PublicKey.from_pem(public_pem)
    return (
        f"# {key.fingerprint}\n"
        "[[key]]\n"
        f"name = {dumps(name).decode()}\n"  # JSON's strings are TOML's too
        f'purpose = "{purpose}"\n'
        f'key = """\n{key.pem}"""\n'
    )


def _trusted(table: Table, folder: Path) -> TrustedKey:
    revoked = table.table("revoked", None)
    entry = TrustedKey(
        name=table.string("name"),
        key=_key(table, folder),
        purpose=table.string("purpose", "bundle", choices=PURPOSES),
        valid_from=_moment(table, "from"),
        valid_until=_moment(table, "until"),
        revoked=_revocation(revoked) if revoked is not None else None,
    )
    table.finish()
    return entry


def _identity(table: Table, folder: Path) -> Identity:
    revoked = table.table("revoked", None)
    root = table.string("root")
    path = folder / Path(root).expanduser()
    entry = Identity(
        name=table.string("name"),
        issuer=table.string("issuer"),
        subject=table.string("subject"),
        roots=roots_in(_read(path, MAX_ROOT), f"{table.where('root')}: {shown_path(path)}"),
        purpose=table.string("purpose", "bundle", choices=PURPOSES),
        valid_from=_moment(table, "from"),
        valid_until=_moment(table, "until"),
        revoked=_revocation(revoked) if revoked is not None else None,
    )
    table.finish()
    return entry


def _authority(table: Table, folder: Path) -> Authority:
    name, file = table.string("name"), table.string("file")
    table.finish()
    path = folder / Path(file).expanduser()
    return Authority(name, certificates_in(path, f"{table.where('file')}: {shown_path(path)}"))


def certificates_in(path: Path, where: str) -> tuple[bytes, ...]:
    """The certificates of a PEM file, in DER. Raises ConfigError that begins with `where`."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates

    data = _read(path, _MAX_CERTIFICATES)
    if b"PRIVATE KEY" in data:
        raise ConfigError(f"{where}: a private key, where only certificates belong")
    try:
        return tuple(each.public_bytes(Encoding.DER) for each in load_pem_x509_certificates(data))
    except ValueError:
        raise ConfigError(f"{where}: not certificates in PEM") from None


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
        return _read(path, _MAX_PEM).decode("ascii")
    except UnicodeDecodeError:
        raise ConfigError(f"{shown_path(path)}: not a public key in PEM") from None


def _read(path: Path, limit: int) -> bytes:
    """A small file; larger ones are refused. Not blocking, as a named pipe would."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{shown_path(path)}: not a regular file")
            data = file.read(limit + 1)
    except OSError as error:
        raise ConfigError(f"{shown_path(path)}: {error.strerror}") from None
    except ValueError:  # a NUL in the path
        raise ConfigError(f"{shown_path(path)}: no path of a file") from None
    if len(data) > limit:
        raise ConfigError(f"{shown_path(path)}: larger than {limit} bytes")
    return data


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
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise table.wrong("must be a time such as 2027-03-01T00:00:00Z", key) from None


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _refuse_twins(keys: Iterable[TrustedKey], path: Path) -> None:
    seen: dict[str, str] = {}
    for each in keys:
        other = seen.setdefault(each.key.fingerprint, each.name)
        if other != each.name:
            raise ConfigError(f"{path}: keys {other} and {each.name} are the same key")
