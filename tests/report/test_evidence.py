from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collector.model import VerifyError
from collector.report.evidence import Evidence


def test_records_are_found_by_kind_and_id(evidence: Evidence) -> None:
    found = evidence.records({("toy_box", "b"), ("toy_box", "nowhere"), ("toy_key", "b")})
    assert [record["data"] for record in found["toy_box", "b"]] == [{"name": "b", "closed": False}]
    assert found["toy_box", "nowhere"] == found["toy_key", "b"] == []


def test_id_that_stands_elsewhere_in_a_line_is_not_taken_for_the_record(evidence_with: Any) -> None:
    record = {"kind": "toy_box", "id": "x", "scope": {}, "calls": [], "gaps": [], "redactions": []}
    line = {"record": {**record, "data": {"id": "b", "kind": "toy_box"}}}
    assert evidence_with(**{"segments/s": [line]}).records({("toy_box", "b")}) == {("toy_box", "b"): []}


def test_gaps_of_populations_and_of_columns_come_alike(evidence: Evidence) -> None:
    found = [(gap["kind"], gap["column"], gap["reason"]) for gap in evidence.gaps()]
    assert found == [("toy_box", "closed", "failed"), ("toy_key", "", "denied")]


def test_findings_of_named_checks_only(evidence: Evidence) -> None:
    assert {each["check"] for each in evidence.findings(["box-named"])} == {"box-named"}
    assert len(list(evidence.findings())) == 6
    assert list(evidence.findings(["box"])) == []


def test_calls_of_named_ids_only(evidence: Evidence) -> None:
    first = next(iter(evidence.calls()))
    assert [call["call"] for call in evidence.calls([first["call"]])] == [first["call"]]


@pytest.mark.parametrize("missing", ["plan.json", "controls.jsonl.gz", "ledger.jsonl.gz"])
def test_missing_file_is_a_verify_error(evidence: Evidence, missing: str) -> None:
    (evidence.folder / missing).unlink()
    with pytest.raises(VerifyError, match=missing.split(".")[0]):
        _ = (evidence.plan, list(evidence.controls()), list(evidence.calls()))


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": {"format": 1}},
        {"kinds": {"kinds": {"toy_box": []}}},
        {"controls": [{"control": 3}]},
        {"findings": [{"check": "a"}]},
        {"ledger": [{"call": "a"}]},
        {"segments/s": [{"gap": {"kind": "a"}}]},
        {"segments/s": [{"gap": []}]},
        {"segments/s": [{"record": {"gaps": [{"column": 1}], "kind": "toy_box"}}]},
    ],
)
def test_lines_that_are_not_as_the_format_says_are_verify_errors(evidence_with: Any, changes: Any) -> None:
    changed = evidence_with(**changes)
    with pytest.raises(VerifyError):
        _ = (changed.plan, changed.kinds, list(changed.controls()), list(changed.findings()))
        _ = (list(changed.calls()), list(changed.gaps()))


def test_document_that_is_no_json_is_a_verify_error(evidence: Evidence) -> None:
    Path(evidence.folder / "plan.json").write_text("{")
    with pytest.raises(VerifyError, match="not JSON"):
        _ = evidence.plan
