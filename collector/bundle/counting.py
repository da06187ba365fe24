"""Counts a bundle's records and gaps in a process beside the one that hashes its lines.

Parsing lines and hashing them take about the same time, and neither lets go of the interpreter's lock; in
two processes a large bundle is verified in little more than half the time. Each reads the archive for
itself; the digests of what was counted come back with the counts, so that both are known to have read the
same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.second import WORTH_IT, Second
from collector.bundle.tally import Tally
from collector.canonical import dumps, loads
from collector.model import Json, VerifyError

__all__ = ["Count", "Counting", "count", "main"]


@dataclass(frozen=True, slots=True)
class Count:
    """What the lines of a bundle say.

    Attributes:
        counts: kind to records, where there are any.
        gaps: kind to reason to gaps.
        digests: each file of lines to the SHA-256 of its compressed bytes, in hexadecimal.
    """

    counts: Mapping[str, int]
    gaps: Mapping[str, Mapping[str, int]]
    digests: Mapping[str, str]


def count(archive: Archive) -> Count:
    """Count here and now. Raises VerifyError for lines that are not as the format says."""
    tally, digests = Tally(), {}
    for member in archive.members:
        if layout.holds_lines(member.name):
            window = archive.window(member.name)
            tally.count(window, member.name)
            digests[member.name] = window.sha256()
    return Count(tally.counts, tally.gaps, digests)


class Counting:
    """Counts while other things are done: a context manager that starts at once and is asked at the end.

    The first error is the same whether a second process did it or not. One that was killed costs time,
    not the verdict: then it is counted here.
    """

    def __init__(self, archive: Archive, worth_it: int = WORTH_IT) -> None:
        self._archive = archive
        self._second = Second(__name__, archive, worth_it=worth_it)

    def __enter__(self) -> Counting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._second.__exit__(kind, value, trace)

    def result(self) -> Count:
        """Wait for the counts. Raises VerifyError for lines that are not as the format says."""
        if process := self._second.process:
            answer, _ = process.communicate()
            if process.returncode == 0:
                return _read(answer)
        return count(self._archive)


def _read(answer: bytes) -> Count:
    said = loads(answer)
    if "error" in said:
        raise VerifyError(said["error"])
    return Count(said["counts"], said["gaps"], said["digests"])


def main(path: Path) -> None:
    """Count the lines of a bundle and write what came of it to standard output, as one JSON object."""
    said: dict[str, Json]
    try:
        with Archive(path) as archive:
            found = count(archive)
        said = {"counts": dict(found.counts), "gaps": dict(found.gaps), "digests": dict(found.digests)}
    except VerifyError as error:
        said = {"error": str(error)}
    sys.stdout.buffer.write(dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
