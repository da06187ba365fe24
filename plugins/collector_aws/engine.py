"""Collects the kinds of one task as their data says: lists, what is told of each item, what it contains.

Lists are read a page at a time and their records given before the next page is asked for, so that an
account's size does not matter to memory. What is asked about the items of a page is asked at the same time.
Nothing is put in place of an answer that did not come: a record names each of its calls, those that failed
too, and the core writes the gaps.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from collector.model import Answer, Ask, ColumnGap, Gap, Json, Outcome, Record, Task
from collector_aws import encoding, paths
from collector_aws.catalogue import GATE, Batch, Call, Node
from collector_aws.special import FUNCTIONS

__all__ = ["collect", "words"]

_CHUNK = 200  # items about which is asked at the same time

Item = Record | Gap


@dataclass(slots=True)
class _Entry:
    """One item in the making."""

    item: dict[str, Json]
    calls: list[str]
    gaps: list[ColumnGap] = field(default_factory=list)


def words(task: Task) -> dict[str, str]:
    """What `@word` stands for in parameters and ids."""
    scope, principal = task.target.scope, task.target.principal.split(":")
    return {
        "account": scope["account"],
        "region": scope.get("region", ""),
        "partition": principal[1] if len(principal) > 1 else "aws",
    }


def collect(task: Task, nodes: Sequence[Node], ask: Ask) -> Iterator[Item]:
    """Give the records of a task's kinds; nothing at all where even the identity is refused."""
    identity = ask(GATE)
    if not identity.ok:
        return
    yield from _Collecting(task, nodes, ask, identity).run()


class _Collecting:
    def __init__(self, task: Task, nodes: Sequence[Node], ask: Ask, identity: Answer) -> None:
        self._scope = task.target.scope
        self._nodes = nodes
        self._ask = ask
        self._identity = identity
        self._words = words(task)
        self._missing: list[tuple[str, str]] = []  # calls that did not tell of all that was asked about
        self._children: dict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            if node.parent:
                self._children[node.parent].append(node)

    def run(self) -> Iterator[Item]:
        """Each list once, whichever kinds lie in it."""
        lists: dict[str, tuple[str, Mapping[str, Json], list[Node]]] = {}
        for node in self._nodes:
            if node.function:
                yield from FUNCTIONS[node.function](node.kind, self._scope, self._identity, self._ask)
            elif not node.parent:
                for given in node.params:
                    params = paths.filled(given, {}, self._words)
                    key = json.dumps([node.op, params], sort_keys=True)
                    lists.setdefault(key, (node.op, params, []))[2].append(node)
        for op, params, nodes in lists.values():
            yield from self._list(op, params, nodes)

    def _list(self, op: str, params: Mapping[str, Json], nodes: Sequence[Node]) -> Iterator[Item]:
        single = [node for node in nodes if node.one]
        if single:
            pages = list(self._ask.pages(op, params))
            for node in single:
                yield from self._single(node, pages, {})
        many = [node for node in nodes if not node.one]
        most = max((node.pages for node in many), default=0)
        for number, page in enumerate(self._ask.pages(op, params) if many else (), 1):
            for node in many if page.ok else ():
                yield from self._page(node, page, {})
            if number == most:
                return  # what is behind the last page that is read is a gap, which the core writes

    def _single(self, node: Node, pages: Sequence[Answer], carried: Mapping[str, Json]) -> Iterator[Item]:
        """One record for a whole answer; where the answer is that there is none, a record that says so."""
        calls = [page.call for page in pages]
        item: dict[str, Json] = dict(carried)
        if all(page.ok for page in pages):
            if node.each:
                item[node.each] = [each for page in pages for each in paths.items(page.data, node.items)]
            else:
                found = paths.value(pages[0].data, node.items)
                item |= found if isinstance(found, dict) else {}
            present = True
        elif len(pages) == 1 and pages[0].outcome is Outcome.ABSENT:
            present = False
        else:
            return
        if node.present:
            item[node.present] = present
        yield from self._entries(node, [_Entry(item, calls)])

    def _page(self, node: Node, page: Answer, carried: Mapping[str, Json]) -> Iterator[Item]:
        entries = [
            _Entry({**(each if isinstance(each, dict) else {node.each: each}), **carried}, [page.call])
            for each in paths.items(page.data, node.items)
        ]
        for start in range(0, len(entries), _CHUNK):
            yield from self._entries(node, entries[start : start + _CHUNK])

    def _entries(self, node: Node, entries: list[_Entry]) -> Iterator[Item]:
        if node.detail is not None:
            entries = self._described(node, entries)
            for call, why in self._missing:
                yield Gap(node.kind.name, self._scope, Outcome.VANISHED, call, why)
            self._missing.clear()
        self._told(node.calls, entries)
        for entry in entries:
            yield self._record(node, entry)
        for child in self._children[node.kind.name]:
            yield from self._contained(child, entries)

    def _described(self, node: Node, entries: list[_Entry]) -> list[_Entry]:
        detail = node.detail
        assert detail is not None
        if detail.batch is not None:
            return list(
                self._described_together(detail.op, detail.params, detail.take, detail.batch, entries)
            )
        asked = [(detail.op, paths.filled(detail.params, entry.item, self._words)) for entry in entries]
        for entry, (answer,) in zip(entries, self._ask.many(asked), strict=True):
            entry.calls.append(answer.call)
            found = paths.value(answer.data, detail.take) if answer.ok else None
            entry.item |= found if isinstance(found, dict) else {}
        return entries

    def _described_together(
        self, op: str, params: Mapping[str, Json], take: str, batch: Batch, entries: list[_Entry]
    ) -> Iterator[_Entry]:
        parts = self._parts(params, batch, entries)
        asked = [(op, self._batched(params, batch, part)) for part in parts]
        for part, (answer,) in zip(parts, self._ask.many(asked), strict=True):
            listed = {_text(paths.value(entry.item, batch.of)): entry for entry in part}
            calls = list(dict.fromkeys(call for entry in part for call in entry.calls))
            described = paths.items(answer.data, take) if answer.ok else []
            if answer.ok and len(described) < len(part):
                self._missing.append(
                    (answer.call, f"{op} told of {len(described)} of {len(part)} asked about")
                )
            for found in described:
                known = listed.get(_text(paths.value(found, batch.key))) if batch.key else None
                item = {**known.item, **found} if known else found
                yield _Entry(item, [*(known.calls if known else calls), answer.call])

    def _parts(
        self, params: Mapping[str, Json], batch: Batch, entries: Sequence[_Entry]
    ) -> list[Sequence[_Entry]]:
        """Entries about which one call can ask: those whose other parameters are the same."""
        groups: dict[str, list[_Entry]] = {}
        for entry in entries:
            groups.setdefault(_text(paths.filled(params, entry.item, self._words)), []).append(entry)
        return [part for group in groups.values() for part in _parts(group, batch.size)]

    def _batched(
        self, params: Mapping[str, Json], batch: Batch | None, part: Sequence[_Entry]
    ) -> dict[str, Json]:
        asked: dict[str, Json] = paths.filled(params, part[0].item, self._words)
        if batch is None:
            return asked
        return {**asked, batch.param: [paths.value(entry.item, batch.of) for entry in part]}

    def _told(self, calls: Sequence[Call], entries: Sequence[_Entry]) -> None:
        """Ask what is to be known of each item, everything at the same time, and fill the columns.

        Questions about one item are asked side by side: botocore works out where a bucket is once for all
        of them, as long as it remembers it.
        """
        places: list[tuple[Call, Sequence[_Entry]]] = [
            (call, [entry])
            for entry in entries
            for call in calls
            if not call.batch and _wanted(call.when, entry.item)
        ]
        for call in calls:
            if call.batch:
                chosen = [entry for entry in entries if _wanted(call.when, entry.item)]
                places += ((call, part) for part in self._parts(call.params, call.batch, chosen))
        asked = [(call.op, self._batched(call.params, call.batch, part)) for call, part in places]
        paged = any(call.pages for call in calls)
        for (call, part), answers in zip(places, self._ask.many(asked, pages=paged), strict=True):
            _fill(call, part, answers)

    def _contained(self, child: Node, entries: Sequence[_Entry]) -> Iterator[Item]:
        """What is listed for each item, of all items at the same time."""
        entries = [entry for entry in entries if _wanted(child.when, entry.item)]
        asked = [
            (child.op, paths.filled(given, entry.item, self._words))
            for entry in entries
            for given in child.params
        ]
        owners = [entry for entry in entries for _ in child.params]
        inner: list[_Entry] = []
        for owner, answers in zip(owners, self._ask.many(asked, pages=True), strict=True):
            carried = {name: paths.value(owner.item, path) for name, path in child.carried}
            if child.one:
                yield from self._single(child, answers, carried)
                continue
            for answer in answers:
                for each in paths.items(answer.data, child.items) if answer.ok else ():
                    item = {**(each if isinstance(each, dict) else {child.each: each}), **carried}
                    inner.append(_Entry(item, [answer.call]))
        for start in range(0, len(inner), _CHUNK):
            yield from self._entries(child, inner[start : start + _CHUNK])

    def _record(self, node: Node, entry: _Entry) -> Record:
        kind = node.kind
        for path in node.decoded:
            encoding.decode(entry.item, path)
        data: dict[str, Json] = {}
        for column in kind.columns:
            found = entry.item.get(column.name)
            if found is None:
                continue
            if column.name in node.parsed and isinstance(found, str):
                found = _parsed(column.name, found, entry)
            data[column.name] = found
        scope = self._scope
        if node.region and (region := paths.value(entry.item, node.region)):
            scope = {**scope, "region": region}
        id_ = paths.template(node.id, entry.item, {**self._words, **scope})
        return Record(kind.name, id_, scope, tuple(entry.calls), data, tuple(entry.gaps))


def _fill(call: Call, part: Sequence[_Entry], answers: Sequence[Answer]) -> None:
    for entry in part:
        entry.calls += (answer.call for answer in answers)
    if not all(answer.ok for answer in answers):
        return
    if call.batch is not None:
        found = {
            _text(paths.value(each, call.batch.key)): each
            for answer in answers
            for each in paths.items(answer.data, call.take.partition(" ")[0])
        }
        inner = call.take.partition(" ")[2]
        for entry in part:
            each = found.get(_text(paths.value(entry.item, call.batch.of)))
            if each is None and call.batch.sparse:
                continue
            if each is None:
                why = f"{call.op} told nothing of it"
                entry.gaps.append(ColumnGap(call.column, Outcome.VANISHED, answers[0].call, why))
            else:
                _put(entry, call, paths.value(each, inner))
        return
    if len(answers) > 1 and not call.pages:
        why = f"{call.op} has more pages than the one that is read"
        part[0].gaps.append(ColumnGap(call.column, Outcome.TRUNCATED, answers[0].call, why))
    elif call.pages:
        _put(part[0], call, [each for answer in answers for each in paths.items(answer.data, call.take)])
    else:
        _put(part[0], call, paths.value(answers[0].data, call.take))


def _put(entry: _Entry, call: Call, found: Json) -> None:
    if call.parse and isinstance(found, str):
        found = _parsed(call.column, found, entry)
    entry.item[call.column] = found


def _parsed(column: str, text: str, entry: _Entry) -> Json:
    """JSON that came as a string, where "" is none; what cannot be read is a gap."""
    if not text:
        return None
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        entry.gaps.append(ColumnGap(column, Outcome.MALFORMED, entry.calls[-1], "a string that is not JSON"))
        return None


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is no number")


def _wanted(when: tuple[str, tuple[Json, ...]] | None, item: Mapping[str, Json]) -> bool:
    if when is None:
        return True
    path, values = when
    found = paths.value(item, path)
    return found in values if values else bool(found)


def _parts(entries: Sequence[_Entry], size: int) -> Iterator[Sequence[_Entry]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _text(found: Json) -> str:
    return found if isinstance(found, str) else json.dumps(found, sort_keys=True)
