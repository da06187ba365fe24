"""What parsers give: rows, what they missed, and stretches of text that must not be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from collector.model import ColumnGap, Json, Outcome

from .frames import File, Frames, Line

__all__ = [
    "Hide",
    "Item",
    "Miss",
    "Row",
    "boolean",
    "cannot_read",
    "column_gaps",
    "day",
    "file_columns",
    "integer",
    "malformed",
    "moment",
    "program",
    "running",
    "unread",
]

_EPOCH = date(1970, 1, 1)
_LAST_DAY = (date(9999, 12, 31) - _EPOCH).days
_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z, the last moment that a TIMESTAMP's text can say
_BIGGEST = 2**63
_SYSTEM_UIDS = 1000  # processes of people must not pass for a system's daemon by their name


@dataclass(frozen=True, slots=True)
class Row:
    """A record without scope and calls."""

    kind: str
    id: str
    data: Mapping[str, Json]
    gaps: tuple[ColumnGap, ...] = ()


@dataclass(frozen=True, slots=True)
class Miss:
    """A gap without scope and call."""

    kind: str
    reason: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class Hide:
    """A stretch of the answer, in characters, and what it is: secret, person_name or mail."""

    start: int
    end: int
    what: str


Item = Row | Miss | Hide


def integer(text: str | None, base: int = 10) -> int | None:
    """A number that fits a BIGINT; None for anything else."""
    if text is None or not text.strip().lstrip("+-").isalnum() or "_" in text:
        return None
    try:
        value = int(text.strip(), base)
    except ValueError:
        return None
    return value if -_BIGGEST <= value < _BIGGEST else None


def boolean(text: str | None) -> bool | None:
    """A yes or no in the words that settings use; None for anything else."""
    word = (text or "").strip().strip('"').lower()
    if word in ("yes", "true", "on", "1", "y", "enabled"):
        return True
    return False if word in ("no", "false", "off", "0", "n", "disabled") else None


def moment(seconds: int | None) -> str | None:
    """A TIMESTAMP for seconds since 1970; None where there is none."""
    if seconds is None or not 0 < seconds <= _LAST_SECOND:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(days: int | None) -> str | None:
    """A DATE for days since 1970; None for none, or one that no calendar has."""
    if days is None or not 0 <= days <= _LAST_DAY:
        return None
    return (_EPOCH + timedelta(days=days)).isoformat()


def malformed(kind: str, path: str, line: Line | int, why: str) -> Miss:
    """A line that made no sense. Its text is not repeated: it could hold anything."""
    number = line if isinstance(line, int) else line.number
    return Miss(kind, Outcome.MALFORMED, f"{path}:{number}: {why}")


def cannot_read(frames: Frames, file: File) -> tuple[Outcome, str]:
    """Why a file's content is not known, as reason and detail."""
    if file.status == "denied":
        who = "not even root may" if frames.root else "needs root to"
        return Outcome.DENIED, f"{who} read {file.path}"
    if file.truncated:
        return Outcome.TRUNCATED, f"{file.path}: larger than is read of one file"
    if file.status == "name":
        return Outcome.MALFORMED, f"{file.path}: a file name with a line break was not read"
    return Outcome.FAILED, f"{file.path}: could not be read"


def unread(frames: Frames, kind: str, wanted: Callable[[str], bool] = lambda _path: True) -> Iterator[Miss]:
    """Gaps for files and folders of the section that may hold more than was seen."""
    for file in frames.files.values():
        if file.unknown and wanted(file.path):
            yield Miss(kind, *cannot_read(frames, file))
    for folder in frames.folders.values():
        if folder.status == "denied" and wanted(folder.path):
            who = "not even root may" if frames.root else "needs root to"
            yield Miss(kind, Outcome.DENIED, f"{who} list {folder.path}")
        if folder.status == "budget" and wanted(folder.path):
            yield Miss(kind, Outcome.BUDGET, f"{folder.path}: more files than are read of one folder")


def column_gaps(columns: Iterable[str], reason: Outcome, detail: str) -> tuple[ColumnGap, ...]:
    """The same gap for several columns."""
    return tuple(ColumnGap(column, reason, detail=detail[:400]) for column in columns)


def file_columns(file: File) -> dict[str, Json]:
    """The columns type, mode, uid, gid, username and groupname of a file."""
    if not file.exists:
        return {}
    return {
        "type": file.kind,
        "mode": file.mode,
        "uid": file.uid,
        "gid": file.gid,
        "username": file.user,
        "groupname": file.group,
    }


def program(frames: Frames, *names: str) -> str | None:
    """The path of the first of these programs that is there."""
    found = frames.values("program")
    for name in names:
        for path in found:
            if path.rsplit("/", 1)[-1] == name:
                return path
    return None


def running(frames: Frames, *names: str) -> bool | None:
    """Whether a process of a system account has one of these names; None where that cannot be told.

    The kernel cuts the names of processes at 15 characters.
    """
    command = frames.command("processes")
    if command.status != "run":
        return None
    for line in command.lines:
        uid, _, name = line.text.partition(" ")
        if name in {known[:15] for known in names} and (integer(uid) or 0) < _SYSTEM_UIDS:
            return True
    return False
