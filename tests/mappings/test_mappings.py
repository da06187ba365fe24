"""What the built-in pack promises, read from its files alone."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
LONGEST = 300  # characters; longer reasons are not read

CHECK_KEYS = {"id", "title", "severity", "objective", "why", "fix", "example"}
ROW_KEYS = {"kind", "pass", "applies"}
QUERY_KEYS = {"kind", "query", "reads", "witness"}
EXAMPLE_KEYS = {"expect", "as_of"}
SEVERITIES = {"critical", "high", "medium", "low", "info"}
RELATIONS = {"equal-to", "subset-of", "superset-of", "intersects-with"}
RESULTS = {"pass", "fail", "unknown", "not_applicable"}


def entries(part: str, name: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted((MAPPINGS / part).rglob("*.toml")):
        data = tomllib.loads(path.read_text("utf-8"))
        assert set(data) == {name}, path
        found += [(str(path.relative_to(MAPPINGS)), entry) for entry in data[name]]
    return found


CHECKS = entries("checks", "check")
OBJECTIVES = entries("objectives", "objective")
RULES = entries("controls", "control")
HOST = [check for where, check in CHECKS if where.startswith("checks/host/")]


def objectives_of(check: dict[str, Any]) -> list[str]:
    named = check["objective"]
    return [named] if isinstance(named, str) else list(named)


def assessable() -> set[str]:
    found = set()
    for path in (MAPPINGS / "frameworks").glob("*.json"):
        framework = json.loads(path.read_text("utf-8"))
        for control in framework["controls"]:
            if control.get("assessable", True) and not control.get("withdrawn", False):
                found.add(f"{framework['framework']}:{control['id']}")
    return found


def related() -> dict[str, set[str]]:
    return {one["id"]: {control["id"] for control in one["control"]} for _, one in OBJECTIVES}


def prose() -> Iterator[tuple[str, str]]:
    for _, check in CHECKS:
        for key in ("title", "why", "fix"):
            yield f"{check['id']} {key}", check[key]
    for _, objective in OBJECTIVES:
        yield f"{objective['id']} statement", objective["statement"]
        for control in objective["control"]:
            yield f"{objective['id']} {control['id']}", control["why"]
    for _, rule in RULES:
        for key in ("why", "manual"):
            if key in rule:
                yield f"{rule['id']} {key}", rule[key]


def test_no_id_is_given_twice() -> None:
    for found in (CHECKS, OBJECTIVES, RULES):
        counts = Counter(entry["id"] for _, entry in found)
        assert [id_ for id_, count in counts.items() if count > 1] == []


def test_host_checks_reach_the_number_promised_and_carry_their_prefix() -> None:
    assert len(HOST) >= 85
    assert all(check["id"].startswith("host-") for check in HOST)


@pytest.mark.parametrize("where, check", CHECKS, ids=[check["id"] for _, check in CHECKS])
def test_check_is_well_formed(where: str, check: dict[str, Any]) -> None:
    shape = QUERY_KEYS if "query" in check else ROW_KEYS
    assert set(check) <= CHECK_KEYS | shape, where
    assert CHECK_KEYS - {"example"} <= set(check)
    assert ("query" in check) != ("pass" in check)
    assert "reads" in check if "query" in check else "kind" in check
    assert check["severity"] in SEVERITIES
    assert check.get("witness", "fail") in {"pass", "fail"}
    named = objectives_of(check)
    assert named and len(named) == len(set(named))


@pytest.mark.parametrize("check", [check for _, check in CHECKS], ids=[check["id"] for _, check in CHECKS])
def test_check_has_an_example_of_each_result_that_it_can_have(check: dict[str, Any]) -> None:
    expected: set[str] = set()
    inner = {"tables", "incomplete"} if "query" in check else {"data", "gaps"}
    for example in check["example"]:
        assert set(example) <= EXAMPLE_KEYS | inner
        if "query" in check:
            expected |= set(example["expect"].values())
        else:
            expected.add(example["expect"])
            assert not set(example["data"]) & set(example.get("gaps", ())), (
                "a column is either there or lacking"
            )
    due = {"pass", "fail", "unknown"} | ({"not_applicable"} if "applies" in check else set())
    assert expected <= RESULTS
    assert due <= expected


@pytest.mark.parametrize("check", HOST, ids=[check["id"] for check in HOST])
def test_check_of_a_kind_shows_a_gap_in_what_it_reads(check: dict[str, Any]) -> None:
    if "query" in check:
        return
    lacking = {column for example in check["example"] for column in example.get("gaps", ())}
    assert any(re.search(rf"\b{column}\b", check["pass"]) for column in lacking)


def test_every_check_reaches_an_objective_that_exists() -> None:
    known = {objective["id"] for _, objective in OBJECTIVES}
    stray = [(check["id"], name) for _, check in CHECKS for name in objectives_of(check) if name not in known]
    assert stray == []


def test_every_objective_is_answered_by_a_check() -> None:
    used = {name for _, check in CHECKS for name in objectives_of(check)}
    assert [objective["id"] for _, objective in OBJECTIVES if objective["id"] not in used] == []


@pytest.mark.parametrize(
    "objective", [one for _, one in OBJECTIVES], ids=[one["id"] for _, one in OBJECTIVES]
)
def test_objective_is_well_formed_and_reaches_a_control(objective: dict[str, Any]) -> None:
    assert set(objective) == {"id", "statement", "facet", "max_age", "control"}
    assert objective["facet"] in {"operation", "design"}
    assert re.fullmatch(r"[1-9][0-9]*[hd]", objective["max_age"])
    assert objective["control"]
    for control in objective["control"]:
        assert set(control) == {"id", "relation", "why"}
        assert control["relation"] in RELATIONS
        assert len(control["why"]) >= 20
    named = [control["id"] for control in objective["control"]]
    assert len(named) == len(set(named))


def test_every_control_named_exists_and_can_be_assessed() -> None:
    known = assessable()
    named = {control for controls in related().values() for control in controls}
    named |= {rule["id"] for _, rule in RULES}
    assert sorted(named - known) == []


def test_rules_of_controls_say_what_suffices_or_what_a_person_shows() -> None:
    for where, rule in RULES:
        assert set(rule) <= {"id", "sufficient", "why", "manual"}
        assert "sufficient" in rule or "manual" in rule, rule["id"]
        assert ("sufficient" in rule) == ("why" in rule), rule["id"]
        assert where == f"controls/{rule['id'].split(':')[0]}.toml"


def test_objectives_that_suffice_together_each_relate_to_the_control() -> None:
    controls = related()
    for _, rule in RULES:
        for names in rule.get("sufficient", ()):
            assert names
            for name in names:
                assert rule["id"] in controls[name], (rule["id"], name)


def test_each_framework_is_reached_by_objectives() -> None:
    reached = Counter(control.split(":")[0] for controls in related().values() for control in controls)
    assert set(reached) == {"iso27001-2022", "soc2-2017", "nist-800-53-r5"}
    assert min(reached.values()) >= 30


def test_reasons_are_short_enough_to_be_read() -> None:
    assert [where for where, text in prose() if len(text) > LONGEST] == []
    assert [where for where, text in prose() if "—" in text or "\n" in text or text != text.strip()] == []


def test_fixes_are_one_imperative_line() -> None:
    for _, check in CHECKS:
        first = check["fix"].split()[0]
        assert first[0].isupper() and first.lower() not in {"the", "a", "you", "it", "should"}, check["id"]
        assert check["fix"].endswith("."), check["id"]
