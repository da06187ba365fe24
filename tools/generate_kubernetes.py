"""Compiles `plugins/collector_kubernetes/kinds/*.toml` with the API's schemas into `generated.json`.

    python tools/generate_kubernetes.py

What is written is checked in; a test compiles again and compares.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["compiled", "main"]

HERE = Path(__file__).parent
PLUGIN = HERE.parent / "plugins" / "collector_kubernetes"
SCHEMA = HERE / "kubernetes_schema.json"
KEYS = frozenset(
    "name title kind resource served namespaced status omit columns free_text literals keys each template"
    " limit select types examples".split()
)
PLAIN = {"str": "VARCHAR", "int": "BIGINT", "bool": "BOOLEAN", "float": "DOUBLE", "datetime": "TIMESTAMP"}
METADATA = (
    "name",
    "namespace",
    "uid",
    "created",
    "deleted",
    "labels",
    "annotations",
    "owners",
    "api_version",
)
_MOST_FIELDS = 24  # of a STRUCT, all levels together; what has more is JSON
_SPELT = re.compile(r"([\w.]+?)(?: as (\w+))?(?:: ([\w\[\]]+))?")
_FIELD = re.compile(r"[A-Za-z_]\w{0,62}")

Types = Mapping[str, Mapping[str, str]]


class Wrong(Exception):  # noqa: N818 - it says what the kind is
    """A kind that cannot be compiled: file, kind, and what would be right."""


def main() -> None:
    """Compile all kinds and write them."""
    (PLUGIN / "generated.json").write_text(compiled())


def compiled() -> str:
    """The text of `generated.json`, a kind on each line. Raises Wrong."""
    types = json.loads(SCHEMA.read_text())["types"]
    kinds = []
    for path in sorted((PLUGIN / "kinds").glob("*.toml")):
        for told in tomllib.loads(path.read_text())["kind"]:
            try:
                kinds.append(_kind(told, types))
            except (KeyError, Wrong) as error:
                raise Wrong(f"{path.name}: {told.get('name')}: {error}") from None
    kinds.sort(key=lambda kind: str(kind["name"]))
    return "[\n" + ",\n".join(json.dumps(kind, ensure_ascii=False) for kind in kinds) + "\n]\n"


def _kind(told: Mapping[str, Any], types: Types) -> dict[str, Any]:
    if stray := told.keys() - KEYS:
        raise Wrong(f"no key is called {sorted(stray)[0]}; there are {', '.join(sorted(KEYS))}")
    roots = _roots(told, types)
    columns = [
        _column(path, name, given, told, roots, types) for path, name, given in _paths(told, roots, types)
    ]
    names = [column["name"] for column in columns]
    if twice := {name for name in names if names.count(name) > 1 or name in METADATA} - {"kind"}:
        raise Wrong(f"column {sorted(twice)[0]} is there twice; name one of them with `as`")
    for key in ("free_text", "literals", "keys"):
        if stray := set(told.get(key, ())) - set(names):
            raise Wrong(f"{key}: no column is called {sorted(stray)[0]}; there are {', '.join(names)}")
    return {
        "name": told["name"],
        "title": told["title"],
        "kind": told["kind"],
        "resource": told["resource"],
        "served": told["served"],
        "namespaced": told.get("namespaced", False),
        "each": told.get("each", ""),
        "template": told.get("template", ""),
        "limit": told.get("limit", 0),
        "select": told.get("select", ""),
        "columns": columns,
        "examples": told["examples"],
    }


def _roots(told: Mapping[str, Any], types: Types) -> list[str]:
    """Names of the schemas of all versions that the kind is read at; none for extensions."""
    if "types" in told:
        names = list(told["types"])
    else:
        versions = [served.rpartition("/")[2] for served in told["served"]]
        names = [f"{version[0].upper()}{version[1:]}{told['kind']}" for version in versions]
        names = [name for name in names if name in types]
    if missing := [name for name in names if name not in types]:
        raise Wrong(f"types: no schema is called {missing[0]}")
    if "each" not in told:
        return names
    inner = [_item(types[name][told["each"]]) for name in names]
    return [name for name in inner if name]


def _paths(told: Mapping[str, Any], roots: list[str], types: Types) -> Iterator[tuple[str, str, str]]:
    """Path, column and type (where it is given) of each column."""
    if "columns" in told:
        spelt = list(told["columns"])
    elif "each" in told:
        spelt = [name for name in _members(roots, types) if name != "name"]
    else:
        specs = [types[root]["spec"] for root in roots]
        spelt = [f"spec.{name}" for name in _members(specs, types)]
    for each in [*spelt, *told.get("status", ())]:
        match = _SPELT.fullmatch(each)
        if match is None:
            raise Wrong(f"columns: {each!r} is no path")
        path, name, given = match.groups()
        if path not in told.get("omit", ()):
            yield path, name or path.rpartition(".")[2], given or ""


def _members(names: list[str], types: Types) -> list[str]:
    return sorted({member for name in names for member in types[name]})


def _column(
    path: str, name: str, given: str, told: Mapping[str, Any], roots: list[str], types: Types
) -> dict[str, Any]:
    column: dict[str, Any] = {
        "name": name,
        "path": path.split("."),
        "type": given or _type(path, roots, types),
    }
    if name in told.get("keys", ()):
        column |= {"type": "VARCHAR[]", "keys": True}
    if name in told.get("free_text", ()):
        column["free_text"] = True
    if name in told.get("literals", {}):
        column["literals"] = told["literals"][name]
    if path.endswith("status.conditions"):  # programs say in words what went wrong, and with what
        column |= {"free_text": True, "literals": ["message"]}
    return column


def _type(path: str, roots: list[str], types: Types) -> str:
    """The type at a path in every version; JSON where versions differ."""
    found = {_duck(kind, types) for root in roots if (kind := _at(path.split("."), root, types))}
    if not found:
        raise Wrong(f'no schema has {path}; give it a type, as in "{path}: VARCHAR"')
    if len(found) == 1:
        return found.pop()
    return "JSON"


def _at(path: list[str], kind: str, types: Types) -> str:
    for step in path:
        kind = types.get(kind, {}).get(step, "")
    return kind


def _item(kind: str) -> str:
    return kind[5:-1] if kind.startswith("list[") else ""


def _duck(kind: str, types: Types) -> str:
    if kind in PLAIN:
        return PLAIN[kind]
    if item := _item(kind):
        inner = _duck(item, types)
        return "JSON" if inner == "JSON" else f"{inner}[]"
    if kind not in types or _size(kind, types, frozenset()) > _MOST_FIELDS:
        return "JSON"
    fields = types[kind]
    if not fields or not all(_FIELD.fullmatch(name) for name in fields):
        return "JSON"
    return "STRUCT(" + ", ".join(f'"{name}" {_duck(each, types)}' for name, each in fields.items()) + ")"


def _size(kind: str, types: Types, above: frozenset[str]) -> int:
    kind = _item(kind) or kind
    if kind in above:
        return _MOST_FIELDS + 1
    if kind not in types:
        return 1
    return sum(_size(each, types, above | {kind}) for each in types[kind].values())


if __name__ == "__main__":
    try:
        main()
    except Wrong as error:
        sys.exit(f"error: {error}")
