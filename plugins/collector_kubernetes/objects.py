"""From an object as the server gives it to a record, and what is taken off before anything is made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from collector.model import Json, Record
from collector_kubernetes.catalogue import EVERY, Node

__all__ = ["at", "identifier", "records", "trimmed"]

_APPLIED = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "kapp.k14s.io/original",
    "kopf.zalando.org/last-handled-configuration",
    "banzaicloud.com/last-applied",
    "objectset.rio.cattle.io/applied",
)
"""Annotations in which tools keep whole objects as they were applied, Secrets with their values too."""

_KNOWN = re.compile(r"([a-z0-9-]+\.)*(kubernetes\.io|cert-manager\.io|helm\.sh)/")
"""Annotations of Secrets that say what a Secret is for. Others may hold copies of its values."""

_NOT_KEPT = "[not kept]"
_RUNS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def trimmed(item: Json, values: bool = True) -> Json:
    """An object without what is noise or must not stay, in place.

    `managedFields` shrinks to `written_with`, the versions through which fields were set. What
    `kubectl apply` and its like leave in annotations goes. Without `values`, maps of a Secret become lists of
    names, and so do its annotations that nobody knows. What containers said when they ended goes too: it is
    the end of their logs (ContainerStateTerminated.message).
    """
    if not isinstance(item, dict):
        return item
    metadata = item.get("metadata")
    if isinstance(metadata, dict):
        managed = metadata.pop("managedFields", None)
        if isinstance(managed, list):
            versions = {str(each.get("apiVersion")) for each in managed if isinstance(each, dict)}
            metadata["written_with"] = sorted(versions - {"None"})
        annotations = metadata.get("annotations")
        if isinstance(annotations, dict):
            for name in _APPLIED:
                annotations.pop(name, None)
            if not values:
                unknown = (name for name in annotations if not _KNOWN.match(name))
                annotations.update(dict.fromkeys(unknown, _NOT_KEPT))
    _silence(item)
    if not values:
        for name in ("data", "stringData"):
            held = item.pop(name, None)
            if isinstance(held, dict):
                item[name] = sorted(held)
    return item


def _silence(item: Json) -> None:
    found = (at(item, ("status", name)) for name in _RUNS)
    each = (one for statuses in found if isinstance(statuses, list) for one in statuses)
    states = (at(one, (when,)) for one in each for when in ("state", "lastState"))
    for state in states:
        for told in state.values() if isinstance(state, dict) else ():
            if isinstance(told, dict) and "message" in told:
                told["message"] = _NOT_KEPT


def at(item: Json, path: tuple[str, ...]) -> Json:
    """The part of an object at a path; None where there is none."""
    for step in path:
        if not isinstance(item, dict):
            return None
        item = item.get(step)
    return item


def identifier(object_kind: str, metadata: Mapping[str, Json], *more: str) -> str:
    """The id of a record: kind, namespace (where there is one), name."""
    names = (object_kind, metadata.get("namespace"), metadata.get("name"), *more)
    return "/".join(str(name) for name in names if name)


def records(
    node: Node, item: Mapping[str, Json], version: str, scope: Mapping[str, str], call: str
) -> Iterator[Record]:
    """The record of an object, or those of the items of one of its lists."""
    metadata = item.get("metadata") or {}
    common = _common(node, metadata, version)
    object_kind = str(item.get("kind")) if node.object_kind == EVERY else node.object_kind
    if not node.each:
        data = common | _parts(node, item)
        yield Record(node.kind.name, identifier(object_kind, metadata), scope, (call,), data)
        return
    for each in item.get(node.each) or ():
        data = common | {"webhook": each.get("name")} | _parts(node, each)
        id_ = identifier(object_kind, metadata, str(each.get("name")))
        yield Record(node.kind.name, id_, scope, (call,), data)


def _parts(node: Node, item: Json) -> dict[str, Json]:
    data: dict[str, Json] = {}
    for part in node.parts:
        value = at(item, part.path)
        if part.keys and isinstance(value, dict):
            value = sorted(value)
        if value is not None:
            data[part.column] = value
    return data


def _common(node: Node, metadata: Mapping[str, Json], version: str) -> dict[str, Json]:
    data = {
        "name": metadata.get("name"),
        "uid": metadata.get("uid"),
        "created": metadata.get("creationTimestamp"),
        "deleted": metadata.get("deletionTimestamp"),
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
        "owners": metadata.get("ownerReferences"),
        "api_version": version,
        "written_with": metadata.get("written_with"),
    }
    if node.namespaced:
        data["namespace"] = metadata.get("namespace")
    return {name: value for name, value in data.items() if value is not None}
