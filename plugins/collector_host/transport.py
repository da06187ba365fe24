"""How the probe reaches a host: one interface, and the way to this machine.

A transport runs one command, hands it its standard input, and gives back what it said, within a time and
a size. It knows nothing of what is asked.
"""

from __future__ import annotations

import contextlib
import os
import platform
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Protocol, runtime_checkable

__all__ = ["Completed", "LocalTransport", "Transport"]

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
_CHUNK = 65536
_ERROR_LIMIT = 65536  # of standard error: a few lines are shown to people
_GRACE = 0.5  # seconds that output may still come after the command itself has ended
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that came to its end.

    Attributes:
        status: exit status; below 0 the signal that ended it.
        stdout: what it said, at most the limit.
        stderr: what it complained of, cut at 64 KiB.
        truncated: whether it said more than the limit, for which it was ended.
    """

    status: int
    stdout: bytes
    stderr: bytes
    truncated: bool


@runtime_checkable
class Transport(Protocol):
    """A way to run commands on one host. Used by several threads at once."""

    @property
    def name(self) -> str:
        """What the host is called where nobody names it; asks nobody."""
        ...

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float, limit: int) -> Completed:
        """Run a command.

        Args:
            argv: program and arguments; no shell reads them.
            stdin: handed to it, then closed.
            timeout: seconds, for all of it.
            limit: bytes of output after which it is ended.

        Raises:
            TimeoutError: it did not end in time; it and its children were ended.
            ConnectionError: the host could not be reached.
            FileNotFoundError: the host has no such program.
        """
        ...


class LocalTransport:
    """Runs commands on this machine, each in a process group of its own that is ended as a whole."""

    @property
    def name(self) -> str:
        """This machine's host name."""
        return platform.node() or "localhost"

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float, limit: int) -> Completed:
        """Run a command; see `Transport.run`."""
        process = subprocess.Popen(  # noqa: S603 - no shell, and the program is the caller's choice
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": _PATH, "LC_ALL": "C"},
            start_new_session=True,
        )
        talk = _Talk(process, stdin, limit)
        try:
            ended = talk.until(time.monotonic() + timeout)
            if not ended and not talk.truncated:
                raise TimeoutError(f"no end after {timeout:g} seconds")
        finally:
            _end(process)
        return Completed(process.returncode, bytes(talk.out), bytes(talk.err), talk.truncated)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, also what the command left running, and collect the command itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


class _Talk:
    """Writes and reads without blocking, so that no side can hold up the other."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, limit: int) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.truncated = False
        self._process, self._pending, self._limit = process, memoryview(stdin), limit
        self._selector = selectors.DefaultSelector()
        for stream, event in _streams(process):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, event)

    def until(self, deadline: float) -> bool:
        """Talk until both outputs are closed, or the command has ended and says no more.

        Returns whether it came to its end by itself before the deadline.
        """
        ended_at: float | None = None
        with self._selector:
            while self._reading() and not self.truncated:
                now = time.monotonic()
                if ended_at is not None and now - ended_at > _GRACE:
                    return True  # a child that it left behind holds the pipe
                if now >= deadline:
                    return False
                for key, _ in self._selector.select(min(_POLL, deadline - now)):
                    self._serve(key.fileobj)
                if ended_at is None and self._process.poll() is not None:
                    ended_at = time.monotonic()
        return not self.truncated and self._gone(deadline)

    def _gone(self, deadline: float) -> bool:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _reading(self) -> bool:
        return any(key.events == selectors.EVENT_READ for key in self._selector.get_map().values())

    def _serve(self, stream: object) -> None:
        if stream is self._process.stdin:
            self._write(self._process.stdin)
        elif stream is self._process.stdout:
            self._read(self._process.stdout)
        elif stream is self._process.stderr:
            self._read(self._process.stderr)

    def _write(self, stream: IO[bytes] | None) -> None:
        assert stream is not None
        try:
            written = os.write(stream.fileno(), self._pending[:_CHUNK])
            self._pending = self._pending[written:]
        except BrokenPipeError:
            self._pending = self._pending[:0]
        if not self._pending:
            self._selector.unregister(stream)
            stream.close()

    def _read(self, stream: IO[bytes] | None) -> None:
        assert stream is not None
        chunk = os.read(stream.fileno(), _CHUNK)
        if not chunk:
            self._selector.unregister(stream)
        elif stream is self._process.stderr:
            self.err += chunk[: max(0, _ERROR_LIMIT - len(self.err))]
        else:
            self.truncated = len(self.out) + len(chunk) > self._limit
            self.out += chunk[: self._limit - len(self.out)]


def _streams(process: subprocess.Popen[bytes]) -> Iterator[tuple[IO[bytes], int]]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    yield process.stdin, selectors.EVENT_WRITE
    yield process.stdout, selectors.EVENT_READ
    yield process.stderr, selectors.EVENT_READ
