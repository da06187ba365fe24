"""What a source does: one run is held against the contract, then each of its calls fails in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collector.model import Absent, Gap, Json, Kind, Outcome, Record, Source, Task, Text
from collector.testing.asking import PlainAsk
from collector.testing.recording import Recording, recording_source, replay_source
from collector.values import misfits

__all__ = ["Collected", "check_run", "collect"]

Item = Record | Gap | Text


@dataclass(frozen=True, slots=True)
class Collected:
    """What one task gave, and which calls it made: id to operation and outcome."""

    task: Task
    items: tuple[Item, ...]
    heard: Mapping[str, tuple[str, Outcome]]

    @property
    def records(self) -> tuple[Record, ...]:
        """Its records."""
        return tuple(item for item in self.items if isinstance(item, Record))

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The gaps that the source itself told."""
        return tuple(item for item in self.items if isinstance(item, Gap))


def collect(source: Source) -> tuple[Collected, ...]:
    """Discover, plan and collect with a plain `ask`: no retries, nothing written."""
    root = source.root()
    found = source.discover(PlainAsk(source, root, [operation.name for operation in source.discovery]))
    tasks = [task for task in source.plan(found) if not isinstance(task, Absent)]
    kinds = {kind.name: kind for kind in source.kinds}
    return tuple(_carry_out(source, task, kinds) for task in tasks)


def check_run(source: type[Source], settings: Mapping[str, Json]) -> list[str]:
    """Collect once for real, then again from what was recorded, with each call failing in turn.

    A failed call may take records and columns away; what is left must stay as it was.

    Returns:
        One line for each thing that is wrong; empty if the source keeps its promises.
    """
    recording = Recording()
    whole = collect(recording_source(source, recording)(settings))
    kinds = {kind.name: kind for kind in source.kinds}
    if found := [line for collected in whole for line in _check(collected, kinds)]:
        return found
    for call in recording.calls:
        torn = replay_source(source, recording, {call.key: "TimeoutError"})(settings)
        found += [f"{line}, when {call.op} {dict(call.params)} fails" for line in _torn(torn, whole, kinds)]
    return found


def _torn(source: Source, whole: tuple[Collected, ...], kinds: Mapping[str, Kind]) -> list[str]:
    try:
        return list(_changes(whole, collect(source), kinds))
    except Exception as error:  # noqa: BLE001 - the plugin boundary: it is what is being tested
        return [f"collecting raises {type(error).__name__}: {error}"]


def _carry_out(source: Source, task: Task, kinds: Mapping[str, Kind]) -> Collected:
    declared = [operation.name for name in task.kinds for operation in kinds[name].operations]
    ask = PlainAsk(source, task.target, declared)
    return Collected(task, tuple(source.collect(task, ask)), ask.heard)


def _check(collected: Collected, kinds: Mapping[str, Kind]) -> Iterator[str]:
    task = collected.task
    for due in task.due:
        if due.op not in kinds[due.kind].lists:
            yield f"{due.kind}: {due.op} is due and is none of its lists"
    for name in task.kinds:
        if name not in {due.kind for due in task.due}:
            yield f"{name}: nothing is due, so its population is never known to be complete"
    ids = Counter((record.kind, record.id) for record in collected.records)
    yield from (f"{kind} {id_}: {count} records of one id" for (kind, id_), count in ids.items() if count > 1)
    for item in collected.items:
        yield from _check_item(item, collected, kinds)


def _check_item(item: Item, collected: Collected, kinds: Mapping[str, Kind]) -> Iterator[str]:
    task = collected.task
    where = f"{item.kind} {item.id}" if isinstance(item, Record) else type(item).__name__.lower()
    if any(item.scope.get(key) != value for key, value in task.target.scope.items()):
        yield f"{where}: lies outside its target's scope"
    if not isinstance(item, Text) and item.kind not in task.kinds:
        yield f"{where}: of a kind that the task does not collect"
    elif isinstance(item, Record):
        yield from (f"{where}: {line}" for line in _check_record(item, kinds[item.kind], collected.heard))


def _check_record(record: Record, kind: Kind, heard: Mapping[str, tuple[str, Outcome]]) -> Iterator[str]:
    names = {column.name for column in kind.columns}
    yield from (f"{name} is no column" for name in record.data if name not in names)
    yield from (f"gap in {gap.column}, which is no column" for gap in record.gaps if gap.column not in names)
    yield from (f"{name} does not fit its type" for name in misfits(kind, record.data))
    yield from (f"names call {call}, which was not made" for call in record.calls if call not in heard)
    if not record.id or not record.calls:
        yield "needs an id and the calls that it comes from"


def _changes(
    whole: tuple[Collected, ...], torn: tuple[Collected, ...], kinds: Mapping[str, Kind]
) -> Iterator[str]:
    before = {(record.kind, record.id): record for part in whole for record in part.records}
    for part in torn:
        for record in part.records:
            known = before.get((record.kind, record.id))
            if known is None:
                yield f"{record.kind} {record.id}: appears"
                continue
            seen = _seen(record, kinds[record.kind], part.heard)
            changed = [name for name in seen if record.data.get(name) != known.data.get(name)]
            yield from (f"{record.kind} {record.id}: {name} changes without a gap" for name in changed)


def _seen(record: Record, kind: Kind, heard: Mapping[str, tuple[str, Outcome]]) -> list[str]:
    """The columns that count as seen: without a gap, and filled by a call that was answered."""
    answered = {op for op, outcome in (heard[call] for call in record.calls) if outcome.answered}
    gaps = {gap.column for gap in record.gaps}
    return [
        column.name
        for column in kind.columns
        if column.name not in gaps and not answered.isdisjoint(column.calls or kind.lists)
    ]
