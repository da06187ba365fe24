from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from collector.cli import app as app_module
from collector.cli import execute
from collector.model import CollectorError, ConfigError, DeliveryError, LockedError, MappingError, VerifyError


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes `collector plan` raise."""

    def install(error: BaseException) -> None:
        @click.command()
        def plan() -> None:
            raise error

        monkeypatch.setattr(app_module.app, "get_command", lambda context, name: plan)

    return install


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CollectorError("x"), 2),
        (ConfigError("x"), 2),
        (MappingError("x"), 2),
        (VerifyError("x"), 1),
        (DeliveryError("x"), 4),
        (LockedError("x"), 75),
    ],
)
def test_users_error_is_one_line_and_its_exit_code(
    raising: Any, capsys: pytest.CaptureFixture[str], error: CollectorError, code: int
) -> None:
    raising(error)
    assert execute(["plan"]) == code
    assert capsys.readouterr() == ("", "collector: x\n")


def test_error_of_several_lines_is_told_in_one(raising: Any, capsys: pytest.CaptureFixture[str]) -> None:
    raising(ConfigError("a\n  b"))
    execute(["plan"])
    assert capsys.readouterr().err == "collector: a b\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupt_is_130_without_a_word(
    raising: Any, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    raising(error)
    assert execute(["plan"]) == 130
    assert capsys.readouterr() == ("", "")


def test_what_the_system_refuses_is_one_line_with_the_file(
    raising: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(OSError(28, "No space left on device", "/state/x"))
    assert execute(["plan"]) == 2
    assert capsys.readouterr().err == "collector: /state/x: No space left on device\n"


def test_bug_is_no_users_error_and_shows_where_it_is(raising: Any) -> None:
    raising(TypeError("a bug"))
    with pytest.raises(TypeError):
        execute(["plan"])


def test_reader_who_leaves_early_is_not_told_off(ran: Any) -> None:
    machine = ran.machine
    process = subprocess.Popen(
        machine.command("frameworks", "nist-800-53-r5", "--output", "json"),
        cwd=machine.work,
        env=machine.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def shell(machine: Any, script: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """A command of the collector, `"$@"`, in a script."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *machine.command(*arguments)],
        cwd=machine.work,
        env=machine.environ,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_reader_who_leaves_early_leaves_the_exit_code_as_it_is(ran: Any, tmp_path: Path, form: str) -> None:
    changed = tmp_path / "changed.zip"
    changed.write_bytes(b"no bundle")
    script = 'mkfifo pipe; true <pipe & "$@" >pipe; code=$?; rm pipe; exit $code'
    for bundle, code in ((changed, 1), (ran.bundle, 0)):
        done = shell(ran.machine, script, "verify", bundle, "--output", form)
        assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize(("word", "code"), [("--help", 0), ("nonsense", 2)])
def test_help_and_errors_survive_a_reader_who_left(machine: Any, word: str, code: int) -> None:
    script = 'mkfifo pipe; true <pipe & "$@" >pipe 2>&1; code=$?; rm pipe; exit $code'
    assert shell(machine, script, word).returncode == code


def test_broken_pipe_that_is_not_our_output_is_no_success(
    raising: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    raising(BrokenPipeError(32, "Broken pipe"))
    assert execute(["plan"]) == 2
    assert capfd.readouterr().err == "collector: Broken pipe\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_change_nothing_of_the_exit_code(ran: Any, tmp_path: Path, closed: str) -> None:
    changed = tmp_path / "changed.zip"
    changed.write_bytes(b"no bundle")
    for bundle, code in ((changed, 1), (ran.bundle, 0)):
        done = shell(ran.machine, f'"$@" {closed}', "verify", bundle)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_what_is_opened_does_not_take_the_place_of_a_closed_output(ran: Any) -> None:
    script = (
        "import os; from collector.cli import _stand_in; _stand_in(); print(os.open('/', os.O_RDONLY) > 2)"
    )
    done = subprocess.run(
        ["sh", "-c", f'"$1" -c "{script}" <&- 2>&-', "sh", ran.machine.command()[0]],
        env=ran.machine.environ,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True\n"


def test_full_output_is_one_line(ran: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            ran.machine.command("frameworks"),
            env=ran.machine.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (2, "collector: standard output: No space left on device\n")


def test_output_that_cannot_show_a_letter_shows_its_escape(ran: Any) -> None:
    done = ran.machine("query", ran.bundle, "SELECT 'Zo\u00eb' AS name", PYTHONIOENCODING="ascii")
    assert (done.returncode, "Zo\\xeb" in done.stdout) == (0, True)


def test_interruption_outside_of_a_command_ends_with_the_code_of_one_within(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import collector.cli as cli

    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "execute", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
