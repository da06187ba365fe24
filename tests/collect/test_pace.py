"""Nothing is slowed until a target asks for it; then its service alone, and only as long as needed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector.collect.pace import Pace, Paces


def test_nothing_is_slowed_unasked() -> None:
    pace = Pace(lambda: 0.0)
    assert [pace.due() for _ in range(5)] == [0.0] * 5
    pace.answered()
    assert pace.due() == 0.0


def test_each_refusal_doubles_the_distance_up_to_a_limit() -> None:
    pace = Pace(lambda: 0.0)
    booked = []
    for _ in range(12):
        pace.refused()
        booked.append(pace.due())
    distances = [later - earlier for earlier, later in pairwise(booked)]
    assert [round(each, 3) for each in distances[:4]] == [0.05, 0.1, 0.2, 0.4]
    assert round(max(distances), 9) == 5.0


def test_a_service_that_keeps_up_is_slowed_no_more() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    pace.refused()
    for _ in range(100):
        pace.answered()
    pace.due()
    assert pace.due() == 0.0


@given(st.lists(st.sampled_from(["refused", "answered", "due", "later"]), max_size=60))
def test_places_never_go_back(steps: list[str]) -> None:
    now = 0.0
    pace = Pace(lambda: now)
    last = 0.0
    for step in steps:
        if step == "later":
            now += 0.5
        elif step == "due":
            wait = pace.due()
            assert wait >= 0.0
            assert now + wait >= last
            last = now + wait
        else:
            getattr(pace, step)()


def test_operations_of_one_service_share_a_pace() -> None:
    paces = Paces(lambda: 0.0)
    assert paces.of("s3:List") is paces.of("s3:Get")
    assert paces.of("s3:List") is not paces.of("iam:List")
