"""Kubernetes: `collector run` against a bare paged list of the same objects, and against Prowler.

    python -m tests.bench.bench_kubernetes [--sizes 500,5000,50000] [--limit 900] [--prowler-up-to 5000]

A real API server over etcd is filled with objects (`kubernetes_objects`). For each size: a bare list of all
that it serves (`bare_list`), the same collected and nothing more (`collect_alone`), a whole `collector run`
with verdicts and bundle, and, if the environment variable PROWLER names its program, Prowler's scan. Seconds
of wall and CPU, peak memory of the tool's processes together, calls, KiB of what is left behind. The server
shares the machine with all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import bare_list, collect_alone, kubernetes_objects
from tests.bench.bench_aws import COLLECTOR, NAMES, Cost, measured

CONFIG = """[[source]]
use = "kubernetes"
kubeconfig = "{kubeconfig}"
secrets = "keys"
"""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", default="500,5000")
    options.add_argument("--limit", type=float, default=900)
    options.add_argument("--prowler-up-to", type=int, default=5000)
    given = options.parse_args()
    program = os.environ.get("PROWLER", "")
    for size in map(int, given.sizes.split(",")):
        with (
            contextlib.closing(kubernetes_objects.cluster()) as cluster,
            tempfile.TemporaryDirectory() as name,
        ):
            kubernetes_objects.fill(cluster, size)
            compare(
                cluster.kubeconfig, Path(name), given.limit, program if size <= given.prowler_up_to else ""
            )


def compare(kubeconfig: Path, folder: Path, limit: float, program: str) -> None:
    """Measure each in turn over one cluster, and print what each took."""
    bare = bare_list.measured(kubeconfig, skip=["leases"])
    alone = collect_alone.measured(kubeconfig)
    whole = ours(kubeconfig, folder / "ours", limit)
    cpu, peak = alone["cpu"] / bare["cpu"], alone["peak"] / bare["peak"]
    say(f"\n{bare['objects']} objects")
    say("bare list", seconds(bare), f"{bare['calls']} calls, {bare['received'] >> 10} KiB")
    say(
        "collected", seconds(alone), f"{alone['calls']} calls, {cpu:.1f}x CPU, {peak:.1f}x memory of the list"
    )
    say("collector run", seconds(vars(whole)), f"{left(folder / 'ours' / 'state' / 'evidence')} KiB bundle")
    if program:
        other = prowlers(program, kubeconfig, folder / "prowler", limit)
        note = f"{left(folder / 'prowler')} KiB, {other.wall / whole.wall:.1f}x our time"
        say("Prowler", seconds(vars(other)), note if other.ended else "did not end")


def ours(kubeconfig: Path, folder: Path, limit: float) -> Cost:
    """A whole run, with a store of its own."""
    folder.mkdir(parents=True)
    (folder / "collector.toml").write_text(CONFIG.format(kubeconfig=kubeconfig))
    environ = environment(folder)
    subprocess.run([*COLLECTOR, "init"], env=environ, cwd=folder, check=True, capture_output=True)
    return measured([*COLLECTOR, "run", "--quiet"], environ, folder, limit)


def prowlers(program: str, kubeconfig: Path, folder: Path, limit: float) -> Cost:
    """Prowler's whole scan of the cluster."""
    folder.mkdir(parents=True)
    command = [program, "kubernetes", "--kubeconfig-file", str(kubeconfig), "--output-directory", str(folder)]
    return measured([*command, "--no-banner"], environment(folder), folder, limit)


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "PYTHON"))}
    own = {"COLLECTOR_CONFIG_DIR": str(folder / "config"), "COLLECTOR_STATE": str(folder / "state")}
    return kept | own | {"PYTHONPATH": str(NAMES), "HOME": str(folder)}


def left(folder: Path) -> int:
    """KiB of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) >> 10


def seconds(told: dict[str, Any]) -> str:
    return f"{told['wall']:7.2f} s {told['cpu']:7.2f} s CPU {told['peak'] / 2**20:6.0f} MiB"


def say(*words: str) -> None:
    print("  ".join(f"{word:<14}" for word in words).rstrip(), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
