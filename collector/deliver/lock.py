"""One run of a series at a time.

The lock is the kernel's (flock): it goes with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from collector.deliver.series import SERIES
from collector.model import ConfigError, LockedError

__all__ = ["hold"]

_MAX_NOTE = 200


@contextmanager
def hold(state: Path, series: str) -> Iterator[None]:
    """Hold the lock of a series.

    Raises:
        LockedError: another process holds it; the message says which, and since when.
        ConfigError: the state folder cannot be used.
    """
    if not SERIES.match(series):
        raise ConfigError(f"series {series!r}: lower case letters, digits, `.`, `_` and `-`, at most 63")
    path = state / "locks" / f"{series}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"state folder {state}: {error.strerror}; it must be writable") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, _MAX_NOTE).decode("ascii", "replace").strip() or "another process"
            raise LockedError(f"series {series}: another run holds the lock ({holder})") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"pid {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
        yield
    finally:
        os.close(descriptor)
