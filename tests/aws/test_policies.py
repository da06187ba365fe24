"""What policy documents are taken to mean."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model import Outcome
from collector_aws.policies import statements
from collector_aws.rights import ESCALATIONS, SENSITIVE, granted
from collector_aws.statements import STATEMENTS

OWNER = "111111111111"
OTHER = "222222222222"


def one(**told: Any) -> Any:
    told = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **told}
    (found,) = statements({"Version": "2012-10-17", "Statement": told}, OWNER)
    return found


GITHUB = f"arn:aws:iam::{OWNER}:oidc-provider/token.actions.githubusercontent.com"

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
    **{
        f"{key} like {value}": {"Principal": "*", "Condition": {"StringLike": {key: value}}}
        for key, value in [
            ("aws:PrincipalOrgID", "o-*"),
            ("aws:PrincipalOrgPaths", "o-*/r-ab12/*"),
            ("aws:PrincipalAccount", "2222*"),
            ("aws:PrincipalArn", "arn*"),
            ("aws:SourceArn", "arn:aws:s3:::?*"),
            ("aws:SourceVpc", "vpc-*"),
            ("aws:SourceVpce", "vpce-*"),
            ("aws:userid", "AIDA*"),
            ("s3:DataAccessPointArn", "arn:aws:s3:*:*:accesspoint/*"),
        ]
    },
    "whoever is who they are": {
        "Principal": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}},
    },
    "another provider's star": {"Principal": {"Federated": "*"}},
    "a function's address without a sign-in": {
        "Principal": "*",
        "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    },
    "any account, through a service": {
        "Principal": "*",
        "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
    },
    "whoever does not come by a mount target": {
        "Principal": "*",
        "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "false"}},
    },
    "GitHub, bound by the audience that all its customers share": {
        "Principal": {"Federated": GITHUB},
        "Condition": {"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}},
    },
    "GitHub, any owner": {
        "Principal": {"Federated": GITHUB},
        "Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:*/app:*"}},
    },
    "GitHub, owners that begin alike": {
        "Principal": {"Federated": GITHUB},
        "Condition": {"StringLike": {"token.actions.githubusercontent.com:sub": "repo:acme*"}},
    },
    "GitHub, a subject that may be missing": {
        "Principal": {"Federated": GITHUB},
        "Condition": {"StringLikeIfExists": {"token.actions.githubusercontent.com:sub": "repo:acme/*"}},
    },
    "any user of Cognito": {"Principal": {"Federated": "cognito-identity.amazonaws.com"}},
    "any repository of GitHub": {
        "Principal": {"Federated": GITHUB},
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
    "the organisation of what is asked for": {
        "Principal": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}},
    },
    "a part of an organisation": {
        "Principal": "*",
        "Condition": {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1234567890/r-ab12/*"}},
    },
    "sessions of a role": {
        "Principal": "*",
        "Condition": {"StringLike": {"aws:userid": "AROA1234567890ABCDEFG:*"}},
    },
    "access points of an account": {
        "Principal": "*",
        "Condition": {"StringLike": {"s3:DataAccessPointArn": f"arn:aws:s3:*:{OWNER}:accesspoint/*"}},
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
    "those who come by a mount target": {
        "Principal": "*",
        "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
    },
    "users of one identity pool": {
        "Principal": {"Federated": "cognito-identity.amazonaws.com"},
        "Condition": {"StringEquals": {"cognito-identity.amazonaws.com:aud": "us-east-1:1a2b"}},
    },
    "a SAML provider of the account": {
        "Principal": {"Federated": f"arn:aws:iam::{OWNER}:saml-provider/people"}
    },
    "one repository": {
        "Principal": {"Federated": GITHUB},
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
        ({"Principal": {"CanonicalUser": "0f" * 32}}, ("0f" * 32,)),
        (
            {
                "Principal": {"CanonicalUser": "0f" * 32},
                "Condition": {"StringEquals": {"aws:PrincipalAccount": OTHER}},
            },
            ("0f" * 32,),
        ),
        ({"Principal": {"AWS": "127311923021"}, "Action": "s3:PutObject"}, ()),
        ({"Principal": {"AWS": "127311923021"}, "Action": "s3:GetObject"}, ("127311923021",)),
        ({"Principal": {"AWS": "127311923021"}, "Action": "s3:Put*"}, ("127311923021",)),
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
        ({"Action": "*", "Resource": "arn:aws:*"}, True),
        ({"Action": "*", "Resource": "*:*"}, True),
        ({"Action": "*", "Resource": "arn:aws-cn:*"}, True),
        ({"Action": "*", "Resource": "arn:aws-us-gov:*:*:*:*"}, True),
        ({"Action": "*", "Resource": "a*"}, True),
        ({"Action": "*", "Resource": "arn:aws:iam::*"}, False),
        ({"Action": "?*"}, True),
        ({"Action": "*?:*"}, True),
        ({"Action": "?"}, False),
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


@pytest.mark.parametrize(
    "resource", ["*", "arn:*", "arn:aws:kms:*:1:*", "arn:aws:kms:*:1:key/*", "arn:aws:*:*:*:*"]
)
def test_rights_on_all_that_a_service_holds_are_rights_on_everything(resource: str) -> None:
    assert "kms:Decrypt" in one(Action="kms:*", Resource=["arn:aws:s3:::a", resource]).sensitive


@pytest.mark.parametrize("resource", ["arn:aws:kms:eu-west-1:1:key/1a2b", "arn:aws:s3:::*", "kms"])
def test_rights_on_some_of_what_a_service_holds_are_not(resource: str) -> None:
    assert not one(Action="kms:*", Resource=resource).sensitive


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("states:CreateStateMachine", "arn:aws:states:*:*:stateMachine:*"),
        ("glue:CreateDevEndpoint", "arn:aws:glue:*:*:devEndpoint/*"),
        ("cloudformation:CreateStack", "arn:aws:cloudformation:*:*:stack/*/*"),
        ("logs:DeleteLogGroup", "arn:aws:logs:*:*:log-group:*:*"),
        ("ecs:RunTask", "arn:aws:e?s:*:*:task-definition/*:*"),
    ],
)
def test_all_resources_of_one_type_are_found_however_its_arn_is_written(action: str, resource: str) -> None:
    assert action in one(Action=action, Resource=resource).sensitive


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalAccount": OWNER}},
        {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
        {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OWNER}:*"}},
    ],
)
def test_who_the_caller_is_takes_no_rights_from_whoever_holds_a_policy(condition: dict[str, Any]) -> None:
    found = one(Action="iam:*", Condition=condition)
    assert "iam:PutUserPolicy" in found.escalation
    assert not one(Action="iam:*", Condition=condition, Principal="*").escalation
    at_home = {**condition, "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    assert not one(Action="iam:*", Condition=at_home).escalation


@pytest.mark.parametrize("part", ["*?", "?*", "*?*", "**?"])
def test_a_pattern_made_to_take_long_does_not(part: str) -> None:
    """Twelve seconds for ten parts before, and each two more took six times as long."""
    started = time.process_time()
    assert not one(Action=f"iam:{part * 400}!", Resource=f"arn:aws:iam:{part * 400}!").sensitive
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a*?c", "abc", True),
        ("a*?c", "ac", False),
        ("a??c", "abc", False),
        ("a?", "a", False),
        ("a*", "A", True),
    ],
)
def test_wildcards_stand_for_as_many_characters_as_they_say(pattern: str, text: str, matches: bool) -> None:
    assert granted([f"iam:{pattern}"], False, ["*"])(f"iam:{text}") is matches


def test_everything_but_some_resources_is_everything() -> None:
    (found,) = statements(
        {"Statement": {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::a"}}, OWNER
    )
    assert found.admin and found.everything and set(found.sensitive) == set(SENSITIVE)


def test_each_right_is_told_by_its_name_in_any_spelling() -> None:
    assert one(Action=["KMS:decrypt", "sts:Assume*"]).sensitive == ("kms:Decrypt", "sts:AssumeRole")
    assert one(Action="kms:Decrypt", Effect="Deny").sensitive == ()


def test_an_administrator_may_escalate_in_every_way() -> None:
    assert set(one(Action="*").escalation) == set(ESCALATIONS)


def test_a_service_without_a_bound_source_is_told_apart() -> None:
    told = {"Principal": {"Service": "sns.amazonaws.com"}}
    assert not one(**told).bound
    assert one(**told, Condition={"StringEquals": {"aws:SourceAccount": OWNER}}).bound


@pytest.mark.parametrize(
    ("condition", "bound"),
    [
        (
            {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": f"arn:aws:*:{OWNER}:*"}},
            True,
        ),
        ({"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": "*"}}, False),
        ({"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::logs"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, False),
        ({"StringEqualsIfExists": {"aws:SourceAccount": OWNER}}, False),
        ({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}, False),
    ],
)
def test_what_binds_the_source_of_a_service(condition: dict[str, Any], bound: bool) -> None:
    assert one(Principal={"Service": "logs.amazonaws.com"}, Condition=condition).bound is bound


@pytest.mark.parametrize(
    ("condition", "asks"),
    [
        ({"StringEquals": {"sts:ExternalId": "1a2b"}}, True),
        ({"StringLike": {"sts:ExternalId": "*"}}, False),
        ({"StringEqualsIfExists": {"sts:ExternalId": "1a2b"}}, False),
        ({"StringNotEquals": {"sts:ExternalId": "1a2b"}}, False),
        ({}, False),
    ],
)
def test_an_external_id_must_be_fixed_and_there(condition: dict[str, Any], asks: bool) -> None:
    assert one(Principal={"AWS": OTHER}, Condition=condition).external_id is asks


PLAIN = {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("told", "denies"),
    [
        ({"Principal": "*", "Condition": PLAIN}, True),
        ({"Principal": {"AWS": "*"}, "Condition": {"BoolIfExists": {"aws:SecureTransport": False}}}, True),
        ({"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({"Principal": "*", "Condition": {**PLAIN, "StringEquals": {"aws:SourceVpc": "vpc-1"}}}, False),
        ({"Principal": {"AWS": OWNER}, "Condition": PLAIN}, False),
        ({"Principal": "*", "Condition": PLAIN, "Effect": "Allow"}, False),
        ({"Principal": "*"}, False),
    ],
)
def test_plain_requests_are_denied_to_everybody_or_not_at_all(told: dict[str, Any], denies: bool) -> None:
    assert one(**{"Effect": "Deny", **told}).denies_plaintext is denies


@pytest.mark.parametrize(
    ("condition", "misses"),
    [
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, False),
        ({"StringNotLike": {"aws:PrincipalArn": "*"}}, True),
        ({"StringNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{OWNER}:role/x"}}, False),
        ({}, False),
    ],
)
def test_denials_that_miss_whom_they_mean(condition: dict[str, Any], misses: bool) -> None:
    assert one(Effect="Deny", Condition=condition).evadable is misses
    assert not one(Condition=condition).evadable


def test_the_accounts_of_load_balancers_are_let_in_for_nothing_but_logs() -> None:
    told = {"Effect": "Allow", "NotAction": "s3:PutObject", "Principal": {"AWS": "127311923021"}}
    (found,) = statements({"Statement": told}, OWNER)
    assert found.other_accounts == ("127311923021",)


def held(kind: str, **data: Any) -> list[dict[str, Any]]:
    record = {"kind": kind, "id": "it", "scope": {"account": OWNER}, "calls": ["c"], "data": data}
    return [dict(each.data) for each in STATEMENTS.compute({kind: [record]})]


TEXT = '{"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}}'


@pytest.mark.parametrize(
    ("kind", "data", "names"),
    [
        ("aws_s3_bucket", {"Policy": json.loads(TEXT)}, ["Policy"]),
        ("aws_sso_permission_set", {"InlinePolicy": TEXT}, ["InlinePolicy"]),
        ("aws_sso_permission_set", {"InlinePolicy": ""}, []),
        ("aws_apigateway_rest_api", {"policy": TEXT.replace('"', '\\"')}, ["policy"]),
        ("aws_ses_identity", {"Policies": {"b": TEXT, "a": TEXT}}, ["Policies a", "Policies b"]),
        (
            "aws_iam_policy",
            {
                "PolicyVersionList": [
                    {"VersionId": "v1", "IsDefaultVersion": False, "Document": json.loads(TEXT)},
                    {"VersionId": "v2", "IsDefaultVersion": True, "Document": json.loads(TEXT)},
                ]
            },
            ["PolicyVersionList v2"],
        ),
    ],
)
def test_a_policy_is_found_however_a_service_keeps_it(
    kind: str, data: dict[str, Any], names: list[str]
) -> None:
    found = held(kind, **data)
    assert [each["policy"] for each in found] == names
    assert all(each["public"] for each in found)


def test_an_organisations_policies_without_statements_are_left_out() -> None:
    tags = {"tags": {"CostCenter": {"tag_key": {"@@assign": "CostCenter"}}}}
    assert held("aws_organization_policy", Type="TAG_POLICY", Policy=tags) == []
    assert held("aws_organization_policy", Type="SERVICE_CONTROL_POLICY", Policy=json.loads(TEXT))


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"Statement": 1}', "{" * 100_000, '"\\"'])
def test_a_policy_that_cannot_be_read_is_a_gap_in_all_that_it_would_say(text: str) -> None:
    record = {
        "kind": "aws_s3_bucket",
        "id": "it",
        "scope": {"account": OWNER},
        "calls": ["c"],
        "data": {"Policy": text},
    }
    (found,) = STATEMENTS.compute({"aws_s3_bucket": [record]})
    assert {gap.column for gap in found.gaps} >= {"public", "other_accounts", "admin", "escalation"}
    assert "public" not in found.data


@pytest.mark.parametrize(
    ("kind", "column", "told"),
    [
        ("aws_iam_user", "UserPolicyList", ["x"]),
        ("aws_iam_user", "UserPolicyList", [None]),
        ("aws_iam_role", "RolePolicyList", {"PolicyName": "x"}),
        ("aws_iam_policy", "PolicyVersionList", [{"VersionId": "v1", "IsDefaultVersion": True}]),
        ("aws_ses_identity", "Policies", ["x"]),
    ],
)
def test_what_stands_where_policies_should_is_a_gap_and_never_nothing(
    kind: str, column: str, told: Any
) -> None:
    record = {"kind": kind, "id": "it", "scope": {"account": OWNER}, "calls": ["c"], "data": {column: told}}
    (found,) = STATEMENTS.compute({kind: [record]})
    assert {gap.reason for gap in found.gaps} == {Outcome.MALFORMED}
    assert "public" in {gap.column for gap in found.gaps}


JSON: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=12)
        | st.lists(JSON, max_size=3)
        | st.dictionaries(st.text(max_size=12), JSON, max_size=3)
    )
)


@settings(deadline=None)
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


@settings(deadline=None)
@given(told=st.dictionaries(st.sampled_from(KEYS), JSON))
def test_a_hostile_statement_is_read_or_refused(told: dict[str, Any]) -> None:
    try:
        (found,) = statements({"Statement": told}, OWNER)
    except ValueError:
        return
    assert found.data().keys() >= {"public", "actions", "other_accounts"}


@settings(deadline=None)
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


@settings(deadline=None)
@given(actions=st.lists(st.sampled_from(["*", "iam:*", "s3:Get*", "iam:PassRole", "ec2:*"]), min_size=1))
def test_more_actions_never_grant_less(actions: list[str]) -> None:
    assert set(one(Action=actions[:-1] or "s3:GetObject").escalation) <= set(one(Action=actions).escalation)
