"""What the host tells before and after login."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import Json

from ..frames import File, Frames
from ..rows import Item, Row, cannot_read, column_gaps, unread
from .system import os_release

__all__ = ["banners"]

_SHOWN = {"/etc/issue": "console login", "/etc/issue.net": "network login", "/etc/motd": "after login"}
_ESCAPES = re.compile(
    r"\\[srmvoSn]|%[srmv]"
)  # agetty(8)'s escapes for system, release, machine, version, host
_WRITABLE = 0o022


def _names(frames: Frames) -> list[str]:
    values, _ = os_release(frames.file("/etc/os-release"))
    names = [values.get("NAME", ""), values.get("ID", ""), values.get("PRETTY_NAME", "")]
    return [name.lower() for name in names if len(name) > 3]


def banners(frames: Frames) -> Iterator[Item]:
    """The section `banners`: host_banner."""
    names = _names(frames)
    for path in [*_SHOWN, *(file.path for file in frames.below("/etc/issue.d"))]:
        yield _row(frames, frames.file(path), names)
    yield from unread(frames, "host_banner", lambda path: path == "/etc/issue.d")


def _row(frames: Frames, file: File, names: list[str]) -> Row:
    data: dict[str, Json] = {
        "path": file.path,
        "exists": file.exists,
        "shown": _SHOWN.get(file.path, "console login"),
    }
    if not file.exists:
        gaps = (
            column_gaps(("exists", "text", "empty", "discloses_system"), *cannot_read(frames, file))
            if file.unknown
            else ()
        )
        return Row("host_banner", file.path, data | ({"exists": None} if file.unknown else {}), gaps)
    data |= {"mode": file.mode, "uid": file.uid, "writable_by_others": file.has(_WRITABLE)}
    if not file.readable or file.truncated:
        return Row(
            "host_banner",
            file.path,
            data,
            column_gaps(("text", "empty", "discloses_system"), *cannot_read(frames, file)),
        )
    text = file.text
    lower = text.lower()
    data |= {
        "text": text,
        "empty": not text.strip(),
        "discloses_system": bool(_ESCAPES.search(text)) or any(name in lower for name in names),
    }
    return Row("host_banner", file.path, data)
