"""What stands behind findings: the records that they speak of, the gaps, and the calls that brought both.

Looked up for a few findings at a time, in one pass over each file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.assess.populations import overlap
from collector.model import Json
from collector.report.evidence import Evidence, RecordKey

if TYPE_CHECKING:
    from collector.assess.mappings import Check

__all__ = ["Behind", "Finding", "behind"]

Finding = Mapping[str, Json]
Found = Mapping[str, Json]

_SHOWN = 3  # records, gaps or calls of one list behind one finding
_HOLES = 16  # gaps of one kind that are looked through
_CALL = ("call", "op", "params", "as", "at", "outcome", "detail")


@dataclass(frozen=True, slots=True)
class Behind:
    """What was found behind the findings that were asked about.

    Attributes:
        _records: by kind and id.
        _gaps: holes in populations, by kind.
        _calls: by id.
        _lists: operations that list each kind's population; those of its inputs for a derived kind.
    """

    _records: Mapping[RecordKey, Sequence[Found]]
    _gaps: Mapping[str, Sequence[Found]]
    _calls: Mapping[str, Found]
    _lists: Mapping[str, Sequence[str]]

    def records(self, check: Check, finding: Finding) -> list[Found]:
        """The records that a finding speaks of."""
        found = [
            record
            for kind in check.kinds
            for before, id_ in _names(finding["subject"])
            for record in self._records.get((kind, id_), ())
            if finding["scope"] in ({}, record["scope"]) and set(before) <= set(record["scope"].values())
        ]
        return found[:_SHOWN]

    def gaps(self, check: Check, finding: Finding) -> list[Found]:
        """The holes in the population that a finding says is incomplete."""
        if finding["subject"] or finding["result"] != "unknown":
            return []
        holes = [gap for kind in check.kinds for gap in self._gaps.get(kind, ())]
        return [gap for gap in holes if overlap(gap["scope"], finding["scope"])][:_SHOWN]

    def lists(self, check: Check) -> list[Found]:
        """The calls that listed what a check read: behind a finding that speaks of no one record."""
        ops = {op for kind in check.kinds for op in self._lists.get(kind, ())}
        return self.asked(id_ for id_, call in self._calls.items() if call["op"] in ops)[:_SHOWN]

    def asked(self, ids: Iterable[Json]) -> list[Found]:
        """The calls of these ids, each once."""
        known = [self._calls[id_] for id_ in dict.fromkeys(ids) if id_ in self._calls]
        return [{key: call.get(key) for key in _CALL} for call in known]


def behind(evidence: Evidence, findings: Iterable[tuple[Check, Finding]]) -> Behind:
    """Look up what stands behind findings.

    Raises:
        VerifyError: the folder is not as the format says.
    """
    pairs = list(findings)
    wanted = {
        (kind, id_) for check, each in pairs for kind in check.kinds for _, id_ in _names(each["subject"])
    }
    torn = {kind for check, each in pairs if not each["subject"] for kind in check.kinds}
    records = evidence.records(wanted) if wanted else {}
    gaps = _gaps(evidence, torn)
    lists = {name: _lists(name, evidence.kinds) for name in evidence.kinds}
    joins = {op for check, _ in pairs if check.query for kind in check.kinds for op in lists.get(kind, ())}
    return Behind(records, gaps, _calls(evidence, records, gaps, joins), lists)


def _names(subject: str) -> list[tuple[tuple[str, ...], str]]:
    """The ids that a subject may name, and what stands before each.

    A subject is a record's id; where a check joins, it may put the scope before it, as in `web1/ana`.
    """
    parts = subject.split("/")
    return [(tuple(parts[:at]), "/".join(parts[at:])) for at in range(len(parts))] if subject else []


def _gaps(evidence: Evidence, kinds: set[str]) -> dict[str, list[Found]]:
    found: dict[str, list[Found]] = {kind: [] for kind in kinds}
    for gap in evidence.gaps() if kinds else ():
        there = found.get(gap["kind"])
        if there is not None and not gap["column"] and len(there) < _HOLES:
            there.append(gap)
    return found


def _lists(kind: str, kinds: Mapping[str, Mapping[str, Json]]) -> list[str]:
    derived = kinds[kind].get("derived")
    sources = [kind] if not derived else [name for name in derived["reads"] if name in kinds]
    return [each["name"] for name in sources for each in kinds[name]["operations"] if each.get("lists")]


def _calls(
    evidence: Evidence,
    records: Mapping[RecordKey, Sequence[Found]],
    gaps: Mapping[str, Sequence[Found]],
    joins: set[str],
) -> dict[str, Found]:
    """The calls that records and gaps name, and the first few of each list that joins rest on."""
    there = [record for found in records.values() for record in found]
    named = {call for record in there for call in record["calls"]}
    named |= {gap.get("call") for record in there for gap in record["gaps"]}
    named |= {gap["call"] for found in gaps.values() for gap in found}
    kept: dict[str, Found] = {}
    listed: Counter[str] = Counter()
    for call in evidence.calls() if named or joins else ():
        listed[call["op"]] += call["op"] in joins
        if call["call"] in named or (call["op"] in joins and listed[call["op"]] <= _SHOWN):
            kept[call["call"]] = call
    return kept
