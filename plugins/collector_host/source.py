"""The source `host`: sections of the probe as calls, their answers as records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

from collector.model import (
    Absent,
    Answer,
    Ask,
    CallFailed,
    ColumnGap,
    Due,
    Fault,
    Gap,
    Json,
    Kind,
    Operation,
    Option,
    Outcome,
    Record,
    Reply,
    Span,
    Target,
    Task,
    Text,
)

from .frames import Frames, read
from .kinds import KINDS
from .permissions import permissions
from .rows import Hide, Item, Miss, Row
from .sections import SECTIONS, section_of
from .transport import LocalTransport, Transport

__all__ = ["HostSource"]

FILE_LIMIT = 2**20  # bytes read of one file: settings are far smaller, hostile ones cost no more
OUTPUT_LIMIT = 8 * 2**20  # bytes of one command's output
ANSWER_LIMIT = 32 * 2**20  # bytes of one section's answer
_MOST_STRAYS = 20  # lines without sense that are told one by one
_NO_PROGRAM = 127  # what a shell says of a command that is not there
_BAD = "\ufffd"  # stands for what is no UTF-8

_IDENTITY = Operation("host:identity", "anyone: runs id and uname, reads /etc/os-release")
_OPTIONS = (
    Option("name", "string", "what to call this host in the evidence; its host name if left out"),
    Option("root", "path", "a folder that holds a host's files, read in place of this machine's /"),
    Option("certificates", "paths", "more files and folders to look for certificates in", default=[]),
    Option("walk_seconds", "integer", "seconds that the walk over local file systems may take", default=30),
    Option("walk_entries", "integer", "findings of that walk after which it is cut off", default=20_000),
)


@cache
def _probe() -> bytes:
    return Path(__file__).with_name("probe.sh").read_bytes()


class HostSource:
    """A Linux host, asked by one read-only shell probe through a transport."""

    name: ClassVar[str] = "host"
    title: ClassVar[str] = "A Linux host: this machine, or a folder that holds one's files"
    options: ClassVar[tuple[Option, ...]] = _OPTIONS
    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    discovery: ClassVar[tuple[Operation, ...]] = (_IDENTITY,)
    errors: ClassVar[Mapping[str, Fault]] = {
        "denied": Fault(Outcome.DENIED),
        "missing-command": Fault(Outcome.UNSUPPORTED),
        "unsupported": Fault(Outcome.UNSUPPORTED),
        "failed": Fault(Outcome.FAILED),
    }

    def __init__(self, settings: Mapping[str, Json], transport: Transport | None = None) -> None:
        self._settings = {option.name: settings.get(option.name, option.default) for option in _OPTIONS}
        self._transport = transport or LocalTransport()

    @property
    def _tree(self) -> str:
        return str(self._settings["root"] or "").rstrip("/")

    def root(self) -> Target:
        """The host by its name; asks nobody."""
        default = Path(self._tree).name if self._tree else self._transport.name
        return Target(self.name, {"host": str(self._settings["name"] or default)})

    def discover(self, ask: Ask) -> Json:
        """Ask as whom the probe runs."""
        answer = ask(_IDENTITY.name)
        if not answer.ok:
            return {}
        lines = read(_text(answer)).command("id").lines
        return {"principal": lines[0].text.split(" ")[0] if lines else ""}

    def plan(self, found: Json) -> Sequence[Task | Absent]:
        """One task for each section of the probe, so that they run side by side."""
        root = self.root()
        principal = str((found or {}).get("principal", "")) if isinstance(found, dict | None) else ""
        target = Target(root.source, root.scope, principal)
        tasks = []
        for section in SECTIONS:
            kinds = tuple(kind.name for kind in KINDS if section_of(kind) == section)
            op, params = f"host:{section}", self._params(section)
            tasks.append(Task(target, kinds, tuple(Due(kind, op, params) for kind in kinds)))
        return tasks

    def _params(self, section: str) -> dict[str, Json]:
        if section == "walk":
            return {"seconds": self._settings["walk_seconds"], "entries": self._settings["walk_entries"]}
        if section == "certificates" and self._settings["certificates"]:
            return {"paths": list(self._settings["certificates"])}
        return {}

    def collect(self, task: Task, ask: Ask) -> Iterator[Record | Gap | Text]:
        """Ask each section that the task's kinds come from, and give its rows, its gaps and its text."""
        known = {kind.name: kind for kind in KINDS}
        for section in dict.fromkeys(section_of(known[name]) for name in task.kinds):
            answer = ask(f"host:{section}", self._params(section))
            if answer.ok:
                kinds = tuple(name for name in task.kinds if section_of(known[name]) == section)
                yield from _told(section, kinds, task.target.scope, answer)

    def send(
        self,
        target: Target,  # noqa: ARG002 - one source has one host, which its transport knows
        op: str,
        params: Mapping[str, Json],
        timeout: float,
    ) -> Reply:
        """Run one section of the probe.

        Raises:
            CallFailed: `missing-command` where the host has no sh, `failed` where the probe did not begin.
            TimeoutError: the probe did not end in time; it and its children were ended.
        """
        section = op.partition(":")[2]
        argv = ["/bin/sh", "-s", section, self._tree, str(FILE_LIMIT), str(OUTPUT_LIMIT)]
        argv += self._arguments(section, params, timeout)
        try:
            done = self._transport.run(argv, _probe(), timeout, ANSWER_LIMIT)
        except FileNotFoundError:
            raise CallFailed("missing-command", "/bin/sh is not there") from None
        except PermissionError as error:
            raise CallFailed("denied", f"/bin/sh: {error.strerror}") from None
        if not done.stdout.startswith(b"P "):
            code = "missing-command" if done.status == _NO_PROGRAM else "failed"
            raise CallFailed(
                code, f"the probe did not begin (status {done.status}): {_last_line(done.stderr)}"
            )
        text = done.stdout.decode("utf-8", "replace").replace("\0", _BAD)
        if "\nK unknown section\n" in text:
            raise CallFailed("unsupported", f"the probe knows no section {section}")
        return Reply({"text": text}, size=len(done.stdout))

    @staticmethod
    def _arguments(section: str, params: Mapping[str, Json], timeout: float) -> list[str]:
        if section == "walk":
            # It must end by itself before the call's time is up, or nothing of it would be kept.
            seconds = max(1, min(int(params.get("seconds", 1)), int(timeout * 0.8)))
            return [str(seconds), str(int(params.get("entries", 1)))]
        return [str(path) for path in params.get("paths", [])]

    @classmethod
    def permissions(cls, kinds: Sequence[Kind]) -> str:
        """A systemd unit's lines with the capabilities needed, and what each kind needs them for."""
        return permissions(kinds)


def _text(answer: Answer) -> str:
    return str(answer.data.get("text", "")) if isinstance(answer.data, dict) else ""


def _last_line(raw: bytes) -> str:
    lines = raw.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "no word why"


def _told(
    section: str, kinds: tuple[str, ...], scope: Mapping[str, str], answer: Answer
) -> Iterator[Record | Gap | Text]:
    """What one section's answer holds: records and gaps, then the text itself."""
    text = _text(answer)
    frames = read(text)
    seen: dict[tuple[str, str], int] = {}
    spans: list[Hide] = []
    for item in (*_frame_gaps(frames, kinds), *SECTIONS[section].parse(frames)):
        if isinstance(item, Hide):
            spans.append(item)
        elif item.kind not in kinds:
            continue  # the section has it, but this task does not collect it
        elif isinstance(item, Row):
            yield _record(item, scope, answer.call, seen)
        else:
            yield Gap(item.kind, scope, item.reason, answer.call, item.detail)
    marked = tuple(_spans(spans)) if SECTIONS[section].verbatim else None
    yield Text(answer.call, answer.op, scope, text, marked)


def _frame_gaps(frames: Frames, kinds: tuple[str, ...]) -> Iterator[Item]:
    """Gaps for an answer that was cut off, or holds lines that are no frames."""
    for kind in kinds:
        if not frames.complete:
            yield Miss(kind, Outcome.TRUNCATED, "the probe's answer ended before its last line")
        for line in frames.strays[:_MOST_STRAYS]:
            yield Miss(kind, Outcome.MALFORMED, f"the probe's answer:{line.number}: a line that is no frame")
        if len(frames.strays) > _MOST_STRAYS:
            more = len(frames.strays) - _MOST_STRAYS
            yield Miss(kind, Outcome.MALFORMED, f"the probe's answer: {more} more lines that are no frames")


def _record(row: Row, scope: Mapping[str, str], call: str, seen: dict[tuple[str, str], int]) -> Record:
    """A row with scope and call; equal ids are numbered, and text that is no UTF-8 is a gap of its column."""
    count = seen[row.kind, row.id] = seen.get((row.kind, row.id), 0) + 1
    gaps = row.gaps + tuple(
        ColumnGap(column, Outcome.MALFORMED, detail="holds bytes that are no UTF-8")
        for column, value in row.data.items()
        if _undecodable(value)
    )
    marked = tuple(ColumnGap(gap.column, gap.reason, call, gap.detail) for gap in gaps)
    return Record(
        kind=row.kind,
        id=row.id if count == 1 else f"{row.id}##{count}",
        scope=scope,
        calls=(call,),
        data=row.data,
        gaps=tuple({gap.column: gap for gap in reversed(marked)}.values())[::-1],
    )


def _undecodable(value: Json) -> bool:
    if isinstance(value, list):
        return any(_undecodable(each) for each in value)
    return isinstance(value, str) and _BAD in value


def _spans(hides: list[Hide]) -> Iterator[Span]:
    """Spans in order, without overlap; where two meet, the first one's word holds for both."""
    end = -1
    for hide in sorted(hides, key=lambda hide: (hide.start, -hide.end)):
        if hide.end > max(end, hide.start):
            yield Span(max(hide.start, end), hide.end, hide.what)
            end = hide.end
