"""Opens the bundle that a command is about."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.cli.options import Configured
    from collector.model import Sink
    from collector.report.evidence import Evidence

__all__ = ["opened", "opened_or_newest"]


_KEY = re.compile(r"(?:^|/)([^/]+)/(\d{8})-[0-9a-f]{12}\.zip\Z", re.ASCII)  # epoch, and sequence in it


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
    """As `opened`, or the newest bundle of the configured series, from the first sink that has one.

    Raises:
        ConfigError: no bundle was named and no sink has one.
        VerifyError: it is no bundle.
    """
    from collector.model import ConfigError

    if path is not None:
        with opened(path) as evidence:
            yield evidence
        return
    config, plugins = configured.load()
    with tempfile.TemporaryDirectory(prefix="collector-newest-") as scratch:
        for entry in config.sinks:
            sink = plugins.sinks[entry.use](entry.settings)
            if key := _newest(sink, config.series):
                copy = Path(scratch) / Path(key).name
                with sink.get(key) as stored, copy.open("xb") as out:
                    shutil.copyfileobj(stored, out)
                with opened(copy) as evidence:
                    yield evidence
                return
    raise ConfigError(f"series {config.series} has no bundle yet; name one, or make one with `collector run`")


def _newest(sink: Sink, series: str) -> str:
    """The key of the newest bundle: epochs are times and sort as such, then the sequence counts."""
    found = [(match[1], match[2], key) for key in sink.list(f"{series}/") if (match := _KEY.search(key))]
    return max(found, default=("", "", ""))[2]
