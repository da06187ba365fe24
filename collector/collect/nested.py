"""Values inside values: walking through JSON, and the paths that lead there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from collector.canonical import dumps
from collector.model import Json

__all__ = ["MAX_DEPTH", "mapped", "step", "strings", "utf8"]

MAX_DEPTH = 100
"""Levels that are looked into; orjson writes 254, and nothing that a system answers is nested like that."""

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def mapped(
    value: Json, path: str, replace: Callable[[Json, str], Json], everything: bool = False, depth: int = 0
) -> Json:
    """Replace each text in a value (`everything`: each number and truth value too)."""
    if isinstance(value, list) and depth < MAX_DEPTH:
        return [mapped(each, f"{path}[{n}]", replace, everything, depth + 1) for n, each in enumerate(value)]
    if isinstance(value, dict) and depth < MAX_DEPTH:
        return {
            key: mapped(each, step(path, key), replace, everything, depth + 1) for key, each in value.items()
        }
    if isinstance(value, (list, dict)):
        return replace("nested too deeply", path)
    return replace(value, path) if isinstance(value, str) or (everything and value is not None) else value


def strings(value: Json, depth: int = 0) -> Iterator[str]:
    """Every text in a value, the names in it left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)) and depth < MAX_DEPTH:
        for each in value if isinstance(value, list) else value.values():
            yield from strings(each, depth + 1)


def step(path: str, name: str) -> str:
    """The path of what has this name below a path."""
    if not _PLAIN_NAME.match(name):
        return f"{path}[{dumps(utf8(name)).decode()}]"
    return f"{path}.{name}" if path else name


def utf8(text: str) -> str:
    """Text without lone surrogates, which JSON cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
