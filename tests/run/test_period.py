"""`collector readiness --from --to` on the store of real runs over a programme that changes between them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONTROL = "soc2-2017:CC5.3"
PERIOD = ("--from", "2026-08-01", "--to")

pytestmark = pytest.mark.xdist_group("august")  # three runs are enough


@pytest.fixture(scope="module")
def august(tmp_path_factory: pytest.TempPathFactory, make_machine: Callable[[Path], Any]) -> Any:
    """Runs of the 1st, 2nd and 4th; from the 4th on a policy is a draft."""
    machine = make_machine(tmp_path_factory.mktemp("august") / "home")
    machine.configure('use = "program"\nfolder = "program"')
    draft = machine.home / "program/policies/acceptable-use.md"
    draft.rename(machine.home / "draft.md")
    for day in (1, 2, 4):
        if day == 4:
            (machine.home / "draft.md").rename(draft)
        machine.run("--as-of", f"2026-08-0{day}T02:00:00Z")
    return machine


@pytest.fixture
def changed(august: Any, tmp_path: Path) -> Any:
    """A copy of that machine, to be changed."""
    shutil.copytree(august.home, tmp_path / "changed", symlinks=True)
    return type(august)(tmp_path / "changed")


def asked(machine: Any, to: str, *more: Any) -> dict[str, Any]:
    done = machine("readiness", "--framework", "soc2-2017", *PERIOD, to, *more, "--output", "json")
    value: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (value["exit"], "")
    return value


def control(value: dict[str, Any]) -> dict[str, Any]:
    controls = value["frameworks"]["soc2-2017"]["controls"]
    found: dict[str, Any] = next(each for each in controls if each["control"] == CONTROL)
    return found


def test_what_every_night_shows_in_part_alone_is_unproven_though_no_night_is_missing(august: Any) -> None:
    value = asked(august, "2026-08-02")
    assert (value["holes"], value["whole"], value["exit"]) == ([], True, 0)
    assert control(value)["status"] == "unproven"
    assert control(value)["stretches"] == [
        {
            "status": "partial",
            "from": "2026-08-01T02:00:00Z",
            "to": "2026-08-02T02:00:00Z",
            "runs": 2,
            "why": ["password-rules-are-enforced no evidence"],
        }
    ]


def test_a_failure_and_a_missing_night_are_told_with_their_times_in_json_and_text(august: Any) -> None:
    value = asked(august, "2026-08-04")
    assert [(each["what"], each["from"], each["to"]) for each in value["holes"]] == [
        ("late", "2026-08-02T02:00:00Z", "2026-08-04T02:00:00Z")
    ]
    assert control(value)["status"] == "failed"
    assert control(value)["why"] == ["policies-are-approved fail"]
    assert [each["status"] for each in control(value)["stretches"]] == [
        "partial",
        "hole",
        "not_satisfied",
    ]
    assert not any(each["counts"]["held"] for each in value["frameworks"].values())
    done = august("readiness", "--framework", "soc2-2017", *PERIOD, "2026-08-04")
    text = " ".join(done.stdout.split())
    assert "CC5.3 Policies put to work failed at 2026-08-04T02:00:00Z: policies-are-approved fail" in text
    assert "could not be proven from 2026-08-02T02:00:00Z to 2026-08-04T02:00:00Z, a hole: late" in text


def test_the_store_may_be_named_and_needs_no_configuration_then(august: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(august.home / "state/evidence", store)
    key = august.home / "config/key.pub.pem"
    (tmp_path / "elsewhere").mkdir()
    machine = type(august)(tmp_path / "elsewhere")
    done = machine("readiness", store, *PERIOD, "2026-08-02")
    assert (done.returncode, done.stdout) == (2, "")
    assert "trust.toml: no such file; name a key with --key or a trust file with --trust" in done.stderr
    value = asked(machine, "2026-08-02", store, "--key", key)
    assert (len(value["runs"]), value["holes"]) == (2, [])


def test_an_altered_bundle_is_a_named_hole_and_exit_1(changed: Any) -> None:
    path = sorted((changed.home / "state/evidence").rglob("*.zip"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))
    value = asked(changed, "2026-08-02")
    assert value["exit"] == 1
    assert (value["holes"][0]["what"], value["holes"][0]["where"]) == ("broken", str(path))
    assert control(value)["status"] == "unproven"
    done = changed("readiness", "--quiet", *PERIOD, "2026-08-02")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"collector: {path}: broken: ")
    assert done.stderr.count("\n") == 1


def test_a_bundle_that_still_waits_in_the_outbox_is_told_and_not_counted(changed: Any) -> None:
    store = changed.home / "state/evidence"
    store.rename(changed.home / "aside")
    store.touch()
    assert changed("run", "--as-of", "2026-08-05T02:00:00Z", "--quiet").returncode == 4
    store.unlink()
    (changed.home / "aside").rename(store)
    value = asked(changed, "2026-08-05")
    assert [each["sequence"] for each in value["runs"]] == [1, 2, 3]
    assert len(value["waiting"]) == 1
    assert value["waiting"][0].startswith("default/20260801T020000Z/00000004-")
    assert "uncovered" in [each["what"] for each in value["holes"]]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--from", "2026-13-01"], "--from: '2026-13-01' is no time; write 2026-11-24T02:00:00Z, or a day"),
        (["--to", "soon"], "--to: 'soon' is no time; write 2026-11-24T02:00:00Z, or a day"),
        (["--from", "2026-08-03", "--to", "2026-08-02"], "--from 2026-08-03T00:00:00Z lies after --to"),
        (["--from", "2027-01-01"], "lies after the newest bundle of series default, as of 2026-08-04"),
        (["--to", "2025-01-01"], "lies before the oldest bundle of series default, as of 2026-08-01"),
        (["--from", "2026-08-02T03:00:00Z", "--to", "2026-08-03"], "no bundle of series default from"),
        (["collector.toml", "--from", "2026-08-01"], "collector.toml: not a folder; a period is read from"),
        (["--from", "2026-08-01", "--framework", "soc2"], "'soc2' was not judged (did you mean soc2-2017?)"),
        (["program", "--from", "2026-08-01"], "program: no bundle in it"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_exit_2(august: Any, arguments: list[str], text: str) -> None:
    done = august("readiness", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("collector: ")
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_without_a_period_is_wrong_usage(august: Any) -> None:
    done = august("readiness", "--key", august.home / "config/key.pub.pem")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--key and --trust are for a period" in done.stderr


def test_a_period_before_the_first_run_says_where_no_bundle_is(machine: Any) -> None:
    done = machine("readiness", "--from", "2026-08-01")
    assert (done.returncode, done.stdout) == (2, "")
    assert "series default has no bundle in a folder of this machine (directory " in done.stderr
    assert done.stderr.endswith("); name a folder of its bundles\n")
