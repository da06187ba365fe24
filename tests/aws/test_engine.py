"""What a service leaves out of its answers is a gap, and never "not set"."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from collector.model import Answer, CallFailed, Outcome
from collector_aws import engine, wire
from collector_aws.catalogue import Batch, Call, Paging, catalogue
from collector_aws.special import FUNCTIONS


def answer(call: str, data: Any) -> Answer:
    return Answer(call, "x:Describe", Outcome.OK, data)


def filled(call: Call, *answers: Answer) -> Any:
    entry = engine._Entry({"Id": "a"}, ["list"])
    engine._fill(call, [entry], answers)
    return entry


def test_an_item_that_a_call_for_many_leaves_out_is_a_gap() -> None:
    call = Call("x:Describe", {}, "Told", "Items Value", batch=Batch("Ids", "Id", 10, "Id"))
    told = filled(call, answer("1", {"Items": [{"Id": "a", "Value": "v"}]}))
    assert (told.item["Told"], told.gaps) == ("v", [])
    silent = filled(call, answer("1", {"Items": [{"Id": "b", "Value": "v"}]}))
    assert "Told" not in silent.item
    assert [(gap.column, gap.reason) for gap in silent.gaps] == [("Told", Outcome.VANISHED)]


def test_a_machine_that_was_never_scanned_has_no_state_of_patches_and_that_is_no_gap() -> None:
    (node,) = (node for node in catalogue()["ssm"].nodes if node.kind.name == "aws_ssm_instance")
    (call,) = (call for call in node.calls if call.column == "PatchState")
    entry = engine._Entry({"InstanceId": "i-1"}, ["list"])
    engine._fill(call, [entry], [answer("1", {"InstancePatchStates": [{"InstanceId": "i-2"}]})])
    assert entry.item.get("PatchState") is None
    assert entry.gaps == []


def test_a_second_page_that_is_not_read_is_a_gap() -> None:
    call = Call("x:Describe", {}, "Told", "Value")
    pages = (answer("1", {"Value": "v"}), answer("2", {"Value": "w"}))
    entry = filled(call, *pages)
    assert "Told" not in entry.item
    assert [(gap.column, gap.reason) for gap in entry.gaps] == [("Told", Outcome.TRUNCATED)]


def test_more_without_a_way_to_ask_for_it_is_truncated() -> None:
    paging = Paging((("Marker", "Marker"),), more="IsTruncated")
    assert wire._following(paging, {}, {"IsTruncated": False}) is None
    assert wire._following(paging, {"A": 1}, {"IsTruncated": True, "Marker": "m"}) == {"A": 1, "Marker": "m"}
    with pytest.raises(CallFailed, match="truncated"):
        wire._following(paging, {}, {"IsTruncated": True})


def test_what_a_line_of_the_credential_report_lacks_is_a_gap_and_not_unset() -> None:
    report = (
        b"user,arn,password_enabled,mfa_active\na,arn:aws:iam::1:user/a,true,N/A\nb,arn:aws:iam::1:user/b\n"
    )
    content = base64.b64encode(report).decode()
    (node,) = (node for node in catalogue()["iam"].nodes if node.function == "credential_report")

    def ask(op: str) -> Answer:
        return answer("1", {"Content": content, "GeneratedTime": "2026-11-24T00:00:00Z"})

    whole, torn = FUNCTIONS["credential_report"](node.kind, {}, answer("0", {}), ask)  # type: ignore[arg-type]
    assert whole.data["password_enabled"] is True and "mfa_active" in whole.data
    gaps = {gap.column: gap.reason for gap in whole.gaps}
    assert "mfa_active" not in gaps and gaps["access_key_1_active"] == Outcome.MALFORMED
    assert {"password_enabled", "mfa_active"} <= {gap.column for gap in torn.gaps}
