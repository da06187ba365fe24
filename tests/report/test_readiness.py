from __future__ import annotations

from typing import Any

import pytest

from collector.model import ConfigError
from collector.report.evidence import Evidence
from collector.report.page import Page
from collector.report.readiness import readiness, readiness_json, readiness_text


def test_every_control_is_counted_once_under_its_status(evidence: Evidence) -> None:
    counts = readiness(evidence).counts()["toy"]
    assert {status: number for status, number in counts.items() if number} == {
        "not_satisfied": 1,
        "partial": 1,
        "manual": 1,
        "no_evidence": 1,
    }


def test_objectives_that_decide_are_named(evidence: Evidence) -> None:
    states = {each.control: each for each in readiness(evidence).controls["toy"]}
    assert states["toy:T.1"].why == ("boxes-are-closed fail",)
    assert states["toy:T.2"].why == ("keys-are-kept unknown",)
    assert states["toy:T.2"].title == "Toy control 2"


def test_framework_that_was_not_judged_is_an_error_with_the_nearest(evidence: Evidence) -> None:
    with pytest.raises(ConfigError, match=r"framework 'toyy' was not judged \(did you mean toy\?\)"):
        readiness(evidence, ["toyy"])


def test_json_holds_what_the_text_shows(evidence: Evidence) -> None:
    value = readiness_json(readiness(evidence))
    assert value["frameworks"]["toy"]["counts"]["not_satisfied"] == 1
    assert len(value["frameworks"]["toy"]["controls"]) == 4
    assert {each["reason"] for each in value["unseen"]} == {"denied", "failed"}


def test_text_lists_controls_where_a_framework_was_named(evidence: Evidence) -> None:
    page = Page(100)
    listed = "\n".join(readiness_text(readiness(evidence, ["toy"]), page, listed=True))
    assert "The Toy Standard: not satisfied, 1" in listed
    assert "T.1  Toy control 1; boxes-are-closed fail" in listed
    assert "something that it needs fails" in listed
    assert "T.1" not in "\n".join(readiness_text(readiness(evidence), page))


def test_what_holds_of_a_control_is_shown_beside_what_is_not(evidence: Evidence) -> None:
    found = readiness(evidence, ["toy"])
    text = "\n".join(readiness_text(found, Page(100), listed=True))
    assert "T.2  Toy control 2; holds: boxes-are-known; keys-are-kept unknown" in text
    held = {each["control"]: each["holds"] for each in readiness_json(found)["frameworks"]["toy"]["controls"]}
    assert held == {"toy:T.1": [], "toy:T.2": ["boxes-are-known"], "toy:T.3": [], "toy:T.4": []}


def test_of_much_that_holds_the_text_names_some_and_counts_the_rest(evidence_with: Any) -> None:
    passing = {name: {"status": "pass"} for name in "abcde"}
    line = {"control": "toy:T.2", "status": "satisfied", "objectives": passing}
    found = readiness(evidence_with(controls=[line]), ["toy"])
    assert "holds: a, b, c and 2 more" in "\n".join(readiness_text(found, Page(100), listed=True))


def test_control_without_its_framework_is_still_counted(evidence_with: Any) -> None:
    stray = {"control": "toy:gone", "status": "satisfied", "objectives": {}}
    assert readiness(evidence_with(controls=[stray])).counts()["toy"]["satisfied"] == 1
