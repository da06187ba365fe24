"""How fast one service of one target is asked.

Nothing is slowed until the target asks for it. Each refusal doubles the distance between calls to
that service alone; each answer shortens it by a tenth.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Pace", "Paces"]

_FIRST_DELAY = 0.05  # seconds: about what one throttled API call costs
_MAX_DELAY = 5.0


class Pace:
    """The distance between two calls to one service, in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._delay = 0.0
        self._next = 0.0

    def due(self) -> float:
        """Book the next place and say how many seconds away it is."""
        with self._lock:
            now = self._monotonic()
            place = max(now, self._next)
            self._next = place + self._delay
            return place - now

    def refused(self) -> None:
        """The service said: slower."""
        with self._lock:
            self._delay = min(max(self._delay * 2, _FIRST_DELAY), _MAX_DELAY)

    def answered(self) -> None:
        """The service kept up."""
        with self._lock:
            self._delay = self._delay * 0.9 if self._delay > _FIRST_DELAY / 10 else 0.0


class Paces:
    """The paces of one target, by service: what stands before the colon in an operation's name."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}

    def of(self, op: str) -> Pace:
        """The pace of an operation's service."""
        service = op.partition(":")[0]
        with self._lock:
            return self._paces.setdefault(service, Pace(self._monotonic))
