"""Rules of cluster roles that are put together from others by label (ClusterRole.aggregationRule).

A controller writes them into the role. Where it has not, they are those of the roles that the selectors find,
however many steps away.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from collector.model import Json

__all__ = ["aggregated_rules"]

Cluster = tuple[tuple[str, str], ...]
Rule = Mapping[str, Json]
_Roles = Mapping[str, Mapping[str, Json]]


def aggregated_rules(
    records: Sequence[Mapping[str, Json]], cluster: Callable[[Mapping[str, Json]], Cluster]
) -> Mapping[tuple[Cluster, str], list[Rule]]:
    """The rules of each cluster role that has selectors and no rules, by cluster and name.

    Args:
        records: cluster roles.
        cluster: which cluster one is of; roles are found within their own.
    """
    by_cluster: dict[Cluster, dict[str, Mapping[str, Json]]] = defaultdict(dict)
    for record in records:
        by_cluster[cluster(record)][str(record["data"].get("name"))] = record["data"]
    return {
        (of, name): list(_found(name, roles, index))
        for of, roles in by_cluster.items()
        for index in (_by_label(roles),)
        for name, role in roles.items()
        if _selectors(role)
    }


_Index = Mapping[tuple[str, Any], Sequence[str]]


def _by_label(roles: _Roles) -> _Index:
    index: dict[tuple[str, Any], list[str]] = defaultdict(list)
    for name in sorted(roles):
        for label in (roles[name].get("labels") or {}).items():
            index[label].append(name)
    return index


def _selectors(role: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
    """Where rules are to be had; empty where the role has its own."""
    if role.get("rules"):
        return ()
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()


def _found(name: str, roles: _Roles, index: _Index) -> Iterator[Rule]:
    """The rules of all roles that are reached, each role's once, in the order of names."""
    reached, pending = {name}, [name]
    while pending:
        for selector in _selectors(roles[pending.pop()]):
            more = set(_selected(selector, roles, index)) - reached
            reached |= more
            pending += more
    told = (rule for each in sorted(reached) for rule in roles[each].get("rules") or ())
    yield from {json.dumps(rule, sort_keys=True): rule for rule in told}.values()


def _selected(selector: Mapping[str, Json], roles: _Roles, index: _Index) -> Iterator[str]:
    labels = list((selector.get("matchLabels") or {}).items())
    candidates = index.get(labels[0], ()) if labels else sorted(roles)
    for name in candidates:
        held = roles[name].get("labels") or {}
        if all(held.get(key) == value for key, value in labels) and all(
            _fits(each, held) for each in selector.get("matchExpressions") or ()
        ):
            yield name


def _fits(expression: Mapping[str, Json], labels: Mapping[str, Json]) -> bool:
    """Whether labels fit an expression (LabelSelectorRequirement); an operator that is none fits nothing."""
    key, operator = str(expression.get("key")), str(expression.get("operator"))
    values = expression.get("values") or ()
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    return {"Exists": key in labels, "DoesNotExist": key not in labels}.get(operator, False)
