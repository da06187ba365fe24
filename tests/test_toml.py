from __future__ import annotations

import copy
import json
import os
import pickle
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.model import ConfigError, MappingError
from collector.toml import MAX_BYTES, Document, Table, nearest, parse, parse_duration, read

PLACES = r'''# a comment with [brackets] and key = "value"
series = "a"        # 2
frameworks = [      # 3
  "one",            # 4
  # not "two"
  "three # four",   # 6
]
text = """
key = "inside"
[inside]
quotes: ""\""""     # 11
raw = \'\'\'
[[inside]]
\'\'\'
nested = { a = 1, "b c" = { d = [1, { e = 2 }] } }  # 15
dotted.key."with.dot".x = 1  # 16
empty = []

[[source]]          # 19
use = "a"
[[source]]          # 21
use = "b"           # 22
[source.table]      # 23
deep = 1            # 24
[[source.many]]     # 25
k = 1               # 26
[[source.many]]     # 27
k = 2               # 28
[sign]              # 29
"quoted\u0041" = 1979-05-27 07:32:00  # 30
last = 1'''.replace("\\'", "'")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("series",), 2),
        (("frameworks",), 3),
        (("frameworks", 0), 4),
        (("frameworks", 1), 6),
        (("text",), 8),
        (("raw",), 12),
        (("nested", "b c", "d", 1, "e"), 15),
        (("dotted",), 16),
        (("dotted", "key", "with.dot", "x"), 16),
        (("empty",), 17),
        (("source", 0), 19),
        (("source", 0, "use"), 20),
        (("source", 1), 21),
        (("source", 1, "use"), 22),
        (("source", 1, "table", "deep"), 24),
        (("source", 1, "many", 0, "k"), 26),
        (("source", 1, "many", 1, "k"), 28),
        (("sign",), 29),
        (("sign", "quotedA"), 30),
        (("sign", "last"), 31),
        (("sign", "missing"), 29),
        (("source", 1, "missing", "deeper"), 21),
        (("nothing",), 1),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_of_a_key_path_is_found(keys: tuple[str | int, ...], line: int, newline: str) -> None:
    document = parse(PLACES.replace("\n", newline).encode(), Path("x.toml"))
    assert document.line(*keys) == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a = 1\na = 2\n",
            "x.toml:2: not TOML: Cannot overwrite a value; a key or table stands twice (column 6)",
        ),
        ("[a]\n\n[a]", "x.toml:3: "),
        ("a = ", "x.toml:1: not TOML: Invalid value (end of file)"),
        ("a = 1\nb = [", "x.toml:2: "),
        ("a = 1\nb\n", "x.toml:2: "),
        ("a = " + "[" * 5000, "x.toml: nested too deeply"),
        ("a = " + "9" * 5000, "x.toml: not TOML: "),
        ("a = 1\n" + "a." * 200_000 + "b = 1", "x.toml:2: a dotted key of more than a hundred parts"),
        ("a = 1\n[" + '"\\"". ' * 200 + "b]", "x.toml:2: a dotted key of more than a hundred parts"),
    ],
)
def test_what_is_no_toml_is_one_line_with_file_and_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), Path("x.toml"))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.datetimes(timezones=st.timezones() | st.none()).filter(lambda each: each.year > 1900)
        | st.integers(),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
@example(datetime(2026, 11, 24, 2, tzinfo=UTC))
def test_moments_are_pythons_own_wherever_they_stand(value: object) -> None:
    def written(each: object) -> str:
        if isinstance(each, list):
            return f"[{', '.join(map(written, each))}]"
        return each.isoformat(timespec="microseconds") if isinstance(each, datetime) else str(each)

    text = f"a = {written(value)}\n[[b]]\nc = {{ d = {written(value)} }}\n"
    try:
        expected = tomllib.loads(text)
    except ValueError:
        return  # an offset with seconds, an integer that is too large
    data = parse(text.encode(), Path("a.toml")).data
    assert repr(data) == repr(expected)
    assert pickle.loads(pickle.dumps(data)) == copy.deepcopy(data) == expected


def test_byte_order_mark_is_no_error_and_moves_none() -> None:
    marked = "\ufeffseries = 1\n".encode()
    assert dict(parse(marked, Path("f")).data) == {"series": 1}
    with pytest.raises(ConfigError, match=r"^f:2: not TOML: .* \(column 9\)$"):
        parse(marked + b'use = "a\n', Path("f"))
    assert parse(marked, Path("f")).line("series") == 1


def test_file_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b'a = "b"\nc = "\xff"')
    with pytest.raises(ConfigError, match=r"x\.toml:2: not UTF-8"):
        read(path)


def test_file_beyond_the_limit_is_refused_without_parsing(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read(path)


def test_named_pipe_in_the_files_place_does_not_hold_up(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="not a regular file"):
        read(path)


@pytest.mark.parametrize("name", ["missing.toml", "x" * 5000, "a\0b"])
def test_file_that_cannot_be_opened_is_an_error_of_the_kind_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(MappingError):
        read(tmp_path / name, MappingError)


def test_line_break_in_a_path_does_not_break_the_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "a\nb.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("15s", 15), ("30m", 1800), ("24h", 86400), ("400d", 34_560_000), ("2w", 1_209_600)]
)
def test_duration_is_read_as_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "24", "24 h", "1.5h", "-1h", "24H", "999999999w", "٢h", "1h\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|century"):
        parse_duration(text)


def table(text: str) -> Table:
    document = parse(text.encode(), Path("x.toml"))
    return Table(document, document.data)


def test_unknown_key_is_an_error_with_the_nearest_known_name() -> None:
    reader = table('folder = "a"\nfoldr = "b"')
    reader.string("folder")
    with pytest.raises(ConfigError, match=r"^x\.toml:2: foldr: unknown key \(did you mean folder\?\)$"):
        reader.finish()


def test_unknown_key_that_resembles_nothing_is_told_what_is_allowed() -> None:
    reader = table("zzz = 1")
    reader.string("folder", None)
    reader.boolean("deep", False)
    with pytest.raises(ConfigError, match=r"^x\.toml:1: zzz: unknown key; allowed here: folder, deep$"):
        reader.finish()


def test_missing_key_is_an_error_that_names_what_may_stand_for_it() -> None:
    reader = table('foldr = "b"')
    with pytest.raises(ConfigError, match=r"^x\.toml:1: folder is missing \(is foldr meant for it\?\)$"):
        reader.string("folder")


TYPED = """
string = "a"
strings = ["a", "b"]
integer = 3
boolean = true
duration = "24h"
date = 2027-01-31
table = { a = 1 }
tables = [{ a = 1 }, { a = 2 }]
"""
READERS = {
    "string": "a",
    "strings": ("a", "b"),
    "integer": 3,
    "boolean": True,
    "duration": 86400,
    "date": date(2027, 1, 31),
}


@pytest.mark.parametrize(("key", "value"), READERS.items())
def test_value_of_its_type_is_taken(key: str, value: object) -> None:
    assert getattr(table(TYPED), key)(key) == value


@pytest.mark.parametrize("reader", [*READERS, "table"])
@pytest.mark.parametrize("key", [*READERS, "table", "tables"])
def test_value_of_another_type_is_an_error_with_its_line(reader: str, key: str) -> None:
    if key == reader or (reader == "string" and key == "duration"):
        return
    source = table(TYPED)
    with pytest.raises(ConfigError, match=rf"^x\.toml:{source.document.line(key)}: {key}: "):
        getattr(source, reader)(key)


@pytest.mark.parametrize("reader", [*READERS, "table"])
def test_default_stands_in_for_what_is_left_out(reader: str) -> None:
    assert getattr(table(""), reader)("key", None) is None


def test_date_may_be_quoted() -> None:
    assert table('date = "2027-01-31"').date("date") == date(2027, 1, 31)


@pytest.mark.parametrize("text", ["20270131", "2027-02-30", "tomorrow", "2027-W01-1"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.toml:1: date: .*no date"):
        table(f'date = "{text}"').date("date")


@pytest.mark.parametrize("text", ['key = ""', 'key = "  "'])
def test_blank_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.toml:1: key: is blank"):
        table(text).string("key")


def test_element_of_a_list_is_named_by_its_own_line() -> None:
    with pytest.raises(ConfigError, match=r"^x\.toml:3: key: must be a string, is a whole number$"):
        table('key = [\n"a",\n1]').strings("key")
    with pytest.raises(ConfigError, match=r"^x\.toml:3: key: 'a' stands twice$"):
        table('key = [\n"a",\n"a"]').strings("key")


def test_choice_that_is_not_allowed_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'hihg' is not allowed \(did you mean high\?\)"):
        table('key = "hihg"').string("key", choices=("low", "high"))


def test_numbers_and_durations_keep_their_bounds() -> None:
    with pytest.raises(ConfigError, match="must be from 1 to 8"):
        table("key = 9").integer("key", least=1, most=8)
    with pytest.raises(ConfigError, match='at least "1s"'):
        table('key = "0s"').duration("key")


def test_tables_know_their_own_lines() -> None:
    first, second = table("[[a]]\nx = 1\n[[a]]\nx = 2").tables("a")
    assert (first.integer("x"), second.integer("x")) == (1, 2)
    assert second.where("x") == "x.toml:4"
    assert table("").tables("a") == ()
    with pytest.raises(ConfigError, match=r"written \[\[a\]\]"):
        table("[a]").tables("a")


def test_any_value_comes_as_the_json_that_the_format_writes() -> None:
    reader = table(
        "key = { d = 2027-01-31, t = 2026-11-24T03:00:03+01:00, l = 2026-11-24 02:00:03, n = [1.5] }"
    )
    assert reader.value("key") == {
        "d": "2027-01-31",
        "t": "2026-11-24T02:00:03Z",
        "l": "2026-11-24T02:00:03Z",
        "n": [1.5],
    }
    with pytest.raises(ConfigError, match="finite"):
        table("key = [nan]").value("key")


def test_nearest_gives_nothing_where_nothing_is_near() -> None:
    assert nearest("folder", ["zzz"]) == ""
    assert nearest("FOLDERS", ["zzz", "folder"]) == " (did you mean folder?)"


keys = st.text(min_size=1, max_size=6)
values = st.recursive(
    st.integers(-9, 9) | st.text(max_size=8) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(keys, values, max_size=4), max_size=4))
def test_every_key_that_is_written_is_found_on_its_line(tables: list[dict[str, object]]) -> None:
    lines: dict[tuple[str | int, ...], int] = {}
    text: list[str] = []
    for index, each in enumerate(tables):
        text.append("[[t]] # [[t]]\n")
        lines["t", index] = "".join(text).count("\n")
        for key, value in each.items():
            lines["t", index, key] = "".join(text).count("\n") + 1
            text.append(f"{escaped(key)} = {inline(value)}\n")
    document = parse("".join(text).encode(), Path("x.toml"))
    for path, line in lines.items():
        assert document.line(*path) == line


def escaped(text: str) -> str:
    return '"' + "".join(f"\\U{ord(sign):08x}" for sign in text) + '"'


def inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{escaped(key)} = {inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(inline(each) for each in value) + "\n]"
    return escaped(value) if isinstance(value, str) else json.dumps(value)


@given(st.binary(max_size=300) | st.text(alphabet="ab\"'[]{}=.,#\\\n\t 1-:", max_size=60).map(str.encode))
@example(b"[[[")
@example(b'a = """')
def test_no_bytes_raise_anything_but_the_error_asked_for(data: bytes) -> None:
    try:
        document = parse(data, Path("x.toml"))
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(document, Document)
        for key in document.data:
            assert document.line(key) >= 1
