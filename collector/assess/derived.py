"""Derived kinds: tables computed from records after collecting, kept in the bundle like the rest.

Named by function and version; a gap in what they read makes their population incomplete, which
`collector.assess.populations` computes. A record that a function reads is never changed by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from collector.canonical import dumps, loads
from collector.lines import LineWriter, Sealed, read_lines
from collector.model import Derived, Gap, Json, Outcome, Record
from collector.values import misfits

__all__ = ["compute", "due"]


def due(derived: Sequence[Derived], planned: set[str]) -> list[Derived]:
    """Those whose every input was planned, in the order of their names."""
    return sorted(
        (each for each in derived if planned.issuperset(each.reads)), key=lambda each: each.kind.name
    )


def compute(
    derived: Derived, segments: Sequence[Path], path: Path, salt_key: bytes | None
) -> tuple[Sealed, int]:
    """Compute one derived kind and write its segment.

    Args:
        derived: the function and what it reads.
        segments: of the records that were collected, in the order of the archive.
        path: where the segment goes.
        salt_key: None writes no salts.

    Returns:
        The finished segment and the number of records. A column that an input lacks is a gap line of
        the derived kind, and so is a function that fails.
    """
    inputs, gaps = _inputs(derived, segments)
    count = 0
    with LineWriter(path, salt_key) as lines:
        for gap in gaps:
            lines.write(b'{"gap":' + dumps(_gap_json(gap)))
        try:
            for record in derived.compute(inputs):
                lines.write(b'{"record":' + dumps(_record_json(derived, record)))
                count += 1
        except Exception as error:  # noqa: BLE001 - the plugin boundary: a function that fails is a gap
            why = f"{derived.kind.name} version {derived.version} failed: {type(error).__name__}"
            lines.write(b'{"gap":' + dumps(_gap_json(Gap(derived.kind.name, {}, Outcome.FAILED, None, why))))
        return lines.close(), count


def _inputs(
    derived: Derived, segments: Sequence[Path]
) -> tuple[dict[str, list[Mapping[str, Json]]], list[Gap]]:
    records: dict[str, list[Mapping[str, Json]]] = {kind: [] for kind in derived.reads}
    gaps: dict[bytes, Gap] = {}
    for record in _records(segments):
        if record["kind"] not in derived.reads:
            continue
        records[record["kind"]].append(record)
        for gap in record["gaps"]:
            if gap["column"] in derived.reads[record["kind"]]:
                why = f"{record['kind']}.{gap['column']} of {record['id']}"
                found = Gap(derived.kind.name, record["scope"], Outcome(gap["reason"]), None, why)
                gaps[dumps(_gap_json(found))] = found
    return records, [gaps[key] for key in sorted(gaps)]


def _records(segments: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in segments:
        for line in read_lines(path):
            item = loads(line)
            if "record" in item:
                yield item["record"]


def _gap_json(gap: Gap) -> dict[str, Json]:
    return {"kind": gap.kind, "scope": dict(gap.scope), "reason": gap.reason.value, "detail": gap.detail}


def _record_json(derived: Derived, record: Record) -> dict[str, Json]:
    if record.kind != derived.kind.name:
        raise ValueError(f"a record of kind {record.kind}")
    gaps = [{"column": gap.column, "reason": gap.reason.value} for gap in record.gaps]
    gaps += [
        {"column": column, "reason": Outcome.MALFORMED.value} for column in misfits(derived.kind, record.data)
    ]
    return {
        "calls": list(record.calls),
        "data": dict(record.data),
        "gaps": gaps,
        "id": record.id,
        "kind": record.kind,
        "redactions": [],
        "scope": dict(record.scope),
    }
