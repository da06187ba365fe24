"""A small finished run, and keys to seal it with."""

from __future__ import annotations

import base64
import json
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.signer import CryptoSigner, Signer

from collector.bundle.archive import Archive
from collector.bundle.authority import TimeAuthority
from collector.bundle.headers import Member, directory, local_header
from collector.bundle.keypair import generate_key
from collector.bundle.seal import SealedBundle, seal
from collector.bundle.sign import sign
from collector.bundle.trust import Trust, trust_of_key
from collector.canonical import dumps, sha256_hex
from collector.lines import LineWriter

SALT = bytes(range(32))
AS_OF = "2026-11-24T02:00:00Z"
TASKS = ("1f3c9ab201aa77e0", "9f3c9ab201aa77e0", "af3c9ab201aa77e0")


def _lines(path: Path, objects: list[tuple[str, Any]]) -> str:
    with LineWriter(path, SALT) as writer:
        for key, inner in objects:
            writer.write(b'{"%s":' % key.encode() + dumps(inner))
    return writer.close().sha256


def _named(folder: Path, objects: list[tuple[str, Any]]) -> str:
    folder.mkdir(exist_ok=True)
    digest = _lines(folder / "new", objects)
    (folder / "new").rename(folder / f"{digest}.jsonl.gz")
    return digest


def _record(kind: str, number: int, gaps: list[dict[str, str]]) -> tuple[str, Any]:
    return "record", {
        "kind": kind,
        "id": f"{kind}-{number}",
        "scope": {"host": "web1"},
        "calls": ["9f3c01aa/0011223344556677"],
        "gaps": gaps,
        "redactions": [],
        "data": {"name": f"n{number}", "size": number, "note": "é"},
    }


def finished_run(folder: Path) -> dict[str, Any]:
    """Write a run's folder and give the facts of its statement."""
    folder.mkdir()
    denied = {"column": "size", "reason": "denied"}
    users = [_record("host_user", number, [denied] if number == 3 else []) for number in range(9)]
    hole = ("gap", {"kind": "host_mount", "scope": {"host": "web1"}, "reason": "timeout"})
    first = _named(folder / "segments", users)
    second = _named(folder / "segments", [_record("host_mount", 1, []), hole])
    derived = _named(folder / "derived", [_record("host_login", 1, [])])
    tasks = [
        {"id": task, "source": "host", "scope": {}, "principal": "", "kinds": [], "due": []} for task in TASKS
    ]
    documents = {
        "plan": {
            "as_of": AS_OF,
            "frameworks": ["soc2-2017"],
            "tasks": tasks,
            "absent": [],
            "undiscovered": [],
            "salt": "00",
        },
        "kinds": {"kinds": {}},
        "exceptions": {"waivers": [], "out_of_scope": [], "accepted_gaps": [], "salt": "00"},
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_bytes(dumps({"format": 1, **document}))
    _lines(folder / "ledger.jsonl.gz", [("call", f"9f3c01aa/{number:016x}") for number in range(30)])
    _lines(folder / "findings.jsonl.gz", [("check", f"host-{number}") for number in range(3000)])
    _lines(folder / "controls.jsonl.gz", [("control", f"soc2-2017:CC{number}") for number in range(5)])
    for name in ("checks/host/users.toml", "controls/soc2.toml", "objectives/access.toml"):
        path = folder / "mappings" / "baseline" / name
        path.parent.mkdir(parents=True)
        path.write_text(f"# {name}\n")
    return {
        "agent": {"name": "evidence-collector", "version": "0.1.0", "digest": None},
        "plugins": [
            {"name": "host", "distribution": "evidence-collector", "version": "0.1.0", "digest": None}
        ],
        "configuration": "ab" * 32,
        "principals": ["root"],
        "window": {"from": AS_OF, "to": "2026-11-24T02:00:04.123456Z"},
        "as_of": AS_OF,
        # The order of the segments is that of the tasks, not that of their names.
        "tasks": [
            {"id": TASKS[0], "state": "done", "segment": max(first, second)},
            {"id": TASKS[1], "state": "failed", "segment": None},
            {"id": TASKS[2], "state": "done", "segment": min(first, second)},
        ],
        "derived": [{"kind": "host_login", "version": 1, "segment": derived}],
        "completeness": [
            {"kind": "host_mount", "scope": {"host": "web1"}, "complete": False},
            {"kind": "host_user", "scope": {"host": "web1"}, "complete": True},
        ],
        "keep": 34560000,
        "authorities": [],
        "secret_key_id": "0123456789abcdef",
        "series": {
            "name": "acme",
            "epoch": AS_OF,
            "sequence": 1,
            "previous": None,
            "cadence": 86400,
            "reason": "the first run",
        },
    }


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A finished run: its folder, and the facts for its statement."""
    return tmp_path / "run", finished_run(tmp_path / "run")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ed.pem`, `ec.pem`, `stranger.pem`, and the public half of each."""
    folder = tmp_path_factory.mktemp("keys")
    generate_key(folder / "ed.pem")
    generate_key(folder / "stranger.pem")
    private = ec.generate_private_key(ec.SECP256R1())
    (folder / "ec.pem").touch(0o600)
    (folder / "ec.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "ec.pub.pem").write_bytes(public)
    assert stat.S_IMODE((folder / "ed.pem").stat().st_mode) == 0o600
    return folder


@pytest.fixture(scope="session")
def signer(keys: Path) -> Callable[[str], Signer]:
    """The signer of a key in `keys`, by the file's name without `.pem`."""

    def make(name: str) -> Signer:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        return CryptoSigner(load_pem_private_key((keys / f"{name}.pem").read_bytes(), None))

    return make


@pytest.fixture(scope="session")
def sealed(
    tmp_path_factory: pytest.TempPathFactory, signer: Callable[[str], Signer]
) -> Callable[[str], SealedBundle]:
    """The bundle of the small run, signed by a key in `keys`; made once a key. Do not change it in place."""
    made: dict[str, SealedBundle] = {}

    def make(name: str) -> SealedBundle:
        if name not in made:
            folder = tmp_path_factory.mktemp("sealed")
            facts = finished_run(folder / "run")
            made[name] = seal(folder / "run", facts, signer(name), folder / "bundle.zip")
        return made[name]

    return make


@pytest.fixture(scope="session")
def trust(keys: Path) -> Trust:
    """Trust in `ed.pem` alone."""
    return trust_of_key(keys / "ed.pub.pem")


@dataclass(frozen=True)
class Dated:
    """A bundle that `ed.pem` signed and `ec.pem` witnessed, stamped by the authority `tsa`.

    Attributes:
        path: the bundle.
        tsa: its authority.
        foreign: another authority, which nobody trusts.
    """

    path: Path
    tsa: Any
    foreign: Any


@pytest.fixture(scope="session")
def dated(
    tmp_path_factory: pytest.TempPathFactory,
    signer: Callable[[str], Signer],
    lasting_stamper: Callable[..., Any],
) -> Dated:
    """Made once; do not change it in place."""
    folder = tmp_path_factory.mktemp("dated")
    facts = finished_run(folder / "run")
    facts["window"] = {"from": "2020-01-01T00:00:00Z", "to": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    tsa = lasting_stamper()
    asked = [TimeAuthority("tsa", tsa.url, tsa.certificates)]
    out = folder / "bundle.zip"
    seal(folder / "run", facts, signer("ed"), out, witness=signer("ec"), authorities=asked)
    return Dated(out, tsa, lasting_stamper("foreign"))


Members = list[tuple[str, bytes]]


class Forger:
    """Makes archives that no writer of ours would: canonical headers around any names and contents."""

    def __init__(self, folder: Path, signer: Callable[[str], Signer]) -> None:
        self._folder = folder
        self._signer = signer

    def members(self, bundle: Path) -> Members:
        """What a bundle holds, in order, but for the Sigstore bundle, which repeats the statement."""
        with Archive(bundle) as archive:
            names = [member.name for member in archive.members if member.name != "statement.sigstore.json"]
            return [(name, archive.read(name)) for name in names]

    def archive(self, members: Members) -> Path:
        """An archive of these members, whatever they are."""
        placed: list[Member] = []
        data = bytearray()
        for name, content in members:
            member = Member(name, len(content), zlib.crc32(content), len(data))
            data += local_header(member) + content
            placed.append(member)
        for piece in directory(placed):
            data += piece
        return self.file(bytes(data))

    def gzip(self, data: bytes) -> bytes:
        """A gzip stream with the header of this format, as another compressor makes it."""
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(data) + packer.flush()
        trailer = struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
        return bytes.fromhex("1f8b08000000000000ff") + body + trailer

    def file(self, data: bytes) -> Path:
        """A file of these bytes."""
        path = self._folder / "forged.zip"
        path.write_bytes(data)
        return path

    def signed(
        self,
        members: Members,
        change: Callable[[dict[str, Any]], object] = lambda statement: None,
        key: str = "ed",
    ) -> Path:
        """The members with a statement over them as they now are, changed and signed by `key`."""
        held = [(name, content) for name, content in members if name != "statement.dsse.json"]
        envelope = json.loads(dict(members)["statement.dsse.json"])
        statement = json.loads(base64.b64decode(envelope["payload"]))
        statement["subject"] = [
            {"name": name, "digest": {"sha256": sha256_hex(content)}} for name, content in held
        ]
        change(statement)
        return self.archive([*held, ("statement.dsse.json", sign(dumps(statement), self._signer(key)))])


@pytest.fixture
def forger(tmp_path: Path, signer: Callable[[str], Signer]) -> Forger:
    """Makes bad bundles."""
    return Forger(tmp_path, signer)
