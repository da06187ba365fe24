"""Mapping packs as frozen types, read strictly.

An unknown key, a duplicate, an objective or control that does not exist is an error that names file,
line and the nearest known name. What a check's SQL may hold is judged by `collector.assess.bind`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.canonical import loads
from collector.model import Json, MappingError
from collector.toml import Document, Place, Table, nearest, read

__all__ = [
    "Check",
    "Control",
    "Example",
    "Framework",
    "Mappings",
    "Objective",
    "Relation",
    "Rule",
    "load",
]

SEVERITIES = ("critical", "high", "medium", "low", "info")
RELATIONS = ("equal-to", "subset-of", "superset-of", "intersects-with")
FACETS = ("operation", "design")
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_MAX_FILES = 10_000
_MAX_FRAMEWORK = 16 << 20  # bytes; the largest catalogue we know takes 0.3 MiB


@dataclass(frozen=True, slots=True)
class Example:
    """What a check must come to for given evidence; every check is tested by its own.

    Attributes:
        expect: a result, or for a query subject to result.
        data, gaps: one record's data and the columns that it lacks.
        tables: for a query, rows by kind; `_gaps` in a row names columns that it lacks, `_id` and
            `_scope` stand for the record's.
        incomplete: kinds of which not everything was seen.
        as_of: the moment, `2026-11-24T00:00:00Z` if left out.
    """

    expect: str | Mapping[str, str]
    data: Mapping[str, Json] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    tables: Mapping[str, Sequence[Mapping[str, Json]]] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()
    as_of: str = "2026-11-24T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Check:
    """One question. Either `pass_`, with or without `applies`, or `query` with `reads`."""

    id: str
    title: str
    severity: str
    kind: str
    objectives: tuple[str, ...]
    why: str
    fix: str
    where: Place
    applies: str | None = None
    pass_: str | None = None
    query: str | None = None
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    witness: str = ""
    examples: tuple[Example, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind that it reads."""
        return tuple(self.reads) if self.query is not None else (self.kind,)


@dataclass(frozen=True, slots=True)
class Relation:
    """How an objective relates to a control, in the set words of NIST IR 8477, and why."""

    control: str
    relation: str
    why: str


@dataclass(frozen=True, slots=True)
class Objective:
    """What must be true. `max_age` is in seconds."""

    id: str
    statement: str
    facet: str
    max_age: float
    relations: tuple[Relation, ...]
    where: Place


@dataclass(frozen=True, slots=True)
class Rule:
    """Which objectives together show a whole control, and what only a person can show."""

    control: str
    sufficient: tuple[tuple[str, ...], ...]
    manual: str
    why: str
    where: Place


@dataclass(frozen=True, slots=True)
class Control:
    """One requirement of a framework."""

    id: str
    title: str
    parent: str | None
    withdrawn: bool
    assessable: bool


@dataclass(frozen=True, slots=True)
class Framework:
    """A catalogue of controls, by id without the framework's name."""

    id: str
    title: str
    version: str
    controls: Mapping[str, Control]


@dataclass(frozen=True, slots=True)
class Mappings:
    """Everything that packs hold, by id, in the order of ids."""

    checks: Mapping[str, Check]
    objectives: Mapping[str, Objective]
    rules: Mapping[str, Rule]
    frameworks: Mapping[str, Framework]

    def related(self, control: str) -> Iterator[tuple[Objective, Relation]]:
        """The objectives that relate to a control, `framework:id`."""
        for objective in self.objectives.values():
            for relation in objective.relations:
                if relation.control == control:
                    yield objective, relation


def load(
    folders: Sequence[Path],
    *,
    strict: bool,
    selected: Sequence[str] | None = None,
    examples: bool = True,
) -> Mappings:
    """Read packs.

    Args:
        folders: one a pack, in the order of their names.
        strict: every framework that an objective names must be there; else what is said of others is
            left out, as in a bundle that holds only the frameworks in use.
        selected: frameworks that count; None: all.
        examples: whether checks have their examples, which are read for tests alone.

    Raises:
        MappingError: file, line, entry, and what would be right.
    """
    found = _Found(examples)
    for folder in folders:
        for path in _files(folder, "frameworks", "*.json"):
            found.framework(path)
        for part, take in (
            ("checks", found.check),
            ("objectives", found.objective),
            ("controls", found.rule),
        ):
            for path in _files(folder, part, "*.toml"):
                document = read(path, MappingError)
                _only(document, part)
                for table in _entries(document, part):
                    take(table)
    return found.mappings(strict, selected)


def _files(folder: Path, part: str, pattern: str) -> list[Path]:
    paths = sorted((folder / part).rglob(pattern))
    if len(paths) > _MAX_FILES:
        raise MappingError(f"{folder / part}: more than {_MAX_FILES} files")
    return paths


_ENTRY = {"checks": "check", "objectives": "objective", "controls": "control"}


def _only(document: Document, part: str) -> None:
    entry = _ENTRY[part]
    for key in document.data:
        if key != entry:
            where = f"{document.path}:{document.line(key)}"
            raise MappingError(
                f"{where}: unknown key {key}{nearest(key, [entry])}; only [[{entry}]] stands here"
            )


def _entries(document: Document, part: str) -> Iterator[Table]:
    yield from Table(document, document.data, (), MappingError).tables(_ENTRY[part])


class _Found:
    """Collects entries and refuses those that are there already."""

    def __init__(self, examples: bool) -> None:
        self._examples = examples
        self.checks: dict[str, Check] = {}
        self.objectives: dict[str, Objective] = {}
        self.rules: dict[str, Rule] = {}
        self.frameworks: dict[str, Framework] = {}

    def framework(self, path: Path) -> None:
        framework = _framework(path)
        if framework.id in self.frameworks:
            raise MappingError(f"{path}: framework {framework.id} is there already")
        self.frameworks[framework.id] = framework

    def check(self, table: Table) -> None:
        check = _check(table, self._examples)
        if other := self.checks.get(check.id):
            raise MappingError(f"{check.where}: check {check.id} is there already, at {other.where}")
        self.checks[check.id] = check

    def objective(self, table: Table) -> None:
        objective = _objective(table)
        if other := self.objectives.get(objective.id):
            raise MappingError(
                f"{objective.where}: objective {objective.id} is there already, at {other.where}"
            )
        self.objectives[objective.id] = objective

    def rule(self, table: Table) -> None:
        rule = _rule(table)
        if other := self.rules.get(rule.control):
            raise MappingError(f"{rule.where}: control {rule.control} is there already, at {other.where}")
        self.rules[rule.control] = rule

    def mappings(self, strict: bool, selected: Sequence[str] | None) -> Mappings:
        for check in self.checks.values():
            for name in check.objectives:
                self._objective_exists(name, check.where, f": check {check.id}")
        for objective in self.objectives.values():
            for relation in objective.relations:
                about = f": objective {objective.id}"
                self._control_exists(relation.control, objective.where, strict, about)
        for rule in self.rules.values():
            self._control_exists(rule.control, rule.where, strict)
            for name in {name for names in rule.sufficient for name in names}:
                self._objective_exists(name, rule.where, f": control {rule.control}")
        for name in selected or ():
            if name not in self.frameworks:
                raise MappingError(f"no framework {name}{nearest(name, self.frameworks)}")
        return Mappings(
            dict(sorted(self.checks.items())),
            dict(sorted(self.objectives.items())),
            dict(sorted(self.rules.items())),
            {
                name: framework
                for name, framework in sorted(self.frameworks.items())
                if selected is None or name in selected
            },
        )

    def _objective_exists(self, name: str, where: Place, about: str) -> None:
        if name not in self.objectives:
            raise MappingError(f"{where}{about}: no objective {name}{nearest(name, self.objectives)}")

    def _control_exists(self, name: str, where: Place, strict: bool, about: str = "") -> None:
        framework, colon, control = name.partition(":")
        if not colon:
            raise MappingError(f"{where}{about}: {name!r} is no control; must be like iso27001-2022:A.8.3")
        if framework not in self.frameworks:
            if strict:
                raise MappingError(
                    f"{where}{about}: no framework {framework}{nearest(framework, self.frameworks)}"
                )
            return
        controls = self.frameworks[framework].controls
        if control not in controls:
            raise MappingError(
                f"{where}{about}: {framework} has no control {control}{nearest(control, controls)}"
            )
        if controls[control].withdrawn or not controls[control].assessable:
            raise MappingError(
                f"{where}{about}: control {name} is withdrawn or a heading; nothing can be said of it"
            )


def _framework(path: Path) -> Framework:
    try:
        if path.stat().st_size > _MAX_FRAMEWORK:
            raise MappingError(f"{path}: larger than {_MAX_FRAMEWORK} bytes")
        data = loads(path.read_bytes())
        controls: dict[str, Control] = {}
        for each in data["controls"]:
            if each["id"] in controls:
                raise MappingError(f"{path}: control {each['id']} is there twice")
            controls[each["id"]] = Control(
                each["id"],
                each["title"],
                each.get("parent"),
                bool(each.get("withdrawn")),
                bool(each.get("assessable", True)),
            )
        return Framework(data["framework"], data["title"], data["version"], controls)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MappingError(f"{path}: no framework catalogue ({type(error).__name__}: {error})") from None


def _named(table: Table) -> tuple[str, Place]:
    id_ = table.string("id")
    if not _ID.match(id_):
        raise table.wrong(f"{id_!r} must be lower case words joined by -", "id")
    return id_, table.place()


def _check(table: Table, examples: bool) -> Check:
    id_, where = _named(table)
    query, pass_ = table.string("query", None), table.string("pass", None)
    if (query is None) == (pass_ is None):
        raise table.wrong(f"check {id_} needs either pass or query", "pass")
    reads = _reads(table) if query is not None else {}
    kind = table.string("kind", None) or next(iter(reads), "")
    if not kind:
        raise table.wrong(f"check {id_} names no kind", "kind")
    check = Check(
        id=id_,
        title=table.string("title"),
        severity=table.string("severity", choices=SEVERITIES),
        kind=kind,
        objectives=_objectives(table),
        why=table.string("why"),
        fix=table.string("fix"),
        where=where,
        applies=None if query is not None else table.string("applies", None),
        pass_=pass_,
        query=query,
        reads=reads,
        witness=(table.string("witness", "", choices=("", "pass", "fail")) or "")
        if query is not None
        else "",
        examples=tuple(_example(each, query is not None) for each in table.tables("example") if examples),
    )
    table.finish()
    return check


def _objectives(table: Table) -> tuple[str, ...]:
    if isinstance(table.data.get("objective"), str):
        return (table.string("objective"),)
    return table.strings("objective")


def _reads(table: Table) -> dict[str, tuple[str, ...]]:
    inner = table.table("reads")
    reads = {kind: inner.strings(kind) for kind in inner}
    inner.finish()
    if not reads:
        raise table.wrong("names no kind", "reads")
    return reads


_RESULTS = ("pass", "fail", "unknown", "not_applicable")


def _example(table: Table, query: bool) -> Example:
    as_of = table.string("as_of", "2026-11-24T00:00:00Z")
    if not query:
        example = Example(
            expect=table.string("expect", choices=_RESULTS),
            data=table.value("data", {}),
            gaps=tuple(table.strings("gaps", ())),
            as_of=as_of,
        )
    else:
        example = Example(
            expect=dict(table.value("expect", {})),
            tables=table.value("tables", {}),
            incomplete=tuple(table.strings("incomplete", ())),
            as_of=as_of,
        )
    table.finish()
    return example


def _objective(table: Table) -> Objective:
    id_, where = _named(table)
    relations = []
    for each in table.tables("control"):
        relations.append(
            Relation(each.string("id"), each.string("relation", choices=RELATIONS), each.string("why"))
        )
        each.finish()
    objective = Objective(
        id=id_,
        statement=table.string("statement"),
        facet=table.string("facet", choices=FACETS),
        max_age=table.duration("max_age"),
        relations=tuple(relations),
        where=where,
    )
    table.finish()
    return objective


def _rule(table: Table) -> Rule:
    sufficient: Any = table.value("sufficient", [])
    if not isinstance(sufficient, list) or not all(
        isinstance(names, list) and names and all(isinstance(name, str) for name in names)
        for names in sufficient
    ):
        raise table.wrong("must be a list of lists of objectives", "sufficient")
    rule = Rule(
        control=table.string("id"),
        sufficient=tuple(tuple(names) for names in sufficient),
        manual=table.string("manual", ""),
        why=table.string("why", ""),
        where=table.place(),
    )
    table.finish()
    return rule
