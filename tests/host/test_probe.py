"""The probe: reads only, withstands what it reads, keeps secrets on the target, says what it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from collector_host.frames import read
from collector_host.sections import SECTIONS

PROBE = (files("collector_host") / "probe.sh").read_text()
LIMITS = ["1048576", "8388608"]
ROOT = os.geteuid() == 0
WRITERS = """
rm mv cp tee touch mkdir rmdir chmod chown chgrp ln dd install truncate mktemp mkfifo mknod kill
pkill killall shutdown reboot sync mount umount modprobe insmod rmmod useradd usermod passwd logger
wall write systemd-run swapon swapoff ip6tables-restore iptables-restore setfacl chattr patch unlink
shred split csplit xargs eval exec
""".split()


def run(section: str, root: Path | str = "", shell: tuple[str, ...] = ("sh",), *arguments: str) -> str:
    arguments = arguments or (("20", "10000") if section == "walk" else ())
    argv = [*shell, "-s", section, str(root), *LIMITS, *arguments]
    done = subprocess.run(argv, input=PROBE.encode(), capture_output=True, timeout=60, check=False)
    assert done.stderr == b"", done.stderr.decode()
    return done.stdout.decode("utf-8", "replace")


def code() -> str:
    """The script without comments and without the texts of awk programs."""
    without = re.sub(r"^\s*#.*$", "", PROBE, flags=re.MULTILINE)
    return re.sub(r"'[^']*'", "''", without)


def test_it_redirects_to_dev_null_and_between_pipes_only() -> None:
    targets = re.findall(r"(?<!-)>+\s*(\S+)", code())
    assert targets
    assert {target for target in targets if not re.match(r"(/dev/null|&[1-4-])", target)} == set()


def test_awk_neither_writes_files_nor_runs_commands_but_head() -> None:
    programs = re.findall(r"'([^']*)'", re.sub(r"^\s*#.*$", "", PROBE, flags=re.MULTILINE))
    text = "\n".join(programs)
    assert re.findall(r"print[^;}\n]*\s>\s*\"", text) == []
    assert "system(" not in text
    assert re.findall(r"\|\s*getline", text) == ["| getline"]
    assert 'source = "head -c "' in text


def test_it_names_no_command_that_changes_anything() -> None:
    words = set(
        re.findall(
            r"(?:^|[|;&({]|\bthen|\bdo|\belse|\blive \S+|\bcommand_frame \S+)\s*([a-z][a-z0-9_.-]*)",
            code(),
            re.MULTILINE,
        )
    )
    assert {"stat", "head", "find"} <= set(re.findall(r"[a-z]+", PROBE))
    assert words & set(WRITERS) == set()
    assert not re.search(
        r"sed\s+(-\w+\s+)*-i|sysctl\s+(-\w+\s+)*-w|find[^\n]*-delete|apt(-get)? [a-z]", code()
    )


def test_running_it_changes_nothing(trees: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trees / "ubuntu", copy, symlinks=True)

    def snapshot() -> dict[str, tuple[int, int, int]]:
        found = [path.lstat() for path in sorted(copy.rglob("*"))]
        return {
            str(path): (each.st_mode, each.st_mtime_ns, each.st_size)
            for path, each in zip(sorted(copy.rglob("*")), found, strict=True)
        }

    before = snapshot()
    for section in SECTIONS:
        run(section, copy)
    assert snapshot() == before


def test_every_section_ends_with_its_last_line(trees: Path) -> None:
    for section in SECTIONS:
        frames = read(run(section, trees / "ubuntu"))
        assert (section, frames.complete, frames.strays) == (section, True, [])


def test_dash_busybox_and_bash_answer_alike(trees: Path, shells: list[list[str]]) -> None:
    assert len(shells) > 1, "install dash and busybox to compare shells"
    for section in SECTIONS:
        answers = {run(section, trees / "ubuntu", tuple(shell)) for shell in shells}
        assert len(answers) == 1, section


def test_busybox_tools_answer_like_gnu_ones(trees: Path, tmp_path: Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    for name in "awk find stat grep head tail sort ls cat id uname readlink timeout od true".split():
        (tmp_path / name).symlink_to(busybox)
    probe = re.sub(r"^PATH=.*$", f"PATH={tmp_path}", PROBE, flags=re.MULTILINE)
    for section in SECTIONS:
        argv = [
            busybox,
            "sh",
            "-s",
            section,
            str(trees / "ubuntu"),
            *LIMITS,
            *(("20", "10000") if section == "walk" else ()),
        ]
        done = subprocess.run(argv, input=probe.encode(), capture_output=True, timeout=60, check=False)
        assert done.stderr == b""
        ours = sorted(
            line
            for line in run(section, trees / "ubuntu").splitlines()
            if not line.startswith("K unsupported")
        )
        theirs = sorted(
            line for line in done.stdout.decode().splitlines() if not line.startswith("K unsupported")
        )
        assert theirs == ours, section


@pytest.mark.parametrize("name", ["ubuntu", "rhel", "alpine"])
def test_no_hash_and_no_private_key_leaves_the_host(trees: Path, name: str) -> None:
    for section in SECTIONS:
        answer = run(section, trees / name)
        for secret in (
            "HASHOF",
            "abcdefghijklmnop",
            "saltsalt",
            "PLANTED",
            "grub.pbkdf2",
            "b3Blbn",
            "plantedpassword1",
            "plantedsecret2",
        ):
            assert secret not in answer, (section, secret)


def test_a_torn_shadow_line_shows_nothing_of_its_hash(tree: Callable[..., Path]) -> None:
    lines = [
        "$6$salt$SECRETHASH",
        "ada $6$salt$SECRETHASH:1:2",
        "$y$SECRETHASH:x:1:2:3:::",
        "eve:$6$SECRETHASH:$6$SECRETHASH::::::",
    ]
    root = tree({"etc/shadow": "\n".join(lines), "etc/passwd": "x:SECRETHASH1234:0:0:::\n"})
    assert "SECRETHASH" not in run("accounts", root)


def test_a_link_in_a_home_does_not_lead_to_another_file(tree: Callable[..., Path]) -> None:
    root = tree(
        {
            "etc/passwd": "ada:x:1000:1000::/home/ada:/bin/sh\n",
            "etc/secret": "token=SECRETTOKEN\nroot:$6$SECRETTOKEN:1::::::\n",
        }
    )
    (root / "home/ada/.ssh").mkdir(parents=True)
    (root / "home/ada/.ssh/authorized_keys").symlink_to(root / "etc/secret")
    (root / "home/ada/.ssh/config").symlink_to(root / "etc/secret")
    for section in ("keys", "homes"):
        assert "SECRETTOKEN" not in run(section, root)


def test_content_cannot_pass_for_a_frame(tree: Callable[..., Path]) -> None:
    forged = "F ok 81a4 0 0 root root 0 0 /etc/forged\n|x\nZ\nC run forged\nK program /usr/sbin/forged\n"
    frames = read(run("banners", tree({"etc/issue": forged, "etc/motd": "Z\r\n|\nX 0"})))
    assert "/etc/forged" not in frames.files
    assert frames.commands == {}
    assert frames.files["/etc/issue"].text + "\n" == forged
    assert frames.strays == []


def test_a_file_name_with_a_line_break_is_told_and_forges_nothing(
    tree: Callable[..., Path], section: Callable[..., tuple]
) -> None:
    root = tree(
        {"etc/sudoers": "@includedir /etc/sudoers.d\n", "etc/cron.d/a\nF ok 81a4 0 0 root root 0 0 ": "x"}
    )
    frames = read(run("cron", root))
    assert [file.status for file in frames.below("/etc/cron.d")] == ["name"]
    _, misses, _ = section("cron", root)
    assert any("line break" in miss.detail for miss in misses)
    (root / "tmp").mkdir()
    forged = root / "tmp" / "x\nS 89ed 0 0 root root 0 0 " / "bin" / "forged"
    forged.parent.mkdir(parents=True)
    forged.write_text("")
    _, misses, _ = section("walk", root)
    assert [miss for miss in misses if "line break" in miss.detail] == []
    forged.chmod(0o4777)
    rows, misses, _ = section("walk", root)
    assert [row for row in rows if "forged" in row.id] == []
    assert len({miss.kind for miss in misses if "line break" in miss.detail}) == 4


def test_a_hundred_megabytes_in_one_line_cost_little(
    tree: Callable[..., Path], section: Callable[..., tuple]
) -> None:
    root = tree({"etc/issue": b"a" * (100 * 2**20), "etc/motd": "short\n"})
    began = time.monotonic()
    rows, _, _ = section("banners", root)
    assert time.monotonic() - began < 60
    gaps = {row.id: {gap.column: gap.reason for gap in row.gaps} for row in rows}
    assert gaps["/etc/issue"] == dict.fromkeys(("text", "empty", "discloses_system"), "truncated")
    assert gaps["/etc/motd"] == {}


def test_a_pattern_of_an_include_stands_for_the_trees_files_only(tree: Callable[..., Path]) -> None:
    root = tree({"etc/sudoers": "@includedir /etc\n@includedir /usr/*\n"})
    seen = set(read(run("sudo", root)).files)
    assert seen == {"/etc/nsswitch.conf", "/etc/sudoers"}


def test_includes_that_go_in_a_ring_end(tree: Callable[..., Path]) -> None:
    root = tree(
        {"etc/sudoers": "@include /etc/a\n", "etc/a": "@include /etc/b\n", "etc/b": "@include /etc/a\n"}
    )
    seen = set(read(run("sudo", root)).files) - {"/etc/nsswitch.conf"}
    assert seen == {"/etc/sudoers", "/etc/a", "/etc/b"}


def test_an_unknown_section_says_so() -> None:
    assert "\nK unknown section\n" in run("nonsense")


def test_a_command_that_is_missing_is_told(tmp_path: Path) -> None:
    probe = PROBE.replace("identity | os |", "probe_missing | identity | os |", 1)
    probe = probe.replace(
        "identity() {", "probe_missing() {\n  live gone no-such-program\n}\n\nidentity() {", 1
    )
    done = subprocess.run(
        ["sh", "-s", "probe_missing", "", *LIMITS], input=probe.encode(), capture_output=True, check=True
    )
    assert read(done.stdout.decode()).command("gone").missing


def test_a_command_that_talks_without_end_is_cut_off() -> None:
    probe = PROBE.replace("identity | os |", "probe_flood | identity | os |", 1)
    probe = probe.replace("identity() {", "probe_flood() {\n  live flood yes\n}\n\nidentity() {", 1)
    done = subprocess.run(
        ["sh", "-s", "probe_flood", "", "1000", "1000"], input=probe.encode(), capture_output=True, check=True
    )
    flood = read(done.stdout.decode()).command("flood")
    assert len(flood.lines) == 500
    assert not flood.ran


def test_the_status_and_the_complaint_of_a_command_are_kept() -> None:
    probe = PROBE.replace("identity | os |", "probe_fail | identity | os |", 1)
    probe = probe.replace(
        "identity() {", "probe_fail() {\n  live fail ls /no/such/path\n}\n\nidentity() {", 1
    )
    done = subprocess.run(
        ["sh", "-s", "probe_fail", "", *LIMITS], input=probe.encode(), capture_output=True, check=True
    )
    command = read(done.stdout.decode()).command("fail")
    assert command.exit not in (0, None)
    assert "/no/such/path" in command.complaint


@pytest.mark.skipif(not ROOT, reason="rights are dropped from root")
def test_what_an_account_may_not_see_is_denied_not_missing(tree: Callable[..., Path]) -> None:
    root = tree(
        {
            "etc/sudoers": "x\n",
            "etc/shadow": "x\n",
            "etc/passwd": "ada:x:1:1::/home/ada:/bin/sh\n",
            "home/ada/.ssh/authorized_keys": "x\n",
        }
    )
    for path in (root, *root.parents):
        if path != Path("/tmp") and path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    (root / "etc/shadow").chmod(0o600)
    (root / "home/ada").chmod(0o700)
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-s"]
    accounts = subprocess.run(
        [*argv, "accounts", str(root), *LIMITS], input=PROBE.encode(), capture_output=True, check=True
    )
    assert read(accounts.stdout.decode()).file("/etc/shadow").status == "denied"
    assert read(accounts.stdout.decode()).file("/etc/gshadow").status == "missing"
    keys = subprocess.run(
        [*argv, "keys", str(root), *LIMITS], input=PROBE.encode(), capture_output=True, check=True
    )
    assert read(keys.stdout.decode()).file("/home/ada/.ssh/authorized_keys").status == "denied"
