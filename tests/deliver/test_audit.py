"""Whole stores: each way in which a series can be wrong is found, and the clean one is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.deliver.audit import Audit, audit
from collector.model import ConfigError, VerifyError

DAY = timedelta(days=1)
START = datetime(2026, 11, 1, 2, tzinfo=UTC)


def moment(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def digest(number: int, salt: str = "") -> str:
    import hashlib

    return hashlib.sha256(f"{number}{salt}".encode()).hexdigest()


class Store:
    """A store whose bundles are the facts that the audit needs, as JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def facts(self, number: int, *, start: datetime = START, **changes: Any) -> dict[str, Any]:
        at = start + (number - 1) * DAY
        return {
            "digest": digest(number),
            "name": "acme",
            "epoch": moment(start),
            "sequence": number,
            "previous": digest(number - 1) if number > 1 else None,
            "cadence": 86400,
            "reason": None if number > 1 else "the state was lost",
            "keep": None,
            "as_of": moment(at),
            "from": moment(at),
            "to": moment(at + timedelta(minutes=4)),
            **changes,
        }

    def put(self, facts: Mapping[str, Any], key: str = "") -> Path:
        epoch = facts["epoch"].replace("-", "").replace(":", "")
        name = f"{facts['name']}/{epoch}/{facts['sequence']:08d}-{facts['digest'][:12]}.zip"
        path = self.folder / (key or name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts))
        return path

    def nights(self, *numbers: int, **changes: Any) -> list[Path]:
        return [self.put(self.facts(number, **changes)) for number in numbers]


def prove(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        facts = json.loads(path.read_text())
    except ValueError:
        raise VerifyError(f"{path.name}: not a bundle") from None
    series = {key: facts[key] for key in ("name", "epoch", "sequence", "previous", "cadence", "reason")}
    window = {"from": facts["from"], "to": facts["to"]}
    return facts["digest"], {
        "series": series,
        "window": window,
        "as_of": facts["as_of"],
        "keep": facts["keep"],
    }


def looked(*stores: Store) -> Audit:
    return audit([store.folder for store in stores], prove)


def whats(found: Audit) -> list[str]:
    return [each.what for each in found.remarks]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_clean_series_holds_and_nothing_is_remarked(store: Store) -> None:
    store.nights(*range(1, 8))
    found = looked(store)
    assert (found.holds, found.remarks, found.seen, len(found.bundles)) == (True, (), 7, 7)


def test_a_store_that_keeps_for_longer_than_there_are_years_is_looked_at_all_the_same(store: Store) -> None:
    store.nights(2, 3, keep=10**12)
    (remark,) = looked(store).remarks
    assert (remark.what, remark.breaks) == ("missing", True)


def broken(store: Store) -> None:
    store.nights(1, 2, 3)[1].write_text("no bundle")


def hole(store: Store) -> None:
    store.nights(1, 2, 5)


def late_start(store: Store) -> None:
    store.nights(4, 5, 6)


def start_that_keep_does_not_explain(store: Store) -> None:
    store.nights(4, 5, 6, keep=30 * 86400)


def fork(store: Store) -> None:
    store.nights(1, 2, 3)
    store.put(store.facts(3, digest=digest(3, "other")))


def replay_in_another_place(store: Store) -> None:
    store.nights(1, 2, 3)
    store.put(store.facts(2), "acme/20261101T020000Z/00000004-000000000000.zip")


def replay_under_another_name(store: Store) -> None:
    store.nights(1, 2, 3)
    store.put(store.facts(3), "acme/copy.zip")


def misplaced_sequence(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(3), f"acme/20261101T020000Z/00000007-{digest(3)[:12]}.zip")


def misplaced_series(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(3), f"globex/20261101T020000Z/00000003-{digest(3)[:12]}.zip")


def misplaced_epoch(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(3), f"acme/20261102T020000Z/00000003-{digest(3)[:12]}.zip")


def torn_chain(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(3, previous=digest(2, "other")))


def exchanged_link(store: Store) -> None:
    store.nights(1, 3)
    store.put(store.facts(2, digest=digest(2, "other")))


def wrong_first(store: Store) -> None:
    store.put(store.facts(1, as_of=moment(START + timedelta(hours=1))))


def as_of_backwards(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(3, as_of=moment(START)))


def window_backwards(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(3, **{"from": moment(START)}))


def missing_night(store: Store) -> None:
    store.nights(1, 2)
    at = START + 3 * DAY
    store.put(store.facts(3, as_of=moment(at), to=moment(at), **{"from": moment(at)}))


def epochs_side_by_side(store: Store) -> None:
    store.nights(1, 2, 3, 4)
    second = START + DAY + timedelta(hours=1)
    store.put(store.facts(1, start=second, digest=digest(1, "second")))


def night_missing_between_epochs(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(1, start=START + 5 * DAY, digest=digest(1, "second")))


CASES: list[tuple[Callable[[Store], None], str, str]] = [
    (broken, "broken", "not a bundle"),
    (hole, "missing", "numbers 3 to 4"),
    (late_start, "missing", "starts at number 4"),
    (start_that_keep_does_not_explain, "missing", "does not explain it"),
    (fork, "fork", "the series was forked"),
    (replay_in_another_place, "replay", "the same bundle as"),
    (replay_under_another_name, "replay", "the same bundle as"),
    (misplaced_sequence, "misplaced", "belongs at acme/20261101T020000Z/00000003-"),
    (misplaced_series, "misplaced", "belongs at acme/"),
    (misplaced_epoch, "misplaced", "belongs at acme/20261101T020000Z/"),
    (torn_chain, "chain", "as the one before it"),
    (exchanged_link, "chain", "as the one before it"),
    (wrong_first, "chain", "the first of an epoch"),
    (as_of_backwards, "clock", "ran backwards"),
    (window_backwards, "clock", "ran backwards"),
    (missing_night, "late", "about 1 were not made"),
    (epochs_side_by_side, "clock", "ran backwards"),
    (night_missing_between_epochs, "late", "were not made"),
]


@pytest.mark.parametrize(("change", "what", "text"), CASES, ids=[case[0].__name__ for case in CASES])
def test_what_is_wrong_with_a_series_is_named(
    store: Store, change: Callable[[Store], None], what: str, text: str
) -> None:
    change(store)
    found = looked(store)
    assert not found.holds
    assert any(each.what == what and text in each.text for each in found.remarks), found.remarks


def test_one_bad_bundle_does_not_keep_the_others_from_being_looked_at(store: Store) -> None:
    broken(store)
    store.put(store.facts(5))
    found = looked(store)
    assert [each.sequence for each in found.bundles] == [1, 3, 5]
    # What is broken is there: only number 4 is missing.
    assert [each.text for each in found.remarks if each.what == "missing"] == ["number 4 of acme missing"]


def test_a_late_start_that_retention_explains_is_a_note(store: Store) -> None:
    store.nights(*range(20, 60), keep=40 * 86400)
    found = looked(store)
    assert found.holds
    assert whats(found) == ["expired"]


def test_a_new_epoch_is_a_note(store: Store) -> None:
    store.nights(1, 2)
    store.put(store.facts(1, start=START + 2 * DAY, digest=digest(1, "second")))
    found = looked(store)
    assert found.holds
    assert whats(found) == ["epoch"]
    assert "since the state was lost: nothing chains it" in found.remarks[0].text


def test_a_stamp_beside_a_bundle_is_expected_and_other_files_are_a_note(store: Store) -> None:
    (path,) = store.nights(1)
    path.with_suffix(".freetsa.tsr").touch()
    path.with_suffix(".sigstore.json").touch()
    assert not looked(store).remarks
    path.with_suffix(".txt").touch()
    assert whats(looked(store)) == ["stray"]


def test_two_stores_may_hold_the_same_and_not_different_bundles_of_one_number(
    store: Store, tmp_path: Path
) -> None:
    other = Store(tmp_path / "other")
    store.nights(1, 2, 3)
    other.nights(1, 2, 3)
    assert looked(store, other).holds
    other.put(other.facts(4, digest=digest(4, "a")))
    assert looked(store, other).holds
    store.put(store.facts(4, digest=digest(4, "b")))
    assert whats(looked(store, other)) == ["fork"]


@pytest.mark.parametrize("apart", [timedelta(days=9), -timedelta(days=9)])
def test_a_bundle_that_was_asked_at_another_time_than_it_is_judged_for_is_a_note(
    store: Store, apart: timedelta
) -> None:
    store.nights(1)
    at = START + DAY
    asked = {"from": moment(at + apart), "to": moment(at + apart + timedelta(minutes=4))}
    found = looked(store)
    assert found.remarks == ()
    store.put(store.facts(2, as_of=moment(at), **asked))
    found = looked(store)
    assert "shifted" in whats(found)
    assert all(each.breaks == (each.what != "shifted") for each in found.remarks)
    assert found.holds == (apart > timedelta())  # what was asked before the bundle before it runs backwards


def test_a_store_may_be_named_from_within(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.nights(1, 2, 3)
    for place in (store.folder, store.folder / "acme", next((store.folder / "acme").iterdir())):
        monkeypatch.chdir(place)
        assert audit([Path()], prove).remarks == ()


def test_what_is_wrong_says_where_evidence_is_missing_or_in_doubt(store: Store) -> None:
    epoch = "20261101T020000Z"
    store.nights(1, 2, 5, 6)
    store.put(store.facts(6, digest=digest(6, "other"), previous=digest(5)))
    places = {each.what: each.places for each in looked(store).remarks}
    assert places["missing"] == (("acme", epoch, 3),)
    assert places["fork"] == (("acme", epoch, 6),)
    late = [
        each.between for each in looked(store).remarks if each.what == "late" and each.between is not None
    ]
    assert late == []
    missing_night(other := Store(store.folder.parent / "other"))
    (remark,) = looked(other).remarks
    assert remark.between is not None
    assert [each.sequence for each in remark.between] == [2, 3]


def test_a_hole_in_one_of_two_stores_is_found(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    store.nights(1, 2, 3)
    other.nights(1, 3)
    assert "missing" in whats(looked(store, other))


def test_a_series_folder_that_was_handed_over_under_another_name_is_told_what_to_do(
    store: Store, tmp_path: Path
) -> None:
    store.nights(1, 2)
    handed = (store.folder / "acme").rename(tmp_path / "evidence of acme")
    found = audit([handed], prove)
    assert not found.holds
    assert {each.what for each in found.remarks} == {"misplaced"}
    for each in found.remarks:
        assert "a series' folder keeps its name, acme, and the store is the folder above it" in each.text
    whole = tmp_path / "whole"
    whole.mkdir()
    handed.rename(whole / "acme")
    assert audit([whole], prove).holds
    assert audit([whole / "acme"], prove).holds


def test_a_folder_without_a_bundle_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no bundle in it"):
        audit([tmp_path], prove)
    with pytest.raises(ConfigError, match="No such file"):
        audit([tmp_path / "none"], prove)
