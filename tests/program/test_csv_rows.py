import csv
import io
import time

from hypothesis import given
from hypothesis import strategies as st

from collector_program.csv_rows import MAX_CELLS, rows

CELLS = st.text(st.sampled_from("ab \"',;=\t\né\u2028\U0001f600"), max_size=6)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=5), max_size=6)


@given(TABLES, st.sampled_from(["\n", "\r\n"]))
def test_what_the_standard_library_writes_is_split_the_same_way(table, line_end):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows(table)
    split = list(rows(text.getvalue()))
    assert [[cell.value for cell in row.cells] for row in split] == table
    assert not any(row.fault for row in split)


@given(TABLES)
def test_each_cell_says_where_it_stands(table):
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(table)
    text = buffer.getvalue()
    for row in rows(text):
        for cell in row.cells:
            assert row.start <= cell.start <= cell.end <= row.end
            assert text[cell.start : cell.end].replace('""', '"') == cell.value


@given(st.text(st.sampled_from('ab",\r\n'), max_size=60))
def test_any_text_is_split_into_rows_that_leave_only_line_ends_out(text):
    covered = 0
    for row in rows(text):
        assert text[covered : row.start].strip("\r\n") == ""
        assert row.end > row.start and row.first <= row.last
        covered = row.end
    assert text[covered:].strip("\r\n") == ""


@given(st.text(st.sampled_from('ab",\n'), max_size=60))
def test_rows_begin_on_the_line_that_they_name(text):
    for row in rows(text):
        assert row.first == text.count("\n", 0, row.start) + 1
        assert row.last == text.count("\n", 0, row.end) + 1


def test_broken_quoting_is_a_fault_of_its_row_alone():
    split = list(rows('a,b"c,d\n"e"f,g\nh,i\n'))
    assert [bool(row.fault) for row in split] == [True, True, False]
    assert [cell.value for cell in split[2].cells] == ["h", "i"]


def test_a_quote_that_is_never_closed_names_all_lines_that_it_swallows():
    last = list(rows('a,b\n"c,d\ne,f\n'))[-1]
    assert (last.first, last.last) == (2, 4)
    assert "never closed" in last.fault


def test_megabytes_of_commas_quotes_or_line_ends_cost_seconds_at_most_and_bounded_memory():
    began = time.process_time()
    for hostile in ("," * 2**22, '"' * 2**22, "\n" * 2**22, '"' + "a" * 2**22):
        for row in rows(hostile):
            assert len(row.cells) <= MAX_CELLS
    assert time.process_time() - began < 60
