"""No secret of a cluster stays: whole runs of the command over planted ones, and everything they leave."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_kubernetes import objects, transport
from collector_kubernetes.clusters import Clusters

Collecting = Callable[..., Any]

COLLECTOR = str(Path(sys.executable).parent / "collector")
GAPS = "".join(
    f"""
[[accepted_gap]]
kind = "{kind}"
gap = ["off"]
owner = "platform"
approver = "audit"
reason = "the right to read it opens more than the audit needs"
until = 2027-11-24
"""
    for kind in ("kubernetes_secret", "kubernetes_kubelet")
)


@dataclass(frozen=True)
class Run:
    """What a run of the command left: files by name, unpacked, and what it said."""

    code: int
    files: dict[str, bytes]

    def lines(self, part: str) -> Iterator[dict[str, Any]]:
        for name, data in self.files.items():
            if f":{part}" in name:
                yield from map(json.loads, data.splitlines())

    def records(self, kind: str) -> list[dict[str, Any]]:
        found = (line.get("record", {}) for line in self.lines("segments/"))
        return [record for record in found if record.get("kind") == kind]

    def gaps(self, kind: str) -> list[dict[str, Any]]:
        found = (line.get("gap", {}) for line in self.lines("segments/"))
        return [gap for gap in found if gap.get("kind") == kind]


def kept(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    data = archive.read(name)
                    yield f"{path.name}:{name}", gzip.decompress(data) if name.endswith(".gz") else data


def ran(cluster: Any, folder: Path, settings: str) -> Run:
    (folder / "exceptions.toml").write_text(GAPS)
    (folder / "collector.toml").write_text(
        'series = "secrets"\nexceptions = "exceptions.toml"\n\n[[source]]\nuse = "kubernetes"\n'
        f'kubeconfig = "{cluster.kubeconfig}"\n{settings}\n'
    )
    environment = {
        **os.environ,
        "COLLECTOR_CONFIG_DIR": str(folder / "config"),
        "COLLECTOR_STATE": str(folder / "state"),
        "TMPDIR": str(folder),
    }
    files: dict[str, bytes] = {}
    code = 0
    for name, command in {
        "init": ["init", "--quiet"],
        "plan": ["plan", "--discover"],
        "run": ["run", "--output", "json"],
    }.items():
        done = subprocess.run(
            [COLLECTOR, *command], cwd=folder, env=environment, capture_output=True, timeout=300, check=False
        )
        files |= {f"{name} said": done.stdout, f"{name} logged": done.stderr}
        code = done.returncode
    assert code in (0, 3), files["run logged"].decode()[-2000:]
    return Run(code, files | dict(kept(folder)))


@pytest.fixture(scope="module")
def keys(seeded_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("keys")
    return ran(seeded_cluster, folder, 'secrets = "keys"\nkubelet = true')


@pytest.fixture(scope="module")
def usual(seeded_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return ran(seeded_cluster, tmp_path_factory.mktemp("usual"), "")


def found_in(run: Run, value: str) -> list[str]:
    return sorted(name for name, data in run.files.items() if value.encode() in data)


def test_no_planted_secret_is_in_anything_that_a_run_leaves(keys: Run, seeds: Any) -> None:
    leaks = {
        place: where
        for place, value in seeds.CANARIES.items()
        for form in (value, *seeds.forms(value))
        if (where := found_in(keys, form))
    }
    assert len(seeds.CANARIES) > 50
    assert leaks == {}


def test_what_was_looked_through_was_there(keys: Run) -> None:
    """Else nothing found would mean nothing."""
    names = {record["id"] for record in keys.records("kubernetes_secret")}
    assert {"Secret/lab/plain", "Secret/lab/ssh", "Secret/kube-system/bootstrap-token-abcdef"} <= names
    assert found_in(keys, "Deployment/lab/applied")
    assert found_in(keys, "ConfigMap/lab/plain")
    assert any(name.endswith("ledger.jsonl.gz") for name in keys.files)


def test_of_a_secret_the_names_of_its_keys_are_kept(keys: Run) -> None:
    data = {record["id"]: record["data"] for record in keys.records("kubernetes_secret")}
    assert data["Secret/lab/plain"]["data"] == ["empty", "key", "password"]
    assert data["Secret/lab/plain"]["type"] == "Opaque"
    assert data["Secret/lab/ssh"]["type"] == "kubernetes.io/ssh-auth"
    assert data["Secret/lab/plain"]["created"]


def test_secrets_are_not_asked_for_unless_the_configuration_says_so(usual: Run, seeded_cluster: Any) -> None:
    (gap,) = usual.gaps("kubernetes_secret")
    assert gap["reason"] == "off"
    assert usual.records("kubernetes_secret") == []
    assert not [call for call in usual.lines("ledger") if call.get("op") == "kubernetes:secrets"]


def test_what_is_off_can_be_accepted_by_an_exception(usual: Run) -> None:
    assert usual.code == 0, usual.files["run said"].decode()
    gapped = {line["gap"]["kind"] for line in usual.lines("segments/") if "gap" in line}
    assert gapped == {"kubernetes_secret", "kubernetes_kubelet"}


def test_metadata_of_secrets_comes_without_their_values(
    seeded_cluster: Any, collecting: Collecting, monkeypatch: pytest.MonkeyPatch, seeds: Any
) -> None:
    crossed: list[Any] = []
    trim = objects.trimmed

    def watched(item: Any, values: bool = True) -> Any:
        crossed.extend([] if values else [json.loads(json.dumps(item))])
        return trim(item, values)

    monkeypatch.setattr(transport, "trimmed", watched)
    found = collecting(kubeconfig=str(seeded_cluster.kubeconfig), secrets="metadata")
    there = list(seeded_cluster.admin.items("/api/v1/secrets"))
    assert len(crossed) == len(there) == len(found.records["kubernetes_secret"])
    for item in crossed:  # what came over the wire, before anything was taken off it
        assert item.keys() <= {"metadata", "kind", "apiVersion"}
    for record in found.records["kubernetes_secret"]:
        assert {gap["column"]: gap["reason"] for gap in record["gaps"]} == dict.fromkeys(
            ("type", "data", "immutable"), "off"
        )
        assert not record["data"].keys() & {"type", "data"}
    texts = [path.read_bytes() for path in found.folder.rglob("*.gz")]
    values = {place: value for place, value in seeds.CANARIES.items() if ".secret" in place}
    assert values
    for value in values.values():
        for form in (value, *seeds.forms(value)):
            assert not any(form.encode() in gzip.decompress(text) for text in texts)


def test_what_is_kept_of_a_secret_is_the_same_whatever_its_values_are(
    recorded: Callable[..., Any],
) -> None:
    """So no digest of them is in the ledger, keyed or not."""
    replies = []
    for value in ("Zmlyc3Q=", "c2Vjb25k"):
        server = recorded(34)
        annotations = {"copied": f"it is {value}", "kapp.k14s.io/original": f'{{"data": {{"k": "{value}"}}}}'}
        metadata = {"name": "a", "annotations": {**annotations, "kubernetes.io/x.name": "robot"}}
        server.add({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"k": value}})
        connection = Clusters(str(server.kubeconfig()), (), False).connection("recorded")
        params = {"version": "v1", "secrets": "keys"}
        replies.append(transport.send(connection, "kubernetes:secrets", params, 10).data)
    assert replies[0] == replies[1]
    (item,) = replies[0]["items"]
    assert item["data"] == ["k"]
    assert item["metadata"]["annotations"]["kubernetes.io/x.name"] == "robot"
    assert "copied" in item["metadata"]["annotations"]  # that it is there is no secret


MARK = "qv8WcXnT2rYp"
MARKED = st.one_of(st.none(), st.builds(lambda text: f"{text}{MARK}{text}", st.text(max_size=8)))
ANNOTATIONS = st.dictionaries(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            [
                "kubectl.kubernetes.io/last-applied-configuration",
                "kapp.k14s.io/original",
                "evil-kubernetes.io.example/x",
                "notkubernetes.io/x",
            ]
        ),
    ),
    MARKED,
    max_size=4,
)


@given(
    data=st.one_of(
        st.none(), MARKED, st.dictionaries(st.text(max_size=8), MARKED, max_size=4), st.lists(MARKED)
    ),
    annotations=st.one_of(st.none(), ANNOTATIONS),
)
def test_whatever_a_secret_holds_no_value_outlives_the_reading_of_its_page(
    data: Any, annotations: Any
) -> None:
    item = {"metadata": {"name": "a", "annotations": annotations}, "data": data, "stringData": data}
    assert MARK not in json.dumps(objects.trimmed(item, values=False))


def test_where_a_secret_was_seen_is_still_told(keys: Run) -> None:
    """Checks for secrets in plain sight read what was redacted."""
    redacted = {
        (record["kind"], record["id"])
        for line in keys.lines("segments/")
        if (record := line.get("record", {})).get("redactions")
    }
    assert ("kubernetes_config_map", "ConfigMap/lab/plain") in redacted
    assert ("kubernetes_config_map", "ConfigMap/lab/applied") in redacted
    assert ("kubernetes_workload", "Deployment/lab/applied") in redacted


def test_which_secrets_a_template_uses_is_kept(recorded: Callable[..., Any], collecting: Collecting) -> None:
    spec = {
        "containers": [
            {
                "name": "web",
                "image": "web:1",
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "app-db", "key": "password"}}}],
                "envFrom": [{"secretRef": {"name": "app-env"}}],
            }
        ],
        "imagePullSecrets": [{"name": "app-registry"}],
        "volumes": [
            {"name": "a", "secret": {"secretName": "app-tls", "items": [{"key": "key.pem", "path": "pem"}]}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "app-other"}}]}},
            {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"audience": "vault-1"}}]}},
            {"name": "d", "csi": {"driver": "d", "volumeAttributes": {"secretProviderClass": "app-class"}}},
            {"name": "e", "azureFile": {"secretName": "app-azure", "secretNamespace": "storage"}},
        ],
    }
    server = recorded(34)
    template = {"metadata": {}, "spec": spec}
    server.add(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"template": template},
        }
    )
    found = collecting(kubeconfig=str(server.kubeconfig()))
    (workload,) = found.records["kubernetes_workload"]
    assert workload["redactions"] == []
    assert workload["data"]["template"]["spec"] == spec
    assert workload["data"]["secret_volumes"] == ["app-other", "app-tls"]


def test_what_policies_of_networks_and_gateways_are_told_does_not_stay(
    recorded: Callable[..., Any], collecting: Collecting
) -> None:
    header, matched, query = "Zq7-headerP4ss", "Zq7-matchedP4ss", "Zq7-queryP4ss"
    option = "Zq7-optionP4ss"
    http = {"headers": [f"X-Key: {header}"], "headerMatches": [{"name": "X-Key", "value": matched}]}
    rule = {"toPorts": [{"rules": {"http": [http]}}]}
    server = recorded(34)
    server.serve("cilium.io/v2", "ciliumnetworkpolicies", "CiliumNetworkPolicy")
    server.serve("crd.projectcalico.org/v1", "networkpolicies", "NetworkPolicy")
    meta = {"name": "web", "namespace": "shop"}
    cilium = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": meta}
    server.add({**cilium, "spec": {"ingress": [rule]}, "specs": [{"ingress": [rule]}]})
    calico = {"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "metadata": meta}
    server.add({**calico, "spec": {"ingress": [{"http": {"paths": [{"exact": f"/?token={query}"}]}}]}})
    server.serve("gateway.networking.k8s.io/v1", "gateways", "Gateway")
    gateway = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": meta}
    server.add({**gateway, "spec": {"listeners": [{"tls": {"options": {"example.com/password": option}}}]}})
    found = collecting(kubeconfig=str(server.kubeconfig()))
    assert found.ids("kubernetes_gateway") == {"Gateway/shop/web"}
    assert found.ids("kubernetes_cilium_network_policy") == {"CiliumNetworkPolicy/shop/web"}
    assert found.ids("kubernetes_calico_network_policy") == {"NetworkPolicy/shop/web"}
    told = b"".join(gzip.decompress(path.read_bytes()) for path in found.folder.rglob("*.gz"))
    assert [value for value in (header, matched, query, option) if value.encode() in told] == []


def test_why_a_container_ended_is_kept_without_its_last_words(
    recorded: Callable[..., Any], collecting: Collecting
) -> None:
    server = recorded(34)
    ended = {"exitCode": 137, "reason": "Error", "message": "panic: refused Zq7-lastP4ss"}
    status = {"containerStatuses": [{"name": "a", "lastState": {"terminated": ended}, "state": {}}]}
    meta = {"name": "p", "namespace": "shop"}
    server.add({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}, "status": status})
    found = collecting(kubeconfig=str(server.kubeconfig()))
    (kept_of,) = found.data("kubernetes_pod", "Pod/shop/p")["containerStatuses"]
    assert kept_of["lastState"]["terminated"] == {**ended, "message": "[not kept]"}
