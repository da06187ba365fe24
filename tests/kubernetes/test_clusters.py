"""Which clusters are asked, as whom, and what is said where that does not work: without any secret."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from collector_kubernetes import clusters
from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.clusters import Clusters

Collecting = Callable[..., Any]

COLLECTOR = str(Path(sys.executable).parent / "collector")
SECRET = "qv8WcXnT2rYpLm5KdJh7"  # planted, to be found nowhere


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, with one `[[source]]` table."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "COLLECTOR_CONFIG_DIR": str(home / "config"),
        "COLLECTOR_STATE": str(home / "state"),
    }

    def ran(settings: str, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        table = f'series = "k"\ncall_timeout = "5s"\n[[source]]\nuse = "kubernetes"\n{settings}\n'
        (home / "collector.toml").write_text(table)
        done = None
        for each in (("init", "--quiet"), command or ("run", "--output", "json")):
            done = subprocess.run(
                [COLLECTOR, *each],
                cwd=home,
                env=environment | env,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert done is not None
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return ran


def kept(folder: Path) -> Iterator[bytes]:
    """Everything that runs left below a folder, unpacked."""
    import gzip

    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        yield path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    data = archive.read(name)
                    yield gzip.decompress(data) if name.endswith(".gz") else data


def dead() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"https://127.0.0.1:{free.getsockname()[1]}"


def credentials(cluster: Any, context: str = "admin") -> str:
    users = json.loads(cluster.kubeconfig.read_text())["users"]
    return str(next(user["user"]["token"] for user in users if user["name"] == context))


# Contexts.


def test_of_two_clusters_the_one_that_lives_is_read_and_the_exit_code_says_that_one_is_missing(
    cluster: Any, kubeconfig: Any, tmp_path: Path, run: Callable[..., Any]
) -> None:
    file = kubeconfig(
        tmp_path / "two",
        {
            "alive": {**cluster.server(), "token": credentials(cluster)},
            "dead": {"server": dead(), "authority": cluster.authority, "token": SECRET},
        },
    )
    done = run(f'kubeconfig = "{file}"\ncontexts = ["alive", "dead"]')
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert told["records"] > 100
    with zipfile.ZipFile(told["bundle"]) as archive:
        plan = json.loads(archive.read("plan.json"))
    assert {task["scope"]["cluster"] for task in plan["tasks"]} == {"alive"}
    assert plan["undiscovered"] == [{"scope": {}, "source": "kubernetes"}]
    for text in kept(tmp_path / "home"):
        assert SECRET.encode() not in text


def test_the_same_object_in_two_clusters_is_two_records(
    cluster: Any, kubeconfig: Any, tmp_path: Path, collecting: Collecting
) -> None:
    one = {**cluster.server(), "token": credentials(cluster)}
    file = kubeconfig(tmp_path / "twins", {"a": one, "b": one})
    found = collecting(kubeconfig=str(file), contexts=["a", "b"], name="here")
    scopes = [
        record["scope"]
        for record in found.records["kubernetes_namespace"]
        if record["id"] == "Namespace/default"
    ]
    assert scopes == [{"cluster": name, "name": "here"} for name in ("a", "b")]


def test_the_current_context_is_asked_where_none_is_named(cluster: Any, collecting: Collecting) -> None:
    found = collecting(kubeconfig=str(cluster.kubeconfig))
    assert {record["scope"]["cluster"] for record in found.records["kubernetes_namespace"]} == {"admin"}


def test_files_of_kubeconfig_are_put_together(
    cluster: Any, kubeconfig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collecting: Collecting
) -> None:
    good = {**cluster.server(), "token": credentials(cluster)}
    first = kubeconfig(tmp_path / "first", {"other": {"server": dead()}}, current="good")
    second = kubeconfig(tmp_path / "second", {"good": good})
    monkeypatch.setenv("KUBECONFIG", f"{first}{os.pathsep}{tmp_path / 'none'}{os.pathsep}{second}")
    script = (
        "import sys, urllib3; from collector_kubernetes.clusters import Clusters; "
        "made = Clusters('', (), False); print(*made.names()); "
        "connection = made.connection('good'); "
        "print(connection.pool.request('GET', connection.host + '/api/v1/namespaces', "
        "headers=connection.headers()).status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["good", "200"], done.stderr


# What cannot be used.

BROKEN = {
    "no file": (None, "there is no file"),
    "no YAML": (f"users:\n- name: a\n  user:\n    token: {SECRET}: [x\n", "it is no YAML"),
    "a tab": (f"users:\n\t- token: {SECRET}\n", "it is no YAML"),
    "bytes": (b"\xff\xfe\x00" + SECRET.encode(), "it is no text"),
    "empty": ("", "no lists of contexts"),
    "a list": (f"- {SECRET}\n", "no lists of contexts"),
    "a word": (f"{SECRET}\n", "no lists of contexts"),
    "contexts that are words": (f"contexts: [{SECRET}]\n", "no lists of contexts"),
    "contexts without names": (f"contexts: [{{context: {SECRET}}}]\n", "no lists of contexts"),
    "no current context": (
        f"contexts: []\nusers: [{{name: a, user: {{token: {SECRET}}}}}]\n",
        "current context",
    ),
}


@pytest.mark.parametrize("what", sorted(BROKEN))
def test_a_kubeconfig_that_cannot_be_used_is_told_in_one_line_without_what_it_holds(
    what: str, tmp_path: Path
) -> None:
    content, said = BROKEN[what]
    file = tmp_path / "config"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=said) as raised:
        Clusters(str(file), (), False).names()
    line = str(raised.value)
    assert len(line.splitlines()) == 1
    assert SECRET not in line
    assert str(file) in line or what == "no current context"


def test_the_command_says_what_is_wrong_with_a_kubeconfig_and_where_it_is_named(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    file = tmp_path / "config"
    file.write_text(str(BROKEN["no YAML"][0]))
    done = run(f'kubeconfig = "{file}"')
    assert done.returncode == 2
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("{"))
    assert line.startswith(f"collector: collector.toml:3: source kubernetes: kubeconfig: {file}, line 4: ")
    assert SECRET not in done.stderr + done.stdout


def test_a_context_that_is_not_there_is_named_with_those_that_are(cluster: Any) -> None:
    with pytest.raises(ValueError, match="'production'; it has admin, limited"):
        Clusters(str(cluster.kubeconfig), ("production",), False).names()


@pytest.mark.parametrize("name", ["../secrets", "Shop", "a" * 64, "shop\\n"])
def test_what_can_be_no_namespace_ends_a_run_before_anything_is_asked(
    name: str, cluster: Any, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run(f'kubeconfig = "{cluster.kubeconfig}"\nnamespaces = ["default", "{name}"]')
    assert done.returncode == 2
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("{"))
    assert line.startswith("collector: collector.toml:3: source kubernetes: namespaces: ")


def test_a_kubeconfig_is_read_once(cluster: Any, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(cluster.kubeconfig.read_text())
    clusters = Clusters(str(file), (), False)
    assert clusters.names() == ["admin"]
    file.write_text("a: b: c")
    assert clusters.names() == ["admin"]
    assert clusters.principal("admin") == Clusters(str(cluster.kubeconfig), (), False).principal("admin")


WRONG_USERS: dict[str, Any] = {
    "a wrong token": {"token": SECRET},
    "a token of two lines": {"token": f"{SECRET}\nX-Remote-User: admin"},
    "a token that is none": {"token": f"{SECRET} ü 漢"},
    "a wrong password": {"username": "admin", "password": SECRET},
    "a key that is none": {
        "client-certificate-data": base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode(),
        "client-key-data": base64.b64encode(SECRET.encode()).decode(),
    },
    "a key that is no base64": {"client-certificate-data": "%%%", "client-key-data": f"%{SECRET}%"},
    "a certificate that is gone": {
        "client-certificate": "/nonexistent/a",
        "client-key": f"/nonexistent/{SECRET}",
    },
    "a user that is a word": SECRET,
    "a token that is a map": {"token": {"a": SECRET}},
    "an auth provider that is gone": {"auth-provider": {"name": "gcp", "config": {"access-token": SECRET}}},
    "a program": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false"}},
    "an old program": {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/false"}}},
}


@pytest.mark.parametrize("what", sorted(WRONG_USERS))
def test_credentials_that_do_not_work_are_denied_without_being_shown(
    what: str, cluster: Any, kubeconfig: Any, tmp_path: Path, collecting: Collecting
) -> None:
    file = kubeconfig(tmp_path / "wrong", {"wrong": cluster.server()})
    told = json.loads(file.read_text())
    told["users"][0]["user"] = WRONG_USERS[what]
    file.write_text(json.dumps(told))
    found = collecting(kubeconfig=str(file))
    assert found.absent() == {}
    if what == "a wrong password":  # which this server does not look at, and nobody may ask for its version
        assert found.records.keys() <= {"kubernetes_cluster"}
        reasons = {name: found.reasons(name) for name in catalogue()}
        assert reasons.pop("kubernetes_secret") == {"off"}
        assert reasons.pop("kubernetes_gatekeeper_constraint") == {"failed"}  # nobody says how to ask for it
        assert set(map(frozenset, reasons.values())) == {frozenset({"denied"})}
    else:
        assert not found.complete
        assert found.records == {}
        assert {call.outcome for call in found.calls} <= {"denied", "unreachable"}
        assert len(found.calls) == 1
    for text in (*(f"{call.detail}{call.principal}" for call in found.calls), *kept(found.folder)):
        assert SECRET not in str(text)


def test_a_program_runs_only_where_the_configuration_allows_it(
    cluster: Any, kubeconfig: Any, tmp_path: Path, collecting: Collecting
) -> None:
    ran = tmp_path / "ran"
    told = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    told["status"] = {"token": credentials(cluster)}  # type: ignore[assignment]
    program = tmp_path / "login"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat <<'END'\n{json.dumps(told)}\nEND\n")
    program.chmod(0o700)
    user = {"exec": {"apiVersion": told["apiVersion"], "command": str(program), "interactiveMode": "Never"}}
    file = kubeconfig(tmp_path / "exec", {"exec": {**cluster.server(), "user": user}})
    refused = collecting(kubeconfig=str(file))
    assert not ran.exists()
    assert [call.outcome for call in refused.calls] == ["denied"]
    assert "exec = true" in refused.calls[0].detail
    allowed = collecting(kubeconfig=str(file), exec=True)
    assert ran.exists()
    assert allowed.complete
    assert "Namespace/default" in allowed.ids("kubernetes_namespace")


def test_a_program_that_fails_is_no_reason_to_ask_as_nobody(
    cluster: Any, kubeconfig: Any, tmp_path: Path, collecting: Collecting
) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false"}}
    file = kubeconfig(tmp_path / "exec", {"exec": {**cluster.server(), "user": user}})
    found = collecting(kubeconfig=str(file), exec=True)
    (call,) = found.calls
    assert call.outcome == "denied"
    assert "gave no credentials" in call.detail


def test_what_a_program_says_of_its_failure_is_not_logged(
    cluster: Any, kubeconfig: Any, tmp_path: Path
) -> None:
    program = tmp_path / "login"
    program.write_text(f"#!/bin/sh\necho 'refused {SECRET}' >&2\nexit 1\n")
    program.chmod(0o700)
    told = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    user = {"exec": {**told, "command": str(program)}}
    file = kubeconfig(tmp_path / "exec", {"exec": {**cluster.server(), "user": user}})
    script = (
        "import logging, sys\n"
        "from collector_kubernetes.clusters import Clusters\n"
        "from collector.model import CallFailed\n"
        "try:\n    Clusters(sys.argv[1], (), True).connection('exec')\n"
        "except CallFailed as error:\n    print(error)\n"
        "print(logging.getLogger().handlers, logging.getLogger().filters)\n"
    )
    command = [sys.executable, "-c", script, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "gave no credentials" in done.stdout
    assert done.stdout.endswith("[] []\n")  # what others log is left as it was
    assert done.stderr == ""
    assert SECRET not in done.stdout


def certificate(cluster: Any, folder: Path, until: datetime) -> tuple[Path, Path]:
    """A client certificate of the cluster's authority with an end of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "late")])
    issuer = cluster._issuer
    built = x509.CertificateBuilder(issuer._name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(until - timedelta(days=2)).not_valid_after(until)
    paths = folder / "late.pem", folder / "late.key"
    paths[0].write_bytes(built.sign(issuer._key, hashes.SHA256()).public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return paths


def test_a_client_certificate_that_has_ended_is_denied(
    cluster: Any, kubeconfig: Any, tmp_path: Path, collecting: Collecting
) -> None:
    ended = certificate(cluster, tmp_path, datetime.now(UTC) - timedelta(hours=1))
    file = kubeconfig(tmp_path / "ended", {"ended": {**cluster.server(), "certificate": ended}})
    found = collecting(kubeconfig=str(file))
    assert not found.complete
    assert [call.outcome for call in found.calls] == ["denied"]


def test_a_server_of_another_authority_is_not_asked(
    cluster: Any, recorded: Callable[..., Any], kubeconfig: Any, tmp_path: Path, collecting: Collecting
) -> None:
    other = recorded(34)
    told = {"server": other.url, "authority": cluster.authority, "token": SECRET}
    found = collecting(kubeconfig=str(kubeconfig(tmp_path / "other", {"other": told})))
    (call,) = found.calls
    assert call.outcome == "unreachable"
    assert "certificate" in call.detail
    assert other.asked == []  # and so has not seen the token


def test_principals_are_told_by_certificate_token_and_name(
    cluster: Any, kubeconfig: Any, tmp_path: Path
) -> None:
    cluster.admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "auditor"}})
    token = cluster.service_account_token("default", "auditor")
    pem = base64.b64encode(certificate(cluster, tmp_path, datetime.now(UTC))[0].read_bytes()).decode()
    file = kubeconfig(
        tmp_path / "who",
        {
            "token": {**cluster.server(), "token": token},
            "certificate": {**cluster.server(), "user": {"client-certificate-data": pem}},
            "named": {**cluster.server(), "token": SECRET},
        },
    )
    made = Clusters(str(file), (), False)
    assert made.principal("token") == "system:serviceaccount:default:auditor"
    assert made.principal("certificate") == "late"
    assert made.principal("named") == "named"


def test_a_proxy_of_the_kubeconfig_carries_the_requests(
    cluster: Any, kubeconfig: Any, tmp_path: Path, collecting: Collecting
) -> None:
    with Proxy() as proxy:
        told = {**cluster.server(), "token": credentials(cluster)}
        told["cluster"] = {"proxy-url": f"http://auditor:{SECRET}@127.0.0.1:{proxy.port}"}
        file = kubeconfig(tmp_path / "proxied", {"proxied": told})
        found = collecting(kubeconfig=str(file))
        assert found.complete
        assert proxy.asked[0].startswith(f"CONNECT {cluster.url.removeprefix('https://')} ")
        proxy.refuses = True
        refused = collecting(kubeconfig=str(file))
    assert [call.outcome for call in refused.calls] == ["unreachable"]
    for text in (refused.calls[0].detail, *kept(found.folder), *kept(refused.folder)):
        assert SECRET not in str(text)


class Proxy:
    """An HTTP proxy (RFC 9110, 9.3.6 CONNECT)."""

    def __init__(self) -> None:
        import threading

        self.asked: list[str] = []
        self.refuses = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        import threading

        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        import threading

        head = b""
        while b"\r\n\r\n" not in head:
            head += caller.recv(4096)
        first = head.decode("latin-1").splitlines()[0]
        self.asked.append(first)
        if self.refuses:
            caller.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            caller.close()
            return
        host, _, port = first.split()[1].rpartition(":")
        server = socket.create_connection((host, int(port)))
        caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self._pump, args=(server, caller), daemon=True).start()
        self._pump(caller, server)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, target):
                each.close()


# Within a pod.


@pytest.fixture
def pod(cluster: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What a pod of a service account finds: its token, the authority, and the server's address."""
    from kubernetes.config import incluster_config

    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "ca.crt").write_bytes(cluster.authority.read_bytes())
    cluster.admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "inside"}})
    (account / "token").write_text(cluster.service_account_token("default", "inside"))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(account / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(account / "ca.crt"))
    monkeypatch.setattr(clusters, "_ACCOUNT", account / "token")
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    return account


def test_in_a_pod_its_service_account_is_who_asks(pod: Path, collecting: Collecting) -> None:
    found = collecting()
    assert found.complete
    assert {call.principal for call in found.calls if call.op == "kubernetes:pods"} == {
        "system:serviceaccount:default:inside"
    }
    assert found.reasons("kubernetes_pod") == {"denied"}  # it has no rights yet
    assert {gap["scope"]["cluster"] for gap in found.gaps} == {"in-cluster"}
    token = (pod / "token").read_text()
    for text in kept(found.folder):
        assert token.encode() not in text


def test_a_kubeconfig_that_is_named_counts_in_a_pod_too(
    pod: Path, cluster: Any, collecting: Collecting
) -> None:
    found = collecting(kubeconfig=str(cluster.kubeconfig))
    assert found.reasons("kubernetes_pod") == set()


def test_a_pod_without_the_authoritys_certificate_is_denied_in_one_line(
    pod: Path, collecting: Collecting
) -> None:
    (pod / "ca.crt").unlink()
    found = collecting()
    (call,) = found.calls
    assert call.outcome == "denied"
    assert "certification file does not exist" in call.detail


def test_the_test_kubeconfigs_are_yaml(cluster: Any) -> None:
    assert yaml.safe_load(cluster.kubeconfig.read_text())["current-context"] == "admin"
