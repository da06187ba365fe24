"""Reads the plan, the kinds and the ledger of a run's folder, suspecting each.

The folder may be an extracted bundle from anyone, so nothing in it is believed until its shape is
known: what is read here goes into SQL and into paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.canonical import loads
from collector.lines import read_lines
from collector.model import Column, Derived, Json, Kind, VerifyError
from collector.values import check_type

__all__ = ["Evidence", "kind_json", "moment", "read"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_MAX_JSON = 64 << 20  # bytes of plan.json: a hundred thousand tasks
_MAX_KINDS = 5_000

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run's folder holds beside its segments.

    Attributes:
        plan: `plan.json`.
        kinds: the `kinds` of `kinds.json`.
        calls: ledger entries by id.
        segments: files of records, in the order of their names; derived ones last.
    """

    folder: Path
    plan: Mapping[str, Json]
    kinds: Mapping[str, Mapping[str, Json]]
    calls: Mapping[str, Mapping[str, Json]]
    segments: tuple[Path, ...]

    @property
    def as_of(self) -> datetime:
        """The moment that the run was judged at."""
        return moment(self.plan["as_of"], "plan.json")


def moment(text: Json, where: str) -> datetime:
    """A time as the format writes it. Raises VerifyError for anything else."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise VerifyError(f"{where}: {text!r} is no time, must be like 2026-11-24T02:00:00Z") from None


def kind_json(source: str, kind: Kind, derived: Derived | None = None) -> dict[str, Json]:
    """A kind as `kinds.json` holds it."""
    return {
        "source": source,
        "title": kind.title,
        "columns": [_column_json(column) for column in kind.columns],
        "identity": list(kind.identity),
        "operations": [
            {"name": each.name, "permission": each.permission, "lists": each.lists}
            for each in kind.operations
        ],
        "derived": derived
        and {
            "version": derived.version,
            "reads": {name: sorted(columns) for name, columns in derived.reads.items()},
        },
    }


def _column_json(column: Column) -> dict[str, Json]:
    return {
        "name": column.name,
        "type": column.type,
        "meaning": column.meaning,
        "calls": list(column.calls),
        "secret": column.secret,
        "identity": column.identity and column.identity.value,
        "free_text": column.free_text,
    }


def read(folder: Path) -> Evidence:
    """Read a run's folder.

    Raises:
        VerifyError: something in it is not what the format says.
    """
    plan = _object(folder / "plan.json")
    kinds = _object(folder / "kinds.json")
    try:
        _check_plan(plan)
        _check_kinds(kinds)
        calls = {}
        for line in read_lines(folder / "ledger.jsonl.gz"):
            call = loads(line)
            _need(call, call=str, op=str, outcome=str, detail=str, more=bool, at=str, params=dict)
            calls[call["call"]] = call
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(
            f"{folder.name}: plan, kinds or ledger are not as the format says ({error})"
        ) from error
    segments = [
        *sorted((folder / "segments").glob("*.jsonl.gz")),
        *sorted((folder / "derived").glob("*.jsonl.gz")),
    ]
    return Evidence(folder, plan, kinds["kinds"], calls, tuple(segments))


def _object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON:
            raise VerifyError(f"{path.name}: larger than {_MAX_JSON} bytes")
        value = loads(path.read_bytes())
    except FileNotFoundError:
        raise VerifyError(f"{path.name}: missing") from None
    except ValueError:
        raise VerifyError(f"{path.name}: no JSON") from None
    if not isinstance(value, dict) or value.get("format") != 1:
        raise VerifyError(f'{path.name}: must say "format": 1; this program knows no other')
    return value


def _need(value: Json, **types: type) -> None:
    if not isinstance(value, dict):
        raise TypeError("an object is due")
    for key, type_ in types.items():
        if not isinstance(value[key], type_):
            raise TypeError(f"{key} must be {type_.__name__}")


def _check_plan(plan: Members) -> None:
    _need(plan, as_of=str, frameworks=list, tasks=list, absent=list, undiscovered=list)
    for task in plan["tasks"]:
        _need(task, id=str, source=str, scope=dict, kinds=list, due=list)
        for due in task["due"]:
            _need(due, kind=str, op=str, params=dict)
    for each in plan["absent"]:
        _need(each, kind=str, scope=dict, why=str)
    for each in plan["undiscovered"]:
        _need(each, source=str, scope=dict)


def _check_kinds(kinds: Members) -> None:
    _need(kinds, kinds=dict)
    if len(kinds["kinds"]) > _MAX_KINDS:
        raise ValueError(f"more than {_MAX_KINDS} kinds")
    for name, kind in kinds["kinds"].items():
        if not _NAME.match(name):
            raise ValueError(f"kind {name!r}")
        _need(kind, source=str, columns=list, operations=list)
        for column in kind["columns"]:
            _need(column, name=str, type=str)
            check_type(column["type"])
            Column(column["name"], column["type"], "")
        if kind["derived"] is not None:
            _need(kind["derived"], version=int, reads=dict)
