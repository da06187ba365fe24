"""What is legal and odd: nulls for lists, one name everywhere, texts that mean something elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from collector.testing import check_run
from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.source import Kubernetes

Collecting = Callable[..., Any]

RBAC = "rbac.authorization.k8s.io/v1"
HOSTILE = (
    "'; DROP TABLE kubernetes_pod; -- \u202e\u0000<script>${jndi:ldap://x}</script>{{7*7}}\n\t\"\\ %s %n 漢"
)


@pytest.fixture
def server(recorded: Callable[..., Any]) -> Any:
    return recorded(34)


@pytest.fixture
def collected(server: Any, collecting: Collecting) -> Callable[..., Any]:
    def collect(**more: Any) -> Any:
        found = collecting(kubeconfig=str(server.kubeconfig()), **more)
        assert found.complete
        assert found.failures == []
        return found

    return collect


def add(server: Any, version: str, kind: str, name: str = "odd", **more: Any) -> None:
    server.add(
        {"apiVersion": version, "kind": kind, "metadata": {"name": name, **more.pop("meta", {})}, **more}
    )


def test_bindings_without_subjects_and_roles_without_rules_are_records(
    server: Any, collected: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "odd"}
    lists: list[dict[str, Any]] = [{}, {"subjects": None}, {"subjects": []}]
    for number, subjects in enumerate(lists):
        add(server, RBAC, "ClusterRoleBinding", f"odd-{number}", roleRef=reference, **subjects)
        add(server, RBAC, "RoleBinding", f"odd-{number}", roleRef=reference, **subjects)
    aggregated = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    lists = [{}, {"rules": None}, {"rules": []}]
    for number, rules in enumerate(lists):
        add(server, RBAC, "ClusterRole", f"odd-{number}", aggregationRule=aggregated, **rules)
        add(server, RBAC, "Role", f"odd-{number}", **rules)
    found = collected()
    for kind in ("cluster_role_binding", "role_binding", "cluster_role", "role"):
        assert len(found.ids(f"kubernetes_{kind}")) == 3
        assert found.reasons(f"kubernetes_{kind}") == set()
    assert not [record for records in found.records.values() for record in records if record["gaps"]]
    assert judged(found).failed == {}


def test_aggregated_roles_without_rules_of_a_real_server_are_records(
    cluster: Any, collecting: Collecting
) -> None:
    told = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": "aggregated-odd"}}
    selectors = {"clusterRoleSelectors": [{"matchLabels": {"nobody": "has-this"}}]}
    cluster.admin.create({**told, "rules": None, "aggregationRule": selectors})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "aggregated-odd"}
    binding = {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": "nobody-odd"}}
    cluster.admin.create({**binding, "roleRef": reference, "subjects": None})
    found = collecting(kubeconfig=str(cluster.kubeconfig))
    assert "rules" not in found.data("kubernetes_cluster_role", "ClusterRole/aggregated-odd")
    assert "subjects" not in found.data("kubernetes_cluster_role_binding", "ClusterRoleBinding/nobody-odd")
    for path, name in (("clusterroles", "aggregated-odd"), ("clusterrolebindings", "nobody-odd")):
        cluster.admin.delete(f"/apis/{RBAC}/{path}/{name}")


def test_one_name_in_every_kind_and_namespace_gives_as_many_records(
    server: Any, collected: Callable[..., Any]
) -> None:
    template = {"metadata": {}, "spec": {"containers": [{"name": "same", "image": "same"}]}}
    for namespace in ("same", "other"):
        meta = {"namespace": namespace}
        add(server, "v1", "Pod", "same", meta=meta, spec=template["spec"])
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
            add(server, "apps/v1", kind, "same", meta=meta, spec={"template": template})
    add(server, "v1", "Namespace", "same")
    found = collected()
    kinds = {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}
    wanted = {f"{kind}/{namespace}/same" for kind in kinds for namespace in ("same", "other")}
    assert found.ids("kubernetes_workload") == wanted
    assert found.ids("kubernetes_container") == {f"{each}/same" for each in wanted}
    assert found.ids("kubernetes_namespace") == {"Namespace/same"}


def test_hostile_texts_stay_what_they_are_and_do_no_harm(
    server: Any, collected: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    texts = {"a": HOSTILE, HOSTILE: "b", "$.x": "c", '"': "d", "": "e", "x" * 300: "f" * 10_000}
    add(server, "v1", "Namespace", meta={"labels": texts, "annotations": texts})
    container = {
        "name": HOSTILE,
        "image": HOSTILE,
        "env": [{"name": HOSTILE, "value": HOSTILE}],
        "args": [HOSTILE],
    }
    add(server, "v1", "Pod", meta={"labels": texts}, spec={"containers": [container], "nodeSelector": texts})
    found = collected()
    data = found.data("kubernetes_namespace", "Namespace/odd")
    assert data["labels"]["a"] == HOSTILE
    assert data["labels"][HOSTILE] == "b"
    results = judged(found)
    assert results.failed == {}
    (one,) = found.records["kubernetes_container"]
    assert one["id"].startswith("Pod/default/odd/")


def test_nulls_and_empty_objects_anywhere_are_not_set(
    server: Any, collected: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    objects, lists = ("spec", "status", "roleRef", "data", "template"), ("rules", "subjects", "webhooks")
    for node in catalogue().values():
        version = next((each.version for each in server.resources if each.version in node.served), "")
        served = [each for each in server.resources if (each.version, each.name) == (version, node.resource)]
        if not served:
            continue
        for number in range(2):
            odd: dict[str, Any] = dict.fromkeys(objects, {} if number else None) | dict.fromkeys(
                lists, [] if number else None
            )
            nulls = {"labels": None, "annotations": None, "ownerReferences": None, "managedFields": None}
            told = {"apiVersion": version, "kind": node.object_kind, **odd}
            server.add({**told, "metadata": {"name": f"null-{number}", **nulls}})
    found = collected()
    broken = [gap for gap in found.gaps if gap["reason"] != "off"]
    assert broken == []
    assert len(found.ids("kubernetes_pod")) == 2
    assert judged(found).failed == {}


def test_lists_within_a_pod_that_are_null_are_empty(server: Any, collected: Callable[..., Any]) -> None:
    names = (
        "volumes",
        "initContainers",
        "ephemeralContainers",
        "imagePullSecrets",
        "tolerations",
        "hostAliases",
    )
    container = {
        "name": "c",
        "env": None,
        "envFrom": None,
        "ports": None,
        "volumeMounts": None,
        "resources": None,
    }
    nulls = dict.fromkeys(("securityContext", "affinity", "nodeSelector", *names))
    add(server, "v1", "Pod", spec={**nulls, "containers": [{**container, "securityContext": None}]})
    add(server, "v1", "Pod", "none", spec={**nulls, "containers": None})
    found = collected()
    assert found.ids("kubernetes_workload") == {"Pod/default/odd", "Pod/default/none"}
    assert found.data("kubernetes_container", "Pod/default/odd/c")["privilege_escalation"] is True


def test_a_custom_resource_that_does_not_fit_is_a_gap_of_its_column_alone(
    server: Any, collected: Callable[..., Any]
) -> None:
    version = "kyverno.io/v1"
    server.serve(version, "clusterpolicies", "ClusterPolicy", namespaced=False)
    add(
        server,
        version,
        "ClusterPolicy",
        "fits",
        spec={"validationFailureAction": "Enforce", "background": True},
    )
    add(
        server,
        version,
        "ClusterPolicy",
        "odd",
        spec={"validationFailureAction": ["a"], "background": "maybe"},
    )
    add(server, version, "ClusterPolicy", "word", spec="a word")
    found = collected()
    gaps = {
        record["id"]: {gap["column"]: gap["reason"] for gap in record["gaps"]}
        for record in found.records["kubernetes_kyverno_cluster_policy"]
    }
    assert gaps == {
        "ClusterPolicy/fits": {},
        "ClusterPolicy/odd": {"validationFailureAction": "malformed", "background": "malformed"},
        "ClusterPolicy/word": {},
    }


def test_the_seeds_odd_objects_are_read_whole(seeded_cluster: Any, collecting: Collecting) -> None:
    found = collecting(kubeconfig=str(seeded_cluster.kubeconfig))
    there = list(seeded_cluster.admin.items("/api/v1/namespaces"))
    assert {record["data"]["uid"] for record in found.records["kubernetes_namespace"]} == {
        item["metadata"]["uid"] for item in there
    }
    for record in (record for records in found.records.values() for record in records):
        json.dumps(record, ensure_ascii=False).encode()


def test_the_source_keeps_its_promises_when_each_of_its_calls_fails(server: Any) -> None:
    """As `collector.testing` says of every source: nothing appears, nothing changes without a gap."""
    add(server, "v1", "Pod", spec={"containers": [{"name": "c", "image": "i"}]})
    node = {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}
    server.add({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}, "status": node})
    server.own["/api/v1/nodes/one/proxy/configz"] = {"kubeletconfig": {"readOnlyPort": 10255}}
    settings = {"kubeconfig": str(server.kubeconfig()), "secrets": "keys", "kubelet": True}
    assert check_run(Kubernetes, settings) == []
