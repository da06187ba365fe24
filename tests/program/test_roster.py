import csv
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_program.roster import COLUMNS, MAX_FAULTS, read_roster

HEADER = ",".join(COLUMNS) + "\n"
EVA = 'e1,"Meyer, Eva",eva@example.org,Engineer,2024-02-01,,eva;eva.adm\n'
TOM = "e2,Tom Roth,tom@example.org,Support,2023-05-01,2026-01-31,tom\n"


def test_a_row_becomes_a_person():
    roster = read_roster(HEADER + EVA + TOM)
    assert roster.faults == ()
    assert roster.people[0].data == {
        "id": "e1",
        "name": "Meyer, Eva",
        "mail": "eva@example.org",
        "role": "Engineer",
        "joined_on": "2024-02-01",
        "left_on": None,
        "logins": ["eva", "eva.adm"],
    }
    assert roster.people[1].data["left_on"] == "2026-01-31"


def test_columns_may_stand_in_any_order_and_behind_a_byte_order_mark():
    roster = read_roster("\ufefflogins,left_on,joined_on,role,mail,name,id\r\nx,,2024-01-01,Dev,,Ann,e7\r\n")
    assert roster.faults == ()
    assert roster.people[0].data["id"] == "e7"
    assert roster.people[0].data["mail"] is None


BROKEN = {
    "too few cells": ("e3,Ann,ann@example.org\n", "number of cells"),
    "too many cells": ("e3,Ann,a@example.org,Dev,2024-01-01,,ann,extra\n", "number of cells"),
    "no id": (",Ann,a@example.org,Dev,2024-01-01,,ann\n", "id: is empty"),
    "no name": ("e3,,a@example.org,Dev,2024-01-01,,ann\n", "name: is empty"),
    "id with a slash": ("e/3,Ann,a@example.org,Dev,2024-01-01,,ann\n", "id: may hold"),
    "formula as id": ("=1+1,Ann,a@example.org,Dev,2024-01-01,,ann\n", "id: begins like a formula"),
    "formula as role": ('e3,Ann,a@example.org,"=HYPERLINK(""x"")",2024-01-01,,ann\n', "role: begins like"),
    "no mail": ("e3,Ann,ann,Dev,2024-01-01,,ann\n", "mail: no mail address"),
    "no such day": ("e3,Ann,a@example.org,Dev,2024-02-30,,ann\n", "joined_on: no date"),
    "other date form": ("e3,Ann,a@example.org,Dev,01.02.2024,,ann\n", "joined_on: no date"),
    "foreign digits": (
        "e3,Ann,a@example.org,Dev,\N{FULLWIDTH DIGIT TWO}024-01-01,,ann\n",
        "joined_on: no date",
    ),
    "login with a space": ("e3,Ann,a@example.org,Dev,2024-01-01,,ann smith\n", "logins: a login may"),
    "line end in a cell": ('e3,"Ann\nX",a@example.org,Dev,2024-01-01,,ann\n', "name: holds a line end"),
    "escape sequence": ("e3,Ann,a@example.org,\x1b[2J,2024-01-01,,ann\n", "role: holds a line end or"),
    "endless cell": (f"e3,Ann,a@example.org,{'x' * 600},2024-01-01,,ann\n", "role: longer than"),
    "open quote": ('e3,"Ann,a@example.org,Dev,2024-01-01,,ann\n', "never closed"),
}


@pytest.mark.parametrize(("row", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_row_is_told_with_file_line_and_reason_and_the_good_rows_stay(row, reason):
    roster = read_roster(HEADER + EVA + TOM + row)
    assert [person.data["id"] for person in roster.people] == ["e1", "e2"]
    (fault,) = roster.faults
    assert str(fault).startswith("roster.csv line")
    assert " 4" in fault.where
    assert reason in fault.reason


def test_rows_after_a_cell_with_line_ends_keep_their_line_numbers():
    roster = read_roster(HEADER + 'e3,"Ann\n\nX",,Dev,2024-01-01,,ann\n' + "bad\n" + EVA)
    assert [fault.where for fault in roster.faults] == ["lines 2 to 4", "line 5"]
    assert roster.people[0].line == 6


def test_an_id_that_stands_twice_names_both_lines_and_neither_row_is_believed():
    roster = read_roster(HEADER + EVA + TOM + EVA.replace("Eva", "Eve"))
    assert [person.data["id"] for person in roster.people] == ["e2"]
    assert [str(fault) for fault in roster.faults] == [
        "roster.csv lines 2 and 4: id e1 stands 2 times; each person needs one row"
    ]


def test_dates_out_of_order_are_evidence_and_no_fault():
    roster = read_roster(HEADER + "e3,Ann,,Dev,2026-01-01,2025-01-01,ann\n")
    assert roster.faults == ()
    assert roster.people[0].data["left_on"] == "2025-01-01"


HEADERS = {
    "missing column": "id,name,mail,role,joined_on,left_on\n",
    "unknown column": "id,name,mail,role,joined_on,left_on,logins,salary\n",
    "column twice": "id,id,name,mail,role,joined_on,left_on,logins\n",
    "semicolons": "id;name;mail;role;joined_on;left_on;logins\n",
    "broken quoting": '"id"x,name,mail,role,joined_on,left_on,logins\n',
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_first_row_that_cannot_be_used_is_one_fault_and_no_text_is_trusted(header):
    roster = read_roster(header + EVA)
    assert roster.people == ()
    assert len(roster.faults) == 1
    assert roster.spans is None


def test_a_roster_without_people_is_complete_and_an_empty_file_is_not():
    assert read_roster(HEADER).faults == ()
    assert len(read_roster("").faults) == 1
    assert len(read_roster("\ufeff\n\n").faults) == 1


def test_a_million_broken_rows_are_a_bounded_number_of_faults():
    roster = read_roster(HEADER + "x\n" * 5_000)
    assert len(roster.faults) == MAX_FAULTS + 1
    assert (
        str(roster.faults[-1])
        == f"roster.csv after line {MAX_FAULTS + 1}: {5_000 - MAX_FAULTS:,} more such rows"
    )
    assert roster.spans is None


def test_rows_beyond_the_limit_are_told_and_not_read(monkeypatch):
    monkeypatch.setattr("collector_program.roster.MAX_ROWS", 1)
    roster = read_roster(HEADER + EVA + TOM)
    assert [person.data["id"] for person in roster.people] == ["e1"]
    assert [fault.where for fault in roster.faults] == ["from line 3 on"]
    assert roster.spans is None


def test_no_fault_quotes_what_a_cell_holds():
    roster = read_roster(HEADER + "e3,Zaphod,zaphod@example,Dev,2024-01-01,Beeblebrox,x y\n")
    assert "Zaphod" not in str(roster.faults[0]) and "Beeblebrox" not in str(roster.faults[0])


def _blacked_out(text, spans):
    for span in sorted(spans, key=lambda span: -span.start):
        text = text[: span.start] + "#" * (span.end - span.start) + text[span.end :]
    return text


NAMES = st.text(string.ascii_letters + " ,'\"é", min_size=4, max_size=12).map(lambda name: f"N{name}N")


@given(st.lists(NAMES, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_no_name_or_mail_address_stands_outside_the_spans(names, random):
    order = list(COLUMNS)
    random.shuffle(order)
    text = io.StringIO()
    writer = csv.DictWriter(text, order)
    writer.writeheader()
    for number, name in enumerate(names):
        broken = random.random() < 0.3
        row = dict.fromkeys(COLUMNS, "")
        row |= {"id": f"{number}", "name": name, "mail": f"m{number}@example.org"}
        writer.writerow(row | ({"left_on": "never"} if broken else {}))
    roster = read_roster(text.getvalue())
    left = _blacked_out(text.getvalue(), roster.spans)
    assert "@example.org" not in left
    for name in names:
        assert name.replace('"', '""') not in left


@given(st.text(st.sampled_from('e12,;"\n\r=@.-_ aé\u202e\x00'), max_size=200))
def test_each_row_of_any_text_is_a_person_or_told(text):
    roster = read_roster(HEADER + text)
    people = {person.line for person in roster.people}
    told = set()
    for fault in roster.faults:
        numbers = [int(word) for word in fault.where.replace(",", " ").split() if word.isdigit()]
        told |= set(range(numbers[0], numbers[-1] + 1)) if " to " in fault.where else set(numbers)
    for number, line in enumerate((HEADER + text).replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if number > 1 and line:
            assert number in people | told


@given(st.text(max_size=300))
def test_no_text_raises(text):
    read_roster(text)
    read_roster(HEADER + text)
