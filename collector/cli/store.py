"""`deliver`: what the outbox still holds goes to its sinks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from collector.cli.options import Configured, Output, configured, printing

if TYPE_CHECKING:
    from collector.report.page import Page

__all__ = ["deliver"]


@click.command()
@configured("series", "state")
@printing
def deliver(configured: Configured, output: Output) -> int:
    """Send what the outbox still holds to the sinks that lack it, in sequence, and fetch stamps still owed.

    A run does the same at its end; this is for when a sink was not there then. What cannot be sent stays in
    the outbox.

    \b
    Exit codes, the first that fits:
      75  a run of this series holds the lock
       2  usage or configuration
       4  something could not be sent, and is still in the outbox
       0  every sink has everything
    """
    from collector.collect.plan import timestamp
    from collector.deliver.lock import hold
    from collector.run.delivery import deliver_stamps, send

    config, plugins = configured.load()
    with hold(config.state, config.series):
        sent = send(config, plugins, timestamp(datetime.now(UTC)))
        late = deliver_stamps(config, plugins)
    value = {
        "delivered": sent.sinks,
        "sent": sorted(sent.places.values()),
        "stamped": late.fetched,
        "problems": [*sent.problems, *late.problems],
    }
    output.give(value, lambda page: _text(value, page))
    return 4 if value["problems"] else 0


def _text(value: Mapping[str, Any], page: Page) -> list[str]:
    lines = [f"sent  {place}" for place in value["sent"]] or ["Nothing was sent."]
    lines += [f"stamped  {stamp}" for stamp in value["stamped"]]
    lines += [f"up to date  {sink}" for sink in value["delivered"]]
    return lines + [line for problem in value["problems"] for line in page.wrap(f"! {problem}", 0, 2)]
