from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from collector.deliver.lock import hold

ROOT = Path(__file__).parents[2]
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

SLOW = """
import time
from collector.hookspecs import hookimpl
from collector.model import Column, Due, Kind, Operation, Option, Record, Reply, Target, Task

api = 1
PART = Operation("slow:part", "anyone")
KIND = Kind("slow_part", "Parts that take their time", (Column("n", "BIGINT", "which"),), ("n",), (PART,))


class Slow:
    name = "slow"
    title = "A system that takes its time"
    options = ()
    kinds = (KIND,)
    discovery = ()
    errors = {}

    def __init__(self, settings):
        self.parts = 1000

    def root(self):
        return Target("slow", {"slow": "one"})

    def discover(self, ask):
        return None

    def plan(self, found):
        due = tuple(Due("slow_part", "slow:part", {"n": n}) for n in range(self.parts))
        return [Task(self.root(), ("slow_part",), due)]

    def collect(self, task, ask):
        for n in range(self.parts):
            answer = ask("slow:part", {"n": n})
            if answer.ok:
                yield Record("slow_part", str(n), task.target.scope, (answer.call,), {"n": n})

    def send(self, target, op, params, timeout):
        time.sleep(0.2)
        return Reply({"n": params["n"]}, items=1)

    @classmethod
    def permissions(cls, kinds):
        return ""


@hookimpl
def collector_sources():
    return [Slow]
"""


def prepared(machine: Any, text: str) -> Any:
    (machine.work / "collector.toml").write_text(text)
    assert machine("init", "--quiet").returncode == 0
    return machine


@pytest.fixture
def audited(machine: Any) -> Any:
    """A machine that is about to audit a copy of the example programme."""
    shutil.copytree(ROOT / "examples/program", machine.work / "program")
    return prepared(machine, '[[source]]\nuse = "program"\nfolder = "program"\n')


def test_run_ends_with_a_screen_that_says_what_came_of_it_and_what_to_type_next(ran: Any) -> None:
    text = ran.done.stdout
    parts = ("Looked at  as of 2026-11-24T02:00:00Z", "Worst findings", "Controls", "Bundle", "Next")
    assert [part for part in parts if not re.search(f"^{part}", text, re.MULTILINE)] == []
    assert str(ran.bundle) in text
    assert f"collector verify {ran.bundle}" in text
    assert max(len(line) for line in text.splitlines() if str(ran.bundle) not in line) <= 100
    assert text.isascii()
    assert "\x1b" not in text


def test_what_the_screen_says_to_type_next_works(ran: Any) -> None:
    commands = re.findall(r"^  collector (.+)$", ran.done.stdout.partition("\nNext")[2], re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["verify", "readiness", "explain"]
    for command in commands:
        done = ran.machine(*command.split())
        assert (done.returncode, done.stderr) == (0, "")


def test_run_prints_one_object_where_json_was_asked_for(audited: Any) -> None:
    done = audited("run", "--output", "json")
    value = json.loads(done.stdout)
    assert set(value) >= {
        "bundle", "series", "sequence", "tasks", "calls", "gaps", "records", "findings", "controls",
        "delivered", "exit", "reasons",
    }  # fmt: skip
    assert set(value["findings"]) == {"pass", "fail", "unknown", "not_applicable"}
    assert (value["exit"], value["reasons"], done.returncode) == (0, [0], 0)
    assert (value["series"], value["sequence"]) == ("default", 1)
    assert Path(value["bundle"]).is_file()


def test_lines_elsewhere_than_on_a_terminal_have_their_time_and_step(ran: Any) -> None:
    lines = ran.done.stderr.splitlines()
    assert lines
    for line in lines:
        assert re.match(
            r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info message=.+ (step=[a-z]+|bundle=\S+)",
            line,
        )
    assert any("step=collect done=1 total=1" in line for line in lines)


def test_lines_are_json_where_json_was_asked_for(audited: Any) -> None:
    lines = [json.loads(line) for line in audited("run", "--output", "json").stderr.splitlines()]
    assert {"plan", "collect", "judge", "seal", "deliver"} <= {line.get("step") for line in lines}
    assert all({"time", "level", "message"} <= set(line) for line in lines)


NOBODY_THERE = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
users: [{name: u, user: {token: x}}]
"""


def test_plan_says_what_only_discovery_can_tell_and_why_discovery_failed(machine: Any) -> None:
    pytest.importorskip("kubernetes")
    (machine.work / "nobody").write_text(NOBODY_THERE)
    prepared(machine, '[[source]]\nuse = "kubernetes"\nkubeconfig = "nobody"\n')
    done = machine("plan")
    assert "kubernetes: what it would ask hangs on what discovery finds" in done.stdout
    assert json.loads(machine("plan", "--output", "json").stdout)["unresolved"] == ["kubernetes"]
    done = machine("plan", "--discover")
    shown = " ".join(done.stdout.split())
    assert "! kubernetes: discovery failed; targets are missing kubernetes:version: unreachable:" in shown
    assert "hangs on" not in shown


def test_quiet_run_says_nothing(audited: Any) -> None:
    done = audited("run", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_quiet_run_says_why_it_did_not_end_well(audited: Any) -> None:
    (audited.work / "program/policies/broken.md").write_bytes(b"---\n\xff")
    (audited.work / "store").write_text("a file where the folder should be")
    with (audited.work / "collector.toml").open("a") as file:
        file.write('[[sink]]\nuse = "directory"\npath = "store"\n')
    done = audited("run", "--quiet", "--fail-on", "fail")
    assert (done.returncode, done.stdout) == (4, "")
    undelivered, met, gaps = done.stderr.splitlines()
    assert undelivered.startswith("collector: series default, number 1: directory ")
    assert "it stays in the outbox" in undelivered
    assert met == "collector: series default, number 1: a --fail-on threshold was met"
    assert "gaps that no exception accepts (1 in all)" in gaps


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [(["fail"], 1), (["fail:critical"], 0), (["control"], 1), (["gap"], 0), (["gap", "fail"], 1)],
)
def test_threshold_that_is_met_is_exit_1(audited: Any, fail_on: list[str], code: int) -> None:
    arguments = [word for each in fail_on for word in ("--fail-on", each)]
    assert audited("run", "--quiet", *arguments).returncode == code


def test_gap_that_nobody_accepted_is_exit_3(audited: Any) -> None:
    (audited.work / "program/policies/broken.md").write_bytes(b"---\n\xff")
    done = audited("run")
    assert done.returncode == 3
    assert "Could not be seen" in done.stdout


EXCEPTIONS = """[[waiver]]
check = "program-policy-aproved"
owner = "ana"
approver = "ben"
reason = "renamed since"
until = 2027-01-31

[[out_of_scope]]
control = "iso27001-2022:A.7.44"
owner = "ana"
approver = "ben"
reason = "no premises"
until = 2027-01-31
"""
IDLE = [
    "exceptions.toml:2: check: no check 'program-policy-aproved' (did you mean program-policy-approved?);"
    " this waiver is not in force",
    "exceptions.toml:9: control: no control 'iso27001-2022:A.7.44' (did you mean iso27001-2022:A.7.4?);"
    " this exception is not in force",
]


def test_exceptions_that_name_nothing_known_are_told_by_run_and_plan_and_lose_no_evidence(
    audited: Any,
) -> None:
    (audited.work / "exceptions.toml").write_text(EXCEPTIONS)
    whole = [f"{audited.work}/{line}" for line in IDLE]
    for command in ("run", "plan"):
        done = audited(command, "--exceptions", "exceptions.toml", "--output", "json")
        assert (done.returncode, json.loads(done.stdout)["problems"]) == (0, whole)
        quiet = audited(command, "--exceptions", "exceptions.toml", "--quiet")
        assert (quiet.returncode, quiet.stderr.splitlines()) == (0, [f"collector: {line}" for line in whole])
        text = " ".join(audited(command, "--exceptions", "exceptions.toml").stdout.split())
        assert "did you mean program-policy-approved?" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('frameworks = ["iso27001"]\n', "no framework 'iso27001' (did you mean iso27001-2022?)"),
        ('exceptions = "gone.toml"\n', "gone.toml: cannot be read: No such file or directory"),
    ],
)
def test_plan_refuses_in_the_same_line_what_a_run_would(audited: Any, text: str, message: str) -> None:
    path = audited.work / "collector.toml"
    path.write_text(text + path.read_text())
    said = {audited(command).stderr for command in ("plan", "run")}
    assert len(said) == 1
    assert message in (line := said.pop())
    assert line.count("\n") == 1


def test_threshold_that_is_none_is_exit_2_before_anything_is_asked(audited: Any) -> None:
    done = audited("run", "--fail-on", "everything")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("collector: --fail-on 'everything' is not allowed")
    assert not (audited.home / "state").exists()


def test_run_without_keys_is_exit_2_and_names_the_remedy(machine: Any) -> None:
    (machine.work / "collector.toml").write_text('[[source]]\nuse = "program"\nfolder = "x"\n')
    done = machine("run")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("no such key file; `collector init` makes one")


def test_second_run_at_the_same_time_is_exit_75_and_says_who_holds_the_lock(audited: Any) -> None:
    with hold(audited.home / "state", "default"):
        for command in ("run", "deliver"):
            done = audited(command)
            assert done.returncode == 75
            assert f"pid {os.getpid()}" in done.stderr.splitlines()[-1]


def test_what_cannot_be_delivered_is_exit_4_and_goes_out_later(audited: Any) -> None:
    (audited.work / "store").write_text("a file where the folder should be")
    with (audited.work / "collector.toml").open("a") as file:
        file.write('[[sink]]\nuse = "directory"\npath = "store"\n')
    done = audited("run", "--output", "json")
    value = json.loads(done.stdout)
    assert (done.returncode, value["delivered"], value["reasons"][0]) == (4, [], 4)
    assert audited("deliver").returncode == 4
    (audited.work / "store").unlink()
    done = audited("deliver", "--output", "json")
    assert (done.returncode, len(json.loads(done.stdout)["sent"])) == (0, 1)
    assert len(list((audited.work / "store").rglob("*.zip"))) == 1


def test_full_state_folder_is_named(audited: Any) -> None:
    script = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *audited.command("run", "--quiet")]
    done = subprocess.run(script, cwd=audited.work, env=audited.environ, capture_output=True, text=True)
    state = audited.home / "state"
    assert (done.returncode, done.stderr) == (2, f"collector: state folder {state}: File too large\n")


def test_flags_go_before_environment_and_file(audited: Any) -> None:
    done = audited("run", "--series", "flag", "--output", "json", COLLECTOR_SERIES="environment")
    assert json.loads(done.stdout)["series"] == "flag"
    done = audited("run", "--output", "json", COLLECTOR_SERIES="environment")
    assert json.loads(done.stdout)["series"] == "environment"


def on_a_terminal(machine: Any, *arguments: str, **environ: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environ = machine.environ | {"TERM": "xterm", "COLUMNS": "80"} | environ
    process = subprocess.Popen(
        machine.command(*arguments), cwd=machine.work, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # how Linux says that nobody has the other end any more
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    assert process.wait(60) in (0, 3)
    return written.decode()


def test_terminal_shows_one_line_that_moves_and_then_the_screen_in_colour(audited: Any) -> None:
    text = on_a_terminal(audited, "run")
    assert "\r\x1b[Kcollecting 1/1" in text
    assert "level=info" not in text
    assert "\x1b[1mWorst findings\x1b[0m" in text
    moving, _, screen = text.rpartition("\r\x1b[K")
    assert "\n" not in moving
    lines = ESCAPES.sub("", screen).replace("\r\n", "\n").splitlines()
    bundle = next(word for word in " ".join(lines).split() if word.endswith(".zip"))
    assert [line for line in lines if len(line) > 80 and " " in line.strip() and bundle not in line] == []


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_terminal_without_colour_gets_none(audited: Any, environ: dict[str, str]) -> None:
    assert not re.search(r"\x1b\[[0-9]+m", on_a_terminal(audited, "run", **environ))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_that_is_told_to_stop_bundles_what_it_has(
    machine: Any, tmp_path: Path, number: signal.Signals
) -> None:
    info = tmp_path / "plugins/slow-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[evidence_collector]\nslow = collector_slow\n")
    (tmp_path / "plugins/collector_slow.py").write_text(SLOW)
    machine.path = [tmp_path / "plugins", *machine.path]
    prepared(machine, '[[source]]\nuse = "slow"\n')
    process = subprocess.Popen(
        machine.command("run", "--output", "json"),
        cwd=machine.work,
        env=machine.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    while b"step" in (line := process.stderr.readline()) and b"collect" not in line:
        pass
    time.sleep(1.0)  # let it collect something
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 20
    value = json.loads(out)
    assert process.returncode == 3
    assert 0 < value["records"] < 1000
    assert value["gaps"] > 0
    assert machine("verify", value["bundle"]).returncode == 0
