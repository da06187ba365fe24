import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import CallFailed, Gap, Outcome, Record, Text, UndeclaredCall
from collector.testing import (
    Recording,
    check_derived,
    check_run,
    check_source,
    collect,
    recording_source,
    replay_source,
)
from collector_program import Program, collector_mappings, collector_sources
from collector_program.kinds import PERSON

ROSTER = """id,name,mail,role,joined_on,left_on,logins
e1,Eva Meyer,eva@example.org,CISO,2020-01-01,,eva;eva.adm
e2,Tom Roth,tom@example.org,Support,2021-01-01,2026-01-31,tom
"""
POLICY = """+++
id = "pol-1"
title = "Access"
owner = "e1"
+++
Ask eva@example.org.
"""


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "acme"
    (root / "policies").mkdir(parents=True)
    (root / "roster.csv").write_text(ROSTER)
    (root / "policies" / "access.md").write_text(POLICY)
    return root


def run(folder):
    (collected,) = collect(Program({"folder": str(folder)}))
    return collected


def outcomes(collected):
    return dict(collected.heard.values())


def told(collected):
    return [(gap.kind, gap.reason, gap.detail) for gap in collected.gaps]


def test_the_source_conforms(folder):
    assert check_source(Program) == []
    (folder / "policies" / "broken.md").write_text("no front matter")
    (folder / "policies" / "wrong.md").write_text(POLICY.replace('"e1"', '"Eva Meyer"'))
    (folder / "policies" / "picture.png").write_bytes(b"\x89PNG")
    assert check_run(Program, {"folder": str(folder)}) == []


def test_the_derived_kind_conforms():
    (pack,) = collector_mappings()
    assert [line for each in pack.derived for line in check_derived(each, "program", Program.kinds)] == []
    assert [path.name for path in Path(pack.folder).iterdir()] == ["README.md"]
    assert collector_sources() == [Program]


def test_people_and_policies_are_collected_with_the_calls_that_brought_them(folder):
    collected = run(folder)
    assert [(record.kind, record.id, len(record.calls)) for record in collected.records] == [
        ("program_person", "e1", 1),
        ("program_person", "e2", 1),
        ("program_policy", "policies/access.md", 2),
    ]
    assert collected.gaps == ()
    assert {record.scope["program"] for record in collected.records} == {"acme"}


def test_the_texts_are_kept_with_the_spans_of_people(folder):
    texts = [item for item in run(folder).items if isinstance(item, Text)]
    assert [text.name for text in texts] == ["roster.csv", "policies/access.md"]
    hidden = [{text.text[span.start : span.end] for span in text.spans} for text in texts]
    assert hidden == [{"Eva Meyer", "eva@example.org", "Tom Roth", "tom@example.org"}, {"eva@example.org"}]


def test_the_name_option_names_the_programme(folder):
    assert Program({"folder": str(folder), "name": "group"}).root().scope == {"program": "group"}


def test_a_missing_folder_is_unreachable_and_a_missing_part_a_failed_call(folder, tmp_path):
    assert set(outcomes(run(tmp_path / "nowhere")).values()) == {Outcome.UNREACHABLE}
    (folder / "roster.csv").unlink()
    collected = run(folder)
    assert outcomes(collected)["program:roster"] is Outcome.FAILED
    assert [record.kind for record in collected.records] == ["program_policy"]


def test_an_empty_policies_folder_is_complete_and_empty(folder):
    (folder / "policies" / "access.md").unlink()
    collected = run(folder)
    assert outcomes(collected)["program:list"] is Outcome.OK
    assert told(collected) == []
    assert {record.kind for record in collected.records} == {"program_person"}


def test_a_policy_that_cannot_be_read_is_a_gap_with_file_line_and_reason(folder):
    (folder / "policies" / "broken.md").write_text('+++\nid = "x"\ntitle "T"\n+++\n')
    (folder / "policies" / "notes.docx").write_bytes(b"PK")
    (folder / "policies" / "link.md").symlink_to("/etc/hostname")
    collected = run(folder)
    assert told(collected) == [
        ("program_policy", Outcome.MALFORMED, "policies/broken.md line 3: front matter is not TOML"),
        ("program_policy", Outcome.UNSUPPORTED, "policies/link.md: a symbolic link, which is refused"),
        (
            "program_policy",
            Outcome.UNSUPPORTED,
            "policies/notes.docx: everything below policies/ must be a policy in Markdown (.md)",
        ),
    ]
    assert "policies/access.md" in [record.id for record in collected.records]


def test_a_broken_row_is_a_gap_with_file_line_and_reason(folder):
    (folder / "roster.csv").write_text(ROSTER + "e3,Ann\n")
    assert told(run(folder)) == [
        (
            "program_person",
            Outcome.MALFORMED,
            "roster.csv line 4: number of cells is 2, must be 7 as in the first row",
        )
    ]


def test_a_wrong_value_is_a_gap_of_its_column(folder):
    (folder / "policies" / "access.md").write_text(POLICY.replace('"e1"', "7"))
    record = run(folder).records[-1]
    (gap,) = record.gaps
    assert (gap.column, gap.reason) == ("owner", Outcome.MALFORMED)
    assert gap.detail.startswith("policies/access.md line 4: owner must be the `id`")


NOT_TEXT = {
    "not UTF-8": (b"id,name\ncaf\xe9\n", "roster.csv line 2: not UTF-8"),
    "NUL": (b"id\n\nab\0", "roster.csv line 3: a NUL character"),
}


@pytest.mark.parametrize(("content", "detail"), NOT_TEXT.values(), ids=NOT_TEXT.keys())
def test_a_file_that_is_no_text_is_malformed_and_says_where(folder, content, detail):
    (folder / "roster.csv").write_bytes(content)
    source = Program({"folder": str(folder)})
    with pytest.raises(CallFailed) as raised:
        source.send(source.root(), "program:roster", {}, 5)
    assert source.errors[raised.value.code].outcome is Outcome.MALFORMED
    assert raised.value.detail.startswith(detail)
    assert [record.kind for record in run(folder).records] == ["program_policy"]


def test_a_hundred_megabytes_in_one_line_are_over_budget(folder):
    with (folder / "roster.csv").open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 2**20)
    assert outcomes(run(folder))["program:roster"] is Outcome.BUDGET


def test_a_policy_that_goes_away_after_listing_has_vanished(folder):
    source = Program({"folder": str(folder)})
    with pytest.raises(CallFailed) as raised:
        source.send(source.root(), "program:read", {"path": "policies/gone.md"}, 5)
    assert source.errors[raised.value.code].outcome is Outcome.VANISHED


def test_an_operation_that_is_not_declared_is_refused(folder):
    source = Program({"folder": str(folder)})
    with pytest.raises(UndeclaredCall):
        source.send(source.root(), "program:delete", {}, 5)


def test_the_program_is_only_read(folder):
    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in sorted(folder.rglob("*"))}

    before = state()
    run(folder)
    assert state() == before


@given(st.data())
def test_failed_calls_only_take_away(tmp_path_factory, data):
    """Any subset of calls fails in any way: what is left is what was there, column by column."""
    root = tmp_path_factory.mktemp("any") / "acme"
    (root / "policies").mkdir(parents=True)
    (root / "roster.csv").write_text(ROSTER)
    for name in ("a", "b", "c"):
        (root / "policies" / f"{name}.md").write_text(POLICY)
    recording = Recording()
    settings = {"folder": str(root)}
    (whole,) = collect(recording_source(Program, recording)(settings))
    codes = st.sampled_from(["denied", "io", "not-text", "vanished", "TimeoutError", "ConnectionError", "?"])
    failing = data.draw(st.dictionaries(st.sampled_from([call.key for call in recording.calls]), codes))
    (torn,) = collect(replay_source(Program, recording, failing)(settings))
    assert set(map(repr, torn.records)) <= set(map(repr, whole.records))
    lost = len(whole.records) - len(torn.records)
    assert bool(lost) == bool(failing)


def test_permissions_name_what_each_kind_needs():
    assert "policies" in Program.permissions(Program.kinds)
    assert "policies" not in Program.permissions([PERSON])


def test_importing_the_plugin_loads_nothing_heavy():
    code = "import sys, collector_program; print([m for m in ('duckdb', 'pathspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_items_are_of_the_models_types_alone(folder):
    assert {type(item) for item in run(folder).items} <= {Record, Gap, Text}
