"""Opens a bundle for assessing and asking: its members as files, laid out as the run left them."""

from __future__ import annotations

from pathlib import Path

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.sign import parse_envelope
from collector.bundle.statement import parse
from collector.canonical import sha256_hex
from collector.model import VerifyError

__all__ = ["open_bundle", "open_verified"]


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
        _check_whole(archive)
        archive.extract(folder)
    return folder


def open_verified(path: Path, statement: str, folder: Path) -> Path:
    """As `open_bundle`, for a bundle that was verified: what is written is what was, or nothing is returned.

    The file is opened anew, and may have been exchanged since; so its statement is held against the one that
    was verified, and what is written against the digests that this one signs.

    Args:
        path: the bundle.
        statement: SHA-256 of the verified statement's bytes, in hexadecimal.
        folder: where to; must not exist yet.

    Raises:
        VerifyError: the file is not the one that was verified.
        OSError: the folder exists, or the disk is full.
    """
    with Archive(path) as archive:
        _check_whole(archive)
        payload = parse_envelope(archive.read(layout.STATEMENT)).payload
        written = archive.extract(folder)
    signed = {each.name: each.sha256 for each in parse(payload)[0]}
    covered = {name: digest for name, digest in written.items() if layout.is_signed(name)}
    if sha256_hex(payload) != statement or covered != signed:
        raise VerifyError(f"{path.name}: changed after it was verified")
    return folder


def _check_whole(archive: Archive) -> None:
    if layout.DISCLOSED in archive:
        raise VerifyError(f"{archive.path.name}: a partial bundle can be verified, not judged or asked")
    for name in layout.REQUIRED:
        if name not in archive:
            raise VerifyError(f"{archive.path.name}: {name} is missing")
