"""Lines of one member with their proofs, as `disclosed.jsonl` has them: spilt to disk, then given out.

The upper part of a path is known at the member's end alone, and only the first line of each batch of leaves
has one, since the others' paths are cut below. So the lines go to disk as they will be, and the upper parts
are put between when they are given out.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from orjson import OPT_APPEND_NEWLINE, dumps  # many texts, with their keys in order

from collector.lines import Readable, line_batches
from collector.merkle import Prover

__all__ = ["Choose", "Spill", "spill"]

_PIECE = 1 << 20
# What waits for its batch of leaves to be full; more, where lines are texts kept whole, waits on disk.
_WAITING = 16 << 20

Choose = Callable[[list[bytes]], Sequence[int]]
"""From a few lines to the places, in order, of those that are taken."""


@dataclass(frozen=True, slots=True)
class Spill:
    """What was chosen of one member.

    Attributes:
        root: of the member's tree, in hexadecimal.
        size: how many lines the member has.
        path: the chosen lines, but for what `uppers` puts between.
        uppers: upper parts of paths, each with the byte of the file before which it belongs.
    """

    root: str
    size: int
    path: Path
    uppers: Sequence[tuple[int, str]]

    @property
    def length(self) -> int:
        """How many bytes `pieces` gives."""
        return self.path.stat().st_size + sum(len(upper) for _, upper in self.uppers)

    def pieces(self) -> Iterator[bytes]:
        """The chosen lines as `disclosed.jsonl` has them, a mebibyte at most at a time."""
        with self.path.open("rb") as file:
            for (before, upper), (until, _) in pairwise([(0, ""), *self.uppers, (-1, "")]):
                yield upper.encode()
                yield from _stretch(file, until - before if until >= 0 else -1)


def _stretch(file: IO[bytes], size: int) -> Iterator[bytes]:
    """So many bytes; all there are if it is negative."""
    while size and (piece := file.read(_PIECE if size < 0 else min(size, _PIECE))):
        size -= len(piece)
        yield piece


def spill(source: Readable, name: str, size: int, choose: Choose, folder: Path) -> Spill:
    """Read one member and keep the lines that are chosen.

    Args:
        source: its compressed bytes.
        name: its name in the bundle.
        size: how many lines it is said to have, which each disclosed line repeats.
        choose: which lines are taken.
        folder: where there is room; the file stays until the folder goes.

    Raises:
        VerifyError: it is no file of lines; also what `choose` raises.
        OSError: the disk is full.
    """
    path = folder / name.replace("/", "-")
    with path.open("xb", buffering=_PIECE) as file, TemporaryFile(dir=folder) as aside:
        taken = _Taken(file, _Waiting(aside), name, size)
        for batch in line_batches(source, name):
            taken.extend(batch, choose(batch))
        return taken.finish(path)


class _Waiting:
    """Texts in order, in memory while they are small, as nearly all are."""

    def __init__(self, aside: IO[bytes]) -> None:
        self._aside = aside
        self._sizes: list[int] = []
        self._texts: list[bytes] = []
        self._held = 0

    def extend(self, texts: list[bytes]) -> None:
        self._texts += texts
        self._held += sum(map(len, texts))
        if self._held > _WAITING:
            if not self._sizes:
                self._aside.seek(0)
                self._aside.truncate()
            self._aside.writelines(self._texts)
            self._sizes += map(len, self._texts)
            self._texts, self._held = [], 0

    def drain(self) -> Iterator[bytes]:
        """All that waits; to be taken before more is put in."""
        aside, texts = self._sizes, self._texts
        self._sizes, self._texts, self._held = [], [], 0
        self._aside.seek(0)
        return chain(map(self._aside.read, aside), texts)


class _Taken:
    """Grows the tree a batch at a time and writes what was taken with the lower parts of the paths."""

    def __init__(self, file: IO[bytes], waiting: _Waiting, member: str, size: int) -> None:
        self._file = file
        self._waiting = waiting
        self._member = member
        self._size = size
        self._prover = Prover()
        self._leaves: list[bytes] = []
        self._places: list[int] = []
        self._firsts: list[tuple[int, int, str]] = []  # batch, byte in the file, what goes between

    def extend(self, lines: list[bytes], places: Sequence[int]) -> None:
        start = 0
        while start < len(lines):
            end = start + Prover.BATCH - len(self._leaves)
            here = places[bisect_left(places, start) : bisect_left(places, end)]
            self._add(lines[start:end], [place - start for place in here])
            start = end

    def _add(self, lines: list[bytes], places: list[int]) -> None:
        before, sha256 = len(self._leaves), hashlib.sha256
        self._waiting.extend([lines[place] for place in places])
        self._places += [before + place for place in places]
        self._leaves += [sha256(b"\x00" + line).digest() for line in lines]
        if len(self._leaves) == Prover.BATCH:
            self._fold()

    def _fold(self) -> None:
        start = len(self._prover)
        paths = self._prover.batch(self._leaves, self._places)
        texts = self._texts(start, paths)
        for text in islice(texts, 1):
            self._file.write(text)
            at = self._file.tell() - len(b'],"size":%d}\n' % self._size)
            self._firsts.append((start // Prover.BATCH, at, "," if paths[0] else ""))
        self._file.writelines(texts)
        self._leaves, self._places = [], []

    def _texts(self, start: int, paths: Iterable[Sequence[bytes]]) -> Iterator[bytes]:
        member, size = self._member, self._size
        for place, line, path in zip(self._places, self._waiting.drain(), paths, strict=True):
            yield dumps(
                {
                    "index": start + place,
                    "line": line.decode(),
                    "member": member,
                    "path": [each.hex() for each in path],
                    "size": size,
                },
                option=OPT_APPEND_NEWLINE,
            )

    def finish(self, path: Path) -> Spill:
        if self._leaves:
            self._fold()
        uppers, before = [], None
        for number, at, between in self._firsts:
            if upper := self._prover.upper(number, before):
                uppers.append((at, between + dumps([each.hex() for each in upper])[1:-1].decode()))
            before = number
        return Spill(self._prover.root().hex(), len(self._prover), path, uppers)
