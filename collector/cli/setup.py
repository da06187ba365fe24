"""`init`: the keys, the trust file and the configuration of a machine that has none."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import Output, printing

if TYPE_CHECKING:
    from collector.report.page import Page

__all__ = ["init"]


@click.command()
@printing
def init(output: Output) -> None:
    """Make the keys, the trust file and collector.toml.

    Writes, in the user's configuration folder (or COLLECTOR_CONFIG_DIR): key.pem, the Ed25519 key that
    signs bundles, and its public half key.pub.pem; secret.key, for salts and pseudonyms; trust.toml, by
    which `collector verify` knows that key. Where no configuration is found, collector.toml is written
    to the current folder. Nothing that exists is ever replaced.

    Give key.pub.pem, or the fingerprint that is printed, to your auditor by another way than the bundles.
    """
    from collector.bundle.keypair import complete_key, generate_key, public_path
    from collector.bundle.trust import trust_entry
    from collector.config import FILE, config_folder, find
    from collector.keys import create_secret

    folder = config_folder()
    _own(folder)
    key, secret, trust = folder / "key.pem", folder / "secret.key", folder / "trust.toml"
    public = public_path(key)
    made: dict[Path, bool] = {key: _absent(key, public), public: _absent(public)}
    if made[key]:
        with _whole(key, public):
            generate_key(key)
    elif made[public]:
        with _whole(public):
            complete_key(key)
    made[secret] = _absent(secret)
    if made[secret]:
        with _whole(secret):
            create_secret(secret)
    pem = public.read_text("ascii") if public.is_file() else ""
    made[trust] = bool(pem) and _absent(trust)
    if made[trust]:
        _create(trust, trust_entry(pem, socket.gethostname() or "this machine"))
    configuration, failed = find(None), None
    if configuration is None:
        configuration = Path(FILE)
        failed = _configuration(configuration)
        made |= {configuration.absolute(): True} if failed is None else {}
    else:
        made[configuration.absolute()] = False
    fingerprint = _fingerprint(pem)
    value = {
        "fingerprint": fingerprint,
        "files": [{"path": str(path), "made": new} for path, new in made.items()],
    }
    output.give(value, lambda page: _text(made, fingerprint, failed is None, page))
    if failed is not None:
        raise failed


def _own(folder: Path) -> None:
    from collector.model import ConfigError

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be made: {error.strerror}; "
            "COLLECTOR_CONFIG_DIR names another folder for the keys, in every later command too"
        ) from None


def _configuration(path: Path) -> OSError | None:
    """Write the configuration, or give what hindered it: the keys that were made must be shown first."""
    try:
        _create(path, files("collector.cli").joinpath("default.toml").read_text("utf-8"))
    except OSError as error:
        return error
    return None


def _absent(*paths: Path) -> bool:
    return not any(os.path.lexists(path) for path in paths)


def _create(path: Path, text: str) -> None:
    with _whole(path), path.open("x", encoding="utf-8") as file:
        file.write(text)


@contextmanager
def _whole(*paths: Path) -> Iterator[None]:
    """Take away what could not be written to its end, as on a full disk: it would be kept for ever.

    Raises:
        OSError: what was raised, with the file where it names none.
    """
    try:
        yield
    except FileExistsError:
        raise  # somebody else's
    except OSError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, error.filename or str(paths[0])) from None


def _fingerprint(pem: str) -> str | None:
    from collector.bundle.identity import PublicKey
    from collector.model import ConfigError

    if not pem:
        return None
    try:
        return PublicKey.from_pem(pem).fingerprint
    except ValueError as error:
        raise ConfigError(f"key.pub.pem: {error}") from None


def _text(made: dict[Path, bool], fingerprint: str | None, configured: bool, page: Page) -> list[str]:
    rows = [("made" if new else "kept", str(path)) for path, new in made.items() if new or path.exists()]
    return [
        *page.table(rows, indent=0),
        "",
        f"Signing key: {fingerprint or 'its public half, key.pub.pem, is missing'}",
        *(["Next: collector run"] if configured else []),
    ]
