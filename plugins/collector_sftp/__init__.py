"""Delivery by SFTP: the sink `sftp`."""

from __future__ import annotations

from collections.abc import Sequence

from collector.hookspecs import hookimpl
from collector.model import Sink
from collector_sftp.sink import SftpSink

__all__ = ["SftpSink", "api", "collector_sinks"]

api = 1


@hookimpl
def collector_sinks() -> Sequence[type[Sink]]:
    """The one sink."""
    return [SftpSink]
