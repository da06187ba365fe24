"""The ledger: one line for each question that was asked, answered or not."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collector.canonical import dumps
from collector.model import Json, Outcome

__all__ = ["Entry", "Ledger"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One call.

    Attributes:
        call: its id (`collector.collect.plan.call_id`).
        op, params: what was asked; people in `params` are pseudonyms, page tokens are left out.
        principal: as whom, as far as known.
        at: when the last attempt began, UTC, to the millisecond.
        ms: how long the last attempt took.
        tries: attempts made; 0 where the run ended before the first.
        page, more: which page this is, and whether the target says that another follows.
        items: how many items it lists; None where it is no list.
        size: bytes received.
        outcome, detail: how it ended; one redacted line.
        answer: keyed digest of the parsed answer's canonical JSON; "" where there was none.
    """

    call: str
    op: str
    params: Mapping[str, Json]
    principal: str
    at: str
    ms: int
    tries: int
    page: int
    more: bool
    items: int | None
    size: int
    outcome: Outcome
    detail: str
    answer: str

    def line(self) -> tuple[bytes, bytes]:
        """The canonical line before and after the place of its salt."""
        before = {
            "answer": self.answer,
            "as": self.principal,
            "at": self.at,
            "bytes": self.size,
            "call": self.call,
            "detail": self.detail,
            "items": self.items,
            "more": self.more,
            "ms": self.ms,
            "op": self.op,
            "outcome": self.outcome.value,
            "page": self.page,
            "params": dict(self.params),
        }
        return dumps(before)[:-1], b',"tries":%d}' % self.tries


class Ledger:
    """Collects entries from several threads; gives them sorted by id."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._lock = threading.Lock()

    def add(self, entry: Entry) -> None:
        """Take an entry. Raises ValueError for an id that is there: no question is asked twice."""
        with self._lock:
            if entry.call in self._entries:
                raise ValueError(f"call {entry.call} ({entry.op}) asked twice")
            self._entries[entry.call] = entry

    def remove(self, calls: Iterable[str]) -> None:
        """Drop entries of lists that are begun again: what they told counts no more."""
        with self._lock:
            for call in calls:
                self._entries.pop(call, None)

    def merge(self, entries: Mapping[str, Entry]) -> None:
        """Take what another worker's ledger holds. Where both asked (a worker in another process
        cannot see what discovery asked), the entry that is here stays."""
        with self._lock:
            for call, entry in entries.items():
                self._entries.setdefault(call, entry)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by id."""
        return self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._entries.values(), key=lambda entry: entry.call))

    def __len__(self) -> int:
        return len(self._entries)
