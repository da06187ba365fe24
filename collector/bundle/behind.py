"""Whether what a partial bundle shows is there with what it rests on: the calls that each line names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from collector.bundle import layout
from collector.bundle.selection import Asked, CallIds
from collector.model import Json, VerifyError

__all__ = ["Behind"]


class Behind:
    """Takes lines in the archive's order, in which the ledger stands before what rests on it."""

    def __init__(self, asked: Asked) -> None:
        self._calls = CallIds()
        self._missing = set(asked.records)

    def take(self, member: str, value: Mapping[str, Any], where: str) -> None:
        """Take a line whose form was checked.

        Raises:
            VerifyError: it names a call that is not disclosed.
        """
        if member == layout.LEDGER:
            self._calls.add((value["call"],))
        elif member.startswith((layout.SEGMENTS, layout.DERIVED)):
            there = value.get("record") or value["gap"]
            for call in _named(there):
                if call not in self._calls:
                    raise VerifyError(f"{where}: names the call {call!a:.80}, which is not disclosed")
            if "record" in value:
                self._missing.discard(there.get("id"))

    def check(self) -> None:
        """Raise VerifyError where a record was asked for and is not disclosed."""
        for id_ in sorted(self._missing):
            raise VerifyError(f"{layout.DISCLOSURE}: names {id_!a:.200}, whose record is not disclosed")


def _named(there: Mapping[str, Json]) -> list[str]:
    """The calls that a record, or a gap, names."""
    calls = [*there.get("calls", ()), there.get("call")]
    calls += [gap.get("call") for gap in there.get("gaps", ())]
    return [str(call) for call in calls if call]
