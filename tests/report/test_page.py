from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from collector.report.page import Page, clean, count, scope_text

ESCAPES = re.compile(r"\x1b\[[0-9]+m")


def test_control_characters_are_shown_and_not_sent_to_the_terminal() -> None:
    assert clean("a\x1b[2Jb\u202ec\nd\te") == "a\\x1b[2Jb\\u202ec d e"


def test_letters_of_other_scripts_stay() -> None:
    assert clean("Zoë 東京") == "Zoë 東京"


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    assert clean(text).isprintable()


def test_numbers_agree_with_their_nouns() -> None:
    assert (count(0, "call"), count(1, "call"), count(1204, "call")) == ("0 calls", "1 call", "1,204 calls")


def test_scope_reads_as_words() -> None:
    assert scope_text({"account": "1111", "region": "eu"}) == "account 1111, region eu"
    assert scope_text({}) == ""


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    page = Page(60)
    assert page.table([("a", 1, "x"), ("bbb", 100, "y")], ("name", "n", "what"), right=[1]) == [
        "  name    n  what",
        "  a       1  x",
        "  bbb   100  y",
    ]


def test_last_column_wraps_under_itself() -> None:
    lines = Page(40).table([("key", "word " * 10)])
    assert len(lines) == 2
    assert lines[1].startswith("       word")


def test_colour_is_added_only_where_it_is_wanted_and_after_padding() -> None:
    plain, painted = Page(60), Page(60, colour=True)
    rows = [("fail", "x"), ("unknown", "y")]
    assert not ESCAPES.search("".join(plain.table(rows, styles=("status",))))
    coloured = painted.table(rows, styles=("status",))
    assert ESCAPES.search(coloured[0])
    assert [ESCAPES.sub("", line) for line in coloured] == plain.table(rows, styles=("status",))


@given(
    st.lists(st.tuples(st.text(max_size=9), st.text(max_size=200)), min_size=1, max_size=5),
    st.integers(40, 120),
)
def test_lines_are_no_wider_than_the_page_where_words_allow_it(
    rows: list[tuple[str, str]], width: int
) -> None:
    start = 2 + max(len(clean(first)) for first, _ in rows) + 2
    longest = max(len(word) for _, last in rows for word in ["", *clean(last).split()])
    for line in Page(width).table(rows):
        assert len(line) <= max(width, start + 20, start + longest)


def test_no_rows_are_no_table() -> None:
    assert Page().table([], ("a", "b")) == []
