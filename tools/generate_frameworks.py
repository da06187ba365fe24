"""Write mappings/frameworks/*.json and mappings/crosswalks/*.csv from the folder of framework facts.

Run by hand when the facts change; what it writes is checked in:

    python tools/generate_frameworks.py ../shared/frameworks

A catalogue holds ids, which are facts, and titles: the publisher's where the text is public domain,
our own words elsewhere. Crosswalks suggest relations; no status travels along them.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

__all__ = ["catalogue", "crosswalk", "generate"]

FRAMEWORKS = {
    "iso27001-2022": "ISO/IEC 27001:2022, clauses and Annex A",
    "soc2-2017": "SOC 2, Trust Services Criteria 2017",
    "nist-800-53-r5": "NIST SP 800-53 revision 5",
}

# Levels that are headings whatever stands below them. An ISO clause is one if it has subclauses: then
# all that it asks for stands in those. A NIST control with enhancements asks for something itself.
_HEADINGS = {"clause", "theme", "family"}
_HEADING_IF_DIVIDED = {"subclause"}
_COLUMNS = ("source_framework", "source", "target_framework", "target", "relationship", "origin")


def catalogue(facts: dict[str, Any]) -> dict[str, Any]:
    """One framework in the form that mapping packs ship.

    Args:
        facts: a catalogue of the facts folder: `framework`, `version`, `license` and `controls`, each
            with `id`, `parent`, `level`, `title` and, where they apply, `withdrawn` and `baselines`.

    Returns:
        `framework`, `title`, `version`, `license` and `controls`, each with `id`, `title` and `parent`
        (None where the facts hold no such entry); `withdrawn: true`, `assessable: false` and
        `baselines` only where they say something.

    Raises:
        KeyError: a framework that this script has no title for.
    """
    controls = facts["controls"]
    ids = {control["id"] for control in controls}
    divided = {control["parent"] for control in controls}
    return {
        "framework": facts["framework"],
        "title": FRAMEWORKS[facts["framework"]],
        "version": facts["version"],
        "license": facts["license"],
        "controls": [_control(control, ids, divided) for control in controls],
    }


def _control(fact: dict[str, Any], ids: set[str], divided: set[str]) -> dict[str, Any]:
    parent = fact["parent"] if fact["parent"] in ids else None
    control: dict[str, Any] = {"id": fact["id"], "title": fact["title"], "parent": parent}
    level = fact["level"]
    if level in _HEADINGS or (level in _HEADING_IF_DIVIDED and fact["id"] in divided):
        control["assessable"] = False
    if fact.get("withdrawn"):
        control["withdrawn"] = True
    if fact.get("baselines"):
        control["baselines"] = fact["baselines"]
    return control


def _written(framework: dict[str, Any]) -> str:
    """JSON with one control a line, so that a change of one control is a change of one line."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    head = ",\n".join(f"{compact(key)}:{compact(framework[key])}" for key in framework if key != "controls")
    lines = ",\n".join(compact(control) for control in framework["controls"])
    return f'{{{head},\n"controls":[\n{lines}\n]}}\n'


def crosswalk(rows: list[dict[str, str]], known: dict[str, set[str]]) -> list[dict[str, str]]:
    """The rows between two shipped frameworks, in order, without repetition.

    Args:
        rows: rows of a crosswalk of the facts folder, with the columns `source_framework`, `source`,
            `target_framework`, `target`, `relationship` and `origin`.
        known: the ids of each shipped framework.

    Raises:
        ValueError: a row names a control that its catalogue lacks.
    """
    for row in rows:
        for side in ("source", "target"):
            if row[side] not in known[row[f"{side}_framework"]]:
                raise ValueError(f"crosswalk names {row[f'{side}_framework']}:{row[side]}, no such control")
    unique = {tuple(row[column] for column in _COLUMNS): row for row in rows}
    return list(unique.values())


def generate(facts: Path, mappings: Path) -> list[Path]:
    """Write the catalogues and the crosswalks among them.

    Args:
        facts: the folder that holds `catalogs/` and `crosswalks/`.
        mappings: the folder to write `frameworks/` and `crosswalks/` into.

    Returns:
        The files written.
    """
    known, written = {}, []
    for name in FRAMEWORKS:
        framework = catalogue(json.loads((facts / "catalogs" / f"{name}.json").read_text("utf-8")))
        known[name] = {control["id"] for control in framework["controls"]}
        written.append(_write(mappings / "frameworks" / f"{name}.json", _written(framework)))
    for path in sorted((facts / "crosswalks").glob("*.csv")):
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        if {row[f"{side}_framework"] for row in rows for side in ("source", "target")} <= known.keys():
            lines = [",".join(_COLUMNS)]
            lines += [",".join(row[column] for column in _COLUMNS) for row in crosswalk(rows, known)]
            written.append(_write(mappings / "crosswalks" / path.name, "\n".join(lines) + "\n"))
    return written


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def main() -> None:
    """Read the folders from the command line and generate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("facts", type=Path, help="folder with catalogs/ and crosswalks/")
    parser.add_argument(
        "mappings", type=Path, nargs="?", default=Path(__file__).resolve().parent.parent / "mappings"
    )
    arguments = parser.parse_args()
    generate(arguments.facts, arguments.mappings)


if __name__ == "__main__":
    main()
