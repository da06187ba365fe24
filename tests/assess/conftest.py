"""A small run's folder made by hand, and a pack of checks over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from collector.canonical import dumps, loads, sha256_hex
from collector.lines import LineWriter, read_lines
from collector.model import Json

SCOPE = {"place": "here"}
TARGET = sha256_hex(dumps(["made", SCOPE]))[:8]


def call(op: str, page: int = 1) -> str:
    return f"{TARGET}/{sha256_hex(dumps([op, {}, page]))[:16]}"


def column(name: str, type_: str, **more: Json) -> dict[str, Json]:
    plain = {"meaning": "made up", "calls": [], "secret": False, "identity": None, "free_text": False}
    return {"name": name, "type": type_, **plain, **more}


KIND = {
    "source": "made",
    "title": "Made up",
    "columns": [
        column("name", "VARCHAR"),
        column("number", "BIGINT"),
        column("mail", "VARCHAR", identity="mail"),
    ],
    "identity": ["name"],
    "operations": [{"name": "made:list", "permission": "none", "lists": True}],
    "derived": None,
}


class Run:
    """A run's folder in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pack = folder / "mappings" / "made"
        self.records: list[Mapping[str, Json]] = []
        self.gaps: list[Mapping[str, Json]] = []
        self.calls: list[dict[str, Json]] = [self.entry()]
        self.exceptions: dict[str, Json] = {
            "format": 1,
            "waivers": [],
            "out_of_scope": [],
            "accepted_gaps": [],
        }
        self.controls = ["C1"]

    @staticmethod
    def entry(**changed: Json) -> dict[str, Json]:
        plain = {
            "answer": "",
            "as": "",
            "at": "2026-11-24T00:00:00.000Z",
            "bytes": 1,
            "call": call("made:list"),
            "detail": "",
            "items": 1,
            "more": False,
            "ms": 1,
            "op": "made:list",
            "outcome": "ok",
            "page": 1,
            "params": {},
            "tries": 1,
        }
        return {**plain, **changed}

    def record(
        self, id_: str, gaps: Sequence[str] = (), redactions: Sequence[Json] = (), **data: Json
    ) -> None:
        self.records.append(
            {
                "calls": [call("made:list")],
                "data": data,
                "gaps": [{"column": name, "reason": "denied"} for name in gaps],
                "id": id_,
                "kind": "made_thing",
                "redactions": list(redactions),
                "scope": SCOPE,
            }
        )

    def check(self, text: str, name: str = "checks") -> None:
        (self.pack / "checks").mkdir(parents=True, exist_ok=True)
        (self.pack / "checks" / f"{name}.toml").write_text(text)

    def write(self) -> Path:
        for part in ("segments", "derived"):
            (self.folder / part).mkdir(exist_ok=True)
        for part in ("objectives", "frameworks", "checks"):
            (self.pack / part).mkdir(parents=True, exist_ok=True)
        (self.pack / "objectives" / "o.toml").write_text(
            '[[objective]]\nid = "holds"\nstatement = "It holds."\nfacet = "operation"\nmax_age = "24h"\n'
            '[[objective.control]]\nid = "frame:C1"\nrelation = "equal-to"\nwhy = "made up"\n'
        )
        catalogue = {
            "framework": "frame",
            "title": "Made up",
            "version": "1",
            "controls": [{"id": id_, "title": "Made up", "parent": None} for id_ in self.controls],
        }
        (self.pack / "frameworks" / "frame.json").write_bytes(dumps(catalogue))
        due = [{"kind": "made_thing", "op": "made:list", "params": {}, "call": call("made:list")}]
        task = {
            "id": "0" * 16,
            "source": "made",
            "scope": SCOPE,
            "principal": "",
            "kinds": ["made_thing"],
            "due": due,
        }
        plan = {
            "format": 1,
            "as_of": "2026-11-24T00:00:00Z",
            "frameworks": ["frame"],
            "tasks": [task],
            "absent": [],
            "undiscovered": [],
        }
        (self.folder / "plan.json").write_bytes(dumps(plan))
        (self.folder / "kinds.json").write_bytes(dumps({"format": 1, "kinds": {"made_thing": KIND}}))
        (self.folder / "exceptions.json").write_bytes(dumps(self.exceptions))
        with LineWriter(self.folder / "ledger.jsonl.gz", None) as lines:
            for entry in self.calls:
                lines.write(dumps(entry)[:-1])
        with LineWriter(self.folder / "part", None) as lines:
            for record in self.records:
                lines.write(b'{"record":' + dumps(record))
            for gap in self.gaps:
                lines.write(b'{"gap":' + dumps(gap))
            sealed = lines.close()
        sealed.path.rename(self.folder / "segments" / f"{sealed.sha256}.jsonl.gz")
        return self.folder

    def findings(self) -> list[dict[str, Json]]:
        return [loads(line) for line in read_lines(self.folder / "findings.jsonl.gz")]

    def results(self) -> dict[str, str]:
        return {line["subject"]: line["result"] for line in self.findings()}

    def status(self) -> str:
        return str(next(loads(line)["status"] for line in read_lines(self.folder / "controls.jsonl.gz")))


def row_check(expression: str, id_: str = "made-check", more: str = "") -> str:
    return (
        f'[[check]]\nid = "{id_}"\ntitle = "Made up"\nkind = "made_thing"\n'
        'severity = "low"\nobjective = "holds"\n'
        f"pass = '''\n{expression}\n'''\nwhy = \"made up\"\nfix = \"made up\"\n{more}\n"
    )


def query_check(sql: str, columns: str = '"name", "number"', id_: str = "made-query", more: str = "") -> str:
    return (
        f'[[check]]\nid = "{id_}"\ntitle = "Made up"\nseverity = "low"\nobjective = "holds"\n'
        f"query = '''\n{sql}\n'''\nreads = {{ made_thing = [{columns}] }}\n"
        f'why = "made up"\nfix = "made up"\n{more}\n'
    )


@pytest.fixture
def made(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def rows() -> Callable[..., str]:
    return row_check


@pytest.fixture
def queries() -> Callable[..., str]:
    return query_check
