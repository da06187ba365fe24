"""`deliver` and `sink check`: what goes to the stores, and what these really enforce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from collector.cli.options import Configured, Output, configured, printing, writing_to

if TYPE_CHECKING:
    from collector.report.page import Page

__all__ = ["deliver", "sink"]


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
    with writing_to(f"state folder {config.state}"), hold(config.state, config.series):
        sent = send(config, plugins, timestamp(datetime.now(UTC)))
        late = deliver_stamps(config, plugins)
    value = {
        "delivered": sent.sinks,
        "sent": sorted(sent.places.values()),
        "stamped": late.fetched,
        "notes": sent.notes,
        "problems": [*sent.problems, *late.problems],
    }
    output.give(value, lambda page: _text(value, page))
    output.complain(value["problems"])
    return 4 if value["problems"] else 0


def _text(value: Mapping[str, Any], page: Page) -> list[str]:
    lines = [f"sent  {place}" for place in value["sent"]] or ["Nothing was sent."]
    lines += [f"stamped  {stamp}" for stamp in value["stamped"]]
    lines += [f"up to date  {sink}" for sink in value["delivered"]]
    lines += [line for note in value["notes"] for line in page.wrap(f"note  {note}", 0, 6)]
    return lines + [line for problem in value["problems"] for line in page.wrap(f"! {problem}", 0, 2)]


@click.group()
def sink() -> None:
    """Look at the stores that bundles go to."""


@sink.command()
@configured()
@printing
def check(configured: Configured, output: Output) -> int:
    """Show what each configured store really enforces, by trying it on canaries.

    A canary is a small object below .collector-check/ in the store; no bundle is touched. Tried are: a
    second object under a key, bytes that do not fit their checksum, reading back, and what only this kind of
    store can promise, such as deleting a locked version or shortening its retention. Canaries are removed;
    those that were locked stay until their lock ends, two minutes later.

    \b
    Exit codes:
      2  usage or configuration
      1  something that a sink promises does not hold, or could not be told
      0  all that the configuration promises holds
    """
    import secrets

    from collector.deliver.canary import check as tried
    from collector.run.delivery import made_sinks

    config, plugins = configured.load()
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    found = [tried(each, name) for each in made_sinks(config, plugins)]
    value = [each.json() for each in found]
    output.give(value, lambda page: _checked(value, page))
    output.complain(_not_held(value))
    return 0 if all(each.holds for each in found) else 1


def _checked(value: Sequence[Mapping[str, Any]], page: Page) -> list[str]:
    lines: list[str] = []
    for each in value:
        lines += page.wrap(f"{each['sink']} {each['address']}", 0, 2)
        for row in each["checks"]:
            detail = f": {row['detail']}" if row["detail"] else ""
            lines += page.wrap(f"{_word(row)}  {row['what']}{detail}", 2, 13)
        end = (
            "All that is promised holds." if each["holds"] else "! Not all that is promised was seen to hold."
        )
        lines += [f"  {end}", ""]
    return lines[:-1]


def _not_held(value: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{each['sink']} {each['address']}: {_word(row).strip()}: {row['what']}: {row['detail']}"
        for each in value
        for row in each["checks"]
        if row["promised"] and not row["held"]
    ]


def _word(row: Mapping[str, Any]) -> str:
    word = {True: "holds", False: "DOES NOT" if row["promised"] else "no", None: "not told"}[row["held"]]
    return f"{word:<9}"
