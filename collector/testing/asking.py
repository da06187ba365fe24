"""An `ask` without retries, pacing or ledger, for tests of a source alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from collector.canonical import dumps
from collector.model import Answer, CallFailed, Fault, Json, Outcome, Reply, Source, Target, UndeclaredCall

__all__ = ["PlainAsk"]

_MAX_PAGES = 10_000


class PlainAsk:
    """`collector.model.Ask` over a source's own `send`, one attempt a page.

    Args:
        source: what is asked.
        target: of which target.
        declared: names of the operations that may be asked.
        timeout: seconds for each attempt.

    Attributes:
        heard: operation and outcome of each call made, by call id.
    """

    def __init__(self, source: Source, target: Target, declared: Iterable[str], timeout: float = 10) -> None:
        self._source = source
        self._target = target
        self._declared = frozenset(declared)
        self._timeout = timeout
        self._known: dict[str, tuple[Answer, Mapping[str, Json] | None]] = {}
        self.heard: dict[str, tuple[str, Outcome]] = {}

    def __call__(self, op: str, params: Mapping[str, Json] | None = None) -> Answer:
        """Ask a question that has one page; an answer with more of them is `truncated`."""
        params = dict(params or {})
        answer, more = self._page(op, params, params, 1)
        if more is None:
            return answer
        self.heard[answer.call] = (op, Outcome.TRUNCATED)
        return Answer(answer.call, op, Outcome.TRUNCATED)

    def pages(self, op: str, params: Mapping[str, Json] | None = None) -> Iterator[Answer]:
        """Ask a list, a page at a time, up to the first page that is not `ok`."""
        first = dict(params or {})
        asked: Mapping[str, Json] | None = first
        for page in range(1, _MAX_PAGES + 1):
            if asked is None:
                return
            answer, asked = self._page(op, first, asked, page)
            yield answer

    def many(
        self, asked: Sequence[tuple[str, Mapping[str, Json]]], pages: bool = False
    ) -> Sequence[Sequence[Answer]]:
        """Ask several questions, here one after the other."""
        return [tuple(self.pages(*each)) if pages else (self(*each),) for each in asked]

    def _page(
        self, op: str, first: Mapping[str, Json], asked: Mapping[str, Json], page: int
    ) -> tuple[Answer, Mapping[str, Json] | None]:
        if op not in self._declared:
            raise UndeclaredCall(f"{op} is declared by no kind of this task")
        key = dumps([op, first, page])
        call = f"{_digest(dumps(dict(self._target.scope)))[:8]}/{_digest(key)[:16]}"
        if call not in self._known:
            self._known[call] = self._attempt(call, op, asked)
            self.heard[call] = (op, self._known[call][0].outcome)
        return self._known[call]

    def _attempt(
        self, call: str, op: str, asked: Mapping[str, Json]
    ) -> tuple[Answer, Mapping[str, Json] | None]:
        try:
            reply = self._source.send(self._target, op, asked, self._timeout)
        except CallFailed as error:
            outcome = self._source.errors.get(error.code, Fault(Outcome.FAILED)).outcome
            return Answer(call, op, outcome, detail=str(error)), None
        except TimeoutError as error:
            return Answer(call, op, Outcome.TIMEOUT, detail=str(error)), None
        except ConnectionError as error:
            return Answer(call, op, Outcome.UNREACHABLE, detail=str(error)), None
        if not isinstance(reply, Reply):
            raise TypeError(f"{op}: send gave a {type(reply).__name__}, not a Reply")
        dumps(reply.data)  # raises TypeError for what is no JSON
        return Answer(call, op, Outcome.OK, reply.data), reply.next


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
