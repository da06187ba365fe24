"""The statement: in-toto Statement v1 over the members, with the facts of the run as its predicate.

A statement is built from the members and the facts, and taken apart again by `parse`, which accepts
only what `build` could have given. docs/schemas/statement.json says the same as a JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector import merkle
from collector.bundle import layout
from collector.bundle.facts import check_facts
from collector.canonical import dumps, loads
from collector.lines import Sealed
from collector.model import Json, VerifyError

__all__ = ["PREDICATE_TYPE", "STATEMENT_TYPE", "Subject", "build", "parse", "tree"]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://evidence-collector.dev/evidence/v1"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Subject:
    """A member that the statement covers: its name and the SHA-256 of its bytes, in hexadecimal.

    Raises:
        ValueError: no member of that name can stand before a statement, or that is no SHA-256.
    """

    name: str
    sha256: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not layout.is_signed(self.name):
            raise ValueError(f"subject {self.name!a:.80} is no file that a statement covers")
        if not isinstance(self.sha256, str) or not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"subject {self.name}: not a SHA-256")


def tree(members: Sequence[tuple[str, Sealed]]) -> dict[str, Json]:
    """The Merkle part of the predicate: a root for each file of lines, and one over these in order."""
    return {
        "root": merkle.root_of(sealed.root for _, sealed in members).hex(),
        "members": [
            {
                "name": name,
                "lines": sealed.lines,
                "size": sealed.size,
                "sha256": sealed.sha256,
                "root": sealed.root.hex(),
            }
            for name, sealed in members
        ],
    }


def build(subjects: Sequence[Subject], predicate: Mapping[str, Json]) -> bytes:
    """The canonical bytes of a statement. Raises ValueError if the predicate is not as it must be."""
    check_facts(predicate)
    return dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": each.name, "digest": {"sha256": each.sha256}} for each in subjects],
            "predicateType": PREDICATE_TYPE,
            "predicate": dict(predicate),
        }
    )


def parse(payload: bytes) -> tuple[tuple[Subject, ...], Mapping[str, Json]]:
    """Take a statement apart: its subjects in order, and its predicate.

    Raises:
        VerifyError: these are not the bytes that `build` gives for what they say.
    """
    try:
        value = loads(payload)
        subjects = tuple(Subject(each["name"], each["digest"]["sha256"]) for each in value["subject"])
        predicate = value["predicate"]
        rebuilt = build(subjects, predicate)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise VerifyError(f"statement: {_one_line(error)}") from None
    if rebuilt != payload:
        raise VerifyError("statement: not in the canonical form of this format's version 1")
    return subjects, predicate


def _one_line(error: Exception) -> str:
    return " ".join(f"lacks {error}".split() if isinstance(error, KeyError) else str(error).split())[:300]
