"""Large bundles in parts: one object in the end, and its completion is the commit mark.

S3 has no SHA-256 of a whole object that came in parts: its checksum is that of the parts' checksums
("composite"). So the store compares each part's SHA-256 and, on completion, the composite; that the parts
together are the bundle is compared here, against the SHA-256 announced, before they are completed.

An upload that was cut off goes on where each part that the store holds is a part of the file as it is now,
by its SHA-256 or, where a store does not list these, by MD5 (which completion does not rely on).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from collector.model import SinkRefused
from collector_s3.answers import told

__all__ = ["FROM", "PART", "Upload", "composite"]

FROM = 32 << 20
"""Bytes from which on a bundle is sent in parts."""

PART = 16 << 20
"""Bytes of a part; S3 takes parts from 5 MiB on."""

_MOST_PARTS = 10_000
_MIB = 1 << 20
_TRIES = 3  # for a part, within one delivery; a longer break is the outbox's to wait for


@dataclass(frozen=True, slots=True)
class Upload:
    """One object to be.

    Attributes:
        client: botocore's.
        place: `Bucket` and `Key`.
        headers: of the object: lock, encryption.
        condition: of its completion.
    """

    client: Any
    place: Mapping[str, str]
    headers: Mapping[str, Any]
    condition: Mapping[str, str]

    def send(self, file: IO[bytes], size: int, sha256: str) -> tuple[Mapping[str, Any], str, bool]:
        """Send what the store does not hold yet, and complete it.

        Returns:
            The store's answer, the checksum that it should confirm, and whether an earlier upload went on
            (with that one's headers).

        Raises:
            SinkRefused: the bytes are not those announced, or the store will not have them.
            OSError: cut off; what arrived stays for the next try.
        """
        part = max(PART, -(-size // (_MOST_PARTS * _MIB)) * _MIB)
        found = self._found(file, part)
        upload = found[0] if found else self._begun()
        try:
            parts = self._sent(upload, file, part, sha256, found[1] if found else {})
            checksum = composite([each["ChecksumSHA256"] for each in parts])
            return self._completed(upload, parts, checksum), checksum, found is not None
        except SinkRefused:
            self._abort(upload)
            raise

    def _begun(self) -> str:
        with told("starting an upload"):
            answer = self.client.create_multipart_upload(
                **self.place, ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE", **self.headers
            )
        return str(answer["UploadId"])

    def _sent(
        self, upload: str, file: IO[bytes], part: int, sha256: str, held: Mapping[int, Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        whole = hashlib.sha256()
        parts: list[dict[str, Any]] = []
        file.seek(0)
        for number, data in enumerate(_chunks(file, part), 1):
            whole.update(data)
            checksum = _base64(hashlib.sha256(data).digest())
            etag = held[number]["ETag"] if number in held else self._part(upload, number, data, checksum)
            parts.append({"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum})
        if whole.hexdigest() != sha256:
            raise SinkRefused("the bytes to store are not those that were announced")
        return parts

    def _part(self, upload: str, number: int, data: bytes, checksum: str) -> str:
        for left in reversed(range(_TRIES)):
            try:
                with told(f"part {number}"):
                    answer = self.client.upload_part(
                        **self.place, UploadId=upload, PartNumber=number, Body=data, ChecksumSHA256=checksum
                    )
                return str(answer["ETag"])
            except OSError:
                if not left:
                    raise
        raise AssertionError

    def _completed(self, upload: str, parts: list[dict[str, Any]], checksum: str) -> Mapping[str, Any]:
        with told("completing the upload"):
            answer: Mapping[str, Any] = self.client.complete_multipart_upload(
                **self.place,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                ChecksumSHA256=checksum,
                ChecksumType="COMPOSITE",
                **self.condition,
            )
        return answer

    def _found(self, file: IO[bytes], part: int) -> tuple[str, dict[int, Mapping[str, Any]]] | None:
        """The newest upload for this key whose parts are all of this file; those that are not are removed."""
        going: tuple[str, dict[int, Mapping[str, Any]]] | None = None
        with suppress(SinkRefused):  # credentials that may not look: a new upload begins
            for upload in self._pending():
                held = self._held(upload)
                if going is None and held and _same(file, part, held):
                    going = upload, held
                else:
                    self._abort(upload)
        return going

    def _pending(self) -> list[str]:
        with told("looking for uploads"):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.place["Bucket"], Prefix=self.place["Key"]
            )
            found = [each for page in pages for each in page.get("Uploads", ())]
        mine = [each for each in found if each["Key"] == self.place["Key"]]
        return [each["UploadId"] for each in sorted(mine, key=lambda each: each["Initiated"], reverse=True)]

    def _held(self, upload: str) -> dict[int, Mapping[str, Any]]:
        with told("looking for parts"):
            pages = self.client.get_paginator("list_parts").paginate(**self.place, UploadId=upload)
            return {int(each["PartNumber"]): each for page in pages for each in page.get("Parts", ())}

    def _abort(self, upload: str) -> None:
        with suppress(OSError, SinkRefused), told("removing an upload"):
            self.client.abort_multipart_upload(**self.place, UploadId=upload)


def composite(checksums: list[str]) -> str:
    """S3's checksum of an object in parts: over the parts' own, in order, and how many they are."""
    digest = hashlib.sha256(b"".join(base64.b64decode(each) for each in checksums)).digest()
    return f"{_base64(digest)}-{len(checksums)}"


def _same(file: IO[bytes], size: int, held: Mapping[int, Mapping[str, Any]]) -> bool:
    """Whether each part that the store holds is what the file has there."""
    for number, part in held.items():
        file.seek((number - 1) * size)
        data = file.read(size)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        sha256 = part.get("ChecksumSHA256")
        alike = sha256 == _base64(hashlib.sha256(data).digest()) if sha256 else part["ETag"].strip('"') == md5
        if part["Size"] != len(data) or not alike:
            return False
    return True


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while data := file.read(size):
        yield data


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
