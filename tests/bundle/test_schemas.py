"""The published schemas, held against the code that writes and the code that checks."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import collector.bundle
from collector.assess import exceptions
from collector.assess.evidence import kind_json
from collector.bundle.facts import MAX_SECONDS, check_facts
from collector.bundle.proofs import spill
from collector.bundle.seal import SealedBundle
from collector.bundle.selection import Asked
from collector.canonical import dumps, loads, salted
from collector.collect.ledger import Entry
from collector.lines import LineWriter
from collector.model import Column, Derived, Identity, Kind, Operation, Outcome
from collector.toml import parse_duration

SCHEMAS = Path(collector.bundle.__file__).parents[2] / "docs" / "schemas"
NAMES = sorted(path.stem for path in SCHEMAS.glob("*.json"))
SALT = bytes(32)
Seals = Callable[[str], SealedBundle]


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def check(name: str, value: Any) -> None:
    jsonschema.Draft202012Validator(schema(name)).validate(value)


def test_each_schema_is_one_of_2020_12() -> None:
    assert (
        sorted(
            "record gap ledger finding control plan kinds exceptions statement disclosure disclosed".split()
        )
        == NAMES
    )
    for name in NAMES:
        jsonschema.Draft202012Validator.check_schema(schema(name))
        assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_line_and_document_of_evidence_in_a_bundle_fits(sealed: Seals, forger: Any) -> None:

    members = dict(forger.members(sealed("ed").path))
    for name in ("plan", "kinds", "exceptions"):
        check(name, loads(members[f"{name}.json"]))
    for name, content in members.items():
        if name.startswith(("segments/", "derived/")):
            for line in zlib.decompress(content, wbits=31).splitlines():
                value = loads(line)
                check("record" if "record" in value else "gap", value)


def stated(sealed: Seals, forger: Any) -> Any:
    members = dict(forger.members(sealed("ed").path))
    return loads(base64.b64decode(loads(members["statement.dsse.json"])["payload"]))


def test_a_statement_fits(sealed: Seals, forger: Any) -> None:
    check("statement", stated(sealed, forger))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_the_ledger_writes_fits(outcome: Outcome) -> None:
    entry = Entry(
        call="9f3c01aa/0011223344556677",
        op="host:users",
        params={"path": "/etc/passwd"},
        principal="root",
        at="2026-11-24T02:00:03.120Z",
        ms=3,
        tries=1,
        page=1,
        more=False,
        items=None,
        size=12,
        outcome=outcome,
        detail="",
        answer="",
    )
    check("ledger", loads(salted(*entry.line(), SALT)))


def test_kinds_and_exceptions_as_the_code_writes_them_fit(tmp_path: Path) -> None:
    column = Column("name", "VARCHAR", "its name", ("host:users",), identity=Identity.LOGIN)
    kind = Kind("host_user", "Users", (column,), ("name",), (Operation("host:users", "none"),))
    derived = Derived(
        Kind("host_login", "Logins", (column := Column("name", "VARCHAR", "x"),), ("name",)), 1, {}, _none
    )
    kinds = {"host_user": kind_json("host", kind), "host_login": kind_json("host", derived.kind, derived)}
    check("kinds", {"format": 1, "kinds": kinds})
    text = "".join(
        f'[[{table}]]\n{keys}\nowner = "o"\napprover = "a"\nreason = "r"\nuntil = 2027-01-01\n'
        for table, keys in (
            ("waiver", 'check = "c"\nsubject = "s*"\nscope = { host = "web1" }'),
            ("out_of_scope", 'control = "soc2-2017:CC1.1"'),
            ("accepted_gap", 'kind = "host_user"\ncolumn = "name"\ngap = ["denied"]'),
        )
    )
    (tmp_path / "exceptions.toml").write_text(text)
    check("exceptions", exceptions.load(tmp_path / "exceptions.toml"))
    check("exceptions", exceptions.load(None))


@pytest.mark.parametrize(
    "asked",
    [
        Asked(controls=("soc2-2017:CC1.1", "soc2-2017:CC1.2")),
        Asked(checks=("a",), kinds=("host_user",), records=("é", "…")),
    ],
)
def test_what_was_asked_for_fits(asked: Asked) -> None:
    check("disclosure", loads(asked.document()))


@pytest.mark.parametrize("change", [{"format": 2}, {"note": 1}, {"kinds": ["a", "a"]}, {"checks": [7]}])
def test_what_the_code_refuses_to_have_been_asked_does_not_fit(change: Any) -> None:
    value = {**loads(Asked().document()), **change}
    with pytest.raises(ValueError):
        Asked.parse(dumps(value))
    with pytest.raises(jsonschema.ValidationError):
        check("disclosure", value)


@pytest.mark.parametrize("count", [1, 2, 5, 3000])
def test_disclosed_lines_of_small_and_large_files_fit(tmp_path: Path, count: int) -> None:
    with LineWriter(tmp_path / "lines", SALT) as lines:
        for number in range(count):
            lines.write(b'{"check":"%d"' % number)
    with (tmp_path / "lines").open("rb") as file:
        made = spill(file, "findings.jsonl.gz", count, lambda batch: range(0, len(batch), 7), tmp_path)
    shown = b"".join(made.pieces()).splitlines()
    assert shown
    for line in shown:
        check("disclosed", loads(line))


def test_a_disclosed_line_of_another_shape_does_not_fit() -> None:
    good = {"index": 0, "line": "{}", "member": "ledger.jsonl.gz", "path": ["a" * 64], "size": 2}
    check("disclosed", good)
    for change in ({"member": "plan.json"}, {"path": ["A" * 64]}, {"index": -1}, {"note": 1}, {"size": 0}):
        with pytest.raises(jsonschema.ValidationError):
            check("disclosed", {**good, **change})


@pytest.mark.parametrize("place", [("keep",), ("series", "cadence")])
def test_a_length_of_time_is_at_most_what_a_configuration_may_say(
    sealed: Seals, forger: Any, place: tuple[str, ...]
) -> None:
    predicate = stated(sealed, forger)["predicate"]
    table = predicate if len(place) == 1 else predicate[place[0]]
    table[place[-1]] = int(parse_duration("36600d"))
    check_facts(predicate)
    for absurd in (MAX_SECONDS + 1, 2**62):
        table[place[-1]] = absurd
        with pytest.raises(ValueError, match=f"{'.'.join(place)}: must be a whole number, .* at most"):
            check_facts(predicate)


def _none(records: Any) -> Any:
    return iter(())


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([MAX_SECONDS, MAX_SECONDS + 1]),
    st.sampled_from(
        ["", "x", "a" * 64, "0" * 16, "done", "denied", "ok", "host_user", "2026-11-24T02:00:00Z"]
    ),
    st.sampled_from([[], {}, ["x"], {"x": 1}, {"denied": 1}, {"host_user": 2}, {"host_user": {"denied": 1}}]),
)
ORDER = ("ascending order", "has no previous", "has a reason", "ends before")  # what a schema cannot say


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_code_and_the_schema_accept_the_same_predicates(
    sealed: Seals, forger: Any, data: st.DataObject
) -> None:
    predicate = stated(sealed, forger)["predicate"]
    table: Any = predicate
    while True:
        keys = list(table) if isinstance(table, dict) else list(range(len(table)))
        key = data.draw(st.sampled_from([*keys, "mood"] if isinstance(table, dict) else keys))
        inner = table.get(key) if isinstance(table, dict) else table[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        table = inner
    if isinstance(table, dict) and data.draw(st.booleans()):
        table.pop(key, None)
    else:
        table[key] = data.draw(VALUES)
    validator = jsonschema.Draft202012Validator(schema("statement")["properties"]["predicate"])
    said = ""
    try:
        check_facts(predicate)
    except ValueError as error:
        said = str(error)
    if any(word in said for word in ORDER):
        return
    assert validator.is_valid(predicate) == (not said), said
