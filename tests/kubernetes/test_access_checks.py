"""Checks of access against a real server: what was granted well passes, what was not fails, by name.

And what could not be seen turns no verdict to pass, and nothing that is as it should be to a failure.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]
Results = dict[tuple[str, str], str]

ROOT = Path(__file__).resolve().parents[2]
COLLECTOR = str(Path(sys.executable).parent / "collector")
RBAC = "rbac.authorization.k8s.io"
UPDATED = "rbac.authorization.kubernetes.io/autoupdate"
SECRETS = ("kubernetes-secret-no-account-token", "kubernetes-bootstrap-token-is-recent")
FILES = ("access", "accounts")
MINE = {
    check["id"]
    for file in FILES
    for check in tomllib.loads((ROOT / f"mappings/checks/kubernetes/{file}.toml").read_text("utf-8"))["check"]
}
OF_PEOPLE = {"kubernetes-leaver-not-bound", "kubernetes-user-belongs-to-a-person"}


def mine(check: str) -> bool:
    return check in MINE


# The seeds of all kinds: each failure by its subject, and none beside them.

LAB = {
    "no-full-rights": ["ClusterRoleBinding/everyone-is-admin", "ClusterRoleBinding/robot"],
    "no-full-rights-in-namespace": ["RoleBinding/lab/across", "RoleBinding/lab/admin"],
    "no-escalate": ["ClusterRoleBinding/authenticated-climb"],
    "no-bind": ["ClusterRoleBinding/authenticated-climb"],
    "no-impersonate": ["ClusterRoleBinding/authenticated-climb"],
    "no-token-creation": ["ClusterRoleBinding/authenticated-climb"],
    "no-node-proxy": ["ClusterRoleBinding/authenticated-climb"],
    "no-certificate-approval": ["ClusterRoleBinding/authenticated-climb"],
    "no-volume-creation": ["ClusterRoleBinding/authenticated-climb"],
    "no-admission-writing": ["ClusterRoleBinding/authenticated-climb"],
    "no-shells": ["ClusterRoleBinding/authenticated-climb"],
    "no-ephemeral-containers": ["ClusterRoleBinding/authenticated-climb"],
    "anonymous-sees-health-alone": ["ClusterRoleBinding/everyone-is-admin"],
    "authenticated-discover-alone": ["ClusterRoleBinding/authenticated-climb"],
    "accounts-not-bound-together": ["ClusterRoleBinding/all-accounts"],
    "accounts-named-as-such": ["ClusterRoleBinding/robot"],
    "default-account-without-rights": ["ClusterRoleBinding/robot", "RoleBinding/lab/across"],
    "accounts-stay-in-their-namespace": ["RoleBinding/lab/across"],
    "binding-role-exists": ["ClusterRoleBinding/to-nothing", "RoleBinding/lab/dangling"],
    "binding-accounts-exist": ["ClusterRoleBinding/robot", "ClusterRoleBinding/to-nothing"],
    "cluster-binding-has-subjects": ["ClusterRoleBinding/to-nobody"],
}
WELL = ("pass", "not_applicable")
GOOD = ("RoleBinding/shop/web", "RoleBinding/shop/view", "ClusterRoleBinding/web")


@pytest.fixture(scope="module")
def seeded(seeded_cluster: Any, collecting: Callable[..., Any], judged: Callable[..., Any]) -> Any:
    return judged(collecting(kubeconfig=str(seeded_cluster.kubeconfig), secrets="keys"))


@pytest.mark.parametrize("check", sorted(LAB))
def test_check_finds_what_is_wrong_in_the_seeds_and_nothing_else(seeded: Any, check: str) -> None:
    results = seeded.of(f"kubernetes-rbac-{check}")
    assert sorted(subject for subject, result in results.items() if result not in WELL) == LAB[check]
    assert len(results) > len(LAB[check])


def test_what_is_bound_as_it_should_be_fails_no_check_of_access(seeded: Any) -> None:
    found = {key: result for key, result in seeded.findings.items() if key[1] in GOOD and mine(key[0])}
    assert len(found) > 45
    assert {key for key, result in found.items() if result not in WELL} == set()


def test_a_role_that_is_spelt_like_access_to_secrets_and_gives_none_is_told_apart(seeded: Any) -> None:
    unused = seeded.of("kubernetes-rbac-cluster-role-in-use")
    assert unused["ClusterRole/secrets-of-another-group"] == "fail"  # nobody has it, and that is all
    assert unused["ClusterRole/aggregated-part"] == "pass"  # another role takes it up


def test_the_servers_own_bindings_are_not_judged_by_what_they_need(seeded: Any) -> None:
    own = {subject for check, subject in seeded.findings if "Binding/" in subject and "/system:" in subject}
    found = {
        check
        for check, subject in seeded.findings
        if subject in own and mine(check) and "kept-up" not in check and "has-subjects" not in check
    }
    assert found == {
        "kubernetes-rbac-anonymous-sees-health-alone",  # by what they give, and not by their name
        "kubernetes-rbac-authenticated-discover-alone",
        "kubernetes-rbac-accounts-not-bound-together",
        "kubernetes-rbac-binding-role-exists",
    }


def test_no_check_of_access_could_not_be_run(seeded: Any) -> None:
    assert [check for check in seeded.failed if mine(check)] == []


# One question each: a pair that differs in nothing else.


def rule(verbs: str, resources: str, group: str = "", names: Sequence[str] = ()) -> Object:
    told: Object = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return {**told, "resourceNames": list(names)} if names else told


def account(name: str, namespace: str = "pairs") -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


TEAM: Object = {"kind": "Group", "apiGroup": RBAC, "name": "team"}
EVA: Object = {"kind": "User", "apiGroup": RBAC, "name": "oidc:Eva"}

# check, how it is bound, what is bound in the good case, and in the bad case: rules, or subjects
EVERYWHERE, WITHIN, KUBE = "ClusterRoleBinding", "RoleBinding/pairs", "RoleBinding/kube-system"
PAIRS: list[tuple[str, str, list[Object], list[Object]]] = [
    ("no-verb-wildcard", EVERYWHERE, [rule("get list", "pods")], [rule("*", "pods")]),
    ("no-resource-wildcard", EVERYWHERE, [rule("get", "pods", "apps")], [rule("get", "*", "apps")]),
    ("no-group-wildcard", EVERYWHERE, [rule("get", "widgets", "example.com")], [rule("get", "widgets", "*")]),
    ("no-escalate", WITHIN, [rule("get", "roles", RBAC)], [rule("escalate", "roles", RBAC)]),
    (
        "no-bind",
        WITHIN,
        [rule("bind", "roles", "example.com")],
        [rule("bind", "clusterroles", RBAC, ["admin"])],
    ),
    ("no-impersonate", EVERYWHERE, [rule("get", "users")], [rule("impersonate", "groups", "", ["one"])]),
    ("no-impersonate", KUBE, [rule("impersonate", "users")], [rule("impersonate", "serviceaccounts")]),
    ("no-token-creation", EVERYWHERE, [rule("create", "serviceaccounts")], [rule("create", "*/token")]),
    ("accounts-not-taken", WITHIN, [rule("impersonate", "users")], [rule("impersonate", "serviceaccounts")]),
    ("accounts-not-taken", WITHIN, [rule("get", "serviceaccounts/token")], [rule("create", "*/token")]),
    ("no-node-proxy", EVERYWHERE, [rule("get", "nodes/metrics")], [rule("get", "nodes/proxy")]),
    (
        "no-rbac-writing",
        EVERYWHERE,
        [rule("get list", "clusterroles", RBAC)],
        [rule("patch", "clusterroles", RBAC)],
    ),
    (
        "no-certificate-approval",
        EVERYWHERE,
        [rule("create", "certificatesigningrequests", "certificates.k8s.io")],
        [rule("update", "certificatesigningrequests/approval", "certificates.k8s.io")],
    ),
    (
        "no-volume-creation",
        EVERYWHERE,
        [rule("get", "persistentvolumes")],
        [rule("create", "persistentvolumes")],
    ),
    (
        "no-admission-writing",
        EVERYWHERE,
        [rule("get", "validatingwebhookconfigurations", "admissionregistration.k8s.io")],
        [rule("delete", "validatingwebhookconfigurations", "admissionregistration.k8s.io")],
    ),
    ("secrets-not-read-everywhere", EVERYWHERE, [rule("create", "secrets")], [rule("watch", "secrets")]),
    ("secrets-read-by-name", WITHIN, [rule("get", "secrets", "", ["one"])], [rule("get", "secrets")]),
    ("no-shells", WITHIN, [rule("create", "pods")], [rule("get", "pods/attach")]),
    ("no-ephemeral-containers", WITHIN, [rule("patch", "pods")], [rule("patch", "pods/ephemeralcontainers")]),
    ("no-pods-everywhere", EVERYWHERE, [rule("get", "jobs", "batch")], [rule("create", "jobs", "batch")]),
    ("no-pods-everywhere", KUBE, [rule("get", "pods")], [rule("create", "pods")]),
    ("masters-not-bound", EVERYWHERE, [TEAM], [{**TEAM, "name": "system:masters"}]),
    ("people-by-group", WITHIN, [TEAM], [EVA]),
    (
        "accounts-named-as-such",
        WITHIN,
        [account("own")],
        [{**EVA, "name": "system:serviceaccount:pairs:own"}],
    ),
    ("default-account-without-rights", WITHIN, [account("own")], [account("default")]),
    ("accounts-stay-in-their-namespace", WITHIN, [account("own")], [account("other", "elsewhere")]),
    ("binding-accounts-exist", WITHIN, [account("own")], [account("gone")]),
    ("binding-has-subjects", WITHIN, [TEAM], []),
    ("cluster-binding-has-subjects", EVERYWHERE, [TEAM], []),
]


def _named(number: int, state: str, how: str) -> tuple[str, str, str]:
    """Name, namespace and id of a pair's binding."""
    name, namespace = f"{state}-{number:02}", how.partition("/")[2]
    return name, namespace, f"{how}/{name}"


def _place(check: str) -> str:
    return next(f"{number:02}" for number, pair in enumerate(PAIRS) if pair[0] == check)


def _pair(number: int, state: str, how: str, what: list[Object]) -> Iterator[Object]:
    name, namespace, _ = _named(number, state, how)
    rules = what if what and "verbs" in what[0] else [rule("get", "pods")]
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    kind = "Role" if namespace else "ClusterRole"
    yield {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": meta, "rules": rules}
    yield {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
        "subjects": [TEAM] if what and rules is what else what,
    }


@pytest.fixture(scope="module")
def paired(another_cluster: Callable[..., Any]) -> Iterator[Any]:
    """A server of its own, since its built-in roles are changed too."""
    made = another_cluster()
    admin = made.admin
    for name in ("pairs", "elsewhere"):
        admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for name, namespace in (("own", "pairs"), ("other", "elsewhere"), ("default", "pairs")):
        meta = {"name": name, "namespace": namespace}
        admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    for number, (_, how, good, bad) in enumerate(PAIRS):
        for state, what in (("good", good), ("bad", bad)):
            for obj in _pair(number, state, how, what):
                admin.create(obj)
    for obj in OBJECTS:
        admin.create(obj)
    _change_what_is_built_in(admin)
    _ask_for_certificates(made)
    made.lacking = {resource: _lacking(made, resource) for resource in KINDS}
    yield made
    made.close()


@pytest.fixture(scope="module")
def pairs(paired: Any, collecting: Callable[..., Any], judged: Callable[..., Any]) -> Any:
    """Judged a month later, so that what was made a moment ago is old."""
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    return judged(collecting(kubeconfig=str(paired.kubeconfig), secrets="keys", as_of=later))


@pytest.mark.parametrize("number", range(len(PAIRS)), ids=[f"{n}-{pair[0]}" for n, pair in enumerate(PAIRS)])
def test_check_tells_a_pair_apart(pairs: Any, number: int) -> None:
    check, how, *_ = PAIRS[number]
    results = pairs.of(f"kubernetes-rbac-{check}")
    found = [results.get(_named(number, state, how)[2]) for state in ("good", "bad")]
    assert found == ["pass", "fail"]


# What is more than a binding.


def _meta(name: str, namespace: str = "", **more: Any) -> Object:
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def _bound(
    name: str, of: str, *subjects: Object, namespace: str = "", kind: str = "ClusterRole", **more: Any
) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": _meta(name, namespace, **more),
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": of},
        "subjects": list(subjects),
    }


def _role(name: str, *rules: Object, namespace: str = "", **more: Any) -> Object:
    kind = "Role" if namespace else "ClusterRole"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": _meta(name, namespace, **more),
        "rules": list(rules),
    }


def _account(name: str, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(name, "pairs"), **more}


def _deployment(name: str, **spec: Any) -> Object:
    labels = {"app": name}
    pod = {"containers": [{"name": "a", "image": "example.com/a:1"}], **spec}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _meta(name, "pairs"), "spec": spec}


def _secret(name: str, type_: str, namespace: str = "pairs", **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _meta(name, namespace, **more), "type": type_}


OF_ACCOUNT = {"kubernetes.io/service-account.name": "quiet"}
OBJECTS: list[Object] = [
    _bound("to-missing-role", "missing", TEAM, namespace="pairs", kind="Role"),
    _role("extends-view", rule("get", "secrets"), labels={f"{RBAC}/aggregate-to-view": "true"}),
    _role("extends-view-well", rule("get", "configmaps"), labels={f"{RBAC}/aggregate-to-view": "true"}),
    _role("unbound", rule("get", "pods"), namespace="pairs"),
    _role("unbound", rule("get", "pods")),
    _role("health", {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}),
    _bound("health", "health", {**TEAM, "name": "system:unauthenticated"}),
    _bound("pods-for-all", "pods", {**TEAM, "name": "system:authenticated"}),
    _role("pods", rule("get", "pods")),
    _bound("anonymous", "pods", {**EVA, "name": "system:anonymous"}),
    _bound("accounts", "pods", {**TEAM, "name": "system:serviceaccounts:pairs"}),
    _bound("system:mine", "cluster-admin", EVA, labels={"kubernetes.io/bootstrapping": "rbac-defaults"}),
    _account("quiet", automountServiceAccountToken=False),
    _account("strong"),
    _account("unused", automountServiceAccountToken=False),
    _account("standing", secrets=[{"name": "standing-token-abcde"}]),
    _role("strong", rule("create patch", "deployments", "apps")),
    _bound("strong", "strong", account("strong")),
    _deployment("as-strong", serviceAccountName="strong"),
    _deployment("as-strong-without-token", serviceAccountName="strong", automountServiceAccountToken=False),
    _deployment("as-quiet", serviceAccountName="quiet"),
    _deployment("as-quiet-with-token", serviceAccountName="quiet", automountServiceAccountToken=True),
    _deployment("as-default"),
    _secret("plain", "Opaque"),
    _secret("bootstrap-token-abcdef", "bootstrap.kubernetes.io/token", "kube-system"),
    _secret("standing", "kubernetes.io/service-account-token", annotations=OF_ACCOUNT),
]


def _change_what_is_built_in(admin: Any) -> None:
    """Two switched off, and the binding of administrators given to one person more."""
    off = {"metadata": {"annotations": {UPDATED: "false"}}}
    admin.patch(f"/apis/{RBAC}/v1/clusterroles/edit", off)
    admin.patch(f"/apis/{RBAC}/v1/clusterrolebindings/system:discovery", off)
    path = f"/apis/{RBAC}/v1/clusterrolebindings/cluster-admin"
    admin.patch(path, {"subjects": [*admin.get(path)["subjects"], EVA]})


REQUESTS = {  # name → signer, who asks, in which groups, and what is decided
    "pending": ("kubernetes.io/kube-apiserver-client", "oidc:Eva", "", ""),
    "denied": ("kubernetes.io/kube-apiserver-client", "oidc:Eva", "", "Denied"),
    "person": ("kubernetes.io/kube-apiserver-client", "oidc:Eva", "", "Approved"),
    "node": ("kubernetes.io/kubelet-serving", "system:node:a", "system:nodes", "Approved"),
    "join": (
        "kubernetes.io/kube-apiserver-client-kubelet",
        "system:bootstrap:a",
        "system:bootstrappers",
        "Approved",
    ),
    "stranger": ("kubernetes.io/kube-apiserver-client-kubelet", "oidc:Eva", "", "Approved"),
}


def _ask_for_certificates(made: Any) -> None:
    """The server itself writes down who asked: here by impersonation, with the rights to ask and approve."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    group = "certificates.k8s.io"
    made.admin.create(_role("asker", rule("create", "certificatesigningrequests", group)))
    subjects = [{**EVA, "name": each[1]} for each in REQUESTS.values()]
    made.admin.create(_bound("asker", "asker", *{each["name"]: each for each in subjects}.values()))
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, "system:node:a")]
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])
    sans = x509.SubjectAlternativeName([x509.DNSName("a")])
    plain = x509.CertificateSigningRequestBuilder().subject_name(name)
    for request, (signer, user, of, decided) in REQUESTS.items():
        serving = signer.endswith("kubelet-serving")
        built = (plain.add_extension(sans, False) if serving else plain).sign(key, hashes.SHA256())
        usage = "server auth" if serving else "client auth"
        spec = {
            "request": base64.b64encode(built.public_bytes(Encoding.PEM)).decode(),
            "signerName": signer,
            "usages": ["digital signature", usage],
        }
        obj = {
            "apiVersion": f"{group}/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": request},
            "spec": spec,
        }
        path = f"/apis/{group}/v1/certificatesigningrequests"
        with made.client(token=made.admin.headers["Authorization"].removeprefix("Bearer ")) as asking:
            asking.headers |= {"Impersonate-User": user, "Impersonate-Group": of or "system:authenticated"}
            told = asking.request("POST", path, obj)
        if decided:
            condition = {"type": decided, "status": "True", "reason": "test", "message": "test"}
            told["status"] = {"conditions": [condition]}
            made.admin.replace(f"{path}/{request}/approval", told)


EXPECTED: list[tuple[str, str, str]] = [
    ("rbac-binding-role-exists", "RoleBinding/pairs/to-missing-role", "fail"),
    ("rbac-binding-role-exists", "ClusterRoleBinding/strong", "pass"),
    ("rbac-view-reads-no-secrets", "ClusterRole/extends-view", "fail"),
    ("rbac-view-reads-no-secrets", "ClusterRole/extends-view-well", "pass"),
    ("rbac-view-reads-no-secrets", "ClusterRole/view", "pass"),
    ("rbac-view-reads-no-secrets", "ClusterRole/strong", "not_applicable"),
    ("rbac-role-in-use", "Role/pairs/unbound", "fail"),
    ("rbac-role-in-use", "Role/pairs/good-04", "pass"),
    ("rbac-cluster-role-in-use", "ClusterRole/unbound", "fail"),
    ("rbac-cluster-role-in-use", "ClusterRole/strong", "pass"),
    ("rbac-cluster-role-in-use", "ClusterRole/extends-view", "pass"),
    ("rbac-anonymous-sees-health-alone", "ClusterRoleBinding/health", "pass"),
    ("rbac-anonymous-sees-health-alone", "ClusterRoleBinding/anonymous", "fail"),
    ("rbac-authenticated-discover-alone", "ClusterRoleBinding/system:discovery", "pass"),
    ("rbac-authenticated-discover-alone", "ClusterRoleBinding/system:basic-user", "pass"),
    ("rbac-authenticated-discover-alone", "ClusterRoleBinding/pods-for-all", "fail"),
    (
        "rbac-accounts-not-bound-together",
        "ClusterRoleBinding/system:service-account-issuer-discovery",
        "pass",
    ),
    ("rbac-accounts-not-bound-together", "ClusterRoleBinding/accounts", "fail"),
    ("rbac-accounts-change-one-namespace", "ClusterRoleBinding/strong", "fail"),
    ("rbac-no-full-rights", "ClusterRoleBinding/system:mine", "fail"),
    ("rbac-no-full-rights", "ClusterRoleBinding/cluster-admin", "fail"),
    ("rbac-built-in-role-kept-up", "ClusterRole/edit", "fail"),
    ("rbac-built-in-role-kept-up", "ClusterRole/view", "pass"),
    ("rbac-built-in-role-kept-up", "ClusterRole/strong", "not_applicable"),
    ("rbac-built-in-binding-kept-up", "ClusterRoleBinding/system:discovery", "fail"),
    ("rbac-built-in-binding-kept-up", "ClusterRoleBinding/system:basic-user", "pass"),
    ("rbac-cluster-binding-has-subjects", "ClusterRoleBinding/system:node", "not_applicable"),
    ("account-token-not-mounted", "ServiceAccount/pairs/quiet", "pass"),
    ("account-token-not-mounted", "ServiceAccount/pairs/strong", "fail"),
    ("account-no-standing-token", "ServiceAccount/pairs/quiet", "pass"),
    ("account-no-standing-token", "ServiceAccount/pairs/standing", "fail"),
    ("account-in-use", "ServiceAccount/pairs/strong", "pass"),
    ("account-in-use", "ServiceAccount/pairs/unused", "fail"),
    ("secret-no-account-token", "Secret/pairs/plain", "pass"),
    ("secret-no-account-token", "Secret/pairs/standing", "fail"),
    ("bootstrap-token-is-recent", "Secret/kube-system/bootstrap-token-abcdef", "fail"),
    ("bootstrap-token-is-recent", "Secret/pairs/plain", "not_applicable"),
    ("workload-has-own-account", "Deployment/pairs/as-strong", "pass"),
    ("workload-has-own-account", "Deployment/pairs/as-default", "fail"),
    ("workload-token-has-a-use", "Deployment/pairs/as-strong", "pass"),
    ("workload-token-has-a-use", "Deployment/pairs/as-quiet", "pass"),
    ("workload-token-has-a-use", "Deployment/pairs/as-quiet-with-token", "fail"),
    ("workload-token-is-harmless", "Deployment/pairs/as-strong", "fail"),
    ("workload-token-is-harmless", "Deployment/pairs/as-strong-without-token", "pass"),
    ("workload-token-is-harmless", "Deployment/pairs/as-quiet-with-token", "pass"),
    ("certificate-request-decided", "CertificateSigningRequest/pending", "fail"),
    ("certificate-request-decided", "CertificateSigningRequest/denied", "pass"),
    ("certificate-not-for-people", "CertificateSigningRequest/denied", "not_applicable"),
    ("certificate-not-for-people", "CertificateSigningRequest/person", "fail"),
    ("certificate-not-for-people", "CertificateSigningRequest/node", "pass"),
    ("certificate-node-asks-for-itself", "CertificateSigningRequest/node", "pass"),
    ("certificate-node-asks-for-itself", "CertificateSigningRequest/join", "pass"),
    ("certificate-node-asks-for-itself", "CertificateSigningRequest/stranger", "fail"),
    ("certificate-node-asks-for-itself", "CertificateSigningRequest/person", "not_applicable"),
]


@pytest.mark.parametrize(
    ("check", "subject", "result"), EXPECTED, ids=[f"{one}-{two}" for one, two, _ in EXPECTED]
)
def test_check_judges_what_is_there(pairs: Any, check: str, subject: str, result: str) -> None:
    assert pairs.of(f"kubernetes-{check}").get(subject) == result


def test_each_check_of_access_is_seen_to_pass_and_to_fail_on_a_real_server(pairs: Any, seeded: Any) -> None:
    lacking = {
        (check, result)
        for check in MINE - OF_PEOPLE  # those see the roster, in a run below
        for result in ("pass", "fail")
        if result not in {*pairs.of(check).values(), *seeded.of(check).values()}
    }
    assert lacking == set()


# What could not be seen.

KINDS = {
    "roles": "kubernetes_role",
    "clusterroles": "kubernetes_cluster_role",
    "rolebindings": "kubernetes_role_binding",
    "clusterrolebindings": "kubernetes_cluster_role_binding",
    "serviceaccounts": "kubernetes_service_account",
    "deployments": "kubernetes_workload",
}
OF_PERMISSIONS = "kubernetes-rbac-no-shells"


def _lacking(cluster: Any, resource: str) -> Path:
    """An account that may list all but one resource."""
    rules = [{"apiGroups": ["*"], "resources": [each], "verbs": ["list"]} for each in ALL if each != resource]
    rules.append({"nonResourceURLs": ["*"], "verbs": ["get"]})
    file: Path = cluster.account(f"without-{resource}", rules)
    return file


ALL = (*KINDS, "secrets", "pods", "daemonsets", "statefulsets", "replicasets", "replicationcontrollers")
ALL += ("jobs", "cronjobs", "certificatesigningrequests", "namespaces")


@pytest.fixture(scope="module")
def before(paired: Any, pairs: Any) -> Results:
    return {key: result for key, result in pairs.findings.items() if mine(key[0])}


@pytest.mark.parametrize("resource", sorted(KINDS))
def test_a_list_that_is_denied_turns_nothing_to_pass_and_nothing_good_to_failure(
    resource: str, paired: Any, before: Results, collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    file = paired.lacking[resource]
    found = collecting(kubeconfig=str(file), contexts=[f"without-{resource}"], secrets="keys", as_of=later)
    torn = judged(found)
    assert "denied" in found.reasons(KINDS[resource])
    after = {key: result for key, result in torn.findings.items() if mine(key[0])}
    changed = {
        (key, before.get(key), result)
        for key, result in after.items()
        if result in ("pass", "fail") and before.get(key) != result
    }
    assert changed == set()
    told = {check for check, subject in after if subject == "" and after[check, subject] == "unknown"}
    gone = {check for check, _ in before} - told
    assert [(check, subject) for check, subject in before.keys() - after.keys() if check in gone] == []
    rights = {key: result for key, result in before.items() if key[0].startswith("kubernetes-rbac-no-")}
    if resource in ("deployments", "serviceaccounts"):
        assert {key: after.get(key) for key in rights} == rights
    elif resource == "roles":  # what was seen is a failure still
        proven = [
            key for key, result in rights.items() if result == "fail" and "/ClusterRole" in f"/{key[1]}"
        ]
        assert len(proven) > 15
        assert {after.get(key) for key in proven} == {"fail"}
    if resource in ("clusterroles", "rolebindings"):
        assert torn.of(OF_PERMISSIONS)[""] == "unknown"
        assert "pass" not in torn.of(OF_PERMISSIONS).values()


def test_secrets_that_are_not_read_leave_their_checks_unknown(
    paired: Any, collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    torn = judged(collecting(kubeconfig=str(paired.kubeconfig)))
    assert [set(torn.of(check).items()) for check in SECRETS] == [{("", "unknown")}] * 2


def test_where_some_namespaces_are_read_nothing_is_said_of_what_lies_in_others(
    paired: Any, before: Results, collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    torn = judged(collecting(kubeconfig=str(paired.kubeconfig), namespaces=["pairs"]))
    after = {key: result for key, result in torn.findings.items() if mine(key[0])}
    assert {key for key, result in after.items() if result == "fail" and before.get(key) != "fail"} == set()
    elsewhere = f"RoleBinding/pairs/bad-{_place('accounts-stay-in-their-namespace')}"  # binds one of another
    assert before["kubernetes-rbac-binding-accounts-exist", elsewhere] == "pass"
    assert after["kubernetes-rbac-binding-accounts-exist", elsewhere] == "unknown"
    assert (
        after[
            "kubernetes-rbac-binding-accounts-exist",
            f"RoleBinding/pairs/bad-{_place('binding-accounts-exist')}",
        ]
        == "fail"
    )
    assert after["kubernetes-rbac-cluster-role-in-use", "ClusterRole/unbound"] == "unknown"


# People: the roster beside the cluster, in a run of the command.

ROSTER = """id,name,mail,role,joined_on,left_on,logins
p1,Eva Berg,eva@example.com,Engineer,2020-01-01,2024-01-31,eva
p2,Tom Reed,tom@example.com,Engineer,2020-01-01,2024-01-31,tom
p3,Kim Lund,kim@example.com,Engineer,2020-01-01,,kim
"""


def test_who_has_left_and_is_still_bound_is_found_by_a_run(paired: Any, tmp_path: Path) -> None:
    paired.admin.create(_bound("people", "pods", {**EVA, "name": "https://issuer.example#kim"}))
    paired.admin.create(_bound("nobody", "pods", {**EVA, "name": "kubernetes-admin"}))
    (tmp_path / "program" / "policies").mkdir(parents=True)
    (tmp_path / "program" / "roster.csv").write_text(ROSTER)
    (tmp_path / "collector.toml").write_text(
        f'[[source]]\nuse = "program"\nfolder = "program"\n'
        f'[[source]]\nuse = "kubernetes"\nkubeconfig = "{paired.kubeconfig}"\n'
    )
    environment = {**os.environ, "COLLECTOR_CONFIG_DIR": str(tmp_path / "config")}
    environment["COLLECTOR_STATE"] = str(tmp_path / "state")
    for command in (["init", "--quiet"], ["run", "--output", "json"]):
        done = subprocess.run(
            [COLLECTOR, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            timeout=300,
            check=False,
        )
    with zipfile.ZipFile(json.loads(done.stdout)["bundle"]) as archive:
        lines = gzip.decompress(archive.read("findings.jsonl.gz")).splitlines()
    found = {(each["check"], each["subject"]): each["result"] for each in map(json.loads, lines)}
    leavers = {key[1]: result for key, result in found.items() if key[0] == "kubernetes-leaver-not-bound"}
    people = {
        key[1]: result for key, result in found.items() if key[0] == "kubernetes-user-belongs-to-a-person"
    }
    assert leavers == {"program/p1/eva": "fail", "program/p2/tom": "pass"}
    assert people["User/https://issuer.example#kim"] == "pass"
    assert people["User/kubernetes-admin"] == "fail"
