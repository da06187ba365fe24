"""Where a series has holes in a period: stretches of time for which nothing that counts was seen.

Most come from looking through the store (`collector.deliver.audit`), which says what is wrong with a
series; here it is told between which moments that leaves a hole. The rest are the period's own ends.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from collector.deliver.audit import Audit, Bundle, Remark, span
from collector.report.standing import Stretch

__all__ = ["Hole", "Holes", "cuts", "find_holes", "joined"]

_CONTRADICTS = ("broken", "fork", "chain", "clock")


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of the period for which nothing that counts was seen.

    Attributes:
        what: the word that `collector verify` has for it; `uncovered` where the period begins before the
            first run or goes on after the last; `no_cadence` where nothing says how long a run speaks for.
        since, until: within the period.
    """

    what: str
    where: str
    since: datetime
    until: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Holes:
    """What was found.

    Attributes:
        holes: in the order of their times.
        doubted: statements of bundles whose word does not count.
        notes: what else is to be said of the store.
        outside: how many remarks concern other times.
    """

    holes: tuple[Hole, ...]
    doubted: frozenset[str]
    notes: tuple[Remark, ...]
    outside: int

    @property
    def contradictions(self) -> tuple[Hole, ...]:
        """Those around what is there and does not verify; what is only missing is none of them."""
        return tuple(each for each in self.holes if each.what in _CONTRADICTS)


def find_holes(found: Audit, line: Sequence[Bundle], begins: datetime, ends: datetime) -> Holes:
    """Find the holes of a period.

    Args:
        found: what looking through the store found.
        line: the bundles of the series, each once, in the order of their places.
        begins, ends: the period, both included; at least one bundle lies in it.
    """
    holes: set[Hole] = set(_ends(line, begins, ends))
    holes.update(_without_cadence(line, begins, ends))
    doubted: set[str] = set()
    within = {str(each.path) for each in line if begins <= each.as_of <= ends}
    notes, outside = [], 0
    for remark in found.remarks:
        if not _about(remark, line[0].name):
            if remark.what != "shifted" or remark.where in within:
                notes.append(remark)
            continue
        doubted.update(each.digest for each in line if each.place[:3] in remark.places)
        since, until = _stretch(remark, line, begins, ends)
        if since >= ends or until <= begins or _at_the_edge(remark, begins, ends):
            outside += 1
            continue
        anywhere = "" if remark.places or remark.between else "; where it belongs cannot be told"
        text = f"{remark.text}{anywhere}"
        holes.add(Hole(remark.what, remark.where, max(since, begins), min(until, ends), text))
    ordered = sorted(holes, key=lambda each: (each.since, each.until, each.what, each.where, each.text))
    return Holes(tuple(ordered), frozenset(doubted), tuple(notes), outside)


def cuts(moments: Sequence[datetime], holes: Sequence[Hole]) -> frozenset[int]:
    """Numbers of the runs before which there is a hole.

    Args:
        moments: of the runs, in order.
    """
    found: set[int] = set()
    for since, until in {(each.since, each.until) for each in holes}:
        found.update(range(bisect_right(moments, since), bisect_left(moments, until) + 1))
    return frozenset(found)


def joined(holes: Sequence[Hole]) -> tuple[Stretch, ...]:
    """Holes that touch as one, each with the words for what it comes from."""
    found: list[Stretch] = []
    for each in holes:
        if found and each.since <= found[-1].until:
            last = found.pop()
            why = dict.fromkeys((*last.why, (each.what, "")))
            found.append(Stretch("hole", last.since, max(last.until, each.until), 0, tuple(why)))
        else:
            found.append(Stretch("hole", each.since, each.until, 0, ((each.what, ""),)))
    return tuple(found)


def _about(remark: Remark, series: str) -> bool:
    """Whether it leaves a hole in this series; a broken bundle without a place could belong anywhere."""
    if remark.between or remark.places:
        names = {each[0] for each in remark.places} or {each.name for each in remark.between or ()}
        return series in names
    return remark.what == "broken"


def _stretch(
    remark: Remark, line: Sequence[Bundle], begins: datetime, ends: datetime
) -> tuple[datetime, datetime]:
    """From the last bundle before what is wrong to the first one after it."""
    if remark.between:
        before, after = remark.between
        return before.as_of, after.as_of
    if not remark.places:
        return begins, ends
    places = [each.place[:3] for each in line]
    first = bisect_left(places, min(remark.places))
    last = bisect_right(places, max(remark.places))
    since = line[first - 1].as_of if first else min(begins, line[0].as_of)
    until = line[last].as_of if last < len(line) else max(ends, line[-1].as_of)
    # Where a clock ran backwards, what lies between by number need not lie between by time.
    moments = [since, until, *(each.as_of for each in line[first:last])]
    return min(moments), max(moments)


def _at_the_edge(remark: Remark, begins: datetime, ends: datetime) -> bool:
    """Whether bundles are late, but within the period by less than one is due in."""
    if remark.between is None:
        return False
    before, after = remark.between
    cadence = timedelta(seconds=before.cadence or 0)
    return (before.as_of < begins and after.as_of - begins < cadence) or (
        after.as_of > ends and ends - before.as_of < cadence
    )


def _ends(line: Sequence[Bundle], begins: datetime, ends: datetime) -> Iterator[Hole]:
    """The period's ends, where the series has nothing beyond them: else `late` and `missing` say it."""
    by_time = sorted(line, key=lambda each: each.as_of)
    first, last = by_time[0], by_time[-1]
    if first.as_of >= begins and (hole := _uncovered(first, begins, first.as_of, "before")):
        yield hole
    if last.as_of <= ends and (hole := _uncovered(last, last.as_of, ends, "after")):
        yield hole


def _uncovered(by: Bundle, since: datetime, until: datetime, word: str) -> Hole | None:
    length = (until - since).total_seconds()
    if not by.cadence or length < by.cadence:
        return None
    text = f"nothing is here {word} number {by.sequence}: {span(length)}, and one is due every"
    return Hole("uncovered", str(by.path), since, until, f"{text} {span(by.cadence)}")


def _without_cadence(line: Sequence[Bundle], begins: datetime, ends: datetime) -> Iterator[Hole]:
    by_time = sorted(line, key=lambda each: each.as_of)
    at = 0
    for unstated, group in groupby(by_time, key=lambda each: not each.cadence):
        found = list(group)
        at += len(found)
        since = found[0].as_of if at > len(found) else min(begins, found[0].as_of)
        until = by_time[at].as_of if at < len(by_time) else max(ends, found[-1].as_of)
        if unstated and max(since, begins) < min(until, ends):
            text = f"number {found[0].sequence} states no cadence: how long its evidence speaks is not known"
            yield Hole("no_cadence", str(found[0].path), max(since, begins), min(until, ends), text)
