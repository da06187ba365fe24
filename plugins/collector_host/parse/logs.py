"""journald and rsyslog: what is kept, sent and received (journald.conf(5), rsyslog.conf(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames, Line
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
from .units import Boot, settings

__all__ = ["logging"]

_DEPTH = 10
_LONGEST = 2000
_TEXTS = {
    "system_max_use": "SystemMaxUse",
    "system_keep_free": "SystemKeepFree",
    "runtime_max_use": "RuntimeMaxUse",
    "max_retention_sec": "MaxRetentionSec",
    "max_file_sec": "MaxFileSec",
    "max_level_store": "MaxLevelStore",
    "rate_limit_interval_sec": "RateLimitIntervalSec",
}


# --- journald ----------------------------------------------------------------------------------------


def _built_in(frames: Frames) -> dict[str, str]:
    """Defaults of the build: the main file that a distribution ships shows them as comments."""
    found: dict[str, str] = {}
    for folder in ("/usr/lib/systemd", "/etc/systemd"):
        for line in frames.file(f"{folder}/journald.conf").lines:
            if match := re.match(r"#([A-Za-z]+)=(.*)\Z", line.text.strip()):
                found.setdefault(match[1], match[2].strip())
    return found


def _journald(frames: Frames, boot: Boot) -> Row:
    if program(frames, "systemd-journald") is None:
        return Row("host_journald", "journald", {"installed": False})
    conf, upload = settings(frames, "journald.conf"), settings(frames, "journal-upload.conf")
    values = _built_in(frames) | conf.values
    storage = values.get("Storage", "auto").lower()
    kept = frames.file("/var/log/journal")
    data: dict[str, Json] = {
        "installed": True,
        "storage": storage,
        "persistent": storage == "persistent" or (storage == "auto" and kept.exists),
        "compress": boolean(values.get("Compress", "yes")) is not False,
        "seal": boolean(values.get("Seal", "yes")),
        "forward_to_syslog": boolean(values.get("ForwardToSyslog")),
        "forward_to_wall": boolean(values.get("ForwardToWall", "yes")),
        "rate_limit_burst": integer(values.get("RateLimitBurst")),
        "audit": boolean(values.get("Audit")),
        "upload_url": upload.values.get("URL"),
        "upload_enabled": boot.starts("systemd-journal-upload"),
        "sources": conf.sources,
    }
    data |= {column: values.get(key) for column, key in _TEXTS.items() if values.get(key)}
    gaps: tuple[ColumnGap, ...] = ()
    for file in conf.unread:
        gaps = column_gaps((*_TEXTS, *_JOURNAL_COLUMNS), *cannot_read(frames, file))
    for folder in frames.folders.values():
        if folder.status == "denied" and "journald" in folder.path:
            why = f"needs root to list {folder.path}"
            gaps = column_gaps((*_TEXTS, *_JOURNAL_COLUMNS), Outcome.DENIED, why)
    for file in upload.unread:
        gaps += column_gaps(("upload_url",), *cannot_read(frames, file))
    return Row("host_journald", "journald", data, gaps)


_JOURNAL_COLUMNS = (
    *("storage", "persistent", "compress", "seal", "forward_to_syslog", "forward_to_wall"),
    *("rate_limit_burst", "audit", "sources"),
)


# --- rsyslog -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rule:
    source: str
    line: int
    selector: str
    action: str
    target: str | None
    text: str
    encrypted: bool = False


@dataclass(slots=True)
class _Rsyslog:
    frames: Frames
    files: list[str] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)
    missed: list[Miss] = field(default_factory=list)
    listens: list[str] = field(default_factory=list)
    create_mode: str = "0644"  # rsyslog's own default
    mask: str | None = None
    driver: str = ""
    mode: str = "0"

    def read(self, file: File, depth: int = 0) -> None:
        """A file and what it includes, in place."""
        if not file.readable or depth > _DEPTH or file.path in self.files:
            return
        self.files.append(file.path)
        for line in _statements(file):
            self._statement(file, line, depth)

    def _statement(self, file: File, line: Line, depth: int) -> None:
        text = line.text
        include = re.match(r"\$IncludeConfig\s+(\S+)", text) or re.match(
            r"include\(.*?file=\"([^\"]+)\"", text
        )
        if include:
            for inner in _matching(self.frames, include[1]):
                self.read(inner, depth + 1)
        elif text.startswith("$"):
            self._directive(text)
        elif re.match(
            r"(module|global|template|lookup_table|main_queue|parser|timezone|dyn_stats|version)\s*\(", text
        ):
            self._object(text)
        elif text.startswith("input("):
            self.listens.append(" ".join(filter(None, (_attribute(text, "type"), _attribute(text, "port")))))
        elif not self._rule(file, line):
            self.missed.append(
                malformed("host_rsyslog_rule", file.path, line, "no statement that is known here")
            )

    def _directive(self, text: str) -> None:
        name, _, value = text[1:].partition(" ")
        value, name = value.strip(), name.lower()
        if name == "filecreatemode":
            self.create_mode = value
        elif name == "umask":
            self.mask = value
        elif name == "defaultnetstreamdriver":
            self.driver = value
        elif name == "actionsendstreamdrivermode":
            self.mode = value
        elif name in ("inputtcpserverrun", "udpserverrun", "inputrelpserverrun"):
            self.listens.append(f"{_INPUTS[name]} {value}")

    def _object(self, text: str) -> None:
        if driver := _attribute(text, "defaultnetstreamdriver"):
            self.driver = driver
        if _attribute(text, "load") == "builtin:omfile" or text.startswith('module(load="omfile"'):
            self.create_mode = _attribute(text, "filecreatemode") or self.create_mode
        if mask := _attribute(text, "umask"):
            self.mask = mask

    def _rule(self, file: File, line: Line) -> bool:
        text = line.text
        bodies = list(re.finditer(r"\baction\s*\(([^)]*)\)", text))
        if bodies:
            selector = text[: bodies[0].start()].strip() or "*.*"
            for number, body in enumerate(bodies):
                # Several actions of one statement are told apart by a fraction of the line's place.
                self._add(file, line, selector, *self._modern(body[0]), number)
            return True
        if text in ("stop", "~") or text.startswith("&"):
            self._add(file, line, "&", *self._legacy(text.lstrip("& ")), 0)
            return True
        match = (
            re.match(r"(\S+\.\S+)\s+(\S.*)\Z", text)
            or re.match(r"(:\w[\w$!.-]*\s*,.*?\"[^\"]*\")\s+(\S.*)\Z", text)
            or re.match(r"(if\b.*?\bthen)\s*\{?\s*(.*)\Z", text, re.DOTALL)
        )
        if match:
            self._add(file, line, match[1], *self._legacy(match[2].rstrip("} ")), 0)
        return bool(match) or text.startswith(
            ("ruleset(", "}", "{", "set ", "unset ", "call ", "foreach", "else", "reset ")
        )

    def _add(
        self,
        file: File,
        line: Line,
        selector: str,
        action: str,
        target: str | None,
        encrypted: bool,
        number: int,
    ) -> None:
        if number and any(rule.source == file.path and rule.line == line.number for rule in self.rules):
            last = self.rules[-1]
            last.target = f"{last.target or ''}, {target or ''}".strip(", ")
            if action == "forward" and last.action != "forward":
                last.action, last.encrypted = action, encrypted
            last.encrypted = last.encrypted and encrypted
            return
        text = line.text[:_LONGEST]
        self.rules.append(_Rule(file.path, line.number, selector[:_LONGEST], action, target, text, encrypted))

    def _modern(self, text: str) -> tuple[str, str | None, bool]:
        kind = _attribute(text, "type") or ""
        if kind in ("omfwd", "omrelp"):
            target = f"{_attribute(text, 'target') or ''}:{_attribute(text, 'port') or '514'}"
            driver = _attribute(text, "streamdriver") or self.driver
            mode = _attribute(text, "streamdrivermode") or self.mode
            relp = kind == "omrelp" and boolean(_attribute(text, "tls")) is True
            return "forward", target, relp or (driver in ("gtls", "ossl") and mode == "1")
        words = {"omfile": "file", "omusrmsg": "users", "ompipe": "pipe", "omprog": "program"}
        where = _attribute(text, "file") or _attribute(text, "dynafile") or _attribute(text, "binary")
        return words.get(kind, "module"), where or kind or None, False

    def _legacy(self, text: str) -> tuple[str, str | None, bool]:
        text = text.strip()
        if text.startswith("@"):
            tls = text.startswith("@@") and self.driver in ("gtls", "ossl") and self.mode == "1"
            return "forward", re.sub(r"^@+(\([^)]*\))?", "", text).split(";")[0], tls
        if text in ("~", "stop"):
            return "discard", None, False
        first = text.lstrip("-")[:1]
        words = {"/": "file", "?": "file", "|": "pipe", "^": "program", ":": "module"}
        action = "users" if text.startswith(":omusrmsg:") else words.get(first, "users")
        return action, text.lstrip("-|^").split(";")[0].strip() or None, False


_INPUTS = {"inputtcpserverrun": "imtcp", "udpserverrun": "imudp", "inputrelpserverrun": "imrelp"}


def _attribute(text: str, name: str) -> str | None:
    match = re.search(rf"\b{name}\s*=\s*\"([^\"]*)\"", text, re.IGNORECASE)
    return match[1] if match else None


def _balance(text: str) -> int:
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", "", text)
    return bare.count("(") + bare.count("{") - bare.count(")") - bare.count("}")


def _statements(file: File) -> Iterator[Line]:
    """Statements; one that opens a bracket goes on until it is closed, or a backslash says so."""
    held, first, depth = "", None, 0
    for line in file.lines:
        text = line.text.strip()
        if text.startswith("#") or not text:
            continue
        first = first or line
        depth += _balance(text) if "(" in held + text or "{" in held + text else 0
        more = text.endswith("\\")
        held = f"{held} {text.removesuffix(chr(92))}".strip()
        if depth > 0 or more:
            continue
        yield Line(held, first.at, first.number)
        held, first, depth = "", None, 0
    if held and first is not None:
        yield Line(held, first.at, first.number)


def _matching(frames: Frames, pattern: str) -> list[File]:
    if not re.search(r"[*?\[]", pattern):
        folder = frames.below(pattern.rstrip("/"))
        return folder or [frames.file(pattern)]
    regex = re.compile(re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + r"\Z")
    found = [file for path, file in frames.files.items() if regex.match(path)]
    return sorted(found, key=lambda file: file.path.encode())


def _rsyslog(frames: Frames, boot: Boot) -> Iterator[Item]:
    installed = program(frames, "rsyslogd") is not None
    others = [name for name in ("syslog-ng", "syslogd") if program(frames, name)]
    known = _Rsyslog(frames)
    known.read(frames.file("/etc/rsyslog.conf"))
    hidden = list(unread(frames, "host_rsyslog_rule", lambda path: "rsyslog" in path))
    if not installed:
        yield Row("host_rsyslog", "rsyslog", {"installed": False, "other_daemons": others})
    else:
        yield _daemon(frames, boot, known, others, hidden)
    for rule in known.rules:
        data: dict[str, Json] = {
            "source": rule.source,
            "line": rule.line,
            "selector": rule.selector,
            "action": rule.action,
            "target": rule.target,
            "remote": rule.action == "forward",
            "text": rule.text,
        }
        yield Row("host_rsyslog_rule", f"{rule.source}:{rule.line}", data)
    yield from known.missed
    yield from hidden


def _daemon(frames: Frames, boot: Boot, known: _Rsyslog, others: list[str], hidden: list[Miss]) -> Row:
    remote = [rule for rule in known.rules if rule.action == "forward"]
    runs = running(frames, "rsyslogd")
    data: dict[str, Json] = {
        "installed": True,
        "running": runs,
        "boot_enabled": boot.starts("rsyslog", "rsyslogd"),
        "file_create_mode": known.create_mode,
        "umask": known.mask,
        "remote_targets": [rule.target for rule in remote if rule.target],
        "remote_encrypted": all(rule.encrypted for rule in remote) if remote else None,
        "listens": known.listens,
        "files": known.files,
        "other_daemons": others,
    }
    gaps: tuple[ColumnGap, ...] = ()
    if hidden:
        columns = ("file_create_mode", "umask", "remote_targets", "remote_encrypted", "listens", "files")
        gaps = column_gaps(columns, hidden[0].reason, hidden[0].detail)
    if runs is None:
        gaps += column_gaps(("running",), Outcome.UNSUPPORTED, "processes cannot be seen")
    return Row("host_rsyslog", "rsyslog", data, gaps)


def logging(frames: Frames) -> Iterator[Item]:
    """The section `logging`: host_journald, host_rsyslog, host_rsyslog_rule."""
    boot = Boot.read(frames)
    yield _journald(frames, boot)
    yield from _rsyslog(frames, boot)
