from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from collector import __version__
from collector.cli.app import COMMANDS, app

ROOT = Path(__file__).parents[2]
LIGHT = {"collector", "collector.cli", "collector.cli.app"}


def imported(script: str) -> set[str]:
    """What a fresh interpreter has loaded after a script."""
    script += "\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_help_of_the_program_loads_nothing_but_the_table_of_commands() -> None:
    loaded = imported("from collector.cli import execute; assert execute(['--help']) == 0")
    ours = {name for name in loaded if name.split(".")[0] == "collector"}
    assert ours == LIGHT
    heavy = {"orjson", "duckdb", "cryptography", "securesystemslib", "detect_secrets", "pluggy", "tenacity"}
    assert not heavy & loaded
    assert not {"asyncio", "ssl", "http.client", "email", "platformdirs"} & loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loads_no_heavy_library(name: str) -> None:
    loaded = imported(f"from collector.cli import execute; assert execute(['{name}', '--help']) == 0")
    assert not {"duckdb", "cryptography", "securesystemslib", "detect_secrets"} & loaded


def command(name: str) -> click.Command:
    first, *more = name.split()
    found = app.get_command(click.Context(app), first)
    for inner in more:
        assert isinstance(found, click.Group)
        found = found.commands.get(inner)
    assert found is not None
    return found


def leaves() -> list[str]:
    """Every command that does something: those of groups by both names."""
    found = []
    for name in COMMANDS:
        each = command(name)
        inner = [f"{name} {one}" for one in each.commands] if isinstance(each, click.Group) else []
        found += inner or [name]
    return found


@pytest.mark.parametrize("name", leaves())
def test_help_of_a_command_says_what_each_option_and_argument_is(name: str) -> None:
    found = command(name)
    text = found.help or ""
    assert text.strip().splitlines()[0].endswith(".")
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            assert parameter.help and parameter.help.endswith("."), parameter.name
        elif isinstance(parameter, click.Argument):
            assert parameter.make_metavar(click.Context(found)).strip("[].").split("|")[0] in text


@pytest.mark.parametrize("name", leaves())
def test_every_command_prints_json_when_asked_and_can_be_quiet(name: str) -> None:
    options = {option for parameter in command(name).params for option in parameter.opts}
    assert {"--output", "--quiet"} <= options


def test_commands_are_those_of_the_table() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name} " in result.output
        assert entry.summary in result.output


def test_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"collector {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekcs"], "no command 'chekcs' (did you mean checks?)"),
        (["zzz\x1b[2J"], "no command 'zzz\\x1b[2J'"),
        (["run", "--as-of", "2026-13-01"], "'2026-13-01' is no time; write 2026-11-24T02:00:00Z"),
        (["run", "--as-of", "0001-01-01T00:00:00+10:00"], "is out of range"),
        (["verify"], "Missing argument 'BUNDLE...'"),
        (["run", "--output", "yaml"], "'yaml' is not one of 'text', 'json'"),
        (["verify", "x", "--key", "a", "--trust", "b"], "--key and --trust exclude each other"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_is_right(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T02:00:00Z", "2026-11-24T02:00:00+00:00"),
        ("2026-11-24 02:00:00", "2026-11-24T02:00:00+00:00"),
        ("2026-11-24", "2026-11-24T00:00:00+00:00"),
        ("2026-11-24T02:00:00+02:00", "2026-11-24T00:00:00+00:00"),
    ],
)
def test_moment_is_read_as_utc(text: str, moment: str) -> None:
    from collector.cli.options import MOMENT

    found: Any = MOMENT.convert(text, None, None)
    assert found.isoformat() == moment
