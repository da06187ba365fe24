"""The first run of a stranger's machine, end to end, and what an auditor does with its bundle."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from collector.config import load
from collector.keys import load_secret
from collector.plugins import load as plugins

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("first run")  # one first run is enough

SCHEMAS = ROOT / "docs" / "schemas"


def lines(bundle: Path, prefix: str) -> list[Any]:
    with zipfile.ZipFile(bundle) as archive:
        return [
            json.loads(line)
            for name in archive.namelist()
            if name.startswith(prefix)
            for line in gzip.decompress(archive.read(name)).splitlines()
        ]


def test_the_run_says_what_design_promises(first: Any) -> None:
    result = first.result
    due = {"bundle", "series", "sequence", "tasks", "calls", "gaps", "records", "findings", "controls"}
    assert due | {"delivered", "exit", "reasons"} <= result.keys()
    assert result["records"] > 100
    assert set(result["findings"]) == {"pass", "fail", "unknown", "not_applicable"}
    assert min(result["findings"]["pass"], result["findings"]["fail"]) > 0
    assert set(result["controls"]) == {"iso27001-2022", "soc2-2017", "nist-800-53-r5"}
    assert result["exit"] == result["reasons"][0]


def test_it_verifies_with_our_program_and_again_by_performing_it(first: Any) -> None:
    done = first.machine("verify", first.bundle, "--reperform", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["bundles"][0]["verified"]


def test_what_is_configured_is_told_apart_by_who_has_the_secret_key_alone(
    first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a bundle has the statement too, and its reader might try what could stand there."""
    home = first.machine.home
    monkeypatch.chdir(home)
    config = load(Path("collector.toml"), plugins(), environ=first.machine.environ)
    with zipfile.ZipFile(first.bundle) as archive:
        envelope = json.loads(archive.read("statement.dsse.json"))
    said = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["configuration"]
    assert said != config.digest
    assert said == load_secret(home / "config" / "secret.key").configuration_digest(config.digest)


def test_it_verifies_with_openssl_alone(first: Any) -> None:
    key = first.machine.home / "config" / "key.pub.pem"
    done = subprocess.run(
        ["sh", ROOT / "docs" / "verify.sh", key, first.bundle], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout


def test_a_strangers_key_is_told(first: Any, tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "other.pem"], check=True
    )
    assert made.returncode == 0
    subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "other.pem", "-pubout", "-out", tmp_path / "other.pub.pem"],
        check=True,
    )
    done = first.machine("verify", first.bundle, "--key", tmp_path / "other.pub.pem")
    assert done.returncode == 1
    assert "signature valid, signer unknown: SHA256:" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("member", "schema", "inner"),
    [
        ("ledger", "ledger", None),
        ("segments/", "record", "record"),
        ("segments/", "gap", "gap"),
        ("derived/", "record", "record"),
        ("findings", "finding", None),
        ("controls", "control", None),
    ],
)
def test_every_line_is_as_its_schema_says(first: Any, member: str, schema: str, inner: str | None) -> None:
    validator = jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text()))
    found = [line for line in lines(first.bundle, member) if inner is None or inner in line]
    assert found or inner == "gap"
    for line in found[:2000]:
        validator.validate(line)


@pytest.mark.parametrize("name", ["plan", "kinds", "exceptions"])
def test_every_document_is_as_its_schema_says(first: Any, name: str) -> None:
    with zipfile.ZipFile(first.bundle) as archive:
        document = json.loads(archive.read(f"{name}.json"))
    jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text())).validate(document)


def test_the_bundle_is_enough_where_no_source_is_installed(first: Any) -> None:
    from dataclasses import replace

    alone = replace(first.machine, blocked=("collector_host", "collector_program", "collector_baseline"))
    for command in (
        ("verify", first.bundle, "--reperform"),
        ("assess", first.bundle),
        ("query", first.bundle, "SELECT count(*) FROM host_user"),
        ("explain", "iso27001-2022:A.8.17", first.bundle),
        ("readiness", first.bundle),
    ):
        done = alone(*command)
        assert done.returncode in (0, 1) if command[0] == "readiness" else done.returncode == 0, done.stderr
    assert alone("checks").returncode == 2, "the sources were there after all"


def test_nothing_of_people_is_in_the_bundle(first: Any) -> None:
    roster = (ROOT / "examples" / "program" / "roster.csv").read_text().splitlines()[1:]
    with zipfile.ZipFile(first.bundle) as archive:
        whole = b"".join(
            gzip.decompress(archive.read(name)) if name.endswith(".gz") else archive.read(name)
            for name in archive.namelist()
            if not name.startswith("mappings/")
        ).decode("utf-8", "replace")
    for row in roster:
        _, name, mail = row.split(",")[:3]
        assert name not in whole
        assert not mail or mail not in whole


def test_the_next_run_names_the_one_before(first: Any) -> None:
    again = first.machine.run()
    assert again["sequence"] == first.result["sequence"] + 1
    done = first.machine("verify", first.bundle, again["bundle"])
    assert done.returncode == 0, done.stdout


def test_the_same_answers_mappings_and_moment_give_the_same_findings(machine: Any) -> None:
    machine.configure('use = "program"\nfolder = "program"')
    results = [machine.run("--as-of", "2026-11-24T02:00:00Z") for _ in range(2)]
    with zipfile.ZipFile(results[0]["bundle"]) as one, zipfile.ZipFile(results[1]["bundle"]) as other:
        names = one.namelist()
        assert names == other.namelist()
        for name in names:
            if not name.startswith(("ledger", "statement")):
                assert one.read(name) == other.read(name), name
