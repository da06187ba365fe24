"""Large buffers that come and go leave nothing behind in a run's process."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

GLIBC = hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
LARGE = 24 * 2**20
CODE = f"""
import gc, sys
from pathlib import Path
from collector.collect.memory import for_pages

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "pages":
    for_pages()
before = resident()
for _ in range(3):
    page = b"a" * {LARGE}
    small = b"b" * 2**16
    del page
print(resident() - before, gc.get_threshold()[0])
"""


def kept(how: str) -> tuple[int, int]:
    told = subprocess.run([sys.executable, "-c", CODE, how], check=True, capture_output=True, text=True)
    bytes_, threshold = map(int, told.stdout.split())
    return bytes_, threshold


@pytest.mark.skipif(not GLIBC, reason="only glibc's malloc keeps what large buffers took")
def test_what_a_large_answer_took_is_given_back() -> None:
    assert kept("usual")[0] > LARGE // 2  # else there is nothing to give back
    assert kept("pages")[0] < LARGE // 8


def test_cycles_are_looked_for_seldom() -> None:
    assert kept("pages")[1] > 10 * kept("usual")[1]
