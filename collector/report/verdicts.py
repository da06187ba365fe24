"""What judging, verifying and asking a bundle came to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.model import Json
from collector.report.page import Page, clean, count
from collector.report.parts import part_json, part_text
from collector.report.screen import control_table

if TYPE_CHECKING:
    from collector.bundle.trust import Trust


__all__ = ["rows_text", "summary_text", "verified_json", "verified_text"]

_CHECKS = 10  # checks that were not run and are named


def summary_text(value: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector assess`; `value` is the summary as plain data."""
    torn = [each for each in value["populations"] if not each["complete"]]
    lines = [
        page.heading("Findings"),
        *page.table(
            [(number, name.replace("_", " ")) for name, number in value["findings"].items()], right=[0]
        ),
        page.heading("Controls"),
        *control_table(value["controls"], {}, page),
        f"{len(value['populations']) - len(torn)} populations are complete, {len(torn)} are not",
    ]
    if value["not_run"]:
        shown = ", ".join([*value["not_run"][:_CHECKS], *(["..."] if value["not_run"][_CHECKS:] else [])])
        text = f"{count(len(value['not_run']), 'check')} not run, since nothing of their kind was collected"
        lines += page.wrap(f"{text}: {shown}", 0, 2)
    for check, why in value["failed"].items():
        lines += page.wrap(f"! check {check}: {why}", 0, 2)
    return lines


def verified_json(path: Path, trust: Trust, again: bool) -> dict[str, Json]:
    """Verify one bundle, and say what came of it as plain data; that it does not verify too."""
    from collector.bundle.partial import is_partial
    from collector.bundle.reperform import reperform
    from collector.bundle.verify import verify as prove
    from collector.model import MappingError, VerifyError

    try:
        if is_partial(path):
            if again:
                raise VerifyError("a partial bundle: its verdicts cannot be performed again")  # noqa: TRY301
            return part_json(path, trust)
        found = prove(path, trust)
        performed = asdict(reperform(found)) if again else None
    except (VerifyError, MappingError) as error:
        return {"bundle": str(path), "verified": False, "error": str(error).removeprefix(f"{path.name}: ")}
    series = found.predicate["series"]
    return {
        "bundle": str(path),
        "verified": True,
        "signers": [{"name": each.name, "fingerprint": each.key.fingerprint} for each in found.signers],
        "stamps": [
            {
                "authority": each.authority,
                "time": f"{each.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                "signature": each.signature,
            }
            for each in found.stamps
        ],
        "series": series,
        "as_of": found.predicate["as_of"],
        "statement": found.digest,
        "members": found.members,
        "lines": found.lines,
        "warnings": list(found.warnings),
        "reperformed": performed,
    }


def verified_text(found: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector verify` about one bundle."""
    if not found["verified"]:
        return [
            f"{page.paint('red', 'DOES NOT VERIFY')}  {clean(found['bundle'])}",
            *page.wrap(found["error"], 2, 4),
        ]
    if found.get("partial"):
        return part_text(found, page)
    series, files = found["series"], count(found["members"], "file")
    signers = ", ".join(f"{each['name']} {each['fingerprint']}" for each in found["signers"])
    lines = [
        f"{page.paint('green', 'verified')}  {clean(found['bundle'])}",
        *page.wrap(f"signed by {signers}", 2, 4),
        *(line for each in found["stamps"] for line in page.wrap(_stamp(each), 2, 4)),
        *page.wrap(f"series {series['name']}, number {series['sequence']}, as of {found['as_of']}", 2, 4),
        *page.wrap(f"{files} and {count(found['lines'], 'line')} are as they were signed", 2, 4),
    ]
    if again := found["reperformed"]:
        same = [count(again[f"{noun}s"], noun) for noun in ("finding", "control", "population")]
        lines += page.wrap(f"performed again: {', '.join(same)} come out the same", 2, 4)
    return lines + [line for warning in found["warnings"] for line in page.wrap(f"note: {warning}", 2, 4)]


def _stamp(stamp: Mapping[str, Any]) -> str:
    what = "the witness' signature" if stamp["signature"] else "the signature"
    return f"{what} was there at {stamp['time']}, says {stamp['authority']}"


def rows_text(columns: Sequence[str], rows: Sequence[Sequence[Json]], page: Page) -> list[str]:
    """The rows of a query, aligned."""
    shown = [
        [
            "NULL" if cell is None else cell if isinstance(cell, str) else json.dumps(cell, default=str)
            for cell in row
        ]
        for row in rows
    ]
    return [*page.table(shown, columns, indent=0), page.paint("dim", f"({count(len(rows), 'row')})")]
