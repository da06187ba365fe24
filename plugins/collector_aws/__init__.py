"""The plugin for AWS: accounts and regions as evidence."""

from __future__ import annotations

from collector.hookspecs import hookimpl
from collector.model import Source

__all__ = ["api", "collector_sources"]

api = 1


@hookimpl
def collector_sources() -> list[type[Source]]:
    """AWS."""
    from collector_aws.source import Aws

    return [Aws]
