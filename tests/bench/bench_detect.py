"""What looking for undeclared secrets costs, beside collecting, on this machine's own texts.

    python tests/bench/bench_detect.py [repeats]

Collects this machine with the host source, with detectors and without, each in a process of its own,
and compares CPU seconds (user and system; the probe's too). Then it tells how much of well-known texts
the detectors replace: what they find there is nearly always evidence, lost.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET = 0.20
TEXTS = {
    "dpkg -l": ["dpkg", "-l"],
    "systemctl list-unit-files": ["systemctl", "list-unit-files", "--no-pager"],
    "sysctl -a": ["sysctl", "-a"],
    "/etc/ssh/sshd_config": ["cat", "/etc/ssh/sshd_config"],
    "sshd -T": ["sshd", "-T"],
    "ps axww": ["ps", "axww"],
    "mount": ["mount"],
    "/etc/services": ["cat", "/etc/services"],
    "/etc/pam.d": ["sh", "-c", "cat /etc/pam.d/*"],
    "/usr/lib/systemd": ["sh", "-c", "cat /usr/lib/systemd/system/*.service"],
}


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def collect(detect: bool, folder: Path) -> dict[str, float]:
    """Collect this machine in this process; CPU seconds of the agent and of the probe."""
    from collector.collect.ask import Limits
    from collector.collect.plan import Planned
    from collector.collect.worker import Job, run_job
    from collector.keys import create_secret
    from collector_host import HostSource

    create_secret(folder / "secret.key")
    planned = (Planned(task, HostSource, {}) for task in HostSource({}).plan({}))
    tasks = tuple(sorted(planned, key=lambda each: each.id))
    job = Job(
        tasks,
        folder,
        folder / "secret.key",
        Limits(call_timeout=60),
        2,
        300,
        time.time() + 300,
        detect=detect,
    )
    written = run_job(job)
    used = {who: resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)}
    agent, probe = (used[who].ru_utime + used[who].ru_stime for who in used)
    if failures := [each.failure for each in written if each.failure]:
        raise SystemExit(f"nothing to compare: {failures[0]}")
    records = sum(sum(each.records.values()) for each in written)
    return {"agent": agent, "probe": probe, "records": records}


def measured(detect: bool) -> dict[str, float]:
    """The same in a fresh process, so that what is imported is counted."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--collect", str(int(detect)), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(repeats: int) -> float:
    """Print the share of the detectors in the CPU of collecting, and return it."""
    runs = [(measured(True), measured(False)) for _ in range(repeats)]
    with_, without = (
        {part: statistics.median(run[number][part] for run in runs) for part in ("agent", "probe", "records")}
        for number in (0, 1)
    )
    if not min(with_["records"], without["records"]):
        raise SystemExit("nothing to compare: nothing was collected")
    cost = with_["agent"] - without["agent"]
    share = cost / (without["agent"] + without["probe"])
    agent, probe, records = (without[part] for part in ("agent", "probe", "records"))
    say(f"collecting {records:.0f} records: agent {agent:.2f} s, probe {probe:.2f} s")
    say(f"detectors: {cost:.2f} s more, {share:.0%} of it (at most {TARGET:.0%})")
    say(f"of the agent's own CPU alone: {cost / agent:.0%}")
    return share


def texts() -> None:
    """Print how fast texts are looked through, and how much of each is taken for a secret."""
    from collector.collect.detect import detect

    detect("warm up")
    for name, command in TEXTS.items():
        try:
            raw = subprocess.run(command, capture_output=True, check=False, timeout=30).stdout
        except FileNotFoundError:
            say(f"{name}: not here")
            continue
        text = raw.decode("utf-8", "replace")
        began = time.process_time()
        found = detect(text)
        took = time.process_time() - began
        rate = len(text) / max(took, 1e-6) / 1e6
        taken = "; ".join(f"{each.by}: {text[each.start : each.end][:40]!r}" for each in found[:4])
        lines = text.count("\n")
        say(f"{name}: {lines} lines, {len(text)} bytes, {rate:.1f} MB/s, {len(found)} replaced {taken}")


def main() -> int:
    """Run both parts; 1 where the detectors cost too much."""
    if sys.argv[1:2] == ["--collect"]:
        say(json.dumps(collect(sys.argv[2] == "1", Path(sys.argv[3]))))
        return 0
    share = compare(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    texts()
    return int(share > TARGET)


if __name__ == "__main__":
    sys.exit(main())
