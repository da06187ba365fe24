"""What takes effect counts: order, overriding, and files that programs pass over."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_host.parse.sources import apt_settings
from collector_host.parse.updates import compare_debian

Section = Callable[..., tuple]
Tree = Callable[[Mapping[str, str | bytes]], Path]


def first(rows: list, kind: str) -> dict:
    return next(dict(row.data) for row in rows if row.kind == kind)


# --- sysctl ------------------------------------------------------------------------------------------

SYSCTL = [
    (
        "a later name wins over all folders",
        {"etc/sysctl.d/10.conf": "a.b=1", "usr/lib/sysctl.d/20.conf": "a.b=2"},
        ("2", "/usr/lib/sysctl.d/20.conf:1"),
    ),
    (
        "of one name etc hides usr/lib",
        {"etc/sysctl.d/10.conf": "#", "usr/lib/sysctl.d/10.conf": "a.b=2"},
        (None, None),
    ),
    (
        "run stands between etc and usr/lib",
        {"run/sysctl.d/10.conf": "a.b=3", "usr/lib/sysctl.d/10.conf": "a.b=2"},
        ("3", "/run/sysctl.d/10.conf:1"),
    ),
    (
        "of two lines the later one wins",
        {"etc/sysctl.d/10.conf": "a.b=1\na/b = 2"},
        ("2", "/etc/sysctl.d/10.conf:2"),
    ),
    (
        "a pattern gives way to a name before it",
        {"etc/sysctl.d/10.conf": "a.b=1\na.*=2"},
        ("1", "/etc/sysctl.d/10.conf:1"),
    ),
    (
        "systemd passes sysctl.conf over",
        {"etc/sysctl.conf": "a.b=9", "usr/lib/systemd/systemd-sysctl": ""},
        (None, None),
    ),
    (
        "procps reads sysctl.conf last",
        {"etc/sysctl.conf": "a.b=9", "etc/sysctl.d/99.conf": "a.b=1"},
        ("9", "/etc/sysctl.conf:1"),
    ),
    ("a name without .conf is passed over", {"etc/sysctl.d/10.conf~": "a.b=1"}, (None, None)),
    (
        "ufw comes last where it is on",
        {
            "etc/ufw/ufw.conf": "ENABLED=yes",
            "etc/default/ufw": "IPT_SYSCTL=/etc/ufw/sysctl.conf",
            "etc/ufw/sysctl.conf": "a/b=7",
            "etc/sysctl.conf": "a.b=1",
        },
        ("7", "/etc/ufw/sysctl.conf:1"),
    ),
]


@pytest.mark.parametrize(("promise", "files", "expected"), SYSCTL, ids=[case[0] for case in SYSCTL])
def test_sysctl(promise: str, files: dict[str, str], expected: tuple, tree: Tree, section: Section) -> None:
    rows, misses, _ = section("sysctl", tree({"proc/sys/a/b": "5\n", **files}))
    (row,) = [dict(row.data) for row in rows]
    assert (row.get("configured"), row.get("source")) == expected
    assert row["value"] == "5"
    assert row.get("differs") is (None if expected[0] is None else expected[0] != "5")
    assert misses == []


# --- sudo --------------------------------------------------------------------------------------------

SUDO = [
    ("a name with a dot is passed over", {"etc/sudoers.d/a.conf": "eve ALL=ALL"}, []),
    ("a name that ends in ~ is passed over", {"etc/sudoers.d/a~": "eve ALL=ALL"}, []),
    ("other names are read", {"etc/sudoers.d/a": "eve ALL=ALL"}, [(["eve"], ["ALL"], False)]),
    (
        "NOPASSWD holds for the commands after it",
        {"etc/sudoers.d/a": "eve ALL=NOPASSWD: /a, /b, PASSWD: /c"},
        [(["eve"], ["/a", "/b"], True), (["eve"], ["/c"], False)],
    ),
    (
        "without authentication no rule asks",
        {"etc/sudoers.d/a": "Defaults !authenticate\neve ALL=/a"},
        [(["eve"], ["/a"], True)],
    ),
    (
        "aliases are expanded, within others too",
        {"etc/sudoers.d/a": "User_Alias A = eve : B = A, bob\nB ALL=/a"},
        [(["eve", "bob"], ["/a"], False)],
    ),
    (
        "a comment behind a rule is no part of it",
        {"etc/sudoers.d/a": "#1000 ALL=/a # %all NOPASSWD: ALL"},
        [(["#1000"], ["/a"], False)],
    ),
    (
        "commas in brackets and escaped ones part nothing",
        {"etc/sudoers.d/a": "eve ALL=(a, b) /x\\,y, /z"},
        [(["eve"], ["/x\\,y", "/z"], False)],
    ),
]


@pytest.mark.parametrize(("promise", "files", "expected"), SUDO, ids=[case[0] for case in SUDO])
def test_sudoers(promise: str, files: dict[str, str], expected: list, tree: Tree, section: Section) -> None:
    root = tree({"etc/sudoers": "#includedir /etc/sudoers.d\n", "usr/bin/sudo": "", **files})
    rows, misses, _ = section("sudo", root)
    rules = [row.data for row in rows if row.kind == "host_sudoers"]
    assert [(rule["users"], rule["commands"], rule["nopasswd"]) for rule in rules] == expected
    assert misses == []


# --- sshd --------------------------------------------------------------------------------------------

SSHD = [
    ("the first value wins", "PermitRootLogin no\nPermitRootLogin yes", {"permitrootlogin": "no"}),
    (
        "an included file stands where it is included",
        "Include /etc/ssh/sshd_config.d/*.conf\nMaxAuthTries 9",
        {"maxauthtries": 3},
    ),
    (
        "an include behind a value comes too late",
        "MaxAuthTries 9\nInclude sshd_config.d/*.conf",
        {"maxauthtries": 9},
    ),
    (
        "a Match block sets nothing for everyone",
        "Match User eve\n PermitRootLogin yes",
        {"permitrootlogin": None},
    ),
    (
        "Match all ends a block",
        "Match User eve\n PermitRootLogin yes\nMatch all\nPermitRootLogin no",
        {"permitrootlogin": "no"},
    ),
    (
        "a block in an included file ends with it",
        "Include sshd_config.d/*.conf\nX11Forwarding yes",
        {"x11forwarding": True},
    ),
    (
        "words may be in any case and have =",
        'permitROOTlogin = "without-password"',
        {"permitrootlogin": "prohibit-password"},
    ),
    ("old names count", "ChallengeResponseAuthentication no", {"kbdinteractiveauthentication": False}),
    ("times are seconds", "LoginGraceTime 1h30m", {"logingracetime": 5400}),
    (
        "MaxStartups is taken apart",
        "MaxStartups 10:30:60",
        {"maxstartups_start": 10, "maxstartups_rate": 30, "maxstartups_full": 60},
    ),
    ("lists that only change the default are not known", "MACs +hmac-sha1", {"macs": None}),
    ("names on several lines add up", "AllowUsers a b\nAllowUsers c", {"allowusers": ["a", "b", "c"]}),
]


@pytest.mark.parametrize(("promise", "text", "expected"), SSHD, ids=[case[0] for case in SSHD])
def test_sshd(promise: str, text: str, expected: dict, tree: Tree, section: Section) -> None:
    root = tree(
        {
            "etc/ssh/sshd_config": text,
            "etc/ssh/sshd_config.d/10.conf": "MaxAuthTries 3\nMatch Group g\n X11Forwarding no\n",
            "etc/ssh/sshd_config.d/.hidden.conf": "MaxAuthTries 1",
            "usr/sbin/sshd": "",
        }
    )
    rows, _, _ = section("sshd", root)
    (row,) = [row for row in rows if row.kind == "host_sshd_config"]
    gaps = {gap.column for gap in row.gaps}
    for column, value in expected.items():
        assert (row.data.get(column), column in gaps) == (value, value is None)


def test_settings_in_match_blocks_are_rows_of_their_own(tree: Tree, section: Section) -> None:
    text = (
        "Match User eve\n PermitRootLogin yes\n Include more.conf\nMatch Address 10.0.0.0/8\n Banner none\n"
    )
    rows, _, _ = section(
        "sshd", tree({"etc/ssh/sshd_config": text, "etc/ssh/more.conf": "X11Forwarding yes\n"})
    )
    found = [
        (row.data["criteria"], row.data["keyword"], row.data["value"])
        for row in rows
        if row.kind == "host_sshd_match"
    ]
    assert found == [
        ("User eve", "permitrootlogin", "yes"),
        ("User eve", "x11forwarding", "yes"),
        ("Address 10.0.0.0/8", "banner", "none"),
    ]


def test_no_server_is_a_record_that_says_so(tree: Tree, section: Section) -> None:
    rows, misses, _ = section("sshd", tree({"etc/passwd": ""}))
    assert [(row.kind, dict(row.data), row.gaps) for row in rows] == [
        ("host_sshd_config", {"installed": False}, ())
    ]
    assert misses == []


# --- passwords ---------------------------------------------------------------------------------------

STACK = "password requisite pam_pwquality.so {}\npassword required pam_unix.so use_authtok\n"
PASSWORDS = [
    (
        "without a quality module pam_unix asks for six",
        {"etc/pam.d/passwd": "password required pam_unix.so\n"},
        {"minlen": 6, "quality_enforced": False},
    ),
    (
        "the main file wins over its drop-ins",
        {"etc/security/pwquality.conf": "minlen=12", "etc/security/pwquality.conf.d/z.conf": "minlen=8"},
        {"minlen": 12},
    ),
    (
        "a drop-in counts where the main file is silent",
        {"etc/security/pwquality.conf": "#minlen=12", "etc/security/pwquality.conf.d/z.conf": "minlen=15"},
        {"minlen": 15},
    ),
    (
        "an argument wins over files",
        {"etc/pam.d/passwd": STACK.format("minlen=20"), "etc/security/pwquality.conf": "minlen=12"},
        {"minlen": 20},
    ),
    ("nothing below six is taken", {"etc/security/pwquality.conf": "minlen=2"}, {"minlen": 6}),
    (
        "an optional module enforces nothing",
        {"etc/pam.d/passwd": "password optional pam_pwquality.so\n"},
        {"quality_enforced": False},
    ),
    (
        "a commented module is none",
        {"etc/pam.d/passwd": "# password requisite pam_pwquality.so\n"},
        {"quality_module": None},
    ),
    (
        "lock-out counts only where the stack has it",
        {"etc/security/faillock.conf": "deny=3"},
        {"lockout_module": None, "deny": None},
    ),
    (
        "an argument wins over faillock.conf",
        {
            "etc/pam.d/sshd": "auth required pam_faillock.so preauth deny=7\n"
            "auth [default=die] pam_faillock.so authfail deny=7\n",
            "etc/security/faillock.conf": "deny=3",
        },
        {"deny": 7},
    ),
    (
        "nothing locks where failures are looked at and never counted",
        {
            "etc/pam.d/sshd": "auth required pam_faillock.so preauth\n",
            "etc/security/faillock.conf": "deny=3",
        },
        {"lockout_module": "pam_faillock", "deny": 0},
    ),
    (
        "su is open where pam_wheel only trusts",
        {"etc/pam.d/su": "auth sufficient pam_wheel.so trust\n"},
        {"su_restricted": False},
    ),
]


@pytest.mark.parametrize(("promise", "files", "expected"), PASSWORDS, ids=[case[0] for case in PASSWORDS])
def test_password_policy(promise: str, files: dict, expected: dict, tree: Tree, section: Section) -> None:
    rows, _, _ = section("pam", tree({"etc/pam.d/passwd": STACK.format(""), **files}))
    row = first(rows, "host_password_policy")
    assert {name: row.get(name) for name in expected} == expected


def test_includes_of_pam_that_go_in_a_ring_end(tree: Tree, section: Section) -> None:
    ring = {
        f"etc/pam.d/s{n}": f"@include s{(n + 1) % 3}\n@include s{(n + 2) % 3}\nauth required pam_x{n}.so\n"
        for n in range(3)
    }
    rows, _, _ = section("pam", tree(ring))
    assert 0 < sum(row.kind == "host_pam" for row in rows) <= 1200


# --- cron --------------------------------------------------------------------------------------------

NAMES = [
    (
        "debian",
        "usr/sbin/cron",
        "var/lib/dpkg/status",
        {"job": None, "job.sh": "name", "job~": "name", "a_b-C9": None, "j.dpkg-old": "name"},
    ),
    (
        "cronie",
        "usr/sbin/crond",
        "etc/redhat-release",
        {"job": None, "job.sh": None, "job~": "name", "a.rpmsave": "name", "#a": "name"},
    ),
]


@pytest.mark.parametrize(("promise", "program", "marker", "names"), NAMES, ids=[case[0] for case in NAMES])
def test_cron_passes_files_over_by_name(
    promise: str, program: str, marker: str, names: dict, tree: Tree, section: Section
) -> None:
    files = {f"etc/cron.d/{name}": "* * * * * root /bin/x\n" for name in names}
    rows, misses, _ = section("cron", tree({program: "", marker: "", **files}))
    found = {
        row.data["source"].rsplit("/", 1)[-1]: row.data.get("skipped")
        for row in rows
        if row.kind == "host_crontab"
    }
    assert found == names
    assert misses == []


def test_cron_passes_over_a_file_that_others_may_write(tree: Tree, section: Section) -> None:
    root = tree(
        {"usr/sbin/cron": "", "var/lib/dpkg/status": "", "etc/cron.d/open": "* * * * * root /bin/x\n"}
    )
    (root / "etc/cron.d/open").chmod(0o666)
    rows, _, _ = section("cron", root)
    assert [row.data["skipped"] for row in rows if row.kind == "host_crontab"] == ["mode"]


# --- the rest ----------------------------------------------------------------------------------------


def test_of_drop_ins_of_one_name_the_one_in_etc_counts_and_later_names_win(ubuntu) -> None:
    journald = ubuntu.one("host_journald").data
    assert (journald["storage"], journald["compress"], journald.get("system_max_use")) == (
        "persistent",
        True,
        None,
    )


def test_an_install_line_in_etc_hides_the_file_of_its_name_in_usr_lib(ubuntu) -> None:
    modules = {name: record.data for name, record in ubuntu.rows("host_kernel_module").items()}
    usable = {
        name: modules[name]["usable"]
        for name in ("cramfs", "sctp", "dccp", "floppy", "squashfs", "usb_storage", "jffs2")
    }
    assert usable == {
        "cramfs": False,
        "sctp": False,
        "dccp": True,
        "floppy": False,
        "squashfs": True,
        "usb_storage": True,
        "jffs2": False,
    }
    assert not modules["usb_storage"]["install_disabled"]


def test_the_topmost_mount_counts(ubuntu) -> None:
    tmp = ubuntu.rows("host_mount")["/tmp"].data
    assert (tmp["noexec"], tmp["layers"]) == (True, 2)


def test_the_last_limit_for_everyone_counts(ubuntu) -> None:
    dump = ubuntu.one("host_core_dump").data
    assert (dump["limit_hard"], dump["limit_source"]) == ("0", "/etc/security/limits.d/50-core.conf:1")


def test_what_a_login_shell_reads_last_sets_the_mask(ubuntu, rhel) -> None:
    assert ubuntu.one("host_shell_defaults").data["umask"] == "027"
    assert rhel.one("host_shell_defaults").data["umask"] == "002"


def test_apt_passes_over_settings_with_another_extension(ubuntu) -> None:
    assert ubuntu.one("host_update_policy").data["enabled"]


def test_a_masked_service_is_not_enabled_and_a_drop_in_changes_its_user(ubuntu) -> None:
    services = ubuntu.rows("host_service")
    assert services["avahi-daemon@systemd"].data["masked"]
    assert services["ssh@systemd"].data["run_as"] == "ada"
    assert services["ssh@systemd"].data["enabled"]


def test_settings_of_apt_nest_and_list() -> None:
    text = 'A::B "1"; // c\nA { C "x y"; D { "p"; "q"; }; };\n#clear\nE:: "z"; /* F "9"; */'
    assert list(apt_settings(text)) == [
        ("A::B", "1"),
        ("A::C", "x y"),
        ("A::D::", "p"),
        ("A::D::", "q"),
        ("E::", "z"),
    ]


VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z+.~]{1,4})?", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_dpkg_orders_them(left: str, right: str) -> None:
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is not installed")
    below = subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False).returncode == 0
    equal = subprocess.run(["dpkg", "--compare-versions", left, "eq", right], check=False).returncode == 0
    ours = compare_debian(left, right)
    assert (ours < 0, ours == 0) == (below, equal)


SCRIPTS = [
    ("a script that starts nothing leaves nothing running", "#!/bin/sh\nhwclock --systohc\n", (False, ())),
    (
        "a script whose program is named is judged by it",
        "DAEMON=/usr/sbin/rpcd\nstart-stop-daemon --start\n",
        (None, ("active",)),
    ),
    (
        "a script that starts what it does not name is not known",
        "start-stop-daemon -S -x $X\n",
        (None, ("active",)),
    ),
]


@pytest.mark.parametrize(("promise", "text", "expected"), SCRIPTS, ids=[case[0] for case in SCRIPTS])
def test_scripts_of_init(promise: str, text: str, expected: tuple, tree: Tree, section: Section) -> None:
    root = tree({"etc/init.d/thing": text})
    (root / "etc/init.d/thing").chmod(0o755)
    rows, _, _ = section("services", root)
    assert [(row.data.get("active"), tuple(gap.column for gap in row.gaps)) for row in rows] == [expected]


@pytest.mark.parametrize(
    ("sudoers", "column", "expected"),
    [
        ("Defaults:eve !authenticate", "authenticate", False),
        ("Defaults:eve, bob !authenticate", "authenticate", False),
        ("Defaults!/usr/bin/less !authenticate", "authenticate", False),
        ("Defaults:root !authenticate", "authenticate", True),
        ("Defaults:eve authenticate", "authenticate", True),
        ("Defaults exempt_group=staff", "authenticate", False),
        ("Defaults !exempt_group", "authenticate", True),
        ("Defaults:%admin timestamp_timeout=-1", "timestamp_timeout", -1.0),
        ("Defaults timestamp_timeout=5\nDefaults:eve timestamp_timeout=600", "timestamp_timeout", 600.0),
        ("Defaults timestamp_timeout=-1\nDefaults:eve timestamp_timeout=1", "timestamp_timeout", -1.0),
        ("Defaults use_pty\nDefaults:eve !use_pty", "use_pty", False),
        ("Defaults>postgres targetpw", "targetpw", True),
    ],
)
def test_sudo_defaults_for_some_count_where_they_are_weaker(
    sudoers: str, column: str, expected: object, tree: Tree, section: Section
) -> None:
    rows, _, _ = section("sudo", tree({"etc/sudoers": f"{sudoers}\n", "usr/bin/sudo": ""}))
    (defaults,) = [row.data for row in rows if row.kind == "host_sudo"]
    assert defaults[column] == expected


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("sudoers: files sss", ["sss"]),
        ("sudoers: files", []),
        ("# sudoers: ldap", []),
        ("sudoers: ldap", ["ldap"]),
    ],
)
def test_sudo_rules_of_a_directory_are_a_gap(line: str, named: list, tree: Tree, section: Section) -> None:
    root = tree({"etc/sudoers": "eve ALL=/a\n", "usr/bin/sudo": "", "etc/nsswitch.conf": f"{line}\n"})
    _, misses, _ = section("sudo", root)
    assert [miss.kind for miss in misses] == ["host_sudoers"] * len(named)
    assert all(f"that {name} adds" in miss.detail for name, miss in zip(named, misses, strict=True))
