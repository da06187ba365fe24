"""Each operation that any kind declares is denied over HTTP: what is missing is said, and named.

By default several operations of different services are denied at once; with COLLECTOR_TEST_AWS_DENIALS=all
each in a run of its own. What the verdicts make of missing answers is tested in `tests/invariant`, where
calls fail at `ask`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from collector.model import Outcome
from collector_aws.catalogue import GATE
from collector_aws.source import Aws

Collecting = Callable[..., Any]

SINGLY = os.environ.get("COLLECTOR_TEST_AWS_DENIALS") == "all"
PARTS = 6


def _operations() -> list[str]:
    return sorted({operation.name for kind in Aws.kinds for operation in kind.operations} - {GATE})


def _parts() -> list[frozenset[str]]:
    """Operations in groups: those of one service lie in different groups as far as they go."""
    operations = _operations()
    if SINGLY:
        return [frozenset({op}) for op in operations]
    parts: dict[int, set[str]] = defaultdict(set)
    seen: dict[str, int] = defaultdict(int)
    for op in operations:
        service = op.partition(":")[0]
        parts[seen[service] % PARTS].add(op)
        seen[service] += 1
    return [frozenset(parts[number]) for number in sorted(parts)]


def _services(denied: frozenset[str]) -> list[str]:
    """In a run of one operation only its own service is asked, so that the whole takes minutes."""
    from collector_aws.catalogue import catalogue

    wanted = {op.partition(":")[0] for op in denied}
    named = {
        name
        for name, service in catalogue().items()
        if wanted
        & {operation.name.partition(":")[0] for node in service.nodes for operation in node.kind.operations}
    }
    return sorted(named) if SINGLY else []


@pytest.fixture(scope="session")
def seeds(moto: Any, seeded: Callable[[str], None]) -> None:
    seeded(moto.url)


@pytest.mark.parametrize(
    "denied", _parts(), ids=lambda part: min(part) if SINGLY else f"{len(part)}-operations"
)
def test_a_denied_operation_is_a_gap_that_names_it(
    denied: frozenset[str], collecting: Collecting, proxy: Any, seeds: None
) -> None:
    proxy.fault = lambda op, number: "AccessDenied" if op in denied else ""
    found = collecting(regions=["us-east-1"], services=_services(denied))
    asked = [call for call in found.calls if call.op in denied]
    assert asked
    assert {call.outcome for call in asked} <= {Outcome.DENIED}
    said = _said(found)
    for op in sorted({call.op for call in asked}):
        ids = {call.call for call in asked if call.op == op}
        telling = {kind for kind, call in said if call in ids}
        assert telling, f"{op} was denied and no kind says so"
        for kind in Aws.kinds:
            if op in kind.lists and kind.name in _kinds(found):
                assert kind.name in telling, f"{op} was denied and {kind.name} does not say so"


def _kinds(found: Any) -> set[str]:
    return {gap["kind"] for gap in found.gaps} | found.records.keys()


def _said(found: Any) -> set[tuple[str, str]]:
    """Kinds and calls that a gap, or a record with gaps, names."""
    said = {(gap["kind"], gap["call"]) for gap in found.gaps if "call" in gap}
    for kind, records in found.records.items():
        for record in records:
            if record["gaps"]:
                said |= {(kind, call) for call in record["calls"]}
    return said


def test_what_was_not_asked_because_a_detail_was_denied_is_a_gap(
    collecting: Collecting, proxy: Any, moto: Any, session: Callable[..., Any]
) -> None:
    """Whether a table has a policy is asked by the ARN that describing it tells."""
    session(moto.url).client("kinesis").create_stream(StreamName="denied", ShardCount=1)
    session(moto.url).client("kms").create_key()
    denied = ("kinesis:DescribeStreamSummary", "kms:DescribeKey")
    proxy.fault = lambda op, number: "AccessDeniedException" if op in denied else ""
    found = collecting(services=["kinesis", "kms"], regions=["us-east-1"])
    for kind, column in (("aws_kinesis_stream", "Policy"), ("aws_kms_key", "Rotation")):
        assert found.records[kind]
        for record in found.records[kind]:
            assert column in {gap["column"] for gap in record["gaps"] if gap["reason"] == "denied"}


def test_a_column_that_is_asked_of_some_items_names_the_call_that_says_of_which() -> None:
    from collector_aws.catalogue import catalogue

    for service in catalogue().values():
        for node in service.nodes:
            calls = {column.name: column.calls for column in node.kind.columns}
            for call in node.calls:
                paths = ([call.when[0]] if call.when else []) + ([call.batch.of] if call.batch else [])
                for path in paths:
                    deciding = set(calls.get(path.partition(".")[0], ()))
                    assert deciding <= set(calls[call.column]), (node.kind.name, call.column)
