"""What moto does not know is answered over HTTP in the form of AWS's own documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from collector.model import Outcome

Collecting = Callable[..., Any]

EVENT = {
    "EventId": "0a1b2c3d-0000-4000-8000-000000000001",
    "EventName": "ConsoleLogin",
    "EventTime": 1795500000.0,
    "EventSource": "signin.amazonaws.com",
    "Username": "root",
    "CloudTrailEvent": json.dumps({"userIdentity": {"type": "Root"}, "eventName": "ConsoleLogin"}),
}


def test_events_are_read_page_by_page_of_one_period(collecting: Collecting, proxy: Any) -> None:
    asked: list[dict[str, Any]] = []

    def events(body: bytes) -> tuple[int, Any]:
        told = json.loads(body)
        if told["LookupAttributes"][0]["AttributeValue"] != "root":
            return 200, {"Events": []}
        asked.append(told)
        if "NextToken" not in told:
            return 200, {"Events": [EVENT], "NextToken": "page-2"}
        return 200, {"Events": [{**EVENT, "EventId": "0a1b2c3d-0000-4000-8000-000000000002"}]}

    proxy.answers["cloudtrail:LookupEvents"] = events
    found = collecting(services=["cloudtrail"], regions=["us-east-1"])
    records = found.records["aws_cloudtrail_root_event"]
    assert [record["data"]["EventId"][-1] for record in records] == ["1", "2"]
    assert records[0]["data"]["CloudTrailEvent"]["userIdentity"] == {"type": "Root"}
    assert records[0]["data"]["EventTime"] == "2026-11-24T06:00:00Z"
    assert not [gap for gap in found.gaps if gap["kind"] == "aws_cloudtrail_root_event"]
    assert [told.get("NextToken") for told in asked] == [None, "page-2"]
    assert asked[0]["StartTime"] == asked[1]["StartTime"]


def test_events_beyond_the_bound_are_a_gap(collecting: Collecting, proxy: Any) -> None:
    numbers = iter(range(10_000))

    def events(body: bytes) -> tuple[int, Any]:
        number = next(numbers)
        more = {"NextToken": f"after-{number}"} if b'"root"' in body else {}
        return 200, {"Events": [{**EVENT, "EventId": f"event-{number}"}], **more}

    proxy.answers["cloudtrail:LookupEvents"] = events
    found = collecting(services=["cloudtrail"], regions=["us-east-1"])
    reasons = {gap["reason"] for gap in found.gaps if gap["kind"] == "aws_cloudtrail_root_event"}
    assert reasons == {"truncated"}
    assert len(found.records["aws_cloudtrail_root_event"]) == 10


def test_a_list_that_leads_back_to_the_page_that_was_asked_for_is_truncated(
    collecting: Collecting, proxy: Any
) -> None:
    proxy.answers["secretsmanager:ListSecrets"] = lambda body: (200, {"SecretList": [], "NextToken": "same"})
    found = collecting(services=["secretsmanager"], regions=["us-east-1"])
    pages = [call.outcome for call in found.calls if call.op == "secretsmanager:ListSecrets"]
    assert sorted(pages) == [Outcome.OK, Outcome.TRUNCATED]
    assert {gap["reason"] for gap in found.gaps} == {"truncated"}


@pytest.mark.parametrize(
    ("message", "enabled", "gaps"),
    [
        ("Macie is not enabled.", False, set()),
        ("User: x is not authorized to perform: macie2:GetMacieSession", None, {"denied"}),
    ],
)
def test_a_service_that_is_off_is_told_apart_from_one_that_is_closed(
    collecting: Collecting, proxy: Any, message: str, enabled: bool | None, gaps: set[str]
) -> None:
    proxy.answers["macie2:GetMacieSession"] = lambda body: (
        403,
        {"__type": "AccessDeniedException", "message": message},
    )
    found = collecting(services=["macie2"], regions=["us-east-1"])
    states = [record["data"]["Enabled"] for record in found.records.get("aws_macie", ())]
    assert states == ([] if enabled is None else [enabled])
    assert {gap["reason"] for gap in found.gaps if gap["kind"] == "aws_macie"} == gaps


def test_an_account_without_an_organisation_costs_one_call(collecting: Collecting, proxy: Any) -> None:
    refused = {"__type": "AWSOrganizationsNotInUseException", "Message": "not a member of an organization"}
    proxy.answers["organizations:DescribeOrganization"] = lambda body: (400, refused)
    found = collecting(services=["organizations"], regions=["us-east-1"])
    assert {call.op for call in found.calls} == {
        "sts:GetCallerIdentity",
        "organizations:DescribeOrganization",
    }
    assert [record["data"] for record in found.records.pop("aws_organization")] == [{"InUse": False}]
    assert not found.records
    assert not found.gaps
    assert all(written.complete for written in found.written)


def test_an_organisation_that_may_not_be_asked_about_is_a_gap_of_all_that_belongs_to_it(
    collecting: Collecting, proxy: Any
) -> None:
    refused = {"__type": "AccessDeniedException", "Message": "not authorized"}
    proxy.answers["organizations:DescribeOrganization"] = lambda body: (400, refused)
    found = collecting(services=["organizations"], regions=["us-east-1"])
    assert {(gap["kind"], gap["reason"]) for gap in found.gaps} == {
        (f"aws_organization{part}", "denied") for part in ("", "_account", "_policy", "_delegate")
    }


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        ("ListAccounts", "aws_organization_account"),
        ("ListPolicies", "aws_organization_policy"),
        ("ListDelegatedAdministrators", "aws_organization_delegate"),
    ],
)
def test_what_an_organisation_does_not_tell_is_a_gap_of_that_kind(
    collecting: Collecting, proxy: Any, op: str, kind: str
) -> None:
    refused = {"__type": "AccessDeniedException", "Message": "not authorized"}
    proxy.answers["organizations:DescribeOrganization"] = lambda body: (
        200,
        {"Organization": {"Id": "o-1", "MasterAccountId": "123456789012"}},
    )
    for each in ("ListAccounts", "ListPolicies", "ListDelegatedAdministrators", "ListRoots"):
        proxy.answers[f"organizations:{each}"] = lambda body: (200, {})
    proxy.answers[f"organizations:{op}"] = lambda body: (400, refused)
    found = collecting(services=["organizations"], regions=["us-east-1"])
    lists = [gap for gap in found.gaps if "column" not in gap]
    assert {(gap["kind"], gap["reason"]) for gap in lists} == {(kind, "denied")}


def test_a_hostile_string_in_place_of_json_is_a_gap_of_its_column(collecting: Collecting, proxy: Any) -> None:
    bad = {**EVENT, "CloudTrailEvent": "[" * 100_000}
    proxy.answers["cloudtrail:LookupEvents"] = lambda body: (200, {"Events": [bad]})
    found = collecting(services=["cloudtrail"], regions=["us-east-1"])
    (record,) = found.records["aws_cloudtrail_root_event"]
    assert [(gap["column"], gap["reason"]) for gap in record["gaps"]] == [("CloudTrailEvent", "malformed")]


@pytest.mark.parametrize("told", ["not an object", [], {"analyzers": "x"}, {"analyzers": ["x"]}])
def test_an_answer_of_another_form_is_malformed_and_names_its_call(
    collecting: Collecting, proxy: Any, told: Any
) -> None:
    proxy.answers["accessanalyzer:ListAnalyzers"] = lambda body: (200, told)
    found = collecting(services=["accessanalyzer"], regions=["us-east-1"])
    assert not found.records.get("aws_accessanalyzer_analyzer")
    assert "aws_accessanalyzer_analyzer" in found.gap_kinds("accessanalyzer:ListAnalyzers")
    reasons = {gap["reason"] for gap in found.gaps if gap["kind"] == "aws_accessanalyzer_analyzer"}
    assert reasons == {"malformed"}


def test_whoever_set_a_parameter_of_documentdb_it_is_seen(
    collecting: Collecting, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has words of its own for who sets parameters, so that they are asked for without any."""
    forward = proxy.forward
    group = "<DBClusterParameterGroupName>g</DBClusterParameterGroupName>"
    told = {
        b"DescribeDBClusterParameterGroups": "<DBClusterParameterGroups><DBClusterParameterGroup>"
        f"{group}<DBClusterParameterGroupArn>arn:g</DBClusterParameterGroupArn>"
        "</DBClusterParameterGroup></DBClusterParameterGroups>",
        b"DescribeDBClusterParameters": "<Parameters><Parameter><ParameterName>tls</ParameterName>"
        "<ParameterValue>disabled</ParameterValue><Source>customer</Source></Parameter></Parameters>",
    }

    def answered(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        action = parse_qs(body).get(b"Action", [b""])[0]
        if action not in told:
            return forward(method, path, headers, body)
        inner = "" if b"Source=user" in body else told[action]
        name = action.decode()
        text = f"<{name}Response><{name}Result>{inner}</{name}Result></{name}Response>"
        return 200, [("Content-Type", "text/xml")], text.encode()

    monkeypatch.setattr(proxy, "forward", answered)
    found = collecting(services=["docdb"], regions=["us-east-1"])
    (record,) = found.records["aws_docdb_cluster_parameter_group"]
    assert [(one["ParameterName"], one["ParameterValue"]) for one in record["data"]["Parameters"]] == [
        ("tls", "disabled")
    ]
