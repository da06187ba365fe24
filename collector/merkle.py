"""Merkle trees as RFC 6962, section 2.1, defines them.

A leaf is SHA-256 of a zero byte and the entry, an inner node SHA-256 of a one byte and its two
children; a tree of n entries splits at the largest power of two below n; the tree of nothing has the
digest of no bytes. The two prefixes keep an inner node from being passed off as an entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

__all__ = ["Tree", "inclusion_proof", "leaf_hash", "root_of", "root_of_leaves", "verify_inclusion"]

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
    path = []
    level = leaves
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _level_up(level)
        index //= 2
    return path


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
