"""AWS: `collector run` and Prowler in turn, on the same accounts in a double of AWS (moto) on equal cores.

    python -m tests.bench.bench_aws [--sizes 70,2000,20000] [--delays 0,50] [--limit 480] [--keep FOLDER]

Prowler runs if the environment variable PROWLER names its program; it takes 2.3 GB, so install it in an
environment of its own (`python -m venv E; E/bin/pip install prowler==5.46.0; PROWLER=E/bin/prowler`).
An account that it does not end on within the limit is the last that it is tried on.

For each account and each delay before a call (in ms): seconds of wall and CPU of the tool's processes, their
peak memory together, requests that reached the proxy and how many of these had been asked before. Of our
runs also: what the data needs (the questions in the ledger), and how long moto alone takes to answer the
same requests, sent by a client that does nothing else. moto loads a service's code when it is first asked,
so before an account is filled a run that is not measured asks for everything. `--keep` leaves both tools'
results in a folder, for `python -m tests.bench.compare_prowler FOLDER`.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench import aws_account, aws_servers

REGION = "us-east-1"
NAMES = Path(__file__).parent / "names"
COLLECTOR = [sys.executable, "-c", "from collector.cli import main; main()"]


@dataclass
class Cost:
    """What a tool's run took: seconds, bytes; `ended` is False where it was cut off."""

    wall: float
    cpu: float
    peak: int
    ended: bool
    calls: int = 0
    twice: int = 0


def environment(url: str, folder: Path) -> dict[str, str]:
    """Credentials that lead nowhere but to `url`, for both tools."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_ENDPOINT_URL": url,
        "COLLECTOR_CONFIG_DIR": str(folder / "config"),
        "COLLECTOR_STATE": str(folder / "state"),
        "PYTHONPATH": str(NAMES),
    }


def tree(pid: int) -> list[int]:
    """A process and all that came from it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{each}/task").glob("*/children"):
                found += map(int, path.read_text().split())
    return found


def memory(pid: int) -> int:
    """Resident bytes of a process and all that came from it; what they share counts once (proc(5), Pss)."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) << 10
    return total


def measured(command: list[str], environ: dict[str, str], folder: Path, limit: float) -> Cost:
    """Run a program to its end, or to the limit."""
    peak = 0
    with (folder / "output.txt").open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command, env=environ, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
        late = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        while True:
            found, status, usage = os.wait4(process.pid, os.WNOHANG)
            if found:
                break
            peak = max(peak, memory(process.pid))
            time.sleep(0.05)
        late.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(
        time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak, process.returncode != -signal.SIGKILL
    )


def ours(port: int, delay: float, folder: Path, limit: float) -> tuple[Cost, int, float]:
    """Our run, the questions in its ledger, and how long moto alone takes for the same requests."""
    folder.mkdir(parents=True)
    (folder / "collector.toml").write_text(f'[[source]]\nuse = "aws"\nregions = ["{REGION}"]\n')
    with aws_servers.proxied(port, delay, folder) as proxy:
        environ = environment(proxy.url, folder)
        subprocess.run([*COLLECTOR, "init"], env=environ, cwd=folder, check=True, capture_output=True)
        cost = measured([*COLLECTOR, "run", "--quiet"], environ, folder, limit)
        cost.calls, cost.twice = proxy.counts()
    if not cost.ended:
        return cost, 0, 0.0
    bundle = max((folder / "state" / "evidence").rglob("*.zip"))
    with zipfile.ZipFile(bundle) as archive:
        asked = gzip.decompress(archive.read("ledger.jsonl.gz")).count(b"\n")
    return cost, asked, aws_servers.replayed(port, requests(folder))


def requests(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]


def prowlers(program: str, port: int, delay: float, folder: Path, limit: float) -> Cost:
    """Prowler's whole scan of one region, as its documentation tells to start it."""
    folder.mkdir(parents=True)
    command = [
        program,
        "aws",
        "--region",
        REGION,
        "--output-formats",
        "json-ocsf",
        "--no-banner",
        "--no-color",
    ]
    command += ["--output-directory", str(folder / "out"), "--output-filename", "prowler"]
    command += ["--log-level", "CRITICAL", "--ignore-exit-code-3"]
    with aws_servers.proxied(port, delay, folder) as proxy:
        cost = measured(command, environment(proxy.url, folder), folder, limit)
        cost.calls, cost.twice = proxy.counts()
    return cost


def line(name: str, cost: Cost, rest: str = "") -> None:
    wall = f"{cost.wall:7.1f}" if cost.ended else f">{cost.wall:6.0f}"
    say(f"{name:12}{wall} {cost.cpu:7.1f} {cost.peak / 2**20:7.0f} {cost.calls:7} {cost.twice:6}  {rest}")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a benchmark is for


def beside(mine: Cost, needed: int, alone: float) -> str:
    """A run beside what it cannot do without, each with its ratio."""
    calls, wall = mine.calls / needed, mine.wall / alone
    return f"needed {needed} calls ({calls:.2f}); moto alone {alone:.1f} s ({wall:.1f})"


def compared(mine: Cost, theirs: Cost) -> str:
    least = "" if theirs.ended else "more than "
    faster, cheaper, smaller = (
        theirs.wall / mine.wall,
        theirs.cpu / mine.cpu,
        theirs.peak / mine.peak,
    )
    return f"            {least}{faster:.1f} times faster; CPU {cheaper:.1f}, memory {smaller:.1f} times less"


def account(size: int, delays: list[float], program: str, limit: float, folder: Path) -> tuple[bool, int]:
    """Measure on one account. Whether Prowler ended, and our peak memory."""
    folder.mkdir(parents=True, exist_ok=True)
    peak = 0
    with aws_servers.moto(folder) as port:
        ours(port, 0.0, folder / "first", limit)
        began = time.monotonic()
        made = aws_account.seed(f"http://127.0.0.1:{port}", size)
        say(f"\n{sum(made.values())} resources, made in {time.monotonic() - began:.0f} s")
        for delay in delays:
            place = folder / f"{delay * 1000:.0f}ms"
            say(f"{delay * 1000:3.0f} ms a call    wall s   CPU s     MiB   calls  twice")
            mine, needed, alone = ours(port, delay, place / "ours", limit)
            peak = max(peak, mine.peak)
            line("collector", mine, beside(mine, needed, alone) if needed else "cut off")
            if not program:
                continue
            theirs = prowlers(program, port, delay, place / "prowler", limit)
            line("Prowler", theirs, "" if theirs.ended else "cut off")
            say(compared(mine, theirs))
            if not theirs.ended:
                program = ""
    return bool(program), peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="collector and Prowler on accounts in moto")
    parser.add_argument("--sizes", default="70,2000", help="resources, by commas")
    parser.add_argument("--delays", default="0,50", help="ms before each call, by commas")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds after which a tool is cut off")
    parser.add_argument("--keep", type=Path, help="an empty folder for what the tools leave behind")
    given = parser.parse_args()
    program = os.environ.get("PROWLER", "")
    say(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}" + ("" if program else "; PROWLER is not set")
    )
    with tempfile.TemporaryDirectory(prefix="bench-aws-") as scratch:
        folder = given.keep or Path(scratch)
        before = 0
        for size in map(int, given.sizes.split(",")):
            delays = [float(delay) / 1000 for delay in given.delays.split(",")]
            ended, peak = account(size, delays, program, given.limit, folder / str(size))
            program = program if ended else ""
            if before:
                say(f"memory {peak / before:.2f} times that of the account before")
            before = peak


if __name__ == "__main__":
    main()
