"""Takes out of a bundle that was verified what it says of controls, without its evidence.

A period has hundreds of bundles, and evidence is most of each. What is taken is held against the signed
digests again, since the file may have changed after it was verified.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from collector.bundle import layout
from collector.bundle.archive import Archive, Window
from collector.bundle.sign import parse_envelope
from collector.bundle.statement import parse
from collector.canonical import dumps, sha256_hex
from collector.model import VerifyError

__all__ = ["extract_judged"]

_MAPPINGS = "mappings/"
_CHUNK = 1 << 20


def extract_judged(path: Path, statement: str, folder: Path, known: Container[str]) -> str:
    """Extract a bundle's control states, and its mappings unless they are known.

    Args:
        path: a bundle that was verified.
        statement: SHA-256 of its statement's bytes, in hexadecimal.
        folder: where to; must not exist yet.
        known: what this function returned for mappings that are not needed again.

    Returns:
        What tells its mappings from all others: a digest over their names and digests.

    Raises:
        VerifyError: the file is not the one that was verified.
        OSError: the folder exists, or the disk is full.
    """
    with Archive(path) as archive:
        envelope = parse_envelope(archive.read(layout.STATEMENT))
        if sha256_hex(envelope.payload) != statement:
            raise _changed(path)
        subjects, _ = parse(envelope.payload)
        mappings = [each for each in subjects if each.name.startswith(_MAPPINGS)]
        identity = sha256_hex(dumps([[each.name, each.sha256] for each in mappings]))
        wanted = [each for each in subjects if each.name == layout.CONTROLS]
        wanted += [] if identity in known else mappings
        folder.mkdir(mode=0o700)
        for each in wanted:
            if _written(archive.window(each.name), folder / each.name) != each.sha256:
                raise _changed(path)
    return identity


def _written(window: Window, path: Path) -> str:
    """Write a member, whose name the archive has checked, and return the SHA-256 of what was written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as file:
        while chunk := window.read(_CHUNK):
            file.write(chunk)
    return window.sha256()


def _changed(path: Path) -> VerifyError:
    return VerifyError(f"{path.name}: changed after it was verified")
