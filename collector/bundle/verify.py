"""Verifies a bundle: from the first byte of the archive to the last line of evidence.

In this order, each step on ground that the one before has proven: the archive's form, the envelope's
form, the statement's form, the stamps, the signatures and their signers, the members' digests, the lines
and their trees, and what plan and lines say against what the statement says. The first link that breaks
is the one that is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.counting import Counting
from collector.bundle.dated import Dated, Dating, beside, check_dates
from collector.bundle.identity import PublicKey
from collector.bundle.sign import parse_envelope, signed_by
from collector.bundle.statement import Subject, parse, tree
from collector.bundle.trust import Trust, TrustedKey
from collector.canonical import loads, sha256_hex
from collector.lines import Sealed, scan
from collector.model import Json, VerifyError

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = ["Verified", "check_signers", "check_stamped", "verify"]


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
        stamps: what trusted time stamp authorities say of its signatures, the earliest first.
        warnings: what does not break it, but should be known; a line each.
    """

    path: Path
    signers: tuple[TrustedKey, ...]
    predicate: Mapping[str, Json]
    digest: str
    members: int
    lines: int
    stamps: tuple[Dated, ...]
    warnings: tuple[str, ...]


def verify(
    path: Path,
    trust: Trust,
    *,
    expected_signers: int | None = None,
    others: Mapping[str, bytes] | None = None,
) -> Verified:
    """Verify one bundle against the keys that are trusted.

    Args:
        path: the archive.
        trust: whose signatures and stamps count.
        expected_signers: how many trusted keys must have signed it; the trust's own number if left out.
        others: stamps that came later, and the Sigstore bundle over them, by what follows the bundle's
            name without `.zip`; what lies beside the archive if left out.

    Raises:
        VerifyError: which link broke, in one line. Hostile bytes raise nothing else.
    """
    with Archive(path) as archive:
        _check_members(archive)
        envelope = parse_envelope(archive.read(layout.STATEMENT))
        subjects, predicate = parse(envelope.payload)
        later = beside(path) if others is None else others
        dating = check_dates(archive, envelope, predicate, trust, later)
        signers, notes = check_signers(envelope, predicate, trust, dating, expected_signers or trust.signers)
        check_stamped(dating, trust)
        with Counting(archive) as counting:
            _check_subjects(archive, subjects)
            lines = _check_lines(archive, subjects, predicate, counting)
        _check_documents(archive, predicate)
    return Verified(
        path=path,
        signers=signers,
        predicate=predicate,
        digest=sha256_hex(envelope.payload),
        members=len(subjects),
        lines=lines,
        stamps=tuple(dating.stamps),
        warnings=(*notes, *dating.warnings),
    )


def _check_members(archive: Archive) -> None:
    for name in layout.REQUIRED:
        if name not in archive:
            raise VerifyError(f"{archive.path.name}: {name} is missing")
    for member in archive.members:
        if layout.place(member.name) > layout.place(layout.stamp_name("x")):
            raise VerifyError(f"{archive.path.name}: {member.name} belongs in a partial bundle alone")


def check_signers(
    envelope: Envelope, predicate: Mapping[str, Json], trust: Trust, dating: Dating, expected: int
) -> tuple[tuple[TrustedKey, ...], list[str]]:
    """Verify the signatures: the agent's first, then the witness' if there is one.

    Returns:
        The trusted keys that signed, and a line for each good signature that does not count.

    Raises:
        VerifyError: a signature is not good, the agent's does not count, or fewer count than expected.
    """
    _check_named(envelope, predicate)
    agent, *witnesses = envelope.signatures
    signers = [_signer(envelope, agent, predicate["signer"], trust, _times(predicate, dating, 0))]
    if signers[0].purpose == "witness":
        raise VerifyError(f"signature of {signers[0].name}, {agent}: the key is trusted as a witness' alone")
    notes = []
    for number, id_ in enumerate(witnesses, 1):
        times = _times(predicate, dating, number)
        try:
            signers.append(_witness(_signer(envelope, id_, predicate["witness"], trust, times), id_))
        except _DoesNotCount as error:
            notes.append(f"the witness' signature counts for nothing: {error}")
    if len(signers) < expected:
        why = f"; {notes[0]}" if notes else ""
        raise VerifyError(f"signed by {len(signers)} of the {expected} trusted keys that must have{why}")
    return tuple(signers), notes


def check_stamped(dating: Dating, trust: Trust) -> None:
    """Raise VerifyError where fewer authorities have stamped the first signature than the trust requires."""
    stamped = {each.authority for each in dating.stamps if each.signature == 0}
    if len(stamped) < trust.stamps_required:
        why = f"; {dating.warnings[0]}" if dating.warnings else ""
        many = f"{len(stamped)} of the {trust.stamps_required} trusted authorities"
        raise VerifyError(f"stamped by {many} that must have{why}")


def _witness(known: TrustedKey, id_: str) -> TrustedKey:
    """A witness is somebody else: the agent's host may have more than one key, as after a rotation."""
    if known.purpose != "witness":
        raise _DoesNotCount(f"signature of {known.name}, {id_}: the key is trusted as an agent's alone")
    return known


class _DoesNotCount(VerifyError):  # noqa: N818 - the name says what is the matter with the signature
    """A signature that is good, by a key that is not trusted for it."""


def _times(predicate: Mapping[str, Json], dating: Dating, number: int) -> tuple[datetime, datetime | None]:
    return datetime.fromisoformat(predicate["window"]["to"]), dating.latest.get(number)


def _signer(
    envelope: Envelope,
    id_: str,
    named: Mapping[str, Json],
    trust: Trust,
    times: tuple[datetime, datetime | None],
) -> TrustedKey:
    known = trust.find(id_)
    if known is None:
        known = _by_certificate(envelope, id_, named, trust, times[1])
    if not signed_by(envelope, known.key):
        raise VerifyError(f"signature does not verify with the key of {known.name}, {id_}")
    if named["key"] != known.key.pem:
        raise VerifyError("statement: names another key than the one whose signature it bears")
    if why := known.refusal(*times):
        raise _DoesNotCount(f"signature of {known.name}, {id_}: {why}")
    return known


def _by_certificate(
    envelope: Envelope, id_: str, named: Mapping[str, Json], trust: Trust, stamped_at: datetime | None
) -> TrustedKey:
    """The signer whose key is in no trust file, but whose name may be."""
    stranger = _stranger(envelope, id_, named)
    if not isinstance(stranger, _DoesNotCount) or "certificates" not in named:
        raise stranger
    try:
        return trust.certified(named["certificates"], PublicKey.from_pem(named["key"]), stamped_at)
    except ValueError as error:
        raise _DoesNotCount(f"{stranger}: {error}") from None


def _stranger(envelope: Envelope, id_: str, named: Mapping[str, Json]) -> VerifyError:
    """Say of a signature by nobody we know whether it is at least good, by the key that it brings along."""
    try:
        brought = PublicKey.from_pem(named["key"])
    except ValueError:
        brought = None
    if brought is not None and brought.fingerprint == id_ and signed_by(envelope, brought):
        return _DoesNotCount(f"signature valid, signer unknown: {id_}")
    return VerifyError(f"signature by an unknown key that cannot be checked: {id_!a:.60}")


def _check_named(envelope: Envelope, predicate: Mapping[str, Json]) -> None:
    """The statement names its signers in the order of its signatures: none can be taken away unseen."""
    named = [each["fingerprint"] for each in (predicate["signer"], predicate["witness"]) if each is not None]
    found = list(envelope.signatures)
    if found != named and len(found) == len(named):
        raise VerifyError("statement: names another signer than the one whose signature it bears")
    if found != named:
        raise VerifyError(f"{len(found)} signatures, where the statement names {len(named)} signers")


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


def _check_lines(
    archive: Archive, subjects: Sequence[Subject], predicate: Mapping[str, Json], counting: Counting
) -> int:
    names = [member.name for member in archive.members if layout.holds_lines(member.name)]
    sealed = [(name, scan(archive.window(name), Path(name))) for name in names]
    counted = counting.result()
    if any(counted.digests.get(each.name, each.sha256) != each.sha256 for each in subjects):
        raise VerifyError(f"{archive.path.name}: changed while it was verified")
    if tree(sealed) != predicate["tree"]:
        raise VerifyError("statement: its tree is not that of the lines")
    _check_names(sealed, predicate)
    for key, found in (("counts", counted.counts), ("gaps", counted.gaps)):
        if predicate[key] != found:
            raise VerifyError(f"statement: its {key} are not those of the lines")
    return sum(file.lines for _, file in sealed)


def _check_names(sealed: Sequence[tuple[str, Sealed]], predicate: Mapping[str, Json]) -> None:
    for name, file in sealed:
        if "/" in name and name.split("/")[1] != f"{file.sha256}.jsonl.gz":
            raise VerifyError(f"{name}: not named by the SHA-256 of what it holds")
    for key, folder in (("tasks", layout.SEGMENTS), ("derived", layout.DERIVED)):
        said = [f"{folder}{each['segment']}.jsonl.gz" for each in predicate[key] if each["segment"]]
        if said != [name for name, _ in sealed if name.startswith(folder)]:
            raise VerifyError(f"statement: its {key} name other files than lie in {folder}")


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
