from __future__ import annotations

from typing import Any

import pytest

from collector.canonical import dumps
from collector.collect.plan import call_id
from collector.lines import LineWriter
from collector.model import Target, VerifyError
from collector.report.evidence import Evidence
from collector.report.overview import overview, problems, unseen
from collector.report.page import Page
from collector.report.screen import run_screen

RESULT: dict[str, Any] = {
    "bundle": "/evidence/default/00000001-abc.zip",
    "series": "default",
    "sequence": 1,
    "tasks": {"planned": 1, "done": 0, "incomplete": 1, "failed": 0},
    "calls": 3,
    "gaps": 2,
    "records": 4,
    "findings": {"pass": 2, "fail": 2, "unknown": 2, "not_applicable": 0},
    "controls": {},
    "delivered": ["directory"],
    "exit": 3,
    "reasons": [3],
    "problems": [],
}


def finding(check: str, subject: str, severity: str, waiver: Any = None) -> dict[str, Any]:
    return {
        "check": check, "kind": "toy_box", "subject": subject, "scope": {}, "result": "fail",
        "severity": severity, "detail": "", "waiver": waiver,
    }  # fmt: skip


def test_worst_problem_is_the_severest_then_the_most_frequent(evidence_with: Any) -> None:
    found = problems(
        evidence_with(
            findings=[
                *(finding("box-named", name, "low") for name in "abcd"),
                finding("key-kept", "k", "critical"),
                *(finding("box-closed", name, "low") for name in "abcde"),
            ]
        )
    )
    assert [(each.check, each.fails) for each in found] == [
        ("key-kept", 1),
        ("box-closed", 5),
        ("box-named", 4),
    ]
    assert found[1].fix == "Close the box."
    assert [each["subject"] for each in found[1].subjects] == ["a", "b", "c"]


def test_waived_failure_is_no_problem(evidence_with: Any) -> None:
    assert problems(evidence_with(findings=[finding("box-closed", "a", "high", {"reason": "x"})])) == ()


def test_problem_of_a_check_that_the_mappings_lack_is_shown_by_its_id(evidence_with: Any) -> None:
    assert problems(evidence_with(findings=[finding("unheard-of", "a", "high")]))[0].title == "unheard-of"


def test_denied_call_names_the_right_that_was_lacking(evidence: Evidence) -> None:
    found = {each.reason: each for each in unseen(evidence)}
    assert found["denied"].right == "the key holder's right"
    assert found["denied"].kinds == {"toy_key": 1}
    assert (found["failed"].right, found["failed"].details) == ("", ("exit 1",))


def test_gaps_of_one_cause_are_one_line(evidence_with: Any) -> None:
    gaps = [
        {"gap": {"kind": kind, "scope": {"host": str(n)}, "reason": "timeout", "detail": "no answer in 10 s"}}
        for kind in ("toy_box", "toy_key")
        for n in range(3)
    ]
    found = unseen(evidence_with(**{"segments/s": gaps}))
    assert [(each.reason, each.gaps, dict(each.kinds)) for each in found] == [
        ("timeout", 6, {"toy_box": 3, "toy_key": 3})
    ]


def test_denied_calls_of_one_right_are_one_cause_however_they_say_it(evidence: Evidence) -> None:
    call = next(call["call"] for call in evidence.calls() if call["outcome"] == "denied")
    gap = {"kind": "toy_key", "scope": {}, "reason": "denied", "call": call}
    segment = next((evidence.folder / "segments").iterdir())
    segment.unlink()
    with LineWriter(segment, None) as lines:
        for detail in ("no right to a", "no right to b", "no right to b"):
            lines.write(dumps({"gap": {**gap, "detail": detail}})[:-1])
    found = unseen(evidence)
    assert [(each.right, each.gaps) for each in found] == [("the key holder's right", 3)]
    assert found[0].details == ("no right to b", "no right to a")


def screen(evidence: Evidence, **changes: Any) -> str:
    return "\n".join(run_screen(RESULT | changes, overview(evidence), Page(100)))


@pytest.mark.parametrize(
    "shown",
    [
        "toy  host web1  2 kinds  as uid 1000",  # what was looked at
        "4 records from 3 calls; 1 task: 1 incomplete",
        "1. high     Boxes are closed",  # what is wrong, for whom, what to do
        "box-closed: b (host web1)",
        "Fix: Close the box.",
        "failed      exit 1 (1 gap)",  # what could not be seen
        "right: the key holder's right",
        "in toy_key",
        "toy        0          1              1       1            4",  # controls
        "/evidence/default/00000001-abc.zip",  # where the bundle is
        "delivered to directory",
        "collector verify /evidence/default/00000001-abc.zip",  # what to type next
        "collector readiness --framework toy",
    ],
)
def test_screen_shows_what_the_run_came_to(evidence: Evidence, shown: str) -> None:
    if shown.startswith("toy        0"):
        row = next(
            line.split()
            for line in screen(evidence).splitlines()
            if line.split()[:1] == ["toy"] and "Toy" in line
        )
        assert row[:6] == ["toy", "1", "1", "1", "1", "4"]
        return
    assert shown in screen(evidence)


def test_screen_says_that_nothing_fails_and_all_was_seen(evidence_with: Any) -> None:
    clean = evidence_with(findings=[], **{"segments/s": []})
    text = screen(clean)
    assert "Nothing that was seen fails" in text
    assert "All that was asked for was seen" in text


def test_screen_says_what_was_not_delivered_and_what_went_wrong(evidence: Evidence) -> None:
    text = screen(evidence, delivered=[], problems=["sink directory: disk full"])
    assert "delivered to nobody yet" in text
    assert "! sink directory: disk full" in text


def test_screen_counts_what_it_does_not_show(evidence_with: Any) -> None:
    text = screen(evidence_with(findings=[finding("box-closed", str(n), "high") for n in range(9)]))
    assert "box-closed: 0, 1, 2 and 6 more" in text


def test_name_of_a_subject_cannot_move_the_cursor(evidence_with: Any) -> None:
    text = screen(evidence_with(findings=[finding("box-closed", "\x1b[2J", "high")]))
    assert "\x1b" not in text
    assert "\\x1b[2J" in text


def undiscovered(evidence_with: Any, ledger: Any) -> Evidence:
    plan = {
        "format": 1, "as_of": "2026-11-24T02:00:00Z", "frameworks": ["toy"], "absent": [], "tasks": [],
        "undiscovered": [{"source": "toy", "scope": {"host": "web1"}}],
    }  # fmt: skip
    found: Evidence = evidence_with(plan=plan, findings=[], ledger=ledger, **{"segments/s": []})
    return found


def failed_discovery(outcome: str, detail: str) -> dict[str, Any]:
    id_ = call_id(Target("toy", {"host": "web1"}), "toy:version", {}, 1)
    called = {"call": id_, "op": "toy:version", "outcome": outcome, "detail": detail}
    return {**called, "params": {}, "as": "", "at": "2026-11-24T02:00:03.120Z"}


def test_what_could_not_be_discovered_was_not_seen(evidence_with: Any) -> None:
    evidence = undiscovered(evidence_with, [failed_discovery("unreachable", "no route to web1")])
    shown = "\n".join(run_screen(RESULT | {"tasks": {"planned": 0}}, overview(evidence), Page(200)))
    assert "All that was asked for was seen" not in shown
    assert "toy  host web1  not discovered" in shown
    assert "Could not be seen  2 gaps" in shown
    assert "unreachable what there is could not be discovered, toy:version: no route to web1" in shown
    assert "in toy_box, toy_key" in shown


def test_discovery_that_failed_without_a_call_is_told_too(evidence_with: Any) -> None:
    (cause,) = unseen(undiscovered(evidence_with, []))
    assert (cause.reason, cause.details) == ("failed", ("what there is could not be discovered",))
    assert cause.kinds == {"toy_box": 1, "toy_key": 1}


@pytest.mark.parametrize("scope", [{"host": ""}, {"host": 5}])
def test_scope_that_is_none_is_a_broken_bundle(evidence_with: Any, scope: Any) -> None:
    evidence = undiscovered(evidence_with, [])
    evidence.plan["undiscovered"][0]["scope"] = scope
    with pytest.raises(VerifyError, match="no scope of a target"):
        unseen(evidence)
