"""Containers as their templates ask for them: a container's own setting before its pod's, defaults filled in.

What unset means follows the API reference of Container, SecurityContext and PodSecurityContext, for images
the rules of the kubelet: no tag is `latest`, and `latest` is pulled always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.model import Column, Identity, Json, Kind, Record
from collector_kubernetes.catalogue import template_lists
from collector_kubernetes.objects import identifier

__all__ = ["ADDED", "CONTAINER", "WRITTEN", "containers", "is_static", "security", "uses"]

WRITTEN = (("initContainers", "init"), ("containers", "container"))
ADDED = (("ephemeralContainers", "ephemeral"),)
"""Where a pod's containers stand, and their role. The last come only after a pod was made."""

_MIRROR = "kubernetes.io/config.mirror"
_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"  # before 1.19, and understood until 1.26
_SECCOMP_OF = "container.seccomp.security.alpha.kubernetes.io/"
_APP_ARMOR_OF = "container.apparmor.security.beta.kubernetes.io/"  # before 1.30

CONTAINER = Kind(
    name="kubernetes_container",
    title="Containers of workloads, each as its template was written",
    columns=(
        Column("workload_kind", "VARCHAR", "kind of the workload", identity=Identity.RESOURCE),
        Column("namespace", "VARCHAR", "the namespace that it lies in", identity=Identity.RESOURCE),
        Column("workload", "VARCHAR", "name of the workload", identity=Identity.RESOURCE),
        Column("name", "VARCHAR", "name of the container", identity=Identity.RESOURCE),
        Column("role", "VARCHAR", "container, init, sidecar (an init container that stays) or ephemeral"),
        Column("static", "BOOLEAN", "whether a node runs its pod from a file of its own"),
        Column("os", "VARCHAR", "the operating system that its pod says it is for; NULL: it does not"),
        Column("image", "VARCHAR", "image as it was written", identity=Identity.RESOURCE),
        Column("registry", "VARCHAR", "host that the image comes from; docker.io where none is named"),
        Column("repository", "VARCHAR", "the image without host, tag and digest"),
        Column("tag", "VARCHAR", "the image's tag; latest where it has neither tag nor digest"),
        Column("digest", "VARCHAR", "the image's digest; NULL: it has none"),
        Column("pull_policy", "VARCHAR", "when the image is fetched"),
        Column("privileged", "BOOLEAN", "whether it may do all that the node may"),
        Column("privilege_escalation", "BOOLEAN", "whether a process may gain more than its parent has"),
        Column("run_as_non_root", "BOOLEAN", "whether it refuses to run as root; NULL: not set"),
        Column("run_as_user", "BIGINT", "its user; NULL: the image's"),
        Column("run_as_group", "BIGINT", "its group; NULL: the image's"),
        Column("read_only_root", "BOOLEAN", "whether its root file system cannot be written"),
        Column("capabilities_added", "VARCHAR[]", "capabilities that it gets beyond the runtime's own"),
        Column("capabilities_dropped", "VARCHAR[]", "capabilities that it goes without"),
        Column("seccomp", "VARCHAR", "type of its seccomp profile; NULL: not set"),
        Column("seccomp_annotated", "BOOLEAN", "whether an annotation says so, as servers heed before 1.27"),
        Column("app_armor", "VARCHAR", "type of its AppArmor profile; NULL: not set"),
        Column("selinux_type", "VARCHAR", "type of its SELinux label; NULL: the runtime's"),
        Column("selinux_user", "VARCHAR", "user of its SELinux label"),
        Column("selinux_role", "VARCHAR", "role of its SELinux label"),
        Column("proc_mount", "VARCHAR", "how much of /proc it sees"),
        Column("windows_host_process", "BOOLEAN", "whether it runs as a process of a Windows node"),
        Column("host_ports", "BIGINT[]", "ports of the node that it takes"),
        Column("cpu_request", "VARCHAR", "CPU that it, or its pod, is sure to get"),
        Column("cpu_limit", "VARCHAR", "CPU that it, or its pod, gets at most"),
        Column("memory_request", "VARCHAR", "memory that it, or its pod, is sure to get"),
        Column("memory_limit", "VARCHAR", "memory that it, or its pod, gets at most"),
        Column("storage_limit", "VARCHAR", "space on the node that it gets at most"),
        Column("liveness", "BOOLEAN", "whether it is asked if it lives"),
        Column("readiness", "BOOLEAN", "whether it is asked if it can serve"),
        Column("probe_hosts", "VARCHAR[]", "hosts that probes and hooks address in place of its pod"),
        Column("env_names", "VARCHAR[]", "names of its environment variables"),
        Column("env_secrets", "VARCHAR[]", "secrets that its environment variables are taken from"),
        Column("mounts", "VARCHAR[]", "where it mounts volumes"),
        Column("host_path_writable", "BOOLEAN", "whether it can write to a path of the node that it mounts"),
    ),
    identity=("workload_kind", "namespace", "workload", "name"),
    operations=template_lists(),
    examples=("SELECT namespace, workload, name, image FROM kubernetes_container WHERE tag = 'latest'",),
)


def containers(
    object_kind: str,
    metadata: Mapping[str, Json],
    pod: Mapping[str, Json],
    spec: Mapping[str, Json],
    roles: tuple[tuple[str, str], ...],
    scope: Mapping[str, str],
    call: str,
) -> Iterator[Record]:
    """The containers of a template; `metadata` is the workload's, `pod` that of the template."""
    named = {
        "workload_kind": object_kind,
        "namespace": metadata.get("namespace"),
        "workload": metadata.get("name"),
        "static": is_static(metadata),
        "os": (spec.get("os") or {}).get("name"),
    }
    annotations = pod.get("annotations") or {}
    host_paths = {each.get("name") for each in spec.get("volumes") or () if each.get("hostPath") is not None}
    for field, role in roles:
        for each in spec.get(field) or ():
            stays = role == "init" and each.get("restartPolicy") == "Always"
            data = {
                **named,
                "name": each.get("name"),
                "role": "sidecar" if stays else role,
                **_image(each),
                **security(each, spec.get("securityContext") or {}, annotations),
                **uses(each, host_paths),
                **_resources(each, spec),
                **_probes(each),
            }
            kept = {name: value for name, value in data.items() if value is not None}
            id_ = identifier(object_kind, metadata, str(each.get("name")))
            yield Record(CONTAINER.name, id_, scope, (call,), kept)


def is_static(metadata: Mapping[str, Json]) -> bool:
    """Whether a pod mirrors a file of a node's.

    Anybody who makes a pod may name a node as its owner; a kubelet deletes what is no mirror but says so.
    """
    owners = metadata.get("ownerReferences") or ()
    by_node = any(each.get("kind") == "Node" and each.get("controller") for each in owners)
    return by_node and _MIRROR in (metadata.get("annotations") or {})


def _image(each: Mapping[str, Json]) -> dict[str, Json]:
    image = str(each.get("image") or "")
    name, _, digest = image.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, ""
    host, slash, rest = path.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, rest = "docker.io", path
    if not tag and not digest:
        tag = "latest"
    default = "Always" if tag == "latest" and not digest else "IfNotPresent"
    return {
        "image": image or None,
        "registry": host,
        "repository": rest,
        "tag": tag or None,
        "digest": digest or None,
        "pull_policy": each.get("imagePullPolicy") or default,
    }


def security(
    each: Mapping[str, Json], pod: Mapping[str, Json], annotations: Mapping[str, Json]
) -> dict[str, Json]:
    """A container's settings of security, its own before those of its pod, which `pod` is the context of."""
    own = each.get("securityContext") or {}

    def either(name: str) -> Json:
        return pod.get(name) if own.get(name) is None else own.get(name)

    capabilities = own.get("capabilities") or {}
    added = capabilities.get("add") or []
    privileged = own.get("privileged") or False
    selinux = either("seLinuxOptions") or {}
    name = each.get("name")
    seccomp = (either("seccompProfile") or {}).get("type")
    of_container = _profile(annotations.get(f"{_SECCOMP_OF}{name}"))
    annotated = of_container or _profile(annotations.get(_SECCOMP))
    if of_container != seccomp and of_container and not own.get("seccompProfile"):
        seccomp = None  # until 1.26 it comes before the pod's field, from 1.27 on it counts for nothing
    return {
        "privileged": privileged,
        "privilege_escalation": True
        if privileged or "SYS_ADMIN" in added or "CAP_SYS_ADMIN" in added
        else own.get("allowPrivilegeEscalation") is not False,
        "run_as_non_root": either("runAsNonRoot"),
        "run_as_user": either("runAsUser"),
        "run_as_group": either("runAsGroup"),
        "read_only_root": own.get("readOnlyRootFilesystem") or False,
        "capabilities_added": [str(one).removeprefix("CAP_") for one in added],
        "capabilities_dropped": [_dropped(str(one)) for one in capabilities.get("drop") or ()],
        "seccomp": seccomp or annotated,
        "seccomp_annotated": not seccomp and bool(annotated),
        "app_armor": (either("appArmorProfile") or {}).get("type")
        or _profile(annotations.get(f"{_APP_ARMOR_OF}{name}")),
        "selinux_type": selinux.get("type"),
        "selinux_user": selinux.get("user"),
        "selinux_role": selinux.get("role"),
        "proc_mount": own.get("procMount") or "Default",
        "windows_host_process": _host_process(own, pod),
    }


def _dropped(name: str) -> str:
    """`ALL` drops all; runtimes know no capability that is called `CAP_ALL`, and drop nothing."""
    return name if name.upper() == "CAP_ALL" else name.removeprefix("CAP_")


def _host_process(own: Mapping[str, Json], pod: Mapping[str, Json]) -> bool:
    """Of Windows' options each is inherited by itself, unlike the parts of a SELinux label."""
    told = [(one.get("windowsOptions") or {}).get("hostProcess") for one in (own, pod)]
    return bool(next((one for one in told if one is not None), False))


def _profile(annotation: Json) -> str | None:
    """A profile as annotations spelt it, in the words of the fields that came after them."""
    if not isinstance(annotation, str) or not annotation:
        return None
    if annotation in ("runtime/default", "docker/default"):
        return "RuntimeDefault"
    return "Localhost" if annotation.startswith("localhost/") else "Unconfined"


def uses(each: Mapping[str, Json], host_paths: set[Json]) -> dict[str, Json]:
    """What a container takes of its node and its namespace; `host_paths` are volumes that are the node's."""
    env, whole = each.get("env") or (), each.get("envFrom") or ()
    mounts = each.get("volumeMounts") or ()
    keyed = [(one.get("valueFrom") or {}).get("secretKeyRef") or {} for one in env]
    secrets = {one.get("name") for one in (*keyed, *(one.get("secretRef") or {} for one in whole))}
    ports = [one.get("hostPort") for one in each.get("ports") or ()]
    return {
        "host_ports": [port for port in ports if port],
        "env_names": [str(one.get("name")) for one in env],
        "env_secrets": sorted(str(name) for name in secrets if name),
        "mounts": [str(one.get("mountPath")) for one in mounts],
        "host_path_writable": any(
            one.get("name") in host_paths and not one.get("readOnly") for one in mounts
        ),
    }


def _resources(each: Mapping[str, Json], spec: Mapping[str, Json]) -> dict[str, Json]:
    """What is set for the container, else for its pod; a limit is a request where there is none."""
    own, pods = each.get("resources") or {}, spec.get("resources") or {}
    limits = {**(pods.get("limits") or {}), **(own.get("limits") or {})}
    requests = {
        **limits,
        **(pods.get("requests") or {}),
        **(own.get("limits") or {}),
        **(own.get("requests") or {}),
    }
    return {
        "cpu_request": _text(requests.get("cpu")),
        "cpu_limit": _text(limits.get("cpu")),
        "memory_request": _text(requests.get("memory")),
        "memory_limit": _text(limits.get("memory")),
        "storage_limit": _text(limits.get("ephemeral-storage")),
    }


def _probes(each: Mapping[str, Json]) -> dict[str, Json]:
    probes = [each.get(name) or {} for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    hooks = [(each.get("lifecycle") or {}).get(name) or {} for name in ("postStart", "preStop")]
    asked = [one.get(way) or {} for one in (*probes, *hooks) for way in ("httpGet", "tcpSocket")]
    return {
        "liveness": each.get("livenessProbe") is not None,
        "readiness": each.get("readinessProbe") is not None,
        "probe_hosts": sorted({str(one["host"]) for one in asked if one.get("host")}),
    }


def _text(value: Json) -> str | None:
    return None if value is None else str(value)
