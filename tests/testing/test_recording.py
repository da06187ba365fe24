import json
import threading
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import (
    CallFailed,
    Column,
    Due,
    Fault,
    Kind,
    Operation,
    Outcome,
    Record,
    Reply,
    Target,
    Task,
    UndeclaredCall,
)
from collector.testing import Call, PlainAsk, Recording, check_run, collect, recording_source, replay_source

LIST, DETAIL = "tower:Floors", "tower:Floor"
KIND = Kind(
    "tower_floor",
    "Floors",
    (Column("number", "BIGINT", "its number"), Column("rooms", "BIGINT", "how many", calls=(DETAIL,))),
    ("number",),
    (Operation(LIST, "look"), Operation(DETAIL, "enter", lists=False)),
)


class Tower:
    """A source whose pages hold two floors each."""

    name, title, options, discovery = "tower", "A tower", (), ()
    kinds = (KIND,)
    errors = MappingProxyType({"locked": Fault(Outcome.DENIED)})

    def __init__(self, settings):
        self.floors = settings["floors"]

    def root(self):
        return Target("tower", {"tower": "north"})

    def discover(self, ask):
        return None

    def plan(self, found):
        return [Task(self.root(), ("tower_floor",), (Due("tower_floor", LIST),))]

    def collect(self, task, ask):
        for page in ask.pages(LIST):
            for number in page.data or ():
                detail = ask(DETAIL, {"number": number})
                data = {"number": number} | ({"rooms": detail.data} if detail.ok else {})
                yield Record("tower_floor", str(number), task.target.scope, (page.call, detail.call), data)

    def send(self, target, op, params, timeout):
        if op == DETAIL:
            if params["number"] == 3:
                raise CallFailed("locked", "floor 3 is closed")
            if params["number"] == 4:
                raise TimeoutError("the lift does not come")
            return Reply(params["number"] * 10, size=2)
        start = params.get("token", 0)
        numbers = list(range(start, min(start + 2, self.floors)))
        more = {**params, "token": start + 2} if start + 2 < self.floors else None
        return Reply(numbers, items=len(numbers), next=more, size=4)

    @classmethod
    def permissions(cls, kinds):
        return "a key"


SETTINGS = {"floors": 6}


@pytest.fixture
def recorded():
    recording = Recording()
    return recording, collect(recording_source(Tower, recording)(SETTINGS))


def test_a_run_is_recorded_with_its_pages_and_faults(recorded):
    recording, _ = recorded
    assert [call.page for call in recording.calls if call.op == LIST] == [1, 2, 3]
    faults = {call.params["number"]: (call.code, call.detail) for call in recording.calls if call.code}
    assert faults == {3: ("locked", "floor 3 is closed"), 4: ("TimeoutError", "the lift does not come")}


def test_a_replay_gives_what_the_run_gave_and_reaches_nothing(recorded, tmp_path):
    recording, whole = recorded
    recording.save(tmp_path / "tower.json")
    read = Recording.load(tmp_path / "tower.json")
    assert read.calls == recording.calls
    assert collect(replay_source(Tower, read)({"floors": 0})) == whole


def test_a_file_is_the_same_for_the_same_run(recorded, tmp_path):
    recorded[0].save(tmp_path / "a.json")
    again = Recording()
    collect(recording_source(Tower, again)(SETTINGS))
    again.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@given(st.data())
def test_any_calls_can_be_made_to_fail(data):
    recording = Recording()
    (whole,) = collect(recording_source(Tower, recording)(SETTINGS))
    codes = st.sampled_from(["locked", "TimeoutError", "ConnectionError", "other"])
    keys = [call.key for call in recording.calls]
    failing = data.draw(st.dictionaries(st.sampled_from(keys), codes))
    (torn,) = collect(replay_source(Tower, recording, failing)(SETTINGS))
    expected = {
        "locked": Outcome.DENIED,
        "TimeoutError": Outcome.TIMEOUT,
        "ConnectionError": Outcome.UNREACHABLE,
        "other": Outcome.FAILED,
    }
    broken = {outcome for _, outcome in torn.heard.values()} - {Outcome.OK}
    own = {Outcome.DENIED, Outcome.TIMEOUT}  # floors 3 and 4 fail by themselves
    assert broken <= own | {expected[code] for code in failing.values()}
    assert len(torn.records) <= len(whole.records)
    first = keys[0]
    if first in failing:
        assert torn.records == () and expected[failing[first]] in broken


def test_a_question_that_was_not_recorded_fails_and_is_not_answered(recorded):
    recording, _ = recorded
    source = replay_source(Tower, recording)(SETTINGS)
    ask = PlainAsk(source, source.root(), [DETAIL])
    assert ask(DETAIL, {"number": 77}).outcome is Outcome.FAILED


def test_targets_of_other_scopes_are_told_apart():
    recording = Recording()
    for tower, rooms in (("north", 1), ("south", 2)):
        recording.add(Call({"tower": tower}, DETAIL, {}, 1, Reply(rooms)))
    assert recording.answer({"tower": "south"}, DETAIL, {}).data == 2
    assert recording.answer({"tower": "north"}, DETAIL, {}).data == 1


def test_the_last_answer_to_a_repeated_question_counts():
    recording = Recording()
    recording.add(Call({}, DETAIL, {}, 1, None, "TimeoutError"))
    recording.add(Call({}, DETAIL, {}, 1, Reply(5)))
    assert len(recording.calls) == 1 and recording.answer({}, DETAIL, {}).data == 5


def test_several_threads_may_record_at_once():
    recording = Recording()
    source = recording_source(Tower, recording)(SETTINGS)
    numbers = [n for n in range(300) if n not in (3, 4)]

    def enter(start):
        for number in numbers[start::4]:
            source.send(source.root(), DETAIL, {"number": number}, 1)

    threads = [threading.Thread(target=enter, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recording.calls) == len(numbers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2, "calls": []}',
        '{"format": 1, "calls": [{"op": "x"}]}',
        '{"format": 1, "calls": 3}',
    ],
)
def test_a_file_that_is_no_recording_is_refused_by_name(tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"odd\.json: not a recording"):
        Recording.load(path)


def test_the_file_can_be_read_by_people(recorded, tmp_path):
    recorded[0].save(tmp_path / "tower.json")
    whole = json.loads((tmp_path / "tower.json").read_text())
    assert set(whole) == {"format", "calls"}
    assert whole["calls"][0]["reply"] == {
        "data": [0, 1],
        "items": 2,
        "next": {"token": 2},
        "size": 4,
    }


def test_an_operation_that_was_not_declared_is_refused():
    source = Tower(SETTINGS)
    with pytest.raises(UndeclaredCall):
        PlainAsk(source, source.root(), [LIST])(DETAIL, {"number": 1})


def test_a_question_is_asked_once():
    recording = Recording()
    source = recording_source(Tower, recording)(SETTINGS)
    ask = PlainAsk(source, source.root(), [DETAIL])
    assert ask(DETAIL, {"number": 1}) is ask(DETAIL, {"number": 1})


def test_one_page_of_several_is_truncated():
    source = Tower(SETTINGS)
    assert PlainAsk(source, source.root(), [LIST])(LIST).outcome is Outcome.TRUNCATED


def test_an_honest_source_passes_the_run_check():
    assert check_run(Tower, SETTINGS) == []


class Guesser(Tower):
    """A failed detail becomes a value."""

    def collect(self, task, ask):
        for record in super().collect(task, ask):
            yield Record(record.kind, record.id, record.scope, record.calls[:1], {"rooms": 0, **record.data})


class Reckless(Tower):
    def collect(self, task, ask):
        pages = list(ask.pages(LIST))
        floors = [number for page in pages for number in page.data or ()]
        yield Record("tower_floor", "count", task.target.scope, (pages[0].call,), {"number": len(floors)})


class Sloppy(Tower):
    def collect(self, task, ask):
        page = next(ask.pages(LIST))
        yield Record("tower_floor", "1", {}, (page.call, "nothing"), {"number": "one", "colour": "red"})
        yield Record("tower_floor", "1", task.target.scope, (), {})


class Owing(Tower):
    def plan(self, found):
        return [Task(self.root(), ("tower_floor",))]


def test_a_value_that_hides_a_failed_call_is_found():
    class Hiding(Guesser):
        kinds = (
            Kind(
                KIND.name,
                KIND.title,
                tuple(Column(c.name, c.type, c.meaning) for c in KIND.columns),
                ("number",),
                KIND.operations,
            ),
        )

    assert any("rooms changes without a gap" in line for line in check_run(Hiding, SETTINGS))


def test_a_record_that_counts_what_it_saw_is_found():
    assert any("number changes without a gap" in line for line in check_run(Reckless, SETTINGS))


@pytest.mark.parametrize(
    "line",
    [
        "outside its target's scope",
        "colour is no column",
        "number does not fit",
        "was not made",
        "2 records of one id",
        "needs an id and the calls",
    ],
)
def test_records_that_break_the_contract_are_found(line):
    assert any(line in found for found in check_run(Sloppy, SETTINGS))


def test_a_source_that_trips_over_a_failed_call_is_found():
    class Tripping(Tower):
        def collect(self, task, ask):
            page = ask(LIST)
            for number in page.data:
                yield Record("tower_floor", str(number), task.target.scope, (page.call,), {"number": number})

    assert any("collecting raises TypeError" in line for line in check_run(Tripping, {"floors": 2}))


def test_a_population_that_owes_no_list_is_found():
    assert any("nothing is due" in line for line in check_run(Owing, SETTINGS))
