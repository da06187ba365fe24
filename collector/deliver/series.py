"""The chain of a series: each bundle names the one before (docs/format.md, "Store and series")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO

from collector.canonical import dumps, loads
from collector.deliver import durable
from collector.deliver.turns import Turn, side_by_side
from collector.model import ConfigError, Json, Sink, SinkRefused, VerifyError

__all__ = ["OUTBOX", "SERIES", "Link", "head", "key", "next_link", "parse_key", "record_head"]

OUTBOX = "outbox"
"""The outbox's folder below the state folder."""

SERIES = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
"""What a series may be called."""

_EPOCH = "%Y%m%dT%H%M%SZ"
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_LAST = 99_999_999  # eight digits
_REASON = 500  # characters: a store's answer may be long, and the statement is read by people
_KEY = re.compile(
    r"(?P<series>[a-z0-9][a-z0-9._-]{0,62})/(?P<epoch>\d{8}T\d{6}Z)"
    r"/(?P<sequence>\d{8})-(?P<digest>[0-9a-f]{12})\.zip\Z"
)

Digest = Callable[[IO[bytes]], str]
"""The SHA-256 of a stored bundle's statement, in hexadecimal; raises VerifyError for what is none."""

Prove = Callable[[IO[bytes], str], str]
"""As `Digest`, for what a store has under a key: raises VerifyError too for what is not ours or not there."""

_SECONDS = 3600.0  # what one store may take to tell the head: as long as sending to it


@dataclass(frozen=True, slots=True)
class Link:
    """A place in a series.

    Attributes:
        epoch: `as_of` of the epoch's first bundle.
        sequence: counted from 1.
        previous: digest of the statement before; None for the first.
        reason: why a new epoch began, in the first of one; "" in all others.
        doubts: a line for each store whose newest bundle is not ours: nothing was chained to it.
    """

    epoch: str
    sequence: int
    previous: str | None
    reason: str = ""
    doubts: tuple[str, ...] = ()

    def facts(self, name: str, cadence: float) -> dict[str, Json]:
        """The link as the statement has it."""
        return {
            "name": name,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "previous": self.previous,
            "cadence": round(cadence) or None,
            "reason": self.reason or None,
        }


def key(series: str, link: Link, digest: str) -> str:
    """Where a bundle lies in a store."""
    epoch = link.epoch.replace("-", "").replace(":", "")
    return f"{series}/{epoch}/{link.sequence:08d}-{digest[:12]}.zip"


def parse_key(text: str) -> tuple[str, str, int, str] | None:
    """Series, epoch, sequence and digest of a key; None for what is none."""
    match = _KEY.match(text)
    if match is None or not _is_moment(match["epoch"]):
        return None
    return match["series"], match["epoch"], int(match["sequence"]), match["digest"]


def _is_moment(epoch: str) -> bool:
    try:
        datetime.strptime(epoch, _EPOCH)
    except ValueError:
        return False
    return True


def _path(state: Path, series: str) -> Path:
    return state / "series" / f"{series}.json"


def head(state: Path, series: str) -> tuple[str, int, str] | None:
    """Epoch (as keys write it), sequence and statement digest of the newest bundle; None without state.

    Raises:
        ConfigError: the local state is damaged or cannot be read.
    """
    path = _path(state, series)
    try:
        kept = loads(path.read_bytes())
        moment = datetime.strptime(kept["epoch"], _MOMENT)
        return moment.strftime(_EPOCH), int(kept["sequence"]), str(kept["digest"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; it must be readable") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path}: damaged; remove it and the head is read from the store again") from None


def next_link(
    state: Path,
    series: str,
    as_of: datetime,
    sinks: Iterable[Sink],
    digest: Digest,
    prove: Prove | None = None,
    seconds: float = _SECONDS,
) -> Link:
    """The place that the next bundle takes; call it with the lock held.

    Read from local state, and from the outbox where a run was cut off between putting its bundle there
    and making it the head; without any, from the first sink that can tell; else a new epoch begins.

    Args:
        prove: of what a store has; where it is left out, whoever signed it is believed.
        seconds: what one sink may take to answer.

    Raises:
        ConfigError: the local state is damaged.
    """
    if (found := head(state, series)) is not None or any(_waiting(state, series)):
        return _after(_caught_up(state, series, found, digest))
    reason = "no bundle of this series is known here or in a store"
    doubts: list[str] = []
    for sink in sinks:
        answer = _asked(sink, series, prove or (lambda file, _key: digest(file)), seconds)
        if answer.found is not None:
            return replace(_after(answer.found), doubts=tuple(doubts))
        reason = f"no local state, and {answer.problem}" if answer.problem else reason
        doubts += [f"{answer.problem}; nothing is chained to it"] if answer.forged else []
    return Link(as_of.strftime(_MOMENT), 1, None, _one_line(reason), tuple(doubts))


@dataclass(slots=True)
class _Answer:
    """What a store told of the head; `forged`: something lies there that is not ours."""

    found: tuple[str, int, str] | None = None
    problem: str = ""
    forged: bool = False


def _asked(sink: Sink, series: str, prove: Prove, seconds: float) -> _Answer:
    about, answer = f"{sink.name} {sink.address}", _Answer()

    def serve(_turn: Turn) -> None:
        try:
            answer.found = _stored(sink, series, prove)
        except VerifyError as error:
            answer.problem, answer.forged = f"{about}: the newest bundle there is not ours: {error}", True
        except Exception as error:  # noqa: BLE001 - the plugin boundary, and the evidence must still be kept
            known = isinstance(error, OSError | SinkRefused)
            why = str(error) if known else f"{type(error).__name__}: {error}"
            answer.problem = f"{about} could not be asked: {why}"

    side_by_side([turn := Turn(sink)], serve, seconds)
    return _Answer(problem=f"{about} could not be asked within {seconds:g} s") if turn.failed else answer


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_REASON]


def _after(found: tuple[str, int, str]) -> Link:
    epoch, sequence, digest = found
    return Link(datetime.strptime(epoch, _EPOCH).strftime(_MOMENT), sequence + 1, digest)


def _waiting(state: Path, series: str) -> Iterator[str]:
    folder = state / OUTBOX
    for path in (folder / series).rglob("*.zip"):
        if parse_key(key := path.relative_to(folder).as_posix()):
            yield key


def _caught_up(
    state: Path, series: str, found: tuple[str, int, str] | None, digest: Digest
) -> tuple[str, int, str]:
    """The head, which may be a bundle that waits: its presence in the outbox is what makes it one."""
    newest = max(_waiting(state, series), default="")
    parsed = parse_key(newest)
    if parsed is None or (found is not None and parsed[1:3] <= found[:2]):
        assert found is not None  # without a head this is called only where something waits
        return found
    _, epoch, sequence, short = parsed
    try:
        with (state / OUTBOX / newest).open("rb") as file:
            full = digest(file)
    except (OSError, VerifyError) as error:
        raise ConfigError(f"{state / OUTBOX / newest}: the series' newest bundle: {error}") from None
    if full[:12] != short:
        raise ConfigError(f"{state / OUTBOX / newest}: its name is not that of its statement")
    moment = datetime.strptime(epoch, _EPOCH).strftime(_MOMENT)
    record_head(state, series, Link(moment, sequence, None), full)
    return epoch, sequence, full


def _stored(sink: Sink, series: str, prove: Prove) -> tuple[str, int, str] | None:
    keys = ((parsed, text) for text in sink.list(f"{series}/") if (parsed := parse_key(text)))
    if (newest := max(keys, default=None)) is None:
        return None
    (_, epoch, sequence, short), text = newest
    if sequence >= _LAST:  # whoever can write to the store would else make the next run's bundle impossible
        raise VerifyError(f"{text}: no bundle can follow it")
    try:
        with sink.get(text) as file:
            full = prove(file, text)
    except VerifyError as error:
        raise VerifyError(f"{text}: {error}") from None
    if full[:12] != short:
        raise VerifyError(f"{text}: its name is not that of its statement")
    return epoch, sequence, full


def record_head(state: Path, series: str, link: Link, digest: str) -> None:
    """Make a link the head, durably; call it once its bundle is in the outbox."""
    path = _path(state, series)
    durable.make_folder(path.parent)
    durable.write(path, dumps({"epoch": link.epoch, "sequence": link.sequence, "digest": digest}))
