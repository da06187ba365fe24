"""Installed packages, from the databases of dpkg, rpm and apk."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import Json, Outcome

from ..frames import File, Frames
from ..rows import Item, Miss, Row, malformed, unread

__all__ = ["packages"]

_RPM_FIELDS = 6
_DOMAIN = re.compile(r"@([A-Za-z0-9.-]{1,253})")


def _paragraphs(file: File) -> Iterator[tuple[int, dict[str, str]]]:
    """Paragraphs of `Name: value` or `N:value` lines, with the number of their first line."""
    first, values = 1, dict[str, str]()
    for line in file.lines:
        if not line.text.strip():
            if values:
                yield first, values
            values = {}
            continue
        if not values:
            first = line.number
        name, _, value = line.text.partition(":")
        values.setdefault(name, value.strip())
    if values:
        yield first, values


def _domain(text: str) -> str | None:
    match = _DOMAIN.search(text)
    return match[1].lower() if match else None


def _dpkg(frames: Frames) -> Iterator[Item]:
    file = frames.file("/var/lib/dpkg/status")
    for number, values in _paragraphs(file):
        name, version, status = values.get("Package"), values.get("Version"), values.get("Status", "")
        words = status.split()
        if not name or len(words) != 3:
            yield malformed("host_package", file.path, number, "a paragraph without Package or Status")
            continue
        if words[2] == "not-installed":
            continue
        data: dict[str, Json] = {
            "name": name,
            "version": version,
            "arch": values.get("Architecture"),
            "manager": "dpkg",
            "source": values.get("Source", name).split(" ")[0],
            "installed": words[2] == "installed",
            "status": status,
            "held": words[0] == "hold",
            "section": values.get("Section"),
            "maintainer_domain": _domain(values.get("Maintainer", "")),
        }
        yield Row("host_package", f"{name}:{values.get('Architecture', '')}", data)


def _apk(frames: Frames) -> Iterator[Item]:
    file = frames.file("/lib/apk/db/installed")
    for number, values in _paragraphs(file):
        name, version = values.get("P"), values.get("V")
        if not name or not version:
            yield malformed("host_package", file.path, number, "a paragraph without P or V")
            continue
        data: dict[str, Json] = {
            "name": name,
            "version": version,
            "arch": values.get("A"),
            "manager": "apk",
            "source": values.get("o") or name,
            "installed": True,
            "status": "installed",
            "held": False,
            "maintainer_domain": _domain(values.get("m", "")),
        }
        yield Row("host_package", f"{name}:{values.get('A', '')}", data)


def _rpm(frames: Frames) -> Iterator[Item]:
    command = frames.command("rpm")
    seen: set[str] = set()
    for line in command.lines:
        fields = line.text.split("\t")
        if not line.text.strip():
            continue
        if len(fields) != _RPM_FIELDS:
            yield malformed("host_package", "rpm -qa", line, "not six fields")
            continue
        name, version, arch, source, group, packager = fields
        key = f"{name}:{arch}:{version}"
        if key in seen:
            continue
        seen.add(key)
        data: dict[str, Json] = {
            "name": name,
            "version": version,
            "arch": None if arch == "(none)" else arch,
            "manager": "rpm",
            "source": re.sub(r"-[^-]+-[^-]+\.src\.rpm$", "", source),
            "installed": True,
            "status": "installed",
            "held": False,
            "section": group,
            "maintainer_domain": _domain(packager),
        }
        yield Row("host_package", key, data)
    if command.missing:
        yield Miss(
            "host_package", Outcome.UNSUPPORTED, "an RPM database is there, but no rpm program to read it"
        )
    elif command.status == "run" and command.exit != 0:
        yield Miss("host_package", Outcome.FAILED, f"rpm -qa: {command.complaint[:200]}")


def packages(frames: Frames) -> Iterator[Item]:
    """The section `packages`: host_package."""
    yield from _dpkg(frames)
    yield from _apk(frames)
    yield from _rpm(frames)
    databases = [file for file in frames.files.values() if file.exists]
    if not databases and "rpm" not in frames.commands:
        yield Miss("host_package", Outcome.UNSUPPORTED, "no package database of dpkg, rpm or apk was found")
    yield from unread(frames, "host_package")
