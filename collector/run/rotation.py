"""Rotates and revokes the keys that sign, so that a crash at any point leaves keys that can be used.

A rotation's order is: the new key is trusted; it takes the old one's place; the old one's time ends. A
note beside the key says what was begun, so that the next call goes on where one was cut off. Each step
looks at what is there and does what is left of it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.bundle.identity import PublicKey
from collector.bundle.keypair import new_private_key, public_path
from collector.bundle.trust import Revocation, TrustedKey, load_trust
from collector.bundle.trust_edit import with_end, with_key, with_revocation
from collector.canonical import dumps, loads
from collector.config import Config, Entry
from collector.deliver import durable
from collector.deliver.lock import hold
from collector.hookspecs import read_private
from collector.model import ConfigError, LockedError
from collector.plugins import Plugins
from collector.toml import read, shown_path

__all__ = ["Rotation", "revoke", "rotate", "signing_key"]

_MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation came to.

    Attributes:
        old, new: fingerprints.
        until: until when the old key counts.
        kept: where the old private key lies now.
        key: the new private key.
    """

    old: str
    new: str
    until: datetime
    kept: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Note:
    """What was begun."""

    old: str
    kept: str
    ecdsa: bool


def signing_key(entry: Entry, plugins: Plugins) -> PublicKey:
    """The public half of the key that a configuration signs with. Raises ConfigError if it cannot be had."""
    try:
        return PublicKey.of(plugins.signers[entry.use](entry.settings).public_key())
    except ValueError as error:
        raise ConfigError(f"{entry.where}: signing key: {error}") from None


def rotate(config: Config, plugins: Plugins, trust: Path, now: datetime, overlap: timedelta) -> Rotation:
    """Put a new key of the same kind in the place of the one that signs, or finish what was cut off.

    Args:
        config: whose signer is a `file`.
        plugins: that signer among them.
        trust: the trust file, which has the old key and gets the new one.
        now: since when the new key counts.
        overlap: how much longer the old one does.

    Raises:
        LockedError: a run of the series is under way, which has the old key in hand.
        ConfigError: the signer is another, or one of the files cannot be used; nothing was changed.
    """
    if config.sign.use != "file":
        raise ConfigError(
            f"{config.sign.where}: only keys of the signer `file` are made here, this one is "
            f"`{config.sign.use}`: make the new key where the old one is, and add it to {shown_path(trust)}"
        )
    with hold(config.state, config.series):
        return _Rotating(config.sign, plugins, trust, now.astimezone(UTC).replace(microsecond=0)).go(overlap)


def revoke(trust: Path, fingerprint: str, revocation: Revocation) -> PublicKey:
    """Revoke a key of a trust file.

    Args:
        trust: the file.
        fingerprint: whole, with or without `SHA256:`.
        revocation: since when, and why.

    Returns:
        The key.

    Raises:
        ConfigError: no such key, revoked already, or the file cannot be used.
        LockedError: another command is changing the file.
    """
    reason = revocation.reason
    if not reason.strip() or not reason.isprintable() or len(reason) > _MAX_REASON:
        raise ConfigError(f"reason: must be one line of 1 to {_MAX_REASON} printable characters")
    keys = {each.key.fingerprint: each.key for each in load_trust(trust).keys}
    found = keys.get(fingerprint) or keys.get(f"SHA256:{fingerprint}")
    if found is None:
        raise ConfigError(f"{shown_path(trust)}: has no such key; it has {', '.join(keys)}")
    _edit(trust, lambda data: with_revocation(data, trust, found.fingerprint, revocation))
    return found


class _Rotating:
    def __init__(self, entry: Entry, plugins: Plugins, trust: Path, now: datetime) -> None:
        self._entry = entry
        self._plugins = plugins
        self._trust = trust
        self._now = now
        self._key = Path(entry.settings["key"])
        self._staged = self._key.with_name(f"{self._key.stem}.next{self._key.suffix}")
        self._noted = self._key.with_name(f"{self._key.name}.rotation")

    def go(self, overlap: timedelta) -> Rotation:
        note = self._note() if os.path.lexists(self._noted) else self._begin()
        new = self._stage(note)
        self._announce(note, new)
        kept = self._key.with_name(note.kept)
        self._swap(note, new, kept)
        until = self._now + overlap
        _edit(self._trust, lambda data: with_end(data, self._trust, note.old, until))
        durable.remove(self._staged)
        durable.remove(self._noted)
        ended = _trusted(self._trust, note.old).valid_until or until
        return Rotation(note.old, new.fingerprint, ended, kept, self._key)

    def _begin(self) -> _Note:
        old = self._public(self._key)
        _trusted(self._trust, old.fingerprint)
        _refuse_references(self._trust, public_path(self._key))
        if os.path.lexists(self._staged):
            raise ConfigError(f"{shown_path(self._staged)}: is in the way of the new key; move it")
        note = _Note(old.fingerprint, self._free_name(), old.verifier().keytype == "ecdsa")
        durable.write(self._noted, dumps({"format": 1, **asdict(note)}))
        return note

    def _note(self) -> _Note:
        try:
            value = loads(read_private(self._noted))
            note = _Note(str(value["old"]), str(value["kept"]), bool(value["ecdsa"]))
        except (ValueError, KeyError, TypeError):
            note = None
        if note is None or Path(note.kept).name != note.kept or note.kept in ("", ".", ".."):
            raise ConfigError(f"{shown_path(self._noted)}: not the note of a rotation")
        return note

    def _free_name(self) -> str:
        moment = self._now.strftime("%Y%m%dT%H%M%SZ")
        for more in ("", *(f"-{number}" for number in range(2, 100))):
            name = self._key.with_name(f"{self._key.stem}.{moment}{more}{self._key.suffix}")
            if not os.path.lexists(name) and not os.path.lexists(public_path(name)):
                return name.name
        raise ConfigError(f"{shown_path(self._key.parent)}: too many keys of {moment}")

    def _stage(self, note: _Note) -> PublicKey:
        if not os.path.lexists(self._staged):
            current = self._public(self._key)
            if current.fingerprint != note.old:  # in its place already; cut off while cleaning up
                return self._known(current)
            pem, _ = new_private_key(note.ecdsa, self._entry.settings.get("passphrase"))
            durable.write(self._staged, pem)
        return self._public(self._staged)

    def _known(self, current: PublicKey) -> PublicKey:
        if load_trust(self._trust).find(current.fingerprint) is None:
            raise self._astray()
        return current

    def _astray(self) -> ConfigError:
        return ConfigError(
            f"{shown_path(self._key)}: is not the key whose rotation was begun; "
            f"remove {shown_path(self._noted)} and {shown_path(self._staged)} to begin again"
        )

    def _announce(self, note: _Note, new: PublicKey) -> None:
        old = _trusted(self._trust, note.old)
        if load_trust(self._trust).find(new.fingerprint) is None:
            _edit(
                self._trust,
                lambda data: with_key(data, self._trust, new.pem, old.name, self._now, old.purpose),
            )

    def _swap(self, note: _Note, new: PublicKey, kept: Path) -> None:
        current = self._public(self._key)
        if current.fingerprint == new.fingerprint:
            return
        if current.fingerprint != note.old:
            raise self._astray()
        durable.write(kept, read_private(self._key))
        _write_public(public_path(kept), current)
        _write_public(public_path(self._key), new)
        durable.write(self._key, read_private(self._staged))

    def _public(self, path: Path) -> PublicKey:
        settings = {**self._entry.settings, "key": str(path)}
        return signing_key(Entry(self._entry.use, settings, self._entry.where), self._plugins)


def _trusted(trust: Path, fingerprint: str) -> TrustedKey:
    found = load_trust(trust).find(fingerprint)
    if found is None:
        raise ConfigError(
            f"{shown_path(trust)}: does not have the key that signs, {fingerprint}; add it first"
        )
    return found


def _refuse_references(trust: Path, public: Path) -> None:
    """A trust file that names key.pub.pem would say something else once that is another key."""
    document = read(trust)
    for index, table in enumerate(document.data["key"]):
        named = table.get("file")
        if named and (trust.parent / Path(named).expanduser()).resolve() == public.resolve():
            raise ConfigError(
                f"{document.where('key', index, 'file')}: file: {named} becomes another key when it is "
                'rotated; put the key itself here, as key = """…"""'
            )


def _write_public(path: Path, key: PublicKey) -> None:
    durable.write(path, key.pem.encode())
    path.chmod(0o644)


def _edit(trust: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a trust file in one step, at the place where it lies, if it is a link."""
    place = trust.resolve()
    with _alone(place.parent):
        before = read(trust)  # with its limit and refusals
        data = place.read_bytes()
        if data.replace(b"\r\n", b"\n") != before.text.encode():
            raise ConfigError(f"{shown_path(trust)}: changed while it was read; try again")
        made = change(data)
        if made == data:
            return
        mode = place.stat().st_mode & 0o777
        durable.write(place, made)
        place.chmod(mode)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LockedError(f"{shown_path(folder)}: another command is changing the keys") from None
    finally:
        os.close(descriptor)
