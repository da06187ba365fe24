"""What a query judged, put together here where there is little of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collector.assess import verdict_sql
from collector.assess.bind import Bound
from collector.assess.verdict_sql import FAIL, MAX_DETAIL, PASS, UNKNOWN

__all__ = ["Subject", "worst"]

Subject = tuple[str, str, int, str]
"""What was judged: scope, id, result and detail."""


def worst(bound: Bound, rows: Sequence[tuple[Any, ...]], tainted: bool) -> list[Subject]:
    """What `verdict_sql.by_subject` gives, without the milliseconds that grouping costs the database."""
    found: dict[tuple[str, str], list[tuple[bool | None, str | None]]] = {}
    for scope, id_, passed, detail in rows:
        found.setdefault((scope, id_), []).append((passed, detail))
    kept = verdict_sql.proven(bound)
    subjects = []
    for (scope, id_), results in found.items():
        passes = [passed for passed, _ in results]
        code = FAIL if False in passes else UNKNOWN if None in passes else PASS
        if tainted and code != kept:
            subjects.append((scope, id_, UNKNOWN, verdict_sql.NOT_ALL_SEEN))
            continue
        told = [text for passed, text in results if passed is False and text is not None]
        told = told or [text for _, text in results if text is not None]
        subjects.append((scope, id_, code, "" if code == PASS else min(told, default="")[:MAX_DETAIL]))
    return subjects
