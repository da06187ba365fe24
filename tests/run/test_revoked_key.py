"""A key is revoked: what was stamped before stays valid, what was stamped after or not at all does not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

# An authority's clock is good to a second, and a trust file writes whole seconds.
APART = 3


@pytest.fixture
def stamped(machine: Any, stamper: Callable[..., Any]) -> Any:
    """A machine whose bundles one authority stamps, and the authority."""
    authority = stamper("tsa")
    root = authority.folder / "root.pem"
    machine.configure('use = "program"\nfolder = "program"')
    config = machine.home / "collector.toml"
    stamp = f'[[stamp]]\nname = "tsa"\nurl = "{authority.url}"\ncertificates = ["{root}"]\n'
    config.write_text(config.read_text() + stamp)
    trust = machine.home / "config" / "trust.toml"
    trust.write_text(trust.read_text() + f'\n[[authority]]\nname = "tsa"\nfile = "{root}"\n')
    return machine, authority


def verified(machine: Any, paths: Iterable[Path]) -> dict[str, bool]:
    """Each by itself: its file's name, and whether `verify` ends with 0 and says so."""
    found = {}
    for path in paths:
        done = machine("verify", path, "--output", "json")
        (bundle,) = json.loads(done.stdout)["bundles"]
        assert bundle["verified"] == (done.returncode == 0), done.stdout
        found[path.name] = bundle["verified"]
    return found


def test_a_stamp_before_the_revocation_keeps_a_bundle_valid_and_nothing_else_does(stamped: Any) -> None:
    machine, authority = stamped
    before = Path(machine.run()["bundle"])
    authority.mode = "down"
    result = machine.run()
    assert any(each.startswith("NOT STAMPED by tsa: ") for each in result["problems"])
    unstamped = Path(result["bundle"])
    authority.mode = "good"
    assert verified(machine, (before, unstamped)) == {before.name: True, unstamped.name: True}

    time.sleep(APART)
    (key,) = json.loads(machine("keys", "list", "--output", "json").stdout)["keys"]
    revoked = machine("keys", "revoke", key["fingerprint"], "--reason", "laptop stolen")
    assert revoked.returncode == 0, revoked.stderr
    time.sleep(APART)
    assert verified(machine, (before, unstamped)) == {before.name: True, unstamped.name: False}

    # Whoever has the key still signs, and the authority stamps for anyone; what was owed is stamped, too.
    after = Path(machine.run()["bundle"])
    assert list(unstamped.parent.glob(f"{unstamped.stem}.*"))
    expected = {before.name: True, unstamped.name: False, after.name: False}
    assert verified(machine, (before, unstamped, after)) == expected
    said = " ".join(machine("verify", after).stdout.split())
    assert "laptop stolen" in said

    store = machine("verify", before.parents[2], "--output", "json")
    assert store.returncode == 1
    found = json.loads(store.stdout)["store"]
    broken = {Path(each["where"]).name for each in found["remarks"] if each["what"] == "broken"}
    assert broken == {unstamped.name, after.name}
    assert found["seen"] == len(expected)

    rotated = machine("keys", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    new = Path(machine.run()["bundle"])
    assert verified(machine, (before, new)) == {before.name: True, new.name: True}
