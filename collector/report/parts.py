"""What a partial bundle shows, as text and as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.model import Json
from collector.report.page import Page, clean, count

if TYPE_CHECKING:
    from collector.bundle.disclose import Disclosed
    from collector.bundle.trust import Trust

__all__ = ["disclosed_json", "disclosed_text", "part_json", "part_text"]


def disclosed_json(found: Disclosed) -> dict[str, Json]:
    """The one object that `disclose --output json` prints."""
    return {
        "bundle": str(found.path),
        "lines": dict(found.lines),
        "records": dict(found.records),
        "size": found.size,
    }


def disclosed_text(value: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector disclose`."""
    total = sum(value["lines"].values())
    rows = [(number, kind) for kind, number in sorted(value["records"].items())]
    return [
        f"{clean(value['bundle'])}: {count(total, 'line')} disclosed, {value['size']:,} bytes",
        *page.table(rows, right=[0]),
    ]


def part_json(path: Path, trust: Trust) -> dict[str, Json]:
    """Verify one partial bundle, and say what was proven. Raises VerifyError."""
    from collector.bundle.partial import verify_part

    found = verify_part(path, trust)
    return {
        "bundle": str(path),
        "verified": True,
        "partial": True,
        "signers": [{"name": each.name, "fingerprint": each.key.fingerprint} for each in found.signers],
        "series": found.predicate["series"],
        "as_of": found.predicate["as_of"],
        "statement": found.digest,
        "lines": sum(found.lines.values()),
        "disclosed": dict(found.lines),
        "absent": list(found.absent),
        "controls": list(found.controls),
        "kinds": list(found.kinds),
        "records": {kind: {"shown": n, "stated": of} for kind, (n, of) in found.records.items()},
        "warnings": list(found.warnings),
        "reperformed": None,
    }


def part_text(found: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector verify` about a partial bundle that verifies."""
    named = ", ".join(_absent(found["absent"]))
    series = found["series"]
    lines = [
        f"{page.paint('green', 'verified')}  {clean(found['bundle'])}",
        *page.wrap(
            f"partial: {count(found['lines'], 'line')} proven, members absent: {named or 'none'}", 2, 4
        ),
    ]
    for signer in found["signers"]:
        lines += page.wrap(f"signed by {signer['name']}, {signer['fingerprint']}", 2, 4)
    lines += page.wrap(f"series {series['name']}, number {series['sequence']}, as of {found['as_of']}", 2, 4)
    for control in found["controls"]:
        lines += page.wrap(f"control {control}: its line, and each finding that it counts", 2, 4)
    rows = [
        (f"{each['shown']:,} of {each['stated']:,}", "records", kind)
        for kind, each in found["records"].items()
    ]
    lines += page.table(rows, right=[0])
    for warning in found["warnings"]:
        lines += page.wrap(f"note: {warning}", 2, 4)
    return lines


def _absent(names: Sequence[str]) -> list[str]:
    """The files that are not here; those that a digest names are counted."""
    numbers = Counter(name.partition("/")[0] for name in names if "/" in name)
    named = [name for name in names if "/" not in name]
    return named + [f"{number} in {folder}/" for folder, number in numbers.items()]
