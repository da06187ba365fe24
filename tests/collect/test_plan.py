"""The plan is the same for the same configuration, and says of nobody who they are."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.canonical import dumps
from collector.collect.plan import call_id, make, plan_json, target_digest
from collector.collect.redact import Redactor
from collector.model import Absent, ConfigError, Due, Target, Task

AS_OF = datetime(2026, 11, 24, 2, 0, 0, 999, tzinfo=UTC)
TARGETS = st.builds(
    Target,
    st.sampled_from(["a", "b"]),
    st.dictionaries(st.sampled_from("xyz"), st.text(min_size=1, max_size=3)),
)
PARAMS = st.dictionaries(st.text(max_size=3), st.integers(-(2**60), 2**60) | st.text(max_size=3), max_size=3)


def task(place: str, *kinds: str) -> Task:
    return Task(Target("made", {"place": place}), kinds or ("made_thing",))


def test_tasks_are_in_the_order_of_their_ids_however_they_were_given(made: ModuleType) -> None:
    tasks = [task(place) for place in "abcdef"]
    forth = make(AS_OF, (), [(made.Made, {}, tasks)])
    back = make(AS_OF, (), [(made.Made, {}, tasks[::-1])])
    assert forth == back
    ids = [each.id for each in forth.tasks]
    assert ids == sorted(ids)
    assert len(set(ids)) == 6


def test_a_tasks_id_is_that_of_its_target_and_kinds_alone(made: ModuleType) -> None:
    one, two = (
        make(AS_OF, (), [(made.Made, {"secret": n}, [Task(Target("made", {"place": "a"}, str(n)), kinds)])])
        for n, kinds in enumerate([("x", "y"), ("y", "x")])
    )
    assert one.tasks[0].id == two.tasks[0].id
    assert len(one.tasks[0].id) == 16


def test_two_tables_for_one_target_are_refused_by_name(made: ModuleType) -> None:
    with pytest.raises(ConfigError, match=r"made: place here\); remove one"):
        make(AS_OF, (), [(made.Made, {}, [task("here")]), (made.Made, {"other": 1}, [task("here")])])


def test_what_is_absent_is_planned_by_nobody_and_named(made: ModuleType) -> None:
    absent = [Absent("made_thing", {"place": place}, "not served") for place in "ba"]
    plan = make(AS_OF, (), [(made.Made, {}, absent)])
    assert plan.tasks == ()
    assert [each.scope["place"] for each in plan.absent] == ["a", "b"]


def test_the_written_plan_names_the_calls_that_are_due_and_nobody(made: ModuleType, rig: Any) -> None:
    due = Due("made_thing", "made:List", {"for": "anna@example.org"})
    planned = Task(Target("made", {"place": "a"}, "reader"), ("made_thing",), (due,))
    plan = make(AS_OF, ("f1",), [(made.Made, {"token": "hidden"}, [planned])], [("made", {})])
    shown = plan_json(plan, Redactor({}, rig.keys))
    assert b"anna" not in dumps(shown)
    assert b"hidden" not in dumps(shown)
    assert shown["as_of"] == "2026-11-24T02:00:00Z"
    assert shown["undiscovered"] == [{"source": "made", "scope": {}}]
    ((written,),) = (each["due"] for each in shown["tasks"])
    assert written["call"] == call_id(planned.target, "made:List", written["params"], 1)
    ask = rig.asker(made.Made({}))
    ask._target = planned.target
    assert next(ask.pages("made:List", due.params)).call == written["call"]


@given(TARGETS, TARGETS, PARAMS, PARAMS, st.integers(1, 9), st.integers(1, 9))
def test_ids_of_calls_differ_where_questions_do(
    one: Target, two: Target, these: dict[str, Any], those: dict[str, Any], page: int, other: int
) -> None:
    same_target = (one.source, dict(one.scope)) == (two.source, dict(two.scope))
    assert (target_digest(one) == target_digest(two)) == same_target
    same = same_target and dumps(these) == dumps(those) and page == other
    ids = call_id(one, "a:B", these, page), call_id(two, "a:B", those, other)
    assert (ids[0] == ids[1]) == same
    assert ids[0] != call_id(one, "a:C", these, page)
    assert ids[0].startswith(target_digest(one) + "/")
    assert len(ids[0]) == 8 + 1 + 16


@pytest.mark.parametrize("value", ["", "x" * 2_001])
def test_a_target_whose_scope_no_statement_can_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="place of a target: must have 1 to 2000 characters"):
        Target("made", {"place": value})
