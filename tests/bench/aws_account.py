"""An account in a double of AWS, with about as many resources as asked for, over the usual services.

    python -m tests.bench.aws_account ENDPOINT_URL COUNT

What is asked about one by one (buckets, functions, queues …) has a share that a real account has; what a
large account has most of (snapshots, volumes, log groups, security groups) makes up the rest. Every third
resource is as it should be, so that both verdicts occur.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

__all__ = ["SHARES", "clients", "seed"]

REGION = "us-east-1"
_THREADS = 16
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)

Client = Callable[[str], Any]


def _policy(action: str, resource: str = "*", **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def user(client: Client, n: int) -> None:
    iam = client("iam")
    iam.create_user(UserName=f"user-{n}")
    if n % 3:
        iam.create_login_profile(UserName=f"user-{n}", Password="Long-enough-4-a-test!")
    if n % 2:
        iam.create_access_key(UserName=f"user-{n}")


def role(client: Client, n: int) -> None:
    iam = client("iam")
    iam.create_role(RoleName=f"role-{n}", AssumeRolePolicyDocument=_TRUST)
    document = _policy("*" if n % 5 == 1 else "s3:GetObject")
    iam.put_role_policy(RoleName=f"role-{n}", PolicyName="inline", PolicyDocument=document)


def policy(client: Client, n: int) -> None:
    document = _policy("*" if n % 3 == 1 else "ec2:Describe*")
    client("iam").create_policy(PolicyName=f"policy-{n}", PolicyDocument=document)


def bucket(client: Client, n: int) -> None:
    s3, name = client("s3"), f"bench-bucket-{n}"
    s3.create_bucket(Bucket=name)
    if n % 3:
        return
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def instance(client: Client, n: int) -> None:
    images = client("ec2").describe_images(Owners=["self"])["Images"]
    image = images[0]["ImageId"] if images else _image(client)
    client("ec2").run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        MetadataOptions={"HttpTokens": "required" if n % 3 == 0 else "optional"},
        UserData="#!/bin/sh\napt-get update\n",
    )


def _image(client: Client) -> str:
    name: str = client("ec2").register_image(Name="bench", RootDeviceName="/dev/sda1")["ImageId"]
    return name


def volume(client: Client, n: int) -> None:
    client("ec2").create_volume(Size=8, AvailabilityZone=f"{REGION}a", Encrypted=n % 3 == 0)


def snapshot(client: Client, n: int) -> None:
    client("ec2").create_snapshot(VolumeId=_volume(client), Description=f"snapshot {n}")


@cache
def _volume(client: Client) -> str:
    """One volume; asked for once, since moto goes through all of them for it."""
    found: str = client("ec2").describe_volumes(MaxResults=5)["Volumes"][0]["VolumeId"]
    return found


def group(client: Client, n: int) -> None:
    ec2 = client("ec2")
    made = ec2.create_security_group(GroupName=f"group-{n}", Description="bench")["GroupId"]
    source = "0.0.0.0/0" if n % 3 == 1 else "10.0.0.0/8"
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": source}]}
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[rule])


def log_group(client: Client, n: int) -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName=f"/bench/{n}")
    if n % 3 == 0:
        logs.put_retention_policy(logGroupName=f"/bench/{n}", retentionInDays=365)


def alarm(client: Client, n: int) -> None:
    client("cloudwatch").put_metric_alarm(
        AlarmName=f"alarm-{n}",
        MetricName="CPUUtilization",
        Namespace="AWS/EC2",
        Period=300,
        EvaluationPeriods=1,
        Threshold=80.0,
        Statistic="Average",
        ComparisonOperator="GreaterThanThreshold",
    )


def function(client: Client, n: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return 1\n")
    client("lambda").create_function(
        FunctionName=f"function-{n}",
        Runtime="python3.12" if n % 3 == 0 else "python3.6",
        Role="arn:aws:iam::123456789012:role/role-0",
        Handler="main.handler",
        Code={"ZipFile": packed.getvalue()},
    )


def queue(client: Client, n: int) -> None:
    attributes = {"KmsMasterKeyId": "alias/aws/sqs"} if n % 3 == 0 else {}
    client("sqs").create_queue(QueueName=f"queue-{n}", Attributes=attributes)


def topic(client: Client, n: int) -> None:
    client("sns").create_topic(Name=f"topic-{n}")


def table(client: Client, n: int) -> None:
    client("dynamodb").create_table(
        TableName=f"table-{n}",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def key(client: Client, n: int) -> None:
    kms = client("kms")
    made = kms.create_key(Description=f"key {n}")["KeyMetadata"]["KeyId"]
    if n % 3 == 0:
        kms.enable_key_rotation(KeyId=made)


def secret(client: Client, n: int) -> None:
    client("secretsmanager").create_secret(Name=f"secret-{n}", SecretString="nothing to see")


def parameter(client: Client, n: int) -> None:
    client("ssm").put_parameter(Name=f"/bench/{n}", Value="a value", Type="String")


def database(client: Client, n: int) -> None:
    client("rds").create_db_instance(
        DBInstanceIdentifier=f"db-{n}",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        MasterUsername="owner",
        MasterUserPassword="Long-enough-4-a-test",
        AllocatedStorage=20,
        StorageEncrypted=n % 3 == 0,
        PubliclyAccessible=n % 3 == 1,
    )


def repository(client: Client, n: int) -> None:
    client("ecr").create_repository(repositoryName=f"repository-{n}")


def trail(client: Client, n: int) -> None:
    bucket(client, 1_000_000 + n)
    client("cloudtrail").create_trail(
        Name=f"trail-{n}", S3BucketName=f"bench-bucket-{1_000_000 + n}", IsMultiRegionTrail=n % 3 == 0
    )
    client("cloudtrail").start_logging(Name=f"trail-{n}")


SHARES: tuple[tuple[Callable[[Client, int], None], int, int], ...] = (
    (trail, 1, 3),
    (user, 6, 150),
    (role, 6, 400),
    (policy, 4, 300),
    (bucket, 7, 150),
    (instance, 4, 400),
    (function, 4, 150),
    (queue, 4, 150),
    (topic, 3, 150),
    (table, 3, 100),
    (key, 3, 100),
    (secret, 3, 200),
    (parameter, 2, 1000),
    (database, 2, 60),
    (repository, 2, 60),
    (alarm, 3, 1000),
    (log_group, 4, 3000),
    (volume, 3, 4000),
    (snapshot, 3, 7000),
    (group, 6, 3000),
)
"""What is made, its share of an account, and at most how many of it."""

_ALONE = (user, role, policy, group)  # moto looks through its tables of these while others add to them


def clients(url: str) -> Client:
    """boto3 clients of one session, each made once; all made here, since making them is not for threads."""
    import boto3
    from botocore.config import Config

    session: Any = boto3.Session("test", "test", region_name=REGION)
    config = Config(max_pool_connections=_THREADS, retries={"total_max_attempts": 3})
    names = (
        "iam s3 ec2 logs cloudwatch lambda sqs sns dynamodb kms secretsmanager ssm rds ecr cloudtrail"
    ).split()
    made = {name: session.client(name, endpoint_url=url, config=config) for name in names}
    return made.__getitem__


def counts(total: int) -> dict[Callable[[Client, int], None], int]:
    """How many of each make about so many resources: what some are capped at, the others have more."""
    wanted = dict.fromkeys((make for make, _, _ in SHARES), 0)
    while left := total - sum(wanted.values()):
        room = [(make, share, most) for make, share, most in SHARES if wanted[make] < most]
        shares = sum(share for _, share, _ in room)
        for make, share, most in room:
            given = min(max(1, left * share // shares), total - sum(wanted.values()))
            wanted[make] = min(most, wanted[make] + given)
        if not room:
            raise SystemExit(f"an account of {total} resources is more than the benchmark can make")
    return wanted


def seed(url: str, total: int) -> Counter[str]:
    """Fill the account behind `url`; how many of what were made."""
    client = clients(url)
    made: Counter[str] = Counter()
    with ThreadPoolExecutor(_THREADS) as pool:
        for make, count in counts(total).items():
            make(client, 0)  # what the others build on comes first
            each = map if make in _ALONE else pool.map
            list(each(partial(make, client), range(1, count)))
            made[make.__name__] += count
    return made


if __name__ == "__main__":
    sys.stdout.write(f"{dict(seed(sys.argv[1], int(sys.argv[2])))}\n")
