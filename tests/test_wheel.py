"""A wheel, built and installed into an empty environment, works from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", scratch, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = scratch.glob("evidence_collector-*.whl")
    venv.create(scratch / "env", with_pip=True)
    python = scratch / "env" / "bin" / "python"
    subprocess.run([python, *pip[1:], "install", wheel], check=True, capture_output=True)
    return scratch / "env" / "bin" / "collector"


def test_an_installed_wheel_runs_from_any_folder(program: Path, tmp_path: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("COLLECTOR_", "PYTHON"))
    }
    environ = {
        **kept,
        "COLLECTOR_CONFIG_DIR": str(tmp_path / "config"),
        "COLLECTOR_STATE": str(tmp_path / "state"),
    }

    def collector(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )

    plugins = json.loads(collector("plugins", "--output", "json").stdout)
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert set(entries["evidence_collector"]) <= plugins.keys()
    checks = json.loads(collector("checks", "--output", "json").stdout)
    assert len(checks) > 80
    assert collector("init").returncode == 0
    done = collector("run", "--output", "json")
    assert done.returncode in (0, 3), done.stderr
    bundle = json.loads(done.stdout)["bundle"]
    assert collector("verify", bundle, "--reperform").returncode == 0
