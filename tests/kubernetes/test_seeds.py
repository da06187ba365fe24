"""The seeds: that what they promise is really in the cluster, so that tests which rest on it can fail."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest


def _versions(admin: Any) -> list[str]:
    groups = admin.get("/apis")["groups"]
    return ["v1", *(each["groupVersion"] for group in groups for each in group["versions"])]


@pytest.fixture(scope="module")
def everything(seeded_cluster: Any) -> dict[str, list[dict[str, Any]]]:
    """All objects by `group/version/resource`."""
    admin, found = seeded_cluster.admin, {}
    for version in _versions(admin):
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if "unverified" in version:  # nobody is behind this one
            continue
        for each in admin.get(root)["resources"]:
            if "list" in each["verbs"] and "/" not in each["name"]:
                found[f"{version}/{each['name']}"] = list(admin.items(f"{root}/{each['name']}"))
    return found


def test_every_planted_secret_is_in_the_cluster(everything: Any, seeds: Any) -> None:
    values = [value for each in everything["v1/secrets"] for value in (each.get("data") or {}).values()]
    text = json.dumps([everything, *(base64.b64decode(value).decode() for value in values)])
    assert len(seeds.CANARIES) >= 60
    assert len(set(seeds.CANARIES.values())) == len(seeds.CANARIES)
    missing = [
        place for place, value in seeds.CANARIES.items() if not any(f in text for f in seeds.forms(value))
    ]
    assert missing == []


def test_nearly_every_resource_that_is_served_has_an_object(everything: Any) -> None:
    empty = sorted(name for name, objects in everything.items() if not objects)
    assert empty == []


def test_owners_are_those_of_the_cluster(everything: Any) -> None:
    uids = {each["metadata"].get("uid") for objects in everything.values() for each in objects}
    for name in ("v1/pods", "apps/v1/replicasets", "batch/v1/jobs"):
        owned = [each for each in everything[name] if each["metadata"].get("ownerReferences")]
        strangers = {
            each["metadata"]["name"]
            for each in owned
            for owner in each["metadata"]["ownerReferences"]
            if owner["uid"] not in uids
        }
        assert owned and strangers <= {"orphan", "claims-an-owner"}


def test_legal_oddities_are_kept_by_the_server(seeded_cluster: Any, everything: Any) -> None:
    role = seeded_cluster.admin.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/aggregated")
    binding = seeded_cluster.admin.get("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/to-nobody")
    assert role["rules"] is None
    assert "subjects" not in binding
    names = {each["metadata"]["name"] for each in everything["rbac.authorization.k8s.io/v1/clusterroles"]}
    assert {"'; DROP TABLE findings; --", "line\nbreak\ttab\x1b[31mred\x1b[0m\a"} <= names
    assert (
        "\0"
        in seeded_cluster.admin.get("/api/v1/namespaces/lab/configmaps/hostile")["metadata"]["annotations"][
            "control"
        ]
    )
