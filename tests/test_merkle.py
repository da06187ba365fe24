"""The tree against RFC 6962's own recursive definition and known answers."""

from __future__ import annotations

import hashlib

from hypothesis import given
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
