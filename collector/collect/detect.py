"""Secrets that nobody declared, found in free text.

Detectors are those of detect-secrets, for the forms that it knows, and `collector.collect.shapes` for
the rest. Of the library only the pattern objects are used, never its scanner: no settings, no filters,
no processes, and no verification, which would send what it found over the network.

Most lines hold nothing, so each detector has triggers: literals of which one must be in a line before
its pattern is tried. They are looked for once in the whole text, in lower case. All results depend on
the text alone, so they may be remembered and asked for from several threads.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol

from collector.collect.keyblocks import private_keys, public_blocks
from collector.collect.likely import harmless
from collector.collect.shapes import ARGUMENTS, CRYPT, RUN, RUN_LENGTH, SCHEME, SHAPES

__all__ = ["Found", "detect", "detect_in_arguments", "detectors", "lower"]

_RUN = b"a" * RUN_LENGTH
_RUN_TABLE = bytes(97 if (chr(n).isalnum() and n < 128) or chr(n) in "_-" else 32 for n in range(256))
_FORMS = {
    CRYPT: re.compile(r"\$[a-z0-9-]{1,24}\$"),
    SCHEME: re.compile(r"\{(?:s?sha|crypt|s?md5|pbkdf2|argon2)"),
}
_REMEMBERED = 16384  # texts and lines; what systems answer repeats itself: names, settings, unit files
_MAX_REMEMBERED = 256  # characters of one that is remembered
# The library's patterns are not written for hostile input: they see long lines in pieces, and no piece
# that is mostly one word.
_PIECE, _OVERLAP, _LONG_WORD = 1024, 256, re.compile(r"\w{200}")
# The library's assignments try three runs of spaces against each other, in cubic time.
_SPACES, _MANY_SPACES = "(?: *)", re.compile(r" {24}")
_QUOTE = re.compile(r"[\"'`]")  # without one the keyword plugin finds nothing


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A stretch of text, in characters, that holds a secret, and which detector says so."""

    start: int
    end: int
    by: str


class Detector(Protocol):
    """What finds secrets of one kind in one line."""

    @property
    def name(self) -> str:
        """What a redaction says found it."""
        ...

    @property
    def triggers(self) -> tuple[str, ...]:
        """Lower-case literals (or RUN) of which one stands in every line that it finds something in."""
        ...

    def spans(self, line: str) -> Sequence[tuple[int, int]]:
        """Where the secrets lie in a line."""
        ...


@dataclass(frozen=True, slots=True)
class _Library:
    """Patterns of one of detect-secrets' plugins."""

    name: str
    triggers: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    hints: tuple[str, ...]
    whole: bool

    def spans(self, line: str) -> list[tuple[int, int]]:
        if self.hints and not any(hint in line for hint in self.hints):
            return []
        return [
            (start + offset, end + offset)
            for offset, piece in _pieces(line)
            for pattern in self.patterns
            if not (_SPACES in pattern.pattern and _MANY_SPACES.search(piece))
            for match in pattern.finditer(piece)
            for start, end in self._secrets(match)
        ]

    def _secrets(self, match: re.Match[str]) -> list[tuple[int, int]]:
        groups = [] if self.whole else [n for n in range(1, match.re.groups + 1) if match[n]]
        return [match.span(group) for group in groups] or [match.span()]


@dataclass(frozen=True, slots=True)
class _Keywords:
    """detect-secrets' keyword plugin, which gives values without their place."""

    plugin: Any
    name: str
    triggers: tuple[str, ...] = ("key", "pass", "pwd", "secret", "contrase")

    def spans(self, line: str) -> list[tuple[int, int]]:
        return [
            (match.start() + offset, match.end() + offset)
            for offset, piece in _pieces(line)
            if _QUOTE.search(piece) and not _LONG_WORD.search(piece)
            for value in set(self.plugin.analyze_string(piece))
            if value and not harmless(value)
            for match in re.finditer(re.escape(value), piece)
        ]


def _pieces(line: str) -> Iterator[tuple[int, str]]:
    if len(line) <= _PIECE:
        yield 0, line
        return
    for start in range(0, len(line), _PIECE - _OVERLAP):
        yield start, line[start : start + _PIECE]


# Module and class in detect_secrets.plugins, triggers, and what must stand in a line as it is written.
# Not taken: public addresses and hexadecimal strings are evidence here; JSON web tokens, private keys and
# quoted base64 are found whole by our own shapes, where the library finds a part.
_PLUGINS = (
    ("aws", "AWSKeyDetector", f"{RUN} aws", "A aws AWS"),
    ("azure_storage_key", "AzureStorageKeyDetector", "key", "AccountKey="),
    ("basic_auth", "BasicAuthDetector", "://", "@"),
    ("cloudant", "CloudantDetector", "key pwd pw pass token ://", ""),
    ("discord", "DiscordBotTokenDetector", RUN, "."),
    ("github_token", "GitHubTokenDetector", RUN, "ghp_ gho_ ghu_ ghs_ ghr_"),
    ("gitlab_token", "GitLabTokenDetector", RUN, "gl GR1348941"),
    ("ibm_cloud_iam", "IbmCloudIamDetector", "key pwd pass token", ""),
    ("ibm_cos_hmac", "IbmCosHmacDetector", "secret", ""),
    ("mailchimp", "MailchimpDetector", RUN, "-us"),
    ("npm", "NpmDetector", "token", "_authToken"),
    ("openai", "OpenAIDetector", RUN, "T3BlbkFJ"),
    ("pypi_token", "PypiTokenDetector", RUN, "pypi-"),
    ("sendgrid", "SendGridDetector", RUN, "SG."),
    ("slack", "SlackDetector", "xox hook", ""),
    ("softlayer", "SoftlayerDetector", "key pwd pass token soap", ""),
    ("square_oauth", "SquareOAuthDetector", f"{RUN} sq0csp-", "sq0csp-"),
    ("stripe", "StripeDetector", RUN, "k_live_"),
    ("telegram_token", "TelegramBotTokenDetector", RUN, ":"),
    ("twilio", "TwilioKeyDetector", RUN, "AC SK"),
)
_WHOLE = frozenset({"GitHubTokenDetector", "GitLabTokenDetector"})  # their groups hold prefixes, not secrets


@cache
def detectors() -> tuple[Detector, ...]:
    """Every detector, the library's first."""
    from importlib import import_module

    library: list[Detector] = []
    for module, name, triggers, hints in _PLUGINS:
        plugin = getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        patterns = tuple(plugin.denylist)
        library.append(
            _Library(
                plugin.secret_type, tuple(triggers.split()), patterns, tuple(hints.split()), name in _WHOLE
            )
        )
    keyword = import_module("detect_secrets.plugins.keyword").KeywordDetector()
    return (*library, _Keywords(keyword, keyword.secret_type), *SHAPES)


class _Filter:
    """Finds the lines that could hold anything, and which detectors to try on them."""

    def __init__(self, these: Sequence[Detector]) -> None:
        self._literals = sorted({literal for each in these for literal in each.triggers})
        bits = {literal: 1 << n for n, literal in enumerate(self._literals)}
        self._words = [(bits[each], each) for each in self._literals if each != RUN and each not in _FORMS]
        self._forms = [(bits[each], _FORMS[each]) for each in self._literals if each in _FORMS]
        self._run = bits.get(RUN, 0)
        self._these = [(each, sum(bits[literal] for literal in set(each.triggers))) for each in these]
        self.scan = lru_cache(_REMEMBERED)(self._scan)

    def bit(self, literal: str) -> int:
        """The bit that says that this trigger was hit."""
        return 1 << self._literals.index(literal)

    def lines(self, text: str) -> list[tuple[int, int, int]]:
        """Start, end and triggers of each line that has any, in order."""
        small = lower(text)
        hits: dict[int, int] = {}
        for bit, word in [(bit, word) for bit, word in self._words if word in small]:
            for start in _starts(small, word):
                hits[start] = hits.get(start, 0) | bit
        for bit, form in self._forms:
            for start in _starts_of(small, form):
                hits[start] = hits.get(start, 0) | bit
        for start in _starts_of_runs(text) if self._run else ():
            hits[start] = hits.get(start, 0) | self._run
        if not hits:
            return []
        ends = ((start, small.find("\n", start), hit) for start, hit in sorted(hits.items()))
        return [(start, end if end >= 0 else len(text), hit) for start, end, hit in ends]

    def find(self, line: str, hit: int) -> tuple[Found, ...]:
        """What the detectors whose triggers were hit find in a line."""
        return self.scan(line, hit) if len(line) <= _MAX_REMEMBERED else self._scan(line, hit)

    def _scan(self, line: str, hit: int) -> tuple[Found, ...]:
        return tuple(
            Found(start, end, each.name)
            for each, mask in self._these
            if mask & hit
            for start, end in each.spans(line)
            if not line.startswith("[redacted", start)  # what went through here before
        )


@cache
def _all() -> _Filter:
    return _Filter(detectors())


@cache
def _of_arguments() -> _Filter:
    return _Filter(ARGUMENTS)


def lower(text: str) -> str:
    """Text in lower case, character for character, so that places in it stay the same."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(one if len(one) == 1 else sign for sign in text for one in (sign.lower(),))


def _starts(small: str, literal: str) -> Iterator[int]:
    at = small.find(literal)
    while at >= 0:
        yield small.rfind("\n", 0, at) + 1
        end = small.find("\n", at)
        if end < 0:
            return
        at = small.find(literal, end)


def _starts_of(small: str, pattern: re.Pattern[str]) -> Iterator[int]:
    for match in pattern.finditer(small):
        yield small.rfind("\n", 0, match.start()) + 1


def _starts_of_runs(text: str) -> Iterator[int]:
    marked = text.encode("ascii", "replace").translate(_RUN_TABLE)
    at = marked.find(_RUN)
    while at >= 0:
        yield text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        if end < 0:
            return
        at = marked.find(_RUN, end)


def detect(text: str) -> list[Found]:
    """Find secrets in text.

    Args:
        text: any text, as it was received.

    Returns:
        Where they lie, in order, none overlapping another. Line ends of any kind, and the NUL that
        separates environment variables, end a line.
    """
    return list(_remembered(text) if len(text) <= _MAX_REMEMBERED else _detected(text))


def _detected(text: str) -> list[Found]:
    if "\0" in text or "\r" in text:
        text = text.replace("\0", "\n").replace("\r", "\n")
    hidden, public = private_keys(text), public_blocks(text)
    found = [Found(start, end, "private key") for start, end in hidden]
    for start, end, hit in _all().lines(text):
        if _within(hidden, start, end):
            continue
        if _within(public, start, end):
            hit &= ~_all().bit(RUN)  # certificates and public keys look random and are evidence
        found += (
            Found(start + one.start, start + one.end, one.by) for one in _all().find(text[start:end], hit)
        )
    return _merged(found)


@lru_cache(_REMEMBERED)
def _remembered(text: str) -> tuple[Found, ...]:
    return tuple(_detected(text))


def detect_in_arguments(line: str) -> list[Found]:
    """Find secrets that only their neighbours betray, in a command's arguments put together again."""
    return _merged(
        Found(start + each.start, start + each.end, each.by)
        for start, end, hit in _of_arguments().lines(line)
        for each in _of_arguments().find(line[start:end], hit)
    )


def _within(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether one of the spans, in order and apart, holds all of a line."""
    at = bisect_right(spans, (start, end)) - 1
    return any(first <= start and end <= last for first, last in spans[max(at, 0) : at + 2])


def _merged(found: Iterable[Found]) -> list[Found]:
    """Put what overlaps together, under the name of what starts first."""
    merged: list[Found] = []
    for each in sorted(found, key=lambda one: (one.start, -one.end, one.by)):
        if each.start >= each.end:
            continue
        if merged and each.start < merged[-1].end:
            if each.end > merged[-1].end:
                merged[-1] = Found(merged[-1].start, each.end, merged[-1].by)
        else:
            merged.append(each)
    return merged
