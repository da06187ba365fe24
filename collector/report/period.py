"""How controls stood over a period: what held throughout, what failed when, and what nothing shows.

The store is looked through once, as `collector verify` does it; each bundle that verifies is read for its
control states on the way (`collector.report.runs`). One that does not verify is a hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from collector.deliver.audit import Audit, Bundle, audit, span
from collector.model import ConfigError, Json, VerifyError
from collector.report.changes import Change, Definitions, changed
from collector.report.holes import Holes, cuts, find_holes, joined
from collector.report.page import clean, count
from collector.report.readiness import check_judged
from collector.report.runs import Run, Runs
from collector.report.standing import STANDINGS, Stretch, believed, standing, stretches
from collector.toml import nearest

if TYPE_CHECKING:
    from collector.bundle.trust import Trust

__all__ = ["Asked", "ControlPeriod", "Period", "Shift", "Unseen", "period"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked.

    Attributes:
        store: a folder of bundles.
        begins, ends: both included; None: the first or the last bundle of the series.
        frameworks: all that were judged, if there is none.
        series: which; may be left out where the store holds one.
        waiting: bundles of the series that the store does not have yet, and the outbox does.
    """

    store: Path
    begins: datetime | None = None
    ends: datetime | None = None
    frameworks: Sequence[str] = ()
    series: str | None = None
    waiting: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.begins and self.ends and self.begins > self.ends:
            raise ConfigError(f"--from {_shown(self.begins)} lies after --to {_shown(self.ends)}")


@dataclass(frozen=True, slots=True)
class Shift:
    """Something that is not as it was from this bundle on; `what` is `checks`, `scope` or `cadence`."""

    what: str
    at: Bundle
    text: str


@dataclass(frozen=True, slots=True)
class ControlPeriod:
    """How one control stood.

    Attributes:
        standing: one of `STANDINGS`.
        stretches: runs that say the same, and holes, in the order of their times.
        changes: since which bundle it has been judged by what else.
    """

    control: str
    title: str
    standing: str
    stretches: tuple[Stretch, ...]
    changes: tuple[tuple[Bundle, Change], ...]


@dataclass(slots=True)
class Unseen:
    """Gaps of one reason: kind to how many, in how many runs, and the first and the last of these."""

    reason: str
    kinds: dict[str, int] = field(default_factory=dict)
    runs: list[datetime] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Period:
    """How all controls of some frameworks stood over a period.

    Attributes:
        waiting: bundles that the store does not have yet, and the outbox does.
        begins, ends: both included.
        seen: how many bundles the store holds, good or bad.
        runs: the bundles of the period, in the order of their moments.
        holes: where nothing that counts was seen.
        shifts: what is not as it was, for all controls.
        controls: by framework, in its own order.
    """

    store: Path
    series: str
    waiting: Sequence[str]
    begins: datetime
    ends: datetime
    seen: int
    runs: Sequence[Bundle]
    holes: Holes
    shifts: Sequence[Shift]
    titles: Mapping[str, str]
    controls: Mapping[str, Sequence[ControlPeriod]]
    unseen: Sequence[Unseen]

    def counts(self) -> dict[str, dict[str, int]]:
        """Framework to standing to count, each standing that there is."""
        return {
            framework: {word: sum(each.standing == word for each in found) for word in STANDINGS}
            for framework, found in self.controls.items()
        }


def period(asked: Asked, trust: Trust) -> Period:
    """Tell how controls stood over a period.

    Args:
        asked: of which store, when, and of which frameworks.
        trust: whose signatures and stamps count.

    Raises:
        ConfigError: no bundle lies in the period, a framework was not judged, the store cannot be read, or
            it holds several series and none was named.
        VerifyError: none of the bundles verifies.
    """
    from collector.bundle.verify import verify

    runs = Runs(asked.frameworks, asked.begins, asked.ends, asked.series)

    def prove(path: Path) -> tuple[str, Mapping[str, Json]]:
        found = verify(path, trust)
        runs.take(path, found.digest, found.predicate)
        return found.digest, found.predicate

    found = audit([asked.store], prove)
    line = _line(found, asked)
    begins = asked.begins or min(each.as_of for each in line)
    ends = asked.ends or max(each.as_of for each in line)
    _check_reach(line, begins, ends)
    ordered = _ordered(runs, line[0].name)
    if not ordered:
        raise ConfigError(_nothing(found, line, begins, ends))
    shown = [runs.definitions[name] for name in dict.fromkeys(each.mappings for each in reversed(ordered))]
    check_judged(asked.frameworks, sorted({name for each in shown for name in each.titles}))
    holes = find_holes(found, line, begins, ends)
    changes = _changes(runs, ordered)
    return Period(
        store=asked.store,
        series=line[0].name,
        waiting=asked.waiting,
        begins=begins,
        ends=ends,
        seen=found.seen,
        runs=[each.bundle for each in ordered],
        holes=holes,
        shifts=_shifts(ordered, changes),
        titles={name: title for each in reversed(shown) for name, title in each.titles.items()},
        controls=_controls(runs, ordered, shown, holes, changes, asked.frameworks),
        unseen=_unseen(ordered),
    )


def _line(found: Audit, asked: Asked) -> list[Bundle]:
    """The bundles of the series, each once, in the order of their places."""
    names = sorted({each.name for each in found.bundles})
    if not names:
        first = next(each for each in found.remarks if each.what == "broken")
        raise VerifyError(f"{asked.store}: no bundle verifies of {found.seen}: {first.where}: {first.text}")
    if asked.series is None and len(names) > 1:
        raise ConfigError(f"{asked.store}: holds the series {', '.join(names)}; name one with --series")
    name = asked.series or names[0]
    if name not in names:
        near = nearest(name, names) or f"; it holds {', '.join(names)}"
        raise ConfigError(f"{asked.store}: no bundle of series {clean(name)} verifies{near}")
    return list({each.digest: each for each in found.bundles if each.name == name}.values())


def _check_reach(line: Sequence[Bundle], begins: datetime, ends: datetime) -> None:
    """Raise ConfigError where an end that was left out makes a period that ends before it begins."""
    if begins <= ends:
        return
    moments = sorted(each.as_of for each in line)
    if begins > moments[-1]:
        where = f"--from {_shown(begins)} lies after the newest bundle of series {line[0].name}, as of"
        raise ConfigError(f"{where} {_shown(moments[-1])}")
    where = f"--to {_shown(ends)} lies before the oldest bundle of series {line[0].name}, as of"
    raise ConfigError(f"{where} {_shown(moments[0])}")


def _nothing(found: Audit, line: Sequence[Bundle], begins: datetime, ends: datetime) -> str:
    moments = sorted(each.as_of for each in line)
    text = f"no bundle of series {line[0].name} from {_shown(begins)} to {_shown(ends)}"
    text += f"; there are {len(line)}, as of {_shown(moments[0])} to {_shown(moments[-1])}"
    broken = sum(each.what == "broken" for each in found.remarks)
    return text + (f", and {count(broken, 'file')} that cannot be believed" if broken else "")


def _ordered(runs: Runs, series: str) -> list[Run]:
    found = [each for each in runs.found.values() if each.bundle.name == series]
    return sorted(found, key=lambda each: (each.bundle.as_of, each.bundle.place))


_Changes = Sequence[tuple[Bundle, Mapping[str, Change]]]
"""For each bundle that was judged by other mappings than the one before: control to what changed."""


def _changes(runs: Runs, ordered: Sequence[Run]) -> _Changes:
    return [
        (
            after.bundle,
            changed(runs.definitions[before.mappings], runs.definitions[after.mappings], runs.controls),
        )
        for before, after in pairwise(ordered)
        if before.mappings != after.mappings
    ]


def _shifts(ordered: Sequence[Run], changes: _Changes) -> list[Shift]:
    found = [Shift("checks", at, _checks_text(list(here.values()))) for at, here in changes if here]
    for before, after in pairwise(ordered):
        if before.scopes != after.scopes:
            gone, new = len(before.scopes - after.scopes), len(after.scopes - before.scopes)
            text = f"{count(new, 'scope')} more asked, {gone} no longer: {_scopes(before, after)}"
            found.append(Shift("scope", after.bundle, text))
        was, now = before.bundle.cadence, after.bundle.cadence
        if was != now:
            due = [span(each) if each else "no stated time" for each in (was, now)]
            found.append(Shift("cadence", after.bundle, f"one is due every {due[1]}, before every {due[0]}"))
    return sorted(found, key=lambda each: each.at.as_of)


_SCOPES = 6  # scopes that a line names; the rest are counted


def _scopes(before: Run, after: Run) -> str:
    new = [f"+{each}" for each in sorted(after.scopes - before.scopes)]
    every = [f"-{each}" for each in sorted(before.scopes - after.scopes)] + new
    more = [f"and {len(every) - _SCOPES} more"] if len(every) > _SCOPES else []
    return ", ".join([*every[:_SCOPES], *more])


def _checks_text(changes: Sequence[Change]) -> str:
    added = {check for each in changes for check in each.added}
    removed = {check for each in changes for check in each.removed}
    altered = {check for each in changes for check in each.altered}
    others = f"{count(len(added), 'check')} added, {len(removed)} removed, {len(altered)} altered"
    return f"{count(len(changes), 'control')} judged by others than before: {others}"


def _controls(
    runs: Runs,
    ordered: Sequence[Run],
    shown: Sequence[Definitions],
    holes: Holes,
    changes: _Changes,
    frameworks: Sequence[str],
) -> dict[str, list[ControlPeriod]]:
    """By framework; those of the newest mappings first, and in their order."""
    moments = [each.bundle.as_of for each in ordered]
    doubted = [each.bundle.digest in holes.doubted for each in ordered]
    before, unproven = cuts(moments, holes.holes), joined(holes.holes)
    whole = not holes.holes and not any(doubted)
    judged = set(runs.controls)
    titles = {name: title for each in reversed(shown) for name, title in each.controls.items()}
    order = [name for each in shown for name in each.controls if name in judged]
    names = frameworks or sorted({name for each in shown for name in each.titles})
    found: dict[str, list[ControlPeriod]] = {name: [] for name in names}
    for control in dict.fromkeys([*order, *runs.controls]):
        states = runs.states(control, ordered)
        seen = [believed(state, doubt) for state, doubt in zip(states, doubted, strict=True)]
        framework = control.partition(":")[0]
        if framework in found and any(state.status != "not_judged" for state in states):
            found[framework].append(
                ControlPeriod(
                    control,
                    titles.get(control, ""),
                    standing(states, whole),
                    _in_order([*stretches(moments, seen, before), *unproven]),
                    tuple((at, here[control]) for at, here in changes if control in here),
                )
            )
    return found


def _in_order(found: Iterable[Stretch]) -> tuple[Stretch, ...]:
    return tuple(sorted(found, key=lambda each: (each.since, each.until)))


def _unseen(ordered: Iterable[Run]) -> list[Unseen]:
    found: dict[str, Unseen] = {}
    for run in ordered:
        for kind, reasons in run.gaps.items():
            for reason, number in reasons.items():
                each = found.setdefault(reason, Unseen(reason))
                each.kinds[kind] = each.kinds.get(kind, 0) + number
                if each.runs[-1:] != [run.bundle.as_of]:
                    each.runs.append(run.bundle.as_of)
    return sorted(found.values(), key=lambda each: (-sum(each.kinds.values()), each.reason))


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
