from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from collector.model import Gap, Record, Text
from collector.testing import PlainAsk, collect
from collector_host import HostSource
from collector_host.frames import read
from collector_host.rows import Hide, Miss, Row
from collector_host.sections import SECTIONS
from collector_host.transport import Completed, LocalTransport

TREES = Path(__file__).with_name("trees")

Rows = dict[str, list[Record]]


class Told:
    """What a source gave: records by kind and id, gaps, texts."""

    def __init__(self, source: HostSource) -> None:
        self.tasks = collect(source)
        items = [item for task in self.tasks for item in task.items]
        self.records = [item for item in items if isinstance(item, Record)]
        self.gaps = [item for item in items if isinstance(item, Gap)]
        self.texts = {item.op: item for item in items if isinstance(item, Text)}
        self.heard = {op: outcome for task in self.tasks for op, outcome in task.heard.values()}

    def rows(self, kind: str) -> dict[str, Record]:
        return {record.id: record for record in self.records if record.kind == kind}

    def one(self, kind: str) -> Record:
        (record,) = self.rows(kind).values()
        return record

    def details(self, kind: str) -> list[str]:
        return [gap.detail for gap in self.gaps if gap.kind == kind]


@pytest.fixture(scope="session")
def told() -> Callable[..., Told]:
    """Collect from a tree or, without `root`, from this machine."""

    def run(**settings: object) -> Told:
        return Told(HostSource(settings))

    return run


@pytest.fixture(scope="session")
def trees() -> Path:
    return TREES


@pytest.fixture(scope="session")
def ubuntu(told: Callable[..., Told]) -> Told:
    return told(root=str(TREES / "ubuntu"), name="ubuntu")


@pytest.fixture(scope="session")
def rhel(told: Callable[..., Told]) -> Told:
    return told(root=str(TREES / "rhel"), name="rhel")


@pytest.fixture(scope="session")
def alpine(told: Callable[..., Told]) -> Told:
    return told(root=str(TREES / "alpine"), name="alpine")


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Make a folder tree of files: path to content."""

    def make(files: Mapping[str, str | bytes]) -> Path:
        for path, content in files.items():
            target = tmp_path / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return make


@pytest.fixture(scope="session")
def section() -> Callable[..., tuple[list[Row], list[Miss], list[Hide]]]:
    """Run one section of the probe over a tree, and its parser over the answer."""

    def run(name: str, root: Path | str = "", *arguments: str) -> tuple[list[Row], list[Miss], list[Hide]]:
        source = HostSource({"root": str(root)})
        target = source.root()
        params: dict[str, object] = {"paths": list(arguments)}
        if name == "walk":
            params = {"seconds": 20, "entries": 10_000}
        answer = PlainAsk(source, target, [f"host:{name}"], 30)(f"host:{name}", params)
        assert answer.ok, answer.detail
        items = list(SECTIONS[name].parse(read(answer.data["text"])))
        rows = [item for item in items if isinstance(item, Row)]
        misses = [item for item in items if isinstance(item, Miss)]
        return rows, misses, [item for item in items if isinstance(item, Hide)]

    return run


class Unprivileged(LocalTransport):
    """Runs the probe as nobody."""

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float, limit: int) -> Completed:
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        return super().run([*drop, *argv], stdin, timeout, limit)


@pytest.fixture(scope="session")
def unprivileged() -> Told:
    """This machine, asked by an account without rights."""
    if os.geteuid() != 0:
        return Told(HostSource({"walk_seconds": 3}))
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    return Told(HostSource({"walk_seconds": 3}, Unprivileged()))


@pytest.fixture(scope="session")
def live() -> Told:
    """This machine, asked as whoever runs the tests."""
    return Told(HostSource({"walk_seconds": 3}))


@pytest.fixture(scope="session")
def shells() -> list[list[str]]:
    """The shells that are here, of those that hosts have as /bin/sh."""
    known = [["dash"], ["busybox", "sh"], ["bash", "--posix"]]
    return [shell for shell in known if shutil.which(shell[0])]


@pytest.fixture
def spawned() -> Iterator[Callable[[str], bool]]:
    """Whether a process with these arguments stays alive; one that was killed may take its time to end."""

    def alive(arguments: str) -> bool:
        for _ in range(100):
            if not now(arguments):
                return False
            time.sleep(0.1)
        return True

    def now(arguments: str) -> bool:
        ps = subprocess.run(["ps", "axww", "-o", "args="], capture_output=True, text=True, check=True)
        return arguments in ps.stdout.splitlines()

    yield alive


@pytest.fixture(autouse=True)
def harmless_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no file behind that a look at this machine would rightly find fault with."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    for path in folder.rglob("*") if folder else ():
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
            os.chown(path, os.geteuid(), os.getegid())
