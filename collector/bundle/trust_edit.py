"""Changes to the text of a trust file: lines are added, and every other byte stays.

People write comments into trust files, so no writer of TOML touches them. Each change is proven before
it is given out: what is read from the new text is what was read from the old one, and the change.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from collector.bundle.trust import Revocation, trust_entry, trust_in
from collector.canonical import dumps
from collector.model import ConfigError, Json
from collector.toml import Document, parse, shown_path

__all__ = ["with_end", "with_key", "with_revocation"]

_HEADER = re.compile(rb"""[ \t]*\[\[[ \t]*(?:key|"key"|'key')[ \t]*\]\][ \t]*(?:#[^\r]*)?(\r?)\Z""")
_END = re.compile(
    rb"""([ \t]*until[ \t]*=[ \t]*)(?:"[^"]*"|'[^']*'|[0-9T:Z.+-]+(?: [0-9:Z.+-]+)?)([ \t]*(?:#.*)?\r?)\Z"""
)


def with_key(
    data: bytes, path: Path, pem: str, name: str, valid_from: datetime, purpose: str = "bundle"
) -> bytes:
    """Add a key at the end of a trust file.

    Args:
        data: what the file holds.
        path: where it lies, for errors and the files that it names.
        pem: the public key.
        name: what to call it.
        valid_from: since when it counts.
        purpose: what it may sign.

    Raises:
        ConfigError: the file cannot be used, before or after.
    """
    entry = trust_entry(pem, name, purpose) + f"from = {_written(valid_from)}\n"
    made = data + (b"" if data.endswith(b"\n") or not data else b"\n") + b"\n" + entry.encode()
    added = tomllib.loads(entry)["key"]
    return _proven(data, made, path, lambda top: top["key"].extend(added))


def with_end(data: bytes, path: Path, fingerprint: str, valid_until: datetime) -> bytes:
    """Let a key count no longer than until a moment; an earlier end that it has stays.

    Raises:
        ConfigError: the file cannot be used, before or after, or has no such key.
    """
    index, document = _find(data, path, fingerprint)
    current = trust_in(document).keys[index].valid_until
    if current is not None and current <= valid_until:
        return data
    value = _written(valid_until)
    if current is None:
        made = _inserted(data, document, index, f"until = {value}")
    else:
        made = _replaced(data, document, index, value.encode())
    return _proven(data, made, path, lambda top: top["key"][index].update(tomllib.loads(f"until = {value}")))


def with_revocation(data: bytes, path: Path, fingerprint: str, revocation: Revocation) -> bytes:
    """Revoke a key.

    Raises:
        ConfigError: the file cannot be used, before or after, has no such key, or it is revoked already.
    """
    index, document = _find(data, path, fingerprint)
    if earlier := trust_in(document).keys[index].revoked:
        raise ConfigError(
            f"{document.where('key', index, 'revoked')}: revoked already, since {_written(earlier.at)}: "
            f"{earlier.reason}"
        )
    reason = dumps(revocation.reason).decode().replace("\x7f", "\\u007f")  # TOML allows no bare DEL
    line = f"revoked = {{ at = {_written(revocation.at)}, reason = {reason} }}"
    made = _inserted(data, document, index, line)
    return _proven(data, made, path, lambda top: top["key"][index].update(tomllib.loads(line)))


def _find(data: bytes, path: Path, fingerprint: str) -> tuple[int, Document]:
    document = parse(data, path)
    for index, each in enumerate(trust_in(document).keys):
        if each.key.fingerprint == fingerprint:
            return index, document
    raise ConfigError(f"{shown_path(path)}: has no key {fingerprint}")


def _inserted(data: bytes, document: Document, index: int, line: str) -> bytes:
    """The file with a line more behind the header of a key's table: there it is never within a value."""
    lines = data.split(b"\n")
    number = document.line("key", index)
    header = _HEADER.match(lines[number - 1])
    if header is None:
        raise ConfigError(
            f"{document.where('key', index)}: write the key as a [[key]] table, or edit it by hand"
        )
    lines.insert(number, line.encode() + header[1])
    return b"\n".join(lines)


def _replaced(data: bytes, document: Document, index: int, value: bytes) -> bytes:
    """The file with another value for the `until` that a key's table has."""
    lines = data.split(b"\n")
    number = document.line("key", index, "until") - 1
    found = _END.match(lines[number])
    if found is None:
        raise ConfigError(
            f"{document.where('key', index, 'until')}: until: not on a line of its own; edit it by hand"
        )
    lines[number] = found[1] + value + found[2]
    return b"\n".join(lines)


def _proven(old: bytes, new: bytes, path: Path, change: Callable[[dict[str, Json]], object]) -> bytes:
    """The new text, if it says what the old one does and the change, and can be used."""
    expected = copy.deepcopy(dict(parse(old, path).data))
    try:
        document = parse(new, path)
    except ConfigError:
        document = None
    change(expected)
    if document is None or document.data != expected:
        raise ConfigError(
            f"{shown_path(path)}: cannot be changed here without changing more; edit it by hand"
        )
    trust_in(document)
    return new


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
