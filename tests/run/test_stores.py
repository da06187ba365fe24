"""`collector verify FOLDER` on the store of real runs: what is found, in text, as JSON, and by exit code."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Twin = Callable[[str], Any]
pytestmark = pytest.mark.xdist_group("nights")  # three runs are enough


def store(machine: Any) -> Path:
    folder: Path = machine.home / "state" / "evidence"
    return folder


def bundles(machine: Any) -> list[Path]:
    return sorted(store(machine).rglob("*.zip"))


def verified(machine: Any, *stores: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON and text, which must agree."""
    asked = stores or (store(machine),)
    text = machine("verify", *asked)
    done = machine("verify", *asked, "--output", "json")
    assert text.returncode == done.returncode, text.stderr + done.stderr
    value: dict[str, Any] = json.loads(done.stdout)["store"]
    assert value["verified"] == (done.returncode == 0)
    words = " ".join(text.stdout.split())
    assert ("DOES NOT VERIFY" in words) == (done.returncode == 1)
    for remark in value["remarks"]:
        assert remark["what"] in words
    return done.returncode, value, words


def remarks(value: dict[str, Any]) -> list[str]:
    return [each["what"] for each in value["remarks"]]


def test_three_nights_hold_and_the_reason_of_their_epoch_is_shown(nights: Any) -> None:
    code, value, text = verified(nights)
    assert (code, value["seen"], value["remarks"]) == (0, 3, [])
    assert [each["sequence"] for each in value["bundles"]] == [1, 2, 3]
    reasons = [each["reason"] for each in value["bundles"]]
    assert reasons == ["no bundle of this series is known here or in a store", None, None]
    assert "numbers 1 to 3" in text
    assert f"it began since {reasons[0]}" in text
    assert "not shown: that the newest bundles are not being held back" in text


def test_a_bundle_removed_from_the_middle_is_missing(twin: Twin) -> None:
    machine = twin("a")
    bundles(machine)[1].unlink()
    code, value, text = verified(machine)
    assert (code, remarks(value)) == (1, ["missing"])
    assert "number 2 of" in text
    assert "missing" in text


def test_a_first_bundle_removed_is_missing_too(twin: Twin) -> None:
    machine = twin("a")
    bundles(machine)[0].unlink()
    code, value, _ = verified(machine)
    assert (code, remarks(value)) == (1, ["missing"])
    assert "starts at number 2, the 1 before it are not here" in value["remarks"][0]["text"]


def test_a_bundle_with_a_flipped_bit_is_broken_and_not_missing(twin: Twin) -> None:
    machine = twin("a")
    path = bundles(machine)[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))
    code, value, _ = verified(machine)
    assert (code, remarks(value)) == (1, ["broken"])
    assert len(value["bundles"]) == 2


def test_a_copy_under_another_name_is_misplaced_and_a_replay(twin: Twin) -> None:
    machine = twin("a")
    first, _, last = bundles(machine)
    shutil.copyfile(first, last.with_name(f"00000004-{first.name[9:]}"))
    code, value, _ = verified(machine)
    assert (code, sorted(remarks(value))) == (1, ["misplaced", "replay"])


def test_two_bundles_that_change_names_are_misplaced(twin: Twin) -> None:
    machine = twin("a")
    first, second, _ = bundles(machine)
    first.rename(aside := first.with_name("aside"))
    second.rename(first)
    aside.rename(second)
    code, value, _ = verified(machine)
    assert (code, remarks(value)) == (1, ["misplaced", "misplaced"])


def test_two_machines_that_go_on_from_one_state_are_a_fork(twin: Twin) -> None:
    one, other = twin("one"), twin("other")
    assert one.run()["sequence"] == 4
    time.sleep(1.1)  # so that the other's is as of another second
    assert other.run()["sequence"] == 4
    assert verified(one)[0] == verified(other)[0] == 0
    code, value, _ = verified(one, store(one), store(other))
    assert (code, remarks(value)) == (1, ["fork"])
    shutil.copyfile(bundles(other)[-1], bundles(one)[-1].with_name(bundles(other)[-1].name))
    code, value, _ = verified(one)
    assert code == 1
    assert "fork" in remarks(value)


def test_a_missing_night_is_found_by_the_cadence(twin: Twin) -> None:
    machine = twin("a")
    machine.configure('use = "program"\nfolder = "program"', more='cadence = "1s"')
    machine.run()
    time.sleep(2)
    machine.run()
    code, value, _ = verified(machine)
    assert (code, remarks(value)) == (1, ["late"])
    assert "where one is due every 1 s" in value["remarks"][0]["text"]


def test_a_new_epoch_is_a_note_with_its_reason(twin: Twin) -> None:
    machine = twin("a")
    (machine.home / "state" / "series").rename(machine.home / "series")
    store(machine).rename(machine.home / "before")
    time.sleep(1.1)
    result = machine.run()
    assert result["sequence"] == 1
    shutil.copytree(machine.home / "before", store(machine), dirs_exist_ok=True)
    code, value, text = verified(machine)
    assert (code, remarks(value)) == (0, ["epoch"])
    assert "since no bundle of this series is known here or in a store: nothing chains it" in text


def test_a_store_signed_by_a_stranger_does_not_verify(nights: Any, twin: Twin) -> None:
    stranger = twin("stranger")
    for each in (stranger.home / "config").iterdir():
        each.unlink()
    assert stranger("init", "--output", "json").returncode in (0, 2)
    code, value, text = verified(stranger, store(nights))
    assert (code, remarks(value)) == (1, ["broken"] * 3)
    assert "signature valid, signer unknown: SHA256:" in text
