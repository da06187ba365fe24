"""Paths into answers: names joined by dots, `[]` where every item of a list is meant.

"Reservations[].Instances[]"    each instance
"PublicAccessBlockConfiguration.BlockPublicAcls"    one value
""    the whole
"""

from __future__ import annotations

from collections.abc import Mapping

from collector.model import Json

__all__ = ["filled", "items", "template", "value"]


def items(data: Json, path: str) -> list[Json]:
    """Everything that a path leads to; what is missing on the way leads to nothing."""
    found = [data]
    for name in path.split(".") if path else ():
        found = [each for one in found for each in _step(one, name)]
    if len(found) == 1 and isinstance(found[0], list) and not path.endswith("[]"):
        return found[0]
    return [each for each in found if each is not None]


def value(data: Json, path: str) -> Json:
    """What a path leads to: a list where `[]` stands in it, else one value; None where there is none."""
    if "[]" in path:
        return items(data, path)
    for name in path.split(".") if path else ():
        data = data.get(name) if isinstance(data, dict) else None
    return data


def template(text: str, item: Json, words: Mapping[str, str]) -> str:
    """Fill `{path}` from an item and `{@word}` from `words`, as in `arn:{@partition}:s3:::{Name}`."""
    parts = text.split("{")
    made = [parts[0]]
    for part in parts[1:]:
        path, _, rest = part.partition("}")
        found = words[path[1:]] if path.startswith("@") else value(item, path)
        made += ("" if found is None else str(found), rest)
    return "".join(made)


def filled(params: Json, item: Json, words: Mapping[str, str]) -> Json:
    """Parameters with `$path` replaced by what the item holds there, and `@word` by that word.

    `$$` and `@@` at the start stand for a single sign.
    """
    if isinstance(params, dict):
        return {name: filled(each, item, words) for name, each in params.items()}
    if isinstance(params, list):
        return [filled(each, item, words) for each in params]
    if isinstance(params, str) and params.startswith(("$$", "@@")):
        return params[1:]
    if isinstance(params, str) and params.startswith("$"):
        return value(item, params[1:])
    if isinstance(params, str) and params.startswith("@"):
        return words[params[1:]]
    return params


def _step(data: Json, name: str) -> list[Json]:
    if not isinstance(data, dict):
        return []
    found = data.get(name.removesuffix("[]"))
    if name.endswith("[]"):
        return found if isinstance(found, list) else []
    return [] if found is None else [found]
