"""The plugin for AWS: accounts and regions as evidence."""

from __future__ import annotations

from pathlib import Path

from collector.hookspecs import hookimpl
from collector.model import MappingPack, Source

__all__ = ["api", "collector_mappings", "collector_sources"]

api = 1


@hookimpl
def collector_sources() -> list[type[Source]]:
    """AWS."""
    from collector_aws.source import Aws

    return [Aws]


@hookimpl
def collector_mappings() -> list[MappingPack]:
    """The derived table of policies' statements. The checks on it come with the built-in pack."""
    from collector_aws.statements import STATEMENTS

    folder = Path(__file__).resolve().parent / "pack"
    return [MappingPack("aws", version="1", folder=str(folder), derived=(STATEMENTS,))]
