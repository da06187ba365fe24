"""Few subjects are judged in fewer statements than many: both ways give the same lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.assess import judge as judging
from collector.assess import tables
from collector.assess.bind import bind
from collector.assess.judge import Judge
from collector.assess.mappings import load
from collector.assess.patience import Patience
from collector.assess.populations import GapLine, Population, Populations
from collector.assess.rows import Loaded, Shape
from collector.assess.verdicts import open_database

KIND: Mapping[str, Any] = {
    "columns": [{"name": "name", "type": "VARCHAR"}, {"name": "number", "type": "BIGINT"}]
}
ROW = """
[[check]]
id = "{id}"
title = "Made up"
kind = "made_thing"
severity = "low"
objective = "holds"
why = "made up"
fix = "made up"
{more}
"""
CHECKS = (
    ROW.format(id="a-small", more='pass = "number < 5"')
    + ROW.format(id="b-named", more="applies = \"name <> 'x'\"\npass = \"name < 'm'\"")
    + ROW.format(id="c-never", more='pass = "number > 99"\napplies = "number > 99"')
    + ROW.format(
        id="d-query",
        more='query = "SELECT name AS id, number < 5 AS pass, name AS detail FROM made_thing"\n'
        'witness = "fail"\nreads = { made_thing = ["name", "number"] }',
    )
    + ROW.format(
        id="d-said",
        more="""query = '''
SELECT left(name, 1) AS id, CASE WHEN number < 3 THEN NULL ELSE number < 5 END AS pass,
    CASE WHEN number <> 4 THEN name END AS detail, _scope AS scope FROM made_thing
'''
reads = { made_thing = ["name", "number"] }""",
    )
    + ROW.format(
        id="e-broken",
        more='query = "SELECT name AS id, CAST(name AS BIGINT) > 0 AS pass, name AS detail FROM made_thing"\n'
        'reads = { made_thing = ["name"] }',
    )
    + ROW.format(id="f-broken", more='pass = "CAST(name AS BIGINT) > 0"')
)

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["x", "\x1b\x00\x7f\u2028", '"\\/']
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": texts,
            "scope": st.sampled_from([{"place": "here"}, {"place": "där"}]),
            "data": st.fixed_dictionaries({}, optional={"name": texts, "number": st.integers(0, 9)}),
            "gaps": st.sampled_from([[], [], [{"column": "name", "reason": "denied", "detail": "no \x07"}]]),
        }
    ),
    max_size=8,
    unique_by=lambda row: (row["id"], str(row["scope"])),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Path]]:
    folder = tmp_path_factory.mktemp("judge")
    for part, text in (
        ("checks", CHECKS),
        ("objectives", '[[objective]]\nid="holds"\nstatement="x"\nfacet="design"\nmax_age="1h"'),
    ):
        (folder / "pack" / part).mkdir(parents=True)
        (folder / "pack" / part / "made.toml").write_text(text)
    connection = open_database(folder, 256 << 20, 1)
    connection.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
    tables.create(connection, {"made_thing": KIND})
    mappings = load([folder / "pack"], strict=True)
    bound, _ = bind(connection, mappings.checks.values(), {"made_thing": KIND}, strict=True)
    yield connection, bound, folder
    connection.close()


def lines(made: Any, given_rows: Any, gap: str, few: int, apart: bool) -> tuple[Any, ...]:
    connection, bound, folder = made
    connection.execute("DROP SCHEMA IF EXISTS v CASCADE")
    connection.execute("DELETE FROM t.made_thing")
    loaded, shape = Loaded(), Shape("made_thing", KIND)
    made_rows = [shape.row({**row, "redactions": []}, loaded) for row in given_rows]
    loaded.counts["made_thing"] = len(made_rows)
    if made_rows:
        (folder / "rows.jsonl").write_bytes(b"\n".join(made_rows) + b"\n")
        tables.insert(connection, "made_thing", KIND, folder / "rows.jsonl", max(map(len, made_rows)))
    gaps = (GapLine("", {}, "denied", gap),) if gap else ()
    populations = Populations({"made_thing": (Population("made_thing", {"place": "here"}, gaps),)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "_FEW", few)
        judge = Judge(connection, populations, loaded, seconds=30, running=lambda _: None, skip={})
        found = [
            (findings.counts, [row for batch in findings.batches for row in batch])
            for findings in judge.findings(bound, lambda _: apart)
        ]
    return found, dict(judge.failed)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows, st.sampled_from(["", "why not", "with \x1b in it"]), st.booleans())
def test_few_subjects_and_many_give_the_same_lines(made: Any, given: Any, gap: str, apart: bool) -> None:
    few, failed = lines(made, given, gap, 20_000, apart)
    many, failed_too = lines(made, given, gap, 0, apart)
    assert few == many
    assert failed == failed_too


def test_a_query_that_gives_more_than_it_reads_is_judged_as_one_of_many(made: Any) -> None:
    row = {"scope": {"place": "here"}, "gaps": []}
    given = [{**row, "id": str(n), "data": {"name": str(n), "number": n}} for n in range(4)]
    assert lines(made, given, "", 3, False) == lines(made, given, "", 20_000, False)


def test_what_takes_too_long_is_interrupted_once_and_what_comes_after_is_not() -> None:
    ended = threading.Event()
    calls: list[float] = []

    def interrupt() -> None:
        calls.append(time.monotonic())
        ended.set()

    with Patience(1.0, interrupt) as patience:
        for _ in range(3):
            with patience.watching():
                assert not ended.wait(0.05)
        assert not ended.wait(1.5), "nothing runs"
        with patience.watching():
            assert ended.wait(60)
            time.sleep(1.2)
    assert len(calls) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "patience"]
