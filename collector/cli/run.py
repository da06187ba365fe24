"""`plan` and `run`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from collector.cli.options import MOMENT, Configured, Output, configured, printing, writing_to

if TYPE_CHECKING:
    from collector.config import Config
    from collector.model import Json
    from collector.plugins import Plugins
    from collector.report.page import Page
    from collector.run import Threshold

__all__ = ["plan", "run"]

_AS_OF = click.option(
    "--as-of",
    type=MOMENT,
    metavar="TIME",
    help="The moment that checks use for what depends on time, as in 2026-11-24T02:00:00Z; else now.",
)


def _now(as_of: datetime | None) -> datetime:
    return (as_of or datetime.now(UTC)).replace(microsecond=0)


@click.command()
@configured("series", "frameworks", "exceptions", "call_timeout", "run_timeout")
@_AS_OF
@click.option("--discover", is_flag=True, help="Make the discovery calls, so that all targets are known.")
@printing
def plan(configured: Configured, as_of: datetime | None, discover: bool, output: Output) -> None:
    """Show what would be asked of whom, with the right that each call needs.

    Without --discover nothing is asked of anyone; what only discovery can tell (regions, accounts, API
    groups) stays unresolved.
    """
    from collector.collect.ask import Stop
    from collector.report.plan import plan_json, plan_text
    from collector.run import make_plan
    from collector.run.delivery import made_sinks

    config, plugins = configured.load()
    idle = _idle_exceptions(config, plugins)
    made_sinks(config, plugins)  # reaches none; a run would refuse a table that cannot be used
    made, asked = make_plan(config, plugins, _now(as_of), Stop(config.run_timeout), ask=discover)
    planned = {each.task.target.source for each in made.tasks} | {each.source.name for each in asked}
    unresolved = [each.use for each in config.sources if each.use not in planned]
    unanswered = [entry for each in asked for entry in each.ledger if not entry.outcome.answered]
    value = plan_json(made, plugins, unresolved, unanswered, idle)
    output.give(value, lambda page: plan_text(value, page))
    output.complain(idle)


def _idle_exceptions(config: Config, plugins: Plugins) -> list[str]:
    """Lines about exceptions that name nothing that is known: nobody shall believe that they are in force."""
    if config.exceptions is None:
        return []
    from pathlib import Path

    from collector.assess import exceptions, mappings

    known = mappings.load([Path(pack.folder) for pack in plugins.packs], strict=True, examples=False)
    return exceptions.idle(config.exceptions, known, plugins.kinds())


def _thresholds(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Any:
    from collector.run import threshold

    return tuple(threshold(value) for value in values)


@click.command()
@configured(
    "series", "frameworks", "exceptions", "state", "secret_key", "workers", "call_timeout", "run_timeout"
)
@_AS_OF
@click.option(
    "--fail-on",
    multiple=True,
    callback=_thresholds,
    metavar="WHAT",
    help="End with 1 if there is a `fail`, a `fail:SEVERITY` or worse, a `gap` that no exception "
    "accepts, or a `control` that is not satisfied. May be given more than once.",
)
@printing
def run(
    configured: Configured, as_of: datetime | None, fail_on: tuple[Threshold, ...], output: Output
) -> int:
    """Plan, collect, judge, sign and deliver.

    SIGTERM (or Ctrl-C, once) ends a run cleanly: what was collected so far is bundled, and what was not
    is marked as a gap.

    \b
    Exit codes, the first that fits:
      75  another run of this series holds the lock
       2  usage or configuration
       4  not delivered: the bundle is kept in the outbox (`collector deliver`), a time stamp
          is owed for more than a day, or a store's last bundle is not one of ours
       1  a --fail-on threshold was met
       3  done, with gaps that no exception accepts
       0  done
    Ctrl-C a second time ends it with 130 or by SIGINT, and a signal before the run
    has begun by that signal; then nothing is bundled.
    """
    from collector.cli.log import Follower
    from collector.collect.memory import for_pages
    from collector.run import run as carry_out

    config, plugins = configured.load()
    idle = _idle_exceptions(config, plugins)
    for_pages()
    place = f"state folder {config.state}"
    with _stoppable() as stop, Follower(output) as follow, writing_to(place):
        result = carry_out(config, plugins, as_of=_now(as_of), stop=stop, report=follow, fail_on=fail_on)
    value = result.json()
    value["problems"] = [*idle, *value["problems"]]
    output.give(value, lambda page: _screen(value, configured, page))
    output.complain(_complaints(value) if result.exit else idle)
    return result.exit


def _complaints(result: Mapping[str, Json]) -> list[str]:
    """Why a run did not end with 0, for cron, which passes on what is printed and no exit code."""
    said = {
        1: "a --fail-on threshold was met",
        3: f"gaps that no exception accepts ({result['gaps']} in all); `collector readiness` shows them",
    }
    about = f"series {result['series']}, number {result['sequence']}"
    return [
        *(f"{about}: {problem}" for problem in result["problems"]),
        *(f"{about}: {text}" for reason, text in said.items() if reason in result["reasons"]),
    ]


def _screen(result: Mapping[str, Json], configured: Configured, page: Page) -> list[str]:
    from pathlib import Path

    from collector.cli.bundles import opened_or_newest
    from collector.model import ConfigError, SinkRefused
    from collector.report.overview import overview
    from collector.report.screen import run_screen

    bundle = Path(result["bundle"])  # where a sink has it, which need not be a file of this machine
    try:
        with opened_or_newest(bundle if bundle.is_file() else None, configured) as evidence:
            return run_screen(result, overview(evidence), page)
    except (ConfigError, OSError, SinkRefused) as error:
        return _figures(result, error, page)


def _figures(result: Mapping[str, Json], why: Exception, page: Page) -> list[str]:
    """What is left to show where the bundle went to a store that nobody here may read."""
    lines = page.wrap(f"The bundle cannot be looked into: {why}", 0, 2)
    findings = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in result["findings"].items())
    lines += [f"findings  {findings}", f"gaps      {result['gaps']}", f"bundle    {result['bundle']}"]
    return lines + [line for problem in result["problems"] for line in page.wrap(f"! {problem}", 0, 2)]


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that the first SIGTERM or SIGINT sets; the second SIGINT interrupts."""
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
