"""Merkle trees as RFC 6962, section 2.1, defines them.

A leaf is SHA-256 of a zero byte and the entry, an inner node SHA-256 of a one byte and its two
children; a tree of n entries splits at the largest power of two below n; the tree of nothing has the
digest of no bytes. The two prefixes keep an inner node from being passed off as an entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = [
    "Climber",
    "Prover",
    "Tree",
    "inclusion_proof",
    "leaf_hash",
    "meet",
    "root_of",
    "root_of_leaves",
    "verify_inclusion",
]

# Leaves are folded in batches of a power of two, in one comprehension: a merge for each leaf that comes
# in costs twice the time in the interpreter.
_BATCH_HEIGHT = 10
_BATCH = 1 << _BATCH_HEIGHT


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry (RFC 6962: `SHA-256(0x00 || d)`)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _level_up(hashes: Sequence[bytes]) -> list[bytes]:
    """The next level; a last hash without a partner moves up as it is, which gives RFC 6962's split."""
    sha256 = hashlib.sha256
    pairs = zip(hashes[::2], hashes[1::2], strict=False)
    above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    if len(hashes) % 2:
        above.append(hashes[-1])
    return above


def root_of_leaves(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; that of the empty tree if there are none."""
    if not leaves:
        return hashlib.sha256().digest()
    level = leaves
    while len(level) > 1:
        level = _level_up(level)
    return level[0]


def root_of(entries: Iterable[bytes]) -> bytes:
    """The root of the tree whose entries are given; used for the one root over the members' roots."""
    return root_of_leaves([leaf_hash(entry) for entry in entries])


class Tree:
    """A tree that grows at its end, in memory that does not grow with it but for 32 bytes a doubling."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []  # height and hash of whole subtrees, highest first
        self._leaves: list[bytes] = []  # fewer than a batch
        self._folded = 0

    def __len__(self) -> int:
        return self._folded + len(self._leaves)

    def add(self, entry: bytes) -> None:
        """Append one entry."""
        self.extend((entry,))

    def extend(self, entries: Iterable[bytes]) -> None:
        """Append entries in order; much faster than one at a time."""
        sha256 = hashlib.sha256
        self._leaves += [sha256(b"\x00" + entry).digest() for entry in entries]
        whole = len(self._leaves) // _BATCH * _BATCH
        for start in range(0, whole, _BATCH):
            self._push(_BATCH_HEIGHT, root_of_leaves(self._leaves[start : start + _BATCH]))
        del self._leaves[:whole]
        self._folded += whole

    def _push(self, height: int, top: bytes) -> None:
        while self._peaks and self._peaks[-1][0] == height:
            top = _node(self._peaks.pop()[1], top)
            height += 1
        self._peaks.append((height, top))

    def root(self) -> bytes:
        """The root over all entries so far; more may follow."""
        tops = [top for _, top in self._peaks]
        if self._leaves or not tops:
            tops.append(root_of_leaves(self._leaves))
        root = tops.pop()
        while tops:
            root = _node(tops.pop(), root)
        return root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf (RFC 6962, section 2.1.1), from the leaf up.

    Args:
        leaves: leaf hashes of the whole tree.
        index: which of them, from 0.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"no leaf {index} in a tree of {len(leaves)}")
    return _path(_levels(leaves), index)


class Prover:
    """A tree that grows at its end and gives the paths of many entries in one pass.

    Paths are cut: one that meets the path of the entry before it leaves out all from where they meet, since
    the rest is the same (`meet`). Whole batches of leaves are subtrees of the RFC's tree, so a path is in two
    parts: the lower lies in the entry's batch and is known once that is full; the upper belongs to the first
    of a batch alone and is known at the end. What is kept is a hash a batch.
    """

    BATCH = _BATCH

    def __init__(self) -> None:
        self._size = 0
        self._tops: list[bytes] = []
        self._levels: list[Sequence[bytes]] = []

    def __len__(self) -> int:
        return self._size

    def batch(self, leaves: Sequence[bytes], places: Sequence[int]) -> list[list[bytes]]:
        """Append a batch of leaf hashes, and give the lower paths of those at these places in it.

        Args:
            leaves: exactly `BATCH`; fewer, but one at least, in the last batch alone.
            places: from 0, within the batch, in ascending order.

        Returns:
            The first path whole, the others cut.

        Raises:
            ValueError: the batch has another size, or follows one that was not whole.
        """
        if not 0 < len(leaves) <= _BATCH or self._size % _BATCH:
            raise ValueError("batches must be whole, but for the last")
        levels = _levels(leaves)
        self._size += len(leaves)
        self._tops.append(levels[-1][0])
        self._levels = []
        paths = [_path(levels, place) for place in places[:1]]
        if len(leaves) < _BATCH:
            return paths + [_path(levels[: meet(*pair) + 1], pair[1]) for pair in pairwise(places)]
        # In a whole batch every node has its sibling, and neighbours meet after a step or two.
        for before, place in pairwise(places):
            if before ^ place == 1:  # half of all, where most entries are asked for
                paths.append([leaves[before]])
            else:
                height = (before ^ place).bit_length()
                paths.append([levels[level][place >> level ^ 1] for level in range(height)])
        return paths

    def upper(self, number: int, before: int | None = None) -> list[bytes]:
        """The upper part of the path of the first entry of batch `number`, from 0; ask when all are in.

        Args:
            before: the batch of the entry before it, at which the path is cut; None: it is not.
        """
        if not self._levels:
            self._levels = _levels(self._tops)
        height = len(self._levels) if before is None else meet(before, number) + 1
        return _path(self._levels[:height], number)

    def root(self) -> bytes:
        """The root over all entries so far."""
        return root_of_leaves(self._tops)


def meet(before: int, index: int) -> int:
    """How many levels above the leaves the ways up from two entries meet."""
    return (before ^ index).bit_length()


def _levels(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    levels = [leaves]
    while len(levels[-1]) > 1:
        levels.append(_level_up(levels[-1]))
    return levels


def _path(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    path = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index >>= 1
    return path


class Climber:
    """Verifies cut paths of one tree, entries in ascending order, and climbs no stretch twice.

    A path ends where the way up meets that of the entry proven before: there the node must be the one that
    was climbed to then. So each entry is proven to be where it says, as `verify_inclusion` would with the
    path in full.
    """

    def __init__(self, size: int, root: bytes) -> None:
        self._size = size
        self._root = root
        self._index = -1
        self._climbed: list[bytes] = []  # at each level, the node on the way up from the entry before

    def proves(self, entry: bytes, index: int, path: Sequence[bytes]) -> bool:
        """Whether the entry stands at this place; False, too, for a path that is not cut just there."""
        if not self._index < index < self._size:
            return False
        until = meet(self._index, index) if self._climbed else self._size.bit_length()
        top, used, at, last = leaf_hash(entry), 0, index, self._size - 1
        climbed = [top]
        while last and len(climbed) <= until:
            if at ^ 1 <= last:
                if used == len(path):
                    return False
                top = _node(path[used], top) if at % 2 else _node(top, path[used])
                used += 1
            at, last = at >> 1, last >> 1
            climbed.append(top)
        known = self._climbed[until] if self._climbed else self._root
        if used != len(path) or top != known:
            return False
        self._index, self._climbed[: len(climbed)] = index, climbed
        return True


def verify_inclusion(entry: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether an entry stands at this place of the tree with this size and root.

    The path must be exactly as long as the place demands: neither short nor padded.
    """
    if not 0 <= index < size:
        return False
    top = leaf_hash(entry)
    steps = iter(path)
    last = size - 1
    while last:
        if index ^ 1 <= last:
            sibling = next(steps, None)
            if sibling is None:
                return False
            top = _node(sibling, top) if index % 2 else _node(top, sibling)
        index //= 2
        last //= 2
    return next(steps, None) is None and top == root
