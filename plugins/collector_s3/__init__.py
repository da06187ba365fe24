"""The sink `s3`: a bucket of S3, or of a store that speaks its protocol."""

from __future__ import annotations

from collections.abc import Sequence

from collector.hookspecs import hookimpl
from collector.model import Sink
from collector_s3.sink import S3Sink

__all__ = ["S3Sink", "api", "collector_sinks"]

api = 1


@hookimpl
def collector_sinks() -> Sequence[type[Sink]]:
    """The one sink."""
    return [S3Sink]
