"""`verify.sh` with the real OpenSSL and the shell that Debian calls sh."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import collector.bundle
from collector.bundle.archive import Archive
from collector.bundle.authority import TimeAuthority
from collector.bundle.seal import SealedBundle, script, seal
from collector.canonical import file_sha256

ROOT = Path(collector.bundle.__file__).parents[2]
SCRIPT = ROOT / "docs" / "verify.sh"

Seals = Callable[[str], SealedBundle]
Forger = Any  # tests/bundle/conftest.py
Finished = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL is not here")


def ran(*words: object, shell: str = "sh") -> Finished:
    return subprocess.run(
        [shell, SCRIPT, *map(str, words)], capture_output=True, text=True, errors="replace", timeout=60
    )


def refused(*words: object) -> str:
    done = ran(*words)
    assert done.returncode == 1
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("NOT VERIFIED: ")
    assert line.isprintable()
    return line


def test_the_script_in_the_documentation_is_the_one_in_bundles() -> None:
    assert SCRIPT.read_bytes() == script()


def test_the_format_page_states_the_scripts_digest() -> None:
    page = (ROOT / "docs" / "format.md").read_text()
    assert file_sha256(SCRIPT) in re.findall(r"[0-9a-f]{64}", page)


@pytest.mark.parametrize("shell", [each for each in ("dash", "bash") if shutil.which(each)])
@pytest.mark.parametrize("name", ["ed", "ec"])
def test_a_good_bundle_is_verified(sealed: Seals, keys: Path, name: str, shell: str) -> None:
    done = ran(keys / f"{name}.pub.pem", sealed(name).path, shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("verified: 14 files as signed by ")


def test_it_unpacks_what_it_verified(sealed: Seals, keys: Path, tmp_path: Path) -> None:
    assert ran(keys / "ed.pub.pem", sealed("ed").path, tmp_path / "out").returncode == 0
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    with Archive(sealed("ed").path) as archive:
        assert found == {
            member.name for member in archive.members if not member.name.startswith("statement.")
        }
        for name in found:
            assert (tmp_path / "out" / name).read_bytes() == archive.read(name)


def test_a_strangers_key_is_refused(sealed: Seals, keys: Path) -> None:
    for key, name in (("ed", "stranger"), ("ed", "ec"), ("ec", "ed")):
        assert "not signed by this key" in refused(keys / f"{key}.pub.pem", sealed(name).path)


def test_each_changed_file_is_named(sealed: Seals, keys: Path, forger: Forger, tmp_path: Path) -> None:
    members = forger.members(sealed("ed").path)
    for changed, content in (members[0], members[4], members[7]):
        bad = [(name, content + b" " if name == changed else data) for name, data in members]
        line = refused(keys / "ed.pub.pem", forger.archive(bad), tmp_path / "out")
        assert f"{changed} was changed" in line
        assert not (tmp_path / "out").exists()


def test_removed_added_doubled_and_swapped_files_are_refused(
    sealed: Seals, keys: Path, forger: Forger
) -> None:
    key, members = keys / "ed.pub.pem", forger.members(sealed("ed").path)
    assert "plan.json is signed but not in it" in refused(key, forger.archive(members[1:]))
    extra = ("mappings/z/checks/z.toml", b"x")
    assert f"{extra[0]} is in it but not signed" in refused(key, forger.archive([extra, *members]))
    assert "occurs twice" in refused(key, forger.archive([members[0], *members]))
    assert "order" in refused(key, forger.archive([members[1], members[0], *members[2:]]))
    assert "no signed statement" in refused(key, forger.archive(members[:-1]))
    assert "two statements" in refused(key, forger.archive([*members, members[-1]]))


def test_a_changed_statement_is_refused(sealed: Seals, keys: Path, forger: Forger) -> None:
    members = forger.members(sealed("ed").path)
    statement = members[-1][1]
    for at in (20, len(statement) // 2, len(statement) - 30):
        bad = bytearray(statement)
        bad[at] ^= 1
        line = refused(keys / "ed.pub.pem", forger.archive([*members[:-1], (members[-1][0], bytes(bad))]))
        assert "not signed by this key, or was changed" in line


def test_a_file_that_is_cut_off_or_no_bundle_is_refused(sealed: Seals, keys: Path, forger: Forger) -> None:
    good = sealed("ed").path.read_bytes()
    for bad in (b"", b"x", good[:10], good[:31], good[:3000], b"x" + good):
        refused(keys / "ed.pub.pem", forger.file(bad))


@pytest.mark.parametrize(
    "name",
    ["", "../out.txt", "/etc/x", "a/../../x", "x\n", "\n", "a b", "$(id)", "`id`", "-rf", "a\x00b", "*"],
)
def test_hostile_names_are_refused_and_nothing_is_written(
    sealed: Seals, keys: Path, forger: Forger, tmp_path: Path, name: str
) -> None:
    members = forger.members(sealed("ed").path)
    before = sorted(tmp_path.iterdir())
    bad = forger.archive([*members[:3], (name, b"x"), *members[3:]])
    assert "a name that no bundle has" in refused(keys / "ed.pub.pem", bad, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == sorted([*before, bad])


def test_a_folder_that_is_there_is_left_alone(sealed: Seals, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    assert ran(keys / "ed.pub.pem", sealed("ed").path, tmp_path).returncode == 2
    assert (tmp_path / "kept").read_text() == "kept"


def test_wrong_usage_is_said(keys: Path, sealed: Seals) -> None:
    for words in ((), (keys / "ed.pub.pem",), (keys / "none", sealed("ed").path)):
        done = ran(*words)
        assert done.returncode == 2
        assert "usage" in done.stderr
    assert "no Ed25519 or ECDSA" in refused(SCRIPT, sealed("ed").path)


def test_a_signature_made_with_openssl_itself_counts(sealed: Seals, keys: Path, tmp_path: Path) -> None:
    """The bytes that are signed are DSSE's, as a second implementation makes them."""
    import base64
    import json

    with Archive(sealed("ed").path) as archive:
        envelope = json.loads(archive.read("statement.dsse.json"))
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    sign = ["openssl", "pkeyutl", "-sign", "-inkey", keys / "ed.pem", "-rawin", "-in", tmp_path / "pae"]
    made = subprocess.run(sign, check=True, capture_output=True).stdout
    assert base64.b64encode(made).decode() == envelope["signatures"][0]["sig"]


@pytest.fixture
def stamped(
    run: tuple[Path, dict[str, Any]],
    signer: Callable[[str], Any],
    stamper: Callable[..., Any],
    tmp_path: Path,
) -> tuple[Path, Any]:
    """A bundle with a witness, stamped by an authority; and the authority."""
    tsa = stamper()
    run[1]["window"] = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"}
    asked = [TimeAuthority("tsa", tsa.url, tsa.certificates)]
    made = seal(*run, signer("ed"), tmp_path / "stamped.zip", witness=signer("ec"), authorities=asked)
    return made.path, tsa


@pytest.mark.parametrize("shell", [each for each in ("dash", "bash") if shutil.which(each)])
def test_a_stamp_and_a_witness_are_verified_where_asked_for(
    stamped: tuple[Path, Any], keys: Path, shell: str
) -> None:
    path, tsa = stamped
    options = ("-w", keys / "ec.pub.pem", "-t", tsa.folder / "root.pem")
    done = ran(*options, keys / "ed.pub.pem", path, shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    _, second, third = done.stdout.splitlines()
    assert second.startswith("signed by ")
    assert third.startswith("stamped: ")
    assert " GMT, by the authority in " in third
    assert ran(keys / "ed.pub.pem", path, shell=shell).returncode == 0


def test_a_foreign_a_missing_and_a_wrong_stamp_are_refused(
    stamped: tuple[Path, Any], sealed: Seals, keys: Path, stamper: Callable[..., Any], forger: Forger
) -> None:
    path, tsa = stamped
    key, root = keys / "ed.pub.pem", tsa.folder / "root.pem"
    assert "no stamp over this signature" in refused("-t", stamper("x").folder / "root.pem", key, path)
    assert "no stamp over this signature" in refused("-t", root, key, sealed("ed").path)
    stamp = TimeAuthority("tsa", tsa.url, tsa.certificates).stamp(b"something else")
    members = [
        (name, stamp if name == "stamps/tsa.tsr" else data)
        for name, data in forger.members(path)
        if name != "stamps/tsa.witness.tsr"
    ]
    assert "no stamp over this signature" in refused("-t", root, key, forger.archive(members))


def test_a_late_stamp_beside_the_bundle_is_found(
    stamped: tuple[Path, Any], keys: Path, forger: Forger
) -> None:
    path, tsa = stamped
    members = forger.members(path)
    bare = forger.archive([each for each in members if not each[0].startswith("stamps/")])
    key, root = keys / "ed.pub.pem", tsa.folder / "root.pem"
    refused("-t", root, key, bare)
    bare.with_name(f"{bare.stem}.tsa.tsr").write_bytes(dict(members)["stamps/tsa.tsr"])
    assert "stamped: " in ran("-t", root, key, bare).stdout


def test_a_witness_that_did_not_sign_is_refused(stamped: tuple[Path, Any], sealed: Seals, keys: Path) -> None:
    key = keys / "ed.pub.pem"
    assert "(WITNESS)" in refused("-w", keys / "stranger.pub.pem", key, stamped[0])
    assert "(WITNESS)" in refused("-w", keys / "ec.pub.pem", key, sealed("ed").path)
    assert "(WITNESS)" in refused("-w", key, key, stamped[0])
