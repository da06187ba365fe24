"""A real kube-apiserver over etcd on loopback, RBAC on; no controllers, no scheduler, kubelets of our own.

As a program, for trying things by hand:

    python tests/kubernetes/cluster.py [KUBE_APISERVER_FLAG …]

prints the path of a kubeconfig when the server is ready, and stays until SIGTERM, SIGINT or SIGHUP. Contexts:
`admin` (the current one; every right) and `limited` (may list pods in the namespace `limited`, nothing else).

The programs come from $KUBEBUILDER_ASSETS, else from PATH, else from the cache that `build-kube-apiserver`
fills; etcd is Debian's etcd-server. What they write goes with them; if this process is killed, so are they.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Cluster", "kubeconfig"]

HERE = Path(__file__).parent
_READY_WITHIN = 90.0  # seconds; 4 where nothing else runs

Rule = Mapping[str, Sequence[str]]


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"kubernetes_{name}", HERE / f"{name}.py")
    assert spec and spec.loader
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


def kubeconfig(file: Path, contexts: Mapping[str, Mapping[str, Any]], current: str = "") -> Path:
    """Write a kubeconfig.

    Args:
        contexts: by name, each with `server`, and where there are any `authority` (a file), `token`,
            `certificate` (files of certificate and key), `namespace`, and `user` and `cluster` for more of
            their fields.
        current: the current context; the first where left out.
    """
    clusters, users, told = [], [], []
    for name, each in contexts.items():
        cluster = {"server": each["server"], **each.get("cluster", {})}
        if "authority" in each:
            cluster["certificate-authority"] = str(each["authority"])
        user = dict(each.get("user", {}))
        if "token" in each:
            user["token"] = each["token"]
        if "certificate" in each:
            user["client-certificate"], user["client-key"] = map(str, each["certificate"])
        clusters.append({"name": name, "cluster": cluster})
        users.append({"name": name, "user": user})
        context = {"cluster": name, "user": name, "namespace": each.get("namespace", "default")}
        told.append({"name": name, "context": context})
    whole = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": told}
    whole["current-context"] = current or next(iter(contexts))
    file.write_text(json.dumps(whole, indent=1))  # JSON is YAML
    return file


class Cluster:
    """A running server.

    Attributes:
        url: `https://127.0.0.1:PORT`.
        authority: the file with the certificate that its own is signed by.
        admin: a client with every right.
        kubeconfig: a file with the contexts `admin` and `limited`.
        kubelets: what the node proxy finds behind the nodes.
        version: such as (1, 20).
    """

    def __init__(self, *flags: str, audit: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kube-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._clients: list[Any] = []
        self._numbers = itertools.count(1)
        self._log = self.folder / "audit.log"
        try:
            self._prepare()
            self._start(flags, audit)
            self._limited()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._kill()
        if hasattr(self, "kubelets"):
            self.kubelets.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        self._etcd, self._apiserver = _beside("programs").programs()
        told = subprocess.run([self._apiserver, "--version"], check=True, capture_output=True, text=True)
        major, minor = told.stdout.split()[-1].lstrip("v").split(".")[:2]
        self.version = int(major), int(minor)
        made = _beside("authority")
        self._issuer = made.Authority(self.folder)
        self.authority: Path = self._issuer.certificate
        self._certificate = self._issuer.server()
        made.service_account_key(self.folder / "service-account.key")
        self._tokens = {"admin": secrets.token_hex(16), "limited": secrets.token_hex(16)}
        lines = f"{self._tokens['admin']},admin,1,system:masters\n{self._tokens['limited']},limited,2\n"
        (self.folder / "tokens.csv").write_text(lines)
        nodes = self.folder / "nodes.sock"
        kubelets = _beside("kubelets")
        (self.folder / "egress.yaml").write_text(kubelets.EGRESS.format(socket=nodes))
        self.kubelets = kubelets.Kubelets(nodes, self._issuer.server("kubelet"))
        rules = [{"level": "Metadata", "omitStages": ["RequestReceived"]}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
        (self.folder / "audit.yaml").write_text(json.dumps(policy))

    def _start(self, flags: tuple[str, ...], audit: bool) -> None:
        for attempt in range(3):  # another process can take a port between our look and the servers' start
            etcd, port = _free_ports()
            self.url = f"https://127.0.0.1:{port}"
            self._run("etcd", [str(self._etcd), *_etcd_flags(self.folder, f"http://127.0.0.1:{etcd}")])
            self._run("kube-apiserver", [str(self._apiserver), *self._flags(etcd, port, audit), *flags])
            self.admin = self.client(token=self._tokens["admin"])
            if self._ready():
                return
            said = self._said()
            self._kill()
            if "address already in use" not in said or attempt == 2:
                raise RuntimeError(f"the test cluster did not start\n{said}")

    def _run(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            told = ["setpriv", "--pdeathsig", "KILL", *command]
            self._processes.append(subprocess.Popen(told, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()  # they keep nothing
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def _flags(self, etcd: int, port: int, audit: bool) -> list[str]:
        folder, (certificate, key) = self.folder, self._certificate
        # The ServiceAccount admission waits for a token that only a controller makes, quotas for a controller
        # to count; webhooks that a test registers are evidence, and must not be called.
        off = "ServiceAccount,ResourceQuota,MutatingAdmissionWebhook,ValidatingAdmissionWebhook"
        told = [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder}/certs",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.authority}",
            f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/service-account.key",
            f"--service-account-signing-key-file={folder}/service-account.key",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--allow-privileged=true",
            f"--egress-selector-config-file={folder}/egress.yaml",
            "--kubelet-preferred-address-types=InternalIP",
        ]
        if audit:
            told += [f"--audit-log-path={self._log}", f"--audit-policy-file={folder}/audit.yaml"]
        if self.version < (1, 24):
            told += ["--insecure-port=0", "--feature-gates=EphemeralContainers=true"]
        if self.version >= (1, 23):
            off += ",PodSecurity"  # what must be found must be let in
        return [*told, f"--disable-admission-plugins={off}"]

    def _ready(self) -> bool:
        refused = _beside("api").ApiError
        until = time.monotonic() + _READY_WITHIN
        while time.monotonic() < until and all(each.poll() is None for each in self._processes):
            with contextlib.suppress(Exception):
                self.admin.get("/readyz")
                with contextlib.suppress(refused):
                    self.admin.get("/api/v1/namespaces/default")
                    self.admin.get("/api/v1/namespaces/kube-system")
                    return True
            time.sleep(0.1)
        return False

    def _said(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs)

    def _limited(self) -> None:
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
        self._grant("limited", "pod-lister", rules, ["limited"])
        _wait_until_known(self.client(token=self._tokens["limited"]), "limited", rules[0])
        self.kubeconfig = kubeconfig(
            self.folder / "kubeconfig",
            {
                "admin": {**self.server(), "token": self._tokens["admin"]},
                "limited": {**self.server(), "token": self._tokens["limited"], "namespace": "limited"},
            },
        )

    def server(self) -> dict[str, Any]:
        """What a context of `kubeconfig()` needs to know of this server."""
        return {"server": self.url, "authority": self.authority}

    def client(self, **credentials: Any) -> Any:
        """A client with a `token` or a `certificate` (files of certificate and key), or anonymous."""
        self._clients.append(_beside("api").Client(self.url, self.authority, **credentials))
        return self._clients[-1]

    def account(
        self,
        name: str,
        rules: Iterable[Rule] = (),
        namespaces: Sequence[str] | None = None,
        groups: Sequence[str] = (),
    ) -> Path:
        """A new user, known by client certificate, with these rights and each user's right to discovery.

        Args:
            name: of its context; the user's own name has a number after it, so that no two share rights.
            rules: as in a role; in a ClusterRole, or in a Role in each of `namespaces` (made where missing).

        Returns:
            Its kubeconfig. The server knows of its rights already.
        """
        rules = [dict(rule) for rule in rules]
        user = f"{name}-{next(self._numbers)}"
        certificate = self._issuer.user(user, tuple(groups))
        self._grant(user, user, rules, namespaces)
        with self.own(certificate) as client:
            for namespace in (namespaces or ["default"]) if rules else ():
                _wait_until_known(client, namespace, rules[0])
        file = self.folder / f"{user}.kubeconfig"
        return kubeconfig(file, {name: {**self.server(), "certificate": certificate}})

    def own(self, certificate: tuple[Path, Path]) -> Any:
        """A client that its maker closes."""
        return _beside("api").Client(self.url, self.authority, certificate=certificate)

    def service_account_token(self, namespace: str, name: str) -> str:
        """A token of a service account that exists, as a pod has it."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": []},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token: str = self.admin.request("POST", path, request)["status"]["token"]
        return token

    def asked(self, user: str = "") -> list[dict[str, Any]]:
        """The server's own audit events, oldest first: of the users whose names begin so, else of all."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in events if event["user"].get("username", "").startswith(user)]

    def _grant(self, user: str, role: str, rules: list[Any], namespaces: Sequence[str] | None) -> None:
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
        cluster = namespaces is None
        for namespace in [""] if namespaces is None else namespaces:
            if namespace:
                self.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            meta = {"name": role, **({"namespace": namespace} if namespace else {})}
            kind = "ClusterRole" if cluster else "Role"
            group = "rbac.authorization.k8s.io"
            self.admin.create({"apiVersion": f"{group}/v1", "kind": kind, "metadata": meta, "rules": rules})
            self.admin.create(
                {
                    "apiVersion": f"{group}/v1",
                    "kind": f"{kind}Binding",
                    "metadata": meta,
                    "roleRef": {"apiGroup": group, "kind": kind, "name": role},
                    "subjects": [subject],
                }
            )


def _wait_until_known(client: Any, namespace: str, rule: dict[str, Any]) -> None:
    """RBAC works from a cache that follows the store within milliseconds; no test may meet the old one."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    path, kind = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "resourceRules"
    if "nonResourceURLs" in rule:
        kind = "nonResourceRules"
    for _ in range(200):
        told = client.request("POST", path, {**review, "spec": {"namespace": namespace}})["status"]
        if any(all(each.get(key) == value for key, value in rule.items()) for each in told[kind]):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server did not take up {rule}")


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def _etcd_flags(folder: Path, url: str) -> Iterator[str]:
    shutil.rmtree(folder / "etcd", ignore_errors=True)
    yield from ("--data-dir", str(folder / "etcd"), "--unsafe-no-fsync", "--listen-peer-urls")
    yield from ("http://127.0.0.1:0", "--listen-client-urls", url, "--advertise-client-urls", url)


def main(flags: list[str]) -> int:
    ended: Callable[..., None] = lambda *_: sys.exit(0)  # noqa: E731
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, ended)
    try:
        with Cluster(*flags) as cluster:
            print(cluster.kubeconfig, flush=True)  # noqa: T201 - whoever started it reads this
            while all(process.poll() is None for process in cluster._processes):
                time.sleep(0.2)
            print(f"a server died\n{cluster._said()}", file=sys.stderr)  # noqa: T201
    except (_beside("programs").AbsentError, RuntimeError) as error:
        print(error, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
