"""The union of the API's published schemas, from which columns get their types."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from collector_kubernetes.catalogue import catalogue

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@cache
def schema() -> dict[str, Any]:
    return dict(json.loads((TOOLS / "kubernetes_schema.json").read_bytes()))


@cache
def maker() -> Any:
    spec = importlib.util.spec_from_file_location("kubernetes_schema", TOOLS / "kubernetes_schema.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_spans_every_version_from_1_20_to_today() -> None:
    assert schema()["versions"] == [f"1.{minor}" for minor in range(20, 36)]


def test_it_has_what_newer_versions_dropped_and_what_older_ones_lack() -> None:
    types = schema()["types"]
    assert "allowPrivilegeEscalation" in types["V1beta1PodSecurityPolicySpec"]
    assert "schedule" in types["V1beta1CronJobSpec"]
    assert "validations" in types["V1ValidatingAdmissionPolicySpec"]
    assert {"hostUsers", "ephemeralContainers"} <= types["V1PodSpec"].keys()
    assert "clusterName" in types["V1ObjectMeta"]  # gone since 1.24


def test_every_class_that_the_client_at_hand_has_is_in_it_with_all_its_fields() -> None:
    from kubernetes import client

    types = schema()["types"]
    for name in (
        "V1Pod",
        "V1PodSpec",
        "V1Container",
        "V1SecurityContext",
        "V1ServiceSpec",
        "V1NetworkPolicySpec",
    ):
        fields = set(getattr(client, name).attribute_map.values())
        newer = fields - types[name].keys()
        assert len(newer) <= 3, f"{name}: the schema is behind: {newer}"


def test_a_field_that_two_versions_type_differently_is_free_form_and_one_that_was_renamed_is_not(
    tmp_path: Path,
) -> None:
    wheels = {
        20: 'class V1A:\n    openapi_types = {"x": "str", "y": "V1Old", "z": "list[str]"}\n'
        '    attribute_map = {"x": "x", "y": "y", "z": "z"}\n',
        21: 'class V1A:\n    openapi_types = {"x": "int", "y": "V1New", "w_w": "bool"}\n'
        '    attribute_map = {"x": "x", "y": "y", "w_w": "wW"}\n'
        "class V1New:\n    openapi_types = {}\n    attribute_map = {}\n",
    }
    found = []
    for minor, text in wheels.items():
        with zipfile.ZipFile(tmp_path / f"kubernetes-{minor}.0.0.whl", "w") as archive:
            archive.writestr("kubernetes/client/models/v1_a.py", text)
        found.append(maker().models(tmp_path / f"kubernetes-{minor}.0.0.whl"))
    assert maker().union(found)["V1A"] == {"x": "object", "y": "V1New", "z": "list[str]", "wW": "bool"}


@pytest.mark.parametrize(
    ("kind", "column", "type_"),
    [
        ("kubernetes_deployment", "replicas", "BIGINT"),
        ("kubernetes_cron_job", "suspend", "BOOLEAN"),
        ("kubernetes_node", "unschedulable", "BOOLEAN"),
        ("kubernetes_cron_job", "lastScheduleTime", "TIMESTAMP"),
        ("kubernetes_ingress", "rules", "JSON"),
        ("kubernetes_config_map", "binaryData", "VARCHAR[]"),
        ("kubernetes_pod_security_policy", "privileged", "BOOLEAN"),
        ("kubernetes_validating_admission_policy_binding", "validationActions", "VARCHAR[]"),
    ],
)
def test_columns_have_the_types_that_all_versions_agree_on(kind: str, column: str, type_: str) -> None:
    assert catalogue()[kind].kind.column(column).type == type_
