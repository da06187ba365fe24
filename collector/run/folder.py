"""The run's folder: the files of docs/format.md, as they come into being.

Laid out as the bundle will be, so that what judges a run's folder judges an extracted bundle too.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.assess import derived as derive
from collector.assess.evidence import kind_json
from collector.canonical import dumps, salted
from collector.collect.executor import Collected
from collector.collect.ledger import Ledger
from collector.collect.plan import Plan, plan_json
from collector.collect.redact import Redactor, answer_kind
from collector.keys import Keys
from collector.lines import LineWriter, Sealed
from collector.model import Derived, Json, MappingPack
from collector.plugins import Plugins

__all__ = [
    "DerivedSegment",
    "all_kinds",
    "copy_mappings",
    "due_derived",
    "place",
    "write_derived",
    "write_plan",
]

_PARTS = ("checks", "objectives", "controls")


@dataclass(frozen=True, slots=True)
class DerivedSegment:
    """A derived kind that was computed; `segment` is None where it has no line."""

    derived: Derived
    segment: Sealed | None
    records: int


def all_kinds(plugins: Plugins) -> dict[str, Json]:
    """Every kind that is known, as `kinds.json` holds it."""
    kinds = {
        kind.name: kind_json(name, kind) for name, source in plugins.sources.items() for kind in source.kinds
    }
    for pack in plugins.packs:
        for each in pack.derived:
            kinds[each.kind.name] = kind_json(pack.name, each.kind, each)
    return kinds


def due_derived(plugins: Plugins, plan: Plan) -> list[Derived]:
    """The derived kinds whose inputs are planned."""
    planned = _planned(plan, plugins)
    return derive.due([each for pack in plugins.packs for each in pack.derived], planned)


def _planned(plan: Plan, plugins: Plugins) -> set[str]:
    """The kinds that were asked for; of a source whose discovery failed, all that it might have found."""
    lost = {kind.name for source, _ in plan.undiscovered for kind in plugins.sources[source].kinds}
    return lost | {kind for planned in plan.tasks for kind in planned.task.kinds}


def write_plan(folder: Path, plan: Plan, plugins: Plugins, keys: Keys) -> None:
    """Write `plan.json` and `kinds.json`."""
    planned = _planned(plan, plugins) | {each.kind for each in plan.absent}
    planned |= {each.kind.name for each in due_derived(plugins, plan)}
    known = all_kinds(plugins)
    sources = sorted({each.task.target.source for each in plan.tasks})
    kinds = {name: known[name] for name in sorted(planned)}
    kinds |= {f"{name}_answer": kind_json(name, answer_kind(name)) for name in sources}
    _write(folder / "plan.json", _with_salt(plan_json(plan, Redactor({}, keys)), keys))
    _write(folder / "kinds.json", dumps({"format": 1, "kinds": kinds}))


def write_exceptions(folder: Path, exceptions: Mapping[str, Json], keys: Keys) -> None:
    """Write `exceptions.json`."""
    _write(folder / "exceptions.json", _with_salt(exceptions, keys))


def write_ledger(folder: Path, ledger: Ledger, keys: Keys) -> None:
    """Write the ledger, sorted by id."""
    with LineWriter(folder / "ledger.jsonl.gz", keys.salt) as lines:
        for entry in ledger:
            lines.write(*entry.line())


def place(folder: Path, collected: Collected) -> dict[str, str]:
    """Give segments their names. Returns task to the digest that names its segment; "" where it is empty."""
    (folder / "segments").mkdir()
    return {written.task: _named(written.segment, folder / "segments") for written in collected.written}


def write_derived(
    folder: Path, derived: Iterable[Derived], segments: Sequence[Path], keys: Keys
) -> list[DerivedSegment]:
    """Compute derived kinds from the segments and write theirs."""
    (folder / "derived").mkdir()
    found = []
    for each in derived:
        sealed, records = derive.compute(each, segments, folder / f"{each.kind.name}.part", keys.salt)
        name = _named(sealed, folder / "derived")
        found.append(DerivedSegment(each, sealed if name else None, records))
    return found


def copy_mappings(folder: Path, packs: Sequence[MappingPack], frameworks: Sequence[str]) -> None:
    """Copy what judging needs of the packs: with the frameworks in use, and no others."""
    for pack in packs:
        base = Path(pack.folder)
        files = [path for part in _PARTS for path in sorted((base / part).rglob("*.toml"))]
        files += [base / "frameworks" / f"{name}.json" for name in frameworks]
        for path in files:
            if path.is_file():
                target = folder / "mappings" / pack.name / path.relative_to(base)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def _named(sealed: Sealed, folder: Path) -> str:
    if not sealed.lines:
        sealed.path.unlink()
        return ""
    sealed.path.replace(folder / f"{sealed.sha256}.jsonl.gz")
    return sealed.sha256


def _with_salt(value: Mapping[str, Json], keys: Keys) -> bytes:
    """Canonical JSON with a salt in its place among the sorted keys."""
    before = dumps({key: each for key, each in value.items() if key < "salt"})
    after = dumps({key: each for key, each in value.items() if key > "salt"})
    return salted(before[:-1], b"," + after[1:] if after != b"{}" else b"}", keys.salt)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
