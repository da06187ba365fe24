"""Collects from a cluster and does nothing else: no verdicts, no bundle.

    python -m tests.bench.collect_alone KUBECONFIG

prints one JSON object: wall and CPU seconds, peak memory in bytes, calls, records and bytes written before
they are compressed. It is what `tests.bench.bare_list` is held against.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.collect.ask import Limits, Stop
from collector.collect.executor import Settings, collect, discover
from collector.collect.memory import for_pages
from collector.collect.plan import make
from collector.keys import create_secret
from collector_kubernetes.source import Kubernetes

__all__ = ["measured"]


def measured(kubeconfig: Path) -> dict[str, Any]:
    """Collect in a process of its own, which is measured alone."""
    command = [sys.executable, "-m", "tests.bench.collect_alone", str(kubeconfig)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    result: dict[str, Any] = json.loads(told.stdout)
    return result


def main(kubeconfig: str) -> None:
    began = time.monotonic()
    for_pages()  # as `collector run` does
    settings = {"kubeconfig": kubeconfig, "secrets": "keys"}
    with tempfile.TemporaryDirectory() as name:
        folder, limits = Path(name), Limits()
        secret = folder / "secret.key"
        create_secret(secret)
        found = discover(Kubernetes, settings, secret, limits, Stop())
        plan = make(datetime.now(UTC), (), [(Kubernetes, settings, found.items)])
        (folder / "run").mkdir()
        done = collect(plan, Settings(folder / "run", secret, 32, limits), [found])
        assert found.complete and all(written.complete for written in done.written)
        told = {
            "calls": len(done.ledger),
            "records": sum(sum(written.records.values()) for written in done.written),
            "written": sum(written.segment.size for written in done.written),
        }
    used = resource.getrusage(resource.RUSAGE_SELF)
    told |= {
        "wall": round(time.monotonic() - began, 3),
        "cpu": round(used.ru_utime + used.ru_stime, 3),
        "peak": used.ru_maxrss * 1024,
    }
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
