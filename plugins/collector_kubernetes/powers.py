"""What a pod has of its node: by this a pod that has more than its template says is told.

It is what the baseline of the Pod Security Standards refuses, so that what servers and injectors add to
ordinary pods (tokens, certificates, sidecars without rights of their own) makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.model import Json
from collector_kubernetes.containers import WRITTEN, security, uses

__all__ = ["powers"]

_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_ORDINARY = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_LABELS = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


def powers(pod: Mapping[str, Json], spec: Mapping[str, Json]) -> list[str]:
    """What a pod's or a template's specification has of the node; `pod` is its metadata.

    Returns:
        Sorted, `hostPID`, `hostPath /etc`, `main: privileged`, and so on. Containers that were added to a
        running pod are left out: each of them is judged as a container.
    """
    return sorted({*_of_pod(spec), *_of_containers(pod.get("annotations") or {}, spec)})


def _of_pod(spec: Mapping[str, Json]) -> Iterator[str]:
    yield from (name for name in _NAMESPACES if spec.get(name))
    for each in spec.get("volumes") or ():
        if each.get("hostPath") is not None:
            yield f"hostPath {(each['hostPath'] or {}).get('path')}"
    for each in (spec.get("securityContext") or {}).get("sysctls") or ():
        if each.get("name") not in _SYSCTLS:
            yield f"sysctl {each.get('name')}"


def _of_containers(annotations: Mapping[str, Json], spec: Mapping[str, Json]) -> Iterator[str]:
    secure = spec.get("securityContext") or {}
    for each in (one for field, _ in WRITTEN for one in spec.get(field) or ()):
        told = security(each, secure, annotations)
        for power in (*_of_settings(told), *(f"hostPort {port}" for port in uses(each, set())["host_ports"])):
            yield f"{each.get('name')}: {power}"


def _of_settings(told: Mapping[str, Json]) -> Iterator[str]:
    yield from (name for name in ("privileged", "windows_host_process") if told[name])
    yield from (f"capability {name}" for name in told["capabilities_added"] if name not in _ORDINARY)
    yield from (f"{name} Unconfined" for name in ("seccomp", "app_armor") if told[name] == "Unconfined")
    if told["proc_mount"] != "Default":
        yield f"proc_mount {told['proc_mount']}"
    label = [told[name] or "" for name in ("selinux_user", "selinux_role", "selinux_type")]
    if label[0] or label[1] or label[2] not in _LABELS:
        yield f"selinux {':'.join(label)}"
