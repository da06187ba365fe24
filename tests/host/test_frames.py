"""Frames: whatever a target sends is taken apart without an error, and no line gets lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector_host.frames import read

LINES = st.lists(
    st.one_of(
        st.text(max_size=40).filter(lambda text: "\n" not in text),
        st.text(max_size=20).filter(lambda text: "\n" not in text).map("|".__add__),
        st.sampled_from(
            [
                "P 1 os 0",
                "Z",
                "F ok 81a4 0 0 root root 1 2 /etc/x",
                "F denied 0 0 0 - - 0 0 /etc/y",
                "D ok /etc",
                "C run id",
                "X 0",
                "X",
                "!oops",
                "K a b",
                "K",
                "F ok",
                "F ok zz q 0 - - x y /etc/z",
                "C",
                "D",
                "P",
                "K failed /etc/x",
            ]
        ),
    ),
    max_size=30,
)


@given(LINES)
def test_every_line_is_content_a_frame_or_a_stray(lines: list[str]) -> None:
    frames = read("\n".join(lines))
    assert all(0 < stray.number <= len(lines) for stray in frames.strays)
    for stray in frames.strays:
        assert lines[stray.number - 1].removesuffix("\r") == stray.text
    for file in frames.files.values():
        assert file.mode is None or len(file.mode) == 4


@given(LINES)
def test_a_line_of_content_stands_where_it_says(lines: list[str]) -> None:
    text = "\n".join(lines)
    frames = read(text)
    for holder in (*frames.files.values(), *frames.commands.values()):
        for line in holder.lines:
            assert text[line.at : line.at + len(line.text)] == line.text
            assert text[line.at - 1] == "|"


def test_what_says_more_of_a_file_stays() -> None:
    frames = read(
        "F found 81a4 0 0 root root 1 2 /a\n"
        "F ok 81a4 0 0 root root 1 2 /a\n|x\n"
        "F found 81a4 0 0 root root 1 2 /a\n"
    )
    assert frames.file("/a").text == "x"


def test_a_file_that_nobody_asked_for_is_missing() -> None:
    assert read("").file("/etc/none").status == "missing"
    assert not read("").complete
