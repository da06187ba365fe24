"""Blocks of lines that hold a key: private ones are secrets to their last line, public ones evidence.

RFC 7468 and what resembles it: OpenSSL's, OpenSSH's, PGP's, OpenVPN's and SSH2's armour, PuTTY's files.
"""

from __future__ import annotations

import re
from bisect import bisect_left

__all__ = ["private_keys", "public_blocks"]

_SIGNS = ("BEGIN ", "END ", "begin ", "end ", "rivate-")
_KEY_BEGIN = re.compile(
    r"---- ?-?BEGIN [^\n-]{0,64}?(?:PRIVATE|SECRET|STATIC) ?[^\n-]{0,64}-----?", re.IGNORECASE
)
_KEY_END = re.compile(
    r"---- ?-?END [^\n-]{0,64}?(?:PRIVATE|SECRET|STATIC) ?[^\n-]{0,64}-----?", re.IGNORECASE
)
_PUBLIC = re.compile(
    r"-----BEGIN (?![^\n-]{0,64}(?:PRIVATE|SECRET|STATIC))[^\n-]{1,64}-----(?:[^-]|-(?!----))*+-----END ",
    re.IGNORECASE,
)
_KEY_LINE = re.compile(r"[\s>|#*\"'+,\\-]*(?:[A-Za-z0-9+/=]*|[A-Za-z-]{1,32}: .*)[\s\"',\\n]*\Z")
_PUTTY = re.compile(r"Private-Lines: *\d+[^\n]*\n", re.IGNORECASE)


def _line_after(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end + 1


def _body_end(text: str, start: int) -> int:
    """Where a key whose end is missing ends: at the first line that cannot be its own."""
    end = _line_after(text, start)
    while end < len(text):
        after = _line_after(text, end)
        if not _KEY_LINE.match(text[end : min(after, end + 256)]):
            break
        end = after
    return end


def _body_start(text: str, end: int) -> int:
    """Where a key whose beginning is missing begins."""
    start = text.rfind("\n", 0, end) + 1
    while start > 0:
        before = text.rfind("\n", 0, start - 1) + 1
        line = text[before : start - 1]
        if len(line) > 256 or not line.strip() or not _KEY_LINE.match(line):
            break
        start = before
    return start


def private_keys(text: str) -> list[tuple[int, int]]:
    """Where private keys lie, with all their lines, also when one of their ends is missing; in order."""
    if not any(sign in text for sign in _SIGNS):
        return []
    found: list[tuple[int, int]] = []
    ends = [match.span() for match in _KEY_END.finditer(text)]
    begins = [match.start() for match in _KEY_BEGIN.finditer(text)]
    for begin, following in zip(begins, [*begins[1:], len(text)], strict=False):
        after = bisect_left(ends, (begin, 0))
        whole = after < len(ends) and ends[after][0] < following
        found.append((begin, ends[after][1] if whole else _body_end(text, begin)))
    begun = list(found)
    for start, end in ends:
        before = bisect_left(begun, (start, 0)) - 1
        if before < 0 or begun[before][1] <= start:
            found.append((_body_start(text, start), end))
    found += ((match.end(), _body_end(text, match.end())) for match in _PUTTY.finditer(text))
    return _merged(found)


def public_blocks(text: str) -> list[tuple[int, int]]:
    """Where certificates, public keys, signatures and requests lie; in order."""
    if "-----BEGIN" not in text:
        return []
    return [match.span() for match in _PUBLIC.finditer(text)]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
