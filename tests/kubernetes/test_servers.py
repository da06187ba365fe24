"""The test servers themselves: what tests of the source rest on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}


def test_an_account_has_its_rights_at_once_and_no_other(cluster: Any, own: Callable[[Path], Any]) -> None:
    with own(cluster.account("reader", [PODS])) as client:
        assert client.get("/api/v1/pods")["kind"] == "PodList"
        assert client.get("/apis")["kind"] == "APIGroupList"
        for path in ("/api/v1/secrets", "/api/v1/nodes", "/apis/apps/v1/deployments"):
            with pytest.raises(Exception, match=r"403: .* is forbidden"):
                client.get(path)


def test_an_account_of_some_namespaces_is_refused_in_the_others(
    cluster: Any, own: Callable[[Path], Any]
) -> None:
    with own(cluster.account("partial", [PODS], ["here", "there"])) as client:
        for namespace in ("here", "there"):
            assert client.get(f"/api/v1/namespaces/{namespace}/pods")["kind"] == "PodList"
        for path in ("/api/v1/pods", "/api/v1/namespaces/default/pods"):
            with pytest.raises(Exception, match="403"):
                client.get(path)


def test_the_same_name_twice_gives_accounts_with_rights_of_their_own(
    cluster: Any, own: Callable[[Path], Any]
) -> None:
    first = cluster.account("again", [PODS])
    with own(cluster.account("again", [])) as client, pytest.raises(Exception, match="403"):
        client.get("/api/v1/pods")
    with own(first) as client:
        assert client.get("/api/v1/pods")["kind"] == "PodList"


def test_the_limited_context_lists_pods_of_its_namespace_only(cluster: Any) -> None:
    contexts = json.loads(cluster.kubeconfig.read_text())
    token = next(user["user"]["token"] for user in contexts["users"] if user["name"] == "limited")
    with cluster.client(token=token) as client:
        assert client.get("/api/v1/namespaces/limited/pods")["kind"] == "PodList"
        with pytest.raises(Exception, match="403"):
            client.get("/api/v1/pods")


def test_a_kubelet_answers_through_the_node_proxy_and_an_unknown_one_does_not(cluster: Any) -> None:
    for name, address in (("proxied", "10.99.1.1"), ("lost", "10.99.1.2")):
        status = {
            "addresses": [{"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        }
        cluster.admin.create(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}
        )
    cluster.kubelets.configured["10.99.1.1"] = {"readOnlyPort": 10255}
    told = cluster.admin.get("/api/v1/nodes/proxied/proxy/configz")
    assert told == {"kubeletconfig": {"readOnlyPort": 10255}}
    with pytest.raises(Exception, match="error trying to reach service"):
        cluster.admin.get("/api/v1/nodes/lost/proxy/configz")


def test_status_and_ephemeral_containers_are_as_given(cluster: Any) -> None:
    spec = {
        "containers": [{"name": "a", "image": "b"}],
        "ephemeralContainers": [{"name": "debugger", "image": "c"}],
    }
    meta = {"name": "with-everything"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Running"}}
    cluster.admin.create(pod)
    told = cluster.admin.get("/api/v1/namespaces/default/pods/with-everything")
    assert told["spec"]["ephemeralContainers"][0]["image"] == "c"
    assert told["status"]["phase"] == "Running"


def test_a_token_of_a_service_account_is_known_to_the_server(cluster: Any) -> None:
    cluster.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    with (
        cluster.client(token=cluster.service_account_token("default", "robot")) as client,
        pytest.raises(Exception, match=r'403: .*"system:serviceaccount:default:robot"'),
    ):
        client.get("/api/v1/pods")


def test_the_audit_log_tells_what_a_user_asked(cluster: Any, own: Callable[[Path], Any]) -> None:
    with own(cluster.account("watched", [PODS])) as client:
        client.get("/api/v1/pods", limit=7)
    (seen,) = [event for event in cluster.asked("watched-") if event["verb"] == "list"]
    assert seen["requestURI"] == "/api/v1/pods?limit=7"
    assert seen["responseStatus"]["code"] == 200


def test_a_compacting_server_forgets_a_list_that_was_begun(compacting_cluster: Any) -> None:
    admin = compacting_cluster.admin
    for number in range(3):
        admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{number}"}})
    token = admin.get("/api/v1/configmaps", limit=1)["metadata"]["continue"]
    until = time.monotonic() + 60
    with pytest.raises(Exception, match="410"):
        while time.monotonic() < until:  # the past goes when something has happened since
            admin.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m0"}, "data": {}})
            admin.get("/api/v1/configmaps", limit=1, **{"continue": token})
            time.sleep(0.5)


def test_servers_die_with_a_process_that_is_killed(cluster: Any) -> None:
    process = subprocess.Popen([sys.executable, HERE / "cluster.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout as out:
        file = Path(out.readline().strip())
        server = json.loads(file.read_text())["clusters"][0]["cluster"]["server"]
        process.send_signal(signal.SIGKILL)
        process.wait()
    port = f"--secure-port={server.rpartition(':')[2]}"
    until = time.monotonic() + 60
    while _running(port):
        assert time.monotonic() < until, "the server outlived the process that started it"
        time.sleep(0.05)
    for left in sorted(file.parent.rglob("*"), reverse=True):
        left.rmdir() if left.is_dir() else left.unlink()
    file.parent.rmdir()


def _running(argument: str) -> bool:
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if argument.encode() in each.read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": "", "KUBEBUILDER_ASSETS": "", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, HERE / "cluster.py"], env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "etcd is not there: tests/setup installs it\n"


def test_a_build_that_is_under_way_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache/evidence-collector-tests/kube-v1.20.2"
    folder.mkdir(parents=True)
    builds = f"echo begun; sleep 1; cp /bin/true {folder}/kube-apiserver"
    with subprocess.Popen(["flock", folder / "lock", "sh", "-c", builds], stdout=subprocess.PIPE) as building:
        assert building.stdout and building.stdout.readline()
        assert _program(tmp_path, monkeypatch) == str(folder / "kube-apiserver")


def test_a_build_that_failed_is_told_of_by_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache/evidence-collector-tests/kube-v1.20.2"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "build.log").write_text("one\ntwo\nthree\nno space left\n")
    assert _program(tmp_path, monkeypatch).endswith("tests/setup builds it / two / three / no space left")


def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a process that has only a cache finds kube-apiserver, or why it does not."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/etcd").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asks = "import programs; print(programs.programs()[1])"
    done = subprocess.run([sys.executable, "-c", asks], cwd=HERE, capture_output=True, text=True)
    return (done.stdout or done.stderr).strip()
