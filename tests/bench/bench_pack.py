"""Salt, hash, compress and pack lines, beside `zstd -3 | sha256sum` on the same lines in the same run.

    python tests/bench/bench_pack.py [lines]

Prints both throughputs over the uncompressed bytes, the better of three each, and their ratio. The
sum covers what a run does with lines that it has: salts, leaves, tree, SHA-256 of the whole, gzip.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from collector import canonical
from collector.lines import LineWriter

_SALT_KEY = bytes(range(32))


def records(count: int) -> Iterator[tuple[bytes, bytes]]:
    """Record lines, in their two halves, that look like those of packages and buckets."""
    chance = random.Random(7)
    for number in range(count):
        digest = chance.randbytes(16).hex()
        record = {
            "kind": "host_package",
            "id": f"package-{number}",
            "scope": {"host": f"web{number % 40}"},
            "calls": [f"9f3c01aa/{digest}"],
            "gaps": [],
            "redactions": [],
            "data": {
                "name": f"lib{chance.choice(('ssl', 'c', 'xml', 'yaml', 'gcc'))}{number}",
                "version": f"{chance.randrange(9)}.{chance.randrange(40)}-{number % 7}",
                "architecture": "amd64",
                "size": chance.randrange(10**8),
                "maintainer": f"person:{chance.randbytes(16).hex()}",
                "description": " ".join(chance.choices(_WORDS, k=62)),
                "policy": {"Effect": "Allow", "Action": chance.choices(_WORDS, k=6), "Resource": "*"},
            },
        }
        yield canonical.dumps({"record": record})[:-1], b"}"


_WORDS = (
    "library development files shared runtime for the a of secure sockets layer parser with and tools "
    "documentation common data transitional package python module client server daemon configuration"
).split()


def packed(lines: list[tuple[bytes, bytes]], folder: Path) -> float:
    """Seconds that writing the lines takes."""
    path = folder / "lines.jsonl.gz"
    path.unlink(missing_ok=True)
    started = time.perf_counter()
    with LineWriter(path, _SALT_KEY) as writer:
        for prefix, suffix in lines:
            writer.write(prefix, suffix)
    return time.perf_counter() - started


def peer(plain: Path) -> float:
    """Seconds that `zstd -3 | sha256sum` takes."""
    started = time.perf_counter()
    subprocess.run(f"zstd -3 -c -q {plain} | sha256sum", shell=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    lines = list(records(count))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = folder / "lines.jsonl"
        plain.write_bytes(b"".join(prefix + suffix + b"\n" for prefix, suffix in lines))
        size = plain.stat().st_size / 1e6
        ours, theirs = [], []
        for _ in range(3):
            theirs.append(size / peer(plain))
            ours.append(size / packed(lines, folder))
        ratio = (folder / "lines.jsonl.gz").stat().st_size / 1e6 / size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(
        f"{count} lines, {size:.0f} MB, packed to {ratio:.0%}; {os.cpu_count()} cores\n"
        f"zstd -3 | sha256sum   {max(theirs):6.0f} MB/s\n"
        f"salted and packed     {max(ours):6.0f} MB/s   {max(ours) / max(theirs):.0%}\n"
        f"peak memory           {peak:6.0f} MiB, the lines included\n"
    )


if __name__ == "__main__":
    main()
