"""What each verdict means, one small run at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from collector.assess import Budget, assess
from collector.model import VerifyError


def test_true_passes_false_fails_and_null_is_unknown(made: Any, rows: Any) -> None:
    made.record("a", number=1)
    made.record("b", number=9)
    made.record("c")
    made.check(rows("number < 5"))
    summary = assess(made.write())
    assert made.results() == {"a": "pass", "b": "fail", "c": "unknown"}
    assert summary.findings == {"pass": 1, "fail": 1, "unknown": 1, "not_applicable": 0}
    assert made.status() == "not_satisfied"


def test_a_gap_in_a_column_that_is_read_is_unknown_whatever_coalesce_says(made: Any, rows: Any) -> None:
    made.record("a", gaps=["number"], name="x")
    made.record("b", gaps=["name"], number=9)
    made.check(rows("coalesce(number, 0) < 5"))
    assess(made.write())
    assert made.results() == {"a": "unknown", "b": "fail"}


def test_applies_narrows_and_its_gaps_are_unknown(made: Any, rows: Any) -> None:
    made.record("a", name="x", number=1)
    made.record("b", name="y", number=9)
    made.record("c", number=9)
    made.record("d", gaps=["name"], number=9)
    made.check(rows("number < 5", more="applies = \"name = 'x'\""))
    assess(made.write())
    assert made.results() == {"a": "pass", "b": "not_applicable", "c": "unknown", "d": "unknown"}


def test_a_value_that_does_not_fit_is_a_gap_and_not_null(made: Any, rows: Any) -> None:
    made.record("a", number="nine")
    made.check(rows("number is null"))
    assess(made.write())
    assert made.results() == {"a": "unknown"}


def test_a_redacted_path_is_unknown_and_redactions_can_be_asked(made: Any, rows: Any) -> None:
    found = [{"path": "name", "by": "AWSKeyDetector", "digest": "hmac:0"}]
    made.record("a", name="[redacted]", redactions=found)
    made.check(rows("name <> ''", id_="made-text") + rows("len(_redactions) = 0", id_="made-plain-sight"))
    assess(made.write())
    by_check = {line["check"]: line["result"] for line in made.findings()}
    assert by_check == {"made-text": "unknown", "made-plain-sight": "fail"}


@pytest.mark.parametrize(
    "change",
    [{"outcome": "denied", "detail": "AccessDenied"}, {"more": True}, {"call": "0/0"}],
    ids=["denied", "last page missing", "not in the ledger"],
)
def test_an_incomplete_population_says_so_for_each_check(made: Any, rows: Any, change: Any) -> None:
    made.record("a", number=1)
    made.calls = [made.entry(**change)]
    made.check(rows("number < 5"))
    summary = assess(made.write())
    assert made.results() == {"": "unknown", "a": "pass"}
    assert made.status() == "no_evidence"
    assert [each["complete"] for each in summary.populations] == [False]


def test_a_gap_line_makes_its_population_incomplete(made: Any, rows: Any) -> None:
    made.record("a", number=1)
    made.gaps = [
        {"kind": "made_thing", "scope": {"place": "here"}, "reason": "denied", "detail": "needs root"}
    ]
    made.check(rows("number < 5"))
    assess(made.write())
    assert "needs root" in made.findings()[0]["detail"]


def test_two_records_of_one_id_make_the_population_incomplete(made: Any, rows: Any) -> None:
    made.record("a", number=1)
    made.record("a", number=2)
    made.check(rows("number < 5"))
    assess(made.write())
    assert {line["result"] for line in made.findings() if not line["subject"]} == {"unknown"}


def test_a_query_is_unknown_where_anything_it_reads_was_not_seen(made: Any, queries: Any) -> None:
    made.record("a", name="x", number=1)
    made.record("b", name="y", gaps=["number"])
    sql = "SELECT _id AS id, coalesce(number, 0) < 5 AS pass, '' AS detail FROM made_thing"
    made.check(queries(sql))
    assess(made.write())
    assert set(made.results().values()) == {"unknown"}
    assert "" in made.results()


def test_a_witness_stands_where_something_else_was_not_seen(made: Any, queries: Any) -> None:
    made.record("a", name="x", number=9)
    made.record("b", name="y", number=1)
    made.calls = [made.entry(outcome="denied")]
    sql = "SELECT _id AS id, number < 5 AS pass, '' AS detail FROM made_thing"
    made.check(queries(sql, more='witness = "fail"'))
    assess(made.write())
    assert made.results() == {"": "unknown", "a": "fail", "b": "unknown"}


def test_a_query_may_say_the_scope_of_its_subjects(made: Any, queries: Any) -> None:
    made.record("a", name="x", number=9)
    sql = "SELECT _id AS id, number < 5 AS pass, '' AS detail, _scope AS scope FROM made_thing"
    made.check(queries(sql))
    assess(made.write())
    assert [line["scope"] for line in made.findings()] == [{"place": "here"}]


def test_a_waiver_covers_a_failure_until_its_end(made: Any, rows: Any) -> None:
    made.record("a", number=9)
    made.check(rows("number < 5"))
    waiver = {
        "check": "made-check",
        "subject": "a*",
        "scope": {},
        "owner": "o",
        "approver": "p",
        "reason": "r",
    }
    made.exceptions["waivers"] = [{**waiver, "until": "2026-11-30"}]
    made.write()
    assess(made.folder)
    assert made.findings()[0]["waiver"] == {
        "owner": "o",
        "approver": "p",
        "reason": "r",
        "until": "2026-11-30",
    }
    assert made.status() == "waived"
    assess(made.folder, as_of=datetime(2026, 12, 1, tzinfo=UTC))
    assert made.status() == "not_satisfied"


def test_old_evidence_is_stale(made: Any, rows: Any) -> None:
    made.record("a", number=1)
    made.check(rows("number < 5"))
    assess(made.write(), as_of=datetime(2026, 11, 26, tzinfo=UTC))
    assert made.status() == "stale"


def test_a_check_of_a_kind_that_was_not_collected_is_listed_as_not_run(made: Any, rows: Any) -> None:
    made.check(rows("number < 5").replace("made_thing", "other_thing"))
    summary = assess(made.write())
    assert list(summary.not_run) == ["made-check"]
    assert made.findings() == []
    assert made.status() == "no_evidence"


def test_a_column_that_the_bundle_lacks_gives_one_unknown_a_population(made: Any, rows: Any) -> None:
    made.record("a", number=1)
    made.check(rows("newer < 5"))
    assess(made.write())
    (line,) = made.findings()
    assert (line["subject"], line["result"]) == ("", "unknown")
    assert "unsupported" in line["detail"]


def test_a_check_that_fails_to_run_is_unknown_and_spares_the_others(made: Any, rows: Any) -> None:
    made.record("a", name="x", number=1)
    made.check(rows("CAST(name AS BIGINT) < 5", id_="made-bad") + rows("number < 5", id_="made-good"))
    summary = assess(made.write())
    by_check = {line["check"]: line["result"] for line in made.findings()}
    assert by_check == {"made-bad": "unknown", "made-good": "pass"}
    assert "made-bad" in summary.failed


SMALL = Budget(memory=192 << 20, seconds=1.0, wall=20.0)


def test_a_query_that_never_ends_is_ended_and_unknown(made: Any, rows: Any, queries: Any) -> None:
    made.record("a", name="x", number=1)
    endless = (
        "SELECT 'x' AS id, sum(a.range * b.range) > 0 AS pass, '' AS detail "
        "FROM range(10000000) a, range(10000000) b"
    )
    made.check(queries(endless) + rows("number < 5", id_="made-good"))
    summary = assess(made.write(), budget=SMALL)
    assert made.results()["a"] == "pass"
    assert "made-query" in summary.failed


def test_a_query_that_eats_memory_is_unknown(made: Any, queries: Any) -> None:
    made.record("a", name="x", number=1)
    hungry = (
        "SELECT 'x' AS id, len(list(md5(range::VARCHAR))) > 0 AS pass, '' AS detail FROM range(100000000)"
    )
    made.check(queries(hungry))
    summary = assess(made.write(), budget=SMALL)
    assert list(summary.failed) == ["made-query"]
    assert made.results() == {"": "unknown"}


def test_evidence_that_is_none_is_refused_in_one_line(made: Any, rows: Any) -> None:
    made.check(rows("number < 5"))
    made.write()
    (made.folder / "plan.json").write_bytes(b'{"format":1}')
    with pytest.raises(VerifyError, match="not as the format says"):
        assess(made.folder)


def test_a_kind_that_no_list_call_is_due_for_was_not_seen_whole(made: Any, rows: Any) -> None:
    made.record("a", number=1)
    made.check(rows("number < 5"))
    plan = made.write() / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"due":[{', b'"due":[],"was":[{'))
    assess(made.folder)
    assert made.results() == {"": "unknown", "a": "pass"}
