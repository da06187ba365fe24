"""The outbox: a bundle is in it, durably, before anything is sent, and leaves it when every sink has it.

An entry is a bundle and a note beside it that says its SHA-256 and which sinks have it. The note is
written first and the bundle renamed in last: the bundle's presence is what makes an entry. Wherever the
process ends, nothing is lost and nothing is stored twice: a sink that has a bundle already is asked for
it, and the bytes are compared. Where the credentials may only write, the note also says to which sinks a
bundle was sent before anything was, so that what lies under the key after a crash is known to be ours.

An entry that every sink has stays until it is the head of its series or older
(`collector.deliver.series`), so that a run that was cut off in between leaves no fork.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.canonical import dumps, file_sha256, loads
from collector.deliver import backoff, durable
from collector.deliver.guard import check_push
from collector.deliver.leftovers import sweep
from collector.deliver.readback import check_stored
from collector.deliver.series import head, parse_key
from collector.deliver.turns import Over, Turn, side_by_side
from collector.model import (
    CollectorError,
    ConfigError,
    DeliveryError,
    Json,
    Sink,
    SinkRefused,
    SinkTaken,
    SinkUnreadable,
)

__all__ = ["LIMIT", "SECONDS", "Delivered", "Entry", "Outbox"]

log = logging.getLogger(__name__)

_WARN = 0.8  # of the limit, from which on each run warns
LIMIT = 20 << 30
"""Bytes that may wait; about seven years of nightly bundles of a thousand hosts."""

SECONDS = 3600.0
"""What sending to one sink may take in one go; the others do not wait for it."""

_NOTES = threading.Lock()  # sinks that are served side by side share the notes of bundles


class _Unnoted(Exception):  # noqa: N818 - says what happened, and no sink is to blame
    """What became of a bundle at a sink could not be written down, as where this machine's disk is full."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A bundle that waits.

    Attributes:
        key: where it goes in each store.
        path: the bundle.
        sha256: of its bytes.
        done: addresses of the sinks that have it.
        sent: addresses of the sinks that it was sent to without seeing what they have.
    """

    key: str
    path: Path
    sha256: str
    done: frozenset[str]
    sent: frozenset[str] = frozenset()


@dataclass(slots=True)
class Delivered:
    """What delivering came to.

    Attributes:
        sinks: addresses of the sinks that have everything.
        problems: a line for each sink that has not.
        places: bundle key to where it was stored last.
        notes: a line for each sink whose copies could not be read back, and what their delivery rests on.
    """

    sinks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Outbox:
    """The bundles that wait in the folder `outbox` of a state folder."""

    def __init__(self, folder: Path, limit: int = LIMIT, seconds: float = SECONDS) -> None:
        self._folder = folder
        self._limit = limit
        self._seconds = seconds

    def check_room(self) -> str:
        """A warning where little room is left, else "". Raises DeliveryError where none is."""
        used = sum(map(_size, self._files()))
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
        log.info("kept", extra={"fields": {"bundle": key, "sha256": sha256}})
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
            done, sent = note.get("done", ()), note.get("sent", ())
            yield Entry(key, path, sha256, frozenset(done), frozenset(sent))

    def deliver(
        self,
        sinks: Sequence[Sink],
        series: str | None = None,
        now: datetime | None = None,
        *,
        patient: bool = False,
    ) -> Delivered:
        """Send to each sink what it lacks, in sequence, all sinks side by side.

        Args:
            sinks: a sink that is new gets what waits now.
            series: send the bundles of this series only, whose lock is held; None: of all.
            now: the clock's time, by which tries are counted; read from the clock if left out.
            patient: leave a sink that failed lately in peace until it is due again.
        """
        now = now or datetime.now(UTC)
        if series is not None:
            sweep(self._folder, series)
        turns = [Turn(sink) for sink in sinks]
        due = [turn for turn in turns if not (patient and self._waits(turn, series, now))]
        side_by_side(due, lambda turn: self._go(turn, series), self._seconds)
        for turn in due:
            self._remember(turn, now)
        delivered = Delivered()
        for turn in turns:
            _collect(turn, delivered)
        self._drop({sink.address for sink in sinks}, series)
        return delivered

    def _waits(self, turn: Turn, series: str | None, now: datetime) -> bool:
        """Whether a sink is left in peace, and what of it is told."""
        sink = turn.sink
        due = backoff.wait_until(self._folder, sink, now)
        lacks = sum(sink.address not in entry.done for entry in self.entries(series))
        if due is None or not lacks:
            return False
        turn.problem = (
            f"{sink.name} {sink.address}: failed lately, next try from {due:%Y-%m-%dT%H:%M:%SZ} on "
            f"(`collector deliver` tries at once); {lacks} bundles stay in the outbox"
        )
        return True

    def _remember(self, turn: Turn, now: datetime) -> None:
        if not turn.failed:
            backoff.succeeded(self._folder, turn.sink)
            return
        try:
            due = backoff.failed(self._folder, turn.sink, now)
        except OSError as error:
            turn.problem += f"; that it failed could not be noted: {error}"
            return
        turn.problem += f"; the next run that tries is one after {due:%Y-%m-%dT%H:%M:%SZ}"

    def _drop(self, wanted: set[str], series: str | None) -> None:
        """What every sink has leaves."""
        for entry in self.entries(series):
            if wanted and wanted <= entry.done and self._is_in_series(entry):
                # The note goes last: who may only write knows by it alone that a bundle was sent.
                durable.remove(entry.path)
                durable.remove(_note(entry.path))

    def _is_in_series(self, entry: Entry) -> bool:
        parsed = parse_key(entry.key)
        assert parsed is not None
        try:
            newest = head(self._folder.parent, parsed[0])
        except ConfigError:
            return False
        return newest is not None and parsed[1:3] <= newest[:2]

    def _go(self, turn: Turn, series: str | None) -> None:
        try:
            self._serve(turn, series)
        except _Unnoted as error:
            turn.problem = (
                f"{turn.sink.name} {turn.sink.address}: {error}; it stays in the outbox, and what the sink "
                "has of it by now is compared next time"
            )

    def _serve(self, turn: Turn, series: str | None) -> None:
        sink = turn.sink
        refused: list[Entry] = []
        for entry in self.entries(series):
            if sink.address in entry.done:
                continue
            about = f"{sink.name} {sink.address}: {entry.key}"
            if sink.replaces and (why := check_push(entry.path)):
                refused.append(entry)
                turn.problem = f"{about}: {why}; it stays in the outbox"
                continue
            note, problem = _tried(turn, entry)
            if problem:
                turn.problem, turn.failed = f"{about}: {problem}; it stays in the outbox", True
                return
            # A newer state has taken the place of those that were not handed over.
            for each in (*refused, entry):
                _mark(turn, each, _with_done)
            refused, turn.problem = [], ""
            turn.places[entry.key] = f"{sink.address.rstrip('/')}/{entry.key}"
            if note:
                turn.notes.append(f"{about}: {note}")


def _size(path: Path) -> int:
    """Its bytes; none where another series' delivery has just taken it away."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _collect(turn: Turn, delivered: Delivered) -> None:
    delivered.places.update(turn.places)
    delivered.notes.extend(turn.notes)
    if turn.problem:
        log.warning("not delivered: %s", turn.problem)
        delivered.problems.append(turn.problem)
    else:
        delivered.sinks.append(turn.sink.address)


def _tried(turn: Turn, entry: Entry) -> tuple[str, str]:
    """Send an entry. Returns what its delivery rests on, and what went wrong; each "" where there is none."""
    try:
        return _send(turn, entry), ""
    except (Over, _Unnoted):
        raise
    except (OSError, SinkRefused, CollectorError) as error:
        return "", str(error)
    except Exception as error:  # a plugin's bug must not keep the other sinks from their bundles
        log.debug("sink %s failed", turn.sink.name, exc_info=True)
        return "", f"{type(error).__name__}: {error}"


def _mark(turn: Turn, entry: Entry, change: Callable[[Entry, str], Entry]) -> None:
    """Write into an entry's note what became of it at a sink."""
    with turn.writing(), _NOTES:
        note = _read_note(entry.path)
        has, sent = frozenset(note.get("done", ())), frozenset(note.get("sent", ()))
        try:
            _write_note(change(replace(entry, done=has, sent=sent), turn.sink.address))
        except OSError as error:
            raise _Unnoted(f"{entry.key}: the outbox cannot be written: {error}") from None


def _with_done(entry: Entry, address: str) -> Entry:
    return replace(entry, done=entry.done | {address})


def _with_sent(entry: Entry, address: str) -> Entry:
    return replace(entry, sent=entry.sent | {address})


def _without_sent(entry: Entry, address: str) -> Entry:
    return replace(entry, sent=entry.sent - {address})


def _send(turn: Turn, entry: Entry) -> str:
    """Put an entry, or find it there already; what is stored is read back and compared.

    Returns:
        What the delivery rests on, where these credentials may not read; else "".
    """
    sink = turn.sink
    if _head(sink, entry.key) is not None:
        _compare(sink, entry)
        return ""
    _check_place(sink, entry.key)
    try:
        _mark(turn, entry, _with_sent)
        with entry.path.open("rb") as file:
            sink.put(entry.key, file, entry.sha256, absent=True)
        unread = "the store confirmed its SHA-256" if sink.confirms else "nobody has compared what is stored"
    except SinkTaken:
        unread = "sent before, and cut off; what is stored has not been compared"
        if sink.address not in entry.sent:
            # It was there before: should the next try find it marked, it would take it for its own.
            _mark(turn, entry, _without_sent)
            unread = ""
    except SinkRefused:
        if sink.address not in entry.sent:  # nor is what the store may hold in spite of its answer
            _mark(turn, entry, _without_sent)
        raise
    try:
        _compare(sink, entry)
    except SinkUnreadable:
        if not unread:
            raise DeliveryError("something is stored under this key, and cannot be read back") from None
        return f"not read back, these credentials may not: {unread}"
    return ""


def _compare(sink: Sink, entry: Entry) -> None:
    check_stored(sink, entry.key, entry.sha256, entry.path.stat().st_size)


def _head(sink: Sink, key: str) -> int | None:
    try:
        return sink.head(key)
    except SinkUnreadable:
        return None


def _check_place(sink: Sink, key: str) -> None:
    """Two bundles in one place of a series are a fork, which no later bundle can mend."""
    place = key.rsplit("-", 1)[0] + "-"
    try:
        others = [each for each in sink.list(place) if parse_key(each) and each != key]
    except SinkUnreadable:
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
    if entry.sent:
        note["sent"] = sorted(entry.sent)
    durable.write(_note(entry.path), dumps(note))


def _read_note(path: Path) -> dict[str, Any]:
    """The note of a bundle; a lost or damaged one only means that sinks are asked what they have."""
    try:
        note = loads(_note(path).read_bytes())
        done, sent, sha256 = note["done"], note.get("sent", []), note["sha256"]
        addresses = [*done, *sent]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    if not isinstance(sha256, str) or not all(isinstance(each, str) for each in addresses):
        return {}
    return {"sha256": sha256, "done": done, "sent": sent}
