"""The kinds of Kubernetes objects, as `tools/generate_kubernetes.py` compiled them from `kinds/*.toml`.

What a kind says is data: at which versions of the API it is read, and which parts of an object its columns
hold. `kinds/README.md` describes the files that people write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from collector.model import Column, Identity, Json, Kind, Operation

__all__ = ["EVERY", "POWERS", "Node", "Part", "catalogue", "group", "operation", "template_lists"]

_FILE = Path(__file__).parent / "generated.json"
EVERY = "*"
"""In place of a resource: all that a version of the API serves, as Gatekeeper's constraints."""

POWERS = Column(
    "powers", "VARCHAR[]", "what of its node it has beyond the baseline of Pod Security, by container"
)
"""A column of pods and of what makes them, so that the two can be compared."""

_OWNERS = (
    'STRUCT("apiVersion" VARCHAR, "kind" VARCHAR, "name" VARCHAR, "uid" VARCHAR, "controller" BOOLEAN)[]'
)


@dataclass(frozen=True, slots=True)
class Part:
    """What one column holds: the part of an object at `path`; of a map the names alone, where `keys`."""

    column: str
    path: tuple[str, ...]
    keys: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """How one kind is collected.

    Attributes:
        kind: its table.
        object_kind: what objects call themselves; begins each record's id.
        resource: what URLs call it.
        served: versions of the API, as in `apps/v1`; asked at the first that is served.
        namespaced: whether its objects lie in namespaces.
        parts: what columns hold, those of `metadata` left out.
        each: the list whose items are the records; "" for the object itself.
        template: path of a pod's template; "." where the object is a pod.
        limit: objects read at most; 0: all.
        select: of which objects alone the kind is, as a field selector.
    """

    kind: Kind
    object_kind: str
    resource: str
    served: tuple[str, ...]
    namespaced: bool
    parts: tuple[Part, ...]
    each: str = ""
    template: str = ""
    limit: int = 0
    select: str = ""

    @property
    def list(self) -> str:
        """The operation that lists it."""
        return operation(self.resource, self.served[0])


def group(version: str) -> str:
    """The group of a version of the API: `apps` of `apps/v1`, "" of `v1`."""
    return version.rpartition("/")[0]


def operation(resource: str, version: str) -> str:
    """The name of the operation that lists a resource, as in `kubernetes:deployments.apps`."""
    return f"kubernetes:{'all' if resource == EVERY else resource}.{group(version)}".rstrip(".")


@cache
def catalogue() -> Mapping[str, Node]:
    """All kinds that are read as they are, by name."""
    return {told["name"]: _node(told) for told in json.loads(_FILE.read_bytes())}


def template_lists() -> tuple[Operation, ...]:
    """The calls that list what holds templates of pods."""
    return tuple(node.kind.operations[0] for node in catalogue().values() if node.template)


def _node(told: Mapping[str, Json]) -> Node:
    name = operation(told["resource"], told["served"][0])
    rights = {f"list {told['resource']}.{group(version)}".rstrip("."): None for version in told["served"]}
    kind = Kind(
        name=told["name"],
        title=told["title"],
        columns=(
            *_metadata(told),
            *(_column(each) for each in told["columns"]),
            *((POWERS,) if told["template"] == "." else ()),
        ),
        identity=_identity(told),
        operations=(Operation(name, ", ".join(rights)),),
        examples=tuple(told["examples"]),
    )
    return Node(
        kind=kind,
        object_kind=told["kind"],
        resource=told["resource"],
        served=tuple(told["served"]),
        namespaced=told["namespaced"],
        parts=tuple(
            Part(each["name"], tuple(each["path"]), each.get("keys", False)) for each in told["columns"]
        ),
        each=told["each"],
        template=told["template"],
        limit=told["limit"],
        select=told["select"],
    )


def _identity(told: Mapping[str, Json]) -> tuple[str, ...]:
    return (
        *(("namespace",) if told["namespaced"] else ()),
        *(("kind",) if told["kind"] == EVERY else ()),
        "name",
        *(("webhook",) if told["each"] else ()),
    )


def _column(told: Mapping[str, Json]) -> Column:
    path = ".".join(told["path"])
    return Column(
        told["name"],
        told["type"],
        f"names in {path}" if told.get("keys") else f"{path} of the object",
        free_text=told.get("free_text", False),
        literals=tuple(told.get("literals", ())),
    )


def _metadata(told: Mapping[str, Json]) -> tuple[Column, ...]:
    resource = Identity.RESOURCE
    namespace = (Column("namespace", "VARCHAR", "the namespace that it lies in", identity=resource),)
    webhook = (Column("webhook", "VARCHAR", "name of the item in the configuration", identity=resource),)
    return (
        *(namespace if told["namespaced"] else ()),
        Column("name", "VARCHAR", "its name", identity=resource),
        *(webhook if told["each"] else ()),
        Column("uid", "VARCHAR", "tells it from others of its name before and after it"),
        Column("created", "TIMESTAMP", "when it was created"),
        Column("deleted", "TIMESTAMP", "when it was asked to go; NULL: it was not"),
        Column("labels", "JSON", "labels"),
        Column(
            "annotations", "JSON", "annotations, what kubectl apply leaves there taken out", free_text=True
        ),
        Column(
            "owners",
            _OWNERS,
            "what it belongs to",
        ),
        Column("api_version", "VARCHAR", "version of the API at which it was read"),
        Column("written_with", "VARCHAR[]", "versions of the API through which its fields were set"),
    )
