"""What stores of bundles have in common: what a key looks like, and which bundles are old enough to go.

Retention goes by the `as_of` that a bundle's own statement names, never by a file's time or a machine's
clock. Only the oldest bundles of a series go, with the stamps beside them, and never its newest: no hole
is made. A bundle that cannot be read goes only when a newer one is old enough to go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import IO

from collector.model import CANARIES, SinkRefused

__all__ = ["check_key", "is_key", "outdated"]

_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"(?:{re.escape(CANARIES)})?{_PART}(?:/{_PART}){{0,8}}\Z")
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_STATEMENT = "statement.dsse.json"
_MAX_STATEMENT = 64 << 20  # a statement names every member: 100,000 of them take some 20 MB

Open = Callable[[str], IO[bytes]]
"""Opens what is stored under a key, for reading and seeking."""


def is_key(text: str) -> bool:
    """Whether a text can be a key: nothing hidden, nothing that leads elsewhere; canaries are keys."""
    return _KEY.match(text) is not None


def check_key(key: str) -> str:
    """The key, if it is one. Raises SinkRefused for what is none."""
    if not is_key(key):
        raise SinkRefused(f"{key!r} is no key: letters, digits, `.`, `_` and `-`, in parts joined by /")
    return key


def outdated(keys: Sequence[str], as_of: str, keep: float, opened: Open) -> Iterator[str]:
    """The keys to delete, in the order in which to delete them: a bundle after what lies beside it.

    Args:
        keys: all that is stored, sorted.
        as_of: the moment to count back from.
        keep: seconds.
        opened: how to read a bundle; OSError and SinkRefused from it mean that it cannot be read.
    """
    until = _moment(as_of) - keep
    for _, group in groupby(keys, key=lambda key: key.split("/")[0]):
        yield from _of_series(list(group), until, opened)


def _of_series(keys: Sequence[str], until: float, opened: Open) -> Iterator[str]:
    bundles = [key for key in keys if key.endswith(".zip")]
    for bundle in bundles[: _old(bundles[:-1], until, opened)]:
        # The bundle goes last: were it cut off here, the next pruning finds the rest by it.
        yield from (key for key in keys if key.startswith(bundle.removesuffix("zip")) and key != bundle)
        yield bundle


def _old(bundles: Sequence[str], until: float, opened: Open) -> int:
    """How many of a series' bundles, from the oldest on, are old enough to go."""
    old = 0
    for number, key in enumerate(bundles, 1):
        moment = _as_of(key, opened)
        if moment is not None and moment >= until:
            break
        old = old if moment is None else number
    return old


def _moment(text: str) -> float:
    return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC).timestamp()


def _as_of(key: str, opened: Open) -> float | None:
    """The `as_of` of a bundle's statement; None for what is no bundle."""
    import base64
    import json
    import zipfile
    import zlib

    try:
        with opened(key) as file, zipfile.ZipFile(file) as archive, archive.open(_STATEMENT) as member:
            envelope = json.loads(member.read(_MAX_STATEMENT))
        statement = json.loads(base64.b64decode(envelope["payload"]))
        return _moment(statement["predicate"]["as_of"])
    except (OSError, SinkRefused, ValueError, KeyError, TypeError, RecursionError):
        return None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return None  # zipfile: damaged, or compressed or encrypted in a way that it lacks
