"""Opens a bundle for assessing and asking: its members as files, laid out as the run left them."""

from __future__ import annotations

from pathlib import Path

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.model import VerifyError

__all__ = ["open_bundle"]


def open_bundle(path: Path, folder: Path) -> Path:
    """Extract a bundle into a folder that does not exist yet, and return that folder.

    The archive's form, all names and sizes are checked before anything is written; signature and
    digests are not: `collector.bundle.verify` does that. Files of lines stay compressed, and
    `collector.lines.read_lines` limits what they expand to.

    Raises:
        VerifyError: it is no bundle.
        OSError: the folder exists, or the disk is full.
    """
    with Archive(path) as archive:
        if layout.DISCLOSED in archive:
            raise VerifyError(f"{path.name}: a partial bundle can be verified, not judged or asked")
        for name in layout.REQUIRED:
            if name not in archive:
                raise VerifyError(f"{archive.path.name}: {name} is missing")
        archive.extract(folder)
    return folder
