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


def test_full_output_is_one_line(ran: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            ran.machine.command("frameworks"),
            env=ran.machine.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (2, "collector: No space left on device\n")


def test_output_that_cannot_show_a_letter_shows_its_escape(ran: Any) -> None:
    done = ran.machine("query", ran.bundle, "SELECT 'Zo\u00eb' AS name", PYTHONIOENCODING="ascii")
    assert (done.returncode, "Zo\\xeb" in done.stdout) == (0, True)
