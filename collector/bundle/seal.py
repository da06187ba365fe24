"""Makes a bundle of a finished run's folder: count, archive, state, sign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collector.bundle import layout
from collector.bundle.archive import ArchiveWriter
from collector.bundle.authority import TimeAuthority, ask_all
from collector.bundle.facts import FORMAT
from collector.bundle.sign import certificates, fresh, parse_envelope, public_key, sign, signatures
from collector.bundle.sigstore import sigstore_bundle
from collector.bundle.stamp import over_first
from collector.bundle.statement import Subject, build, tree
from collector.bundle.tally import Tally
from collector.canonical import sha256_hex
from collector.lines import Sealed
from collector.model import ConfigError, Json

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["SealedBundle", "script", "seal"]

# README, script, statement in both forms, and two stamps of each of the eight authorities that may be asked.
_MOST_ADDED = 4 + 2 * 8


@dataclass(frozen=True, slots=True)
class SealedBundle:
    """A bundle that was written.

    Attributes:
        path: the archive.
        digest: SHA-256 of the statement's bytes, in hexadecimal: names the bundle in its series.
        fingerprint: the signer's.
        size: bytes of the archive.
        counts, gaps: as the statement has them.
        unstamped: time stamp authority to why its stamp is missing.
    """

    path: Path
    digest: str
    fingerprint: str
    size: int
    counts: Mapping[str, int]
    gaps: Mapping[str, Mapping[str, int]]
    unstamped: Mapping[str, str]


def script() -> bytes:
    """The `verify.sh` that goes into each bundle, the same as in the documentation."""
    return _packaged(layout.SCRIPT)


def seal(
    folder: Path,
    facts: Mapping[str, Json],
    signer: Signer,
    out: Path,
    *,
    witness: Signer | None = None,
    authorities: Sequence[TimeAuthority] = (),
) -> SealedBundle:
    """Write the bundle of a run.

    Args:
        folder: the run's folder, laid out as the archive will be; README.txt and verify.sh are added.
        facts: the predicate (docs/format.md, "Statement") but for `format`, `tree`, `counts`, `gaps`,
            `signer`, `witness` and `authorities`, which are found here. The order of segments is that
            of `tasks`, the order of derived tables that of `derived`.
        signer: what signs.
        out: where the archive shall be; nothing may be there.
        witness: what signs beside it.
        authorities: who is asked for time stamps. One that fails leaves the bundle without its stamp.

    Raises:
        ValueError: the facts or the folder are not as the format says.
        VerifyError: a file of lines in the folder is not as the format says.
        ConfigError: a key cannot sign, or there are more files, or larger ones, than a verifier takes.
        FileExistsError: there is something at `out`.
        OSError: the disk is full, or a file cannot be read.
    """
    public_key(signer)  # one of a kind that is not allowed is found before anything is written
    names = _members(folder, facts)
    sealed, tally = _count(folder, names)
    predicate = {
        **facts,
        "format": FORMAT,
        "tree": tree(sealed),
        "counts": tally.counts,
        "gaps": tally.gaps,
        "authorities": sorted(each.name for each in authorities),
    }
    with ArchiveWriter(out) as archive:
        subjects = [Subject(name, archive.add(name, folder / name)) for name in names]
        for name, data in ((layout.README, _packaged(layout.README)), (layout.SCRIPT, script())):
            subjects.append(Subject(name, archive.add(name, data)))
        signer, witness = fresh(signer), None if witness is None else fresh(witness)
        signers = {"signer": _shown(signer), "witness": None if witness is None else _shown(witness)}
        payload = build(subjects, {**predicate, **signers})
        unstamped = _state(archive, sign(payload, signer, witness), authorities)
        if certified := [each for each in (signer, witness) if each and certificates(each)]:
            unstamped = {name: f"{why}; {_lasts(certified[0])}" for name, why in unstamped.items()}
    size = out.stat().st_size
    by = public_key(signer).fingerprint
    return SealedBundle(out, sha256_hex(payload), by, size, tally.counts, tally.gaps, unstamped)


def _shown(signer: Signer) -> dict[str, Json]:
    key, vouching = public_key(signer), list(certificates(signer))
    return {
        "fingerprint": key.fingerprint,
        "key": key.pem,
        **({"certificates": vouching} if vouching else {}),
    }


def _lasts(signer: Signer) -> str:
    from cryptography.x509 import load_pem_x509_certificate

    ends = load_pem_x509_certificate(certificates(signer)[0].encode()).not_valid_after_utc
    return f"the key's certificate ends at {ends:%H:%M:%S} UTC, and a stamp that comes later does not count"


def _state(
    archive: ArchiveWriter, statement: bytes, authorities: Sequence[TimeAuthority]
) -> Mapping[str, str]:
    """Add the statement in both of its forms, and the stamps that could be had."""
    envelope = parse_envelope(statement)
    asked = ask_all(authorities, signatures(envelope))
    archive.add(layout.STATEMENT, statement)
    archive.add(layout.SIGSTORE, sigstore_bundle(envelope, over_first(asked.stamps)))
    for label in sorted(asked.stamps, key=layout.stamp_name):
        archive.add(layout.stamp_name(label), asked.stamps[label])
    return asked.problems


def _packaged(name: str) -> bytes:
    from importlib.resources import files

    return files("collector.bundle").joinpath(name).read_bytes()


def _members(folder: Path, facts: Mapping[str, Json]) -> list[str]:
    segments = _named(facts["tasks"], layout.SEGMENTS)
    derived = _named(facts["derived"], layout.DERIVED)
    given = [layout.PLAN, layout.KINDS, layout.LEDGER, *segments, *derived]
    given += sorted(_below(folder, "mappings"))
    given += [layout.EXCEPTIONS, layout.FINDINGS, layout.CONTROLS]
    found = set(_below(folder, ""))
    if stray := sorted(found.symmetric_difference(given)):
        which = "is not there" if stray[0] not in found else "belongs in no bundle"
        raise ValueError(f"{folder}: {stray[0]} {which}")
    _check_number(len(given), len(segments))
    return given


def _check_number(files: int, segments: int) -> None:
    if files + _MOST_ADDED > layout.MAX_MEMBERS:
        raise ConfigError(
            f"{segments} targets answered, which makes {files} files, and a bundle has at most"
            f" {layout.MAX_MEMBERS - _MOST_ADDED}: collect them in several series"
        )


def _named(items: Sequence[Mapping[str, Json]], folder: str) -> list[str]:
    return [f"{folder}{each['segment']}.jsonl.gz" for each in items if each["segment"] is not None]


def _below(folder: Path, part: str) -> Iterator[str]:
    for path in (folder / part).rglob("*"):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise ValueError(f"{path}: neither a file nor a folder")
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _count(folder: Path, names: Sequence[str]) -> tuple[list[tuple[str, Sealed]], Tally]:
    tally = Tally()
    sealed = []
    for name in filter(layout.holds_lines, names):
        with (folder / name).open("rb") as file:
            sealed.append((name, tally.read(file, name)))
    return sealed, tally
