from __future__ import annotations

from typing import Any

import pytest

from collector.model import ConfigError
from collector.report.evidence import Evidence
from collector.report.explain import explain, explain_text
from collector.report.page import Page


def findings(found: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{check['check']} {each['subject']}": each
        for objective in found["objectives"]
        for check in objective["checks"]
        for each in check["findings"]
    }


def test_failure_is_followed_down_to_the_call_that_showed_it(evidence: Evidence) -> None:
    found = explain(evidence, "toy:T.1")
    assert (found["status"], found["title"]) == ("not_satisfied", "Toy control 1")
    objective = found["objectives"][0]
    assert (objective["objective"], objective["relation"]) == ("boxes-are-closed", "equal-to")
    failed = findings(found)["box-closed b"]
    record = failed["records"][0]
    assert record["data"] == {"closed": False, "name": "b"}
    call = record["calls"][0]
    assert (call["op"], call["params"], call["outcome"]) == ("toy:boxes", {"box": "all"}, "ok")
    assert call["at"] == "2026-11-24T02:00:03.120Z"


def test_unknown_result_is_followed_down_to_the_call_that_failed(evidence: Evidence) -> None:
    record = findings(explain(evidence, "toy:T.1"))["box-closed c"]["records"][0]
    assert record["gaps"][0]["reason"] == "failed"
    assert [call["op"] for call in record["calls"]] == ["toy:boxes", "toy:shadow"]


def test_incomplete_population_is_followed_down_to_the_call_that_was_denied(evidence: Evidence) -> None:
    found = findings(explain(evidence, "toy:T.2"))["key-kept "]
    assert found["records"] == []
    assert [(gap["reason"], gap["calls"][0]["outcome"]) for gap in found["gaps"]] == [("denied", "denied")]


def test_counts_cover_what_is_not_shown(evidence_with: Any) -> None:
    many = [
        {"check": "box-closed", "kind": "toy_box", "subject": str(n), "scope": {}, "result": "fail",
         "severity": "high", "detail": "", "waiver": None}
        for n in range(40)
    ]  # fmt: skip
    found = explain(evidence_with(findings=many), "toy:T.1")
    check = found["objectives"][0]["checks"][0]
    assert check["counts"] == {"fail": 40}
    assert len(check["findings"]) == 3


def test_waived_failure_is_shown_with_who_answers_for_it(evidence: Evidence) -> None:
    found = explain(evidence, "toy:T.1")
    assert found["objectives"][0]["checks"][0]["counts"]["waived"] == 1
    text = "\n".join(explain_text(found, Page(100)))
    assert "waived until 2027-01-01 by ben: moved in spring" in text


@pytest.mark.parametrize(
    "shown",
    [
        "toy:T.1  Toy control 1",
        "What lies in boxes stays there.",
        "equal-to: It is the control, word for word.",
        "- box-closed: Boxes are closed",
        "1 fail, 1 pass, 1 unknown, 1 waived",
        "fail     b (host web1)",
        "toy_box b",
        "closed=false",
        'asked toy:boxes {"box":"all"} at 2026-11-24T02:00:03.120Z as uid 1000: ok',
        "lacks closed: failed exit 1",
        "Fix: Close the box.",
    ],
)
def test_text_shows_each_step(evidence: Evidence, shown: str) -> None:
    assert shown in "\n".join(explain_text(explain(evidence, "toy:T.1"), Page(110)))


def test_control_for_people_says_what_they_must_show(evidence: Evidence) -> None:
    text = "\n".join(explain_text(explain(evidence, "toy:T.3"), Page(100)))
    assert "what people must show: The minutes of the toy board." in text
    assert "no objective speaks of it" in text


def test_control_shown_by_several_objectives_names_them(evidence: Evidence) -> None:
    text = "\n".join(explain_text(explain(evidence, "toy:T.2"), Page(100)))
    assert "shown as a whole by: boxes-are-known and keys-are-kept" in text


def test_control_that_was_not_judged_is_an_error_with_the_nearest(evidence: Evidence) -> None:
    with pytest.raises(ConfigError, match=r"control 'toy:T\.11' was not judged \(did you mean toy:T\.1\?\)"):
        explain(evidence, "toy:T.11")
