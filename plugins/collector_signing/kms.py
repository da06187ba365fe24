"""A key of AWS KMS; imported after securesystemslib's signer for it was loaded with boto3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from securesystemslib.signer import SSlibKey
from securesystemslib.signer._aws_signer import AWSSigner

from collector.model import ConfigError, Json

if TYPE_CHECKING:
    from botocore.client import BaseClient

__all__ = ["KmsSigner"]

_SECONDS = 20  # for one attempt; a key service answers within one
_TRIES = 3


class KmsSigner(AWSSigner):
    """securesystemslib's signer with a client of our own: its own knows neither region nor endpoint."""

    def __init__(self, key: str, public_key: SSlibKey, client: BaseClient) -> None:
        self.aws_key_id = key
        self._public_key = public_key
        self.client = client
        self.aws_algo = self.aws_algos[public_key.scheme]

    @classmethod
    def reached(cls, settings: Mapping[str, Json]) -> KmsSigner:
        """Ask for the key. Raises ConfigError for a key of another kind, and as boto3 does."""
        import boto3
        from botocore.config import Config
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        session = boto3.session.Session(
            profile_name=settings.get("profile"), region_name=settings.get("region")
        )
        times = Config(
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            retries={"total_max_attempts": _TRIES, "mode": "standard"},
        )
        client = session.client("kms", endpoint_url=settings.get("endpoint"), config=times)
        found = client.get_public_key(KeyId=settings["key"])
        if "ECDSA_SHA_256" not in found["SigningAlgorithms"]:
            spec = found.get("KeySpec", "another")
            raise ConfigError(f"[sign] AWS KMS: key {settings['key']} is {spec}; it must be ECC_NIST_P256")
        # The ARN and no alias: an alias may be moved to another key between here and signing.
        return cls(found["KeyId"], SSlibKey.from_crypto(load_der_public_key(found["PublicKey"])), client)
