"""A machine of its own for whole runs: a home, a programme folder, and the installed program."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from collector.cli import main; main()"


@dataclass
class Machine:
    """Runs the program with a home of its own; `blocked` names packages that cannot be imported."""

    home: Path
    blocked: tuple[str, ...] = ()

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COLLECTOR_", "XDG_"))
        }
        own = {
            "HOME": str(self.home),
            "COLLECTOR_CONFIG_DIR": str(self.home / "config"),
            "COLLECTOR_STATE": str(self.home / "state"),
        }
        return kept | own

    def command(self, *arguments: Any) -> list[str]:
        block = f"import sys; sys.modules.update(dict.fromkeys({self.blocked!r})); "
        return [sys.executable, "-c", block + PROGRAM, *map(str, arguments)]

    def __call__(self, *arguments: Any, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.home,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **more,
        )

    def run(self, *arguments: Any) -> dict[str, Any]:
        """`run --output json`, which must end well."""
        done = self("run", "--output", "json", *arguments)
        assert done.returncode in (0, 3), done.stderr
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    def configure(self, *sources: str, more: str = "") -> None:
        tables = "\n".join(f"[[source]]\n{source}" for source in sources)
        (self.home / "collector.toml").write_text(f"{more}\n{tables}\n")


def make(home: Path) -> Machine:
    home.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "examples" / "program", home / "program")
    machine = Machine(home)
    machine.configure('use = "host"', 'use = "program"\nfolder = "program"')
    done = machine("init")
    assert done.returncode == 0, done.stderr
    return machine


@pytest.fixture(scope="session")
def make_machine() -> Callable[[Path], Machine]:
    """Makes machines on which nothing was run yet, each in a home that does not exist yet."""
    return make


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make(tmp_path / "home")


@dataclass(frozen=True)
class First:
    """A machine after its first run, and what that run printed."""

    machine: Machine
    result: Mapping[str, Any]

    @property
    def bundle(self) -> Path:
        return Path(self.result["bundle"])


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    machine = make(tmp_path_factory.mktemp("first") / "home")
    return First(machine, machine.run())


@pytest.fixture
def planted() -> Mapping[str, tuple[str, str]]:
    """Secrets of more than fifty shapes: name to a text that holds one, and the secret."""
    path = ROOT / "tests" / "collect" / "test_redact.py"
    spec = importlib.util.spec_from_file_location("planted_secrets", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    made: Mapping[str, tuple[str, str]] = module.PLANTED
    return made


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine after three runs, with a store of three bundles. Do not change it: take a `twin`."""
    machine = make(tmp_path_factory.mktemp("nights") / "home")
    machine.configure('use = "program"\nfolder = "program"')
    for _ in range(3):
        machine.run()
    return machine


@pytest.fixture
def twin(nights: Machine, tmp_path: Path) -> Callable[[str], Machine]:
    """Makes copies of that machine, state and store and keys included, by name."""

    def copy(name: str) -> Machine:
        shutil.copytree(nights.home, tmp_path / name, symlinks=True)
        return Machine(tmp_path / name)

    return copy
