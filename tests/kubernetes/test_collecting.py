"""Lists as a real server gives them: whole, in pages, compressed, and without what must not stay."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from collector.lines import read_lines
from collector.model import Answer, Outcome, Task
from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.source import Kubernetes

Collecting = Callable[..., Any]

MANY = 1_200


@pytest.fixture(scope="module")
def many(cluster: Any) -> set[str]:
    """Config maps in a namespace of their own."""
    cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "many"}})

    def made(number: int) -> str:
        meta = {"name": f"map-{number:04}", "namespace": "many", "annotations": {"pad": "x" * 200}}
        cluster.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        return str(meta["name"])

    with ThreadPoolExecutor(16) as pool:
        return set(pool.map(made, range(MANY)))


class Relay:
    """Passes bytes between callers and a server, and counts those that come back."""

    def __init__(self, port: int) -> None:
        self._port, self.received = port, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._pump, args=(caller, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, caller, True), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, count: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                self.received += len(data) if count else 0
                target.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, target):
                each.close()


@pytest.fixture
def relay(cluster: Any) -> Iterator[Relay]:
    made = Relay(int(cluster.url.rpartition(":")[2]))
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(seeded_cluster: Any, collecting: Collecting) -> Any:
    """All that the seeds hold, as the administrator reads it."""
    return collecting(kubeconfig=str(seeded_cluster.kubeconfig), kubelet=True, secrets="keys")


def test_a_list_of_twelve_hundred_takes_three_calls_and_nothing_is_lost(
    cluster: Any, collecting: Collecting, many: set[str]
) -> None:
    found = collecting(kubeconfig=str(cluster.kubeconfig), namespaces=["many"])
    calls = found.asked("kubernetes:configmaps")
    assert [(call.page, call.items, call.more) for call in calls] == [
        (1, 500, True),
        (2, 500, True),
        (3, MANY - 1_000, False),
    ]
    assert found.ids("kubernetes_config_map") == {f"ConfigMap/many/{name}" for name in many}
    assert found.reasons("kubernetes_config_map") == set()


def test_lists_cross_the_wire_compressed(
    cluster: Any, collecting: Collecting, many: set[str], relay: Relay, kubeconfig: Any, tmp_path: Path
) -> None:
    (user,) = json.loads(cluster.account("packed", READS).read_text())["users"]
    server = {"server": f"https://127.0.0.1:{relay.port}", "authority": cluster.authority}
    file = kubeconfig(tmp_path / "relayed", {"relayed": {**server, "user": user["user"]}})
    found = collecting(kubeconfig=str(file), namespaces=["many"])
    decoded = sum(call.size for call in found.calls)
    assert len(found.ids("kubernetes_config_map")) == MANY
    assert relay.received < decoded / 2


READS = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]


def test_every_object_of_every_kind_is_a_record(seeded_cluster: Any, whole: Any) -> None:
    versions = {
        (record["kind"], record["data"]["api_version"])
        for kind in catalogue()
        for record in whole.records.get(kind, ())
    }
    assert len(versions) > 45
    for kind, version in sorted(versions):
        node = catalogue()[kind]
        if node.each or node.resource == "*":
            continue
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        there = {
            "/".join(
                filter(None, (node.object_kind, item["metadata"].get("namespace"), item["metadata"]["name"]))
            )
            for item in seeded_cluster.admin.items(f"{path}/{node.resource}")
            if kind != "kubernetes_event" or item["type"] == "Warning"
        }
        assert whole.ids(kind) == there, kind


def test_a_whole_run_leaves_no_gap_but_those_of_kubelets_that_are_out_of_reach(whole: Any) -> None:
    assert whole.complete
    assert whole.failures == []
    assert {gap["kind"] for gap in whole.gaps} <= {"kubernetes_kubelet"}
    gapped = {
        record["kind"] for found in whole.records.values() for record in found for gap in record["gaps"]
    }
    assert gapped <= {"kubernetes_kubelet"}


def test_records_say_at_which_version_they_were_read_and_through_which_they_were_written(
    cluster: Any, collecting: Collecting
) -> None:
    meta = {"name": "budget", "namespace": "written"}
    cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "written"}})
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}}
    told = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}
    cluster.admin.create(told)
    found = collecting(kubeconfig=str(cluster.kubeconfig), namespaces=["written"])
    data = found.data("kubernetes_pod_disruption_budget", "PodDisruptionBudget/written/budget")
    assert data["api_version"] == "policy/v1beta1"
    assert data["written_with"] == ["policy/v1beta1"]
    assert data["uid"]
    assert data["created"].endswith("Z")


def test_what_servers_and_kubectl_note_about_fields_is_not_kept(seeded_cluster: Any, whole: Any) -> None:
    listed = list(seeded_cluster.admin.items("/api/v1/configmaps"))
    assert any("managedFields" in item["metadata"] for item in listed)
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    assert any(applied in (item["metadata"].get("annotations") or {}) for item in listed)
    for path in (whole.folder / "segments").glob("*.jsonl.gz"):
        for line in read_lines(path):
            assert b"managedFields" not in line
            assert b"fieldsV1" not in line
            assert applied.encode() not in line


def test_no_question_is_asked_twice(whole: Any) -> None:
    asked = [
        (call.op, json.dumps(call.params, sort_keys=True), call.page)
        for call in whole.calls
        if call.op not in {operation.name for operation in Kubernetes.discovery}
    ]
    assert len(asked) == len(set(asked))


def test_settings_of_kubelets_come_through_the_servers_node_proxy(seeded_cluster: Any, whole: Any) -> None:
    addresses = {
        node["metadata"]["name"]: each["address"]
        for node in seeded_cluster.admin.items("/api/v1/nodes")
        for each in node["status"].get("addresses", ())
        if each["type"] == "InternalIP"
    }
    told = seeded_cluster.kubelets.configured
    answering = {name for name, address in addresses.items() if isinstance(told.get(address), dict)}
    assert len(answering) >= 3
    for name in answering:
        data = whole.data("kubernetes_kubelet", f"Kubelet/{name}")
        for column in ("readOnlyPort", "authentication", "tlsCipherSuites", "podPidsLimit"):
            assert data[column] == told[addresses[name]][column]
    for _, path in seeded_cluster.kubelets.asked:
        assert path.partition("?")[0] == "/configz"


def test_a_node_that_does_not_answer_is_a_gap_of_that_node_alone(seeded_cluster: Any, whole: Any) -> None:
    kubelets = {record["data"]["node"]: record for record in whole.records["kubernetes_kubelet"]}
    nodes = {node["metadata"]["name"] for node in seeded_cluster.admin.items("/api/v1/nodes")}
    assert kubelets.keys() == nodes
    assert whole.reasons("kubernetes_kubelet") == set()  # all nodes are known
    silent = {name for name, record in kubelets.items() if record["gaps"] or len(record["data"]) == 1}
    assert 1 <= len(silent) < len(nodes) - 2
    outcomes = {call.params["node"]: call.outcome for call in whole.asked("kubelet:configz")}
    assert {name for name, outcome in outcomes.items() if outcome != "ok"} == silent


def test_kubelets_are_not_asked_unless_the_configuration_says_so(
    seeded_cluster: Any, collecting: Collecting
) -> None:
    before = len(seeded_cluster.kubelets.asked)
    found = collecting(kubeconfig=str(seeded_cluster.kubeconfig))
    assert found.reasons("kubernetes_kubelet") == {"off"}
    assert len(seeded_cluster.kubelets.asked) == before


def test_events_beyond_the_most_that_are_read_are_a_gap(
    recorded: Callable[..., Any], collecting: Collecting
) -> None:
    server = recorded(34)
    most = catalogue()["kubernetes_event"].limit
    told = {"apiVersion": "v1", "kind": "Event", "reason": "Failed", "type": "Warning"}
    server.add(*({**told, "metadata": {"name": f"event-{number:05}"}} for number in range(most + 1)))
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert len(found.ids("kubernetes_event")) == most
    assert found.reasons("kubernetes_event") == {"truncated"}


class Answered:
    """Answers of one page each, and which lists were asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def pages(self, op: str, params: Any = None) -> Iterator[Answer]:
        self.asked.add(op)
        items = [{"metadata": {"name": name}} for name in ("a", "b")]
        yield Answer("call/1", op, Outcome.OK, {"items": items})


@pytest.mark.parametrize("how", ["list", "close"], ids=["to its end", "left"])
def test_lists_are_asked_for_side_by_side_and_their_pages_gone_through_one_at_a_time(how: str) -> None:
    source, ask = Kubernetes({}), Answered()
    found = {"cluster": "a", "principal": "", "reached": True, "served": {"v1": ["namespaces", "services"]}}
    tasks = {task.kinds[0]: task for task in source.plan([found]) if isinstance(task, Task)}
    first = source.collect(tasks["kubernetes_namespace"], ask)  # type: ignore[arg-type]
    next(first)
    items: list[Any] = []
    second = threading.Thread(
        target=lambda: items.extend(source.collect(tasks["kubernetes_service"], ask))  # type: ignore[arg-type]
    )
    second.start()
    second.join(0.3)
    assert ask.asked == {"kubernetes:namespaces", "kubernetes:services"}
    assert items == []
    list(first) if how == "list" else first.close()  # type: ignore[attr-defined]
    second.join(10)
    assert [item.id for item in items] == ["Service/a", "Service/b"]


def test_a_namespace_that_is_asked_and_is_not_there_is_a_gap(cluster: Any, collecting: Collecting) -> None:
    found = collecting(kubeconfig=str(cluster.kubeconfig), namespaces=["default", "defualt"])
    (gap,) = (gap for gap in found.gaps if gap["kind"] == "kubernetes_namespace")
    assert gap["reason"] == "failed"
    assert gap["detail"] == "namespaces: the cluster has no 'defualt'"
    whole = collecting(kubeconfig=str(cluster.kubeconfig), namespaces=["default"])
    assert whole.reasons("kubernetes_namespace") == set()
