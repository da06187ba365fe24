"""The ledger: sorted by id whoever wrote first, one line a question, canonical."""

from __future__ import annotations

import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.canonical import dumps, loads
from collector.collect.ledger import Entry, Ledger
from collector.model import Outcome

ENTRIES = st.builds(
    Entry,
    call=st.text(min_size=1, max_size=4),
    op=st.text(max_size=4),
    params=st.dictionaries(st.text(max_size=2), st.text(max_size=2), max_size=2),
    principal=st.text(max_size=4),
    at=st.just("2026-11-24T02:00:00.000Z"),
    ms=st.integers(0, 10**6),
    tries=st.integers(0, 9),
    page=st.integers(1, 9),
    more=st.booleans(),
    items=st.none() | st.integers(0, 9),
    size=st.integers(0, 9),
    outcome=st.sampled_from(Outcome),
    detail=st.text(max_size=4),
    answer=st.text(max_size=4),
)


def entry(call: str, **changed: Any) -> Entry:
    plain: Mapping[str, Any] = {
        "call": call, "op": "a:B", "params": {}, "principal": "", "at": "", "ms": 0, "tries": 1, "page": 1,
        "more": False, "items": None, "size": 0, "outcome": Outcome.OK, "detail": "", "answer": "",
    }  # fmt: skip
    return Entry(**{**plain, **changed})


@given(ENTRIES)
def test_a_line_is_canonical_around_the_place_of_its_salt(one: Entry) -> None:
    before, after = one.line()
    line = loads(before + b',"salt":"00"' + after)
    assert dumps(line) == before + b',"salt":"00"' + after
    assert line == {
        "answer": one.answer, "as": one.principal, "at": one.at, "bytes": one.size, "call": one.call,
        "detail": one.detail, "items": one.items, "more": one.more, "ms": one.ms, "op": one.op,
        "outcome": one.outcome.value, "page": one.page, "params": one.params, "salt": "00",
        "tries": one.tries,
    }  # fmt: skip


def test_entries_come_sorted_whoever_added_them_first() -> None:
    calls = [f"t/{n:03}" for n in range(200)]
    mixed = random.Random(1).sample(calls, len(calls))
    ledger = Ledger()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda call: ledger.add(entry(call)), mixed))
    assert [each.call for each in ledger] == calls
    assert len(ledger) == 200


def test_no_question_is_written_twice() -> None:
    ledger = Ledger()
    ledger.add(entry("t/1"))
    with pytest.raises(ValueError, match=r"t/1 \(a:B\) asked twice"):
        ledger.add(entry("t/1", ms=5))
    assert ledger.entries == {"t/1": entry("t/1")}


def test_what_is_here_stays_when_another_ledger_is_merged() -> None:
    ledger = Ledger()
    ledger.add(entry("t/1", detail="here"))
    ledger.merge({"t/1": entry("t/1", detail="there"), "t/2": entry("t/2", detail="there")})
    assert [each.detail for each in ledger] == ["here", "there"]
