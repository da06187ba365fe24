"""The shipped catalogues are complete, and are what the facts say."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = ROOT / "mappings"
FACTS = ROOT.parent / "shared" / "frameworks"
NAMES = ("iso27001-2022", "nist-800-53-r5", "soc2-2017")
KEYS = {"id", "title", "parent", "withdrawn", "assessable", "baselines"}


def controls(name: str) -> list[dict[str, Any]]:
    framework = json.loads((MAPPINGS / "frameworks" / f"{name}.json").read_text("utf-8"))
    assert framework["framework"] == name
    return list(framework["controls"])


def assessable(name: str) -> list[str]:
    return [
        control["id"]
        for control in controls(name)
        if control.get("assessable", True) and not control.get("withdrawn", False)
    ]


def test_iso_catalogue_holds_all_clauses_and_the_93_annex_a_controls() -> None:
    ids = [control["id"] for control in controls("iso27001-2022")]
    assert len(ids) == 138
    annex = Counter(one.split(".")[1] for one in assessable("iso27001-2022") if one.startswith("A."))
    assert annex == {"5": 37, "6": 8, "7": 14, "8": 34}
    assert {one for one in ids if "." not in one} == {str(clause) for clause in range(4, 11)}


def test_soc2_catalogue_holds_the_61_criteria() -> None:
    ids = assessable("soc2-2017")
    assert len(ids) == len(controls("soc2-2017")) == 61
    groups = Counter(one.split(".")[0].rstrip("0123456789") for one in ids)
    assert groups == {"CC": 33, "A": 3, "C": 2, "PI": 5, "P": 18}


def test_nist_catalogue_holds_every_family_control_and_enhancement() -> None:
    entries = controls("nist-800-53-r5")
    families = [control["id"] for control in entries if control["parent"] is None]
    assert families == sorted(families) and len(families) == 20
    assert len(entries) == 1216
    assert sum(control.get("withdrawn", False) for control in entries) == 182
    assert {"AC-2(3)", "IA-5(1)", "SI-2", "AU-8", "SC-8(1)", "CM-7"} <= set(assessable("nist-800-53-r5"))


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_unique_titled_and_hangs_below_an_entry(name: str) -> None:
    entries = controls(name)
    ids = [control["id"] for control in entries]
    assert len(ids) == len(set(ids))
    for control in entries:
        assert set(control) <= KEYS
        assert control["title"].strip()
        assert control["parent"] is None or control["parent"] in set(ids)
        assert control.get("withdrawn", True) is True
        assert control.get("assessable", False) is False


@pytest.mark.parametrize("name", NAMES)
def test_catalogue_has_one_control_a_line(name: str) -> None:
    lines = (MAPPINGS / "frameworks" / f"{name}.json").read_text("utf-8").splitlines()
    entries = [line for line in lines if line.startswith('{"id":')]
    assert len(entries) == len(controls(name))


def test_crosswalks_name_only_controls_that_exist_and_say_where_they_come_from() -> None:
    known = {name: {control["id"] for control in controls(name)} for name in NAMES}
    files = list((MAPPINGS / "crosswalks").glob("*.csv"))
    assert files
    for file in files:
        rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
        assert rows
        for row in rows:
            assert row["source"] in known[row["source_framework"]]
            assert row["target"] in known[row["target_framework"]]
            assert row["relationship"] in {"equal-to", "subset-of", "superset-of", "intersects-with"}
            assert row["origin"]


@pytest.mark.skipif(not FACTS.is_dir(), reason="the folder of facts is not part of the project")
def test_generating_again_from_the_facts_gives_the_shipped_files(tmp_path: Path) -> None:
    script = ROOT / "tools" / "generate_frameworks.py"
    subprocess.run([sys.executable, str(script), str(FACTS), str(tmp_path)], check=True, timeout=60)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    shipped = {
        path.relative_to(MAPPINGS): path.read_bytes()
        for folder in ("frameworks", "crosswalks")
        for path in (MAPPINGS / folder).glob("*.*")
    }
    assert made == shipped
