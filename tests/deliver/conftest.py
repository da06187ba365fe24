"""Small bundles with a real statement, stores in folders, a bucket, and a disk that is soon full."""

from __future__ import annotations

import base64
import hashlib
import json
import resource
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

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


@dataclass(frozen=True)
class Bucket:
    """A running S3 server: bucket `evidence` has locks, `plain` has none.

    Attributes:
        endpoint: where it is.
        client: makes a client: `owner` may do anything, `agent` writes and reads, `writer` only writes.
    """

    endpoint: str
    client: Callable[[str], Any]

    def environ(self, who: str) -> dict[str, str]:
        """The credentials of one of them."""
        return {
            "AWS_ACCESS_KEY_ID": who,
            "AWS_SECRET_ACCESS_KEY": f"{who}secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _identity(name: str, *actions: str) -> dict[str, object]:
    keys = [{"accessKey": name, "secretKey": f"{name}secret"}]
    return {"name": name, "credentials": keys, "actions": list(actions)}


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A real S3 server with Object Lock, on loopback."""
    boto3 = pytest.importorskip("boto3")
    from botocore.exceptions import BotoCoreError, ClientError

    folder = tmp_path_factory.mktemp("s3")
    writes = ("Write:evidence", "PutObjectRetention:evidence", "Write:plain")
    identities = [
        _identity("owner", "Admin", "Read", "List", "Tagging", "Write"),
        _identity("agent", *writes, "Read:evidence", "List:evidence"),
        _identity("writer", *writes),
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir()
    names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    command = [
        str(Path(sys.executable).with_name("weed")), "-logtostderr=true", "server", f"-dir={folder / 'data'}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=256", "-volume.max=40",
        "-master.telemetry=false", "-filer", "-s3", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}", *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"

    def client(who: str) -> Any:
        return boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=who,
            aws_secret_access_key=f"{who}secret",
        )  # fmt: skip

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                client("owner").create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
                client("owner").create_bucket(Bucket="plain")
                client("owner").put_object(Bucket="plain", Key="up", Body=b"")
                break
            except (BotoCoreError, ClientError):
                assert time.monotonic() < until, (folder / "log").read_text()[-2000:]
                time.sleep(0.3)
        yield Bucket(endpoint, client)
    finally:
        process.kill()
        process.wait()
