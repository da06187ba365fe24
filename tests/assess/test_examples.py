"""Every check that comes with the agent does what its examples say."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector import plugins as registry
from collector.assess.examples import Outcome, run
from collector.assess.mappings import Mappings, load
from collector.run.folder import all_kinds


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load([Path(pack.folder) for pack in registry.load().packs], strict=True)


def test_every_example_holds(mappings: Mappings) -> None:
    outcomes = list(run(list(mappings.checks.values()), all_kinds(registry.load())))
    wrong: list[Outcome] = [outcome for outcome in outcomes if not outcome.holds]
    assert not wrong
    assert len(outcomes) > 3 * len(mappings.checks)


def test_every_check_shows_that_it_can_pass_fail_and_be_unknown(mappings: Mappings) -> None:
    for check in mappings.checks.values():
        shown: set[str] = set()
        for example in check.examples:
            shown |= {example.expect} if isinstance(example.expect, str) else set(example.expect.values())
            if example.incomplete:
                shown.add("unknown")
        due = {"pass", "fail", "unknown"} | ({"not_applicable"} if check.applies else set())
        assert due <= shown, f"{check.id} has no example of {sorted(due - shown)}"
