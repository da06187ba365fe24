"""A stand-in for a Kubernetes server of a version that the machine at hand lacks.

    server = Recorded(34)
    server.add({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}, …})

answers discovery and `/version` as 1.34 does, and lists what was added to it, in pages, as whole objects or
as PartialObjectMetadata. How it is made to fail is told in `answers.py`.
"""

from __future__ import annotations

import base64
import importlib.util
import sys
import uuid
from pathlib import Path
from typing import Any

__all__ = ["Recorded"]

# The same objects are served in two groups.
_TWINS = {("", "events"): "events.k8s.io", ("networking.k8s.io", "ingresses"): "extensions"}

Object = dict[str, Any]


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(
        f"kubernetes_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec and spec.loader
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


_answers = _beside("answers")


class Recorded(_answers.Server):
    """A server of 1.`minor` in which is what was added to it.

    Attributes:
        resources: what discovery tells of; change it freely.
        version: what `/version` answers.
        own: by path, what is answered in place of all else: a plain object, or a function of the request to
            an `Answer` (`/api/v1/nodes/a/proxy/configz`, a review that is posted).
    """

    def __init__(self, minor: int = 34, *, git: str = "") -> None:
        self._lifecycle = _beside("lifecycle")
        self.minor, self.resources = minor, list(self._lifecycle.served(minor))
        self.version = {"major": "1", "minor": str(minor), "gitVersion": git or f"v1.{minor}.1"}
        self.version |= {"gitCommit": "0", "gitTreeState": "clean", "platform": "linux/amd64"}
        self.version |= {"buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24", "compiler": "gc"}
        self.own: dict[str, Any] = {}
        self._objects: dict[tuple[str, str], list[Object]] = {}
        self._made = 0
        super().__init__()

    def serve(self, version: str, name: str, kind: str, *, namespaced: bool = True) -> None:
        """Serve a custom resource too."""
        self.resources.append(self._lifecycle.Resource(version, name, kind, namespaced))

    def withdraw(self, version: str, name: str = "") -> None:
        """Serve a whole version of a group, or one resource of it, no longer."""
        self.resources = [
            each for each in self.resources if each.version != version or (name and each.name != name)
        ]

    def add(self, *objects: Object) -> None:
        """Put objects in, to be listed in each version, and in each group, that serves their kind.

        Raises:
            LookupError: nothing that is served is of that apiVersion and kind.
        """
        for obj in objects:
            served = next(
                (
                    each
                    for each in self.resources
                    if each.kind == obj["kind"] and each.version == obj["apiVersion"]
                ),
                None,
            )
            if not served:
                raise LookupError(f"1.{self.minor} does not serve {obj['kind']} of {obj['apiVersion']}")
            self._made += 1
            meta = {
                "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, str(self._made))),
                "resourceVersion": str(self._made),
            }
            meta |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
            if served.namespaced:
                meta["namespace"] = "default"
            whole = {**obj, "metadata": {**meta, **obj["metadata"]}}
            self._objects.setdefault(_shelf(served.group, served.name), []).append(whole)

    def answer(self, asked: Any) -> Any:
        if asked.path in self.own:
            told = self.own[asked.path]
            return told(asked) if callable(told) else _answers.Answer(200, told)
        found = self._discovery(asked.path)
        if found is not None:
            return _answers.Answer(200, found)
        if asked.method != "GET":
            return _answers.Answer(
                405, _answers.status(405, "MethodNotAllowed", f"{asked.method} is not answered here")
            )
        return self._objects_at(asked) or _answers.Answer(
            404, _answers.status(404, "NotFound", f"{asked.path} is not served")
        )

    def _discovery(self, path: str) -> Any:
        if path in ("/version", "/api", "/apis"):
            core = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
            told = {"/version": self.version, "/api": core}
            return told.get(path) or self._lifecycle.groups(self.resources)
        if path in ("/readyz", "/livez", "/healthz"):
            return "ok"
        if path in {each.root for each in self.resources}:
            return self._lifecycle.resources(
                self.resources, path.removeprefix("/apis/").removeprefix("/api/")
            )
        return None

    def _objects_at(self, asked: Any) -> Any:
        for each in self.resources:
            if not asked.path.startswith(each.root + "/"):
                continue
            space, name, rest = _parsed(asked.path[len(each.root) + 1 :].split("/"), each.namespaced)
            if name != each.name or "list" not in each.verbs:
                continue
            told = [
                obj
                for obj in self._objects.get(_shelf(each.group, each.name), ())
                if not space or obj["metadata"].get("namespace") == space
            ]
            return self._one(told, each, rest) if rest else self._page(told, each, asked)
        return None

    def _one(self, told: list[Object], of: Any, rest: list[str]) -> Any:
        found = next((obj for obj in told if [obj["metadata"]["name"]] == rest), None)
        return _answers.Answer(200, {**found, "apiVersion": of.version}) if found else None

    def _page(self, told: list[Object], of: Any, asked: Any) -> Any:
        at = int(base64.b64decode(asked.query["continue"])) if asked.query.get("continue") else 0
        limit = int(asked.query.get("limit") or 0) or len(told)
        meta: Object = {"resourceVersion": str(self._made)}
        if at + limit < len(told):
            meta["continue"] = base64.b64encode(str(at + limit).encode()).decode()
            meta["remainingItemCount"] = len(told) - at - limit
        items = told[at : at + limit]
        if "as=PartialObjectMetadataList" in asked.headers.get("accept", ""):
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            items = [{"metadata": obj["metadata"]} for obj in items]
        else:
            kind, version = f"{of.kind}List", of.version
            items = [_listed(obj, of) for obj in items]
        return _answers.Answer(200, {"kind": kind, "apiVersion": version, "metadata": meta, "items": items})


def _listed(obj: Object, of: Any) -> Object:
    """Items of custom resources say what they are; those of built-in types leave it to the list."""
    plain = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
    custom = of not in _beside("lifecycle").RESOURCES
    return {"apiVersion": of.version, "kind": of.kind, **plain} if custom else plain


def _shelf(group: str, name: str) -> tuple[str, str]:
    """One place for what is served in several versions or groups."""
    for (one, plural), other in _TWINS.items():
        if group == other and name == plural:
            return one, plural
    return group, name


def _parsed(parts: list[str], namespaced: bool) -> tuple[str, str, list[str]]:
    if namespaced and len(parts) >= 3 and parts[0] == "namespaces":
        return parts[1], parts[2], parts[3:]
    return "", parts[0], parts[1:]
