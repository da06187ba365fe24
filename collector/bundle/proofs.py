"""Lines of one member with their proofs, as `disclosed.jsonl` has them: spilt to disk, then given out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from collector.canonical import dumps
from collector.lines import Readable, line_batches
from collector.merkle import Prover

__all__ = ["Spill", "spill"]

_PIECE = 1 << 20

Choose = Callable[[list[bytes]], Sequence[int]]
"""From a few lines to the places, in order, of those that are taken."""


@dataclass(slots=True)
class Spill:
    """What was chosen of one member.

    Attributes:
        root: of the member's tree.
        size: how many lines the member has.
        length: how many bytes `pieces` gives.
    """

    root: bytes
    size: int
    length: int
    _lines: Path
    _paths: Path
    _uppers: list[tuple[int, bytes]]
    _end: bytes

    def pieces(self) -> Iterator[bytes]:
        """The chosen lines as `disclosed.jsonl` has them, about a mebibyte at a time."""
        with self._lines.open("rb") as lines, self._paths.open("rb") as paths:
            held: list[bytes] = []
            waiting = 0
            for count, first in self._uppers:
                for number in range(count):
                    upper = self._end if number else first
                    one = _joined(lines.readline()[:-1], paths.readline()[:-1], upper)
                    held.append(one)
                    waiting += len(one)
                    if waiting >= _PIECE:
                        yield b"".join(held)
                        held, waiting = [], 0
            yield b"".join(held)


def _joined(line: bytes, lower: bytes, upper: bytes) -> bytes:
    return line + lower + upper if lower else line + upper.removeprefix(b",")


def _quoted(path: Sequence[bytes]) -> bytes:
    return b'"%s"' % '","'.join([each.hex() for each in path]).encode() if path else b""


def spill(source: Readable, name: str, choose: Choose, folder: Path) -> Spill:
    """Read one member and keep the lines that are chosen.

    Args:
        source: its compressed bytes.
        name: its name in the bundle.
        choose: which lines are taken.
        folder: where there is room; the files stay until the folder goes.

    Raises:
        VerifyError: it is no file of lines; also what `choose` raises.
        OSError: the disk is full.
    """
    stem = name.replace("/", "-")
    with (folder / f"{stem}.lines").open("xb") as lines, (folder / f"{stem}.paths").open("xb") as paths:
        taken = _Taken(lines, paths)
        start = 0
        for batch in line_batches(source, name):
            places = choose(batch)
            taken.extend([hashlib.sha256(b"\x00" + line).digest() for line in batch], places)
            for place in places:
                lines.write(_opening(start + place, batch[place], name))
            start += len(batch)
        return taken.finish(Path(lines.name), Path(paths.name))


def _opening(index: int, line: bytes, member: str) -> bytes:
    text = dumps(line.decode())
    return b'{"index":%d,"line":%s,"member":"%s","path":[\n' % (index, text, member.encode())


class _Taken:
    """Grows the tree a batch at a time and writes the lower paths of what was taken."""

    def __init__(self, lines: IO[bytes], paths: IO[bytes]) -> None:
        self._lines_file = lines
        self._paths_file = paths
        self._prover = Prover()
        self._leaves: list[bytes] = []
        self._places: list[int] = []
        self._counts: list[int] = []
        self._bare = 0

    def extend(self, leaves: list[bytes], places: Sequence[int]) -> None:
        self._places += [len(self._leaves) + place for place in places]
        self._leaves += leaves
        while len(self._leaves) >= Prover.BATCH:
            self._fold()

    def _fold(self) -> None:
        size = Prover.BATCH
        here = [place for place in self._places if place < size]
        lowers = self._prover.batch(self._leaves[:size], here)
        self._paths_file.writelines([_quoted(path) + b"\n" for path in lowers])
        self._bare = sum(not path for path in lowers)
        self._counts.append(len(here))
        self._places = [place - size for place in self._places[len(here) :]]
        del self._leaves[:size]

    def finish(self, lines: Path, paths: Path) -> Spill:
        if self._leaves:
            self._fold()
        size = len(self._prover)
        end = b'],"size":%d}\n' % size
        uppers, before = [], None
        for number, count in enumerate(self._counts):
            if count:
                above = _quoted(self._prover.upper(number, before))
                uppers.append((count, (b"," + above if above else b"") + end))
                before = number
        return Spill(self._prover.root(), size, self._total(uppers, end), lines, paths, uppers, end)

    def _total(self, uppers: list[tuple[int, bytes]], end: bytes) -> int:
        written = self._lines_file.tell() + self._paths_file.tell() - 2 * sum(self._counts)
        total = written + sum(len(first) + (count - 1) * len(end) for count, first in uppers)
        # The last batch may be of one leaf, whose path has no lower part and so no comma between.
        return total - (self._bare if uppers and uppers[-1][1].startswith(b",") else 0)
