"""Databases, containers, functions, queues, pipelines and other workloads: a good and a bad account.

What moto does not know is not made here; its quirks stand where they matter. Names carry `good` or `bad`,
so that both states can stand in one account.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from typing import Any

__all__ = ["seed_bad", "seed_good"]

LOST_KEY = "AKIA" + "Q4ZT7XNBW2VHL5RD"  # looks like an access key, and is none


def seed_good(session: Any, region: str) -> None:
    """Workloads that checks of their kinds pass, as far as moto can show it."""
    _seed(session, region, good=True)


def seed_bad(session: Any, region: str) -> None:
    """Workloads that checks of their kinds fail."""
    _seed(session, region, good=False)


def _seed(session: Any, region: str, good: bool) -> None:
    name = "goodwork" if good else "badwork"

    def client(service: str) -> Any:
        return session.client(service, region_name=region)

    key = client("kms").create_key(Description=name)["KeyMetadata"]["Arn"]
    account = client("sts").get_caller_identity()["Account"]
    role = f"arn:aws:iam::{account}:role/{name}"
    _databases(client, name, good, key)
    _tables_and_caches(client, name, good, key, role)
    _warehouses(client, name, good, key)
    _functions(session, client, name, good, key, role)
    _containers(client, name, good, role)
    _clusters(client, name, good, key, role)
    _images(client, name, good)
    _messages(client, name, good, key, role)
    _analytics(client, name, good, key, role)
    _learning(client, name, good, key, role)
    _delivery(client, name, good, key, role)
    _customers(client, name, good)


def _network(client: Any, name: str) -> tuple[str, str]:
    """A subnet and a security group; moto wants to find those that services of ECS name."""
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
    return subnet, group


def _databases(client: Any, name: str, good: bool, key: str) -> None:
    rds = client("rds")
    encrypted = {"StorageEncrypted": True, "KmsKeyId": key} if good else {"StorageEncrypted": False}
    rds.create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily="mysql8.0", Description=name
    )
    if good:
        rds.modify_db_parameter_group(
            DBParameterGroupName=name,
            Parameters=[
                {
                    "ParameterName": "require_secure_transport",
                    "ParameterValue": "1",
                    "ApplyMethod": "immediate",
                }
            ],
        )
    rds.create_db_instance(
        DBInstanceIdentifier=f"{name}-db",
        DBInstanceClass="db.m6g.large",
        Engine="mysql",
        EngineVersion="8.4.3" if good else "5.7.44",
        AllocatedStorage=20,
        MasterUsername="k7_owner" if good else "admin",
        MasterUserPassword="not-to-be-kept",
        DBParameterGroupName=name,
        PubliclyAccessible=not good,
        MultiAZ=good,
        BackupRetentionPeriod=14 if good else 1,
        AutoMinorVersionUpgrade=good,
        DeletionProtection=good,
        CopyTagsToSnapshot=good,
        EnableIAMDatabaseAuthentication=good,
        EnableCloudwatchLogsExports=["error", "audit"] if good else [],
        **encrypted,
    )
    rds.create_db_cluster(
        DBClusterIdentifier=f"{name}-cluster",
        Engine="aurora-mysql",
        MasterUsername="k7_owner" if good else "admin",
        MasterUserPassword="not-to-be-kept",
        BackupRetentionPeriod=14 if good else 1,
        DeletionProtection=good,
        CopyTagsToSnapshot=good,
        EnableIAMDatabaseAuthentication=good,
        EnableCloudwatchLogsExports=["audit"] if good else [],
        **encrypted,
    )
    rds.create_db_cluster(  # moto refuses the engine docdb
        DBClusterIdentifier=f"{name}-neptune",
        Engine="neptune",
        MasterUsername="k7_owner",
        MasterUserPassword="not-to-be-kept",
        BackupRetentionPeriod=14 if good else 1,
        DeletionProtection=good,
        EnableCloudwatchLogsExports=["audit"] if good else [],
        **encrypted,
    )
    _snapshots(rds, name, good)


def _snapshots(rds: Any, name: str, good: bool) -> None:
    rds.create_db_snapshot(DBSnapshotIdentifier=f"{name}-snapshot", DBInstanceIdentifier=f"{name}-db")
    rds.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier=f"{name}-cluster-snapshot", DBClusterIdentifier=f"{name}-cluster"
    )
    if good:
        return
    rds.modify_db_snapshot_attribute(
        DBSnapshotIdentifier=f"{name}-snapshot", AttributeName="restore", ValuesToAdd=["all"]
    )
    rds.modify_db_cluster_snapshot_attribute(
        DBClusterSnapshotIdentifier=f"{name}-cluster-snapshot", AttributeName="restore", ValuesToAdd=["all"]
    )


def _tables_and_caches(client: Any, name: str, good: bool, key: str, role: str) -> None:
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=good,
        **({"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}} if good else {}),
    )
    if good:
        dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    client("dax").create_cluster(
        ClusterName=f"{name}dax",
        NodeType="dax.t3.small",
        ReplicationFactor=3 if good else 1,
        IamRoleArn=role,
        SSESpecification={"Enabled": good},
        ClusterEndpointEncryptionType="TLS" if good else "NONE",
    )
    client("elasticache").create_replication_group(
        ReplicationGroupId=f"{name}-cache",
        ReplicationGroupDescription=name,
        Engine="redis",
        NumCacheClusters=2,
        AutomaticFailoverEnabled=good,
        MultiAZEnabled=good,
        AtRestEncryptionEnabled=good,
        TransitEncryptionEnabled=good,
        SnapshotRetentionLimit=14 if good else 0,
        **({"AuthToken": "not-to-be-kept-either-1"} if good else {}),
    )
    client("memorydb").create_cluster(
        ClusterName=f"{name}-memory",
        NodeType="db.r6g.large",
        ACLName=name if good else "open-access",
        TLSEnabled=good,
        SnapshotRetentionLimit=14 if good else 0,
        AutoMinorVersionUpgrade=good,
    )


def _warehouses(client: Any, name: str, good: bool, key: str) -> None:
    redshift = client("redshift")
    redshift.create_cluster_parameter_group(
        ParameterGroupName=name, ParameterGroupFamily="redshift-1.0", Description=name
    )
    redshift.create_cluster(
        ClusterIdentifier=f"{name}-warehouse",
        NodeType="ra3.xlplus",
        MasterUsername="k7_owner" if good else "awsuser",
        MasterUserPassword="Not-to-be-kept-1",
        ClusterParameterGroupName=name,
        PubliclyAccessible=not good,
        Encrypted=good,
        AllowVersionUpgrade=good,
        EnhancedVpcRouting=good,
        AutomatedSnapshotRetentionPeriod=14 if good else 1,
    )
    client("opensearch").create_domain(
        DomainName=f"{name}-search",
        EngineVersion="OpenSearch_2.17",
        ClusterConfig={
            "InstanceType": "r6g.large.search",
            "InstanceCount": 3 if good else 1,
            "ZoneAwarenessEnabled": good,
            "DedicatedMasterEnabled": good,
            "DedicatedMasterCount": 3 if good else 0,
        },
        EncryptionAtRestOptions={"Enabled": good, **({"KmsKeyId": key} if good else {})},
        NodeToNodeEncryptionOptions={"Enabled": good},
        DomainEndpointOptions={
            "EnforceHTTPS": good,
            "TLSSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10" if good else "Policy-Min-TLS-1-0-2019-07",
        },
        AdvancedSecurityOptions={"Enabled": good},
        **({"VPCOptions": {"SubnetIds": ["subnet-1"]}} if good else {}),
    )


def _code() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("main.py", "def run(event, context):\n    return 1\n")
    return held.getvalue()


def _functions(session: Any, client: Any, name: str, good: bool, key: str, role: str) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    iam = session.client("iam")
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):  # made for another region
        iam.create_role(RoleName=f"{name}-function", AssumeRolePolicyDocument=json.dumps(trust))
    role = f"{role}-function"
    lambda_ = client("lambda")
    lambda_.create_function(
        FunctionName=name,
        Runtime="python3.13" if good else "python3.8",
        Role=role,
        Handler="main.run",
        Code={"ZipFile": _code()},
        Environment={"Variables": {"STAGE": "live"} if good else {"ACCESS_KEY": LOST_KEY}},
        TracingConfig={"Mode": "Active" if good else "PassThrough"},
        **({"KMSKeyArn": key} if good else {}),
    )
    lambda_.create_function_url_config(FunctionName=name, AuthType="AWS_IAM" if good else "NONE")
    if not good:
        lambda_.add_permission(
            FunctionName=name, StatementId="open", Action="lambda:InvokeFunction", Principal="*"
        )
    definition = {
        "StartAt": "End",
        "States": {"End": {"Type": "Pass", "End": True, "Result": "ok" if good else LOST_KEY}},
    }
    client("stepfunctions").create_state_machine(
        name=name,
        definition=json.dumps(definition),
        roleArn=role,
        **(_logged_machine(role) if good else {}),
    )


def _logged_machine(role: str) -> dict[str, Any]:
    group = f"arn:aws:logs:us-east-1:{role.split(':')[4]}:log-group:machines:*"
    return {
        "tracingConfiguration": {"enabled": True},
        "loggingConfiguration": {
            "level": "ALL",
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
        },
    }


def _containers(client: Any, name: str, good: bool, role: str) -> None:
    ecs = client("ecs")
    ecs.create_cluster(
        clusterName=name,
        settings=[{"name": "containerInsights", "value": "enabled" if good else "disabled"}],
    )
    container: dict[str, Any] = {
        "name": "app",
        "image": "app:1.2" if good else "app",
        "memory": 128,
        "privileged": not good,
        "readonlyRootFilesystem": good,
        "user": "1000" if good else "root",
        "environment": [
            {"name": "STAGE", "value": "live"} if good else {"name": "AWS_ACCESS_KEY_ID", "value": LOST_KEY}
        ],
    }
    if good:
        container["logConfiguration"] = {"logDriver": "awslogs", "options": {"awslogs-group": "app"}}
    ecs.register_task_definition(
        family=name,
        networkMode="awsvpc" if good else "host",
        pidMode="task" if good else "host",
        taskRoleArn=role,
        executionRoleArn=f"{role}-start" if good else role,
        containerDefinitions=[container],
    )
    subnet, group = _network(client, name)
    ecs.create_service(
        cluster=name,
        serviceName=name,
        taskDefinition=name,
        desiredCount=0,
        enableExecuteCommand=not good,
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": [subnet],
                "securityGroups": [group],
                "assignPublicIp": "DISABLED" if good else "ENABLED",
            }
        },
    )
    client("batch").register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": "app:1.2",
            "vcpus": 1,
            "memory": 128,
            "privileged": not good,
            "environment": [{"name": "STAGE", "value": "live"}],
        },
    )


def _clusters(client: Any, name: str, good: bool, key: str, role: str) -> None:
    eks = client("eks")
    kinds = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    eks.create_cluster(
        name=name,
        version="1.34" if good else "1.29",
        roleArn=role,
        resourcesVpcConfig={
            "subnetIds": ["subnet-1", "subnet-2"],
            "endpointPublicAccess": not good,
            "endpointPrivateAccess": good,
        },
        logging={"clusterLogging": [{"types": kinds, "enabled": good}]},
        **({"encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": key}}]} if good else {}),
    )
    eks.create_nodegroup(
        clusterName=name,
        nodegroupName="nodes",
        nodeRole=role,
        subnets=["subnet-1"],
        amiType="AL2023_x86_64_STANDARD" if good else "AL2_x86_64",
        **({} if good else {"remoteAccess": {"ec2SshKey": "shared"}}),
    )


def _images(client: Any, name: str, good: bool) -> None:
    ecr = client("ecr")
    ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE" if good else "MUTABLE",
        imageScanningConfiguration={"scanOnPush": good},
    )
    if good:
        rule = {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        }
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps({"rules": [rule]}))


def _messages(client: Any, name: str, good: bool, key: str, role: str) -> None:
    sns = client("sns")
    topic = sns.create_topic(Name=name, Attributes={"KmsMasterKeyId": key} if good else {})["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="https" if good else "http",
        Endpoint=f"{'https' if good else 'http'}://hooks.example.org/{name}",
    )
    sqs = client("sqs")
    attributes = {"SqsManagedSseEnabled": "true" if good else "false"}
    if good:
        dead = sqs.create_queue(QueueName=f"{name}-dead", Attributes={"SqsManagedSseEnabled": "true"})[
            "QueueUrl"
        ]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
    sqs.create_queue(QueueName=name, Attributes=attributes)
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    if good:
        kinesis.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId=key)
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=168)
    client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            "RoleARN": role,
            "BucketARN": "arn:aws:s3:::records",
            "CloudWatchLoggingOptions": {"Enabled": good, "LogGroupName": "f", "LogStreamName": "f"},
        },
        **({"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"}} if good else {}),
    )
    client("mq").create_broker(
        BrokerName=name,
        EngineType="ACTIVEMQ",
        EngineVersion="5.18",
        HostInstanceType="mq.m5.large",
        DeploymentMode="ACTIVE_STANDBY_MULTI_AZ" if good else "SINGLE_INSTANCE",
        AutoMinorVersionUpgrade=good,
        PubliclyAccessible=not good,
        Logs={"General": good, "Audit": good},
        Users=[{"Username": "app", "Password": "not-to-be-kept"}],
    )
    client("sesv2").create_email_identity(EmailIdentity=f"{name}.example.org")


def _analytics(client: Any, name: str, good: bool, key: str, role: str) -> None:
    glue = client("glue")
    glue.create_job(
        Name=name,
        Role=role,
        Command={"Name": "glueetl", "ScriptLocation": "s3://scripts/a.py"},
        DefaultArguments={"--stage": "live"} if good else {"--access-key": LOST_KEY},
        **({"SecurityConfiguration": name} if good else {}),
    )
    glue.create_connection(
        ConnectionInput={
            "Name": name,
            "ConnectionType": "JDBC",
            "ConnectionProperties": {
                "JDBC_CONNECTION_URL": "jdbc:mysql://db.example.org/app",
                "JDBC_ENFORCE_SSL": "true" if good else "false",
            },
        }
    )
    results: dict[str, Any] = {"OutputLocation": "s3://results/"}
    if good:
        results["EncryptionConfiguration"] = {"EncryptionOption": "SSE_KMS", "KmsKey": key}
    client("athena").create_work_group(
        Name=name,
        Configuration={
            "EnforceWorkGroupConfiguration": good,
            "PublishCloudWatchMetricsEnabled": good,
            "ResultConfiguration": results,
        },
    )
    client("dms").create_replication_instance(
        ReplicationInstanceIdentifier=f"{name}-dms",
        ReplicationInstanceClass="dms.t3.medium",
        PubliclyAccessible=not good,
        AutoMinorVersionUpgrade=good,
        MultiAZ=good,
    )
    client("dms").create_endpoint(
        EndpointIdentifier=f"{name}-source",
        EndpointType="source",
        EngineName="mysql",
        Username="copy",
        Password="not-to-be-kept",
        ServerName="db.example.org",
        Port=3306,
        SslMode="require" if good else "none",
    )


def _learning(client: Any, name: str, good: bool, key: str, role: str) -> None:
    sagemaker = client("sagemaker")
    sagemaker.create_notebook_instance(
        NotebookInstanceName=name,
        InstanceType="ml.t3.medium",
        RoleArn=role,
        DirectInternetAccess="Disabled" if good else "Enabled",
        RootAccess="Disabled" if good else "Enabled",
        **({"SubnetId": "subnet-1", "KmsKeyId": key} if good else {}),
    )
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=role,
        PrimaryContainer={
            "Image": "model:1",
            "Environment": {"STAGE": "live"} if good else {"ACCESS_KEY": LOST_KEY},
        },
        EnableNetworkIsolation=good,
        **({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}} if good else {}),
    )


def _delivery(client: Any, name: str, good: bool, key: str, role: str) -> None:
    client("codebuild").create_project(
        name=f"{name}-build",
        source={"type": "S3", "location": "code/app.zip"},  # moto demands a location
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": not good,
            "environmentVariables": [
                {"name": "STAGE", "value": "live", "type": "PLAINTEXT"}
                if good
                else {"name": "AWS_ACCESS_KEY_ID", "value": LOST_KEY, "type": "PLAINTEXT"}
            ],
        },
        serviceRole=role,
    )
    template = {
        "Parameters": {"Key": {"Type": "String", "Default": "live"}},
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {"Key": {"Value": {"Ref": "Key"}}},
    }
    client("cloudformation").create_stack(
        StackName=f"{name}-stack",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "Key", "ParameterValue": "live" if good else LOST_KEY}],
        EnableTerminationProtection=good,
    )


def _customers(client: Any, name: str, good: bool) -> None:
    cognito = client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName=name,
        DeletionProtection="ACTIVE" if good else "INACTIVE",
        MfaConfiguration="OFF",
        Policies={
            "PasswordPolicy": {
                "MinimumLength": 14 if good else 6,
                "RequireLowercase": good,
                "RequireUppercase": good,
                "RequireNumbers": good,
                "RequireSymbols": good,
                "TemporaryPasswordValidityDays": 3 if good else 30,
            }
        },
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": good},
        UserPoolAddOns={"AdvancedSecurityMode": "ENFORCED" if good else "OFF"},
    )["UserPool"]["Id"]
    if good:
        cognito.set_user_pool_mfa_config(
            UserPoolId=pool,
            SoftwareTokenMfaConfiguration={"Enabled": True},
            MfaConfiguration="ON",
        )
    cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName=name,
        PreventUserExistenceErrors="ENABLED" if good else "LEGACY",
        EnableTokenRevocation=good,
        AllowedOAuthFlows=["code" if good else "implicit"],
        CallbackURLs=[f"{'https' if good else 'http'}://app.example.org/in"],
        ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH" if good else "ALLOW_USER_PASSWORD_AUTH"],
    )
    client("cognito-identity").create_identity_pool(
        IdentityPoolName=name, AllowUnauthenticatedIdentities=not good
    )
