"""One run of a series at a time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.deliver.lock import hold
from collector.model import ConfigError, LockedError

HOLDER = """
import sys, time
from pathlib import Path
from collector.deliver.lock import hold
with hold(Path(sys.argv[1]), "acme"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_run_is_told_who_holds_the_lock_and_since_when(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(LockedError) as caught, hold(tmp_path, "acme"):
        pass
    assert caught.value.exit_code == 75
    assert re.fullmatch(
        rf"series acme: another run holds the lock \(pid {holder.pid} since 20\d\d-\d\d-\d\dT[\d:]+Z\)",
        str(caught.value),
    )


def test_the_lock_goes_with_a_process_that_is_killed(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with hold(tmp_path, "acme"):
        pass


def test_other_series_are_not_held_up(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with hold(tmp_path, "other"):
        pass


def test_the_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with hold(tmp_path, "acme"):
            pass
    with pytest.raises(KeyError), hold(tmp_path, "acme"):
        raise KeyError
    with hold(tmp_path, "acme"):
        pass


def test_a_state_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state folder .*file"), hold(tmp_path / "file", "acme"):
        pass


@pytest.mark.parametrize("name", ["../x", "", "A", ".x", "x/y"])
def test_a_series_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="series"), hold(tmp_path, name):
        pass


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "acme.lock").symlink_to(target)
    with pytest.raises(ConfigError), hold(tmp_path, "acme"):
        pass
    assert target.read_text() == "keep me"
