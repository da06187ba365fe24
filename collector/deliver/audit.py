"""Looks through whole stores: what single bundles cannot show, their chain does (docs/format.md).

Each bundle is verified; then the bundles of each series are held against each other: places, holes, forks,
replays, the chain of digests, clocks and cadence. One bad bundle does not keep the others from being
looked at.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from collector.deliver.series import parse_key
from collector.model import ConfigError, Json, VerifyError

__all__ = ["CANNOT_SHOW", "LATE", "Audit", "Bundle", "Place", "Remark", "audit", "span"]

LATE = 1.5
"""A bundle is late if it comes more than this many cadences after the one before."""

CANNOT_SHOW = (
    "that the newest bundles are not being held back: a store that ends early looks like one that is young",
    "that times which no authority stamped, or within an authority's tolerance, were not shifted",
    "that no earlier epoch was removed as a whole",
)

_UNSTATED = 86400.0  # seconds that the calls of a bundle without a cadence may lie from its as-of
_SLACK = 3600.0  # seconds that they always may: what a run does before its first call takes time

_BESIDE = (".tsr", ".sigstore.json")

Prove = Callable[[Path], "tuple[str, Mapping[str, Json]]"]
"""Verifies a bundle: the digest of its statement and its predicate; raises VerifyError."""


Place = tuple[str, str, int]
"""Series, epoch as keys write it, and sequence."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that verifies, as far as the chain needs it."""

    path: Path
    digest: str
    name: str
    epoch: str
    sequence: int
    previous: str | None
    reason: str | None
    cadence: int | None
    keep: int | None
    as_of: datetime
    opened: datetime
    closed: datetime

    @classmethod
    def of(cls, path: Path, digest: str, predicate: Mapping[str, Json]) -> Bundle:
        """Take what the chain needs from a predicate that was verified."""
        series, window = predicate["series"], predicate["window"]
        return cls(
            path,
            digest,
            series["name"],
            series["epoch"],
            series["sequence"],
            series["previous"],
            series["reason"],
            series["cadence"],
            predicate["keep"],
            _moment(predicate["as_of"]),
            _moment(window["from"]),
            _moment(window["to"]),
        )

    @property
    def place(self) -> tuple[str, str, int, str]:
        """Where it belongs, as `parse_key` gives it."""
        return self.name, f"{_moment(self.epoch):%Y%m%dT%H%M%SZ}", self.sequence, self.digest[:12]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a store; `epoch`, `stray`, `expired` and `shifted` are notes, all others break it.

    Attributes:
        places: of which there is no bundle that can be believed; of numbers that are missing in a row, one.
        between: the two bundles between which too much time lies.
    """

    what: str
    where: str
    text: str
    places: tuple[Place, ...] = ()
    between: tuple[Bundle, Bundle] | None = None

    @property
    def breaks(self) -> bool:
        """Whether the store does not verify for it."""
        return self.what not in ("epoch", "stray", "expired", "shifted")


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in stores.

    Attributes:
        bundles: those that verify, by store and place.
        seen: how many there are, good or bad.
        remarks: in the order in which they were found, a store after the other.
    """

    bundles: tuple[Bundle, ...]
    seen: int
    remarks: tuple[Remark, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not any(each.breaks for each in self.remarks)


def audit(stores: Sequence[Path], prove: Prove) -> Audit:
    """Verify every bundle below these folders, and the series that they make.

    Args:
        stores: folders, each a whole store; each is looked at by itself, and all for forks.
        prove: verifies one bundle.

    Raises:
        ConfigError: a folder cannot be read, or holds no bundle.
    """
    remarks: list[Remark] = []
    everything: list[Bundle] = []
    seen = 0
    for store in stores:
        found = _files(store)
        paths = [path for path in found if path.suffix == ".zip"]
        if not paths:
            raise ConfigError(f"{store}: no bundle in it")
        seen += len(paths)
        remarks += _strays(found)
        bundles, holes = _verified(paths, prove, remarks)
        remarks += _replays(bundles)
        for name in sorted({each.name for each in bundles}):
            remarks += _series([each for each in bundles if each.name == name], holes)
        everything += bundles
    remarks += _forks(everything)
    return Audit(tuple(everything), seen, tuple(remarks))


def _files(store: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise ConfigError(f"{error.filename}: {error.strerror}")

    walk = os.walk(store, onerror=fail)  # follows no link to a folder
    return sorted(Path(folder) / name for folder, _, names in walk for name in names)


def _strays(found: Iterable[Path]) -> Iterator[Remark]:
    for path in found:
        if path.suffix != ".zip" and not path.name.endswith(_BESIDE):
            yield Remark("stray", str(path), "not a bundle, nor a stamp beside one")


def _verified(paths: Iterable[Path], prove: Prove, remarks: list[Remark]) -> tuple[list[Bundle], set[Place]]:
    """The good ones, and the places that bad ones take: what is broken there is not missing."""
    good: list[Bundle] = []
    taken: set[Place] = set()
    for path in paths:
        place = parse_key("/".join(path.absolute().parts[-3:]))
        try:
            bundle = Bundle.of(path, *prove(path))
        except VerifyError as error:
            places = (place[:3],) if place else ()
            taken.update(places)
            remarks.append(Remark("broken", str(path), str(error).removeprefix(f"{path.name}: "), places))
            continue
        good.append(bundle)
        if place != bundle.place:
            remarks.append(Remark("misplaced", str(path), _astray(bundle)))
    return sorted(good, key=lambda each: each.place), taken


def _astray(bundle: Bundle) -> str:
    folder = bundle.path.absolute().parents[1].name
    if folder != bundle.name and bundle.path.absolute().parts[-2:] == Path(_key(bundle)).parts[-2:]:
        return (
            f"belongs at {_key(bundle)}, and its series' folder is called {folder}: a series' folder keeps "
            f"its name, {bundle.name}, and the store is the folder above it"
        )
    return f"belongs at {_key(bundle)}: its name is not that of its contents"


def _key(bundle: Bundle) -> str:
    name, epoch, sequence, digest = bundle.place
    return f"{name}/{epoch}/{sequence:08d}-{digest}.zip"


def _replays(bundles: Sequence[Bundle]) -> Iterator[Remark]:
    by_digest: defaultdict[str, list[Bundle]] = defaultdict(list)
    for each in bundles:
        by_digest[each.digest].append(each)
    for copies in by_digest.values():
        for copy in copies[1:]:
            yield Remark("replay", str(copy.path), f"the same bundle as {copies[0].path}")


def _forks(bundles: Iterable[Bundle]) -> Iterator[Remark]:
    by_place: dict[Place, Bundle] = {}
    for each in bundles:
        other = by_place.setdefault(each.place[:3], each)
        if other.digest != each.digest:
            text = f"another number {each.sequence} of {each.name} than {other.path}: the series was forked"
            yield Remark("fork", str(each.path), text, (each.place[:3],))


def _series(bundles: Sequence[Bundle], taken: set[Place]) -> Iterator[Remark]:
    """The remarks about one series, its epochs in the order of their times."""
    line = list({each.digest: each for each in bundles}.values())
    for epoch in sorted({each.place[1] for each in line}):
        here = [each for each in line if each.place[1] == epoch]
        yield from _start(here[0], line, epoch)
        yield from _holes(here, taken)
        yield from _links(here)
    yield from _shifted(line)
    newest_last = sorted(line, key=lambda each: each.place[:3])
    for before, after in pairwise(newest_last):
        yield from _times(before, after, between=after.sequence - before.sequence)


def _shifted(line: Iterable[Bundle]) -> Iterator[Remark]:
    """Bundles that are judged for a moment at which nothing was asked: made later, or ahead of time."""
    for each in line:
        apart = max(each.opened - each.as_of, each.as_of - each.closed).total_seconds()
        if apart > max(each.cadence or _UNSTATED, _SLACK):
            text = (
                f"as of {each.as_of:%Y-%m-%d %H:%M:%S}, and asked from {each.opened:%Y-%m-%d %H:%M:%S} on, "
                f"{span(apart)} apart: that it was so as of then is the word of who made it"
            )
            yield Remark("shifted", str(each.path), text)


def _start(first: Bundle, line: Sequence[Bundle], epoch: str) -> Iterator[Remark]:
    if epoch != line[0].place[1]:
        why = f", since {first.reason}" if first.reason else ""
        text = f"{first.name} begins anew at {first.epoch}{why}: nothing chains it to the epoch before"
        yield Remark("epoch", str(first.path), text)
    if first.sequence == 1:
        if first.as_of != _moment(first.epoch):
            text = f"the first of an epoch that is not called {first.epoch}"
            yield Remark("chain", str(first.path), text, (first.place[:3],))
        return
    newest = max(each.as_of for each in line)
    keep = next(each.keep for each in line if each.as_of == newest)
    gone = f"{first.name} starts at number {first.sequence}, the {first.sequence - 1} before it are not here"
    age = (newest - first.as_of).total_seconds() + LATE * (first.cadence or 0)
    if keep is not None and age >= keep:
        yield Remark("expired", str(first.path), f"{gone}; bundles are kept for {span(keep)}")
    else:
        said = "have no end" if keep is None else f"are kept for {span(keep)}, which does not explain it"
        text = f"{gone}; by their own statement bundles {said}"
        yield Remark("missing", str(first.path), text, ((first.name, epoch, first.sequence - 1),))


def _holes(here: Sequence[Bundle], taken: set[Place]) -> Iterator[Remark]:
    name, epoch = here[0].place[:2]
    there = {each.sequence for each in here} | {place[2] for place in taken if place[:2] == (name, epoch)}
    ordered = sorted(there)
    for before, after in pairwise(ordered):
        if after - before > 1:
            which = f"number {before + 1}" if after - before == 2 else f"numbers {before + 1} to {after - 1}"
            text = f"{which} of {name} missing"
            yield Remark("missing", f"{name}/{epoch}", text, ((name, epoch, before + 1),))


def _links(here: Sequence[Bundle]) -> Iterator[Remark]:
    digests: defaultdict[int, set[str]] = defaultdict(set)
    for each in here:
        digests[each.sequence].add(each.digest)
    for each in here:
        before = digests.get(each.sequence - 1)
        if before and each.previous not in before:
            text = f"names {str(each.previous)[:12]} as the one before it, and that is {min(before)[:12]}"
            yield Remark("chain", str(each.path), text, ((*each.place[:2], each.sequence - 1),))


def _times(before: Bundle, after: Bundle, between: int) -> Iterator[Remark]:
    if after.as_of < before.as_of or after.opened < before.closed:
        text = (
            f"as of {after.as_of:%Y-%m-%d %H:%M:%S} and asked from {after.opened:%Y-%m-%d %H:%M:%S},"
            f" before number {before.sequence} was done: a clock ran backwards"
        )
        yield Remark("clock", str(after.path), text, (before.place[:3], after.place[:3]))
        return
    gap = (after.as_of - before.as_of).total_seconds()
    same = before.place[1] == after.place[1]
    if before.cadence and gap > LATE * before.cadence * (max(between, 1) if same else 1):
        text = (
            f"{span(gap)} after number {before.sequence}, where one is due every {span(before.cadence)}:"
            f" about {round(gap / before.cadence) - 1} were not made"
        )
        yield Remark("late", str(after.path), text, between=(before, after))


def span(seconds: float) -> str:
    """A length of time as people read it: "36 h"."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
