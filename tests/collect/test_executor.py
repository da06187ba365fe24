"""A plan carried out: by threads or by other processes, and nothing that goes missing goes unsaid."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from collector.collect import executor
from collector.collect.ask import Limits, Stop
from collector.collect.executor import Settings, collect, discover
from collector.collect.plan import Plan, make
from collector.collect.worker import Written
from collector.model import CallFailed, Operation, Reply, Task, UndeclaredCall

AS_OF = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def plan(source: Any, *places: str, **settings: Any) -> Plan:
    settings["places"] = list(places)
    return make(AS_OF, (), [(source, settings, source(settings).plan(None))])


def settings(rig: Any, seconds: float = 30.0, workers: int = 4) -> Settings:
    limits = Limits(call_timeout=0.5, tries=1)
    return Settings(rig.folder(), rig.secret_key, workers, limits, seconds)


def by_place(collected: Any, planned: Plan, lines_of: Any) -> dict[str, tuple[Written, list[Any]]]:
    return {
        task.task.target.scope["place"]: (written, lines_of(written))
        for task, written in zip(planned.tasks, collected.written, strict=True)
    }


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_tasks_come_back_in_the_order_of_the_plan_with_all_calls(made: ModuleType, rig: Any) -> None:
    planned = plan(made.Made, *"abcdefgh")
    done: list[str] = []
    collected = collect(planned, settings(rig), done=lambda written: done.append(written.task))
    assert [written.task for written in collected.written] == [task.id for task in planned.tasks]
    assert sorted(done) == [task.id for task in planned.tasks]
    assert all(written.complete and written.segment.lines == 3 for written in collected.written)
    assert len(collected.ledger) == 8 * 5


def test_an_empty_plan_leaves_nothing(rig: Any) -> None:
    collected = collect(make(AS_OF, (), []), settings(rig))
    assert (collected.written, len(collected.ledger)) == ((), 0)


def test_another_process_writes_the_same_bytes(
    made: ModuleType, rig: Any, processes: ProcessPoolExecutor
) -> None:
    planned = plan(made.Made, "one", "two")
    here, there = (collect(planned, settings(rig), executor=each) for each in (None, processes))
    assert [w.segment.sha256 for w in here.written] == [w.segment.sha256 for w in there.written]
    assert [e.call for e in here.ledger] == [e.call for e in there.ledger] != []
    assert all(written.complete for written in there.written)


def test_a_process_that_dies_is_a_gap_of_all_its_tasks(
    made: ModuleType, rig: Any, processes: ProcessPoolExecutor, lines_of: Any
) -> None:
    planned = plan(made.Dying, "grave")
    other = Task(planned.tasks[0].task.target, ("made_other",))
    planned = make(AS_OF, (), [(made.Dying, {}, [planned.tasks[0].task, other])])
    done: list[str] = []
    collected = collect(planned, settings(rig), executor=processes, done=lambda each: done.append(each.task))
    gaps = [line["gap"] for written in collected.written for line in lines_of(written)]
    assert sorted((gap["kind"], gap["reason"]) for gap in gaps) == [
        ("made_other", "failed"),
        ("made_thing", "failed"),
    ]
    assert all("BrokenProcessPool" in gap["detail"] for gap in gaps)
    assert all(written.failure and not written.complete for written in collected.written)
    assert len(done) == 2


def test_an_executor_that_broke_refuses_and_that_is_a_gap_too(made: ModuleType, rig: Any) -> None:
    class Breaking(ThreadPoolExecutor):
        def submit(self, *args: Any, **more: Any) -> Future[Any]:
            raise BrokenProcessPool("a worker died")

    with Breaking(1) as broken:
        collected = collect(plan(made.Made, "one", "two"), settings(rig), executor=broken)
    assert [written.segment.lines for written in collected.written] == [1, 1]
    assert all("BrokenProcessPool: a worker died" in written.failure for written in collected.written)


def test_a_target_that_hangs_does_not_hold_up_the_others(
    made: ModuleType, rig: Any, lines_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_GRACE", 0.05)
    go = threading.Event()
    gave_up: list[bool] = []

    class Hanging(made.Made):
        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            if target.scope["place"] == "deaf":
                gave_up.append(go.wait(60))
            return super().send(target, op, params, timeout)

    planned = plan(Hanging, "deaf", "fine")
    try:
        collected = collect(planned, settings(rig, seconds=1.0))
        assert gave_up == [], "waited until the target answered"
    finally:
        go.set()
    found = by_place(collected, planned, lines_of)
    assert found["fine"][0].complete
    assert [line["gap"]["reason"] for line in found["deaf"][1]] == ["timeout"]
    assert not found["deaf"][0].complete


def test_the_deadline_holds_for_jobs_that_had_to_wait(made: ModuleType, rig: Any, lines_of: Any) -> None:
    class Slow(made.Made):
        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            time.sleep(min(timeout, 0.15))
            return super().send(target, op, params, timeout)

    planned = plan(Slow, "one", "two", "three")
    collected = collect(planned, settings(rig, seconds=0.1, workers=1))
    lines = [line for written in collected.written for line in lines_of(written)]
    assert [line["gap"]["reason"] for line in lines if "gap" in line].count("budget") >= 3
    assert sum(entry.tries for entry in collected.ledger) <= 2, "asked on after the deadline"


def test_a_stop_ends_the_run_soon_and_leaves_budget_gaps(made: ModuleType, rig: Any, lines_of: Any) -> None:
    event = threading.Event()

    class Stopping(made.Made):
        def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
            event.set()
            return super().send(target, op, params, timeout)

    planned = plan(Stopping, *"abcd")
    collected = collect(planned, settings(rig, workers=1), event=event)
    for written in collected.written:
        gaps = [line["gap"]["reason"] for line in lines_of(written) if "gap" in line]
        assert set(gaps) == {"budget"}
        assert not written.complete
    assert sum(entry.tries for entry in collected.ledger) == 1


def test_a_failure_of_a_worker_tells_no_secret(made: ModuleType, rig: Any) -> None:
    class Unmakeable(made.Made):
        def __init__(self, settings: Any) -> None:
            if "AKIA" in settings.get("key", ""):
                raise ValueError(f"cannot use {settings['key']}\nof anna@example.org")

    key = "AKIA" + "QYLPMN5HFIQR7XYA"
    task = made.Made({}).plan(None)[0]
    collected = collect(make(AS_OF, (), [(Unmakeable, {"key": key}, [task])]), settings(rig))
    (written,) = collected.written
    assert "the worker failed: ValueError" in written.failure
    assert key not in written.failure
    assert "anna@" not in written.failure
    assert "\n" not in written.failure


class TestDiscovery:
    def discovered(self, made: ModuleType, rig: Any, discovering: Any, **methods: Any) -> Any:
        methods["discover"] = lambda self, ask: discovering(ask)
        source = type("Discovering", (made.Made,), methods)
        return discover(source, {}, rig.secret_key, Limits(tries=1), Stop())

    def test_what_was_asked_there_is_not_asked_again(self, made: ModuleType, rig: Any) -> None:
        asked: list[str] = []

        class Remembering(made.Made):
            discovery = made.THING.operations

            def discover(self, ask: Any) -> Any:
                return [page.data for page in ask.pages(made.LIST)]

            def send(self, target: Any, op: str, params: Any, timeout: float) -> Reply:
                asked.append(op)
                return super().send(target, op, params, timeout)

        found = discover(Remembering, {}, rig.secret_key, Limits(tries=1), Stop())
        assert found.complete
        planned = make(AS_OF, (), [(found.source, found.settings, found.items)])
        collected = collect(planned, settings(rig), [found])
        assert asked.count(made.LIST) == 2
        assert len(collected.ledger) == 5
        assert collected.written[0].complete

    def test_a_call_that_failed_makes_it_incomplete(self, made: ModuleType, rig: Any) -> None:
        def send(self: Any, target: Any, op: str, params: Any, timeout: float) -> Reply:
            raise CallFailed("Denied")

        found = self.discovered(made, rig, lambda ask: ask("made:Regions").data, send=send)
        assert not found.complete
        assert [entry.outcome for entry in found.ledger] == ["denied"]

    def test_a_call_for_which_the_source_plans_itself_leaves_it_complete(
        self, made: ModuleType, rig: Any
    ) -> None:
        def send(self: Any, target: Any, op: str, params: Any, timeout: float) -> Reply:
            if op == "made:Parts":
                raise CallFailed("Denied")
            return Reply([])

        operations = (Operation("made:Regions", "read"), Operation("made:Parts", "read", lists=False))
        found = self.discovered(
            made, rig, lambda ask: [ask(op.name).ok for op in operations], send=send, discovery=operations
        )
        assert found.complete
        assert sorted(entry.outcome for entry in found.ledger) == ["denied", "ok"]

    def test_a_list_that_was_left_makes_it_incomplete(self, made: ModuleType, rig: Any) -> None:
        assert not self.discovered(made, rig, lambda ask: next(ask.pages("made:Regions")).data).complete
        assert self.discovered(made, rig, lambda ask: len(list(ask.pages("made:Regions")))).complete

    def test_an_undeclared_call_that_the_source_hides_makes_it_incomplete(
        self, made: ModuleType, rig: Any
    ) -> None:
        def hiding(ask: Any) -> None:
            with pytest.raises(UndeclaredCall):
                ask(made.DETAIL)

        assert not self.discovered(made, rig, hiding).complete
