"""The derived table `aws_policy_statement`: what every policy that was collected says.

A column that holds a policy is found by its name, so that a kind that is added is judged too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from collector.model import Column, ColumnGap, Derived, Identity, Json, Kind, Outcome, Record
from collector_aws import policies
from collector_aws.catalogue import catalogue

__all__ = ["STATEMENTS"]

_DOCUMENTS = ("Policy", "ResourcePolicy", "AssumeRolePolicyDocument", "AccessPolicies", "PolicyDocument")
_LISTS = {
    "UserPolicyList": ("PolicyName", "PolicyDocument"),
    "GroupPolicyList": ("PolicyName", "PolicyDocument"),
    "RolePolicyList": ("PolicyName", "PolicyDocument"),
    "PolicyVersionList": ("VersionId", "Document"),
}
_ATTRIBUTES = "Attributes"  # SNS and SQS: a map of strings, one of which may be a policy

_COLUMNS = (
    Column("source_kind", "VARCHAR", "kind of the record that holds the policy"),
    Column("resource_id", "VARCHAR", "id of that record", identity=Identity.RESOURCE),
    Column("policy", "VARCHAR", "column and name of the policy"),
    Column("owner_account", "VARCHAR", "the account that it stands in"),
    Column("number", "BIGINT", "place of the statement, counted from 0"),
    Column("sid", "VARCHAR", "the statement's own name"),
    Column("effect", "VARCHAR", "Allow or Deny"),
    Column("principals", "VARCHAR[]", "accounts, users and roles that it speaks of"),
    Column("services", "VARCHAR[]", "AWS services that it speaks of"),
    Column("federated", "VARCHAR[]", "identity providers that it speaks of"),
    Column("not_principal", "BOOLEAN", "whether it speaks of all but those named"),
    Column("actions", "VARCHAR[]", "what it is about"),
    Column("not_action", "BOOLEAN", "whether it is about everything but that"),
    Column("resources", "VARCHAR[]", "on what"),
    Column("not_resource", "BOOLEAN", "whether on everything but that"),
    Column("condition_keys", "VARCHAR[]", "keys of its conditions, lower case"),
    Column("public", "BOOLEAN", "anyone is let in: no condition binds the caller by a fixed value"),
    Column("other_accounts", "VARCHAR[]", "accounts that it lets in beside the owner's"),
    Column("bound", "BOOLEAN", "a condition binds the source: account, resource or organisation"),
    Column("admin", "BOOLEAN", "every action on every resource"),
    Column("escalation", "VARCHAR[]", "rights that lead to more rights, granted on everything"),
)

KIND = Kind(
    name="aws_policy_statement",
    title="Statements of all policies, and what each means",
    columns=_COLUMNS,
    identity=("source_kind", "resource_id", "policy", "number"),
    examples=("SELECT resource_id, actions FROM aws_policy_statement WHERE public",),
)


def _reads() -> dict[str, tuple[str, ...]]:
    wanted = (*_DOCUMENTS, *_LISTS)
    found: dict[str, tuple[str, ...]] = {}
    for service in catalogue().values():
        for node in service.nodes:
            names = [
                column.name for column in node.kind.columns if column.name in wanted and column.type == "JSON"
            ]
            if node.op in ("sns:ListTopics", "sqs:ListQueues"):
                names += [column.name for column in node.kind.columns if column.name == _ATTRIBUTES]
            if names:
                found[node.kind.name] = tuple(names)
    return found


_READS = _reads()


def _compute(records: Mapping[str, Sequence[Mapping[str, Json]]]) -> Iterator[Record]:
    for kind in sorted(records):
        for record in records[kind]:
            for column in _READS[kind]:
                for name, document in _documents(column, record["data"].get(column)):
                    yield from _rows(record, name, document)


def _documents(column: str, held: Json) -> Iterator[tuple[str, Json]]:
    """Each policy that a column holds, with its name."""
    if held is None:
        return
    if column == _ATTRIBUTES:
        if isinstance(held, dict) and held.get("Policy"):
            yield "Policy", held["Policy"]
    elif column in _LISTS:
        named, inside = _LISTS[column]
        for each in held if isinstance(held, list) else ():
            if each.get("IsDefaultVersion", True):
                yield f"{column} {each.get(named)}", each.get(inside)
    else:
        yield column, held


def _rows(record: Mapping[str, Json], name: str, document: Json) -> Iterator[Record]:
    owner = record["scope"].get("account", "")
    told = {
        "source_kind": record["kind"],
        "resource_id": record["id"],
        "policy": name,
        "owner_account": owner,
    }
    where = f"{record['kind']} {record['id']} {name}"
    calls = tuple(record["calls"])
    try:
        read = json.loads(document) if isinstance(document, str) else document
        listed = list(policies.statements(read, owner))
    except (ValueError, RecursionError) as error:
        why = str(error)[:100]
        gaps = tuple(
            ColumnGap(column.name, Outcome.MALFORMED, None, why)
            for column in _COLUMNS
            if column.name not in told
        )
        yield Record(KIND.name, where, record["scope"], calls, told, gaps)
        return
    for statement in listed:
        data = {**told, **statement.data()}
        yield Record(KIND.name, f"{where} {statement.number}", record["scope"], calls, data)


STATEMENTS = Derived(kind=KIND, version=1, reads=_READS, compute=_compute)
