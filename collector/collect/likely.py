"""Whether a name speaks of a secret, and whether a value can be one.

A detector that takes every `token:` for a secret destroys evidence: nsswitch's `passwd: files`,
`PASS_MAX_AGE=99`, `password_file = /etc/x`. What is decided here is what stays.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

__all__ = ["NAMES", "NAME_TRIGGERS", "harmless", "holds_secret", "is_random", "names_secret"]

NAMES = (
    r"passw(?:or)?ds?|passphrases?|passcodes?|contrase[nñ]a|pwd|pswd|tokens?|credentials?"
    r"|secret(?:[_.-]?access)?(?:[_.-]?keys?)?|secrets"
    r"|(?:api|app|application|auth|access|account|service|client|priv|private|encrypt|encryption|signing"
    r"|sign|master|shared|shared[_.-]?access|pre[_.-]?shared|session|storage|fastopen|db|database"
    r"|license|licence|deploy|wep|root|admin|webhook|hmac|aes|crypto|tsig|authtoken)"
    r"[_.-]?keys?(?:\d(?![a-z]))?(?:-data(?![a-z]))?"
    r"|(?:db|root|admin|user|ssh|my|ftp|smtp|mail|ldap|http|proxy|key|store|bind|mysql|pg|vnc)"
    r"[_.-]?pass(?![a-z])"
    r"|(?:bind|root|user|admin|db|ldap|ftp|mysql|repl)[_.-]?pw(?![a-z])"
    r"|(?<![a-z])(?:psk|pass|pw|otp|cookies?|session|_auth)(?![a-z])|(?-i:(?<=[a-z])Pass(?![a-z]))"
    r"|(?:sess|session)[_.-]?id(?![a-z])|connect\.sid|auth[_.-]?code|(?<=[?&;])sig(?==)"
)
"""What secrets are called; a regular expression, to be used with IGNORECASE."""

NAME_TRIGGERS = (
    "pass", "contrase", "pwd", "pswd", "secret", "token", "credential", "key", "psk", "cookie", "sess",
    "connect.sid", "pw", "_auth", "otp", "auth_code", "auth-code", "auth.code", "authcode", "sig=",
)  # fmt: skip
"""Lower-case literals of which one stands in every match of NAMES."""

_NAME = re.compile(NAMES, re.IGNORECASE)
_MAX_NAME = 256  # characters of a name that are looked at

_RANDOM_LENGTH = 32  # shorter runs without a name beside them are too often evidence
_MIN_ENTROPY = 4.5  # bits a character, as detect-secrets has it for base64; hexadecimal has at most 4
_MIN_TURNS = 0.35  # random base64 changes class at six of ten steps, words and paths at one or two
_PUBLIC_KEYS = ("AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAGnNr", "AAAAInNr")  # OpenSSH's

# Names that speak about a secret without holding one: password_max_age, token_url, secretFile.
_ABOUT = re.compile(
    r"(?:files?|paths?|dir|length|len|age|days?|min|max|warn|policy|quality|authentications?|expir\w*|timeout"
    r"|ttl|lifetime|interval|rotat\w*|tries|retries|prompt|hashing|algorithms?|algo|ciphers?|rounds|change[sd]?"
    r"|history|remember|complexity|strength|required|enabled|disabled|allow\w*|lock\w*|manager|provider"
    r"|services?|urls?|uri|endpoint|hosts?|port|owner|mode|command|cmd|program|agent|helper|format|plugin"
    r"|method|version|size|bits|limits?|last|status|state|sources?|ref|reference|names?|types?|ids?|count|usage|address|encryption"
    r"|scope|set|check\w*|aging|reuse|namespaces?|class(?:es)?|audiences?)\Z",
    re.IGNORECASE,
)
_CONTINUED = re.compile(r"(?:keys?|hash(?:es)?|values?|data|text|string)(?![a-z])")
_SESSION_ID = re.compile(r"(?:sess|session)[_.-]?id\Z|sid\Z", re.IGNORECASE)
_LOADS = re.compile(r"(?:load|import|condition|assert)credentials?\w*\Z", re.I)  # systemd: only names, paths
_WEAK = re.compile(r"(?:cookies?|session|otp|pw|(?:sess|session)[_.-]?id)\Z", re.IGNORECASE)
_WEAK_LENGTH = 8  # what is called a session or cookie is short or a number where it is a setting

_STOP = frozenset(
    """yes no true false none null nil on off enabled disabled enable disable required requisite sufficient
    optional include substack files file compat systemd sss ldap nis nisplus db winbind dns amd64 i386 arm64
    armhf all native any default prompt locked unlocked empty unset undefined string str int bool never always
    password passwd secret token changed unchanged expired invalid missing read write md5 sha256 sha512
    yescrypt bcrypt des auto static generated ask redacted removed masked hidden sensitive""".split()
)
_PLACEHOLDER = re.compile(
    r"\$\{?[A-Za-z_(]|%[({a-zA-Z]|\{\{|\*{2,}\Z|[xX.]{3,}\Z|#|<[^<>]*>\Z|\[?redacted|(?:hmac|person):[0-9a-f]{32}\]?\Z"
)
_PATH = re.compile(r"(?:[A-Za-z]+:)?(?:~|\.{1,2})?/(?:[a-z0-9_.@+-]+/)*[A-Za-z0-9_.@%+*-]*\Z")
_NUMBER = re.compile(r"-?(?:\d{1,3}|0x[0-9a-f]{1,8}|\d+[smhdw])\Z", re.IGNORECASE)
_NSS = re.compile(r"!?(?:notfound|success|unavail|tryagain)=\w+\Z", re.IGNORECASE)  # nsswitch.conf's actions
_AROUND = "\"'`,;[](){}<> \t\\.:"


def _entropy(text: str) -> float:
    shares = [text.count(sign) / len(text) for sign in set(text)]
    return -sum(share * math.log2(share) for share in shares)


def _class(sign: str) -> int:
    return 0 if sign.islower() else 1 if sign.isupper() else 2 if sign.isdigit() else 3


def is_random(text: str, length: int = _RANDOM_LENGTH) -> bool:
    """Whether text reads like random base64 of `length` characters or more.

    It has small letters, capitals and digits, a high entropy, and turns from one class to another more
    often than words, paths and identifiers do. OpenSSH's public keys are not counted: they are evidence.
    """
    if len(text) < length or text.islower() or text.isupper() or text.startswith(_PUBLIC_KEYS):
        return False
    classes = [_class(sign) for sign in text]
    if min(classes.count(0), classes.count(1), classes.count(2)) < 2:
        return False
    turns = sum(one != two for one, two in pairwise(classes)) / (len(text) - 1)
    return turns >= _MIN_TURNS and _entropy(text) >= min(_MIN_ENTROPY, math.log2(len(text)) * 0.75)


def _harmless_word(word: str) -> bool:
    if _PLACEHOLDER.match(word):
        return True
    bare = word.strip(_AROUND)
    if len(bare) < 3 or bare.lower() in _STOP or not any(map(str.isalnum, bare)):
        return True
    return any(shape.match(bare) for shape in (_PLACEHOLDER, _PATH, _NUMBER, _NSS))


def harmless(value: str) -> bool:
    """Whether a value says nothing secret: settings, paths, small numbers, placeholders."""
    return all(map(_harmless_word, value.split())) or _harmless_word(value)


def _only_about(name: str, word: str, rest: str) -> bool:
    if _SESSION_ID.search(word + rest):
        return False
    if rest[:1].islower() and not _CONTINUED.match(rest):
        return True  # tokenizer, passwordless
    return bool(_ABOUT.search(rest) or _LOADS.search(name))


def names_secret(name: str) -> bool:
    """Whether what has this name is a secret: `db_password` is, `password_max_age` is not."""
    found = list(_NAME.finditer(name[:_MAX_NAME]))
    if not found:
        return False
    word = found[-1]
    return not _only_about(name[: word.end()], word[0], name[word.end() : _MAX_NAME])


def holds_secret(before: str, word: str, rest: str, sign: str, value: str) -> bool:
    """Whether `name sign value` holds a secret.

    Args:
        before: what stands before the telling word, at least the name's beginning.
        word, rest: the word of NAMES in the name, and the name's end behind it.
        sign: `=`, `:` or alike.
        value: without its quotes.
    """
    if harmless(value):
        return False
    if before.endswith("/") and ":" in sign:
        return False  # /usr/bin/passwd:4755 is a file and its mode
    if _WEAK.match(word) and (len(value) < _WEAK_LENGTH or value.isdigit()):
        return False
    if _only_about(re.split(r"\W", before)[-1] + word, word, rest):
        return is_random(value.strip(_AROUND), 20)
    return True
