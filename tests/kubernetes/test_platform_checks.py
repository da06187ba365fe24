"""Checks of admission, control plane, nodes, tenancy, storage and certificates, on a real server.

What no server at hand shows, newer versions and the flags of a control plane, is served as recorded answers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector_kubernetes.running import Running

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2026, 11, 24, tzinfo=UTC)
WELL = {"pass", "not_applicable"}
FILES = "admission control_plane kubelets cluster tenancy storage certificates".split()
MINE = {
    check["id"]
    for file in FILES
    for check in tomllib.loads((ROOT / f"mappings/checks/kubernetes/{file}.toml").read_text("utf-8"))["check"]
}
SERVER = "Component/kube-apiserver"

# Each failure in the seeds by its subject, and none beside them.
FOUND = {
    "validating-webhook-fails-closed": ["ValidatingWebhookConfiguration/open/open.lab.example"],
    "validating-webhook-answers-soon": ["ValidatingWebhookConfiguration/open/open.lab.example"],
    "validating-webhook-in-cluster": ["ValidatingWebhookConfiguration/open/open.lab.example"],
    "validating-webhook-sees-no-secrets": ["ValidatingWebhookConfiguration/open/open.lab.example"],
    "validating-webhook-holds-no-secret": ["ValidatingWebhookConfiguration/open/open.lab.example"],
    "mutating-webhook-fails-closed": ["MutatingWebhookConfiguration/secrets/secrets.lab.example"],
    "mutating-webhook-has-authority": ["MutatingWebhookConfiguration/secrets/secrets.lab.example"],
    "mutating-webhook-sees-no-secrets": ["MutatingWebhookConfiguration/secrets/secrets.lab.example"],
    "mutating-webhook-service-exists": ["MutatingWebhookConfiguration/secrets/secrets.lab.example"],
    "kyverno-cluster-policy-background": ["ClusterPolicy/watches-only"],
    "kyverno-cluster-policy-ready": ["ClusterPolicy/watches-only"],
    "kyverno-cluster-policy-fails-closed": ["ClusterPolicy/watches-only"],
    "gatekeeper-constraint-refuses": ["K8sRequiredLabels/only-warns"],
    "gatekeeper-constraint-not-broken": ["K8sRequiredLabels/only-warns"],
    "gatekeeper-constraint-exempts-not-all": ["K8sRequiredLabels/only-warns"],
    "gatekeeper-template-usable": ["ConstraintTemplate/k8sbroken"],
    "policy-report-clean": ["PolicyReport/lab/lab"],
    "cluster-policy-report-clean": ["ClusterPolicyReport/cluster"],
    "namespace-enforces-no-privilege": ["Namespace/open"],
    "namespace-enforces-restricted": ["Namespace/open", "Namespace/payments"],
    "namespace-levels-are-known": ["Namespace/open"],
    "namespace-level-is-pinned": ["Namespace/open", "Namespace/payments", "Namespace/platform"],
    "namespace-warns-and-audits": [
        "Namespace/default",
        "Namespace/empty",
        "Namespace/lab",
        "Namespace/limited",
        "Namespace/open",
        "Namespace/payments",
    ],
    "pod-security-policy-no-privileged": ["PodSecurityPolicy/anything"],
    "pod-security-policy-no-host": ["PodSecurityPolicy/anything"],
    "pod-security-policy-no-escalation": ["PodSecurityPolicy/anything"],
    "pod-security-policy-no-root": ["PodSecurityPolicy/anything"],
    "pod-security-policy-drops-capabilities": ["PodSecurityPolicy/anything"],
    "pod-security-policy-no-host-paths": ["PodSecurityPolicy/anything"],
    "api-servers-alike": ["Cluster/admin"],
    "api-anonymous-auth-off": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-no-token-file": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-no-password-file": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-authorization-is-asked": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-authorization-has-node": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-authorization-has-rbac": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-people-sign-in-elsewhere": ["Component/kube-apiserver/kube-apiserver-node-cp"],
    "api-client-authority-set": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-tokens-are-looked-up": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-token-key-set": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-tokens-are-not-extended": [
        "Component/kube-apiserver/kube-apiserver-node-cp",
        "Component/kube-apiserver/kube-apiserver-node-old",
    ],
    "api-admission-node-restriction": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-admission-not-always": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-admission-pod-security": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-admission-event-limit": [
        "Component/kube-apiserver/kube-apiserver-node-cp",
        "Component/kube-apiserver/kube-apiserver-node-old",
    ],
    "api-admission-external-ips": [
        "Component/kube-apiserver/kube-apiserver-node-cp",
        "Component/kube-apiserver/kube-apiserver-node-old",
    ],
    "api-admission-always-pull": [
        "Component/kube-apiserver/kube-apiserver-node-cp",
        "Component/kube-apiserver/kube-apiserver-node-old",
    ],
    "api-audit-log-written": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-audit-policy-set": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-serves-own-certificate": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-ciphers-are-strong": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-no-insecure-port": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-profiling-off": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-requests-end": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-secrets-encrypted": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-etcd-certificate": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-etcd-authority": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-kubelet-certificate": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-kubelet-authority": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "api-kubelet-over-tls": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "controller-profiling-off": ["Component/kube-controller-manager/kube-controller-manager-node-old"],
    "controller-own-accounts": ["Component/kube-controller-manager/kube-controller-manager-node-old"],
    "controller-signs-tokens": ["Component/kube-controller-manager/kube-controller-manager-node-old"],
    "controller-root-authority": ["Component/kube-controller-manager/kube-controller-manager-node-old"],
    "controller-listens-locally": ["Component/kube-controller-manager/kube-controller-manager-node-old"],
    "scheduler-profiling-off": ["Component/kube-scheduler/kube-scheduler-node-old"],
    "scheduler-listens-locally": ["Component/kube-scheduler/kube-scheduler-node-old"],
    "etcd-own-certificate": ["Component/etcd/etcd-node-old"],
    "etcd-asks-clients": ["Component/etcd/etcd-node-old"],
    "etcd-no-auto-tls": ["Component/etcd/etcd-node-old"],
    "etcd-peer-certificate": ["Component/etcd/etcd-node-old"],
    "etcd-asks-peers": ["Component/etcd/etcd-node-old"],
    "etcd-no-peer-auto-tls": ["Component/etcd/etcd-node-old"],
    "etcd-listens-over-tls": ["Component/etcd/etcd-node-old"],
    "component-holds-no-secret": ["Component/kube-apiserver/kube-apiserver-node-old"],
    "kubelet-anonymous-off": ["Kubelet/node-old"],
    "kubelet-webhook-authentication": ["Kubelet/node-old"],
    "kubelet-client-authority": ["Kubelet/node-old"],
    "kubelet-asks-authorizer": ["Kubelet/node-old"],
    "kubelet-no-read-only-port": ["Kubelet/node-old"],
    "kubelet-streams-end": ["Kubelet/node-old"],
    "kubelet-keeps-kernel-defaults": ["Kubelet/node-old"],
    "kubelet-keeps-packet-filters": ["Kubelet/node-old"],
    "kubelet-renews-client-certificate": ["Kubelet/node-old"],
    "kubelet-has-server-certificate": ["Kubelet/node-old"],
    "kubelet-ciphers-are-strong": ["Kubelet/node-old"],
    "kubelet-limits-processes": ["Kubelet/node-old"],
    "kubelet-seccomp-by-default": ["Kubelet/node-old"],
    "cluster-version-is-supported": ["Cluster/admin"],
    "node-version-is-supported": ["Node/node-a", "Node/node-cp", "Node/node-old"],
    "node-runtime-is-supported": ["Node/node-a", "Node/node-cp", "Node/node-old"],
    "node-is-ready": ["Node/node-cp", "Node/node-lost", "Node/node-old", "Node/node-shut"],
    "node-has-no-public-address": ["Node/node-old"],
    "nodes-are-alike": ["Nodes/linux/amd64"],
    "api-service-is-verified": ["APIService/v1.unverified.example.com"],
    "api-service-answers": ["APIService/v1.unverified.example.com"],
    "api-service-has-service": ["APIService/v1.unverified.example.com"],
    "events-without-warnings": ["Namespace/lab"],
    "namespace-has-quota": ["Namespace/lab"],
    "namespace-quota-limits-memory-and-cpu": ["Namespace/lab"],
    "namespace-quota-limits-objects": ["Namespace/lab"],
    "namespace-has-limit-range": ["Namespace/lab"],
    "priority-class-does-not-displace-by-default": ["PriorityClass/lab"],
    "namespace-is-used": [
        "Namespace/empty",
        "Namespace/limited",
        "Namespace/open",
        "Namespace/payments",
        "Namespace/platform",
    ],
    "config-map-cannot-change": [
        "ConfigMap/lab/applied",
        "ConfigMap/lab/big",
        "ConfigMap/lab/binary",
        "ConfigMap/lab/hostile",
        "ConfigMap/lab/plain",
    ],
    "secret-is-no-password": ["Secret/lab/login"],
    "storage-class-keeps-volumes": ["StorageClass/plain"],
    "storage-class-holds-no-secret": ["StorageClass/plain"],
    "storage-class-is-maintained": ["StorageClass/plain"],
    "storage-class-one-default": ["StorageClasses"],
    "volume-holds-no-secret": ["PersistentVolume/released"],
    "volume-is-no-host-path": ["PersistentVolume/host"],
    "volume-is-not-left-over": ["PersistentVolume/released"],
    "claim-has-class": ["PersistentVolumeClaim/lab/unbound"],
    "certificate-is-ready": ["Certificate/lab/expired", "Certificate/lab/never-issued"],
    "certificate-is-in-date": ["Certificate/lab/expired"],
    "certificate-key-is-strong": ["Certificate/lab/expired"],
    "certificate-names-hosts": ["Certificate/lab/never-issued"],
    "certificate-issuer-exists": ["Certificate/lab/expired"],
    "certificate-not-self-signed": ["Certificate/lab/never-issued"],
    "certificate-issuer-is-ready": ["Issuer/lab/vault"],
}
# What the good seeds leave out on purpose or are too old for.
LEFT_OUT = {
    "api-people-sign-in-elsewhere",
    "api-tokens-are-not-extended",
    "api-admission-event-limit",
    "api-admission-external-ips",
    "api-admission-always-pull",
    "api-servers-alike",
    "node-version-is-supported",
    "node-runtime-is-supported",
    "node-is-ready",
    "node-has-room",
    "namespace-pods-are-judged",
    "config-map-cannot-change",
}


@pytest.fixture(scope="module")
def seeded(seeded_cluster: Any, collecting: Callable[..., Any], judged: Callable[..., Any]) -> Any:
    settings = {"kubelet": True, "secrets": "keys", "contexts": ["admin"]}
    return judged(collecting(kubeconfig=str(seeded_cluster.kubeconfig), as_of=AS_OF, **settings))


def failing(told: Any, check: str) -> list[str]:
    return sorted(subject for subject, result in told.of(f"kubernetes-{check}").items() if result == "fail")


@pytest.mark.parametrize("check", sorted(FOUND))
def test_check_finds_what_is_wrong_in_the_seeds_and_nothing_else(seeded: Any, check: str) -> None:
    assert failing(seeded, check) == FOUND[check]


def test_what_is_as_it_should_be_fails_no_check_of_the_platform(seeded: Any) -> None:
    names = ("/shop/", "node-cp", "node-a", "StorageClass/encrypted", "PersistentVolume/web", "/acme")
    good = {
        (check.removeprefix("kubernetes-"), subject): result
        for (check, subject), result in seeded.findings.items()
        if check in MINE and any(name in f"{subject}/" for name in names)
    }
    assert len(good) > 150
    assert {key for key, result in good.items() if result not in WELL and key[0] not in LEFT_OUT} == set()


def test_each_check_of_the_platform_can_be_run(seeded: Any) -> None:
    assert [check for check in seeded.failed if check in MINE] == []


def test_kubelets_that_do_not_answer_are_unknown_and_hide_none_that_do(seeded: Any) -> None:
    for check in (check for check in MINE if check.startswith("kubernetes-kubelet-")):
        results = seeded.of(check)
        assert results["Kubelet/node-lost"] == results["Kubelet/node-shut"] == "unknown"
        assert results["Kubelet/node-a"] == "pass"


def test_labels_that_a_server_is_too_old_for_count_for_nothing(seeded: Any) -> None:
    judged = seeded.of("kubernetes-namespace-pods-are-judged")
    assert judged["Namespace/shop"] == judged["Namespace/lab"] == "unknown"  # its policies are for a reading


def test_kubelets_that_are_not_asked_leave_their_checks_unknown(
    seeded_cluster: Any, collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    told = judged(
        collecting(kubeconfig=str(seeded_cluster.kubeconfig), contexts=["admin"], secrets="keys", as_of=AS_OF)
    )
    found = {key: result for key, result in told.findings.items() if key[0].startswith("kubernetes-kubelet-")}
    assert set(found.values()) == {"unknown"}
    assert len(found) == sum(check.startswith("kubernetes-kubelet-") for check in MINE)


def test_what_an_account_may_not_read_passes_no_check_of_the_platform(
    seeded_cluster: Any, collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    told = judged(collecting(kubeconfig=str(seeded_cluster.account("maps-alone", rules)), as_of=AS_OF))
    seen = {"kubernetes-config-map-cannot-change", "kubernetes-cluster-serves-no-alpha"}
    passed = {check for (check, _), result in told.findings.items() if check in MINE and result == "pass"}
    assert passed <= seen


# A server of 1.34


def static(component: str, *words: str, image: str = "", node: str = "cp") -> Object:
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": "1", "controller": True}
    meta = {"name": f"{component}-{node}", "namespace": "kube-system", "ownerReferences": [owner]}
    container = {"name": component, "image": image or f"registry.k8s.io/{component}:v1.34.1"}
    spec = {"nodeName": node, "hostNetwork": True, "containers": [{**container, "command": list(words)}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def namespace(name: str, level: str = "") -> Object:
    labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


ADMISSION = "admissionregistration.k8s.io/v1"
RULES = {
    "resourceRules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    ]
}


def policy(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"matchConstraints": RULES, "validations": [{"expression": "false"}], **spec},
    }


def binding(name: str, policy_name: str, *actions: str, **spec: Any) -> Object:
    return {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": policy_name, "validationActions": list(actions), **spec},
    }


@pytest.fixture
def newer(
    recorded: Callable[..., Any], collecting: Callable[..., Any], judged: Callable[..., Any]
) -> Callable[..., Any]:
    def judge(*objects: Object, minor: int = 34, as_of: datetime = AS_OF) -> Any:
        server = recorded(minor)
        server.add(*objects)
        return judged(collecting(kubeconfig=str(server.kubeconfig()), as_of=as_of))

    return judge


def test_labels_of_pod_security_count_from_1_23_on(newer: Callable[..., Any]) -> None:
    told = newer(namespace("shop", "restricted"), namespace("lab", "privileged"), namespace("bare"))
    assert told.of("kubernetes-namespace-pods-are-judged") == {
        "Namespace/shop": "pass",
        "Namespace/lab": "fail",
        "Namespace/bare": "fail",
    }


def test_policies_of_the_server_refuse_only_where_they_are_bound_to(newer: Callable[..., Any]) -> None:
    loose = {"paramRef": {"name": "x", "parameterNotFoundAction": "Allow"}}
    told = newer(
        policy("used"),
        policy("unused", failurePolicy="Ignore"),
        binding("refuses", "used", "Deny"),
        binding("warns", "used", "Warn", **loose),
        binding("gone", "missing", "Deny"),
        namespace("bare"),
    )
    kind = "ValidatingAdmissionPolicyBinding"
    assert told.of("kubernetes-admission-policy-is-bound") == {
        "ValidatingAdmissionPolicy/used": "pass",
        "ValidatingAdmissionPolicy/unused": "fail",
    }
    assert told.of("kubernetes-admission-policy-fails-closed")["ValidatingAdmissionPolicy/unused"] == "fail"
    assert failing(told, "admission-binding-refuses") == [f"{kind}/warns"]
    assert failing(told, "admission-binding-has-policy") == [f"{kind}/gone"]
    assert failing(told, "admission-binding-needs-parameters") == [f"{kind}/warns"]
    assert told.of("kubernetes-namespace-pods-are-judged") == {"Namespace/bare": "unknown"}


FLAGS = [
    ("api-anonymous-auth-off", ["--authentication-config=/a.yaml"], "unknown"),
    ("api-authorization-is-asked", ["--authorization-config=/a.yaml"], "unknown"),
    ("api-authorization-is-asked", [], "fail"),
    ("api-authorization-is-asked", ["--authorization-mode", "Node,RBAC"], "pass"),
    ("api-authorization-has-no-file", ["--authorization-mode=Node,ABAC,RBAC"], "fail"),
    ("api-admission-pod-security", ["--disable-admission-plugins=PodSecurity"], "fail"),
    ("api-admission-pod-security", ["--disable_admission_plugins=PodSecurity"], "fail"),
    (
        "api-admission-pod-security",
        ["--disable-admission-plugins", "PodSecurity", "--disable-admission-plugins=ResourceQuota"],
        "fail",
    ),
    ("api-authorization-has-rbac", ["--authorization-mode=RBAC", "--authorization-mode=Node"], "pass"),
    ("api-tls-is-recent", ["--tls_min_version=VersionTLS10"], "fail"),
    ("api-admission-policies", ["--disable-admission-plugins=ValidatingAdmissionPolicy"], "fail"),
    ("api-admission-quota", ["--disable-admission-plugins=A,ResourceQuota"], "fail"),
    ("api-ciphers-are-strong", [], "pass"),
    ("api-ciphers-are-strong", ["--tls-cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA"], "fail"),
    ("api-tls-is-recent", ["--tls-min-version=VersionTLS11"], "fail"),
    ("api-audit-log-age", ["--audit-log-path=/a.log", "--audit-log-maxage=7"], "fail"),
    ("api-audit-log-age", ["--audit-log-path=-", "--audit-log-maxage=7"], "not_applicable"),
    ("api-audit-log-bounded", ["--audit-log-path=/a.log"], "fail"),
    ("api-etcd-over-tls", ["--etcd-servers=https://a:2379,http://b:2379"], "fail"),
    ("api-no-cross-origin", ["--cors-allowed-origins=https://console.example"], "pass"),
    ("api-no-cross-origin", ["--cors-allowed-origins=.*"], "fail"),
    ("api-no-all-alpha", ["--runtime-config=api/all=true"], "fail"),
    ("api-requests-end", ["--request-timeout=2m"], "pass"),
    ("api-people-sign-in-elsewhere", ["--oidc-issuer-url=https://id.example"], "pass"),
]


@pytest.mark.parametrize("check, flags, result", FLAGS)
def test_flag_of_a_server_of_1_34_counts_as_it_works(
    newer: Callable[..., Any], check: str, flags: list[str], result: str
) -> None:
    told = newer(static("kube-apiserver", "kube-apiserver", *flags))
    assert told.of(f"kubernetes-{check}")[f"{SERVER}/kube-apiserver-cp"] == result


def test_servers_that_differ_are_told_and_those_that_nobody_sees_are_unknown(
    newer: Callable[..., Any],
) -> None:
    def servers(*flags: str) -> list[Object]:
        return [
            static("kube-apiserver", "kube-apiserver", f"--advertise-address=10.0.0.{n}", flag, node=f"cp{n}")
            for n, flag in enumerate(flags)
        ]

    alike, differ, unseen = (
        set(newer(*told).of("kubernetes-api-servers-alike").values())
        for told in (servers("--v=1", "--v=1"), servers("--profiling=true", "--profiling=false"), [])
    )
    assert (alike, differ, unseen) == ({"pass"}, {"fail"}, {"unknown"})


def test_etcd_that_takes_settings_from_elsewhere_is_unknown(newer: Callable[..., Any]) -> None:
    pod = static("etcd", "etcd", image="registry.k8s.io/etcd:3.5.15-0")
    pod["spec"]["containers"][0]["env"] = [{"name": "ETCD_CLIENT_CERT_AUTH", "value": "true"}]
    told = newer(pod, static("etcd", "etcd", "--config-file=/etc/etcd.yaml", node="cp2"))
    asks, peers = (told.of(f"kubernetes-etcd-asks-{whom}") for whom in ("clients", "peers"))
    assert asks == {"Component/etcd/etcd-cp": "unknown", "Component/etcd/etcd-cp2": "unknown"}
    assert peers == {"Component/etcd/etcd-cp": "fail", "Component/etcd/etcd-cp2": "unknown"}


@pytest.mark.parametrize(
    "minor, as_of, result",
    [
        (34, datetime(2026, 10, 27, tzinfo=UTC), "pass"),
        (34, datetime(2026, 10, 28, tzinfo=UTC), "fail"),
        (20, AS_OF, "fail"),
    ],
)
def test_a_version_is_supported_until_its_last_day(
    newer: Callable[..., Any], minor: int, as_of: datetime, result: str
) -> None:
    told = newer(minor=minor, as_of=as_of)
    assert set(told.of("kubernetes-cluster-version-is-supported").values()) == {result}


# What a shell starts


@pytest.mark.parametrize(
    "words, flags",
    [
        (["/bin/sh", "-c", "exec /usr/bin/kube-scheduler --a=1 --b 2 1>>/log 2>&1"], {"a": "1", "b": "2"}),
        (["sh", "-c", "kube-scheduler --a='x y' && echo --c=1"], {"a": "x y"}),
        (["/go-runner", "--log-file=/l", "--", "/bin/kube-scheduler", "--a"], {"log-file": "/l", "a": True}),
        (["sh", "-c", "kube-scheduler --a=$A"], None),
        (["sh", "-c", "kube-scheduler 'unclosed"], None),
        (["sh", "/start.sh"], None),
    ],
)
def test_flags_of_a_component_that_a_shell_starts_are_read_or_a_gap(
    words: list[str], flags: Object | None
) -> None:
    pod = static("kube-scheduler", *words)
    (record,) = Running().records(pod, {"cluster": "a"}, "call")
    assert record.data.get("flags") == flags  # type: ignore[union-attr]
    assert [gap.column for gap in record.gaps] == ([] if flags is not None else ["flags", "urls"])  # type: ignore[union-attr]


def test_a_password_in_an_address_hides_no_other_flag() -> None:
    pod = static("kube-apiserver", "kube-apiserver", "--etcd-servers=http://root:pw@a:2379", "--profiling")
    (record,) = Running().records(pod, {"cluster": "a"}, "call")
    assert record.data["flags"] == {"profiling": True}  # type: ignore[union-attr]
    assert set(record.data["urls"]) == {"etcd-servers"}  # type: ignore[union-attr]


REFERRED = {"name": "MODE", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
HOLDS = "--authorization-mode=$(MODE)"


@pytest.mark.parametrize(
    ("env", "words", "told"),
    [
        ([{"name": "MODE", "value": "RBAC"}], [HOLDS], {"authorization-mode": "RBAC"}),
        ([{"name": "A", "value": "RBAC"}, {"name": "MODE", "value": "Node,$(A)"}], [HOLDS], "Node,RBAC"),
        ([{"name": "MODE", "value": "$(A)"}, {"name": "A", "value": "RBAC"}], [HOLDS], None),
        ([{"name": "MODE", "value": "RBAC"}, REFERRED], [HOLDS], None),
        ([REFERRED, {"name": "MODE", "value": "RBAC"}], [HOLDS], "RBAC"),
        ([], [HOLDS], None),
        ([], ["--authorization-mode=$$(MODE)"], "$(MODE)"),
        ([{"name": "MODE_PASSWORD", "value": "RBAC"}], ["--authorization-mode=$(MODE_PASSWORD)"], None),
        ([{"name": "FLAG", "value": "--authorization-mode=RBAC"}], ["$(FLAG)"], "RBAC"),
    ],
)
def test_variables_in_flags_are_what_the_container_sets_them_to_or_a_gap(
    env: list[Object], words: list[str], told: Object | str | None
) -> None:
    pod = static("kube-apiserver", "kube-apiserver", *words)
    pod["spec"]["containers"][0]["env"] = env
    (record,) = Running().records(pod, {"cluster": "a"}, "call")
    expected = {"authorization-mode": told} if isinstance(told, str) else told
    assert record.data.get("flags") == expected  # type: ignore[union-attr]
    assert [gap.column for gap in record.gaps] == ([] if told else ["flags", "urls"])  # type: ignore[union-attr]


@pytest.mark.parametrize(("value", "result"), [("AlwaysAllow", "fail"), (None, "unknown")])
def test_a_flag_that_a_variable_sets_is_judged_by_its_value(
    newer: Callable[..., Any], value: str | None, result: str
) -> None:
    pod = static("kube-apiserver", "kube-apiserver", HOLDS, "--token-auth-file=/a.csv")
    pod["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": value}] if value else [REFERRED]
    told = newer(pod)
    assert set(told.of("kubernetes-api-authorization-is-asked").values()) == {result}
