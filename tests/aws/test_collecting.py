"""Whole accounts, read through boto3 from a real HTTP server, with faults on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from collector.collect.ask import Limits
from collector.model import Outcome
from collector_aws.source import Aws

Collecting = Callable[..., Any]


@pytest.fixture
def buckets(moto: Any, session: Callable[..., Any]) -> list[str]:
    client = session(moto.url).client("s3")
    names = [f"bucket-{n:02}" for n in range(7)]
    for name in names:
        client.create_bucket(Bucket=name)
    client.put_public_access_block(
        Bucket=names[0],
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    return names


def by_name(found: Any, kind: str, name: str = "Name") -> dict[str, dict[str, Any]]:
    return {record["data"][name]: record for record in found.records.get(kind, ())}


def test_what_is_not_set_is_null_without_a_gap(collecting: Collecting, buckets: list[str]) -> None:
    found = collecting(services=["s3"], regions=["us-east-1"])
    records = by_name(found, "aws_s3_bucket")
    assert records.keys() >= set(buckets)
    assert records[buckets[0]]["data"]["PublicAccessBlock"]["BlockPublicAcls"] is True
    assert records[buckets[1]]["data"].get("PublicAccessBlock") is None
    assert not [gap for gap in records[buckets[1]]["gaps"] if gap["column"] == "PublicAccessBlock"]


def test_a_denied_detail_is_a_gap_of_its_column_alone(
    collecting: Collecting, proxy: Any, buckets: list[str]
) -> None:
    proxy.fault = lambda op, number: "AccessDenied" if op == "s3:GetBucketPolicy" else ""
    found = collecting(services=["s3"], regions=["us-east-1"])
    for record in by_name(found, "aws_s3_bucket").values():
        gaps = {gap["column"]: gap["reason"] for gap in record["gaps"]}
        assert gaps["Policy"] == "denied"
        assert "PublicAccessBlock" not in gaps


def test_a_denied_list_is_a_gap_that_names_the_operation(
    collecting: Collecting, proxy: Any, buckets: list[str]
) -> None:
    proxy.fault = lambda op, number: "AccessDenied" if op == "s3:ListBuckets" else ""
    found = collecting(services=["s3"], regions=["us-east-1"])
    assert not found.records.get("aws_s3_bucket")
    assert "aws_s3_bucket" in found.gap_kinds("s3:ListBuckets")
    assert not all(written.complete for written in found.written)


def test_throttling_is_waited_for_and_nothing_is_lost(
    collecting: Collecting, proxy: Any, buckets: list[str]
) -> None:
    proxy.fault = lambda op, number: "SlowDown" if op == "s3:GetBucketPolicy" and number % 2 else ""
    found = collecting(Limits(tries=8), services=["s3"], regions=["us-east-1"])
    assert proxy.failed["s3:GetBucketPolicy"]
    assert not [gap for record in by_name(found, "aws_s3_bucket").values() for gap in record["gaps"]]
    tries = [call.tries for call in found.calls if call.op == "s3:GetBucketPolicy"]
    assert max(tries) > 1


def test_what_is_throttled_beyond_the_budget_is_a_gap(
    collecting: Collecting, proxy: Any, buckets: list[str]
) -> None:
    proxy.fault = lambda op, number: "SlowDown" if op == "s3:GetBucketPolicy" else ""
    found = collecting(Limits(tries=2), services=["s3"], regions=["us-east-1"])
    outcomes = {call.outcome for call in found.calls if call.op == "s3:GetBucketPolicy"}
    assert outcomes == {Outcome.BUDGET}


@pytest.fixture
def tables(moto: Any, session: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables of a service that is made to name two at a time."""
    from collector_aws import wire

    client = session(moto.url).client("dynamodb")
    names = [f"table-{n}" for n in range(7)]
    for name in names:
        if name not in client.list_tables()["TableNames"]:
            client.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
    sent = wire.send

    def small(*given: Any) -> Any:
        *first, op, params, timeout = given
        return sent(*first, op, {**params, "Limit": 2} if op == "dynamodb:ListTables" else params, timeout)

    monkeypatch.setattr(wire, "send", small)
    return names


def test_lists_are_read_to_their_last_page(collecting: Collecting, tables: list[str]) -> None:
    """Nothing is missing, and nothing is there twice."""
    found = collecting(services=["dynamodb"], regions=["us-east-1"])
    names = [record["data"]["TableName"] for record in found.records["aws_dynamodb_table"]]
    assert sorted(names) == sorted(tables)
    pages = [call for call in found.calls if call.op == "dynamodb:ListTables"]
    assert [page.more for page in sorted(pages, key=lambda call: call.page)] == [True, True, True, False]


def test_a_list_that_stops_half_way_is_incomplete(
    collecting: Collecting, proxy: Any, tables: list[str]
) -> None:
    proxy.fault = lambda op, number: "InternalError" if op == "dynamodb:ListTables" and number == 3 else ""
    found = collecting(services=["dynamodb"], regions=["us-east-1"])
    assert len(found.records["aws_dynamodb_table"]) == 4
    assert "aws_dynamodb_table" in found.gap_kinds("dynamodb:ListTables")


def test_no_question_is_asked_twice_and_only_what_is_declared(collecting: Collecting, proxy: Any) -> None:
    """Every kind of the catalogue, over HTTP: the requests are those of the ledger, each once."""
    found = collecting(regions=["us-east-1"])
    declared = {operation.name for kind in Aws.kinds for operation in kind.operations}
    declared |= {operation.name for operation in Aws.discovery}
    assert set(proxy.counts) <= declared
    twice = {key: n for key, n in proxy.asked.items() if n > 1 and not key.startswith("sts:")}
    assert not twice
    asked: Counter[str] = Counter()
    for call in found.calls:
        asked[call.op] += call.tries
    assert dict(proxy.counts) == dict(asked)


def test_accounts_regions_and_roles(
    collecting: Collecting, moto: Any, session: Callable[..., Any], regions: tuple[str, ...]
) -> None:
    """Two accounts, reached through roles, in three regions; each record stands in its own scope."""
    roles = [f"arn:aws:iam::{account}:role/audit" for account in ("111111111111", "222222222222")]
    for number, role in enumerate(roles):
        session(moto.url, role=role).client("s3").create_bucket(Bucket=f"of-account-{number}")
    found = collecting(services=["s3", "sts"], roles=roles, external_id="x-1", regions=list(regions))
    where = {record["data"]["Name"]: record["scope"]["account"] for record in found.records["aws_s3_bucket"]}
    assert where["of-account-0"] == "111111111111"
    assert where["of-account-1"] == "222222222222"
    identities = found.records["aws_identity"]
    assert len(identities) == 2 * len(regions)
    assert all(":assumed-role/audit/" in record["data"]["Arn"] for record in identities)


def test_a_role_that_may_not_be_assumed_makes_discovery_incomplete(
    collecting: Collecting, proxy: Any
) -> None:
    proxy.fault = lambda op, number: "AccessDenied" if op == "sts:AssumeRole" else ""
    role = "arn:aws:iam::333333333333:role/audit"
    found = collecting(services=["s3"], roles=[role], regions=["us-east-1"])
    assert [call.outcome for call in found.calls] == [Outcome.DENIED]
    assert "AssumeRole" in found.calls[0].detail


def test_a_region_that_refuses_costs_one_call(collecting: Collecting, proxy: Any) -> None:
    """The identity is asked first; where that is refused, nothing else is asked, and every kind says so."""
    seen = {"n": 0}

    def refuse(op: str, number: int) -> str:
        seen["n"] += op == "sts:GetCallerIdentity"
        return "OptInRequired" if op == "sts:GetCallerIdentity" and seen["n"] > 1 else ""

    proxy.fault = refuse
    found = collecting(regions=["me-south-1"])
    assert {call.op for call in found.calls} == {"sts:GetCallerIdentity"}
    assert len(found.calls) == 3  # discovery, the account, the region
    assert {gap["kind"] for gap in found.gaps} == {kind.name for kind in Aws.kinds}


def test_an_endpoint_that_nobody_serves_is_unreachable(
    collecting: Collecting, aws_environment: pytest.MonkeyPatch
) -> None:
    aws_environment.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    found = collecting(services=["s3"], regions=["us-east-1"])
    outcomes = {call.outcome for call in found.calls if call.op == "s3:ListBuckets"}
    assert outcomes == {Outcome.UNREACHABLE}
