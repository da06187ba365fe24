"""Effective permissions: the table says what the server decides, and what a plain model of it would."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_kubernetes.effective import PERMISSIONS
from collector_kubernetes.grants import FLAGS, RIGHTS

Object = dict[str, Any]
Records = dict[str, list[Object]]

RBAC = "rbac.authorization.k8s.io"
KINDS = {
    "Role": "kubernetes_role",
    "ClusterRole": "kubernetes_cluster_role",
    "RoleBinding": "kubernetes_role_binding",
    "ClusterRoleBinding": "kubernetes_cluster_role_binding",
}


def record(obj: Object, scope: Mapping[str, str] | None = None) -> Object:
    """The record of a role or binding, as a segment holds it."""
    meta = obj["metadata"]
    data = {key: value for key, value in obj.items() if key not in ("metadata", "kind", "apiVersion")}
    data |= {key: meta[key] for key in ("name", "namespace", "labels") if key in meta}
    names = (obj["kind"], meta.get("namespace"), meta["name"])
    return {
        "kind": KINDS[obj["kind"]],
        "id": "/".join(name for name in names if name),
        "scope": dict(scope or {"cluster": "c"}),
        "calls": ["call"],
        "gaps": [],
        "data": {key: value for key, value in data.items() if value is not None},
    }


def by_kind(records: Sequence[Object]) -> Records:
    found: Records = {}
    for each in records:
        found.setdefault(each["kind"], []).append(each)
    return found


def rows(*objects: Object) -> list[Object]:
    """What the table holds of some objects."""
    columns: Object = dict.fromkeys(column.name for column in PERMISSIONS.kind.columns)
    return [{**columns, **row.data} for row in PERMISSIONS.compute(by_kind([record(obj) for obj in objects]))]


def role(
    name: str, *rules: Object, namespace: str = "", labels: Object | None = None, select: Object | None = None
) -> Object:
    made: Object = {
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": _meta(name, namespace, labels),
        "rules": list(rules),
    }
    if select is not None:
        made |= {"aggregationRule": {"clusterRoleSelectors": [select]}, "rules": None}
    return made


def binding(
    name: str,
    of: str,
    *subjects: Object,
    namespace: str = "",
    kind: str = "ClusterRole",
    labels: Object | None = None,
) -> Object:
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": _meta(name, namespace, labels),
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": of},
        "subjects": list(subjects) or None,
    }


def _meta(name: str, namespace: str, labels: Object | None) -> Object:
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        **({"labels": labels} if labels else {}),
    }


def rule(verbs: str, resources: str, groups: Sequence[str] = ("",), names: Sequence[str] = ()) -> Object:
    told = {"verbs": verbs.split(), "apiGroups": list(groups), "resources": resources.split()}
    return {**told, "resourceNames": list(names)} if names else told


def user(name: str) -> Object:
    return {"kind": "User", "apiGroup": RBAC, "name": name}


def group(name: str) -> Object:
    return {"kind": "Group", "apiGroup": RBAC, "name": name}


def account(name: str, namespace: str | None = None) -> Object:
    return {"kind": "ServiceAccount", "name": name, **({"namespace": namespace} if namespace else {})}


READER = role("reader", rule("get list", "pods"))
ALL = role("all", rule("*", "*", ["*"]), {"verbs": ["*"], "nonResourceURLs": ["*"]})
BUILT_IN = {"kubernetes.io/bootstrapping": "rbac-defaults"}


def test_a_row_for_each_subject_and_rule_of_a_binding() -> None:
    told = rows(ALL, binding("b", "all", user("eva"), group("team")))
    assert [(row["subject_kind"], row["subject"], row["number"]) for row in told] == [
        ("User", "eva", 0),
        ("User", "eva", 1),
        ("Group", "team", 0),
        ("Group", "team", 1),
    ]
    assert [row["all_verbs"] for row in told] == [True, False] * 2
    assert all(row["full"] for row in told)  # nobody with every right is said to be without one
    assert told[2]["summary"] == "Group team: * on * by ClusterRole all"


def test_subjects_null_and_rules_null_give_no_row() -> None:
    nothing = {**role("nothing"), "rules": None}
    assert rows(READER, nothing, binding("a", "reader"), binding("b", "nothing", user("eva"))) == []


def test_a_role_that_is_missing_is_told_and_gives_no_right() -> None:
    (row,) = rows(READER, binding("b", "reader", user("eva"), namespace="n", kind="Role"))
    assert row["role_found"] is False
    assert {row[flag.name] for flag in FLAGS} == {None}
    assert row["summary"] == "User eva: nothing by Role reader"


def test_roles_of_one_name_are_told_apart_by_kind_and_namespace() -> None:
    roles = [role("r", rule("get", text), namespace=text) for text in ("a", "b")]
    told = rows(
        *roles,
        role("r", rule("get", "everywhere")),
        binding("own", "r", user("eva"), namespace="a", kind="Role"),
        binding("wide", "r", user("eva"), namespace="b"),
    )
    assert [(row["namespace"], row["resources"]) for row in told] == [("a", ["a"]), ("b", ["everywhere"])]


def test_a_binding_within_a_namespace_gives_nothing_that_lies_in_none() -> None:
    told = rows(ALL, binding("b", "all", user("eva"), namespace="n"))
    (row,) = told  # paths of the server lie in no namespace
    given = {flag for flag in RIGHTS if row[flag]}
    assert row["full"] and given == RIGHTS.keys() - {
        "proxies_nodes",
        "writes_admission",
        "approves_certificates",
        "creates_volumes",
    }


@pytest.mark.parametrize(
    ("verbs", "names", "expected"),
    [
        ("create", [], True),
        ("create", ["a"], False),  # a request to create names no object
        ("deletecollection", ["a"], False),
        ("update", ["a"], True),
        ("*", ["a"], True),
    ],
)
def test_a_rule_bound_to_names_lets_nobody_create(verbs: str, names: list[str], expected: bool) -> None:
    webhooks = rule(verbs, "validatingwebhookconfigurations", ["admissionregistration.k8s.io"], names)
    (row,) = rows(role("r", webhooks), binding("b", "r", user("eva")))
    assert row["writes_admission"] is expected


def test_an_account_without_a_namespace_is_one_of_the_bindings() -> None:
    told = rows(READER, binding("b", "reader", account("robot"), namespace="n"))
    assert [row["subject_namespace"] for row in told] == ["n"]
    assert rows(READER, binding("b", "reader", account("robot"))) == []


def test_an_account_that_is_spelt_as_a_user_is_an_account() -> None:
    (row,) = rows(READER, binding("b", "reader", user("system:serviceaccount:lab:robot")))
    told = tuple(row[name] for name in ("subject_kind", "subject_namespace", "subject", "spelt_as_user"))
    assert told == ("ServiceAccount", "lab", "robot", True)
    (other,) = rows(READER, binding("b", "reader", user("system:serviceaccount:lab:robot:x")))
    assert other["subject_kind"] == "User"


@pytest.mark.parametrize(
    ("subject", "audience", "namespace"),
    [
        (user("system:anonymous"), "anonymous", None),
        (group("system:anonymous"), None, None),
        (group("system:unauthenticated"), "anonymous", None),
        (user("system:unauthenticated"), None, None),
        (group("system:authenticated"), "authenticated", None),
        (group("system:serviceaccounts"), "accounts", None),
        (group("system:serviceaccounts:lab"), "accounts", "lab"),
        (group("system:masters"), "masters", None),
        (group("team"), None, None),
    ],
)
def test_groups_that_many_are_in_are_understood(
    subject: Object, audience: str | None, namespace: str | None
) -> None:
    (row,) = rows(READER, binding("b", "reader", subject))
    assert (row["audience"], row["subject_namespace"]) == (audience, namespace)


@pytest.mark.parametrize(
    ("name", "login"),
    [
        ("Eva", "eva"),
        ("https://issuer.example#Eva", "eva"),
        ("oidc:eva@example.com", "eva@example.com"),
        ("arn:aws:sts::1:assumed-role/Admin/eva", "eva"),
        ("odd:", "odd:"),
        ("system:kube-scheduler", None),
    ],
)
def test_a_login_is_the_name_without_its_providers_prefix(name: str, login: str | None) -> None:
    (row,) = rows(READER, binding("b", "reader", user(name)))
    assert row["login"] == login


def test_rules_that_a_controller_left_out_are_found_by_selectors_however_many_steps_away() -> None:
    told = rows(
        role("top", select={"matchLabels": {"to": "top"}}),
        role(
            "middle",
            labels={"to": "top"},
            select={"matchExpressions": [{"key": "leaf", "operator": "Exists"}]},
        ),
        role("leaf", rule("get", "secrets"), labels={"leaf": ""}),
        role("around", labels={"leaf": ""}, select={"matchLabels": {"to": "top"}}),
        role("other", rule("get", "nodes")),
        binding("b", "top", user("eva")),
    )
    assert [(row["resources"], row["aggregated"]) for row in told] == [(["secrets"], True)]


def test_rules_that_a_controller_wrote_are_those_that_count() -> None:
    written = {**role("top", select={"matchLabels": {"to": "top"}}), "rules": [rule("get", "pods")]}
    told = rows(
        written, role("part", rule("get", "secrets"), labels={"to": "top"}), binding("b", "top", user("e"))
    )
    assert [(row["resources"], row["aggregated"]) for row in told] == [(["pods"], False)]


def test_roles_are_those_of_the_bindings_own_cluster() -> None:
    scopes: list[Mapping[str, str]] = [{"cluster": "a"}, {"cluster": "b", "namespace": "n"}]
    bound = binding("b", "reader", user("eva"), namespace="n")
    here = [record(bound, scope) for scope in scopes] + [record(READER, {"cluster": "b"})]
    told = [row.data for row in PERMISSIONS.compute(by_kind(here))]
    assert [(row["cluster"], row["role_found"]) for row in told] == [("a", False), ("b", True)]


@pytest.mark.parametrize(
    ("name", "labels", "subject", "of", "expected"),
    [
        ("cluster-admin", BUILT_IN, group("system:masters"), "cluster-admin", True),
        ("cluster-admin", BUILT_IN, group("team"), "cluster-admin", False),
        ("cluster-admin", BUILT_IN, group("system:authenticated"), "cluster-admin", False),
        ("cluster-admin", None, group("system:masters"), "cluster-admin", False),
        ("system:x", BUILT_IN, account("x", "kube-system"), "cluster-admin", True),
        ("system:x", BUILT_IN, account("default", "kube-system"), "cluster-admin", False),
        ("system:x", BUILT_IN, account("x", "lab"), "cluster-admin", False),
        ("system:x", BUILT_IN, account("y", "kube-system"), "cluster-admin", False),
        (
            "system:controller:x-controller",
            BUILT_IN,
            account("controller", "kube-system"),
            "cluster-admin",
            False,
        ),
        ("system:controller:x", BUILT_IN, account("x", "kube-system"), "cluster-admin", True),
        ("system::leader-locking-x", BUILT_IN, account("x", "kube-system"), "cluster-admin", True),
        ("system:x", BUILT_IN, user("system:kube-scheduler"), "cluster-admin", True),
        ("system:x", BUILT_IN, group("system:authenticated"), "cluster-admin", False),
        ("system:x", BUILT_IN, user("eva"), "cluster-admin", False),
        ("system:x", BUILT_IN, user("system:kube-scheduler"), "own", False),
        ("other", BUILT_IN, user("system:kube-scheduler"), "cluster-admin", False),
    ],
)
def test_built_in_is_told_by_label_name_and_subject(
    name: str, labels: Object | None, subject: Object, of: str, expected: bool
) -> None:
    roles = [role("cluster-admin", rule("*", "*", ["*"]), labels=BUILT_IN), role("own", rule("get", "pods"))]
    (row,) = rows(*roles, binding(name, of, subject, labels=labels))
    assert row["built_in"] is expected


def test_where_labels_were_not_seen_built_in_is_not_known() -> None:
    objects = [record(role("r", rule("get", "pods"), labels=BUILT_IN))]
    objects.append(record(binding("system:x", "r", user("system:kube-scheduler"))))
    objects[1]["gaps"] = [{"column": "labels", "reason": "malformed"}]
    (row,) = PERMISSIONS.compute(by_kind(objects))
    assert "built_in" not in row.data


def test_a_role_that_would_fill_the_disk_is_an_error_and_no_table() -> None:
    huge = role("huge", *(rule("get", "pods", names=["x" * 250] * 40) for _ in range(100)))
    bound = binding("b", "huge", *(user(f"user-{n}") for n in range(2_000)))
    with pytest.raises(ValueError, match="too many permissions"):
        for _ in PERMISSIONS.compute(by_kind([record(huge), record(bound)])):
            pass


def test_the_work_grows_as_the_cluster_does() -> None:
    few, many = _calls(100), _calls(400)
    assert many < few * 5


def _calls(size: int) -> int:
    """How many functions are called for a cluster of so many roles and bindings of each kind."""
    objects = []
    for n in range(size):
        rules = [rule("get list watch", f"pods configmaps thing{n}"), rule("create", "pods/exec")]
        objects += [role(f"r{n}", *rules), role(f"r{n}", *rules, namespace=f"n{n % 50}")]
        objects.append(
            binding(f"b{n}", f"r{n}", account("a", f"n{n % 50}"), user("eva"), namespace=f"n{n % 50}")
        )
        objects.append(binding(f"b{n}", f"r{n}", group("team")))
    records = by_kind([record(obj) for obj in objects])
    calls = 0

    def called(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        count = sum(1 for _ in PERMISSIONS.compute(records))
    finally:
        sys.setprofile(None)
    assert count == size * 6
    return calls


# A plain model of the server's authorizer: every request on its own, through every binding.


@dataclass(frozen=True)
class Who:
    """A user as the server knows it."""

    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""
    everywhere: bool = False
    """Whether the resource lies in no namespace."""


def everyone() -> Iterator[Who]:
    for name in ("eva", "tom"):
        yield Who(name, ("system:authenticated",))
    yield Who("kim", ("team", "system:authenticated"))
    for namespace, name in itertools.product(("lab", "shop"), ("default", "robot")):
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        yield Who(f"system:serviceaccount:{namespace}:{name}", groups)
    yield Who("system:anonymous", ("system:unauthenticated",))


def requests(flag: str) -> Iterator[Request]:
    """Requests of which one is granted exactly where a rule has the flag.

    A name that no rule has stands for all objects; requests on whole lists have none. Where a flag counts for
    rules with names too, so do the names that rules have.
    """
    for right in RIGHTS[flag]:
        names = ("other", *NAMES) if right.named else ("other",)
        for each, verb in itertools.product(sorted(right.resources), sorted(right.verbs)):
            resource, _, part = each.partition("/")
            listed = verb in ("create", "list", "watch", "deletecollection") and not part
            for name in ("",) if listed else names:
                yield Request(verb, right.group, resource, part, name, right.everywhere)


def resolved(obj: Object, roles: Sequence[Object], seen: tuple[str, ...] = ()) -> list[Object]:
    """Rules of a cluster role, its selectors followed."""
    if obj.get("rules") or "aggregationRule" not in obj:
        return obj.get("rules") or []
    found: list[Object] = []
    for selector in obj["aggregationRule"]["clusterRoleSelectors"]:
        for other in roles:
            labels = other["metadata"].get("labels") or {}
            name = other["metadata"]["name"]
            if name not in seen and all(labels.get(k) == v for k, v in selector["matchLabels"].items()):
                found += resolved(other, roles, (*seen, name))
    return found


def means(subject: Object, who: Who, namespace: str) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == who.name)
    if subject["kind"] == "Group":
        return subject["name"] in who.groups
    own = subject.get("namespace") or namespace
    return bool(own) and who.name == f"system:serviceaccount:{own}:{subject['name']}"


def allows(told: Object, asked: Request) -> bool:
    combined = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    resources, names = told.get("resources") or [], told.get("resourceNames") or []
    return (
        any(verb in ("*", asked.verb) for verb in told["verbs"])
        and any(each in ("*", asked.group) for each in told.get("apiGroups") or [])
        and (
            "*" in resources
            or combined in resources
            or (asked.subresource != "" and f"*/{asked.subresource}" in resources)
        )
        and (not names or asked.name in names)
    )


def authorized(objects: Sequence[Object], who: Who, asked: Request, namespace: str) -> bool:
    """What the server would say; with aggregated roles as a controller would have filled them."""
    within = "" if asked.everywhere else namespace
    everywhere = [obj for obj in objects if obj["kind"] == "ClusterRole"]
    for bound in (obj for obj in objects if obj["kind"].endswith("Binding")):
        own = bound["metadata"].get("namespace", "")
        if own and own != within:
            continue
        if not any(means(subject, who, own) for subject in bound["subjects"] or ()):
            continue
        for obj in objects:
            meta, reference = obj["metadata"], bound["roleRef"]
            same = (obj["kind"], meta["name"]) == (reference["kind"], reference["name"])
            if same and (reference["kind"] == "ClusterRole" or meta["namespace"] == own):
                rules = resolved(obj, everywhere) if obj["kind"] == "ClusterRole" else obj["rules"] or []
                if any(allows(told, asked) for told in rules):
                    return True
    return False


def held(told: Sequence[Object], who: Who, flag: str, namespace: str) -> bool:
    """What the table says of the same."""
    return any(
        row.get(flag)
        and row.get("namespace") in (None, namespace)
        and (
            who.name == f"system:serviceaccount:{row['subject_namespace']}:{row['subject']}"
            if row["subject_kind"] == "ServiceAccount"
            else row["subject"] in (who.groups if row["subject_kind"] == "Group" else (who.name,))
        )
        for row in told
    )


NAMES = ("a", "b")
VERBS = (
    "*",
    *sorted({verb for rights in RIGHTS.values() for right in rights for verb in right.verbs}),
    "use",
)
RESOURCES = (
    "*",
    *sorted({each for rights in RIGHTS.values() for right in rights for each in right.resources}),
    *(
        "pods/*",
        "*/*",
        "*/exec",
        "*/token",
        "*/proxy",
        "*/approval",
        "Secrets",
        "secrets/status",
        "namespaces",
    ),
)
GROUPS = ("*", *sorted({right.group for rights in RIGHTS.values() for right in rights}), "example.com")


def some(values: Sequence[str], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


RULES = st.builds(
    lambda verbs, groups, resources, names: {
        "verbs": verbs,
        "apiGroups": groups,
        "resources": resources,
        "resourceNames": names,
    },
    some(VERBS),
    some(GROUPS),
    some(RESOURCES),
    st.sampled_from([[], [], [], ["a"], ["a", "b"]]),
)
PLACES = st.sampled_from(["", "", "lab", "shop"])
LABELS = st.sampled_from([None, {"to": "x"}, {"to": "y"}])


@st.composite
def role_objects(draw: st.DrawFn) -> Object:
    name, namespace = draw(st.sampled_from(["r", "s", "t"])), draw(PLACES)
    labels = None if namespace else draw(LABELS)
    if not namespace and draw(st.integers(0, 3)) == 0:
        select = {"matchLabels": {"to": draw(st.sampled_from(["x", "y"]))}}
        return role(name, labels=labels, select=select)
    return role(name, *draw(st.lists(RULES, max_size=2)), namespace=namespace, labels=labels)


SUBJECTS = st.one_of(
    st.builds(user, st.sampled_from([who.name for who in everyone()])),
    st.builds(group, st.sampled_from(sorted({each for who in everyone() for each in who.groups}))),
    st.builds(account, st.sampled_from(["default", "robot"]), st.sampled_from([None, "lab", "shop"])),
)


@st.composite
def binding_objects(draw: st.DrawFn) -> Object:
    namespace = draw(PLACES)
    kind = draw(st.sampled_from(["Role", "ClusterRole"])) if namespace else "ClusterRole"
    subjects = draw(st.lists(SUBJECTS, max_size=3))
    of = draw(st.sampled_from(["r", "s", "t"]))
    return binding(draw(st.sampled_from(["b", "c", "d"])), of, *subjects, namespace=namespace, kind=kind)


def _place(obj: Object) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


CLUSTERS = st.lists(st.one_of(role_objects(), binding_objects()), max_size=9, unique_by=_place)


@settings(max_examples=150, deadline=None)
@given(CLUSTERS, st.randoms(use_true_random=False))
def test_the_order_of_what_was_collected_does_not_matter(
    objects: list[Object], chance: random.Random
) -> None:
    told = [record(obj) for obj in objects]
    mixed = chance.sample(told, len(told))
    assert list(PERMISSIONS.compute(by_kind(mixed))) == list(PERMISSIONS.compute(by_kind(told)))


@settings(max_examples=100, deadline=None)
@given(CLUSTERS, binding_objects())
def test_a_binding_that_is_added_takes_no_permission_away(objects: list[Object], more: Object) -> None:
    others = [obj for obj in objects if _place(obj) != _place(more)]
    before, after = (
        [json.dumps(row, sort_keys=True) for row in rows(*each)] for each in (others, [*others, more])
    )
    assert set(before) <= set(after)
    assert len(set(after)) == len(after)


@settings(max_examples=200, deadline=None)
@given(CLUSTERS, st.sampled_from(sorted(RIGHTS)))
def test_somebody_has_a_right_exactly_where_a_plain_model_says_so(objects: list[Object], flag: str) -> None:
    told = rows(*objects)
    for who, namespace in itertools.product(everyone(), ("lab", "shop", "elsewhere")):
        expected = any(authorized(objects, who, asked, namespace) for asked in requests(flag))
        assert held(told, who, flag, namespace) == expected, (who.name, namespace)


# The server itself: what its authorizer decides, and what its API then gives.


def test_the_server_decides_as_the_table_says(cluster: Any, collecting: Callable[..., Any]) -> None:
    """Rules at random, bound everywhere or within a namespace, and every request that a flag speaks of."""
    objects = list(_many(random.Random(5)))
    cluster.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "effective"}})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cluster.admin.create, objects))
    told = collecting(kubeconfig=str(cluster.kubeconfig)).records["kubernetes_permission"]
    mine = [row["data"] for row in told if row["data"]["binding_name"].startswith("effective-")]
    users = [
        Who(each["subjects"][0]["name"], ("system:authenticated",)) for each in objects if "subjects" in each
    ]
    _wait_for(cluster, users[-1], mine)
    questions = [(who, flag) for who in users for flag in sorted(RIGHTS)]
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda each: _granted(cluster, *each), questions))
    said = [held(mine, who, flag, "effective") for who, flag in questions]
    assert [each for each, one, other in zip(questions, given, said, strict=True) if one != other] == []
    for flag in RIGHTS:  # of each there are some who have it and some who do not
        assert {had for (_, name), had in zip(questions, said, strict=True) if name == flag} == {True, False}


def _many(chance: random.Random) -> Iterator[Object]:
    version = f"{RBAC}/v1"
    for number, flag in enumerate(sorted(RIGHTS) * 6):
        right = chance.choice(RIGHTS[flag])
        told = {
            "verbs": _near(chance, sorted(right.verbs), VERBS),
            "apiGroups": _near(chance, [right.group], GROUPS),
            "resources": _near(chance, sorted(right.resources), RESOURCES),
            "resourceNames": chance.choice([[], [], ["a"], ["a", "b"]]),
        }
        name, namespace = f"effective-{number:02}", "" if number // len(RIGHTS) % 3 else "effective"
        of = role(name, told)
        yield {"apiVersion": version, **of}
        yield {"apiVersion": version, **binding(name, name, user(f"{name}-user"), namespace=namespace)}


def _near(chance: random.Random, meant: Sequence[str], others: Sequence[str]) -> list[str]:
    """Most often what is meant, and sometimes beside it."""
    return sorted({chance.choice(meant if chance.random() < 0.7 else others) for _ in range(2)})


def _wait_for(cluster: Any, who: Who, told: Sequence[Object]) -> None:
    """The authorizer follows the store within milliseconds."""
    flags = [flag for flag in sorted(RIGHTS) if held(told, who, flag, "effective")]
    until = time.monotonic() + 60
    while flags and not _granted(cluster, who, flags[0]) and time.monotonic() < until:
        time.sleep(0.05)


def _granted(cluster: Any, who: Who, flag: str) -> bool:
    return any(_reviewed(cluster, who, asked) for asked in requests(flag))


def _reviewed(cluster: Any, who: Who, asked: Request) -> bool:
    attributes = {
        "verb": asked.verb,
        "group": asked.group,
        "resource": asked.resource,
        "subresource": asked.subresource,
        "name": asked.name,
        "namespace": "" if asked.everywhere else "effective",
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who.name, "groups": list(who.groups), "resourceAttributes": attributes},
    }
    answer = cluster.admin.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


@pytest.mark.parametrize(
    ("rules", "reads"),
    [
        ([rule("list", "*")], True),
        ([rule("list", "secrets", ["*"])], True),
        ([rule("*", "secrets")], True),
        ([rule("list", "secrets", names=["other"])], False),
        ([rule("list", "secrets", ["example.com"])], False),
        ([rule("create update patch delete", "*")], False),
        ([rule("list", "secrets/*")], False),
    ],
    ids=["any-resource", "any-group", "any-verb", "by-name", "of-another-group", "writing", "parts"],
)
def test_who_is_said_to_read_secrets_gets_their_values(
    cluster: Any,
    own: Callable[..., Any],
    collecting: Callable[..., Any],
    rules: list[Object],
    reads: bool,
) -> None:
    meta = {"name": "told", "namespace": "effective-secrets"}
    cluster.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": meta["namespace"]}})
    cluster.admin.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"a": "value"}}
    )
    file = cluster.account("secrets", rules)
    with own(file) as client, contextlib.ExitStack() as refused:
        if not reads:
            refused.enter_context(pytest.raises(Exception, match=r": 403: .*cannot list resource .secrets"))
        answer = client.get(f"/api/v1/namespaces/{meta['namespace']}/secrets")
        assert [each["data"] for each in answer["items"]] == [{"a": "dmFsdWU="}]
    name = _user(file)
    told = collecting(kubeconfig=str(cluster.kubeconfig)).records["kubernetes_permission"]
    said = any(row["data"].get("reads_secrets") for row in told if row["data"]["subject"] == name)
    assert said == reads


def _user(file: Any) -> str:
    """The name of an account's user, which is that of its kubeconfig."""
    return str(file.name.removesuffix(".kubeconfig"))


def test_a_token_that_may_be_made_for_another_account_opens_what_that_account_may(
    cluster: Any, own: Callable[..., Any], collecting: Callable[..., Any]
) -> None:
    space = "effective-tokens"
    cluster.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    cluster.admin.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "strong", "namespace": space}}
    )
    bound = binding("effective-strong", "cluster-admin", account("strong", space))
    cluster.admin.apply({"apiVersion": f"{RBAC}/v1", **bound})
    file = cluster.account("maker", [rule("create", "serviceaccounts/token")], namespaces=[space])
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    with own(file) as client:
        path = f"/api/v1/namespaces/{space}/serviceaccounts/strong/token"
        token = client.request("POST", path, request)["status"]["token"]
    assert cluster.client(token=token).get("/api/v1/nodes")["kind"] == "NodeList"
    told = collecting(kubeconfig=str(cluster.kubeconfig)).records["kubernetes_permission"]
    flags = {
        (row["data"]["subject"], flag.name) for row in told for flag in FLAGS if row["data"].get(flag.name)
    }
    assert flags >= {(_user(file), "creates_tokens"), ("strong", "full")}


def test_the_servers_own_bindings_are_built_in_and_no_others(
    cluster: Any, collecting: Callable[..., Any]
) -> None:
    told = collecting(kubeconfig=str(cluster.kubeconfig)).records["kubernetes_permission"]
    mine = {row["data"]["binding"] for row in told if row["data"]["built_in"]}
    bound = {
        f"{kind}/{each['metadata'].get('namespace', '')}/{each['metadata']['name']}".replace("//", "/")
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for each in cluster.admin.items(f"/apis/{RBAC}/v1/{kind.lower()}s")
        if (each["metadata"].get("labels") or {}).items() >= BUILT_IN.items() and each.get("subjects")
    }
    assert mine == bound
    assert not {row["data"]["binding"] for row in told if not row["data"]["built_in"]} & bound
