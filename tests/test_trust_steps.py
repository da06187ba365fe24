"""The steps of docs/trust.md, run as they stand there on a real bundle."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "trust.md").read_text()
STEPS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PLUGINS = ("baseline", "directory", "file", *(path.name for path in (ROOT / "mappings/checks").iterdir()))

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL is not here")


class Desk:
    """An auditor's folder with what the page says lies there, and a `collector` on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "desk"
        self.folder.mkdir()
        info = folder / "site" / "evidence_collector-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evidence-collector\nVersion: 0.1.0\n")
        entries = "".join(f"{name} = collector_{name}\n" for name in PLUGINS)
        (info / "entry_points.txt").write_text(f"[evidence_collector]\n{entries}")
        program = folder / "bin" / "collector"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\nfrom collector.cli import main\nmain()\n")
        program.chmod(0o755)
        self.environ = {
            **os.environ,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{folder / 'site'}:{ROOT}:{ROOT / 'plugins'}",
            "COLLECTOR_CONFIG_DIR": str(folder / "config"),
            "COLLECTOR_STATE": str(folder / "state"),
        }

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, lasting_stamper: Callable[..., Any]) -> Desk:
    folder = tmp_path_factory.mktemp("trust")
    desk = Desk(folder)
    made = folder / "collector.toml"
    tsa = lasting_stamper()
    made.write_text(
        f'[[source]]\nuse = "program"\nfolder = "{ROOT / "examples" / "program"}"\n'
        f'[[stamp]]\nname = "tsa"\nurl = "{tsa.url}"\ncertificates = ["{tsa.folder / "root.pem"}"]\n'
    )
    done = desk.sh(f"collector init >&2; collector run --quiet --config {made}")
    assert done.returncode in (0, 3), done.stderr
    shutil.copytree(folder / "state" / "evidence", desk.folder / "store")
    (bundle,) = (desk.folder / "store").rglob("*.zip")
    shutil.copy(bundle, desk.folder / "bundle.zip")
    shutil.copy(folder / "config" / "key.pub.pem", desk.folder)
    shutil.copy(tsa.folder / "root.pem", desk.folder / "tsa.pem")
    shutil.copy(ROOT / "docs" / "verify.sh", desk.folder)
    return desk


def test_every_step_of_the_page_runs_and_says_what_it_promises(desk: Desk) -> None:
    said = []
    for step in STEPS if shutil.which("cosign") else STEPS[:-1]:
        done = desk.sh(step)
        assert done.returncode == 0, (step, done.stdout, done.stderr)
        assert done.stdout or "grep" in step
        said.append(done.stdout)
    assert len(STEPS) == 9
    assert "cosign verify-blob-attestation" in STEPS[-1]
    fingerprint = said[0].strip()
    assert said[1].startswith("verified: ")
    assert f"SHA256:{fingerprint}" in said[4]
    assert "performed again" in said[4]
    assert "numbers 1 to 1" in said[6]
    assert "not shown: " in said[6]
    assert "Period  2026-01-01T00:00:00Z to " in said[6]
    assert "partial: " in said[7]
    assert shutil.which("cosign") is None or "the signature was there at" in " ".join(said[8].split())


def test_the_steps_fail_where_the_bundle_was_changed(desk: Desk) -> None:
    data = bytearray((desk.folder / "bundle.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (desk.folder / "changed.zip").write_bytes(data)
    for step in (STEPS[1], STEPS[4]):
        done = desk.sh(step.replace("bundle.zip", "changed.zip").replace("evidence", "other"))
        assert done.returncode == 1, (step, done.stdout, done.stderr)


@pytest.mark.skipif(shutil.which("cosign") is None, reason="cosign is not here (Debian 13 has it)")
def test_the_last_step_fails_by_another_clock_or_another_file(
    desk: Desk, lasting_stamper: Callable[..., Any]
) -> None:
    step = STEPS[-1].replace("evidence/", "opened/")
    assert desk.sh("sh verify.sh key.pub.pem bundle.zip opened").returncode == 0
    assert desk.sh(step).returncode == 0
    shutil.copy(lasting_stamper("foreign").folder / "root.pem", desk.folder / "foreign.pem")
    without = step.replace("tsa.pem", "foreign.pem").replace("stamps = 1\n", "")
    done = desk.sh(without)
    assert "threshold not met for verified signed timestamps" in done.stderr
    assert done.returncode != 0
    (desk.folder / "other").write_text("not in it")
    assert "does not match any digest" in desk.sh(step.replace("opened/findings.jsonl.gz", "other")).stderr


def test_a_step_speaks_of_no_file_that_the_page_does_not_name() -> None:
    text = re.sub(r"^```sh\n.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    for name in ("bundle.zip", "key.pub.pem", "verify.sh", "store", "tsa.pem"):
        assert f"`{name}`" in text or f"[`{name}`]" in text
