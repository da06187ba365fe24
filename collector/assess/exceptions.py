"""Exceptions: waivers, controls out of scope, accepted gaps. They change a status, never a finding's result.

Each has an owner, an approver, a reason and an end; past its end it is none. What is accepted stays
visible: the bundle holds the file, and a waived finding names its waiver.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.assess.populations import overlap
from collector.canonical import loads
from collector.model import ConfigError, Json, Outcome, VerifyError
from collector.toml import Table, nearest, quoted, read

if TYPE_CHECKING:
    from collector.assess.mappings import Mappings

__all__ = ["Exceptions", "Waiver", "idle", "load", "parse"]

_REASONS = tuple(each.value for each in Outcome if not each.answered)


@dataclass(frozen=True, slots=True)
class Waiver:
    """A failure that someone answers for until a date."""

    check: str
    subject: str
    scope: Mapping[str, str]
    json: Mapping[str, Json]

    def covers(self, check: str, subject: str, scope: Mapping[str, Json]) -> bool:
        """Whether it speaks of this finding."""
        return (
            self.check == check
            and fnmatchcase(subject, self.subject)
            and all(scope.get(key) == value for key, value in self.scope.items())
        )


@dataclass(frozen=True, slots=True)
class Exceptions:
    """The exceptions that are in force at a moment."""

    waivers: tuple[Waiver, ...]
    out_of_scope: frozenset[str]
    accepted_gaps: tuple[Mapping[str, Any], ...]

    def waiver(self, check: str, subject: str, scope: Mapping[str, Json]) -> Mapping[str, Json] | None:
        """The first waiver that covers a failure, as the finding shows it."""
        return next((each.json for each in self.waivers if each.covers(check, subject, scope)), None)

    def waives(self, check: str) -> bool:
        """Whether any waiver speaks of a check."""
        return any(each.check == check for each in self.waivers)

    def accepts(self, kind: str, column: str, scope: Mapping[str, str], reason: str) -> bool:
        """Whether a gap (of a column, or with "" of a population) was accepted."""
        return any(
            fnmatchcase(kind, each["kind"])
            and each.get("column") in (None, column)
            and overlap(each.get("scope", {}), scope)
            and (not each.get("gap") or reason in each["gap"])
            for each in self.accepted_gaps
        )


def load(path: Path | None) -> dict[str, Json]:
    """Read exceptions.toml as `exceptions.json` holds it, without its salt; None: there are none.

    Raises:
        ConfigError: file, line, key, and what would be right.
    """
    found: dict[str, list[Json]] = {"waivers": [], "out_of_scope": [], "accepted_gaps": []}
    if path is not None:
        document = read(path)
        top = Table(document, document.data, (), ConfigError)
        found["waivers"] = [_waiver(table) for table in top.tables("waiver")]
        found["out_of_scope"] = [_out_of_scope(table) for table in top.tables("out_of_scope")]
        found["accepted_gaps"] = [_accepted_gap(table) for table in top.tables("accepted_gap")]
        top.finish()
    return {"format": 1, **found}


def _answered_for(table: Table) -> dict[str, Json]:
    found = {
        "owner": table.string("owner"),
        "approver": table.string("approver"),
        "reason": table.string("reason"),
        "until": table.date("until").isoformat(),
    }
    table.finish()
    return found


def _scope(table: Table) -> dict[str, str]:
    scope = table.value("scope", {})
    if not isinstance(scope, dict) or not all(isinstance(value, str) for value in scope.values()):
        raise table.wrong('must be a table of texts, like { host = "web1" }', "scope")
    return scope


def _waiver(table: Table) -> dict[str, Json]:
    found = {"check": table.string("check"), "subject": table.string("subject", "*"), "scope": _scope(table)}
    return found | _answered_for(table)


def _out_of_scope(table: Table) -> dict[str, Json]:
    return {"control": table.string("control")} | _answered_for(table)


def _accepted_gap(table: Table) -> dict[str, Json]:
    found: dict[str, Json] = {"kind": table.string("kind"), "scope": _scope(table)}
    if column := table.string("column", ""):
        found["column"] = column
    gap = list(table.strings("gap", ()))
    if stray := [reason for reason in gap if reason not in _REASONS]:
        raise table.wrong(f"{stray[0]!r} is no reason of a gap; one of {', '.join(_REASONS)}", "gap")
    return found | {"gap": gap} | _answered_for(table)


def idle(path: Path, known: Mappings, kinds: Collection[str]) -> list[str]:
    """The exceptions that speak of nothing that is known, a line each: file, line, key and the nearest name.

    No error: a check may have been renamed in mappings that are newer than the file, and no evidence shall
    be lost over that.

    Args:
        path: of exceptions.toml.
        known: all mappings that are installed, of every framework.
        kinds: names of all kinds.

    Raises:
        ConfigError: as `load` does.
    """
    load(path)
    document = read(path)
    return list(_idle(Table(document, document.data), known, kinds))


def _idle(top: Table, known: Mappings, kinds: Collection[str]) -> Iterator[str]:
    controls = {
        f"{framework.id}:{control.id}"
        for framework in known.frameworks.values()
        for control in framework.controls.values()
        if control.assessable and not control.withdrawn
    }
    for table in top.tables("waiver"):
        if (name := table.string("check")) not in known.checks:
            yield _names_none(table, "check", name, known.checks, "this waiver")
    for table in top.tables("out_of_scope"):
        if (name := table.string("control")) not in controls:
            yield _names_none(table, "control", name, controls, "this exception")
    for table in top.tables("accepted_gap"):
        name = table.string("kind")
        if not any(fnmatchcase(kind, name) for kind in kinds):
            yield _names_none(table, "kind", name, kinds, "this exception")


def _names_none(table: Table, key: str, name: str, known: Iterable[str], what: str) -> str:
    return str(table.wrong(f"no {key} {quoted(name)}{nearest(name, known)}; {what} is not in force", key))


def parse(path: Path, as_of: datetime) -> Exceptions:
    """Read `exceptions.json` of a run's folder, as far as it is in force.

    Raises:
        VerifyError: it is not what the format says.
    """
    try:
        data = loads(path.read_bytes())
        return Exceptions(
            waivers=tuple(
                Waiver(
                    each["check"],
                    each["subject"],
                    each["scope"],
                    {key: each[key] for key in ("approver", "owner", "reason", "until")},
                )
                for each in _in_force(data["waivers"], as_of)
            ),
            out_of_scope=frozenset(each["control"] for each in _in_force(data["out_of_scope"], as_of)),
            accepted_gaps=tuple(_in_force(data["accepted_gaps"], as_of)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(f"exceptions.json: not as the format says ({type(error).__name__})") from error


def _in_force(entries: Sequence[Any], as_of: datetime) -> Iterable[Any]:
    return [each for each in entries if as_of.date() <= date.fromisoformat(each["until"])]
