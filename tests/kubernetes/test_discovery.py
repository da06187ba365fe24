"""What exists is what a server says of all its versions: read once, at one of them, or absent and said so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Absent, Task
from collector_kubernetes.catalogue import EVERY, catalogue
from collector_kubernetes.source import Kubernetes

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
        "kubernetes_mutating_admission_policy": "",
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
    until = time.monotonic() + 60
    while "projectcalico.org" not in str(cluster.admin.get("/apis")):
        assert time.monotonic() < until
        time.sleep(0.1)
    yield "projectcalico.org/v3"
    cluster.admin.delete(f"/apis/apiregistration.k8s.io/v1/apiservices/{name}")


def test_a_version_whose_server_is_away_is_a_gap_of_its_kinds_and_of_no_other(
    dead_extension: str, cluster: Any, collecting: Collecting
) -> None:
    found = collecting(kubeconfig=str(cluster.kubeconfig))
    calls = [call for call in found.calls if call.params.get("version") == dead_extension]
    assert {call.outcome for call in calls} == {"failed"}
    lost = {name for name, node in catalogue().items() if dead_extension in node.served}
    assert {gap["kind"] for gap in found.gaps if gap["reason"] != "off"} == lost
    assert lost
    assert lost.isdisjoint(found.absent())
    assert "kubernetes_cilium_network_policy" in found.absent()
    assert found.complete
    assert found.ids("kubernetes_namespace")


# What is certain of a kind does not hang on what is said of others.


@given(st.sampled_from(sorted(catalogue())), st.data())
def test_a_kind_is_absent_only_where_every_version_that_could_have_it_says_that_it_has_not(
    name: str, data: st.DataObject
) -> None:
    node = catalogue()[name]
    every = node.resource == EVERY
    told = {"silent": None, "has": ["one" if every else node.resource], "lacks": [] if every else ["others"]}
    states = {version: data.draw(st.sampled_from(("away", *told))) for version in node.served}
    served: dict[str, Any] = {version: None for each in catalogue().values() for version in each.served}
    served = {version: None for version in served if version not in states}
    served |= {version: told[state] for version, state in states.items() if state != "away"}
    source = Kubernetes({"secrets": "keys", "kubelet": True})
    items = source.plan([{"cluster": "a", "principal": "", "reached": True, "served": served}])
    absent = [item.why for item in items if isinstance(item, Absent) and item.kind == name]
    tasks = [item for item in items if isinstance(item, Task) and name in item.kinds]
    asked = [version for version, state in states.items() if state in ("silent", "has")][:1]
    if not asked:
        assert (absent, tasks) == ([f"not served: {', '.join(node.served)}"], [])
        return
    assert (absent, len(tasks)) == ([], 1)
    if every and states[asked[0]] == "silent":
        asked = []  # whatever it is called, no list can be named; none due is never complete
    assert [due.params["version"] for due in tasks[0].due if due.kind == name] == asked


@pytest.fixture
def away(faults: Any) -> Callable[..., Callable[[Any], Any]]:
    """What lies below these paths does not answer, as where a group's own server is away."""

    def below(*roots: str) -> Callable[[Any], Any]:
        return lambda asked: faults.broken(503) if f"{asked.path}/".startswith(roots) else None

    return below


CONSTRAINTS = "constraints.gatekeeper.sh/v1beta1"
RULE = {"apiVersion": CONSTRAINTS, "kind": "K8sRequiredLabels", "metadata": {"name": "owner"}}


def test_where_names_of_resources_are_not_told_their_kind_is_a_gap(
    recorded: Callable[..., Any], faults: Any, collecting: Collecting, judged: Callable[..., Any]
) -> None:
    server = recorded(34)
    server.serve(CONSTRAINTS, "k8srequiredlabels", "K8sRequiredLabels", namespaced=False)
    server.add(RULE)
    kind, check = "kubernetes_gatekeeper_constraint", "kubernetes-gatekeeper-constraint-refuses"
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert found.ids(kind) == {"K8sRequiredLabels/owner"}
    server.faults[f"/apis/{CONSTRAINTS}"] = faults.broken(503)
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert (found.records.get(kind), found.reasons(kind)) == (None, {"failed"})
    assert found.absent().keys() >= {"kubernetes_gatekeeper_template", "kubernetes_pod_security_policy"}
    assert kind not in found.absent()
    assert judged(found).of(check) == {"": "unknown"}


def test_of_what_two_groups_serve_the_one_that_tells_more_counts_and_the_other_is_no_stand_in(
    recorded: Callable[..., Any], away: Any, collecting: Collecting
) -> None:
    server = recorded(20)
    server.add({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", **OBJECT})
    server.add({"apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Warning", **OBJECT})
    server.fault = away("/apis/networking.k8s.io/v1/", "/api/")
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert (found.ids("kubernetes_ingress"), found.reasons("kubernetes_ingress")) == (set(), {"failed"})
    assert found.ids("kubernetes_event") == {"Event/default/one"}
    assert found.reasons("kubernetes_event") == set()
    server.withdraw("networking.k8s.io/v1")
    server.withdraw("networking.k8s.io/v1beta1")
    server.fault = away("/apis/extensions/v1beta1/")
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert (found.ids("kubernetes_ingress"), found.reasons("kubernetes_ingress")) == (set(), {"failed"})
    assert {"kubernetes_ingress_class", "kubernetes_network_policy"} <= found.absent().keys()


def test_without_the_list_of_groups_each_version_is_asked_by_name_and_what_does_not_answer_is_unknown(
    recorded: Callable[..., Any], faults: Any, collecting: Collecting
) -> None:
    server = recorded(34)
    server.add({"apiVersion": "apps/v1", "kind": "Deployment", **OBJECT})
    before = collecting(kubeconfig=str(server.kubeconfig()))
    server.faults["/apis"] = faults.broken()
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert found.ids("kubernetes_deployment") == {"Deployment/default/one"}
    assert found.absent() == {}
    lost = {gap["kind"] for gap in found.gaps if gap["reason"] != "off"}
    assert lost == before.absent().keys()
    (cluster,) = found.records["kubernetes_cluster"]
    assert [gap["column"] for gap in cluster["gaps"]] == ["groups"]


def test_a_kind_that_can_only_be_got_and_not_listed_is_absent(
    recorded: Callable[..., Any], collecting: Collecting
) -> None:
    server = recorded(34)
    server.withdraw("v1", "limitranges")
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert found.absent()["kubernetes_limit_range"] == "not served: v1"
    assert found.complete


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1", "v1"])
def test_policies_that_alter_changes_are_read_in_each_version_that_there_was(
    recorded: Callable[..., Any], collecting: Collecting, version: str
) -> None:
    server, api = recorded(34), f"admissionregistration.k8s.io/{version}"
    server.serve(api, "mutatingadmissionpolicies", "MutatingAdmissionPolicy", namespaced=False)
    server.serve(api, "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", namespaced=False)
    spec = {
        "failurePolicy": "Ignore",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
        "reinvocationPolicy": "Never",
    }
    meta = {"name": "adds"}
    server.add({"apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": meta, "spec": spec})
    bound = {"policyName": "adds", "paramRef": {"name": "x", "parameterNotFoundAction": "Allow"}}
    server.add({"apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": meta, "spec": bound})
    told = collecting(kubeconfig=str(server.kubeconfig()))
    read = told.data("kubernetes_mutating_admission_policy", "MutatingAdmissionPolicy/adds")
    assert {name: read[name] for name in spec} == spec
    assert read["api_version"] == api
    read = told.data("kubernetes_mutating_admission_policy_binding", "MutatingAdmissionPolicyBinding/adds")
    assert {name: read[name] for name in bound} == bound
    assert not told.reasons("kubernetes_mutating_admission_policy")
