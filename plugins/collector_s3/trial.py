"""What a bucket's locks really keep from happening: tried on canaries.

A refusal alone proves no lock: credentials that may delete nothing are refused too. So each attempt has a
counterpart that only the lock tells apart, and where that is refused as well, it could not be told.

Locks of canaries last two minutes, the shortest that clocks a little apart allow; until then they stay.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.model import Enforced, SinkRefused
from collector_s3.answers import told
from collector_s3.settings import Settings

__all__ = ["CANARY_LOCK", "Trial"]

CANARY_LOCK = timedelta(minutes=2)
_SHORTER = timedelta(seconds=60)
_CONTENTS = b"a canary of `collector sink check`\n"
_DELETE = "a locked version cannot be deleted"
_SHORTEN = "the retention of a locked version cannot be shortened"
_LIFT = "these credentials cannot lift a lock"


class Trial:
    """The trial of one bucket.

    Args:
        client: botocore's.
        settings: of the sink.
        name: the whole key that canaries begin with.
        canaries: those that are there already: key to version.
    """

    def __init__(self, client: Any, settings: Settings, name: str, canaries: Mapping[str, str]) -> None:
        self._client = client
        self._settings = settings
        self._name = name
        self._stored = dict(canaries)

    def carry_out(self) -> list[Enforced]:
        """Try, then remove what can be removed. Raises OSError where the store cannot be reached."""
        found = self._tried() if self._settings.lock else [_unlocked()]
        return [*found, self._removed()]

    def _tried(self) -> list[Enforced]:
        now = datetime.now(UTC).replace(microsecond=0)
        mode = self._settings.lock.mode.upper() if self._settings.lock else ""
        until = now + CANARY_LOCK
        key = f"{self._name}.locked"
        lock = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}
        try:
            version = self._put(key, **lock)
        except SinkRefused as error:
            return [Enforced(what, False, str(error)) for what in (_DELETE, _SHORTEN, _LIFT)]
        if version == "null":
            why = "the bucket keeps no versions, so what is stored can be written over"
            return [Enforced(what, False, why) for what in (_DELETE, _SHORTEN, _LIFT)]
        shortened = self._shorten(key, version, mode, now, until)
        return [self._delete(key, version), shortened, self._lift(key, version)]

    def _put(self, key: str, **lock: Any) -> str:
        checksum = base64.b64encode(hashlib.sha256(_CONTENTS).digest()).decode()
        with told("storing a canary"):
            answer = self._client.put_object(
                Bucket=self._settings.bucket,
                Key=key,
                Body=_CONTENTS,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum,
                **lock,
            )
        self._stored[key] = str(answer.get("VersionId", "null"))
        return self._stored[key]

    def _remove(self, key: str, **more: Any) -> str:
        """Delete a version: "" where that worked, else the answer."""
        try:
            with told("deleting"):
                self._client.delete_object(
                    Bucket=self._settings.bucket, Key=key, VersionId=self._stored[key], **more
                )
        except SinkRefused as error:
            return str(error)
        del self._stored[key]
        return ""

    def _delete(self, key: str, version: str) -> Enforced:
        refusal = self._remove(key)
        if not refusal:
            self._stored.pop(key, None)
            return Enforced(_DELETE, False, f"version {version} was deleted although it was locked")
        if "object lock" in refusal.lower() or self._may_delete():
            return Enforced(_DELETE, True, refusal)
        return Enforced(
            _DELETE,
            None,
            "refused, but these credentials may delete nothing, locked or not; "
            "`collector permissions s3` prints what this check needs, for canaries alone",
        )

    def _may_delete(self) -> bool:
        try:
            self._put(f"{self._name}.free")
        except SinkRefused:
            return False
        return not self._remove(f"{self._name}.free")

    def _retain(self, key: str, version: str, mode: str, until: datetime) -> str:
        retention = {"Mode": mode, "RetainUntilDate": until}
        try:
            with told("setting retention"):
                self._client.put_object_retention(
                    Bucket=self._settings.bucket, Key=key, VersionId=version, Retention=retention
                )
        except SinkRefused as error:
            return str(error)
        return ""

    def _shorten(self, key: str, version: str, mode: str, now: datetime, until: datetime) -> Enforced:
        refusal = self._retain(key, version, mode, now + _SHORTER)
        if not refusal:
            return Enforced(_SHORTEN, False, "the store took an earlier end")
        if longer := self._retain(key, version, mode, until + timedelta(seconds=1)):
            return Enforced(_SHORTEN, None, f"refused, but so was a later end: {longer}")
        return Enforced(_SHORTEN, True, refusal)

    def _lift(self, key: str, version: str) -> Enforced:
        if key not in self._stored:
            return Enforced(_LIFT, False, "no lock held")
        refusal = self._remove(key, BypassGovernanceRetention=True)
        if refusal:
            return Enforced(_LIFT, True, refusal)
        why = f"version {version} was deleted before its time; take s3:BypassGovernanceRetention from them"
        return Enforced(_LIFT, False, why)

    def _removed(self) -> Enforced:
        for key in list(self._stored):
            with suppress(OSError):
                self._remove(key)
        what = "the canaries are removed"
        if not self._stored:
            return Enforced(what, True, promised=False)
        locked = f", locked for at most {CANARY_LOCK.seconds + 1} s" if self._settings.lock else ""
        return Enforced(what, False, f"{len(self._stored)} stay below {self._name}{locked}", promised=False)


def _unlocked() -> Enforced:
    return Enforced(
        "a stored bundle cannot be deleted", False, "no `lock` is configured for this sink", promised=False
    )
