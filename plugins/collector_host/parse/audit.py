"""The audit daemon and its rules (auditctl(8), auditd.conf(5))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.model import ColumnGap, Json, Outcome

from ..frames import Command, File, Frames
from ..rows import Item, Miss, Row, cannot_read, column_gaps, integer, malformed, program, running, unread
from .units import Boot

__all__ = ["audit"]

_CONTROL = {
    "-D",
    "-b",
    "-e",
    "-f",
    "-r",
    "-i",
    "-c",
    "--backlog_wait_time",
    "--loginuid-immutable",
    "--reset-lost",
}
_LISTS = {"exit", "exclude", "user", "task", "filesystem", "io_uring"}
_NO_USER = {"unset", "4294967295"}  # other spellings of -1, a session without a login


@dataclass(slots=True)
class _Rule:
    text: str
    type: str = "syscall"
    path: str | None = None
    permissions: str | None = None
    filter: str | None = None
    action: str | None = None
    arch: str | None = None
    syscalls: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)
    key: str | None = None
    loaded: bool = False
    configured: bool = False
    source: str | None = None

    @property
    def same(self) -> tuple[Json, ...]:
        """What two spellings of one rule share: the kernel shows rules otherwise than files write them."""
        if self.type == "control":
            return ("control", self.text)
        return (
            self.type,
            (self.path or "").rstrip("/"),
            "".join(sorted(self.permissions or "")),
            self.filter,
            self.action,
            self.arch,
            tuple(sorted(self.syscalls)),
            tuple(sorted(self.fields)),
            self.key,
        )


def _rule(text: str) -> _Rule | None:
    """Read one rule; None where it is none."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    rule = _Rule(" ".join(words))
    if not words or not words[0].startswith("-"):
        return None
    if words[0] in _CONTROL or words[0].startswith("--"):
        rule.type = "control"
        return rule
    pairs = zip(words[::2], words[1::2], strict=False)
    if len(words) % 2 or not all(_option(rule, option, value) for option, value in pairs):
        return None
    return _finished(rule)


def _option(rule: _Rule, option: str, value: str) -> bool:
    if option == "-w":
        rule.type, rule.path = "watch", value
    elif option == "-p":
        rule.permissions = value
    elif option == "-k":
        rule.key = value
    elif option in ("-a", "-A", "-d"):
        parts = value.split(",")
        rule.filter = next((part for part in parts if part in _LISTS), None)
        rule.action = next((part for part in parts if part not in _LISTS), None)
    elif option == "-S":
        rule.syscalls += [name for name in value.split(",") if name != "all"]
    elif option == "-F":
        _field(rule, value)
    elif option == "-C":
        rule.fields.append(value)
    else:
        return False
    return True


def _field(rule: _Rule, text: str) -> None:
    match = re.match(r"([a-z_0-9]+)(!=|>=|<=|&=|=|>|<|&)(.*)\Z", text)
    name, operator, value = match.groups() if match else (text, "", "")
    if operator == "=" and name in ("path", "dir"):
        rule.path = value
    elif operator == "=" and name == "perm":
        rule.permissions = value
    elif operator == "=" and name == "key":
        rule.key = value
    elif operator == "=" and name == "arch":
        rule.arch = value
    else:
        rule.fields.append(f"{name}{operator}{'-1' if value in _NO_USER else value}")


def _finished(rule: _Rule) -> _Rule:
    if rule.type == "watch":
        rule.permissions = rule.permissions or "rwxa"
        rule.filter, rule.action = "exit", "always"
    elif rule.filter == "exclude":
        rule.type = "exclude"
    elif rule.path is not None and not rule.syscalls and not rule.fields and rule.permissions:
        rule.type = "watch"
    return rule


def _files(frames: Frames) -> list[File]:
    """augenrules makes audit.rules out of rules.d, in the order of names with numbers as numbers."""
    parts = [file for file in frames.below("/etc/audit/rules.d") if file.readable]
    if parts:
        return sorted(
            parts,
            key=lambda file: [
                (int(part), "") if part.isdigit() else (-1, part)
                for part in re.findall(r"\d{1,9}|\D+", file.name)
            ],
        )
    return [frames.file("/etc/audit/audit.rules")]


def _configured(frames: Frames, rules: dict[tuple[Json, ...], _Rule]) -> Iterator[Item]:
    for file in _files(frames):
        for line in file.lines:
            text = line.text.strip()
            if not text or text.startswith("#"):
                continue
            rule = _rule(text)
            if rule is None:
                yield malformed("host_audit_rule", file.path, line, "no audit rule")
                continue
            known = rules.setdefault(rule.same, rule)
            known.configured = True
            known.source = known.source or f"{file.path}:{line.number}"


def _loaded(command: Command, rules: dict[tuple[Json, ...], _Rule]) -> Iterator[Item]:
    for line in command.lines:
        if not line.text.strip() or line.text.startswith("No rules"):
            continue
        rule = _rule(line.text)
        if rule is None:
            yield malformed("host_audit_rule", "auditctl -l", line, "no audit rule")
            continue
        rules.setdefault(rule.same, rule).loaded = True


def _row(rule: _Rule) -> Row:
    data: dict[str, Json] = {
        "text": rule.text,
        "type": rule.type,
        "loaded": rule.loaded,
        "configured": rule.configured,
        "source": rule.source,
        "path": rule.path,
        "permissions": rule.permissions,
        "list": rule.filter,
        "action": rule.action,
        "arch": rule.arch,
        "syscalls": rule.syscalls,
        "fields": rule.fields,
        "key": rule.key,
    }
    return Row("host_audit_rule", rule.text, data)


def _status(command: Command) -> dict[str, int]:
    """`auditctl -s`, in its newer form (a line each) and its older (name=value in one line)."""
    found: dict[str, int] = {}
    for line in command.lines:
        for name, value in re.findall(r"([a-z_]+)[= ](-?\d{1,18})\b", line.text):
            found[name] = int(value)
    return found


def _denial(frames: Frames, command: Command) -> tuple[Outcome, str]:
    if command.status == "skipped":
        return Outcome.UNSUPPORTED, "no running kernel was asked"
    reason = Outcome.FAILED if frames.root else Outcome.DENIED
    return reason, f"{'' if frames.root else 'needs root: '}auditctl: {command.complaint[:200] or 'failed'}"


def _daemon(file: File) -> dict[str, Json]:
    values = dict(part for line in file.lines if (part := _assignment(line.text)))
    actions = (
        "max_log_file_action",
        "space_left_action",
        "admin_space_left_action",
        "disk_full_action",
        "disk_error_action",
    )
    data: dict[str, Json] = {name: values[name].lower() for name in actions if name in values}
    data |= {name: integer(values.get(name)) for name in ("max_log_file", "num_logs")}
    return data | {"log_file": values.get("log_file"), "log_group": values.get("log_group")}


def _assignment(text: str) -> tuple[str, str] | None:
    match = re.match(r"\s*([a-z_]+)\s*=\s*(\S.*?)\s*\Z", text)
    return (match[1], match[2]) if match else None


def audit(frames: Frames) -> Iterator[Item]:
    """The section `audit`: host_audit, host_audit_rule."""
    rules: dict[tuple[Json, ...], _Rule] = {}
    yield from _configured(frames, rules)
    yield from _loaded(frames.command("rules"), rules)
    installed = program(frames, "auditd") is not None
    if installed:
        yield _state(frames, list(rules.values()))
    else:
        yield Row("host_audit", "audit", {"installed": False})
    for rule in rules.values():
        yield _row(rule)
    command = frames.command("rules")
    if not command.ran and not command.missing:
        yield Miss("host_audit_rule", *_denial(frames, command))
    yield from unread(frames, "host_audit_rule", lambda path: "rules" in path)


def _state(frames: Frames, rules: list[_Rule]) -> Row:
    boot = Boot.read(frames)
    conf, status = frames.file("/etc/audit/auditd.conf"), frames.command("status")
    kernel = _status(status)
    arguments = " ".join(line.text for line in frames.file("/proc/cmdline").lines).split()
    backlog = [
        argument.partition("=")[2] for argument in arguments if argument.startswith("audit_backlog_limit=")
    ]
    remotes = [frames.file(f"/etc/{folder}/plugins.d/au-remote.conf") for folder in ("audit", "audisp")]
    switches = [rule.text for rule in rules if rule.configured and rule.text.startswith("-e")]
    real = [rule for rule in rules if rule.type != "control"]
    data: dict[str, Json] = {
        "installed": True,
        "running": running(frames, "auditd"),
        "boot_enabled": boot.starts("auditd"),
        "enabled": kernel["enabled"] > 0 if "enabled" in kernel else None,
        "immutable": kernel["enabled"] == 2 if "enabled" in kernel else None,
        "immutable_configured": bool(switches) and switches[-1].replace(" ", "") == "-e2",
        "failure": kernel.get("failure"),
        "backlog_limit": kernel.get("backlog_limit"),
        "lost": kernel.get("lost"),
        "rules_loaded": sum(rule.loaded for rule in real),
        "rules_configured": sum(rule.configured for rule in real),
        "kernel_argument": "audit=1" in arguments,
        "backlog_argument": integer(backlog[-1]) if backlog else None,
        "remote": any(re.search(r"^\s*active\s*=\s*yes", remote.text, re.MULTILINE) for remote in remotes),
        **_daemon(conf),
    }
    return Row("host_audit", "audit", data, _state_gaps(frames, data, conf))


def _state_gaps(frames: Frames, data: dict[str, Json], conf: File) -> tuple[ColumnGap, ...]:
    gaps: tuple[ColumnGap, ...] = ()
    status = frames.command("status")
    if data["enabled"] is None:
        columns = ("enabled", "immutable", "failure", "backlog_limit", "lost")
        gaps += column_gaps(columns, *_denial(frames, status))
    if not frames.command("rules").ran:
        gaps += column_gaps(("rules_loaded",), *_denial(frames, frames.command("rules")))
    if conf.unknown:
        gaps += column_gaps(sorted(_daemon(conf) | dict.fromkeys(_ACTIONS)), *cannot_read(frames, conf))
    hidden = [file for file in frames.files.values() if file.unknown and "rules" in file.path]
    folder = frames.folders.get("/etc/audit/rules.d")
    if hidden or (folder is not None and folder.status == "denied"):
        why = "needs root to read /etc/audit/rules.d"
        gaps += column_gaps(("rules_configured", "immutable_configured"), Outcome.DENIED, why)
    remotes = [
        file for path, file in frames.files.items() if path.endswith("au-remote.conf") and file.unknown
    ]
    if remotes:
        gaps += column_gaps(("remote",), *cannot_read(frames, remotes[0]))
    if data["running"] is None:
        gaps += column_gaps(("running",), Outcome.UNSUPPORTED, "processes cannot be seen")
    return gaps


_ACTIONS = (
    "max_log_file_action",
    "space_left_action",
    "admin_space_left_action",
    "disk_full_action",
    "disk_error_action",
)
