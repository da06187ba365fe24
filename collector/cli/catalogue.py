"""`plugins`, `checks`, `frameworks` and `permissions`: what is known, explained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli.options import Configured, Output, configured, printing
from collector.model import ConfigError

if TYPE_CHECKING:
    from collector.assess.mappings import Mappings

__all__ = ["checks", "frameworks", "permissions", "plugins"]


_NAMED = 20  # known names that an error tells; there are more than a thousand checks


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> ConfigError:
    from collector.toml import nearest, quoted

    if near := nearest(name, known):
        return ConfigError(f"no {what} {quoted(name)}{near}")
    rest = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    named = ", ".join(sorted(known)[:_NAMED]) or "none"
    return ConfigError(f"no {what} {quoted(name)}; known: {named}{rest}")


@click.command()
@click.option("--kind", metavar="KIND", help="Only this kind: its columns, with type and meaning.")
@printing
def plugins(kind: str | None, output: Output) -> None:
    """List the plugins that are installed: what each gives, and the options of its tables.

    With --kind, the columns of one kind of evidence, as `collector query` knows them.
    """
    from collector.plugins import load
    from collector.report.catalogue import gives, kind_json, kind_text, plugins_text

    found = load()
    if kind is not None:
        kinds = found.kinds()
        if kind not in kinds:
            raise _unknown("kind", kind, kinds)
        shown = kind_json(kinds[kind])
        output.give(shown, lambda page: kind_text(shown, page))
        return
    value = {
        name: {"distribution": found.origin[name], "gives": gives(found, name)}
        for name in sorted(found.origin)
    }
    output.give(value, lambda page: plugins_text(value, page))


def _mappings() -> Mappings:
    from collector.assess.mappings import load
    from collector.plugins import load as load_plugins

    return load([Path(pack.folder) for pack in load_plugins().packs], strict=True)


@click.command()
@click.argument("check", required=False)
@click.option("--kind", metavar="KIND", help="Only checks that read this kind.")
@printing
def checks(check: str | None, kind: str | None, output: Output) -> None:
    """List the checks of the installed mapping packs, or explain CHECK: what it asks, why, and the fix."""
    from collector.report.catalogue import check_json, check_text, check_whole, checks_text

    known = _mappings()
    if check is None:
        found = [each for each in known.checks.values() if kind is None or kind in each.kinds]
        if kind is not None and not found:
            raise _unknown(
                "check reads kind", kind, {name: 1 for each in known.checks.values() for name in each.kinds}
            )
        listed = [check_json(each) for each in found]
        output.give(listed, lambda page: checks_text(listed, page))
        return
    if check not in known.checks:
        raise _unknown("check", check, known.checks)
    value = check_whole(known.checks[check], known)
    output.give(value, lambda page: check_text(value, page))


@click.command()
@click.argument("framework", required=False)
@printing
def frameworks(framework: str | None, output: Output) -> None:
    """List the frameworks, or the controls of FRAMEWORK with the objectives that relate to each."""
    from collector.report import catalogue

    known = _mappings()
    if framework is None:
        listed = [catalogue.framework_json(each, known) for each in known.frameworks.values()]
        output.give(listed, lambda page: catalogue.frameworks_text(listed, page))
        return
    if framework not in known.frameworks:
        raise _unknown("framework", framework, known.frameworks)
    value = catalogue.framework_whole(known.frameworks[framework], known)
    output.give(value, lambda page: catalogue.framework_text(value, page))


@click.command()
@click.argument("name", metavar="SOURCE|SINK")
@click.option(
    "--kind", "only", multiple=True, metavar="KIND", help="Only for this kind. May be given more than once."
)
@configured()
@printing
def permissions(name: str, only: tuple[str, ...], configured: Configured, output: Output) -> None:
    """Print the least privilege that SOURCE or SINK needs, in the target's own language, ready to use.

    For a sink that is what the configuration says of it: its bucket, its folder, its lock.
    """
    from collector.plugins import load

    found = load()
    known = {**found.sinks, **found.sources}
    if name not in known:
        raise _unknown("source or sink", name, known)
    if name not in found.sources:
        _sink_permissions(name, only, configured, output)
        return
    source = found.sources[name]
    kinds = {kind.name: kind for kind in source.kinds}
    for kind in only:
        if kind not in kinds:
            raise _unknown(f"kind of {name}", kind, kinds)
    text = source.permissions([kinds[kind] for kind in only or kinds])
    needs = {kind: [each.permission for each in kinds[kind].operations] for kind in only or kinds}
    value = {"source": name, "permissions": text, "kinds": needs}
    output.give(value, lambda _page: text.rstrip("\n").splitlines())


def _sink_permissions(name: str, only: tuple[str, ...], configured: Configured, output: Output) -> None:
    config, plugins = configured.load()
    if only:
        raise ConfigError(f"--kind {only[0]}: {name} is a sink, which has no kinds")
    sinks = [plugins.sinks[name](entry.settings) for entry in config.sinks if entry.use == name]
    if not sinks:
        raise ConfigError(
            f'no [[sink]] use = "{name}" in {config.path or "the built-in configuration"}; '
            "its permissions name what it says"
        )
    value = [{"sink": name, "address": sink.address, "permissions": sink.permissions()} for sink in sinks]
    output.give(value, lambda _page: [line for each in value for line in each["permissions"].splitlines()])
