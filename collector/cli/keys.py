"""`keys`: whose signatures count, a new key in the place of the old one, and keys that count no more.

And the authorities whose time stamps count, for cosign.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli.options import MOMENT, Configured, Output, configured, printing

if TYPE_CHECKING:
    from collector.bundle.identity import PublicKey
    from collector.model import Json
    from collector.report.page import Page

__all__ = ["keys"]

_TRUST = click.option(
    "--trust", type=click.Path(path_type=Path), metavar="FILE", help="The trust file; else the user's."
)


@click.group()
def keys() -> None:
    """List, rotate and revoke the keys whose signatures count.

    They stand in a trust file: the user's is trust.toml, beside the key that `collector init` made. An
    auditor has his own.
    """


@keys.command("list")
@_TRUST
@configured()
@printing
def list_(trust: Path | None, configured: Configured, output: Output) -> None:
    """List the keys of the trust file, and say which one signs now."""
    from collector.bundle.trust import load_trust
    from collector.report.keys import keys_json, keys_text

    found = load_trust(_place(trust))
    signing, problem = _signing(configured)
    value = keys_json(found, signing, problem, datetime.now(UTC))
    output.give(value, lambda page: keys_text(value, page))


@keys.command()
@_TRUST
@click.option(
    "--overlap",
    metavar="TIME",
    default="7d",
    show_default=True,
    help="How much longer the old key counts: for bundles whose time stamps are still to come.",
)
@configured()
@printing
def rotate(trust: Path | None, overlap: str, configured: Configured, output: Output) -> None:
    """Put a new key in the place of the one that signs.

    For the signer `file`. The new key is added to the trust file, the old one's validity ends, and its
    file is kept under a dated name. No run may be under way. What was cut off is finished by the
    next call.
    """
    from collector.run.rotation import rotate as rotate_key

    config, plugins = configured.load()
    made = rotate_key(config, plugins, _place(trust), datetime.now(UTC), _overlap(overlap))
    value = {
        "old": made.old,
        "new": made.new,
        "until": f"{made.until:%Y-%m-%dT%H:%M:%SZ}",
        "kept": str(made.kept),
        "key": str(made.key),
    }
    output.give(value, lambda page: _rotated(value, page))


@keys.command()
@click.argument("fingerprint")
@click.option("--reason", required=True, help="Why, in one line; verifiers are shown it.")
@click.option("--at", type=MOMENT, help="Since when, as in 2026-11-24T02:00:00Z; now if left out.")
@_TRUST
@configured()
@printing
def revoke(
    fingerprint: str,
    reason: str,
    at: datetime | None,
    trust: Path | None,
    configured: Configured,
    output: Output,
) -> None:
    """Let the key with this FINGERPRINT count no more.

    What a time stamp proves to be signed before the moment of revocation stays valid. What was stamped
    after it or not at all does not.
    """
    from collector.bundle.trust import Revocation
    from collector.run.rotation import revoke as revoke_key

    moment = at or datetime.now(UTC).replace(microsecond=0)
    revoked = revoke_key(_place(trust), fingerprint, Revocation(moment, reason)).fingerprint
    signing, _ = _signing(configured)
    value = {
        "revoked": revoked,
        "at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "reason": reason,
        "signs": signing is not None and signing.fingerprint == revoked,
    }
    output.give(value, lambda page: _revoked(value, page))


@keys.command("trusted-root")
@_TRUST
@printing
def trusted_root(trust: Path | None, output: Output) -> None:
    """Print the time stamp authorities of the trust file as cosign takes them.

    The output is a Sigstore trusted root in JSON, for `cosign verify-blob-attestation --trusted-root`.
    """
    from collector.bundle.trust import load_trust
    from collector.bundle.trusted_root import trusted_root as made
    from collector.canonical import loads

    data = made(load_trust(_place(trust)))
    output.give(loads(data), lambda _: [data.decode()])


def _place(trust: Path | None) -> Path:
    from collector.config import config_folder

    return trust or config_folder() / "trust.toml"


def _overlap(text: str) -> timedelta:
    from collector.toml import parse_duration

    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError as error:
        raise click.UsageError(f"--overlap: {error}") from None


def _signing(configured: Configured) -> tuple[PublicKey | None, str | None]:
    """The key that signs now, or why that cannot be told."""
    from collector.model import CollectorError
    from collector.run.rotation import signing_key

    try:
        config, plugins = configured.load()
        return signing_key(config.sign, plugins), None
    except CollectorError as error:
        return None, str(error)


def _rotated(value: Json, page: Page) -> list[str]:
    rows: list[tuple[str, Any]] = [
        ("signs now", value["new"]),
        ("", value["key"]),
        ("signed until now", value["old"]),
        ("", f"counts until {value['until']}"),
        ("", f"kept as {value['kept']}"),
    ]
    more = "Give your auditor the new public key, by another way than the bundles."
    return [*page.table(rows, indent=0), "", *page.wrap(more)]


def _revoked(value: Json, page: Page) -> list[str]:
    lines = page.wrap(f"Revoked since {value['at']}: {value['revoked']}")
    if value["signs"]:
        lines += page.wrap("It is the key that signs now: `collector keys rotate` puts another in its place.")
    return [*lines, *page.wrap("Tell every auditor who trusts it, and when it happened.")]
