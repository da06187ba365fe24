"""What a cluster serves: its version, and at which version of the API each kind is to be read.

Asked of every version that is served and not of the preferred one alone: 1.20 prefers `batch/v1`, and
has cron jobs in `batch/v1beta1` only (API reference: APIVersions, APIGroupList, APIResourceList).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from collector.model import Answer, Ask, Column, Json, Kind, Operation, Record
from collector_kubernetes.catalogue import EVERY, Node, catalogue, group
from collector_kubernetes.kubelets import CONFIGZ

__all__ = ["CLUSTER", "DISCOVERY", "Served", "answers", "cluster", "discovered", "resources", "version_of"]

VERSION, CORE, GROUPS, RESOURCES = (
    f"kubernetes:{name}" for name in ("version", "core-versions", "groups", "resources")
)
DISCOVERY = (
    Operation(VERSION, "get /version"),
    Operation(CORE, "get /api", lists=False),
    Operation(GROUPS, "get /apis", lists=False),
    Operation(RESOURCES, "get /api/*, get /apis/*", lists=False),
)

CLUSTER = Kind(
    name="kubernetes_cluster",
    title="The cluster's version, and the versions of the API that it serves",
    columns=(
        Column("gitVersion", "VARCHAR", "version as the server names it"),
        Column("major", "BIGINT", "its first number"),
        Column("minor", "BIGINT", "its second number"),
        Column("platform", "VARCHAR", "what the server was built for"),
        Column("buildDate", "TIMESTAMP", "when the server was built"),
        Column("goVersion", "VARCHAR", "version of Go that it was built with"),
        Column("groups", "VARCHAR[]", "versions of the API that it serves, sorted", (GROUPS,)),
    ),
    identity=("gitVersion",),
    operations=(DISCOVERY[0], Operation(GROUPS, "get /apis", lists=False)),
    examples=("SELECT gitVersion FROM kubernetes_cluster WHERE minor < 32",),
)

Served = Mapping[str, Sequence[str] | None]
"""By version of the API, the resources that can be listed; None where it did not say. There are no others."""


def answers(op: str, data: Json) -> bool:
    """Whether an answer is what an operation of one page asks for.

    What has none of what it should hold, as a proxy's own page, must not look like a server without kinds or
    a kubelet without settings.
    """
    if not isinstance(data, dict):
        return False
    if op == VERSION:
        return isinstance(data.get("gitVersion"), str)
    if op == CONFIGZ:
        return isinstance(data.get("kubeletconfig"), dict)
    if op == CORE:
        return _each(data.get("versions"), lambda version: isinstance(version, str))
    if op == RESOURCES:
        empty = "resources" in data and data["resources"] is None  # Go's empty slice
        return empty or _each(data.get("resources"), _is_resource)
    return _each(data.get("groups"), lambda group: _each(_member(group, "versions"), _is_version))


def _each(found: Json, right: Callable[[Json], bool]) -> bool:
    return isinstance(found, list) and all(map(right, found))


def _member(told: Json, name: str) -> Json:
    return told.get(name) if isinstance(told, dict) else None


def _is_resource(told: Json) -> bool:
    verbs = _member(told, "verbs")
    return isinstance(_member(told, "name"), str) and (verbs is None or isinstance(verbs, list))


def _is_version(told: Json) -> bool:
    return isinstance(_member(told, "groupVersion"), str)


def discovered(ask: Ask, more: Mapping[str, Json]) -> dict[str, Json]:
    """What one cluster serves.

    Returns:
        `reached`: whether it answered at all; `served`: what it serves, as `Served`. Versions of which no
        kind is read are not asked about. One that no list names is, where that list was not answered.
    """
    if not ask(VERSION, more).ok:
        return {"reached": False, "served": {}}
    core, groups = ask(CORE, more), ask(GROUPS, more)
    named = {*_core(core), *_groups(groups)}
    wanted = dict.fromkeys(version for node in catalogue().values() for version in node.served)
    versions = [each for each in wanted if each in named or not (groups if group(each) else core).ok]
    asked = ask.many([(RESOURCES, {"version": version, **more}) for version in versions])
    served = {
        version: _listed(answer.data) if answer.ok else None
        for version, (answer,) in zip(versions, asked, strict=True)
    }
    return {"reached": True, "served": served}


def _core(answer: Answer) -> Iterator[str]:
    yield from (answer.data.get("versions") or ()) if answer.ok else ()


def _groups(answer: Answer) -> Iterator[str]:
    for each in (answer.data.get("groups") or ()) if answer.ok else ():
        for version in each.get("versions") or ():
            yield str(version.get("groupVersion"))


def _listed(data: Json) -> list[str]:
    """The resources of a version that can be listed; what is part of another (`pods/log`) is none."""
    return sorted(
        str(each["name"])
        for each in data.get("resources") or ()
        if "/" not in each["name"] and "list" in (each.get("verbs") or ())
    )


def version_of(node: Node, served: Served) -> str:
    """The version of the API at which a kind is to be read; "" where it is certain that none has it.

    The first that has it or did not say, not the first that said so: an older one tells less.
    """
    for version in node.served:
        if served.get(version, ()) is None or resources(node, version, served):
            return version
    return ""


def resources(node: Node, version: str, served: Served) -> list[str]:
    """What is to be listed at a version for a kind; of one that did not say, what it would call the kind."""
    known = served.get(version, ())
    if node.resource == EVERY:
        return list(known or ())
    return [node.resource] * (known is None or node.resource in known)


def cluster(scope: Mapping[str, str], ask: Ask) -> Iterator[Record]:
    """The record of the cluster itself."""
    version, groups = ask(VERSION), ask(GROUPS)
    if not version.ok:
        return
    told = version.data
    data = {name: told.get(name) for name in ("gitVersion", "platform", "buildDate", "goVersion")}
    data |= {name: _number(told.get(name)) for name in ("major", "minor")}
    data["groups"] = sorted({"v1", *_groups(groups)}) if groups.ok else None
    kept = {name: value for name, value in data.items() if value is not None}
    yield Record(CLUSTER.name, f"Cluster/{scope['cluster']}", scope, (version.call, groups.call), kept)


def _number(text: Json) -> int | None:
    """The number that a version's part begins with: some servers say `27+`."""
    digits = str(text).rstrip("+")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else None
