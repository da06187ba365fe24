"""A list that the server forgets while it is being read is never made of two moments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from collector.model import Json, Outcome, Reply, Target
from collector_kubernetes import transport
from collector_kubernetes.source import Kubernetes

MAPS, ACCOUNTS = "kubernetes:configmaps", "kubernetes:serviceaccounts"
OBJECTS = 8


class Dawdling(Kubernetes):
    """Takes so long between pages that the server has forgotten the list; a list's n-th second page waits
    as often as `times` says. What changes in the meantime is the caller's."""

    times: ClassVar[dict[str, int]] = {}
    between: ClassVar[Callable[[str, str], None]]
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:
        if "continue" in params:
            with self._lock:
                waits = self.times.get(op, 0) > 0
                self.times[op] = self.times.get(op, 0) - 1
            if waits:
                type(self).between(op, params["continue"])
        return super().send(target, op, params, timeout)


@pytest.fixture(scope="module")
def found(compacting_cluster: Any, collecting: Callable[..., Any]) -> Any:
    """Config maps expire once, service accounts each time; what is there changes after each first page."""
    admin = compacting_cluster.admin
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "expired"}})
    paths = {MAPS: "/api/v1/namespaces/expired/configmaps"}
    paths[ACCOUNTS] = paths[MAPS].replace("configmaps", "serviceaccounts")

    def make(op: str, name: str) -> None:
        kind = "ConfigMap" if op == MAPS else "ServiceAccount"
        meta = {"name": name, "namespace": "expired"}
        admin.create({"apiVersion": "v1", "kind": kind, "metadata": meta})

    for number in range(OBJECTS):
        make(MAPS, f"a{number}")
        make(ACCOUNTS, f"a{number}")
    changes = iter(range(100))

    def between(op: str, token: str) -> None:
        """The first and the last object go, a new one comes, and time passes until the server forgets."""
        change = next(changes)
        if change < 2:
            for name in ("a0", f"a{OBJECTS - 1}"):
                admin.delete(f"{paths[op]}/{name}")
        make(op, f"b{change}")
        until = time.monotonic() + 40
        while time.monotonic() < until:  # the past goes when something has happened since
            admin.patch(f"{paths[op]}/a1", {"metadata": {"labels": {"at": str(int(time.monotonic()))}}})
            try:
                admin.get(paths[op], limit=1, **{"continue": token})
            except Exception as error:  # noqa: BLE001 - its module is not to be imported
                assert "410" in str(error)
                return
            time.sleep(0.5)
        raise AssertionError("the server forgot nothing")

    Dawdling.times, Dawdling.between = {MAPS: 1, ACCOUNTS: 2}, staticmethod(between)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "_SIZES", (3,))
        return collecting(
            source=Dawdling,
            kubeconfig=str(compacting_cluster.kubeconfig),
            namespaces=["expired"],
        )


def test_a_list_that_expired_once_is_read_again_whole(found: Any) -> None:
    names = {each.rpartition("/")[2] for each in found.ids("kubernetes_config_map")}
    assert names >= {f"a{number}" for number in range(1, OBJECTS - 1)}
    assert names.isdisjoint({"a0", f"a{OBJECTS - 1}"})  # one was on the first page of the first moment
    assert {name for name in names if name.startswith("b")}
    assert found.reasons("kubernetes_config_map") == set()


def test_the_ledger_says_why_it_was_begun_again_and_holds_the_second_reading_alone(found: Any) -> None:
    calls = found.asked(MAPS)
    assert [call.page for call in calls] == list(range(1, len(calls) + 1))
    assert {call.outcome for call in calls} == {Outcome.OK}
    assert calls[0].detail.startswith("begun again: kubernetes:configmaps, page 2: 410")
    assert sum(call.items for call in calls) == len(found.ids("kubernetes_config_map"))


def test_a_list_that_expired_twice_is_a_gap_and_holds_one_moment(found: Any) -> None:
    assert found.reasons("kubernetes_service_account") == {"truncated"}
    calls = found.asked(ACCOUNTS)
    assert [(call.page, call.outcome) for call in calls] == [(1, Outcome.OK), (2, Outcome.TRUNCATED)]
    names = {each.rpartition("/")[2] for each in found.ids("kubernetes_service_account")}
    assert names == {"a1", "a2", "a3"}  # the first page of the second moment, and nothing of the first


def test_what_did_not_expire_is_not_touched(found: Any) -> None:
    gapped = {gap["kind"] for gap in found.gaps} - {"kubernetes_secret", "kubernetes_kubelet"}
    assert gapped == {"kubernetes_service_account"}
