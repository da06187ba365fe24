"""The manifest in the documentation: a real server takes it, and its agent passes its own checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector import config, plugins
from collector.assess import exceptions
from collector.model import Outcome
from collector_kubernetes import clusters
from collector_kubernetes.source import Kubernetes

Collecting = Callable[..., Any]

FILE = Path(__file__).resolve().parents[2] / "docs" / "kubernetes" / "agent.yaml"
SPACE = "evidence-collector"
NOT_OURS = ("kubernetes-image", "kubernetes-container-image", "kubernetes-workload-own-users")
"""Beginnings of checks that depend on the image that the reader puts there, and on nodes newer than most."""


def objects() -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in yaml.safe_load_all(FILE.read_text("utf-8"))}


def as_served(obj: dict[str, Any], cluster: Any) -> dict[str, Any]:
    old = obj["kind"] == "CronJob" and cluster.version < (1, 21)
    return obj | ({"apiVersion": "batch/v1beta1"} if old else {})


@pytest.fixture(scope="module")
def applied(cluster: Any) -> Iterator[Any]:
    namespace, *others = (as_served(obj, cluster) for obj in objects().values())
    for obj in (namespace, *others):
        cluster.admin.apply(obj)
    yield cluster
    for obj in others:  # no controller empties a namespace that is deleted
        cluster.admin.delete(cluster.admin.path(obj, name=True))


def test_a_server_takes_it_in_a_dry_run(cluster: Any) -> None:
    namespace, *others = objects().values()
    cluster.admin.apply(namespace)
    for obj in (as_served(each, cluster) for each in others):
        cluster.admin.request("POST", cluster.admin.path(obj), obj, dryRun="All", fieldManager="kubectl")


def test_its_role_is_the_one_that_is_printed() -> None:
    usual = next(iter(yaml.safe_load_all(Kubernetes.permissions(Kubernetes.kinds))))
    assert objects()["ClusterRole"] == usual


def test_its_configuration_and_exceptions_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name, text in objects()["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    found = config.load(tmp_path / "collector.toml", plugins.load())
    assert [entry.use for entry in found.sources] == ["kubernetes"]
    assert [entry.use for entry in found.sinks] == ["s3"]
    accepted = exceptions.load(found.exceptions)["accepted_gaps"]
    assert {gap["kind"] for gap in accepted} == {"kubernetes_secret", "kubernetes_kubelet"}


def test_its_own_workload_fails_no_check(
    applied: Any, collecting: Collecting, judged: Callable[..., Any]
) -> None:
    found = collecting(kubeconfig=str(applied.kubeconfig), namespaces=[SPACE])
    assert f"CronJob/{SPACE}/{SPACE}" in found.ids("kubernetes_workload")
    assert found.ids("kubernetes_container") == {
        f"CronJob/{SPACE}/{SPACE}/{name}" for name in ("init", "collector")
    }
    results = judged(found)
    own = {
        (check, subject): result
        for (check, subject), result in results.findings.items()
        if subject.startswith(f"CronJob/{SPACE}/")
    }
    assert len({check for check, _ in own}) > 20
    failed = {key for key, result in own.items() if result == "fail"}
    assert {key for key in failed if not key[0].startswith(NOT_OURS)} == set()


def test_its_account_logs_in_from_within_and_is_denied_nothing(
    applied: Any, collecting: Collecting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from kubernetes.config import incluster_config

    (tmp_path / "token").write_text(applied.service_account_token(SPACE, SPACE))
    (tmp_path / "ca.crt").write_bytes(applied.authority.read_bytes())
    host, _, port = applied.url.removeprefix("https://").partition(":")
    for name, value in {"HOST": host, "PORT": port}.items():
        monkeypatch.setenv(f"KUBERNETES_SERVICE_{name}", value)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(clusters, "_ACCOUNT", tmp_path / "token")
    found = collecting()
    assert found.complete
    assert {call.outcome for call in found.calls} == {Outcome.OK}
    asking = {call.principal for call in found.calls if call.principal}
    assert asking == {f"system:serviceaccount:{SPACE}:{SPACE}"}


def test_the_token_is_mounted_where_the_client_looks_for_it() -> None:
    from kubernetes.config import incluster_config

    spec = objects()["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (collector,) = spec["containers"]
    mount = next(each for each in collector["volumeMounts"] if each["name"] == "account")
    volume = next(each for each in spec["volumes"] if each["name"] == "account")
    paths = {
        f"{mount['mountPath']}/{path}"
        for source in volume["projected"]["sources"]
        for told in source.values()
        for path in [told.get("path"), *(item["path"] for item in told.get("items", ()))]
        if path
    }
    assert {incluster_config.SERVICE_TOKEN_FILENAME, incluster_config.SERVICE_CERT_FILENAME} <= paths
