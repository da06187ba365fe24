"""What policy documents are taken to mean."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_aws.policies import ESCALATIONS, statements

OWNER = "111111111111"
OTHER = "222222222222"


def one(**told: Any) -> Any:
    told = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **told}
    (found,) = statements({"Version": "2012-10-17", "Statement": told}, OWNER)
    return found


PUBLIC = {
    "a star": {"Principal": "*"},
    "a star for AWS": {"Principal": {"AWS": "*"}},
    "a star among others": {"Principal": {"AWS": [OWNER, "*"]}},
    "all but one": {"NotPrincipal": {"AWS": OWNER}},
    "a condition on transport": {"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    "a source that is a wildcard": {"Principal": "*", "Condition": {"ArnLike": {"aws:SourceArn": "*"}}},
    "a source in any account": {
        "Principal": "*",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-east-1:*:topic"}},
    },
    "a condition that a missing key meets": {
        "Principal": "*",
        "Condition": {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1234567890"}},
    },
    "a condition that an empty key meets": {
        "Principal": "*",
        "Condition": {"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-1/r-1"}},
    },
    "all but an organisation": {
        "Principal": "*",
        "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
    },
    "all addresses": {"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}},
    "half of all addresses": {
        "Principal": "*",
        "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "128.0.0.0/1"]}},
    },
    "all IPv6 addresses": {"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "::/0"}}},
    "one value of several that is open": {
        "Principal": "*",
        "Condition": {"StringLike": {"aws:PrincipalArn": [f"arn:aws:iam::{OWNER}:role/x", "*"]}},
    },
    "any repository of GitHub": {
        "Principal": {"Federated": f"arn:aws:iam::{OWNER}:oidc-provider/token.actions.githubusercontent.com"},
        "Action": "sts:AssumeRoleWithWebIdentity",
    },
}

CLOSED = {
    "nobody": {},
    "the owner": {"Principal": {"AWS": OWNER}},
    "a denial of everybody": {"Effect": "Deny", "Principal": "*"},
    "an organisation": {
        "Principal": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
    },
    "an organisation, spelt otherwise": {
        "Principal": "*",
        "Condition": {"stringequals": {"AWS:principalorgid": ["o-1234567890"]}},
    },
    "an account's source": {"Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": OWNER}}},
    "a source in an account": {
        "Principal": "*",
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{OWNER}:*"}},
    },
    "a bucket as source": {
        "Principal": "*",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::logs"}},
    },
    "few addresses": {"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
    "an endpoint": {"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1a2b"}}},
    "a service": {"Principal": {"Service": "sns.amazonaws.com"}},
    "one repository": {
        "Principal": {"Federated": f"arn:aws:iam::{OWNER}:oidc-provider/token.actions.githubusercontent.com"},
        "Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme/app:*"}},
    },
}


@pytest.mark.parametrize("told", PUBLIC.values(), ids=PUBLIC)
def test_these_let_anyone_in(told: dict[str, Any]) -> None:
    assert one(**told).public


@pytest.mark.parametrize("told", CLOSED.values(), ids=CLOSED)
def test_these_do_not(told: dict[str, Any]) -> None:
    assert not one(**told).public


@pytest.mark.parametrize(
    ("told", "accounts"),
    [
        ({"Principal": {"AWS": OTHER}}, (OTHER,)),
        ({"Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}, (OTHER,)),
        ({"Principal": {"AWS": [f"arn:aws:iam::{OWNER}:root", f"arn:aws:iam::{OTHER}:user/a"]}}, (OTHER,)),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": OTHER}}}, (OTHER,)),
        ({"Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": OWNER}}}, ()),
        ({"Principal": {"AWS": OTHER}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-123"}}}, ()),
        ({"Principal": {"AWS": OTHER}, "Effect": "Deny"}, ()),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, ()),
        ({"Principal": {"AWS": "AIDAEXAMPLE"}}, ()),
    ],
)
def test_accounts_beside_the_owner_are_named(told: dict[str, Any], accounts: tuple[str, ...]) -> None:
    assert one(**told).other_accounts == accounts


@pytest.mark.parametrize(
    ("told", "admin"),
    [
        ({"Action": "*"}, True),
        ({"Action": ["s3:Get*", "*:*"]}, True),
        ({"Action": "*", "Resource": ["arn:aws:s3:::a", "*"]}, True),
        ({"Action": "*", "Resource": "arn:aws:s3:::a"}, False),
        ({"Action": "s3:*"}, False),
        ({"Action": "*", "Effect": "Deny"}, False),
    ],
)
def test_every_action_on_everything_is_an_administrator(told: dict[str, Any], admin: bool) -> None:
    assert one(**told).admin is admin


def test_what_an_exclusion_leaves_over_may_escalate() -> None:
    (found,) = statements(
        {"Statement": {"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}}, OWNER
    )
    assert found.not_action
    assert "lambda:UpdateFunctionCode" in found.escalation
    assert not any(name.startswith("iam:") for name in found.escalation)


def test_rights_that_escalate_together_are_found_together_only() -> None:
    assert "iam:PassRole+ec2:RunInstances" in one(Action=["iam:pass*", "EC2:RunInst?nces"]).escalation
    assert not one(Action=["iam:PassRole"]).escalation
    assert not one(Action=["iam:PassRole", "ec2:RunInstances"], Resource="arn:aws:iam::1:role/x").escalation


def test_an_administrator_may_escalate_in_every_way() -> None:
    assert set(one(Action="*").escalation) == set(ESCALATIONS)


def test_a_service_without_a_bound_source_is_told_apart() -> None:
    told = {"Principal": {"Service": "sns.amazonaws.com"}}
    assert not one(**told).bound
    assert one(**told, Condition={"StringEquals": {"aws:SourceAccount": OWNER}}).bound


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


@given(document=JSON)
def test_any_json_gives_statements_or_is_refused(document: Any) -> None:
    with contextlib.suppress(ValueError):
        list(statements(document, OWNER))


KEYS = (
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
    "Sid",
)


@given(told=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_a_hostile_statement_is_read_or_refused(told: dict[str, Any]) -> None:
    try:
        (found,) = statements({"Statement": told}, OWNER)
    except ValueError:
        return
    assert found.data().keys() >= {"public", "actions", "other_accounts"}


@given(
    principal=st.sampled_from(["*", {"AWS": "*"}, {"AWS": OTHER}]),
    operator=st.sampled_from(["StringEquals", "StringLike", "ArnLike", "IpAddress"]),
    key=st.sampled_from(["aws:SourceAccount", "aws:PrincipalOrgID", "aws:SourceArn", "aws:SourceIp"]),
    values=st.lists(st.sampled_from(["*", OTHER, "o-1", "10.0.0.0/8", "0.0.0.0/0"]), min_size=1, max_size=3),
    more=st.sampled_from(["*", OTHER, "0.0.0.0/0"]),
)
def test_another_value_in_a_condition_never_closes(
    principal: Any, operator: str, key: str, values: list[str], more: str
) -> None:
    """Values of one key are alternatives: the more there are, the more callers are let in."""
    fewer = one(Principal=principal, Condition={operator: {key: values}})
    most = one(Principal=principal, Condition={operator: {key: [*values, more]}})
    assert most.public or not fewer.public


@given(actions=st.lists(st.sampled_from(["*", "iam:*", "s3:Get*", "iam:PassRole", "ec2:*"]), min_size=1))
def test_more_actions_never_grant_less(actions: list[str]) -> None:
    assert set(one(Action=actions[:-1] or "s3:GetObject").escalation) <= set(one(Action=actions).escalation)
