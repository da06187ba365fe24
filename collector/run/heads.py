"""Whether the head of a series, as a store has it, is ours: the next bundle is chained to nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from collector.bundle.archive import Archive
from collector.bundle.authority import TimeAuthority
from collector.bundle.dated import check_dates
from collector.bundle.excerpt import excerpt
from collector.bundle.layout import STATEMENT
from collector.bundle.sign import parse_envelope, public_key
from collector.bundle.statement import parse
from collector.bundle.trust import Authority, Trust, TrustedKey, load_trust
from collector.bundle.verify import check_signers
from collector.canonical import sha256_hex
from collector.deliver.series import Link, key
from collector.model import ConfigError, VerifyError

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["digest", "own_trust", "prover"]


def own_trust(signer: Signer, trust: Path, authorities: Sequence[TimeAuthority]) -> Trust:
    """Whose heads are ours: the key that signs now, and those of the user's trust file, rotated ones too.

    A trust file that cannot be used leaves the key that signs now: no evidence is lost for it.
    """
    current = TrustedKey("the key that signs now", public_key(signer))
    try:
        known = load_trust(trust)
    except ConfigError:
        known = Trust((current,))
    keys = known.keys if known.find(current.key.fingerprint) else (*known.keys, current)
    named = {each.name for each in known.authorities}
    more = (Authority(each.name, each.certificates) for each in authorities if each.name not in named)
    return Trust(keys, (*known.authorities, *more), identities=known.identities)


def digest(file: IO[bytes]) -> str:
    """The digest of a bundle's statement, whoever signed it. Raises VerifyError if it is no bundle."""
    with _excerpt(file) as archive:
        return sha256_hex(parse_envelope(archive.read(STATEMENT)).payload)


def prover(trust: Trust) -> Callable[[IO[bytes], str], str]:
    """What proves that a bundle under a key of a store is ours, and gives its statement's digest.

    Raises VerifyError where it is no bundle, no trusted agent's key has signed it (as of its own stamps), or
    it belongs at another place. Its evidence is not looked at: the chain is one of statements.
    """

    def prove(file: IO[bytes], where: str) -> str:
        with _excerpt(file) as archive:
            envelope = parse_envelope(archive.read(STATEMENT))
            _, predicate = parse(envelope.payload)
            dating = check_dates(archive, envelope, predicate, trust, {})
            check_signers(envelope, predicate, trust, dating, 1)
        found, series = sha256_hex(envelope.payload), predicate["series"]
        place = key(series["name"], Link(series["epoch"], series["sequence"], None), found)
        if place != where:
            raise VerifyError(f"belongs at {place}")
        return found

    return prove


@contextmanager
def _excerpt(file: IO[bytes]) -> Iterator[Archive]:
    with tempfile.NamedTemporaryFile(prefix="collector-head-") as copy:
        try:
            excerpt(file, copy)
            copy.flush()
            with Archive(Path(copy.name)) as archive:
                yield archive
        except VerifyError as error:
            raise VerifyError(str(error).removeprefix(f"{Path(copy.name).name}: ")) from None
