"""What plans are made of: settings that cannot be meant are refused, answers that cannot be read are gaps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.model import Outcome
from collector_aws.source import Aws

Collecting = Callable[..., Any]

OWN, OTHER, CLOSED = "123456789012", "222222222222", "333333333333"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"roles": ["audit"]}, "roles: 'audit' is no ARN of a role"),
        ({"roles": ["arn:aws:iam::11:role/audit"]}, "is no ARN of a role"),
        ({"roles": ["arn:aws:iam::111111111111:user/audit"]}, "is no ARN of a role"),
        ({"regions": ["Ireland"]}, "regions: 'Ireland' is no region; write it as in eu-west-1"),
        ({"regions": ["eu-west-1", "x.example/"]}, "is no region"),
        ({"organization_role": "arn:aws:iam::111111111111:role/audit"}, "organization_role: .* is no name"),
        ({"external_id": "x-1"}, "external_id: no role asks for it"),
        ({"services": ["s4"]}, "services: no service 's4' is known"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_its_name(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line) as refused:
        Aws(settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"regions": ["us-gov-west-1", "cn-north-1", "ap-southeast-7", "us-iso-east-1", "eusc-de-east-1"]},
        {"roles": ["arn:aws-cn:iam::111111111111:role/path/audit"], "external_id": "x-1"},
        {"organization_role": "path/audit", "external_id": "x-1"},
    ],
)
def test_settings_of_each_partition_are_taken(settings: dict[str, Any]) -> None:
    assert Aws(settings).root().scope == {}


def xml(action: str, inner: str) -> tuple[int, Any, bytes]:
    text = f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
    return 200, [("Content-Type", "text/xml")], text.encode()


@pytest.fixture
def answering(proxy: Any, monkeypatch: pytest.MonkeyPatch) -> dict[bytes, tuple[int, Any, bytes]]:
    """Answers of the query protocol by action, in place of moto's."""
    answers: dict[bytes, tuple[int, Any, bytes]] = {}
    forward = proxy.forward

    def answered(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        action = re.search(rb"Action=(\w+)", body)
        return answers.get(action[1] if action else b"") or forward(method, path, headers, body)

    monkeypatch.setattr(proxy, "forward", answered)
    return answers


@pytest.mark.parametrize(
    "inner",
    [
        "<UserId>x</UserId>",
        "<Account>../../etc</Account><Arn>arn:aws:iam::123456789012:user/x</Arn>",
        f"<Account>{OWN}</Account><Arn>x</Arn>",
    ],
)
def test_an_identity_that_names_no_account_makes_discovery_incomplete(
    collecting: Collecting, answering: dict[bytes, Any], inner: str
) -> None:
    answering[b"GetCallerIdentity"] = xml("GetCallerIdentity", inner)
    found = collecting(services=["sts"], regions=["us-east-1"])
    assert [call.outcome for call in found.calls] == [Outcome.MALFORMED]
    assert not found.records


@pytest.mark.parametrize("inner", ["", "<regionInfo><item><regionName>a.b/</regionName></item></regionInfo>"])
def test_regions_that_cannot_be_read_make_discovery_incomplete(
    collecting: Collecting, answering: dict[bytes, Any], inner: str
) -> None:
    text = f"<DescribeRegionsResponse>{inner}</DescribeRegionsResponse>"
    answering[b"DescribeRegions"] = (200, [("Content-Type", "text/xml")], text.encode())
    found = collecting(services=["sqs"])
    outcomes = {call.op: call.outcome for call in found.calls}
    assert outcomes["ec2:DescribeRegions"] == Outcome.MALFORMED
    assert "sqs:ListQueues" not in outcomes


def organisation(*accounts: dict[str, str]) -> Callable[[bytes], tuple[int, Any]]:
    told = [
        {"Arn": f"arn:aws:organizations::{OTHER}:account/o-1234567890/{each['Id']}", **each}
        for each in accounts
    ]
    return lambda body: (200, {"Accounts": told})


@pytest.mark.parametrize("word", ["State", "Status"])
def test_each_other_account_that_is_open_is_asked_the_management_account_too(
    collecting: Collecting, proxy: Any, word: str
) -> None:
    """The login leads to an account that the organisation delegated to."""
    proxy.answers["organizations:ListAccounts"] = organisation(
        {"Id": OWN, word: "ACTIVE"}, {"Id": OTHER, word: "ACTIVE"}, {"Id": CLOSED, word: "SUSPENDED"}
    )
    found = collecting(services=["sts"], regions=["us-east-1"], organization_role="audit")
    arns = {each["scope"]["account"]: each["data"]["Arn"] for each in found.records["aws_identity"]}
    assert arns.keys() == {OWN, OTHER}
    assert ":assumed-role/audit/" in arns[OTHER]
    assert ":assumed-role/" not in arns[OWN]


@pytest.mark.parametrize("account", [{"Id": OTHER}, {"Id": "x", "Status": "ACTIVE"}])
def test_accounts_that_cannot_be_read_make_discovery_incomplete(
    collecting: Collecting, proxy: Any, account: dict[str, str]
) -> None:
    proxy.answers["organizations:ListAccounts"] = organisation(account)
    found = collecting(services=["sts"], regions=["us-east-1"], organization_role="audit")
    outcomes = {call.op: call.outcome for call in found.calls}
    assert outcomes["organizations:ListAccounts"] == Outcome.MALFORMED


def test_two_tables_that_lead_to_one_account_each_use_their_own_credentials(
    collecting: Collecting, proxy: Any, aws_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "aws"
    config.write_text(
        "".join(
            f"[profile {name}]\naws_access_key_id = AKIA{name}\naws_secret_access_key = x\n"
            for name in ("ONE", "TWO")
        )
    )
    aws_environment.setenv("AWS_CONFIG_FILE", str(config))
    used: set[str] = set()
    forward = proxy.forward

    def noted(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        used.add(headers["Authorization"].partition("Credential=")[2].split("/")[0])
        return forward(method, path, headers, body)

    aws_environment.setattr(proxy, "forward", noted)
    for name in ("ONE", "TWO"):
        used.clear()
        collecting(name=name.lower(), profiles=[name], services=["sqs"], regions=["us-east-1"])
        assert used == {f"AKIA{name}"}
