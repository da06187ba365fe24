"""Tries a store for what delivery relies on, with objects that are no bundles.

What every store must do is tried here with `put`, `get` and `head` alone; what only some can promise, such
as locks, is tried by the sink (`Sink.check`).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

from collector.model import CANARIES, Enforced, Json, Sink, SinkRefused, SinkTaken, SinkUnreadable

__all__ = ["Checked", "check"]

_FIRST = b"a canary of `collector sink check`: the first\n"
_SECOND = b"a canary of `collector sink check`: a second\n"

TAKES = "an object is stored"
DUPLICATE = "a second object under a key is refused"
DIGEST = "bytes that are not those announced are refused"
BACK = "what is stored comes back as it was"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a sink was tried for."""

    name: str
    address: str
    found: tuple[Enforced, ...]

    @property
    def holds(self) -> bool:
        """Whether all that the sink promises was seen to hold."""
        return all(each.held is True for each in self.found if each.promised)

    def json(self) -> dict[str, Json]:
        """As `--output json` prints it."""
        rows = [
            {"what": each.what, "held": each.held, "promised": each.promised, "detail": each.detail}
            for each in self.found
        ]
        return {"sink": self.name, "address": self.address, "holds": self.holds, "checks": rows}


def check(sink: Sink, name: str) -> Checked:
    """Try a sink; it is left as it was, but for canaries that a lock keeps a while.

    Args:
        sink: what to try.
        name: new for each call; letters, digits, `.`, `_` and `-`.
    """
    key = f"{CANARIES}{name}"
    taken = _tried(TAKES, lambda: _takes(sink, key))
    found = [taken]
    if taken.held:
        found.append(_tried(DUPLICATE, lambda: _duplicate(sink, key)))
        found.append(_tried(DIGEST, lambda: _digest(sink, f"{key}.digest")))
        found.append(_tried(BACK, lambda: _back(sink, key)))
        found += _own(sink, key)
    return Checked(sink.name, sink.address, tuple(found))


def _tried(what: str, attempt: Callable[[], Enforced]) -> Enforced:
    try:
        return attempt()
    except Exception as error:  # noqa: BLE001 - a plugin's bug too is only this promise not kept
        held = False if isinstance(error, SinkRefused) else None
        return Enforced(what, held, _line(error))


def _own(sink: Sink, key: str) -> list[Enforced]:
    try:
        return list(sink.check(key))
    except Exception as error:  # noqa: BLE001 - as above
        return [Enforced("what this kind of store promises beside", None, _line(error))]


def _line(error: Exception) -> str:
    known = isinstance(error, OSError | SinkRefused)
    return " ".join((str(error) if known else f"{type(error).__name__}: {error}").split())


def _put(sink: Sink, key: str, data: bytes, announced: bytes | None = None) -> None:
    digest = hashlib.sha256(data if announced is None else announced).hexdigest()
    sink.put(key, io.BytesIO(data), digest, absent=True)


def _takes(sink: Sink, key: str) -> Enforced:
    _put(sink, key, _FIRST)
    return Enforced(TAKES, True)


def _duplicate(sink: Sink, key: str) -> Enforced:
    try:
        _put(sink, key, _SECOND)
    except SinkTaken as error:
        return Enforced(DUPLICATE, True, str(error))
    return Enforced(DUPLICATE, False, "other bytes were taken under a key that was taken")


def _digest(sink: Sink, key: str) -> Enforced:
    try:
        _put(sink, key, _FIRST, announced=_SECOND)
    except SinkRefused as error:
        by = "" if sink.confirms else " (before it was sent: this kind of store compares nothing)"
        return Enforced(DIGEST, True, f"{error}{by}")
    detail = "bytes were taken that are not those whose SHA-256 was announced"
    return Enforced(DIGEST, False, detail, promised=sink.confirms)


def _back(sink: Sink, key: str) -> Enforced:
    try:
        with sink.get(key) as file:
            same = file.read(len(_FIRST) + 1) == _FIRST
    except SinkUnreadable:
        return Enforced(BACK, None, "these credentials may not read", promised=False)
    return Enforced(BACK, same, "" if same else "other bytes came back")
