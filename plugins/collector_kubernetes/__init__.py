"""The plugin for Kubernetes: clusters as evidence."""

from __future__ import annotations

from collector.hookspecs import hookimpl
from collector.model import Source

__all__ = ["api", "collector_sources"]

api = 1


@hookimpl
def collector_sources() -> list[type[Source]]:
    """Kubernetes."""
    from collector_kubernetes.source import Kubernetes

    return [Kubernetes]
