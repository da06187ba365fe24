"""Writes down what one task gives: records and gaps, redacted, checked, salted, as a segment.

Nothing reaches disk but through here. A record's column counts as seen only if a call that fills it
was answered; where a source forgot to say so, the gap is written for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from collector.canonical import dumps
from collector.collect.redact import Redactor, answer_kind
from collector.lines import LineWriter, Sealed
from collector.model import ColumnGap, Gap, Json, Kind, Outcome, Record, Task, Text
from collector.values import misfits

__all__ = ["GapKey", "PluginFault", "Scribe"]

_MAX_DETAIL = 500

GapKey = tuple[str, str, str, str]

Heard = Mapping[str, tuple[str, Outcome]]


class PluginFault(Exception):  # noqa: N818 - it says whose fault it is
    """A source gave what its own kinds do not allow. It fails the task."""


class Scribe:
    """One segment in the making.

    Attributes:
        records: how many of each kind were written.
        gaps: how many of each, by kind, column ("" for a hole in a population), scope (canonical JSON)
            and reason.
        cited: kinds and the calls that their records and gaps name.
    """

    def __init__(
        self,
        path: Path,
        task: Task,
        kinds: Mapping[str, Kind],
        heard: Heard,
        redactor: Redactor,
        salt_key: bytes,
    ) -> None:
        self._task = task
        self._kinds = {name: kinds[name] for name in task.kinds}
        self._answers = answer_kind(task.target.source)
        self._heard = heard
        self._redactor = redactor
        self._lines = LineWriter(path, salt_key)
        self._unseen: dict[tuple[str, frozenset[tuple[str, Outcome]]], tuple[ColumnGap, ...]] = {}
        self.records: Counter[str] = Counter()
        self.gaps: Counter[GapKey] = Counter()
        self.cited: set[tuple[str, str]] = set()

    def write(self, item: Record | Gap | Text) -> None:
        """Write one thing down. Raises PluginFault for what the source's kinds do not allow."""
        if isinstance(item, Record):
            self._record(item)
        elif isinstance(item, Text):
            self._text(item)
        elif isinstance(item, Gap):
            self.gap(item)
        else:
            raise PluginFault(f"collect gave a {type(item).__name__}, not a Record, Gap or Text")

    def gap(self, gap: Gap) -> None:
        """Write a hole in a population."""
        if gap.kind not in self._kinds:
            raise PluginFault(f"a gap of kind {gap.kind}, which the task does not collect")
        self._check_scope(f"a gap of kind {gap.kind}", gap.scope)
        self._check_reason(f"a gap of kind {gap.kind}", gap)
        if gap.call is not None:
            self.cited.add((gap.kind, gap.call))
        inner: dict[str, Json] = {"kind": gap.kind, "scope": dict(gap.scope), "reason": gap.reason.value}
        inner |= self._where(gap.call, gap.detail)
        self._count(gap.kind, "", gap.scope, gap.reason)
        self._lines.write(b'{"gap":' + dumps(inner))

    def close(self) -> Sealed:
        """Finish the segment."""
        return self._lines.close()

    def _count(self, kind: str, column: str, scope: Mapping[str, str], reason: Outcome) -> None:
        self.gaps[kind, column, dumps(dict(scope)).decode(), reason.value] += 1

    def _where(self, call: str | None, detail: str) -> dict[str, Json]:
        found: dict[str, Json] = {}
        if call is not None:
            found["call"] = call
        if detail:
            found["detail"] = self._redactor.line(" ".join(detail.split()))[:_MAX_DETAIL]
        return found

    def _record(self, record: Record) -> None:
        kind = self._kinds.get(record.kind)
        if kind is None:
            raise PluginFault(f"a record of kind {record.kind}, which the task does not collect")
        self._check(record)
        self._check_gaps(kind, record)
        bad = {gap.column for gap in record.gaps}
        unseen = [gap for gap in self._unseen_columns(kind, record.calls) if gap.column not in bad]
        bad |= {gap.column for gap in unseen}
        wrong = [
            ColumnGap(column, Outcome.MALFORMED, record.calls[0], "the value does not fit the column's type")
            for column in misfits(kind, record.data)
            if column not in bad
        ]
        data, redactions = self._redactor.record(record)
        id_ = self._redactor.id(record)
        kept = record if id_ == record.id else replace(record, id=id_)
        self._write(kept, [*record.gaps, *unseen, *wrong], data, redactions)
        self.records[record.kind] += 1

    def _text(self, text: Text) -> None:
        record, redactions = self._redactor.text(text, self._task.target.source)
        self._check(record)
        self._write(record, list(record.gaps), dict(record.data), redactions)

    def _check(self, record: Record) -> None:
        if not record.id or not record.calls:
            raise PluginFault(f"a record of kind {record.kind} without an id or without calls")
        self._check_scope(f"record {record.kind} {record.id}", record.scope)
        if stray := [call for call in record.calls if call not in self._heard]:
            raise PluginFault(f"record {record.kind} {record.id} names call {stray[0]}, which was not made")

    def _check_scope(self, what: str, scope: Mapping[str, str]) -> None:
        if any(scope.get(key) != value for key, value in self._task.target.scope.items()):
            raise PluginFault(f"{what} lies outside its target's scope")

    def _check_reason(self, what: str, gap: Gap | ColumnGap) -> None:
        if gap.reason.answered:
            raise PluginFault(f"{what} has the reason {gap.reason}, which is none")
        if gap.call is not None and gap.call not in self._heard:
            raise PluginFault(f"{what} names call {gap.call}, which was not made")

    def _check_gaps(self, kind: Kind, record: Record) -> None:
        columns = {column.name for column in kind.columns}
        for gap in record.gaps:
            what = f"record {record.kind} {record.id}: the gap of column {gap.column}"
            if gap.column not in columns:
                raise PluginFault(f"{what}: the kind has no such column")
            self._check_reason(what, gap)

    def _unseen_columns(self, kind: Kind, calls: tuple[str, ...]) -> tuple[ColumnGap, ...]:
        heard = frozenset(self._heard[call] for call in calls)
        key = (kind.name, heard)
        if key not in self._unseen:
            self._unseen[key] = tuple(_unseen(kind, heard))
        return self._unseen[key]

    def _write(
        self,
        record: Record,
        gaps: list[ColumnGap],
        data: Mapping[str, Json],
        redactions: list[dict[str, str]],
    ) -> None:
        inner: dict[str, Any] = {
            "calls": list(record.calls),
            "data": data,
            "gaps": [
                {"column": gap.column, "reason": gap.reason.value, **self._where(gap.call, gap.detail)}
                for gap in gaps
            ],
            "id": record.id,
            "kind": record.kind,
            "redactions": redactions,
            "scope": dict(record.scope),
        }
        for gap in gaps:
            self._count(record.kind, gap.column, record.scope, gap.reason)
        self.cited.update((record.kind, call) for call in record.calls)
        self.cited.update((record.kind, gap.call) for gap in gaps if gap.call is not None)
        self._lines.write(b'{"record":' + dumps(inner))


def _unseen(kind: Kind, heard: frozenset[tuple[str, Outcome]]) -> list[ColumnGap]:
    """Columns of which a call that fills them failed, or that no call of the record fills."""
    gaps = []
    for column in kind.columns:
        ops = column.calls or kind.lists
        outcomes = [outcome for op, outcome in heard if op in ops]
        failed = sorted(outcome for outcome in outcomes if not outcome.answered)
        if failed or not outcomes:
            gaps.append(ColumnGap(column.name, failed[0] if failed else Outcome.FAILED, None, "not answered"))
    return gaps
