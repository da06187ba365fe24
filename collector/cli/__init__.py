"""The command line: reads options, calls one function of the core, prints, exits.

What a user can cause ends in one line on standard error and the exit code that docs/format.md and the
help of `collector run` give it. A traceback is always a bug.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.model import CollectorError

__all__ = ["execute", "main"]

_LAST_WAIT = 1.0  # seconds that a thread gets to end by itself
_STANDARD_ERROR = 2  # the last of the three streams that a program begins with
_BUG = 70  # EX_SOFTWARE of sysexits.h
_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells report it


def main() -> None:
    """Run the command that the arguments name, and exit."""
    _stand_in()
    try:
        code = execute(sys.argv[1:])
    except KeyboardInterrupt:  # while `execute` itself was reporting, or before it was ready
        code = _INTERRUPTED
    except Exception:  # noqa: BLE001 - a bug: its traceback, and a code that says nothing about evidence
        import traceback

        with suppress(OSError):
            traceback.print_exc()
        code = _BUG
    _leave(code)


def _stand_in() -> None:
    """Put /dev/null in the place of standard streams that are closed, as some schedulers leave them.

    What is opened next would take their numbers, and what is printed would end up there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _leave(code: int) -> None:
    """Exit, also past a plugin's call that ignores its time-out: its thread would be waited for, for ever."""
    import threading

    others = [
        each for each in threading.enumerate() if each is not threading.main_thread() and not each.daemon
    ]
    try:
        for thread in others:
            thread.join(_LAST_WAIT)
    except KeyboardInterrupt:  # one who cannot wait still gets the code
        os._exit(code)
    if any(thread.is_alive() for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def execute(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    import click

    from collector.cli.app import app

    try:
        with app.make_context("collector", list(arguments)) as context:
            code = app.invoke(context)
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        with suppress(OSError):  # nobody reads standard error any more; the code still says it
            error.show()
        return error.exit_code
    except _user_error() as error:
        _complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_left():  # of a page of help
            return 0
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
        return 2


def _user_error() -> type[CollectorError]:
    """Looked up when something was raised, and not before: `--help` needs no model, which takes time."""
    from collector.model import CollectorError

    return CollectorError


def _complain(message: str) -> None:
    import click

    with suppress(OSError):
        click.echo(f"collector: {' '.join(message.split())}", err=True)


def _reader_left() -> bool:
    """Whether standard output is a pipe that nobody reads; then nothing more is written to it."""
    import select

    from collector.cli.options import discard_output

    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)
    left = bool(poller.poll(0))
    if left:
        discard_output()
    return left
