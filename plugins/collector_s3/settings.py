"""The options of a `[[sink]] use = "s3"` table, checked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from collector.model import ConfigError, Json, Option

__all__ = ["OPTIONS", "Lock", "Settings"]

OPTIONS = (
    Option("bucket", "string", "name of the bucket", required=True),
    Option("prefix", "string", "what keys begin with, as in acme/; nothing if left out", default=""),
    Option("endpoint", "string", "where the store is, as in https://s3.example.org; AWS if left out"),
    Option("region", "string", "region of the bucket; as the profile or the environment says if left out"),
    Option("profile", "string", "profile of the AWS configuration files that credentials come from"),
    Option("lock", "table", '{ mode = "governance" or "compliance", days = 400 }; no lock if left out'),
    Option("kms_key", "string", "key of KMS that the store encrypts with; as the bucket says if left out"),
    Option(
        "keep", "duration", "how long the bucket's lifecycle rules keep bundles; the collector deletes none"
    ),
)

# Amazon S3 User Guide, "General purpose bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]\Z")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,199}/){0,8}\Z")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 :/._@+=-]{0,255}\Z")
_MODES = ("governance", "compliance")
_MAX_DAYS = 36500  # the longest retention that S3 takes
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Lock:
    """Retention that each bundle is stored with."""

    mode: str
    days: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What the table says. `prefix` is empty or ends with a slash."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    profile: str | None
    lock: Lock | None
    kms_key: str | None

    @classmethod
    def of(cls, table: Mapping[str, Json]) -> Settings:
        """Check a table. Raises ConfigError that names the key and what is allowed."""
        words = {name: _word(name, table.get(name)) for name in ("region", "profile", "kms_key")}
        lock = _lock(table.get("lock"))
        keep = table.get("keep")
        if lock and keep is not None and keep < lock.days * _DAY:
            raise _wrong("keep", f"is shorter than the lock, {lock.days} days")
        return cls(
            bucket=_bucket(table["bucket"]),
            prefix=_prefix(table.get("prefix") or ""),
            endpoint=_endpoint(table.get("endpoint")),
            lock=lock,
            **words,
        )

    @property
    def address(self) -> str:
        """The bucket and prefix as a URL."""
        if self.endpoint:
            return f"{self.endpoint}/{self.bucket}/{self.prefix}"
        return f"s3://{self.bucket}/{self.prefix}"


def _wrong(key: str, what: str) -> ConfigError:
    return ConfigError(f"[[sink]] s3: {key}: {what}")


def _bucket(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if _BUCKET.match(name):
            return name
    raise _wrong(
        "bucket", f"{name!r:.80} is no name of a bucket: 3 to 63 of a-z, 0-9, `.` and `-`, no address"
    )


def _prefix(text: str) -> str:
    if not _PREFIX.match(text):
        raise _wrong(
            "prefix", f"{text!r:.80}: must be parts of letters, digits, `.`, `_` and `-`, each ended by /"
        )
    return text


def _word(name: str, text: str | None) -> str | None:
    if text is not None and not _WORD.match(text):
        raise _wrong(name, f"{text!r:.80} is not allowed: letters, digits and :/._@+=- only")
    return text


def _endpoint(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _wrong("endpoint", "is no URL; write https://s3.example.org") from None
    # A URL with a password would show it in every message.
    if parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
        raise _wrong("endpoint", "scheme, host and port only, as in https://s3.example.org")
    if not host or parts.scheme not in ("http", "https"):
        raise _wrong("endpoint", f"{text!r:.80} is no URL; write https://s3.example.org")
    if parts.scheme == "http" and not _is_loopback(host):
        raise _wrong("endpoint", "evidence goes over https only; http is for this machine's own addresses")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lock(table: Mapping[str, Json] | None) -> Lock | None:
    if table is None:
        return None
    mode, days = table.get("mode"), table.get("days")
    if set(table) != {"mode", "days"} or mode not in _MODES:
        raise _wrong("lock", 'must be { mode = "governance" or "compliance", days = 400 }')
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= _MAX_DAYS:
        raise _wrong("lock", f"days: must be a whole number from 1 to {_MAX_DAYS}")
    return Lock(mode, days)
