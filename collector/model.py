"""The words of the design as frozen types.

Everything that crosses the line between the core and a plugin is one of these. They hold plain
data (JSON values, strings, tuples), so that a task can travel to another process and a record to
disk. Constructors refuse what the format does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, ClassVar, Protocol, runtime_checkable

__all__ = [
    "CANARIES",
    "MAX_TEXT",
    "Absent",
    "Answer",
    "Ask",
    "CallFailed",
    "CollectorError",
    "Column",
    "ColumnGap",
    "ConfigError",
    "DeliveryError",
    "Derived",
    "Due",
    "Enforced",
    "Fault",
    "Gap",
    "Identity",
    "Json",
    "Kind",
    "LockedError",
    "MappingError",
    "MappingPack",
    "Operation",
    "Option",
    "Outcome",
    "Record",
    "Reply",
    "Sink",
    "SinkRefused",
    "SinkTaken",
    "SinkUnreadable",
    "Source",
    "Span",
    "Target",
    "Task",
    "Text",
    "UndeclaredCall",
    "VerifyError",
]

Json = Any
"""A JSON value: None, bool, int, float, str, list of these, or dict of str to these."""

MAX_TEXT = 2_000
"""Characters of a text that a statement holds, such as a value of a target's scope."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


class CollectorError(Exception):
    """What a user can cause: one clear line, and the exit code that says which kind it is."""

    exit_code: ClassVar[int] = 2


class ConfigError(CollectorError):
    """A configuration that cannot be used: the message names file, line, key and what is allowed."""


class MappingError(CollectorError):
    """A mapping pack that cannot be used: the message names file, line and entry."""


class VerifyError(CollectorError):
    """A bundle or store that does not verify: the message says which link broke."""

    exit_code = 1


class DeliveryError(CollectorError):
    """A bundle that could not be delivered and stays in the outbox."""

    exit_code = 4


class LockedError(CollectorError):
    """Another run holds the lock."""

    exit_code = 75


class UndeclaredCall(Exception):  # noqa: N818 - a plugin's bug, not a user's error
    """A source asked for an operation that no kind of its task declares. It fails the task."""


class CallFailed(Exception):  # noqa: N818 - the name says what happened to a call
    """One attempt of a call that the target did not answer as asked.

    Raised by `Source.send`. `code` is looked up in the source's `errors`; a code that is not there
    is `failed`. `detail` is one line for people; it passes through redaction before it is kept.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Outcome(StrEnum):
    """How a call ended. All but the first two are also the reasons that a gap can have."""

    OK = "ok"
    ABSENT = "absent"  # the target answered that there is none
    DENIED = "denied"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"  # a list that stopped before its last page
    FAILED = "failed"  # the target's error
    MALFORMED = "malformed"  # a value that does not fit, an answer that cannot be read
    VANISHED = "vanished"  # gone between list and detail
    UNSUPPORTED = "unsupported"
    REDACTED = "redacted"
    OFF = "off"  # configuration says not to ask
    BUDGET = "budget"  # time, tries or size ran out on our side

    @property
    def answered(self) -> bool:
        """Whether the target said what there is, or that there is none."""
        return self in (Outcome.OK, Outcome.ABSENT)


class Identity(StrEnum):
    """What a column identifies. The first two are pseudonyms wherever they are written."""

    PERSON_NAME = "person_name"
    MAIL = "mail"
    LOGIN = "login"
    RESOURCE = "resource"

    @property
    def personal(self) -> bool:
        """Whether values are replaced by pseudonyms before they are written."""
        return self in (Identity.PERSON_NAME, Identity.MAIL)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a kind's table.

    Attributes:
        name: as the target's own answer calls it, where it has a name.
        type: a DuckDB type: BOOLEAN, BIGINT, DOUBLE, VARCHAR, TIMESTAMP, DATE, JSON, any of them
            followed by `[]`, or STRUCT("name" TYPE, …). JSON for what is recursive or free-form.
            TIMESTAMP values are written `2026-11-24T02:00:03Z` (fractions allowed), DATE `2026-11-24`.
        meaning: one line in our own words.
        calls: the operations that fill it; empty: the kind's list operations.
        secret: written as a keyed digest, never as itself (VARCHAR, or lists of it).
        identity: what the values identify, if anything.
        free_text: people or programs write anything here, so secret detectors look through it.
        literals: names of members, at any depth of a free-text column, whose text is never written, as
            settings that may hold anything; "*": those of every member. What a detector finds there is
            listed as it would be elsewhere.
    """

    name: str
    type: str
    meaning: str
    calls: tuple[str, ...] = ()
    secret: bool = False
    identity: Identity | None = None
    free_text: bool = False
    literals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _COLUMN.match(self.name):
            raise ValueError(f"column name {self.name!r}: letters, digits and _ only")
        if self.literals and not self.free_text:
            raise ValueError(f"column {self.name}: literals are of free text only")


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that a kind needs.

    Attributes:
        name: `service:Action`, as in `s3:GetBucketPolicy` or `host:sshd`; what stands before the
            colon is paced as one.
        permission: the right it needs, in the target's own language.
        lists: whether it gives the kind's population; else it fills columns of records. Of a call of
            discovery: whether all of the source is unknown where it is not answered; else the source plans
            for that itself (`Source.plan`).
    """

    name: str
    permission: str
    lists: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of evidence: a typed table, and the calls that fill it.

    Attributes:
        name: `<source>_<noun>`, lower case.
        title: one line in our own words.
        columns: in the order in which documentation shows them.
        identity: the columns that together tell one record from another.
        operations: every call that collecting it may make.
        examples: questions that a reader could ask of it, as SQL.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    identity: tuple[str, ...]
    operations: tuple[Operation, ...] = ()
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"kind name {self.name!r}: lower case letters, digits and _ only")
        names = [column.name for column in self.columns]
        if len({name.lower() for name in names}) != len(names):
            raise ValueError(f"kind {self.name}: two columns of one name (SQL ignores case)")
        declared = {operation.name for operation in self.operations}
        for column in self.columns:
            if missing := set(column.calls) - declared:
                raise ValueError(
                    f"kind {self.name}: column {column.name} names {sorted(missing)}, not declared"
                )
        if missing := set(self.identity) - set(names):
            raise ValueError(f"kind {self.name}: identity names {sorted(missing)}, which are no columns")

    @property
    def lists(self) -> tuple[str, ...]:
        """The operations that give the population."""
        return tuple(operation.name for operation in self.operations if operation.lists)

    def operation(self, name: str) -> Operation | None:
        """The operation of that name, if the kind declares it."""
        return next((operation for operation in self.operations if operation.name == name), None)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to collect from.

    Attributes:
        source: name of the source.
        scope: what tells its records from those of other targets, as in
            `{"account": "1111", "region": "eu-west-1"}` or `{"host": "web1"}`.
        principal: as whom it is asked, as far as known; `as` in the ledger.
    """

    source: str
    scope: Mapping[str, str]
    principal: str = ""

    def __post_init__(self) -> None:
        for key, value in self.scope.items():
            if not 0 < len(value) <= MAX_TEXT:
                raise ValueError(f"{key} of a target: must have 1 to {MAX_TEXT} characters, has {len(value)}")


@dataclass(frozen=True, slots=True)
class Due:
    """A list call that must reach its last page for the population of a kind to be complete."""

    kind: str
    op: str
    params: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """The smallest unit that is planned, retried and distributed: a target and a set of kinds.

    Attributes:
        target: what to collect from.
        kinds: names of the kinds that it collects.
        due: list calls that it owes, at least one for each kind whose population is known by lists.
    """

    target: Target
    kinds: tuple[str, ...]
    due: tuple[Due, ...] = ()

    def __post_init__(self) -> None:
        if stray := {due.kind for due in self.due} - set(self.kinds):
            raise ValueError(f"due for kinds that the task does not collect: {sorted(stray)}")


@dataclass(frozen=True, slots=True)
class Absent:
    """A kind that a complete discovery showed not to exist there; its checks are not applicable."""

    kind: str
    scope: Mapping[str, str]
    why: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What an error code of a target means.

    Attributes:
        outcome: how the call ended.
        retry: whether another try may help.
        again: the list has changed under its reader, so that its pages would be of two moments. The core
            begins the whole task again, once, as if nothing had been asked; then it is what `outcome` says.
    """

    outcome: Outcome
    retry: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What one attempt of a call brought back.

    Attributes:
        data: the parsed answer, without transport metadata and page tokens.
        items: how many items this page lists; None where it is no list.
        next: the parameters that ask for the next page; None on the last.
        size: bytes received.
        keep: whether the answer may be asked for again in this run. False for pages that are large and
            that one task alone asks for: they are not held in memory.
    """

    data: Json
    items: int | None = None
    next: Mapping[str, Json] | None = None
    size: int = 0
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A call as a source sees it, after retries. `data` is None unless the outcome is `ok`."""

    call: str
    op: str
    outcome: Outcome
    data: Json = None
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the target answered with data."""
        return self.outcome is Outcome.OK


@runtime_checkable
class Ask(Protocol):
    """The one seam to the world. It never raises for what a target does; see `Answer.outcome`."""

    def __call__(self, op: str, params: Mapping[str, Json] | None = None) -> Answer:
        """Ask a question that has one page. A question asked before is answered from memory."""
        ...

    def pages(self, op: str, params: Mapping[str, Json] | None = None) -> Iterator[Answer]:
        """Ask a list, a page at a time; the last answer is the first that is not `ok`, if any."""
        ...

    def many(
        self, asked: Sequence[tuple[str, Mapping[str, Json]]], pages: bool = False
    ) -> Sequence[Sequence[Answer]]:
        """Ask several questions at the same time, as far as the target's pace allows.

        Returns:
            For each, in the order asked, its answers: one, or with `pages` all those of its list.
        """
        ...


@dataclass(frozen=True, slots=True)
class ColumnGap:
    """A column of one record that was asked for and not got."""

    column: str
    reason: Outcome
    call: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One resource.

    Attributes:
        kind: name of its kind.
        id: unique within kind and scope; stays the same from run to run.
        scope: the target's scope, or more keys than that.
        calls: ids of the calls (`Answer.call`) whose answers it holds.
        data: column name to value; a column that is left out is NULL, and NULL without a gap means
            that the target answered "not set".
        gaps: columns that could not be had.
    """

    kind: str
    id: str
    scope: Mapping[str, str]
    calls: tuple[str, ...]
    data: Mapping[str, Json]
    gaps: tuple[ColumnGap, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Part of a population that was asked for and not got. `detail` says what would be needed.

    The core writes these itself for each call that failed; a source yields one for what it alone can
    know, such as a file that a probe could not read or a row that made no sense.
    """

    kind: str
    scope: Mapping[str, str]
    reason: Outcome
    call: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text, in characters, that must not be written as it is."""

    start: int
    end: int
    what: str  # "secret", "person_name" or "mail"


@dataclass(frozen=True, slots=True)
class Text:
    """The text that records were parsed from; the core keeps it as kind `<source>_answer`.

    Attributes:
        call: id of the call that brought it.
        op: its operation.
        scope: the target's scope.
        text: as received.
        spans: what to replace in it; None where that cannot be told, so that only a keyed digest
            and the size are kept.
        name: tells texts of one call apart, as a file's path does.
    """

    call: str
    op: str
    scope: Mapping[str, str]
    text: str
    spans: tuple[Span, ...] | None = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A key that a `[[source]]`, `[[sink]]` or `[sign]` table may have.

    Attributes:
        name: the key.
        type: "string", "path", "integer", "boolean", "duration", "strings", "paths" or "table".
            Paths arrive absolute; durations ("24h", "400d") arrive as seconds.
        meaning: one line, shown by `collector plugins`.
        default: what it is when left out; None: nothing.
        required: whether it must be given.
        choices: if not empty, the values allowed.
    """

    name: str
    type: str
    meaning: str
    default: Json = None
    required: bool = False
    choices: tuple[str, ...] = ()


@runtime_checkable
class Source(Protocol):
    """What a source plugin gives: a class, made once for each `[[source]]` table.

    The class attributes must be there before anything is configured, so that mappings can be loaded
    and `collector plugins` can explain. The constructor takes the table's validated options by name
    and does nothing else: no connection, no file.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    kinds: ClassVar[tuple[Kind, ...]]
    discovery: ClassVar[tuple[Operation, ...]]  # calls that planning may make
    errors: ClassVar[Mapping[str, Fault]]

    def __init__(self, settings: Mapping[str, Json]) -> None: ...

    def root(self) -> Target:
        """What discovery is asked of; its scope is a part of the scope of every target planned."""
        ...

    def discover(self, ask: Ask) -> Json:
        """Ask what must be known before planning (regions, API groups, the principal).

        Returns plain data for `plan`. A call that fails here makes every population of this source
        incomplete, unless its operation has `lists=False`: the core sees to that, so go on with what was
        answered.
        """
        ...

    def plan(self, found: Json) -> Sequence[Task | Absent]:
        """The tasks, from what was discovered; `found` is None when planning offline.

        Kinds that may exist because a call with `lists=False` was not answered need a task each, with the
        list that would show them due, or with none due: never nothing, and never `Absent`.
        """
        ...

    def collect(self, task: Task, ask: Ask) -> Iterator[Record | Gap | Text]:
        """Ask, and give what was answered. Reaches its target through `ask` alone."""
        ...

    def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:
        """One attempt, one page, at most `timeout` seconds. Called from several threads.

        Raises:
            CallFailed: the target did not answer as asked.
            TimeoutError, ConnectionError: as they say; these need no code in `errors`.
        """
        ...

    @classmethod
    def permissions(cls, kinds: Sequence[Kind]) -> str:
        """The least privilege that these kinds need, in the target's own language, ready to use."""
        ...


class SinkRefused(Exception):  # noqa: N818 - an answer, not a breakdown
    """The store answered no: the key exists, a retention forbids it, the credentials do not allow."""


class SinkTaken(SinkRefused):
    """Something is stored under the key already, and it stays."""


class SinkUnreadable(SinkRefused):
    """These credentials may write, and not read: the answer to `get`, `head` and `list`."""


CANARIES = ".collector-check/"
"""Keys below it are what `collector sink check` stores to see what becomes of it.

A sink locks them for as short a time as its store allows; they are never listed as bundles.
"""


@dataclass(frozen=True, slots=True)
class Enforced:
    """One thing that a store was tried for.

    Attributes:
        what: the promise, as in "a second object under a key is refused".
        held: whether the store kept it; None where that could not be told.
        detail: one line: what the store answered, or what would be needed to tell.
        promised: whether the sink, as configured, relies on it. What is promised and did not hold, or
            could not be told, makes `collector sink check` end with 1.
    """

    what: str
    held: bool | None
    detail: str = ""
    promised: bool = True


@runtime_checkable
class Sink(Protocol):
    """Where bundles go: a class, made once for each `[[sink]]` table. Keys are `/`-separated.

    Methods raise OSError (or a subclass) for what may work later and SinkRefused for what will not;
    the constructor raises ConfigError for settings that cannot be used.

    Attributes:
        confirms: whether `put` returns only after the store itself compared the SHA-256 of what it holds.
            Where a bundle cannot be read back, that is what its delivery rests on.
        replaces: whether what is put becomes the whole state at the other side, in place of what was
            there. A bundle with an incomplete population is never handed to such a sink: what a denied
            call hid would be deleted there.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    confirms: ClassVar[bool]
    replaces: ClassVar[bool]

    def __init__(self, settings: Mapping[str, Json]) -> None: ...

    @property
    def address(self) -> str:
        """Where it is, for people; no secret in it."""
        ...

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store so that the key appears whole or not at all.

        Args:
            key: where to.
            file: seekable; read from its beginning.
            sha256: of its bytes, in hexadecimal; other bytes are refused.
            absent: raise SinkTaken where something is stored under the key, whatever it is. The core
                reads it and compares.
        """
        ...

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored; FileNotFoundError if nothing is."""
        ...

    def head(self, key: str) -> int | None:
        """Its size in bytes, or None if nothing is stored there."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, sorted."""
        ...

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:
        """Delete what is older than this sink keeps, and say which keys went."""
        ...

    def check(self, key: str) -> Sequence[Enforced]:
        """What only this kind of store can be tried for, such as locks; then remove the canaries.

        Called by `collector sink check`, after the core has shown with `put`, `get` and `head` that a
        duplicate and a bad checksum are refused and that what is stored comes back as it was.

        Args:
            key: a canary that is stored, below `CANARIES`. All keys that begin with it are this check's
                alone: put there what is needed, and remove what can be removed, the canary too.
        """
        ...

    def permissions(self) -> str:
        """The least privilege that uploading needs, in the store's own language, ready to use.

        What reading back, resuming and checking need is in it too, each marked as such.
        """
        ...


@dataclass(frozen=True, slots=True)
class Derived:
    """A table computed from records by a pure function.

    Attributes:
        kind: what it gives; no operations.
        version: raised whenever the same records would give other rows.
        reads: kind name to the columns that the function looks at.
        compute: records (by kind, as the inner object of a segment line: kind, id, scope, calls, gaps,
            redactions, data) to records. Must not depend on order across kinds or on the clock.
    """

    kind: Kind
    version: int
    reads: Mapping[str, tuple[str, ...]]
    compute: DerivedFunction


class DerivedFunction(Protocol):
    """A pure function from records to records."""

    def __call__(self, records: Mapping[str, Sequence[Mapping[str, Json]]]) -> Iterator[Record]:
        """Compute the derived records, in an order that depends on the records alone."""
        ...


@dataclass(frozen=True, slots=True)
class MappingPack:
    """A folder of checks, objectives, controls, frameworks and crosswalks, and derived kinds.

    Attributes:
        name: lower case; names the folder in the bundle.
        version: shown in the statement.
        folder: absolute path; may hold `checks/**/*.toml`, `objectives/*.toml`, `controls/*.toml`,
            `frameworks/*.json`, `crosswalks/*.csv`.
        derived: tables that its checks read.
    """

    name: str
    version: str
    folder: str
    derived: tuple[Derived, ...] = ()
