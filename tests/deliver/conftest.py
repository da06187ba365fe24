"""Small bundles with a real statement, stores in folders, and a disk that is soon full."""

from __future__ import annotations

import base64
import hashlib
import json
import resource
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from collector.deliver.series import Link
from collector.model import VerifyError
from collector_directory import DirectorySink

FIRST = datetime(2026, 11, 24, 2, tzinfo=UTC)

Make = Callable[..., tuple[Path, str]]
"""Makes a bundle: path, link, day and size to the path and its statement's digest."""


def moment(day: int) -> str:
    return (FIRST + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def as_of() -> Callable[[int], datetime]:
    """The moment of a day's run."""
    return lambda day: FIRST + timedelta(days=day)


@pytest.fixture
def bundle() -> Make:
    """Makes a bundle that names its place in the series; `size` bytes more than it needs."""

    def make(path: Path, link: Link, day: int = 0, size: int = 0) -> tuple[Path, str]:
        statement = {"predicate": {"as_of": moment(day), "series": link.facts("acme", 86400)}}
        payload = json.dumps(statement, sort_keys=True).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("plan.json", b"x" * size)
            envelope = {"payload": base64.b64encode(payload).decode()}
            archive.writestr("statement.dsse.json", json.dumps(envelope))
        return path, hashlib.sha256(payload).hexdigest()

    return make


def statement_of(file: IO[bytes]) -> tuple[dict[str, object], str]:
    with zipfile.ZipFile(file) as archive:
        payload = base64.b64decode(json.loads(archive.read("statement.dsse.json"))["payload"])
    return json.loads(payload)["predicate"]["series"], hashlib.sha256(payload).hexdigest()


@pytest.fixture
def digest() -> Callable[[IO[bytes]], str]:
    """Reads a stored bundle's statement, as the run does."""

    def read(file: IO[bytes]) -> str:
        try:
            return statement_of(file)[1]
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise VerifyError(f"no bundle: {error}") from None

    return read


@pytest.fixture
def chain() -> Callable[[Path], list[int]]:
    """The sequences that a store holds, after it has proven that they are one chain, each once and whole."""

    def check(store: Path) -> list[int]:
        sequences: list[int] = []
        before: str | None = None
        for key in DirectorySink({"path": str(store)}).list("acme/"):
            with (store / key).open("rb") as file:
                facts, digest = statement_of(file)
            assert key.endswith(f"/{facts['sequence']:08d}-{digest[:12]}.zip")
            assert before is None or facts["previous"] == before
            before = digest
            sequences.append(int(str(facts["sequence"])))
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences))) if sequences else True
        return sequences

    return check


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that takes no file of more than a megabyte: a small tmpfs, else a limit on this process."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
