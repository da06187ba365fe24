from hypothesis import given
from hypothesis import strategies as st

from collector_program.logins import LOGINS


def person(number, logins, left_on=None):
    return {
        "kind": "program_person",
        "id": f"e{number}",
        "scope": {"program": "acme"},
        "calls": ["aa/1"],
        "gaps": [],
        "redactions": [],
        "data": {"id": f"e{number}", "joined_on": "2024-01-01", "left_on": left_on, "logins": logins},
    }


def test_each_login_of_each_person_is_a_row():
    people = [person(1, ["eva", "eva.adm"]), person(2, [], "2026-01-31"), person(3, ["tom"], "2026-01-31")]
    rows = list(LOGINS.compute({"program_person": people}))
    assert [(row.id, row.data["left_on"]) for row in rows] == [
        ("e1/eva", None),
        ("e1/eva.adm", None),
        ("e3/tom", "2026-01-31"),
    ]
    assert rows[0].data == {"person_id": "e1", "login": "eva", "joined_on": "2024-01-01", "left_on": None}
    assert rows[0].scope == {"program": "acme"} and rows[0].calls == ("aa/1",)


@given(st.lists(st.lists(st.sampled_from("abc"), unique=True), max_size=6))
def test_ids_tell_all_rows_apart(logins):
    rows = list(LOGINS.compute({"program_person": [person(n, each) for n, each in enumerate(logins)]}))
    assert len({row.id for row in rows}) == len(rows) == sum(map(len, logins))


def test_no_people_give_no_rows():
    assert list(LOGINS.compute({})) == []
