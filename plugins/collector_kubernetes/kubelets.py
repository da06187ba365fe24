"""Nodes, and the settings of their kubelets, which the API server fetches through its node proxy.

Settings are those that count at last, from file and flags (KubeletConfiguration, `/configz`). The right that
it needs, `get nodes/proxy`, opens the kubelet's whole API: it is asked for only where the configuration says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.model import Answer, Ask, Column, Gap, Identity, Json, Kind, Operation, Outcome, Record
from collector_kubernetes.catalogue import catalogue

__all__ = ["CONFIGZ", "KUBELET", "kubelets"]

CONFIGZ = "kubelet:configz"
_NODES = catalogue()["kubernetes_node"].kind.operations[0]

_SETTINGS = (
    Column("authentication", "JSON", "who may ask it", (CONFIGZ,)),
    Column("authorization", "JSON", "how it decides what they may", (CONFIGZ,)),
    Column("readOnlyPort", "BIGINT", "port that answers without authentication; 0 or NULL: none", (CONFIGZ,)),
    Column("streamingConnectionIdleTimeout", "VARCHAR", "when idle streams are closed", (CONFIGZ,)),
    Column("protectKernelDefaults", "BOOLEAN", "whether it refuses to change the kernel", (CONFIGZ,)),
    Column("makeIPTablesUtilChains", "BOOLEAN", "whether it keeps its own packet filters", (CONFIGZ,)),
    Column("eventRecordQPS", "BIGINT", "events that it notes a second; 0: all", (CONFIGZ,)),
    Column("rotateCertificates", "BOOLEAN", "whether it renews its client certificate", (CONFIGZ,)),
    Column("serverTLSBootstrap", "BOOLEAN", "whether it asks for its server certificate", (CONFIGZ,)),
    Column("tlsCertFile", "VARCHAR", "file of its server certificate", (CONFIGZ,)),
    Column("tlsPrivateKeyFile", "VARCHAR", "file of its server key", (CONFIGZ,)),
    Column("tlsCipherSuites", "VARCHAR[]", "cipher suites that it takes; NULL: the library's", (CONFIGZ,)),
    Column("tlsMinVersion", "VARCHAR", "lowest version of TLS that it takes", (CONFIGZ,)),
    Column("podPidsLimit", "BIGINT", "processes that a pod may have; -1: any", (CONFIGZ,)),
    Column("seccompDefault", "BOOLEAN", "whether pods get the runtime's seccomp profile", (CONFIGZ,)),
    Column("staticPodPath", "VARCHAR", "folder of pods of its own", (CONFIGZ,)),
    Column("featureGates", "JSON", "features switched on and off", (CONFIGZ,)),
)

KUBELET = Kind(
    name="kubernetes_kubelet",
    title="Settings of the kubelet on each node",
    columns=(
        Column("node", "VARCHAR", "the node that it runs on", identity=Identity.RESOURCE),
        Column("version", "VARCHAR", "its version, as the node says"),
        *_SETTINGS,
    ),
    identity=("node",),
    operations=(_NODES, Operation(CONFIGZ, "get nodes/proxy", lists=False)),
    examples=("SELECT node FROM kubernetes_kubelet WHERE readOnlyPort > 0",),
)

_OFF = "not asked unless its [[source]] table says so: the right to do so opens the whole API of a kubelet"


def kubelets(page: Answer, scope: Mapping[str, str], ask: Ask, wanted: bool) -> Iterator[Record | Gap]:
    """The kubelets of a page of nodes, asked at the same time; one gap where they are not to be asked."""
    if not wanted:
        yield Gap(KUBELET.name, scope, Outcome.OFF, None, _OFF)
        return
    versions = {str(item["metadata"]["name"]): _version(item) for item in page.data["items"]}
    asked = ask.many([(CONFIGZ, {"node": name}) for name in versions])
    for (name, version), (answer,) in zip(versions.items(), asked, strict=True):
        data = _data(name, answer) | ({"version": version} if version else {})
        yield Record(KUBELET.name, f"Kubelet/{name}", scope, (page.call, answer.call), data)


def _version(node: Mapping[str, Json]) -> Json:
    return ((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion")


def _data(name: str, answer: Answer) -> dict[str, Json]:
    settings = answer.data.get("kubeletconfig") or {} if answer.ok else {}
    known = {column.name: settings.get(column.name) for column in _SETTINGS}
    return {"node": name} | {column: value for column, value in known.items() if value is not None}
