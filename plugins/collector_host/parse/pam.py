"""PAM stacks as they run (pam.conf(5)): includes expanded, one row a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..frames import File, Frames, Line
from ..rows import Item, Row, malformed, unread

__all__ = ["Entry", "Stacks", "joined"]

_TYPES = ("auth", "account", "password", "session")
_CONTROLS = {"required", "requisite", "sufficient", "optional", "include", "substack", "binding"}
_DEPTH = 10  # real stacks nest three deep; a ring of includes must end
_LONGEST = 400  # lines of one stack; includes of includes must not multiply without end
_LINE = re.compile(r"(-?)(\w+)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One module of a stack."""

    type: str
    control: str
    silent: bool
    module: str
    arguments: tuple[str, ...]
    source: str
    line: int

    def value(self, name: str) -> str | None:
        """The value of its argument `name=`; the last one counts."""
        found = [argument.partition("=")[2] for argument in self.arguments if argument.startswith(f"{name}=")]
        return found[-1] if found else None

    @property
    def binding(self) -> bool:
        """Whether its failure fails the stack."""
        if self.control.startswith("["):
            return bool(re.search(r"default=(die|bad|ok\b)", self.control)) or "default=" not in self.control
        return self.control in ("required", "requisite")

    @property
    def where(self) -> str:
        """file:line."""
        return f"{self.source}:{self.line}"


def joined(file: File) -> Iterator[Line]:
    """Lines without comments, those that end in a backslash put together with the next."""
    held, first = "", None
    for line in file.lines:
        first = first or line
        text = (
            line.text
            if not held and line.text.lstrip().startswith("#")
            else re.sub(r"(?<!\\)#.*", "", line.text)
        )
        if text.rstrip().endswith("\\"):
            held += text.rstrip()[:-1] + " "
            continue
        whole = (held + text).strip()
        if whole and not whole.startswith("#"):
            yield Line(whole, first.at, first.number)
        held, first = "", None
    if held.strip() and first is not None:
        yield Line(held.strip(), first.at, first.number)


def _arguments(text: str) -> tuple[str, ...]:
    """Arguments; one in brackets may hold spaces."""
    return tuple(part[1:-1] if part.startswith("[") else part for part in re.findall(r"\[[^\]]*\]|\S+", text))


class Stacks:
    """All stacks of a host."""

    def __init__(self, frames: Frames) -> None:
        self.bad: dict[tuple[str, int], Item] = {}
        self.files = {file.name: file for file in frames.below("/usr/lib/pam.d") if file.readable}
        self.files |= {file.name: file for file in frames.below("/etc/pam.d") if file.readable}
        self.frames = frames
        self._expanded: dict[str, list[Entry]] = {}

    def stack(self, service: str, type_: str) -> list[Entry]:
        """The modules of a service for one type, in order; empty where there is no such service."""
        if service not in self._expanded:
            self._expanded[service] = list(self._expand(service, "", 0))[:_LONGEST]
        return [entry for entry in self._expanded[service] if entry.type == type_]

    def first(self, *services: str) -> str | None:
        """The first of these services that there is."""
        return next((service for service in services if service in self.files), None)

    def _expand(self, service: str, only: str, depth: int) -> Iterator[Entry]:
        file = self.files.get(service)
        if file is None or depth > _DEPTH:
            return
        count = 0
        for line in joined(file):
            for entry in self._line(file, line, only, depth):
                count += 1
                if count > _LONGEST:
                    return
                yield entry

    def _line(self, file: File, line: Line, only: str, depth: int) -> Iterator[Entry]:
        if match := re.match(r"@include\s+(\S+)\Z", line.text):
            yield from self._expand(match[1].rsplit("/", 1)[-1], only, depth + 1)
            return
        match = _LINE.match(line.text)
        if match is None or match[2] not in _TYPES or not self._control(match[3]):
            why = "no PAM line (type, control, module)"
            self.bad.setdefault((file.path, line.number), malformed("host_pam", file.path, line, why))
            return
        silent, type_, control, module, rest = match.groups()
        if only and type_ != only:
            return
        if control in ("include", "substack"):
            yield from self._expand(module.rsplit("/", 1)[-1], type_, depth + 1)
            return
        name = module.rsplit("/", 1)[-1]
        yield Entry(type_, control, bool(silent), name, _arguments(rest), file.path, line.number)

    @staticmethod
    def _control(text: str) -> bool:
        return text in _CONTROLS or text.startswith("[")

    def rows(self) -> Iterator[Item]:
        """host_pam: every stack of every service."""
        for service in sorted(self.files, key=str.encode):
            for type_ in _TYPES:
                for position, entry in enumerate(self.stack(service, type_), 1):
                    data = {
                        "service": service,
                        "type": type_,
                        "position": position,
                        "control": entry.control,
                        "optional_missing": entry.silent,
                        "module": entry.module,
                        "arguments": list(entry.arguments),
                        "source": entry.source,
                        "line": entry.line,
                    }
                    yield Row("host_pam", f"{service}:{type_}:{position}", data)
        yield from self.bad.values()
        yield from unread(self.frames, "host_pam", lambda path: "/pam.d" in path or path == "/etc/pam.conf")
