"""A source that a test changes by overriding a method; importable, so that jobs reach other processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from collector.model import (
    Ask,
    Column,
    Due,
    Fault,
    Gap,
    Identity,
    Json,
    Kind,
    Operation,
    Option,
    Outcome,
    Record,
    Reply,
    Target,
    Task,
    Text,
)

LIST, DETAIL, SIDE = "made:List", "made:Detail", "side:List"

THING = Kind(
    name="made_thing",
    title="things",
    columns=(
        Column("name", "VARCHAR", "its name", identity=Identity.RESOURCE),
        Column("size", "BIGINT", "its size"),
        Column("owner", "VARCHAR", "whose it is", identity=Identity.MAIL),
        Column("token", "VARCHAR", "what opens it", secret=True),
        Column("note", "VARCHAR", "what people say", free_text=True),
        Column("level", "BIGINT", "what the detail says", calls=(DETAIL,)),
    ),
    identity=("name",),
    operations=(Operation(LIST, "read"), Operation(DETAIL, "read", lists=False)),
)
OTHER = Kind(
    name="made_other",
    title="others",
    columns=(
        Column("name", "VARCHAR", "its name"),
        Column("level", "BIGINT", "what the detail says", calls=(DETAIL,)),
    ),
    identity=("name",),
    operations=(Operation(SIDE, "read"), Operation(DETAIL, "read", lists=False)),
)

PAGES: list[list[str]] = [["a", "b"], ["c"]]


class Made:
    """Three things on two pages, and a detail of each."""

    name: ClassVar[str] = "made"
    title: ClassVar[str] = "made up"
    options: ClassVar[tuple[Option, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = (THING, OTHER)
    discovery: ClassVar[tuple[Operation, ...]] = (Operation("made:Regions", "read"),)
    errors: ClassVar[Mapping[str, Fault]] = {
        "Denied": Fault(Outcome.DENIED),
        "NotSet": Fault(Outcome.ABSENT),
        "SlowDown": Fault(Outcome.BUDGET, retry=True),
        "Broken": Fault(Outcome.FAILED, retry=True),
    }

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self.settings = settings

    def root(self) -> Target:
        return Target(self.name, {"place": "here"}, "reader")

    def discover(self, ask: Ask) -> Json:
        return None

    def plan(self, found: Json) -> Sequence[Task]:
        places = self.settings.get("places", ["here"])
        due = (Due(THING.name, LIST),)
        return [Task(Target(self.name, {"place": place}, "reader"), (THING.name,), due) for place in places]

    def collect(self, task: Task, ask: Ask) -> Iterator[Record | Gap | Text]:
        for page in ask.pages(LIST):
            for name in page.data or ():
                detail = ask(DETAIL, {"name": name})
                data = {"name": name, "size": 1, "level": detail.data}
                yield Record(THING.name, name, task.target.scope, (page.call, detail.call), data)

    def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:
        if op == DETAIL:
            return Reply(7, size=1)
        page = params.get("page", 0)
        following = {**params, "page": page + 1} if page + 1 < len(PAGES) else None
        return Reply(PAGES[page], items=len(PAGES[page]), next=following, size=10)

    @classmethod
    def permissions(cls, kinds: Sequence[Kind]) -> str:
        return "read"


class Dying(Made):
    """Takes its process with it wherever the place is called `grave`."""

    def collect(self, task: Task, ask: Ask) -> Iterator[Record | Gap | Text]:
        if task.target.scope["place"] == "grave":
            os._exit(3)
        yield from super().collect(task, ask)
