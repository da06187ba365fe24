from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from collector.canonical import dumps
from collector.lines import LineWriter
from collector.report.evidence import Evidence

WEB = {"host": "web1"}
CALL, SHADOW, KEYS = "aaaaaaaa/0000000000000001", "aaaaaaaa/0000000000000002", "aaaaaaaa/0000000000000003"

CHECKS = """
[[check]]
id = "box-closed"
title = "Boxes are closed"
kind = "toy_box"
severity = "high"
objective = "boxes-are-closed"
pass = "closed"
why = "An open box loses what is in it."
fix = "Close the box."

[[check]]
id = "box-named"
title = "Boxes have names"
kind = "toy_box"
severity = "low"
objective = "boxes-are-known"
pass = "name is not null"
why = "A box without a name cannot be found."
fix = "Write a name on the box."

[[check]]
id = "key-kept"
title = "Keys are kept by somebody"
kind = "toy_key"
severity = "critical"
objective = "keys-are-kept"
pass = "holder is not null"
why = "A key that nobody keeps opens for everybody."
fix = "Give the key to somebody."
"""
OBJECTIVES = """
[[objective]]
id = "boxes-are-closed"
statement = "What lies in boxes stays there."
facet = "operation"
max_age = "24h"
[[objective.control]]
id = "toy:T.1"
relation = "equal-to"
why = "It is the control, word for word."

[[objective]]
id = "boxes-are-known"
statement = "Every box can be found."
facet = "operation"
max_age = "24h"
[[objective.control]]
id = "toy:T.2"
relation = "subset-of"
why = "A part of what the control asks for."

[[objective]]
id = "keys-are-kept"
statement = "Every key has a holder."
facet = "operation"
max_age = "24h"
[[objective.control]]
id = "toy:T.2"
relation = "subset-of"
why = "The other part."
"""
RULES = """
[[control]]
id = "toy:T.2"
sufficient = [["boxes-are-known", "keys-are-kept"]]
why = "Both parts make the whole."
[[control]]
id = "toy:T.3"
manual = "The minutes of the toy board."
"""
FRAMEWORK = {
    "framework": "toy",
    "title": "The Toy Standard",
    "version": "1",
    "controls": [{"id": f"T.{n}", "title": f"Toy control {n}", "parent": None} for n in (1, 2, 3, 4)],
}


def lines(path: Path, objects: Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with LineWriter(path, None) as writer:
        for each in objects:
            writer.write(dumps(each)[:-1])


def box(name: str, closed: bool | None, **more: Any) -> dict[str, Any]:
    record = {"kind": "toy_box", "id": name, "scope": WEB, "calls": [CALL], "gaps": [], "redactions": []}
    return {"record": {**record, "data": {"name": name, "closed": closed}, **more}}


def finding(check: str, subject: str, result: str, severity: str = "high", **more: Any) -> dict[str, Any]:
    kind = "toy_key" if check.startswith("key") else "toy_box"
    whole = {"check": check, "kind": kind, "subject": subject, "scope": WEB, "result": result}
    return {**whole, "severity": severity, "detail": "", "waiver": None, **more}


def call(id_: str, op: str, outcome: str, **more: Any) -> dict[str, Any]:
    whole = {"call": id_, "op": op, "params": {"box": "all"}, "as": "uid 1000", "outcome": outcome}
    return {**whole, "at": "2026-11-24T02:00:03.120Z", "detail": "", "items": None, "more": False, **more}


def control(id_: str, status: str, **objectives: str) -> dict[str, Any]:
    counts = {"pass": 1, "fail": 0, "unknown": 0, "waived": 0}
    named = {name.replace("_", "-"): {"status": each, **counts} for name, each in objectives.items()}
    return {"control": id_, "status": status, "objectives": named}


WAIVER = {"owner": "ana", "approver": "ben", "reason": "moved in spring", "until": "2027-01-01"}


def write_run(folder: Path, **changes: Any) -> Path:
    """A small run's folder; `changes` replace the objects of a file by its name without its ending."""
    column = {"name": "name", "type": "VARCHAR", "meaning": "", "calls": [], "secret": False}
    kind = {"source": "toy", "title": "", "columns": [column], "identity": ["name"], "derived": None}
    boxes = {**kind, "operations": [{"name": "toy:boxes", "permission": "anyone", "lists": True}]}
    keys = {
        **kind,
        "operations": [{"name": "toy:keys", "permission": "the key holder's right", "lists": True}],
    }
    task = {"id": "0" * 16, "source": "toy", "scope": WEB, "principal": "uid 1000", "due": []}
    plan = {"format": 1, "as_of": "2026-11-24T02:00:00Z", "frameworks": ["toy"], "absent": []}
    files: dict[str, Any] = {
        "plan": {**plan, "undiscovered": [], "tasks": [{**task, "kinds": ["toy_box", "toy_key"]}]},
        "kinds": {"format": 1, "kinds": {"toy_box": boxes, "toy_key": keys}},
        "ledger": [
            call(CALL, "toy:boxes", "ok"),
            call(SHADOW, "toy:shadow", "failed", detail="exit 1"),
            call(KEYS, "toy:keys", "denied", detail="no right"),
        ],
        "segments/s": [
            box("a", True),
            box("b", False),
            box(
                "c", None, gaps=[{"column": "closed", "reason": "failed", "call": SHADOW, "detail": "exit 1"}]
            ),
            box("d", False),
            {"gap": {"kind": "toy_key", "scope": WEB, "reason": "denied", "call": KEYS}},
        ],
        "findings": [
            finding("box-closed", "a", "pass"),
            finding("box-closed", "b", "fail", detail="closed is false"),
            finding("box-closed", "c", "unknown", detail="closed: failed"),
            finding("box-closed", "d", "fail", waiver=WAIVER),
            finding("box-named", "a", "pass", "low"),
            finding("key-kept", "", "unknown", "critical", detail="not all of it was seen"),
        ],
        "controls": [
            control("toy:T.1", "not_satisfied", boxes_are_closed="fail"),
            control("toy:T.2", "partial", boxes_are_known="pass", keys_are_kept="unknown"),
            control("toy:T.3", "manual"),
            control("toy:T.4", "no_evidence"),
        ],
    }
    for name, value in (files | changes).items():
        if isinstance(value, Mapping):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_bytes(dumps(value))
        else:
            lines(folder / f"{name}.jsonl.gz", value)
    write_pack(folder / "mappings/toy")
    return folder


def write_pack(folder: Path) -> None:
    texts = {"checks/c.toml": CHECKS, "objectives/o.toml": OBJECTIVES, "controls/r.toml": RULES}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "frameworks").mkdir()
    (folder / "frameworks/toy.json").write_bytes(dumps(FRAMEWORK))


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(write_run(tmp_path / "run"))


@pytest.fixture
def evidence_with(tmp_path: Path) -> Any:
    """Makes evidence in which some files hold other objects."""
    return lambda **changes: Evidence(write_run(tmp_path / "changed", **changes))
