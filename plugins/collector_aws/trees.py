"""Which kinds hang together: those of one list, and those that are listed for another's items.

Each such group is a task, so that no question is asked twice and groups run at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from collector_aws.catalogue import Node, catalogue

__all__ = ["Tree", "trees"]


@dataclass(frozen=True, slots=True)
class Tree:
    """Kinds that are collected together.

    Attributes:
        service: the name of their file.
        roots: for each kind, the kind whose list its population starts from.
        everywhere: whether they are asked once for an account and not in each region.
    """

    service: str
    nodes: tuple[Node, ...]
    roots: Mapping[str, Node]
    everywhere: bool


@cache
def trees() -> tuple[Tree, ...]:
    """All groups, in the order of the catalogue."""
    return tuple(tree for name, service in catalogue().items() for tree in _trees(name, service.nodes))


def _trees(service: str, nodes: tuple[Node, ...]) -> list[Tree]:
    known = {node.kind.name: node for node in nodes}
    roots = {name: _root(node, known) for name, node in known.items()}
    leaders: dict[str, str] = {}  # a list call, and the kind that leads all kinds in it
    for name, root in roots.items():
        for given in root.params:
            leaders.setdefault(_question(root, given), name)
    groups: dict[str, list[Node]] = {}
    for name, node in known.items():
        root = roots[name]
        groups.setdefault(leaders[_question(root, root.params[0])], []).append(node)
    return [
        Tree(
            service,
            tuple(group),
            {node.kind.name: roots[node.kind.name] for node in group},
            group[0].everywhere,
        )
        for group in groups.values()
    ]


def _root(node: Node, known: Mapping[str, Node]) -> Node:
    while node.parent:
        node = known[node.parent]
    return node


def _question(root: Node, params: object) -> str:
    if root.function:
        return root.kind.name
    return json.dumps([root.op, params, root.everywhere], sort_keys=True)
