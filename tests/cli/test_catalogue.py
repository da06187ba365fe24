from __future__ import annotations

import json
import re
from typing import Any

import pytest


def answer(ran: Any, *arguments: str) -> Any:
    done = ran.machine(*arguments, "--output", "json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_plugins_are_listed_with_what_they_give_and_their_options(ran: Any) -> None:
    value = answer(ran, "plugins")
    assert set(value) >= {"baseline", "directory", "file", "host", "program"}
    source = next(each for each in value["program"]["gives"] if each["role"] == "source")
    assert {option["name"] for option in source["options"]} >= {"folder"}
    assert "program_person" in source["kinds"]
    text = ran.machine("plugins").stdout
    assert "folder that holds roster.csv and policies/ (required)" in text


def test_plan_shows_who_is_asked_what_and_the_right_it_needs(ran: Any) -> None:
    value = answer(ran, "plan", "--as-of", "2026-11-24")
    assert value["as_of"] == "2026-11-24T00:00:00Z"
    due = [each for task in value["tasks"] for each in task["due"]]
    assert {each["op"] for each in due} == {"program:roster", "program:list"}
    assert all(each["permission"] for each in due)
    text = ran.machine("plan").stdout
    assert "read the file roster.csv" in text
    assert text.endswith("1 task, 2 list calls due; nothing was collected\n")


def test_plan_needs_no_key_and_writes_nothing(machine: Any) -> None:
    (machine.work / "collector.toml").write_text('[[source]]\nuse = "program"\nfolder = "nowhere"\n')
    assert machine("plan").returncode == 0
    assert not (machine.home / "state").exists()


def test_checks_are_listed_by_id_and_by_kind(ran: Any) -> None:
    every = answer(ran, "checks")
    assert len(every) >= 80
    assert [each["check"] for each in every] == sorted(each["check"] for each in every)
    policies = answer(ran, "checks", "--kind", "program_policy")
    assert policies
    assert all("program_policy" in each["kinds"] for each in policies)


def test_check_is_explained_with_the_controls_it_reaches(ran: Any) -> None:
    value = answer(ran, "checks", "program-policy-approved")
    assert value["why"]
    assert value["fix"]
    assert value["asks"]
    assert any(
        to["control"].startswith("soc2-2017:") for each in value["objectives"] for to in each["controls"]
    )
    assert "Passes where:" in ran.machine("checks", "program-policy-approved").stdout


def test_frameworks_are_listed_with_what_speaks_of_them(ran: Any) -> None:
    listed = {each["framework"]: each for each in answer(ran, "frameworks")}
    assert listed["soc2-2017"]["controls"] == 61
    assert 0 < listed["iso27001-2022"]["related"] < listed["iso27001-2022"]["controls"]
    assert "soc2-2017" in ran.machine("frameworks").stdout


def test_framework_is_explained_control_by_control(ran: Any) -> None:
    value = answer(ran, "frameworks", "soc2-2017")
    assert len(value["controls"]) == 61
    assert any(each["objectives"] for each in value["controls"])
    assert "CC6.1" in ran.machine("frameworks", "soc2-2017").stdout


def test_columns_of_a_kind_are_listed_with_type_and_meaning_as_query_knows_them(ran: Any) -> None:
    value = answer(ran, "plugins", "--kind", "program_person")
    columns = {each["name"]: each for each in value["columns"]}
    described = json.loads(
        ran.machine("query", ran.bundle, "DESCRIBE program_person", "--output", "json").stdout
    )
    assert set(columns) == {row[0] for row in described["rows"] if not row[0].startswith("_")}
    assert all(each["type"] and each["meaning"] for each in columns.values())
    text = ran.machine("plugins", "--kind", "program_person").stdout
    assert all(name in text for name in columns)


def test_permissions_are_ready_to_use(ran: Any) -> None:
    text = ran.machine("permissions", "program").stdout
    assert "setfacl" in text
    value = answer(ran, "permissions", "program", "--kind", "program_person")
    assert set(value["kinds"]) == {"program_person"}
    assert "policies" not in value["permissions"].splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["checks", "program-policy-aproved"],
            "no check 'program-policy-aproved' (did you mean program-policy-approved?)",
        ),
        (
            ["checks", "--kind", "program_polcy"],
            "no check reads kind 'program_polcy' (did you mean program_policy?)",
        ),
        (["plugins", "--kind", "program_persn"], "no kind 'program_persn' (did you mean program_person?)"),
        (["frameworks", "soc2"], "no framework 'soc2' (did you mean soc2-2017?)"),
        (["permissions", "programm"], "no source or sink 'programm' (did you mean program?)"),
        (
            ["permissions", "program", "--kind", "program_persn"],
            "no kind of program 'program_persn' (did you mean",
        ),
        (["permissions", "s3"], 'no [[sink]] use = "s3" in '),
    ],
)
def test_unknown_name_is_one_line_with_the_nearest(ran: Any, arguments: list[str], message: str) -> None:
    done = ran.machine(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"collector: {message}")
    assert done.stderr.count("\n") == 1


def test_error_about_an_unheard_of_name_stays_a_line_to_read(machine: Any) -> None:
    for words in (("checks", "zzz"), ("checks", "--kind", "zzz")):
        done = machine(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.search(r"; known: \w\S+, .* and [\d,]+ more$", done.stderr)
        assert len(done.stderr) < 1500
