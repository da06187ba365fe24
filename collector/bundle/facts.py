"""What a statement's predicate must look like, key by key.

Plain functions instead of a schema library, since every run and every verification passes here; a test
holds them equal to docs/schemas/statement.json.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import pairwise

from collector.bundle.keyless import MAX_CERTIFICATES
from collector.canonical import dumps
from collector.config import AUTHORITY
from collector.model import MAX_TEXT, Json, Outcome

__all__ = ["FORMAT", "MAX_SECONDS", "check_facts"]

FORMAT = 1
MAX_SECONDS = 100 * 366 * 86400
"""A century, the most that a configuration may say; what is far more is no length of time to reckon with."""

_TIME = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z"
)
_KIND = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SERIES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STATES = ("done", "failed", "stopped")
_REASONS = frozenset(outcome.value for outcome in Outcome if not outcome.answered)

Check = Callable[[Json, str], None]


def check_facts(predicate: Json) -> None:
    """Hold a predicate against its shape. Raises ValueError that names the key and what is allowed."""
    _PREDICATE(predicate, "predicate")
    _check_order(predicate)
    opened, closed = (datetime.fromisoformat(predicate["window"][end]) for end in ("from", "to"))
    if opened > closed:  # as times: as texts, a fraction of a second sorts before the second
        raise ValueError("predicate.window: ends before it begins")
    series = predicate["series"]
    if (series["sequence"] == 1) != (series["previous"] is None):
        raise ValueError("predicate.series: the first of an epoch, and it alone, has no previous")
    if (series["sequence"] == 1) != (series["reason"] is not None):
        raise ValueError("predicate.series: the first of an epoch, and it alone, has a reason")


def _check_order(predicate: Mapping[str, Json]) -> None:
    sorted_by: dict[str, Callable[[Json], Json]] = {
        "tasks": lambda task: task["id"],
        "derived": lambda each: each["kind"],
        "plugins": lambda plugin: plugin["name"],
        "principals": lambda principal: principal,
        "authorities": lambda name: name,
        "completeness": lambda each: (each["kind"], dumps(each["scope"])),
    }
    for key, order in sorted_by.items():
        keys = [order(item) for item in predicate[key]]
        if any(not before < after for before, after in pairwise(keys)):
            raise ValueError(f"predicate.{key}: not in ascending order, or one twice")


def _refuse(where: str, allowed: str) -> ValueError:
    return ValueError(f"{where}: must be {allowed}")


def _text(value: Json, where: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
        raise _refuse(where, f"text of 1 to {MAX_TEXT} characters")


def _matching(pattern: str | re.Pattern[str], allowed: str) -> Check:
    compiled = re.compile(pattern)

    def check(value: Json, where: str) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise _refuse(where, allowed)

    return check


def _time(value: Json, where: str) -> None:
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return
    raise _refuse(where, "a UTC time such as 2026-11-24T02:00:00Z")


def _integer(low: int, most: int | None = None) -> Check:
    allowed = f"a whole number, at least {low}" + ("" if most is None else f" and at most {most}")

    def check(value: Json, where: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise _refuse(where, allowed)
        if most is not None and value > most:
            raise _refuse(where, allowed)

    return check


def _boolean(value: Json, where: str) -> None:
    if not isinstance(value, bool):
        raise _refuse(where, "true or false")


def _one_of(*values: Json) -> Check:
    def check(value: Json, where: str) -> None:
        if not any(value is each or (value == each and type(value) is type(each)) for each in values):
            raise _refuse(where, f"one of {', '.join(map(str, values))}")

    return check


def _or_null(check: Check) -> Check:
    def checked(value: Json, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def _with(key: str, check: Check, table: Check) -> Check:
    """A table that may have one key more."""

    def checked(value: Json, where: str) -> None:
        if isinstance(value, dict) and key in value:
            check(value[key], f"{where}.{key}")
            value = {name: item for name, item in value.items() if name != key}
        table(value, where)

    return checked


def _list(check: Check) -> Check:
    def checked(value: Json, where: str) -> None:
        if not isinstance(value, list):
            raise _refuse(where, "a list")
        for number, item in enumerate(value):
            check(item, f"{where}[{number}]")

    return checked


def _several(least: int, most: int, check: Check) -> Check:
    def checked(value: Json, where: str) -> None:
        check(value, where)
        if not least <= len(value) <= most:
            raise _refuse(where, f"a list of {least} to {most}")

    return checked


def _table(**checks: Check) -> Check:
    def checked(value: Json, where: str) -> None:
        if not isinstance(value, dict):
            raise _refuse(where, "a table")
        for key in (*checks, *value):
            if key not in value:
                raise ValueError(f"{where}.{key}: missing")
            if key not in checks:
                raise ValueError(f"{where}.{key:.80}: unknown; known are {', '.join(sorted(checks))}")
        for key, check in checks.items():
            check(value[key], f"{where}.{key}")

    return checked


def _mapping(key_check: Check, check: Check) -> Check:
    def checked(value: Json, where: str) -> None:
        if not isinstance(value, dict):
            raise _refuse(where, "a table")
        for key, item in value.items():
            key_check(key, f"{where}: key {key!a:.80}")
            check(item, f"{where}.{key}")

    return checked


_sha256 = _matching(r"[0-9a-f]{64}", "a SHA-256 in 64 hexadecimal digits")
_id = _matching(r"[0-9a-f]{16}", "16 hexadecimal digits")
_kind = _matching(_KIND, "the name of a kind")
_scope = _mapping(_text, _text)
_member = _matching(r"[A-Za-z0-9_./-]{1,200}", "the name of a member")
_reason = _one_of(*sorted(_REASONS))

_certificate = _matching(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]{1,9900}\n-----END CERTIFICATE-----\n", "a PEM certificate"
)
_signer = _with(
    "certificates", _several(1, MAX_CERTIFICATES, _list(_certificate)), _table(fingerprint=_text, key=_text)
)

_PREDICATE = _table(
    format=_one_of(FORMAT),
    tree=_table(
        root=_sha256,
        members=_list(
            _table(name=_member, lines=_integer(0), size=_integer(0), sha256=_sha256, root=_sha256)
        ),
    ),
    agent=_table(name=_text, version=_text, digest=_or_null(_sha256)),
    plugins=_list(_table(name=_text, distribution=_text, version=_text, digest=_or_null(_sha256))),
    configuration=_sha256,
    principals=_list(_text),
    window=_table(**{"from": _time, "to": _time}),
    as_of=_time,
    tasks=_list(_table(id=_id, state=_one_of(*_STATES), segment=_or_null(_sha256))),
    derived=_list(_table(kind=_kind, version=_integer(0), segment=_or_null(_sha256))),
    counts=_mapping(_kind, _integer(1)),
    gaps=_mapping(_kind, _mapping(_reason, _integer(1))),
    completeness=_list(_table(kind=_kind, scope=_scope, complete=_boolean)),
    keep=_or_null(_integer(0, MAX_SECONDS)),
    authorities=_list(_matching(AUTHORITY, "lower case letters, digits, _ and -, at most 32")),
    secret_key_id=_or_null(_id),
    signer=_signer,
    witness=_or_null(_signer),
    series=_table(
        name=_matching(_SERIES, "letters, digits, . _ and -, at most 100"),
        epoch=_time,
        sequence=_integer(1),
        previous=_or_null(_sha256),
        cadence=_or_null(_integer(1, MAX_SECONDS)),
        reason=_or_null(_text),
    ),
)
