"""Periods over real series: what holds, fails and cannot be proven, and each way to have a hole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.model import ConfigError, VerifyError
from collector.report.page import Page
from collector.report.period import Asked, Period
from collector.report.period_text import period_json, period_text
from collector.report.standing import Stretch

Nights = Mapping[str, Any]
DAY = timedelta(days=1)
FIRST = datetime(2026, 8, 1, 2, tzinfo=UTC)


def told(stretches: tuple[Stretch, ...]) -> list[tuple[str, int, int, int]]:
    """Status, first and last day of August, and how many runs."""
    return [(each.status, each.since.day, each.until.day, each.runs) for each in stretches]


def whats(found: Period) -> list[str]:
    return [each.what for each in found.holes.holes]


def words(found: Period) -> str:
    return " ".join(" ".join(period_text(found, Page(120), listed=True)).split())


def test_a_control_that_every_run_shows_and_no_night_lacks_held_throughout(
    series: Any, nights: Nights, control: Any
) -> None:
    series.nights(*[nights["held"]] * 5)
    found = series.look()
    assert (whats(found), len(found.runs)) == ([], 5)
    assert {each.control: each.standing for each in found.controls["toy"]} == {
        "toy:T.1": "held",
        "toy:T.2": "held",
        "toy:T.3": "manual",
        "toy:T.4": "no_evidence",
    }
    assert told(control(found).stretches) == [("satisfied", 1, 5, 5)]
    assert found.counts()["toy"]["held"] == 2
    assert "No hole in the series" in words(found)


def test_a_control_that_fails_midway_failed_from_to(series: Any, nights: Nights, control: Any) -> None:
    held, opened = nights["held"], nights["open"]
    series.nights(held, held, opened, opened, held)
    found = series.look()
    assert control(found).standing == "failed"
    assert told(control(found).stretches) == [
        ("satisfied", 1, 2, 2),
        ("not_satisfied", 3, 4, 2),
        ("satisfied", 5, 5, 1),
    ]
    assert control(found).stretches[1].why == (("doors-are-locked", "fail"),)
    assert control(found, "T.2").standing == "held"
    assert "failed from 2026-08-03T02:00:00Z to 2026-08-04T02:00:00Z, 2 runs: doors-are-locked fail" in words(
        found
    )
    assert not found.holes.contradictions


@pytest.mark.parametrize("what", ["denied", "unfinished"])
def test_a_gap_in_the_evidence_of_one_night_cannot_be_proven_and_is_named(
    series: Any, nights: Nights, control: Any, what: str
) -> None:
    series.nights(nights["held"], nights[what], nights["held"])
    found = series.look()
    assert (whats(found), control(found).standing) == ([], "unproven")
    assert [(each[0], each[1]) for each in told(control(found).stretches)] == [
        ("satisfied", 1),
        ("no_evidence", 2),
        ("satisfied", 3),
    ]
    assert control(found).stretches[1].why == (("doors-are-locked", "unknown"),)
    assert [each.reason for each in found.unseen] == ["denied" if what == "denied" else "truncated"]
    assert found.unseen[0].runs == [FIRST + DAY]


def test_a_control_that_nothing_but_unknown_speaks_of_is_unproven_and_not_without_evidence(
    series: Any, nights: Nights, control: Any
) -> None:
    series.nights(nights["denied"], nights["denied"])
    assert control(series.look()).standing == "unproven"


def missing_night(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(nights["held"], nights["held"])
    series.night(at=FIRST + 3 * DAY)
    series.night(at=FIRST + 4 * DAY)


def removed(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(*[nights["held"]] * 5)
    series.paths[2].unlink()


def altered(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(*[nights["held"]] * 5)
    damage(series.paths[2])


def altered_and_out_of_its_place(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(*[nights["held"]] * 5)
    damage(series.paths[4])
    series.paths[4].rename(series.store / "copy.zip")


def forked(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(nights["held"], nights["held"], nights["held"])
    series.fork(2, nights["held"])


def exchanged(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(nights["held"], nights["held"], nights["held"])
    series.fork(2, nights["held"])
    series.paths[1].unlink()


def clock_backwards(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(nights["held"], nights["held"], nights["held"])
    series.night(at=FIRST + 2 * DAY - timedelta(hours=1))
    series.night(at=FIRST + 3 * DAY)


def first_removed(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(*[nights["held"]] * 4)
    series.paths[0].unlink()


def last_removed(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(*[nights["held"]] * 4)
    series.paths[3].unlink()


def begins_too_late(series: Any, nights: Nights, damage: Any) -> None:
    for day in (2, 3, 4):
        series.night(at=FIRST + day * DAY)


def no_cadence(series: Any, nights: Nights, damage: Any) -> None:
    series.night(cadence=0)
    series.night(cadence=0)


HOLES: list[tuple[Callable[..., None], str, bool]] = [
    (missing_night, "late", False),
    (removed, "missing", False),
    (altered, "broken", True),
    (altered_and_out_of_its_place, "broken", True),
    (forked, "fork", True),
    (exchanged, "chain", True),
    (clock_backwards, "clock", True),
    (first_removed, "missing", False),
    (last_removed, "uncovered", False),
    (begins_too_late, "uncovered", False),
    (no_cadence, "no_cadence", False),
]


@pytest.mark.parametrize(("change", "what", "contradicts"), HOLES, ids=[each[0].__name__ for each in HOLES])
def test_what_is_wrong_with_a_series_is_a_hole_and_no_control_held_over_it(
    series: Any,
    nights: Nights,
    damage: Any,
    control: Any,
    change: Callable[..., None],
    what: str,
    contradicts: bool,
) -> None:
    change(series, nights, damage)
    found = series.look()
    assert what in whats(found)
    assert control(found).standing == control(found, "T.2").standing == "unproven"
    assert found.counts()["toy"]["held"] == 0
    # The hole stands in each control's own time line, and says where it comes from.
    holes = [each for each in control(found).stretches if each.status == "hole"]
    assert what in {word for each in holes for word, _ in each.why}
    assert all(found.begins <= each.since <= each.until <= found.ends for each in holes)
    assert period_json(found)["exit"] == int(contradicts)
    assert "nothing counts as holding in one" in words(found)


def test_a_missing_night_lies_between_its_neighbours(series: Any, nights: Nights, damage: Any) -> None:
    missing_night(series, nights, damage)
    (hole,) = series.look(ends="2026-08-05").holes.holes
    assert (hole.since, hole.until) == (FIRST + DAY, FIRST + 3 * DAY)
    assert "about 1 were not made" in hole.text


def test_an_altered_bundle_is_named_and_lies_between_its_neighbours(
    series: Any, nights: Nights, damage: Any, control: Any
) -> None:
    altered(series, nights, damage)
    found = series.look()
    (hole,) = found.holes.holes
    assert (hole.where, hole.since, hole.until) == (str(series.paths[2]), FIRST + DAY, FIRST + 3 * DAY)
    assert str(series.paths[2].name) in words(found)
    assert told(control(found).stretches) == [
        ("satisfied", 1, 2, 2),
        ("hole", 2, 4, 0),
        ("satisfied", 4, 5, 2),
    ]


def test_an_altered_bundle_that_could_stand_anywhere_makes_all_of_the_period_a_hole(
    series: Any, nights: Nights, damage: Any
) -> None:
    altered_and_out_of_its_place(series, nights, damage)
    found = series.look()
    assert ("broken", found.begins, found.ends) in [
        (each.what, each.since, each.until) for each in found.holes.holes
    ]


def test_what_a_forked_bundle_says_counts_against_a_control_and_never_for_it(
    series: Any, nights: Nights, control: Any
) -> None:
    series.nights(nights["held"], nights["held"], nights["held"])
    series.fork(2, nights["open"])
    found = series.look()
    assert control(found).standing == "failed"
    statuses = [each.status for each in control(found).stretches if each.since.day == 2 and each.runs]
    assert sorted(statuses) == ["doubted", "not_satisfied"]
    assert control(found, "T.2").standing == "unproven"


def test_a_bundle_signed_by_a_stranger_is_a_hole(
    series: Any, make_series: Any, nights: Nights, control: Any, tmp_path: Path
) -> None:
    from collector.bundle.keypair import generate_key
    from collector.bundle.trust import trust_of_key

    series.nights(nights["held"], nights["held"])
    generate_key(tmp_path / "other.pem")
    series.trust = trust_of_key(tmp_path / "other.pub.pem")
    with pytest.raises(VerifyError, match=r"no bundle verifies of 2: .*signer unknown"):
        series.look()


def test_a_waived_failure_and_a_control_out_of_scope_never_count_as_held(
    make_series: Any, nights: Nights, control: Any
) -> None:
    cases = {
        ("held", "waived", "held"): "waived",
        ("held", "away", "held"): "unproven",
        ("away", "away"): "not_applicable",
        ("waived", "open"): "failed",
    }
    for number, (names, standing) in enumerate(cases.items()):
        series = make_series(f"store{number}")
        series.nights(*(nights[name] for name in names))
        assert control(series.look()).standing == standing, names


def test_a_check_that_is_added_midway_is_named_where_it_matters(
    series: Any, nights: Nights, control: Any
) -> None:
    series.nights(nights["held"], nights["held"], nights["heavy"], nights["heavy"])
    found = series.look()
    assert control(found).standing == "held"
    ((at, change),) = control(found).changes
    assert (at.sequence, change.added, change.removed, change.altered) == (3, ("door-heavy",), (), ())
    assert control(found, "T.2").changes == ()
    assert [(each.what, each.at.sequence) for each in found.shifts] == [("checks", 3)]
    assert "judged by others from 2026-08-03T02:00:00Z on: added door-heavy" in words(found)


def test_a_target_that_is_no_longer_asked_is_named(series: Any, nights: Nights) -> None:
    series.nights(nights["held"], nights["moved"])
    (shift,) = series.look().shifts
    assert (shift.what, shift.at.sequence) == ("scope", 2)
    assert "web1" in shift.text
    assert "web2" in shift.text


def test_a_changed_cadence_is_named(series: Any) -> None:
    series.night()
    series.night(cadence=2 * 86400)
    assert [each.what for each in series.look().shifts] == ["cadence"]


def test_a_run_that_was_asked_at_another_time_is_named(series: Any, nights: Nights, control: Any) -> None:
    series.nights(nights["held"])
    series.night(asked=FIRST + 40 * DAY)
    series.night(at=FIRST + 50 * DAY, asked=FIRST + 90 * DAY)
    found = series.look(ends="2026-08-02")
    assert [(each.what, each.where) for each in found.holes.notes] == [("shifted", str(series.paths[1]))]
    assert "that it was so as of then is the word of who made it" in words(found)
    assert period_json(found)["runs"][1]["window"]["from"] == "2026-09-10T02:00:00Z"


def test_a_night_that_did_not_judge_a_framework_shows_nothing_of_it(
    series: Any, nights: Nights, control: Any
) -> None:
    series.nights(nights["held"], nights["unjudged"], nights["held"])
    found = series.look()
    assert control(found).standing == control(found, "T.3").standing == "unproven"
    assert [each[0] for each in told(control(found).stretches)] == ["satisfied", "not_judged", "satisfied"]
    assert "could not be proven, it was not judged at 2026-08-02T02:00:00Z" in words(found)


@pytest.mark.parametrize(
    ("pack", "added", "removed", "altered", "counted"),
    [
        ("heavy", ("door-heavy",), (), (), False),
        ("other", ("door-other",), ("door-locked",), (), False),
        ("altered", (), (), ("door-locked",), False),
        ("related", (), (), (), True),
        ("sufficient", ("door-named",), (), (), True),
        ("reworded", None, None, None, False),
    ],
)
def test_each_way_in_which_mappings_change_is_told(
    series: Any,
    packed: Any,
    control: Any,
    pack: str,
    added: tuple[str, ...] | None,
    removed: tuple[str, ...],
    altered: tuple[str, ...],
    counted: bool,
) -> None:
    series.nights(packed(""), packed(pack))
    changes = control(series.look()).changes
    if added is None:
        assert changes == ()
        return
    ((_, change),) = changes
    assert (change.added, change.removed, change.altered, change.counted) == (
        added,
        removed,
        altered,
        counted,
    )


def test_a_file_that_changes_after_it_was_verified_is_refused(
    series: Any, nights: Nights, tmp_path: Path
) -> None:
    from collector.bundle.judged import extract_judged

    one, other = series.nights(nights["held"], nights["open"])
    digests = [each.digest for each in series.look().runs]
    assert extract_judged(one, digests[0], tmp_path / "good", ())
    with pytest.raises(VerifyError, match="changed after it was verified"):
        extract_judged(other, digests[0], tmp_path / "changed", ())


def test_a_new_epoch_is_a_note_and_no_hole_where_no_night_is_missing(
    series: Any, nights: Nights, control: Any
) -> None:
    series.nights(nights["held"], nights["held"])
    series.night(fresh="the state was lost")
    series.night()
    found = series.look()
    assert (whats(found), [each.what for each in found.holes.notes]) == ([], ["epoch"])
    assert control(found).standing == "held"
    assert "the state was lost" in words(found)


def test_a_copy_of_a_bundle_is_named_and_counted_once(series: Any, nights: Nights, control: Any) -> None:
    series.nights(nights["held"], nights["held"])
    shutil.copyfile(series.paths[0], series.store / "copy.zip")
    found = series.look()
    assert (len(found.runs), control(found).standing) == (2, "held")
    assert sorted(each.what for each in found.holes.notes) == ["misplaced", "replay"]
    assert all(each.what in words(found) for each in found.holes.notes)


def test_holes_outside_the_period_do_not_touch_it(series: Any, nights: Nights, control: Any) -> None:
    series.nights(*[nights["held"]] * 8)
    series.paths[1].unlink()
    found = series.look("2026-08-04", "2026-08-08")
    assert (whats(found), found.holes.outside, len(found.runs)) == ([], 1, 5)
    assert control(found).standing == "held"
    # One that reaches into it does: the bundle that is missing may have been of its first hours.
    found = series.look("2026-08-02", "2026-08-08")
    assert (whats(found), found.holes.holes[0].since.day) == (["missing"], 2)


def test_failures_before_and_after_the_period_are_not_of_it(
    series: Any, nights: Nights, control: Any
) -> None:
    series.nights(nights["open"], nights["held"], nights["held"], nights["open"])
    assert control(series.look("2026-08-02", "2026-08-03")).standing == "held"
    assert control(series.look("2026-08-02", "2026-08-04")).standing == "failed"


def test_both_ends_of_a_period_are_included(series: Any, nights: Nights) -> None:
    from collector.report.period import period

    series.nights(*[nights["held"]] * 3)
    found = period(Asked(series.store, FIRST, FIRST + DAY), series.trust)
    assert [each.sequence for each in found.runs] == [1, 2]
    found = period(Asked(series.store, FIRST + timedelta(seconds=1), FIRST + DAY), series.trust)
    assert [each.sequence for each in found.runs] == [2]


def test_without_ends_the_period_is_that_of_the_series(series: Any, nights: Nights) -> None:
    from collector.report.period import period

    series.nights(*[nights["held"]] * 3)
    found = period(Asked(series.store), series.trust)
    assert (found.begins, found.ends, len(found.runs)) == (FIRST, FIRST + 2 * DAY, 3)


def test_what_cannot_be_asked_is_one_clear_line(series: Any, make_series: Any, nights: Nights) -> None:
    series.nights(nights["held"])
    with pytest.raises(ConfigError, match=r"--from 2026-08-02.* lies after --to 2026-08-01"):
        series.look("2026-08-02", "2026-08-01")
    with pytest.raises(ConfigError, match=r"no bundle of series acme from .*there are 1, as of 2026-08-01"):
        series.look("2026-09-01", "2026-09-02")
    with pytest.raises(ConfigError, match=r"framework 'toyy' was not judged \(did you mean toy\?\)"):
        series.look(frameworks=["toyy"])
    with pytest.raises(ConfigError, match=r"no bundle of series acne verifies \(did you mean acme\?\)"):
        series.look(series="acne")
    make_series(name="globex").nights(nights["held"])
    with pytest.raises(ConfigError, match=r"holds the series acme, globex; name one with --series"):
        series.look()
    assert series.look(series="acme").series == "acme"


def test_json_and_text_come_out_the_same_again(series: Any, nights: Nights, damage: Any) -> None:
    series.nights(nights["held"], nights["open"], nights["denied"], nights["heavy"], nights["held"])
    damage(series.paths[3])
    one, other = series.look(), series.look()
    assert json.dumps(period_json(one)) == json.dumps(period_json(other))
    assert period_text(one, Page(100), listed=True) == period_text(other, Page(100), listed=True)


def test_json_has_the_forms_of_the_report_on_one_bundle(series: Any, nights: Nights) -> None:
    series.nights(nights["held"], nights["denied"])
    value = json.loads(json.dumps(period_json(series.look())))
    toy = value["frameworks"]["toy"]
    assert set(toy) == {"title", "counts", "controls"}
    assert sum(toy["counts"].values()) == len(toy["controls"]) == 4
    for each in toy["controls"]:
        assert set(each) >= {"control", "title", "status", "why"}
    assert toy["controls"][0]["why"] == ["doors-are-locked unknown"]
    for each in value["unseen"]:
        assert set(each) >= {"reason", "right", "details", "gaps", "kinds"}
    assert value["as_of"] == value["runs"][-1]["as_of"] == "2026-08-02T02:00:00Z"


def test_controls_are_in_the_frameworks_order(series: Any, nights: Nights) -> None:
    series.nights(nights["held"])
    assert [each.control for each in series.look().controls["toy"]] == [f"toy:T.{n}" for n in (1, 2, 3, 4)]
