"""Identities, trails, alarms, detection: an account that is looked after and one that is not, told apart.

The run is the command, against moto over HTTP, through a role in each account. What moto does not answer is
a gap in the bundle, and no check that reads it may pass: so the lists below name checks whose evidence moto
gives.
"""

from __future__ import annotations

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

SEEDS = Path(__file__).parent / "seeds" / "identity.py"
COLLECTOR = Path(sys.executable).parent / "collector"
GOOD, BAD, REGION = "333333333333", "444444444444", "eu-west-2"
SERVICES = """iam organizations account cloudtrail config cloudwatch logs events guardduty securityhub
    inspector2 shield sns s3 sso-admin sts""".split()
TOLD_APART = """
    aws-account-security-contact aws-account-operations-contact aws-account-billing-contact
    aws-cloudtrail-covers-account aws-cloudtrail-objects-written aws-cloudtrail-objects-read
    aws-cloudtrail-logging aws-cloudtrail-validation aws-cloudtrail-encrypted aws-cloudtrail-every-region
    aws-cloudtrail-insights aws-cloudtrail-bucket-not-public aws-logs-kept-a-year aws-watch-trail-changes
    aws-config-recording aws-config-records-all aws-config-records-global aws-config-service-role
    aws-config-has-rules aws-event-rule-passes-findings-on aws-guardduty-on aws-securityhub-on
    aws-inspector-on aws-iam-user-mfa aws-iam-user-one-key aws-iam-user-rights-through-groups
    aws-iam-user-in-a-group
    aws-iam-user-no-administrator aws-iam-role-no-administrator aws-iam-user-human-or-program
    aws-iam-user-no-key-from-the-start aws-iam-support-role aws-iam-password-length aws-iam-password-reuse
    aws-iam-password-symbol aws-iam-password-digit aws-iam-password-capital-letter
    aws-iam-password-small-letter aws-iam-password-maximum-age aws-iam-password-own-change
    aws-organization-in-use
""".split()
FOUND = """
    aws-iam-administrator-mfa aws-iam-policy-attached aws-iam-root-mfa aws-iam-root-hardware-mfa
    aws-iam-people-come-from-a-directory aws-watch-root-use aws-watch-policy-changes aws-shield-subscribed
""".split()
"""Failures of the bad account; the good one has no subject for them, or moto cannot do better."""
NOT_SEEN = """
    aws-account-contact aws-cloudtrail-not-stopped aws-cloudtrail-no-root-activity aws-cloudtrail-lake-kept
    aws-securityhub-standards aws-guardduty-no-severe-findings aws-config-rule-kept
    aws-inspector-no-critical-findings
""".split()
"""What moto does not answer."""


def seeds() -> Any:
    spec = importlib.util.spec_from_file_location("aws_seeds_identity", SEEDS)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/audit"


@pytest.fixture(scope="module")
def bundle(moto: Any, session: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run of the command leaves of both accounts."""
    folder = tmp_path_factory.mktemp("identity")
    made = seeds()
    made.seed_good(session(moto.url, REGION, role(GOOD)), REGION)
    made.seed_bad(session(moto.url, REGION, role(BAD)), REGION)
    roles, listed = ([json.dumps(each) for each in some] for some in ([role(GOOD), role(BAD)], SERVICES))
    (folder / "collector.toml").write_text(
        f'series = "identity"\n\n[[source]]\nuse = "aws"\nroles = [{", ".join(roles)}]\n'
        f'regions = ["{REGION}"]\nservices = [{", ".join(listed)}]\n'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(folder / "none"),
        "COLLECTOR_CONFIG_DIR": str(folder / "config"),
        "COLLECTOR_STATE": str(folder / "state"),
    }
    init = [str(COLLECTOR), "init", "--quiet"]
    subprocess.run(init, cwd=folder, env=environment, capture_output=True, timeout=60, check=True)
    run = [str(COLLECTOR), "run", "--output", "json"]
    done = subprocess.run(run, cwd=folder, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 3, done.stderr.decode()[-2000:]  # moto leaves gaps
    return Path(json.loads(done.stdout)["bundle"])


def lines(bundle: Path, name: str) -> list[dict[str, Any]]:
    with zipfile.ZipFile(bundle) as archive:
        held = gzip.decompress(archive.read(name)).decode()
    return [json.loads(line) for line in held.splitlines()]


@pytest.fixture(scope="module")
def results(bundle: Path) -> dict[tuple[str, str], set[str]]:
    """The results of each check in each of the two accounts."""
    found: dict[tuple[str, str], set[str]] = {}
    for finding in lines(bundle, "findings.jsonl.gz"):
        account = finding["scope"].get("account", "")
        found.setdefault((finding["check"], account), set()).add(finding["result"])
    return found


@pytest.mark.parametrize("check", TOLD_APART)
def test_check_passes_in_the_good_account_and_fails_in_the_bad(
    results: dict[tuple[str, str], set[str]], check: str
) -> None:
    assert results[check, GOOD] - {"not_applicable"} == {"pass"}
    assert "fail" in results[check, BAD]


@pytest.mark.parametrize("check", FOUND)
def test_check_finds_what_is_wrong(results: dict[tuple[str, str], set[str]], check: str) -> None:
    assert "fail" in results[check, BAD]


@pytest.mark.parametrize("check", NOT_SEEN)
def test_what_was_not_seen_never_passes(results: dict[tuple[str, str], set[str]], check: str) -> None:
    """In the good account, since a check of what is off in the bad one does not apply."""
    assert results[check, GOOD] == {"unknown"}


def test_a_service_that_is_off_is_a_record_that_says_so(bundle: Path) -> None:
    off = {"aws_securityhub": ("Enabled", False), "aws_guardduty": ("DetectorIds", [])}
    found = {}
    with zipfile.ZipFile(bundle) as archive:
        segments = [name for name in archive.namelist() if name.startswith("segments/")]
    for line in (each for name in segments for each in lines(bundle, name)):
        record = line.get("record", {})
        if record.get("kind") in off and record["scope"]["account"] == BAD:
            found[record["kind"]] = record["data"][off[record["kind"]][0]]
    assert found == {kind: value for kind, (_, value) in off.items()}


def test_one_list_tells_of_users_groups_roles_and_policies(bundle: Path) -> None:
    asked = [
        entry
        for entry in lines(bundle, "ledger.jsonl.gz")
        if entry["op"] == "iam:GetAccountAuthorizationDetails"
    ]
    assert len(asked) == 2  # one an account
