"""Whatever a source makes of what it was told: what was not seen leaves a line that says so."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import pytest

from collector.model import (
    Answer,
    CallFailed,
    ColumnGap,
    Due,
    Fault,
    Gap,
    Outcome,
    Record,
    Reply,
    Target,
    Task,
    Text,
    UndeclaredCall,
)


def collecting(made: ModuleType, collect: Any, **methods: Any) -> Any:
    """The made source with another `collect(task, ask)`, and whatever else is given."""
    return type("Collecting", (made.Made,), {"collect": lambda self, *args: collect(*args), **methods})


def failing(made: ModuleType, op: str, code: str, when: Any = lambda params: True) -> Any:
    class Failing(made.Made):
        def send(self, target: Any, asked: str, params: Any, timeout: float) -> Reply:
            if asked == op and when(params):
                raise CallFailed(code)
            return super().send(target, asked, params, timeout)

    return Failing


def both(made: ModuleType, *due: Due) -> Task:
    return Task(made.Made({}).root(), (made.THING.name, made.OTHER.name), due)


def test_a_task_without_trouble_leaves_records_and_no_gap(made: ModuleType, rig: Any) -> None:
    ran = rig.one(made.Made)
    assert [record["id"] for record in ran.records] == ["a", "b", "c"]
    assert (ran.gaps, ran.written.failure, ran.written.complete) == ([], "", True)
    assert (ran.written.records, ran.written.gaps) == ({"made_thing": 3}, {})
    assert {call for record in ran.records for call in record["calls"]} == ran.calls.keys()


def test_what_fails_until_tries_end_is_a_gap(made: ModuleType, rig: Any) -> None:
    ran = rig.one(failing(made, made.LIST, "SlowDown"), tries=2)
    (gap,) = ran.gaps
    (entry,) = ran.calls.values()
    assert (gap["reason"], gap["call"], gap["scope"]) == ("budget", entry.call, {"place": "here"})
    assert (entry.tries, ran.written.complete, ran.records) == (2, False, [])


def test_a_page_that_fails_in_the_middle_is_a_gap_and_what_came_before_stays(
    made: ModuleType, rig: Any
) -> None:
    ran = rig.one(failing(made, made.LIST, "Denied", lambda params: params.get("page") == 1))
    assert [record["id"] for record in ran.records] == ["a", "b"]
    assert [(gap["reason"], gap["call"]) for gap in ran.gaps] == [("denied", ran.entries(made.LIST)[1].call)]
    assert not ran.written.complete


def test_a_list_left_before_its_last_page_is_a_gap(made: ModuleType, rig: Any) -> None:
    def collect(task: Any, ask: Any) -> Any:
        yield from ()
        next(ask.pages(made.LIST))

    ran = rig.one(collecting(made, collect))
    assert ran.reasons() == ["truncated"]
    assert (ran.written.failure, ran.written.complete) == ("", False)


def test_a_list_that_is_due_and_was_not_asked_is_a_gap(made: ModuleType, rig: Any) -> None:
    task = both(made, Due("made_thing", made.LIST), Due("made_other", made.SIDE))

    def collect(task: Any, ask: Any) -> Any:
        yield from ()
        list(ask.pages(made.LIST))

    ran = rig.one(collecting(made, collect), task)
    assert [(gap["kind"], gap["reason"], gap["detail"]) for gap in ran.gaps] == [
        ("made_other", "failed", "side:List was due and was not asked")
    ]
    assert not ran.written.complete


def test_a_due_list_with_other_parameters_was_not_asked(made: ModuleType, rig: Any) -> None:
    task = Task(made.Made({}).root(), ("made_thing",), (Due("made_thing", made.LIST, {"page": 1}),))
    ran = rig.one(made.Made, task)
    assert ran.reasons() == ["failed"]


def test_a_detail_that_failed_and_that_no_record_cites_is_a_gap(made: ModuleType, rig: Any) -> None:
    def collect(task: Any, ask: Any) -> Any:
        for page in ask.pages(made.LIST):
            for name in page.data:
                if ask(made.DETAIL, {"name": name}).ok:
                    yield Record("made_thing", name, task.target.scope, (page.call,), {"name": name})

    source = failing(made, made.DETAIL, "Denied", lambda params: params["name"] == "b")
    ran = rig.one(type("Silent", (source,), {"collect": lambda self, *args: collect(*args)}))
    assert ran.reasons() == ["denied"]
    assert ran.written.complete, "its lists were read to the end"


def test_a_record_of_one_kind_does_not_speak_for_another(made: ModuleType, rig: Any) -> None:
    def collect(task: Any, ask: Any) -> Any:
        side, detail = ask(made.SIDE), ask(made.DETAIL)
        yield Record("made_other", "x", task.target.scope, (side.call, detail.call), {"name": "x"})

    source = failing(made, made.DETAIL, "Denied")
    one_page = {
        "send": lambda self, t, op, p, s: Reply([]) if op == made.SIDE else source.send(self, t, op, p, s)
    }
    ran = rig.one(
        type("Both", (source,), {"collect": lambda self, *args: collect(*args), **one_page}), both(made)
    )
    assert ran.column_gaps()["x"] == {"level": "denied"}
    assert (ran.reasons("made_thing"), ran.reasons("made_other")) == (["denied"], [])


def test_a_column_whose_call_was_not_answered_is_a_gap_though_the_source_forgot(
    made: ModuleType, rig: Any
) -> None:
    ran = rig.one(failing(made, made.DETAIL, "Denied", lambda params: params["name"] == "b"))
    assert ran.column_gaps() == {"a": {}, "b": {"level": "denied"}, "c": {}}
    assert ran.written.gaps == {("made_thing", "level", '{"place":"here"}', "denied"): 1}


def test_an_answer_that_there_is_none_is_no_gap(made: ModuleType, rig: Any) -> None:
    ran = rig.one(failing(made, made.DETAIL, "NotSet"))
    assert (ran.gaps, ran.written.gaps) == ([], {})
    assert [record["data"]["level"] for record in ran.records] == [None, None, None]


def test_a_value_that_does_not_fit_is_a_malformed_gap(made: ModuleType, rig: Any) -> None:
    def collect(task: Any, ask: Any) -> Any:
        for page in ask.pages(made.LIST):
            for name in page.data:
                detail = ask(made.DETAIL, {"name": name})
                data = {"name": name, "size": "large", "level": detail.data}
                yield Record("made_thing", name, task.target.scope, (page.call, detail.call), data)

    ran = rig.one(collecting(made, collect))
    assert ran.column_gaps() == {name: {"size": "malformed"} for name in "abc"}


@pytest.mark.parametrize("swallow", [False, True])
def test_an_undeclared_call_fails_the_task_even_if_the_source_hides_it(
    made: ModuleType, rig: Any, swallow: bool
) -> None:
    def collect(task: Any, ask: Any) -> Any:
        list(ask.pages(made.LIST))
        try:
            ask("made:Delete")
        except UndeclaredCall:
            if not swallow:
                raise
        yield from ()

    ran = rig.one(collecting(made, collect), both(made))
    assert "made:Delete is declared by no kind of this task" in ran.written.failure
    assert (ran.reasons("made_thing"), ran.reasons("made_other")) == (["failed"], ["failed"])
    assert not ran.written.complete
    assert "made:Delete" not in {entry.op for entry in ran.calls.values()}


def test_an_exception_that_send_must_not_raise_fails_the_task_even_if_hidden(
    made: ModuleType, rig: Any
) -> None:
    def collect(task: Any, ask: Any) -> Any:
        list(ask.pages(made.LIST))
        yield from ()
        try:
            ask(made.DETAIL, {"bad": True})
        except ZeroDivisionError:
            return

    def send(self: Any, target: Any, op: str, params: Any, timeout: float) -> Reply:
        return Reply([1 / 0]) if "bad" in params else Reply([])

    ran = rig.one(collecting(made, collect, send=send))
    assert "ZeroDivisionError" in ran.written.failure
    assert ran.reasons() == ["failed"]


def test_an_exception_in_collect_keeps_what_was_written_and_is_a_gap_of_all_kinds(
    made: ModuleType, rig: Any
) -> None:
    class Breaking(made.Made):
        def collect(self, task: Any, ask: Any) -> Any:
            items = super().collect(task, ask)
            yield next(items)
            raise RuntimeError("line one\nline two of anna@example.org")

    ran = rig.one(Breaking, both(made))
    assert [record["id"] for record in ran.records] == ["a"]
    assert "failed" in ran.reasons("made_thing")
    assert ran.reasons("made_other") == ["failed"]
    assert ran.written.failure.startswith("plugin made: RuntimeError: line one line two of person:")


SCOPE = {"place": "here"}


def wrong(call: str) -> dict[str, Any]:
    """What a source may not give, by what is said of it."""
    right = Record("made_thing", "x", SCOPE, (call,), {"name": "x"})
    return {
        "outside its target's scope": replace(right, scope={"place": "there"}),
        "which the task does not collect": replace(right, kind="made_other"),
        "names call made/up": replace(right, calls=(call, "made/up")),
        "without an id": replace(right, id=""),
        "or without calls": replace(right, calls=()),
        "no such column": replace(right, gaps=(ColumnGap("nothing", Outcome.DENIED),)),
        "column size has the reason ok": replace(right, gaps=(ColumnGap("size", Outcome.OK),)),
        "column size names call made/up": replace(
            right, gaps=(ColumnGap("size", Outcome.DENIED, "made/up"),)
        ),
        "a gap of kind made_other": Gap("made_other", SCOPE, Outcome.DENIED),
        "a gap of kind made_thing lies outside": Gap("made_thing", {"place": "there"}, Outcome.DENIED),
        "made_thing has the reason absent": Gap("made_thing", SCOPE, Outcome.ABSENT),
        "made_thing names call made/up": Gap("made_thing", SCOPE, Outcome.DENIED, "made/up"),
        "names call made/text": Text("made/text", "made:Detail", SCOPE, "text"),
        "record made_answer": Text(call, "made:Detail", {}, "text"),
        "gave a dict": {"name": "x"},
        "gave a Answer": Answer(call, "made:Detail", Outcome.OK),
        "TypeError": replace(right, data={"note": {1, 2}}),
    }


@pytest.mark.parametrize("said", wrong(""))
def test_what_a_source_may_not_give_fails_the_task(made: ModuleType, rig: Any, said: str) -> None:
    def collect(task: Any, ask: Any) -> Any:
        pages = list(ask.pages(made.LIST))
        yield wrong(pages[0].call)[said]

    ran = rig.one(collecting(made, collect))
    assert said in ran.written.failure
    assert (ran.records, ran.reasons(), ran.written.complete) == ([], ["failed"], False)


def test_a_record_may_lie_in_a_part_of_its_targets_scope(made: ModuleType, rig: Any) -> None:
    def collect(task: Any, ask: Any) -> Any:
        (*_, page) = ask.pages(made.LIST)
        detail = ask(made.DETAIL)
        yield Record("made_thing", "x", {**SCOPE, "room": "1"}, (page.call, detail.call), {"name": "x"})

    ran = rig.one(collecting(made, collect))
    assert (ran.written.failure, ran.gaps) == ("", [])


def test_the_end_of_a_run_makes_the_remaining_calls_budget_gaps(made: ModuleType, rig: Any) -> None:
    event = threading.Event()

    class Stopped(made.Made):
        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            if params.get("name") == "b":
                event.set()
            return super().send(target, op, params, timeout)

    ran = rig.one(Stopped, event=event)
    assert [record["id"] for record in ran.records] == ["a", "b"]
    assert ran.reasons() == ["budget"]
    assert not ran.written.complete
    assert [(entry.page, entry.tries) for entry in ran.entries(made.LIST)] == [(1, 1), (2, 0)]


@pytest.mark.parametrize("spent", [{"seconds": 0.0}, {"seconds": 30.0, "late": 31.0}])
def test_a_job_that_begins_after_the_deadline_asks_nobody(made: ModuleType, rig: Any, spent: Any) -> None:
    class Untouched(made.Made):
        def send(self, *args: Any) -> Reply:
            raise AssertionError("asked after the deadline")

    ran = rig.one(Untouched, **spent)
    assert (ran.reasons(), ran.written.failure) == (["budget"], "")


def test_tasks_of_one_target_ask_together_and_the_first_carries_the_calls(made: ModuleType, rig: Any) -> None:
    asked: list[tuple[str, str]] = []
    lock = threading.Lock()

    class Shared(made.Made):
        def collect(self, task: Any, ask: Any) -> Any:
            (*_, page) = ask.pages(made.SIDE if task.kinds == ("made_other",) else made.LIST)
            detail = ask(made.DETAIL)
            yield Record(task.kinds[0], "x", SCOPE, (page.call, detail.call), {"name": "x"})

        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            with lock:
                asked.append((op, str(params)))
            return Reply(None)

    tasks = [Task(made.Made({}).root(), (kind,)) for kind in ("made_thing", "made_other")]
    first, second = rig.run(Shared, *tasks, threads=2)
    assert len(asked) == len(set(asked)) == 3
    assert len(first.written.calls) == 3
    assert second.written.calls == {}
    assert (first.gaps, second.gaps) == ([], [])


def test_call_ids_are_the_same_from_run_to_run_and_give_nobody_away(made: ModuleType, rig: Any) -> None:
    mail = "anna.beispiel@example.org"

    class Personal(made.Made):
        def collect(self, task: Any, ask: Any) -> Any:
            (*_, page) = ask.pages(made.LIST, {"for": mail})
            detail = ask(made.DETAIL, {"name": f"of {mail}"})
            data = {"name": "x", "owner": mail, "level": detail.data}
            yield Record("made_thing", mail, SCOPE, (page.call, detail.call), data)

        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            if op == made.DETAIL:
                raise CallFailed("Denied", f"{mail} may not")
            return super().send(target, op, params, timeout)

    due = (Due("made_thing", made.LIST, {"for": mail}),)
    runs = [rig.one(Personal, Task(Target("made", SCOPE), ("made_thing",), due)) for _ in range(2)]
    assert runs[0].calls.keys() == runs[1].calls.keys() != set()
    for ran in runs:
        assert ran.gaps == []
        assert len(ran.calls) == 3
        for entry in ran.calls.values():
            assert b"anna" not in b"".join(entry.line())
            assert "anna" not in entry.call
        assert "anna" not in str(ran.lines)
    assert runs[0].lines == runs[1].lines


def test_two_runs_write_the_same_bytes(made: ModuleType, rig: Any) -> None:
    one, two = rig.one(made.Made), rig.one(made.Made)
    assert one.written.segment.sha256 == two.written.segment.sha256
    assert one.written.segment.path.read_bytes() == two.written.segment.path.read_bytes()


SECRETS = {
    "declared": "correct horse battery staple",
    "aws": "AKIA" + "QYLPMN5HFIQR7XYA",
    "github": "ghp_" + "q7Rk2LmZx94TfVbN1sWdY8cHgJ3uKpEo6aXi",
    "key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\n-----END RSA PRIVATE KEY-----",
}


def test_no_secret_reaches_a_segment_or_the_ledger(made: ModuleType, rig: Any) -> None:
    note = f"keys: {SECRETS['aws']} and {SECRETS['github']}\n{SECRETS['key']}"

    class Leaking(made.Made):
        def collect(self, task: Any, ask: Any) -> Any:
            (*_, page) = ask.pages(made.LIST)
            detail = ask(made.DETAIL, {"token": SECRETS["github"]})
            data = {"name": "x", "token": SECRETS["declared"], "note": note}
            calls = (page.call, detail.call)
            yield Record("made_thing", f"x {SECRETS['declared']}", SCOPE, calls, data)
            yield Text(page.call, made.LIST, SCOPE, f"{note} {SECRETS['declared']}")
            yield Gap("made_thing", SCOPE, Outcome.DENIED, page.call, f"no {SECRETS['aws']} here")
            raise ValueError(note)

    ran = rig.one(Leaking)
    written = str(ran.lines) + ran.written.failure
    written += "".join(str(entry) for entry in ran.calls.values())
    assert len(ran.records) == 2
    for secret in SECRETS.values():
        assert secret not in written
    assert "MIIEpAIBAAKCAQEA7bq" not in written
    assert ran.records[0]["data"]["token"] == rig.keys.redaction(SECRETS["declared"])


def moving(made: ModuleType, times: int) -> tuple[Any, list[str]]:
    """A source whose list of two pages has changed when its second page is asked for, so many times."""
    asked: list[str] = []

    class Moving(made.Made):
        errors: ClassVar[dict[str, Fault]] = {
            **made.Made.errors,
            "Gone": Fault(Outcome.TRUNCATED, again=True),
        }

        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            asked.append(f"{op} {params.get('page', 0)}")
            if op == made.LIST and params.get("page") and asked.count(asked[-1]) <= times:
                raise CallFailed("Gone", "the list has changed")
            return replace(super().send(target, op, params, timeout), keep=False)

    return Moving, asked


def test_a_list_that_changes_is_begun_again_and_only_the_second_reading_counts(
    made: ModuleType, rig: Any
) -> None:
    source, asked = moving(made, 1)
    ran = rig.one(source)
    assert [record["id"] for record in ran.records] == ["a", "b", "c"]
    assert (ran.gaps, ran.written.complete, ran.written.records) == ([], True, {"made_thing": 3})
    assert asked.count(f"{made.LIST} 0") == 2
    first, second = ran.entries(made.LIST)
    assert "begun again" in first.detail
    assert "the list has changed" in first.detail
    assert (first.outcome, second.outcome, second.detail) == (Outcome.OK, Outcome.OK, "")


def test_a_list_that_changes_twice_is_a_gap_and_of_one_moment(made: ModuleType, rig: Any) -> None:
    source, asked = moving(made, 9)
    ran = rig.one(source)
    assert [record["id"] for record in ran.records] == ["a", "b"]
    assert (ran.reasons(), ran.written.complete) == (["truncated"], False)
    assert asked.count(f"{made.LIST} 0") == 2


def test_what_is_not_to_be_kept_is_not_given_again(made: ModuleType, rig: Any) -> None:
    def collect(task: Task, ask: Any) -> Any:
        list(ask.pages(made.LIST))
        yield from ()
        list(ask.pages(made.LIST))

    source, _ = moving(made, 0)
    ran = rig.one(type("Twice", (source,), {"collect": lambda self, *args: collect(*args)}))
    assert "too large to keep" in ran.written.failure
