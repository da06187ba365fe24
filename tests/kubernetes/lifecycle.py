"""Which resources a Kubernetes server serves, from 1.20 to 1.34, and discovery documents that say so.

What is written here is when each version of a resource came and went. That it is right for 1.20 is held
against a real server by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["RESOURCES", "Resource", "groups", "resources", "served"]

_READ = ("get", "list", "watch")
_ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_NEWEST = 99


@dataclass(frozen=True)
class Resource:
    """A resource in one version of its group.

    Attributes:
        version: as in `apiVersion`: `v1`, `apps/v1`.
        parts: its subresources.
        since: the first minor release that serves it; 0 for all that came before 1.20.
        until: the last.
    """

    version: str
    name: str
    kind: str
    namespaced: bool = True
    parts: tuple[str, ...] = ()
    since: int = 0
    until: int = _NEWEST
    verbs: tuple[str, ...] = _ALL

    @property
    def group(self) -> str:
        return self.version.rpartition("/")[0]

    @property
    def root(self) -> str:
        return f"/apis/{self.version}" if self.group else f"/api/{self.version}"


# A line: the version and when it was served (`since-until`), then resources: `name Kind`, `*` before those
# that lie in no namespace, `/part` after, `:since` where one came later, `-until` where it went before.
_TABLE = """
v1 | bindings Binding !create | *componentstatuses ComponentStatus !read | configmaps ConfigMap
 | endpoints Endpoints | events Event | limitranges LimitRange | *namespaces Namespace/finalize/status
 | *nodes Node/proxy/status | persistentvolumeclaims PersistentVolumeClaim/status
 | *persistentvolumes PersistentVolume/status
 | pods Pod/attach/binding/eviction/exec/log/portforward/proxy/status | podtemplates PodTemplate
 | replicationcontrollers ReplicationController/scale/status | resourcequotas ResourceQuota/status
 | secrets Secret | serviceaccounts ServiceAccount/token | services Service/proxy/status
apiregistration.k8s.io/v1 | *apiservices APIService/status
apiregistration.k8s.io/v1beta1 -21 | *apiservices APIService/status
extensions/v1beta1 -21 | ingresses Ingress/status
apps/v1 | controllerrevisions ControllerRevision | daemonsets DaemonSet/status
 | deployments Deployment/scale/status | replicasets ReplicaSet/scale/status
 | statefulsets StatefulSet/scale/status
events.k8s.io/v1 | events Event
events.k8s.io/v1beta1 -24 | events Event
authentication.k8s.io/v1 | *tokenreviews TokenReview !create
 | *selfsubjectreviews SelfSubjectReview :28 !create
authentication.k8s.io/v1beta1 -21 | *tokenreviews TokenReview !create
authorization.k8s.io/v1 | localsubjectaccessreviews LocalSubjectAccessReview !create
 | *selfsubjectaccessreviews SelfSubjectAccessReview !create
 | *selfsubjectrulesreviews SelfSubjectRulesReview !create
 | *subjectaccessreviews SubjectAccessReview !create
authorization.k8s.io/v1beta1 -21 | localsubjectaccessreviews LocalSubjectAccessReview !create
 | *selfsubjectaccessreviews SelfSubjectAccessReview !create
 | *selfsubjectrulesreviews SelfSubjectRulesReview !create
 | *subjectaccessreviews SubjectAccessReview !create
autoscaling/v2 23- | horizontalpodautoscalers HorizontalPodAutoscaler/status
autoscaling/v1 | horizontalpodautoscalers HorizontalPodAutoscaler/status
autoscaling/v2beta1 -24 | horizontalpodautoscalers HorizontalPodAutoscaler/status
autoscaling/v2beta2 -25 | horizontalpodautoscalers HorizontalPodAutoscaler/status
batch/v1 | jobs Job/status | cronjobs CronJob/status :21
batch/v1beta1 -24 | cronjobs CronJob/status
certificates.k8s.io/v1 | *certificatesigningrequests CertificateSigningRequest/approval/status
certificates.k8s.io/v1beta1 -21 | *certificatesigningrequests CertificateSigningRequest/approval/status
networking.k8s.io/v1 | *ingressclasses IngressClass | ingresses Ingress/status | networkpolicies NetworkPolicy
 | *ipaddresses IPAddress :33 | *servicecidrs ServiceCIDR/status :33
networking.k8s.io/v1beta1 -21 | *ingressclasses IngressClass | ingresses Ingress/status
policy/v1 21- | poddisruptionbudgets PodDisruptionBudget/status
policy/v1beta1 -24 | poddisruptionbudgets PodDisruptionBudget/status | *podsecuritypolicies PodSecurityPolicy
rbac.authorization.k8s.io/v1 | *clusterrolebindings ClusterRoleBinding | *clusterroles ClusterRole
 | rolebindings RoleBinding | roles Role
rbac.authorization.k8s.io/v1beta1 -21 | *clusterrolebindings ClusterRoleBinding | *clusterroles ClusterRole
 | rolebindings RoleBinding | roles Role
storage.k8s.io/v1 | *csidrivers CSIDriver | *csinodes CSINode | *storageclasses StorageClass
 | *volumeattachments VolumeAttachment/status | csistoragecapacities CSIStorageCapacity :24
 | *volumeattributesclasses VolumeAttributesClass :34
storage.k8s.io/v1beta1 -26 | *csidrivers CSIDriver -21 | *csinodes CSINode -21
 | *storageclasses StorageClass -21 | *volumeattachments VolumeAttachment -21
 | csistoragecapacities CSIStorageCapacity :21
admissionregistration.k8s.io/v1 | *mutatingwebhookconfigurations MutatingWebhookConfiguration
 | *validatingwebhookconfigurations ValidatingWebhookConfiguration
 | *validatingadmissionpolicies ValidatingAdmissionPolicy/status :30
 | *validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding :30
admissionregistration.k8s.io/v1beta1 -21 | *mutatingwebhookconfigurations MutatingWebhookConfiguration
 | *validatingwebhookconfigurations ValidatingWebhookConfiguration
apiextensions.k8s.io/v1 | *customresourcedefinitions CustomResourceDefinition/status
apiextensions.k8s.io/v1beta1 -21 | *customresourcedefinitions CustomResourceDefinition/status
scheduling.k8s.io/v1 | *priorityclasses PriorityClass
scheduling.k8s.io/v1beta1 -21 | *priorityclasses PriorityClass
coordination.k8s.io/v1 | leases Lease
coordination.k8s.io/v1beta1 -21 | leases Lease
node.k8s.io/v1 | *runtimeclasses RuntimeClass
node.k8s.io/v1beta1 -24 | *runtimeclasses RuntimeClass
discovery.k8s.io/v1 21- | endpointslices EndpointSlice
discovery.k8s.io/v1beta1 -24 | endpointslices EndpointSlice
flowcontrol.apiserver.k8s.io/v1 29- | *flowschemas FlowSchema/status
 | *prioritylevelconfigurations PriorityLevelConfiguration/status
flowcontrol.apiserver.k8s.io/v1beta3 26-31 | *flowschemas FlowSchema/status
 | *prioritylevelconfigurations PriorityLevelConfiguration/status
flowcontrol.apiserver.k8s.io/v1beta2 23-28 | *flowschemas FlowSchema/status
 | *prioritylevelconfigurations PriorityLevelConfiguration/status
flowcontrol.apiserver.k8s.io/v1beta1 -25 | *flowschemas FlowSchema/status
 | *prioritylevelconfigurations PriorityLevelConfiguration/status
resource.k8s.io/v1 34- | *deviceclasses DeviceClass | resourceclaims ResourceClaim/status
 | resourceclaimtemplates ResourceClaimTemplate | *resourceslices ResourceSlice
"""


def _span(text: str) -> tuple[int, int]:
    since, _, until = text.partition("-")
    return int(since or 0), int(until or _NEWEST)


def _resource(version: str, span: tuple[int, int], text: str) -> Resource:
    name, told, *more = text.split()
    kind, *parts = told.split("/")
    (since, until), verbs = span, _ALL
    for each in more:
        if each[0] == "!":
            verbs = ("create",) if each == "!create" else ("get", "list")
        elif each[0] == ":":
            since = int(each[1:])
        else:
            until = int(each[1:])
    return Resource(version, name.lstrip("*"), kind, name[0] != "*", tuple(parts), since, until, verbs)


def _resources() -> Iterator[Resource]:
    for line in _TABLE.strip().replace("\n |", " |").splitlines():
        first, *told = line.split(" | ")
        version, _, span = first.partition(" ")
        yield from (_resource(version, _span(span), each) for each in told)


RESOURCES: tuple[Resource, ...] = tuple(_resources())
"""All that any of these servers serves, in the order of discovery: the preferred version of a group first."""


def served(minor: int) -> list[Resource]:
    """What a server of 1.`minor` serves."""
    return [each for each in RESOURCES if each.since <= minor <= each.until]


def groups(told: list[Resource]) -> dict[str, Any]:
    """What `/apis` answers."""
    versions: dict[str, list[dict[str, str]]] = {}
    for each in told:
        both = {"groupVersion": each.version, "version": each.version.rpartition("/")[2]}
        if each.group and both not in versions.setdefault(each.group, []):
            versions[each.group].append(both)
    listed = [
        {"name": name, "versions": known, "preferredVersion": known[0]} for name, known in versions.items()
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def resources(told: list[Resource], version: str) -> dict[str, Any]:
    """What `/api/v1` or `/apis/<version>` answers."""
    listed: list[dict[str, Any]] = []
    for each in (one for one in told if one.version == version):
        whole = {"singularName": "", "namespaced": each.namespaced, "kind": each.kind}
        listed.append({"name": each.name, **whole, "verbs": list(each.verbs)})
        part = {**whole, "verbs": ["get", "patch", "update"]}
        listed += [{**part, "name": f"{each.name}/{name}"} for name in each.parts]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}
