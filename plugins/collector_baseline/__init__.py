"""The built-in mapping pack: checks, objectives, controls and frameworks that come with the agent."""

from __future__ import annotations

from pathlib import Path

from collector.hookspecs import hookimpl
from collector.model import MappingPack

__all__ = ["api", "collector_mappings"]

api = 1


@hookimpl
def collector_mappings() -> list[MappingPack]:
    """The folder beside this package in a wheel, or at the top of a source tree."""
    here = Path(__file__).resolve().parent
    shipped = here / "mappings"
    folder = shipped if shipped.is_dir() else here.parent.parent / "mappings"
    return [MappingPack(name="baseline", version="1", folder=str(folder))]
