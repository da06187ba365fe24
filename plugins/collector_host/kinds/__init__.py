"""Every kind of the source `host`, one module an area."""

from __future__ import annotations

from collector.model import Kind

from . import access, accounts, authentication, logging, network, protection, software, storage, system

__all__ = ["KINDS"]

KINDS: tuple[Kind, ...] = (
    *system.KINDS,
    *accounts.KINDS,
    *authentication.KINDS,
    *access.KINDS,
    *storage.KINDS,
    *network.KINDS,
    *software.KINDS,
    *logging.KINDS,
    *protection.KINDS,
)
