"""The tree against RFC 6962's own recursive definition and known answers."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from collector import merkle

ENTRIES = st.lists(st.binary(max_size=40), max_size=40)


def definition(entries: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + definition(entries[:split]) + definition(entries[split:])).digest()


def test_the_known_answers_of_certificate_transparency() -> None:
    # The eight entries and roots that every implementation of RFC 6962 is tested with.
    entries = [
        bytes.fromhex(entry)
        for entry in (
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        )
    ]
    assert merkle.root_of(entries[:1]).hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert merkle.root_of(entries).hex() == (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    )


@given(ENTRIES)
def test_the_root_is_the_definitions(entries: list[bytes]) -> None:
    assert merkle.root_of(entries) == definition(entries)


@given(ENTRIES, st.integers(0, 40))
def test_growing_in_any_portions_gives_the_same_root(entries: list[bytes], cut: int) -> None:
    tree = merkle.Tree()
    tree.extend(entries[:cut])
    for entry in entries[cut:]:
        tree.add(entry)
    assert (tree.root(), len(tree)) == (definition(entries), len(entries))


def test_a_tree_across_batches_is_the_definitions() -> None:
    for count in (1023, 1024, 1025, 2048, 3077):
        entries = [str(number).encode() for number in range(count)]
        tree = merkle.Tree()
        tree.extend(entries)
        assert tree.root() == definition(entries), count


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_a_proof_holds_for_its_entry_and_place_alone(entries: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    proof = merkle.inclusion_proof([merkle.leaf_hash(entry) for entry in entries], index)
    root = definition(entries)
    size = len(entries)
    assert merkle.verify_inclusion(entries[index], index, size, proof, root)
    assert not merkle.verify_inclusion(entries[index] + b"x", index, size, proof, root)
    assert not merkle.verify_inclusion(entries[index], index, size, [*proof, root], root)
    assert not merkle.verify_inclusion(entries[index], size, size, proof, root)
    assert not merkle.verify_inclusion(entries[index], -1, size, proof, root)
    if proof:
        assert not merkle.verify_inclusion(entries[index], index, size, proof[:-1], root)
        assert not merkle.verify_inclusion(entries[index], index, size, [root, *proof[1:]], root)


# The audit paths that implementations of RFC 6962 are tested with: leaf from 1, size, path.
KNOWN_PATHS: list[tuple[int, int, list[str]]] = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (3, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        2,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CT_ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]


def test_the_known_paths_of_certificate_transparency() -> None:
    for leaf, size, path in KNOWN_PATHS:
        entries = CT_ENTRIES[:size]
        hashes = [bytes.fromhex(each) for each in path]
        assert merkle.inclusion_proof([merkle.leaf_hash(each) for each in entries], leaf - 1) == hashes
        assert merkle.verify_inclusion(entries[leaf - 1], leaf - 1, size, hashes, definition(entries))


def proven(count: int, wanted: list[int]) -> tuple[list[bytes], bytes, list[list[bytes]]]:
    """Entries, root and the paths of some of them, by batches."""
    entries = [str(number).encode() for number in range(count)]
    prover = merkle.Prover()
    lowers: list[tuple[int, list[bytes]]] = []
    for number, start in enumerate(range(0, count, prover.BATCH)):
        leaves = [merkle.leaf_hash(entry) for entry in entries[start : start + prover.BATCH]]
        here = [index - start for index in wanted if start <= index < start + prover.BATCH]
        lowers += [(number, lower) for lower in prover.batch(leaves, here)]
    assert len(prover) == count
    paths, before = [], None
    for number, lower in lowers:
        paths.append(lower if number == before else [*lower, *prover.upper(number, before)])
        before = number
    return entries, prover.root(), paths


@settings(deadline=None)  # what a tree of thousands takes says how busy the machine is
@given(st.sampled_from([1, 2, 3, 7, 1023, 1024, 1025, 1026, 2047, 2048, 2049, 3073, 5000]), st.data())
def test_paths_made_in_one_pass_are_those_of_the_whole_tree(count: int, data: st.DataObject) -> None:
    wanted = sorted(data.draw(st.sets(st.integers(0, count - 1), max_size=12)))
    entries, root, paths = proven(count, wanted)
    leaves = [merkle.leaf_hash(entry) for entry in entries]
    assert root == merkle.root_of_leaves(leaves)
    climber = merkle.Climber(count, root)
    full: list[bytes] = []
    for number, (index, path) in enumerate(zip(wanted, paths, strict=True)):
        whole = merkle.inclusion_proof(leaves, index)
        assert path == whole[: len(path)]
        full = [*path, *full[len(full) - (len(whole) - len(path)) :]] if number else path
        assert full == whole, "what was cut off is the end of the path before"
        assert merkle.verify_inclusion(entries[index], index, count, full, root)
        assert climber.proves(entries[index], index, path)


@settings(deadline=None)
@given(st.integers(1, 70), st.data())
def test_climbing_proves_nothing_but_the_entry_at_its_place_by_its_path(
    count: int, data: st.DataObject
) -> None:
    wanted = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=8)))
    entries, root, paths = proven(count, wanted)
    climber = merkle.Climber(count, root)
    for index, path in zip(wanted, paths, strict=True):
        for _ in range(3):
            entry, place, other = entries[index], index, list(path)
            change = data.draw(st.sampled_from(["entry", "place", "hash", "longer", "shorter"]))
            if change == "entry":
                entry += b"x"
            elif change == "place":
                place = data.draw(st.integers(-1, count + 1))
            elif change == "longer":
                other.append(data.draw(st.sampled_from([root, *path])))
            elif other:
                at = data.draw(st.integers(0, len(other) - 1))
                other[at : at + 1] = [] if change == "shorter" else [bytes(reversed(other[at]))]
            if (entry, place, other) != (entries[index], index, path):
                assert not climber.proves(entry, place, other)
        # What did not hold has left no trace.
        assert climber.proves(entries[index], index, path)
        assert not climber.proves(entries[index], index, path), "each place once, in order"


def test_a_batch_that_is_not_whole_ends_a_tree() -> None:
    prover = merkle.Prover()
    prover.batch([merkle.leaf_hash(b"x")], [])
    for leaves in ([], [merkle.leaf_hash(b"y")]):
        try:
            prover.batch(leaves, [])
        except ValueError:
            continue
        raise AssertionError("taken")
