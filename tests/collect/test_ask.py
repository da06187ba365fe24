"""The one seam to the world: what a target does is an outcome, and all that is asked is written down."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from collector.collect import ask as ask_module
from collector.collect.ask import Limits, Memory, Stop
from collector.collect.ledger import Ledger
from collector.model import CallFailed, Outcome, Reply, UndeclaredCall


def sending(made: ModuleType, send: Any) -> Any:
    """The made source with another `send(op, params)`."""

    class Sending(made.Made):
        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            return send(op, params)

    return Sending({})


def raising(*errors: Exception | None) -> tuple[Any, list[str]]:
    """A send that raises these in turn (None: answers), and what it was asked."""
    asked: list[str] = []

    def send(op: str, params: Any) -> Reply:
        asked.append(op)
        error = errors[min(len(asked), len(errors)) - 1]
        if error is not None:
            raise error
        return Reply("data", size=3)

    return send, asked


def test_what_the_target_says_is_tried_again_until_it_answers(made: ModuleType, rig: Any) -> None:
    send, asked = raising(CallFailed("Broken"), ConnectionResetError("reset"), None)
    ledger = Ledger()
    answer = rig.asker(sending(made, send), ledger=ledger)(made.LIST)
    assert (answer.ok, answer.data, len(asked)) == (True, "data", 3)
    (entry,) = ledger
    assert (entry.tries, entry.outcome, entry.size, entry.call) == (3, Outcome.OK, 3, answer.call)


def test_tries_end_and_the_last_outcome_stays(made: ModuleType, rig: Any) -> None:
    send, asked = raising(CallFailed("Broken", "disk on fire"))
    ledger = Ledger()
    answer = rig.asker(sending(made, send), ledger=ledger, limits=Limits(tries=4))(made.LIST)
    assert (answer.outcome, answer.data, len(asked)) == (Outcome.FAILED, None, 4)
    assert answer.detail == "Broken: disk on fire"
    assert [entry.tries for entry in ledger] == [4]
    assert [entry.answer for entry in ledger] == [""]


def test_tries_end_with_the_budget_of_time(made: ModuleType, rig: Any) -> None:
    send, asked = raising(CallFailed("Broken"))
    answer = rig.asker(sending(made, send), limits=Limits(tries=1000, retry_budget=0.0))(made.LIST)
    assert (answer.outcome, len(asked)) == (Outcome.FAILED, 1)


@pytest.mark.parametrize(
    ("error", "outcome", "detail", "attempts"),
    [
        (CallFailed("Denied", "not you"), Outcome.DENIED, "Denied: not you", 1),
        (CallFailed("NotSet"), Outcome.ABSENT, "NotSet", 1),
        (CallFailed("SlowDown"), Outcome.BUDGET, "SlowDown", 3),
        (CallFailed("NobodyKnows", "odd"), Outcome.FAILED, "NobodyKnows: odd", 1),
        (TimeoutError(), Outcome.TIMEOUT, "no answer in 1 s", 1),
        (TimeoutError("too slow"), Outcome.TIMEOUT, "too slow", 1),
        (ConnectionRefusedError("refused"), Outcome.UNREACHABLE, "refused", 3),
        (ConnectionError(), Outcome.UNREACHABLE, "ConnectionError", 3),
    ],
)
def test_each_error_is_the_outcome_that_the_source_says(
    made: ModuleType, rig: Any, error: Exception, outcome: Outcome, detail: str, attempts: int
) -> None:
    send, asked = raising(error)
    ask = rig.asker(sending(made, send), limits=Limits(call_timeout=1.0, tries=3))
    answer = ask(made.LIST)
    assert (answer.outcome, answer.detail, len(asked)) == (outcome, detail, attempts)
    assert ask.heard == {answer.call: (made.LIST, outcome)}


def test_a_refusal_slows_its_service_alone(made: ModuleType, rig: Any, patient: Any) -> None:
    def send(op: str, params: Any) -> Reply:
        if op == made.LIST:
            raise CallFailed("SlowDown")
        return Reply("data")

    ask = rig.asker(sending(made, send), stop=patient, limits=Limits(tries=1), monotonic=lambda: 0.0)
    for number in range(3):
        ask(made.LIST, {"n": number})
    assert patient.slept == sorted(patient.slept)
    assert patient.slept, "the service that refused was not slowed"
    patient.slept.clear()
    for number in range(3):
        assert ask(made.SIDE, {"n": number}).ok
    assert patient.slept == []
    assert ask(made.DETAIL).ok
    assert len(patient.slept) == 1, "an operation of the slowed service was not slowed"


def test_a_question_is_asked_once(made: ModuleType, rig: Any) -> None:
    send, asked = raising(None)
    ledger = Ledger()
    ask = rig.asker(sending(made, send), ledger=ledger)
    first = ask(made.DETAIL, {"x": 1, "y": 2})
    assert ask(made.DETAIL, {"y": 2, "x": 1}) == first
    assert ask(made.DETAIL, {"x": 1}).call != first.call
    assert (len(asked), len(ledger)) == (2, 2)


def test_two_threads_with_one_question_ask_once_and_hear_the_same(made: ModuleType, rig: Any) -> None:
    begun, go = threading.Event(), threading.Event()
    asked: list[str] = []

    def send(op: str, params: Any) -> Reply:
        asked.append(op)
        begun.set()
        assert go.wait(60)
        return Reply("data")

    source, memory, ledger = sending(made, send), Memory(), Ledger()
    one, two = (rig.asker(source, memory=memory, ledger=ledger) for _ in range(2))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(one, made.LIST)
        assert begun.wait(60)
        second = pool.submit(two, made.LIST)
        time.sleep(0.05)
        go.set()
        assert first.result(60) == second.result(60)
    assert (len(asked), len(ledger)) == (1, 1)
    assert one.heard == two.heard != {}


def test_an_answer_that_is_too_large_to_keep_cannot_be_asked_again(
    made: ModuleType, rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask_module, "_REMEMBERED_BYTES", 2)
    send, asked = raising(None)
    ask = rig.asker(sending(made, send))
    assert ask(made.LIST).ok
    with pytest.raises(UndeclaredCall, match="too large"):
        ask(made.LIST)
    assert len(asked) == 1
    assert "too large" in ask.broken


def test_what_was_not_declared_is_refused_unasked(made: ModuleType, rig: Any) -> None:
    send, asked = raising(None)
    ledger = Ledger()
    ask = rig.asker(sending(made, send), ledger=ledger, declared=[made.LIST])
    with pytest.raises(UndeclaredCall, match="made:Detail"):
        ask(made.DETAIL)
    with pytest.raises(UndeclaredCall):
        next(ask.pages(made.DETAIL))
    assert (asked, len(ledger), ask.heard) == ([], 0, {})
    assert "made:Detail" in ask.broken


def test_a_list_is_read_to_its_end(made: ModuleType, rig: Any) -> None:
    ledger = Ledger()
    ask = rig.asker(made.Made({}), ledger=ledger)
    answers = list(ask.pages(made.LIST))
    assert [answer.data for answer in answers] == made.PAGES
    entries = sorted(ledger, key=lambda entry: entry.page)
    assert [(entry.page, entry.more, entry.items) for entry in entries] == [(1, True, 2), (2, False, 1)]
    assert all(entry.params == {} for entry in entries), "page tokens belong to no line of the ledger"
    assert [entry.call for entry in entries] == [answer.call for answer in answers]
    assert ask.unfinished == {}


def test_a_list_that_is_left_is_remembered_until_it_is_read(made: ModuleType, rig: Any) -> None:
    ask = rig.asker(made.Made({}))
    first = next(ask.pages(made.LIST))
    assert ask.unfinished == {first.call: made.LIST}
    list(ask.pages(made.LIST))
    assert ask.unfinished == {}


def test_a_list_ends_at_the_first_page_that_is_not_answered(made: ModuleType, rig: Any) -> None:
    def send(op: str, params: Any) -> Reply:
        if params.get("page") == 1:
            raise CallFailed("Denied")
        return Reply(["a"], items=1, next={"page": params.get("page", 0) + 1})

    answers = list(rig.asker(sending(made, send)).pages(made.LIST))
    assert [answer.outcome for answer in answers] == [Outcome.OK, Outcome.DENIED]


def test_a_list_without_end_is_cut_off_and_unfinished(
    made: ModuleType, rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask_module, "_MAX_PAGES", 5)
    ask = rig.asker(sending(made, lambda op, params: Reply([], items=0, next={"again": True})))
    answers = list(ask.pages(made.LIST))
    assert len(answers) == 5
    assert ask.unfinished == {answers[-1].call: made.LIST}


def test_a_question_of_one_page_that_has_more_is_truncated(made: ModuleType, rig: Any) -> None:
    ask = rig.asker(made.Made({}))
    answer = ask(made.LIST)
    assert (answer.outcome, answer.data) == (Outcome.TRUNCATED, None)
    assert ask.heard[answer.call] == (made.LIST, Outcome.TRUNCATED)


@pytest.mark.parametrize("data", [2**70, {"a": ["\ud800"]}, {1, 2}, {"a": {3: 4}}])
def test_an_answer_that_json_cannot_hold_is_malformed(made: ModuleType, rig: Any, data: Any) -> None:
    ask = rig.asker(sending(made, lambda op, params: Reply(data, next={"page": 2})))
    (answer,) = ask.pages(made.LIST)
    assert (answer.outcome, answer.data) == (Outcome.MALFORMED, None)
    assert answer.detail.startswith("the answer cannot be kept as JSON")
    assert ask.broken == ""


def test_what_send_must_not_raise_reaches_all_who_asked_and_is_remembered(made: ModuleType, rig: Any) -> None:
    source, memory = sending(made, lambda op, params: {}["missing"]), Memory()
    one, two = (rig.asker(source, memory=memory) for _ in range(2))
    for ask in (one, two):
        with pytest.raises(KeyError):
            ask(made.LIST)
    assert "KeyError" in one.broken


def test_nobody_is_asked_after_the_end(made: ModuleType, rig: Any) -> None:
    send, asked = raising(None)
    event, ledger = threading.Event(), Ledger()
    event.set()
    ask = rig.asker(sending(made, send), stop=Stop(None, event), ledger=ledger)
    answer = ask(made.LIST)
    assert (answer.outcome, answer.detail, asked) == (Outcome.BUDGET, "the run was stopped", [])
    assert [(entry.tries, entry.outcome) for entry in ledger] == [(0, Outcome.BUDGET)]
    late = rig.asker(sending(made, send), stop=Stop(0.0))
    assert late(made.LIST).detail == "the run's time was used up"
    assert asked == []


def test_the_end_comes_between_two_tries(made: ModuleType, rig: Any) -> None:
    event = threading.Event()
    asked: list[str] = []

    def send(op: str, params: Any) -> Reply:
        asked.append(op)
        event.set()
        raise CallFailed("Broken")

    answer = rig.asker(sending(made, send), stop=Stop(None, event))(made.LIST)
    assert (answer.outcome, len(asked)) == (Outcome.BUDGET, 1)


def test_an_attempt_gets_no_more_time_than_the_run_has(made: ModuleType, rig: Any) -> None:
    given: list[float] = []

    class Timed(made.Made):
        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            given.append(timeout)
            return Reply(1)

    rig.asker(Timed({}), stop=Stop(0.5))(made.LIST)
    rig.asker(Timed({}), stop=Stop(100.0))(made.LIST)
    assert 0 < given[0] <= 0.5
    assert given[1] == 5.0


def test_details_are_one_line_without_secrets_even_where_they_are_cut(made: ModuleType, rig: Any) -> None:
    secret = "AKIA" + "QYLPMN5HFIQR7XYA"
    for before in ("x ", "word " * 96):
        send, _ = raising(CallFailed("Denied", f"{before}{secret}\nanna@example.org"))
        answer = rig.asker(sending(made, send))(made.LIST)
        assert "\n" not in answer.detail
        assert len(answer.detail) <= 500
        assert secret[:8] not in answer.detail
        assert "anna@" not in answer.detail


def test_a_list_is_named_alike_on_all_its_pages_whatever_was_learnt_between(
    made: ModuleType, rig: Any
) -> None:
    person = made.Column("who", "VARCHAR", "a person", identity=made.Identity.PERSON_NAME)
    kind = made.Kind("made_person", "people", (person,), ("who",), made.THING.operations)

    class People(made.Made):
        kinds = (kind,)

    ledger = Ledger()
    ask = rig.asker(People({}), ledger=ledger)
    promised = ask.shown(made.LIST, {"of": "Anna Beispiel"})
    for _ in ask.pages(made.LIST, {"of": "Anna Beispiel"}):
        ask._redactor.record(made.Record(kind.name, "1", {}, ("x",), {"who": "Anna Beispiel"}))
    assert [entry.params for entry in ledger] == [promised, promised]
