"""The least privilege, as IAM policies that can be attached as they are."""

from __future__ import annotations

import json
from typing import Any

from collector.model import CANARIES
from collector_s3.settings import Settings

__all__ = ["policy"]


def policy(settings: Settings) -> str:
    """Policies for the user or role that uploads, one for each thing that it may do.

    Actions and resources: Service Authorization Reference, "Amazon S3" and "AWS KMS".
    """
    bucket = f"arn:aws:s3:::{settings.bucket}"
    objects = f"{bucket}/{settings.prefix}*"
    canaries = f"{bucket}/{settings.prefix}{CANARIES}*"
    prefix = {"StringLike": {"s3:prefix": [f"{settings.prefix}*"]}}
    lock = ["s3:PutObjectRetention"] if settings.lock else []
    uploads = [_allow("Upload", ["s3:PutObject", *lock], objects)]
    if settings.kms_key:
        # Parts are decrypted when they are joined, so an upload needs kms:Decrypt too.
        uploads.append(_allow("Encrypt", ["kms:GenerateDataKey", "kms:Decrypt"], _key(settings.kms_key)))
    reads = [_allow("ReadBack", ["s3:GetObject"], objects), _allow("List", ["s3:ListBucket"], bucket, prefix)]
    resumes = [
        _allow("Parts", ["s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"], objects),
        _allow("Uploads", ["s3:ListBucketMultipartUploads"], bucket, prefix),
    ]
    checks = [_allow("Check", ["s3:DeleteObject", "s3:DeleteObjectVersion"], canaries)]
    return "\n".join(
        (
            "# Upload, and nothing else: enough for every delivery. Large bundles that were cut off",
            "# begin anew; the lifecycle rule AbortIncompleteMultipartUpload removes what is left of them.",
            *_document(uploads),
            "",
            "# Read back: bundles are compared, and the head of a series is found without local state.",
            *_document(reads),
            "",
            "# Resume: large bundles that were cut off go on.",
            *_document(resumes),
            "",
            "# `collector sink check`: canaries may be deleted, which tells a lock from a lack of rights.",
            *_document(checks),
            "",
        )
    )


def _allow(sid: str, actions: list[str], resource: str, condition: Any = None) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def _document(statements: list[dict[str, Any]]) -> list[str]:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2).splitlines()


def _key(key: str) -> str:
    """A key's ARN; an identifier or alias stands for one of any account and region."""
    if key.startswith("arn:"):
        return key
    return f"arn:aws:kms:*:*:{key}" if key.startswith("alias/") else f"arn:aws:kms:*:*:key/{key}"
