"""The plugin contract, whole.

A plugin is an importable module with functions named as below, marked with `hookimpl`, found through
an entry point in the group `evidence_collector`:

    [project.entry-points."evidence_collector"]
    acme = "collector_acme"

It imports `collector.model` and `collector.hookspecs` and nothing else of the core. It states the
version of this page that it was written for: `api = 1`. A plugin for another version, or one that has a hook
which is not on this page, is refused by name when it is registered.

Hooks return classes and plain data at once: they open no file and no connection. If a hook raises,
the command stops (exit 2) and names the plugin: evidence must not silently go uncollected, nor a
bundle silently go nowhere.

`read_private` is lent to plugins that read key files: it refuses what is not the user's alone. `is_key`,
`check_key` and `outdated` are lent to stores: what a key looks like, and which bundles are old enough to go.
`load_securesystemslib` is lent to signers: it loads that library quickly, without the SDKs of others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import pluggy

from collector.keeping import check_key, is_key, outdated
from collector.keys import read_private
from collector.lean import load_securesystemslib
from collector.model import Json, MappingPack, Option, Sink, Source

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

__all__ = [
    "API",
    "GROUP",
    "SignerType",
    "check_key",
    "hookimpl",
    "hookspec",
    "is_key",
    "load_securesystemslib",
    "outdated",
    "read_private",
]

API = 1
GROUP = "evidence_collector"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class SignerType(Protocol):
    """A way to sign: a class that makes securesystemslib signers from a `[sign]` table."""

    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]

    def __init__(self, settings: Mapping[str, Json]) -> None: ...

    def signer(self) -> Signer:
        """Reach the key. Raises ConfigError where the key cannot be used, saying what would be right.

        Where certificates vouch for the key in place of a trust file, the signer has them as `certificates`,
        in PEM, its own first; and `renewed()`, which gives the signer to use when the run comes to signing.
        """
        ...

    def public_key(self) -> Key:
        """The public half, which goes into a trust file."""
        ...


@hookspec
def collector_sources() -> Sequence[type[Source]]:  # type: ignore[empty-body]  # a specification
    """Systems that evidence can be collected from.

    Called once a command. Return the classes; the core makes one object for each `[[source]]` table
    that names it, in the process where its tasks run.
    """


@hookspec
def collector_sinks() -> Sequence[type[Sink]]:  # type: ignore[empty-body]  # a specification
    """Places that bundles can go to.

    Called once a command. Connect in `put`, so that `collector plan` works offline.
    """


@hookspec
def collector_signers() -> Sequence[type[SignerType]]:  # type: ignore[empty-body]  # a specification
    """Ways to sign a statement.

    Called once a command, before planning, so that a key that cannot be used stops a run before it
    has asked anyone anything.
    """


@hookspec
def collector_mappings() -> Sequence[MappingPack]:  # type: ignore[empty-body]  # a specification
    """Checks, objectives, controls, frameworks and crosswalks, as folders, and derived kinds.

    Called once a command that judges. The folders are read strictly: an error names file and line.
    """
