"""What a bundle holds, and in which order (docs/format.md, "Bundle").

A name that is not allowed here is in no bundle: names are matched whole against this page, so none
can climb out of a folder, hide, or differ from another by case alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "CONTROLS",
    "DERIVED",
    "DISCLOSED",
    "DISCLOSURE",
    "EXCEPTIONS",
    "FINDINGS",
    "KINDS",
    "LEDGER",
    "MAPPINGS",
    "MAX_MEMBERS",
    "PLAN",
    "README",
    "REQUIRED",
    "SCRIPT",
    "SEGMENTS",
    "SIGSTORE",
    "STAMPS",
    "STATEMENT",
    "check_names",
    "holds_lines",
    "is_signed",
    "largest",
    "place",
    "stamp_label",
    "stamp_name",
]

PLAN = "plan.json"
KINDS = "kinds.json"
LEDGER = "ledger.jsonl.gz"
SEGMENTS = "segments/"
DERIVED = "derived/"
MAPPINGS = "mappings/"
EXCEPTIONS = "exceptions.json"
FINDINGS = "findings.jsonl.gz"
CONTROLS = "controls.jsonl.gz"
README = "README.txt"
SCRIPT = "verify.sh"
STATEMENT = "statement.dsse.json"
SIGSTORE = "statement.sigstore.json"
STAMPS = "stamps/"
DISCLOSURE = "disclosure.json"
DISCLOSED = "disclosed.jsonl"

REQUIRED = (PLAN, KINDS, LEDGER, EXCEPTIONS, FINDINGS, CONTROLS, README, SCRIPT, STATEMENT)

# A segment a task, so this is also how many targets one run may have.
MAX_MEMBERS = 100_000
_MAX_NAME = 200

_LINES_NAME = r"[0-9a-f]{64}\.jsonl\.gz"
_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_ORDER = tuple(
    re.compile(pattern)
    for pattern in (
        r"plan\.json",
        r"kinds\.json",
        r"ledger\.jsonl\.gz",
        rf"segments/{_LINES_NAME}",
        rf"derived/{_LINES_NAME}",
        rf"mappings/{_WORD}/(?:checks|objectives|controls|frameworks|crosswalks)(?:/{_WORD}){{1,6}}",
        r"exceptions\.json",
        r"findings\.jsonl\.gz",
        r"controls\.jsonl\.gz",
        r"README\.txt",
        r"verify\.sh",
        r"statement\.dsse\.json",
        r"statement\.sigstore\.json",
        rf"stamps/{_WORD}\.tsr",
        r"disclosure\.json",  # this and the next in partial bundles alone
        r"disclosed\.jsonl",
    )
)
_SORTED = {5, 13}  # mappings and stamps; segments and derived stand in an order that the statement signs
_UNSIGNED = 11

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30


def place(name: str) -> int:
    """Where a member of this name stands, as a rank. Raises ValueError if there can be none."""
    if len(name) <= _MAX_NAME:
        for rank, pattern in enumerate(_ORDER):
            if pattern.fullmatch(name):
                return rank
    raise ValueError(f"no member of a bundle may be named {name[:_MAX_NAME]!a}")


def stamp_name(label: str) -> str:
    """The member that holds the stamp of this label (`collector.bundle.stamp.labels`)."""
    return f"{STAMPS}{label}.tsr"


def stamp_label(name: str) -> str | None:
    """The label of a stamp's member; None for any other member."""
    return name[len(STAMPS) : -len(".tsr")] if name.startswith(STAMPS) else None


def holds_lines(name: str) -> bool:
    """Whether a member is a file of lines, with a tree."""
    return name.endswith(".jsonl.gz") and not name.startswith("mappings/")


def is_signed(name: str) -> bool:
    """Whether a member stands before the statement, which names its digest."""
    return place(name) < _UNSIGNED


def largest(name: str) -> int:
    """How many bytes a member may have in the archive."""
    if holds_lines(name) or name == DISCLOSED:
        return 64 * _GIB
    if name in (PLAN, KINDS, EXCEPTIONS, STATEMENT, DISCLOSURE):
        return 64 * _MIB  # a hundred thousand tasks or subjects, each with a few hundred bytes
    if name == SIGSTORE:
        return 65 * _MIB  # the statement again, and stamps
    if name.startswith("mappings/"):
        return 16 * _MIB
    return _MIB


def check_names(names: Iterable[str]) -> None:
    """Hold names in archive order against this page.

    Raises:
        ValueError: one is not allowed, stands in the wrong place, occurs twice, differs from another
            by case alone, or there are too many.
    """
    seen: set[str] = set()
    before = (-1, "")
    for name in names:
        rank = place(name)
        if name.lower() in seen:
            raise ValueError(f"{name} occurs twice")
        seen.add(name.lower())
        here = (rank, name if rank in _SORTED else "")
        if here < before:
            raise ValueError(f"{name} stands in the wrong place")
        before = here
        if len(seen) > MAX_MEMBERS:
            raise ValueError(f"more than {MAX_MEMBERS} members")
