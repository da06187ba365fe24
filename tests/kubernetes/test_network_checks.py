"""Checks of what reaches pods: good and bad objects of a real server, and what could not be seen."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
AS_OF = datetime(2026, 11, 24, tzinfo=UTC)
WELL = {"pass", "not_applicable"}
MINE = {
    check["id"]
    for check in tomllib.loads((ROOT / "mappings/checks/kubernetes/network.toml").read_text("utf-8"))["check"]
}

# Each failure in the seeds by its subject, and none beside them.
FOUND = {
    "namespace-ingress-closed": ["Namespace/lab"],
    "namespace-egress-closed": ["Namespace/lab"],
    "network-policy-ingress-not-open": ["NetworkPolicy/lab/allow-all"],
    "network-policy-ingress-no-wide-block": ["NetworkPolicy/open/world"],
    "network-policy-egress-not-open": ["NetworkPolicy/lab/allow-all"],
    "network-policy-selects-something": ["NetworkPolicy/open/world"],
    "service-load-balancer-limited": ["Service/lab/web"],
    "service-load-balancer-no-administration": ["Service/lab/web"],
    "service-no-node-port": ["Service/lab/node", "Service/lab/web", "Service/shop/inner"],
    "service-no-external-ips": ["Service/lab/outside"],
    "service-external-name-not-inside": ["Service/lab/elsewhere"],
    "service-has-selector": ["Service/lab/no-selector"],
    "service-selects-something": ["Service/platform/images", "Service/platform/sidecar"],
    "ingress-has-tls": ["Ingress/lab/default-only", "Ingress/lab/half", "Ingress/lab/web"],
    "ingress-names-certificate": ["Ingress/lab/half"],
    "ingress-names-hosts": ["Ingress/lab/web"],
    "ingress-no-default-backend": ["Ingress/lab/default-only"],
    "ingress-no-snippets": ["Ingress/lab/web"],
    "ingress-class-exists": ["Ingress/lab/default-only", "Ingress/lab/half", "Ingress/lab/web"],
    "ingress-backends-exist": ["Ingress/lab/half"],
    "gateway-has-tls": ["Gateway/lab/open"],
    "gateway-routes-are-limited": ["Gateway/lab/open"],
    "gateway-names-hosts": ["Gateway/lab/open"],
    "gateway-class-exists": ["Gateway/lab/open"],
    "http-route-names-hosts": ["HTTPRoute/lab/open"],
    "http-route-holds-no-secret": ["HTTPRoute/lab/open"],
    "ingress-holds-no-secret": ["Ingress/lab/web"],
}


@pytest.fixture(scope="module")
def seeded(seeded_cluster: Any, collecting: Callable[..., Any], judged: Callable[..., Any]) -> Any:
    return judged(collecting(kubeconfig=str(seeded_cluster.kubeconfig), contexts=["admin"], as_of=AS_OF))


def failing(told: Any, check: str) -> list[str]:
    return sorted(subject for subject, result in told.of(f"kubernetes-{check}").items() if result == "fail")


@pytest.mark.parametrize("check", sorted(FOUND))
def test_check_finds_what_is_open_in_the_seeds_and_nothing_else(seeded: Any, check: str) -> None:
    assert failing(seeded, check) == FOUND[check]


def test_what_is_closed_as_it_should_be_fails_no_check_of_networks(seeded: Any) -> None:
    good = {
        key: result
        for key, result in seeded.findings.items()
        if key[0] in MINE and ("/shop/" in key[1] or key[1].endswith("/shop"))
    }
    assert len(good) > 40
    balanced = ("kubernetes-service-no-node-port", "Service/shop/inner")  # 1.20 opens them for every balancer
    assert {key for key, result in good.items() if result not in WELL} == {balanced}


def test_each_check_of_networks_can_be_run(seeded: Any) -> None:
    assert [check for check in seeded.failed if check in MINE] == []


def made(kind: str, name: str, version: str = "v1", **more: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "net"}, **more}


def policy(name: str, **spec: Any) -> Object:
    return made("NetworkPolicy", name, "networking.k8s.io/v1", spec={"podSelector": {}, **spec})


def ingress(name: str, namespace: str = "net", **annotations: str) -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec = {"rules": [{"host": f"{name}.example", "http": {"paths": [path]}}]}
    meta = {"name": name, "namespace": namespace, "annotations": annotations}
    return {**made("Ingress", name, "networking.k8s.io/v1", spec=spec), "metadata": meta}


def block(cidr: str, *but: str) -> Object:
    return {"ipBlock": {"cidr": cidr, **({"except": list(but)} if but else {})}}


ANY_ADDRESS = {"nginx.ingress.kubernetes.io/ssl-redirect": "false"}
OWN = [
    policy("port", ingress=[{"ports": [{"port": 80}]}]),
    policy("spaces", ingress=[{"from": [{"namespaceSelector": {}}]}]),
    policy("named", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]}]),
    policy("out", policyTypes=["Egress"], egress=[{"to": [block("0.0.0.0/0")]}]),
    policy("guarded", policyTypes=["Egress"], egress=[{"to": [block("0.0.0.0/0", "169.254.0.0/16")]}]),
    policy("half", ingress=[{"from": [block("128.0.0.0/1")]}]),
    policy("six", ingress=[{"from": [block("::/0")]}]),
    made(
        "Service", "cache", spec={"type": "LoadBalancer", "ports": [{"port": 6379}], "selector": {"a": "b"}}
    ),
    made(
        "Service",
        "cross",
        spec={"type": "ExternalName", "externalName": "api.payments.svc.cluster.local"},
    ),
    made("Service", "far", spec={"type": "ExternalName", "externalName": "db.example.com"}),
    ingress("plain", **ANY_ADDRESS),
    ingress("shared"),
    ingress("shared", "net-too"),
]
OWN_FOUND = {
    ("network-policy-ingress-names-sources", "NetworkPolicy/net/port"): "fail",
    ("network-policy-ingress-not-open", "NetworkPolicy/net/port"): "pass",
    ("network-policy-ingress-names-namespaces", "NetworkPolicy/net/spaces"): "fail",
    ("network-policy-ingress-names-namespaces", "NetworkPolicy/net/named"): "pass",
    ("network-policy-egress-no-metadata", "NetworkPolicy/net/out"): "fail",
    ("network-policy-egress-no-metadata", "NetworkPolicy/net/guarded"): "pass",
    ("network-policy-ingress-no-wide-block", "NetworkPolicy/net/half"): "fail",
    ("network-policy-ingress-no-wide-block", "NetworkPolicy/net/six"): "fail",
    ("service-load-balancer-no-administration", "Service/net/cache"): "fail",
    ("service-external-name-not-inside", "Service/net/cross"): "fail",
    ("service-external-name-not-inside", "Service/net/far"): "pass",
    ("ingress-redirects-to-tls", "Ingress/net/plain"): "fail",
    ("ingress-redirects-to-tls", "Ingress/net/shared"): "pass",
    ("ingress-host-has-one-owner", "Ingress/net/plain"): "pass",
    ("ingress-host-has-one-owner", "Ingress/net/shared"): "fail",
    ("ingress-host-has-one-owner", "Ingress/net-too/shared"): "fail",
}


@pytest.fixture(scope="module")
def own(cluster: Any, collecting: Callable[..., Any], judged: Callable[..., Any]) -> Any:
    for name in ("net", "net-too"):
        cluster.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for each in OWN:
        cluster.admin.apply(each)
    return judged(collecting(kubeconfig=str(cluster.kubeconfig), contexts=["admin"], as_of=AS_OF))


@pytest.mark.parametrize("check, subject", sorted(OWN_FOUND))
def test_check_judges_what_a_server_made_of_it(own: Any, check: str, subject: str) -> None:
    assert own.findings[f"kubernetes-{check}", subject] == OWN_FOUND[check, subject]


def test_policies_that_may_not_be_read_close_no_namespace_and_open_none(
    seeded_cluster: Any, seeded: Any, collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    lists = ["pods", "namespaces", "services", "deployments", "daemonsets", "statefulsets", "replicasets"]
    rules = [{"apiGroups": ["", "apps"], "resources": lists, "verbs": ["list"]}]
    told = judged(collecting(kubeconfig=str(seeded_cluster.account("no-policies", rules)), as_of=AS_OF))
    for check in ("namespace-ingress-closed", "namespace-egress-closed"):
        results = told.of(f"kubernetes-{check}")
        assert set(results.values()) == {"unknown"}
        assert "" in results
        assert "Namespace/lab" in results
    assert failing(told, "service-no-node-port") == failing(seeded, "service-no-node-port")


def workload(namespace: str) -> Object:
    spec = {"containers": [{"name": "main", "image": "app:1"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": namespace},
        "spec": spec,
    }


def test_policies_of_another_make_leave_their_namespaces_to_a_reading(
    recorded: Callable[..., Any], collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    server = recorded(34)
    server.serve("cilium.io/v2", "ciliumnetworkpolicies", "CiliumNetworkPolicy")
    server.add(workload("ours"), workload("theirs"))
    server.add(
        {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "closed", "namespace": "ours"},
            "spec": {"endpointSelector": {}, "ingress": [{}]},
        }
    )
    told = judged(collecting(kubeconfig=str(server.kubeconfig())))
    assert told.of("kubernetes-namespace-ingress-closed") == {
        "Namespace/ours": "unknown",
        "Namespace/theirs": "fail",
    }


def test_policies_of_another_make_that_may_not_be_read_leave_every_namespace_unknown(
    recorded: Callable[..., Any], collecting: Callable[..., Any], judged: Callable[..., Any], faults: Any
) -> None:
    server = recorded(34)
    server.serve("cilium.io/v2", "ciliumnetworkpolicies", "CiliumNetworkPolicy")
    server.add(workload("ours"))
    server.faults["/apis/cilium.io/v2/ciliumnetworkpolicies"] = faults.denied()
    told = judged(collecting(kubeconfig=str(server.kubeconfig())))
    assert told.of("kubernetes-namespace-ingress-closed") == {"": "unknown", "Namespace/ours": "unknown"}
