"""The chain of a series: each bundle names the one before (docs/format.md, "Store and series")."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from collector.canonical import dumps, loads
from collector.deliver import durable
from collector.model import ConfigError, Json, Sink, SinkRefused

__all__ = ["Link", "key", "next_link", "parse_key", "record_head"]

_KEY = re.compile(
    r"(?P<series>[a-z0-9][a-z0-9._-]{0,62})/(?P<epoch>\d{8}T\d{6}Z)/(?P<sequence>\d{8})-(?P<digest>[0-9a-f]{12})\.zip\Z"
)

Digest = Callable[[IO[bytes]], str]
"""The SHA-256 of a stored bundle's statement, in hexadecimal; raises VerifyError for what is none."""


@dataclass(frozen=True, slots=True)
class Link:
    """A place in a series.

    Attributes:
        epoch: `as_of` of the epoch's first bundle.
        sequence: counted from 1.
        previous: digest of the statement before; None for the first.
        reason: why a new epoch began; "" where none did.
    """

    epoch: str
    sequence: int
    previous: str | None
    reason: str = ""

    def facts(self, name: str, cadence: float) -> dict[str, Json]:
        """The link as the statement has it."""
        return {
            "name": name,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "previous": self.previous,
            "cadence": round(cadence) or None,
        }


def key(series: str, link: Link, digest: str) -> str:
    """Where a bundle lies in a store."""
    epoch = link.epoch.replace("-", "").replace(":", "")
    return f"{series}/{epoch}/{link.sequence:08d}-{digest[:12]}.zip"


def parse_key(text: str) -> tuple[str, str, int, str] | None:
    """Series, epoch, sequence and digest of a key; None for what is none."""
    match = _KEY.match(text)
    return (match["series"], match["epoch"], int(match["sequence"]), match["digest"]) if match else None


def _path(state: Path, series: str) -> Path:
    return state / "series" / f"{series}.json"


def next_link(state: Path, series: str, as_of: datetime, sinks: Iterable[Sink], digest: Digest) -> Link:
    """The place that the next bundle takes.

    Read from local state; without it, from the first sink that can tell; else a new epoch begins.

    Raises:
        ConfigError: the local state is damaged.
    """
    path = _path(state, series)
    try:
        head = loads(path.read_bytes())
        return Link(head["epoch"], head["sequence"] + 1, head["digest"])
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path}: damaged; remove it and the head is read from the store again") from None
    reason = "no bundle of this series is known here or in a store"
    for sink in sinks:
        try:
            if (found := _stored(sink, series, digest)) is not None:
                return found
        except (OSError, SinkRefused) as error:
            reason = f"no local state, and {sink.name} {sink.address} could not be asked: {error}"
    return Link(as_of.strftime("%Y-%m-%dT%H:%M:%SZ"), 1, None, reason)


def _stored(sink: Sink, series: str, digest: Digest) -> Link | None:
    from collector.model import VerifyError

    keys = [(parsed, text) for text in sink.list(f"{series}/") if (parsed := parse_key(text))]
    if not keys:
        return None
    (_, epoch, sequence, short), text = max(keys)
    try:
        with sink.get(text) as file:
            full = digest(file)
    except VerifyError as error:
        raise SinkRefused(f"{text}: {error}") from None
    if full[:12] != short:
        raise SinkRefused(f"{text}: its name is not that of its statement")
    moment = datetime.strptime(epoch, "%Y%m%dT%H%M%SZ")
    return Link(moment.strftime("%Y-%m-%dT%H:%M:%SZ"), sequence + 1, full)


def record_head(state: Path, series: str, link: Link, digest: str) -> None:
    """Make a link the head, durably; call it once its bundle is in the outbox."""
    path = _path(state, series)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    durable.write(path, dumps({"epoch": link.epoch, "sequence": link.sequence, "digest": digest}))
