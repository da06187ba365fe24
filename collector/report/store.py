"""What looking through stores came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.model import Json
from collector.report.page import Page, count

if TYPE_CHECKING:
    from collector.bundle.trust import Trust

__all__ = ["store_json", "store_text"]


def store_json(stores: Sequence[Path], trust: Trust, again: bool) -> dict[str, Json]:
    """Verify stores, and say what came of it as plain data; that they do not verify too.

    Raises:
        ConfigError: a folder that is no store.
    """
    from collector.bundle.reperform import reperform
    from collector.bundle.verify import verify
    from collector.deliver.audit import CANNOT_SHOW, audit
    from collector.model import MappingError, VerifyError

    def prove(path: Path) -> tuple[str, Mapping[str, Json]]:
        found = verify(path, trust)
        try:
            if again:
                reperform(found)
        except MappingError as error:
            raise VerifyError(str(error)) from None
        return found.digest, found.predicate

    found = audit(stores, prove)
    return {
        "stores": [str(store) for store in stores],
        "verified": found.holds,
        "seen": found.seen,
        "bundles": [
            {
                "bundle": str(each.path),
                "statement": each.digest,
                "series": each.name,
                "epoch": each.epoch,
                "sequence": each.sequence,
                "reason": each.reason,
                "as_of": f"{each.as_of:%Y-%m-%dT%H:%M:%SZ}",
            }
            for each in found.bundles
        ],
        "remarks": [
            {"what": each.what, "where": each.where, "text": each.text, "breaks": each.breaks}
            for each in found.remarks
        ],
        "cannot_show": list(CANNOT_SHOW),
    }


def store_text(found: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector verify` about stores."""
    word = page.paint("green", "verified") if found["verified"] else page.paint("red", "DOES NOT VERIFY")
    lines = [f"{word}  {', '.join(found['stores'])}"]
    lines += page.wrap(f"{count(len(found['bundles']), 'bundle')} of {found['seen']} verify", 2, 4)
    for name, epoch in sorted({(each["series"], each["epoch"]) for each in found["bundles"]}):
        here = [each for each in found["bundles"] if (each["series"], each["epoch"]) == (name, epoch)]
        numbers = f"numbers {here[0]['sequence']} to {here[-1]['sequence']}"
        lines += page.wrap(f"series {name}: {numbers}, as of {here[0]['as_of']} to {here[-1]['as_of']}", 2, 4)
        if here[0]["reason"]:
            lines += page.wrap(f"it began since {here[0]['reason']}", 4, 6)
    for each in found["remarks"]:
        mark = page.paint("red", each["what"]) if each["breaks"] else f"note: {each['what']}"
        lines += page.wrap(f"{mark}  {each['where']}: {each['text']}", 2, 4)
    for text in found["cannot_show"]:
        lines += page.wrap(f"not shown: {text}", 2, 4)
    return lines
