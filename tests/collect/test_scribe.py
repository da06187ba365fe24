"""What is written down of a record: its gaps in order, each counted, each line salted."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.canonical import dumps, loads, salted
from collector.collect.redact import Redactor
from collector.collect.scribe import Scribe
from collector.lines import read_lines
from collector.model import Column, ColumnGap, Gap, Kind, Operation, Outcome, Record, Target, Task

SCOPE = {"place": "here"}
OPS = ("made:A", "made:B", "made:C")
KIND = Kind(
    name="made_wide",
    title="wide",
    columns=(
        Column("listed", "VARCHAR", "by the list"),
        Column("by_b", "VARCHAR", "by one call", calls=("made:B",)),
        Column("by_both", "VARCHAR", "by two calls", calls=("made:B", "made:C")),
    ),
    identity=("listed",),
    operations=(Operation("made:A", "a"), Operation("made:B", "b", False), Operation("made:C", "c", False)),
)


def scribe(rig: Any, heard: dict[str, tuple[str, Outcome]]) -> Scribe:
    kinds = {KIND.name: KIND}
    task = Task(Target("made", SCOPE), (KIND.name,))
    path = rig.folder() / "segment"
    return Scribe(path, task, kinds, heard, Redactor(kinds, rig.keys), rig.keys.salt)


def written(one: Scribe) -> list[dict[str, Any]]:
    return [loads(line) for line in read_lines(one.close().path)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcomes=st.lists(st.tuples(st.sampled_from(OPS), st.sampled_from(Outcome)), min_size=1, max_size=5))
def test_a_column_is_seen_only_if_its_calls_were_answered(
    rig: Any, outcomes: list[tuple[str, Outcome]]
) -> None:
    heard = {f"call/{n}": each for n, each in enumerate(outcomes)}
    one = scribe(rig, heard)
    one.write(Record(KIND.name, "x", SCOPE, tuple(heard), {"listed": "x"}))
    (record,) = [line["record"] for line in written(one)]
    gaps = {gap["column"]: gap["reason"] for gap in record["gaps"]}
    for column in KIND.columns:
        own = [outcome for op, outcome in outcomes if op in (column.calls or ("made:A",))]
        seen = bool(own) and all(outcome in ("ok", "absent") for outcome in own)
        assert (column.name not in gaps) == seen
        assert seen or not own or gaps[column.name] in own
    assert sum(one.gaps.values()) == len(gaps)


def test_what_the_source_said_of_a_column_stands(rig: Any) -> None:
    one = scribe(rig, {"c/1": ("made:A", Outcome.OK), "c/2": ("made:B", Outcome.DENIED)})
    said = ColumnGap("by_b", Outcome.VANISHED, "c/2", "gone\nmeanwhile")
    one.write(Record(KIND.name, "x", SCOPE, ("c/1",), {"by_b": 3}, (said,)))
    (line,) = written(one)
    assert line["record"]["gaps"] == [
        {"call": "c/2", "column": "by_b", "detail": "gone meanwhile", "reason": "vanished"},
        {"column": "by_both", "detail": "not answered", "reason": "failed"},
    ]
    assert one.cited == {(KIND.name, "c/1"), (KIND.name, "c/2")}


def test_every_line_is_canonical_and_salted_over_the_rest_of_it(rig: Any) -> None:
    one = scribe(rig, {"c/1": ("made:A", Outcome.OK)})
    one.write(Record(KIND.name, "x", SCOPE, ("c/1",), {"listed": "ü", "extra": {"b": 1, "a": [None]}}))
    one.write(Gap(KIND.name, SCOPE, Outcome.DENIED, "c/1", "a right is lacking"))
    lines = list(read_lines(one.close().path))
    assert len(lines) == 2
    for line in lines:
        whole = loads(line)
        assert dumps(whole) == line
        bare = dumps({key: value for key, value in whole.items() if key != "salt"})
        assert salted(bare[:-1], b"}", rig.keys.salt) == line


def test_a_detail_is_one_line_and_bounded(rig: Any) -> None:
    one = scribe(rig, {})
    one.gap(Gap(KIND.name, SCOPE, Outcome.DENIED, None, "a\n" * 5000))
    (line,) = written(one)
    assert len(line["gap"]["detail"]) <= 500
    assert "\n" not in line["gap"]["detail"]


def test_gaps_are_counted_by_kind_column_scope_and_reason(rig: Any) -> None:
    one = scribe(rig, {"c/1": ("made:A", Outcome.OK), "c/2": ("made:B", Outcome.OK)})
    for name in "xy":
        one.write(Record(KIND.name, name, SCOPE, ("c/1", "c/2"), {"listed": 1}))
    one.gap(Gap(KIND.name, {**SCOPE, "room": "1"}, Outcome.DENIED))
    one.close()
    assert one.gaps == {
        (KIND.name, "listed", '{"place":"here"}', "malformed"): 2,
        (KIND.name, "", '{"place":"here","room":"1"}', "denied"): 1,
    }
    assert one.records == {KIND.name: 2}


def test_a_number_that_json_cannot_hold_is_no_silent_null(rig: Any, made: ModuleType) -> None:
    kind = Kind("made_n", "n", (Column("n", "DOUBLE", "n"),), ("n",), (Operation("made:A", "a"),))
    task = Task(Target("made", SCOPE), (kind.name,))
    heard = {"c/1": ("made:A", Outcome.OK)}
    kinds = {kind.name: kind}
    one = Scribe(rig.folder() / "s", task, kinds, heard, Redactor(kinds, rig.keys), rig.keys.salt)
    for number in (float("nan"), float("inf")):
        one.write(Record(kind.name, str(number), SCOPE, ("c/1",), {"n": number}))
    assert [line["record"]["gaps"][0]["reason"] for line in written(one)] == ["malformed", "malformed"]
