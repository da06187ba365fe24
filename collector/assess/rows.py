"""Records into rows: what a check may not see is taken out, and said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from collector.assess.populations import GapLine
from collector.canonical import dumps
from collector.model import Json, Outcome
from collector.values import PLAIN, Fits, fits

__all__ = ["Loaded", "Shape"]

_MISFIT = (Outcome.MALFORMED.value, "the value does not fit the column's type")


class Loaded:
    """What loading found besides rows.

    Attributes:
        gaps: every gap line, and a `malformed` one for what could not be used.
        column_gaps: kinds to the columns that some record lacks, with the scopes and reasons.
        counts: records of each kind.
    """

    def __init__(self) -> None:
        self.gaps: list[GapLine] = []
        self.column_gaps: dict[str, dict[str, dict[bytes, tuple[str, str]]]] = {}
        self.counts: dict[str, int] = {}

    def lacks(self, kind: str, column: str, scope: bytes, reason: str, detail: str) -> None:
        """Note that a record of this scope lacks a column; the first reason in order stays."""
        found = self.column_gaps.setdefault(kind, {}).setdefault(column, {})
        new = (reason, detail)
        found[scope] = min(found.get(scope, new), new)


class Shape:
    """How a kind's records become rows.

    Args:
        wanted: the columns that are looked at; None: all.
    """

    def __init__(self, name: str, kind: Mapping[str, Json], wanted: Collection[str] | None = None) -> None:
        self.name = name
        self.columns: list[tuple[str, type | None, Fits]] = [
            (column["name"], PLAIN.get(column["type"]), fits(column["type"]))
            for column in kind["columns"]
            if wanted is None or column["name"] in wanted
        ]

    def row(self, record: Mapping[str, Any], loaded: Loaded) -> bytes:
        """One line of JSON for DuckDB: the columns and what is implicit."""
        get = record["data"].get
        row: dict[str, Any] = {"_id": record["id"], "_scope": dumps(record["scope"]).decode()}
        misfits = []
        for name, plain, fits_column in self.columns:
            value = get(name)
            if value is None:
                continue
            if type(value) is plain or fits_column(value):
                row[name] = value
            else:
                misfits.append(name)
        if misfits or record["gaps"] or record["redactions"]:
            self._without(row, record, misfits, loaded)
        return dumps(row)

    def _without(
        self, row: dict[str, Any], record: Mapping[str, Any], misfits: Collection[str], loaded: Loaded
    ) -> None:
        """Take out the columns that could not be had, and say which and why."""
        gaps = {gap["column"]: (gap["reason"], gap.get("detail", "")) for gap in record["gaps"]}
        paths = []
        for redaction in record["redactions"]:
            paths.append(redaction["path"])
            if redaction["by"] not in ("column", "person"):
                why = f"a secret was found there ({redaction['by']})"
                gaps.setdefault(_head(redaction["path"]), (Outcome.REDACTED.value, why))
        for name in misfits:
            gaps.setdefault(name, _MISFIT)
        for column, (reason, detail) in gaps.items():
            row.pop(column, None)
            loaded.lacks(self.name, column, row["_scope"].encode(), reason, detail)
        row["_gaps"], row["_redactions"] = list(gaps), paths
        row["_reasons"] = [
            f"{column}: {reason}{f' ({why})' if why else ''}" for column, (reason, why) in gaps.items()
        ]


def _head(path: str) -> str:
    """The column that a redaction's path begins with."""
    for at, character in enumerate(path):
        if character in ".[":
            return path[:at]
    return path
