"""Reads a run's folder, or an extracted bundle, a line at a time.

Memory is bounded by what is asked for, never by how much evidence there is. What is read may come
from anyone: a line that is not as the format says is a VerifyError.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.canonical import loads
from collector.lines import read_lines
from collector.model import Json, VerifyError

if TYPE_CHECKING:
    from collector.assess.mappings import Mappings

__all__ = ["Evidence", "RecordKey"]

RecordKey = tuple[str, str]
"""Kind and id of a record."""

_MAX_JSON = 64 << 20  # bytes of plan.json: a hundred thousand tasks
_MAX_FOUND = 16  # records of one kind and id, in different scopes, that are given

_GAP, _RECORD = b'{"gap":', b'{"record":'
_HOLES = b'"gaps":[{'  # a record that lacks columns; all others need no parsing


class Evidence:
    """One run's evidence and verdicts.

    Args:
        folder: laid out as docs/format.md says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def plan(self) -> Mapping[str, Json]:
        """`plan.json`."""
        plan = _checked(
            self._document("plan.json"),
            "plan.json",
            as_of=str,
            tasks=list,
            frameworks=list,
            undiscovered=list,
        )
        for each in plan["undiscovered"]:
            _checked(each, "plan.json", source=str, scope=dict)
        return plan

    @cached_property
    def kinds(self) -> Mapping[str, Mapping[str, Json]]:
        """The `kinds` of `kinds.json`."""
        found = _checked(self._document("kinds.json"), "kinds.json", kinds=dict)
        kinds: dict[str, Mapping[str, Json]] = found["kinds"]
        for kind in kinds.values():
            _checked(kind, "kinds.json", source=str, operations=list, columns=list)
        return kinds

    @cached_property
    def mappings(self) -> Mappings:
        """The mappings that were used.

        Raises:
            MappingError: they cannot be used.
        """
        from collector.assess.mappings import load

        folder = self.folder / "mappings"
        packs = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        return load(packs, strict=False)

    def controls(self) -> Iterator[Mapping[str, Json]]:
        """The lines of `controls.jsonl.gz`."""
        for line in self._lines("controls.jsonl.gz"):
            yield _checked(_object(line), "controls.jsonl.gz", control=str, status=str, objectives=dict)

    def findings(self, checks: Collection[str] | None = None) -> Iterator[Mapping[str, Json]]:
        """The lines of `findings.jsonl.gz`; of some checks only, if they are named."""
        starts = None if checks is None else tuple(b'{"check":"%s",' % check.encode() for check in checks)
        for line in self._lines("findings.jsonl.gz"):
            if starts is None or line.startswith(starts):
                yield _checked(
                    _object(line), "findings.jsonl.gz", check=str, subject=str, result=str, severity=str
                )

    def calls(self, ids: Collection[str] | None = None) -> Iterator[Mapping[str, Json]]:
        """The ledger; of some calls only, if they are named."""
        for line in self._lines("ledger.jsonl.gz"):
            call = _checked(_object(line), "ledger.jsonl.gz", call=str, op=str, outcome=str, at=str)
            if ids is None or call["call"] in ids:
                yield call

    def records(self, wanted: Collection[RecordKey]) -> dict[RecordKey, list[Mapping[str, Json]]]:
        """The records of these kinds and ids, each in the scopes in which it was found."""
        found: dict[RecordKey, list[Mapping[str, Json]]] = {key: [] for key in wanted}
        marks = [_mark(id_) for _, id_ in wanted]
        for line in self._evidence():
            if line.startswith(_RECORD) and any(mark in line for mark in marks):
                record = _record(line)
                there = found.get((record["kind"], record["id"]))
                if there is not None and len(there) < _MAX_FOUND:
                    there.append(record)
        return found

    def gaps(self) -> Iterator[Mapping[str, Json]]:
        """What was asked for and not got: kind, column ("" for a population), scope, reason, call, detail."""
        for line in self._evidence():
            if line.startswith(_GAP):
                gap = _checked(_object(line)["gap"], "segments", kind=str, scope=dict, reason=str)
                yield {"column": "", "call": None, "detail": "", **gap}
            elif _HOLES in line:
                record = _record(line)
                for gap in record["gaps"]:
                    _checked(gap, "segments", column=str, reason=str)
                    about = {"kind": record["kind"], "scope": record["scope"], "call": None, "detail": ""}
                    yield {**about, **gap}

    def _evidence(self) -> Iterator[bytes]:
        for part in ("segments", "derived"):
            for path in sorted((self.folder / part).glob("*.jsonl.gz")):
                yield from read_lines(path)

    def _lines(self, name: str) -> Iterator[bytes]:
        return read_lines(self.folder / name)

    def _document(self, name: str) -> Json:
        path = self.folder / name
        try:
            if path.stat().st_size > _MAX_JSON:
                raise VerifyError(f"{name}: larger than {_MAX_JSON} bytes")
            return _object(path.read_bytes())
        except OSError as error:
            raise VerifyError(f"{name}: {error.strerror}") from None


def _mark(id_: str) -> bytes:
    """How an id stands in a line: the canonical bytes of `"id":…`."""
    from collector.canonical import dumps

    return b'"id":' + dumps(id_)


def _record(line: bytes) -> Mapping[str, Json]:
    record = _checked(
        _object(line)["record"], "segments", kind=str, id=str, scope=dict, calls=list, data=dict
    )
    return _checked(record, "segments", gaps=list)


def _object(data: bytes) -> Any:
    try:
        return loads(data)
    except ValueError:
        raise VerifyError("evidence: a line or file that is not JSON") from None


def _checked(value: Json, where: str, **types: type) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise VerifyError(f"{where}: not an object")
    for key, type_ in types.items():
        if not isinstance(value.get(key), type_):
            raise VerifyError(f"{where}: {key} is missing or of the wrong type")
    return value
