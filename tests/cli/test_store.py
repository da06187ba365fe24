from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = '[[source]]\nuse = "program"\nfolder = "program"\n'


def configure(machine: Any, *sinks: str) -> None:
    tables = "".join(f"\n[[sink]]\n{each}\n" for each in sinks)
    (machine.work / "collector.toml").write_text(CONFIG + tables)


def result(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_a_folder_holds_what_it_promises_and_says_what_it_does_not(machine: Any) -> None:
    configure(machine, 'use = "directory"\npath = "store"')
    done = machine("sink", "check")
    assert done.returncode == 0, done.stderr
    assert "holds" in done.stdout
    assert "what is stored cannot be deleted" in done.stdout
    assert "All that is promised holds." in done.stdout
    assert [path for path in (machine.work / "store").rglob("*") if path.is_file()] == []


def test_every_sink_is_tried_and_one_that_does_not_hold_is_exit_1(machine: Any) -> None:
    (machine.work / "file").write_text("no folder")
    configure(machine, 'use = "directory"\npath = "file"', 'use = "directory"\npath = "store"')
    done = machine("sink", "check", "--output", "json")
    assert done.returncode == 1
    broken, good = result(done)
    assert (broken["holds"], good["holds"]) == (False, True)
    assert set(good) == {"sink", "address", "holds", "checks"}
    assert all(set(each) == {"what", "held", "promised", "detail"} for each in good["checks"])
    assert "Traceback" not in done.stderr


def test_a_store_that_is_down_is_not_called_good(machine: Any) -> None:
    pytest.importorskip("boto3")
    configure(machine, 'use = "s3"\nbucket = "evidence"\nendpoint = "http://127.0.0.1:9"')
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "verysecret"}
    done = machine("sink", "check", **environ)
    assert done.returncode == 1
    assert "not told" in done.stdout
    assert "verysecret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('use = "s3"\nbucket = "No"', "bucket"),
        ('use = "s3"\nbucket = "evidence"\nlock = { mode = "legal", days = 1 }', "lock"),
        ('use = "s3"\nbucket = "evidence"\nendpoint = "http://example.org"', "https only"),
        ('use = "s3"', "bucket"),
    ],
)
def test_a_table_that_cannot_be_used_is_exit_2_in_one_line(machine: Any, table: str, message: str) -> None:
    configure(machine, table)
    done = machine("sink", "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "collector.toml:" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["plan", "run", "deliver"])
def test_a_sink_that_cannot_be_used_is_found_before_anyone_is_asked(machine: Any, command: str) -> None:
    shutil.copytree(ROOT / "examples" / "program", machine.work / "program")
    configure(machine, 'use = "directory"\npath = "store"', 'use = "https"\nurl = "http://example.org/"')
    assert machine("init", "--quiet").returncode == 0
    done = machine(command, "--output", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "collector.toml:9: sink https: http:// sends bundles unprotected" in done.stderr
    assert not (machine.home / "state" / "runs").exists()
    assert not list((machine.home / "state").rglob("*.zip"))


def test_deliver_says_what_became_of_the_bundles_that_waited(machine: Any) -> None:
    shutil.copytree(ROOT / "examples" / "program", machine.work / "program")
    configure(machine, 'use = "directory"\npath = "in/the/way"')
    (machine.work / "in").write_text("no folder yet")
    assert machine("init", "--quiet").returncode == 0
    assert machine("run", "--quiet").returncode == 4
    waits = machine("deliver")
    assert (waits.returncode, "Traceback" in waits.stderr) == (4, False)
    assert "Nothing was sent." in waits.stdout
    assert "! " in waits.stdout
    quiet = machine("deliver", "--quiet")
    assert (quiet.returncode, quiet.stdout) == (4, "")
    assert quiet.stderr.startswith("collector: directory ")
    quiet = machine("sink", "check", "--quiet")
    assert (quiet.returncode, quiet.stdout) == (1, "")
    assert "an object is stored" in quiet.stderr
    (machine.work / "in").unlink()
    sent = machine("deliver")
    assert (sent.returncode, sent.stderr) == (0, "")
    stored = next((machine.work / "in" / "the" / "way").rglob("*.zip"))
    assert stored.name in "".join(sent.stdout.split())
    again = machine("deliver", "--output", "json")
    value = result(again)
    assert set(value) == {"delivered", "sent", "stamped", "notes", "problems"}
    assert (value["sent"], value["notes"], value["problems"]) == ([], [], [])


def test_permissions_of_a_sink_are_those_of_its_table(machine: Any) -> None:
    configure(machine, 'use = "s3"\nbucket = "evidence"\nprefix = "acme/"')
    done = machine("permissions", "s3")
    assert done.returncode == 0, done.stderr
    assert "arn:aws:s3:::evidence/acme/*" in done.stdout
    assert "# Read back" in done.stdout
    (value,) = result(machine("permissions", "s3", "--output", "json"))
    assert value["sink"] == "s3"
    assert value["address"] == "s3://evidence/acme/"


def test_permissions_of_a_folder_are_a_command_that_makes_it(machine: Any) -> None:
    configure(machine, 'use = "directory"\npath = "a store"')
    done = machine("permissions", "directory")
    command = next(line for line in done.stdout.splitlines() if not line.startswith("#"))
    subprocess.run(command, shell=True, check=True)
    folder: Path = machine.work / "a store"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_sink_has_no_kinds(machine: Any) -> None:
    done = machine("permissions", "directory", "--kind", "host_user")
    assert done.returncode == 2
    assert "has no kinds" in done.stderr
