"""The commands by name. A command's module is imported when the command is used, not before."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click

from collector import __version__

__all__ = ["COMMANDS", "app"]


class _Command(NamedTuple):
    module: str
    summary: str


COMMANDS = {
    "init": _Command("setup", "Make the keys, the trust file and collector.toml."),
    "plan": _Command("run", "Show what would be asked of whom."),
    "run": _Command("run", "Plan, collect, judge, sign and deliver: what cron runs."),
    "assess": _Command("judge", "Judge a bundle again, with its own or other mappings."),
    "verify": _Command("judge", "Prove that bundles are whole, and who signed them."),
    "disclose": _Command("disclose", "Disclose a part of a bundle, under the same signature."),
    "query": _Command("judge", "Ask the evidence of a bundle in SQL."),
    "readiness": _Command("show", "Show what holds, what fails and what cannot be proven."),
    "explain": _Command("show", "Show why a control stands as it does, down to the calls."),
    "deliver": _Command("store", "Send what the outbox still holds."),
    "keys": _Command("keys", "List, rotate and revoke the keys whose signatures count."),
    "sink": _Command("store", "Show what the stores really enforce."),
    "plugins": _Command("catalogue", "List the plugins, what they give and their options."),
    "checks": _Command("catalogue", "List the checks, or explain one."),
    "frameworks": _Command("catalogue", "List the frameworks, or the controls of one."),
    "permissions": _Command("catalogue", "Print the least privilege that a source or sink needs."),
}


class _Lazy(click.Group):
    """A group that lists its commands from the table and imports only the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"collector.cli.{COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from collector.toml import nearest, quoted

            ctx.fail(f"no command {quoted(args[0])}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="First steps: `collector init`, then `collector run`. More: `collector COMMAND --help`.",
)
@click.version_option(__version__, "-V", "--version", prog_name="collector", message="%(prog)s %(version)s")
def app() -> None:
    """Collect signed compliance evidence, judge it, and let an auditor do it again.

    The collector reads the configuration of what collector.toml names, and only ever reads. It keeps
    what was answered with who asked what and when, decides which controls of which frameworks that
    supports, and signs all of it as one bundle. What could not be seen is never counted as passed.
    """
