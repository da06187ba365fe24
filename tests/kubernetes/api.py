"""A plain client of the Kubernetes API: objects in, objects out, and errors that say what the server said."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import urllib3

__all__ = ["ApiError", "Client"]

_SERVED_WITHIN = 15.0  # seconds until a definition that was just made is served

Object = dict[str, Any]


class ApiError(Exception):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        answer: its body; most often a `Status` object.
    """

    def __init__(self, method: str, path: str, status: int, answer: Any) -> None:
        said = answer.get("message") if isinstance(answer, dict) else answer
        super().__init__(f"{method} {path}: {status}: {said}")
        self.status, self.answer = status, answer


class Client:
    """Talks to one server as one user; any number of threads may share it."""

    def __init__(
        self,
        url: str,
        authority: Path,
        token: str = "",
        certificate: tuple[Path, Path] | None = None,
        connections: int = 64,
    ) -> None:
        self.url = url
        cert, key = map(str, certificate) if certificate else (None, None)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            ca_certs=str(authority),
            cert_file=cert,
            key_file=key,
            retries=False,
            timeout=60,
        )
        self._resources: dict[str, dict[str, Object]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._pool.clear()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
        **params: Any,
    ) -> Any:
        """One request; gives the JSON of its answer, or text where it is none.

        Raises:
            ApiError: the status is 400 or above.
        """
        url = f"{self.url}{path}" + (f"?{urlencode(params)}" if params else "")
        data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        headers = {**self.headers, "Content-Type": content, "Accept": accept}
        answer = self._pool.request(method, url, body=data, headers=headers)
        told = _parsed(answer.data)
        if answer.status >= 400:
            raise ApiError(method, path, answer.status, told)
        return told

    def get(self, path: str, **params: Any) -> Any:
        return self.request("GET", path, **params)

    def delete(self, path: str, **params: Any) -> Any:
        return self.request("DELETE", path, **params)

    def replace(self, path: str, obj: Object) -> Any:
        return self.request("PUT", path, obj)

    def patch(self, path: str, changes: Object) -> Any:
        """A JSON merge patch (RFC 7386)."""
        return self.request("PATCH", path, changes, content="application/merge-patch+json")

    def items(self, path: str, limit: int = 500) -> Iterator[Object]:
        """All objects of a list, page by page."""
        token = ""
        while True:
            page = self.get(path, limit=limit, **({"continue": token} if token else {}))
            yield from page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def create(self, obj: Object) -> Object:
        """Create an object where its `apiVersion`, kind and namespace (else `default`) say.

        Its status, and a pod's ephemeral containers, are written after it, through the subresources, as what
        sets them in a cluster does. A custom resource may follow its definition at once.
        """
        made: Object = self.request("POST", self.path(obj), _first(obj))
        own = self.path({**obj, "metadata": made["metadata"]}, name=True)
        if late := obj["kind"] == "Pod" and obj["spec"].get("ephemeralContainers"):
            self.replace(f"{own}/ephemeralcontainers", _ephemeral(made["metadata"]["name"], late))
        if "status" in obj and self.resource(obj["apiVersion"], obj["kind"])["status"]:
            made = self.patch(f"{own}/status", {"status": obj["status"]})
        return made

    def apply(self, obj: Object) -> Object:
        """As `create`; an object that is there already is changed by a merge patch."""
        try:
            return self.create(obj)
        except ApiError as refused:
            if refused.status != 409:
                raise
        changed: Object = self.patch(self.path(obj, name=True), obj)
        return changed

    def path(self, obj: Object, *, name: bool = False) -> str:
        """Where objects like this one lie; with `name`, where it lies itself."""
        served = self.resource(obj["apiVersion"], obj["kind"])
        version = obj["apiVersion"]
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if served["namespaced"]:
            path += f"/namespaces/{obj['metadata'].get('namespace', 'default')}"
        path += f"/{served['name']}"
        return f"{path}/{quote(obj['metadata']['name'], safe='')}" if name else path

    def resource(self, version: str, kind: str) -> Object:
        """What discovery says of a kind: `name` (its plural), `namespaced`, `verbs`, `status` (has one)."""
        until = time.monotonic() + _SERVED_WITHIN
        while True:
            found = self._served(version).get(kind)
            if found:
                return found
            if time.monotonic() > until:
                raise LookupError(f"{kind} of {version} is not served")
            with self._lock:
                self._resources.pop(version, None)
            time.sleep(0.1)

    def _served(self, version: str) -> dict[str, Object]:
        with self._lock:
            if version not in self._resources:
                try:
                    told = self.get(f"/apis/{version}" if "/" in version else f"/api/{version}")
                except ApiError:
                    return {}
                whole = {each["name"]: each for each in told["resources"]}
                self._resources[version] = {
                    each["kind"]: {**each, "status": f"{name}/status" in whole}
                    for name, each in whole.items()
                    if "/" not in name
                }
            return self._resources[version]


def _first(obj: Object) -> Object:
    if obj["kind"] != "Pod" or "ephemeralContainers" not in obj["spec"]:
        return obj
    return {**obj, "spec": {key: value for key, value in obj["spec"].items() if key != "ephemeralContainers"}}


def _ephemeral(name: str, containers: list[Object]) -> Object:
    # 1.20 takes a kind of its own here; what came after 1.22 takes the pod.
    return {
        "apiVersion": "v1",
        "kind": "EphemeralContainers",
        "metadata": {"name": name},
        "ephemeralContainers": containers,
    }


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode(errors="replace")
