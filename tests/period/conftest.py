"""Series of real bundles: evidence of doors, judged by the real judge, sealed, signed, chained."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from collector.assess import assess
from collector.bundle.keypair import generate_key
from collector.bundle.seal import seal
from collector.bundle.trust import Trust, trust_of_key
from collector.canonical import dumps, sha256_hex
from collector.deliver.series import Link, key
from collector.lines import LineWriter
from collector.model import Json
from collector.report.period import Asked, ControlPeriod, Period, period

FIRST = datetime(2026, 8, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)

LOCKED = """
[[check]]
id = "door-locked"
title = "Doors are locked"
kind = "toy_door"
severity = "high"
objective = "doors-are-locked"
pass = "locked"
why = "An open door lets everybody in."
fix = "Lock it."
"""
NAMED = """
[[check]]
id = "door-named"
title = "Doors have names"
kind = "toy_door"
severity = "low"
objective = "doors-are-known"
pass = "name is not null"
why = "Nobody finds a door without a name."
fix = "Name it."
"""
HEAVY = """
[[check]]
id = "door-heavy"
title = "Doors are heavy"
kind = "toy_door"
severity = "low"
objective = "doors-are-locked"
pass = "name is not null"
why = "A light door is kicked in."
fix = "Hang a heavy one."
"""
OBJECTIVE = """
[[objective]]
id = "{name}"
statement = "It is so."
facet = "operation"
max_age = "24h"
[[objective.control]]
id = "toy:{control}"
relation = "{how}"
why = "It is the control, word for word."
"""
RULES = """
[[control]]
id = "toy:T.3"
manual = "The minutes of the toy board."
"""
SUFFICIENT = """
[[control]]
id = "toy:T.1"
sufficient = [["doors-are-locked", "doors-are-known"]]
why = "Both make the whole."
"""
FRAMEWORK = {
    "framework": "toy",
    "title": "The Toy Standard",
    "version": "1",
    "controls": [{"id": f"T.{n}", "title": f"Toy control {n}", "parent": None} for n in (1, 2, 3, 4)],
}


@dataclass(frozen=True)
class Night:
    """What one night finds.

    Attributes:
        locked: whether the front door is; None: the target would not say.
        seen: whether the list of doors could be read to its end.
        pack: how the mappings differ from the first ones; "" if they do not.
        judged: whether the framework is judged.
        away: controls that an exception takes out of scope.
        waived: whether an exception answers for the open door.
        host: where the doors are.
    """

    locked: bool | None = True
    seen: bool = True
    pack: str = ""
    judged: bool = True
    away: tuple[str, ...] = ()
    waived: bool = False
    host: str = "web1"


HELD = Night()


def _lines(path: Path, objects: Sequence[Json]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with LineWriter(path, None) as writer:
        for each in objects:
            writer.write(dumps(each)[:-1])
    return writer.close().sha256


def _until(**more: Json) -> dict[str, Json]:
    return {"owner": "ana", "approver": "ben", "reason": "known", "until": "2030-01-01", **more}


def _evidence(folder: Path, night: Night, as_of: str) -> str:
    """Write a run's folder up to its verdicts. Returns the segment's digest."""
    scope = {"host": night.host}
    target, page = (sha256_hex(dumps(each)) for each in (["toy", scope], ["toy:doors", {}, 1]))
    asked = f"{target[:8]}/{page[:16]}"
    gaps = [] if night.locked is not None else [{"column": "locked", "reason": "denied", "call": asked}]
    data = {"name": "front"} | ({} if night.locked is None else {"locked": night.locked})
    record = {"kind": "toy_door", "id": "front", "scope": scope, "calls": [asked], "gaps": gaps}
    lines: list[Json] = [{"record": {**record, "redactions": [], "data": data}}]
    if not night.seen:
        lines.append({"gap": {"kind": "toy_door", "scope": scope, "reason": "truncated", "call": asked}})
    digest = _lines(folder / "segments/new", lines)
    (folder / "segments/new").rename(folder / f"segments/{digest}.jsonl.gz")
    call = {"call": asked, "op": "toy:doors", "params": {}, "as": "uid 1000", "outcome": "ok", "at": as_of}
    more = {"detail": "", "items": None, "more": not night.seen, "ms": 1, "tries": 1, "page": 1, "bytes": 1}
    _lines(folder / "ledger.jsonl.gz", [{**call, **more, "answer": None}])
    due = [{"kind": "toy_door", "op": "toy:doors", "params": {}, "call": asked}]
    task = {"id": "0" * 16, "source": "toy", "scope": scope, "principal": "", "kinds": ["toy_door"]}
    plan = {"as_of": as_of, "frameworks": ["toy"] if night.judged else [], "absent": [], "undiscovered": []}
    column = {"meaning": "made up", "calls": [], "secret": False, "identity": None, "free_text": False}
    columns = [{"name": n, "type": t, **column} for n, t in (("name", "VARCHAR"), ("locked", "BOOLEAN"))]
    kind = {"source": "toy", "title": "", "columns": columns, "identity": ["name"], "derived": None}
    lists = [{"name": "toy:doors", "permission": "anyone", "lists": True}]
    waivers = [_until(check="door-locked", subject="*", scope={})] if night.waived else []
    away = [_until(control=f"toy:{name}") for name in night.away]
    documents = {
        "plan": {**plan, "tasks": [{**task, "due": due}]},
        "kinds": {"kinds": {"toy_door": {**kind, "operations": lists}}},
        "exceptions": {"waivers": waivers, "out_of_scope": away, "accepted_gaps": []},
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_bytes(dumps({"format": 1, **document}))
    _pack(folder / "mappings/toy", night.pack)
    return digest


def _pack(folder: Path, how: str) -> None:
    objectives = {"doors-are-locked": "T.1", "doors-are-known": "T.2"}
    texts = {
        "checks/c.toml": _checks(how) + NAMED,
        "objectives/o.toml": "".join(
            OBJECTIVE.format(name=n, control=c, how="superset-of" if how == "related" else "equal-to")
            for n, c in objectives.items()
        ),
        "controls/r.toml": RULES + (SUFFICIENT if how == "sufficient" else ""),
        "frameworks/toy.json": dumps(FRAMEWORK).decode(),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def _checks(how: str) -> str:
    match how:
        case "heavy":
            return LOCKED + HEAVY
        case "other":
            return LOCKED.replace("door-locked", "door-other")
        case "altered":
            return LOCKED.replace('pass = "locked"', 'pass = "locked and name is not null"')
        case "reworded":
            return LOCKED.replace("Lock it.", "Lock it today.")
    return LOCKED


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Workshop:
    """Makes bundles; what was judged once is not judged again."""

    folder: Path
    signer: Any
    judged: dict[Night, Path] = field(default_factory=dict)
    populations: dict[Night, Sequence[Json]] = field(default_factory=dict)
    made: int = 0

    def verdicts(self, night: Night) -> Path:
        if night not in self.judged:
            folder = self.folder / f"judged-{len(self.judged)}"
            folder.mkdir()
            _evidence(folder, night, moment(FIRST))
            self.populations[night] = assess(folder).populations
            self.judged[night] = folder
        return self.judged[night]

    def seal(
        self, night: Night, at: datetime, link: Link, name: str, cadence: float, asked: datetime
    ) -> tuple[Path, str]:
        """The bundle of one night, and its statement's digest."""
        self.made += 1
        run = self.folder / f"run-{self.made}"
        run.mkdir()
        segment = _evidence(run, night, moment(at))
        for verdicts in ("findings.jsonl.gz", "controls.jsonl.gz"):
            shutil.copyfile(self.verdicts(night) / verdicts, run / verdicts)
        facts = {
            "agent": {"name": "evidence-collector", "version": "0.1.0", "digest": None},
            "plugins": [],
            "configuration": "ab" * 32,
            "principals": [],
            "window": {"from": moment(asked), "to": moment(asked + timedelta(minutes=1))},
            "as_of": moment(at),
            "tasks": [{"id": "0" * 16, "state": "done", "segment": segment}],
            "derived": [],
            "completeness": self.populations[night],
            "keep": None,
            "secret_key_id": None,
            "series": link.facts(name, cadence),
        }
        sealed = seal(run, facts, self.signer, self.folder / f"{self.made}.zip")
        shutil.rmtree(run)
        return sealed.path, sealed.digest


class Series:
    """A store, and what may go wrong in one."""

    def __init__(self, store: Path, workshop: Workshop, trust: Trust, name: str = "acme") -> None:
        self.store, self.trust, self.name = store, trust, name
        self._workshop = workshop
        self.paths: list[Path] = []
        self._links: list[Link] = []
        self._digests: list[str] = []

    def night(
        self,
        night: Night = HELD,
        *,
        at: datetime | None = None,
        cadence: float = 86400,
        fresh: str = "",
        asked: datetime | None = None,
    ) -> Path:
        """Put the next night's bundle into the store: a day after the one before, or at a moment.

        `fresh` is the reason of a new epoch that begins with it; `asked` when its calls were, if not then.
        """
        at = at or FIRST + len(self.paths) * DAY
        if not self._links or fresh:
            link = Link(moment(at), 1, None, fresh or "the first run")
        else:
            link = Link(self._links[-1].epoch, self._links[-1].sequence + 1, self._digests[-1])
        path = self._put(night, at, link, cadence, asked)
        self.paths.append(path)
        self._links.append(link)
        return path

    def nights(self, *nights: Night) -> list[Path]:
        return [self.night(each) for each in nights]

    def fork(self, number: int, night: Night) -> Path:
        """Another bundle of a number that is there, as of a second later."""
        path = self._put(night, FIRST + (number - 1) * DAY + timedelta(seconds=1), self._links[number - 1])
        self._digests.pop()
        return path

    def _put(
        self, night: Night, at: datetime, link: Link, cadence: float = 86400, asked: datetime | None = None
    ) -> Path:
        made, digest = self._workshop.seal(night, at, link, self.name, cadence, asked or at)
        path = self.store / key(self.name, link, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        made.rename(path)
        self._digests.append(digest)
        return path

    def look(self, begins: str | None = "2026-08-01", ends: str | None = None, **more: Any) -> Period:
        """The report; its end is that of the last night's day if left out."""
        days = [datetime.fromisoformat(each).replace(tzinfo=UTC) if each else None for each in (begins, ends)]
        since, day = days
        day = day or FIRST + (len(self.paths) - 1) * DAY
        until = day.replace(hour=23, minute=59, second=59)
        return period(Asked(self.store, since, until, **more), self.trust)


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    folder = tmp_path_factory.mktemp("workshop")
    generate_key(folder / "key.pem")
    private = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    return Workshop(folder, CryptoSigner(private))


@pytest.fixture(scope="session")
def key_file(workshop: Workshop) -> Path:
    """The public key that counts."""
    return workshop.folder / "key.pub.pem"


@pytest.fixture
def make_series(workshop: Workshop, key_file: Path, tmp_path: Path) -> Callable[..., Series]:
    """Makes stores by name; `name` is the series' own."""
    trust = trust_of_key(key_file)
    return lambda folder="store", **more: Series(tmp_path / folder, workshop, trust, **more)


@pytest.fixture
def series(make_series: Callable[..., Series]) -> Series:
    return make_series()


@pytest.fixture(scope="session")
def nights() -> Mapping[str, Night]:
    """Nights by what they find."""
    return {
        "held": HELD,
        "open": Night(locked=False),
        "denied": Night(locked=None),
        "unfinished": Night(seen=False),
        "heavy": Night(pack="heavy"),
        "unjudged": Night(judged=False),
        "away": Night(away=("T.1",)),
        "waived": Night(locked=False, waived=True),
        "moved": Night(host="web2"),
    }


@pytest.fixture(scope="session")
def packed() -> Callable[[str], Night]:
    """A night that holds, judged by other mappings."""
    return lambda how: Night(pack=how)


@pytest.fixture(scope="session")
def damage() -> Callable[[Path], None]:
    return flip


@pytest.fixture(scope="session")
def control() -> Callable[..., ControlPeriod]:
    """One control of a report."""
    return lambda found, name="T.1": next(
        each for each in found.controls["toy"] if each.control == f"toy:{name}"
    )
