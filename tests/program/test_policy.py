import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_program.policy import Unreadable, read_policy

WHOLE = """+++
id = "pol-passwords"
title = "Passwords"
version = "1.10"
status = "approved"
owner = "e1"
approver = "e2"
approved_on = 2026-03-02
review_by = 2027-03-01

[parameters]
password_min_length = 14
lockout_attempts = 5
+++
# Passwords
Questions go to help@example.org.
"""


def test_front_matter_becomes_typed_columns():
    policy = read_policy(WHOLE)
    assert policy.faults == {}
    assert policy.data == {
        "id": "pol-passwords",
        "title": "Passwords",
        "version": "1.10",
        "status": "approved",
        "owner": "e1",
        "approver": "e2",
        "approved_on": "2026-03-02",
        "review_by": "2027-03-01",
        "password_min_length": 14,
        "lockout_attempts": 5,
    }


def test_what_is_left_out_is_not_set_and_no_fault():
    policy = read_policy('+++\nid = "p"\ntitle = "T"\n+++\n')
    assert policy.data == {"id": "p", "title": "T"}
    assert policy.faults == {}


@pytest.mark.parametrize("text", ["\ufeff" + WHOLE, WHOLE.replace("\n", "\r\n")], ids=["mark", "line ends"])
def test_byte_order_marks_and_other_line_ends_change_nothing(text):
    assert read_policy(text).data == read_policy(WHOLE).data


UNREADABLE = {
    "no front matter": ("# Passwords\n", 1, "begins with a line +++"),
    "empty": ("", 1, "begins with a line +++"),
    "YAML": ("---\nid: x\n---\n", 1, "begins with a line +++"),
    "never closed": ("+++\nid = 1\n", 1, "no second line +++"),
    "endless": ("+++\n" + "# x\n" * 50_000 + "+++\n", 1, "no second line +++"),
    "not TOML": (WHOLE.replace('owner = "e1"', "owner: e1"), 6, "not TOML"),
    "a key twice": (WHOLE.replace("[parameters]", 'id = "x"\n[parameters]'), 11, "not TOML"),
    "no such day": (WHOLE.replace("2026-03-02", "2026-02-30"), 8, "not TOML"),
    "open string": (WHOLE.replace('"1.10"', '"1.10'), 4, "not TOML"),
    "unknown key": (WHOLE.replace("review_by", "reviewed_by"), 9, "`reviewed_by` is not known"),
    "misspelt parameter": (WHOLE.replace("password_min", "pasword_min"), 12, "`pasword_min_length` is not"),
    "parameters as value": (WHOLE.replace("[parameters]\n", "parameters = 3\n#"), 11, "must be a table"),
    "no id": (WHOLE.replace('id = "pol-passwords"\n', ""), 1, "`id` is missing"),
    "huge number": (WHOLE.replace("= 14", "= " + "9" * 9_000), 0, "not TOML"),
    "nested": (WHOLE.replace("= 14", "= " + "[" * 30_000), 0, "nested too deeply"),
}


@pytest.mark.parametrize(("text", "line", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_is_no_policy_says_where_and_why(text, line, reason):
    with pytest.raises(Unreadable) as raised:
        read_policy(text)
    assert reason in str(raised.value)
    if line:
        assert str(raised.value).startswith(f"line {line}: ")


WRONG = {
    "a name as owner": ('owner = "e1"', 'owner = "Eva Meyer"', "owner", 6),
    "an address as approver": ('approver = "e2"', 'approver = "eva@example.org"', "approver", 7),
    "a quoted date": ("2027-03-01", '"2027-03-01"', "review_by", 9),
    "a moment": ("2027-03-01", "2027-03-01T10:00:00Z", "review_by", 9),
    "a number in quotes": ("= 14", '= "14"', "password_min_length", 12),
    "a fraction": ("= 14", "= 14.0", "password_min_length", 12),
    "a truth": ("= 14", "= true", "password_min_length", 12),
    "less than nothing": ("= 14", "= -1", "password_min_length", 12),
    "more than can be meant": ("= 14", "= 99999999999999999999", "password_min_length", 12),
    "version without quotes": ('"1.10"', "1.10", "version", 4),
    "unknown status": ('"approved"', '"final"', "status", 5),
    "a list as status": ('"approved"', '["approved"]', "status", 5),
    "two lines of title": ('"Passwords"', '"a\\nb"', "title", 3),
    "a table as id": ('"pol-passwords"', "{a = 1}", "id", 2),
}


@pytest.mark.parametrize(("old", "new", "column", "line"), WRONG.values(), ids=WRONG.keys())
def test_a_value_of_the_wrong_type_is_a_fault_of_its_column_alone(old, new, column, line):
    policy = read_policy(WHOLE.replace(old, new, 1))
    assert list(policy.faults) == [column]
    assert policy.faults[column].startswith(f"line {line}: {column} ")
    assert column not in policy.data
    assert len(policy.data) == len(read_policy(WHOLE).data) - 1


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.replace('owner = "e1"', 'owner = "Eva Meyer"'),
        WHOLE.replace('owner = "e1"', 'owner = "Eva Meyer'),
        WHOLE.replace('owner = "e1"', 'ownr = "Eva Meyer"'),
        WHOLE.replace('owner = "e1"', 'owner = """\nEva Meyer"""'),
    ],
    ids=["wrong value", "not TOML", "unknown key", "several lines"],
)
def test_a_name_where_an_id_belongs_stands_in_no_span_free_text(text):
    try:
        spans = read_policy(text).spans
    except Unreadable as error:
        spans = error.spans
        assert "Eva" not in str(error)
    for span in sorted(spans or [], key=lambda span: -span.start):
        text = text[: span.start] + text[span.end :]
    assert "Eva" not in text
    assert "help@example.org" not in text


def test_mail_addresses_in_the_text_are_spans():
    policy = read_policy(WHOLE)
    assert [WHOLE[span.start : span.end] for span in policy.spans] == ["help@example.org"]


@given(st.text(max_size=400))
def test_any_front_matter_is_a_policy_or_unreadable(text):
    for whole in (text, f"+++\n{text}\n+++\n", f'+++\nid = "p"\ntitle = "t"\n{text}\n+++\n'):
        try:
            read_policy(whole)
        except Unreadable as error:
            assert str(error).startswith("line ")


VALUES = st.one_of(
    st.text('ab"\\\n[]{}=.', max_size=10).map(lambda text: f'"{text}"'),
    st.integers().map(str),
    st.floats().map(repr),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["true", "[]", "{}", "[[1]]", "{a.b = 1}", "07:30:00", "inf"]),
)


@given(
    st.sampled_from(["owner", "status", "review_by", "version", "parameters", "parameters.patch_days"]),
    VALUES,
)
def test_any_value_of_any_key_is_read_or_told(key, value):
    try:
        policy = read_policy(f'+++\nid = "p"\ntitle = "t"\n{key} = {value}\n+++\n')
    except Unreadable:
        return
    column = key.rpartition(".")[2]
    assert column in policy.data or column in policy.faults or value == "{}"


def test_a_long_hostile_body_is_searched_in_linear_time():
    began = time.process_time()
    read_policy(WHOLE + "a" * 2**18 + "@" + "b." * 2**17 + "@@" * 2**16)
    assert time.process_time() - began < 60


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", 0),
        ("\n\n   \n", 0),
        ("# A heading alone\n## And another\n", 0),
        ("<!-- to be written\nby somebody -->\n", 0),
        ("--- *** | | ___\n", 0),
        ("# Rule\n- Don't share pass-words, tell 2 people.\n", 6),
        ("Keep <!-- not counted --> this.\n", 2),
        ("Seen <!-- and the rest is never closed\nso it is no text\n", 1),
        ("\u6bcf\u4e2a\u4eba \u00e9t\u00e9\n", 2),
    ],
)
def test_only_words_that_a_reader_sees_are_counted(body, words):
    assert read_policy(f'+++\nid = "P-1"\ntitle = "T"\n+++\n{body}').words == words
