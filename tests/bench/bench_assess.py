"""Judging: records of mixed kinds, five checks a record, at growing sizes.

Prints wall time, CPU, peak memory of parent and child together, and the ratio between the sizes, which
shows whether it grows linearly. Run: python -m tests.bench.bench_assess [RECORDS …]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from collector.canonical import dumps, sha256_hex
from collector.lines import LineWriter
from collector.model import Json

SIZES = (10_000, 100_000, 1_000_000)
KINDS = 4
CHECKS = 5
FIELDS = 10
SCOPE = {"place": "bench"}


def kinds() -> dict[str, Json]:
    columns = [
        *(_column(f"text{n}", "VARCHAR") for n in range(FIELDS)),
        _column("number", "BIGINT"),
        _column("flag", "BOOLEAN"),
        _column("seen", "TIMESTAMP"),
        _column("names", "VARCHAR[]"),
        _column("inner", 'STRUCT("a" BIGINT, "b" VARCHAR)'),
    ]
    return {
        f"bench_kind{n}": {
            "source": "bench",
            "title": "Made up",
            "columns": columns,
            "identity": ["text0"],
            "operations": [{"name": f"bench:list{n}", "permission": "none", "lists": True}],
            "derived": None,
        }
        for n in range(KINDS)
    }


def _column(name: str, type_: str) -> dict[str, Json]:
    return {
        "name": name,
        "type": type_,
        "meaning": "made up",
        "calls": [],
        "secret": False,
        "identity": None,
        "free_text": False,
    }


def record(number: int) -> bytes:
    data = {f"text{n}": f"value {number * 7919 % 10007} of field {n}, some words more" for n in range(FIELDS)}
    data |= {
        "number": number % 1000,
        "flag": number % 3 == 0,
        "seen": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}T02:00:00Z",
        "names": [f"name{number % 50}", "all"],
        "inner": {"a": number % 7, "b": "x"},
    }
    kind = number % KINDS
    gaps = [{"column": "flag", "reason": "denied", "call": CALLS[kind]}] if number % 100 == 0 else []
    inner = {
        "calls": [CALLS[kind]],
        "data": data,
        "gaps": gaps,
        "id": f"urn:bench:{number:09d}",
        "kind": f"bench_kind{kind}",
        "redactions": [],
        "scope": SCOPE,
    }
    return b'{"record":' + dumps(inner)


TARGET = sha256_hex(dumps(["bench", SCOPE]))[:8]
CALLS = [f"{TARGET}/{sha256_hex(dumps([f'bench:list{n}', {}, 1]))[:16]}" for n in range(KINDS)]


def checks() -> Iterator[str]:
    expressions = (
        "number < 990",
        "coalesce(flag, false) or number > 3",
        "seen > as_of() - INTERVAL 400 DAYS",
        "list_contains(names, 'all') and \"inner\".a < 6",
        "text3 LIKE 'value%' and not regexp_matches(text4, 'admin')",
    )
    for kind in range(KINDS):
        for number, expression in enumerate(expressions[:CHECKS]):
            yield (
                f'[[check]]\nid = "bench-{kind}-{number}"\ntitle = "Made up"\nkind = "bench_kind{kind}"\n'
                f'severity = "low"\nobjective = "bench-holds"\npass = """\n{expression}\n"""\n'
                'why = "made up"\nfix = "made up"\n'
            )


def make(folder: Path, records: int) -> None:
    for part in ("segments", "derived", "mappings/bench/checks", "mappings/bench/objectives"):
        (folder / part).mkdir(parents=True)
    names = [f"bench_kind{n}" for n in range(KINDS)]
    due = [{"kind": names[n], "op": f"bench:list{n}", "params": {}, "call": CALLS[n]} for n in range(KINDS)]
    task = {"id": "0" * 16, "source": "bench", "scope": SCOPE, "principal": "", "kinds": names, "due": due}
    plan = {
        "format": 1,
        "as_of": "2026-11-24T00:00:00Z",
        "frameworks": [],
        "tasks": [task],
        "absent": [],
        "undiscovered": [],
    }
    (folder / "plan.json").write_bytes(dumps(plan))
    (folder / "kinds.json").write_bytes(dumps({"format": 1, "kinds": kinds()}))
    nothing = {"format": 1, "waivers": [], "out_of_scope": [], "accepted_gaps": []}
    (folder / "exceptions.json").write_bytes(dumps(nothing))
    (folder / "mappings/bench/checks/bench.toml").write_text("\n".join(checks()))
    (folder / "mappings/bench/objectives/bench.toml").write_text(
        '[[objective]]\nid = "bench-holds"\nstatement = "Made up."\nfacet = "operation"\nmax_age = "24h"\n'
    )
    with LineWriter(folder / "ledger.jsonl.gz", None) as lines:
        for number, call in enumerate(CALLS):
            entry = {
                "answer": "",
                "as": "",
                "at": "2026-11-24T00:00:00.000Z",
                "bytes": 0,
                "call": call,
                "detail": "",
                "items": None,
                "more": False,
                "ms": 1,
                "op": f"bench:list{number}",
                "outcome": "ok",
                "page": 1,
                "params": {},
                "tries": 1,
            }
            lines.write(dumps(entry)[:-1])
    with LineWriter(folder / "part", None) as lines:
        for number in range(records):
            lines.write(record(number))
        sealed = lines.close()
    sealed.path.rename(folder / "segments" / f"{sealed.sha256}.jsonl.gz")


def judge(folder: Path) -> None:
    from collector.assess import assess

    out = folder / "out"
    out.mkdir()
    began = time.monotonic()
    summary = assess(folder, out=out)
    wall = time.monotonic() - began
    own, below = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(each.ru_utime + each.ru_stime for each in (own, below))
    peak = (own.ru_maxrss + below.ru_maxrss) / 1024
    findings = sum(summary.findings.values())
    print(f"{sum(summary.records.values())} {findings} {wall:.2f} {cpu:.2f} {peak:.0f}")  # noqa: T201


def main(sizes: list[int]) -> None:
    print("records   findings    wall s   CPU s   peak MiB   wall per million records")  # noqa: T201
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-assess-") as scratch:
            make(Path(scratch), size)
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.bench_assess", "--judge", scratch],
                check=True,
                capture_output=True,
                text=True,
            )
        records, findings, wall, cpu, peak = done.stdout.split()
        each = float(wall) / int(records) * 1e6
        print(f"{records:>7} {findings:>10} {wall:>9} {cpu:>7} {peak:>10} {each:>12.1f} s")  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["--judge"]:
        judge(Path(sys.argv[2]))
    else:
        main([int(each) for each in sys.argv[1:]] or list(SIZES))
