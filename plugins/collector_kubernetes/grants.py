"""What a rule of a role lets its holders do, as Kubernetes itself decides (rbac.authorization.k8s.io/v1).

A rule covers a request where verb, group and resource are each named or `*`; `*` covers parts of resources
(`pods/exec`), `*/exec` that part of every resource, and `pods` no part of pods. Names of objects bind a rule
to these, so that it lets nobody create or list. What lies in no namespace cannot be had through a binding
within one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collector.model import Column, Json

__all__ = ["FLAGS", "RIGHTS", "Right", "grants"]

_READING = frozenset({"get", "list", "watch"})
_COLLECTION = frozenset({"create", "deletecollection", "list", "watch"})
"""Verbs on a whole list, whose requests name no object."""

_CORE, _RBAC = "", "rbac.authorization.k8s.io"
_WRITING = "create update patch delete deletecollection"
_RUNNING = "create update patch"


@dataclass(frozen=True, slots=True)
class Right:
    """What lets somebody do something that matters; any of its requests is enough.

    Attributes:
        group: of the API.
        resources: resources, or parts as in `pods/exec`.
        verbs: any of these.
        everywhere: whether these lie in no namespace, so that a binding within one does not give them.
        named: whether it matters also where a rule is bound to objects by name.
    """

    group: str
    resources: frozenset[str]
    verbs: frozenset[str]
    everywhere: bool = False
    named: bool = False


def _right(group: str, resources: str, verbs: str, everywhere: bool = False, named: bool = False) -> Right:
    return Right(group, frozenset(resources.split()), frozenset(verbs.split()), everywhere, named)


RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "reads_secrets": (_right(_CORE, "secrets", "get list watch"),),
    "escalates": (
        _right(_RBAC, "roles", "escalate", named=True),
        _right(_RBAC, "clusterroles", "escalate", everywhere=True, named=True),
    ),
    "binds": (_right(_RBAC, "roles clusterroles", "bind", named=True),),
    "impersonates": (
        _right(_CORE, "serviceaccounts", "impersonate", named=True),
        _right(_CORE, "users groups", "impersonate", everywhere=True, named=True),
    ),
    "creates_tokens": (_right(_CORE, "serviceaccounts/token", "create"),),
    "proxies_nodes": (
        _right(_CORE, "nodes/proxy", "get create update patch delete", everywhere=True, named=True),
    ),
    "enters_pods": (_right(_CORE, "pods/exec pods/attach pods/portforward", "create get"),),
    "adds_containers": (_right(_CORE, "pods/ephemeralcontainers", "update patch"),),
    "runs_pods": (
        _right(_CORE, "pods replicationcontrollers", _RUNNING),
        _right("apps", "deployments daemonsets statefulsets replicasets", _RUNNING),
        _right("batch", "jobs cronjobs", _RUNNING),
    ),
    "writes_admission": (
        _right(
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations mutatingwebhookconfigurations validatingadmissionpolicies "
            "validatingadmissionpolicybindings mutatingadmissionpolicies mutatingadmissionpolicybindings",
            _WRITING,
            everywhere=True,
            named=True,
        ),
    ),
    "writes_rbac": (
        _right(_RBAC, "roles rolebindings", _WRITING, named=True),
        _right(_RBAC, "clusterroles clusterrolebindings", _WRITING, everywhere=True, named=True),
    ),
    "approves_certificates": (
        _right(
            "certificates.k8s.io",
            "certificatesigningrequests/approval",
            "update patch",
            everywhere=True,
            named=True,
        ),
    ),
    "creates_volumes": (_right(_CORE, "persistentvolumes", "create", everywhere=True),),
}
"""Rights that lead to more rights, to secrets or out of sight, by the column that tells of them."""

_PUBLIC = frozenset({"/healthz", "/livez", "/readyz", "/version", "/version/"})
_BASIC = _PUBLIC | frozenset(
    {"/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"}
    | {"/.well-known/openid-configuration", "/.well-known/openid-configuration/"}
    | {"/openid/v1/jwks", "/openid/v1/jwks/"}
)
"""What the server's own bindings let everybody ask, and everybody who is known."""

_REVIEWS = {
    "authorization.k8s.io": frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews"}),
    "authentication.k8s.io": frozenset({"selfsubjectreviews"}),
}
"""Looking at one's own rights."""

FLAGS = (
    Column("all_verbs", "BOOLEAN", "whether its verbs on resources are *"),
    Column("all_groups", "BOOLEAN", "whether its API groups are *"),
    Column("all_resources", "BOOLEAN", "whether its resources are *"),
    Column("full", "BOOLEAN", "whether its role gives every verb on everything, by this rule or another"),
    Column("writes", "BOOLEAN", "whether it lets do more than get, list and watch"),
    Column("public_info", "BOOLEAN", "whether it is no more than the server's health and version"),
    Column("basic", "BOOLEAN", "whether it is no more than discovery and looking at one's own rights"),
    Column("reads_secrets", "BOOLEAN", "reads Secrets that it does not name"),
    Column("escalates", "BOOLEAN", "gives roles rights that its holder does not have"),
    Column("binds", "BOOLEAN", "binds roles whose rights its holder does not have"),
    Column("impersonates", "BOOLEAN", "acts as other users, groups or service accounts"),
    Column("creates_tokens", "BOOLEAN", "makes tokens of service accounts that it does not name"),
    Column("proxies_nodes", "BOOLEAN", "reaches kubelets through the node proxy"),
    Column("enters_pods", "BOOLEAN", "runs commands in pods, attaches to them or forwards their ports"),
    Column("adds_containers", "BOOLEAN", "adds ephemeral containers to pods that run"),
    Column("runs_pods", "BOOLEAN", "makes or changes what runs pods, as any account of the namespace"),
    Column("writes_admission", "BOOLEAN", "changes admission webhooks or policies"),
    Column("writes_rbac", "BOOLEAN", "changes roles or bindings"),
    Column("approves_certificates", "BOOLEAN", "approves requests for certificates"),
    Column("creates_volumes", "BOOLEAN", "makes volumes, those of a node's own paths too"),
)


def grants(rule: Mapping[str, Json], namespace: str | None) -> dict[str, bool]:
    """The flags of a rule that holds in a namespace; None: everywhere."""
    verbs, groups = _set(rule, "verbs"), _set(rule, "apiGroups")
    resources, names = _set(rule, "resources"), _set(rule, "resourceNames")
    every = "*" in verbs and bool(resources), "*" in groups and bool(resources), "*" in resources
    public, basic = _public(rule, namespace), _basic(rule)
    told = {
        "all_verbs": every[0],
        "all_groups": every[1],
        "all_resources": every[2],
        "full": all(every) and not names,
        "writes": bool(resources) and not verbs <= _READING and not basic,
        "public_info": public,
        "basic": basic or public,
    }
    for flag, rights in RIGHTS.items():
        told[flag] = any(
            ("*" in groups or right.group in groups)
            and not (right.everywhere and namespace is not None)
            and (right.named or not names)
            and any(
                _covers(resources, each) and _allows(verbs, right.verbs, each, names)
                for each in right.resources
            )
            for right in rights
        )
    return told


def _set(rule: Mapping[str, Json], name: str) -> frozenset[str]:
    return frozenset(rule.get(name) or ())


def _covers(resources: frozenset[str], wanted: str) -> bool:
    _, slash, part = wanted.partition("/")
    return "*" in resources or wanted in resources or (bool(slash) and f"*/{part}" in resources)


def _allows(verbs: frozenset[str], wanted: frozenset[str], resource: str, names: frozenset[str]) -> bool:
    """Whether a rule has a verb of those wanted; one with names has none whose requests name no object."""
    possible = wanted - _COLLECTION if names and "/" not in resource else wanted
    return bool(possible) and ("*" in verbs or not verbs.isdisjoint(possible))


def _public(rule: Mapping[str, Json], namespace: str | None) -> bool:
    """Health and version, or `cluster-info` in `kube-public`, which tells nodes what authority to trust."""
    if namespace == "kube-public" and not rule.get("nonResourceURLs"):
        return (
            rule.get("resourceNames") == ["cluster-info"]
            and rule.get("resources") == ["configmaps"]
            and rule.get("verbs") == ["get"]
        )
    return _only_asks(rule, _PUBLIC)


def _basic(rule: Mapping[str, Json]) -> bool:
    resources = _set(rule, "resources")
    if not resources:
        return _only_asks(rule, _BASIC)
    known: Iterable[frozenset[str]] = (_REVIEWS.get(group, frozenset()) for group in _set(rule, "apiGroups"))
    return _set(rule, "verbs") <= {"create"} and all(resources <= each for each in known)


def _only_asks(rule: Mapping[str, Json], urls: frozenset[str]) -> bool:
    asked = _set(rule, "nonResourceURLs")
    return not rule.get("resources") and asked <= urls and _set(rule, "verbs") <= {"get", "head"}
