"""What a policy document means, statement by statement.

Follows the grammar of the IAM user guide ("Grammar of the IAM JSON policy language"): single values
may stand for lists, actions match without regard to case, `*` and `?` are wildcards. What a statement lets in
is judged by what it says: a condition narrows it only if it binds the caller or the source by a value that is
fixed, with an operator that fails where the key is missing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from collector.model import Json

__all__ = ["ESCALATIONS", "Statement", "statements"]

_ACCOUNT = re.compile(r"\d{12}\Z")
_MAX_STATEMENTS = 2_000  # the largest policy holds some 20 KB of JSON

_CALLER_KEYS = frozenset(
    """aws:principalaccount aws:principalarn aws:principalorgid aws:principalorgpaths aws:sourceaccount
    aws:sourcearn aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc aws:sourcevpce
    aws:sourcevpcarn aws:userid aws:vpcsourceip aws:sourceip kms:calleraccount kms:viaservice
    s3:dataaccesspointaccount s3:dataaccesspointarn elasticfilesystem:accessedviamounttarget
    lambda:functionurlauthtype""".split()
)
_ORGANISATION_KEYS = frozenset(
    "aws:principalorgid aws:principalorgpaths aws:sourceorgid aws:sourceorgpaths".split()
)
_SOURCE_KEYS = frozenset(
    "aws:sourceaccount aws:sourcearn aws:sourceorgid aws:sourceorgpaths aws:sourceowner".split()
)
_ACCOUNT_KEYS = frozenset(
    """aws:principalaccount aws:principalarn aws:sourceaccount aws:sourcearn aws:sourceowner
    kms:calleraccount""".split()
)
_FEDERATED_KEY = re.compile(r":(?:sub|aud|amr|email|saml:sub|saml:iss|repository|repository_owner)\Z")
_NARROW_OPERATORS = frozenset(
    "stringequals stringequalsignorecase stringlike arnequals arnlike ipaddress bool".split()
)
_LEAST_PREFIX = {4: 8, 6: 32}  # a wider range of addresses holds strangers

ESCALATIONS: Mapping[str, tuple[str, ...]] = {
    name: tuple(name.split("+"))
    for name in """iam:AddUserToGroup iam:AttachGroupPolicy iam:AttachRolePolicy iam:AttachUserPolicy
    iam:CreateAccessKey iam:CreateLoginProfile iam:CreatePolicyVersion iam:DeleteRolePermissionsBoundary
    iam:DeleteUserPermissionsBoundary iam:PutGroupPolicy iam:PutRolePolicy iam:PutUserPolicy
    iam:SetDefaultPolicyVersion iam:UpdateAssumeRolePolicy iam:UpdateLoginProfile
    lambda:UpdateFunctionCode sts:AssumeRole
    iam:PassRole+bedrock-agentcore:CreateCodeInterpreter
    iam:PassRole+cloudformation:CreateStack iam:PassRole+codebuild:CreateProject
    iam:PassRole+datapipeline:CreatePipeline iam:PassRole+ec2:RunInstances
    iam:PassRole+ecs:RunTask iam:PassRole+glue:CreateDevEndpoint iam:PassRole+glue:CreateJob
    iam:PassRole+lambda:CreateFunction iam:PassRole+sagemaker:CreateNotebookInstance
    iam:PassRole+ssm:StartAutomationExecution iam:PassRole+states:CreateStateMachine""".split()
}
"""Rights that lead to more rights where they are granted on everything; `+` joins what is needed together."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and what it means for the account that owns what it stands on."""

    number: int
    sid: str | None
    effect: str
    principals: tuple[str, ...]
    services: tuple[str, ...]
    federated: tuple[str, ...]
    not_principal: bool
    actions: tuple[str, ...]
    not_action: bool
    resources: tuple[str, ...]
    not_resource: bool
    condition_keys: tuple[str, ...]
    public: bool
    other_accounts: tuple[str, ...]
    bound: bool
    admin: bool
    escalation: tuple[str, ...]

    def data(self) -> dict[str, Json]:
        """As columns."""
        return {
            "number": self.number,
            "sid": self.sid,
            "effect": self.effect,
            "principals": list(self.principals),
            "services": list(self.services),
            "federated": list(self.federated),
            "not_principal": self.not_principal,
            "actions": list(self.actions),
            "not_action": self.not_action,
            "resources": list(self.resources),
            "not_resource": self.not_resource,
            "condition_keys": list(self.condition_keys),
            "public": self.public,
            "other_accounts": list(self.other_accounts),
            "bound": self.bound,
            "admin": self.admin,
            "escalation": list(self.escalation),
        }


def statements(document: Json, owner: str) -> Iterator[Statement]:
    """The statements of a document.

    Args:
        document: parsed JSON.
        owner: number of the account that it stands in.

    Raises:
        ValueError: it is no policy document, or too large.
    """
    if not isinstance(document, dict) or "Statement" not in document:
        raise ValueError("no Statement")
    told = document["Statement"]
    listed = told if isinstance(told, list) else [told]
    if len(listed) > _MAX_STATEMENTS or not all(isinstance(each, dict) for each in listed):
        raise ValueError("no list of statements")
    for number, each in enumerate(listed):
        yield _statement(number, each, owner)


def _statement(number: int, told: Mapping[str, Json], owner: str) -> Statement:
    effect = str(told.get("Effect", ""))
    allow = effect == "Allow"
    named = _principals(told.get("Principal"))
    not_principal = "NotPrincipal" in told
    actions, not_action = _either(told, "Action")
    resources, not_resource = _either(told, "Resource")
    conditions = list(_conditions(told.get("Condition")))
    narrow = [each for each in conditions if each.narrows]
    anyone = allow and ("*" in named["AWS"] or not_principal)
    federated = allow and any(_open_federation(name) for name in named["Federated"])
    unbound = federated and not any(_FEDERATED_KEY.search(each.key) for each in conditions)
    wide = "*" in resources and not not_resource
    return Statement(
        number=number,
        sid=told["Sid"] if isinstance(told.get("Sid"), str) else None,
        effect=effect,
        principals=tuple(named["AWS"] + named["CanonicalUser"]),
        services=tuple(named["Service"]),
        federated=tuple(named["Federated"]),
        not_principal=not_principal,
        actions=tuple(actions),
        not_action=not_action,
        resources=tuple(resources),
        not_resource=not_resource,
        condition_keys=tuple(sorted({each.key for each in conditions})),
        public=(anyone and not narrow) or unbound,
        other_accounts=tuple(_others(named["AWS"], narrow, owner)) if allow else (),
        bound=any(each.key in _SOURCE_KEYS for each in narrow),
        admin=allow and wide and not not_action and any(each.strip("*:") == "" and each for each in actions),
        escalation=tuple(_escalations(actions, not_action)) if allow and wide and not narrow else (),
    )


@dataclass(frozen=True, slots=True)
class _Condition:
    key: str
    values: tuple[str, ...]
    narrows: bool


def _conditions(told: Json) -> Iterator[_Condition]:
    if not isinstance(told, dict):
        return
    for operator, keys in told.items():
        for key, values in keys.items() if isinstance(keys, dict) else ():
            texts = tuple(_texts(values))
            lower = key.lower()
            yield _Condition(lower, texts, _narrows(operator.lower(), lower, texts))


def _narrows(operator: str, key: str, values: Sequence[str]) -> bool:
    """Whether a condition keeps strangers out, whatever they send along."""
    operator = operator.removeprefix("foranyvalue:")
    if key not in _CALLER_KEYS or operator not in _NARROW_OPERATORS or not values:
        return False
    if key in ("aws:sourceip", "aws:vpcsourceip"):
        return operator == "ipaddress" and all(map(_few_addresses, values))
    return all(_fixed(key, value) for value in values)


def _fixed(key: str, value: str) -> bool:
    """Whether a value names somebody: in an ARN at least the account, elsewhere more than wildcards."""
    if value.startswith("arn:") and key in ("aws:sourcearn", "aws:principalarn"):
        parts = value.split(":", 5)
        if len(parts) > 2 and parts[2] == "s3" and len(parts) == 6:
            return bool(parts[5].strip("*?"))
        return len(parts) > 4 and bool(_ACCOUNT.match(parts[4]))
    return len(value.strip("*?")) > 1 and not value.startswith(("*", "?"))


def _few_addresses(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _LEAST_PREFIX[network.version]


def _others(principals: Sequence[str], narrow: Sequence[_Condition], owner: str) -> list[str]:
    """Accounts that are let in beside the owner: those named, or, where anyone is, those of conditions."""
    if any(each.key in _ORGANISATION_KEYS for each in narrow):
        return []
    bound = {
        account for each in narrow if each.key in _ACCOUNT_KEYS for account in map(_account, each.values)
    }
    named = {_account(each) for each in principals if each != "*"}
    if "*" in principals:
        named |= bound
    elif bound - {""}:
        named &= bound
    return sorted(named - {"", owner})


def _account(principal: str) -> str:
    if _ACCOUNT.match(principal):
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) > 4 and _ACCOUNT.match(parts[4]) else ""


def _open_federation(name: str) -> bool:
    """Whether an identity provider also vouches for strangers."""
    return name in (
        "*",
        "cognito-identity.amazonaws.com",
        "accounts.google.com",
        "graph.facebook.com",
    ) or any(
        host in name
        for host in ("token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io", "circleci")
    )


def _principals(told: Json) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {"AWS": [], "Service": [], "Federated": [], "CanonicalUser": []}
    if isinstance(told, dict):
        for kind, values in told.items():
            named.setdefault(kind, []).extend(_texts(values))
    else:
        named["AWS"] += _texts(told)
    return named


def _either(told: Mapping[str, Json], name: str) -> tuple[list[str], bool]:
    """The values of `Action` or of `NotAction`, and whether it was the latter."""
    if f"Not{name}" in told:
        return list(_texts(told[f"Not{name}"])), True
    return list(_texts(told.get(name))), False


def _texts(told: Json) -> Iterator[str]:
    for each in told if isinstance(told, list) else [told]:
        if isinstance(each, bool):
            yield str(each).lower()
        elif each is not None and not isinstance(each, (dict, list)):
            yield str(each)


def _escalations(actions: Sequence[str], negated: bool) -> Iterator[str]:
    for name, needed in ESCALATIONS.items():
        if all(any(_matches(pattern, each) for pattern in actions) is not negated for each in needed):
            yield name


def _matches(pattern: str, action: str) -> bool:
    return bool(_compiled(pattern).match(action))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"([*?])", re.sub(r"\*+", "*", pattern))
    made = "".join(".*" if part == "*" else "." if part == "?" else re.escape(part) for part in parts)
    return re.compile(rf"{made}\Z", re.IGNORECASE)
