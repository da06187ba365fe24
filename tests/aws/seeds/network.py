"""Networks, storage, edges, keys and managed machines: one account state that is well kept, one that is not.

Each function makes its resources in the region of the session's clients; names carry the state, so that both
may stand side by side. What moto cannot do is left out, with the reason beside it.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["seed_bad", "seed_good"]

_LOST_KEY = "AKIA" + "Q4ZT7XNBW2VHL5RD"  # looks like an access key, and is none
_EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
_WORLD = [{"CidrIp": "0.0.0.0/0"}]
_HALVES = [{"CidrIp": "0.0.0.0/1"}, {"CidrIp": "128.0.0.0/1"}]
_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def seed_good(session: Any, region: str) -> None:
    """What every check of these services should find nothing wrong with, as far as moto can hold it."""
    account = session.client("sts", region_name=region).get_caller_identity()["Account"]
    # moto calls a flow log failed whose log group does not exist
    session.client("logs", region_name=region).create_log_group(logGroupName="good-flows")
    _good_network(session.client("ec2", region_name=region))
    _good_bucket(session.client("s3", region_name=region), region)
    _block_account(session.client("s3control", region_name=region), account)
    _good_keys(session, region)
    _good_edges(session, region)


def _block_account(control: Any, account: str) -> None:
    # botocore puts the account before the host's name, which then does not lead to moto
    def below(request: Any, **_: Any) -> None:
        request.url = request.url.replace(f"//{account}.", "//")

    control.meta.events.register("before-send.s3-control", below)
    control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=_BLOCKED)


def seed_bad(session: Any, region: str) -> None:
    """What the checks of these services must find."""
    ec2 = session.client("ec2", region_name=region)
    _bad_network(ec2)
    _bad_bucket(session.client("s3", region_name=region), region)
    _bad_keys(session, region)
    _bad_edges(session, region)


def _good_network(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"][:2]]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.10.{number}.0/24", AvailabilityZone=zone)["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate(zones)
    ]
    ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="cloud-watch-logs",
        LogGroupName="good-flows",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flows",
    )
    group = ec2.create_security_group(GroupName="web-good", Description="web", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_tcp(443, _WORLD)])
    image = ec2.register_image(Name=f"image-{vpc}", RootDeviceName="/dev/xvda")["ImageId"]
    ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        SubnetId=subnets[0],
        SecurityGroupIds=[group],
        InstanceType="t3.micro",
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    )
    ec2.enable_ebs_encryption_by_default()
    volume = ec2.create_volume(AvailabilityZone=zones[0], Size=1, Encrypted=True)["VolumeId"]
    # moto knows no RestorableByUserIds: it says of each snapshot that anybody may use it
    ec2.create_snapshot(VolumeId=volume)
    ec2.create_launch_template(
        LaunchTemplateName=f"good-{vpc}",
        LaunchTemplateData={"ImageId": image, "MetadataOptions": {"HttpTokens": "required"}},
    )


def _bad_network(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_vpc(CidrBlock="10.21.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/24", AvailabilityZone=zone)["Subnet"][
        "SubnetId"
    ]
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    group = ec2.create_security_group(GroupName="launch-wizard-1", Description="any", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            _tcp(22, _WORLD),
            _tcp(3389, _HALVES),
            {"IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
            {"IpProtocol": "-1", "IpRanges": _WORLD},
        ],
    )
    image = ec2.register_image(Name=f"image-{vpc}", RootDeviceName="/dev/xvda")["ImageId"]
    ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        UserData=f"#!/bin/sh\nexport AWS_ACCESS_KEY_ID={_LOST_KEY}\n",
        NetworkInterfaces=[
            {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], "AssociatePublicIpAddress": True}
        ],
    )
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1, Encrypted=False)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"]
    )
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    ec2.allocate_address(Domain="vpc")
    peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=other)["VpcPeeringConnection"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering["VpcPeeringConnectionId"])
    table = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"][0]
    ec2.create_route(
        RouteTableId=table["RouteTableId"],
        DestinationCidrBlock="10.21.0.0/16",
        VpcPeeringConnectionId=peering["VpcPeeringConnectionId"],
    )
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.create_launch_template(
        LaunchTemplateName=f"bad-{vpc}",
        LaunchTemplateData={
            "ImageId": image,
            "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}],
        },
    )


def _tcp(port: int, ranges: list[dict[str, str]]) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}


def _make_bucket(s3: Any, name: str, region: str, **more: Any) -> None:
    if region != "us-east-1":
        more["CreateBucketConfiguration"] = {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, **more)


def _good_bucket(s3: Any, region: str) -> None:
    logs, name = f"good-logs-{region}", f"good-{region}"
    _make_bucket(s3, logs, region)
    _make_bucket(s3, name, region, ObjectLockEnabledForBucket=True)
    for bucket in (logs, name):
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=_BLOCKED)
        s3.put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        )
        s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
            },
        )
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={
                "Rules": [
                    {"ID": "year", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 400}}
                ]
            },
        )
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(_only_tls(name)))
    # moto lets logs be written only where the log delivery group or a policy is let in
    s3.put_bucket_policy(Bucket=logs, Policy=json.dumps(_takes_logs(logs)))
    s3.put_bucket_logging(
        Bucket=name, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": logs, "TargetPrefix": ""}}
    )


def _only_tls(name: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def _takes_logs(name: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Logs",
                "Effect": "Allow",
                "Principal": {"Service": "logging.s3.amazonaws.com"},
                "Action": ["s3:PutObject"],
                "Resource": f"arn:aws:s3:::{name}/*",
            }
        ],
    }


def _bad_bucket(s3: Any, region: str) -> None:
    name = f"bad-{region}"
    _make_bucket(s3, name, region)
    # moto's "public-read-write" grants reading alone
    s3.put_bucket_acl(Bucket=name, GrantRead=f"uri={_EVERYBODY}", GrantWrite=f"uri={_EVERYBODY}")
    s3.put_bucket_policy(
        Bucket=name,
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": "s3:GetObject",
                        "Resource": f"arn:aws:s3:::{name}/*",
                    }
                ],
            }
        ),
    )
    s3.put_bucket_website(Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    s3.put_bucket_cors(
        Bucket=name,
        CORSConfiguration={"CORSRules": [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"]}]},
    )


def _good_keys(session: Any, region: str) -> None:
    kms = session.client("kms", region_name=region)
    key = kms.create_key(Description="data")["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=key)
    secrets = session.client("secretsmanager", region_name=region)
    secrets.create_secret(Name="good/db", SecretString="not to be seen", KmsKeyId=key)
    session.client("ssm", region_name=region).put_parameter(
        Name="/good/db-password", Value="not to be seen", Type="SecureString"
    )
    session.client("acm", region_name=region).request_certificate(
        DomainName="www.good.example", ValidationMethod="DNS", KeyAlgorithm="RSA_2048"
    )
    session.client("efs", region_name=region).create_file_system(
        CreationToken=f"good-{region}", Encrypted=True, Backup=True
    )
    backup = session.client("backup", region_name=region)
    backup.create_backup_vault(
        BackupVaultName="good", EncryptionKeyArn=f"arn:aws:kms:{region}:123456789012:key/{key}"
    )


def _bad_keys(session: Any, region: str) -> None:
    kms = session.client("kms", region_name=region)
    kms.create_key(Description="never rotated")
    doomed = kms.create_key(Description="to be deleted")["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
    session.client("secretsmanager", region_name=region).create_secret(
        Name="bad/db", SecretString="not to be seen"
    )
    ssm = session.client("ssm", region_name=region)
    ssm.put_parameter(Name="/bad/db-password", Value="not to be seen", Type="String")
    ssm.create_document(
        Name="bad-document",
        DocumentType="Command",
        DocumentFormat="JSON",
        Content=json.dumps(
            {
                "schemaVersion": "2.2",
                "description": "leaks",
                "mainSteps": [
                    {
                        "action": "aws:runShellScript",
                        "name": "run",
                        "inputs": {"runCommand": [f"export AWS_ACCESS_KEY_ID={_LOST_KEY}"]},
                    }
                ],
            }
        ),
    )
    ssm.modify_document_permission(Name="bad-document", PermissionType="Share", AccountIdsToAdd=["all"])
    session.client("efs", region_name=region).create_file_system(
        CreationToken=f"bad-{region}", Encrypted=False
    )


def _good_edges(session: Any, region: str) -> None:
    ec2, elbv2 = session.client("ec2", region_name=region), session.client("elbv2", region_name=region)
    subnets = _two_subnets(ec2, "10.30")
    balancer = elbv2.create_load_balancer(Name="good", Subnets=subnets, Scheme="internal")["LoadBalancers"][0]
    elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Attributes=[
            {"Key": "deletion_protection.enabled", "Value": "true"},
            {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"},
        ],
    )
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[
            {
                "Type": "redirect",
                "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
            }
        ],
    )
    if region == "us-east-1":
        _zone(session, "good.example", "good-us-east-1.s3-website-us-east-1.amazonaws.com")


def _bad_edges(session: Any, region: str) -> None:
    ec2, elbv2 = session.client("ec2", region_name=region), session.client("elbv2", region_name=region)
    subnets = _two_subnets(ec2, "10.40")
    balancer = elbv2.create_load_balancer(Name="bad", Subnets=subnets, Scheme="internet-facing")[
        "LoadBalancers"
    ][0]
    target = elbv2.create_target_group(Name="bad", Protocol="HTTP", Port=80, VpcId=balancer["VpcId"])[
        "TargetGroups"
    ]
    elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": target[0]["TargetGroupArn"]}],
    )
    session.client("elb", region_name=region).create_load_balancer(
        LoadBalancerName="bad-classic",
        Listeners=[{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}],
        Subnets=subnets[:1],
    )
    api = session.client("apigateway", region_name=region)
    rest = api.create_rest_api(name="bad")["id"]
    root = api.get_resources(restApiId=rest)["items"][0]["id"]
    api.put_method(restApiId=rest, resourceId=root, httpMethod="GET", authorizationType="NONE")
    api.put_integration(restApiId=rest, resourceId=root, httpMethod="GET", type="MOCK")
    api.create_deployment(restApiId=rest, stageName="live", variables={"key": _LOST_KEY})
    http = session.client("apigatewayv2", region_name=region)
    made = http.create_api(Name="bad", ProtocolType="HTTP", CorsConfiguration={"AllowOrigins": ["*"]})[
        "ApiId"
    ]
    http.create_route(ApiId=made, RouteKey="GET /all")
    http.create_stage(ApiId=made, StageName="live")
    session.client("wafv2", region_name=region).create_web_acl(
        Name="bad",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={
            "SampledRequestsEnabled": False,
            "CloudWatchMetricsEnabled": False,
            "MetricName": "bad",
        },
    )
    session.client("transfer", region_name=region).create_server(Protocols=["FTP"], EndpointType="PUBLIC")
    if region == "us-east-1":
        _bad_account(session)


def _bad_account(session: Any) -> None:
    _zone(session, "bad.example", "gone-bucket.s3.amazonaws.com")
    session.client("cloudfront", region_name="us-east-1").create_distribution(
        DistributionConfig={
            "CallerReference": "bad",
            "Comment": "bad",
            "Enabled": True,
            "Origins": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "o",
                        "DomainName": "gone.s3.amazonaws.com",
                        "S3OriginConfig": {"OriginAccessIdentity": ""},
                    }
                ],
            },
            "DefaultCacheBehavior": {
                "TargetOriginId": "o",
                "ViewerProtocolPolicy": "allow-all",
                "MinTTL": 0,
                "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
            },
        }
    )


def _two_subnets(ec2: Any, prefix: str) -> list[str]:
    vpc = ec2.create_vpc(CidrBlock=f"{prefix}.0.0/16")["Vpc"]["VpcId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"][:2]]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{prefix}.{number}.0/24", AvailabilityZone=zone)["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate(zones)
    ]


def _zone(session: Any, name: str, target: str) -> None:
    route53 = session.client("route53", region_name="us-east-1")
    zone = route53.create_hosted_zone(Name=name, CallerReference=name)
    route53.change_resource_record_sets(
        HostedZoneId=zone["HostedZone"]["Id"],
        ChangeBatch={
            "Changes": [
                {
                    "Action": "CREATE",
                    "ResourceRecordSet": {
                        "Name": f"www.{name}",
                        "Type": "CNAME",
                        "TTL": 60,
                        "ResourceRecords": [{"Value": target}],
                    },
                }
            ]
        },
    )
