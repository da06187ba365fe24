"""Whole runs of the installed program into a bucket, and the push guard on what they gave."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest

from collector.deliver.guard import check_push
from collector.deliver.outbox import Outbox
from collector_directory import DirectorySink

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from collector.cli import main; main()"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the program in a home of its own, over a copy of the example programme."""
    shutil.copytree(ROOT / "examples" / "program", tmp_path / "program")
    own = {
        "HOME": str(tmp_path),
        "COLLECTOR_CONFIG_DIR": str(tmp_path / "config"),
        "COLLECTOR_STATE": str(tmp_path / "state"),
    }

    def call(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=tmp_path,
            env=os.environ | own | environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    (tmp_path / "collector.toml").write_text('[[source]]\nuse = "program"\nfolder = "program"\n')
    assert call("init", "--quiet").returncode == 0
    return call


def configure(folder: Path, bucket: Any, prefix: str) -> None:
    with (folder / "collector.toml").open("a") as file:
        file.write(
            f'[[sink]]\nuse = "s3"\nbucket = "evidence"\nprefix = "{prefix}/"\n'
            f'endpoint = "{bucket.endpoint}"\n'
            'lock = { mode = "compliance", days = 1 }\n'
        )


@pytest.mark.parametrize("who", ["agent", "writer"])
def test_a_run_delivers_a_locked_bundle_that_verifies(
    run: Run, bucket: Any, tmp_path: Path, who: str
) -> None:
    prefix = f"run-{who}"
    configure(tmp_path, bucket, prefix)
    done = run("run", "--output", "json", **bucket.environ(who))
    assert done.returncode in (0, 3), done.stderr
    value = json.loads(done.stdout)
    assert value["bundle"].startswith(f"{bucket.endpoint}/evidence/{prefix}/default/")
    assert value["delivered"] == [f"{bucket.endpoint}/evidence/{prefix}/"]
    assert ("not read back" in str(value) + done.stderr) == (who == "writer")
    assert list((tmp_path / "state" / "outbox").rglob("*.zip")) == []

    owner = bucket.client("owner")
    (stored,) = owner.list_objects_v2(Bucket="evidence", Prefix=f"{prefix}/")["Contents"]
    found = owner.get_object(Bucket="evidence", Key=stored["Key"])
    assert found["ObjectLockMode"] == "COMPLIANCE"
    assert found["ObjectLockRetainUntilDate"] - datetime.now(UTC) > timedelta(hours=23)
    (tmp_path / "got.zip").write_bytes(found["Body"].read())
    assert run("verify", "got.zip").returncode == 0

    again = run("run", "--output", "json", **bucket.environ(who))
    assert again.returncode in (0, 3), again.stderr
    assert json.loads(again.stdout)["sequence"] == 2
    assert len(owner.list_objects_v2(Bucket="evidence", Prefix=f"{prefix}/")["Contents"]) == 2
    shown = run("run", **bucket.environ(who))
    assert shown.returncode in (0, 3), shown.stderr
    assert f"{prefix}/default/" in "".join(shown.stdout.split())


def test_without_local_state_the_series_goes_on_from_the_bucket(
    run: Run, bucket: Any, tmp_path: Path
) -> None:
    configure(tmp_path, bucket, "head")
    assert run("run", **bucket.environ("agent")).returncode in (0, 3)
    shutil.rmtree(tmp_path / "state")
    done = run("run", "--output", "json", **bucket.environ("agent"))
    assert json.loads(done.stdout)["sequence"] == 2, done.stderr


def test_the_program_tries_a_bucket(run: Run, bucket: Any, tmp_path: Path) -> None:
    configure(tmp_path, bucket, "tried")
    done = run("sink", "check", **bucket.environ("agent"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a locked version cannot be deleted" in " ".join(done.stdout.split())
    assert "AccessDenied" in done.stdout


class Replacing(DirectorySink):
    """A store in which what is put takes the place of all that was there."""

    replaces: ClassVar[bool] = True

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        super().put(key, file, sha256, absent)


@pytest.fixture
def nights(run: Run, tmp_path: Path) -> list[tuple[str, Path]]:
    """Bundles of three runs: complete, with a roster that cannot be read, and complete again."""
    store = tmp_path / "state" / "evidence"
    roster = next((tmp_path / "program").rglob("*.csv"))
    good = roster.read_bytes()
    for night, contents in enumerate((good, b"\xff\xfe\x00 no roster\n", good), 1):
        roster.write_bytes(contents)
        assert run("run", "--as-of", f"2026-11-2{night}T02:00:00Z").returncode in (0, 3)
    sink = DirectorySink({"path": str(store)})
    return [(key, store / key) for key in sink.list("") if key.endswith(".zip")]


def test_no_incomplete_population_goes_to_a_sink_that_replaces_a_state(
    nights: list[tuple[str, Path]], tmp_path: Path
) -> None:
    one, two, three = nights
    outbox = Outbox(tmp_path / "box" / "outbox")
    replacing = Replacing({"path": str(tmp_path / "replaced")})
    other = DirectorySink({"path": str(tmp_path / "other")})
    for key, path in (one, two):
        shutil.copyfile(path, tmp_path / "copy.zip")
        outbox.add(tmp_path / "copy.zip", key)
    delivered = outbox.deliver([replacing, other])
    assert list(replacing.list("")) == [one[0]]
    assert list(other.list("")) == [one[0], two[0]]
    (problem,) = delivered.problems
    assert "program_person" in problem
    assert "not all was seen" in problem
    assert "\n" not in problem
    # The next complete one goes, and takes the place of the one that was held back.
    shutil.copyfile(three[1], tmp_path / "copy.zip")
    outbox.add(tmp_path / "copy.zip", three[0])
    delivered = outbox.deliver([replacing, other])
    assert delivered.problems == []
    assert list(replacing.list("")) == [one[0], three[0]]


def test_a_bundle_that_cannot_be_read_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no bundle")
    assert "cannot be read" in check_push(tmp_path / "x.zip")
