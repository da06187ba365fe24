import os
import tempfile
import time
from pathlib import Path

import pytest

from collector.model import CallFailed
from collector_program import folder as module
from collector_program.folder import Entry, Folder


@pytest.fixture
def place(tmp_path):
    (tmp_path / "secret.txt").write_text("outside")
    root = tmp_path / "program"
    (root / "policies" / "people").mkdir(parents=True)
    (root / "policies" / "a.md").write_text("A")
    (root / "policies" / "people" / "b.md").write_text("B")
    return root


def opened(place):
    return Folder(str(place), time.monotonic() + 300)


def refused(call, *args):
    with pytest.raises(CallFailed) as raised:
        call(*args)
    return raised.value


def test_files_are_listed_sorted_at_every_depth(place):
    assert opened(place).files("policies") == [Entry("policies/a.md"), Entry("policies/people/b.md")]


def test_a_files_bytes_are_read(place):
    assert opened(place).read("policies/people/b.md", 10) == b"B"


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "policies/../../secret.txt", "", "a//b", "a\0b"]
)
def test_a_path_that_leads_out_is_refused(place, path):
    assert refused(opened(place).read, path, 10).code == "bad-name"


def test_a_link_to_a_file_outside_is_refused_and_listed_as_a_link(place):
    (place / "policies" / "c.md").symlink_to(place.parent / "secret.txt")
    assert Entry("policies/c.md", "link") in opened(place).files("policies")
    assert refused(opened(place).read, "policies/c.md", 10).code == "link"


def test_a_linked_folder_is_not_entered(place):
    outside = place.parent / "outside"
    outside.mkdir()
    (outside / "x.md").write_text("X")
    (place / "policies" / "more").symlink_to(outside)
    assert Entry("policies/more", "link") in opened(place).files("policies")
    assert refused(opened(place).read, "policies/more/x.md", 10).code == "not-a-file"
    (place / "linked").symlink_to(outside)
    assert refused(opened(place).files, "linked").code == "not-a-file"


def test_the_configured_folder_itself_may_be_a_link(place):
    alias = place.parent / "alias"
    alias.symlink_to(place)
    assert opened(alias).read("policies/a.md", 10) == b"A"


def test_a_pipe_does_not_hold_the_run_up(place):
    os.mkfifo(place / "policies" / "pipe.md")
    assert Entry("policies/pipe.md", "not-a-file") in opened(place).files("policies")
    assert refused(opened(place).read, "policies/pipe.md", 10).code == "not-a-file"


def test_a_file_over_its_limit_is_given_up_and_not_held_in_memory(place):
    with (place / "roster.csv").open("wb") as file:
        file.truncate(100 * 2**20)
    assert refused(opened(place).read, "roster.csv", 2**16).code == "too-large"
    assert opened(place).read("policies/a.md", 1) == b"A"


def test_names_that_cannot_be_shown_are_told_and_escaped(place):
    (place / "policies" / "a\n\x1b[2J.md").write_text("x")
    (place / "policies" / os.fsdecode(b"\xff.md")).touch()
    odd = [entry for entry in opened(place).files("policies") if entry.fault == "bad-name"]
    assert len(odd) == 2
    assert all(entry.path.isascii() and entry.path.isprintable() for entry in odd)


def test_names_with_a_dot_in_front_are_left_out(place):
    (place / "policies" / ".gitkeep").touch()
    assert len(opened(place).files("policies")) == 2


def test_number_and_depth_are_bounded(place, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 2)
    assert len(opened(place).files("policies")) == 2
    (place / "policies" / "c.md").touch()
    assert refused(opened(place).files, "policies").code == "too-many"
    monkeypatch.undo()
    deep = place / "policies" / "/".join("d" * (module.MAX_DEPTH + 3))
    deep.mkdir(parents=True)
    assert "too-deep" in [entry.fault for entry in opened(place).files("policies")]


def test_missing_things_say_what_is_missing(place):
    assert refused(opened(place / "nowhere").read, "roster.csv", 10).code == "no-folder"
    assert refused(opened(place).read, "roster.csv", 10).code == "missing"
    assert refused(opened(place).files, "polices").code == "missing"


def test_reading_ends_when_its_time_is_up(place):
    late = Folder(str(place), time.monotonic() - 1)
    with pytest.raises(TimeoutError):
        late.read("policies/a.md", 10)
    with pytest.raises(TimeoutError):
        late.files("policies")


@pytest.fixture
def nobody():
    """The rights of somebody who is not root, while the test lasts."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def closed():
    """A folder that everybody reaches, with a file and a folder that nobody may read."""
    with tempfile.TemporaryDirectory(prefix="program-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "policies" / "people").mkdir(parents=True)
        (folder / "policies" / "a.md").write_text("text")
        (folder / "policies" / "a.md").chmod(0)
        (folder / "policies" / "people").chmod(0)
        yield folder
        (folder / "policies" / "people").chmod(0o700)


def test_what_may_not_be_read_is_denied(closed, nobody):
    assert refused(opened(closed).read, "policies/a.md", 10).code == "denied"
    assert Entry("policies/people", "denied") in opened(closed).files("policies")
