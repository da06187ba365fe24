"""A real kube-apiserver for tests of the Kubernetes source.

    def test_a_denied_list_is_a_gap(cluster):
        cluster.admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {…}})
        file = cluster.account("reader", [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
        … collect with kubeconfig=str(file), context "reader" …

`cluster` is one server for all tests of a session; make namespaces and names of your own there. Of it:
    kubeconfig      a file with the contexts `admin` (current) and `limited` (lists pods of `limited`)
    admin           get, create, apply, replace, patch, delete, items (all pages), request; errors: `ApiError`
                    create(obj) finds the path from apiVersion and kind, and writes `status` and ephemeral
                    containers too, so objects of any state can be had without controllers
    account(name, rules, namespaces=None, groups=()) → kubeconfig of a new user with exactly these rights
    client(token=…, certificate=…) → as `admin`, for another user; without either, anonymous
    service_account_token(namespace, name) → a real one, as a pod holds it
    kubelets.configured[address] = {…} → what `/configz` of the node with this InternalIP gives through the
                    server's node proxy; a function of the path gives (status, body); not there: unreachable
    asked(user="") → the server's own audit events: `verb`, `objectRef`, `requestURI`, `responseStatus`
    url, authority, version, close()
`another_cluster(*flags)` starts one more, empty, for what changes the whole server (4 s; 300 MB).
`seeded_cluster` is another that `seeds.py` has filled: read it, change nothing.
`compacting_cluster` forgets its past every 5 s: a continue token of a list is 410 within about 8 s.
`seeds` is the module of that name: seed_good(create), seed_bad(create), objects("good" or "bad"), KUBELETS,
    its planted secrets CANARIES (place → value), and forms(value), in none of which a value may be found.
`kubeconfig(file, contexts)` writes such a file: see `cluster.kubeconfig`.
`collecting(kubeconfig=str(file), contexts=["admin"], …)` collects with the settings of a `[[source]]` table:
    `Evidence` has records by kind, gaps, calls, plan, folder; see `runs.py`.
`judged(evidence)` runs the checks over it and gives `Judged`: findings by (check, subject), `of(check)`.

Tests that use any of them run on one worker of xdist, and share its servers. Where the programs are missing
they are skipped and say why; under CI (the variable `CI` is set) they fail instead.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SERVERS = {"another_cluster", "cluster", "compacting_cluster", "seeded_cluster"}


def loaded(name: str) -> Any:
    """A module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(f"kubernetes_{name}", HERE / f"{name}.py")
    assert spec and spec.loader
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("kubernetes"))


@pytest.fixture(scope="session")
def another_cluster() -> Iterator[Callable[..., Any]]:
    """Starts a server; those that are not closed before end with the session."""
    with contextlib.ExitStack() as running:

        def start(*flags: str) -> Any:
            try:
                return running.enter_context(loaded("cluster").Cluster(*flags))
            except loaded("programs").AbsentError as absent:
                if os.environ.get("CI"):
                    raise
                pytest.skip(str(absent))

        yield start


@pytest.fixture(scope="session")
def cluster(another_cluster: Callable[..., Any]) -> Any:
    return another_cluster()


@pytest.fixture(scope="session")
def seeds() -> Any:
    return loaded("seeds")


@pytest.fixture(scope="session")
def seeded_cluster(another_cluster: Callable[..., Any], seeds: Any) -> Any:
    made = another_cluster()
    seeds.seed_good(made.admin.create)
    seeds.seed_bad(made.admin.apply)
    made.kubelets.configured.update(seeds.KUBELETS)
    return made


@pytest.fixture(scope="session")
def compacting_cluster(another_cluster: Callable[..., Any]) -> Any:
    return another_cluster("--etcd-compaction-interval=5s")


@pytest.fixture(scope="session")
def kubeconfig() -> Callable[..., Path]:
    written: Callable[..., Path] = loaded("cluster").kubeconfig
    return written


@pytest.fixture
def own(cluster: Any) -> Callable[[Path], Any]:
    """A client with the credentials of an account's kubeconfig; close it."""

    def made(file: Path) -> Any:
        (user,) = json.loads(file.read_text())["users"]
        return cluster.own((Path(user["user"]["client-certificate"]), Path(user["user"]["client-key"])))

    return made


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with contextlib.closing(loaded("runs").Runs(tmp_path_factory.mktemp("runs"))) as made:
        yield made


@pytest.fixture(scope="session")
def collecting(runs: Any) -> Callable[..., Any]:
    """Collect with the settings of a `[[source]]` table."""
    collect: Callable[..., Any] = runs.collect
    return collect


@pytest.fixture(scope="session")
def judged(runs: Any) -> Callable[..., Any]:
    """Run the checks over what was collected."""
    judge: Callable[..., Any] = runs.judge
    return judge
