"""What can be made of settings and of discovery's answers: names of accounts, regions and roles.

Plans are made of these, so that what does not have the form that AWS gives them is refused: a setting with a
line for whoever wrote it, an answer as one that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from collector.model import CallFailed, Json
from collector_aws.catalogue import GATE

__all__ = ["ACCOUNTS", "REGIONS", "is_open", "readable", "refuse"]

REGIONS = "ec2:DescribeRegions"
ACCOUNTS = "organizations:ListAccounts"

_ACCOUNT = re.compile(r"\d{12}\Z")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}\Z")
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?:\d{12})?:.{1,2000}\Z", re.DOTALL)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}\Z", re.ASCII)
_ROLE_NAME = re.compile(r"[\w+=,.@/-]{1,576}\Z", re.ASCII)  # with its path


def refuse(regions: Sequence[str], roles: Sequence[str], organization_role: str, external_id: str) -> None:
    """Refuse settings that no account, region or role can have.

    Raises:
        ValueError: one line, which key and what would be right.
    """
    for each in regions:
        if not _REGION.match(each):
            raise ValueError(f"regions: {each[:80]!r} is no region; write it as in eu-west-1")
    for each in roles:
        if not _ROLE.match(each):
            like = "arn:aws:iam::111111111111:role/audit"
            raise ValueError(f"roles: {each[:200]!r} is no ARN of a role; write it as in {like}")
    if organization_role and not _ROLE_NAME.match(organization_role):
        raise ValueError(
            f"organization_role: {organization_role[:200]!r} is no name of a role; write it as in audit"
        )
    if external_id and not (roles or organization_role):
        raise ValueError("external_id: no role asks for it; give roles or organization_role too")


def readable(op: str, data: Json) -> None:
    """Refuse an answer of discovery that lacks what plans are made of.

    Raises:
        CallFailed: `unreadable`, with what is missing.
    """
    test = _ANSWERS.get(op)
    if test is not None and not (isinstance(data, dict) and test(data)):
        raise CallFailed("unreadable", f"{op} gave an answer without what it must hold")


def is_open(account: Mapping[str, Json]) -> bool:
    """Whether an account of an organisation is in use; `State` came in place of `Status` in 2026."""
    return bool(_state(account) == "ACTIVE")


def _state(account: Mapping[str, Json]) -> Json:
    return account.get("State") or account.get("Status")


def _is(form: re.Pattern[str], value: Json) -> bool:
    return isinstance(value, str) and form.match(value) is not None


def _all(listed: Json, holds: Callable[[Mapping[str, Json]], bool]) -> bool:
    return isinstance(listed, list) and all(isinstance(each, dict) and holds(each) for each in listed)


_ANSWERS: Mapping[str, Callable[[Mapping[str, Json]], bool]] = {
    GATE: lambda told: _is(_ACCOUNT, told.get("Account")) and _is(_ARN, told.get("Arn")),
    REGIONS: lambda told: _all(told.get("Regions"), lambda one: _is(_REGION, one.get("RegionName"))),
    ACCOUNTS: lambda told: _all(
        told.get("Accounts"),
        lambda one: (
            _is(_ACCOUNT, one.get("Id")) and _is(_ARN, one.get("Arn")) and isinstance(_state(one), str)
        ),
    ),
}
