"""The example organisation, as the built-in checks see it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from collector.assess import examples, mappings
from collector.assess.evidence import kind_json
from collector.model import Text
from collector.testing import check_run, collect
from collector_program import Program
from collector_program.kinds import PARAMETERS
from collector_program.logins import LOGINS
from collector_program.policy import read_policy

TOP = Path(__file__).parents[2]
FOLDER = TOP / "examples" / "program"
SCOPE = {"program": "program"}
HOST = {"host": "web1"}


@pytest.fixture(scope="module")
def collected():
    (collected,) = collect(Program({"folder": str(FOLDER)}))
    return collected


@pytest.fixture(scope="module")
def checks():
    return mappings.load([TOP / "mappings"], strict=True).checks


def kinds(check):
    from collector_host.kinds import KINDS

    known = {kind.name: ("host", kind, None) for kind in KINDS}
    known |= {kind.name: ("program", kind, None) for kind in Program.kinds}
    known[LOGINS.kind.name] = ("program", LOGINS.kind, LOGINS)
    return {name: kind_json(*known[name]) for name in check.kinds}


def judged(check, collected, **host):
    """What a check makes of the example, beside some rows about a host."""
    tables = {name: [{**row, "_scope": HOST} for row in rows] for name, rows in host.items()}
    for record in collected.records:
        tables.setdefault(record.kind, []).append({**record.data, "_id": record.id, "_scope": SCOPE})
    people = [
        {"id": record.id, "scope": SCOPE, "calls": ["a/b"], "data": record.data}
        for record in collected.records
        if record.kind == "program_person"
    ]
    tables["program_login"] = [
        {**row.data, "_id": row.id, "_scope": SCOPE} for row in LOGINS.compute({"program_person": people})
    ]
    if check.query is not None:
        shown = [replace(check.examples[0], expect={}, tables=tables, incomplete=())]
        (outcome,) = examples.run([replace(check, examples=tuple(shown))], kinds(check))
        return outcome.found
    found = {}
    for row in tables[check.kind]:
        data = {name: value for name, value in row.items() if not name.startswith("_")}
        shown = replace(check.examples[0], data=data, gaps=())
        (outcome,) = examples.run([replace(check, examples=(shown,))], kinds(check))
        found[row["_id"]] = outcome.found
    return found


def bad(found):
    assert "pass" in found.values()
    return sorted(subject for subject, result in found.items() if result == "fail")


def test_the_example_is_read_without_a_gap(collected):
    assert collected.gaps == ()
    assert not any(record.gaps for record in collected.records)
    assert check_run(Program, {"folder": str(FOLDER)}) == []


ALONE = {
    "program-policy-approved": ["policies/acceptable-use.md"],
    "program-policy-review-not-overdue": ["policies/suppliers.md"],
    "program-policy-approver-is-not-owner": [],
    "program-policy-owner-is-active": ["program/policies/incident-response.md"],
    "program-policy-approver-was-here": [],
    "program-policy-review-within-two-years": [],
    "program-policy-is-one-document": [],
    "program-policy-has-text": [],
    "program-has-an-approved-policy": [],
    "program-person-dates-in-order": [],
    "program-person-is-once": [],
    "program-login-is-one-persons": ["program/deploy"],
}


@pytest.mark.parametrize(("check", "failing"), ALONE.items(), ids=ALONE.keys())
def test_the_example_shows_good_and_bad(checks, collected, check, failing):
    assert bad(judged(checks[check], collected)) == failing


def test_accounts_on_a_host_are_held_against_the_roster(checks, collected):
    users = [
        {
            "username": name,
            "uid": 1000 + number,
            "system": False,
            "login_shell": True,
            "password_status": "set",
        }
        for number, name in enumerate(["yhara", "cdaly", "vagrant"])
    ]
    strangers = judged(checks["program-account-belongs-to-a-person"], collected, host_user=users)
    assert bad(strangers) == ["web1/vagrant"]
    leavers = judged(checks["program-leaver-account-shut"], collected, host_user=users)
    assert bad(leavers) == ["program/p109/cdaly"]
    assert set(leavers) == {"program/p109/cdaly", "program/p110/elis", "program/p110/elis-admin"}


def test_what_is_stated_is_held_against_what_a_host_enforces(checks, collected):
    weak, strong = {"minlen": 6, "deny": 0}, {"minlen": 14, "deny": 5, "enforcing": True}
    for check in ("program-password-length-enforced", "program-lockout-enforced"):
        assert judged(checks[check], collected, host_password_policy=[weak]) == {"web1": "fail"}
        assert judged(checks[check], collected, host_password_policy=[strong]) == {"web1": "pass"}


def test_the_readme_describes_front_matter_as_it_is_read():
    (block,) = re.findall(r"```toml\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    policy = read_policy(f"+++\n{block}+++\n")
    assert policy.faults == {}
    assert set(PARAMETERS) <= set(policy.data)
    columns = {column.name for column in Program.kinds[0].columns} - {"path", "words", "sha256"}
    assert set(policy.data) == columns


def test_no_name_of_the_example_is_left_in_its_roster_text(collected):
    (text,) = [item for item in collected.items if isinstance(item, Text) and item.name == "roster.csv"]
    left = text.text
    for span in sorted(text.spans, key=lambda span: -span.start):
        left = left[: span.start] + left[span.end :]
    for name in ("Falk", "Brandt", "Tomás", "northquay"):
        assert name not in left
