"""Verifies a partial bundle: the same statement and signature, and a proof for each line that is shown."""

from __future__ import annotations

import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.behind import Behind
from collector.bundle.dated import Dated, beside, check_dates
from collector.bundle.disclose import is_shown_whole, known_kinds, used_mappings
from collector.bundle.selection import Asked, Whole, whole
from collector.bundle.shown import Shown
from collector.bundle.sign import parse_envelope
from collector.bundle.statement import Subject, parse
from collector.bundle.trust import Trust, TrustedKey
from collector.bundle.verify import check_signers, check_stamped
from collector.canonical import dumps, loads, sha256_hex
from collector.lines import LIMITS, Readable
from collector.merkle import Climber
from collector.model import Json, MappingError, VerifyError

__all__ = ["VerifiedPart", "is_partial", "verify_part"]

_READ = 1 << 18
# A line's quotes and backslashes are doubled where it stands as a text; its path is at most 64 hashes.
_LONGEST = 2 * LIMITS.line + (1 << 16)


@dataclass(frozen=True, slots=True)
class VerifiedPart:
    """What was proven about a partial bundle.

    Attributes:
        lines: member to how many of its lines stand in its tree.
        absent: files that the statement covers and of which this bundle shows lines at most.
        controls, checks, kinds: what is shown without a line missing; checks as far as they belong to a
            control, others are those that the discloser names.
        records: kind to how many records are shown, and how many the statement counts.
    """

    path: Path
    signers: tuple[TrustedKey, ...]
    predicate: Mapping[str, Json]
    digest: str
    lines: Mapping[str, int]
    absent: tuple[str, ...]
    controls: tuple[str, ...]
    checks: tuple[str, ...]
    kinds: tuple[str, ...]
    records: Mapping[str, tuple[int, int]]
    stamps: tuple[Dated, ...]
    warnings: tuple[str, ...]


def is_partial(path: Path) -> bool:
    """Whether this is a partial bundle. Raises VerifyError if it is no bundle at all."""
    with Archive(path) as archive:
        return layout.DISCLOSED in archive and layout.PLAN not in archive


def verify_part(path: Path, trust: Trust) -> VerifiedPart:
    """Verify one partial bundle against the keys that are trusted.

    Raises:
        VerifyError: which link broke, in one line. Hostile bytes raise nothing else.
    """
    with Archive(path) as archive:
        envelope = parse_envelope(archive.read(layout.STATEMENT))
        subjects, predicate = parse(envelope.payload)
        dating = check_dates(archive, envelope, predicate, trust, beside(path))
        signers, notes = check_signers(envelope, predicate, trust, dating, trust.signers)
        check_stamped(dating, trust)
        _check_members(archive, subjects)
        asked = _asked(archive)
        shown = _proven(archive, asked, predicate)
        wanted = _check_whole(archive, asked, shown, predicate)
    held = {member.name for member in archive.members}
    counts = predicate["counts"]
    return VerifiedPart(
        path=path,
        signers=signers,
        predicate=predicate,
        digest=sha256_hex(envelope.payload),
        lines=dict(shown.lines),
        absent=tuple(each.name for each in subjects if each.name not in held),
        controls=tuple(sorted(shown.controls)),
        checks=tuple(sorted(wanted.checks)),
        kinds=tuple(sorted(wanted.kinds)),
        records={kind: (found, counts[kind]) for kind, found in sorted(shown.records.items())},
        stamps=tuple(dating.stamps),
        warnings=(*notes, *dating.warnings, *_unproven(asked, wanted)),
    )


def _check_members(archive: Archive, subjects: Sequence[Subject]) -> None:
    name = archive.path.name
    signed = {each.name: each.sha256 for each in subjects if is_shown_whole(each.name)}
    held = [each.name for each in archive.members if layout.is_signed(each.name)]
    for member in held:
        if member not in signed:
            raise VerifyError(
                f"{name}: {member} belongs in no partial bundle, or was added: it is not signed"
            )
    for member, sha256 in signed.items():
        if member not in held:
            raise VerifyError(f"{name}: {member} was removed: it is signed and not there")
        if archive.window(member).sha256() != sha256:
            raise VerifyError(f"{name}: {member} was changed: its SHA-256 is not the signed one")


def _asked(archive: Archive) -> Asked:
    try:
        return Asked.parse(archive.read(layout.DISCLOSURE))
    except ValueError as error:
        raise VerifyError(f"{layout.DISCLOSURE}: {error}") from None


def _proven(archive: Archive, asked: Asked, predicate: Mapping[str, Json]) -> Shown:
    """Hold each line against its tree; lines stand in the order of the archive, each once."""
    trees = {each["name"]: (place, each) for place, each in enumerate(predicate["tree"]["members"])}
    climbers: dict[str, Climber] = {}
    shown, behind = Shown(), Behind(asked)
    last = (-1, -1)
    for number, text in enumerate(_texts(archive.window(layout.DISCLOSED)), 1):
        where = f"{layout.DISCLOSED} line {number}"
        index, line, member, path = _taken_apart(text, trees, where)
        place, tree = trees[member]
        if not last < (place, index):
            raise VerifyError(f"{where}: out of order, or there twice")
        last = (place, index)
        if member not in climbers:
            climbers = {member: Climber(tree["lines"], bytes.fromhex(tree["root"]))}
        if not climbers[member].proves(line, index, path):
            raise VerifyError(f"{where}: its proof does not lead to the root of {member}")
        try:
            behind.take(member, shown.take(member, line), where)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise VerifyError(f"{where}: a line that is not of this format") from None
    behind.check()
    return shown


def _taken_apart(
    text: bytes, trees: Mapping[str, tuple[int, Mapping[str, Json]]], where: str
) -> tuple[int, bytes, str, list[bytes]]:
    """Index, line, member and path. What is not in the one form that there is, is refused."""
    try:
        value = loads(text)
        index, line, member, size = value["index"], value["line"].encode(), value["member"], value["size"]
        path = [bytes.fromhex(each) for each in value["path"]]
        formed = len(value) == 5 and dumps(value) == text and [each.hex() for each in path] == value["path"]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise VerifyError(f"{where}: not of this format") from None
    if not formed or type(index) is not int or not all(len(each) == 32 for each in path):
        raise VerifyError(f"{where}: not in canonical form")
    if not isinstance(member, str) or member not in trees:
        raise VerifyError(f"{where}: of a file that the statement does not have")
    if size != trees[member][1]["lines"] or type(size) is not int:
        raise VerifyError(f"{where}: {member} has {trees[member][1]['lines']} lines, not what it says")
    return index, line, member, path


def _texts(source: Readable) -> Iterator[bytes]:
    open_line: list[bytes] = []
    size = 0
    while data := source.read(_READ):
        pieces = data.split(b"\n")
        open_line.append(pieces[0])
        size += len(pieces[0])
        if size > _LONGEST:
            raise VerifyError(f"{layout.DISCLOSED}: a line of more than {_LONGEST} bytes")
        if len(pieces) > 1:
            yield b"".join(open_line)
            yield from pieces[1:-1]
            open_line, size = [pieces[-1]], len(pieces[-1])
    if size:
        raise VerifyError(f"{layout.DISCLOSED}: the last line does not end")


def _check_whole(archive: Archive, asked: Asked, shown: Shown, predicate: Mapping[str, Json]) -> Whole:
    for control in asked.controls:
        if control not in shown.controls:
            raise VerifyError(f"{layout.DISCLOSURE}: names {control!a:.200}, whose line is not disclosed")
    with tempfile.TemporaryDirectory(prefix="collector-part-") as scratch:
        try:
            mappings = used_mappings(archive, Path(scratch))
        except MappingError as error:
            raise VerifyError(f"mappings: {' '.join(str(error).split())[:300]}") from None
    _check_known("check", asked.checks, mappings.checks)
    _check_known("kind", asked.kinds, known_kinds(archive))
    wanted = whole(asked, shown.objectives, mappings)
    shown.check(wanted, predicate)
    return wanted


def _check_known(what: str, names: Iterable[str], known: Container[str]) -> None:
    """None of a kind that was never in the plan are not all of them, nor findings of a check that is not."""
    for name in names:
        if name not in known:
            raise VerifyError(f"{layout.DISCLOSURE}: names {name!a:.200}, and the bundle has no such {what}")


def _unproven(asked: Asked, wanted: Whole) -> Iterator[str]:
    """What only the discloser vouches for."""
    counted = frozenset[str]().union(*wanted.objectives.values())
    for check in asked.checks:
        if check not in counted:
            yield (
                f"that all findings of {check} are here is the discloser's word:"
                " no control is here whose line counts them"
            )
    for id_ in asked.records:
        yield f"that all findings about {id_!a:.200} are here is the discloser's word"
