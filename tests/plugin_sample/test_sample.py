"""A plugin by somebody else: it keeps the contract, fails honestly, and is found as anyone's is."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from collector.assess import examples, mappings
from collector.assess.evidence import kind_json
from collector.model import Outcome
from collector.plugins import Plugins
from collector.testing import check_run, check_source, collect

HERE = Path(__file__).parent
TOP = HERE.parents[1]


def records(sample, server):
    (collected,) = collect(sample.BackupServer(server.settings))
    return {record.id: record for record in collected.records}, dict(collected.heard.values())


def test_the_plugin_conforms(sample):
    plugins = Plugins.of(sample)
    assert list(plugins.sources) == ["sample"]
    assert check_source(plugins.sources["sample"]) == []


def test_each_call_may_fail_and_what_is_left_stays_true(sample, server):
    assert check_run(sample.BackupServer, server.settings) == []


def test_all_pages_are_read(sample, server):
    found, _ = records(sample, server)
    assert list(found) == ["mail", "files/shared", "never-ran"]
    assert found["mail"].data["succeeded_at"] == "2026-11-23T03:00:00Z"
    assert found["files/shared"].data["succeeded_at"] == "2026-11-01T03:00:00Z"


def test_a_job_that_never_ran_is_an_answer_and_no_gap(sample, server):
    found, heard = records(sample, server)
    assert found["never-ran"].data["succeeded_at"] is None
    assert heard["backup:LastRun"] is Outcome.ABSENT


FAULTS = {
    "denied": (403, Outcome.DENIED),
    "throttled": (429, Outcome.BUDGET),
    "broken": (500, Outcome.FAILED),
    "down for now": (503, Outcome.UNREACHABLE),
    "torn": ("torn", Outcome.FAILED),
    "no JSON": ("not-json", Outcome.MALFORMED),
}


@pytest.mark.parametrize(("odd", "outcome"), FAULTS.values(), ids=FAULTS.keys())
def test_a_list_that_fails_is_no_empty_list(sample, server, odd, outcome):
    server.odd["/jobs"] = odd
    found, heard = records(sample, server)
    assert found == {} and heard == {"backup:ListJobs": outcome}


def test_a_server_that_is_down_or_slow_says_so(sample, server):
    source = sample.BackupServer({"url": "http://127.0.0.1:9", "token": "right"})
    (collected,) = collect(source)
    assert [outcome for _, outcome in collected.heard.values()] == [Outcome.UNREACHABLE]
    server.odd["/jobs"] = "slow"
    slow = sample.BackupServer(server.settings)
    with pytest.raises(TimeoutError):
        slow.send(slow.root(), "backup:ListJobs", {}, 0.05)


def test_a_wrong_token_is_denied(sample, server):
    (collected,) = collect(sample.BackupServer({**server.settings, "token": "wrong"}))
    assert [outcome for _, outcome in collected.heard.values()] == [Outcome.DENIED]


def test_its_mapping_pack_loads_beside_the_built_in_one_and_its_examples_hold(sample):
    (pack,) = Plugins.of(sample).packs
    loaded = mappings.load([TOP / "mappings", Path(pack.folder)], strict=True)
    check = loaded.checks["sample-backup-worked-lately"]
    kinds = {kind.name: kind_json("sample", kind) for kind in sample.BackupServer.kinds}
    assert [outcome for outcome in examples.run([check], kinds) if not outcome.holds] == []
    assert len(check.examples) == 4


def test_it_is_found_through_its_entry_point_once_installed(tmp_path):
    """What `pip install` of the package makes, and nothing else, makes the core find it."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "--target", str(tmp_path), str(HERE)],
        check=True, capture_output=True,
    )  # fmt: skip
    code = (
        "import json; from collector.plugins import load; p = load(); s = p.sources['sample']; "
        "print(json.dumps([p.origin['sample'], s.__module__, sorted(k for k in p.kinds() if 'sample' in k), "
        "[pack.name for pack in p.packs if pack.name == 'sample']]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{TOP}:{TOP / 'plugins'}", "PATH": "/usr/bin:/bin"},
    )
    assert json.loads(done.stdout) == [
        "collector-sample 1.2.0",
        "collector_sample",
        ["sample_backup_job"],
        ["sample"],
    ]


def test_it_is_of_the_size_that_an_afternoon_allows():
    code = (HERE / "collector_sample" / "__init__.py").read_text()
    assert len(code.splitlines()) < 200


def _blocks():
    text = (TOP / "docs" / "plugins.md").read_text()
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_table_that_the_guide_shows_is_one_that_the_plugin_takes(sample):
    (table,) = [block for _, block in _blocks() if block.startswith("[[source]]")]
    (given,) = tomllib.loads(table)["source"]
    assert given.pop("use") == sample.BackupServer.name
    assert set(given) == {option.name for option in sample.BackupServer.options if option.required}


def test_each_snippet_of_the_guide_is_part_of_this_plugin():
    files = [*HERE.rglob("*.py"), *HERE.rglob("*.toml")]
    sources = [path.read_text() for path in files]
    shells = ("sh", "console")
    blocks = [each for each in _blocks() if each[0] not in shells and not each[1].startswith("[[source]]")]
    assert len(blocks) > 5
    for _, block in blocks:
        assert any(block in source for source in sources), f"not in the sample:\n{block}"
