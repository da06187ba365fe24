"""Partial bundles of a real run: what they show, what they keep back, and how they can be altered."""

from __future__ import annotations

import hmac
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import merkle
from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.disclose import disclose
from collector.bundle.keypair import generate_key
from collector.bundle.open import open_bundle
from collector.bundle.partial import is_partial, verify_part
from collector.bundle.selection import Asked, CallIds
from collector.bundle.trust import Trust, load_trust, trust_of_key
from collector.bundle.verify import verify
from collector.canonical import dumps
from collector.keys import load_secret
from collector.lines import line_batches
from collector.model import ConfigError, VerifyError

ROOT = Path(__file__).parents[2]
PROGRAM = "from collector.cli import main; main()"
# The sources whose checks the baseline has, and what a run needs besides.
PLUGINS = ("baseline", "directory", "file", *(path.name for path in (ROOT / "mappings/checks").iterdir()))
CONTROL = "iso27001-2022:A.5.1"

Forger = Any  # tests/bundle/conftest.py
Line = dict[str, Any]
Lines = list[Line]
Members = list[tuple[str, bytes]]

SHARED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Ran:
    """A real run over the example programme, and a partial bundle of one of its controls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        info = folder / "site" / "evidence_collector-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evidence-collector\nVersion: 0.1.0\n")
        entries = "".join(f"{name} = collector_{name}\n" for name in PLUGINS)
        (info / "entry_points.txt").write_text(f"[evidence_collector]\n{entries}")
        program = folder / "collector.toml"
        program.write_text(f'[[source]]\nuse = "program"\nfolder = "{ROOT / "examples" / "program"}"\n')
        self("init")
        self("run", "--quiet", "--config", program)
        (self.bundle,) = (folder / "state" / "evidence").rglob("*.zip")
        self.trust = load_trust(folder / "config" / "trust.toml")
        self.secret = folder / "config" / "secret.key"
        self.part = folder / "part.zip"
        self.disclosed = disclose(self.bundle, Asked(controls=(CONTROL,)), self.part)

    def __call__(self, *words: object) -> None:
        environ = {
            **os.environ,
            "COLLECTOR_CONFIG_DIR": str(self._folder / "config"),
            "COLLECTOR_STATE": str(self._folder / "state"),
            "PYTHONPATH": f"{self._folder / 'site'}:{ROOT}:{ROOT / 'plugins'}",
        }
        command = [sys.executable, "-c", PROGRAM, *map(str, words)]
        done = subprocess.run(command, env=environ, cwd=self._folder, capture_output=True, timeout=120)
        assert done.returncode in (0, 3), done.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(tmp_path_factory.mktemp("ran"))


def taken(members: Members) -> Lines:
    return [json.loads(line) for line in dict(members)[layout.DISCLOSED].splitlines()]


def with_lines(members: Members, lines: Lines) -> Members:
    data = b"".join(dumps(line) + b"\n" for line in lines)
    return [(name, data if name == layout.DISCLOSED else old) for name, old in members]


def refusal(path: Path, trust: Trust) -> str:
    with pytest.raises(VerifyError) as caught:
        verify_part(path, trust)
    line = str(caught.value)
    assert line
    assert line.isprintable()
    assert len(line) < 500
    return line


def all_lines(bundle: Path) -> dict[str, list[bytes]]:
    with Archive(bundle) as archive:
        names = [each.name for each in archive.members if layout.holds_lines(each.name)]
        return {
            name: [line for batch in line_batches(archive.window(name), name) for line in batch]
            for name in names
        }


def test_a_control_brings_its_line_its_findings_its_records_and_their_calls(ran: Ran) -> None:
    found = verify_part(ran.part, ran.trust)
    assert found.controls == (CONTROL,)
    assert found.lines[layout.CONTROLS] == 1
    assert found.lines[layout.FINDINGS] > 0
    assert found.lines[layout.LEDGER] > 0
    assert all(shown == stated for shown, stated in found.records.values())
    assert {"plan.json", layout.LEDGER, layout.FINDINGS, "exceptions.json"} <= set(found.absent)
    assert is_partial(ran.part)
    assert not is_partial(ran.bundle)
    assert dict(found.lines) == dict(ran.disclosed.lines)


def test_it_bears_the_statement_and_its_signature_unchanged(ran: Ran) -> None:
    whole = verify(ran.bundle, ran.trust)
    assert verify_part(ran.part, ran.trust).digest == whole.digest
    with Archive(ran.bundle) as archive, Archive(ran.part) as part:
        for name in (layout.STATEMENT, layout.KINDS):
            assert archive.read(name) == part.read(name)


def test_each_line_that_is_shown_is_one_of_the_bundle_and_no_other_is_in_it(ran: Ran, forger: Forger) -> None:
    lines = all_lines(ran.bundle)
    shown = taken(forger.members(ran.part))
    for each in shown:
        assert lines[each["member"]][each["index"]] == each["line"].encode()
    told = {(each["member"], each["index"]) for each in shown}
    raw = b"".join(data for name, data in forger.members(ran.part) if name != layout.STATEMENT)
    hidden = [
        line for name, found in lines.items() for index, line in enumerate(found) if (name, index) not in told
    ]
    assert hidden
    for line in hidden:
        salt = json.loads(line)["salt"].encode()
        assert all(salt not in held for held in (raw,))


def test_each_line_and_each_document_has_a_salt_of_the_secret_key(ran: Ran) -> None:
    key = load_secret(ran.secret).salt
    for lines in all_lines(ran.bundle).values():
        for line in lines:
            value = json.loads(line)
            salt = value.pop("salt")
            assert salt == hmac.digest(key, dumps(value), "sha256").hex()[:32]
    with Archive(ran.bundle) as archive:
        salts = [json.loads(archive.read(name))["salt"] for name in (layout.PLAN, layout.EXCEPTIONS)]
    assert len({*salts}) == 2
    assert all(re.fullmatch("[0-9a-f]{32,}", salt) for salt in salts)


def test_what_stays_behind_cannot_be_guessed_without_its_salt(ran: Ran, forger: Forger) -> None:
    shown = taken(forger.members(ran.part))
    hashes = {bytes.fromhex(each) for line in shown for each in line["path"]}
    texts = "".join(line["line"] for line in shown)
    seen = {line["line"].encode() for line in shown}
    hidden = [line for lines in all_lines(ran.bundle).values() for line in lines if line not in seen]
    beside = [line for line in hidden if merkle.leaf_hash(line) in hashes]
    assert beside, "who knows a line whole finds its hash, so that what follows says something"
    for line in hidden:
        value = json.loads(line)
        salt = value.pop("salt")
        assert merkle.leaf_hash(dumps(value)) not in hashes
        assert salt not in texts


def test_a_bundle_without_salts_is_not_disclosed_from(ran: Ran, forger: Forger, tmp_path: Path) -> None:
    def unsalted(statement: Line) -> None:
        statement["predicate"]["secret_key_id"] = None

    bundle = forger.signed(forger.members(ran.bundle), unsalted)
    with pytest.raises(ConfigError, match="made without a secret key"):
        disclose(bundle, Asked(controls=(CONTROL,)), tmp_path / "part.zip")
    assert not (tmp_path / "part.zip").exists()


def test_the_same_disclosure_gives_the_same_bytes(ran: Ran, tmp_path: Path) -> None:
    disclose(ran.bundle, Asked(controls=(CONTROL,)), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == ran.part.read_bytes()


def test_any_unzip_and_sha256_can_follow_one_proof(ran: Ran) -> None:
    import base64
    import hashlib

    with zipfile.ZipFile(ran.part) as archive:
        line = in_full([json.loads(each) for each in archive.read(layout.DISCLOSED).splitlines()])[-1]
        payload = json.loads(archive.read(layout.STATEMENT))["payload"]
    (tree,) = (
        each
        for each in json.loads(base64.b64decode(payload))["predicate"]["tree"]["members"]
        if each["name"] == line["member"]
    )
    top = hashlib.sha256(b"\x00" + line["line"].encode()).digest()
    index, last = line["index"], line["size"] - 1
    for step in map(bytes.fromhex, line["path"]):
        while index ^ 1 > last:
            index, last = index // 2, last // 2
        top = hashlib.sha256(b"\x01" + (step + top if index % 2 else top + step)).digest()
        index, last = index // 2, last // 2
    assert top.hex() == tree["root"]


@pytest.mark.parametrize(
    ("asked", "members"),
    [
        (Asked(kinds=("program_person",)), {"segments", "ledger.jsonl.gz"}),
        (Asked(kinds=("program_login",)), {"derived", "ledger.jsonl.gz"}),
        (Asked(controls=(CONTROL, "soc2-2017:CC1.1")), {"controls.jsonl.gz"}),
    ],
)
def test_kinds_and_several_controls_can_be_asked_for(
    ran: Ran, tmp_path: Path, asked: Asked, members: set[str]
) -> None:
    disclose(ran.bundle, asked, tmp_path / "part.zip")
    found = verify_part(tmp_path / "part.zip", ran.trust)
    assert members <= {name.split("/")[0] for name in found.lines}
    assert set(asked.kinds) <= set(found.kinds)


def test_a_check_brings_what_it_reads_and_says_that_nobody_counts_its_findings(
    ran: Ran, tmp_path: Path
) -> None:
    check = verify_part(ran.part, ran.trust).checks[0]
    disclose(ran.bundle, Asked(checks=(check,)), tmp_path / "part.zip")
    found = verify_part(tmp_path / "part.zip", ran.trust)
    assert found.lines[layout.FINDINGS] > 0
    assert any(check in warning and "word" in warning for warning in found.warnings)


def test_a_record_brings_itself_its_findings_and_its_calls_alone(ran: Ran, tmp_path: Path) -> None:
    record = next(
        json.loads(line)["record"]
        for name, lines in all_lines(ran.bundle).items()
        if name.startswith("segments/")
        for line in lines
        if b'"kind":"program_policy"' in line
    )
    disclose(ran.bundle, Asked(records=(record["id"],)), tmp_path / "part.zip")
    found = verify_part(tmp_path / "part.zip", ran.trust)
    shown, stated = found.records["program_policy"]
    assert shown == 1 < stated
    assert 0 < found.lines[layout.LEDGER] <= len(set(record["calls"]))
    assert found.lines[layout.FINDINGS] > 0


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (Asked(), "nothing to disclose"),
        (Asked(controls=("iso27001-2022:A.5.l",)), "no control 'iso27001-2022:A.5.l' in this bundle"),
        (Asked(checks=("none",)), "no check 'none'"),
        (Asked(kinds=("program_persn",)), "did you mean program_person"),
        (Asked(records=("nobody",)), "no record 'nobody'"),
    ],
)
def test_what_is_not_there_is_said_and_nothing_is_written(
    ran: Ran, tmp_path: Path, asked: Asked, text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        disclose(ran.bundle, asked, tmp_path / "part.zip")
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_overwritten(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "part.zip").write_text("kept")
    with pytest.raises(ConfigError, match="exists"):
        disclose(ran.bundle, Asked(controls=(CONTROL,)), tmp_path / "part.zip")
    assert (tmp_path / "part.zip").read_text() == "kept"


def test_a_bundle_whose_lines_are_not_the_signed_ones_is_not_disclosed_from(
    ran: Ran, tmp_path: Path, forger: Forger
) -> None:
    members = forger.members(ran.bundle)
    swapped = dict(members)
    swapped[layout.CONTROLS], swapped[layout.FINDINGS] = swapped[layout.FINDINGS], swapped[layout.CONTROLS]
    with pytest.raises((VerifyError, ConfigError)):
        disclose(forger.archive(list(swapped.items())), Asked(controls=(CONTROL,)), tmp_path / "part.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["forged.zip"]


def test_a_partial_bundle_is_neither_whole_nor_judged(ran: Ran, tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="missing"):
        verify(ran.part, ran.trust)
    with pytest.raises(VerifyError, match="can be verified, not judged"):
        open_bundle(ran.part, tmp_path / "opened")
    with pytest.raises(VerifyError):
        disclose(ran.part, Asked(controls=(CONTROL,)), tmp_path / "part.zip")


def test_many_call_ids_take_eight_bytes_each_and_none_is_lost() -> None:
    ids = CallIds()
    for number in range(300_000):
        ids.add([f"{number:08x}/{number:016x}"])
    assert all(f"{number:08x}/{number:016x}" in ids for number in range(0, 300_000, 997))
    assert not any(f"{number:08x}/{number + 1:016x}" in ids for number in range(0, 300_000, 997))


# Ways to alter a disclosure -----------------------------------------------------------------------------


def steps(index: int, size: int, levels: int) -> int:
    """How many hashes the path of a line has below a level: a last node without partner moves up as it is."""
    return sum((index >> level ^ 1) <= (size - 1) >> level for level in range(levels) if (size - 1) >> level)


def in_full(lines: Lines) -> Lines:
    """With each path as RFC 6962 has it: what was cut off is the end of the path before."""
    full: Lines = []
    for line in lines:
        missing = steps(line["index"], line["size"], 64) - len(line["path"])
        path = [*line["path"], *full[-1]["path"][-missing:]] if missing else line["path"]
        full.append({**line, "path": path})
    return full


def cut(lines: Lines) -> Lines:
    """Full paths as a partial bundle has them, written down a second time."""
    made: Lines = []
    for before, line in zip([None, *lines], lines, strict=False):
        if before is not None and before["member"] == line["member"]:
            levels = (before["index"] ^ line["index"]).bit_length()
            line = {**line, "path": line["path"][: steps(line["index"], line["size"], levels)]}
        made.append(line)
    return made


def drop(test: Callable[[Line], bool]) -> Callable[[Lines], Lines]:
    """Without the first line that fits."""

    def change(lines: Lines) -> Lines:
        lines = in_full(lines)
        at = next(at for at, line in enumerate(lines) if test(line))
        return cut(lines[:at] + lines[at + 1 :])

    return change


def edit(key: str, new: Callable[[Any], Any]) -> Callable[[Lines], Lines]:
    """With one key of the last line that has a path changed."""

    def change(lines: Lines) -> Lines:
        at = max(at for at, line in enumerate(lines) if len(line["path"]) > 2)
        return [*lines[:at], {**lines[at], key: new(lines[at][key])}, *lines[at + 1 :]]

    return change


def in_member(name: str) -> Callable[[Line], bool]:
    return lambda line: line["member"].startswith(name)


def other_member(lines: Lines) -> Lines:
    at = next(at for at, line in enumerate(lines) if in_member("findings")(line))
    there = {**lines[at], "member": "controls.jsonl.gz"}
    return [*lines[:at], there, *lines[at + 1 :]]


def paths_exchanged(lines: Lines) -> Lines:
    one, two = (
        (at for at, line in enumerate(lines) if in_member("findings")(line) and at % 2)
        if 0
        else ([at for at, line in enumerate(lines) if in_member("findings")(line)][:2])
    )
    changed = list(lines)
    changed[one] = {**lines[one], "path": lines[two]["path"]}
    changed[two] = {**lines[two], "path": lines[one]["path"]}
    return changed


def node_as_leaf(lines: Lines) -> Lines:
    """An inner node passed off as a line: what the prefixes of RFC 6962 are there for."""
    at = max(at for at, line in enumerate(lines) if len(line["path"]) > 2)
    return [*lines[:at], {**lines[at], "path": lines[at]["path"][1:], "index": lines[at]["index"] // 2}]


def moved(order: Callable[[Lines], Lines]) -> Callable[[Lines], Lines]:
    """Lines in another order, with paths that are cut for it."""
    return lambda lines: cut(order(in_full(lines)))


def cut_too_late(lines: Lines) -> Lines:
    """One path in full, where the one before says the rest."""
    full = in_full(lines)
    at = next(at for at, line in enumerate(lines) if line != full[at])
    return [*lines[:at], full[at], *lines[at + 1 :]]


ALTERED: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "a finding is left out": (drop(in_member("findings")), "findings"),
    "a record is left out": (drop(lambda line: line["line"].startswith('{"record"')), "are disclosed"),
    "a call behind a record is left out": (drop(in_member("ledger")), "which is not disclosed"),
    "all calls are left out": (
        moved(lambda lines: [each for each in lines if not in_member("ledger")(each)]),
        "which is not disclosed",
    ),
    "the control is left out": (drop(in_member("controls")), "whose line is not disclosed"),
    "a finding is turned": (
        lambda lines: [
            {**line, "line": line["line"].replace('"result":"fail"', '"result":"pass"')} for line in lines
        ],
        "does not lead to the root",
    ),
    "a line has one letter more": (edit("line", lambda old: old + " "), "does not lead to the root"),
    "a line has other bytes of the same meaning": (
        edit("line", lambda old: old.replace(":", ": ", 1)),
        "does not lead to the root",
    ),
    "an index one higher": (edit("index", lambda old: old + 1), "does not lead to the root"),
    "an index below zero": (edit("index", lambda old: -1), "out of order|does not lead"),
    "an index past the end": (edit("index", lambda old: 10**9), "does not lead to the root"),
    "an index that is no number": (edit("index", lambda old: True), "not in canonical form"),
    "a size one higher": (edit("size", lambda old: old + 1), "not what it says"),
    "a size that is a text": (edit("size", str), "not what it says"),
    "a path without its first hash": (edit("path", lambda old: old[1:]), "does not lead to the root"),
    "a path without its last hash": (edit("path", lambda old: old[:-1]), "does not lead to the root"),
    "a path with one hash more": (edit("path", lambda old: [*old, old[0]]), "does not lead to the root"),
    "a path in full where it is cut": (cut_too_late, "does not lead to the root"),
    "a path turned round": (edit("path", lambda old: old[::-1]), "does not lead to the root"),
    "an empty path": (edit("path", lambda old: []), "does not lead to the root"),
    "a path of short hashes": (edit("path", lambda old: [each[:32] for each in old]), "canonical"),
    "a path in capitals": (edit("path", lambda old: [each.upper() for each in old]), "canonical"),
    "a path of no hexadecimals": (edit("path", lambda old: ["x" * 64 for _ in old]), "not of this format"),
    "a path that is a text": (edit("path", lambda old: "".join(old)), "not of this format"),
    "another member": (other_member, "of a file|lines, not what it says|does not lead|out of order"),
    "a member that is not signed": (edit("member", lambda old: "plan.json"), "of a file that the statement"),
    "two paths exchanged": (paths_exchanged, "does not lead to the root"),
    "an inner node as a line": (node_as_leaf, "does not lead|out of order"),
    "a line twice": (lambda lines: [lines[0], *lines], "there twice"),
    "two lines exchanged": (moved(lambda lines: [lines[1], lines[0], *lines[2:]]), "out of order"),
    "members exchanged": (moved(lambda lines: [*lines[-1:], *lines[:-1]]), "out of order"),
    "a key more": (lambda lines: [*lines[:-1], {**lines[-1], "note": "x"}], "canonical"),
    "a key less": (
        lambda lines: [{key: lines[0][key] for key in ("index", "line", "member", "path")}, *lines[1:]],
        "canonical|format",
    ),
    "no line at all": (lambda lines: [], "whose line is not disclosed"),
}


def test_paths_are_those_of_the_rfc_cut_where_they_meet_the_one_before(ran: Ran) -> None:
    with zipfile.ZipFile(ran.part) as archive:
        lines = [json.loads(each) for each in archive.read(layout.DISCLOSED).splitlines()]
    full = in_full(lines)
    assert cut(full) == lines
    assert sum(len(each["path"]) for each in lines) < sum(len(each["path"]) for each in full)
    trees = {each["name"]: each for each in verify(ran.bundle, ran.trust).predicate["tree"]["members"]}
    for line in full:
        tree, path = trees[line["member"]], [bytes.fromhex(each) for each in line["path"]]
        found = line["line"].encode(), line["index"], line["size"], path, bytes.fromhex(tree["root"])
        assert merkle.verify_inclusion(*found)


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_disclosure_is_refused(ran: Ran, forger: Forger, name: str) -> None:
    members = forger.members(ran.part)
    verify_part(forger.archive(members), ran.trust)  # the clean baseline
    change, text = ALTERED[name]
    line = refusal(forger.archive(with_lines(members, change(taken(members)))), ran.trust)
    assert any(each in line for each in text.split("|")), line


def document(**changes: Any) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        value = {**json.loads(dict(members)[layout.DISCLOSURE]), **changes}
        return [(name, dumps(value) if name == layout.DISCLOSURE else old) for name, old in members]

    return change


def without(start: str) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        gone = next(name for name, _ in members if name.startswith(start))
        return [each for each in members if each[0] != gone]

    return change


def grown(start: str, more: bytes = b" ") -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        at = next(at for at, (name, _) in enumerate(members) if name.startswith(start))
        return [*members[:at], (members[at][0], members[at][1] + more), *members[at + 1 :]]

    return change


def added(name: str) -> Callable[[Members], Members]:
    return lambda members: sorted([*members, (name, b"x")], key=lambda each: layout.place(each[0]))


FORGED: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a mapping is left out": (without("mappings/"), "was removed"),
    "the kinds are left out": (without("kinds.json"), "was removed"),
    "the statement is left out": (without("statement.dsse"), "is missing"),
    "what was asked is left out": (without("disclosure.json"), "is missing"),
    "the lines are left out": (without("disclosed.jsonl"), "is missing"),
    "a mapping is changed": (grown("mappings/"), "was changed"),
    "the kinds are changed": (grown("kinds.json"), "was changed"),
    "the statement is changed": (grown("statement.dsse"), "not in canonical form"),
    "a mapping is added": (added("mappings/evil/checks/x.toml"), "was added"),
    "a plan is added": (added("plan.json"), "belongs in no partial bundle"),
    "a control is named that is not there": (
        document(controls=["soc2-2017:CC1.1"]),
        "whose line is not disclosed",
    ),
    "a kind is named that was never asked for": (document(kinds=["aws_iam_user"]), "no such kind"),
    "a check is named that is none": (document(checks=["aws-iam-none"]), "no such check"),
    "a record is named that is not there": (document(records=["logs"]), "whose record is not disclosed"),
    "a kind is named that is not there": (document(kinds=["program_login"]), "are disclosed"),
    "what was asked has a key more": (document(note="x"), "canonical"),
    "what was asked is of another format": (document(format=2), "canonical"),
    "what was asked is not sorted": (document(records=["b", "a"]), "sorted"),
    "what was asked is not JSON": (grown("disclosure.json", b"}"), "disclosure.json"),
    "the last line does not end": (grown("disclosed.jsonl", b"x"), "does not end"),
    "an empty line": (grown("disclosed.jsonl", b"\n"), "not of this format"),
    "a line that is no JSON": (grown("disclosed.jsonl", b"{\n"), "not of this format"),
    "a line that is a number": (grown("disclosed.jsonl", b"7\n"), "not of this format"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_partial_bundle_is_refused(ran: Ran, forger: Forger, name: str) -> None:
    members = forger.members(ran.part)
    change, text = FORGED[name]
    line = refusal(forger.archive(change(members)), ran.trust)
    assert any(each in line for each in text.split("|")), line


def test_the_signature_of_a_stranger_is_said(ran: Ran, tmp_path: Path) -> None:
    generate_key(tmp_path / "other.pem")
    line = refusal(ran.part, trust_of_key(tmp_path / "other.pub.pem"))
    assert line.startswith("signature valid, signer unknown: SHA256:")


def test_the_lines_of_one_bundle_prove_nothing_under_the_statement_of_another(
    ran: Ran, tmp_path: Path, forger: Forger
) -> None:
    (tmp_path / "machine").mkdir()
    other = Ran(tmp_path / "machine")
    theirs = dict(forger.members(other.part))
    swapped = [
        (name, theirs[layout.DISCLOSED] if name == layout.DISCLOSED else data)
        for name, data in forger.members(ran.part)
    ]
    refusal(forger.archive(swapped), ran.trust)


@SHARED
@given(st.data())
def test_a_flipped_bit_anywhere_in_it_is_refused(ran: Ran, forger: Forger, data: st.DataObject) -> None:
    good = bytearray(ran.part.read_bytes())
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    good[bit // 8] ^= 1 << bit % 8
    refusal(forger.file(bytes(good)), ran.trust)


@SHARED
@given(st.data())
def test_a_changed_byte_of_a_line_index_path_or_size_is_refused_with_good_checksums(
    ran: Ran, forger: Forger, data: st.DataObject
) -> None:
    members = forger.members(ran.part)
    lines = dict(members)[layout.DISCLOSED]
    at = data.draw(st.integers(0, len(lines) - 1))
    changed = lines[:at] + bytes([lines[at] ^ data.draw(st.integers(1, 255))]) + lines[at + 1 :]
    forged = [(name, changed if name == layout.DISCLOSED else old) for name, old in members]
    refusal(forger.archive(forged), ran.trust)
