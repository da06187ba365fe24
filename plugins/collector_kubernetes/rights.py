"""The rights that collecting needs, as ClusterRoles: the usual ones, and apart those that open more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from collector.model import Kind, Operation

__all__ = ["cluster_roles"]

_APART = {
    "list secrets": (
        "evidence-collector-secrets",
        'Only for secrets = "metadata" or "keys". RBAC cannot part names from values;\n'
        "# whoever has this role can read every Secret. The agent drops values before anything is written.",
    ),
    "get nodes/proxy": (
        "evidence-collector-kubelet",
        "Only for kubelet = true. This right opens the whole API of every kubelet, able to run commands in\n"
        "# containers. The agent reads /configz alone.",
    ),
}

Rules = Mapping[tuple[str, str], set[str]]


def cluster_roles(kinds: Sequence[Kind], discovery: Sequence[Operation]) -> str:
    """YAML documents, ready for `kubectl apply`."""
    rights = {
        right
        for operation in (*discovery, *(each for kind in kinds for each in kind.operations))
        for right in operation.permission.split(", ")
    }
    usual = _document("evidence-collector", "What the agent reads of a cluster.", rights - _APART.keys())
    apart = [_document(name, why, [right]) for right, (name, why) in _APART.items() if right in rights]
    return "---\n".join([usual, *apart]).rstrip("\n")


def _document(name: str, why: str, rights: Iterable[str]) -> str:
    lines = [
        f"# {why}",
        "apiVersion: rbac.authorization.k8s.io/v1",
        "kind: ClusterRole",
        f"metadata: {{name: {name}}}",
        "rules:",
    ]
    lines += [
        f'- {{apiGroups: ["{group}"], resources: [{", ".join(_quoted(sorted(found)))}], verbs: ["{verb}"]}}'
        for (verb, group), found in sorted(_grouped(rights).items())
    ]
    if urls := sorted(_words(right)[1] for right in rights if _words(right)[1].startswith("/")):
        lines.append(f'- {{nonResourceURLs: [{", ".join(_quoted(urls))}], verbs: ["get"]}}')
    return "\n".join(lines) + "\n"


def _grouped(rights: Iterable[str]) -> Rules:
    rules: dict[tuple[str, str], set[str]] = defaultdict(set)
    for right in rights:
        verb, what = _words(right)
        if not what.startswith("/"):
            resource, _, group = what.partition(".")
            rules[verb, group].add(resource)
    return rules


def _words(right: str) -> tuple[str, str]:
    verb, _, what = right.partition(" ")
    return verb, what


def _quoted(names: Iterable[str]) -> list[str]:
    return [f'"{name}"' for name in names]
