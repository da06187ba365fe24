"""Objects of a cluster as a company's clusters have them, in any number.

    python -m tests.bench.kubernetes_objects COUNT

starts a test cluster, fills it, prints its kubeconfig and stays until it is interrupted.

An application is a deployment with a replica set at work and one at rest, its pods, an account with a role,
configuration, a secret, a service, a network policy, events, and now and then an ingress, a cron job with its
jobs, an autoscaler. Ten of them share a namespace. Every third is as it should be, so that both verdicts
occur; every tenth holds a password where everyone can read it.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

__all__ = ["cluster", "fill"]

_KUBERNETES = Path(__file__).parents[1] / "kubernetes"
_THREADS = 12  # more only wait: the server has both cores at work
_APPLICATIONS_A_NAMESPACE = 10
_PODS_A_NODE = 30
_RBAC = "rbac.authorization.k8s.io"

Object = dict[str, Any]
Made = Callable[[Object], Object]


def cluster(*flags: str) -> Any:
    """A test cluster, as the tests start it, without an audit log; close it."""
    spec = importlib.util.spec_from_file_location("kubernetes_cluster", _KUBERNETES / "cluster.py")
    assert spec and spec.loader
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name].Cluster(*flags, audit=False)


def fill(into: Any, count: int) -> dict[str, int]:
    """Make `count` objects beside those that a new server has.

    Returns:
        How many of each kind, largest first.
    """
    counted = _Counted(into.admin.create, count)
    with ThreadPoolExecutor(_THREADS) as pool:
        for number in itertools.count():
            if counted.left() <= 0:
                break
            if number % _APPLICATIONS_A_NAMESPACE == 0:
                _namespace(counted.create, number // _APPLICATIONS_A_NAMESPACE)
            counted.room.acquire()
            pool.submit(counted.whole, _application, number)
    counted.fail()
    return dict(sorted(counted.kinds.items(), key=lambda each: -each[1]))


class _Enough(Exception):  # noqa: N818 - no error
    pass


class _Counted:
    """Makes objects until there are as many as asked for."""

    def __init__(self, create: Made, count: int) -> None:
        self._create, self._count, self._lock = create, count, threading.Lock()
        self.kinds: dict[str, int] = {}
        self.room = threading.Semaphore(4 * _THREADS)  # so that what waits takes no memory
        self._error: BaseException | None = None

    def left(self) -> int:
        with self._lock:
            return 0 if self._error else self._count

    def create(self, obj: Object) -> Object:
        with self._lock:
            if self._count <= 0:
                raise _Enough
            self._count -= 1
            self.kinds[obj["kind"]] = self.kinds.get(obj["kind"], 0) + 1
        return self._create(obj)

    def whole(self, make: Callable[[Made, int], None], number: int) -> None:
        try:
            make(self.create, number)
        except _Enough:
            pass
        except Exception as error:  # noqa: BLE001 - raised again by fail()
            self._error = error
        finally:
            self.room.release()

    def fail(self) -> None:
        if self._error:
            raise self._error


def _namespace(create: Made, number: int) -> None:
    labels = {"team": f"team-{number % 12}", "kubernetes.io/metadata.name": _space(number)}
    if number % 3 == 0:
        labels |= {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    try:
        create(_object("v1", "Namespace", _space(number), labels=labels))
        create(_object("v1", "ServiceAccount", "default", _space(number)))
        if number % 3 == 0:
            deny = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
            create(_object("networking.k8s.io/v1", "NetworkPolicy", "deny", _space(number), spec=deny))
            hard = {"pods": "500", "requests.cpu": "200", "limits.memory": "640Gi"}
            create(_object("v1", "ResourceQuota", "all", _space(number), spec={"hard": hard}))
        if number % 5 == 0:
            rules = [{"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list"]}]
            create(_object(f"{_RBAC}/v1", "ClusterRole", f"team-{number}", rules=rules))
            subjects = [{"apiGroup": _RBAC, "kind": "Group", "name": f"team-{number}"}]
            role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": f"team-{number}"}
            name = f"team-{number}"
            create(_object(f"{_RBAC}/v1", "ClusterRoleBinding", name, roleRef=role, subjects=subjects))
    except _Enough:
        pass


def _space(number: int) -> str:
    return f"space-{number:04d}"


def _object(version: str, kind: str, name: str, space: str = "", **more: Any) -> Object:
    meta: Object = {"name": name}
    if space:
        meta["namespace"] = space
    for key in ("labels", "annotations", "ownerReferences"):
        if key in more:
            meta[key] = more.pop(key)
    return {"apiVersion": version, "kind": kind, "metadata": meta, **more}


def _owned(owner: Object) -> list[Object]:
    told = {key: owner[key] for key in ("apiVersion", "kind")}
    own = {key: owner["metadata"][key] for key in ("name", "uid")}
    return [{**told, **own, "controller": True, "blockOwnerDeletion": True}]


def _application(create: Made, number: int) -> None:
    name, space, good = f"app-{number:05d}", _space(number // _APPLICATIONS_A_NAMESPACE), number % 3 == 0
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": f"shop-{number % 7}"}
    _configuration(create, name, space, number)
    _account(create, name, space, number)
    template = {"metadata": {"labels": labels}, "spec": _pod_spec(name, number, good)}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    apps = "apps/v1"
    notes = {"deployment.kubernetes.io/revision": "2"}
    deployment = create(_object(apps, "Deployment", name, space, labels=labels, annotations=notes, spec=spec))
    owner = _owned(deployment)
    for revision, replicas in ((1, 0), (2, 3)):
        hashed = {**labels, "pod-template-hash": f"{number:x}{revision}"}
        copied = {**spec, "replicas": replicas, "selector": {"matchLabels": hashed}}
        copied["template"] = {"metadata": {"labels": hashed}, "spec": template["spec"]}
        at = f"{name}-{revision}"
        made = create(
            _object(apps, "ReplicaSet", at, space, labels=hashed, ownerReferences=owner, spec=copied)
        )
    for pod in range(3):
        _pod(create, made, f"{name}-2-{pod}", space, number * 3 + pod, template["spec"])
    _network(create, name, space, number, labels)
    _jobs(create, name, space, number, template)


def _configuration(create: Made, name: str, space: str, number: int) -> None:
    text = "\n".join(f"option.{n}.of.{name} = {n * number}" for n in range(40))
    create(
        _object("v1", "ConfigMap", f"{name}-options", space, data={"app.properties": text, "LEVEL": "info"})
    )
    plain = (
        {"database": f"user: app\npassword: Zq7-{number * 7919:08d}x\n"} if number % 10 == 1 else {"a": "b"}
    )
    create(_object("v1", "ConfigMap", name, space, data=plain))
    data = {"password": f"Zq7-secret-{number:08d}", "token": f"{number * 104729:040x}"}
    create(_object("v1", "Secret", name, space, type="Opaque", stringData=data))


def _account(create: Made, name: str, space: str, number: int) -> None:
    create(_object("v1", "ServiceAccount", name, space, automountServiceAccountToken=number % 3 != 0))
    verbs = ["*"] if number % 20 == 1 else ["get", "list", "watch"]
    resources = ["secrets", "configmaps"] if number % 7 == 1 else ["configmaps", "endpoints"]
    rules = [{"apiGroups": [""], "resources": resources, "verbs": verbs}]
    create(_object(f"{_RBAC}/v1", "Role", name, space, rules=rules))
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": space}]
    role = {"apiGroup": _RBAC, "kind": "Role", "name": name}
    create(_object(f"{_RBAC}/v1", "RoleBinding", name, space, roleRef=role, subjects=subjects))


def _pod_spec(name: str, number: int, good: bool) -> Object:
    digest = f"@sha256:{number:064x}" if good else ""
    container: Object = {
        "name": "main",
        "image": f"registry.shop.example/{name}:{'1.2.3' if number % 4 else 'latest'}{digest}",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": f"OPTION_{n}", "value": f"value {n} of {name}"} for n in range(12)],
        "envFrom": [{"configMapRef": {"name": name}}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
        "volumeMounts": [{"name": "options", "mountPath": "/etc/app", "readOnly": True}],
    }
    if number % 10 == 1:
        container["env"].append({"name": "DB_PASSWORD", "value": f"Zq7-{number * 6007:010d}x"})
    spec: Object = {"serviceAccountName": name, "containers": [container]}
    spec["volumes"] = [{"name": "options", "configMap": {"name": f"{name}-options"}}]
    if good:
        strict = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        container["securityContext"] = {**strict, "readOnlyRootFilesystem": True}
        container["resources"] = {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "256Mi"}}
        container["livenessProbe"] = {"httpGet": {"path": "/live", "port": "http"}}
        profile = {"type": "RuntimeDefault"}
        spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": profile}
        spec["automountServiceAccountToken"] = False
    elif number % 11 == 1:
        container["securityContext"] = {"privileged": True}
        spec["hostNetwork"] = True
    return spec


def _pod(create: Made, owner: Object, name: str, space: str, number: int, spec: Object) -> None:
    node = number // _PODS_A_NODE
    if number % _PODS_A_NODE == 0:
        address = {"type": "InternalIP", "address": f"10.{128 + node // 250}.{node % 250}.1"}
        info = {"kubeletVersion": "v1.20.2", "osImage": "Debian GNU/Linux 12", "kernelVersion": "6.1.0"}
        empty = ("machineID", "systemUUID", "bootID", "containerRuntimeVersion", "kubeProxyVersion")
        told = {**info, **dict.fromkeys((*empty, "operatingSystem", "architecture"), "x")}
        create(_object("v1", "Node", f"node-{node:04d}", status={"addresses": [address], "nodeInfo": told}))
    image = spec["containers"][0]["image"].partition("@")[0]
    status = {
        "name": "main",
        "image": image,
        "imageID": f"{image.rpartition(':')[0]}@sha256:{number // 3:064x}",
        "ready": True,
        "restartCount": number % 4,
        "state": {"running": {"startedAt": "2026-11-01T08:00:00Z"}},
    }
    ready = [{"type": each, "status": "True"} for each in ("Initialized", "Ready", "PodScheduled")]
    labels = owner["spec"]["template"]["metadata"]["labels"]
    running = {"phase": "Running", "conditions": ready, "containerStatuses": [status], "podIP": "10.244.0.9"}
    spec = {**spec, "nodeName": f"node-{node:04d}"}
    more = {"labels": labels, "ownerReferences": _owned(owner), "spec": spec, "status": running}
    pod = create(_object("v1", "Pod", name, space, **more))
    what = {
        "kind": "Pod",
        "namespace": space,
        "name": name,
        "uid": pod["metadata"]["uid"],
        "apiVersion": "v1",
    }
    text = {"reason": "Started", "message": "Started container main", "type": "Normal"}
    create(_object("v1", "Event", f"{name}.1", space, involvedObject=what, **text))


def _network(create: Made, name: str, space: str, number: int, labels: Object) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    kind = "LoadBalancer" if number % 25 == 1 else "ClusterIP"
    create(_object("v1", "Service", name, space, spec={"type": kind, "selector": labels, "ports": ports}))
    addresses = [{"ip": "10.244.0.9"}]
    subsets = [{"addresses": addresses, "ports": [{"name": "http", "port": 8080}]}]
    create(_object("v1", "Endpoints", name, space, subsets=subsets))
    if number % 2 == 0:
        spec = {"podSelector": {"matchLabels": labels}, "ingress": [{"from": [{"podSelector": {}}]}]}
        create(_object("networking.k8s.io/v1", "NetworkPolicy", name, space, spec=spec))
    if number % 4 == 0:
        backend = {"service": {"name": name, "port": {"name": "http"}}}
        paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
        told: Object = {"rules": [{"host": f"{name}.example", "http": {"paths": paths}}]}
        if number % 3 == 0:
            told["tls"] = [{"hosts": [f"{name}.example"], "secretName": name}]
        create(_object("networking.k8s.io/v1", "Ingress", name, space, spec=told))


def _jobs(create: Made, name: str, space: str, number: int, template: Object) -> None:
    if number % 5:
        return
    pod = {**template["spec"], "restartPolicy": "Never"}
    spec = {"template": {"metadata": template["metadata"], "spec": pod}}
    cron = {"schedule": "0 3 * * *", "jobTemplate": {"spec": spec}}
    owner = create(_object("batch/v1beta1", "CronJob", name, space, spec=cron))
    for run in range(3):
        at = f"{name}-{run}"
        create(_object("batch/v1", "Job", at, space, ownerReferences=_owned(owner), spec=spec))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    scaled = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5}
    create(_object("autoscaling/v1", "HorizontalPodAutoscaler", name, space, spec=scaled))


def _said(kinds: dict[str, int]) -> Iterator[str]:
    for kind, count in kinds.items():
        yield f"{kind} {count}"


def main(count: int) -> None:
    with cluster() as filled:
        began = time.monotonic()
        kinds = fill(filled, count)
        print(f"{count} objects in {time.monotonic() - began:.1f} s: {', '.join(_said(kinds))}")  # noqa: T201
        print(filled.kubeconfig, flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
