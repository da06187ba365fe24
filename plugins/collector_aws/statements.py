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

_DOCUMENTS = (
    "AccessPolicies",
    "AssumeRolePolicyDocument",
    "InlinePolicy",
    "Policy",
    "PolicyDocument",
    "PolicyInJson",
    "ResourcePolicy",
    "policy",
    "policyDocument",
)
_LISTS = {
    "UserPolicyList": ("PolicyName", "PolicyDocument"),
    "GroupPolicyList": ("PolicyName", "PolicyDocument"),
    "RolePolicyList": ("PolicyName", "PolicyDocument"),
    "PolicyVersionList": ("VersionId", "Document"),
}
_MAPS = {"aws_ses_identity": "Policies"}  # policies by their name
_OTHER_GRAMMARS = ("TAG_POLICY", "BACKUP_POLICY", "AISERVICES_OPT_OUT_POLICY")  # policies without statements

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
    Column("everything", "BOOLEAN", "whether on everything that there is"),
    Column("condition_keys", "VARCHAR[]", "keys of its conditions, lower case"),
    Column("public", "BOOLEAN", "anyone is let in: no condition binds the caller by a fixed value"),
    Column("other_accounts", "VARCHAR[]", "accounts, or canonical users, that it lets in beside the owner's"),
    Column("bound", "BOOLEAN", "a condition binds the source: account, resource or organisation"),
    Column("external_id", "BOOLEAN", "a condition asks for an external id that is fixed"),
    Column("admin", "BOOLEAN", "every action on every resource"),
    Column("escalation", "VARCHAR[]", "rights that lead to more rights, granted on everything"),
    Column("sensitive", "VARCHAR[]", "rights that reveal, hide, destroy or open, granted on everything"),
    Column("denies_plaintext", "BOOLEAN", "a denial to everybody for the one reason that TLS is not used"),
    Column("evadable", "BOOLEAN", "a denial that misses those whom it means: keys without MFA, unlike *"),
)

KIND = Kind(
    name="aws_policy_statement",
    title="Statements of all policies, and what each means",
    columns=_COLUMNS,
    identity=("source_kind", "resource_id", "policy", "number"),
    examples=("SELECT resource_id, actions FROM aws_policy_statement WHERE public",),
)


def _reads() -> dict[str, tuple[str, ...]]:
    found = {
        node.kind.name: tuple(
            column.name for column in node.kind.columns if _holds(node.kind.name, column.name, column.type)
        )
        for service in catalogue().values()
        for node in service.nodes
    }
    return {kind: columns for kind, columns in found.items() if columns}


def _holds(kind: str, column: str, type_: str) -> bool:
    """Whether a column holds policies."""
    if _MAPS.get(kind) == column:
        return True
    return type_ in ("JSON", "VARCHAR") and (column in _DOCUMENTS or column in _LISTS)


_READS = _reads()


def _compute(records: Mapping[str, Sequence[Mapping[str, Json]]]) -> Iterator[Record]:
    for kind in sorted(records):
        for record in records[kind]:
            if record["data"].get("Type") in _OTHER_GRAMMARS:
                continue
            for column in _READS[kind]:
                for name, document in _documents(kind, column, record["data"].get(column)):
                    yield from _rows(record, name, document)


def _documents(kind: str, column: str, held: Json) -> Iterator[tuple[str, Json]]:
    """Each policy that a column holds, with its name; an empty text means that there is none."""
    if held is None or held == "":
        return
    if _MAPS.get(kind) == column and isinstance(held, dict):
        for name in sorted(held):
            yield f"{column} {name}", held[name]
    elif column in _LISTS and isinstance(held, list):
        named, inside = _LISTS[column]
        for number, each in enumerate(held):
            if not isinstance(each, dict):
                yield f"{column} {number}", each  # no policy, which is said where it is read
            elif each.get("IsDefaultVersion", True):
                yield f"{column} {each.get(named)}", each.get(inside)
    else:
        yield column, held


def _read(document: Json) -> Json:
    """A policy that is still a text. API Gateway gives it with each quotation mark escaped."""
    if not isinstance(document, str):
        return document
    try:
        return json.loads(document)
    except ValueError:
        return json.loads(json.loads(f'"{document}"'))


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
        listed = list(policies.statements(_read(document), owner))
    except (ValueError, TypeError, RecursionError) as error:
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


STATEMENTS = Derived(kind=KIND, version=2, reads=_READS, compute=_compute)
