"""Which rights a statement gives on everything: those that lead to more, and those that do harm.

"On everything" is judged for each action's own service: `arn:aws:kms:*:111122223333:key/*` is every key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

__all__ = ["ESCALATIONS", "SENSITIVE", "escalations", "every_action", "everything", "granted", "sensitive"]

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

_WILD = re.compile(r"[*?]")
_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")
_STRANGE_ARNS = ("iam::907856341209:user/qzx", "s3:::qzx/qzx", "ec2:qz-xq-9:907856341209:volume/qzx")
"""Resources that nobody names: a pattern that takes in all of them takes in whatever there is."""
_STRANGE_ACTIONS = ("qzx:jvw", "iam:createuser", "s3:getobject")

_READING = """dynamodb:Scan kms:Decrypt kms:ReEncryptFrom rds-data:ExecuteStatement s3:GetObject
secretsmanager:GetSecretValue ssm:GetParameter ssm:StartSession ssm:SendCommand sts:AssumeRole"""
_HIDING = """cloudtrail:DeleteTrail cloudtrail:PutEventSelectors cloudtrail:StopLogging
cloudtrail:UpdateTrail cloudwatch:DeleteAlarms config:DeleteConfigurationRecorder
config:StopConfigurationRecorder ec2:DeleteFlowLogs guardduty:DeleteDetector guardduty:UpdateDetector
logs:DeleteLogGroup logs:PutRetentionPolicy securityhub:DisableSecurityHub"""
_DESTROYING = """backup:DeleteBackupVault backup:DeleteRecoveryPoint dynamodb:DeleteTable ec2:DeleteSnapshot
ec2:DeleteVolume kms:DisableKey kms:ScheduleKeyDeletion rds:DeleteDBCluster rds:DeleteDBInstance
rds:DeleteDBSnapshot s3:DeleteBucket s3:DeleteObject s3:DeleteObjectVersion"""
_OPENING = """ec2:AuthorizeSecurityGroupIngress ec2:ModifyImageAttribute ec2:ModifySnapshotAttribute
iam:CreateUser iam:PassRole kms:CreateGrant kms:PutKeyPolicy lambda:AddPermission
organizations:LeaveOrganization ram:CreateResourceShare rds:ModifyDBSnapshotAttribute s3:PutBucketAcl
s3:PutBucketPolicy s3:PutBucketPublicAccessBlock secretsmanager:PutResourcePolicy"""

SENSITIVE: tuple[str, ...] = tuple(
    sorted(
        {
            *f"{_READING} {_HIDING} {_DESTROYING} {_OPENING}".split(),
            *(each for needed in ESCALATIONS.values() for each in needed),
        }
    )
)
"""Rights that read what is secret, hide traces, destroy, open doors, or take part in an escalation."""


def escalations(actions: Sequence[str], negated: bool, resources: Sequence[str]) -> Iterator[str]:
    """Those of `ESCALATIONS` that a statement gives by itself.

    Args:
        actions: patterns of `Action`, or of `NotAction` where `negated`.
        resources: patterns; ["*"] for what excludes only some.
    """
    held = granted(actions, negated, resources)
    for name, needed in ESCALATIONS.items():
        if all(map(held, needed)):
            yield name


def sensitive(actions: Sequence[str], negated: bool, resources: Sequence[str]) -> Iterator[str]:
    """Those of `SENSITIVE` that a statement gives on everything; arguments as of `escalations`."""
    yield from filter(granted(actions, negated, resources), SENSITIVE)


def granted(actions: Sequence[str], negated: bool, resources: Sequence[str]) -> Callable[[str], bool]:
    """The question whether an action is given on everything that its service holds."""
    whole = any(map(everything, resources))
    named = frozenset(each.lower() for each in actions if not _WILD.search(each))
    patterns = [each for each in map(_pattern, actions) if each is not None]

    def held(action: str) -> bool:
        lower = action.lower()
        matched = lower in named or any(
            lower.startswith(start) and (rest is None or rest.match(lower)) for start, rest in patterns
        )
        if matched is negated:
            return False
        return whole or any(_all_of(action.partition(":")[0], each) for each in resources)

    return held


def everything(resource: str) -> bool:
    """Whether a pattern takes in every resource of a partition: `*`, `arn:aws:*` and the like."""
    glob = _glob(resource)
    return any(all(glob.match(f"arn:{each}:{some}") for some in _STRANGE_ARNS) for each in _PARTITIONS)


def every_action(pattern: str) -> bool:
    """Whether a pattern of actions takes in all of them."""
    return all(map(_glob(pattern.lower()).match, _STRANGE_ACTIONS))


def _all_of(service: str, resource: str) -> bool:
    parts = resource.split(":", 5)
    if len(parts) < 6 or not _glob(parts[2]).match(service):
        return False
    return bool(re.fullmatch(r"\*+(?:/\*+)?|[A-Za-z0-9-]+(?:[/:]\*+)+", parts[5]))


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    """A pattern with `*` and `?`. A run of these is put together, so that matching takes no long search."""
    made = "".join(
        f".{{{part.count('?')},{'' if '*' in part else part.count('?')}}}" if number % 2 else re.escape(part)
        for number, part in enumerate(re.split(r"([*?]+)", pattern))
    )
    return re.compile(rf"{made}\Z", re.DOTALL)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> tuple[str, re.Pattern[str] | None] | None:
    """What an action must start with, and what it must match where that does not say all; lower case.

    A policy of AWS's holds hundreds of patterns, nearly all of them a start and a star.
    """
    found = _WILD.search(pattern)
    if found is None:
        return None
    lower = pattern.lower()
    start = lower[: found.start()]
    return start, None if not lower[found.start() :].strip("*") else _glob(lower)
