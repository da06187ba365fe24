"""The plugin for Kubernetes: clusters as evidence."""

from __future__ import annotations

from pathlib import Path

from collector.hookspecs import hookimpl
from collector.model import MappingPack, Source

__all__ = ["api", "collector_mappings", "collector_sources"]

api = 1


@hookimpl
def collector_sources() -> list[type[Source]]:
    """Kubernetes."""
    from collector_kubernetes.source import Kubernetes

    return [Kubernetes]


@hookimpl
def collector_mappings() -> list[MappingPack]:
    """The derived table of effective permissions. The checks on it come with the built-in pack."""
    from collector_kubernetes.effective import PERMISSIONS

    folder = Path(__file__).resolve().parent / "pack"
    return [MappingPack("kubernetes", version="1", folder=str(folder), derived=(PERMISSIONS,))]
