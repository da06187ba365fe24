"""Sinks side by side, each with its own time: a slow or dead one does not hold up the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from collector.model import Sink

__all__ = ["Over", "Turn", "side_by_side"]


class Over(Exception):  # noqa: N818 - says what happened to the turn
    """A sink's time is over; what it still does is not written down."""


@dataclass(slots=True)
class Turn:
    """A sink's turn, and what came of it.

    Attributes:
        sink: whose turn it is.
        places: bundle key to where it was stored.
        notes: what deliveries rest on that could not be read back.
        problem: why it has not everything; "" where it has.
        failed: whether the sink is to blame, so that the next try waits.
        raised: what ended its thread and is no error of a sink.
    """

    sink: Sink
    places: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problem: str = ""
    failed: bool = False
    raised: BaseException | None = None
    _over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within, what was done is written down whole. Raises Over where the time is over."""
        with self._lock:
            if self._over:
                raise Over
            yield

    def end(self, problem: str) -> None:
        """Nothing is written down from here on."""
        with self._lock:
            self._over, self.problem, self.failed = True, problem, True


def side_by_side(turns: Sequence[Turn], serve: Callable[[Turn], None], seconds: float) -> None:
    """Serve all at once, and wait for each at most `seconds`; one that is not done then is ended.

    Its thread cannot be ended from outside; it is left to itself, and goes with the process.
    """
    threads = [threading.Thread(target=_run, args=(turn, serve), daemon=True) for turn in turns]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for turn, thread in zip(turns, threads, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            turn.end(
                f"{turn.sink.name} {turn.sink.address}: not done after {seconds:g} s; what it lacks stays"
            )
    for turn in turns:
        if turn.raised is not None:
            raise turn.raised


def _run(turn: Turn, serve: Callable[[Turn], None]) -> None:
    try:
        serve(turn)
    except Over:
        return
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
        turn.raised = error
