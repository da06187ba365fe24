"""Seal, verify and disclose a large bundle, beside `sha256sum` over its uncompressed lines in the same run.

    python -m tests.bench.bench_bundle [records [folder]]

By default 200,000 records, about 200 MB; 5,000,000 make more than 5 GB, which needs 25 GB of disk in the
folder. Each step is a process of its own, so that its time and memory are its own, with those of the process
that it may start (the peaks are summed, which is the most that both can have held at once). Two disclosures:
of a control that rests on a tenth of the records, and of one that rests on nine tenths.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from collector import canonical
from collector.lines import LineWriter, read_lines
from tests.bench.bench_pack import records

_AS_OF = "2026-11-24T02:00:00Z"
_SALT_KEY = bytes(range(32))
_TASK = "9f3c9ab201aa77e0"
_KINDS = ("host_package", "host_file")
_PER_CALL = 10

_CHECKS = """
[[check]]
id = "{word}-named"
title = "It has a name"
kind = "{kind}"
severity = "low"
objective = "{word}-known"
pass = "name is not null"
why = "What has no name is not known."
fix = "Name it."
[[check.example]]
expect = "pass"
data = {{ name = "a" }}
[[check.example]]
expect = "fail"
data = {{}}
"""
_OBJECTIVE = """
[[objective]]
id = "{word}-known"
statement = "It is known."
facet = "operation"
max_age = "24h"
[[objective.control]]
id = "bench:{word}"
relation = "subset-of"
why = "Part of it."
"""


def _word(kind: str) -> str:
    return kind.replace("_", "-")


def made(folder: Path, count: int) -> None:
    """Write a run's folder: a record in ten is of the second kind; ten records rest on one call."""
    run = folder / "run"
    for part in (
        "segments",
        "mappings/bench/checks",
        "mappings/bench/objectives",
        "mappings/bench/frameworks",
    ):
        (run / part).mkdir(parents=True)
    for kind in _KINDS:
        (run / f"mappings/bench/checks/{kind}.toml").write_text(_CHECKS.format(kind=kind, word=_word(kind)))
        (run / f"mappings/bench/objectives/{kind}.toml").write_text(
            _OBJECTIVE.format(kind=kind, word=_word(kind))
        )
    totals = evidence(run, count)
    with LineWriter(run / "controls.jsonl.gz", _SALT_KEY) as lines:
        for kind in _KINDS:
            said = {"status": "pass", "pass": totals[kind], "fail": 0, "unknown": 0, "waived": 0}
            line = {"control": f"bench:{_word(kind)}", "objectives": {f"{_word(kind)}-known": said}}
            lines.write(canonical.dumps(line)[:-1], b',"status":"satisfied"}')
    documents(run)


def evidence(run: Path, count: int) -> dict[str, int]:
    """Records, findings and calls. Returns how many records of each kind."""
    totals = dict.fromkeys(_KINDS, 0)
    calls = run / "ledger.jsonl.gz"
    with (
        LineWriter(run / "segments" / "new", _SALT_KEY) as segment,
        LineWriter(run / "findings.jsonl.gz", _SALT_KEY) as findings,
        LineWriter(calls, _SALT_KEY) as ledger,
    ):
        for number, (prefix, suffix) in enumerate(records(count)):
            kind = _KINDS[number % 10 == 9]
            totals[kind] += 1
            call = f"9f3c01aa/{number // _PER_CALL:016x}"
            record = json.loads(prefix + suffix)["record"]
            record |= {"kind": kind, "calls": [call]}
            segment.write(canonical.dumps({"record": record})[:-1])
            finding = {"check": f"{_word(kind)}-named", "detail": "", "kind": kind, "result": "pass"}
            rest = {"scope": record["scope"], "severity": "low", "subject": record["id"], "waiver": None}
            findings.write(
                canonical.dumps({**finding})[:-1],
                b"," + canonical.dumps(rest)[1:],
            )
            if number % _PER_CALL == 0:
                ledger.write(canonical.dumps(asked(call))[:-1], b',"tries":1}')
    sealed = segment.close()
    sealed.path.rename(run / "segments" / f"{sealed.sha256}.jsonl.gz")
    (run / "segment").write_text(sealed.sha256)
    return totals


def asked(call: str) -> dict[str, object]:
    """A ledger's line without what stands behind its salt."""
    return {
        "answer": f"hmac:{call[-16:] * 2}",
        "as": "root",
        "at": _AS_OF,
        "bytes": 900,
        "call": call,
        "detail": "",
        "items": 10,
        "more": False,
        "ms": 3,
        "op": "host:list",
        "outcome": "ok",
        "page": 1,
        "params": {},
    }


def documents(run: Path) -> None:
    """Plan, kinds and exceptions."""
    operation = {"name": "host:dump", "permission": "", "lists": True}
    kinds = {
        kind: {"source": "host", "operations": [operation], "columns": [], "derived": None} for kind in _KINDS
    }
    task = {"id": _TASK, "source": "host", "scope": {}, "principal": "", "kinds": sorted(_KINDS), "due": []}
    plan = {"as_of": _AS_OF, "frameworks": [], "tasks": [task], "absent": [], "undiscovered": [], "salt": "0"}
    exceptions = {"waivers": [], "out_of_scope": [], "accepted_gaps": [], "salt": "0"}
    for name, document in (("plan", plan), ("kinds", {"kinds": kinds}), ("exceptions", exceptions)):
        (run / f"{name}.json").write_bytes(canonical.dumps({"format": 1, **document}))


def seal(folder: Path) -> None:
    """Seal the run."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    from collector.bundle import seal as sealing
    from collector.bundle.keypair import generate_key

    run = folder / "run"
    segment = (run / "segment").read_text()
    (run / "segment").unlink()
    generate_key(folder / "key.pem")
    signer = CryptoSigner(load_pem_private_key((folder / "key.pem").read_bytes(), None))
    facts = {
        "agent": {"name": "evidence-collector", "version": "0", "digest": None},
        "plugins": [],
        "configuration": "ab" * 32,
        "principals": ["root"],
        "window": {"from": _AS_OF, "to": _AS_OF},
        "as_of": _AS_OF,
        "tasks": [{"id": _TASK, "state": "done", "segment": segment}],
        "derived": [],
        "completeness": [{"kind": kind, "scope": {}, "complete": True} for kind in sorted(_KINDS)],
        "keep": None,
        "authorities": [],
        "secret_key_id": "0123456789abcdef",
        "series": {
            "name": "bench",
            "epoch": _AS_OF,
            "sequence": 1,
            "previous": None,
            "cadence": None,
            "reason": "a benchmark",
        },
    }
    sealing.seal(run, facts, signer, folder / "bundle.zip")


def verify(folder: Path) -> None:
    """Verify the bundle."""
    from collector.bundle.trust import trust_of_key
    from collector.bundle.verify import verify as prove

    prove(folder / "bundle.zip", trust_of_key(folder / "key.pub.pem"))


def _disclose(folder: Path, control: str) -> None:
    from collector.bundle.disclose import disclose
    from collector.bundle.selection import Asked

    (folder / f"{control}.zip").unlink(missing_ok=True)
    disclose(folder / "bundle.zip", Asked(controls=(f"bench:{control}",)), folder / f"{control}.zip")


def few(folder: Path) -> None:
    """Disclose the control that rests on a tenth of the records."""
    _disclose(folder, "host-file")


def many(folder: Path) -> None:
    """Disclose the control that rests on nine tenths of the records."""
    _disclose(folder, "host-package")


def part(folder: Path) -> None:
    """Verify the larger partial bundle."""
    from collector.bundle.partial import verify_part
    from collector.bundle.trust import trust_of_key

    verify_part(folder / "host-package.zip", trust_of_key(folder / "key.pub.pem"))


STEPS: dict[str, Callable[[Path], None]] = {
    "seal": seal,
    "verify": verify,
    "few": few,
    "many": many,
    "part": part,
}


Took = tuple[float, float, float]
"""Wall seconds, CPU seconds, peak MiB."""


def step(name: str, folder: Path) -> Took:
    """What one step takes in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.bench_bundle", name, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    wall, cpu, peak = map(float, done.stdout.split())
    return wall, cpu, peak


def summed(path: Path) -> Took:
    """What `sha256sum` takes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(["sha256sum", path], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0


def plain(folder: Path) -> Iterator[bytes]:
    for path in sorted((folder / "run").rglob("*.jsonl.gz")):
        for line in read_lines(path):
            yield line + b"\n"


def main(count: int, folder: Path) -> None:
    """Measure and print."""
    made(folder, count)
    print("step               wall s     CPU s      MB/s   peak MiB")  # noqa: T201
    show("seal", step("seal", folder), 0)
    with (folder / "plain").open("wb") as file:
        file.writelines(plain(folder))
    size = (folder / "plain").stat().st_size / 1e6
    sums, proofs = [], []
    for _ in range(3):  # in turn, so that what else the machine does falls on both
        sums.append(summed(folder / "plain"))
        proofs.append(step("verify", folder))
    (folder / "plain").unlink()
    verified = min(proofs)
    show("sha256sum", min(sums), size)
    show("verify", verified, size)
    print(f"  {ratio(min(sums), verified)} of the rate of sha256sum")  # noqa: T201
    for name in ("few", "many", "part"):
        took = step(name, folder)
        show(name, took, size)
        if name != "part":
            print(f"  {ratio(took, verified)} of the time of verify")  # noqa: T201
    print(f"{count} records, {size:.0f} MB of lines")  # noqa: T201


def ratio(one: Took, other: Took) -> str:
    return f"{one[0] / other[0]:.0%} by the clock, {one[1] / other[1]:.0%} by the processor:"


def show(name: str, took: Took, size: float) -> None:
    wall, cpu, peak = took
    print(f"{name:<16} {wall:8.2f} {cpu:9.2f} {size / wall:9.0f} {peak:10.0f}", flush=True)  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in STEPS:
        _began = time.perf_counter()
        STEPS[sys.argv[1]](Path(sys.argv[2]))
        _took = time.perf_counter() - _began
        _used = [resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        _cpu = sum(each.ru_utime + each.ru_stime for each in _used)
        print(_took, _cpu, sum(each.ru_maxrss for each in _used) / 1024)  # noqa: T201
    else:
        _count = int(sys.argv[1]) if sys.argv[1:] else 200_000
        with tempfile.TemporaryDirectory(dir=sys.argv[2] if sys.argv[2:] else None) as _name:
            main(_count, Path(_name))
