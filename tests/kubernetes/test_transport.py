"""What a server may answer instead of what was asked: each is a gap that says so, never a crash."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from collector.collect.ask import Limits
from collector.model import CallFailed
from collector_kubernetes import transport
from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.clusters import Clusters
from collector_kubernetes.kubelets import CONFIGZ
from collector_kubernetes.served import CORE, GROUPS, RESOURCES, VERSION
from collector_kubernetes.served import answers as answers_to
from collector_kubernetes.source import Kubernetes

Collecting = Callable[..., Any]

PODS = "/api/v1/pods"
MAPS = "/api/v1/configmaps"
FEW = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"map-{number}"}, "data": {"a": "b"}}
    for number in range(12)
]


NONSENSE: list[Any] = [
    *([], "a", 7, None, {}),
    {"gitVersion": 7, "groups": "a", "resources": "a", "versions": 7, "kubeletconfig": []},
    {"groups": ["a"], "resources": ["a"], "versions": [7]},
    {"groups": None, "versions": None, "kubeletconfig": None, "resources": [{"name": 5}]},
    {"groups": [{"versions": 7}], "resources": [{"name": "a", "verbs": 7}]},
    {"groups": [{"versions": [{"version": "v1"}]}]},
]


@pytest.fixture
def server(recorded: Callable[..., Any]) -> Any:
    made = recorded(34)
    made.add(*FEW)
    return made


@pytest.fixture
def collected(server: Any, collecting: Collecting) -> Callable[..., Any]:
    def collect(**more: Any) -> Any:
        return collecting(kubeconfig=str(server.kubeconfig()), **more)

    return collect


def others_are_whole(found: Any, kind: str) -> bool:
    """Whether no other kind than this one has a gap, but those that are off."""
    gapped = {gap["kind"] for gap in found.gaps} - {"kubernetes_secret", "kubernetes_kubelet"}
    return gapped == {kind} and found.complete and found.failures == []


def answers(faults: Any) -> dict[str, tuple[Any, str]]:
    """What a list is answered with, and the reason that its gap has."""
    page = {"kind": "List", "metadata": {}, "items": []}
    return {
        "torn JSON": (faults.garbage(b'{"items": [{"metadata": {"name": "a"'), "malformed"),
        "a body cut off": (faults.torn(90), "unreachable"),
        "no answer": (faults.cut(), "unreachable"),
        "a page of HTML": (faults.garbage(), "malformed"),
        "nothing": (faults.garbage(b""), "malformed"),
        "no object": (faults.Answer(200, ["a"]), "malformed"),
        "a number": (faults.Answer(200, 7), "malformed"),
        "no items": (faults.Answer(200, {"kind": "Status", "status": "Success"}), "malformed"),
        "items that are none": (faults.Answer(200, page | {"items": {"a": {}}}), "malformed"),
        "items that are no objects": (faults.Answer(200, page | {"items": [{}, "a"]}), "malformed"),
        "no metadata": (faults.Answer(200, {"kind": "List", "items": []}), "malformed"),
        "metadata that is none": (faults.Answer(200, page | {"metadata": ["a"]}), "malformed"),
        "a token that is none": (faults.Answer(200, page | {"metadata": {"continue": 7}}), "malformed"),
        "NaN": (faults.garbage(b'{"metadata": {}, "items": [{"a": NaN}]}'), "malformed"),
        "half a letter": (faults.garbage(b'{"metadata": {}, "items": [{"a": "\\ud800"}]}'), "malformed"),
        "no UTF-8": (faults.garbage(b'{"metadata": {}, "items": [{"a": "\xff"}]}'), "malformed"),
        "an abyss": (faults.garbage(b'{"metadata": {}, "items": [{"a": ' + b"[" * 50_000), "malformed"),
        "no gzip": (faults.Answer(200, b"no gzip", {"Content-Encoding": "gzip"}), "failed"),
        "denied": (faults.denied("configmaps"), "denied"),
        "unauthenticated": (faults.Answer(401, {"message": "Unauthorized"}), "denied"),
        "throttled": (faults.throttled(), "budget"),
        "broken": (faults.broken(500), "failed"),
        "a gateway's page": (faults.Answer(502, b"<html>Bad Gateway</html>"), "failed"),
        "gone": (
            faults.Answer(404, faults.status(404, "NotFound", "the server could not find it")),
            "failed",
        ),
        "a redirect": (faults.Answer(302, b"", {"Location": "/api/v1/secrets"}), "failed"),
        "empty success": (faults.Answer(204, b""), "failed"),
    }


NAMES = sorted(answers(MagicMock()))


@dataclass(frozen=True)
class Faulty:
    """A run in which the list of one kind after the other was answered with something else."""

    found: Any
    kinds: dict[str, str]
    reasons: dict[str, str]


@pytest.fixture(scope="module")
def faulty(faults: Any, collecting: Collecting) -> Iterator[Faulty]:
    with faults.beside("recorded").Recorded(34) as server:
        listed = {resource.root + "/" + resource.name for resource in server.resources}
        paths = {
            f"/api/{node.served[0]}/{node.resource}".replace(
                "/api/", "/apis/" if "/" in node.served[0] else "/api/"
            ): node.kind.name
            for node in catalogue().values()
        }
        usable = sorted(
            path for path in paths.keys() & listed if "secrets" not in path and "nodes" not in path
        )
        chosen = dict(zip(NAMES, usable, strict=False))
        assert len(chosen) == len(NAMES)
        told = answers(faults)
        for name, path in chosen.items():
            server.faults[path] = told[name][0]
        found = collecting(kubeconfig=str(server.kubeconfig()))
        kinds = {name: paths[path] for name, path in chosen.items()}
        yield Faulty(found, kinds, {name: told[name][1] for name in NAMES})


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_is_no_list_is_a_gap(name: str, faulty: Faulty) -> None:
    kind = faulty.kinds[name]
    assert faulty.found.reasons(kind) == {faulty.reasons[name]}
    assert not faulty.found.records.get(kind)


def test_what_one_list_was_answered_with_is_no_other_kinds_gap(faulty: Faulty) -> None:
    gapped = {gap["kind"] for gap in faulty.found.gaps}
    read_with = {"kubernetes_workload", "kubernetes_container", "kubernetes_image", "kubernetes_component"}
    off = {"kubernetes_secret", "kubernetes_kubelet"}
    assert gapped - read_with == set(faulty.kinds.values()) | off
    assert faulty.found.complete
    assert faulty.found.failures == []


def test_items_that_are_null_are_an_empty_list(
    server: Any, collected: Callable[..., Any], faults: Any
) -> None:
    server.faults[MAPS] = faults.Answer(200, {"kind": "ConfigMapList", "metadata": {}, "items": None})
    found = collected()
    assert found.reasons("kubernetes_config_map") == set()
    assert found.asked("kubernetes:configmaps")[0].items == 0


def test_a_redirect_is_not_followed(server: Any, collected: Callable[..., Any], faults: Any) -> None:
    server.faults[MAPS] = faults.Answer(307, b"", {"Location": f"{server.url}/api/v1/secrets"})
    collected()
    assert "/api/v1/secrets" not in {asked.path for asked in server.asked}


def test_what_failed_once_is_tried_again(server: Any, collected: Callable[..., Any], faults: Any) -> None:
    server.faults[MAPS] = [faults.broken(500), faults.throttled(), faults.cut()]
    found = collected(limits=Limits(tries=5))
    assert len(found.ids("kubernetes_config_map")) == len(FEW)
    assert found.asked("kubernetes:configmaps")[0].tries == 4
    assert found.reasons("kubernetes_config_map") == set()


@pytest.mark.parametrize("pause", [0.05, 0.0], ids=["in drops", "late"])
def test_an_answer_that_does_not_end_in_time_is_a_gap(
    pause: float, server: Any, collected: Callable[..., Any], faults: Any
) -> None:
    page = {"kind": "List", "metadata": {}, "items": [], "pad": "x" * 1_200_000}
    server.faults[MAPS] = faults.Answer(200, json.dumps(page).encode(), delay=0 if pause else 60, pause=pause)
    begun = time.monotonic()
    found = collected(limits=Limits(call_timeout=1.5, tries=1))
    assert time.monotonic() - begun < 30  # the whole answer would take a minute
    assert found.reasons("kubernetes_config_map") == {"timeout"}


def test_large_objects_are_asked_for_in_smaller_pages_and_none_is_lost(
    server: Any, collected: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_BODY", 60_000)
    for number in range(12):
        meta = {"name": f"large-{number}", "annotations": {"pad": "y" * 9_000}}
        server.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    found = collected()
    assert len(found.ids("kubernetes_config_map")) == 24
    assert found.reasons("kubernetes_config_map") == set()
    asked = [int(each.query["limit"]) for each in server.asked if each.path == MAPS]
    assert asked == [500, 50, 5, 5, 5, 5, 5]  # the size that fitted is kept


def test_an_object_that_is_too_large_by_itself_is_a_gap(
    server: Any, collected: Callable[..., Any], faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_BODY", 1 << 20)
    server.faults[MAPS] = faults.huge(4 << 20)  # packed, it is small
    found = collected()
    assert found.reasons("kubernetes_config_map") == {"budget"}
    assert others_are_whole(found, "kubernetes_config_map")


def test_a_list_that_goes_round_in_circles_is_a_gap(
    server: Any, collected: Callable[..., Any], faults: Any
) -> None:
    page = {"kind": "List", "metadata": {"continue": "again"}, "items": [{"metadata": {"name": "a"}}]}
    server.faults[MAPS] = faults.Answer(200, page)
    found = collected()
    assert found.reasons("kubernetes_config_map") == {"malformed"}
    assert len(found.asked("kubernetes:configmaps")) == 2


def test_names_from_a_server_lead_nowhere_else(server: Any, collected: Callable[..., Any]) -> None:
    hostile = ["../../secrets", "a/../../../secrets", "..", "a%2f..%2fb", "a?b", "a b", "", "Ä"]
    for name in hostile:
        server.add({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    found = collected(kubelet=True)
    assert not [asked for asked in server.asked if "secrets" in asked.target or "proxy" in asked.target]
    kubelets = found.records["kubernetes_kubelet"]
    assert len(kubelets) == len(hostile)
    assert all(gap["reason"] == "malformed" for each in kubelets for gap in each["gaps"])


def test_resources_from_a_server_lead_nowhere_else(server: Any, collected: Callable[..., Any]) -> None:
    version = "constraints.gatekeeper.sh/v1beta1"
    server.serve(version, "..%2f..%2f..%2fapi%2fv1%2fsecrets", "A", namespaced=False)
    server.serve(version, "fine", "B", namespaced=False)
    server.add({"apiVersion": version, "kind": "B", "metadata": {"name": "kept"}})
    found = collected()
    assert not [asked for asked in server.asked if "secrets" in asked.target]
    assert found.ids("kubernetes_gatekeeper_constraint") == {"B/kept"}
    assert found.reasons("kubernetes_gatekeeper_constraint") == {"malformed"}


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", "/api/v1", "/apis/apps/v1"])
def test_discovery_that_is_nonsense_is_not_absence(
    path: str, server: Any, collected: Callable[..., Any], faults: Any
) -> None:
    before = collected()
    server.faults[path] = faults.Answer(200, {"error": "this is a proxy, and no cluster"})
    found = collected()
    assert found.complete == (path != "/version")
    assert found.absent() == ({} if path in ("/version", "/apis") else before.absent())
    lost = {gap["kind"] for gap in found.gaps} - {gap["kind"] for gap in before.gaps}
    assert lost == (before.absent().keys() if path == "/apis" else set())  # what is there is listed


@pytest.mark.parametrize("op", [VERSION, CORE, GROUPS, RESOURCES, CONFIGZ])
@pytest.mark.parametrize("body", NONSENSE, ids=range(len(NONSENSE)))
def test_what_has_none_of_what_was_asked_for_is_no_answer(op: str, body: Any) -> None:
    assert not answers_to(op, body)


def test_a_version_without_resources_is_an_answer() -> None:
    assert answers_to(RESOURCES, {"kind": "APIResourceList", "groupVersion": "a/v1", "resources": None})


def test_a_server_that_is_not_there_is_unreachable(
    collecting: Collecting, kubeconfig: Any, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = kubeconfig(
        tmp_path / "dead", {"dead": {"server": f"http://127.0.0.1:{port}", "token": "abcdefgh"}}
    )
    found = collecting(kubeconfig=str(file))
    assert not found.complete
    assert found.absent() == {}
    assert {call.outcome for call in found.calls} == {"unreachable"}


def test_a_gzip_bomb_is_not_unpacked_whole(server: Any, faults: Any) -> None:
    import tracemalloc

    bomb = gzip.compress(b"\0" * (96 << 20), 1)
    server.faults[MAPS] = faults.Answer(200, bomb, {"Content-Encoding": "gzip"})
    connection = Clusters(str(server.kubeconfig()), (), False).connection("recorded")
    tracemalloc.start()
    with pytest.raises(CallFailed, match="too-large"):
        transport.send(connection, "kubernetes:configmaps", {"version": "v1"}, 30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * transport._MAX_BODY


def test_every_code_that_is_raised_is_told_what_it_means() -> None:
    for code in ("401", "403", "410", "429", "login", "certificate", "malformed", "too-large"):
        assert code in Kubernetes.errors
