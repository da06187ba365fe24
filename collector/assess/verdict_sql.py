"""What judging says in SQL: verdicts, details and lines of findings, as expressions over one table."""

from __future__ import annotations

from collections.abc import Collection

from collector.assess.bind import Bound
from collector.assess.tables import quoted
from collector.canonical import dumps

__all__ = [
    "FAIL",
    "MAX_DETAIL",
    "NOT_ALL_SEEN",
    "NOT_APPLICABLE",
    "PASS",
    "RESULTS",
    "UNKNOWN",
    "by_subject",
    "detail",
    "line",
    "literal",
    "of_query",
    "proven",
    "verdict",
    "why_failed",
    "why_unknown",
]

RESULTS = ("pass", "fail", "unknown", "not_applicable")
PASS, FAIL, UNKNOWN, NOT_APPLICABLE = range(4)
MAX_DETAIL = 300  # characters of a finding's detail

_KIND, _RESULT, _QUOTE, _SCOPE, _END = (
    '\',"kind":"\'',
    '\'","result":"\'',
    "'\"'",
    "',\"scope\":'",
    "',\"waiver\":null}'",
)
"""Pieces of a finding's line, as SQL."""

_SCOPE_TEXT = "TRY_CAST(scope AS VARCHAR)"
_NO_SCOPE = "'{}'"
NOT_ALL_SEEN = "not all that this check reads was seen"


def line(bound: Bound) -> tuple[str, str]:
    """SQL for a finding's line before and after the place of its salt."""
    names = ", ".join(literal(name) for name in RESULTS)
    opening = f'{{"check":{_json(bound.check.id)},"detail":'
    severity = f',"severity":{_json(bound.check.severity)},"subject":'
    result = f"[{names}][r + 1]"
    before = [literal(opening), "to_json(coalesce(d, ''))", _KIND, "k", _RESULT, result, _QUOTE]
    after = [_SCOPE, "_scope", literal(severity), "to_json(_id)", _END]
    return " || ".join(before), " || ".join(after)


def verdict(bound: Bound, lacking: Collection[str]) -> str:
    """The result of a check over one row, as a place in `RESULTS`.

    Args:
        lacking: the columns that some row lacks; gaps in others need not be looked for.
    """
    check = bound.check
    judged = f"CASE ({check.pass_}\n) WHEN true THEN {PASS} WHEN false THEN {FAIL} ELSE {UNKNOWN} END"
    result = _unless_gap(bound.pass_reads, lacking, judged)
    if check.applies is not None:
        applies = (
            f"CASE ({check.applies}\n) "
            f"WHEN true THEN {result} WHEN false THEN {NOT_APPLICABLE} ELSE {UNKNOWN} END"
        )
        result = _unless_gap(bound.applies_reads, lacking, applies)
    return f"({result})::UTINYINT"


def _unless_gap(columns: Collection[str], lacking: Collection[str], result: str) -> str:
    """A gap in one of the columns is unknown, before anything else counts."""
    listed = ", ".join(literal(name) for name in columns if name in lacking)
    if not listed:
        return result
    return f"CASE WHEN list_has_any(_gaps, [{listed}]) THEN {UNKNOWN} ELSE {result} END"


def detail(bound: Bound, result: str) -> str:
    """What is said of a row with this result; nothing where it passes."""
    failed, unknown = why_failed(bound), why_unknown(bound)
    return f"CASE {result} WHEN {FAIL} THEN {failed} WHEN {UNKNOWN} THEN {unknown} ELSE '' END"


def why_failed(bound: Bound) -> str:
    """The values that a check looked at."""
    return f"left({_shown(bound)}, {MAX_DETAIL})"


def why_unknown(bound: Bound) -> str:
    """The gaps among what a check reads, or else the values that it cannot tell from."""
    names = ", ".join(literal(name) for name in bound.reads[bound.kind] or ("",))
    unseen = f"list_filter(_reasons, lambda __x: split_part(__x, ':', 1) IN ({names}))"
    why = f"nullif(array_to_string({unseen}, '; '), '')"
    return f"left(coalesce({why}, 'cannot be told from: ' || {_shown(bound)}), {MAX_DETAIL})"


def _shown(bound: Bound) -> str:
    values = [
        f"{literal(column + '=')} || coalesce(CAST({quoted(column)} AS VARCHAR), 'not set')"
        for column in bound.pass_reads
    ]
    return f"concat_ws('; ', {', '.join(values)})" if values else "''"


def of_query(bound: Bound) -> str:
    """A query's rows as it gives them: `_scope`, `_id`, `pass` and `detail`."""
    scope = f"CASE WHEN json_type({_SCOPE_TEXT}) = 'OBJECT' THEN {_SCOPE_TEXT} ELSE '{{}}' END"
    return (
        f"SELECT {scope if bound.scoped else _NO_SCOPE} AS _scope, "
        "coalesce(CAST(id AS VARCHAR), '') AS _id, "
        f"CAST(pass AS BOOLEAN) AS pass, CAST(detail AS VARCHAR) AS detail FROM ({bound.sql}\n)"
    )


def by_subject(bound: Bound, tainted: bool) -> str:
    """A query's subjects with `__r` and `__d`, one row each: the worst of its results counts."""
    judged = "CASE WHEN bool_or(NOT pass) THEN 1 WHEN bool_or(pass IS NULL) THEN 2 ELSE 0 END"
    kept = proven(bound)
    result = f"CASE {judged} WHEN {kept} THEN {kept} ELSE {UNKNOWN} END" if tainted else judged
    of_worst = "coalesce(min(detail) FILTER (WHERE NOT pass), min(detail), '')"
    told = f"CASE WHEN ({judged}) = {PASS} THEN '' ELSE {of_worst} END"
    if tainted:
        told = f"CASE WHEN ({judged}) = {kept} THEN {told} ELSE {literal(NOT_ALL_SEEN)} END"
    return (
        f"SELECT _scope, _id, ({result})::UTINYINT AS __r, left({told}, {MAX_DETAIL}) AS __d "
        f"FROM ({of_query(bound)}) GROUP BY _scope, _id ORDER BY _scope, _id"
    )


def proven(bound: Bound) -> int:
    """The result that stands even where not all was seen; -1 if none does."""
    return {"pass": PASS, "fail": FAIL}.get(bound.check.witness, -1)


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _json(text: str) -> str:
    return dumps(text).decode()
