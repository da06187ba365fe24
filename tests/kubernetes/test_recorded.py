"""The stand-ins: that they speak as servers do, and fail as told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b" * 2000}}


@pytest.fixture
def asking(cluster_api: Any) -> Iterator[Callable[[Any], Any]]:
    """A client of a stand-in."""
    made: list[Any] = []

    def client(server: Any) -> Any:
        made.append(cluster_api.Client(server.url, server.authority, token="any"))
        return made[-1]

    yield client
    for each in made:
        each.close()


def _told(client: Any) -> dict[str, set[tuple[str, str, bool]]]:
    versions = [each["groupVersion"] for group in client.get("/apis")["groups"] for each in group["versions"]]
    found = {}
    for version in ("v1", *versions):
        told = client.get(f"/apis/{version}" if "/" in version else f"/api/{version}")
        found[version] = {(each["name"], each["kind"], each["namespaced"]) for each in told["resources"]}
    return found


def _own(told: dict[str, set[tuple[str, str, bool]]]) -> dict[str, set[tuple[str, str, bool]]]:
    """Without subresources, whose kinds are another's, and without what a test defined in the cluster."""
    return {
        version: {each for each in resources if "/" not in each[0]}
        for version, resources in told.items()
        if "example" not in version
    }


def test_the_table_tells_of_a_server_of_1_20_what_that_tells_itself(
    cluster: Any, recorded: Any, asking: Any
) -> None:
    if cluster.version != (1, 20):
        pytest.skip(f"the server at hand is {cluster.version}")
    assert _own(_told(asking(recorded(20)))) == _own(_told(cluster.admin))
    standing = asking(recorded(20)).get("/apis")["groups"]
    preferred = {each["name"]: each["preferredVersion"]["version"] for each in standing}
    real = {
        each["name"]: each["preferredVersion"]["version"] for each in cluster.admin.get("/apis")["groups"]
    }
    assert preferred == {group: version for group, version in real.items() if group in preferred}


@pytest.mark.parametrize(
    ("minor", "there", "gone"),
    [
        (20, ["batch/v1beta1", "policy/v1beta1", "extensions/v1beta1"], ["policy/v1", "autoscaling/v2"]),
        (25, ["policy/v1", "autoscaling/v2", "autoscaling/v2beta2"], ["batch/v1beta1", "policy/v1beta1"]),
        (34, ["resource.k8s.io/v1", "flowcontrol.apiserver.k8s.io/v1"], ["autoscaling/v2beta2"]),
    ],
)
def test_versions_come_and_go_with_releases(
    minor: int, there: list[str], gone: list[str], recorded: Any, asking: Any
) -> None:
    client = asking(recorded(minor))
    told = _told(client)
    assert client.get("/version")["minor"] == str(minor)
    assert set(there) <= set(told) and not set(gone) & set(told)
    policies = {name for name, *_ in told["admissionregistration.k8s.io/v1"]}
    assert ("validatingadmissionpolicies" in policies) is (minor >= 30)
    assert ("cronjobs" in {name for name, *_ in told["batch/v1"]}) is (minor >= 21)


def test_lists_come_in_pages_and_by_namespace(recorded: Any, asking: Any) -> None:
    server = recorded(34)
    for number in range(7):
        space = {"name": f"m{number}", "namespace": "even" if number % 2 == 0 else "odd"}
        server.add({**CONFIG, "metadata": space})
    client = asking(server)
    names = [each["metadata"]["name"] for each in client.items("/api/v1/configmaps", limit=3)]
    assert names == [f"m{number}" for number in range(7)]
    assert [each.query.get("continue", "") != "" for each in server.asked] == [False, True, True]
    assert len(client.get("/api/v1/namespaces/odd/configmaps")["items"]) == 3
    assert "kind" not in client.get("/api/v1/configmaps")["items"][0]


def test_what_is_served_in_two_groups_and_versions_is_one_object(recorded: Any, asking: Any) -> None:
    server = recorded(20)
    server.add({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}})
    paths = [f"/apis/{each}/ingresses" for each in ("networking.k8s.io/v1", "networking.k8s.io/v1beta1")]
    client = asking(server)
    uids = {
        each["metadata"]["uid"]
        for path in (*paths, "/apis/extensions/v1beta1/ingresses")
        for each in client.get(path)["items"]
    }
    assert len(uids) == 1


def test_metadata_alone_holds_no_value(recorded: Any, asking: Any) -> None:
    server = recorded(34)
    server.add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "YQ=="}})
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    told = asking(server).request("GET", "/api/v1/secrets", accept=accept)
    assert told["kind"] == "PartialObjectMetadataList"
    assert set(told["items"][0]) == {"metadata"}


def test_custom_resources_are_served_and_withdrawn(recorded: Any, asking: Any) -> None:
    server = recorded(34)
    server.serve("gateway.networking.k8s.io/v1", "gateways", "Gateway")
    server.add({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "a"}})
    client = asking(server)
    path = "/apis/gateway.networking.k8s.io/v1/gateways"
    assert client.get(path)["items"][0]["kind"] == "Gateway"
    server.withdraw("gateway.networking.k8s.io/v1")
    with pytest.raises(Exception, match="404"):
        client.get(path)


def test_faults_come_in_turn_and_are_what_a_server_says(recorded: Any, asking: Any, faults: Any) -> None:
    server = recorded(34)
    server.add(CONFIG)
    client, path = asking(server), "/api/v1/configmaps"
    server.faults[path] = [
        None,
        faults.gone(),
        faults.denied(),
        faults.throttled(),
        faults.broken(),
        faults.garbage(),
    ]
    assert client.get(path)["items"]
    for status in (410, 403, 429, 500):
        with pytest.raises(Exception, match=f": {status}: "):
            client.get(path)
    assert client.get(path) == "<html>hello</html>"
    assert client.get(path)["items"]


def test_torn_cut_and_slow_answers_are_so_on_the_wire(recorded: Any, asking: Any, faults: Any) -> None:
    server = recorded(34)
    server.add(CONFIG)
    client, path = asking(server), "/api/v1/configmaps"
    for fault in (faults.torn(10), faults.cut()):
        server.faults[path] = fault
        with pytest.raises(urllib3.exceptions.HTTPError):
            client.get(path)
    server.faults[path] = faults.slow(0.3)
    began = time.monotonic()
    assert client.get(path)["items"]
    assert time.monotonic() - began >= 0.3
    server.faults[path] = faults.huge(5_000_000)
    assert len(client.get(path)["items"][0]["data"]["a"]) == 5_000_000


def test_a_server_between_passes_on_and_fails_one_list(
    cluster: Any, between: Any, asking: Any, faults: Any
) -> None:
    server = between(cluster)
    server.faults["/api/v1/pods"] = faults.denied("pods")
    client = asking(server)
    assert client.get("/api/v1/namespaces", limit=1)["metadata"]["continue"]
    with pytest.raises(Exception, match="403: pods is forbidden"):
        client.get("/api/v1/pods")
    assert server.paths() == ["/api/v1/namespaces?limit=1", "/api/v1/pods"]


def test_a_server_between_shows_an_account_what_it_may_see(
    cluster: Any, between: Any, asking: Any, certificate_of: Any
) -> None:
    file = cluster.account("behind", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    client = asking(between(cluster, certificate_of(file)))
    assert client.get("/api/v1/pods")["kind"] == "PodList"
    with pytest.raises(Exception, match="403"):
        client.get("/api/v1/secrets")


def test_the_official_client_reads_a_stand_in(recorded: Any) -> None:
    kubernetes = pytest.importorskip("kubernetes")
    server = recorded(25)
    server.add(CONFIG, {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}})
    with kubernetes.config.new_client_from_config(str(server.kubeconfig())) as client:
        maps = kubernetes.client.CoreV1Api(client).list_config_map_for_all_namespaces(limit=1)
        assert maps.items[0].data == CONFIG["data"]
        assert kubernetes.client.VersionApi(client).get_code().minor == "25"
