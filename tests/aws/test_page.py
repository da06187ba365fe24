"""What the page on AWS says, held against the source."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from collector_aws.errors import ERRORS
from collector_aws.source import Aws

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "aws.md").read_text("utf-8")
MOST = 6_144  # characters of a managed policy, by the quotas of IAM
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def test_the_page_has_each_option_and_no_other() -> None:
    named = re.findall(r"^\| `(\w+)` \|", section("Options"), re.MULTILINE)
    assert named == [option.name for option in Aws.options]


@pytest.mark.parametrize("text", TABLES, ids=range(len(TABLES)))
def test_each_table_that_the_page_shows_makes_a_source(text: str) -> None:
    (table,) = tomllib.loads(text)["source"]
    assert table.pop("use") == Aws.name
    assert table.keys() <= {option.name for option in Aws.options}
    assert Aws(table).root().source == "aws"


def test_the_page_has_each_reason_that_a_gap_of_aws_can_have() -> None:
    said = set(re.findall(r"^\|.*\| `(\w+)` \|$", section("Gaps and absence"), re.MULTILINE))
    reasons = {fault.outcome.value for fault in ERRORS.values()} - {"absent", "failed"}
    assert said == reasons | {"truncated"}


def parts() -> list[str]:
    """What the page's own filter makes of the policy."""
    found = re.search(r"jq -c '(.*?)'", PAGE, re.DOTALL)
    assert found
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("jq is not installed: `tests/setup` does that")
    done = subprocess.run(
        [jq, "-c", found[1]], input=Aws.permissions(Aws.kinds), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_parts_of_the_policy_fit_and_are_together_the_whole() -> None:
    whole: dict[str, Any] = json.loads(Aws.permissions(Aws.kinds))
    assert len(json.dumps(whole, separators=(",", ":"))) > MOST
    found = parts()
    assert 1 < len(found) <= 10
    assert max(map(len, found)) <= MOST
    actions = [action for part in found for action in json.loads(part)["Statement"][0]["Action"]]
    assert actions == whole["Statement"][0]["Action"]
