"""The source `host`: a Linux machine, asked by one read-only shell probe."""

from __future__ import annotations

from collector.hookspecs import hookimpl

from .source import HostSource

__all__ = ["HostSource", "api", "collector_sources"]

api = 1


@hookimpl
def collector_sources() -> list[type[HostSource]]:
    """The one source of this plugin."""
    return [HostSource]
