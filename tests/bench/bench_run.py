"""Whole commands as processes of their own: `collector --help`, and `collector run` on this machine.

    python -m tests.bench.bench_run [repeats]

Prints the best wall time and CPU of the repeats, and the peak memory of the largest process. Also the size
of the base install: the distributions that the project needs without extras.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

PROGRAM = [sys.executable, "-c", "from collector.cli import main; main()"]


def timed(arguments: list[str], environ: dict[str, str], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one run, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run([*PROGRAM, *arguments], env=environ, cwd=folder, capture_output=True, check=False)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 3):
        sys.exit(done.stderr.decode())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def best(arguments: list[str], environ: dict[str, str], folder: Path, repeats: int) -> str:
    runs = [timed(arguments, environ, folder) for _ in range(repeats)]
    return f"{min(wall for wall, _ in runs):7.2f} {min(cpu for _, cpu in runs):7.2f}"


def install_size() -> float:
    """MiB of the base install."""
    found: set[str] = set()
    waiting = ["evidence-collector"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for need in metadata.requires(name) or ():
            if "extra ==" not in need:
                wanted = re.split(r"[ ;<>=!~\[(]", need, maxsplit=1)[0]
                try:
                    metadata.version(wanted)
                except metadata.PackageNotFoundError:
                    continue  # for another platform or Python
                waiting.append(wanted)
    files = (file.locate() for name in found for file in metadata.files(name) or ())
    return sum(Path(str(file)).stat().st_size for file in files if Path(str(file)).is_file()) / 2**20


def main(repeats: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-run-") as scratch:
        folder = Path(scratch)
        environ = {
            **os.environ,
            "COLLECTOR_CONFIG_DIR": str(folder / "config"),
            "COLLECTOR_STATE": str(folder / "state"),
        }
        (folder / "collector.toml").write_text('[[source]]\nuse = "host"\n')
        timed(["init"], environ, folder)
        print("command            wall s   CPU s")  # noqa: T201
        print(f"collector --help  {best(['--help'], environ, folder, repeats * 3)}")  # noqa: T201
        print(f"collector run     {best(['run', '--quiet'], environ, folder, repeats)}")  # noqa: T201
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"largest process   {peak:7.0f} MiB")  # noqa: T201
        bundle = max((folder / "state" / "evidence").rglob("*.zip"))
        print(f"bundle            {bundle.stat().st_size / 2**20:7.2f} MiB")  # noqa: T201
        print(f"base install      {install_size():7.0f} MiB")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3)
