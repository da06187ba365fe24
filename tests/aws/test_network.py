"""Networks, storage, edges, keys: a well kept region beside one that is not, told apart by a whole run.

The run is the command, against moto over HTTP. What moto does not answer is a gap in the bundle, and no
check that reads it may pass: so the lists below name checks whose evidence moto gives.
"""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(__file__).parent / "seeds" / "network.py"
COLLECTOR = str(Path(sys.executable).parent / "collector")
GOOD, BAD = "ap-northeast-1", "eu-central-1"
SERVICES = """ec2 elb elbv2 autoscaling s3 efs kms secretsmanager acm wafv2 apigateway apigatewayv2 transfer
    ssm backup""".split()
TOLD_APART = """
    aws-ec2-security-group-ssh-not-public aws-ec2-security-group-rdp-not-public
    aws-ec2-security-group-mysql-not-public aws-ec2-security-group-postgres-not-public
    aws-ec2-security-group-smb-not-public aws-ec2-security-group-docker-not-public
    aws-ec2-security-group-all-ports-not-public aws-ec2-security-group-no-wide-public-range
    aws-ec2-security-group-only-web-is-public aws-ec2-security-group-not-from-wizard
    aws-ec2-instance-metadata-needs-token aws-ec2-instance-no-public-address aws-ec2-image-not-public
    aws-ec2-launch-template-needs-token aws-ec2-launch-template-no-public-address
    aws-efs-encrypted aws-efs-backed-up
    aws-elbv2-deletion-protected aws-elbv2-drops-invalid-headers aws-elbv2-http-redirects aws-elbv2-internal
    aws-s3-bucket-public-access-blocked aws-s3-bucket-acl-not-readable-by-all
    aws-s3-bucket-acl-not-writable-by-all aws-s3-bucket-acls-off aws-s3-bucket-policy-status-not-public
    aws-s3-bucket-encrypted aws-s3-bucket-encrypted-with-kms aws-s3-bucket-versions-kept
    aws-s3-bucket-lifecycle aws-s3-bucket-no-website aws-s3-bucket-cors-not-everywhere
    aws-kms-key-not-being-deleted aws-ssm-parameter-secrets-encrypted aws-secretsmanager-secret-own-key
""".split()
FOUND = """
    aws-ec2-instance-administration-not-exposed aws-ec2-instance-databases-not-exposed
    aws-ec2-vpc-inner-and-outer-subnets aws-ec2-peering-routes-are-narrow aws-ec2-address-in-use
    aws-ec2-volume-encrypted
    aws-ec2-default-security-group-closed aws-ec2-network-acl-ssh-not-public aws-kms-key-rotated
    aws-elb-encrypted-listeners aws-elb-access-logs aws-apigateway-stage-no-secrets
    aws-apigateway-stage-access-logs aws-apigatewayv2-cors-not-everywhere aws-apigatewayv2-route-authorised
    aws-wafv2-regional-has-rules aws-wafv2-regional-logs aws-transfer-server-no-plain-ftp
    aws-ssm-document-not-public aws-ssm-document-no-secrets
""".split()
"""Failures of the bad region; the good one has no subject for them, or moto adds some of its own."""
NOT_SEEN = """
    aws-ec2-snapshots-cannot-be-public aws-ec2-images-cannot-be-public aws-ec2-serial-console-off
    aws-ec2-new-instances-need-token aws-ssm-instance-patched aws-ec2-client-vpn-logged
    aws-apigatewayv2-api-has-authorizer
""".split()
"""What moto does not answer."""


def seeds() -> Any:
    spec = importlib.util.spec_from_file_location("aws_seeds_network", SEEDS)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(moto: Any, session: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of the command leaves of both regions."""
    folder = tmp_path_factory.mktemp("network")
    made = seeds()
    made.seed_good(session(moto.url, GOOD), GOOD)
    made.seed_bad(session(moto.url, BAD), BAD)
    listed = ", ".join(f'"{name}"' for name in SERVICES)
    settings = f'use = "aws"\nregions = ["{GOOD}", "{BAD}"]\nservices = [{listed}]\n'
    (folder / "collector.toml").write_text(f'series = "network"\n\n[[source]]\n{settings}')
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
    return Path(json.loads(done.stdout)["bundle"])


def lines(bundle: Path, name: str) -> list[dict[str, Any]]:
    with zipfile.ZipFile(bundle) as archive:
        held = gzip.decompress(archive.read(name)).decode()
    return [json.loads(line) for line in held.splitlines()]


@pytest.fixture(scope="module")
def results(bundle: Path) -> dict[tuple[str, str], set[str]]:
    """The results of each check in each of the two regions; moto's list of buckets names no regions."""
    found: dict[tuple[str, str], set[str]] = {}
    for finding in lines(bundle, "findings.jsonl.gz"):
        for region in (GOOD, BAD):
            if finding["scope"].get("region") == region or finding["subject"].endswith(f"-{region}"):
                found.setdefault((finding["check"], region), set()).add(finding["result"])
    return found


@pytest.mark.parametrize("check", TOLD_APART)
def test_check_passes_in_the_good_region_and_fails_in_the_bad(
    results: dict[tuple[str, str], set[str]], check: str
) -> None:
    good = results[check, GOOD] - {"not_applicable"}
    assert good == {"pass"}
    assert "fail" in results[check, BAD]


@pytest.mark.parametrize("check", FOUND)
def test_check_finds_what_is_wrong(results: dict[tuple[str, str], set[str]], check: str) -> None:
    assert "fail" in results[check, BAD]


@pytest.mark.parametrize("check", NOT_SEEN)
def test_what_was_not_seen_never_passes(results: dict[tuple[str, str], set[str]], check: str) -> None:
    assert results[check, BAD] <= {"unknown"}


def test_a_vpc_passes_only_with_a_flow_log_that_works(bundle: Path) -> None:
    held = [
        finding["result"]
        for finding in lines(bundle, "findings.jsonl.gz")
        if finding["check"] == "aws-ec2-vpc-flow-logs" and finding["scope"]["region"] == GOOD
    ]
    assert held.count("pass") == 1
    assert "fail" in held  # the default network, which has none


def test_no_secret_leaves_the_account(bundle: Path) -> None:
    """Neither the key in scripts, documents and variables nor the values of secrets are anywhere."""
    script = base64.b64encode(b"#!/bin/sh\nexport AWS_ACCESS_KEY_ID=")[:-4]  # user data travels so
    hidden = (b"Q4ZT7XNBW2VHL5RD", b"not to be seen", script)
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            held = archive.read(name)
            text = gzip.decompress(held) if name.endswith(".gz") else held
            assert not any(secret in text for secret in hidden), name
