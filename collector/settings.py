"""Turns a TOML table into the values that a part's options promise.

One way for all: the agent's own settings, and each `[[source]]`, `[[sink]]` and `[sign]` table, are
read by the options that they declare (`collector.model.Option`). Secrets stand elsewhere and are
referred to, as `${NAME}` of the environment or `{ file = "path" }`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.model import Json, Option
from collector.toml import Table, nearest, parse_duration, quoted, shown_path

__all__ = ["Place", "read_options"]

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MAX_SECRET = 64 * 2**10  # a certificate chain with its key is a tenth of it


@dataclass(frozen=True, slots=True)
class Place:
    """What a table's words are relative to.

    Attributes:
        folder: absolute; relative paths begin here.
        environ: what `${NAME}` looks into.
    """

    folder: Path
    environ: Mapping[str, str]

    def path(self, text: str) -> str:
        """An absolute path; `~` is the user's home. Raises ValueError where there is none."""
        if "\0" in text:
            raise ValueError("no path holds a NUL")
        try:
            return os.path.abspath(self.folder / Path(text).expanduser())  # noqa: PTH100 - `..` goes, links stay
        except RuntimeError:
            raise ValueError(f"{quoted(text)}: no home folder of that user is known") from None

    def text(self, text: str) -> str:
        """Text with each `${NAME}` replaced. Raises ValueError where a name is not set."""
        return _REFERENCE.sub(self._variable, text)

    def _variable(self, match: re.Match[str]) -> str:
        name = match[1]
        if not match[0].endswith("}") or not _NAME.match(name):
            raise ValueError(
                f"{quoted(match[0])} is no reference; write ${{NAME}} with letters, digits and _"
            )
        if name not in self.environ:
            raise ValueError(f"the environment variable {name} is not set")
        return self.environ[name]

    def secret(self, file: str) -> str:
        """What a secret's file holds, without the line end. Raises ValueError if it cannot be read."""
        path = Path(self.path(self.text(file)))
        if not path.is_file():
            raise ValueError(f"{shown_path(path)}: no such file")
        try:
            with path.open("rb") as opened:
                data = opened.read(_MAX_SECRET + 1)
        except OSError as error:
            raise ValueError(f"{shown_path(path)}: cannot be read: {error.strerror}") from None
        if not data.strip() or len(data) > _MAX_SECRET:
            raise ValueError(
                f"{shown_path(path)}: must be a file of 1 to {_MAX_SECRET} bytes that are not blank"
            )
        try:
            return data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError(f"{shown_path(path)}: not UTF-8") from None


def read_options(
    table: Table, options: Iterable[Option], place: Place
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Read what the options declare; keys that are none of them are left for `Table.finish`.

    Returns:
        The values by name, as `Option` promises them, and the same as written: references stay
        references and paths stay relative, so that these can be digested.

    Raises:
        ConfigError: a value is missing, of the wrong type or not allowed; file, line and key are named.
    """
    values: dict[str, Json] = {}
    written: dict[str, Json] = {}
    for option in options:
        if option.name not in table and not option.required:
            table.value(option.name, None)
            values[option.name] = _default(option, place)
            written[option.name] = option.default
        else:
            values[option.name] = _READERS[option.type](table, option, place)
            written[option.name] = table.value(option.name)
    return values, written


def _default(option: Option, place: Place) -> Json:
    match option.type, option.default:
        case "path", str(text):
            return place.path(text)
        case "paths", list(texts) | tuple(texts):
            return [place.path(text) for text in texts]
        case "duration", str(text):
            return parse_duration(text)
    return option.default


def _attempt(table: Table, option: Option, make: Callable[[], Json]) -> Json:
    try:
        return make()
    except ValueError as error:
        raise table.wrong(str(error), option.name) from None


def _allowed(table: Table, option: Option, text: str) -> str:
    if option.choices and text not in option.choices:
        near = nearest(text, option.choices) or f"; allowed: {', '.join(option.choices)}"
        raise table.wrong(f"{quoted(text)} is not allowed{near}", option.name)
    return text


def _string(table: Table, option: Option, place: Place) -> Json:
    if isinstance(table.value(option.name), dict):
        inner = table.table(option.name)
        file = inner.string("file")
        inner.finish()
        return _attempt(table, option, lambda: place.secret(file))
    text = table.string(option.name)
    return _allowed(table, option, _attempt(table, option, lambda: place.text(text)))


def _path(table: Table, option: Option, place: Place) -> Json:
    text = table.string(option.name)
    return _attempt(table, option, lambda: place.path(place.text(text)))


def _strings(table: Table, option: Option, place: Place) -> Json:
    texts = table.strings(option.name)
    resolved = _attempt(table, option, lambda: [place.text(text) for text in texts])
    return [_allowed(table, option, text) for text in resolved]


def _paths(table: Table, option: Option, place: Place) -> Json:
    texts = table.strings(option.name)
    return _attempt(table, option, lambda: [place.path(place.text(text)) for text in texts])


def _table(table: Table, option: Option, place: Place) -> Json:
    table.table(option.name)
    return _attempt(table, option, lambda: _resolved(table.value(option.name), place))


def _resolved(value: Json, place: Place) -> Json:
    match value:
        case str():
            return place.text(value)
        case list():
            return [_resolved(each, place) for each in value]
        case dict():
            return {key: _resolved(each, place) for key, each in value.items()}
    return value


_READERS: dict[str, Callable[[Table, Option, Place], Json]] = {
    "string": _string,
    "path": _path,
    "integer": lambda table, option, _place: table.integer(option.name, least=-(2**63)),
    "boolean": lambda table, option, _place: table.boolean(option.name),
    "duration": lambda table, option, _place: table.duration(option.name),
    "strings": _strings,
    "paths": _paths,
    "table": _table,
}
