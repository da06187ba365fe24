"""Rotation and revocation by the real command line: what was signed before and after, as verify judges it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from collector.bundle.identity import PublicKey
from collector.bundle.keypair import new_private_key
from collector.bundle.trust import load_trust, trust_entry

_SMALL = '[[source]]\nuse = "program"\nfolder = "program"\n'


@pytest.fixture
def small(machine: Any) -> Any:
    """A machine with keys, that audits a programme of one file."""
    (machine.work / "program").mkdir()
    (machine.work / "program/policy.md").write_text("# Nothing\n")
    (machine.work / "collector.toml").write_text(_SMALL + '[sign]\nuse = "file"\n')
    assert machine("init", "--quiet").returncode == 0
    return machine


def config(machine: Any) -> Path:
    return Path(machine.home / "config")


def asked(machine: Any, *arguments: Any, code: int = 0, **environ: str) -> Any:
    done = machine(*arguments, "--output", "json", **environ)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def bundles(machine: Any) -> list[Path]:
    return sorted((machine.home / "state/evidence").rglob("*.zip"))


def run(machine: Any) -> Path:
    before = set(bundles(machine))
    done = machine("run", "--quiet")
    assert done.returncode in (0, 3), done.stderr
    (made,) = set(bundles(machine)) - before
    return made


def verified(machine: Any, *paths: Path) -> list[bool]:
    done = machine("verify", *paths, "--output", "json")
    return [each["verified"] for each in json.loads(done.stdout)["bundles"]]


def test_list_shows_the_key_that_init_made_as_the_one_that_signs(small: Any) -> None:
    value = asked(small, "keys", "list")
    (key,) = value["keys"]
    assert (key["signs"], key["state"], key["purpose"]) == (True, "counts", "bundle")
    assert value["trusted"] is True
    assert key["fingerprint"] in small("keys", "list").stdout


def test_list_says_that_the_key_which_signs_is_not_trusted(small: Any, tmp_path: Path) -> None:
    _, other = new_private_key(ecdsa=True)
    (tmp_path / "t.toml").write_text(trust_entry(other.pem, "other"))
    value = asked(small, "keys", "list", "--trust", tmp_path / "t.toml")
    assert value["trusted"] is False
    text = small("keys", "list", "--trust", tmp_path / "t.toml").stdout
    (tmp_path / "t.toml").write_text(text[text.index("# SHA256:") :])  # as it tells to
    assert asked(small, "keys", "list", "--trust", tmp_path / "t.toml")["trusted"] is True
    (config(small) / "key.pem").chmod(0o644)
    assert "must be 0600" in asked(small, "keys", "list")["problem"]


def test_bundles_of_before_and_after_a_rotation_verify(small: Any) -> None:
    before = run(small)
    old_key = (config(small) / "key.pem").read_bytes()
    made = asked(small, "keys", "rotate", "--overlap", "0s")
    time.sleep(1.1)  # the old key's time ends with the second
    after = run(small)
    assert verified(small, before, after) == [True, True]
    listed = {each["fingerprint"]: each for each in asked(small, "keys", "list")["keys"]}
    assert listed[made["new"]]["signs"]
    assert not listed[made["old"]]["signs"]
    assert listed[made["old"]]["state"] == "ended"
    kept = Path(made["kept"])
    assert kept.read_bytes() == old_key
    assert (
        stat.S_IMODE(kept.stat().st_mode) == stat.S_IMODE((config(small) / "key.pem").stat().st_mode) == 0o600
    )
    assert (config(small) / "key.pub.pem").read_text() in (config(small) / "trust.toml").read_text()
    assert not list(config(small).glob("*.next*")) + list(config(small).glob("*.rotation"))
    # What the old key signs from now on does not count.
    (config(small) / "key.pem").write_bytes(old_key)
    assert verified(small, run(small)) == [False]


def test_an_encrypted_key_is_rotated_into_one_under_the_same_passphrase(small: Any) -> None:
    path = config(small) / "key.pem"
    sealed = path.with_name("sealed.pem")
    words = ["openssl", "pkcs8", "-topk8", "-in", path, "-passout", "pass:horse", "-out", sealed]
    subprocess.run(words, check=True, capture_output=True)
    sealed.chmod(0o600)
    sealed.replace(path)
    sign = f'[sign]\nuse = "file"\nkey = "{path}"\npassphrase = "${{PASS}}"\n'
    (small.work / "collector.toml").write_text(_SMALL + sign)
    made = asked(small, "keys", "rotate", PASS="horse")
    assert b"ENCRYPTED" in path.read_bytes()
    assert asked(small, "keys", "list", PASS="horse")["signing"] == made["new"]
    assert "does not open it" in asked(small, "keys", "list", PASS="cow")["problem"]


def test_what_a_revoked_key_signed_unstamped_does_not_count(small: Any) -> None:
    bundle = run(small)
    fingerprint = asked(small, "keys", "list")["signing"]
    value = asked(small, "keys", "revoke", fingerprint, "--reason", 'host "sold"', "--at", "2026-11-01")
    assert value["signs"] is True
    assert verified(small, bundle) == [False]
    said = " ".join(small("verify", bundle).stdout.split())
    assert 'revoked since 2026-11-01 00:00 UTC: host "sold"' in said
    again = small("keys", "revoke", fingerprint.removeprefix("SHA256:"), "--reason", "again")
    assert again.returncode == 2
    assert "revoked already" in again.stderr
    asked(small, "keys", "rotate")
    assert verified(small, run(small)) == [True]


def test_mistakes_are_one_line_and_change_nothing(small: Any) -> None:
    trust = config(small) / "trust.toml"
    before = {path.name: path.read_bytes() for path in config(small).iterdir()}
    fingerprint = asked(small, "keys", "list")["signing"]
    for words, said in (
        (["revoke", "SHA256:none", "--reason", "x"], "has no such key; it has SHA256:"),
        (["revoke", fingerprint, "--reason", " "], "reason: must be one line"),
        (["revoke", fingerprint, "--reason", "a\nb"], "reason: must be one line"),
        (["revoke", fingerprint, "--reason", "x", "--at", "soon"], "is no time"),
        (["rotate", "--overlap", "soon"], "is no duration"),
        (["rotate", "--trust", "none.toml"], "cannot be read"),
    ):
        done = small("keys", *words)
        assert done.returncode == 2
        assert said in done.stderr
    assert {path.name: path.read_bytes() for path in config(small).iterdir()} == before
    trust.write_text('[[key]]\nname = "a"\nfile = "key.pub.pem"\n')
    done = small("keys", "rotate")
    assert (done.returncode, "trust.toml:3: file: key.pub.pem becomes another key" in done.stderr) == (
        2,
        True,
    )


# Python that ends itself by SIGKILL at the n-th step that another would see: a rename or a removal.
_CUT = """
import os, pathlib, signal, sys
steps = int(os.environ["CUT"])
def cut(function):
    def wrapped(*args, **kwargs):
        global steps
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        steps -= 1
        return function(*args, **kwargs)
    return wrapped
pathlib.Path.replace = cut(pathlib.Path.replace)
pathlib.Path.unlink = cut(pathlib.Path.unlink)
pathlib.Path.chmod = cut(pathlib.Path.chmod)
from collector.cli import main
main()
"""


def signing(machine: Any) -> str:
    """The fingerprint of what key.pem holds."""
    words = ["openssl", "pkey", "-in", config(machine) / "key.pem", "-pubout"]
    return PublicKey.from_pem(
        subprocess.run(words, check=True, capture_output=True, text=True).stdout
    ).fingerprint


def test_a_rotation_cut_off_anywhere_leaves_keys_that_verify_and_is_finished_by_the_next(small: Any) -> None:
    """After each cut: what signs now is trusted; the next call leaves nothing over."""
    cuts = 30
    for steps in range(cuts):
        command = small.command("keys", "rotate", "--overlap", "0s")
        command[2] = _CUT
        cut = subprocess.run(
            command, cwd=small.work, env=small.environ | {"CUT": str(steps)}, capture_output=True, text=True
        )
        trusted = load_trust(config(small) / "trust.toml")
        now = trusted.find(signing(small))
        assert now is not None
        assert (now.valid_until, now.revoked) == (None, None)
        if cut.returncode == 0:
            break
        assert cut.returncode == -signal.SIGKILL, cut.stderr
        made = asked(small, "keys", "rotate", "--overlap", "0s")
        left = [path.name for path in config(small).iterdir()]
        assert not [name for name in left if ".next" in name or ".rotation" in name]
        keys = load_trust(config(small) / "trust.toml").keys
        open_ended = [each.key.fingerprint for each in keys if each.valid_until is None]
        assert open_ended == [made["new"]] == [signing(small)]
    assert 8 <= steps < cuts - 1  # each step was cut once, and then there was none left
    kept = [path for path in config(small).glob("key.2*.pem") if ".pub" not in path.name]
    assert len(kept) == len(load_trust(config(small) / "trust.toml").keys) - 1  # no private key was lost


def test_rotation_waits_for_no_run(small: Any) -> None:
    import fcntl

    lock_file = small.home / "state/locks/default.lock"
    lock_file.parent.mkdir(parents=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = small("keys", "rotate")
    assert (done.returncode, "holds the lock" in done.stderr) == (75, True)


def test_two_commands_do_not_change_the_trust_file_at_once(small: Any) -> None:
    import fcntl

    fingerprint = asked(small, "keys", "list")["signing"]
    descriptor = os.open(config(small), os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        done = small("keys", "revoke", fingerprint, "--reason", "x")
    finally:
        os.close(descriptor)
    assert (done.returncode, "another command is changing the keys" in done.stderr) == (75, True)


def test_a_witness_stays_a_witness(small: Any) -> None:
    trust = config(small) / "trust.toml"
    trust.write_text(trust.read_text().replace('"bundle"', '"witness"'))
    made = asked(small, "keys", "rotate")
    found = load_trust(trust).find(made["new"])
    assert found is not None
    assert found.purpose == "witness"


def test_keys_that_are_in_the_way_are_not_replaced(small: Any) -> None:
    staged = config(small) / "key.next.pem"
    staged.write_text("mine")
    done = small("keys", "rotate")
    assert (done.returncode, "is in the way of the new key" in done.stderr) == (2, True)
    assert staged.read_text() == "mine"
    staged.unlink()
    (config(small) / "key.pem.rotation").write_text("no note")
    (config(small) / "key.pem.rotation").chmod(0o600)
    done = small("keys", "rotate")
    assert (done.returncode, "not the note of a rotation" in done.stderr) == (2, True)


def test_a_rotation_begun_for_a_key_that_was_replaced_since_stops(small: Any) -> None:
    command = small.command("keys", "rotate")
    command[2] = _CUT
    cut = subprocess.run(command, cwd=small.work, env=small.environ | {"CUT": "2"}, capture_output=True)
    assert cut.returncode == -signal.SIGKILL
    pem, _ = new_private_key(ecdsa=False)
    (config(small) / "key.pem").write_bytes(pem)
    done = small("keys", "rotate")
    assert (done.returncode, "is not the key whose rotation was begun" in done.stderr) == (2, True)
    assert (config(small) / "key.pem").read_bytes() == pem


def test_a_trust_file_behind_a_link_is_changed_where_it_lies(small: Any, tmp_path: Path) -> None:
    trust, place = config(small) / "trust.toml", tmp_path / "real.toml"
    trust.rename(place)
    place.chmod(0o644)
    trust.symlink_to(place)
    asked(small, "keys", "rotate")
    assert trust.is_symlink()
    assert len(load_trust(place).keys) == 2
    assert stat.S_IMODE(place.stat().st_mode) == 0o644


def test_the_trusted_root_for_cosign_holds_the_authorities_of_the_trust_file(
    small: Any, stamper: Any, tmp_path: Path
) -> None:
    done = small("keys", "trusted-root")
    assert done.returncode == 2
    assert "no [[authority]]" in done.stderr
    shutil.copyfile(config(small) / "trust.toml", tmp_path / "trust.toml")
    with (tmp_path / "trust.toml").open("a") as file:
        file.write(f'\n[[authority]]\nname = "tsa"\nfile = "{stamper().folder / "root.pem"}"\n')
    done = small("keys", "trusted-root", "--trust", tmp_path / "trust.toml")
    (entry,) = json.loads(done.stdout)["timestampAuthorities"]
    assert entry["subject"]["commonName"] == "tsa"
    assert asked(small, "keys", "trusted-root", "--trust", tmp_path / "trust.toml") == json.loads(done.stdout)
