"""Finds plugins, holds each against the contract, and refuses by name what does not keep it.

Built-in plugins and everybody's come through the same entry-point group. A plugin registers even
where a library that it needs later is missing: it says so itself, when it is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from types import MappingProxyType, ModuleType
from typing import Any

import pluggy

from collector import hookspecs
from collector.hookspecs import API, GROUP, SignerType
from collector.model import ConfigError, Fault, Kind, MappingPack, Operation, Option, Sink, Source
from collector.values import check_type

__all__ = ["OPTION_TYPES", "Plugins", "load", "manager"]

OPTION_TYPES = ("string", "path", "integer", "boolean", "duration", "strings", "paths", "table")
_SOURCE_METHODS = ("root", "discover", "plan", "collect", "send", "permissions")
_SINK_METHODS = ("put", "get", "head", "list", "prune", "check", "permissions")
_SINK_FACTS = ("confirms", "replaces")
_SIGNER_METHODS = ("signer", "public_key")


@dataclass(frozen=True, slots=True)
class Plugins:
    """Everything that plugins give, by name.

    Attributes:
        sources, sinks, signers: the classes that `use` may name.
        packs: mapping packs, by name.
        origin: plugin name to the distribution and version that it came with.
        giver: `source host`, `kind host_user`, … to the name of the plugin that gives it.
    """

    sources: Mapping[str, type[Source]]
    sinks: Mapping[str, type[Sink]]
    signers: Mapping[str, type[SignerType]]
    packs: tuple[MappingPack, ...]
    origin: Mapping[str, str]
    giver: Mapping[str, str]

    @classmethod
    def of(cls, *modules: ModuleType) -> Plugins:
        """Those of these modules alone, found without entry points.

        Raises:
            ConfigError: as `load` does.
        """
        return _gathered([(module.__name__, "", _already(module)) for module in modules])

    def kinds(self) -> dict[str, Kind]:
        """The kinds of all sources, and those that mapping packs derive, by name."""
        collected = [kind for source in self.sources.values() for kind in source.kinds]
        derived = [derived.kind for pack in self.packs for derived in pack.derived]
        return {kind.name: kind for kind in sorted([*collected, *derived], key=lambda kind: kind.name)}


def load() -> Plugins:
    """Find and register every installed plugin.

    Raises:
        ConfigError: one cannot be imported, is written for another version of the contract, breaks it,
            or gives what another gives under the same name.
    """
    found = metadata.entry_points(group=GROUP)
    # An installation that is under way, or was cut off, leaves what it replaces under no name (pip: `~name`).
    named = {entry.name for entry in found if _distribution(entry)}
    there = [entry for entry in found if _distribution(entry) or entry.name not in named]
    ordered = sorted(there, key=lambda entry: (entry.name, _distribution(entry)))
    return _gathered([(entry.name, _distribution(entry), entry.load) for entry in ordered])


def manager() -> pluggy.PluginManager:
    """A plugin manager that knows the hooks and no plugin."""
    made = pluggy.PluginManager(GROUP)
    made.add_hookspecs(hookspecs)
    return made


def _already(module: ModuleType) -> Callable[[], ModuleType]:
    return lambda: module


def _distribution(entry: metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist and entry.dist.name else ""


def _gathered(found: Iterable[tuple[str, str, Callable[[], Any]]]) -> Plugins:
    registered = manager()
    origin: dict[str, str] = {}
    for name, distribution, importer in found:
        shown = f"plugin {name}" + (f" ({distribution})" if distribution else "")
        if name in origin:
            raise ConfigError(f"{shown}: {origin[name] or 'another distribution'} has a plugin of that name")
        _register(registered, name, shown, importer)
        origin[name] = distribution
    _no_stray_hooks(registered)
    return _Gathering(registered, origin).plugins()


def _register(registered: pluggy.PluginManager, name: str, shown: str, importer: Callable[[], Any]) -> None:
    try:
        module = importer()
    except Exception as error:  # the plugin boundary: whatever its import raises
        raise ConfigError(f"{shown}: cannot be imported: {_line(error)}") from error
    api = getattr(module, "api", None)
    if api != API:
        stated = "states no version of the contract" if api is None else f"is written for api = {api!r}"
        raise ConfigError(f"{shown}: {stated}; this is api = {API}")
    try:
        registered.register(module, name)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise ConfigError(f"{shown}: {_line(error)}") from error


def _no_stray_hooks(registered: pluggy.PluginManager) -> None:
    """Refuse hooks that are not on the contract's page, naming the nearest that is."""
    from collector.toml import nearest

    known = [name for name in vars(hookspecs) if name.startswith("collector_")]
    for name, module in registered.list_name_plugin():
        for attribute in vars(module) if module else ():
            if registered.parse_hookimpl_opts(module, attribute) is not None and attribute not in known:
                raise ConfigError(f"plugin {name}: no hook {attribute}{nearest(attribute, known)}")
    registered.check_pending()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class _Gathering:
    """Calls each plugin's hooks by itself, so that whoever breaks the contract is known by name."""

    def __init__(self, registered: pluggy.PluginManager, origin: Mapping[str, str]) -> None:
        self._registered = registered
        self._origin = origin
        self._giver: dict[str, str] = {}

    def plugins(self) -> Plugins:
        sources = self._classes("collector_sources", "source", _source_faults)
        sinks = self._classes("collector_sinks", "sink", _sink_faults)
        signers = self._classes("collector_signers", "signer", _signer_faults)
        packs = self._packs()
        for plugin, source in sources.values():
            for kind in source.kinds:
                self._claim(plugin, f"kind {kind.name}")
        for plugin, pack in packs:
            for derived in pack.derived:
                self._claim(plugin, f"kind {derived.kind.name}")
        return Plugins(
            sources=MappingProxyType({name: each for name, (_, each) in sorted(sources.items())}),
            sinks=MappingProxyType({name: each for name, (_, each) in sorted(sinks.items())}),
            signers=MappingProxyType({name: each for name, (_, each) in sorted(signers.items())}),
            packs=tuple(sorted((pack for _, pack in packs), key=lambda pack: pack.name)),
            origin=MappingProxyType(dict(self._origin)),
            giver=MappingProxyType(self._giver),
        )

    def _given(self, hook: str) -> Iterator[tuple[str, Any]]:
        caller = getattr(self._registered.hook, hook)
        for implementation in sorted(caller.get_hookimpls(), key=lambda each: each.plugin_name):
            plugin = implementation.plugin_name
            try:
                given = implementation.function()
            except Exception as error:  # the plugin boundary: a hook that raises stops the command
                raise ConfigError(f"plugin {plugin}: {hook} failed: {_line(error)}") from error
            if not isinstance(given, Sequence) or isinstance(given, str):
                raise ConfigError(f"plugin {plugin}: {hook} must return a list, gave {type(given).__name__}")
            for each in given:
                yield plugin, each

    def _classes(
        self, hook: str, role: str, faults: Callable[[Any], Iterator[str]]
    ) -> dict[str, tuple[str, Any]]:
        found: dict[str, tuple[str, Any]] = {}
        for plugin, each in self._given(hook):
            shown = f"plugin {plugin}: {role} {getattr(each, 'name', None) or each!r}"
            if fault := next(_class_faults(each), "") or next(faults(each), ""):
                raise ConfigError(f"{shown}: {fault}")
            self._claim(plugin, f"{role} {each.name}")
            found[each.name] = (plugin, each)
        return found

    def _packs(self) -> list[tuple[str, MappingPack]]:
        found: list[tuple[str, MappingPack]] = []
        for plugin, pack in self._given("collector_mappings"):
            if not isinstance(pack, MappingPack):
                raise ConfigError(
                    f"plugin {plugin}: collector_mappings gave {pack!r}, which is no MappingPack"
                )
            if fault := next(_pack_faults(pack), ""):
                raise ConfigError(f"plugin {plugin}: pack {pack.name}: {fault}")
            self._claim(plugin, f"pack {pack.name}")
            found.append((plugin, pack))
        return found

    def _claim(self, plugin: str, what: str) -> None:
        if what in self._giver:
            raise ConfigError(f"{what} is given twice, by plugin {self._giver[what]} and by plugin {plugin}")
        self._giver[what] = plugin


# Each of these yields what a part does not keep of the contract, and nothing where it keeps it.


def _class_faults(part: Any) -> Iterator[str]:
    if not inspect.isclass(part):
        yield "must be a class"
        return
    name = getattr(part, "name", None)
    if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
        yield "`name` must be lower case letters, digits and _"
    if not isinstance(getattr(part, "title", None), str):
        yield "`title` must be a string"
    options = getattr(part, "options", None)
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        yield "`options` must be a tuple of Option"
        return
    names = [option.name for option in options]
    if repeated := _repeated(names) or ("use" if "use" in names else ""):
        yield f"option {repeated}: that name is taken"
    for option in options:
        if option.type not in OPTION_TYPES:
            yield f"option {option.name}: type {option.type!r} is none of {', '.join(OPTION_TYPES)}"


def _missing_method(part: Any, methods: Iterable[str]) -> Iterator[str]:
    for method in methods:
        if not callable(getattr(part, method, None)):
            yield f"has no method {method}"


def _sink_faults(sink: Any) -> Iterator[str]:
    yield from _missing_method(sink, _SINK_METHODS)
    if not hasattr(sink, "address"):
        yield "has no property address"
    for fact in _SINK_FACTS:
        if not isinstance(getattr(sink, fact, None), bool):
            yield f"`{fact}` must be True or False"


def _signer_faults(signer: Any) -> Iterator[str]:
    yield from _missing_method(signer, _SIGNER_METHODS)


def _source_faults(source: Any) -> Iterator[str]:
    yield from _missing_method(source, _SOURCE_METHODS)
    errors = getattr(source, "errors", None)
    if not isinstance(errors, Mapping) or not all(isinstance(fault, Fault) for fault in errors.values()):
        yield "`errors` must map codes to Fault"
    discovery = getattr(source, "discovery", None)
    if not isinstance(discovery, tuple) or not all(isinstance(each, Operation) for each in discovery):
        yield "`discovery` must be a tuple of Operation"
    kinds = getattr(source, "kinds", None)
    if not isinstance(kinds, tuple) or not kinds or not all(isinstance(kind, Kind) for kind in kinds):
        yield "`kinds` must be a tuple of at least one Kind"
        return
    if repeated := _repeated(kind.name for kind in kinds):
        yield f"kind {repeated} stands twice"
    for kind in kinds:
        yield from (f"kind {kind.name}: {fault}" for fault in _kind_faults(kind, source.name))


def _kind_faults(kind: Kind, source: str) -> Iterator[str]:
    if not kind.name.startswith(f"{source}_"):
        yield f"its name must begin with {source}_"
    if kind.name == f"{source}_answer":
        yield "that name is the core's, for the texts that records were parsed from"
    if kind.operations and not kind.lists:
        yield "none of its operations lists its population"
    if repeated := _repeated(operation.name for operation in kind.operations):
        yield f"operation {repeated} stands twice"
    yield from _column_faults(kind)


def _column_faults(kind: Kind) -> Iterator[str]:
    if not kind.columns:
        yield "has no columns"
    for column in kind.columns:
        try:
            check_type(column.type)
        except ValueError as error:
            yield f"column {column.name}: {error}"
        if column.secret and not column.type.startswith("VARCHAR"):
            yield f"column {column.name}: a secret must be VARCHAR or lists of it"


def _pack_faults(pack: MappingPack) -> Iterator[str]:
    if not pack.name.isidentifier() or pack.name != pack.name.lower():
        yield "its name must be lower case letters, digits and _"
    for derived in pack.derived:
        if derived.kind.operations:
            yield f"kind {derived.kind.name}: a derived kind has no operations"
        yield from (f"kind {derived.kind.name}: {fault}" for fault in _column_faults(derived.kind))
    if repeated := _repeated(derived.kind.name for derived in pack.derived):
        yield f"kind {repeated} stands twice"


def _repeated(names: Iterable[str]) -> str:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), "")  # type: ignore[func-returns-value]
