"""The SSH server's settings in effect (sshd_config(5)).

Asked, the server tells them itself (`sshd -T`). Where it cannot be asked, its files are read as it reads
them: the first value wins, an included file stands where it is included, and a Match block ends with its
file. What no file sets is then not known, for the default depends on the server's build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.model import Column, ColumnGap, Json, Outcome

from ..frames import File, Frames
from ..kinds.access import KINDS as _KINDS
from ..rows import (
    Item,
    Miss,
    Row,
    boolean,
    cannot_read,
    column_gaps,
    integer,
    malformed,
    program,
    running,
    unread,
)

__all__ = ["sshd"]

_MAIN = "/etc/ssh/sshd_config"
_DEPTH = 16  # sshd's own limit of nested includes
_ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "skeyauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
}
_MANY = {
    "port",
    "listenaddress",
    "hostkey",
    "acceptenv",
    "allowusers",
    "allowgroups",
    "denyusers",
    "denygroups",
    "subsystem",
}
_COMMAS = {"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms"}
_OWN = {"installed", "origin", "files", "listening", "config_mode", "config_uid", "config_gid"}
_PARTS = {"maxstartups_start", "maxstartups_rate", "maxstartups_full"}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_KIND = next(kind for kind in _KINDS if kind.name == "host_sshd_config")
_SETTINGS = [column for column in _KIND.columns if column.name not in _OWN | _PARTS]


@dataclass(frozen=True, slots=True)
class _Match:
    source: str
    line: int
    criteria: str
    keyword: str
    value: str


@dataclass(slots=True)
class _Read:
    """What the files say, read as sshd reads them."""

    frames: Frames
    values: dict[str, list[str]] = field(default_factory=dict)
    matches: list[_Match] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    missed: list[Miss] = field(default_factory=list)

    def file(self, file: File, criteria: str, depth: int = 0) -> None:
        """One file, under the criteria of the block that includes it."""
        if file.unknown:
            self.missed.append(Miss("host_sshd_match", *cannot_read(self.frames, file)))
        if not file.readable or depth > _DEPTH or len(self.files) > 200:
            return
        self.files.append(file.path)
        block = criteria
        for line in file.lines:
            text = line.text.strip()
            if not text or text.startswith("#"):
                continue
            match = re.match(r"([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.+)\Z", text)
            if match is None:
                self.missed.append(malformed("host_sshd_match", file.path, line, "no setting"))
                continue
            keyword = match[1].lower()
            value = re.sub(r"\s+#.*\Z", "", match[2]).strip()
            keyword = _ALIASES.get(keyword, keyword)
            if keyword == "include":
                self._include(value, block, depth)
            elif keyword == "match":
                block = criteria if value.lower() == "all" else f"{criteria} {value}".strip()
            else:
                self._setting(file.path, line.number, block, keyword, value)

    def _setting(self, path: str, line: int, block: str, keyword: str, value: str) -> None:
        if block:
            self.matches.append(_Match(path, line, block, keyword, value))
        elif keyword in _MANY:
            self.values.setdefault(keyword, []).append(value)
        else:
            self.values.setdefault(keyword, [value])

    def _include(self, value: str, block: str, depth: int) -> None:
        for pattern in re.findall(r'"[^"]*"|\S+', value):
            path = pattern.strip('"')
            path = path if path.startswith("/") else f"/etc/ssh/{path}"
            for file in _matching(self.frames, path):
                self.file(file, block, depth + 1)


def _matching(frames: Frames, pattern: str) -> list[File]:
    """Files that a pattern names, sorted as glob(3) sorts them; * and ? stop at a slash, no dot files."""
    parts = [re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for part in pattern.split("/")]
    regex = re.compile(
        "/".join(f"(?!\\.){part}" if part.startswith(("[", "\\")) else part for part in parts) + r"\Z"
    )
    found = [file for path, file in frames.files.items() if regex.match(path) and file.kind != "directory"]
    return sorted((file for file in found if file.status != "missing"), key=lambda file: file.path.encode())


def _seconds(text: str) -> int | None:
    """A time as sshd writes it: 120, 2m, 1h30m."""
    if not re.match(r"(\d{1,9}[smhdwSMHDW]?)+\Z", text):
        return None
    return sum(int(number) * _UNITS[unit.lower()] for number, unit in re.findall(r"(\d+)([A-Za-z]?)", text))


def _words(values: list[str], keyword: str) -> list[str]:
    if keyword in _COMMAS:
        return [word for value in values for word in value.split(",") if word]
    if keyword == "subsystem":
        return values
    return [word.strip('"') for value in values for word in value.split()]


def _value(column: Column, values: list[str]) -> Json:
    """A setting's value as its column's type; None for none, or where it does not fit."""
    first = values[0].strip().strip('"')
    if column.type == "BOOLEAN":
        return boolean(first)
    if column.type == "BIGINT":
        return integer(first) if first.isdigit() else _seconds(first)
    if column.type == "BIGINT[]":
        return [number for value in values if (number := integer(value)) is not None]
    if column.type == "VARCHAR[]":
        words = _words(values, column.name)
        return [] if words == ["none"] else words
    word = {"without-password": "prohibit-password"}.get(first.lower(), first)
    lower = word.lower() if column.name not in _VERBATIM else word
    return None if lower.lower() == "none" else lower


_VERBATIM = set(
    "loglevel syslogfacility banner forcecommand chrootdirectory versionaddendum authorizedkeyscommand"
    " authorizedkeyscommanduser trustedusercakeys revokedkeys".split()
)


def _effective(frames: Frames) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in frames.command("sshd").lines:
        keyword, _, value = line.text.partition(" ")
        if keyword:
            keyword = _ALIASES.get(keyword, keyword)
            values.setdefault(keyword, []).append(value)
    return values


def _columns(
    values: dict[str, list[str]], told: bool, gap: tuple[Outcome, str]
) -> tuple[dict[str, Json], tuple[ColumnGap, ...]]:
    data: dict[str, Json] = {}
    gaps: tuple[ColumnGap, ...] = ()
    for column in _SETTINGS:
        found = values.get(column.name)
        if found is None:
            # sshd -T leaves out lists that are empty; what the files leave out has a default not known here.
            if not told:
                gaps += column_gaps((column.name,), *gap)
            elif column.type.endswith("[]"):
                data[column.name] = []
            continue
        if not told and column.name in _COMMAS and found[0][:1] in ("+", "-", "^"):
            why = f"{column.name} changes the default of the server's build, which is not known"
            gaps += column_gaps((column.name,), Outcome.UNSUPPORTED, why)
            continue
        data[column.name] = _value(column, found)
        if data[column.name] is None and column.type in ("BOOLEAN", "BIGINT") and found[0].strip() != "none":
            gaps += column_gaps((column.name,), Outcome.MALFORMED, f"{column.name} has no value of its type")
    return data, gaps + _startups(data, gaps)


def _startups(data: dict[str, Json], gaps: tuple[ColumnGap, ...]) -> tuple[ColumnGap, ...]:
    """MaxStartups start:rate:full, or one number for all."""
    missing = next((gap for gap in gaps if gap.column == "maxstartups"), None)
    if missing is not None:
        return column_gaps(sorted(_PARTS), missing.reason, missing.detail)
    match = re.match(r"(\d{1,9})(?::(\d{1,9}):(\d{1,9}))?\Z", str(data.get("maxstartups") or ""))
    if match:
        start = int(match[1])
        data |= {
            "maxstartups_start": start,
            "maxstartups_rate": int(match[2] or 100),
            "maxstartups_full": int(match[3] or start),
        }
    return ()


def sshd(frames: Frames) -> Iterator[Item]:
    """The section `sshd`: host_sshd_config, host_sshd_match."""
    command = frames.command("sshd")
    main = frames.file(_MAIN)
    read = _Read(frames)
    read.file(main, "")
    if program(frames, "sshd") is None and command.status != "run":
        yield Row("host_sshd_config", "sshd", {"installed": False})
    else:
        yield _row(frames, read, main)
    for match in read.matches:
        data = {
            "source": match.source,
            "line": match.line,
            "criteria": match.criteria,
            "keyword": match.keyword,
            "value": match.value,
        }
        yield Row("host_sshd_match", f"{match.source}:{match.line}", data)
    seen = list(read.missed)
    yield from seen
    yield from (miss for miss in unread(frames, "host_sshd_match") if miss not in seen)


def _row(frames: Frames, read: _Read, main: File) -> Row:
    command = frames.command("sshd")
    told = command.ran and bool(command.lines)
    why = (
        f"sshd -T: {command.complaint}" if command.complaint else "no file sets it, and sshd -T was not asked"
    )
    gap = (Outcome.UNSUPPORTED if frames.root or command.status != "run" else Outcome.DENIED, why)
    if gap[0] is Outcome.DENIED:
        gap = (Outcome.DENIED, f"needs root for sshd -T ({command.complaint})")
    values = _effective(frames) if told else read.values
    if not told and read.missed:
        values, gap = {}, (read.missed[0].reason, read.missed[0].detail)
    data, gaps = _columns(values, told, gap)
    data |= {
        "installed": True,
        "origin": "sshd -T" if told else "files",
        "files": read.files,
        "listening": running(frames, "sshd"),
        "config_mode": main.mode,
        "config_uid": main.uid if main.exists else None,
        "config_gid": main.gid if main.exists else None,
    }
    if data["listening"] is None:
        gaps += column_gaps(("listening",), Outcome.UNSUPPORTED, "processes cannot be seen")
    return Row("host_sshd_config", "sshd", data, gaps)
