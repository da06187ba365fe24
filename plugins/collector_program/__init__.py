"""Evidence from an organisation's own security programme: its policies and its staff roster."""

from __future__ import annotations

from pathlib import Path

from collector.hookspecs import hookimpl
from collector.model import MappingPack, Source
from collector_program.logins import LOGINS
from collector_program.source import Program

__all__ = ["api", "collector_mappings", "collector_sources"]

api = 1


@hookimpl
def collector_sources() -> list[type[Source]]:
    """The source `program`."""
    return [Program]


@hookimpl
def collector_mappings() -> list[MappingPack]:
    """The derived table of logins. The checks on it come with the built-in pack."""
    folder = Path(__file__).resolve().parent / "pack"
    return [MappingPack("program", version="1", folder=str(folder), derived=(LOGINS,))]
