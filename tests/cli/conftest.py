from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from collector.cli import main; main()"


def install(site: Path, distribution: str, entries: Mapping[str, str]) -> None:
    """Make a distribution known by its entry points, as an installer would."""
    info = site / f"{distribution}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1.0\n")
    lines = [f"{name} = {module}" for name, module in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[evidence_collector]", *lines, ""]))


@dataclass
class Machine:
    """A machine of its own: a home, a working folder, and the collector's plugins."""

    home: Path
    work: Path
    path: Sequence[Path]

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COLLECTOR_", "XDG_"))
        }
        own = map(str, self.path)
        return {
            **kept,
            "HOME": str(self.home),
            "COLLECTOR_CONFIG_DIR": str(self.home / "config"),
            "COLLECTOR_STATE": str(self.home / "state"),
            "PYTHONPATH": os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def command(self, *arguments: Any) -> list[str]:
        return [sys.executable, "-c", PROGRAM, *map(str, arguments)]

    def __call__(self, *arguments: Any, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.work,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    install(site, "evidence_collector", project["entry-points"]["evidence_collector"])
    return site


def made(folder: Path, site: Path) -> Machine:
    (folder / "home").mkdir()
    (folder / "work").mkdir()
    return Machine(folder / "home", folder / "work", [site, ROOT, ROOT / "plugins"])


@pytest.fixture
def machine(tmp_path: Path, site: Path) -> Machine:
    """A machine on which nothing was done yet."""
    return made(tmp_path, site)


@dataclass
class Ran:
    """A machine that audited the example programme once."""

    machine: Machine
    done: subprocess.CompletedProcess[str]
    bundle: Path


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Ran:
    machine = made(tmp_path_factory.mktemp("ran"), site)
    folder = ROOT / "examples/program"
    (machine.work / "collector.toml").write_text(f'[[source]]\nuse = "program"\nfolder = "{folder}"\n')
    assert machine("init", "--quiet").returncode == 0
    done = machine("run", "--as-of", "2026-11-24T02:00:00Z")
    assert done.returncode == 0, done.stderr
    return Ran(machine, done, next((machine.home / "state").rglob("00000001-*.zip")))
