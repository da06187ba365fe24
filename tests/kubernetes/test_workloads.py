"""Workloads and containers: whose template is judged, and what unset fields come to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.workloads import workloads

Object = dict[str, Any]
NODES = {node.object_kind: node for node in catalogue().values() if node.template}


def read(kind: str, item: Object) -> dict[str, Object]:
    """Records of an object by id."""
    return {record.id: dict(record.data) for record in workloads(NODES[kind], item, {"cluster": "c"}, "call")}


def pod(spec: Object | None = None, **metadata: Any) -> Object:
    spec = spec or {}
    return {
        "metadata": {"name": "a", "namespace": "n", **metadata},
        "spec": {"containers": [{"name": "main", "image": "app"}], **spec},
    }


def owned(version: str, kind: str, controller: bool = True, **metadata: Any) -> Object:
    owner = {"apiVersion": version, "kind": kind, "name": "o", "uid": "1", "controller": controller}
    return pod(ownerReferences=[owner], **metadata)


def container(own: Object, **spec: Any) -> Object:
    made = pod({"containers": [{"name": "main", "image": "app", **own}], **spec})
    return read("Pod", made)["Pod/n/a/main"]


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("apps/v1", "ReplicaSet"),
        ("apps/v1beta2", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
        ("v1", "ReplicationController"),
    ],
)
def test_a_pod_of_a_built_in_controller_is_judged_by_its_template(version: str, kind: str) -> None:
    assert read("Pod", owned(version, kind)) == {}


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("argoproj.io/v1alpha1", "Rollout"),
        ("other.example/v1", "ReplicaSet"),
        ("apps/v1", "Deployment"),  # makes no pods itself: whoever claims it came by no controller
        ("v1", "ConfigMap"),
    ],
)
def test_a_pod_of_anything_else_is_judged_itself(version: str, kind: str) -> None:
    found = read("Pod", owned(version, kind))["Pod/n/a"]
    assert found["controlled_by"] == kind


def test_an_owner_that_does_not_control_hides_no_pod() -> None:
    found = read("Pod", owned("apps/v1", "ReplicaSet", controller=False))["Pod/n/a"]
    assert "controlled_by" not in found


@pytest.mark.parametrize(
    ("kind", "version", "by"), [("ReplicaSet", "apps/v1", "Deployment"), ("Job", "batch/v1", "CronJob")]
)
def test_what_a_workload_makes_is_judged_once(kind: str, version: str, by: str) -> None:
    item = {"metadata": owned(version, by)["metadata"], "spec": {"template": pod()}}
    assert read(kind, item) == {}
    del item["metadata"]["ownerReferences"]
    assert set(read(kind, item)) == {f"{kind}/n/a", f"{kind}/n/a/main"}


def test_a_debugger_in_an_owned_pod_is_seen() -> None:
    made = owned("apps/v1", "ReplicaSet")
    made["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
    assert {id_: data["role"] for id_, data in read("Pod", made).items()} == {"Pod/n/a/debug": "ephemeral"}


@pytest.mark.parametrize(("mirrors", "controls", "static"), [(True, True, True), (False, True, False)])
def test_naming_a_node_as_owner_does_not_make_a_pod_static(
    mirrors: bool, controls: bool, static: bool
) -> None:
    annotations = {"kubernetes.io/config.mirror": "1"} if mirrors else {}
    found = read("Pod", owned("v1", "Node", controls, annotations=annotations))
    assert found["Pod/n/a"]["static"] is static
    assert found["Pod/n/a/main"]["static"] is static


def test_unset_fields_count_as_they_work() -> None:
    found = read("Pod", pod())
    workload, main = found["Pod/n/a"], found["Pod/n/a/main"]
    assert workload["service_account"] == "default"
    assert workload["host_users"]
    assert workload["service_links"]
    assert workload["host_network"] is workload["host_pid"] is workload["share_processes"] is False
    assert "automount" not in workload
    assert main["privilege_escalation"]
    assert main["proc_mount"] == "Default"
    assert main["privileged"] is main["read_only_root"] is main["windows_host_process"] is False
    assert (main["registry"], main["repository"], main["tag"]) == ("docker.io", "app", "latest")
    assert main["pull_policy"] == "Always"


@pytest.mark.parametrize(
    ("image", "registry", "repository", "tag", "digest", "policy"),
    [
        ("nginx:1.27", "docker.io", "nginx", "1.27", None, "IfNotPresent"),
        ("localhost/a", "localhost", "a", "latest", None, "Always"),
        ("r.example:5000/a/b", "r.example:5000", "a/b", "latest", None, "Always"),
        ("r.example/a:1@sha256:ff", "r.example", "a", "1", "sha256:ff", "IfNotPresent"),
        ("r.example/a:latest@sha256:ff", "r.example", "a", "latest", "sha256:ff", "IfNotPresent"),
        ("a@sha256:ff", "docker.io", "a", None, "sha256:ff", "IfNotPresent"),
    ],
)
def test_an_image_is_taken_apart(
    image: str, registry: str, repository: str, tag: str, digest: str, policy: str
) -> None:
    found = container({"image": image})
    parts = tuple(found.get(name) for name in ("registry", "repository", "tag", "digest", "pull_policy"))
    assert parts == (registry, repository, tag, digest, policy)


SETTINGS = st.dictionaries(
    st.sampled_from(("runAsNonRoot", "runAsUser")), st.one_of(st.booleans(), st.integers(0, 2)), max_size=2
)


@given(SETTINGS, SETTINGS)
def test_a_containers_setting_counts_before_its_pods(own: Object, pods: Object) -> None:
    found = container({"securityContext": own}, securityContext=pods)
    for name, column in (("runAsNonRoot", "run_as_non_root"), ("runAsUser", "run_as_user")):
        assert found.get(column) == own.get(name, pods.get(name))


@pytest.mark.parametrize(
    ("own", "pods", "asked", "limit"),
    [
        ({}, {}, None, None),
        ({"limits": {"memory": "2Gi"}}, {}, "2Gi", "2Gi"),
        ({"requests": {"memory": "1Gi"}}, {}, "1Gi", None),
        ({}, {"limits": {"memory": "4Gi"}}, "4Gi", "4Gi"),
        ({"limits": {"memory": "2Gi"}}, {"requests": {"memory": "1Gi"}}, "2Gi", "2Gi"),
    ],
)
def test_resources_are_the_containers_else_the_pods(
    own: Object, pods: Object, asked: str | None, limit: str | None
) -> None:
    found = container({"resources": own}, resources=pods)
    assert (found.get("memory_request"), found.get("memory_limit")) == (asked, limit)


def test_a_job_ends_by_its_own_deadline_or_its_pods() -> None:
    job: Object = {"metadata": pod()["metadata"], "spec": {"template": pod({"activeDeadlineSeconds": 9})}}
    assert read("Job", job)["Job/n/a"]["deadline"] == 9
    job["spec"] |= {"activeDeadlineSeconds": 5, "ttlSecondsAfterFinished": 0}
    assert read("Job", job)["Job/n/a"]["deadline"] == 5
    assert read("Job", job)["Job/n/a"]["cleaned_after"] == 0
    cron = {"metadata": pod()["metadata"], "spec": {"jobTemplate": {"spec": job["spec"]}}}
    assert read("CronJob", cron)["CronJob/n/a"]["deadline"] == 5
    assert "deadline" not in read("Pod", pod())["Pod/n/a"]


def test_hosts_of_probes_and_hooks_are_told() -> None:
    found = container(
        {
            "livenessProbe": {"httpGet": {"host": "b.example", "port": 80}},
            "readinessProbe": {"tcpSocket": {"port": 80}},
            "lifecycle": {"preStop": {"tcpSocket": {"host": "a.example", "port": 80}}},
        }
    )
    assert found["probe_hosts"] == ["a.example", "b.example"]
    assert found["liveness"]
    assert found["readiness"]


def test_profiles_by_annotation_are_told_as_those_by_field() -> None:
    annotations = {
        "container.apparmor.security.beta.kubernetes.io/main": "unconfined",
        "seccomp.security.alpha.kubernetes.io/pod": "runtime/default",
        "example.com/note": "x",
    }
    found = read("Pod", pod(annotations=annotations))
    main = found["Pod/n/a/main"]
    assert (main["app_armor"], main["seccomp"]) == ("Unconfined", "RuntimeDefault")
    assert found["Pod/n/a"]["outdated_annotations"] == sorted(annotations)[0:1] + sorted(annotations)[2:]
    assert main["seccomp_annotated"]
    fields = {"securityContext": {"seccompProfile": {"type": "Localhost"}}}
    main = read("Pod", pod(fields, annotations=annotations))["Pod/n/a/main"]
    assert (main["seccomp"], main["seccomp_annotated"]) == ("Localhost", False)


@pytest.mark.parametrize(
    ("own", "pods", "told"),
    [
        ({}, {"hostProcess": True}, True),
        ({"runAsUserName": "ContainerUser"}, {"hostProcess": True}, True),
        ({"hostProcess": False}, {"hostProcess": True}, False),
        ({"hostProcess": True}, {}, True),
        ({"runAsUserName": "ContainerUser"}, {}, False),
    ],
)
def test_options_for_windows_are_inherited_one_by_one(own: Object, pods: Object, told: bool) -> None:
    found = container({"securityContext": {"windowsOptions": own}}, securityContext={"windowsOptions": pods})
    assert found["windows_host_process"] is told


def test_capabilities_are_told_without_their_prefix_but_for_one_that_there_is_not() -> None:
    capabilities = {"add": ["CAP_NET_ADMIN", "CHOWN"], "drop": ["CAP_NET_RAW", "CAP_ALL", "KILL"]}
    found = container({"securityContext": {"capabilities": capabilities}})
    assert found["capabilities_added"] == ["NET_ADMIN", "CHOWN"]
    assert found["capabilities_dropped"] == ["NET_RAW", "CAP_ALL", "KILL"]


@pytest.mark.parametrize(
    ("source", "held"),
    [
        ({"serviceAccountToken": {"path": "token"}}, True),
        ({"serviceAccountToken": {"path": "token", "audience": "https://kubernetes.default.svc"}}, True),
        ({"serviceAccountToken": {"path": "token", "audience": "vault"}}, False),
        ({"secret": {"name": "a"}}, False),
    ],
)
def test_a_token_that_a_volume_brings_is_told(source: Object, held: bool) -> None:
    spec = {
        "automountServiceAccountToken": False,
        "volumes": [{"name": "v", "projected": {"sources": [source]}}],
    }
    assert read("Pod", pod(spec))["Pod/n/a"]["own_token"] is held


OF_MAIN = "container.seccomp.security.alpha.kubernetes.io/main"


@pytest.mark.parametrize(
    ("own", "annotation", "told"),
    [
        ({}, "unconfined", ("Unconfined", True)),  # which of the two counts is the server's age
        ({}, "runtime/default", ("RuntimeDefault", False)),
        ({"seccompProfile": {"type": "Localhost"}}, "unconfined", ("Localhost", False)),
    ],
)
def test_a_containers_profile_by_annotation_comes_before_its_pods_field(
    own: Object, annotation: str, told: tuple[str, bool]
) -> None:
    made = pod({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}})
    made["metadata"]["annotations"] = {OF_MAIN: annotation}
    made["spec"]["containers"][0]["securityContext"] = own
    main = read("Pod", made)["Pod/n/a/main"]
    assert (main["seccomp"], main["seccomp_annotated"]) == told
