"""Ends what takes too long: one thread watches all statements of a judge."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Patience"]

_LOOKS = 0.2  # seconds between two looks at the clock; by so much a statement may take longer


class Patience:
    """Calls `interrupt` once for whatever runs longer than `seconds`.

    A thread for each statement would cost more than most statements do. It starts with the first one, and
    ends with the context.
    """

    def __init__(self, seconds: float, interrupt: Callable[[], object]) -> None:
        self._seconds = seconds
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._until: float | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Patience:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what runs inside; never interrupts what comes after it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="patience", daemon=True)
            self._thread.start()
        self._until = time.monotonic() + self._seconds
        try:
            yield
        finally:
            with self._lock:
                self._until = None

    def _watch(self) -> None:
        while not self._over.wait(_LOOKS):
            with self._lock:
                if self._until is not None and time.monotonic() >= self._until:
                    self._until = None
                    self._interrupt()
