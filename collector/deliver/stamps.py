"""Stamps that came too late for their bundle: remembered, fetched, and put beside it in every sink.

A bundle says itself which authorities were asked and holds the stamps that they gave. What is owed is
read from it while it lies in the outbox, and noted there before it can leave: `<key>.stamps.json`. The
note outlives the bundle, so it holds the envelope too. A stamp is in the note, durably, before any sink
gets it, so that each sink gets the same bytes, whenever the process ends.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import logging
import threading
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.authority import TimeAuthority
from collector.bundle.dated import stamps_within
from collector.bundle.sign import parse_envelope, signatures
from collector.bundle.sigstore import sigstore_bundle
from collector.bundle.stamp import labels, over_first
from collector.bundle.statement import parse
from collector.canonical import dumps, loads
from collector.deliver import durable
from collector.deliver.outbox import SECONDS, Outbox
from collector.deliver.readback import check_stored
from collector.deliver.series import parse_key
from collector.deliver.turns import Turn, side_by_side
from collector.model import DeliveryError, Sink, SinkRefused, SinkTaken, SinkUnreadable, VerifyError

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = ["LateStamps", "OwedStamps"]

log = logging.getLogger(__name__)

_NOTE = ".stamps.json"
_LONG = timedelta(days=1)  # an authority that fails for longer is not busy for a moment: somebody has to look
_NOTES = threading.Lock()  # sinks that are served side by side share the notes


@dataclass(slots=True)
class LateStamps:
    """What fetching stamps came to.

    Attributes:
        fetched: keys of the stamps that came now.
        problems: a line for each that is still owed, or that a sink lacks.
        overdue: a line for each authority whose stamps have been owed for more than a day.
    """

    fetched: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    overdue: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Note:
    """What one bundle is owed.

    Attributes:
        stem: its key without `.zip`.
        envelope: its `statement.dsse.json`.
        within: label to stamp, for those that it holds.
        later: label to stamp, for those that it lacks; None: not fetched yet.
        done: address of a sink to what follows the stem in the names that it has.
    """

    stem: str
    envelope: bytes
    within: dict[str, bytes]
    later: dict[str, bytes | None]
    done: dict[str, list[str]] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        """What shall lie beside the bundle by now; the Sigstore bundle comes when no stamp is owed more.

        A store may hold it locked, so that there can be only one.
        """
        here = {label: stamp for label, stamp in self.later.items() if stamp is not None}
        files = {f".{label}.tsr": stamp for label, stamp in sorted(here.items())}
        if here and len(here) == len(self.later):
            stamps = over_first({**self.within, **here})
            files[".sigstore.json"] = sigstore_bundle(parse_envelope(self.envelope), stamps)
        return files


class OwedStamps:
    """The stamps that bundles of an outbox are owed, also those bundles that have left it."""

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        """`seconds`: what one sink may take in one go; the others do not wait for it."""
        self._folder = folder
        self._seconds = seconds
        self._outbox = Outbox(folder)

    def remember(self, series: str) -> None:
        """Note what the bundles in the outbox are owed. Call it before any of them can leave."""
        for entry in self._outbox.entries(series):
            stem = entry.key.removesuffix(".zip")
            if self._path(stem).exists():
                continue
            try:
                note = _owed(stem, entry.path)
            except VerifyError as error:
                log.warning("what stamps %s is owed cannot be told: %s", entry.key, error)
                continue
            if note is not None:
                self._write(note)

    def deliver(
        self,
        series: str,
        authorities: Sequence[TimeAuthority],
        sinks: Sequence[Sink],
        skip: Container[str] = (),
        now: datetime | None = None,
    ) -> LateStamps:
        """Fetch what is owed, and put what was fetched beside its bundle in each sink that has the bundle.

        An authority that fails is not asked again this time. Debts to one that is no longer configured
        are dropped with a line that says so.

        Args:
            skip: authorities that are not asked.
            now: the clock's time, by which debts are old; read from the clock if left out.
        """
        late = LateStamps()
        known = {each.name: each for each in authorities}
        failed: dict[str, str] = {}
        waiting = {each.key.removesuffix(".zip"): each.done for each in self._outbox.entries(series)}
        notes = list(self._notes(series, late))
        for note in notes:
            try:
                self._fetch(note, known, skip, failed, late)
            except OSError as error:
                # This machine's disk: what was noted before goes to the sinks all the same.
                late.problems.append(f"{note.stem}: the outbox cannot be written: {error}")
        turns = [Turn(sink) for sink in sinks if not sink.replaces]
        side_by_side(turns, lambda turn: self._serve(turn, notes, waiting), self._seconds)
        for turn in turns:
            late.problems += [*turn.notes, *([turn.problem] if turn.problem else [])]
        for note in notes:
            self._settle(note, sinks, note.stem in waiting)
        late.overdue += _overdue(notes, now or datetime.now(UTC))
        return late

    def _fetch(
        self,
        note: _Note,
        known: Mapping[str, TimeAuthority],
        skip: Container[str],
        failed: dict[str, str],
        late: LateStamps,
    ) -> None:
        signed = signatures(parse_envelope(note.envelope))
        for label in [label for label, stamp in note.later.items() if stamp is None]:
            name, _, witness = label.partition(".")
            if name in skip:
                continue
            if name not in known:
                late.problems.append(
                    f"{note.stem}: no [[stamp]] is named {name} any more: it stays unstamped"
                )
                del note.later[label]
                self._write(note)
                continue
            try:
                if name in failed:
                    raise ValueError(failed[name])  # noqa: TRY301 - as if it had been asked again
                note.later[label] = known[name].stamp(signed[1 if witness else 0])
            except ValueError as error:
                failed[name] = str(error)
                late.problems.append(f"{note.stem}: NOT STAMPED by {name}: {error}; it is asked again")
                continue
            try:
                self._write(note)
            except OSError:
                note.later[label] = None  # put now and asked for again, it would be two stamps of one name
                raise
            late.fetched.append(f"{note.stem}.{label}.tsr")

    def _serve(self, turn: Turn, notes: Sequence[_Note], waiting: Mapping[str, Container[str]]) -> None:
        """Put into a sink what it lacks, beside the bundles that it has; the turn notes what failed."""
        sink = turn.sink
        for note in notes:
            if sink.address not in waiting.get(note.stem, (sink.address,)):
                continue
            for rest, data in note.files().items():
                if rest in note.done.get(sink.address, ()):
                    continue
                try:
                    _put(sink, note.stem, rest, data)
                except (OSError, SinkRefused, DeliveryError) as error:
                    turn.notes.append(f"{sink.name} {sink.address}: {note.stem}{rest}: {error}")
                    if isinstance(error, OSError):
                        return  # it is down: what is owed beside other bundles waits, too
                    break
                except Exception as error:  # a plugin's bug must not keep the other sinks from their stamps
                    log.debug("sink %s failed", sink.name, exc_info=True)
                    why = f"{type(error).__name__}: {error}"
                    turn.notes.append(f"{sink.name} {sink.address}: {note.stem}{rest}: {why}")
                    break
                try:
                    self._mark(turn, note, rest)
                except OSError as error:  # this machine's disk: the other sinks get their stamps all the same
                    turn.notes.append(f"{note.stem}{rest}: the outbox cannot be written: {error}")
                    return

    def _mark(self, turn: Turn, note: _Note, rest: str) -> None:
        """Write down that a sink has a file, and nothing once its time is over."""
        with turn.writing(), _NOTES:
            note.done.setdefault(turn.sink.address, []).append(rest)
            self._write(note)

    def _settle(self, note: _Note, sinks: Sequence[Sink], waiting: bool) -> None:
        """Forget a debt that is paid everywhere; while the bundle is here, it would be noted again."""
        paid = None not in note.later.values()
        due = [each.address for each in sinks if not each.replaces]
        served = all(set(note.files()) <= set(note.done.get(address, ())) for address in due)
        if paid and served and due and not waiting:
            durable.remove(self._path(note.stem))

    def _path(self, stem: str) -> Path:
        return self._folder / f"{stem}{_NOTE}"

    def _write(self, note: _Note) -> None:
        value = {
            "format": 1,
            "envelope": _text(note.envelope),
            "within": {label: _text(stamp) for label, stamp in note.within.items()},
            "later": {label: stamp and _text(stamp) for label, stamp in note.later.items()},
            "done": note.done,
        }
        durable.write(self._path(note.stem), dumps(value))

    def _notes(self, series: str, late: LateStamps) -> Iterator[_Note]:
        for path in sorted((self._folder / series).rglob(f"*{_NOTE}")):
            stem = path.relative_to(self._folder).as_posix().removesuffix(_NOTE)
            if parse_key(f"{stem}.zip") is None:
                continue
            try:
                yield _read(stem, loads(path.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError, AttributeError, VerifyError):
                late.problems.append(f"{path}: damaged; remove it, and its bundle stays without late stamps")


def _overdue(notes: Sequence[_Note], now: datetime) -> Iterator[str]:
    """By the moment at which collecting ended: the signature came right after it."""
    old: dict[str, list[tuple[datetime, str]]] = {}
    for note in notes:
        _, predicate = parse(parse_envelope(note.envelope).payload)
        signed = datetime.fromisoformat(predicate["window"]["to"])
        for name in {label.partition(".")[0] for label, stamp in note.later.items() if stamp is None}:
            if now - signed > _LONG:
                old.setdefault(name, []).append((signed, note.stem))
    for name, debts in sorted(old.items()):
        signed, stem = min(debts)
        yield (
            f"NOT STAMPED by {name} for more than a day: {len(debts)} bundles, the oldest {stem} of "
            f"{signed:%Y-%m-%d}; nothing but their signer's word says when they were signed"
        )


def _owed(stem: str, bundle: Path) -> _Note | None:
    with Archive(bundle) as archive:
        statement = archive.read(layout.STATEMENT)
        within = stamps_within(archive)
    envelope = parse_envelope(statement)
    _, predicate = parse(envelope.payload)
    asked = _labels(predicate["authorities"], envelope)
    owed: dict[str, bytes | None] = {label: None for label in asked if label not in within}
    return _Note(stem, statement, within, owed) if owed else None


def _labels(authorities: Sequence[str], envelope: Envelope) -> list[str]:
    return [label for name in authorities for label in labels(name, len(envelope.signatures))]


def _read(stem: str, value: Any) -> _Note:
    note = _Note(
        stem,
        _bytes(value["envelope"]),
        {str(label): _bytes(stamp) for label, stamp in value["within"].items()},
        {str(label): None if stamp is None else _bytes(stamp) for label, stamp in value["later"].items()},
        {str(address): [str(rest) for rest in done] for address, done in value["done"].items()},
    )
    parse_envelope(note.envelope)
    return note


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _put(sink: Sink, stem: str, rest: str, data: bytes) -> None:
    """Put a file beside a bundle that the sink has, or find it there; nothing beside one that is gone."""
    try:
        if sink.head(f"{stem}.zip") is None:
            log.warning("%s %s has %s no longer; its stamp is not put there", sink.name, sink.address, stem)
            return
    except SinkUnreadable:
        pass
    key, digest = f"{stem}{rest}", hashlib.sha256(data).hexdigest()
    with contextlib.suppress(SinkTaken):
        sink.put(key, io.BytesIO(data), digest, absent=True)
    with contextlib.suppress(SinkUnreadable):  # a stamp proves itself: whoever reads it there verifies it
        check_stored(sink, key, digest, len(data))
