"""`ask`: the one seam between a source and the world.

Around each attempt (`Source.send`) it times, paces, retries, writes the ledger, answers a question
that was asked before from memory, and refuses what was not declared. What a target does never
raises: it is an outcome of the answer. This is the only place that turns a target's exceptions into
outcomes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

import tenacity

from collector.canonical import dumps
from collector.collect.ledger import Entry, Ledger
from collector.collect.pace import Paces
from collector.collect.plan import call_id
from collector.collect.redact import Redactor
from collector.keys import Keys
from collector.model import (
    Answer,
    CallFailed,
    Fault,
    Json,
    Outcome,
    Reply,
    Source,
    Target,
    UndeclaredCall,
)

__all__ = ["Asker", "Limits", "Memory", "Stop"]

_REMEMBERED_BYTES = 16 * 2**20  # answers kept for one target, to be given again
_MAX_PAGES = 100_000  # a target whose list never ends is cut off here
_MAX_DETAIL = 500  # characters of an error that are kept


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may cost.

    Attributes:
        call_timeout: seconds that one attempt may take.
        tries: attempts at most.
        retry_budget: seconds after its first attempt in which a call may be tried again.
    """

    call_timeout: float = 10.0
    tries: int = 5
    retry_budget: float = 60.0


class Stop:
    """Says when a run must come to its end: at a deadline, or because someone asked."""

    def __init__(self, seconds: float | None = None, event: threading.Event | None = None) -> None:
        self._until = None if seconds is None else time.monotonic() + seconds
        self._event = event or threading.Event()

    @property
    def why(self) -> str:
        """Why no further call is made; "" while calls are made."""
        if self._event.is_set():
            return "the run was stopped"
        if self._until is not None and time.monotonic() >= self._until:
            return "the run's time was used up"
        return ""

    @property
    def left(self) -> float | None:
        """Seconds to the deadline; None without one."""
        return None if self._until is None else max(self._until - time.monotonic(), 0.0)

    def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until the end."""
        left = self.left
        self._event.wait(seconds if left is None else min(seconds, left))


@dataclass
class Memory:
    """What one target has answered, shared by its tasks: questions are asked once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    answers: dict[str, Future[_Heard]] = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Heard:
    answer: Answer
    next: Mapping[str, Json] | None
    kept: bool = True


@dataclass(frozen=True, slots=True)
class _Attempt:
    reply: Reply | None
    outcome: Outcome
    detail: str
    tries: int
    at: datetime
    ms: int
    answer: str = ""
    again: bool = False


class _NoJson(Exception):  # noqa: N818 - it says what an answer is
    """An answer that canonical JSON cannot hold."""


class Asker:
    """`collector.model.Ask` for one task.

    Attributes:
        heard: outcome of every call that this task was answered, by id, with its operation.
        details: what the ledger says of calls that were not answered, by id.
        unfinished: lists that were left before their last page: id of the last page read, and operation.
        broken: the first thing asked that breaks the contract, which fails the task even where the
            source catches the exception; "" if nothing did.
        stale: why a list that was being read is not the one any more that it was (`Fault.again`); "" else.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        declared: frozenset[str],
        *,
        keys: Keys,
        redactor: Redactor,
        ledger: Ledger,
        memory: Memory,
        paces: Paces,
        limits: Limits,
        stop: Stop,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pool: Executor | None = None,
        since: str = "",
    ) -> None:
        """
        Args:
            pool: where questions that are asked at the same time go; None: one after the other.
            since: why the task was begun again; the ledger says so of the first page of each answer.
        """
        self._pool = pool
        self._since = since
        self._source = source
        self._target = target
        self._declared = declared
        self._keys = keys
        self._redactor = redactor
        self._ledger = ledger
        self._memory = memory
        self._paces = paces
        self._limits = limits
        self._stop = stop
        self._clock = clock
        self.heard: dict[str, tuple[str, Outcome]] = {}
        self.details: dict[str, str] = {}
        self.unfinished: dict[str, str] = {}
        self.broken = ""
        self.stale = ""
        self._mine: dict[str, str] = {}  # questions that this task was the first to ask, and their calls
        self._shown: dict[bytes, dict[str, Json]] = {}

    def shown(self, op: str, params: Mapping[str, Json]) -> Mapping[str, Json]:
        """What is written of a question's parameters, the same each time.

        Redaction learns from records, so it would name a list's second page, or a list that is due,
        otherwise than it named the first.
        """
        key = dumps([op, dict(params)])
        if key not in self._shown:
            self._shown[key] = self._redactor.params(params)
        return self._shown[key]

    def __call__(self, op: str, params: Mapping[str, Json] | None = None) -> Answer:
        """Ask a question that has one page."""
        params = dict(params or {})
        heard = self._page(op, params, params, 1)
        if heard.next is None:
            return heard.answer
        call = heard.answer.call
        detail = self.details[call] = "the answer has more pages than the one asked for"
        self.heard[call] = (op, Outcome.TRUNCATED)
        return Answer(call, op, Outcome.TRUNCATED, None, detail)

    def pages(self, op: str, params: Mapping[str, Json] | None = None) -> Iterator[Answer]:
        """Ask a list, a page at a time, up to the first page that is not `ok`."""
        first: Mapping[str, Json] = dict(params or {})
        asked: Mapping[str, Json] | None = first
        last = ""
        for page in range(1, _MAX_PAGES + 1):
            if asked is None:
                return
            heard = self._page(op, first, asked, page)
            asked = heard.next
            if asked is not None:
                self.unfinished[heard.answer.call] = op
            if last:
                self.unfinished.pop(last, None)
            last = heard.answer.call
            answer = heard.answer
            del heard  # a page is let go before the next one is asked for
            yield answer
            del answer

    def many(
        self, asked: Sequence[tuple[str, Mapping[str, Json]]], pages: bool = False
    ) -> Sequence[Sequence[Answer]]:
        """Ask several questions at the same time."""

        def one(question: tuple[str, Mapping[str, Json]]) -> Sequence[Answer]:
            return tuple(self.pages(*question)) if pages else (self(*question),)

        if self._pool is None or len(asked) < 2:
            return [one(question) for question in asked]
        # What is written of parameters depends on the records before, never on which thread comes first.
        for op, params in asked:
            self.shown(op, params)
        return list(self._pool.map(one, asked))

    def forget(self) -> None:
        """Make as if this task had asked nothing, so that it can be begun again."""
        with self._memory.lock:
            for key in self._mine:
                self._memory.answers.pop(key, None)
        self._ledger.remove(self._mine.values())

    def _page(self, op: str, first: Mapping[str, Json], asked: Mapping[str, Json], page: int) -> _Heard:
        if op not in self._declared:
            raise self._refused(f"{op} is declared by no kind of this task")
        key = dumps([op, first, page]).decode()
        with self._memory.lock:
            known = self._memory.answers.get(key)
            if known is None:
                mine: Future[_Heard] = Future()
                self._memory.answers[key] = mine
        if known is not None:
            heard = known.result()
            if not heard.kept:
                raise self._refused(f"{op} was asked before and its answer was too large to keep")
        else:
            heard = self._ask_first(mine, op, first, asked, page)
            self._mine[key] = heard.answer.call
        self.heard[heard.answer.call] = (op, heard.answer.outcome)
        if heard.answer.detail:
            self.details[heard.answer.call] = heard.answer.detail
        return heard

    def _refused(self, why: str) -> UndeclaredCall:
        self.broken = self.broken or why
        return UndeclaredCall(why)

    def _ask_first(
        self,
        mine: Future[_Heard],
        op: str,
        first: Mapping[str, Json],
        asked: Mapping[str, Json],
        page: int,
    ) -> _Heard:
        try:
            attempt = self._attempts(op, asked)
            if attempt.again:
                self.stale = f"{op}, page {page}: {attempt.detail}"
            heard = self._write_down(op, self.shown(op, first), page, attempt)
        except BaseException as error:
            self.broken = self.broken or f"{op}: {type(error).__name__}: {error}"
            mine.set_exception(error)
            raise
        mine.set_result(self._keep(heard, attempt))
        return heard

    def _keep(self, heard: _Heard, attempt: _Attempt) -> _Heard:
        size = attempt.reply.size if attempt.reply else 0
        with self._memory.lock:
            if (attempt.reply and not attempt.reply.keep) or self._memory.size + size > _REMEMBERED_BYTES:
                return _Heard(
                    Answer(heard.answer.call, heard.answer.op, heard.answer.outcome), None, kept=False
                )
            self._memory.size += size
        return heard

    def _attempts(self, op: str, params: Mapping[str, Json]) -> _Attempt:
        tries = 0
        while_trying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._limits.tries)
            | tenacity.stop_after_delay(self._limits.retry_budget),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=10),
            retry=tenacity.retry_if_result(lambda done: done[1]),
            sleep=self._stop.sleep,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )

        def once() -> tuple[_Attempt, bool]:
            nonlocal tries
            tries += 1
            return self._once(op, params, tries)

        attempt: _Attempt = while_trying(once)[0]
        return attempt

    def _once(self, op: str, params: Mapping[str, Json], tries: int) -> tuple[_Attempt, bool]:
        """One attempt, and whether another may help."""
        pace = self._paces.of(op)
        if (wait := pace.due()) > 0:
            self._stop.sleep(wait)
        if why := self._stop.why:
            return _Attempt(None, Outcome.BUDGET, why, tries - 1, self._clock(), 0), False
        at, began = self._clock(), time.monotonic()
        reply: Reply | None = None
        fault, detail, answer = Fault(Outcome.OK), "", ""
        try:
            reply = self._source.send(self._target, op, params, self._timeout())
            answer = self._digest(reply)
        except CallFailed as error:
            fault = self._source.errors.get(error.code, Fault(Outcome.FAILED))
            detail = f"{error.code}: {error.detail}" if error.detail else error.code
        except TimeoutError as error:
            fault, detail = Fault(Outcome.TIMEOUT), str(error) or f"no answer in {self._timeout():g} s"
        except ConnectionError as error:
            fault, detail = Fault(Outcome.UNREACHABLE, retry=True), str(error) or type(error).__name__
        except _NoJson as error:
            reply, fault, detail = None, Fault(Outcome.MALFORMED), str(error)
        if fault.retry and fault.outcome is Outcome.BUDGET:  # it asked for less; others only broke down
            pace.refused()
        elif fault.outcome.answered:
            pace.answered()
        ms = round((time.monotonic() - began) * 1000)
        return _Attempt(reply, fault.outcome, detail, tries, at, ms, answer, fault.again), fault.retry

    def _digest(self, reply: Reply) -> str:
        try:
            return self._keys.answer_digest(dumps(reply.data))
        except TypeError as error:  # integers beyond 64 bits, lone surrogates: Python reads them from JSON
            raise _NoJson(f"the answer cannot be kept as JSON: {error}") from None

    def _timeout(self) -> float:
        left = self._stop.left
        return self._limits.call_timeout if left is None else max(min(self._limits.call_timeout, left), 0.1)

    def _write_down(self, op: str, params: Mapping[str, Json], page: int, attempt: _Attempt) -> _Heard:
        call = call_id(self._target, op, params, page)
        reply, outcome = attempt.reply, attempt.outcome
        said = attempt.detail or (self._since if page == 1 else "")
        detail = self._redactor.line(" ".join(said.split()))[:_MAX_DETAIL]
        self._ledger.add(
            Entry(
                call=call,
                op=op,
                params=params,
                principal=self._target.principal,
                at=attempt.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{attempt.at.microsecond // 1000:03d}Z",
                ms=attempt.ms,
                tries=attempt.tries,
                page=page,
                more=reply is not None and reply.next is not None,
                items=reply.items if reply else None,
                size=reply.size if reply else 0,
                outcome=outcome,
                detail=detail,
                answer=attempt.answer,
            )
        )
        data, following = (reply.data, reply.next) if reply else (None, None)
        return _Heard(Answer(call, op, outcome, data, detail), following)
