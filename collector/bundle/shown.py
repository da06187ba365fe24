"""What the lines of a partial bundle come to, and whether what has to be whole is whole.

A control's line says how many findings of each result its objectives have; the statement says how many
records and gaps each kind has. What is shown of them has to be as many (docs/format.md, "Partial bundle").
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from orjson import loads  # as `collector.canonical` has it, without a call in between

from collector.bundle import layout
from collector.bundle.selection import Whole
from collector.model import Json, VerifyError

__all__ = ["Shown"]

_RESULTS = ("pass", "fail", "unknown", "waived")


class Shown:
    """Counts lines, a member's at a time."""

    def __init__(self) -> None:
        self.controls: dict[str, Mapping[str, Mapping[str, Json]]] = {}
        self.lines: Counter[str] = Counter()
        self.records: Counter[str] = Counter()
        self._gaps: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._findings: Counter[tuple[str, str]] = Counter()
        self._counts = {
            layout.CONTROLS: self._count_control,
            layout.FINDINGS: self._count_finding,
            layout.LEDGER: _check_call,
        }

    def take(self, member: str, line: bytes) -> Json:
        """Count a line, and give what it says. Raises VerifyError if it is not as the format says."""
        try:
            value = loads(line)
        except ValueError:
            raise VerifyError(f"{member}: a line that is no JSON") from None
        self.count(member, (value,))
        return value

    def count(self, member: str, values: Iterable[Json]) -> None:
        """Count lines that are parsed. Raises VerifyError if one is not as the format says."""
        count = self._counts.get(member, self._count_evidence)
        try:
            for value in values:
                count(value)
                self.lines[member] += 1
        except (ValueError, TypeError, KeyError, AttributeError):
            raise VerifyError(f"{member}: a line that is not of this format") from None

    def _count_control(self, value: Json) -> None:
        self.controls[_word(value["control"])] = {
            _word(name): {result: _number(each[result]) for result in _RESULTS}
            for name, each in value["objectives"].items()
        }

    def _count_finding(self, value: Json) -> None:
        result = "waived" if value["waiver"] is not None else value["result"]
        self._findings[_word(value["check"]), _word(result)] += 1

    def _count_evidence(self, value: Json) -> None:
        if "record" in value:
            record = value["record"]
            kind = _word(record["kind"])
            self.records[kind] += 1
            for gap in record["gaps"]:
                self._gaps[kind][_word(gap["reason"])] += 1
        else:
            self._gaps[_word(value["gap"]["kind"])][_word(value["gap"]["reason"])] += 1

    @property
    def objectives(self) -> frozenset[str]:
        """The objectives of the controls that are shown."""
        return frozenset(name for objectives in self.controls.values() for name in objectives)

    def check(self, whole: Whole, predicate: Mapping[str, Json]) -> None:
        """Hold what is shown against what it says of itself and what the statement says.

        Raises:
            VerifyError: something that has to be whole is not.
        """
        for control, objectives in self.controls.items():
            for name, said in objectives.items():
                self._check_objective(control, name, said, whole.objectives.get(name, frozenset()))
        for kind in sorted(whole.kinds):
            self._check_kind(kind, predicate)

    def _check_objective(
        self, control: str, name: str, said: Mapping[str, int], checks: Iterable[str]
    ) -> None:
        for result in _RESULTS:
            found = sum(self._findings[check, result] for check in checks)
            if found != said[result]:
                raise VerifyError(
                    f"{control}: its line counts {said[result]} findings {result} for {name},"
                    f" {found} are disclosed"
                )

    def _check_kind(self, kind: str, predicate: Mapping[str, Json]) -> None:
        stated = predicate["counts"].get(kind, 0)
        if self.records[kind] != stated:
            there = [each for each in predicate["completeness"] if each["kind"] == kind]
            how = "complete" if there and all(each["complete"] for each in there) else "incomplete"
            raise VerifyError(
                f"{kind}: the statement has {stated} records of this {how} population,"
                f" {self.records[kind]} are disclosed"
            )
        gaps = predicate["gaps"].get(kind, {})
        for reason in sorted({*gaps, *self._gaps[kind]}):
            if gaps.get(reason, 0) != self._gaps[kind][reason]:
                raise VerifyError(
                    f"{kind}: the statement has {gaps.get(reason, 0)} gaps {reason},"
                    f" {self._gaps[kind][reason]} are disclosed"
                )


def _check_call(value: Json) -> None:
    _word(value["call"])


def _word(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value
