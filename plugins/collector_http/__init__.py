"""Delivery by HTTP: the sinks `https` and `webdav`."""

from __future__ import annotations

from collections.abc import Sequence

from collector.hookspecs import hookimpl
from collector.model import Sink
from collector_http.https import HttpsSink
from collector_http.webdav import WebdavSink

__all__ = ["HttpsSink", "WebdavSink", "api", "collector_sinks"]

api = 1


@hookimpl
def collector_sinks() -> Sequence[type[Sink]]:
    """Both."""
    return [HttpsSink, WebdavSink]
