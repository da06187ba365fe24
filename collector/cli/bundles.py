"""Opens the bundle that a command is about."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collector.cli.options import Configured
    from collector.config import Config
    from collector.plugins import Plugins
    from collector.report.evidence import Evidence

__all__ = ["opened", "opened_or_newest"]


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
        yield Evidence(open_bundle(path, Path(scratch) / "bundle"))


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
