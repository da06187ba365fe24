"""The promise that everything else rests on: what was not seen never passes, and never goes unsaid.

Recorded runs of every source are replayed at `ask` while any of their calls fail. Nothing here names a
source, a kind or a check: what is registered is under test.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.xdist_group("invariant")  # one recorded world is enough

CODES = ("TimeoutError", "ConnectionError", "made-to-fail")
PARTS = 8
TAIL = ("partial", "stale", "manual", "no_evidence")
"""What a control may come to where evidence is taken away, from best to worst."""


def assert_only_towards_unknown(whole: Any, less: Any) -> None:
    for key, result in less.findings.items():
        check, _, subject = key
        if not subject and result == "unknown":
            continue
        assert result in (whole.findings.get(key, "unknown"), "unknown"), f"{key} turned into {result}"
        assert key in whole.findings or result == "unknown", f"{key} appeared as {result}"
    unsaid = {check for check, _, subject in less.findings if not subject}
    for check, scope, subject in whole.findings.keys() - less.findings.keys():
        assert check in unsaid, f"{check} lost {subject} in {scope} and does not say so"
    for name, status in less.objectives.items():
        assert status in (whole.objectives[name], "unknown"), f"objective {name} turned into {status}"
    for name, status in less.controls.items():
        before = whole.controls[name]
        if status != before:
            assert status in TAIL, f"control {name} went from {before} to {status}"
            assert before not in TAIL or TAIL.index(status) > TAIL.index(before), (
                f"control {name} went from {before} to {status}"
            )


def test_every_source_is_recorded(world: Any) -> None:
    for name, recording in world.recordings.items():
        assert recording.calls, f"tests/invariant/collector.toml has no table for source {name}"


def test_a_replay_judges_as_the_recorded_run_did(world: Any) -> None:
    assert world.judged({}) == world.whole
    results = set(world.whole.findings.values())
    assert {"pass", "fail"} <= results, "the recorded run is too poor to prove anything"


@pytest.mark.parametrize("part", range(PARTS))
def test_each_call_moves_results_towards_unknown_only(world: Any, part: int) -> None:
    """Every call fails in one part, beside few others, so that none hides behind the rest."""
    calls = world.calls[part::PARTS]
    failing: dict[str, dict[str, str]] = {}
    for source, call in calls:
        failing.setdefault(source, {})[call.key] = "made-to-fail"
    less = world.judged(failing)
    assert_only_towards_unknown(world.whole, less)
    unknown = {check for (check, _, _), result in less.findings.items() if result == "unknown"}
    for source, call in calls:
        owing = world.owing(source, call)
        silent = _readers(world, owing) - unknown
        assert not silent, f"{call.op} failed and {sorted(silent)} say nothing of it"
        listed = _listed(world, call)
        assert owing or not listed or listed & unknown, f"{call.op} failed and no check says so"


def test_where_every_call_fails_nothing_passes_and_nothing_fails(world: Any) -> None:
    failing: dict[str, dict[str, str]] = {}
    for source, call in world.calls:
        failing.setdefault(source, {})[call.key] = "TimeoutError"
    less = world.judged(failing)
    assert_only_towards_unknown(world.whole, less)
    assert set(less.findings.values()) == {"unknown"}
    assert {check for check, _, _ in less.findings} == {bound.check.id for bound in world.bound}
    assert not {"satisfied", "not_satisfied", "partial"} & set(less.controls.values())


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_calls_that_fail_move_results_towards_unknown_only(world: Any, data: st.DataObject) -> None:
    calls = world.calls
    chosen = data.draw(st.sets(st.integers(0, len(calls) - 1), min_size=1))
    failing: dict[str, dict[str, str]] = {}
    for number in sorted(chosen):
        source, call = calls[number]
        failing.setdefault(source, {})[call.key] = data.draw(st.sampled_from(CODES))
    assert_only_towards_unknown(world.whole, world.judged(failing))


def _readers(world: Any, kinds: set[str]) -> set[str]:
    """The checks that read one of these kinds."""
    return {bound.check.id for bound in world.bound if kinds & set(bound.check.kinds)}


def _listed(world: Any, call: Any) -> set[str]:
    """The checks that read a kind which this call helps to list, unless for another it tells of one item."""
    roles = {
        name: operation["lists"]
        for name, kind in world.kinds.items()
        for operation in kind["operations"]
        if operation["name"] == call.op
    }
    return _readers(world, set(roles)) if all(roles.values()) else set()
