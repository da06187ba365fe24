"""sudo: its defaults and rules (sudoers(5)), in the order in which sudo reads its files.

Files in an included folder whose name has a dot or ends in ~ are not read by sudo; they are named, and
their rules do not count. A later setting wins over an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames, Line
from ..rows import Item, Miss, Row, cannot_read, column_gaps, integer, malformed, program, unread

__all__ = ["sudo"]

_DEPTH = 128  # sudo's own limit of nested includes
_ALIAS_DEPTH = 16
_MOST_NAMES = 2000  # of one expanded list; aliases of aliases must not multiply without end
_ALIASES = {
    "User_Alias": "user",
    "Runas_Alias": "runas",
    "Host_Alias": "host",
    "Cmnd_Alias": "command",
    "Cmd_Alias": "command",
}
_TAGS = re.compile(
    r"\s*(NOPASSWD|PASSWD|NOEXEC|EXEC|SETENV|NOSETENV|LOG_INPUT|NOLOG_INPUT|LOG_OUTPUT|NOLOG_OUTPUT|"
    r"FOLLOW|NOFOLLOW|MAIL|NOMAIL|INTERCEPT|NOINTERCEPT)\s*:\s*"
)
_OPTION = re.compile(
    r"\s*(ROLE|TYPE|APPARMOR_PROFILE|PRIVS|LIMITPRIVS|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT)\s*=\s*(\"[^\"]*\"|\S+)\s*"
)
_INCLUDE = re.compile(r"\s*[@#](include|includedir)\s+\"?([^\"]+?)\"?\s*\Z")
_DEFAULTS = re.compile(
    r"Defaults(?:(?P<scope>[@:!>])\s*(?P<whom>[^\s,]+(?:\s*,\s*[^\s,]+)*))?(?:\s+(?P<settings>.*))?\Z"
)
_SERVICES = {"sss", "ldap", "nis", "nisplus"}
_SAFE = {"authenticate": True, "env_reset": True, "use_pty": True} | dict.fromkeys(
    ("targetpw", "rootpw", "runaspw"), False
)


def _pieces(text: str, separator: str) -> list[str]:
    """Split at a separator that is not quoted, escaped or in brackets."""
    pieces, current = [""], 0
    depth, quoted, escaped = 0, False, False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "()":
            depth = max(0, depth + (1 if character == "(" else -1))
        elif not quoted and depth == 0 and character == separator:
            pieces.append("")
            current += 1
            continue
        pieces[current] += character
    return [piece.strip() for piece in pieces]


def _lines(file: File) -> Iterator[Line]:
    held, first = "", None
    for line in file.lines:
        first = first or line
        if line.text.endswith("\\"):
            held += line.text[:-1]
            continue
        whole = held + line.text
        # `#` starts a comment but before a number (a user id) and in the old form of include.
        if not _INCLUDE.match(whole):
            whole = re.sub(r"(?<![\\\w])#(?!\d).*", "", whole)
        if whole.strip():
            yield Line(whole.strip(), first.at, first.number)
        held, first = "", None
    if held.strip() and first is not None:
        yield Line(held.strip(), first.at, first.number)


@dataclass(slots=True)
class _Sudoers:
    """All that the files say."""

    frames: Frames
    files: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missed: list[Miss] = field(default_factory=list)
    aliases: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: {word: {} for word in _ALIASES.values()}
    )
    defaults: dict[str, Json] = field(default_factory=dict)
    weaker: dict[str, Json] = field(default_factory=dict)
    keep: list[str] = field(default_factory=list)
    rules: list[tuple[File, Line]] = field(default_factory=list)

    def read(self, path: str, depth: int = 0) -> None:
        """A file and what it includes."""
        file = self.frames.file(path)
        if file.unknown:
            reason, detail = cannot_read(self.frames, file)
            self.missed += [Miss("host_sudoers", reason, detail)]
        if not file.readable or depth > _DEPTH or path in self.files:
            return
        self.files.append(path)
        for line in _lines(file):
            if include := _INCLUDE.match(line.text):
                self._include(file, line, include[1], include[2], depth)
            elif not self._statement(file, line):
                self.missed.append(malformed("host_sudoers", file.path, line, "no sudoers line"))

    def _include(self, file: File, line: Line, how: str, target: str, depth: int) -> None:
        path = target if target.startswith("/") else f"{file.path.rpartition('/')[0]}/{target}"
        if "%" in path:
            why = "names of files that depend on the host name are not followed"
            self.missed.append(malformed("host_sudoers", file.path, line, why))
        elif how == "include":
            self.read(path, depth + 1)
        else:
            for inner in self.frames.below(path.rstrip("/")):
                if "." in inner.name or inner.name.endswith("~"):
                    self.skipped.append(inner.path)
                elif inner.kind != "directory":
                    self.read(inner.path, depth + 1)

    def _statement(self, file: File, line: Line) -> bool:
        word = line.text.split(None, 1)[0]
        if word in _ALIASES:
            return self._alias(word, line.text)
        if match := _DEFAULTS.match(line.text):
            for setting in _pieces(match["settings"] or "", ","):
                if match["scope"] is None:
                    self._default(setting)
                elif match["scope"] + match["whom"] != ":root":  # root is not asked in any case
                    self._weaken(setting)
            return True
        if "=" not in line.text:
            return False
        self.rules.append((file, line))
        return True

    def _alias(self, word: str, text: str) -> bool:
        for definition in _pieces(text[len(word) :], ":"):
            name, equals, members = definition.partition("=")
            if not equals or not re.match(r"[A-Z][A-Z0-9_]*\Z", name.strip().removesuffix("+").strip()):
                return False
            self.aliases[_ALIASES[word]][name.strip().removesuffix("+").strip()] = _pieces(members, ",")
        return True

    def _weaken(self, setting: str) -> None:
        """A default for some users, hosts or commands counts where it is weaker than it should be."""
        if (found := _setting(setting)) is None:
            return
        name, operator, value, on = found
        if name in _SAFE and not operator and on is not _SAFE[name]:
            self.weaker[name] = on
        elif name == "timestamp_timeout":
            minutes, known = _minutes(value if operator else on), _minutes(self.weaker.get(name, 0.0))
            if minutes is not None and (minutes < 0 or 0 <= (known or 0.0) < minutes):
                self.weaker[name] = minutes

    def _default(self, setting: str) -> None:
        if (found := _setting(setting)) is None:
            return
        name, operator, value, on = found
        if name == "env_keep":
            words = value.split()
            if operator == "+=":
                self.keep += words
            elif operator == "-=":
                self.keep = [word for word in self.keep if word not in words]
            else:
                self.keep = words
        else:
            self.defaults[name] = value if operator else on

    def expand(self, what: str, names: Sequence[str], depth: int = 0) -> list[str]:
        """Names with aliases replaced by their members; a negated alias negates each member."""
        found: list[str] = []
        for name in names:
            plain = name.lstrip("! ")
            members = self.aliases[what].get(plain)
            if members is None or depth > _ALIAS_DEPTH:
                found.append(name)
                continue
            negated = name.count("!", 0, len(name) - len(plain)) % 2 == 1
            found += [f"!{member}" if negated else member for member in self.expand(what, members, depth + 1)]
            if len(found) > _MOST_NAMES:
                return found[:_MOST_NAMES]
        return found


@dataclass(slots=True)
class _Commands:
    """Commands of a rule that share users to run as and tags."""

    users: list[str] | None
    groups: list[str]
    tags: list[str]
    commands: list[str]


def _commands(text: str) -> list[_Commands]:
    """`(users:groups) TAG: command, TAG: command`: what is said of one holds for those after it."""
    found: list[_Commands] = []
    users: list[str] | None = None
    groups: list[str] = []
    tags: list[str] = []
    for piece in _pieces(text, ","):
        rest = piece
        if match := re.match(r"\s*\(([^)]*)\)\s*", rest):
            whom, _, which = match[1].partition(":")
            users = [name for name in _pieces(whom, ",") if name]
            groups = [name for name in _pieces(which, ",") if name]
            rest = rest[match.end() :]
        while match := (_TAGS.match(rest) or _OPTION.match(rest)):
            if match[1].isupper() and match.re is _TAGS:
                opposite = match[1][2:] if match[1].startswith("NO") else f"NO{match[1]}"
                tags = [*(tag for tag in tags if tag not in (match[1], opposite)), match[1]]
            rest = rest[match.end() :]
        group = _Commands(users, groups, tags, [rest.strip()])
        if found and (found[-1].users, found[-1].groups, found[-1].tags) == (users, groups, tags):
            found[-1].commands.append(rest.strip())
        else:
            found.append(group)
    return found


def _rule(known: _Sudoers, file: File, line: Line) -> Iterator[Item]:
    number = 0
    left, _, rest = line.text.partition("=")
    words = re.sub(r"\s*,\s*", ",", left.strip())
    match = re.match(r"(.*\S)\s+(\S+)\Z", words)
    if match is None:
        yield malformed("host_sudoers", file.path, line, "no user and host before =")
        return
    people = known.expand("user", _pieces(match[1], ","))
    hosts = match[2]
    for part in re.split(r"\s+:\s+(?=[^=:]+=)", rest):
        commands = part
        if number:
            hosts, _, commands = part.partition("=")
        for group in _commands(commands):
            number += 1
            yield _row(known, file, line, number, people, hosts, group)


def _row(
    known: _Sudoers, file: File, line: Line, number: int, people: list[str], hosts: str, group: _Commands
) -> Row:
    commands = known.expand("command", group.commands)
    asked = known.defaults.get("authenticate", True) is not False
    where = f"{file.path}:{line.number}"
    data: dict[str, Json] = {
        "source": file.path,
        "line": line.number,
        "number": number,
        "users": people,
        "hosts": known.expand("host", _pieces(hosts, ",")),
        "runas_users": known.expand("runas", group.users) if group.users is not None else ["root"],
        "runas_groups": known.expand("runas", group.groups),
        "tags": group.tags,
        "commands": commands,
        "nopasswd": "NOPASSWD" in group.tags or (not asked and "PASSWD" not in group.tags),
        "all_commands": "ALL" in commands,
        "negated": any(command.startswith("!") for command in commands),
        "text": line.text,
    }
    return Row("host_sudoers", where if number == 1 else f"{where}#{number}", data)


def _setting(text: str) -> tuple[str, str | None, str, bool] | None:
    """Name, operator if any, value, and whether it is switched on; None: no setting."""
    match = re.match(r"(!*)\s*([a-z_]+)\s*(?:([+-]?=)\s*(.*))?\Z", text, re.DOTALL)
    if match is None:
        return None
    return match[2], match[3], (match[4] or "").strip().strip('"'), len(match[1]) % 2 == 0


def _worse(known: _Sudoers) -> dict[str, Json]:
    """Columns of host_sudo that a default for some, or a group that is never asked, makes weaker."""
    worse = {name: value for name, value in known.weaker.items() if name != "timestamp_timeout"}
    if _text(known.defaults.get("exempt_group")):
        worse["authenticate"] = False
    some = _minutes(known.weaker.get("timestamp_timeout"))
    every = _minutes(known.defaults.get("timestamp_timeout", 15))
    if some is not None and (every is None or (every >= 0 and (some < 0 or some > every))):
        worse["timestamp_timeout"] = some
    return worse


def _minutes(value: Json) -> float | None:
    if value is False:
        return 0.0
    try:
        return float(str(value))
    except ValueError:
        return None


def _version(frames: Frames) -> str | None:
    for line in frames.command("version").lines:
        if match := re.match(r"Sudo(?:-rs)? (?:version )?(\S+)", line.text):
            return match[1]
    return None


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _defaults(frames: Frames, known: _Sudoers, installed: bool) -> Row:
    version = _version(frames)
    if not installed:
        return Row("host_sudo", "sudo", {"installed": False, "alternatives": _alternatives(frames)})
    numbers = tuple(int(part) for part in re.findall(r"\d{1,6}", version or "")[:3])
    default = known.defaults
    tries = default.get("passwd_tries")
    data: dict[str, Json] = {
        "installed": True,
        "version": version,
        "use_pty": bool(default.get("use_pty", numbers >= (1, 9, 14))),
        "logfile": _text(default.get("logfile")),
        "env_keep": known.keep,
        "secure_path": _text(default.get("secure_path")),
        "authenticate": default.get("authenticate", True) is not False,
        "env_reset": default.get("env_reset", True) is not False,
        "timestamp_timeout": _minutes(default.get("timestamp_timeout", 15)),
        "passwd_tries": 3 if tries is None else integer(str(tries)),
        "files": known.files,
        "skipped_files": known.skipped,
        "alternatives": _alternatives(frames),
    }
    data |= {
        name: bool(default.get(name, False))
        for name in ("log_input", "log_output", "requiretty", "targetpw", "rootpw", "runaspw")
    }
    data |= _worse(known)
    gaps: tuple[ColumnGap, ...] = ()
    # A line that is broken is passed over by sudo too; what was not read could say anything.
    unseen = [miss for miss in known.missed if miss.reason is not Outcome.MALFORMED]
    if unseen:
        columns = [name for name in data if name not in ("installed", "version", "alternatives")]
        gaps = column_gaps(columns, unseen[0].reason, unseen[0].detail)
    elif version is None and "use_pty" not in default and "use_pty" not in known.weaker:
        gaps = column_gaps(("use_pty",), *_untold(frames))
    return Row("host_sudo", "sudo", data, gaps)


def _untold(frames: Frames) -> tuple[Outcome, str]:
    complaint = frames.command("version").complaint
    return Outcome.UNSUPPORTED, complaint or "the default depends on sudo's version, which is not known"


def _alternatives(frames: Frames) -> list[str]:
    return [name for name in ("doas", "sudo-rs", "run0") if program(frames, name)]


def _elsewhere(frames: Frames) -> Iterator[Miss]:
    """Services that the line `sudoers` of nsswitch.conf(5) names beside the files: rules that none lists."""
    file = frames.file("/etc/nsswitch.conf")
    for line in file.lines:
        database, _, rest = line.text.partition("#")[0].partition(":")
        if database.strip() == "sudoers":
            for service in sorted(_SERVICES & set(rest.split())):
                why = f"{file.path}:{line.number}: rules that {service} adds are not listed"
                yield Miss("host_sudoers", Outcome.UNSUPPORTED, why)


def sudo(frames: Frames) -> Iterator[Item]:
    """The section `sudo`: host_sudo, host_sudoers."""
    installed = program(frames, "sudo") is not None
    known = _Sudoers(frames)
    known.read("/etc/sudoers")
    hidden = list(unread(frames, "host_sudoers", lambda path: path not in known.skipped))
    known.missed += [miss for miss in hidden if miss not in known.missed]
    yield _defaults(frames, known, installed)
    for file, line in known.rules:
        yield from _rule(known, file, line)
    yield from known.missed
    if installed:
        yield from _elsewhere(frames)
