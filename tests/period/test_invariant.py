"""The invariant of periods: whatever is taken away, nothing comes nearer to having held."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.report.holes import Hole, cuts, joined
from collector.report.period import Period
from collector.report.standing import DOUBTED, NOT_JUDGED, State, believed, standing, stretches

FIRST = datetime(2026, 8, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("held", "open", "denied", "unfinished", "heavy", "away", "waived", "moved")
GAPS = {"held": "denied", "heavy": "unfinished", "open": "denied", "waived": "denied", "moved": "unfinished"}
STATUSES = (
    "satisfied", "partial", "not_satisfied", "waived", "stale", "manual", "no_evidence", "not_applicable",
    "not_judged",
)  # fmt: skip
REAL = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
stores = count()


def standings(found: Period) -> dict[str, str]:
    return {each.control: each.standing for each in found.controls["toy"]}


def nearer(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Controls that come to `held` and did not."""
    return [control for control, word in after.items() if word == "held" and before[control] != "held"]


chains = st.lists(st.sampled_from(NAMES), min_size=3, max_size=5)


@REAL
@given(names=chains, data=st.data())
def test_bundles_that_are_lost_or_altered_never_let_a_control_hold(
    names: Sequence[str],
    data: st.DataObject,
    make_series: Callable[..., Any],
    nights: Mapping[str, Any],
    damage: Any,
) -> None:
    series = make_series(f"store-{next(stores)}")
    series.nights(*(nights[name] for name in names))
    before = standings(series.look())
    hit = data.draw(st.sets(st.integers(0, len(names) - 1), min_size=1, max_size=len(names) - 1))
    for number in hit:
        if data.draw(st.booleans()):
            damage(series.paths[number])
        else:
            series.paths[number].unlink()
    found = series.look()
    assert found.holes.holes
    assert "held" not in standings(found).values()
    assert not nearer(before, standings(found))


@REAL
@given(names=chains, data=st.data())
def test_evidence_that_one_night_could_not_have_never_lets_a_control_hold(
    names: Sequence[str], data: st.DataObject, make_series: Callable[..., Any], nights: Mapping[str, Any]
) -> None:
    one, other = (make_series(f"store-{next(stores)}") for _ in range(2))
    one.nights(*(nights[name] for name in names))
    number = data.draw(st.integers(0, len(names) - 1))
    lost = [GAPS.get(name, name) if at == number else name for at, name in enumerate(names)]
    other.nights(*(nights[name] for name in lost))
    before, after = standings(one.look()), standings(other.look())
    assert not nearer(before, after)
    if lost != list(names):
        assert after["toy:T.1"] != "held"


@REAL
@given(names=chains, data=st.data())
def test_a_fork_or_another_epoch_over_it_never_lets_a_control_hold(
    names: Sequence[str], data: st.DataObject, make_series: Callable[..., Any], nights: Mapping[str, Any]
) -> None:
    series = make_series(f"store-{next(stores)}")
    series.nights(*(nights[name] for name in names))
    before = standings(series.look())
    number = data.draw(st.integers(1, len(names)))
    series.fork(number, nights[data.draw(st.sampled_from(NAMES))])
    found = series.look()
    assert "held" not in standings(found).values()
    assert all(standings(found)[control] == "failed" for control, was in before.items() if was == "failed")


def test_a_store_that_is_copied_file_by_file_says_the_same_in_any_order(
    series: Any, nights: Mapping[str, Any], tmp_path: Path
) -> None:
    series.nights(*(nights[name] for name in ("held", "open", "held")))
    before = standings(series.look())
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(reversed(series.paths)):
        shutil.copyfile(path, flat / f"{number}.zip")
    series.store = flat
    found = series.look()
    assert standings(found) == before
    assert [each.what for each in found.holes.notes] == ["misplaced"] * 3


states = st.lists(
    st.builds(
        State,
        st.sampled_from(STATUSES),
        st.sampled_from([(), (("o", "unknown"),), (("o", "no_evidence"),)]),
    ),
    min_size=1,
    max_size=6,
)


@given(states, st.booleans())
def test_held_is_every_run_satisfied_and_nothing_else(found: Sequence[State], whole: bool) -> None:
    assert (standing(found, whole) == "held") == (whole and {each.status for each in found} == {"satisfied"})


@given(states, st.booleans(), st.data())
def test_a_hole_or_a_state_that_is_lost_never_leads_to_held_and_never_hides_a_failure(
    found: Sequence[State], whole: bool, data: st.DataObject
) -> None:
    before = standing(found, whole)
    assert standing(found, False) in (before, "unproven")
    at = data.draw(st.integers(0, len(found) - 1))
    for lost in (NOT_JUDGED, State("no_evidence", (("o", "unknown"),)), State("partial"), State("stale")):
        assert standing([*found[:at], lost, *found[at + 1 :]], whole) != "held"
    if before == "failed":
        assert standing(found, False) == "failed"


@given(states, st.integers(0, 5))
def test_the_word_of_a_bundle_in_doubt_counts_where_it_says_failed_alone(
    found: Sequence[State], at: int
) -> None:
    for state in found:
        assert believed(state, False) is state
        assert believed(state, True) == (state if state.status == "not_satisfied" else DOUBTED)


days = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=4)


@given(states, days)
def test_stretches_hold_every_run_once_in_order_and_none_spans_a_hole(
    found: Sequence[State], spans: Sequence[tuple[int, int]]
) -> None:
    moments = [FIRST + number * DAY for number in range(len(found))]
    half = timedelta(hours=12)
    holes = sorted(
        (Hole("late", "", FIRST + a * half, FIRST + (a + b) * half, "") for a, b in spans),
        key=lambda each: (each.since, each.until),
    )
    made = stretches(moments, found, cuts(moments, holes))
    assert sum(each.runs for each in made) == len(found)
    said = [each.status for each in made for _ in range(each.runs)]
    assert said == [each.status for each in found]
    for each in (one for one in made if one.runs > 1):
        assert not [hole for hole in holes if hole.since < each.until and hole.until > each.since]
    together = joined(holes)
    assert all(before.until < after.since for before, after in pairwise(together))
    assert all(any(one.since <= hole.since <= hole.until <= one.until for one in together) for hole in holes)
