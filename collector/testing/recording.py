"""Keeps what a source's target answered, attempt by attempt, and plays it back.

A recording is one JSON file that a person can read and change:

    {"format": 1, "calls": [
      {"scope": {…}, "op": "…", "params": {…}, "page": 1,
       "reply": {"data": …, "items": 2, "next": null, "size": 243}},
      {"scope": {…}, "op": "…", "params": {…}, "page": 1, "fault": {"code": "denied", "detail": "…"}}]}

It holds raw answers, before redaction: record systems made for it, never a real organisation's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.canonical import dumps
from collector.model import CallFailed, Json, Reply, Source, Target

__all__ = ["Call", "Recording", "recording_source", "replay_source"]

_RAISED: dict[str, type[Exception]] = {"TimeoutError": TimeoutError, "ConnectionError": ConnectionError}
"""Codes that stand for what `send` may raise beside CallFailed."""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt.

    Attributes:
        scope, op, params: what was asked of which target; params as sent, page token included.
        page: counted from 1.
        reply: what came back; None where it failed.
        code, detail: how it failed: a code of the source, `TimeoutError` or `ConnectionError`.
    """

    scope: Mapping[str, str]
    op: str
    params: Mapping[str, Json]
    page: int
    reply: Reply | None
    code: str = ""
    detail: str = ""

    @property
    def key(self) -> str:
        """What tells this question from others; equal for equal questions."""
        return _key(self.scope, self.op, self.params)


class Recording:
    """Calls in the order in which they were first made; of a repeated question the last answer counts."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._pages: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls."""
        return tuple(self._calls.values())

    def add(self, call: Call) -> None:
        """Take a call in. Its page is set from the answers known so far."""
        with self._lock:
            page = self._pages.get(call.key, call.page)
            self._calls[call.key] = Call(
                call.scope, call.op, call.params, page, call.reply, call.code, call.detail
            )
            if call.reply is not None and call.reply.next is not None:
                self._pages[_key(call.scope, call.op, call.reply.next)] = page + 1

    def answer(self, scope: Mapping[str, str], op: str, params: Mapping[str, Json]) -> Reply:
        """What was answered. Raises what was raised, and CallFailed `not-recorded` for a new question."""
        call = self._calls.get(_key(scope, op, params))
        if call is None:
            raise CallFailed("not-recorded", f"{op} was not asked when this was recorded")
        if call.reply is None:
            raise _failure(call.code, call.detail)
        return call.reply

    def save(self, path: Path) -> None:
        """Write the file."""
        whole = {"format": 1, "calls": [_to_json(call) for call in self.calls]}
        path.write_text(json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read a file. Raises ValueError, with the path, for what is no recording."""
        recording = cls()
        try:
            for call in _calls_of(json.loads(path.read_text("utf-8"))):
                recording.add(_from_json(call))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: not a recording: {error!r}") from error
        return recording


def recording_source(source: type[Source], into: Recording) -> type[Source]:
    """A class like `source` that writes each attempt of its objects into a recording."""

    class Recorder(source):  # type: ignore[valid-type,misc]  # made for any class
        def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:
            def keep(reply: Reply | None, code: str = "", detail: str = "") -> None:
                into.add(Call(dict(target.scope), op, dict(params), 1, reply, code, detail))

            try:
                reply: Reply = super().send(target, op, params, timeout)
            except CallFailed as error:
                keep(None, error.code, error.detail)
                raise
            except (TimeoutError, ConnectionError) as error:
                name = "TimeoutError" if isinstance(error, TimeoutError) else "ConnectionError"
                keep(None, name, str(error))
                raise
            keep(reply)
            return reply

    return _named(Recorder, source)


def replay_source(
    source: type[Source], recording: Recording, failing: Mapping[str, str] | None = None
) -> type[Source]:
    """A class like `source` whose objects answer from a recording and reach nothing.

    Args:
        source: the class that was recorded.
        recording: its answers.
        failing: `Call.key` to the code that the call fails with in place of its answer.
    """
    chosen = dict(failing or {})

    class Replayer(source):  # type: ignore[valid-type,misc]  # made for any class
        def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:  # noqa: ARG002 - nothing is waited for
            if code := chosen.get(_key(target.scope, op, params)):
                raise _failure(code, "made to fail")
            return recording.answer(target.scope, op, params)

    return _named(Replayer, source)


def _named(made: Any, source: type[Source]) -> type[Source]:
    made.__name__ = made.__qualname__ = source.__name__
    made.__doc__ = source.__doc__
    result: type[Source] = made
    return result


def _failure(code: str, detail: str) -> Exception:
    raised = _RAISED.get(code)
    return raised(detail) if raised else CallFailed(code, detail)


def _key(scope: Mapping[str, str], op: str, params: Mapping[str, Json]) -> str:
    return dumps([dict(scope), op, dict(params)]).decode()


def _calls_of(whole: Json) -> Json:
    if whole["format"] != 1:
        raise ValueError(f"format {whole['format']}, must be 1")
    return whole["calls"]


def _to_json(call: Call) -> dict[str, Json]:
    asked = {"scope": dict(call.scope), "op": call.op, "params": dict(call.params), "page": call.page}
    if call.reply is None:
        return {**asked, "fault": {"code": call.code, "detail": call.detail}}
    reply = call.reply
    following = None if reply.next is None else dict(reply.next)
    told = {"data": reply.data, "items": reply.items, "next": following, "size": reply.size}
    return {**asked, "reply": told}


def _from_json(told: Mapping[str, Json]) -> Call:
    asked = (told["scope"], told["op"], told["params"], told["page"])
    if "fault" in told:
        return Call(*asked, None, told["fault"]["code"], told["fault"]["detail"])
    return Call(*asked, Reply(**told["reply"]))
