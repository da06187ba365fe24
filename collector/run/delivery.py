"""The last steps of a run: into the outbox, into the series, to the sinks."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from collector.bundle.authority import TimeAuthority
from collector.bundle.seal import SealedBundle
from collector.bundle.trust import certificates_in
from collector.collect.plan import timestamp
from collector.config import Config, Entry, config_folder
from collector.deliver.outbox import Delivered, Outbox
from collector.deliver.series import OUTBOX, Link, key, next_link, record_head
from collector.deliver.stamps import LateStamps, OwedStamps
from collector.deliver.turns import Turn, side_by_side
from collector.model import ConfigError, Sink, SinkRefused
from collector.plugins import Plugins
from collector.run import heads
from collector.toml import shown_path

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

__all__ = ["Sent", "authorities", "deliver", "deliver_stamps", "link", "made_sinks", "outbox", "send"]


TRUST = "trust.toml"
"""The user's trust file, beside the keys."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a bundle is now, which sinks have it, and a line for each that has not.

    `problems` also have a line for each authority that has not stamped for more than a day.

    `bundle` is a path, or where a sink that is no folder has it. `notes` say what a delivery rests on where
    the copy could not be read back. `unstamped` has a line for each time stamp that is still owed; it comes
    with a later delivery.
    """

    bundle: Path | str
    sinks: Sequence[str]
    problems: Sequence[str]
    unstamped: Sequence[str]
    notes: Sequence[str] = ()


def outbox(config: Config) -> Outbox:
    """The outbox of a configuration."""
    return Outbox(config.state / OUTBOX, config.outbox_limit, config.sink_timeout)


def made_sinks(config: Config, plugins: Plugins) -> list[Sink]:
    """The configured sinks. Raises ConfigError, with file and line, for a table that cannot be used."""
    return [_made(entry, plugins) for entry in config.sinks]


def _made(entry: Entry, plugins: Plugins) -> Sink:
    try:
        return plugins.sinks[entry.use](entry.settings)
    except ConfigError as error:
        raise ConfigError(f"{entry.where}: {error}") from None


def link(config: Config, plugins: Plugins, as_of: datetime, signer: Signer) -> Link:
    """The place in the series that this run's bundle takes; a store's word on it counts if we signed it."""
    trust = heads.own_trust(signer, config_folder() / TRUST, authorities(config))
    return next_link(
        config.state,
        config.series,
        as_of,
        made_sinks(config, plugins),
        heads.digest,
        heads.prover(trust),
        config.sink_timeout,
    )


def keep(config: Config) -> int | None:
    """Seconds after which the configuration lets bundles go from a sink: the least of them; None: never.

    Each sink that knows an end has an option `keep`, also where the store itself ends it. What a store drops
    earlier, by rules that nobody wrote down here, is missing for who verifies it.
    """
    kept = [entry.settings.get("keep") for entry in config.sinks]
    limited = [int(each) for each in kept if each is not None]
    return min(limited, default=None)


def deliver(
    config: Config, plugins: Plugins, sealed: SealedBundle, place: Link, as_of: str, *, late: bool = True
) -> Sent:
    """Put a bundle into the outbox, make it the head, and send what waits.

    Args:
        late: whether stamps of earlier bundles are asked for, which takes time that a run that is told to
            stop has not.
    """
    waiting = outbox(config)
    entry = waiting.add(sealed.path, key(config.series, place, sealed.digest))
    record_head(config.state, config.series, place, sealed.digest)
    delivered = send(config, plugins, as_of, patient=True)
    stored = delivered.places.get(entry.key)
    here = entry.path if entry.path.exists() or stored is None else stored
    failed = sealed.unstamped
    owed = [f"NOT STAMPED by {name}: {why}; `collector deliver` asks again" for name, why in failed.items()]
    if late:
        stamps = deliver_stamps(config, plugins, skip=frozenset(failed))
        owed += stamps.problems
        delivered.problems += stamps.overdue
    return Sent(here, delivered.sinks, delivered.problems, owed, delivered.notes)


def send(config: Config, plugins: Plugins, as_of: str, *, patient: bool = False) -> Delivered:
    """Send what the outbox holds, then let each sink that has everything drop what it keeps no longer.

    Args:
        patient: leave a sink that failed lately in peace until it is due again.
    """
    sinks = made_sinks(config, plugins)
    # Before a bundle can leave: what it is owed is known from itself alone.
    OwedStamps(config.state / OUTBOX).remember(config.series)
    delivered = outbox(config).deliver(sinks, config.series, patient=patient)
    done = [Turn(sink) for sink in sinks if sink.address in delivered.sinks]
    # A run may be told any moment; nothing is deleted for one that has not come.
    by = min(as_of, timestamp(datetime.now(UTC)))
    side_by_side(done, lambda turn: _prune(turn, f"{config.series}/", by), config.sink_timeout)
    delivered.problems += [turn.problem for turn in done if turn.problem]
    return delivered


def _prune(turn: Turn, prefix: str, as_of: str) -> None:
    sink = turn.sink
    try:
        sink.prune(prefix, as_of)
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        known = isinstance(error, OSError | SinkRefused)
        why = str(error) if known else f"{type(error).__name__}: {error}"
        turn.problem = f"{sink.name} {sink.address}: old bundles could not be dropped: {why}"


def authorities(config: Config) -> tuple[TimeAuthority, ...]:
    """The configured time stamp authorities. Raises ConfigError where their certificates cannot be used."""
    return tuple(
        TimeAuthority(
            each.name,
            each.url,
            tuple(der for path in each.certificates for der in _certificates(path, each.where)),
            each.policy,
        )
        for each in config.stamps
    )


def _certificates(path: Path, where: str) -> tuple[bytes, ...]:
    return certificates_in(path, f"{where}: certificates: {shown_path(path)}")


def deliver_stamps(config: Config, plugins: Plugins, skip: Container[str] = ()) -> LateStamps:
    """Fetch the stamps that bundles of the series are owed, and put them beside the bundles in every sink.

    Args:
        skip: authorities that are not asked now, since they have just failed.
    """
    owed = OwedStamps(config.state / OUTBOX, config.sink_timeout)
    return owed.deliver(config.series, authorities(config), made_sinks(config, plugins), skip)
