"""Everything that can be done to a bundle is one clear line, and a VerifyError."""

from __future__ import annotations

import contextlib
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.headers import Member, local_header
from collector.bundle.open import open_bundle
from collector.bundle.seal import SealedBundle
from collector.bundle.trust import Trust, trust_of_key
from collector.bundle.verify import verify
from collector.canonical import dumps
from collector.model import VerifyError

Seals = Callable[[str], SealedBundle]
Forger = Any  # tests/bundle/conftest.py

SHARED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refusal(path: Path, trust: Trust) -> str:
    with pytest.raises(VerifyError) as caught:
        verify(path, trust)
    line = str(caught.value)
    assert line
    assert line.isprintable()
    assert len(line) < 500
    return line


def gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(data) + packer.flush()
    header = bytes.fromhex("1f8b08000000000000ff")
    return header + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


@SHARED
@given(st.data())
def test_a_flipped_bit_anywhere_is_refused(
    sealed: Seals, trust: Trust, forger: Forger, data: st.DataObject
) -> None:
    good = bytearray(sealed("ed").path.read_bytes())
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    good[bit // 8] ^= 1 << bit % 8
    refusal(forger.file(bytes(good)), trust)


def test_a_flipped_bit_in_each_byte_of_the_archives_own_headers_is_refused(
    sealed: Seals, trust: Trust, forger: Forger
) -> None:
    good = sealed("ed").path.read_bytes()
    with Archive(sealed("ed").path) as archive:
        members = archive.members
    places = [at for member in members for at in range(member.offset, member.start)]
    places += range(members[-1].end, len(good))
    for at in places:
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        refusal(forger.file(bytes(bad)), trust)


def test_a_flipped_bit_in_the_statement_is_refused_wherever_it_is(
    sealed: Seals, trust: Trust, forger: Forger
) -> None:
    members = forger.members(sealed("ed").path)
    name, statement = members[-1]
    for at in [*range(0, len(statement), 97), *range(len(statement) - 200, len(statement))]:
        bad = bytearray(statement)
        bad[at] ^= 1 << at % 7
        refusal(forger.archive([*members[:-1], (name, bytes(bad))]), trust)


@SHARED
@given(st.data())
def test_a_file_cut_off_or_grown_anywhere_is_refused(
    sealed: Seals, trust: Trust, forger: Forger, data: st.DataObject
) -> None:
    good = sealed("ed").path.read_bytes()
    at = data.draw(st.integers(0, len(good)))
    more = data.draw(st.binary(min_size=1, max_size=40))
    refusal(forger.file(good[:at] + more + good[at:]), trust)
    if at < len(good):
        refusal(forger.file(good[:at]), trust)


def test_bytes_before_or_behind_it_are_named(sealed: Seals, trust: Trust, forger: Forger) -> None:
    good = sealed("ed").path.read_bytes()
    assert "does not begin with a member" in refusal(forger.file(b"#!/bin/sh\n" + good), trust)
    assert "3 bytes behind the archive's end" in refusal(forger.file(good + b"abc"), trust)
    assert "cut off" in refusal(forger.file(good[:2000]), trust)
    assert "does not begin with a member" in refusal(forger.file(b""), trust)


def test_a_removed_file_is_named(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    for gone, _ in members:
        line = refusal(forger.archive([each for each in members if each[0] != gone]), trust)
        assert gone in line
        assert "missing" in line or "removed" in line


def test_an_added_file_is_named(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    for name in (f"segments/{'0' * 64}.jsonl.gz", "mappings/evil/checks/x.toml"):
        added = sorted([*members, (name, b"x")], key=lambda each: layout.place(each[0]))
        assert f"{name} was added" in refusal(forger.archive(added), trust)
    added = (
        ("statement.sigstore.json", "not what the statement and the stamps make"),
        ("stamps/freetsa.tsr", "a stamp that the statement does not speak of"),
    )
    for name, why in added:
        assert why in refusal(forger.archive([*members, (name, b"x")]), trust)


def test_a_changed_file_is_named(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    for changed, content in members[:-1]:
        bad = [(name, content + b" " if name == changed else data) for name, data in members]
        assert f"{changed} was changed" in refusal(forger.archive(bad), trust)


def test_a_name_twice_is_named(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    for name, content in members:
        twice = [each for member in members for each in ([member] * 2 if member[0] == name else [member])]
        assert f"{name} occurs twice" in refusal(forger.archive(twice), trust)
        other = [(each, content) for each in (name, name)]
        assert "occurs twice" in refusal(forger.archive(other), trust)


def test_members_in_another_order_are_refused(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    for at in range(len(members) - 1):
        swapped = [*members[:at], members[at + 1], members[at], *members[at + 2 :]]
        line = refusal(forger.archive(swapped), trust)
        assert "wrong place" in line or "not in the order that was signed" in line


@pytest.mark.parametrize(
    "name",
    [
        "../plan.json",
        "/plan.json",
        "segments/../../plan.json",
        "mappings/a/checks/../x",
        "mappings/a/checks/.x",
        "mappings/a/checks/x\x00.toml",
        "mappings\\a\\checks\\x.toml",
        "mappings/a/checks/x.toml/",
        "mappings/a/checks//x.toml",
        "mappings/a/checks/x y",
        "mappings/a/checks/x\n",
        "PLAN.JSON",
        "plan.json ",
        "",
        "C:plan.json",
        "mappings/a/checks/" + "x" * 300,
        "mappings/a/checks/\x1b[31mred",
    ],
)
def test_a_name_that_no_bundle_has_is_refused_before_anything_is_written(
    sealed: Seals, trust: Trust, forger: Forger, tmp_path: Path, name: str
) -> None:
    members = forger.members(sealed("ed").path)
    for bad in ([(name, b"x"), *members], [*members[:6], (name, b"x"), *members[6:]]):
        assert "no member of a bundle may be named" in refusal(forger.archive(bad), trust)
        with pytest.raises(VerifyError):
            open_bundle(forger.archive(bad), tmp_path / "opened")
        assert not (tmp_path / "opened").exists()


def test_a_name_that_is_not_ascii_is_refused(sealed: Seals, trust: Trust, forger: Forger) -> None:
    good = sealed("ed").path.read_bytes()
    assert "not ASCII" in refusal(forger.file(good.replace(b"plan.json", b"pl\xffn.json")), trust)


def test_names_that_differ_by_case_alone_are_refused(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    names = ["mappings/baseline/checks/a.toml", "mappings/baseline/checks/A.toml"]
    at = next(i for i, (name, _) in enumerate(members) if name.startswith("mappings/"))
    twins = [(name, b"x") for name in sorted(names)]
    assert "occurs twice" in refusal(forger.archive([*members[:at], *twins, *members[at:]]), trust)


def test_declared_sizes_are_not_believed(sealed: Seals, trust: Trust, forger: Forger) -> None:
    for size in (1000, 2**31, 2**32 - 1, 2**32, 2**40, 2**63, 2**64 - 1):
        for name in ("plan.json", "ledger.jsonl.gz"):
            header = local_header(Member(name, size, 0, 0))
            line = refusal(forger.file(header + b"x" * 100), trust)
            assert "cut off" in line or "at most" in line


def test_too_many_members_are_refused(sealed: Seals, trust: Trust, forger: Forger, monkeypatch: Any) -> None:
    monkeypatch.setattr(layout, "MAX_MEMBERS", 9)
    assert "more than 9 members" in refusal(sealed("ed").path, trust)


def test_a_swapped_signature_is_refused(sealed: Seals, trust: Trust, keys: Path, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    other = dict(forger.members(sealed("ec").path))["statement.dsse.json"]
    swapped = forger.archive([*members[:-1], ("statement.dsse.json", other)])
    assert "signature valid, signer unknown: SHA256:" in refusal(swapped, trust)
    payload = bytes(dict(members)["statement.dsse.json"])
    ours, theirs = (bytes(each).split(b'"sig":"')[1] for each in (payload, other))
    mixed = forger.archive([*members[:-1], ("statement.dsse.json", payload.replace(ours, theirs))])
    assert "signature does not verify with the key of ed.pub.pem" in refusal(mixed, trust)


def test_a_statement_of_another_run_does_not_cover_these_files(
    sealed: Seals, trust: Trust, forger: Forger
) -> None:
    members = forger.members(sealed("ed").path)
    changed = [(name, data + b"\n" if name == "plan.json" else data) for name, data in members]
    statement = forger.members(forger.signed(changed))[-1]
    assert "plan.json was changed" in refusal(forger.archive([*members[:-1], statement]), trust)


def test_a_strangers_good_signature_is_named_by_fingerprint(sealed: Seals, keys: Path, trust: Trust) -> None:
    stranger = trust_of_key(keys / "stranger.pub.pem").keys[0].key.fingerprint
    assert refusal(sealed("stranger").path, trust) == f"signature valid, signer unknown: {stranger}"


def test_a_strangers_bad_signature_is_not_called_valid(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("stranger").path)
    statement = members[-1][1]
    at = statement.index(b'"sig":"') + 20
    bad = statement[:at] + (b"A" if statement[at : at + 1] != b"A" else b"B") + statement[at + 1 :]
    line = refusal(forger.archive([*members[:-1], ("statement.dsse.json", bad)]), trust)
    assert "cannot be checked" in line
    assert "valid" not in line


def test_a_stranger_who_brings_along_a_trusted_key_is_refused(
    sealed: Seals, trust: Trust, forger: Forger
) -> None:
    trusted = trust.keys[0].key

    def claim(statement: dict[str, Any]) -> None:
        statement["predicate"]["signer"] = {"fingerprint": trusted.fingerprint, "key": trusted.pem}

    forged = forger.signed(forger.members(sealed("stranger").path), claim, key="stranger")
    assert "names another signer" in refusal(forged, trust)


def test_the_named_signer_must_be_the_one_who_signed(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("stranger").path)
    assert "names another signer" in refusal(forger.signed(members, key="ed"), trust)


def test_fewer_signatures_than_expected_are_refused(sealed: Seals, trust: Trust) -> None:
    with pytest.raises(VerifyError, match="signed by 1 of the 2 trusted keys"):
        verify(sealed("ed").path, trust, expected_signers=2)


def _swapped(members: list[tuple[str, bytes]], name: str, data: bytes) -> list[tuple[str, bytes]]:
    return [(each, data if each == name else content) for each, content in members]


def test_a_thousandfold_expansion_is_refused_in_constant_memory(
    sealed: Seals, trust: Trust, forger: Forger
) -> None:
    members = _swapped(forger.members(sealed("ed").path), "findings.jsonl.gz", gzip(b"0" * (128 << 20)))
    bomb = forger.signed(members)
    tracemalloc.start()
    try:
        assert "findings.jsonl.gz: expands more than 250 times" in refusal(bomb, trust)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip(b"[" * 100_000 + b"]" * 100_000 + b"\n"), "not of this format"),
        (gzip(b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"\n"), "not of this format"),
        (gzip(b'{"record":{"kind":1,"gaps":[]}}\n'), "not of this format"),
        (gzip(b'{"record":null}\n'), "not of this format"),
        (gzip(b'{"gap":{"kind":"a"}}\n'), "not of this format"),
        (gzip(b"\xff\xfe\n"), "not of this format"),
        (gzip(b'{"a":NaN}\n'), "not of this format"),
        (gzip(b'{"gap":{"kind":"a","reason":"denied"}}'), "does not end"),
        (gzip(b'{"gap":{"kind":"a","reason":"denied"}}\n') + b"x", "bytes follow"),
        (b"plain", "not gzip"),
        (b"", "not gzip"),
    ],
)
def test_lines_that_are_none_are_refused_though_they_are_signed(
    sealed: Seals, trust: Trust, forger: Forger, content: bytes, said: str
) -> None:
    members = forger.members(sealed("ed").path)
    name = next(name for name, _ in members if name.startswith("segments/"))
    assert said in refusal(forger.signed(_swapped(members, name, content)), trust)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "not JSON"),
        (b"{}", "not of format 1"),
        (b"[]", "not of format 1"),
        (b'{"format":2}', "not of format 1"),
        (b'{"format":1}', "not a plan"),
        (b'{"format":1,"tasks":[1],"as_of":""}', "not a plan"),
        (b'{"format":1,"tasks":[],"as_of":""}', "tasks are not those"),
    ],
)
def test_a_plan_that_is_none_is_refused_though_it_is_signed(
    sealed: Seals, trust: Trust, forger: Forger, content: bytes, said: str
) -> None:
    members = _swapped(forger.members(sealed("ed").path), "plan.json", content)
    assert said in refusal(forger.signed(members), trust)


def _set(*keys: Any) -> Callable[[dict[str, Any]], None]:
    *path, last, value = keys

    def change(statement: dict[str, Any]) -> None:
        table: Any = statement
        for key in path:
            table = table[key]
        table[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("predicate", "tree", "root", "0" * 64), "its tree is not that of the lines"),
        (_set("predicate", "tree", "members", 0, "lines", 31), "its tree is not that of the lines"),
        (_set("predicate", "tree", "members", []), "its tree is not that of the lines"),
        (_set("predicate", "counts", "host_user", 10), "its counts are not those of the lines"),
        (_set("predicate", "gaps", {}), "its gaps are not those of the lines"),
        (_set("predicate", "tasks", 0, "segment", None), "its tasks name other files"),
        (_set("predicate", "derived", []), "its derived name other files"),
        (_set("predicate", "tasks", 1, "id", "9f3c9ab201aa77e1"), "its tasks are not those"),
        (_set("predicate", "as_of", "2026-11-25T02:00:00Z"), "its as_of is not that"),
        (_set("predicate", "series", "sequence", 2), "has no previous"),
        (_set("predicate", "format", 2), "must be one of 1"),
        (_set("predicate", "mood", "good"), "predicate.mood: unknown"),
        (_set("predicate", 7), "must be a table"),
        (_set("predicateType", "https://example.org/v1"), "not in the canonical form"),
        (_set("subject", 0, "digest", "sha1", "00"), "not in the canonical form"),
        (_set("subject", 0, "name", 7), "statement: subject 7 is no file"),
        (_set("subject", 0, "digest", "sha256", "00"), "statement: subject plan.json: not a SHA-256"),
        (_set("subject", 7), "statement: "),
    ],
)
def test_what_a_trusted_signer_states_wrongly_is_refused_too(
    sealed: Seals, trust: Trust, forger: Forger, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    line = refusal(forger.signed(forger.members(sealed("ed").path), change), trust)
    assert line.startswith(("statement", "plan.json", "forged.zip"))
    assert said in line


def test_one_changed_line_changes_its_tree(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    ledger = zlib.decompress(dict(members)["ledger.jsonl.gz"], wbits=31)
    changed = ledger.replace(b"0000000000000007", b"0000000000000008", 1)
    assert "tree" in refusal(forger.signed(_swapped(members, "ledger.jsonl.gz", gzip(changed))), trust)


def test_a_segment_under_another_name_is_refused(sealed: Seals, trust: Trust, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    name = next(name for name, _ in members if name.startswith("derived/"))
    renamed = [(f"derived/{'0' * 64}.jsonl.gz" if each == name else each, data) for each, data in members]

    def follow(statement: dict[str, Any]) -> None:
        for member in statement["predicate"]["tree"]["members"]:
            member["name"] = f"derived/{'0' * 64}.jsonl.gz" if member["name"] == name else member["name"]

    assert "not named by the SHA-256" in refusal(forger.signed(renamed, follow), trust)


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b"[" * 100_000,
        b'{"payload":"","payloadType":"x","signatures":[]}',
        b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"a","sig":"x"}]}',
        b'{"payload":7,"payloadType":7,"signatures":[{"keyid":7,"sig":7}]}',
        b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":"abc"}',
        b'{"payload":"e30=","payloadType":"text/plain","signatures":[{"keyid":"a","sig":"AAAA"}]}',
    ],
)
def test_an_envelope_that_is_none_is_refused(
    sealed: Seals, trust: Trust, forger: Forger, envelope: bytes
) -> None:
    members = _swapped(forger.members(sealed("ed").path), "statement.dsse.json", envelope)
    refusal(forger.archive(members), trust)


def test_an_envelope_with_room_for_hidden_bytes_is_refused(
    sealed: Seals, trust: Trust, forger: Forger
) -> None:
    members = forger.members(sealed("ed").path)
    good = members[-1][1]
    for bad in (
        good.replace(b'{"payload"', b'{ "payload"'),
        good.replace(b'{"payload"', b'{"note":"hidden","payload"'),
        good.replace(b'{"keyid"', b'{"cert":"hidden","keyid"'),
        good + b"\n",
        b"\n" + good,
    ):
        line = refusal(forger.archive([*members[:-1], ("statement.dsse.json", bad)]), trust)
        assert "not in canonical form" in line


@SHARED
@given(st.binary(max_size=300))
def test_nothing_but_a_verify_error_comes_out_of_any_bytes(trust: Trust, forger: Forger, data: bytes) -> None:
    for hostile in (data, b"PK\x03\x04" + data, local_header(Member("plan.json", len(data), 0, 0)) + data):
        refusal(forger.file(hostile), trust)


@SHARED
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5) | st.floats(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    st.data(),
)
def test_no_value_anywhere_in_a_statement_breaks_the_verifier(
    sealed: Seals, trust: Trust, forger: Forger, value: Any, data: st.DataObject
) -> None:
    def change(statement: dict[str, Any]) -> None:
        table: Any = statement
        for _ in range(data.draw(st.integers(0, 4))):
            keys = list(table) if isinstance(table, dict) else list(range(len(table)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(table[key], dict | list) or not table[key]:
                break
            table = table[key]
        keys = list(table) if isinstance(table, dict) else list(range(len(table)))
        table[data.draw(st.sampled_from(keys))] = value

    members = forger.members(sealed("ed").path)
    with contextlib.suppress(TypeError):  # what has no JSON cannot be signed
        dumps(value)
        with contextlib.suppress(VerifyError):
            verify(forger.signed(members, change), trust)


def test_what_is_no_file_is_refused(trust: Trust, tmp_path: Path) -> None:
    assert "not a regular file" in refusal(tmp_path, trust)
    assert "No such file" in refusal(tmp_path / "none.zip", trust)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe", trust)


def test_contents_that_do_not_fit_their_checksum_stop_the_opening(
    sealed: Seals, forger: Forger, tmp_path: Path
) -> None:
    data = bytearray(sealed("ed").path.read_bytes())
    with Archive(sealed("ed").path) as archive:
        data[archive.members[3].start + 30] ^= 1
    with pytest.raises(VerifyError, match="does not fit its checksum"):
        open_bundle(forger.file(bytes(data)), tmp_path / "opened")


def test_opening_never_writes_into_a_folder_that_is_there(sealed: Seals, tmp_path: Path) -> None:
    (tmp_path / "opened").symlink_to(tmp_path)
    with pytest.raises(FileExistsError):
        open_bundle(sealed("ed").path, tmp_path / "opened")
