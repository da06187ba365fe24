"""The roles that `collector permissions kubernetes` prints: enough, and no more than is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from collector.cli.app import app
from collector.model import Outcome
from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.source import Kubernetes

Collecting = Callable[..., Any]
Right = tuple[str, str, str]

GROUP = "rbac.authorization.k8s.io"
NAMES = ("evidence-collector", "evidence-collector-secrets", "evidence-collector-kubelet")


def printed(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["permissions", "kubernetes", *arguments])
    assert done.exit_code == 0, done.output
    return list(yaml.safe_load_all(done.output))


def granted(roles: list[dict[str, Any]]) -> set[Right]:
    """Verb, group and resource of each right; paths have no group."""
    rights: set[Right] = set()
    for rule in (rule for role in roles for rule in role["rules"]):
        rights |= {(verb, "", path) for verb in rule["verbs"] for path in rule.get("nonResourceURLs", ())}
        rights |= {
            (verb, group, resource)
            for verb in rule["verbs"]
            for group in rule.get("apiGroups", ())
            for resource in rule.get("resources", ())
        }
    return rights


def asked(events: list[dict[str, Any]]) -> set[Right]:
    """What the server's own audit says was asked."""
    rights = set()
    for event in events:
        about = event.get("objectRef")
        if about is None:
            rights.add((event["verb"], "", event["requestURI"].partition("?")[0]))
        else:
            resource = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))
            rights.add((event["verb"], about.get("apiGroup", ""), resource))
    return rights


def covers(right: Right, other: Right) -> bool:
    """Whether a right grants what was asked, as RBAC reads it."""
    verb, group, what = right
    same = (verb, group) == other[:2]
    path = what.endswith("*") and other[2].startswith(what[:-1]) and bool(what.startswith("/") or what == "*")
    return same and (what == other[2] or path)


@dataclass(frozen=True)
class Watched:
    """A run with the printed roles, and what the server noted of it."""

    found: Any
    events: list[dict[str, Any]]
    rights: set[Right]


@pytest.fixture(scope="module")
def run(seeded_cluster: Any, collecting: Collecting) -> Iterator[Callable[..., Watched]]:
    users: list[str] = []

    def ran(*names: str, **settings: Any) -> Watched:
        roles = [role for role in printed() if role["metadata"]["name"] in names]
        assert len(roles) == len(names)
        file = seeded_cluster.account("watched", [rule for role in roles for rule in role["rules"]])
        users.append(file.name.removesuffix(".kubeconfig"))
        before = len(seeded_cluster.asked(users[-1]))
        found = collecting(kubeconfig=str(file), **settings)
        return Watched(found, seeded_cluster.asked(users[-1])[before:], granted(roles))

    yield ran
    for user in users:
        seeded_cluster.admin.delete(f"/apis/{GROUP}/v1/clusterrolebindings/{user}")
        seeded_cluster.admin.delete(f"/apis/{GROUP}/v1/clusterroles/{user}")


@pytest.fixture(scope="module")
def usual(run: Callable[..., Watched]) -> Watched:
    return run(NAMES[0])


@pytest.fixture(scope="module")
def everything(run: Callable[..., Watched]) -> Watched:
    return run(*NAMES, secrets="keys", kubelet=True)


def test_the_printed_roles_are_what_a_server_takes(cluster: Any) -> None:
    roles = printed()
    assert tuple(role["metadata"]["name"] for role in roles) == NAMES
    for role in roles:
        name = f"printed-{role['metadata']['name']}"  # its own: the manifest's test applies one as printed
        cluster.admin.create(role | {"metadata": role["metadata"] | {"name": name}})
        told = cluster.admin.get(f"/apis/{GROUP}/v1/clusterroles/{name}")
        assert told["rules"] == role["rules"]
        cluster.admin.delete(f"/apis/{GROUP}/v1/clusterroles/{name}")


def test_the_roles_only_read() -> None:
    assert {verb for verb, _, _ in granted(printed())} == {"get", "list"}


def test_what_opens_more_stands_apart_and_says_so() -> None:
    usual = granted([printed()[0]])
    assert not [right for right in usual if right[2] in ("secrets", "nodes/proxy", "*") and not right[1]]
    output = CliRunner().invoke(app, ["permissions", "kubernetes"]).output
    assert "can read every Secret" in output
    assert "whole API of every kubelet" in output


def test_for_one_kind_its_own_right_and_discovery_are_printed() -> None:
    (role,) = printed("--kind", "kubernetes_network_policy")
    resources = {right for right in granted([role]) if right[1]}
    assert resources == {("list", "networking.k8s.io", "networkpolicies")}


def test_with_the_usual_role_alone_nothing_is_denied(usual: Watched) -> None:
    assert usual.found.complete
    assert {call.outcome for call in usual.found.calls} == {Outcome.OK}
    gapped = {gap["kind"] for gap in usual.found.gaps}
    assert gapped == {"kubernetes_secret", "kubernetes_kubelet"}
    assert {gap["reason"] for gap in usual.found.gaps} == {"off"}


def test_with_all_three_secrets_and_kubelets_are_read_too(everything: Watched) -> None:
    assert {call.op for call in everything.found.calls if call.outcome is not Outcome.OK} <= {
        "kubelet:configz"
    }
    assert everything.found.records["kubernetes_secret"]
    kubelets = everything.found.records["kubernetes_kubelet"]
    assert [record for record in kubelets if not record["gaps"]]


def test_nothing_but_reading_is_ever_asked(everything: Watched, usual: Watched) -> None:
    for event in (*everything.events, *usual.events):
        assert event["verb"] in ("get", "list"), event["requestURI"]
        assert "watch=" not in event["requestURI"]
        if event["verb"] == "list":
            assert "limit=" in event["requestURI"]


def test_nothing_is_asked_that_is_not_granted(everything: Watched, usual: Watched) -> None:
    for watched in (everything, usual):
        stray = {
            other
            for other in asked(watched.events)
            if not any(covers(right, other) for right in watched.rights)
        }
        assert stray == set()
        assert all(event["responseStatus"]["code"] != 403 for event in watched.events)


def test_every_right_is_used_but_those_of_what_this_server_does_not_serve(everything: Watched) -> None:
    served = {
        (version.rpartition("/")[0], node.resource)
        for node in catalogue().values()
        for version in node.served
        if node.kind.name not in everything.found.absent()
    }
    used = asked(everything.events)
    idle = {right for right in everything.rights if not any(covers(right, other) for other in used)}
    elsewhere = {("list", "", "events"), ("list", "extensions", "ingresses")}  # in their newer groups
    absent = {right for right in idle if right[1:] not in served}
    assert idle - absent <= elsewhere
    assert len(used) > 45


def test_every_right_belongs_to_a_kind() -> None:
    declared = {
        right
        for operation in (
            *Kubernetes.discovery,
            *(each for kind in Kubernetes.kinds for each in kind.operations),
        )
        for right in operation.permission.split(", ")
    }
    spelt = {
        f"{verb} {what}.{group}".rstrip(".") if not what.startswith("/") else f"{verb} {what}"
        for verb, group, what in granted(printed())
    }
    assert spelt == declared
