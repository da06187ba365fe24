"""Tries to refute every check that declares a witness.

A witness claims that a result rests on what was seen, so that more evidence cannot undo it. Rows are
drawn from the check's own examples, mixed and crossed; then rows and columns are taken away. What the
witness still says of less must be what the check says of everything.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.assess import tables
from collector.assess.examples import judge_example
from collector.assess.mappings import Example
from collector.assess.verdicts import open_database

pytestmark = pytest.mark.xdist_group("invariant")  # one recorded world is enough

HOSTS = ({"host": "a"}, {"host": "b"})


def _pools(bound: Any) -> dict[str, list[dict[str, Any]]]:
    """For each kind that a check reads, the rows of its examples."""
    return {
        kind: [dict(row) for example in bound.check.examples for row in example.tables.get(kind, ())]
        for kind in bound.reads
    }


@st.composite
def _worlds(draw: st.DrawFn, bound: Any) -> tuple[Example, Example]:
    """All evidence, and less of it."""
    whole: dict[str, list[dict[str, Any]]] = {}
    less: dict[str, list[dict[str, Any]]] = {}
    short: list[str] = []
    for kind, pool in _pools(bound).items():
        columns = bound.reads[kind]
        values = {name: [row.get(name) for row in pool if "_gaps" not in row] or [None] for name in columns}
        count = draw(st.integers(0, 5))
        rows = [
            {
                **{name: draw(st.sampled_from(values[name])) for name in columns},
                "_id": str(number),
                "_scope": draw(st.sampled_from(HOSTS)),
            }
            for number in range(count)
        ]
        whole[kind] = [_without_null(row) for row in rows]
        kept = [row for row in rows if draw(st.integers(0, 3))]
        if len(kept) < len(rows):
            short.append(kind)
        less[kind] = []
        for row in kept:
            gaps = sorted(draw(st.sets(st.sampled_from(sorted(columns))))) if draw(st.booleans()) else []
            less[kind].append(
                {**_without_null({k: v for k, v in row.items() if k not in gaps}), "_gaps": gaps}
            )
    return Example({}, tables=whole), Example({}, tables=less, incomplete=tuple(short))


def _without_null(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


@pytest.fixture(scope="module")
def database(world: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        connection = open_database(Path(folder), 256 << 20, threads=1)
        connection.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
        tables.create(connection, world.kinds)
        yield connection, Path(folder)
        connection.close()


def test_there_are_witnesses_to_refute(world: Any) -> None:
    assert any(bound.check.witness for bound in world.bound)


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_witness_is_refuted(world: Any, database: Any, data: st.DataObject) -> None:
    connection, scratch = database
    for bound in world.bound:
        if not bound.check.witness:
            continue
        whole, less = data.draw(_worlds(bound))
        everything = judge_example(connection, bound, whole, world.kinds, scratch)
        for place, result in judge_example(connection, bound, less, world.kinds, scratch).items():
            if result == bound.check.witness:
                assert everything.get(place) == result, (
                    f"{bound.check.id}: {place} was proven to {result}, and is {everything.get(place)}"
                )
