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
`compacting_cluster` forgets its past every second: a continue token of a list is 410 within about 3 s.
`seeds` is the module of that name: seed_good(create), seed_bad(create), objects("good" or "bad"), KUBELETS,
    its planted secrets CANARIES (place → value), and forms(value), in none of which a value may be found.
`recorded(minor)` starts a stand-in for 1.`minor`, 20 to 34: add(obj …), own[path], kubeconfig(),
    serve(version, name, kind), withdraw(version); see `recorded.py`.
`between(cluster, …)` starts a server in front of a real one. Both take faults, as in
    `server.faults[path] = faults.gone()`, or a list of one for each request, and keep what they were `asked`;
    see `answers.py`, which is `faults`.
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
    return another_cluster("--etcd-compaction-interval=1s")


@pytest.fixture(scope="session")
def kubeconfig() -> Callable[..., Path]:
    written: Callable[..., Path] = loaded("cluster").kubeconfig
    return written


@pytest.fixture(scope="session")
def cluster_api() -> Any:
    """The module of the client: `Client(url, authority, token=…)`, `ApiError`."""
    return loaded("api")


@pytest.fixture(scope="session")
def certificate_of() -> Callable[[Path], tuple[Path, Path]]:
    """Certificate and key of an account's kubeconfig."""

    def read(file: Path) -> tuple[Path, Path]:
        (user,) = json.loads(file.read_text())["users"]
        return Path(user["user"]["client-certificate"]), Path(user["user"]["client-key"])

    return read


@pytest.fixture
def own(cluster: Any, certificate_of: Callable[[Path], tuple[Path, Path]]) -> Callable[[Path], Any]:
    """A client with the credentials of an account's kubeconfig; close it."""
    return lambda file: cluster.own(certificate_of(file))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return loaded("runs").Runs(tmp_path_factory.mktemp("runs"))


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


@pytest.fixture(scope="session")
def faults() -> Any:
    """What a server can be told to answer: denied(), throttled(), gone(), broken(), torn(), slow() …"""
    return loaded("answers")


@pytest.fixture
def recorded() -> Iterator[Callable[..., Any]]:
    with contextlib.ExitStack() as running:
        yield lambda *args, **more: running.enter_context(loaded("recorded").Recorded(*args, **more))


@pytest.fixture
def between() -> Iterator[Callable[..., Any]]:
    with contextlib.ExitStack() as running:
        yield lambda *args, **more: running.enter_context(loaded("between").Between(*args, **more))
