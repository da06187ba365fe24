"""Puts together what the Kubernetes API's published schemas say of each type, over many versions.

    pip download --no-deps -d DIR kubernetes==20.13.0 … kubernetes==35.0.0
    python tools/kubernetes_schema.py DIR

Each release of the Python client holds the models of one version of the API, generated from its published
OpenAPI document. The union of them all goes to `tools/kubernetes_schema.json`: a newer server has
fields that older models lack, and a newer model lacks kinds that old servers still serve. A field whose type
differs between versions is free-form there (`object`).
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path

__all__ = ["main", "union"]

TARGET = Path(__file__).with_suffix(".json")
_MODEL = re.compile(r"kubernetes/client/models/\w+\.py\Z")
_VERSION = re.compile(r"kubernetes-(\d+)\.")

_PLAIN = ("object", "str", "int", "bool", "float", "datetime", "list[str]")

Types = dict[str, dict[str, str]]


def models(wheel: Path) -> Types:
    """By class, the JSON name of each field and its type, as the generated code has it."""
    found: Types = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not _MODEL.match(name):
                continue
            for node in ast.parse(archive.read(name)).body:
                if isinstance(node, ast.ClassDef):
                    told = _tables(node)
                    if "openapi_types" in told:
                        names = told["attribute_map"]
                        found[node.name] = {
                            names[field]: kind for field, kind in told["openapi_types"].items()
                        }
    return found


def _tables(node: ast.ClassDef) -> dict[str, dict[str, str]]:
    return {
        target.id: ast.literal_eval(each.value)
        for each in node.body
        if isinstance(each, ast.Assign)
        for target in each.targets
        if isinstance(target, ast.Name) and target.id in ("openapi_types", "attribute_map")
    }


def union(all_models: list[Types]) -> Types:
    """The fields of every version; what two versions say differently is `object`."""
    whole: Types = {}
    for each in all_models:
        for name, fields in each.items():
            known = whole.setdefault(name, {})
            for field, kind in fields.items():
                known[field] = _either(known.get(field, kind), kind, each)
    return {name: dict(sorted(fields.items())) for name, fields in sorted(whole.items())}


def _either(old: str, new: str, newer: Types) -> str:
    """Of two types the newer, where it is one type that was renamed; else neither."""
    renamed = new.removeprefix("list[").rstrip("]") in newer and new.startswith("list[") == old.startswith(
        "list["
    )
    return new if old == new or (renamed and old not in _PLAIN) else "object"


def main(folder: Path) -> None:
    """Read all wheels in a folder and write the union."""
    wheels = sorted(folder.glob("kubernetes-*.whl"), key=lambda path: int(_VERSION.match(path.name)[1]))  # type: ignore[index]
    versions = [f"1.{_VERSION.match(path.name)[1]}" for path in wheels]  # type: ignore[index]
    types = union([models(path) for path in wheels])
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(fields)}" for name, fields in types.items())
    TARGET.write_text(f'{{"versions": {json.dumps(versions)}, "types": {{\n{lines}\n}}}}\n')
    sys.stdout.write(f"{len(types)} types of {versions[0]} to {versions[-1]}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
