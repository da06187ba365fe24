"""A whole run with a witness and two authorities, one of which is down at first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collector.bundle.keypair import generate_key, public_path


def test_a_run_whose_authority_fails_is_stamped_by_deliver(machine: Any, stamper: Callable[..., Any]) -> None:
    home: Path = machine.home
    good, late = stamper("good"), stamper("late")
    late.mode = "down"
    generate_key(home / "witness.pem")
    tables = ['[witness]\nuse = "file"\nkey = "witness.pem"']
    trusts = [(home / "config" / "trust.toml").read_text()]
    trusts.append(f'[[key]]\nname = "witness"\npurpose = "witness"\nfile = "{home}/witness.pub.pem"')
    for name, each in (("good", good), ("late", late)):
        root = each.folder / "root.pem"
        tables.append(f'[[stamp]]\nname = "{name}"\nurl = "{each.url}"\ncertificates = ["{root}"]')
        trusts.append(f'[[authority]]\nname = "{name}"\nfile = "{root}"')
    machine.configure('use = "program"\nfolder = "program"')
    config = home / "collector.toml"
    config.write_text(config.read_text() + "\n".join(tables))
    trust = home / "trust.toml"
    trust.write_text("signers = 2\nstamps = 2\n" + "\n".join(trusts))

    result = machine.run()
    assert any(each.startswith("NOT STAMPED by late: ") for each in result["problems"])
    assert result["delivered"]
    bundle = Path(result["bundle"])
    done = machine("verify", bundle, "--trust", trust)
    assert done.returncode == 1
    assert "stamped by 1 of the 2 trusted authorities" in " ".join(done.stdout.split())

    still = machine("deliver", "--output", "json")
    assert still.returncode == 4
    late.mode = "good"
    sent = machine("deliver", "--output", "json")
    assert sent.returncode == 0, sent.stdout
    assert len(json.loads(sent.stdout)["stamped"]) == 2  # over both signatures

    done = machine("verify", bundle, "--trust", trust, "--reperform", "--output", "json")
    assert done.returncode == 0, done.stdout
    (found,) = json.loads(done.stdout)["bundles"]
    assert len(found["signers"]) == 2
    assert {(each["authority"], each["signature"]) for each in found["stamps"]} == {
        (name, number) for name in ("good", "late") for number in (0, 1)
    }
    assert not found["warnings"]
    script = Path(__file__).parents[2] / "docs" / "verify.sh"
    words = ["-w", public_path(home / "witness.pem"), "-t", late.folder / "root.pem"]
    key = home / "config" / "key.pub.pem"
    shell = subprocess.run(["sh", script, *words, key, bundle], capture_output=True, text=True, check=False)
    assert shell.returncode == 0, shell.stderr
    assert "stamped: " in shell.stdout


def test_a_key_that_witnesses_itself_stops_a_run_before_it_asks(machine: Any) -> None:
    config = machine.home / "collector.toml"
    key = machine.home / "config" / "key.pem"
    config.write_text(config.read_text() + f'\n[witness]\nuse = "file"\nkey = "{key}"\n')
    done = machine("run", "--output", "json")
    assert done.returncode == 2
    assert "it must be another one" in done.stderr
    assert not list((machine.home / "state").rglob("*.zip"))


def test_an_authority_that_stays_dead_for_more_than_a_day_is_told_to_cron(
    machine: Any, stamper: Callable[..., Any]
) -> None:
    dead = stamper("dead")
    dead.mode = "down"
    machine.configure('use = "program"\nfolder = "program"')
    config = machine.home / "collector.toml"
    table = f'[[stamp]]\nname = "dead"\nurl = "{dead.url}"\ncertificates = ["{dead.folder / "root.pem"}"]\n'
    config.write_text(config.read_text() + table)
    first = machine.run()  # ends well: it may answer in a moment
    assert any(each.startswith("NOT STAMPED by dead: ") for each in first["problems"])
    days_later = (
        "import datetime, collector.deliver.stamps as stamps; real = datetime.datetime; "
        "stamps.datetime = type('datetime', (real,), {'now': classmethod(lambda cls, zone: "
        "real.now(zone) + datetime.timedelta(hours=HOURS))}); "
    )
    for hours, code in (("20", {0, 3}), ("30", {4})):
        words = machine.command("run", "--quiet")
        words[2] = days_later.replace("HOURS", hours) + words[2]
        done = subprocess.run(
            words, cwd=machine.home, env=machine.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode in code, done.stderr
        assert ("NOT STAMPED by dead for more than a day" in done.stderr) is (code == {4})
