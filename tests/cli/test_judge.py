from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest


def test_bundle_of_a_known_signer_verifies(ran: Any) -> None:
    done = ran.machine("verify", ran.bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"verified  {ran.bundle}\n")
    assert "signed by" in done.stdout
    assert "series default, number 1, as of 2026-11-24T02:00:00Z" in done.stdout


def test_verdicts_performed_again_come_out_the_same(ran: Any) -> None:
    value = json.loads(ran.machine("verify", ran.bundle, "--reperform", "--output", "json").stdout)
    found = value["bundles"][0]
    assert (value["exit"], found["verified"]) == (0, True)
    assert found["reperformed"]["findings"] > 0
    assert found["reperformed"]["controls"] > 1000


def test_key_on_the_command_line_is_trusted_and_no_other(ran: Any, tmp_path: Path) -> None:
    from collector.bundle.keypair import generate_key

    key = ran.machine.home / "config/key.pub.pem"
    assert ran.machine("verify", ran.bundle, "--key", key).returncode == 0
    generate_key(tmp_path / "other.pem")
    done = ran.machine("verify", ran.bundle, "--key", tmp_path / "other.pub.pem")
    assert done.returncode == 1
    assert "signature valid, signer unknown: SHA256:" in " ".join(done.stdout.split())


def test_changed_bundle_does_not_verify_and_the_others_still_do(ran: Any, tmp_path: Path) -> None:
    changed = tmp_path / "changed.zip"
    data = bytearray(ran.bundle.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    done = ran.machine("verify", changed, ran.bundle, "--output", "json")
    value = json.loads(done.stdout)
    assert done.returncode == value["exit"] == 1
    assert [each["verified"] for each in value["bundles"]] == [False, True]
    assert value["bundles"][0]["error"]


def test_quiet_verify_speaks_of_what_does_not_verify_alone(ran: Any, tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"no bundle")
    done = ran.machine("verify", "--quiet", ran.bundle, tmp_path / "no.zip")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"collector: {tmp_path}/no.zip: ")
    assert done.stderr.count("\n") == 1


def test_verify_without_any_trust_is_exit_2_and_says_how_to_name_a_key(ran: Any, machine: Any) -> None:
    done = machine("verify", ran.bundle)
    assert done.returncode == 2
    assert "trust.toml: no such file; name a key with --key or a trust file with --trust" in done.stderr


def test_assess_judges_again_without_touching_the_bundle(ran: Any, tmp_path: Path) -> None:
    before = ran.bundle.read_bytes()
    done = ran.machine("assess", ran.bundle, "--out", tmp_path / "out", "--output", "json")
    value = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert value["findings"]["fail"] > 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "controls.jsonl.gz",
        "findings.jsonl.gz",
    ]
    assert ran.bundle.read_bytes() == before
    again = gzip.decompress((tmp_path / "out" / "findings.jsonl.gz").read_bytes()).splitlines()
    assert {"check", "result"} <= json.loads(again[0]).keys()
    assert not any("salt" in json.loads(line) for line in again), "salts are for who has the secret key"


def test_assess_at_a_later_moment_finds_what_is_overdue_by_then(ran: Any) -> None:
    def fails(*more: str) -> int:
        value = json.loads(ran.machine("assess", ran.bundle, "--output", "json", *more).stdout)
        return int(value["findings"]["fail"])

    assert fails("--as-of", "2036-01-01") > fails()


@pytest.mark.parametrize("more", [["--installed"], ["--framework", "soc2-2017"]])
def test_assess_takes_other_mappings_and_fewer_frameworks(ran: Any, more: list[str]) -> None:
    value = json.loads(ran.machine("assess", ran.bundle, *more, "--output", "json").stdout)
    assert set(value["controls"]) >= {"soc2-2017"}
    assert (set(value["controls"]) == {"soc2-2017"}) == ("--framework" in more)


def test_assess_with_a_folder_of_mappings_judges_by_these_alone(ran: Any, tmp_path: Path) -> None:
    pack = Path(__file__).parents[2] / "mappings"
    shutil.copytree(pack, tmp_path / "pack")
    shutil.rmtree(tmp_path / "pack/checks")
    value = json.loads(
        ran.machine("assess", ran.bundle, "--mappings", tmp_path / "pack", "--output", "json").stdout
    )
    assert sum(value["findings"].values()) == 0


def test_framework_that_the_bundle_lacks_is_one_clear_line(ran: Any) -> None:
    done = ran.machine("assess", ran.bundle, "--framework", "soc2-2016")
    assert (done.returncode, done.stderr) == (
        2,
        "collector: no framework soc2-2016 (did you mean soc2-2017?)\n",
    )


def test_assess_says_in_words_what_it_came_to(ran: Any) -> None:
    done = ran.machine("assess", ran.bundle)
    assert done.stdout.startswith("Findings\n")
    assert "checks not run, since nothing of their kind was collected" in done.stdout


def test_question_in_sql_is_answered_in_rows(ran: Any) -> None:
    sql = "SELECT result, count(*) AS n FROM finding GROUP BY result ORDER BY result"
    value = json.loads(ran.machine("query", ran.bundle, sql, "--output", "json").stdout)
    assert value["columns"] == ["result", "n"]
    assert {row[0] for row in value["rows"]} >= {"pass", "fail"}
    text = ran.machine("query", ran.bundle, sql).stdout.splitlines()
    assert text[0].split() == ["result", "n"]
    assert text[-1] == f"({len(value['rows'])} rows)"
    assert ran.machine("query", ran.bundle, "SELECT 1").stdout.splitlines()[-1] == "(1 row)"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM nowhere",
        "nonsense",
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY finding TO '/tmp/x'",
    ],
)
def test_question_that_cannot_be_answered_is_one_line(ran: Any, sql: str) -> None:
    done = ran.machine("query", ran.bundle, sql)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("collector: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1; SELECT 2", "2 statements; ask one question at a time"),
        ("SELECT 1; DROP TABLE t.finding;", "2 statements; ask one question at a time"),
        ("/* nothing */", "the query asks nothing; it must be a SELECT"),
        (
            "SELECT * FROM program_persn",
            "the bundle has no table 'program_persn' (did you mean program_person?)",
        ),
        ("SELECT * FROM findings", "the bundle has no table 'findings' (did you mean finding?)"),
        (
            "SELECT * FROM aws_s3_bucket",
            "the bundle has no table 'aws_s3_bucket'; `SHOW TABLES` lists its kinds",
        ),
    ],
)
def test_question_of_several_or_of_no_such_table_is_told_in_words_of_the_bundle(
    ran: Any, sql: str, message: str
) -> None:
    done = ran.machine("query", ran.bundle, sql)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"collector: {message}\n")


def test_question_that_ends_in_a_semicolon_is_one(ran: Any) -> None:
    done = ran.machine("query", ran.bundle, "SELECT 1 AS n; -- that is all", "--output", "json")
    assert json.loads(done.stdout) == {"columns": ["n"], "rows": [[1]]}


def test_tables_that_can_be_asked_are_shown_on_demand(ran: Any) -> None:
    rows = json.loads(ran.machine("query", ran.bundle, "SHOW TABLES", "--output", "json").stdout)["rows"]
    assert {"program_person", "finding", "control", "call"} <= {name for name, *_ in rows}


def test_blank_question_is_wrong_usage(ran: Any) -> None:
    done = ran.machine("query", ran.bundle, " ")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("Error: SQL is blank\n")


@pytest.mark.parametrize(
    "command", [["assess"], ["query", "SELECT 1"], ["readiness"], ["explain", "soc2-2017:CC5.3"]]
)
def test_what_is_no_bundle_is_one_line(ran: Any, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 nothing")
    name, *rest = command
    arguments = [tmp_path / "no.zip", *rest] if name == "query" else [*rest, tmp_path / "no.zip"]
    done = ran.machine(name, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("collector: no.zip: ")
    assert done.stderr.count("\n") == 1


def test_missing_bundle_is_one_line(ran: Any) -> None:
    done = ran.machine("assess", "nowhere.zip")
    assert (done.returncode, done.stderr) == (1, "collector: nowhere.zip: No such file or directory\n")
