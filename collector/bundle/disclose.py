"""Discloses a part of a bundle: chosen lines, each with the proof that it stands in the signed trees.

One pass over each file of lines that may hold something. What is chosen goes to disk with the lower part
of its path, since the upper part is known at the file's end alone; so memory does not grow with the
bundle, but for eight bytes a call.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.assess.mappings import Mappings, load
from collector.bundle import layout
from collector.bundle.archive import Archive, ArchiveWriter
from collector.bundle.choose import Chooser
from collector.bundle.proofs import Spill
from collector.bundle.proving import Proving
from collector.bundle.selection import Asked, Whole, list_operations, whole
from collector.bundle.shown import Shown
from collector.bundle.sign import parse_envelope
from collector.bundle.statement import parse
from collector.canonical import loads
from collector.model import ConfigError, Json, VerifyError
from collector.toml import nearest

__all__ = ["Disclosed", "disclose", "is_shown_whole", "known_kinds", "used_mappings"]


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A partial bundle that was written.

    Attributes:
        path: the partial bundle.
        lines: member to how many of its lines are disclosed.
        records: kind to records, where there are any.
        size: bytes of the archive.
    """

    path: Path
    lines: Mapping[str, int]
    records: Mapping[str, int]
    size: int


def disclose(bundle: Path, asked: Asked, out: Path) -> Disclosed:
    """Write a partial bundle that verifies against the same signature.

    Args:
        bundle: the whole bundle. That its lines are those which its statement signs is checked of every
            file that is read; who signed it is for `collector.bundle.verify` to say.
        asked: what to disclose. A control brings its line, the findings of its objectives' checks and
            all that these read; a check its findings and what it reads; a kind its records and gaps; a
            record's id the record and the findings about it; records bring the calls behind them.
        out: where to; nothing may be there.

    Raises:
        ConfigError: something that was asked for is not in the bundle, or `out` exists.
        VerifyError: it is no bundle, or not what was signed.
        OSError: the disk is full.
    """
    if os.path.lexists(out):
        raise ConfigError(f"{out}: exists; name a file that does not")
    if not any((asked.controls, asked.checks, asked.kinds, asked.records)):
        raise ConfigError("nothing to disclose: name a control, a check, a kind or a record")
    with Archive(bundle) as archive, tempfile.TemporaryDirectory(prefix=".disclose-", dir=out.parent) as name:
        with Proving(archive, Path(name)) as proving:
            source = _Source(archive, Path(name))
            spills = source.choose(asked, proving)
        with ArchiveWriter(out) as writer:
            source.write(writer, asked, spills)
    shown = source.shown
    return Disclosed(out, dict(shown.lines), dict(shown.records), out.stat().st_size)


def used_mappings(archive: Archive, folder: Path) -> Mappings:
    """The mappings in a bundle, whose digests were checked; `folder` is where they are laid out.

    Raises:
        VerifyError: they cannot be used.
    """
    packs = set()
    for member in archive.members:
        if member.name.startswith(layout.MAPPINGS):
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member.name))
            packs.add(folder / Path(*Path(member.name).parts[:2]))
    return load(sorted(packs), strict=False)


class _Source:
    """The bundle that is disclosed from."""

    def __init__(self, archive: Archive, scratch: Path) -> None:
        self._archive = archive
        self._scratch = scratch
        self.shown = Shown()
        for name in layout.REQUIRED:
            if name not in archive:
                raise VerifyError(f"{archive.path.name}: {name} is missing")
        self._subjects, self._predicate = parse(parse_envelope(archive.read(layout.STATEMENT)).payload)
        if self._predicate["secret_key_id"] is None:
            raise ConfigError(
                f"{archive.path.name}: made without a secret key, so its lines have no salts and what is"
                " not disclosed could be guessed"
            )
        self._check_subjects()
        self._trees = {each["name"]: each for each in self._predicate["tree"]["members"]}
        self._kinds = known_kinds(archive)
        self._mappings = used_mappings(archive, scratch)

    def _check_subjects(self) -> None:
        for subject in self._subjects:
            if not is_shown_whole(subject.name) and subject.name != layout.PLAN:
                continue
            if subject.name not in self._archive:
                raise VerifyError(f"{self._archive.path.name}: {subject.name} was removed")
            if self._archive.window(subject.name).sha256() != subject.sha256:
                raise VerifyError(f"{self._archive.path.name}: {subject.name} was changed")

    def choose(self, asked: Asked, proving: Proving) -> list[Spill]:
        """Choose lines in the order in which one leads to the next; give them in the archive's order."""
        chooser = Chooser(asked, self.shown, self._kinds)
        spills = {layout.CONTROLS: self._spill(layout.CONTROLS, chooser, proving)}
        _check_there("control", asked.controls, self.shown.controls, chooser.controls)
        _check_there("check", asked.checks, self._mappings.checks, self._mappings.checks)
        _check_there("kind", asked.kinds, self._kinds, self._kinds)
        wanted = whole(asked, self.shown.objectives, self._mappings)
        chooser.narrow(wanted)
        for name in (layout.FINDINGS, *self._evidence(asked, wanted), layout.LEDGER):
            spills[name] = self._spill(name, chooser, proving)
        _check_there("record", asked.records, chooser.found, ())
        self.shown.check(wanted, self._predicate)
        return [spills[name] for name in self._trees if name in spills]

    def _evidence(self, asked: Asked, wanted: Whole) -> Iterator[str]:
        """The segments and derived files that may hold something; all where that cannot be told."""
        plan = {task["id"]: set(task["kinds"]) for task in loads(self._archive.read(layout.PLAN))["tasks"]}
        derived = {each["kind"] for each in self._predicate["derived"]}
        anywhere = bool(asked.records) or bool(wanted.kinds - derived.union(*plan.values()))
        for task in self._predicate["tasks"]:
            if task["segment"] and (anywhere or plan[task["id"]] & wanted.kinds):
                yield f"{layout.SEGMENTS}{task['segment']}.jsonl.gz"
        for each in self._predicate["derived"]:
            if each["segment"] and (asked.records or each["kind"] in wanted.kinds):
                yield f"{layout.DERIVED}{each['segment']}.jsonl.gz"

    def _spill(self, name: str, chooser: Chooser, proving: Proving) -> Spill:
        def choose(lines: list[bytes]) -> list[int]:
            return chooser.choose(name, lines)

        tree = self._trees[name]
        made = proving.spill(name, tree["lines"], choose)
        if (made.root, made.size) != (tree["root"], tree["lines"]):
            raise VerifyError(
                f"{self._archive.path.name}: {name} was changed: its tree is not the signed one"
            )
        return made

    def write(self, writer: ArchiveWriter, asked: Asked, spills: Iterable[Spill]) -> None:
        """Write what is shown whole, the statement and all that vouches for it, and the chosen lines."""
        for member in self._archive.members:
            if not layout.is_signed(member.name) or is_shown_whole(member.name):
                writer.add(member.name, self._archive.read(member.name))
        writer.add(layout.DISCLOSURE, asked.document())
        chosen = list(spills)
        size = sum(each.length for each in chosen)
        writer.add_chunks(layout.DISCLOSED, size, (piece for each in chosen for piece in each.pieces()))


def known_kinds(archive: Archive) -> Mapping[str, Mapping[str, Json]]:
    """The kinds of a bundle's `kinds.json`. Raises VerifyError where they are not as the format says."""
    try:
        kinds: Mapping[str, Mapping[str, Json]] = loads(archive.read(layout.KINDS))["kinds"]
        list_operations(kinds, kinds)
    except (ValueError, KeyError, TypeError):
        raise VerifyError(f"{layout.KINDS}: not of this format") from None
    return kinds


def is_shown_whole(name: str) -> bool:
    """Whether a partial bundle has this file of the bundle as it is."""
    return name == layout.KINDS or name.startswith(layout.MAPPINGS)


def _check_there(what: str, asked: Iterable[str], there: Iterable[str], known: Iterable[str]) -> None:
    for name in asked:
        if name not in there:
            raise ConfigError(f"no {what} {name!a:.200} in this bundle{nearest(name, known)}")
