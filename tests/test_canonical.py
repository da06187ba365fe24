"""One value, one sequence of bytes; and salts that two implementations agree on."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.canonical import dumps, file_sha256, loads, salted, sha256_hex
from collector.lines import LineWriter, read_lines

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, JSON, min_size=1, max_size=4)


@given(JSON)
def test_bytes_and_value_say_the_same(value: Any) -> None:
    data = dumps(value)
    assert loads(data) == value
    assert json.loads(data) == value
    assert dumps(loads(data)) == data
    assert b"\n" not in data


@given(OBJECTS)
def test_the_order_of_keys_does_not_count_and_is_that_of_their_utf8(value: dict[str, Any]) -> None:
    assert dumps(dict(reversed(value.items()))) == dumps(value)
    assert list(loads(dumps(value))) == sorted(value, key=str.encode)


def test_there_is_no_space_and_no_escape_that_is_not_needed() -> None:
    assert dumps({"b": [1, 2.5, True], "a": 'ü"\n'}) == '{"a":"ü\\"\\n","b":[1,2.5,true]}'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null(value: float) -> None:
    assert dumps({"a": value}) == b'{"a":null}'


@pytest.mark.parametrize("value", [2**64, {1, 2}, "\ud800", b"x", {1: 2}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps(value)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1,]", "{'a':1}", '{"a":1} x', b"\xff", '"\\ud800"'])
def test_only_json_is_read(text: Any) -> None:
    with pytest.raises(ValueError, match=r"column|line|str is not valid|input"):
        loads(text)


KEYS = st.binary(min_size=1, max_size=100)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects=st.lists(st.tuples(JSON, st.integers(0, 9)), min_size=1, max_size=6), key=KEYS)
def test_lines_carry_the_salts_that_are_computed_one_at_a_time(
    tmp_path: Path, objects: list[tuple[Any, int]], key: bytes
) -> None:
    halves = [(b'{"record":' + dumps(inner), b',"tries":%d}' % tries) for inner, tries in objects]
    path = tmp_path / sha256_hex(repr((objects, key)).encode())
    path.unlink(missing_ok=True)
    with LineWriter(path, key) as writer:
        for half in halves:
            writer.write(*half)
    assert list(read_lines(path)) == [salted(*half, key) for half in halves]


@given(JSON, KEYS)
def test_a_salt_is_the_keyed_digest_of_the_rest_of_its_line(inner: Any, key: bytes) -> None:
    line = loads(salted(b'{"gap":' + dumps(inner), b',"tries":1}', key))
    salt = line.pop("salt")
    assert salt == hmac.new(key, dumps(line), hashlib.sha256).hexdigest()[:32]
    assert dumps({**line, "salt": salt}) == salted(b'{"gap":' + dumps(inner), b',"tries":1}', key)


def test_without_a_key_there_is_no_salt() -> None:
    assert salted(b'{"a":1', b"}", None) == b'{"a":1}'


@given(st.binary(max_size=300))
def test_a_file_has_the_digest_of_its_bytes(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        assert file_sha256(path) == sha256_hex(data) == hashlib.sha256(data).hexdigest()
