"""Opens the bundle that a command is about."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from collector.cli.options import writing_to

if TYPE_CHECKING:
    from collector.bundle.trust import Trust
    from collector.cli.options import Configured
    from collector.config import Config
    from collector.plugins import Plugins
    from collector.report.evidence import Evidence

__all__ = ["Store", "opened", "opened_or_newest", "store_of", "trusted"]


@contextmanager
def opened(path: Path) -> Iterator[Evidence]:
    """A bundle's evidence: extracted to a folder that goes again, or a folder that has it already.

    Signature and digests are `collector verify`'s business; the archive's form is checked.

    Raises:
        VerifyError: it is no bundle.
    """
    from collector.bundle.open import open_bundle
    from collector.report.evidence import Evidence

    if path.is_dir():
        yield Evidence(path)
        return
    with tempfile.TemporaryDirectory(prefix="collector-bundle-") as scratch:
        with writing_to(f"folder of temporary files (TMPDIR) {Path(scratch).parent}"):
            folder = open_bundle(path, Path(scratch) / "bundle")
        yield Evidence(folder)


@contextmanager
def opened_or_newest(path: Path | None, configured: Configured) -> Iterator[Evidence]:
    """As `opened`, or the newest bundle of the configured series, from the outbox or a sink.

    Raises:
        ConfigError: no bundle was named and none is there.
        VerifyError: it is no bundle.
    """
    if path is not None:
        with opened(path) as evidence:
            yield evidence
        return
    config, plugins = configured.load()
    with tempfile.TemporaryDirectory(prefix="collector-newest-") as scratch:
        copy = Path(scratch) / "bundle.zip"
        with _newest(config, plugins) as stored, copy.open("xb") as out:
            shutil.copyfileobj(stored, out)
        with opened(copy) as evidence:
            yield evidence


def _newest(config: Config, plugins: Plugins) -> IO[bytes]:
    """The newest bundle of the outbox and of all sinks: epochs are times, then the sequence counts."""
    from collector.deliver.series import parse_key
    from collector.model import ConfigError, SinkRefused
    from collector.run.delivery import made_sinks, outbox

    found: dict[tuple[str, int], Callable[[], IO[bytes]]] = {}
    silent = []
    for sink in made_sinks(config, plugins):
        try:
            for key in sink.list(f"{config.series}/"):
                if place := parse_key(key):
                    found[place[1], place[2]] = partial(sink.get, key)
        except (OSError, SinkRefused) as error:
            silent.append(f"; {sink.name} {sink.address} does not answer: {error}")
    for entry in outbox(config).entries():
        place = parse_key(entry.key)
        if place and place[0] == config.series:
            found[place[1], place[2]] = partial(_open, entry.path)
    if not found:
        told = "".join(silent)
        raise ConfigError(f"series {config.series} has no bundle yet, `collector run` makes one{told}")
    return found[max(found)]()


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of bundles; `waiting` are those of its series that are still in the outbox only."""

    folder: Path
    series: str | None
    waiting: tuple[str, ...] = ()


def store_of(folder: Path | None, configured: Configured) -> Store:
    """The folder of bundles that was named, or the first of the configured stores that is one.

    Raises:
        ConfigError: it is no folder, or no store is one.
    """
    from collector.model import ConfigError
    from collector.run.delivery import made_sinks, outbox

    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: not a folder; a period is read from a folder of bundles")
        return Store(folder, configured.overrides.get("series"))
    config, plugins = configured.load()
    sinks = made_sinks(config, plugins)
    for place in (Path(each.address) / config.series for each in sinks):
        if place.is_absolute() and place.is_dir():
            waiting = [each.key for each in outbox(config).entries(config.series)]
            here = place.parent
            return Store(place, config.series, tuple(key for key in waiting if not (here / key).exists()))
    names = ", ".join(f"{each.name} {each.address}" for each in sinks)
    raise ConfigError(
        f"series {config.series} has no bundle in a folder of this machine ({names});"
        " name a folder of its bundles"
    )


def trusted(key: Path | None, trust: Path | None) -> Trust:
    """Whose signatures count: the key in a PEM file, or those of a trust file, else of the user's.

    Raises:
        ConfigError: neither is there, or it cannot be used.
    """
    from collector.bundle.trust import load_trust, trust_of_key
    from collector.config import config_folder
    from collector.model import ConfigError

    if key is not None and trust is not None:
        raise click.UsageError("--key and --trust exclude each other")
    if key is not None:
        return trust_of_key(key)
    users = config_folder() / "trust.toml"
    if trust is None and not users.exists():
        raise ConfigError(f"{users}: no such file; name a key with --key or a trust file with --trust")
    return load_trust(trust or users)
