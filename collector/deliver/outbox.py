"""The outbox: a bundle is in it, durably, before anything is sent, and leaves it when every sink has it.

An entry is a bundle and a note beside it that says where it belongs, its SHA-256, and which sinks have
it. The note is written first and the bundle renamed in last: its presence is what makes an entry.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.canonical import dumps, file_sha256, loads
from collector.deliver import durable
from collector.deliver.series import parse_key
from collector.model import DeliveryError, Json, Sink, SinkRefused

__all__ = ["Delivered", "Entry", "Outbox"]

log = logging.getLogger(__name__)

_WARN = 0.8  # of the limit, from which on each run warns
LIMIT = 20 << 30  # bytes; about seven years of nightly bundles of a thousand hosts
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
    """The bundles that wait in a folder."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    def check_room(self) -> str:
        """A warning where little room is left, else "". Raises DeliveryError where none is."""
        used = (
            sum(path.stat().st_size for path in self._folder.rglob("*.zip")) if self._folder.is_dir() else 0
        )
        if used >= self._limit:
            raise DeliveryError(
                f"outbox {self._folder}: {used} bytes wait to be delivered, the limit is {self._limit}; "
                "nothing is collected until `collector deliver` has sent them"
            )
        if used >= self._limit * _WARN:
            return f"outbox {self._folder}: {used} of at most {self._limit} bytes wait to be delivered"
        return ""

    def add(self, bundle: Path, key: str) -> Entry:
        """Take a bundle in, durably; it is moved. Raises OSError where the disk does not have it."""
        if parse_key(key) is None:
            raise ValueError(f"{key!r} is no key of a bundle")
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        entry = Entry(key, path, file_sha256(bundle), frozenset())
        _write_note(entry)
        made = path.with_name(f".{path.name}.new")
        shutil.move(bundle, made)
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.replace(path)
        for folder in (path.parent, path.parent.parent, self._folder):
            durable.sync_folder(folder)
        return entry

    def entries(self) -> list[Entry]:
        """What waits, in the order of series, epoch and sequence."""
        return sorted(self._found(), key=lambda entry: entry.key)

    def _found(self) -> Iterator[Entry]:
        for path in self._folder.rglob("*.zip") if self._folder.is_dir() else ():
            key = path.relative_to(self._folder).as_posix()
            if path.name.startswith(".") or parse_key(key) is None:
                continue
            note = _read_note(path)
            sha256 = note.get("sha256") or file_sha256(path)
            yield Entry(key, path, sha256, frozenset(note.get("done", ())))

    def deliver(self, sinks: Sequence[Sink]) -> Delivered:
        """Send to each sink what it lacks, in sequence; one that fails does not hold up the others."""
        delivered = Delivered()
        for sink in sinks:
            problem = self._serve(sink, delivered)
            if problem:
                log.warning("not delivered: %s", problem)
                delivered.problems.append(problem)
            else:
                delivered.sinks.append(sink.address)
        wanted = {sink.address for sink in sinks}
        for entry in self.entries():
            if sinks and wanted <= entry.done:
                durable.remove(entry.path)
                durable.remove(_note(entry.path))
        return delivered

    def _serve(self, sink: Sink, delivered: Delivered) -> str:
        for entry in self.entries():
            if sink.address in entry.done:
                continue
            try:
                _send(sink, entry)
            except (OSError, SinkRefused, DeliveryError) as error:
                return f"{sink.name} {sink.address}: {entry.key}: {error}; it stays in the outbox"
            delivered.places[entry.key] = f"{sink.address.rstrip('/')}/{entry.key}"
            _write_note(Entry(entry.key, entry.path, entry.sha256, entry.done | {sink.address}))
        return ""


def _send(sink: Sink, entry: Entry) -> None:
    """Put an entry, or find it there already; what was stored is read back and compared."""
    if sink.head(entry.key) is None:
        with entry.path.open("rb") as file:
            sink.put(entry.key, file, entry.sha256, absent=True)
    digest = hashlib.sha256()
    with sink.get(entry.key) as stored:
        while chunk := stored.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != entry.sha256:
        raise DeliveryError("other bytes are stored under this key")


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


def _write_note(entry: Entry) -> None:
    note: dict[str, Json] = {"format": 1, "sha256": entry.sha256, "done": sorted(entry.done)}
    durable.write(_note(entry.path), dumps(note))


def _read_note(path: Path) -> dict[str, Any]:
    """The note of a bundle; a lost or damaged one only means that sinks are asked what they have."""
    try:
        note = loads(_note(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
