"""The source `kubernetes`: clusters, through their API servers."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import ClassVar

from collector.model import (
    Absent,
    Answer,
    Ask,
    ColumnGap,
    Due,
    Fault,
    Gap,
    Json,
    Kind,
    Operation,
    Option,
    Outcome,
    Record,
    Reply,
    Target,
    Task,
)
from collector_kubernetes.catalogue import EVERY, Node, catalogue
from collector_kubernetes.clusters import Clusters
from collector_kubernetes.containers import CONTAINER
from collector_kubernetes.kubelets import KUBELET, kubelets
from collector_kubernetes.objects import at, records
from collector_kubernetes.powers import powers
from collector_kubernetes.rights import cluster_roles
from collector_kubernetes.running import COMPONENT, IMAGE, Running
from collector_kubernetes.served import (
    CLUSTER,
    DISCOVERY,
    Served,
    cluster,
    discovered,
    resources,
    version_of,
)
from collector_kubernetes.transport import ERRORS, METADATA, send
from collector_kubernetes.workloads import WORKLOAD, workloads

__all__ = ["Kubernetes"]

_SECRET, _NODE, _POD = "kubernetes_secret", "kubernetes_node", "kubernetes_pod"
_NAMESPACE = "kubernetes_namespace"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")  # RFC 1123 label, as namespaces must be named
_OFF, _KEYS = "off", "keys"
_SECRETS_OFF = "not read unless its [[source]] table says so: the right to list them opens their values"
_UNNAMED = "the API did not say which resources there are to list"

_LISTS = 4  # asked at the same time: each takes some 20 MB. Of their pages one at a time is gone through
Item = Record | Gap


class Kubernetes:
    """Kubernetes clusters."""

    name: ClassVar[str] = "kubernetes"
    title: ClassVar[str] = "Kubernetes clusters"
    options: ClassVar[tuple[Option, ...]] = (
        Option("name", "string", "tells this table from another one for Kubernetes"),
        Option(
            "kubeconfig", "path", "left out: in a pod its service account, else $KUBECONFIG or ~/.kube/config"
        ),
        Option(
            "contexts",
            "strings",
            "contexts of the kubeconfig, one for each cluster; left out: the current",
            [],
        ),
        Option("namespaces", "strings", "namespaces to ask, where all cannot be; left out: all at once", []),
        Option("exec", "boolean", "whether programs that the kubeconfig names may run to log in", False),
        Option(
            "secrets",
            "string",
            "what is read of Secrets: nothing, their metadata, or the names of their keys too",
            _OFF,
            choices=(_OFF, METADATA, _KEYS),
        ),
        Option(
            "kubelet", "boolean", "whether kubelets are asked for their settings, by the node proxy", False
        ),
    )
    kinds: ClassVar[tuple[Kind, ...]] = (
        CLUSTER,
        *(node.kind for node in catalogue().values()),
        WORKLOAD,
        CONTAINER,
        IMAGE,
        COMPONENT,
        KUBELET,
    )
    discovery: ClassVar[tuple[Operation, ...]] = DISCOVERY
    errors: ClassVar[Mapping[str, Fault]] = ERRORS

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._name = settings.get("name") or ""
        self._namespaces = tuple(dict.fromkeys(settings.get("namespaces") or ()))
        self._secrets = settings.get("secrets") or _OFF
        self._kubelet = bool(settings.get("kubelet"))
        contexts = tuple(settings.get("contexts") or ())
        kubeconfig = str(settings.get("kubeconfig") or "")
        self._room = threading.BoundedSemaphore(_LISTS)
        self._turn = threading.Lock()
        self._clusters = Clusters(kubeconfig, contexts, bool(settings.get("exec")))

    def root(self) -> Target:
        """Whatever the configuration leads to."""
        return Target(self.name, {"name": self._name} if self._name else {})

    def discover(self, ask: Ask) -> Json:
        """Which clusters there are, as whom they are asked, and what each serves."""
        if find_spec("kubernetes") is None:
            raise ValueError("kubernetes is not installed; run pip install 'evidence-collector[kubernetes]'")
        if wrong := [name for name in self._namespaces if not _NAME.match(name)]:
            raise ValueError(f"namespaces: {wrong[0]!r} is no name of a namespace: a to z, 0 to 9 and - only")
        return [
            {"cluster": name, "principal": self._clusters.principal(name)}
            | discovered(ask, {"@context": name})
            for name in self._clusters.names()
        ]

    def plan(self, found: Json) -> Sequence[Task | Absent]:
        """A task for each kind that a cluster serves, and so in each namespace that is named."""
        items: list[Task | Absent] = []
        for each in found or ():
            if each["reached"]:
                scope = {**self.root().scope, "cluster": each["cluster"]}
                whole = Target(self.name, scope, each["principal"])
                items.append(Task(whole, (CLUSTER.name,), (Due(CLUSTER.name, CLUSTER.lists[0]),)))
                for node in catalogue().values():
                    items += self._planned(node, whole, each)
        return items

    def collect(self, task: Task, ask: Ask) -> Iterator[Item]:
        """A list, a page at a time, and what its objects tell beside themselves."""
        scope = task.target.scope
        if CLUSTER.name in task.kinds:
            yield from cluster(scope, ask)
            return
        node = next(catalogue()[name] for name in task.kinds if name in catalogue())
        if node.kind.name == _SECRET and self._secrets == _OFF:
            yield Gap(_SECRET, scope, Outcome.OFF, None, _SECRETS_OFF)
        elif not task.due:
            yield Gap(node.kind.name, scope, Outcome.FAILED, None, _UNNAMED)
        for due in dict.fromkeys((due.op, tuple(sorted(due.params.items()))) for due in task.due):
            yield from self._list(node, due[0], dict(due[1]), scope, ask)

    def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:
        """One page; `@context` says of which cluster where the target does not."""
        name = str(params.get("@context") or target.scope.get("cluster"))
        return send(self._clusters.connection(name), op, params, timeout)

    @classmethod
    def permissions(cls, kinds: Sequence[Kind]) -> str:
        """ClusterRoles with exactly the verbs and resources that the kinds and discovery need."""
        return cluster_roles(kinds, cls.discovery)

    def _planned(self, node: Node, whole: Target, found: Mapping[str, Json]) -> Iterator[Task | Absent]:
        """The tasks of a kind in a cluster. What may be served is asked for: that tells, or is a gap."""
        kinds = _with(node)
        version = version_of(node, found["served"])
        if not version:
            yield Absent(node.kind.name, whole.scope, f"not served: {', '.join(node.served)}")
            return
        targets = [whole]
        if node.namespaced and self._namespaces:
            targets = [
                Target(whole.source, {**whole.scope, "namespace": name}, whole.principal)
                for name in self._namespaces
            ]
        for target in targets:
            due = []
            if node.kind.name != _SECRET or self._secrets != _OFF:
                due = [
                    Due(kind, node.list, params)
                    for kind in kinds
                    if kind != KUBELET.name or self._kubelet
                    for params in self._params(node, version, target, found["served"])
                ]
            yield Task(target, kinds, tuple(due))

    def _params(self, node: Node, version: str, target: Target, served: Served) -> Iterator[dict[str, Json]]:
        params: dict[str, Json] = {"version": version}
        if "namespace" in target.scope:
            params["namespace"] = target.scope["namespace"]
        if node.kind.name == _SECRET:
            params["secrets"] = self._secrets
        if node.select:
            params["select"] = node.select
        for resource in resources(node, version, served):
            yield {**params, "resource": resource} if node.resource == EVERY else params

    def _list(
        self, node: Node, op: str, params: Mapping[str, Json], scope: Mapping[str, str], ask: Ask
    ) -> Iterator[Item]:
        running = Running()
        read = 0
        missing = set(self._namespaces if node.kind.name == _NAMESPACE else ())
        with self._room:
            for page in ask.pages(op, params):
                if not page.ok:
                    return
                with self._turn:
                    yield from self._page(node, page, params, scope, running)
                if node.kind.name == _NODE and (self._kubelet or not read):
                    yield from kubelets(page, scope, ask, self._kubelet)
                read += len(page.data["items"])
                missing -= {at(item, ("metadata", "name")) for item in page.data["items"]}
                del page  # before the next one takes as much memory
                if node.limit and read >= node.limit:
                    return  # what is behind is a gap, which the core writes
        for name in sorted(missing):  # lists within it are empty and not denied: a slip would pass for order
            yield Gap(_NAMESPACE, scope, Outcome.FAILED, None, f"namespaces: the cluster has no {name!r}")

    def _page(
        self,
        node: Node,
        page: Answer,
        params: Mapping[str, Json],
        scope: Mapping[str, str],
        running: Running,
    ) -> Iterator[Item]:
        for item in page.data["items"]:
            yield from self._object(node, item, params, scope, page, running)

    def _object(
        self,
        node: Node,
        item: Mapping[str, Json],
        params: Mapping[str, Json],
        scope: Mapping[str, str],
        page: Answer,
        running: Running,
    ) -> Iterator[Item]:
        version = str(params["version"])
        for record in records(node, item, version, scope, page.call):
            if params.get("secrets") == METADATA:
                gaps = tuple(
                    ColumnGap(column, Outcome.OFF, None, "only the metadata of Secrets is asked for")
                    for column in ("type", "data", "immutable")
                )
                record = Record(record.kind, record.id, record.scope, record.calls, record.data, gaps)
            if node.kind.name == _POD:
                data = {**record.data, "powers": powers(item.get("metadata") or {}, item.get("spec") or {})}
                record = Record(record.kind, record.id, record.scope, record.calls, data)
            yield record
        if node.template:
            yield from workloads(node, item, scope, page.call)
        if node.kind.name == _POD:
            yield from running.records(item, scope, page.call)


def _with(node: Node) -> tuple[str, ...]:
    """A kind and those that are read from its objects."""
    return (
        node.kind.name,
        *((WORKLOAD.name, CONTAINER.name) if node.template else ()),
        *((IMAGE.name, COMPONENT.name) if node.kind.name == _POD else ()),
        *((KUBELET.name,) if node.kind.name == _NODE else ()),
    )
