"""What a command says while it works: on a terminal one line that moves, elsewhere lines for machines.

Both go to standard error. Lines are `key=value`, or JSON where `--output json` asked for JSON, and each
has its time.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.cli.options import Output
    from collector.run import Progress

__all__ = ["Follower", "start"]

_CLEAR = "\r\x1b[K"
_PLAIN = re.compile(r"[A-Za-z0-9_./:@+-]+\Z")
_EVERY = 1.0  # seconds between two lines about the same step

_STEPS = {
    "plan": "asking what must be known before planning",
    "collect": "collecting",
    "derive": "computing derived tables",
    "judge": "judging",
    "seal": "signing",
    "deliver": "delivering",
}


def start(output: Output) -> None:
    """Send what the collector logs to standard error: warnings on a terminal, all of it elsewhere."""
    terminal = sys.stderr.isatty()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Terminal() if terminal else _Lines(output.format == "json"))
    logger = logging.getLogger("collector")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.ERROR if output.quiet else logging.WARNING if terminal else logging.INFO)


class _Terminal(logging.Formatter):
    """A message alone, in place of the line that moves."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{_CLEAR}collector: {_one_line(record.getMessage())}"


class _Lines(logging.Formatter):
    """A line of fields: time, level, message, and what the message is about."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._json = as_json

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        fields: dict[str, Any] = {
            "time": moment,
            "level": record.levelname.lower(),
            "message": _one_line(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if self._json:
            return json.dumps(fields)
        return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def _one_line(text: str) -> str:
    from collector.report.page import clean

    return clean(text)


def _value(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.match(text) else json.dumps(text)


class Follower:
    """Told of each step of a run, from any thread; a context manager that leaves a clean line behind."""

    def __init__(self, output: Output) -> None:
        self._live = sys.stderr.isatty() and not output.quiet
        self._lock = threading.Lock()
        self._step = ""
        self._said = 0.0
        self._log = logging.getLogger("collector.progress")

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()

    def __call__(self, progress: Progress) -> None:
        """Say how far it is."""
        with self._lock:
            if self._live:
                sys.stderr.write(f"{_CLEAR}{_moving(progress)}")
                sys.stderr.flush()
            elif self._due(progress):
                fields: dict[str, Any] = {"step": progress.step}
                if progress.total:
                    fields |= {"done": progress.done, "total": progress.total}
                self._log.info(_STEPS.get(progress.step, progress.step), extra={"fields": fields})

    def _due(self, progress: Progress) -> bool:
        """Whether to write a line: for a new step, for its end, and from time to time."""
        now = time.monotonic()
        ended = progress.total > 0 and progress.done == progress.total
        if progress.step == self._step and not ended and now - self._said < _EVERY:
            return False
        self._step, self._said = progress.step, now
        return True


def _moving(progress: Progress) -> str:
    what = _STEPS.get(progress.step, progress.step)
    return f"{what} {progress.done}/{progress.total}" if progress.total else f"{what} ..."
