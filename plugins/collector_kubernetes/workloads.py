"""What runs pods: one record for each template that somebody wrote, and one for each of its containers.

A pod that a replica set made says nothing that the replica set's template does not, and so it is with a
replica set of a deployment and a job of a cron job: each is judged once, as it was written, also where
nothing of it runs now. What the server fills in by default counts as it works (Pod API reference).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.model import Column, Identity, Json, Kind, Record
from collector_kubernetes.catalogue import POWERS, Node, group, template_lists
from collector_kubernetes.containers import ADDED, WRITTEN, containers, is_static
from collector_kubernetes.objects import at, identifier
from collector_kubernetes.powers import powers

__all__ = ["WORKLOAD", "owner", "workloads"]

_OWNERS: Mapping[str, frozenset[tuple[str, str]]] = {
    "Pod": frozenset(
        {
            ("", "ReplicationController"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("apps", "DaemonSet"),
            ("batch", "Job"),
        }
    ),
    "ReplicaSet": frozenset({("apps", "Deployment")}),
    "Job": frozenset({("batch", "CronJob")}),
}
"""Whose templates are judged in place of these."""

_EVERY_TAINT = {"operator": "Exists"}
_OUTDATED = (
    "seccomp.security.alpha.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "container.apparmor.security.beta.kubernetes.io/",
    "scheduler.alpha.kubernetes.io/",
    "security.alpha.kubernetes.io/",
)
"""What was asked for by annotation before there was a field for it."""


WORKLOAD = Kind(
    name="kubernetes_workload",
    title="What runs pods, each as its template was written",
    columns=(
        Column("kind", "VARCHAR", "Deployment, StatefulSet, CronJob, Pod, …", identity=Identity.RESOURCE),
        Column("namespace", "VARCHAR", "the namespace that it lies in", identity=Identity.RESOURCE),
        Column("name", "VARCHAR", "its name", identity=Identity.RESOURCE),
        Column("uid", "VARCHAR", "tells it from others of its name before and after it"),
        Column("replicas", "BIGINT", "pods that it asks for; NULL: it does not count them"),
        Column("suspended", "BOOLEAN", "whether it makes no pods for now"),
        Column("static", "BOOLEAN", "whether a node runs it from a file of its own"),
        Column("controlled_by", "VARCHAR", "kind of the extension that made it, if one did"),
        Column(
            "deadline", "BIGINT", "seconds after which its job is ended; NULL: never, or it makes no jobs"
        ),
        Column(
            "cleaned_after", "BIGINT", "seconds after which its job, once finished, is removed; NULL: never"
        ),
        Column("labels", "JSON", "its labels"),
        Column("annotations", "JSON", "its annotations, of a pod those in `template`", free_text=True),
        Column("pod_labels", "JSON", "labels of its pods"),
        Column("service_account", "VARCHAR", "the service account of its pods"),
        Column("automount", "BOOLEAN", "whether it mounts its account's token; NULL: as the account says"),
        Column("own_token", "BOOLEAN", "whether a volume that it asks for holds that token all the same"),
        Column("host_network", "BOOLEAN", "whether its pods use the node's network"),
        Column("host_pid", "BOOLEAN", "whether its pods see the node's processes"),
        Column("host_ipc", "BOOLEAN", "whether its pods share the node's IPC"),
        Column("host_users", "BOOLEAN", "whether its pods' users are the node's"),
        Column("share_processes", "BOOLEAN", "whether its containers see each other's processes"),
        Column("host_paths", "VARCHAR[]", "paths of the node that it mounts"),
        POWERS,
        Column("volume_types", "VARCHAR[]", "types of its volumes, sorted"),
        Column("run_as_user", "BIGINT", "the pod's user; NULL: the images'"),
        Column("run_as_non_root", "BOOLEAN", "whether the pod refuses to run as root; NULL: not set"),
        Column("fs_group", "BIGINT", "group that owns its volumes"),
        Column("supplemental_groups", "BIGINT[]", "further groups of its processes"),
        Column("seccomp", "VARCHAR", "type of the pod's seccomp profile; NULL: not set"),
        Column("sysctls", "VARCHAR[]", "names of the kernel settings that it changes"),
        Column("os", "VARCHAR", "the operating system that it says it is for; NULL: it does not"),
        Column("outdated_annotations", "VARCHAR[]", "annotations in place of which there are fields, sorted"),
        Column("service_links", "BOOLEAN", "whether its environment lists the services of its namespace"),
        Column("runtime_class", "VARCHAR", "its runtime; NULL: the node's"),
        Column("priority_class", "VARCHAR", "its priority"),
        Column("node_name", "VARCHAR", "the node that its template names, past the scheduler"),
        Column("scheduler", "VARCHAR", "the scheduler that places its pods; NULL: the cluster's own"),
        Column("image_pull_secrets", "VARCHAR[]", "secrets with which images are fetched"),
        Column("secret_volumes", "VARCHAR[]", "secrets that it mounts"),
        Column("config_map_volumes", "VARCHAR[]", "config maps that it mounts"),
        Column("claims", "VARCHAR[]", "volume claims that it mounts"),
        Column("tolerates_all", "BOOLEAN", "whether it runs on any node, whatever its taints"),
        Column("spread", "BOOLEAN", "whether its pods are told to keep apart"),
        Column("node_selector", "JSON", "labels that its nodes must have"),
        Column("template", "JSON", "the template as it was written", free_text=True, literals=("value",)),
    ),
    identity=("kind", "namespace", "name"),
    operations=template_lists(),
    examples=("SELECT namespace, kind, name FROM kubernetes_workload WHERE host_network AND NOT static",),
)


def workloads(node: Node, item: Mapping[str, Json], scope: Mapping[str, str], call: str) -> Iterator[Record]:
    """The workload that an object is, and its containers; of an owned pod only what was added to it since."""
    metadata = item.get("metadata") or {}
    controller = owner(metadata)
    template = item if node.template == "." else at(item, tuple(node.template.split("."))) or {}
    spec = template.get("spec") or {}
    pod = template.get("metadata") or {}
    if _judged_elsewhere(node, controller):
        if node.template == ".":
            yield from containers(node.object_kind, metadata, pod, spec, ADDED, scope, call)
        return
    data = {
        **_of_object(node, item, controller),
        **_of_pod(pod, spec),
        "powers": powers(pod, spec),
        "template": {"metadata": {"annotations": pod.get("annotations")}, "spec": spec},
    }
    kept = {name: value for name, value in data.items() if value is not None}
    yield Record(WORKLOAD.name, identifier(node.object_kind, metadata), scope, (call,), kept)
    yield from containers(node.object_kind, metadata, pod, spec, (*WRITTEN, *ADDED), scope, call)


def owner(metadata: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The reference to what controls an object."""
    references = metadata.get("ownerReferences") or ()
    return next((each for each in references if each.get("controller")), None)


def _judged_elsewhere(node: Node, controller: Mapping[str, Json] | None) -> bool:
    if controller is None:
        return False
    of = (group(controller.get("apiVersion") or ""), controller.get("kind") or "")
    return of in _OWNERS.get(node.object_kind, ())


def _of_object(
    node: Node, item: Mapping[str, Json], controller: Mapping[str, Json] | None
) -> dict[str, Json]:
    metadata, spec = item.get("metadata") or {}, item.get("spec") or {}
    static = is_static(metadata)
    scaled = node.object_kind in ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController")
    replicas = spec.get("replicas")
    return {
        "kind": node.object_kind,
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "uid": metadata.get("uid"),
        "labels": metadata.get("labels"),
        "replicas": (1 if replicas is None else replicas) if scaled else None,
        "suspended": spec.get("suspend") or False,
        "static": static,
        "controlled_by": controller.get("kind") if controller and not static else None,
        "annotations": None if node.template == "." else metadata.get("annotations"),
        **_of_job(node, item),
    }


def _of_job(node: Node, item: Mapping[str, Json]) -> dict[str, Json]:
    if node.object_kind not in ("Job", "CronJob"):
        return {}
    job = at(item, tuple(node.template.split(".")[:-1])) or {}
    pod = at(job, ("template", "spec")) or {}
    own = job.get("activeDeadlineSeconds")
    return {
        "deadline": pod.get("activeDeadlineSeconds") if own is None else own,
        "cleaned_after": job.get("ttlSecondsAfterFinished"),
    }


def _of_pod(pod: Mapping[str, Json], spec: Mapping[str, Json]) -> dict[str, Json]:
    secure = spec.get("securityContext") or {}
    tolerations = spec.get("tolerations") or ()
    return {
        "pod_labels": pod.get("labels"),
        "service_account": spec.get("serviceAccountName") or spec.get("serviceAccount") or "default",
        "automount": spec.get("automountServiceAccountToken"),
        "host_network": spec.get("hostNetwork") or False,
        "host_pid": spec.get("hostPID") or False,
        "host_ipc": spec.get("hostIPC") or False,
        "host_users": spec.get("hostUsers") is not False,
        "share_processes": spec.get("shareProcessNamespace") or False,
        "run_as_user": secure.get("runAsUser"),
        "run_as_non_root": secure.get("runAsNonRoot"),
        "fs_group": secure.get("fsGroup"),
        "supplemental_groups": secure.get("supplementalGroups"),
        "seccomp": (secure.get("seccompProfile") or {}).get("type"),
        "sysctls": _names(secure.get("sysctls")),
        "os": (spec.get("os") or {}).get("name"),
        "outdated_annotations": sorted(
            name for name in pod.get("annotations") or () if name.startswith(_OUTDATED)
        ),
        "service_links": spec.get("enableServiceLinks") is not False,
        "runtime_class": spec.get("runtimeClassName"),
        "priority_class": spec.get("priorityClassName"),
        "node_name": spec.get("nodeName"),
        "scheduler": spec.get("schedulerName"),
        "image_pull_secrets": _names(spec.get("imagePullSecrets")),
        "tolerates_all": any(
            _EVERY_TAINT.items() <= each.items() and not each.get("key") for each in tolerations
        ),
        "spread": bool(spec.get("topologySpreadConstraints"))
        or bool((spec.get("affinity") or {}).get("podAntiAffinity")),
        "node_selector": spec.get("nodeSelector"),
        **_of_volumes(spec.get("volumes") or ()),
    }


def _of_volumes(volumes: Json) -> dict[str, Json]:
    sources = [(name, told or {}) for each in volumes for name, told in each.items() if name != "name"] or [
        ("emptyDir", {}) for each in volumes
    ]
    parts = [
        (name, told or {})
        for kind, source in sources
        if kind == "projected"
        for each in source.get("sources") or ()
        for name, told in each.items()
    ]
    return {
        "volume_types": sorted({name for name, _ in sources}),
        "host_paths": sorted(str(told.get("path")) for name, told in sources if name == "hostPath"),
        "secret_volumes": sorted(
            [str(told.get("secretName")) for name, told in sources if name == "secret"]
            + [str(told.get("name")) for name, told in parts if name == "secret"]
        ),
        "config_map_volumes": sorted(
            str(told.get("name")) for name, told in (*sources, *parts) if name == "configMap"
        ),
        "own_token": any(name == "serviceAccountToken" and _for_server(told) for name, told in parts),
        "claims": sorted(
            str(told.get("claimName")) for name, told in sources if name == "persistentVolumeClaim"
        ),
    }


def _for_server(token: Mapping[str, Json]) -> bool:
    """Whether a projected token is one for the API server: it takes no other's (TokenRequest API)."""
    audience = str(token.get("audience") or "")
    return not audience or "kubernetes.default" in audience


def _names(items: Json) -> list[str]:
    return [str(each.get("name")) for each in items or ()]
