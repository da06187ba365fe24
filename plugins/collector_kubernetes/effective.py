"""The derived table `kubernetes_permission`: who may do what, by the bindings, roles and rules of a cluster.

As the server's RBAC authorizer decides: a binding within a namespace gives nothing that lies in none, an
account without a namespace is one of the binding's, and a role that is not there gives nothing. Rules of a
role that is put together from others are those that a controller wrote into it; where it has none, those of
the roles that its selectors find (`aggregated`), so that they are known where no controller runs, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from collector.model import Column, Derived, Identity, Json, Kind, Record
from collector_kubernetes.aggregation import aggregated_rules
from collector_kubernetes.grants import FLAGS, grants

__all__ = ["PERMISSIONS"]

_MOST = 512 << 20
"""Characters that rows may have together: a role of a megabyte, bound to thousands, would fill any disk."""

_ROW = 1_000  # of which a row's names and flags take about so many
_LONGEST = 200  # characters of a rule in a summary

_ROLES = ("kubernetes_role", "kubernetes_cluster_role")
_BINDINGS = ("kubernetes_role_binding", "kubernetes_cluster_role_binding")
_BOOTSTRAPPING = ("kubernetes.io/bootstrapping", "rbac-defaults")
_SYSTEM, _ADMIN = "kube-system", "cluster-admin"
_ACCOUNT, _ACCOUNTS = "system:serviceaccount:", "system:serviceaccounts"

ANONYMOUS, AUTHENTICATED, ACCOUNTS, MASTERS = "anonymous", "authenticated", "accounts", "masters"
_AUDIENCES = {
    ("User", "system:anonymous"): ANONYMOUS,
    ("Group", "system:unauthenticated"): ANONYMOUS,
    ("Group", "system:authenticated"): AUTHENTICATED,
    ("Group", _ACCOUNTS): ACCOUNTS,
    ("Group", "system:masters"): MASTERS,
}

_RULE = {
    "api_groups": "apiGroups",
    "resources": "resources",
    "verbs": "verbs",
    "resource_names": "resourceNames",
    "non_resource_urls": "nonResourceURLs",
}

KIND = Kind(
    name="kubernetes_permission",
    title="Who may do what: each rule of each role, for each subject that a binding gives it to",
    columns=(
        Column("cluster", "VARCHAR", "the cluster", identity=Identity.RESOURCE),
        Column("binding", "VARCHAR", "id of the binding's record", identity=Identity.RESOURCE),
        Column("binding_kind", "VARCHAR", "RoleBinding or ClusterRoleBinding"),
        Column("binding_namespace", "VARCHAR", "the namespace that the binding lies in"),
        Column("binding_name", "VARCHAR", "its name", identity=Identity.RESOURCE),
        Column("built_in", "BOOLEAN", "part of the control plane: by labels, names and subject alike"),
        Column("subject_kind", "VARCHAR", "User, Group or ServiceAccount"),
        Column("subject_namespace", "VARCHAR", "namespace of the account, or of the accounts of the group"),
        Column("subject", "VARCHAR", "name of user, group or account", identity=Identity.LOGIN),
        Column("spelt_as_user", "BOOLEAN", "whether the account is bound as the user that stands for it"),
        Column("login", "VARCHAR", "a user's name in lower case, without prefix", identity=Identity.LOGIN),
        Column("audience", "VARCHAR", "anonymous, authenticated, accounts or masters; NULL: none of these"),
        Column("role_kind", "VARCHAR", "Role or ClusterRole"),
        Column("role", "VARCHAR", "name of the role", identity=Identity.RESOURCE),
        Column("role_found", "BOOLEAN", "whether there is such a role; if not, nothing is said of its rules"),
        Column("number", "BIGINT", "place of the rule in the role, counted from 0"),
        Column("aggregated", "BOOLEAN", "whether it was found by selectors, as no controller filled it in"),
        Column("namespace", "VARCHAR", "where it holds; NULL: everywhere"),
        Column("api_groups", "VARCHAR[]", "groups of the API; the core is empty"),
        Column("resources", "VARCHAR[]", "on what"),
        Column("verbs", "VARCHAR[]", "what may be done"),
        Column("resource_names", "VARCHAR[]", "to which by name; empty or NULL: to all"),
        Column("non_resource_urls", "VARCHAR[]", "paths of the server that are no resources"),
        Column("summary", "VARCHAR", "who may do what by which role, in one line"),
        *FLAGS,
    ),
    identity=("cluster", "binding", "subject_kind", "subject_namespace", "subject", "number"),
    examples=("SELECT DISTINCT subject FROM kubernetes_permission WHERE reads_secrets AND NOT built_in",),
)

_READS = {
    "kubernetes_role": ("namespace", "name", "labels", "rules"),
    "kubernetes_cluster_role": ("name", "labels", "rules", "aggregationRule"),
    "kubernetes_role_binding": ("namespace", "name", "labels", "roleRef", "subjects"),
    "kubernetes_cluster_role_binding": ("name", "labels", "roleRef", "subjects"),
}

Written = Mapping[str, Json]
"""A record as a segment holds it."""


@dataclass(frozen=True, slots=True)
class _Rule:
    columns: Mapping[str, Json]
    size: int
    summary: str


@dataclass(slots=True)
class _Role:
    """A role; what its rules come to within a namespace and everywhere is worked out once."""

    calls: tuple[str, ...]
    bootstrapped: bool | None
    rules: Sequence[Mapping[str, Json]]
    aggregated: bool
    _held: dict[str | None, list[_Rule]] = field(default_factory=dict)

    def held(self, namespace: str | None) -> list[_Rule]:
        """Its rules as they hold in a namespace; None: everywhere."""
        place = namespace if namespace in (None, "kube-public") else ""
        if place not in self._held:
            told = [
                (number, rule, grants(rule, place))
                for number, rule in enumerate(self.rules)
                if place is None or rule.get("resources")  # paths lie in no namespace
            ]
            # Beside a rule that is everything, no other is a right that its holder is without.
            full = any(flags["full"] for _, _, flags in told)
            self._held[place] = [
                self._rule(number, rule, {**flags, "full": full}) for number, rule, flags in told
            ]
        return self._held[place]

    def _rule(self, number: int, rule: Mapping[str, Json], flags: Mapping[str, bool]) -> _Rule:
        told = {column: list(rule[name]) for column, name in _RULE.items() if rule.get(name)}
        size = _ROW + sum(len(text) for texts in told.values() for text in texts)
        on = told.get("resources") or told.get("non_resource_urls") or ()
        summary = f"{', '.join(told.get('verbs', ()))} on {', '.join(on)}"[:_LONGEST]
        columns = {"number": number, "aggregated": self.aggregated, **told, **flags}
        return _Rule(columns, size, summary)


@dataclass(frozen=True, slots=True)
class _Subject:
    kind: str
    namespace: str | None
    name: str
    spelt: bool = False

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.kind == "ServiceAccount" else ""
        return f"{self.kind} {place}{self.name}"

    @property
    def audience(self) -> str | None:
        if self.kind == "Group" and self.namespace is not None:
            return ACCOUNTS
        return _AUDIENCES.get((self.kind, self.name))

    @property
    def login(self) -> str | None:
        """The name without what sets one provider's users apart: `issuer#`, `oidc:`, `arn:…:user/`."""
        if self.kind != "User" or self.name.startswith("system:"):
            return None
        whole = self.name.lower()
        return whole.replace("#", "/").replace(":", "/").rpartition("/")[2] or whole


_Key = tuple[tuple[tuple[str, str], ...], str, str]
"""Cluster, namespace ("" for none) and name."""


def _compute(records: Mapping[str, Sequence[Written]]) -> Iterator[Record]:
    """Give the rows of each binding.

    Raises:
        ValueError: together they would be larger than anything that is kept.
    """
    roles = _roles(records)
    bindings = [each for kind in _BINDINGS for each in records.get(kind, ())]
    left = _MOST
    for binding in sorted(bindings, key=lambda each: (sorted(each["scope"].items()), each["id"])):
        for size, record in _rows(binding, roles):
            left -= size
            if left < 0:
                raise ValueError("too many permissions")
            yield record


def _cluster(record: Written) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in record["scope"].items() if key != "namespace"))


def _roles(records: Mapping[str, Sequence[Written]]) -> Mapping[_Key, _Role]:
    own, everywhere = (records.get(kind, ()) for kind in _ROLES)
    found = aggregated_rules(everywhere, _cluster)
    roles: dict[_Key, _Role] = {}
    for record in (*own, *everywhere):
        data = record["data"]
        key = _cluster(record), data.get("namespace") or "", data.get("name") or ""
        selected = None if key[1] else found.get((key[0], key[2]))
        rules = data.get("rules") or () if selected is None else selected
        roles[key] = _Role(tuple(record["calls"]), _bootstrapped(record), rules, selected is not None)
    return roles


def _bootstrapped(record: Written) -> bool | None:
    """Whether the server's own start made it, as its label says; None: its labels were not seen."""
    if any(gap["column"] == "labels" for gap in record["gaps"]):
        return None
    label, value = _BOOTSTRAPPING
    return (record["data"].get("labels") or {}).get(label) == value


def _rows(binding: Written, roles: Mapping[_Key, _Role]) -> Iterator[tuple[int, Record]]:
    data = binding["data"]
    reference = data.get("roleRef") or {}
    namespace = data.get("namespace")
    inside = namespace or "" if reference.get("kind") == "Role" else ""
    role = roles.get((_cluster(binding), inside, reference.get("name") or ""))
    calls = tuple(sorted({*binding["calls"], *(role.calls if role else ())}))
    told = {
        "cluster": binding["scope"].get("cluster"),
        "binding": binding["id"],
        "binding_kind": "ClusterRoleBinding" if namespace is None else "RoleBinding",
        "binding_namespace": namespace,
        "binding_name": data.get("name"),
        "role_kind": reference.get("kind"),
        "role": reference.get("name"),
        "role_found": role is not None,
        "namespace": namespace,
    }
    held = role.held(namespace) if role else [_Rule({}, _ROW, "nothing")]
    by = f"by {reference.get('kind')} {reference.get('name')}"
    for place, subject in enumerate(_subjects(data.get("subjects"), namespace)):
        named = told | _named(subject)
        control = _of_control_plane(binding, role, subject)
        for rule in held:
            number = rule.columns.get("number", 0)
            row = {**named, "built_in": _built_in(control, subject, rule), **rule.columns}
            row["summary"] = f"{subject}: {rule.summary} {by}"
            kept = {column: value for column, value in row.items() if value is not None}
            id_ = f"{binding['id']} subject {place} rule {number}"
            yield rule.size, Record(KIND.name, id_, binding["scope"], calls, kept)


def _named(subject: _Subject) -> dict[str, Json]:
    return {
        "subject_kind": subject.kind,
        "subject_namespace": subject.namespace,
        "subject": subject.name,
        "spelt_as_user": subject.spelt,
        "login": subject.login,
        "audience": subject.audience,
    }


def _subjects(told: Json, namespace: str | None) -> list[_Subject]:
    """Whom a binding means, each once, in its order."""
    found = (_subject(each or {}, namespace) for each in told or ())
    return list(dict.fromkeys(subject for subject in found if subject is not None))


def _subject(told: Mapping[str, Json], namespace: str | None) -> _Subject | None:
    """Whom an entry means; None: nobody."""
    kind, name = told.get("kind"), told.get("name") or ""
    if kind == "ServiceAccount":
        own = told.get("namespace") or namespace
        return _Subject(kind, own, name) if own else None
    if kind == "User" and name.startswith(_ACCOUNT):
        own, _, account = name.removeprefix(_ACCOUNT).partition(":")
        if own and account and ":" not in account:
            return _Subject("ServiceAccount", own, account, spelt=True)
    if kind == "Group" and name.startswith(f"{_ACCOUNTS}:"):
        return _Subject(kind, name.removeprefix(f"{_ACCOUNTS}:"), name)
    return _Subject(kind, None, name) if kind in ("User", "Group") else None


def _of_control_plane(binding: Written, role: _Role | None, subject: _Subject) -> bool | None:
    """Whether it is a binding of the server's own, and the subject one that it was made for.

    None where the role or labels that would tell were not seen. Label and name alone are not enough: both can
    be had by whoever may write bindings, and subjects can be added to a binding that is there.
    """
    name = str(binding["data"].get("name"))
    if name == _ADMIN:
        meant = subject.audience == MASTERS
    elif subject.kind == "ServiceAccount":
        own = name.rpartition(":")[2].removeprefix("leader-locking-")
        meant = name.startswith("system:") and (subject.namespace, subject.name) == (_SYSTEM, own)
    else:
        meant = name.startswith("system:") and subject.name.startswith("system:")
    if not meant:
        return False
    labelled = (_bootstrapped(binding), role.bootstrapped if role else None)
    return None if None in labelled and False not in labelled else all(labelled)


def _built_in(control: bool | None, subject: _Subject, rule: _Rule) -> bool | None:
    """Of those who are many, only what the server lets everybody ask is its own."""
    many = subject.audience in (ANONYMOUS, AUTHENTICATED, ACCOUNTS)
    return False if many and rule.columns.get("basic") is False else control


PERMISSIONS = Derived(kind=KIND, version=2, reads=_READS, compute=_compute)
