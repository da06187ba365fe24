"""What the stamps of a bundle prove: those inside it, and those that came later and lie beside it.

Stamps and the Sigstore bundle stand behind the signature, which cannot cover them. So the one are
verified by themselves, and the other is built again and compared byte for byte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from collector.bundle import layout
from collector.bundle.archive import Archive
from collector.bundle.sign import signatures
from collector.bundle.sigstore import sigstore_bundle
from collector.bundle.stamp import MAX_STAMP, SKEW, WITNESS, Stamp, check_stamp, is_over, labels, over_first
from collector.bundle.trust import Trust
from collector.config import AUTHORITY
from collector.model import Json, VerifyError

if TYPE_CHECKING:
    from securesystemslib.dsse import Envelope

__all__ = ["Dated", "Dating", "beside", "check_dates", "stamps_within"]

_SIGSTORE = ".sigstore.json"
_STAMP = ".tsr"
_BESIDE = re.compile(rf"\.(?:{AUTHORITY.pattern}(?:{re.escape(WITNESS)})?\.tsr|sigstore\.json)")
_MOST_BESIDE = 32  # two for each of eight authorities, and again as many that nobody asked for


@dataclass(frozen=True, slots=True)
class Dated:
    """A trusted authority's word about one signature.

    Attributes:
        authority: its name in the trust file.
        time: when the stamp was made.
        signature: which signature of the envelope it is over, from 0.
        name: the file that holds it.
    """

    authority: str
    time: datetime
    signature: int
    name: str


@dataclass(slots=True)
class Dating:
    """What all stamps prove together.

    Attributes:
        stamps: those that count, the earliest first.
        latest: signature, from 0, to the moment by which it existed.
        warnings: a line each: stamps that are missing, and those that count for nothing.
    """

    stamps: list[Dated] = field(default_factory=list)
    latest: dict[int, datetime] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def beside(bundle: Path) -> dict[str, bytes]:
    """The stamps and the Sigstore bundle that lie beside a bundle, by what follows its name.

    Only what a name's end can be counts: beside `a.zip`, `a.2.acme.tsr` is a stamp of `a.2.zip`.

    Raises:
        VerifyError: one cannot be read, or is larger than any can be, or there are too many.
    """
    stem = bundle.name.removesuffix(".zip")
    found: dict[str, bytes] = {}
    try:
        names = sorted(each.name for each in bundle.parent.iterdir())
    except OSError as error:
        raise VerifyError(f"{bundle.name}: what lies beside it cannot be seen: {error.strerror}") from None
    for name in names:
        rest = name[len(stem) :]
        if name.startswith(stem) and _BESIDE.fullmatch(rest):
            if len(found) == _MOST_BESIDE:
                raise VerifyError(f"{bundle.name}: more than {_MOST_BESIDE} files lie beside it")
            found[rest] = _read(bundle.with_name(name))
    return found


def _read(path: Path) -> bytes:
    limit = MAX_STAMP if path.name.endswith(_STAMP) else layout.largest(layout.SIGSTORE)
    try:
        # Not blocking, as a named pipe would.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise VerifyError(f"{path.name}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise VerifyError(f"{path.name}: larger than {limit} bytes")
    return data


def stamps_within(archive: Archive) -> dict[str, bytes]:
    """The stamps that an archive holds, by label."""
    named = ((layout.stamp_label(member.name), member.name) for member in archive.members)
    return {label: archive.read(name) for label, name in named if label is not None}


def check_dates(
    archive: Archive,
    envelope: Envelope,
    predicate: Mapping[str, Json],
    trust: Trust,
    others: Mapping[str, bytes],
) -> Dating:
    """Verify all that the signature does not cover, and say what it proves.

    Args:
        others: the files beside the bundle, as `beside` gives them.

    Raises:
        VerifyError: a file is not what it must be, or a stamp does not verify that a trusted authority is
            named for, or that lies in the archive.
    """
    within = stamps_within(archive)
    due = [label for name in predicate["authorities"] for label in labels(name, len(envelope.signatures))]
    for label in within:
        if label not in due:
            raise VerifyError(f"{layout.stamp_name(label)}: a stamp that the statement does not speak of")
    later = {rest[1 : -len(_STAMP)]: data for rest, data in others.items() if rest.endswith(_STAMP)}
    _check_sigstore(archive, envelope, within, later, others.get(_SIGSTORE))
    dating = Dating()
    ends = datetime.fromisoformat(predicate["window"]["to"])
    for label, data, name in _all(within, later):
        _check_one(dating, envelope, trust, ends, label, data, name)
    dating.stamps.sort(key=lambda each: (each.time, each.name))
    dating.warnings += _missing(due, {*within, *later})
    return dating


def _all(within: Mapping[str, bytes], later: Mapping[str, bytes]) -> Iterator[tuple[str, bytes, str]]:
    for label, data in within.items():
        yield label, data, layout.stamp_name(label)
    for label, data in later.items():
        yield label, data, f"stamp {label}{_STAMP} beside the bundle"


def _check_sigstore(
    archive: Archive,
    envelope: Envelope,
    within: Mapping[str, bytes],
    later: Mapping[str, bytes],
    given: bytes | None,
) -> None:
    if layout.SIGSTORE in archive:
        rebuilt = sigstore_bundle(envelope, over_first(within))
        if archive.read(layout.SIGSTORE) != rebuilt:
            raise VerifyError(f"{layout.SIGSTORE}: not what the statement and the stamps make")
    if given is not None and given != sigstore_bundle(envelope, over_first({**later, **within})):
        raise VerifyError(f"{_SIGSTORE[1:]} beside the bundle: not what the statement and all stamps make")


def _check_one(
    dating: Dating,
    envelope: Envelope,
    trust: Trust,
    ends: datetime,
    label: str,
    data: bytes,
    name: str,
) -> None:
    number = 1 if label.endswith(WITNESS) else 0
    signed = signatures(envelope)
    try:
        over = number < len(signed) and is_over(data, signed[number])
    except ValueError as error:
        raise VerifyError(f"{name}: {error}") from None
    if not over:
        raise VerifyError(f"{name}: not over this bundle's signature")
    by, stamp, why = _authority(label.removesuffix(WITNESS), data, signed[number], trust)
    if stamp is None:
        if why:
            raise VerifyError(f"{name}: {why}")
        dating.warnings.append(f"{name}: by no authority of the trust file; it counts for nothing")
        return
    if ends - stamp.latest > SKEW:  # a moment less five minutes may be none
        raise VerifyError(f"{name}: {by} made it before the last call that the statement speaks of")
    dating.stamps.append(Dated(by, stamp.time, number, name))
    dating.latest[number] = min(dating.latest.get(number, stamp.latest), stamp.latest)


def _authority(named: str, data: bytes, signature: bytes, trust: Trust) -> tuple[str, Stamp | None, str]:
    """Who of the trusted made a stamp; where none did, why the one that it is named for did not."""
    reason = ""
    for each in trust.authorities:
        try:
            return each.name, check_stamp(data, signature, each.certificates), ""
        except ValueError as error:
            reason = f"{each.name}: {error}" if each.name == named else reason
    return "", None, reason


def _missing(due: Sequence[str], there: set[str]) -> list[str]:
    if not due and not there:
        return ["not stamped: the time of signing is the signer's own word"]
    return [
        f"not stamped by {label.removesuffix(WITNESS)}"
        f"{' (the witness)' if label.endswith(WITNESS) else ''}, which was asked"
        for label in due
        if label not in there
    ]
