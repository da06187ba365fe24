"""Bundles in a bucket: stored once, each with its SHA-256 compared by the store, locked where asked for.

Every put is conditional (`If-None-Match: *`) and is made once: were it repeated here after a lost answer,
the second try would find the first one's object and take it for a stranger's. Repeating is the outbox's.

The collector deletes no bundle. When locks have ended, the bucket's lifecycle rules do, where that is
wanted; `keep` says so in the statement.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import IO, Any, ClassVar

from collector.hookspecs import check_key, is_key
from collector.model import (
    CANARIES,
    ConfigError,
    Enforced,
    Json,
    Option,
    SinkRefused,
    SinkUnreadable,
)
from collector_s3 import multipart
from collector_s3.answers import reading, told
from collector_s3.policy import policy
from collector_s3.settings import OPTIONS, Settings
from collector_s3.trial import CANARY_LOCK, Trial

__all__ = ["S3Sink"]

_CONNECT, _READ = 10, 60  # seconds; a part is written within the second
_BUFFER = 1 << 20


class S3Sink:
    """Bundles in a bucket."""

    name: ClassVar[str] = "s3"
    title: ClassVar[str] = "A bucket of S3 or of a store that speaks its protocol, with locks"
    options: ClassVar[tuple[Option, ...]] = OPTIONS
    confirms: ClassVar[bool] = True
    replaces: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._settings = Settings.of(settings)
        self._canaries: dict[str, str] = {}

    @property
    def address(self) -> str:
        """The bucket and prefix."""
        return self._settings.address

    @cached_property
    def client(self) -> Any:
        """Botocore's client, by the usual chain of credentials. Raises ConfigError where boto3 is missing."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise ConfigError("sink s3 needs boto3: pip install 'evidence-collector[aws]'") from None
        own = self._settings
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            request_checksum_calculation="when_required",
            s3={"addressing_style": "path"} if own.endpoint else {},
        )
        with told("credentials"):
            session = boto3.Session(profile_name=own.profile, region_name=own.region)
            region = session.region_name or ("us-east-1" if own.endpoint else None)
            return session.client("s3", endpoint_url=own.endpoint, region_name=region, config=config)

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store a file under a key, in parts where it is large.

        Raises:
            SinkTaken: something is stored under the key.
            SinkRefused: the store will not have it: rights, lock, checksum, no such bucket.
            OSError: the store cannot be reached, or not now.
        """
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        condition = {"IfNoneMatch": "*"} if absent else {}
        place, headers = self._place(key), self._headers(key)
        resumed = False
        if size >= multipart.FROM:
            upload = multipart.Upload(self.client, place, headers, condition)
            answer, expected, resumed = upload.send(file, size, sha256)
        else:
            expected = base64.b64encode(bytes.fromhex(sha256)).decode()
            with told("storing"):
                answer = self.client.put_object(
                    **place,
                    Body=file,
                    ContentLength=size,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=expected,
                    **condition,
                    **headers,
                )
        if key.startswith(CANARIES):
            self._canaries[key] = str(answer.get("VersionId", "null"))
        if resumed:
            self._lock_again(place, headers, answer)
        if answer.get("ChecksumSHA256") != expected:
            self._must_be_readable(key)

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored."""
        with reading("reading", key):
            answer = self.client.get_object(**self._place(key))
        return io.BufferedReader(_Body(answer["Body"]), _BUFFER)

    def head(self, key: str) -> int | None:
        """Its size, or None."""
        try:
            with reading("looking", key):
                return int(self.client.head_object(**self._place(key))["ContentLength"])
        except FileNotFoundError:
            return None

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, sorted, a page at a time; canaries only where they are asked for."""
        start = len(self._settings.prefix)
        where = {"Bucket": self._settings.bucket, "Prefix": self._settings.prefix + prefix}
        with reading("listing", prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(**where):
                for each in page.get("Contents", ()):
                    key = str(each["Key"])[start:]
                    if is_key(key) and key.startswith(CANARIES) == prefix.startswith(CANARIES):
                        yield key

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:  # noqa: ARG002 - the contract's signature
        """Delete nothing: what ends is the lock's and the bucket's lifecycle rules' to say."""
        return ()

    def check(self, key: str) -> Sequence[Enforced]:
        """Try to delete a locked version, to shorten its retention and to lift its lock."""
        canaries = {self._settings.prefix + each: version for each, version in self._canaries.items()}
        self._canaries.clear()
        trial = Trial(self.client, self._settings, self._settings.prefix + key, canaries)
        return trial.carry_out()

    def permissions(self) -> str:
        """IAM policies: for uploading, and marked apart, for reading back, resuming and checking."""
        return policy(self._settings)

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": self._settings.prefix + check_key(key)}

    def _headers(self, key: str) -> dict[str, Any]:
        headers: dict[str, Any] = {}
        if lock := self._settings.lock:
            time = CANARY_LOCK if key.startswith(CANARIES) else timedelta(days=lock.days)
            headers["ObjectLockMode"] = lock.mode.upper()
            headers["ObjectLockRetainUntilDate"] = datetime.now(UTC) + time
        if self._settings.kms_key:
            headers |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._settings.kms_key}
        return headers

    def _lock_again(
        self, place: Mapping[str, str], headers: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> None:
        """An upload that went on was begun with the lock of that day, perhaps with none."""
        if "ObjectLockMode" not in headers:
            return
        until = {"Mode": headers["ObjectLockMode"], "RetainUntilDate": headers["ObjectLockRetainUntilDate"]}
        version = {"VersionId": answer["VersionId"]} if "VersionId" in answer else {}
        with told("locking"):
            self.client.put_object_retention(**place, **version, Retention=until)

    def _must_be_readable(self, key: str) -> None:
        """A store that confirms no checksum is believed only where the core can compare."""
        try:
            self.head(key)
        except SinkUnreadable:
            raise SinkRefused(
                "the store did not confirm the SHA-256, and these credentials may not read: "
                "nothing shows what it holds"
            ) from None


class _Body(io.RawIOBase):
    """An answer's body as a file; what breaks while it is read is an OSError."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with told("reading"):
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
