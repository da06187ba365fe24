"""Each right taken away: what is missing is said, no verdict becomes a pass, and nothing elsewhere is hidden.

Accounts of a real server lack several rights at once; with COLLECTOR_TEST_KUBERNETES_DENIALS=all one account
lacks each. In either case each call of the same run, recorded, is then refused singly.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector import plugins
from collector.assess.mappings import load
from collector.model import Outcome
from collector.testing import Recording, recording_source, replay_source
from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.source import Kubernetes

Collecting = Callable[..., Any]

SINGLY = os.environ.get("COLLECTOR_TEST_KUBERNETES_DENIALS") == "all"
PARTS = 3
REPLAYS = 80 if SINGLY else 4
EVERYTHING = {"secrets": "keys", "kubelet": True}
GROUP = "rbac.authorization.k8s.io"
OWN = "lacking-"  # in names of the accounts' own roles
DISCOVERY = {operation.name for operation in Kubernetes.discovery}


@cache
def rules() -> list[dict[str, Any]]:
    """The rules of the printed roles, one for each verb and resource."""
    found = []
    for role in yaml.safe_load_all(Kubernetes.permissions(Kubernetes.kinds)):
        for rule in role["rules"]:
            found += [{**rule, "resources": [resource]} for resource in rule.get("resources", ())]
            if "nonResourceURLs" in rule:
                found.append(rule)
    return found


@cache
def lists() -> dict[tuple[str, str], set[str]]:
    """By group and resource, the operations that need the right to list it."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for kind in Kubernetes.kinds:
        for operation in kind.operations:
            for right in operation.permission.split(", "):
                what = right.partition(" ")[2]
                resource, _, group = what.partition(".")
                if not what.startswith("/"):
                    found[group, resource].add(operation.name)
    return found


@dataclass(frozen=True)
class Whole:
    """The run that lacks nothing."""

    recording: Recording
    evidence: Any
    judged: Any


@pytest.fixture(scope="module")
def whole(seeded_cluster: Any, collecting: Collecting, judged: Callable[..., Any]) -> Whole:
    recording = Recording()
    source = recording_source(Kubernetes, recording)
    found = collecting(source=source, kubeconfig=str(seeded_cluster.kubeconfig), **EVERYTHING)
    assert found.complete
    verdicts = judged(found)
    assert len(verdicts.checks) > 90  # else there is little that could be hidden
    assert {"pass", "fail"} <= set(verdicts.findings.values())
    return Whole(recording, found, verdicts)


@cache
def reads() -> dict[str, set[str]]:
    """By check, the kinds that it reads; of a derived kind also those that it is made of."""
    found = plugins.load()
    derived = {each.kind.name: set(each.reads) for pack in found.packs for each in pack.derived}
    checks = load([Path(pack.folder) for pack in found.packs], strict=True).checks
    return {
        name: set(check.kinds).union(*(derived.get(kind, set()) for kind in check.kinds))
        for name, check in checks.items()
    }


def worse(whole: Any, torn: Any, gone: set[str]) -> Iterator[str]:
    """What a run that lacks kinds may not say."""
    for (check, subject), result in torn.findings.items():
        if OWN in subject:
            continue
        before = whole.findings.get((check, subject))
        if result == "pass" and before != "pass":
            yield f"{check} {subject}: {before} has become a pass"
    for (check, subject), result in whole.findings.items():
        after = torn.findings.get((check, subject))
        if after == result:
            continue
        if not reads()[check] & gone:
            yield f"{check} {subject}: {result} has become {after}, and {check} reads nothing that is gone"
        elif after is None and torn.findings.get((check, "")) != "unknown":
            yield f"{check} {subject}: {result} has gone without a word"


def gapped(found: Any) -> set[str]:
    """Kinds of which something is missing."""
    columns = {kind for kind, records in found.records.items() for record in records if record["gaps"]}
    return {gap["kind"] for gap in found.gaps} | columns


def refused(found: Any) -> set[str]:
    return {call.op for call in found.calls if call.outcome is Outcome.DENIED}


def part(number: int) -> list[dict[str, Any]]:
    """The rules that an account lacks: neighbours, which are of one group, lie in different parts."""
    named = [rule for rule in rules() if "resources" in rule]
    return [named[number]] if SINGLY else named[number::PARTS]


@pytest.fixture
def lacking(seeded_cluster: Any) -> Iterator[Callable[[list[dict[str, Any]]], Path]]:
    """Accounts with all rights but some; their roles go with the test."""
    made: list[str] = []

    def account(missing: list[dict[str, Any]]) -> Path:
        file: Path = seeded_cluster.account("lacking", [rule for rule in rules() if rule not in missing])
        made.append(file.name.removesuffix(".kubeconfig"))
        file.write_text(file.read_text().replace('"lacking"', '"admin"'))  # the same cluster has one name
        return file

    yield account
    for user in made:
        seeded_cluster.admin.delete(f"/apis/{GROUP}/v1/clusterrolebindings/{user}")
        seeded_cluster.admin.delete(f"/apis/{GROUP}/v1/clusterroles/{user}")


@pytest.mark.parametrize("number", range(len(rules()) - 1 if SINGLY else PARTS))
def test_a_right_that_an_account_lacks_is_a_gap_of_the_kinds_that_need_it_and_of_no_other(
    number: int,
    whole: Whole,
    lacking: Callable[..., Path],
    collecting: Collecting,
    judged: Callable[..., Any],
) -> None:
    missing = part(number)
    ops = set().union(*(lists()[rule["apiGroups"][0], rule["resources"][0]] for rule in missing))
    found = collecting(kubeconfig=str(lacking(missing)), **EVERYTHING)
    denied = refused(found) - refused(whole.evidence)
    assert denied <= ops
    assert found.complete
    gone = {kind.name for kind in Kubernetes.kinds if {each.name for each in kind.operations} & denied}
    assert gapped(found) - gapped(whole.evidence) <= gone
    for kind in gone & (whole.evidence.records.keys() | gapped(found)):
        assert "denied" in found.reasons(kind) or kind in gapped(found), kind
    for kind in whole.evidence.records.keys() - gone - {"kubernetes_permission"}:
        ids = {each for each in found.ids(kind) if OWN not in each}
        assert ids == whole.evidence.ids(kind), kind
    assert list(worse(whole.judged, judged(found), gone)) == []


@pytest.mark.parametrize("number", range(REPLAYS))
def test_calls_that_are_refused_turn_no_verdict_to_pass_and_hide_nothing_elsewhere(
    number: int, whole: Whole, seeded_cluster: Any, collecting: Collecting, judged: Callable[..., Any]
) -> None:
    calls = [call for call in whole.recording.calls if call.op not in DISCOVERY and call.reply]
    assert len(calls) > 45
    if SINGLY and number >= len(calls):
        pytest.skip("there are no more calls")
    chosen = calls[number : number + 1] if SINGLY else calls[number::REPLAYS]
    source = replay_source(Kubernetes, whole.recording, {call.key: "403" for call in chosen})
    found = collecting(source=source, kubeconfig=str(seeded_cluster.kubeconfig), **EVERYTHING)
    ops = {call.op for call in chosen}
    gone = {kind.name for kind in Kubernetes.kinds if any(map(kind.operation, ops))}
    for op in ops:
        listing = {kind.name for kind in Kubernetes.kinds if op in kind.lists}
        assert (listing or {"kubernetes_kubelet"}) & gapped(found), f"{op} was denied and nothing says so"
    assert list(worse(whole.judged, judged(found), gone)) == []


def test_a_cluster_that_denies_its_version_is_unknown_and_not_absent(
    whole: Whole,
    seeded_cluster: Any,
    between: Callable[..., Any],
    faults: Any,
    collecting: Collecting,
    judged: Callable[..., Any],
) -> None:
    server = between(seeded_cluster)
    server.faults["/version"] = faults.denied("/version")
    found = collecting(kubeconfig=str(server.kubeconfig("admin")), **EVERYTHING)
    assert not found.complete
    assert found.absent() == {}
    torn = judged(found)
    assert whole.judged.checks <= torn.checks
    assert set(torn.findings.values()) == {"unknown"}


def open_to(whole: Whole, silent: Callable[[str], bool]) -> set[str]:
    """Kinds that a silent version may have, since none that is looked at before it has them."""
    dues = {due.kind: due for planned in whole.evidence.plan.tasks for due in planned.task.due}
    gone = set()
    for name, node in catalogue().items():
        read = dues[name].params["version"] if name in dues else node.served[-1]
        if any(silent(version) for version in node.served[: node.served.index(read) + 1]):
            gone |= {kind.name for kind in Kubernetes.kinds if node.list in kind.lists}
    return gone


@pytest.mark.parametrize(
    ("exactly", "roots", "how"),
    [
        (("/api",), (), "broken"),
        (("/apis/apps/v1", "/api/v1"), (), "denied"),
        (("/apis",), (), "garbage"),
        (("/api",), ("/api/",), "denied"),
        ((), ("/apis/apps/v1/",), "broken"),
        ((), ("/apis/networking.k8s.io/v1/", "/apis/policy/v1beta1/"), "garbage"),
        (("/apis",), ("/apis/",), "denied"),
    ],
    ids=["core list", "resources alone", "groups list", "core", "apps", "networks", "all groups"],
)
def test_discovery_that_fails_is_a_gap_of_what_hangs_on_it_and_no_pass_and_hides_nothing_else(
    exactly: tuple[str, ...],
    roots: tuple[str, ...],
    how: str,
    whole: Whole,
    seeded_cluster: Any,
    between: Callable[..., Any],
    faults: Any,
    collecting: Collecting,
    judged: Callable[..., Any],
) -> None:
    server = between(seeded_cluster)
    fault = getattr(faults, how)()
    server.fault = lambda asked: (
        fault if asked.path in exactly or f"{asked.path}/".startswith(roots) else None
    )
    found = collecting(kubeconfig=str(server.kubeconfig("admin")), **EVERYTHING)
    named = {str(call.params["version"]) for call in whole.evidence.asked("kubernetes:resources")}

    def silent(version: str) -> bool:
        root = f"/apis/{version}/" if "/" in version else f"/api/{version}/"
        return root.startswith(roots) or ("/apis" in exactly and version not in named)

    gone = open_to(whole, silent)
    assert gapped(found) - {"kubernetes_cluster"} == gone | gapped(whole.evidence)
    assert found.absent() == {kind: why for kind, why in whole.evidence.absent().items() if kind not in gone}
    for kind in whole.evidence.records.keys() - gone - {"kubernetes_permission"}:
        assert found.ids(kind) == whole.evidence.ids(kind), kind
    results = judged(found)
    assert list(worse(whole.judged, results, gone | gapped(found))) == []
    unaffected = {check for check in results.checks if not reads()[check] & gapped(found)}
    assert {results.findings[key] for key in results.findings if key[0] in unaffected} >= {"pass", "fail"}


# The least that an account can have.


def test_an_account_that_may_list_pods_in_one_namespace_gives_gaps_and_no_pass(
    seeded_cluster: Any, collecting: Collecting, judged: Callable[..., Any]
) -> None:
    settings = {"kubeconfig": str(seeded_cluster.kubeconfig), "contexts": ["limited"]}
    found = collecting(namespaces=["limited"], **settings)
    assert found.complete
    outcomes = {(call.op, call.outcome) for call in found.calls if call.op not in DISCOVERY}
    assert [op for op, outcome in outcomes if outcome is Outcome.OK] == ["kubernetes:pods"]
    assert {outcome for _, outcome in outcomes} == {Outcome.OK, Outcome.DENIED}
    silent = {"kubernetes_pod", "kubernetes_image", "kubernetes_component", "kubernetes_cluster"}
    planned = {kind for planned in found.plan.tasks for kind in planned.task.kinds}
    assert {gap["kind"] for gap in found.gaps} == planned - silent
    scopes = {gap["scope"].get("namespace", "") for gap in found.gaps if gap["kind"] == "kubernetes_service"}
    assert scopes == {"limited"}
    results = judged(found)
    served = {check for check in results.checks if reads()[check] - found.absent().keys()}
    passed = {check for check in served for result in results.of(check).values() if result == "pass"}
    assert passed <= {check for check in served if reads()[check] <= silent}


def test_without_the_namespace_the_same_account_sees_nothing_and_nothing_passes(
    seeded_cluster: Any, collecting: Collecting, judged: Callable[..., Any]
) -> None:
    found = collecting(kubeconfig=str(seeded_cluster.kubeconfig), contexts=["limited"])
    assert found.records.keys() == {"kubernetes_cluster"}
    results = judged(found)
    passed = {check for (check, _), result in results.findings.items() if result == "pass"}
    assert {kind for check in passed for kind in reads()[check]} <= {"kubernetes_cluster"}


def test_of_several_namespaces_those_that_are_granted_are_read(
    seeded_cluster: Any, collecting: Collecting
) -> None:
    found = collecting(
        kubeconfig=str(seeded_cluster.kubeconfig), contexts=["limited"], namespaces=["lab", "limited"]
    )
    gaps = [gap for gap in found.gaps if gap["kind"] == "kubernetes_pod"]
    assert [gap["scope"]["namespace"] for gap in gaps] == ["lab"]
    assert [gap["reason"] for gap in gaps] == ["denied"]
