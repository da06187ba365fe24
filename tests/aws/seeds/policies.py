"""Policies of resources and identities: an account that lets in whom it means, and one that lets in anybody.

What moto cannot hold is left out: policies of backup vaults, file caches, package domains and Kafka clusters.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

__all__ = ["seed_bad", "seed_good"]

_PARTNER = "999999999999"
_PLAIN = {"Bool": {"aws:SecureTransport": "false"}}
_GITHUB = "token.actions.githubusercontent.com"


def seed_good(session: Any, region: str) -> None:
    """Every statement names whom it lets in, and for what."""
    account = _account(session, region)
    own = {"AWS": f"arn:aws:iam::{account}:root"}
    bound = {"StringEquals": {"aws:SourceAccount": account}}
    service = {"Principal": {"Service": "events.amazonaws.com"}, "Condition": bound}
    _resources(session, region, account, "kept", own, [service])
    caller = {"Principal": "events.amazonaws.com", "SourceAccount": account}
    _function(session, region, "kept", caller)
    _identities(
        session,
        account,
        "kept",
        trust=[
            {"Principal": {"AWS": _PARTNER}, "Condition": {"StringEquals": {"sts:ExternalId": "1a2b3c"}}},
            _from_github(account, {"StringLike": {f"{_GITHUB}:sub": "repo:acme/app:*"}}),
        ],
        allowed=[{"Action": ["sqs:SendMessage"], "Resource": f"arn:aws:sqs:{region}:{account}:kept"}],
        denied={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    )


def seed_bad(session: Any, region: str) -> None:
    """Statements for everybody, for other accounts and unbound services, and rights without bounds."""
    account = _account(session, region)
    service = {"Principal": {"Service": "events.amazonaws.com"}}
    partner = {"Principal": {"AWS": f"arn:aws:iam::{_PARTNER}:root"}}
    _resources(session, region, account, "open", "*", [service, partner], deny=False)
    _function(session, region, "open", {"Principal": "*"})
    _function(session, region, "open-too", {"Principal": "events.amazonaws.com"})
    _identities(
        session,
        account,
        "open",
        trust=[
            {"Principal": {"AWS": "*"}},
            {"Principal": {"AWS": _PARTNER}},
            _from_github(account, {"StringEquals": {f"{_GITHUB}:aud": "sts.amazonaws.com"}}),
        ],
        allowed=[
            {"Action": "*", "Resource": "*"},
            {"NotAction": "iam:*", "Resource": "*"},
            {"Action": ["kms:Decrypt", "iam:PassRole"], "Resource": "*"},
            {"Action": "iam:PutUserPolicy", "Resource": f"arn:aws:iam::{account}:user/*"},
        ],
        denied={"Bool": {"aws:MultiFactorAuthPresent": "false"}},
    )


def _account(session: Any, region: str) -> str:
    return str(session.client("sts", region_name=region).get_caller_identity()["Account"])


def _from_github(account: str, condition: dict[str, Any]) -> dict[str, Any]:
    provider = {"Federated": f"arn:aws:iam::{account}:oidc-provider/{_GITHUB}"}
    return {"Principal": provider, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _policy(action: str, resource: Any, principal: Any, more: list[dict[str, Any]], deny: str = "") -> str:
    told = [{"Principal": principal}, *more]
    allowed = [{"Effect": "Allow", "Action": action, "Resource": resource, **each} for each in told]
    refused = {"Effect": "Deny", "Action": deny, "Resource": resource, "Principal": "*", "Condition": _PLAIN}
    return _document([*allowed, refused] if deny else allowed)


def _resources(
    session: Any,
    region: str,
    account: str,
    name: str,
    principal: Any,
    more: list[dict[str, Any]],
    deny: bool = True,
) -> None:
    def client(service: str) -> Any:
        return session.client(service, region_name=region)

    def made(action: str, resource: Any, refused: str = "") -> str:
        return _policy(action, resource, principal, more, refused if deny else "")

    bucket = f"{name}-{account}"
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client("s3").create_bucket(Bucket=bucket, **where)
    objects = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    client("s3").put_bucket_policy(Bucket=bucket, Policy=made("s3:GetObject", objects, "s3:*"))
    queue = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    attributes = {"Policy": made("sqs:SendMessage", f"arn:aws:sqs:{region}:{account}:{name}", "sqs:*")}
    client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=attributes)
    topic = client("sns").create_topic(Name=name)["TopicArn"]
    client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=made("sns:Publish", topic, "sns:Publish")
    )
    client("kms").create_key(Policy=made("kms:Decrypt", "*"), Description=name)
    secret = client("secretsmanager").create_secret(Name=name, SecretString="x")["ARN"]
    client("secretsmanager").put_resource_policy(
        SecretId=secret, ResourcePolicy=made("secretsmanager:GetSecretValue", "*")
    )
    client("ecr").create_repository(repositoryName=name)
    client("ecr").set_repository_policy(repositoryName=name, policyText=made("ecr:BatchGetImage", "*"))
    # moto keeps the policy of a file system as it was put, without asking for its shape
    system = client("efs").create_file_system(CreationToken=name)["FileSystemId"]
    client("efs").put_file_system_policy(
        FileSystemId=system, Policy=made("elasticfilesystem:ClientMount", "*", "*")
    )


def _function(session: Any, region: str, name: str, told: dict[str, str]) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("main.py", "def handler(event, context): pass")
    lambda_ = session.client("lambda", region_name=region)
    iam = session.client("iam", region_name=region)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=f"{name}-runs", AssumeRolePolicyDocument=_document([trust]))["Role"][
        "Arn"
    ]
    lambda_.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="main.handler",
        Code={"ZipFile": code.getvalue()},
    )
    lambda_.add_permission(FunctionName=name, StatementId="let", Action="lambda:InvokeFunction", **told)


def _identities(
    session: Any,
    account: str,
    name: str,
    trust: list[dict[str, Any]],
    allowed: list[dict[str, Any]],
    denied: dict[str, Any],
) -> None:
    iam = session.client("iam", region_name="us-east-1")
    trusting = [{"Effect": "Allow", "Action": "sts:AssumeRole", **each} for each in trust]
    iam.create_role(RoleName=f"{name}-partner", AssumeRolePolicyDocument=_document(trusting))
    refused = {"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*", "Condition": denied}
    document = _document([*({"Effect": "Allow", **each} for each in allowed), refused])
    iam.put_role_policy(RoleName=f"{name}-partner", PolicyName="inline", PolicyDocument=document)
    policy = iam.create_policy(PolicyName=f"{name}-work", PolicyDocument=document)["Policy"]["Arn"]
    # what neither policy gives alone
    iam.create_user(UserName=f"{name}-ines")
    iam.attach_user_policy(UserName=f"{name}-ines", PolicyArn=policy)
    start = {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*"}
    iam.put_user_policy(UserName=f"{name}-ines", PolicyName="start", PolicyDocument=_document([start]))
