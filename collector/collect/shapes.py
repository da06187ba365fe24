"""Shapes of secrets that the detectors' library does not know, or knows only inside quotes.

Each shape names its triggers: lower-case literals of which one must stand in a line (in lower case)
before its pattern is tried, so that the union of all triggers is a sound and cheap filter. Quantifiers
are bounded or run over one class of characters, so that a hostile line costs time in proportion to its
length.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from collector.collect.likely import NAME_TRIGGERS, NAMES, harmless, holds_secret, is_random

__all__ = ["ARGUMENTS", "CRYPT", "RUN", "RUN_LENGTH", "SCHEME", "SHAPES", "Shape"]

RUN, CRYPT, SCHEME = "\x00run", "\x00crypt", "\x00scheme"
"""Triggers that are no literals: RUN_LENGTH letters, digits, `_` and `-` in a row; `$6$`; `{SSHA}`."""

RUN_LENGTH = 20  # an AWS key's id, the shortest that issuers' forms have

_MARGIN = r"\A[\s|+>]{0,64}"  # what a probe, a diff or a quotation puts before a line

Keep = Callable[[re.Match[str]], bool]


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of secret.

    Attributes:
        name: what is written under `by` in a redaction.
        triggers: lower-case literals, or RUN, one of which must be in a line.
        source, flags: the pattern that finds it; its group `s`, if there is one, is the secret. It is
            compiled when first tried.
        keep: looks twice at a match; False lets it stay.
    """

    name: str
    triggers: tuple[str, ...]
    source: str
    flags: int = re.IGNORECASE
    keep: Keep | None = None

    def spans(self, line: str) -> list[tuple[int, int]]:
        """Where the secrets of this shape lie in a line."""
        pattern = _compiled(self.source, self.flags)
        group = "s" if "s" in pattern.groupindex else 0
        return [
            match.span(group) for match in pattern.finditer(line) if self.keep is None or self.keep(match)
        ]


def _shape(name: str, triggers: str, pattern: str, keep: Keep | None = None, flags: int = re.I) -> Shape:
    return Shape(name, tuple(triggers.split()), pattern, flags, keep)


@cache
def _compiled(source: str, flags: int) -> re.Pattern[str]:
    return re.compile(source, flags)


def _telling(match: re.Match[str]) -> bool:
    return not harmless(match["s"])


def _telling_argument(match: re.Match[str]) -> bool:
    return not match["s"].startswith("-") and not harmless(match["s"])


def _with_digit(match: re.Match[str]) -> bool:
    return any(map(str.isdigit, match["s"])) or is_random(match["s"], 16)


def _basic(match: re.Match[str]) -> bool:
    text = match["s"].rstrip("=")
    try:
        return b":" in base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return False


def _assigned(match: re.Match[str]) -> bool:
    start = match.start("w")
    before = match.string[max(start - 64, 0) : start]
    return holds_secret(before, match["w"], match["rest"], match["sep"], match["s"])


_DIGESTS = ("sha256:", "sha256-", "sha384-", "sha512-", "sha512:", "sha1:", "h1:", "sha256=")


def _random(match: re.Match[str]) -> bool:
    before = match.string[max(match.start() - 8, 0) : match.start()].lower()
    return not before.endswith(_DIGESTS) and is_random(match[0])


# Prefixes that issuers chose so that their tokens are found.
_PREFIXES = (
    r"gh[pousr]_[A-Za-z0-9_]{20,}|github_pat_[A-Za-z0-9_]{20,}|GR1348941[\w-]{16,}"
    r"|gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas|ffct|wt)-[\w-]{18,}[\w.-]*"
    r"|xapp-[\w-]{16,}"
    r"|(?:sk|rk|pk)_(?:live|test)_[0-9a-zA-Z]{12,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-z]{32}(?![0-9a-z])|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}"
    r"|AGE-PLUGIN-[\w-]{30,}|hv[sbr]\.[\w-]{20,}|do[opr]_v1_[a-f0-9]{40,}"
    r"|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|sq0[a-z]{3}-[\w-]{20,}|EAAA[\w-]{56,}"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}|1//0[\w-]{30,}"
    r"|(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|sk-(?!ssh-|ecdsa-)[\w-]{20,}|hf_[A-Za-z0-9]{30,}|dapi[a-f0-9]{32}|lin_api_[A-Za-z0-9]{30,}|ntn_[A-Za-z0-9]{40,}"
    r"|glsa_\w{20,}|NRAK-[A-Z0-9]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}|pul-[a-f0-9]{40}"
    r"|dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{1,32}\.)?[A-Za-z0-9]{30,}|dckr_(?:pat|oat)_[\w-]{20,}|PMAK-[\w-]{40,}"
    r"|ATATT3[\w=-]{40,}|v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}|tskey-[\w-]{20,}"
    r"|AKCp[A-Za-z0-9]{40,}|sbp_[a-f0-9]{40}|pscale_[a-z]{2,6}_[\w.-]{20,}|HRKU-[\w-]{30,}"
)
_UNMARKED = (  # told by their form alone: Twilio, Telegram, Discord, Mailchimp
    r"AC[a-f0-9]{32}(?![0-9a-z])|SK[a-f0-9]{32}(?![0-9a-z])|\d{8,10}:[A-Za-z0-9_-]{35}(?![\w-])"
    r"|[MNO][A-Za-z\d_-]{23,27}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,38}|[0-9a-f]{32}-us\d{1,2}(?!\w)"
)

_ISSUERS = (
    _shape("issuer's prefix", RUN, rf"(?<![A-Za-z0-9])(?:{_PREFIXES})", flags=0),
    _shape(
        "issuer's prefix", "xox whsec_ glc_ fm1_ fm2_ 8q~",
        r"(?<![A-Za-z0-9])(?:xox[a-z](?:\.xox[a-z])?-[\w-]{10,}|whsec_[A-Za-z0-9+/=]{16,}|glc_[\w+/=]{20,}"
        r"|fm[12]_[\w+/=,]{30,}|[\w~.-]{3}8Q~[\w~.-]{31,34})", flags=0,
    ),
    _shape("issuer's form", RUN, rf"(?<![A-Za-z0-9])(?:{_UNMARKED})", flags=0),
    _shape("age key", RUN, r"AGE-SECRET-KEY-1[0-9A-Z]{30,}"),
    _shape(
        "JSON web token", "eyj", r"(?<![\w-])eyJ[\w-]{6,}={0,2}\.[\w-]{4,}={0,2}(?:\.[\w=-]*){0,3}", flags=0
    ),
    _shape(
        "webhook", "hook",
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|/api/webhooks/\d+|webhook\.office\.com/webhookb2)"
        r"/(?P<s>[\w/@.-]{8,})",
    ),
    _shape(
        "AWS secret key", RUN,
        r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[A-Z0-9]{16}[\s,;:\"'|]{1,8}(?P<s>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        flags=0,
    ),
    _shape(
        "shared access key", "sharedaccess key",
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature)\s*=\s*(?P<s>[^;\s\"']{8,})",
    ),
    _shape("shared access key", "sig=", r"(?<![a-z])sig=(?P<s>[\w%+/=-]{16,})"),
)  # fmt: skip

_HASHES = (
    _shape(
        "password hash", f"{CRYPT} {SCHEME} scram-sha-",
        r"\$(?:y|gy|7|6|5|1|2[abxy]?|apr1|sha1|md5|argon2(?:id|i|d)|pbkdf2[\w-]{0,16}|scrypt|bcrypt[\w-]{0,16})"
        r"\$[./A-Za-z0-9$=,+-]{8,}"
        r"|\{(?:S?SHA\d{0,3}|CRYPT|S?MD5|PBKDF2[\w-]{0,16}|ARGON2\w{0,2})\}[./A-Za-z0-9+$=,-]{12,}"
        r"|SCRAM-SHA-\d{1,3}\$[\w+/=:$]{20,}",
    ),
    # A line of a shadow file, whatever the method; then one of Samba's password files.
    _shape(
        "password hash", ":::",
        _MARGIN + r"[\w.-]{1,64}:!?(?P<s>[./A-Za-z0-9$]{13,}):\d*:\d*:\d*:\d*:::", flags=0,
    ),
    _shape("password hash", ":[u", r":(?P<s>[0-9A-F]{32}:[0-9A-F]{32}):\[U"),
)  # fmt: skip

_HEADERS = (
    _shape(
        "authorization header", "authorization",
        r"authorization[\"'\\]{0,3}\s*[:=]\s*[\"'\\]{0,3}"
        r"(?:(?:bearer|basic|token|digest|negotiate|ntlm|apikey|api-key|bot)\s+)?(?P<s>[^\s\"'\\][^\"'\\\n]{5,})",
        _with_digit,
    ),
    _shape(
        "authorization header", "authorization",  # as web servers' settings write it: name "value"
        r"authorization[\"'\\]{0,3}\s+[\"'\\]{0,3}(?:bearer|basic|token|digest)\s+(?P<s>[^\s\"'\\;]{6,})",
        _with_digit,
    ),
    _shape("authorization header", "bearer", r"\bbearer[\s:=]+(?P<s>[\w.~+/=-]{8,})", _with_digit),
    _shape("authorization header", "basic", r"\bbasic\s+(?P<s>[A-Za-z0-9+/=]{8,})", _basic),
    _shape(
        "cookie header", "cookie", r"(?<![\w-])(?:set-)?cookie[\"']?\s*:\s*[\"']?(?P<s>[^\"'\n]{4,})",
        lambda match: "=" in match["s"],
    ),
    # Greedy up to the last @ before another URL: passwords hold @ too. A port with a path is no password.
    _shape(
        "URL credentials", "://",
        r"://[^\s/:@\"'<>]{0,256}:(?!\d{1,5}/)(?P<s>(?:(?!://)[^\s\"'<>]){1,512})@(?=[\w.\[%$-])",
        lambda match: not match["s"].startswith(("$", "{{", "%")),
    ),
    _shape("URL credentials", "://", r"://(?P<s>[\w-]{20,255})@(?=[\w.\[-])"),
    _shape("registry login", "\"auth\" 'auth'", r"[\"']auth[\"']\s*:\s*[\"'](?P<s>[A-Za-z0-9+/=]{8,})[\"']"),
)  # fmt: skip

# The name's own closing (of a quote, a bracket, an escaped quote), then the sign.
_NAMED = (
    rf"(?P<w>{NAMES})(?P<rest>[\w.-]{{0,48}}+)(?:\[\d{{0,4}}\])?[\"'\])\\]{{0,4}}+\s{{0,64}}+"
    r"(?P<sep>:=|=>|={1,3}|!=|::?)\s{0,64}+"
)
# In quotes up to the same quote; else a word, up to the next assignment in a list of such.
_VALUE = (
    r"[@b]?(?P<open>\\{0,3}[\"'`])?(?P<s>(?(open)(?:(?!(?P=open))(?:\\.|.))++"
    r"|[^\s\"'`][^\s\"'`&;,]*+(?:[&;,](?!\s?[\w.-]{1,64}\s?=)[^\s\"'`&;,]*+)*+))"
)
_LINE_START = r"\A[\s|+>#;-]{0,16}(?:export\s+|set\s+)?[\"']?[\w.-]{0,64}?"
_KEYWORDS = " ".join(NAME_TRIGGERS)

_NAMES = (
    _shape("keyword", _KEYWORDS, _NAMED + _VALUE, _assigned),
    # A name that begins its line owns the line: passphrases hold spaces.
    _shape("keyword", _KEYWORDS, _LINE_START + _NAMED + r"(?![\"'`\\{\[])(?P<s>\S.*)", _assigned),
    _shape(
        "keyword", "secret pass masterauth pw psk key",
        _MARGIN + r"(?:(?:[\w-]{1,32}\s+)?(?:secret|password|passwd|auth_pass|requirepass|masterauth|bindpw"
        r"|rootpw\w{0,4}|key-string|psk))\s+[\"']?(?P<s>[^\s\"';]{3,})[\"']?;?\s*\Z",
        _telling_argument,
    ),
    _shape(
        "netrc", "login machine account",
        r"\b(?:login|account|machine)\s+\S{1,128}\s+(?:account\s+\S+\s+)?password\s+(?P<s>\S{3,})",
        _telling_argument,
    ),
    _shape("pre-shared key", "psk", r"(?<![\w-])PSK\s+[\"'](?P<s>[^\"'\n]{3,})[\"']"),
    _shape(
        "SQL password", "identified",
        r"identified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?[\"'](?P<s>[^\"'\n]{3,})[\"']",
    ),
    _shape(
        "time server's key", "md5 sha1 sha2 sha3 sha5 aes",
        _MARGIN + r"\d{1,6}\s+(?:MD5|SHA[1235]\d{0,2}|AES\d{0,3})\s+(?:HEX:|ASCII:)?(?P<s>[^\s#]{6,})\s*\Z",
    ),
    _shape(
        "SNMP community", "community com2sec trapsink trap2sink",
        r"(?:\br[ow]community6?\s+|\b(?:trap)?community\s+|\btrap2?sink\s+\S+\s+"
        r"|\bcom2sec6?\s+(?:-Cn\s+\S+\s+)?\S+\s+\S+\s+|\bcommunity[\"']?\s*[:=]\s*)[\"']?(?P<s>[^\s\"']{3,})",
        _telling,
    ),
    _shape("SNMP user", "createuser", r"\bcreateUser\s+\S+\s+(?P<s>\S.{3,})"),
    _shape(
        "random text", RUN, r"(?<![A-Za-z0-9+/=_.-])[A-Za-z0-9+/_-]{32,}(?![A-Za-z0-9+/_.-])",
        _random, flags=0,
    ),
)  # fmt: skip

_OPTION = (
    r"(?:[\w-]{0,32}-)?(?:passw(?:or)?d|passphrase|pass|pwd|pw|secret|token|api-?key|access-?key|secret-?key"
    r"|private-?key|auth-?key|credentials?|community|psk|bearer|license-?key)"
)
_ON = r"[^\n|;&]{0,400}?\s"  # on to the command's option: past no pipe and no further command
_ARGUMENT = r"\s*[\"']?(?P<s>[^\s\"']{3,})"
_WITH_OPTION = "|".join(
    command + _ON + option
    for command, option in (
        (r"sshpass", "-p"), (r"redis-cli", "-a"), (r"ldap\w{3,12}", "-w"), (r"snmp\w{2,12}", "-[cAX]"),
        (r"ipmitool", "-P"), (r"(?:docker|podman)\s+login", "-p"), (r"mongo\w{0,12}", "-p"),
        (r"sqlcmd", "-P"), (r"(?:plink|pscp)", "-pw"), (r"7z\w?", "-p"), (r"\bzip", "-P"),
        (r"keytool", "-(?:store|key)pass"), (r"(?:mysql|maria|mycli)[\w.-]{0,16}(?=\s)", r"-p(?=\S)"),
    )
)  # fmt: skip

ARGUMENTS: tuple[Shape, ...] = (
    _shape(
        "option", "pass pw secret token key credential community psk bearer",
        rf"(?<![\w-])--?{_OPTION}(?:\s*=|\s){_ARGUMENT}", _telling_argument,
    ),
    _shape(
        "option",
        "pass redis-cli ldap snmp ipmitool login mongo sqlcmd plink pscp 7z zip key mysql maria mycli",
        rf"(?:{_WITH_OPTION}){_ARGUMENT}", _telling_argument, flags=0,
    ),
    _shape(
        "option", "curl wget",
        rf"(?:curl|wget)(?=\s){_ON}(?:-u|-U|--user|--proxy-user|-a|--auth)[\s=]*[\"']?[^\s:\"']{{0,128}}"
        r":(?P<s>[^\s\"']{3,})", flags=0,
    ),
    _shape("option", "pass", rf"htpasswd\s+-\w*b\w*\s+\S+\s+\S+\s{_ARGUMENT}", _telling_argument),
    _shape(
        "option", "smbclient mount.cifs rpcclient",
        rf"(?:smbclient|mount\.cifs|rpcclient){_ON}(?:-U|-o)\s*[^\s%]{{1,64}}%(?P<s>\S{{3,}})",
        flags=0,
    ),
    _shape("option", "pass", r"(?<!\w)pass:(?P<s>[^\s\"']{3,})", _telling_argument),
    _shape(
        "option", "pass sudo",
        r"echo\s+(?:-\w+\s+)?[\"']?(?:[\w.-]+:)?(?P<s>[^\s\"'|]{3,})[\"']?\s*\|\s*(?:sudo\s+(?:-\S+\s+)?)?"
        r"(?:chpasswd|passwd\s+--stdin|sudo\s+-S)",
    ),
)  # fmt: skip
"""Shapes of a command's arguments: tried on lists of arguments too, put together again."""

SHAPES: tuple[Shape, ...] = (*_ISSUERS, *_HASHES, *_HEADERS, *_NAMES, *ARGUMENTS)
"""Every shape."""
