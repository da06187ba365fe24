"""The outbox: a bundle is in it, durably, before anything is sent, and leaves it when every sink has it.

An entry is a bundle and a note beside it that says its SHA-256 and which sinks have it. The note is
written first and the bundle renamed in last: the bundle's presence is what makes an entry. Wherever the
process ends, nothing is lost and nothing is stored twice: a sink that has a bundle already is asked for
it, and the bytes are compared.

An entry that every sink has stays until it is the head of its series or older
(`collector.deliver.series`), so that a run that was cut off in between leaves no fork.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.canonical import dumps, file_sha256, loads
from collector.deliver import durable
from collector.deliver.series import head, parse_key
from collector.model import ConfigError, DeliveryError, Json, Sink, SinkRefused

__all__ = ["LIMIT", "Delivered", "Entry", "Outbox"]

log = logging.getLogger(__name__)

_WARN = 0.8  # of the limit, from which on each run warns
LIMIT = 20 << 30
"""Bytes that may wait; about seven years of nightly bundles of a thousand hosts."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A bundle that waits.

    Attributes:
        key: where it goes in each store.
        path: the bundle.
        sha256: of its bytes.
        done: addresses of the sinks that have it.
    """

    key: str
    path: Path
    sha256: str
    done: frozenset[str]


@dataclass(slots=True)
class Delivered:
    """What delivering came to.

    Attributes:
        sinks: addresses of the sinks that have everything.
        problems: a line for each sink that has not.
        places: bundle key to where it was stored last.
    """

    sinks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)


class Outbox:
    """The bundles that wait in the folder `outbox` of a state folder."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    def check_room(self) -> str:
        """A warning where little room is left, else "". Raises DeliveryError where none is."""
        used = sum(path.stat().st_size for path in self._files())
        if used >= self._limit:
            raise DeliveryError(
                f"outbox {self._folder}: {used} bytes wait to be delivered, the limit is {self._limit}; "
                "nothing is collected until `collector deliver` has sent them"
            )
        if used >= self._limit * _WARN:
            return f"outbox {self._folder}: {used} of at most {self._limit} bytes wait to be delivered"
        return ""

    def add(self, bundle: Path, key: str) -> Entry:
        """Take a bundle in, durably; it is moved. Make it the head of its series next.

        Until this returns the bundle is where it was, or here, or (on another file system) in both places.

        Raises:
            OSError: the disk does not have it.
            DeliveryError: another bundle is here under this key.
            ValueError: the key is none.
        """
        if parse_key(key) is None:
            raise ValueError(f"{key!r} is no key of a bundle")
        path = self._folder / key
        sha256 = _synced_sha256(bundle)
        if path.exists() and file_sha256(path) != sha256:
            raise DeliveryError(f"outbox {path}: another bundle waits there")
        durable.make_folder(path.parent)
        entry = Entry(key, path, sha256, frozenset())
        _write_note(entry)
        _move(bundle, path)
        return entry

    def entries(self, series: str | None = None) -> list[Entry]:
        """What waits, of one series or of all, in the order of series, epoch and sequence."""
        return sorted(self._found(series), key=lambda entry: entry.key)

    def _files(self) -> Iterator[Path]:
        yield from self._folder.rglob("*.zip")

    def _found(self, series: str | None) -> Iterator[Entry]:
        for path in self._files():
            key = path.relative_to(self._folder).as_posix()
            parsed = parse_key(key)
            if parsed is None or (series is not None and parsed[0] != series):
                continue
            note = _read_note(path)
            sha256 = note.get("sha256") or file_sha256(path)
            yield Entry(key, path, sha256, frozenset(note.get("done", ())))

    def deliver(self, sinks: Sequence[Sink], series: str | None = None) -> Delivered:
        """Send to each sink what it lacks, in sequence; one that fails does not hold up the others.

        Args:
            sinks: a sink that is new gets what waits now.
            series: send the bundles of this series only, whose lock is held; None: of all.
        """
        delivered = Delivered()
        for sink in sinks:
            problem = self._serve(sink, series, delivered)
            if problem:
                log.warning("not delivered: %s", problem)
                delivered.problems.append(problem)
            else:
                delivered.sinks.append(sink.address)
        wanted = {sink.address for sink in sinks}
        for entry in self.entries(series):
            if sinks and wanted <= entry.done and self._is_in_series(entry):
                # The note goes first: a bundle without one is asked for again, a note alone stays for ever.
                durable.remove(_note(entry.path))
                durable.remove(entry.path)
        return delivered

    def _is_in_series(self, entry: Entry) -> bool:
        parsed = parse_key(entry.key)
        assert parsed is not None
        try:
            newest = head(self._folder.parent, parsed[0])
        except ConfigError:
            return False
        return newest is not None and parsed[1:3] <= newest[:2]

    def _serve(self, sink: Sink, series: str | None, delivered: Delivered) -> str:
        for entry in self.entries(series):
            if sink.address in entry.done:
                continue
            try:
                _send(sink, entry)
            except (OSError, SinkRefused, DeliveryError) as error:
                return f"{sink.name} {sink.address}: {entry.key}: {error}; it stays in the outbox"
            except Exception as error:  # a plugin's bug must not keep the other sinks from their bundles
                log.debug("sink %s failed", sink.name, exc_info=True)
                why = f"{type(error).__name__}: {error}"
                return f"{sink.name} {sink.address}: {entry.key}: {why}; it stays in the outbox"
            delivered.places[entry.key] = f"{sink.address.rstrip('/')}/{entry.key}"
            _write_note(Entry(entry.key, entry.path, entry.sha256, entry.done | {sink.address}))
        return ""


def _send(sink: Sink, entry: Entry) -> None:
    """Put an entry, or find it there already; what is stored is read back and compared.

    A sink that cannot read says so by io.UnsupportedOperation: then what it took without complaint counts,
    and what it had before does not.
    """
    put = _head(sink, entry.key) is None
    if put:
        _check_place(sink, entry.key)
        try:
            with entry.path.open("rb") as file:
                sink.put(entry.key, file, entry.sha256, absent=True)
        except SinkRefused:
            if _head(sink, entry.key) is None:
                raise
            put = False
    try:
        stored = _stored_sha256(sink, entry.key)
    except io.UnsupportedOperation:
        if put:
            return
        raise DeliveryError("something is stored under this key, and cannot be read back") from None
    if stored != entry.sha256:
        raise DeliveryError("other bytes are stored under this key")


def _head(sink: Sink, key: str) -> int | None:
    try:
        return sink.head(key)
    except io.UnsupportedOperation:
        return None


def _stored_sha256(sink: Sink, key: str) -> str:
    digest = hashlib.sha256()
    with sink.get(key) as stored:
        while chunk := stored.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _check_place(sink: Sink, key: str) -> None:
    """Two bundles in one place of a series are a fork, which no later bundle can mend."""
    place = key.rsplit("-", 1)[0] + "-"
    try:
        others = [each for each in sink.list(place) if parse_key(each) and each != key]
    except io.UnsupportedOperation:
        return
    if others:
        raise DeliveryError(
            f"{others[0]} has this place in the series already: the local state is older than the store "
            "(remove it, and the head is read from the store)"
        )


def _synced_sha256(bundle: Path) -> str:
    with bundle.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(bundle: Path, path: Path) -> None:
    """Rename a file into a folder; from another file system, copy it and rename the copy."""
    try:
        bundle.replace(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        made = path.with_name(f".{path.name}.new")
        try:
            shutil.copyfile(bundle, made)
            with made.open("rb") as file:
                os.fsync(file.fileno())
            made.replace(path)
        except BaseException:
            made.unlink(missing_ok=True)
            raise
        durable.sync_folder(path.parent)
        bundle.unlink(missing_ok=True)
    durable.sync_folder(path.parent)


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


def _write_note(entry: Entry) -> None:
    note: dict[str, Json] = {"format": 1, "sha256": entry.sha256, "done": sorted(entry.done)}
    durable.write(_note(entry.path), dumps(note))


def _read_note(path: Path) -> dict[str, Any]:
    """The note of a bundle; a lost or damaged one only means that sinks are asked what they have."""
    try:
        note = loads(_note(path).read_bytes())
        done, sha256 = note["done"], note["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not isinstance(sha256, str) or not isinstance(done, list) or not all(isinstance(x, str) for x in done):
        return {}
    return {"sha256": sha256, "done": done}
