"""What a run that was cut off leaves in the outbox and nobody would look at again."""

from __future__ import annotations

from pathlib import Path

from collector.deliver import durable
from collector.deliver.series import parse_key

__all__ = ["sweep"]

_UNFINISHED = ".new"  # as `durable.write` and the outbox call a file before they rename it


def sweep(outbox: Path, series: str) -> None:
    """Remove notes without a bundle, and files that were never renamed to what they should be.

    A note is written before its bundle comes in and removed after it left, so one that is alone speaks of a
    bundle that never came or is gone. The series' lock must be held: then nobody is just writing them.

    Raises:
        OSError: one cannot be removed.
    """
    for path in sorted((outbox / series).rglob("*")):
        if path.is_file() and _is_left(path, path.relative_to(outbox).parent):
            durable.remove(path)


def _is_left(path: Path, place: Path) -> bool:
    name = path.name.removesuffix(_UNFINISHED)
    unfinished = name != path.name and name.startswith(".")
    stem = name.removeprefix(".").partition(".")[0]
    if parse_key(f"{place.as_posix()}/{stem}.zip") is None:
        return False
    return unfinished or (path.name == f"{stem}.json" and not path.with_suffix(".zip").exists())
