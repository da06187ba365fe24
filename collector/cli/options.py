"""What commands have in common: how they print, and how they find their configuration."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.model import Json

if TYPE_CHECKING:
    from collector.config import Config
    from collector.plugins import Plugins
    from collector.report.page import Page

__all__ = [
    "MOMENT",
    "Configured",
    "Output",
    "configured",
    "discard_output",
    "moment",
    "printing",
    "writing_to",
]

_WIDEST = 120  # longer lines are hard to read, however wide the terminal
_NARROWEST = 40
_NO_TERMINAL = 100


@dataclass(frozen=True, slots=True)
class Output:
    """Where and how a command prints.

    Attributes:
        format: "text" or "json".
        quiet: nothing but errors.
    """

    format: str = "text"
    quiet: bool = False

    @property
    def page(self) -> Page:
        """The page that standard output is: as wide as the terminal, coloured where that is wanted."""
        import os
        import shutil
        import sys

        from collector.report.page import Page

        width = shutil.get_terminal_size((_NO_TERMINAL, 24)).columns
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        return Page(min(max(width, _NARROWEST), _WIDEST), colour=sys.stdout.isatty() and not plain)

    def give(self, value: Json, text: Callable[[Page], Iterable[str]]) -> None:
        """Print one value: as JSON, or as the lines that `text` makes of it.

        A reader who leaves early changes nothing of what the command came to.

        Raises:
            OSError: standard output cannot be written to, as where a disk is full; it is named.
        """
        if self.quiet:
            return
        try:
            self._print(value, text)
        except BrokenPipeError:
            discard_output()
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from None

    def complain(self, problems: Iterable[str]) -> None:
        """With `--quiet`, say what is wrong, a line each: else it stands in what `give` prints."""
        from collector.report.page import clean

        for problem in problems if self.quiet else ():
            with suppress(OSError):  # the exit code says it to whoever does not read
                click.echo(f"collector: {clean(problem)}", err=True)

    def _print(self, value: Json, text: Callable[[Page], Iterable[str]]) -> None:
        if self.format == "json":
            import json

            click.echo(json.dumps(value, indent=2, sort_keys=True, default=str))
            return
        for line in text(self.page):
            click.echo(_encodable(line))


@contextmanager
def writing_to(place: str | Path) -> Iterator[None]:
    """Name the place that a command writes to where it is full; what the system says names none, or a source.

    Raises:
        OSError: what was raised.
    """
    import errno

    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise OSError(error.errno, error.strerror, str(place)) from error


def discard_output() -> None:
    """Whoever read our output has left; nothing more may be written, not even at exit."""
    import os
    import sys

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _encodable(line: str) -> str:
    """A line in which what standard output cannot encode stands as an escape."""
    import sys

    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def printing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--output` and `--quiet`, and hand it an `output`."""

    @click.option(
        "--output",
        "format_",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="How to print: for people, or one JSON value.",
    )
    @click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
    @functools.wraps(function)
    def wrapped(*args: Any, format_: str, quiet: bool, **options: Any) -> Any:
        from collector.cli import log

        output = Output(format_, quiet)
        log.start(output)
        return function(*args, output=output, **options)

    return wrapped


@dataclass(frozen=True, slots=True)
class Configured:
    """What the flags say about the configuration."""

    path: Path | None
    overrides: dict[str, str]

    def load(self) -> tuple[Config, Plugins]:
        """The configuration, and the plugins that it was held against.

        Raises:
            ConfigError: either cannot be used.
        """
        from collector import config, plugins

        found = plugins.load()
        return config.load(config.find(self.path), found, self.overrides), found


_METAVARS = {"string": "NAME", "path": "PATH", "integer": "N", "duration": "TIME", "strings": "A,B"}


def configured(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `--config` and flags for these of the agent's own options; hand it `configured`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        from collector.config import OPTIONS

        @functools.wraps(function)
        def wrapped(*args: Any, config_path: Path | None, **options: Any) -> Any:
            given = {name: options.pop(name) for name in names}
            overrides = {name: str(value) for name, value in given.items() if value is not None}
            return function(*args, configured=Configured(config_path, overrides), **options)

        made: Callable[..., Any] = wrapped
        for option in reversed([each for each in OPTIONS if each.name in names]):
            help_ = f"{option.meaning[0].upper()}{option.meaning[1:]}."
            flag = f"--{option.name.replace('_', '-')}"
            made = click.option(flag, option.name, metavar=_METAVARS[option.type], help=help_)(made)
        path = click.Path(path_type=Path)
        help_ = "Configuration file; else ./collector.toml, the user's, the system's, or this machine."
        return click.option("--config", "config_path", type=path, metavar="FILE", help=help_)(made)

    return decorate


class _Moment(click.ParamType):  # type: ignore[type-arg]  # generic in click 8.3 and later only
    """A moment to the second, in UTC unless it says otherwise; a day is its first second."""

    name = "time"
    _form = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)?)?\Z", re.ASCII)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if not self._form.match(value):
                self.fail(f"{value!r} is no time; write 2026-11-24T02:00:00Z", param, ctx)
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-11-24T02:00:00Z", param, ctx)
        try:
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except OverflowError:
            self.fail(f"{value!r} is out of range", param, ctx)


MOMENT = _Moment()


def moment(option: str, text: str | None, *, last: bool = False) -> datetime | None:
    """The moment that an option says, in UTC; None where it is left out.

    Args:
        option: its name, for the error.
        text: a day, or a time to the second.
        last: take a day's last moment, not its first.

    Raises:
        ConfigError: it is neither.
    """
    if text is None:
        return None
    try:
        found: datetime = MOMENT.convert(text, None, None)
    except click.BadParameter as error:
        from collector.model import ConfigError

        raise ConfigError(f"{option}: {error.message}, or a day") from None
    if last and len(text) == len("2026-11-24"):
        found = found.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return found
