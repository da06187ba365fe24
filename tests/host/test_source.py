"""The source: what it plans, what it says of failures, what it hides, and this machine for real."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from collector.model import Absent, CallFailed, Gap, Outcome, Record, Source, Task, Text
from collector.testing import PlainAsk, check_run, check_source
from collector_host import HostSource, collector_sources
from collector_host.kinds import KINDS
from collector_host.sections import SECTIONS, section_of
from collector_host.transport import Completed

ROOT = os.geteuid() == 0
FRAME = "P 1 banners 0\nF ok 81a4 0 0 root root 1 5 /etc/issue\n|{}\nZ\n"


class Answering:
    """A transport that gives one answer, and remembers what it was asked."""

    name = "web1"

    def __init__(
        self, answer: bytes = b"", status: int = 0, fault: Exception | None = None, stderr: bytes = b""
    ) -> None:
        self.done, self.fault, self.asked = (
            Completed(status, answer, stderr, False),
            fault,
            list[tuple[str, ...]](),
        )

    def run(self, argv: Sequence[str], stdin: bytes, timeout: float, limit: int) -> Completed:
        self.asked.append(tuple(argv))
        if self.fault is not None:
            raise self.fault
        return self.done


def banner(answer: str | bytes) -> list[Record | Gap | Text]:
    raw = answer if isinstance(answer, bytes) else answer.encode()
    source = HostSource({}, Answering(raw))
    task = next(
        task for task in source.plan(None) if isinstance(task, Task) and task.kinds == ("host_banner",)
    )
    return list(source.collect(task, PlainAsk(source, task.target, ["host:banners"])))


def test_it_keeps_the_contract() -> None:
    assert collector_sources() == [HostSource]
    assert isinstance(HostSource({}), Source)
    assert check_source(HostSource) == []


def test_every_kind_has_one_section_and_every_section_a_kind() -> None:
    assert {section_of(kind) for kind in KINDS} == set(SECTIONS)
    assert all(len(kind.operations) == 1 for kind in KINDS)
    assert len(KINDS) >= 30


@pytest.mark.parametrize("name", ["ubuntu", "rhel", "alpine"])
def test_a_failing_call_takes_away_and_changes_nothing_else(name: str, trees: Path) -> None:
    assert check_run(HostSource, {"root": str(trees / name)}) == []


def test_this_machine_gives_records_that_fit(live) -> None:
    ids = Counter((record.kind, record.id) for record in live.records)
    assert max(ids.values()) == 1
    assert set(live.heard.values()) == {Outcome.OK}
    for kind in (
        "host_os",
        "host_system",
        "host_kernel",
        "host_user",
        "host_mount",
        "host_file",
        "host_sshd_config",
        "host_sudo",
    ):
        assert live.rows(kind), kind


@pytest.mark.skipif(not ROOT, reason="compares with what only root sees")
def test_root_is_told_the_state_of_passwords(live) -> None:
    assert {record.data["password_status"] for record in live.records if record.kind == "host_shadow"} <= {
        "set",
        "locked",
        "empty",
    }
    assert live.rows("host_shadow")
    assert not [gap for gap in live.gaps if gap.reason is Outcome.DENIED]


@pytest.mark.skipif(not ROOT or shutil.which("sshd") is None, reason="needs root and openssh-server")
def test_the_server_itself_tells_its_settings(live) -> None:
    row = live.one("host_sshd_config")
    assert row.data["origin"] == "sshd -T"
    assert row.data["ciphers"]
    assert isinstance(row.data["passwordauthentication"], bool)


def test_without_rights_each_thing_unseen_is_a_gap_that_names_the_right(unprivileged) -> None:
    details = " ".join(unprivileged.details("host_shadow"))
    if Path("/etc/shadow").exists():
        assert "needs root to read /etc/shadow" in details
        assert not unprivileged.rows("host_shadow")
    users = [
        record for record in unprivileged.records if record.kind == "host_user" and record.data["login_shell"]
    ]
    assert users
    assert all({"password_status", "can_log_in"} <= {gap.column for gap in user.gaps} for user in users)
    assert all("password_status" not in user.data or user.data["password_status"] is None for user in users)
    if Path("/etc/sudoers").exists():
        assert "needs root to read /etc/sudoers" in unprivileged.details("host_sudoers")


@pytest.mark.skipif(not ROOT, reason="compares with what root sees")
def test_what_is_seen_without_rights_is_what_root_sees(live, unprivileged) -> None:
    for kind in (
        "host_user",
        "host_group",
        "host_package",
        "host_os",
        "host_login_defs",
        "host_pam",
        "host_shell",
    ):
        rooted = live.rows(kind)
        for id_, record in unprivileged.rows(kind).items():
            hidden = {gap.column for gap in record.gaps}
            seen = {name: value for name, value in record.data.items() if name not in hidden}
            assert seen == {name: rooted[id_].data[name] for name in seen}, id_


def test_asked_twice_it_says_the_same(told: Callable, trees: Path, ubuntu) -> None:
    again = told(root=str(trees / "ubuntu"), name="ubuntu")
    assert [(each.kind, each.id, each.data, each.gaps) for each in again.records] == [
        (each.kind, each.id, each.data, each.gaps) for each in ubuntu.records
    ]


# --- planning ----------------------------------------------------------------------------------------


def test_the_host_is_named_by_option_transport_or_folder() -> None:
    assert HostSource({"name": "db1"}, Answering()).root().scope == {"host": "db1"}
    assert HostSource({}, Answering()).root().scope == {"host": "web1"}
    assert HostSource({"root": "/images/edge1/"}, Answering()).root().scope == {"host": "edge1"}


def test_a_plan_asks_nobody_and_owes_a_list_for_each_kind() -> None:
    transport = Answering(fault=AssertionError("asked"))
    tasks = HostSource({}, transport).plan(None)
    assert transport.asked == []
    assert not any(isinstance(task, Absent) for task in tasks)
    assert sorted(kind for task in tasks for kind in task.kinds) == sorted(kind.name for kind in KINDS)
    assert all({due.kind for due in task.due} == set(task.kinds) for task in tasks)


def test_discovery_says_as_whom() -> None:
    source = HostSource({}, Answering(b"P 1 identity 0\nC run id\n|uid=1000(ada) gid=1000(ada)\n!\nX 0\nZ\n"))
    found = source.discover(PlainAsk(source, source.root(), ["host:identity"]))
    assert found == {"principal": "uid=1000(ada)"}
    assert {task.target.principal for task in source.plan(found)} == {"uid=1000(ada)"}


def test_a_failed_discovery_still_plans() -> None:
    source = HostSource({}, Answering(fault=TimeoutError()))
    assert source.discover(PlainAsk(source, source.root(), ["host:identity"])) == {}
    assert source.plan({})


def test_options_reach_the_probe_and_what_is_due() -> None:
    transport = Answering(b"P 1 walk 0\nZ\n")
    source = HostSource(
        {"walk_seconds": 3, "walk_entries": 7, "certificates": ["/srv/tls"], "root": "/img"}, transport
    )
    due = {due.op: due.params for task in source.plan(None) for due in task.due}
    assert due["host:walk"] == {"seconds": 3, "entries": 7}
    assert due["host:certificates"] == {"paths": ["/srv/tls"]}
    for op in ("host:walk", "host:certificates"):
        source.send(source.root(), op, due[op], 60)
    assert [argv[2:4] + argv[6:] for argv in transport.asked] == [
        ("walk", "/img", "3", "7"),
        ("certificates", "/img", "/srv/tls"),
    ]


def test_the_walk_ends_before_its_call_must() -> None:
    transport = Answering(b"P 1 walk 0\nZ\n")
    source = HostSource({"walk_seconds": 100}, transport)
    source.send(source.root(), "host:walk", {"seconds": 100, "entries": 1}, 10)
    assert transport.asked[0][6] == "8"


# --- failures ----------------------------------------------------------------------------------------

FAILURES = [
    ("no shell", Answering(fault=FileNotFoundError()), "missing-command", Outcome.UNSUPPORTED),
    (
        "a shell that may not run",
        Answering(fault=PermissionError(13, "Permission denied")),
        "denied",
        Outcome.DENIED,
    ),
    ("a shell that is not found by another", Answering(b"", 127), "missing-command", Outcome.UNSUPPORTED),
    ("a probe that does not begin", Answering(b"motd\n", 1, stderr=b"boom\n"), "failed", Outcome.FAILED),
    (
        "a section that the probe does not know",
        Answering(b"P 1 x 0\nK unknown section\nZ\n"),
        "unsupported",
        Outcome.UNSUPPORTED,
    ),
]


@pytest.mark.parametrize(
    ("what", "transport", "code", "outcome"), FAILURES, ids=[case[0] for case in FAILURES]
)
def test_each_failure_has_a_code_with_a_meaning(
    what: str, transport: Answering, code: str, outcome: Outcome
) -> None:
    with pytest.raises(CallFailed) as caught:
        HostSource({}, transport).send(HostSource({}).root(), "host:os", {}, 5)
    assert caught.value.code == code
    assert HostSource.errors[code].outcome is outcome


def test_an_answer_that_was_cut_off_is_truncated() -> None:
    items = banner(FRAME.format("Hello").removesuffix("Z\n"))
    assert [item.reason for item in items if isinstance(item, Gap)] == [Outcome.TRUNCATED]


def test_lines_that_are_no_frames_are_told_with_their_number() -> None:
    items = banner("P 1 banners 0\nwhat\n" + FRAME.format("x").split("\n", 1)[1])
    assert [item.detail for item in items if isinstance(item, Gap)] == [
        "the probe's answer:2: a line that is no frame"
    ]


def test_bytes_that_are_no_utf8_are_a_gap_of_their_column() -> None:
    items = banner(FRAME.encode().replace(b"{}", b"caf\xe9"))
    (row,) = [item for item in items if isinstance(item, Record) and item.id == "/etc/issue"]
    assert [(gap.column, gap.reason) for gap in row.gaps] == [("text", Outcome.MALFORMED)]
    assert "\ufffd" in row.data["text"]


def test_nul_bytes_do_not_reach_the_evidence() -> None:
    items = banner(FRAME.format("a\0b"))
    assert not any("\0" in item.text for item in items if isinstance(item, Text))


# --- privacy -----------------------------------------------------------------------------------------


def test_names_and_addresses_of_people_are_marked_in_the_text(ubuntu) -> None:
    text = ubuntu.texts["host:accounts"]
    hidden = {text.text[span.start : span.end]: span.what for span in text.spans}
    assert hidden == {"Ada Example,Room 7,555-0100": "person_name", "Grace Example": "person_name"}
    keys = ubuntu.texts["host:keys"]
    marked = [(keys.text[span.start : span.end], span.what) for span in keys.spans]
    assert ("ada@example.org", "mail") in marked
    assert ("backup job", "mail") in marked


def test_every_text_is_kept_but_the_one_of_public_authorities(ubuntu) -> None:
    assert {op for op, text in ubuntu.texts.items() if text.spans is None} == {"host:trust"}
    for text in ubuntu.texts.values():
        spans = text.spans or ()
        assert all(0 <= span.start < span.end <= len(text.text) for span in spans)
        assert all(left.end <= right.start for left, right in pairwise(spans))


def test_what_systems_accounts_say_of_themselves_names_no_person(ubuntu) -> None:
    named = {
        record.data["username"]: record.data["description"]
        for record in ubuntu.records
        if record.kind == "host_user"
    }
    assert {name: value for name, value in named.items() if value} == {
        "ada": "Ada Example",
        "guest": "Grace Example",
    }


# --- permissions -------------------------------------------------------------------------------------


def test_permissions_are_a_unit_with_what_the_kinds_need_and_no_more() -> None:
    text = HostSource.permissions(KINDS)
    assert "AmbientCapabilities=CAP_AUDIT_CONTROL CAP_DAC_READ_SEARCH" in text
    assert "reads /etc/shadow" in text
    assert "runs  sshd -T" in text
    few = HostSource.permissions([kind for kind in KINDS if kind.name in ("host_os", "host_package")])
    assert "Capabilities" not in few
    assert "no right at all" in few


def test_kinds_say_what_they_need_in_the_targets_words() -> None:
    for kind in KINDS:
        (operation,) = kind.operations
        section = SECTIONS[section_of(kind)]
        if section.capabilities and kind.name not in ("host_kernel", "host_services"):
            assert operation.permission.startswith(("root: ", "anyone: ")), kind.name


def test_a_task_for_one_kind_of_a_section_gives_that_kind_alone(trees: Path) -> None:
    source = HostSource({"root": str(trees / "ubuntu")})
    task = next(task for task in source.plan(None) if "host_user" in task.kinds)
    one = replace(task, kinds=("host_user",), due=tuple(due for due in task.due if due.kind == "host_user"))
    items = list(source.collect(one, PlainAsk(source, one.target, ["host:accounts"])))
    assert {item.kind for item in items if not isinstance(item, Text)} == {"host_user"}
