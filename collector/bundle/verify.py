"""Verifies a bundle: from the first byte of the archive to the last line of evidence.

In this order, each step on ground that the one before has proven: the archive's form, the envelope's
form, the statement's form, the signature and its signer, the members' digests, the lines and their
trees, and what plan and lines say against what the statement says. The first link that breaks is the
one that is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.identity import PublicKey
from collector.bundle.sign import parse_envelope, signed_by
from collector.bundle.statement import Subject, parse, tree
from collector.bundle.tally import Tally
from collector.bundle.trust import Trust, TrustedKey
from collector.canonical import loads, sha256_hex
from collector.model import Json, VerifyError

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = ["Verified", "verify"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was proven about a bundle.

    Attributes:
        path: the bundle.
        signers: the trusted keys that signed it.
        predicate: what the statement says about the run; its shape is docs/schemas/statement.json's.
        digest: SHA-256 of the statement's bytes, in hexadecimal; the next of the series names it.
        members: how many files the signature covers.
        lines: how many lines stand in their place in its trees.
        warnings: what does not break it, but should be known; a line each.
    """

    path: Path
    signers: tuple[TrustedKey, ...]
    predicate: Mapping[str, Json]
    digest: str
    members: int
    lines: int
    warnings: tuple[str, ...]


def verify(path: Path, trust: Trust, *, expected_signers: int = 1) -> Verified:
    """Verify one bundle against the keys that are trusted.

    Args:
        path: the archive.
        trust: whose signatures count.
        expected_signers: how many signatures it must have, each by a trusted key.

    Raises:
        VerifyError: which link broke, in one line. Hostile bytes raise nothing else.
    """
    with Archive(path) as archive:
        _check_members(archive)
        envelope = parse_envelope(archive.read(layout.STATEMENT))
        subjects, predicate = parse(envelope.payload)
        signers = _signers(envelope, predicate, trust, expected_signers)
        _check_subjects(archive, subjects)
        lines = _check_lines(archive, predicate)
        _check_documents(archive, predicate)
    return Verified(
        path=path,
        signers=signers,
        predicate=predicate,
        digest=sha256_hex(envelope.payload),
        members=len(subjects),
        lines=lines,
        warnings=("not stamped: the time of signing is the signer's own word",),
    )


def _check_members(archive: Archive) -> None:
    for name in layout.REQUIRED:
        if name not in archive:
            raise VerifyError(f"{archive.path.name}: {name} is missing")
    behind = [member.name for member in archive.members if not layout.is_signed(member.name)]
    if extra := behind[1:]:
        raise VerifyError(f"{archive.path.name}: {extra[0]} is nothing that this version can check")


def _signers(
    envelope: Envelope, predicate: Mapping[str, Json], trust: Trust, expected: int
) -> tuple[TrustedKey, ...]:
    if len(envelope.signatures) != expected:
        raise VerifyError(f"{len(envelope.signatures)} signatures, expected {expected}")
    signers = tuple(_signer(envelope, id_, predicate, trust) for id_ in envelope.signatures)
    _check_named_signer(predicate, signers)
    return signers


def _signer(envelope: Envelope, id_: str, predicate: Mapping[str, Json], trust: Trust) -> TrustedKey:
    known = trust.find(id_)
    if known is None:
        raise VerifyError(_stranger(envelope, id_, predicate))
    if not signed_by(envelope, known.key):
        raise VerifyError(f"signature does not verify with the key of {known.name}, {id_}")
    signed_at = datetime.fromisoformat(predicate["window"]["to"])
    if why := known.refusal(signed_at):
        raise VerifyError(f"signature of {known.name}, {id_}: {why}")
    return known


def _stranger(envelope: Envelope, id_: str, predicate: Mapping[str, Json]) -> str:
    """Say of a signature by nobody we know whether it is at least good, by the key that it brings along."""
    try:
        brought = PublicKey.from_pem(predicate["signer"]["key"])
    except ValueError:
        brought = None
    if brought is not None and brought.fingerprint == id_ and signed_by(envelope, brought):
        return f"signature valid, signer unknown: {id_}"
    return f"signature by an unknown key that cannot be checked: {id_!a:.60}"


def _check_named_signer(predicate: Mapping[str, Json], signers: Sequence[TrustedKey]) -> None:
    named = predicate["signer"]
    for signer in signers:
        if (named["fingerprint"], named["key"]) == (signer.key.fingerprint, signer.key.pem):
            return
    raise VerifyError("statement: names another signer than the one whose signature it bears")


def _check_subjects(archive: Archive, subjects: Sequence[Subject]) -> None:
    held = [member.name for member in archive.members if layout.is_signed(member.name)]
    signed = [subject.name for subject in subjects]
    for name in signed:
        if name not in archive:
            raise VerifyError(f"{archive.path.name}: {name} was removed: it is signed and not there")
    covered = set(signed)
    for name in held:
        if name not in covered:
            raise VerifyError(f"{archive.path.name}: {name} was added: it is there and not signed")
    if held != signed:
        raise VerifyError(f"{archive.path.name}: the members are not in the order that was signed")
    for subject in subjects:
        if archive.window(subject.name).sha256() != subject.sha256:
            raise VerifyError(
                f"{archive.path.name}: {subject.name} was changed: its SHA-256 is not the signed one"
            )


def _check_lines(archive: Archive, predicate: Mapping[str, Json]) -> int:
    tally = Tally()
    names = [member.name for member in archive.members if layout.holds_lines(member.name)]
    sealed = [(name, tally.read(archive.window(name), name)) for name in names]
    if tree(sealed) != predicate["tree"]:
        raise VerifyError("statement: its tree is not that of the lines")
    for name, file in sealed:
        if "/" in name and name.split("/")[1] != f"{file.sha256}.jsonl.gz":
            raise VerifyError(f"{name}: not named by the SHA-256 of what it holds")
    for key, found in (("counts", tally.counts), ("gaps", tally.gaps)):
        if predicate[key] != found:
            raise VerifyError(f"statement: its {key} are not those of the lines")
    for key, folder in (("tasks", layout.SEGMENTS), ("derived", layout.DERIVED)):
        said = [each["segment"] for each in predicate[key] if each["segment"] is not None]
        if [f"{folder}{name}.jsonl.gz" for name in said] != [n for n in names if n.startswith(folder)]:
            raise VerifyError(f"statement: its {key} name other files than lie in {folder}")
    return sum(file.lines for _, file in sealed)


def _check_documents(archive: Archive, predicate: Mapping[str, Json]) -> None:
    plan, _, _ = (_document(archive, name) for name in (layout.PLAN, layout.KINDS, layout.EXCEPTIONS))
    try:
        planned = [task["id"] for task in plan["tasks"]]
        as_of = plan["as_of"]
    except (KeyError, TypeError):
        raise VerifyError("plan.json: not a plan of this format") from None
    if planned != [task["id"] for task in predicate["tasks"]]:
        raise VerifyError("plan.json: its tasks are not those of the statement")
    if as_of != predicate["as_of"]:
        raise VerifyError("plan.json: its as_of is not that of the statement")


def _document(archive: Archive, name: str) -> Mapping[str, Json]:
    try:
        value = loads(archive.read(name))
    except ValueError:
        raise VerifyError(f"{name}: not JSON") from None
    if not isinstance(value, dict) or value.get("format") != 1:
        raise VerifyError(f"{name}: not of format 1")
    return value
