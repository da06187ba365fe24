"""Cut botocore's service models down to the operations that kinds of AWS ask, into generated/models/*.json.

    python tools/generate_aws_models.py

Run after `generate_aws.py`. What it writes is checked in, and a test writes it again and compares. A whole
model takes a hundred times the room and the time to read: of EC2's 750 operations a run asks forty. Left
out are also texts, and what says which requests are valid, since requests are not checked before they are
sent. What is read of answers is thus what columns were made from, whatever botocore is installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

GENERATED = Path(__file__).parents[1] / "plugins" / "collector_aws" / "generated"
MODELS = GENERATED / "models"
WHOLE = {"sts"}
"""Services that botocore itself asks, for credentials: their models are its own."""
BESIDE = ("ec2:DescribeRegions", "organizations:ListAccounts", "s3:HeadBucket", "s3:CreateSession")
"""What discovery asks, and botocore itself: where a bucket lies, and for the key to a directory bucket."""
NEEDLESS = {"documentation", "documentationUrl", "enum", "max", "min", "pattern"}
"""Of shapes and their members; as traits, never as names of members."""

Model = Mapping[str, Any]


def main() -> None:
    """Write every model anew."""
    MODELS.mkdir(exist_ok=True)
    for old in MODELS.glob("*.json"):
        old.unlink()
    for service, actions in sorted(asked().items()):
        (MODELS / f"{service}.json").write_text(written(cut(service, actions)), "utf-8")


def asked() -> dict[str, set[str]]:
    """The operations of each service that are asked."""
    found: dict[str, set[str]] = {}
    kinds = (kind for path in GENERATED.glob("*.json") for kind in json.loads(path.read_bytes())["kinds"])
    named = {operation[0] for kind in kinds for operation in kind["operations"]}
    for name in named.union(BESIDE):
        service, _, action = name.partition(":")
        found.setdefault(service, set()).add(action)
    return {service: actions for service, actions in found.items() if service not in WHOLE}


def cut(service: str, actions: set[str]) -> dict[str, Any]:
    """A service's model with these operations alone, and the shapes that they lead to."""
    from botocore.loaders import Loader

    whole = Loader().load_service_model(service, "service-2")
    found = whole["operations"]
    if any("endpointdiscovery" in found[name] for name in actions):
        actions = actions | {name for name, each in found.items() if each.get("endpointoperation")}
    operations = {name: _without(found[name]) for name in sorted(actions)}
    shapes: dict[str, Any] = {}
    left = list(_named(operations))
    while left:
        name = left.pop()
        if name not in shapes:
            shapes[name] = _shape(whole["shapes"][name])
            left += _named(shapes[name])
    return {**_without(whole), "operations": operations, "shapes": shapes}


def _shape(shape: Model) -> dict[str, Any]:
    made = _without(shape)
    if "members" in shape:
        made["members"] = {name: _without(member) for name, member in shape["members"].items()}
    for part in ("member", "key", "value"):
        if part in shape:
            made[part] = _without(shape[part])
    return made


def _without(model: Model) -> dict[str, Any]:
    return {name: each for name, each in model.items() if name not in NEEDLESS}


def _named(model: Any) -> Iterator[str]:
    """The shapes that are named at any depth."""
    if isinstance(model, dict):
        if isinstance(model.get("shape"), str):
            yield model["shape"]
        for each in model.values():
            yield from _named(each)
    elif isinstance(model, list):
        for each in model:
            yield from _named(each)


def written(model: Model) -> str:
    """A model as a file: one line for each operation and shape, so that changes can be read."""
    parts = []
    for name, part in sorted(model.items()):
        if name in ("operations", "shapes"):
            lines = ",\n".join(f"{_json(key)}:{_json(each)}" for key, each in sorted(part.items()))
            parts.append(f"{_json(name)}:{{\n{lines}\n}}")
        else:
            parts.append(f"{_json(name)}:{_json(part)}")
    return "{" + ",\n".join(parts) + "}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))  # members keep their order


if __name__ == "__main__":
    main()
