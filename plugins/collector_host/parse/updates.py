"""Newer versions that the local lists offer; nothing is refreshed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cmp_to_key

from collector.model import ColumnGap, Json, Outcome

from ..frames import Frames
from ..rows import Item, Miss, Row, cannot_read, column_gaps, malformed, moment

__all__ = ["compare_debian", "updates"]


def _order(character: str) -> int:
    """The weight of a character in Debian's version order: ~ before the end, letters before the rest."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _compare_part(left: str, right: str) -> int:
    """Compare upstream versions or revisions (deb-version(7)): text and numbers in turn."""
    while left or right:
        head = re.match(r"[^0-9]*", left), re.match(r"[^0-9]*", right)
        texts = [match[0] if match else "" for match in head]
        left, right = left[len(texts[0]) :], right[len(texts[1]) :]
        for place in range(max(map(len, texts))):
            weights = [_order(text[place]) if place < len(text) else 0 for text in texts]
            if weights[0] != weights[1]:
                return -1 if weights[0] < weights[1] else 1
        digits = re.match(r"[0-9]*", left), re.match(r"[0-9]*", right)
        numbers = [match[0].lstrip("0") if match else "" for match in digits]
        left, right = (
            text[match.end() if match else 0 :] for text, match in zip((left, right), digits, strict=True)
        )
        # As text with equal lengths, numbers of any size compare without being converted.
        ranked = [(len(number), number) for number in numbers]
        if ranked[0] != ranked[1]:
            return -1 if ranked[0] < ranked[1] else 1
    return 0


def compare_debian(left: str, right: str) -> int:
    """Compare two Debian versions: below, equal or above 0, as deb-version(7) orders them."""
    epochs, rest = [], []
    for version in (left, right):
        epoch, colon, body = version.partition(":")
        epochs.append(epoch.lstrip("0") if colon else "")
        rest.append(body if colon else version)
    ranked = [(len(epoch), epoch) for epoch in epochs]
    if ranked[0] != ranked[1]:
        return -1 if ranked[0] < ranked[1] else 1
    uppers = [text.rpartition("-")[::2] if "-" in text else (text, "") for text in rest]
    return _compare_part(uppers[0][0], uppers[1][0]) or _compare_part(uppers[0][1], uppers[1][1])


@dataclass(frozen=True, slots=True)
class _Archive:
    """One package list, as its Release file describes the archive."""

    origin: str
    suite: str
    automatic: bool

    @property
    def security(self) -> bool:
        return "security" in self.suite.lower() or "security" in self.origin.lower()

    @property
    def name(self) -> str:
        return f"{self.origin}:{self.suite}"


@dataclass(slots=True)
class _Installed:
    name: str
    arch: str
    version: str
    held: bool


def _archives(frames: Frames) -> dict[str, _Archive]:
    """Prefix of list file names to archive; a list belongs to the Release file with the longest one."""
    found: dict[str, _Archive] = {}
    for file in frames.below("/var/lib/apt/lists"):
        if not file.lines:
            continue
        values = dict(line.text.partition(": ")[::2] for line in file.lines)
        origin = values.get("Label") or values.get("Origin") or "?"
        suite = values.get("Suite") or values.get("Codename") or "?"
        prefix = re.sub(r"_?(In)?Release$", "", file.path)
        found[prefix] = _Archive(origin, suite, values.get("NotAutomatic", "no").lower() != "yes")
    return found


def _archive_of(path: str, archives: dict[str, _Archive]) -> _Archive:
    best = max((prefix for prefix in archives if path.startswith(prefix)), key=len, default="")
    return archives.get(best, _Archive("?", "?", True))


def _offered(
    frames: Frames,
) -> tuple[list[_Installed], dict[tuple[str, str], list[tuple[str, _Archive]]], bool]:
    archives = _archives(frames)
    installed: list[_Installed] = []
    offers: dict[tuple[str, str], list[tuple[str, _Archive]]] = defaultdict(list)
    archive = _Archive("?", "?", True)
    for line in frames.command("offered").lines:
        words = line.text.split(" ")
        if words[0] == "I" and len(words) == 5:
            installed.append(_Installed(words[1], words[2], words[3], words[4] == "hold"))
        elif words[0] == "L":
            archive = _archive_of(line.text[2:], archives)
        elif words[0] == "A" and len(words) == 4:
            offers[words[1], words[2]].append((words[3], archive))
    broken = any("(unreadable)" in line.text for line in frames.command("offered").lines)
    return installed, offers, broken


def _pins(frames: Frames) -> list[tuple[str, str]]:
    """Patterns of package names that apt_preferences(5) pins, with the file that does."""
    return [
        (pattern, file.path)
        for file in frames.files.values()
        if "/etc/apt/preferences" in file.path and re.match(r"[A-Za-z0-9_.-]+\Z", file.name)
        for line in file.lines
        if line.text.lower().startswith("package:")
        for pattern in line.text.partition(":")[2].split()
    ]


def _pinned(name: str, pins: list[tuple[str, str]]) -> str | None:
    """The file whose pins speak of a package; a regular expression counts as speaking of all."""
    return next(
        (path for pattern, path in pins if pattern.startswith("/") or fnmatchcase(name, pattern)), None
    )


def _update(
    package: _Installed, offers: list[tuple[str, _Archive]], pins: list[tuple[str, str]]
) -> Row | None:
    pinned = _pinned(package.name, pins)
    newer = [
        (version, archive)
        for version, archive in offers
        if compare_debian(version, package.version) > 0 and (archive.automatic or pinned)
    ]
    if not newer:
        return None
    gaps: tuple[ColumnGap, ...] = ()
    if pinned:
        why = f"{pinned} pins this package; what it is then offered is not worked out"
        gaps = column_gaps(("candidate", "security", "origins"), Outcome.UNSUPPORTED, why)
    best = max((version for version, _ in newer), key=cmp_to_key(compare_debian))
    data: dict[str, Json] = {
        "name": package.name,
        "arch": package.arch,
        "version": package.version,
        "candidate": best,
        "security": any(archive.security for _, archive in newer),
        "origins": sorted({archive.name for version, archive in newer if version == best}),
        "held": package.held,
    }
    return Row("host_package_update", f"{package.name}:{package.arch}", data, gaps)


def _apt(frames: Frames) -> Iterator[Item]:
    lists = [file for file in frames.below("/var/lib/apt/lists") if "_Packages" in file.name]
    releases = [file for file in frames.files.values() if file.path.startswith("/var/lib/apt/lists/")]
    archives = _archives(frames)
    installed, offers, broken = _offered(frames)
    rows: list[Row] = []
    pins = _pins(frames)
    for package in installed:
        known = offers.get((package.name, package.arch), [])
        if row := _update(package, known, pins):
            rows.append(row)
    yield from rows
    newest = max((file.mtime for file in releases if file.exists), default=0)
    data: dict[str, Json] = {
        "manager": "apt",
        "present": bool(lists),
        "refreshed_at": moment(newest),
        "lists": len(lists),
        "security_lists": sum(_archive_of(file.path, archives).security for file in lists),
        "pending": len(rows),
        "pending_security": sum(bool(row.data["security"]) for row in rows),
    }
    yield Row("host_update_lists", "apt", data)
    if not lists:
        yield Miss(
            "host_package_update",
            Outcome.UNSUPPORTED,
            "there are no package lists, so no newer version can be seen",
        )
    if broken:
        yield Miss("host_package_update", Outcome.FAILED, "a compressed package list could not be read")


def _apk_updates(frames: Frames) -> Iterator[Item]:
    command = frames.command("apk")
    rows: list[Row] = []
    for line in command.lines:
        if not line.text.strip() or line.text.startswith("Installed:"):
            continue
        match = re.match(r"(\S+?)-(\d\S*)\s+<\s+(\S+)\s*\Z", line.text)
        if match is None:
            yield malformed("host_package_update", "apk version", line, "no package line")
            continue
        data: dict[str, Json] = {
            "name": match[1],
            "arch": "",
            "version": match[2],
            "candidate": match[3],
            "origins": [],
        }
        gap = ColumnGap(
            "security", Outcome.UNSUPPORTED, detail="Alpine's lists do not tell security fixes apart"
        )
        rows.append(Row("host_package_update", match[1], data, (gap,)))
    yield from rows
    index = [file for file in frames.below("/var/cache/apk") if file.name.startswith("APKINDEX")]
    lists: dict[str, Json] = {
        "manager": "apk",
        "present": bool(index),
        "refreshed_at": moment(max((file.mtime for file in index), default=0)),
        "lists": len(index),
        "pending": len(rows),
    }
    yield Row("host_update_lists", "apk", lists)
    if not command.ran or not index:
        why = f"apk version: {command.complaint[:200] or 'was not asked, or has no cached index'}"
        yield Miss("host_package_update", Outcome.UNSUPPORTED, why)


def updates(frames: Frames) -> Iterator[Item]:
    """The section `updates`: host_package_update, host_update_lists."""
    known = False
    if frames.file("/var/lib/dpkg/status").exists:
        known = True
        yield from _apt(frames)
    if "apk" in frames.commands:
        known = True
        yield from _apk_updates(frames)
    cache = frames.file("/var/cache/dnf", "/var/cache/yum")
    if not known:
        manager = "dnf" if cache.exists else "other"
        present: dict[str, Json] = {"manager": manager, "present": cache.exists}
        yield Row("host_update_lists", manager, present)
        why = "pending updates are told from the local lists of apt and apk only"
        yield Miss("host_package_update", Outcome.UNSUPPORTED, why)
    for file in frames.files.values():
        if file.unknown:
            yield Miss("host_package_update", *cannot_read(frames, file))
