"""Checks of workloads against a real server: one that is as it should be fails none; of others, each by name.

What a server of 1.20 drops from objects is asked of a stand-in for 1.34.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
FILES = ("pods", "containers", "images", "secrets", "versions")
SPACE = "workload-checks"
DIGEST = "sha256:" + "1" * 64

STRICT: Object = {
    "serviceAccountName": "web",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "hostUsers": False,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "containers": [
        {
            "name": "main",
            "image": f"registry.example/web:1@{DIGEST}",
            "command": ["web", "--port", "8080"],
            "env": [{"name": "LOG_LEVEL", "value": "info"}],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}},
            "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
            "volumeMounts": [{"name": "secret", "mountPath": "/run/secrets/web", "readOnly": True}],
        }
    ],
    "volumes": [
        {"name": "secret", "secret": {"secretName": "web", "items": [{"key": "password", "path": "db"}]}},
        {
            "name": "all",
            "projected": {"sources": [{"secret": {"name": "other"}}, {"configMap": {"name": "c"}}]},
        },
        {
            "name": "token",
            "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]},
        },
    ],
}
METADATA: Object = {"labels": {"app": "web"}}

MAIN = "containers.0"
SAFE = f"{MAIN}.securityContext"
HOST = {"name": "host", "hostPath": {"path": "/srv/data"}}
MOUNT = {"name": "host", "mountPath": "/data"}


def on_host(path: str) -> Object:
    return {"volumes": [{"name": "host", "hostPath": {"path": path}}]}


# What is changed, by path in the pod's spec, and the checks that must fail: of the workload, of a container.
CASES: dict[str, tuple[Object, set[str], set[str]]] = {
    "host-network": ({"hostNetwork": True}, {"workload-no-host-network"}, set()),
    "host-pid": ({"hostPID": True}, {"workload-no-host-processes"}, set()),
    "host-ipc": ({"hostIPC": True}, {"workload-no-host-ipc"}, set()),
    "host-path": (
        {"volumes": [HOST], f"{MAIN}.volumeMounts": [{**MOUNT, "readOnly": True}]},
        {"workload-no-host-path", "workload-volumes-of-pods"},
        set(),
    ),
    "host-path-writable": (
        {"volumes": [HOST], f"{MAIN}.volumeMounts": [MOUNT]},
        {"workload-no-host-path", "workload-volumes-of-pods"},
        {"container-host-path-read-only"},
    ),
    "engine": (
        {**on_host("/run//containerd/containerd.sock"), f"{MAIN}.volumeMounts": []},
        {"workload-no-host-path", "workload-volumes-of-pods", "workload-no-engine-socket"},
        set(),
    ),
    "node-files": (
        {**on_host("/etc/kubernetes/"), f"{MAIN}.volumeMounts": []},
        {"workload-no-host-path", "workload-volumes-of-pods", "workload-no-sensitive-host-path"},
        set(),
    ),
    "nfs": (
        {"volumes": [{"name": "secret", "nfs": {"server": "nfs.example", "path": "/x"}}]},
        {"workload-volumes-of-pods"},
        set(),
    ),
    "sysctl": (
        {"securityContext.sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
        {"workload-safe-sysctls"},
        set(),
    ),
    "shared-processes": ({"shareProcessNamespace": True}, {"workload-no-shared-processes"}, set()),
    "tolerant": (
        {"tolerations": [{"operator": "Exists"}]},
        {"workload-tolerates-not-everything"},
        set(),
    ),
    "tolerates-one": ({"tolerations": [{"operator": "Exists", "key": "gpu"}]}, set(), set()),
    "node": ({"nodeName": "node-1"}, {"workload-placed-by-scheduler"}, set()),
    "priority": (
        {"priorityClassName": "system-cluster-critical"},
        {"workload-no-system-priority"},
        set(),
    ),
    "links": ({"enableServiceLinks": None}, {"workload-no-service-links"}, set()),
    "together": ({"topologySpreadConstraints": None}, {"workload-spread"}, set()),
    "apart": (
        {
            "topologySpreadConstraints": None,
            "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}
            ],
        },
        set(),
        set(),
    ),
    "privileged": (
        {f"{SAFE}.privileged": True, f"{SAFE}.allowPrivilegeEscalation": None},
        set(),
        {"container-not-privileged", "container-no-privilege-escalation"},
    ),
    "capability": (
        {f"{SAFE}.capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}},
        set(),
        {"container-common-capabilities", "container-adds-no-capabilities"},
    ),
    "common-capability": (
        {f"{SAFE}.capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}},
        set(),
        {"container-adds-no-capabilities"},
    ),
    "low-port": ({f"{SAFE}.capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}, set(), set()),
    "dropped-one": ({f"{SAFE}.capabilities": {"drop": ["NET_RAW"]}}, set(), {"container-drops-capabilities"}),
    "escalates": (
        {f"{SAFE}.allowPrivilegeEscalation": None},
        set(),
        {"container-no-privilege-escalation"},
    ),
    "any-user": ({"securityContext.runAsNonRoot": None}, set(), {"container-refuses-root"}),
    "own-before-pods": ({f"{SAFE}.runAsNonRoot": False}, set(), {"container-refuses-root"}),
    "root": ({f"{SAFE}.runAsUser": 0}, set(), {"container-user-is-not-root"}),
    "roots-group": ({"securityContext.runAsGroup": 0}, set(), {"container-group-is-not-root"}),
    "no-seccomp": ({"securityContext.seccompProfile": None}, set(), {"container-seccomp-on"}),
    "seccomp-off": (
        {f"{SAFE}.seccompProfile": {"type": "Unconfined"}},
        set(),
        {"container-seccomp-on", "container-seccomp-not-off"},
    ),
    "selinux": (
        {"securityContext.seLinuxOptions": {"type": "spc_t"}},
        set(),
        {"container-selinux-type"},
    ),
    "selinux-level": ({"securityContext.seLinuxOptions": {"level": "s0:c1,c2"}}, set(), set()),
    "host-port": (
        {f"{MAIN}.ports": [{"containerPort": 80, "hostPort": 80}]},
        set(),
        {"container-no-host-port"},
    ),
    "probe-elsewhere": (
        {f"{MAIN}.livenessProbe.httpGet.host": "169.254.169.254"},
        set(),
        {"container-probes-itself"},
    ),
    "writable": ({f"{SAFE}.readOnlyRootFilesystem": None}, set(), {"container-read-only-root"}),
    "unbounded": (
        {f"{MAIN}.resources": None},
        set(),
        {
            "container-memory-limit",
            "container-memory-request",
            "container-cpu-limit",
            "container-cpu-request",
            "container-storage-limit",
        },
    ),
    "requests-alone": (
        {f"{MAIN}.resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
        set(),
        {"container-memory-limit", "container-cpu-limit", "container-storage-limit"},
    ),
    "not-ready": ({f"{MAIN}.readinessProbe": None}, set(), {"container-readiness"}),
    "not-live": ({f"{MAIN}.livenessProbe": None}, set(), {"container-liveness"}),
    "latest": (
        {f"{MAIN}.image": "registry.example/web"},
        set(),
        {"image-tag-not-latest", "image-pinned"},
    ),
    "by-tag": (
        {f"{MAIN}.image": "registry.example/web:1", f"{MAIN}.imagePullPolicy": "IfNotPresent"},
        set(),
        {"image-pinned", "image-tag-looked-up"},
    ),
    "no-registry": (
        {f"{MAIN}.image": f"web@{DIGEST}"},
        set(),
        {"image-registry-named", "image-from-known-registry"},
    ),
    "public": ({f"{MAIN}.image": f"ghcr.io/a/b@{DIGEST}"}, set(), {"image-from-known-registry"}),
    "closed-registry": (
        {f"{MAIN}.image": f"k8s.gcr.io/pause@{DIGEST}"},
        set(),
        {"image-from-known-registry", "image-registry-is-alive"},
    ),
    "never-pulled": ({f"{MAIN}.imagePullPolicy": "Never"}, set(), {"image-not-only-from-node"}),
    "secret-in-env": (
        {f"{MAIN}.env": [{"name": "DB_PASSWORD", "value": "Zq7-hT5kWm2pRx9v"}]},
        {"workload-no-secrets-in-environment"},
        set(),
    ),
    "secret-in-command": (
        {f"{MAIN}.args": ["--password=Zq7-hT5kWm2pRx9v"]},
        {"workload-no-secrets-in-commands"},
        set(),
    ),
    "secret-by-env": (
        {f"{MAIN}.env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "web", "key": "password"}}}]},
        set(),
        {"container-secrets-as-files"},
    ),
}

# Of fields that came after 1.20.
NEWER: dict[str, tuple[Object, set[str], set[str]]] = {
    "good": ({}, set(), set()),
    "users": ({"hostUsers": None}, {"workload-own-users"}, set()),
    "apparmor": (
        {"securityContext.appArmorProfile": {"type": "Unconfined"}},
        set(),
        {"container-apparmor-not-off"},
    ),
    "host-process": (
        {"securityContext.windowsOptions": {"hostProcess": True}, "os": {"name": "windows"}},
        set(),
        {"container-no-host-process"},
    ),
    "windows": (
        {
            "os": {"name": "windows"},
            "hostUsers": None,
            SAFE: {},
            "securityContext": {"runAsNonRoot": True},
        },
        set(),
        set(),
    ),
    "proc": ({f"{SAFE}.procMount": "Unmasked"}, set(), {"container-proc-masked"}),
    "whole-pod": (
        {
            f"{MAIN}.resources": None,
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        },
        set(),
        {"container-storage-limit"},
    ),
    "csi": (
        {
            "volumes": [
                {
                    "name": "secret",
                    "csi": {
                        "driver": "secrets-store.csi.k8s.io",
                        "volumeAttributes": {"secretProviderClass": "web"},
                        "nodePublishSecretRef": {"name": "web-login"},
                    },
                }
            ]
        },
        set(),
        set(),
    ),
}


@cache
def mine() -> frozenset[str]:
    folder = ROOT / "mappings/checks/kubernetes"
    told = [tomllib.loads((folder / f"{name}.toml").read_text()) for name in FILES]
    return frozenset(check["id"].removeprefix("kubernetes-") for each in told for check in each["check"])


def changed(spec: Object, changes: Object) -> Object:
    """A copy in which what lies at paths is replaced; None: taken out."""
    made = copy.deepcopy(spec)
    for path, value in changes.items():
        *steps, last = path.split(".")
        at: Any = made
        for step in steps:
            at = at[int(step)] if step.isdigit() else at.setdefault(step, {})
        if value is None:
            at.pop(last)
        else:
            at[last] = copy.deepcopy(value)
    return made


def deployment(name: str, changes: Object | None = None, namespace: str = SPACE, **metadata: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": METADATA | metadata, "spec": changed(STRICT, changes or {})},
        },
        "status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2},
    }


def named(api: str, kind: str, name: str, **more: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": SPACE}, **more}


def pod(name: str, owner: Object | None = None, status: Object | None = None, **changes: Any) -> Object:
    made = named("v1", "Pod", name, spec=changed(STRICT, changes), status=status or {"phase": "Running"})
    if owner:
        reference = {key: owner.get(key) for key in ("apiVersion", "kind")}
        names = {key: owner["metadata"][key] for key in ("name", "uid")}
        made["metadata"]["ownerReferences"] = [{**reference, **names, "controller": True}]
    return made


def running(digest: str) -> Object:
    image = "registry.example/moved:1"
    status = {
        "name": "main",
        "image": image,
        "imageID": f"registry.example/moved@sha256:{digest * 64}",
        "ready": True,
        "restartCount": 0,
    }
    return {"phase": "Running", "containerStatuses": [status]}


TEMPLATE = {"metadata": METADATA, "spec": changed(STRICT, {}) | {"restartPolicy": "Never"}}


def others(create: Callable[[Object], Object]) -> None:
    """What is more than a template."""
    create(
        named(
            "policy/v1beta1",
            "PodDisruptionBudget",
            "web",
            spec={"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        )
    )
    create(
        named(
            "policy/v1beta1",
            "PodDisruptionBudget",
            "stuck",
            spec={"minAvailable": "100%", "selector": {"matchLabels": {"app": "stuck"}}},
        )
    )
    alone = deployment("no-budget")
    alone["spec"]["selector"] = {"matchLabels": {"app": "alone"}}
    alone["spec"]["template"]["metadata"] = {"labels": {"app": "alone"}}
    create(alone)
    one = deployment("one")
    one["spec"] |= {"replicas": 1, "paused": True}
    one["status"] = {}
    create(one)
    create(
        deployment("annotated", annotations={"seccomp.security.alpha.kubernetes.io/pod": "runtime/default"})
    )
    noted = deployment("noted")
    noted["metadata"]["annotations"] = {"deploy-password": "Zq7-hT5kWm2pRx9v"}
    create(noted)
    job = {"backoffLimit": 0, "template": TEMPLATE}
    ended = {**job, "ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 60}
    create(named("batch/v1", "Job", "good", spec=ended, status={"succeeded": 1}))
    create(named("batch/v1", "Job", "endless", spec=job, status={"failed": 1}))
    often = {"schedule": "0 3 * * *", "jobTemplate": {"spec": ended}}
    kept = {**often, "concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 600}
    create(named("batch/v1beta1", "CronJob", "good", spec=kept))
    create(
        named(
            "batch/v1beta1",
            "CronJob",
            "bad",
            spec={**often, "suspend": True, "jobTemplate": {"spec": {"template": TEMPLATE}}},
        )
    )
    made = create(
        named(
            "apps/v1",
            "ReplicaSet",
            "own",
            spec={"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE_OF_SETS},
        )
    )
    made = {**made, "apiVersion": "apps/v1", "kind": "ReplicaSet"}
    create(pod("owned", made, running("1")))
    create(pod("more", made, running("2"), hostPID=True))
    create(pod("forged", made, **{f"{SAFE}.privileged": True, f"{SAFE}.allowPrivilegeEscalation": True}))
    create(pod("mounting", made, volumes=[*STRICT["volumes"], *on_host("/")["volumes"]]))
    create(pod("other-account", made, serviceAccountName="default"))
    create(pod("injected", made, **INJECTED))
    gone = {**made, "metadata": {"name": "gone", "uid": "00000000-0000-0000-0000-000000000009"}}
    create(pod("orphan", gone))
    create(
        pod(
            "debugged",
            made,
            ephemeralContainers=[
                {"name": "debug", "image": "busybox", "env": [{"name": "TOKEN", "value": "Zq7-hT5kWm2pRx9v"}]}
            ],
        )
    )
    create(pod("naked"))
    create(named("rbac.authorization.k8s.io/v1beta1", "Role", "old", rules=[]))
    create(named("rbac.authorization.k8s.io/v1", "Role", "new", rules=[]))
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    create(named("networking.k8s.io/v1", "Ingress", "new", spec={"defaultBackend": backend}))
    old = {"backend": {"serviceName": "web", "servicePort": 80}}
    create(named("extensions/v1beta1", "Ingress", "old", spec=old))
    create(named("v1", "ConfigMap", "good", data={"level": "info", "password_file": "/run/secrets/db"}))
    create(named("v1", "ConfigMap", "bad", data={"db_password": "Zq7-hT5kWm2pRx9v"}))
    create(named("v1", "Secret", "web", stringData={"password": "Zq7-hT5kWm2pRx9v"}))
    create(named("v1", "Secret", "unused", stringData={"password": "Zq7-hT5kWm2pRx9v"}))


# What a server and a mesh add to each pod.
INJECTED: Object = {
    "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
    "containers": [
        *STRICT["containers"],
        {
            "name": "proxy",
            "image": "registry.example/proxy:1",
            "volumeMounts": [
                {
                    "name": "kube-api-access-x7k2p",
                    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                }
            ],
        },
    ],
    "volumes": [
        *STRICT["volumes"],
        {
            "name": "kube-api-access-x7k2p",
            "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]},
        },
    ],
}
TEMPLATE_OF_SETS = {"metadata": METADATA, "spec": changed(STRICT, {})}


@pytest.fixture(scope="module")
def filled(cluster: Any) -> Iterator[Any]:
    cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    cluster.admin.create(named("v1", "ServiceAccount", "web"))
    cluster.admin.create(deployment("good"))
    for name, (changes, _, _) in CASES.items():
        cluster.admin.create(deployment(name, changes))
    others(cluster.admin.create)
    yield cluster


@pytest.fixture(scope="module")
def real(filled: Any, collecting: Callable[..., Any], judged: Callable[..., Any]) -> Any:
    return judged(collecting(kubeconfig=str(filled.kubeconfig), namespaces=[SPACE], secrets="keys"))


def failing(found: Any, subject: str) -> set[str]:
    """Checks of these files that a subject does not pass."""
    return {
        name
        for (check, of), result in found.findings.items()
        if of == subject
        and result not in ("pass", "not_applicable")
        and (name := check.removeprefix("kubernetes-")) in mine()
    }


UNKNOWN_TO_1_20 = {"workload-own-users"}  # the server drops hostUsers


def test_a_workload_that_is_as_it_should_be_fails_no_check(real: Any) -> None:
    assert failing(real, f"Deployment/{SPACE}/good") == UNKNOWN_TO_1_20
    assert failing(real, f"Deployment/{SPACE}/good/main") == set()
    asked = {check for check, subject in real.findings if subject.startswith(f"Deployment/{SPACE}/good")}
    assert len({check.removeprefix("kubernetes-") for check in asked} & mine()) > 50


@pytest.mark.parametrize("case", sorted(CASES))
def test_one_change_to_it_fails_the_checks_of_what_was_changed_and_no_other(real: Any, case: str) -> None:
    _, workload, container = CASES[case]
    assert failing(real, f"Deployment/{SPACE}/{case}") == workload | UNKNOWN_TO_1_20 - (
        UNKNOWN_TO_1_20 if case in ("host-network", "host-pid", "host-ipc") else set()
    )
    assert failing(real, f"Deployment/{SPACE}/{case}/main") == container


SUBJECTS = {
    "PodDisruptionBudget/stuck": {"disruption-budget-lets-go"},
    "PodDisruptionBudget/web": set(),
    "Deployment/no-budget": {"workload-has-disruption-budget", *UNKNOWN_TO_1_20},
    "Deployment/one": {
        "workload-several-replicas",
        "deployment-not-paused",
        "deployment-is-up-to-strength",
        *UNKNOWN_TO_1_20,
    },
    "Deployment/annotated": {"workload-no-outdated-annotations", *UNKNOWN_TO_1_20},
    "Deployment/noted": {"workload-no-secrets-in-annotations", *UNKNOWN_TO_1_20},
    "Job/good": {"job-is-cleaned-up", *UNKNOWN_TO_1_20},  # and ttlSecondsAfterFinished
    "Job/endless": {"job-ends", "job-is-cleaned-up", "job-did-not-fail", *UNKNOWN_TO_1_20},
    "CronJob/good": UNKNOWN_TO_1_20,
    "CronJob/bad": {
        "cron-job-runs",
        "cron-job-has-a-deadline",
        "cron-job-one-at-a-time",
        "job-ends",
        *UNKNOWN_TO_1_20,
    },
    "Pod/owned": set(),
    "Pod/more": {"pod-is-no-more-than-its-template"},
    "Pod/forged": {"pod-is-no-more-than-its-template"},
    "Pod/mounting": {"pod-is-no-more-than-its-template"},
    "Pod/other-account": {"pod-is-no-more-than-its-template"},
    "Pod/injected": set(),
    "Pod/orphan": {"owner-exists"},
    "Pod/debugged": {"pod-no-secrets-in-debuggers"},
    "Pod/naked": {"workload-has-a-controller", *UNKNOWN_TO_1_20},
    "Role/old": {"role-written-with-lasting-api"},
    "Role/new": set(),
    "Ingress/old": {"ingress-written-with-lasting-api"},
    "Ingress/new": set(),
    "ConfigMap/good": set(),
    "ConfigMap/bad": {"config-map-no-secrets"},
    "Secret/web": set(),
    "Secret/unused": {"secret-in-use"},
}


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
def test_what_is_more_than_a_template_is_judged_by_name(real: Any, subject: str) -> None:
    kind, name = subject.split("/")
    assert failing(real, f"{kind}/{SPACE}/{name}") == SUBJECTS[subject]


def test_a_debugger_in_a_running_pod_is_judged_as_any_container(real: Any) -> None:
    found = failing(real, f"Pod/{SPACE}/debugged/debug")
    assert {"container-no-debugger-left", "container-drops-capabilities", "image-tag-not-latest"} <= found


def test_a_pod_that_its_template_speaks_for_is_not_judged_again(real: Any) -> None:
    assert not [key for key in real.findings if key[1] == f"Pod/{SPACE}/owned/main"]


def test_two_images_under_one_name_are_found(real: Any) -> None:
    moved = real.of("kubernetes-image-runs-once")
    assert {subject.rpartition(":")[2][0]: result for subject, result in moved.items()} == {
        "1": "fail",
        "2": "fail",
    }


def test_every_check_of_workloads_could_be_run(real: Any) -> None:
    assert [check for check in real.failed if check.removeprefix("kubernetes-") in mine()] == []


def test_every_check_fails_something_somewhere(real: Any) -> None:
    """Else it might be one that cannot. Not: what only newer servers keep, and what takes years."""
    failed = {
        check.removeprefix("kubernetes-") for (check, _), result in real.findings.items() if result == "fail"
    }
    unfailed = {check for check in mine() - failed if not check.endswith("-written-with-lasting-api")}
    newer = set().union(*(workload | container for _, workload, container in NEWER.values()))
    assert unfailed - newer == {
        "autoscaler-has-a-range",
        "cron-job-succeeds",
        "config-map-no-secrets-in-annotations",
        "secret-is-renewed",
    }


def test_what_newer_servers_keep_is_judged(
    recorded: Callable[..., Any], collecting: Callable[..., Any], judged: Callable[..., Any]
) -> None:
    server = recorded(34)
    for name, (changes, _, _) in NEWER.items():
        server.add(deployment(name, changes))
    server.add(
        named("autoscaling/v2", "HorizontalPodAutoscaler", "narrow", spec={"maxReplicas": 1}),
        named(
            "batch/v1",
            "CronJob",
            "failing",
            spec={"schedule": "@daily", "jobTemplate": {"spec": {"template": TEMPLATE}}},
            status={"lastScheduleTime": "2025-01-02T00:00:00Z"},
        ),
    )
    ended = {"ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 60, "template": TEMPLATE}
    server.add(named("batch/v1", "Job", "good", spec=ended))
    removed = named(
        "autoscaling/v2", "HorizontalPodAutoscaler", "old", spec={"minReplicas": 2, "maxReplicas": 9}
    )
    removed["metadata"]["managedFields"] = [{"manager": "kubectl", "apiVersion": "autoscaling/v2beta2"}]
    server.add(removed)
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    server.add(named("policy/v1", "PodDisruptionBudget", "web", spec=budget))
    found = judged(collecting(kubeconfig=str(server.kubeconfig())))
    for name, (_, workload, container) in NEWER.items():
        assert (name, failing(found, f"Deployment/{SPACE}/{name}")) == (name, workload)
        assert (name, failing(found, f"Deployment/{SPACE}/{name}/main")) == (name, container)
    assert failing(found, f"HorizontalPodAutoscaler/{SPACE}/narrow") == {"autoscaler-has-a-range"}
    assert failing(found, f"HorizontalPodAutoscaler/{SPACE}/old") == {
        "horizontal-pod-autoscaler-written-with-lasting-api"
    }
    assert failing(found, f"Job/{SPACE}/good") == set()
    assert "cron-job-succeeds" in failing(found, f"CronJob/{SPACE}/failing")


READ: list[tuple[str, str]] = [
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("", "limitranges"),
    ("", "configmaps"),
    ("", "serviceaccounts"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
    ("policy", "poddisruptionbudgets"),
]


@pytest.mark.parametrize(
    ("lost", "check", "subject", "expected"),
    [
        ("poddisruptionbudgets", "workload-has-disruption-budget", "Deployment/no-budget", "unknown"),
        ("limitranges", "container-memory-limit", "Deployment/unbounded/main", "unknown"),
        ("limitranges", "container-memory-limit", "Deployment/good/main", "pass"),
        ("replicasets", "owner-exists", "Pod/owned", "unknown"),
        ("replicasets", "owner-exists", "Pod/orphan", "unknown"),
    ],
)
def test_a_list_that_is_denied_leaves_open_what_rests_on_it(
    filled: Any,
    collecting: Callable[..., Any],
    judged: Callable[..., Any],
    lost: str,
    check: str,
    subject: str,
    expected: str,
) -> None:
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": ["list"]}
        for group, resource in READ
        if resource != lost
    ]
    file = filled.account(f"workloads-without-{lost}", rules)
    found = judged(collecting(kubeconfig=str(file), namespaces=[SPACE]))
    kind, _, rest = subject.partition("/")
    assert found.findings[f"kubernetes-{check}", f"{kind}/{SPACE}/{rest}"] == expected
