"""The sample plugin goes the way of every source: through ask, ledger, segments, tables and verdicts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import collector_baseline
from collector.assess import assess
from collector.canonical import loads
from collector.collect.ask import Limits, Stop
from collector.collect.executor import Settings, collect, discover
from collector.collect.plan import make
from collector.keys import create_secret, load_secret
from collector.lines import read_lines
from collector.plugins import Plugins
from collector.run import folder as layout

AS_OF = datetime(2026, 11, 24, tzinfo=UTC)
CHECK = "sample-backup-worked-lately"


@pytest.fixture
def run(sample, server, tmp_path):
    """Collect and judge; gives the folder."""
    plugins = Plugins.of(collector_baseline, sample)
    secret = tmp_path / "secret.key"
    create_secret(secret)
    keys = load_secret(secret)
    limits = Limits(tries=1)

    def run() -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        found = [discover(plugins.sources["sample"], server.settings, secret, limits, Stop())]
        planned = [(each.source, each.settings, each.items) for each in found]
        plan = make(AS_OF, ("iso27001-2022",), planned, [])
        layout.write_plan(folder, plan, plugins, keys)
        collected = collect(plan, Settings(folder, secret, workers=2, limits=limits), found)
        layout.write_ledger(folder, collected.ledger, keys)
        layout.place(folder, collected)
        nothing = {"format": 1, "waivers": [], "out_of_scope": [], "accepted_gaps": []}
        layout.write_exceptions(folder, nothing, keys)
        layout.copy_mappings(folder, plugins.packs, plan.frameworks)
        assess(folder, as_of=AS_OF)
        return folder

    return run


def findings(folder):
    lines = map(loads, read_lines(folder / "findings.jsonl.gz"))
    return {line["subject"]: line["result"] for line in lines if line["check"] == CHECK}


def control(folder, name):
    lines = map(loads, read_lines(folder / "controls.jsonl.gz"))
    return next(line["status"] for line in lines if line["control"] == name)


def written(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            yield b"\n".join(read_lines(path)) if path.suffix == ".gz" else path.read_bytes()


def test_its_records_are_judged_and_reach_a_control(run):
    folder = run()
    assert findings(folder) == {"mail": "pass", "files/shared": "fail", "never-ran": "fail"}
    assert control(folder, "iso27001-2022:A.8.13") == "not_satisfied"


def test_a_denied_detail_is_unknown_for_its_record_alone(run, server):
    server.odd["/jobs/mail/last-run"] = 403
    assert findings(run()) == {"mail": "unknown", "files/shared": "fail", "never-ran": "fail"}


def test_a_denied_list_leaves_one_finding_for_the_population(run, server):
    server.odd["/jobs"] = 403
    folder = run()
    assert findings(folder) == {"": "unknown"}
    assert control(folder, "iso27001-2022:A.8.13") not in ("satisfied", "partial", "not_satisfied")


def test_neither_token_nor_mail_address_is_written(run, server):
    everything = b"\n".join(written(run()))
    assert b"files/shared" in everything
    assert b"ops@example.org" not in everything
    assert b"Bearer" not in everything and b'"right"' not in everything
