from dataclasses import replace
from types import MappingProxyType

import pytest

from collector.model import Column, Derived, Fault, Identity, Kind, Operation, Option, Outcome
from collector.testing import check_derived, check_kind, check_source

KIND = Kind(
    name="shop_till",
    title="Tills",
    columns=(
        Column("number", "BIGINT", "its number"),
        Column("clerk", "VARCHAR", "who sits there", calls=("shop:Clerk",), identity=Identity.LOGIN),
    ),
    identity=("number",),
    operations=(
        Operation("shop:Tills", "read tills"),
        Operation("shop:Clerk", "read clerks", lists=False),
    ),
    examples=("SELECT clerk FROM shop_till WHERE number > 3",),
)


class Shop:
    name = "shop"
    title = "A shop"
    options = (Option("address", "string", "where it is", required=True),)
    kinds = (KIND,)
    discovery = ()
    errors = MappingProxyType({"closed": Fault(Outcome.UNREACHABLE)})

    def root(self): ...
    def discover(self, ask): ...
    def plan(self, found): ...
    def collect(self, task, ask): ...
    def send(self, target, op, params, timeout): ...

    @classmethod
    def permissions(cls, kinds):
        return "read tills"


def with_column(**changes):
    return replace(KIND, columns=(replace(KIND.columns[0], **changes), KIND.columns[1]))


def test_a_source_that_keeps_the_contract_has_nothing_wrong():
    assert check_source(Shop) == []


BROKEN_KINDS = {
    "type": (with_column(type="NUMBER"), "shop_till.number: column type 'NUMBER'"),
    "meaning": (with_column(meaning=""), "shop_till.number: meaning is empty"),
    "secret number": (with_column(secret=True), "cannot be secret or identify"),
    "prefix": (replace(KIND, name="store_till", examples=()), "store_till: must begin with shop_"),
    "title": (replace(KIND, title=""), "title is empty"),
    "example": (replace(KIND, examples=("SELECT clark FROM shop_till",)), "Binder Error"),
    "no list": (
        replace(KIND, operations=(replace(KIND.operations[0], lists=False), KIND.operations[1])),
        "no operation lists its population",
    ),
    "unused operation": (
        replace(KIND, operations=(*KIND.operations, Operation("shop:Prices", "read prices", lists=False))),
        "shop:Prices fills no column",
    ),
    "operation": (
        replace(KIND, operations=(*KIND.operations, Operation("Prices", "read prices"))),
        "'Prices' is not written service:Action",
    ),
    "permission": (
        replace(KIND, operations=(*KIND.operations, Operation("shop:Prices", ""))),
        "shop:Prices names no permission",
    ),
}


@pytest.mark.parametrize(("kind", "line"), BROKEN_KINDS.values(), ids=BROKEN_KINDS.keys())
def test_a_kind_that_breaks_the_contract_is_told(kind, line):
    assert any(line in found for found in check_kind(kind, "shop"))


BROKEN_SOURCES = {
    "name": ({"name": "Shop"}, "name 'Shop'"),
    "title": ({"title": ""}, "title is empty"),
    "kinds": ({"kinds": ()}, "has no kinds"),
    "kind twice": ({"kinds": (KIND, KIND)}, "two kinds of one name"),
    "option type": ({"options": (Option("a", "text", "x"),)}, "option a: type 'text'"),
    "option meaning": ({"options": (Option("a", "string", ""),)}, "option a: meaning is empty"),
    "default": ({"options": (Option("a", "string", "x", "y", required=True),)}, "default never counts"),
    "errors": ({"errors": {"x": Fault(Outcome.OK)}}, "cannot mean ok"),
    "outcome": ({"errors": {"x": Outcome.DENIED}}, "must be a Fault"),
    "discovery": ({"discovery": (Operation("shop:Find", ""),)}, "names no permission"),
    "permissions": ({"permissions": classmethod(lambda cls, kinds: " ")}, "permissions says nothing"),
}


@pytest.mark.parametrize(("changes", "line"), BROKEN_SOURCES.values(), ids=BROKEN_SOURCES.keys())
def test_a_source_that_breaks_the_contract_is_told(changes, line):
    assert any(line in found for found in check_source(type("Changed", (Shop,), changes)))


def test_a_missing_method_is_told_by_name():
    class Half:
        name = "half"
        title = "Half a source"

    assert "collect" in check_source(Half)[0] and "kinds" in check_source(Half)[0]


def test_a_derived_kind_may_read_declared_columns_only():
    table = Kind("shop_clerk", "Clerks", (Column("clerk", "VARCHAR", "name"),), ("clerk",))
    derived = Derived(table, 1, {"shop_till": ("clerk",)}, lambda records: iter(()))
    assert check_derived(derived, "shop", [KIND]) == []
    assert check_derived(replace(derived, reads={"shop_till": ("clark",)}), "shop", [KIND])
    assert check_derived(replace(derived, reads={"shop_tull": ("clerk",)}), "shop", [KIND])
    listed = replace(derived, kind=replace(KIND, name="shop_other", examples=()))
    assert any("no operations" in line for line in check_derived(listed, "shop", [KIND]))
