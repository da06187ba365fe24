"""The source `program`: an organisation's own security programme, as a folder of files.

Its folder holds `roster.csv`, one row a person (roster.py), and `policies/`, with one Markdown file a
policy in it or in folders below it (policy.py).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
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
    Target,
    Task,
    Text,
    UndeclaredCall,
)
from collector_program import roster
from collector_program.folder import ERRORS, Folder
from collector_program.kinds import LIST, PERSON, POLICY, READ, ROSTER
from collector_program.policy import Unreadable, read_policy

__all__ = ["Program"]

_POLICIES = "policies"
_MARKDOWN = (".md", ".markdown")
_MAX_ROSTER = 8 * 2**20  # some fifty thousand people
_MAX_POLICY = 512 * 2**10  # three hundred pages of text

Item = Record | Gap | Text


class Program:
    """Policies and roster below one folder, read as they lie there."""

    name: ClassVar[str] = "program"
    title: ClassVar[str] = "An organisation's policies and staff roster, from a folder"
    options: ClassVar[tuple[Option, ...]] = (
        Option("folder", "path", "folder that holds roster.csv and policies/", required=True),
        Option("name", "string", "what tells this programme from others; the folder's name if left out"),
    )
    kinds: ClassVar[tuple[Kind, ...]] = (POLICY, PERSON)
    discovery: ClassVar[tuple[Operation, ...]] = ()
    errors: ClassVar[Mapping[str, Fault]] = ERRORS

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._folder = str(settings["folder"])
        self._name = settings.get("name") or PurePath(self._folder).name or "program"

    def root(self) -> Target:
        """The folder, asked as the user that runs the agent."""
        return Target(self.name, {"program": self._name}, principal=f"uid {os.geteuid()}")

    def discover(self, ask: Ask) -> Json:  # noqa: ARG002 - the contract's signature; all is known
        """Nothing needs to be known before planning."""
        return None

    def plan(self, found: Json) -> Sequence[Task | Absent]:  # noqa: ARG002 - nothing was discovered
        """One task: people first, so that their names are known when texts are redacted."""
        due = (Due(PERSON.name, ROSTER), Due(POLICY.name, LIST))
        return [Task(self.root(), (PERSON.name, POLICY.name), due)]

    def collect(self, task: Task, ask: Ask) -> Iterator[Item]:
        """Give people, then policies."""
        scope = task.target.scope
        if PERSON.name in task.kinds:
            yield from _people(ask(ROSTER), scope)
        if POLICY.name in task.kinds:
            yield from _policies(ask(LIST), scope, ask)

    def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:  # noqa: ARG002 - one target
        """List or read files below the folder."""
        folder = Folder(self._folder, time.monotonic() + timeout)
        match op:
            case "program:list":
                entries = folder.files(_POLICIES)
                data = [{"path": entry.path, "fault": entry.fault} for entry in entries]
                return Reply(data, items=len(data), size=sum(len(entry.path) for entry in entries))
            case "program:read":
                return _read_policy(folder, str(params["path"]))
            case "program:roster":
                return _text(roster.FILE, folder.read(roster.FILE, _MAX_ROSTER))
        raise UndeclaredCall(f"the programme source knows no {op}")

    @classmethod
    def permissions(cls, kinds: Sequence[Kind]) -> str:
        """What the agent's user must be able to read, as commands that grant it."""
        names = {kind.name for kind in kinds}
        lines = ["# In the programme's folder, for a user `collector` that owns nothing there:"]
        if PERSON.name in names:
            lines.append("setfacl --modify u:collector:r roster.csv")
        if POLICY.name in names:
            lines.append("setfacl --recursive --modify u:collector:rX policies")
        return "\n".join([*lines, "setfacl --modify u:collector:x ."])


def _read_policy(folder: Folder, path: str) -> Reply:
    try:
        return _text(path, folder.read(path, _MAX_POLICY))
    except CallFailed as error:
        if error.code == "missing":  # it was listed a moment ago
            raise CallFailed("vanished", error.detail) from error
        raise


def _text(path: str, content: bytes) -> Reply:
    """The answer that a text file gives; its data is the text and the digest of its bytes."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CallFailed("not-text", f"{path} line {line}: not UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CallFailed("not-text", f"{path} line {line}: a NUL character, so no text")
    return Reply({"text": text, "sha256": hashlib.sha256(content).hexdigest()}, size=len(content))


def _people(answer: Answer, scope: Mapping[str, str]) -> Iterator[Item]:
    if not answer.ok:
        return  # the core writes the gap of a call that failed
    text = answer.data["text"]
    found = roster.read_roster(text)
    for person in found.people:
        yield Record(PERSON.name, person.data["id"], scope, (answer.call,), person.data)
    for fault in found.faults:
        yield Gap(PERSON.name, scope, Outcome.MALFORMED, answer.call, str(fault))
    yield Text(answer.call, ROSTER, scope, text, found.spans, roster.FILE)


def _policies(listed: Answer, scope: Mapping[str, str], ask: Ask) -> Iterator[Item]:
    if not listed.ok:
        return
    for entry in listed.data:
        path = entry["path"]
        fault = entry["fault"] or ("" if path.lower().endswith(_MARKDOWN) else "not-markdown")
        if fault:
            detail = f"{path}: {_REFUSED.get(fault, 'cannot be read')}"
            yield Gap(POLICY.name, scope, ERRORS[fault].outcome, listed.call, detail)
        else:
            yield from _policy(path, listed.call, ask(READ, {"path": path}), scope)


_REFUSED = {
    "link": "a symbolic link, which is refused",
    "not-a-file": "neither a file nor a folder",
    "not-markdown": "everything below policies/ must be a policy in Markdown (.md)",
    "bad-name": "the name holds what cannot be printed",
    "too-deep": "too many folders inside each other",
    "denied": "may not be read",
}


def _policy(path: str, listed: str, answer: Answer, scope: Mapping[str, str]) -> Iterator[Item]:
    if not answer.ok:
        return
    text = answer.data["text"]
    try:
        policy = read_policy(text)
    except Unreadable as error:
        yield Gap(POLICY.name, scope, Outcome.MALFORMED, answer.call, f"{path} {error}")
        yield Text(answer.call, READ, scope, text, error.spans, path)
        return
    data = {"path": path, **policy.data, "words": policy.words, "sha256": answer.data["sha256"]}
    gaps = tuple(
        ColumnGap(column, Outcome.MALFORMED, answer.call, f"{path} {why}")
        for column, why in policy.faults.items()
    )
    yield Record(POLICY.name, path, scope, (listed, answer.call), data, gaps)
    yield Text(answer.call, READ, scope, text, policy.spans, path)
