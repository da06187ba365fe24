"""Databases, containers, functions, pipelines: two seeded states, told apart by a whole run.

The run is the command, against moto over HTTP. What moto does not answer is a gap in the bundle, and no
check that reads it may pass: so the lists below name checks whose evidence moto gives.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(__file__).parent / "seeds" / "workloads.py"
COLLECTOR = str(Path(sys.executable).parent / "collector")
SERVICES = """rds neptune dynamodb elasticache memorydb redshift opensearch lambda ecs eks ecr sns sqs kinesis
    firehose mq glue athena dms sagemaker stepfunctions codebuild cloudformation cognito-idp cognito-identity
    batch""".split()
TOLD_APART = """
    aws-rds-instance-encrypted aws-rds-instance-not-public aws-rds-instance-minor-upgrades
    aws-rds-instance-backups-kept aws-rds-instance-deletion-protection aws-rds-instance-multi-az
    aws-rds-instance-iam-login aws-rds-instance-logs-exported aws-rds-instance-admin-name
    aws-rds-instance-tls-required aws-rds-cluster-encrypted aws-rds-cluster-backups-kept
    aws-rds-cluster-deletion-protection aws-rds-snapshot-not-public aws-rds-snapshot-encrypted
    aws-rds-cluster-snapshot-not-public aws-neptune-encrypted aws-neptune-backups-kept
    aws-dynamodb-point-in-time aws-dynamodb-deletion-protection aws-dynamodb-key-in-kms
    aws-elasticache-encrypted aws-elasticache-tls aws-elasticache-users aws-elasticache-failover
    aws-memorydb-tls aws-memorydb-users aws-redshift-encrypted aws-redshift-not-public
    aws-redshift-within-network aws-opensearch-encrypted aws-opensearch-https aws-opensearch-tls-version
    aws-opensearch-zones aws-lambda-runtime-supported aws-lambda-no-secrets-in-environment
    aws-lambda-traced aws-stepfunctions-logged aws-stepfunctions-no-secrets aws-ecs-not-privileged
    aws-ecs-own-network aws-ecs-own-processes aws-ecs-read-only-root aws-ecs-not-root aws-ecs-logged
    aws-ecs-roles-apart aws-ecs-images-are-fixed aws-ecs-no-secrets-in-environment aws-ecs-insights
    aws-batch-not-privileged aws-eks-api-not-open
    aws-eks-api-private aws-eks-logged aws-eks-secrets-encrypted aws-eks-nodes-image-supported
    aws-ecr-tags-fixed aws-ecr-lifecycle aws-ecr-images-scanned aws-sns-encrypted
    aws-sns-subscription-https aws-sqs-encrypted aws-sqs-dead-letters aws-kinesis-encrypted aws-kinesis-kept
    aws-mq-not-public aws-mq-zones aws-glue-job-no-secrets aws-glue-job-secured
    aws-athena-results-encrypted aws-athena-settings-enforced aws-dms-not-public aws-dms-endpoint-tls
    aws-sagemaker-notebook-no-internet aws-sagemaker-notebook-no-root aws-sagemaker-model-in-network
    aws-sagemaker-model-no-secrets aws-codebuild-not-privileged aws-codebuild-no-secrets-in-environment
    aws-cloudformation-termination-protection aws-cloudformation-no-secrets-in-parameters
    aws-cloudformation-no-secrets-in-outputs aws-cognito-mfa aws-cognito-password-length
    aws-cognito-password-symbols aws-cognito-temporary-passwords aws-cognito-deletion-protection
    aws-cognito-client-no-implicit-flow aws-cognito-client-callbacks-https aws-cognito-no-guests
""".split()


def seeds() -> Any:
    spec = importlib.util.spec_from_file_location("aws_seeds_workloads", SEEDS)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(
    moto: Any, session: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """What a run of the command leaves of both states, in a region of their own."""
    region, folder = "eu-north-1", tmp_path_factory.mktemp("workloads")
    made = seeds()
    made.seed_good(session(moto.url, region), region)
    made.seed_bad(session(moto.url, region), region)
    listed = ", ".join(f'"{name}"' for name in SERVICES)
    (folder / "collector.toml").write_text(
        f'series = "workloads"\n\n[[source]]\nuse = "aws"\nregions = ["{region}"]\nservices = [{listed}]\n'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "COLLECTOR_CONFIG_DIR": str(folder / "config"),
        "COLLECTOR_STATE": str(folder / "state"),
    }
    init = [COLLECTOR, "init", "--quiet"]
    subprocess.run(init, cwd=folder, env=environment, capture_output=True, timeout=60, check=True)
    run = [COLLECTOR, "run", "--output", "json"]
    done = subprocess.run(run, cwd=folder, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 3, done.stderr.decode()[-2000:]  # moto leaves gaps
    yield Path(json.loads(done.stdout)["bundle"])


def lines(bundle: Path, name: str) -> list[dict[str, Any]]:
    with zipfile.ZipFile(bundle) as archive:
        held = gzip.decompress(archive.read(name)).decode()
    return [json.loads(line) for line in held.splitlines()]


def results(bundle: Path, state: str) -> dict[str, set[str]]:
    """The results of each check for subjects of one state; stacks name what they make after themselves."""
    found: dict[str, set[str]] = {}
    for finding in lines(bundle, "findings.jsonl.gz"):
        made_by_stack = "-stack-Queue" in finding["subject"]
        if state in told(finding) and not made_by_stack:
            found.setdefault(finding["check"], set()).add(finding["result"])
    return found


def told(finding: dict[str, Any]) -> str:
    """What shows the state that a subject belongs to."""
    return f"{finding['subject']} {NAMES.get(finding['subject'], '')}"


NAMES: dict[str, str] = {}  # subjects whose id does not show the state: pools and what hangs on them


@pytest.fixture(scope="module", autouse=True)
def names(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        segments = [name for name in archive.namelist() if name.startswith("segments/")]
    for segment in segments:
        for line in lines(bundle, segment):
            record = line.get("record", {})
            data = record.get("data", {})
            name = (
                data.get("Name")
                or data.get("ClientName")
                or data.get("IdentityPoolName")
                or data.get("BrokerName")
            )
            if name and record["kind"].startswith(("aws_cognito_", "aws_mq_")):
                NAMES[record["id"]] = name
            elif record.get("kind") == "aws_dms_endpoint":
                NAMES[record["id"]] = data["EndpointIdentifier"]
            elif record.get("kind") == "aws_dms_replication_instance":
                NAMES[record["id"]] = data["ReplicationInstanceIdentifier"]


@pytest.mark.parametrize("check", TOLD_APART)
def test_check_passes_for_the_good_state_and_fails_for_the_bad(bundle: Path, check: str) -> None:
    good, bad = (results(bundle, state)[check] for state in ("goodwork", "badwork"))
    assert (good - {"not_applicable"}, bad - {"not_applicable"}) == ({"pass"}, {"fail"})


def test_services_of_every_cluster_are_judged(bundle: Path) -> None:
    check = "aws-ecs-service-no-public-address"  # moto keeps no enableExecuteCommand
    assert [results(bundle, state).get(check) for state in ("goodwork", "badwork")] == [{"pass"}, {"fail"}]


def test_no_secret_of_a_workload_is_written(bundle: Path) -> None:
    secret = seeds().LOST_KEY
    with zipfile.ZipFile(bundle) as archive:
        held = [
            gzip.decompress(archive.read(name)) if name.endswith(".gz") else archive.read(name)
            for name in archive.namelist()
        ]
    for text in held:
        assert secret.encode() not in text
        assert b"ot-to-be-kept" not in text


def test_each_question_about_a_workload_was_asked_once(bundle: Path) -> None:
    asked = [
        (entry["op"], json.dumps(entry["params"], sort_keys=True), entry["page"])
        for entry in lines(bundle, "ledger.jsonl.gz")
        if entry["op"] != "sts:GetCallerIdentity"  # each target is asked
    ]
    assert len(asked) == len(set(asked))


def test_what_moto_does_not_answer_passes_no_check(bundle: Path) -> None:
    lost = {"aws-rds-version-supported", "aws-eks-version-supported", "aws-lambda-url-needs-identity"}
    found = {
        (finding["check"], finding["result"])
        for finding in lines(bundle, "findings.jsonl.gz")
        if finding["check"] in lost
    }
    assert found == {(check, "unknown") for check in lost}
