"""When a sink that failed is tried again: remembered durably, from five minutes to twelve hours later.

The wait doubles with each failure and never reaches a day, so that a nightly run always tries. It holds
back runs only: whoever delivers by hand is not made to wait.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.canonical import dumps, loads
from collector.deliver import durable
from collector.model import Sink

__all__ = ["LONGEST", "failed", "succeeded", "wait_until"]

_FIRST = timedelta(minutes=5)
LONGEST = timedelta(hours=12)
"""The longest wait; shorter than the cadence of a nightly run."""

_MOST = 16  # failures counted; the wait is at its longest by then
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


def wait_until(folder: Path, sink: Sink, now: datetime) -> datetime | None:
    """When a sink is due again, if that is later than now.

    A note that is damaged, or further ahead than any wait (a clock that was set back), does not count.
    """
    _, due = _read(_path(folder, sink))
    return due if due is not None and now < due <= now + LONGEST else None


def failed(folder: Path, sink: Sink, now: datetime) -> datetime:
    """Remember a failure, durably. Returns when the sink is due again."""
    path = _path(folder, sink)
    failures = min(_read(path)[0] + 1, _MOST)
    due = now + min(_FIRST * (1 << (failures - 1)), LONGEST)
    durable.make_folder(path.parent)
    note = {"format": 1, "sink": sink.address, "failures": failures, "not_before": due.strftime(_MOMENT)}
    with suppress(FileNotFoundError):  # a run of another series has just noted the same
        durable.write(path, dumps(note))
    return due


def succeeded(folder: Path, sink: Sink) -> None:
    """Forget its failures."""
    path = _path(folder, sink)
    if path.exists():
        durable.remove(path)


def _path(folder: Path, sink: Sink) -> Path:
    name = hashlib.sha256(f"{sink.name} {sink.address}".encode()).hexdigest()[:16]
    return folder / ".sinks" / f"{name}.json"


def _read(path: Path) -> tuple[int, datetime | None]:
    try:
        note = loads(path.read_bytes())
        due = datetime.strptime(note["not_before"], _MOMENT).replace(tzinfo=UTC)
        return max(0, int(note["failures"])), due
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None
