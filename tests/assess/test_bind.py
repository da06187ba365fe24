"""What a check's SQL may hold, and what is said of what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from collector.assess import assess, sql
from collector.model import MappingError

ROWS = {
    "true) AS x, (SELECT 1": "one expression",
    "number < (SELECT max(number) FROM made_thing)": "one row only",
    "now() > as_of()": "function now is not allowed",
    "random() > 0.5": "function random is not allowed",
    "getenv('HOME') = ''": "function getenv is not allowed",
    "current_setting('memory_limit') = ''": "function current_setting is not allowed",
    "number": "must give BOOLEAN",
    "number <": "syntax error",
    "lower(mail) = 'x'": "holds a pseudonym",
    "mail LIKE '%x'": "holds a pseudonym",
    "mail::JSON->'$.a' IS NULL": "holds a pseudonym",
    "row_number() OVER () = 1": "one row only",
}

QUERIES = {
    "SELECT content AS id, true AS pass, '' AS detail FROM read_text('/etc/passwd')": "read_text",
    "SELECT 'x' AS id, true AS pass, '' AS detail FROM 'other.csv'": "not in its reads",
    "SELECT 'x' AS id, true AS pass, '' AS detail FROM t.made_thing": "without schema",
    "SELECT database_name AS id, true AS pass, '' AS detail FROM duckdb_databases()": "duckdb_databases",
    "SELECT 'x' AS id, true AS pass, '' AS detail FROM sqlite_master": "not in its reads",
    "COPY made_thing TO 'x'": "must be a SELECT",
    "SELECT 1; SELECT 2": "one statement",
    "SELECT _id AS id, mail IS NULL AS pass, '' AS detail FROM made_thing": None,
    "SELECT _id AS id, 1 AS pass, '' AS detail FROM made_thing": "must give BOOLEAN",
    "SELECT _id AS id, true AS pass FROM made_thing": "gives no column detail",
    "WITH RECURSIVE r AS (SELECT 1 a UNION ALL SELECT a + 1 FROM r) "
    "SELECT 'x' AS id, true AS pass, '' AS detail FROM r": "recursive",
}


@pytest.mark.parametrize("expression", ROWS)
def test_an_expression_that_may_not_be_is_refused_by_file_and_line(
    made: Any, rows: Any, expression: str
) -> None:
    made.check(rows(expression))
    with pytest.raises(MappingError, match=r"checks\.toml:1: check made-check: ") as error:
        assess(made.write())
    assert ROWS[expression] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sql", [sql for sql, why in QUERIES.items() if why])
def test_a_query_that_may_not_be_is_refused(made: Any, queries: Any, sql: str) -> None:
    made.check(queries(sql))
    with pytest.raises(MappingError) as error:
        assess(made.write())
    assert str(QUERIES[sql]) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_query_sees_no_column_that_it_does_not_name(made: Any, queries: Any) -> None:
    made.record("a", number=1, mail="person:1")
    made.check(queries("SELECT _id AS id, mail IS NULL AS pass, '' AS detail FROM made_thing"))
    summary = assess(made.write())
    (line,) = made.findings()
    assert (line["subject"], line["result"]) == ("", "unknown")
    assert "mail" in line["detail"]
    assert summary.findings["pass"] == 0


def test_a_pseudonym_can_be_compared_as_a_whole(made: Any, rows: Any) -> None:
    made.record("a", mail="person:1")
    made.check(rows("mail IS NOT NULL AND list_contains([mail], mail)"))
    assess(made.write())
    assert made.results() == {"a": "pass"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("doc->'$.a' IS NULL", {"doc"}),
        ("doc->'$.a'->'$.b' IS NULL", {"doc"}),
        ("doc->>'$.a' = other", {"doc", "other"}),
        ("list_any_value(list_filter(names, lambda x: x = doc)) IS NULL", {"names", "doc"}),
    ],
)
def test_an_arrow_into_json_reads_its_column_and_a_lambda_reads_no_parameter(
    text: str, names: set[str]
) -> None:
    """What a check is not seen to read could be missing and it would pass."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        assert sql.expression(connection, text).names == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[chek]]\n", "unknown key chek (did you mean check?)"),
        ('[[check]]\nid = "A b"\n', "lower case words"),
        ('[[check]]\nid = "a"\nid = "b"\n', "stands twice"),
    ],
)
def test_a_mapping_file_that_is_wrong_is_told_with_its_line(made: Any, text: str, said: str) -> None:
    made.check(text)
    with pytest.raises(MappingError, match=r"checks\.toml:\d") as error:
        assess(made.write())
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('objective = "holds"', 'objective = "holts"', "no objective holts (did you mean holds?)"),
        ('severity = "low"', 'severity = "lo"', "not allowed"),
        ('why = "made up"', 'wy = "made up"', "why is missing"),
    ],
)
def test_an_entry_that_is_wrong_is_told_with_what_would_be_right(
    made: Any, rows: Any, old: str, new: str, said: str
) -> None:
    made.check(rows("number < 5").replace(old, new))
    with pytest.raises(MappingError) as error:
        assess(made.write())
    assert said in str(error.value)


def test_a_check_that_is_there_twice_is_told_with_both_places(made: Any, rows: Any) -> None:
    made.check(rows("number < 5") + rows("number < 6"))
    with pytest.raises(MappingError, match="there already, at "):
        assess(made.write())
