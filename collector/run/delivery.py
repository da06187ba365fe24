"""The last steps of a run: into the outbox, into the series, to the sinks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from collector.bundle.archive import Archive
from collector.bundle.layout import STATEMENT
from collector.bundle.seal import SealedBundle
from collector.bundle.sign import parse_envelope
from collector.canonical import sha256_hex
from collector.config import Config
from collector.deliver.outbox import Delivered, Outbox
from collector.deliver.series import Link, key, next_link, record_head
from collector.model import Sink, SinkRefused
from collector.plugins import Plugins

__all__ = ["Sent", "deliver", "link", "made_sinks", "outbox", "send"]


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a bundle is now, which sinks have it, and a line for each that has not."""

    bundle: Path
    sinks: Sequence[str]
    problems: Sequence[str]


def outbox(config: Config) -> Outbox:
    """The outbox of a configuration."""
    return Outbox(config.state / "outbox")


def made_sinks(config: Config, plugins: Plugins) -> list[Sink]:
    """The configured sinks."""
    return [plugins.sinks[entry.use](entry.settings) for entry in config.sinks]


def link(config: Config, plugins: Plugins, as_of: datetime) -> Link:
    """The place in the series that this run's bundle takes."""
    return next_link(config.state, config.series, as_of, made_sinks(config, plugins), _digest)


def keep(config: Config) -> int | None:
    """The longest time, in seconds, that every sink is sure to keep bundles; None: for ever."""
    kept = [entry.settings.get("keep") for entry in config.sinks]
    limited = [int(each) for each in kept if each is not None]
    return min(limited, default=None)


def deliver(config: Config, plugins: Plugins, sealed: SealedBundle, place: Link, as_of: str) -> Sent:
    """Put a bundle into the outbox, make it the head, and send what waits."""
    waiting = outbox(config)
    entry = waiting.add(sealed.path, key(config.series, place, sealed.digest))
    record_head(config.state, config.series, place, sealed.digest)
    delivered = send(config, plugins, as_of)
    stored = delivered.places.get(entry.key)
    here = entry.path if entry.path.exists() or stored is None else Path(stored)
    return Sent(here, delivered.sinks, delivered.problems)


def send(config: Config, plugins: Plugins, as_of: str) -> Delivered:
    """Send what the outbox holds, then let each sink that has everything drop what it keeps no longer."""
    sinks = made_sinks(config, plugins)
    delivered = outbox(config).deliver(sinks, config.series)
    for sink in sinks:
        if sink.address in delivered.sinks:
            try:
                sink.prune(f"{config.series}/", as_of)
            except (OSError, SinkRefused) as error:
                delivered.problems.append(
                    f"{sink.name} {sink.address}: old bundles could not be dropped: {error}"
                )
    return delivered


def _digest(file: IO[bytes]) -> str:
    """The digest of a stored bundle's statement."""
    with tempfile.NamedTemporaryFile(prefix="collector-head-") as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        with Archive(Path(copy.name)) as archive:
            return sha256_hex(parse_envelope(archive.read(STATEMENT)).payload)
