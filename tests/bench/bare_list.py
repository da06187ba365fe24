"""The peer of the Kubernetes source: every list that a server serves, page by page, parsed, and let go.

    python -m tests.bench.bare_list KUBECONFIG [CONTEXT] [--only GROUP/RESOURCE …] [--skip GROUP/RESOURCE …]

prints one JSON object: wall and CPU seconds, peak memory in bytes, requests, objects and bytes as received
and as parsed. Pages have 500 objects and are compressed; one connection, one thread. A resource is read in
one of its versions, the preferred one, and in one of its groups. Of the core group the name is the resource
alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import urllib3

__all__ = ["measured"]

_PAGE = 500
# Served by a second group too; read in the other.
_TWICE = {"events.k8s.io/events", "extensions/ingresses"}


def measured(
    kubeconfig: Path, context: str = "", only: Sequence[str] = (), skip: Sequence[str] = ()
) -> dict[str, Any]:
    """List in a process of its own, which is measured alone."""
    command = [sys.executable, "-m", "tests.bench.bare_list", str(kubeconfig)]
    command += [context] * bool(context)
    for option, names in (("--only", only), ("--skip", skip)):
        command += [option, *names] if names else []
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: dict[str, Any] = json.loads(told.stdout)
    return result


class _Server:
    def __init__(self, kubeconfig: Path, context: str) -> None:
        self.url, self._headers, tls = _opened(kubeconfig, context)
        self._pool = urllib3.PoolManager(1, ssl_context=tls, retries=False, timeout=60)
        self._headers |= {"Accept": "application/json", "Accept-Encoding": "gzip"}
        self.calls = self.received = self.parsed = 0

    def get(self, path: str) -> Any:
        answer = self._pool.request("GET", self.url + path, headers=self._headers, decode_content=False)
        data = answer.data
        self.calls += 1
        self.received += len(data)
        if answer.headers.get("Content-Encoding") == "gzip":
            data = zlib.decompress(data, wbits=31)
        self.parsed += len(data)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return orjson.loads(data)

    def count(self, path: str) -> int:
        token, found = "", 0
        while True:
            page = self.get(f"{path}?limit={_PAGE}" + (f"&continue={token}" if token else ""))
            found += len(page["items"] or ())
            token = page["metadata"].get("continue", "")
            if not token:
                return found


def _opened(kubeconfig: Path, context: str) -> tuple[str, dict[str, str], ssl.SSLContext]:
    told = orjson.loads(kubeconfig.read_bytes())  # as the test cluster writes it
    name = context or told["current-context"]
    chosen = next(each["context"] for each in told["contexts"] if each["name"] == name)
    cluster = next(each["cluster"] for each in told["clusters"] if each["name"] == chosen["cluster"])
    user = next(each["user"] for each in told["users"] if each["name"] == chosen["user"])
    data = cluster.get("certificate-authority-data")
    pem = base64.b64decode(data).decode() if data else Path(cluster["certificate-authority"]).read_text()
    tls = ssl.create_default_context(cadata=pem)
    if "client-certificate" in user:
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return cluster["server"], headers, tls


def _resources(server: _Server) -> Iterator[tuple[str, str]]:
    """Name and path of each list."""
    seen: set[str] = set()
    roots = [("", "/api/v1")]
    for group in server.get("/apis")["groups"]:
        preferred = group["preferredVersion"]["version"]
        versions = [each["version"] for each in group["versions"]]
        versions.sort(key=lambda each: each != preferred)
        roots += [(group["name"], f"/apis/{group['name']}/{version}") for version in versions]
    for group, root in roots:
        for each in server.get(root)["resources"]:
            name = f"{group}/{each['name']}" if group else each["name"]
            if "list" in each["verbs"] and "/" not in each["name"] and name not in seen | _TWICE:
                seen.add(name)
                yield name, f"{root}/{each['name']}"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("kubeconfig", type=Path)
    options.add_argument("context", nargs="?", default="")
    options.add_argument("--only", nargs="*", default=())
    options.add_argument("--skip", nargs="*", default=())
    given = options.parse_args()
    began = time.monotonic()
    server = _Server(given.kubeconfig, given.context)
    wanted = [
        (name, path)
        for name, path in _resources(server)
        if name not in given.skip and (not given.only or name in given.only)
    ]
    found = {name: server.count(path) for name, path in wanted}
    wall, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "wall": round(wall, 3),
        "cpu": round(used.ru_utime + used.ru_stime, 3),
        "peak": used.ru_maxrss * 1024,
        "calls": server.calls,
        "objects": sum(found.values()),
        "received": server.received,
        "parsed": server.parsed,
        "lists": found,
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main()
