"""Performs the verdicts of a bundle again, from its evidence and its mappings alone, and compares.

Salts are left out (who performs again has no key), and then every line must be the same, byte for
byte, in the same order (docs/format.md, "Bundle").
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from collector.assess import assess
from collector.bundle import layout
from collector.bundle.open import open_verified
from collector.bundle.verify import Verified
from collector.canonical import dumps
from collector.lines import read_lines
from collector.model import Json, VerifyError

__all__ = ["Reperformed", "reperform"]

_SALT = re.compile(rb',"salt":"[0-9a-f]{32}"')
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Reperformed:
    """What came out the same.

    Attributes:
        findings, controls: how many lines.
        populations: how many populations, each with the completeness that the statement claims.
    """

    findings: int
    controls: int
    populations: int


def reperform(found: Verified) -> Reperformed:
    """Compute findings, control states and completeness again.

    Args:
        found: what was proven of the bundle.

    Raises:
        VerifyError: the file is no longer what was verified; the first line that comes out otherwise; or
            evidence that cannot be judged.
    """
    with tempfile.TemporaryDirectory(prefix="collector-reperform-") as scratch:
        folder = open_verified(found.path, found.digest, Path(scratch) / "bundle")
        out = Path(scratch) / "again"
        out.mkdir()
        summary = assess(folder, out=out)
        counts = [_compare(folder / name, out / name) for name in (layout.FINDINGS, layout.CONTROLS)]
    _compare_populations(found.predicate["completeness"], summary.populations)
    return Reperformed(counts[0], counts[1], len(summary.populations))


def _compare(signed: Path, again: Path) -> int:
    count = 0
    for count, (old, new) in enumerate(zip_longest(_unsalted(signed), _unsalted(again)), 1):
        if old != new:
            was, now = (_shown(line) for line in (old, new))
            raise VerifyError(f"performed again, {signed.name} line {count} differs: was {was}, is {now}")
    return count


def _unsalted(path: Path) -> Iterator[bytes]:
    for line in read_lines(path):
        yield _SALT.sub(b"", line, count=1)


def _shown(line: bytes | None) -> str:
    return "nothing" if line is None else ascii(line[:_SHOWN].decode("utf-8", "replace"))


def _compare_populations(claimed: Json, computed: Json) -> None:
    by_place = {dumps([each["kind"], each["scope"]]): each["complete"] for each in computed}
    for each in claimed:
        if by_place.pop(dumps([each["kind"], each["scope"]]), None) is not each["complete"]:
            where = f"{each['kind']} in {dumps(each['scope']).decode()}"
            raise VerifyError(f"performed again, the population of {where} is not as complete as stated")
    if by_place:
        raise VerifyError("performed again, there are populations that the statement leaves out")
