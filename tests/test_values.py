"""What fits a column's type is what DuckDB loads as it was written; nothing turns into NULL in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from collector.canonical import dumps, loads
from collector.model import Column, Kind
from collector.values import PLAIN, check_type, fits, misfits

SCALARS = ["BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR", "TIMESTAMP", "DATE", "JSON"]
NAMES = ["a", "b", "Name", "_x"]
ARABIC = "2024-01-01".translate({ord("0") + n: 0x660 + n for n in range(10)})  # \d matches these too
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def struct(fields: dict[str, str]) -> str:
    return "STRUCT(" + ", ".join(f'"{name}" {type_}' for name, type_ in fields.items()) + ")"


FIELDS = st.sampled_from(NAMES)
TYPES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        inner.map(lambda type_: f"{type_}[]")
        | st.dictionaries(FIELDS, inner, min_size=1, max_size=3).map(struct)
    ),
    max_leaves=4,
)

DAYS = st.dates().map(str) | st.sampled_from(
    [
        "2024-02-29",
        "2023-02-29",
        "2024-02-30",
        "2024-04-31",
        "0999-01-01",
        "3000-01-01",
        "2024-1-1",
        ARABIC,
    ]
)
MOMENTS = st.builds(
    "{}T{}{}".format,
    DAYS,
    st.times().map(str)
    | st.sampled_from(["23:59:60", "24:00:00", "01:02", "12:00:00.1234567", f"1{chr(0x662)}:00:00"]),
    st.sampled_from(["Z", "", "+01:00", "z", "Z\n"]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), 0, 1, 1.5, -0.0, 1e308, 5e-324])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | DAYS
    | MOMENTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(FIELDS | TEXT, inner, max_size=3)
        | st.dictionaries(FIELDS, inner, max_size=4)
    ),
    max_leaves=5,
)


def fields_of(type_: str) -> dict[str, str]:
    """The fields of a STRUCT, as DuckDB reads its type."""
    return {name: str(inner) for name, inner in duckdb.sqltype(type_).children}


def value_of(type_: str) -> st.SearchStrategy[Any]:
    """Values that were made to fit a type, and sometimes do not."""
    if type_.endswith("[]"):
        return st.none() | st.lists(value_of(type_[:-2]), max_size=3)
    if type_.startswith("STRUCT"):
        known = {name: value_of(inner) for name, inner in fields_of(type_).items()}
        more = st.dictionaries(st.sampled_from(["A", "NAME", "other"]), VALUES, max_size=2)
        some = st.fixed_dictionaries({}, optional=known)
        return st.none() | st.builds(lambda one, two: {**one, **two}, more, some)
    made = {
        "BOOLEAN": st.booleans(),
        "BIGINT": st.integers(-(2**63), 2**63 - 1),
        "DOUBLE": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1),
        "VARCHAR": TEXT,
        "TIMESTAMP": MOMENTS,
        "DATE": DAYS,
        "JSON": VALUES,
    }
    return st.none() | made[type_]


class Table:
    """One value read as the tables of a run are read, and what became of it."""

    def __init__(self, folder: Path) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        self._file = folder / "rows.jsonl"

    def loaded(self, type_: str, value: Any) -> Any:
        """The value as DuckDB writes it back; raises duckdb.Error where it refuses."""
        self._file.write_bytes(dumps({"v": value}) + b"\n")
        found = self._connection.execute(
            f"SELECT to_json(v)::VARCHAR FROM read_json('{self._file}', format = 'newline_delimited', "
            f"columns = {{v: '{type_}'}})"
        ).fetchall()
        ((text,),) = found
        return None if text is None else loads(text)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return Table(tmp_path_factory.mktemp("table"))


def same(type_: str, value: Any, loaded: Any) -> bool:
    """Whether DuckDB's value is the one that was written, in the type's own terms."""
    if value is None or loaded is None:
        return value is None and loaded is None
    if type_.endswith("[]"):
        pairs = zip(value, loaded, strict=True)
        return all(same(type_[:-2], one, other) for one, other in pairs)
    if type_.startswith("STRUCT"):
        return all(same(inner, value.get(name), loaded[name]) for name, inner in fields_of(type_).items())
    if type_ == "TIMESTAMP":
        whole, _, part = value.rstrip("Z").replace("T", " ").partition(".")
        had, _, fraction = loaded.partition(".")
        return (whole, part.ljust(6, "0")) == (had, fraction.ljust(6, "0"))
    if type_ == "DOUBLE":
        return type(value) is not bool and float(value) == loaded
    return bool(value == loaded and type(value) is type(loaded))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), type_=TYPES)
def test_what_fits_loads_as_it_was_written(table: Table, data: st.DataObject, type_: str) -> None:
    value = data.draw(value_of(type_) | VALUES)
    assume(fits(type_)(value))
    assert same(type_, value, table.loaded(type_, value))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(type_=st.sampled_from(SCALARS[:-1]), value=VALUES)
@example(type_="DATE", value=ARABIC)
@example(type_="TIMESTAMP", value="2024-02-30T00:00:00Z")
@example(type_="BIGINT", value=2**63)
@example(type_="BOOLEAN", value=1)
def test_what_does_not_fit_would_be_refused_or_bent(table: Table, type_: str, value: Any) -> None:
    """Nothing is called malformed that would have loaded as it is, but for spellings not agreed on."""
    assume(not fits(type_)(value))
    try:
        loaded = table.loaded(type_, value)
    except (duckdb.Error, UnicodeDecodeError):  # the latter where its message cuts a character in two
        return
    if type_ in ("DATE", "TIMESTAMP"):
        return  # DuckDB reads more spellings of a day than the one that is agreed
    assert not same(type_, value, loaded)


@pytest.mark.parametrize("type_", SCALARS)
def test_null_fits_every_type(type_: str) -> None:
    assert fits(type_)(None)
    assert fits(f"{type_}[]")([None])
    assert fits(f'STRUCT("a" {type_})')({})


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("DOUBLE", float("nan")),
        ("DOUBLE", float("-inf")),
        ("DOUBLE", 10**400),
        ("BIGINT", True),
        ("BIGINT", 1.0),
        ("DOUBLE", True),
        ("VARCHAR", 1),
        ("VARCHAR[]", "abc"),
        ("VARCHAR[]", ["a", 1]),
        ('STRUCT("a" BIGINT)', {"a": "1"}),
        ('STRUCT("a" BIGINT)', [["a", 1]]),
        ("DATE", "2026-11-24T00:00:00Z"),
        ("TIMESTAMP", "2026-11-24"),
        ("TIMESTAMP", "2026-11-24T00:00:00Z\n"),
        ("DATE", "2026-11-24\n"),
    ],
)
def test_a_value_of_another_type_does_not_fit(type_: str, value: Any) -> None:
    assert not fits(type_)(value)


@pytest.mark.parametrize("type_", [*SCALARS, "VARCHAR[][]", 'STRUCT("a" JSON, "B_1" STRUCT("c" DATE)[])[]'])
def test_types_that_a_column_can_have_are_types_of_duckdb(type_: str) -> None:
    check_type(type_)
    duckdb.sqltype(type_)


@pytest.mark.parametrize(
    "type_",
    [
        "",
        "INTEGER",
        "varchar",
        "VARCHAR[3]",
        "VARCHAR []]",
        "STRUCT",
        "STRUCT()",
        "STRUCT(a BIGINT)",
        'STRUCT("a" BIGINT',
        'STRUCT("a" BIGINT, )',
        'STRUCT("a" BIGINT, "a" DATE)',
        'STRUCT("a" BIGINT, "A" DATE)',
        'STRUCT("a-b" BIGINT)',
        "BIGINT BIGINT",
        "BIGINT); DROP TABLE x; --",
        "BIGINT' }",
    ],
)
def test_anything_else_is_no_type(type_: str) -> None:
    with pytest.raises(ValueError, match="column type"):
        check_type(type_)


@given(st.text(max_size=20) | st.text('BIGNTSRUC()[]"a, ', max_size=30))
def test_reading_a_type_never_fails_otherwise(text: str) -> None:
    try:
        check_type(text)
    except ValueError as error:
        assert "column type" in str(error)


def test_plain_types_agree_with_what_fits() -> None:
    for type_, plain in PLAIN.items():
        for value in (True, 1, 1.5, "x", [], {}):
            assert fits(type_)(value) == (type(value) is plain)


def test_misfits_are_named_in_the_kinds_order_and_what_is_left_out_fits() -> None:
    columns = [Column("a", "BIGINT", "a"), Column("b", "DATE", "b"), Column("c", "VARCHAR[]", "c")]
    kind = Kind("made_kind", "made", tuple(columns), ("a",))
    assert misfits(kind, {"c": "x", "a": "1", "unknown": object()}) == ["a", "c"]
    assert misfits(kind, {}) == []
