"""Sigstore's trusted root: by whom certificates of signers without a key of their own must be given."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from collector.canonical import loads
from collector.model import ConfigError, Json

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["MAX_ROOT", "Roots", "Span", "loaded", "roots_in"]

MAX_ROOT = 1 << 20
"""Bytes of a trusted root; Sigstore's own has seven thousand."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when something is trusted."""

    start: datetime
    end: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Whether it is trusted at that moment."""
        return self.start <= moment and (self.end is None or moment <= self.end)


@dataclass(frozen=True, slots=True)
class Roots:
    """What a trusted root says of certificates.

    Attributes:
        authorities: the certificates of each authority, in DER, and when it is trusted.
        logs: id of a log of certificates to its public key, in DER, and when it is trusted. Where there are
            any, a certificate must stand in one.
        authority_entries, log_entries: the same as the trusted root writes them, for programs that read one.
    """

    authorities: tuple[tuple[tuple[bytes, ...], Span], ...]
    logs: Mapping[bytes, tuple[bytes, Span]]
    authority_entries: tuple[Json, ...] = ()
    log_entries: tuple[Json, ...] = ()


def roots_in(data: bytes, where: str) -> Roots:
    """Read a trusted root (protobuf-specs, `sigstore_trustroot.proto`). Raises ConfigError if it is none."""
    try:
        value = loads(data)
        authorities = tuple(
            (tuple(map(_raw, each["certChain"]["certificates"])), _span(each["validFor"]))
            for each in value["certificateAuthorities"]
        )
        logs = {
            base64.b64decode(each["logId"]["keyId"], validate=True): (
                _raw(each["publicKey"]),
                _span(each["publicKey"]["validFor"]),
            )
            for each in value.get("ctlogs", ())
        }
        for chain, _ in authorities:
            loaded(chain)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{where}: not a Sigstore trusted root in JSON") from None
    if not any(chain for chain, _ in authorities):
        raise ConfigError(f"{where}: a trusted root without a certificateAuthority")
    written = (tuple(value[key]) for key in ("certificateAuthorities", "ctlogs") if key in value)
    return Roots(authorities, logs, *written)


def _raw(value: Json) -> bytes:
    return base64.b64decode(value["rawBytes"], validate=True)


def _span(value: Json) -> Span:
    end = value.get("end")
    return Span(_moment(value["start"]), None if end is None else _moment(end))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def loaded(chain: Sequence[bytes]) -> list[Certificate]:
    """Certificates from their DER. Raises ValueError."""
    from cryptography.x509 import load_der_x509_certificate

    return [load_der_x509_certificate(each) for each in chain]
