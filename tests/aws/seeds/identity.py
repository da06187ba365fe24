"""Identities, trails, alarms and detection services: a good and a bad account.

Settings of a whole account or region (password policy, contacts, AWS Config's recorder) are those of what
was seeded last; everything else carries `good` or `bad`, and the region, in its name, so that both states
can stand in one account. What moto does not know is not made here; its quirks stand where they matter.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["seed_bad", "seed_good"]

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SUPPORT = "arn:aws:iam::aws:policy/AWSSupportAccess"
TRAIL_CHANGES = ("CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging")
PROVIDER = '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example"/>'


def seed_good(session: Any, region: str) -> None:
    """An account that is looked after, as far as moto can show it."""
    _people(session, f"good-{region}", good=True)
    _account(session, region, good=True)
    _contacts(session)
    group = _trail(session, region, good=True)
    _alarm(session, region, group, TRAIL_CHANGES)
    _config(session, region, good=True)
    _detection(session, region)
    _events(session, region)
    _organization(session)


def seed_bad(session: Any, region: str) -> None:
    """An account that nobody looks after. What is off in a new account stays off."""
    _people(session, f"bad-{region}", good=False)
    _account(session, region, good=False)
    group = _trail(session, region, good=False)
    _alarm(session, region, group, TRAIL_CHANGES[:1])
    _config(session, region, good=False)


def _trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _number(session: Any) -> str:
    return str(session.client("sts").get_caller_identity()["Account"])


def _people(session: Any, name: str, *, good: bool) -> None:
    iam = session.client("iam")
    iam.create_group(GroupName=f"{name}-readers")
    iam.attach_group_policy(GroupName=f"{name}-readers", PolicyArn=READ_ONLY)
    iam.create_user(UserName=f"{name}-ana")
    iam.create_login_profile(UserName=f"{name}-ana", Password="Long-enough-4-this!")
    if good:
        iam.add_user_to_group(GroupName=f"{name}-readers", UserName=f"{name}-ana")
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"{name}-ana")["VirtualMFADevice"]
        iam.enable_mfa_device(
            UserName=f"{name}-ana",
            SerialNumber=device["SerialNumber"],
            AuthenticationCode1="123456",
            AuthenticationCode2="654321",
        )
        iam.create_role(RoleName=f"{name}-support", AssumeRolePolicyDocument=_trust("ec2.amazonaws.com"))
        iam.attach_role_policy(RoleName=f"{name}-support", PolicyArn=SUPPORT)
        return
    iam.attach_user_policy(UserName=f"{name}-ana", PolicyArn=ADMINISTRATOR)
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_user_policy(UserName=f"{name}-ana", PolicyName="everything", PolicyDocument=document)
    iam.create_access_key(UserName=f"{name}-ana")
    iam.create_access_key(UserName=f"{name}-ana")
    iam.create_policy(PolicyName=f"{name}-unused", PolicyDocument=document)
    iam.create_role(RoleName=f"{name}-deploy", AssumeRolePolicyDocument=_trust("ec2.amazonaws.com"))
    iam.attach_role_policy(RoleName=f"{name}-deploy", PolicyArn=ADMINISTRATOR)


def _account(session: Any, region: str, *, good: bool) -> None:
    iam = session.client("iam")
    if not good:
        iam.update_account_password_policy(MinimumPasswordLength=6)
        return
    iam.update_account_password_policy(
        MinimumPasswordLength=14,
        RequireSymbols=True,
        RequireNumbers=True,
        RequireUppercaseCharacters=True,
        RequireLowercaseCharacters=True,
        AllowUsersToChangePassword=True,
        MaxPasswordAge=90,
        PasswordReusePrevention=24,
    )
    iam.create_saml_provider(Name=f"good-{region}", SAMLMetadataDocument=PROVIDER.ljust(1100))
    iam.create_open_id_connect_provider(
        Url=f"https://{region}.idp.example", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["a" * 40]
    )


def _contacts(session: Any) -> None:
    account = session.client("account")
    for purpose in ("SECURITY", "OPERATIONS", "BILLING"):
        account.put_alternate_contact(
            AlternateContactType=purpose,
            EmailAddress=f"{purpose.lower()}@example.com",
            Name=purpose.title(),
            PhoneNumber="+10000000000",
            Title="team",
        )


def _trail(session: Any, region: str, *, good: bool) -> str:
    """A trail with its bucket and log group. Returns the group's name."""
    account = _number(session)
    name = f"{'good' if good else 'bad'}-trail-{account}-{region}"
    s3 = session.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=name)
    logs = session.client("logs", region_name=region)
    logs.create_log_group(logGroupName=name)
    trails = session.client("cloudtrail", region_name=region)
    if not good:
        logs.put_retention_policy(logGroupName=name, retentionInDays=7)
        trails.create_trail(Name=name, S3BucketName=name)  # and never started
        return name
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
    logs.put_retention_policy(logGroupName=name, retentionInDays=365)
    group = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["arn"]
    key = session.client("kms", region_name=region).create_key(Description=name)["KeyMetadata"]["Arn"]
    trails.create_trail(
        Name=name,
        S3BucketName=name,
        IsMultiRegionTrail=True,
        IncludeGlobalServiceEvents=True,
        EnableLogFileValidation=True,
        CloudWatchLogsLogGroupArn=group,
        CloudWatchLogsRoleArn=f"arn:aws:iam::{account}:role/good-{region}-support",
        KmsKeyId=key,
    )
    trails.put_event_selectors(
        TrailName=name,
        EventSelectors=[
            {
                "ReadWriteType": "All",
                "IncludeManagementEvents": True,
                "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}],
            }
        ],
    )
    insights = [{"InsightType": "ApiCallRateInsight"}, {"InsightType": "ApiErrorRateInsight"}]
    trails.put_insight_selectors(TrailName=name, InsightSelectors=insights)
    trails.start_logging(Name=name)
    return name


def _alarm(session: Any, region: str, group: str, events: tuple[str, ...]) -> None:
    """A filter that counts events, an alarm on it, and a topic that somebody has subscribed to."""
    sns = session.client("sns", region_name=region)
    topic = sns.create_topic(Name=group)["TopicArn"]
    # moto confirms a subscription to a queue at once.
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{topic}-queue".replace(":sns:", ":sqs:"))
    pattern = "{ " + " || ".join(f"($.eventName = {event})" for event in events) + " }"
    session.client("logs", region_name=region).put_metric_filter(
        logGroupName=group,
        filterName=group,
        filterPattern=pattern,
        metricTransformations=[{"metricName": group, "metricNamespace": "Trail", "metricValue": "1"}],
    )
    session.client("cloudwatch", region_name=region).put_metric_alarm(
        AlarmName=group,
        MetricName=group,
        Namespace="Trail",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[topic],
        TreatMissingData="notBreaching",
    )


def _config(session: Any, region: str, *, good: bool) -> None:
    config = session.client("config", region_name=region)
    everything = {"allSupported": True, "includeGlobalResourceTypes": True}
    some = {"allSupported": False, "resourceTypes": ["AWS::EC2::VPC"]}
    account = _number(session)
    role = f"arn:aws:iam::{account}:role/" + (
        "aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig" if good else f"bad-{region}-deploy"
    )
    config.put_configuration_recorder(
        ConfigurationRecorder={
            "name": "default",
            "roleARN": role,
            "recordingGroup": everything if good else some,
        }
    )
    if not good:
        return  # there, and never started
    config.put_delivery_channel(
        DeliveryChannel={"name": "default", "s3BucketName": f"good-trail-{account}-{region}"}
    )
    config.start_configuration_recorder(ConfigurationRecorderName="default")
    rule = {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_VERSIONING_ENABLED"}
    config.put_config_rule(ConfigRule={"ConfigRuleName": "good-versioning", "Source": rule})


def _detection(session: Any, region: str) -> None:
    features = ("S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "EBS_MALWARE_PROTECTION", "RDS_LOGIN_EVENTS")
    session.client("guardduty", region_name=region).create_detector(
        Enable=True, Features=[{"Name": name, "Status": "ENABLED"} for name in features]
    )
    session.client("securityhub", region_name=region).enable_security_hub()
    # moto wants the account's number said; without, it answers 500.
    session.client("inspector2", region_name=region).enable(
        accountIds=[_number(session)], resourceTypes=["EC2", "ECR", "LAMBDA", "LAMBDA_CODE"]
    )
    session.client("macie2", region_name=region).enable_macie()


def _events(session: Any, region: str) -> None:
    session.client("events", region_name=region).put_rule(
        Name="good-findings", EventPattern=json.dumps({"source": ["aws.guardduty"]}), State="ENABLED"
    )


def _organization(session: Any) -> None:
    organizations = session.client("organizations")
    try:
        organizations.create_organization(FeatureSet="ALL")
    except organizations.exceptions.AlreadyInOrganizationException:
        return
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    deny = {"Effect": "Deny", "Action": "organizations:LeaveOrganization", "Resource": "*"}
    policy = organizations.create_policy(
        Name="good-stay",
        Description="accounts stay",
        Type="SERVICE_CONTROL_POLICY",
        Content=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
    )["Policy"]["PolicySummary"]["Id"]
    organizations.attach_policy(PolicyId=policy, TargetId=root)
