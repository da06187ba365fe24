"""What exists is what a server says of all its versions: read once, at one of them, or absent and said so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from collector_kubernetes.catalogue import catalogue

Collecting = Callable[..., Any]

OBJECT = {"metadata": {"name": "one", "namespace": "default"}}
NEW = {
    20: {
        "kubernetes_cron_job": "batch/v1beta1",
        "kubernetes_pod_disruption_budget": "policy/v1beta1",
        "kubernetes_pod_security_policy": "policy/v1beta1",
        "kubernetes_horizontal_pod_autoscaler": "autoscaling/v1",
        "kubernetes_validating_admission_policy": "",
    },
    25: {
        "kubernetes_cron_job": "batch/v1",
        "kubernetes_pod_disruption_budget": "policy/v1",
        "kubernetes_pod_security_policy": "",
        "kubernetes_horizontal_pod_autoscaler": "autoscaling/v2",
        "kubernetes_validating_admission_policy": "",
    },
    34: {
        "kubernetes_cron_job": "batch/v1",
        "kubernetes_pod_disruption_budget": "policy/v1",
        "kubernetes_pod_security_policy": "",
        "kubernetes_validating_admission_policy": "admissionregistration.k8s.io/v1",
        "kubernetes_validating_admission_policy_binding": "admissionregistration.k8s.io/v1",
    },
}


@pytest.fixture(scope="module")
def real(seeded_cluster: Any, collecting: Collecting) -> Any:
    return collecting(kubeconfig=str(seeded_cluster.kubeconfig))


def test_a_kind_of_an_older_version_than_the_preferred_one_is_read(seeded_cluster: Any, real: Any) -> None:
    groups = {group["name"]: group for group in seeded_cluster.admin.get("/apis")["groups"]}
    assert groups["batch"]["preferredVersion"]["groupVersion"] == "batch/v1"
    assert {record["data"]["api_version"] for record in real.records["kubernetes_cron_job"]} == {
        "batch/v1beta1"
    }


@pytest.mark.parametrize(
    ("kind", "op", "path"),
    [
        (
            "kubernetes_ingress",
            "kubernetes:ingresses.networking.k8s.io",
            "/apis/extensions/v1beta1/ingresses",
        ),
        ("kubernetes_event", "kubernetes:events.events.k8s.io", "/api/v1/events"),
    ],
)
def test_what_two_groups_serve_counts_once(
    kind: str, op: str, path: str, seeded_cluster: Any, real: Any
) -> None:
    items = seeded_cluster.admin.items(path)
    twins = {item["metadata"]["uid"] for item in items if item.get("type") != "Normal"}  # of events, warnings
    assert twins
    uids = Counter(record["data"]["uid"] for record in real.records[kind])
    assert set(uids) == twins
    assert set(uids.values()) == {1}
    assert [call.page for call in real.asked(op)] == [1]


def test_what_is_not_served_is_absent_and_is_no_empty_list(real: Any) -> None:
    absent = real.absent()
    assert absent["kubernetes_cilium_network_policy"] == "not served: cilium.io/v2"
    assert "kubernetes_validating_admission_policy" in absent
    planned = {kind for each in real.plan.tasks for kind in each.task.kinds}
    assert planned.isdisjoint(absent)
    assert not absent.keys() & {gap["kind"] for gap in real.gaps}
    assert planned | absent.keys() >= catalogue().keys()


def test_checks_of_what_is_not_served_are_not_applicable(real: Any, judged: Callable[..., Any]) -> None:
    results = judged(real)
    assert results.failed == {}
    lone = {line["check"] for line in results.lines if line["result"] != "not_applicable"}
    from_absent = [
        line
        for line in results.lines
        if line["result"] == "not_applicable" and line["subject"] == "" and line["check"] not in lone
    ]
    assert all("not served" in str(line) or "exist" in str(line) for line in from_absent)


@pytest.mark.parametrize("minor", sorted(NEW))
def test_clusters_from_then_to_today_are_read_at_what_they_serve(
    minor: int, recorded: Callable[..., Any], collecting: Collecting
) -> None:
    server = recorded(minor)
    wanted = NEW[minor]
    for kind, version in wanted.items():
        if version:
            server.add({"apiVersion": version, "kind": catalogue()[kind].object_kind, **OBJECT})
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert found.complete
    read = {
        kind: found.records[kind][0]["data"]["api_version"] for kind, version in wanted.items() if version
    }
    assert read == {kind: version for kind, version in wanted.items() if version}
    assert found.absent().keys() >= {kind for kind, version in wanted.items() if not version}
    (cluster,) = found.records["kubernetes_cluster"]
    assert (cluster["data"]["major"], cluster["data"]["minor"]) == (1, minor)
    assert {gap["reason"] for gap in found.gaps} == {"off"}


@pytest.mark.parametrize(
    ("told", "numbers"),
    [
        ({"major": "1", "minor": "27+", "gitVersion": "v1.27.16-eks-a18cd3a"}, (1, 27)),
        ({"major": "1", "minor": "30", "gitVersion": "v1.30.4+k3s1"}, (1, 30)),
        ({"major": "", "minor": "", "gitVersion": "v1.31.0-gke.1"}, (None, None)),
        ({"gitVersion": "v0"}, (None, None)),
        ({"major": "1" * 40, "minor": "9x", "gitVersion": "v9"}, (None, None)),
    ],
    ids=["eks", "k3s", "empty", "bare", "odd"],
)
def test_versions_that_vendors_spell_their_own_way_are_read(
    told: dict[str, str], numbers: tuple[Any, Any], recorded: Callable[..., Any], collecting: Collecting
) -> None:
    server = recorded(34)
    server.version = told
    found = collecting(kubeconfig=str(server.kubeconfig()))
    (cluster,) = found.records["kubernetes_cluster"]
    assert (cluster["data"].get("major"), cluster["data"].get("minor")) == numbers
    assert cluster["data"]["gitVersion"] == told["gitVersion"]


def test_extensions_are_read_at_the_first_version_that_is_served(
    recorded: Callable[..., Any], collecting: Collecting
) -> None:
    server = recorded(34)
    server.serve("gateway.networking.k8s.io/v1beta1", "gateways", "Gateway")
    server.add({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "Gateway", **OBJECT})
    found = collecting(kubeconfig=str(server.kubeconfig()))
    (gateway,) = found.records["kubernetes_gateway"]
    assert gateway["data"]["api_version"] == "gateway.networking.k8s.io/v1beta1"
    assert "kubernetes_http_route" in found.absent()
    server.serve("gateway.networking.k8s.io/v1", "gateways", "Gateway")
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert [each["data"]["api_version"] for each in found.records["kubernetes_gateway"]] == [
        "gateway.networking.k8s.io/v1"
    ]


@pytest.fixture
def dead_extension(cluster: Any) -> Iterator[str]:
    """A version of the API whose own server is away, as extensions' servers are at times."""
    name = "v3.projectcalico.org"
    spec = {"group": "projectcalico.org", "version": "v3", "groupPriorityMinimum": 100, "versionPriority": 10}
    spec |= {"service": {"name": "away", "namespace": "default"}, "insecureSkipTLSVerify": True}
    told = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
    cluster.admin.create({**told, "spec": spec})
    until = time.monotonic() + 20
    while "projectcalico.org" not in str(cluster.admin.get("/apis")):
        assert time.monotonic() < until
        time.sleep(0.1)
    yield "projectcalico.org/v3"
    cluster.admin.delete(f"/apis/apiregistration.k8s.io/v1/apiservices/{name}")


def test_a_version_whose_server_is_away_is_not_absent(
    dead_extension: str, cluster: Any, collecting: Collecting
) -> None:
    found = collecting(kubeconfig=str(cluster.kubeconfig))
    lost = [call for call in found.calls if call.params.get("version") == dead_extension]
    assert [call.outcome for call in lost] == ["failed"]
    assert not found.complete
    assert found.absent() == {}
    assert found.ids("kubernetes_namespace")  # and all else is read


def test_a_kind_that_can_only_be_got_and_not_listed_is_absent(
    recorded: Callable[..., Any], collecting: Collecting
) -> None:
    server = recorded(34)
    server.withdraw("v1", "limitranges")
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert found.absent()["kubernetes_limit_range"] == "not served: v1"
    assert found.complete
