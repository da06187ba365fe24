from __future__ import annotations

import json
from typing import Any


def test_readiness_counts_each_frameworks_controls(ran: Any) -> None:
    value = json.loads(ran.machine("readiness", ran.bundle, "--output", "json").stdout)
    assert set(value["frameworks"]) == {"iso27001-2022", "nist-800-53-r5", "soc2-2017"}
    for framework in value["frameworks"].values():
        assert sum(framework["counts"].values()) == len(framework["controls"])
    assert value["frameworks"]["soc2-2017"]["counts"]["not_satisfied"] > 0


def test_readiness_without_a_bundle_shows_the_newest_of_the_series(ran: Any) -> None:
    done = ran.machine("readiness")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ran.machine("readiness", ran.bundle).stdout


def test_readiness_names_controls_of_a_framework_that_was_named(ran: Any) -> None:
    done = ran.machine("readiness", ran.bundle, "--framework", "soc2-2017")
    assert "not satisfied" in done.stdout
    assert "CC5.3" in done.stdout
    assert "iso27001-2022" not in done.stdout


def test_readiness_of_an_unknown_framework_names_the_nearest(ran: Any) -> None:
    done = ran.machine("readiness", ran.bundle, "--framework", "soc2")
    assert done.returncode == 2
    assert done.stderr == "collector: framework 'soc2' was not judged (did you mean soc2-2017?)\n"


def test_readiness_before_the_first_run_says_what_to_do(machine: Any) -> None:
    (machine.work / "collector.toml").write_text('[[source]]\nuse = "program"\nfolder = "x"\n')
    done = machine("readiness")
    assert done.returncode == 2
    assert done.stderr == "collector: series default has no bundle yet, `collector run` makes one\n"


def test_explain_goes_down_to_the_record_and_the_call(ran: Any) -> None:
    value = json.loads(ran.machine("explain", "soc2-2017:CC5.3", "--output", "json").stdout)
    failing = [
        finding
        for objective in value["objectives"]
        for check in objective["checks"]
        for finding in check["findings"]
        if finding["result"] == "fail"
    ]
    assert value["status"] == "not_satisfied"
    assert failing
    for finding in failing:
        assert finding["records"], finding
        for record in finding["records"]:
            assert any(call["op"] == "program:read" for call in record["calls"])
            assert all(call["at"] and call["outcome"] == "ok" for call in record["calls"])


def test_explain_says_it_in_words(ran: Any) -> None:
    text = ran.machine("explain", "soc2-2017:CC5.3", ran.bundle).stdout
    assert text.startswith("soc2-2017:CC5.3  ")
    for shown in ("policies-are-approved", "Fix: ", "asked program:read", "not run: nothing of its kind"):
        assert shown in text


def test_explain_of_an_unknown_control_names_the_nearest(ran: Any) -> None:
    done = ran.machine("explain", "soc2-2017:CC5.33")
    assert done.returncode == 2
    assert "control 'soc2-2017:CC5.33' was not judged (did you mean soc2-2017:CC5.3?)" in done.stderr
