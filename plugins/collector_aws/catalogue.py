"""The kinds of AWS evidence, as `tools/generate_aws.py` compiled them from `services/*.toml`.

What a kind says is data: which call lists it, where in the answer its items lie, what tells one from
another, and which calls tell more of each. `services/README.md` describes the files that people write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from collector.model import Column, Identity, Json, Kind, Operation

__all__ = ["Batch", "Call", "Detail", "Node", "Paging", "Service", "catalogue"]

_FOLDER = Path(__file__).parent / "generated"
GATE = "sts:GetCallerIdentity"
"""Asked first of every target: who we are there. Where that fails, nothing else is asked."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How an operation is paged: which parameters carry which parts of an answer to the next page."""

    tokens: tuple[tuple[str, str], ...]  # parameter, path in the answer
    more: str = ""  # path of a flag that says whether there is more
    limit: str = ""  # parameter that says how much a page holds


@dataclass(frozen=True, slots=True)
class Batch:
    """Many items asked about in one call: their values at `of` become the list `param`."""

    param: str
    of: str
    size: int
    key: str = ""  # in the answer's items, what equals `of`
    sparse: bool = False  # what the answer leaves out has none; else that nothing is told of it is a gap


@dataclass(frozen=True, slots=True)
class Detail:
    """The call that describes what a list only names."""

    op: str
    params: Mapping[str, Json]
    take: str
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call that tells more of one item, and the column that its answer fills.

    Attributes:
        take: path of what is taken from the answer; from each page, put together, where `pages`.
        parse: whether what is taken is JSON in a string.
        when: path in the item and the values there for which the call is made (none: any that is true).
    """

    op: str
    params: Mapping[str, Json]
    column: str
    take: str = ""
    pages: bool = False
    parse: bool = False
    when: tuple[str, tuple[Json, ...]] | None = None
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """How one kind is collected.

    Attributes:
        kind: its table.
        op: the call that lists it; `params` one table of parameters for each time that it is made.
        items: path of the items in a page; `each` names the field that holds an item which is no object.
        one: a single record for the whole answer; `present`: the column that says whether there is one.
        parent: the kind whose items are listed for; `carried`: columns taken from that item; `when`: path
            in that item and the values there for which it is done, as of `Call`.
        id: template of the record's id.
        region: path of the region in the item, where that is not the target's.
        parsed: columns that are JSON in a string.
        decoded: paths of texts that come in base64.
        function: name of the function in `special.py` that collects it, in place of all this.
        pages: how many pages are read at most; what is behind them is a gap.
    """

    kind: Kind
    op: str = ""
    params: tuple[Mapping[str, Json], ...] = ({},)
    items: str = ""
    each: str = ""
    one: bool = False
    present: str = ""
    parent: str = ""
    when: tuple[str, tuple[Json, ...]] | None = None
    carried: tuple[tuple[str, str], ...] = ()
    detail: Detail | None = None
    calls: tuple[Call, ...] = ()
    id: str = ""
    region: str = ""
    parsed: frozenset[str] = frozenset()
    decoded: tuple[str, ...] = ()
    function: str = ""
    pages: int = 0
    everywhere: bool = False
    """Whether it is asked once for an account and not in each region."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service's kinds, and what is known of its operations.

    Attributes:
        name: as botocore calls it.
        nodes: in the order in which they are collected.
        paging: by operation.
        absent: by operation, error codes (and a part of their message, "" for any) that mean "not set".
    """

    name: str
    nodes: tuple[Node, ...]
    paging: Mapping[str, Paging]
    absent: Mapping[str, tuple[tuple[str, str], ...]]


@cache
def catalogue() -> Mapping[str, Service]:
    """All services, by the name of their file."""
    return {path.stem: _service(json.loads(path.read_bytes())) for path in sorted(_FOLDER.glob("*.json"))}


def _service(told: Mapping[str, Json]) -> Service:
    return Service(
        told["service"],
        tuple(_node(each) for each in told["kinds"]),
        {
            op: Paging(tuple(map(tuple, each["tokens"])), each["more"], each["limit"])
            for op, each in told["paging"].items()
        },
        {op: tuple(map(tuple, codes)) for op, codes in told["absent"].items()},
    )


def _node(told: Mapping[str, Json]) -> Node:
    detail = told["detail"]
    return Node(
        kind=_kind(told),
        op=told["op"],
        params=tuple(told["params"]),
        items=told["items"],
        each=told["each"],
        one=told["one"],
        present=told["present"],
        parent=told["parent"],
        when=_when(told["when"]),
        carried=tuple(told["with"].items()),
        detail=Detail(detail["op"], detail["params"], detail["take"], _batch(detail["batch"]))
        if detail
        else None,
        calls=tuple(map(_call, told["calls"])),
        id=told["id"],
        region=told["region"],
        parsed=frozenset(told["parsed"]),
        decoded=tuple(told["decoded"]),
        function=told["function"],
        pages=told["pages"],
        everywhere=told["everywhere"],
    )


def _call(told: Mapping[str, Json]) -> Call:
    return Call(
        told["op"],
        told["params"],
        told["column"],
        told["take"],
        told["pages"],
        told["parse"],
        _when(told["when"]),
        _batch(told["batch"]),
    )


def _when(told: Sequence[Json] | None) -> tuple[str, tuple[Json, ...]] | None:
    return (told[0], tuple(told[1])) if told else None


def _batch(told: Mapping[str, Json] | None) -> Batch | None:
    return Batch(**told) if told else None


def _kind(told: Mapping[str, Json]) -> Kind:
    columns = tuple(
        Column(
            each["name"],
            each["type"],
            each["meaning"],
            tuple(each["calls"]),
            each.get("secret", False),
            Identity(each["identity"]) if "identity" in each else None,
            each.get("free_text", False),
        )
        for each in told["columns"]
    )
    operations = tuple(Operation(*each) for each in told["operations"])
    return Kind(
        told["name"], told["title"], columns, tuple(told["identity"]), operations, tuple(told["examples"])
    )
