"""Things made for real on this machine, and found again: sockets, files, certificates, packet filters."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from collector.model import Outcome
from collector_host import HostSource
from collector_host.frames import read
from collector_host.sections import SECTIONS

ROOT = os.geteuid() == 0
Section = Callable[..., tuple]


def test_a_socket_that_listens_is_found_with_its_process(section: Section) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        rows, misses, _ = section("ports")
    row = next(row for row in rows if row.data["port"] == port)
    assert (row.data["protocol"], row.data["address"], row.data["loopback"]) == ("tcp", "127.0.0.1", True)
    assert row.data["uid"] == os.geteuid()
    assert row.data["processes"]
    assert misses == []


def test_a_udp_socket_on_every_address_is_found(section: Section) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("::", 0))
        port = server.getsockname()[1]
        rows, _, _ = section("ports")
    row = next(row for row in rows if row.data["port"] == port and row.data["protocol"] == "udp")
    assert (row.data["family"], row.data["any_address"], row.data["loopback"]) == ("ipv6", True, False)


def test_the_walk_finds_what_it_is_for(tmp_path: Path, section: Section) -> None:
    for name, mode in (
        ("suid", 0o4755),
        ("sgid", 0o2755),
        ("open", 0o666),
        ("plain", 0o644),
        ("a space", 0o4711),
    ):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop").chmod(0o777)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    if ROOT:
        (tmp_path / "orphan").write_text("")
        os.chown(tmp_path / "orphan", 54321, 54321)
    rows, misses, _ = section("walk", tmp_path)
    found = {(row.kind, row.id) for row in rows}
    assert {id_ for kind, id_ in found if kind == "host_suid_bin"} == {"/suid", "/sgid", "/a space"}
    assert {id_ for kind, id_ in found if kind == "host_world_writable"} == {"/open", "/drop", "/tmp"}
    assert {id_ for kind, id_ in found if kind == "host_unowned_file"} >= ({"/orphan"} if ROOT else set())
    sticky = {row.id: row.data["sticky"] for row in rows if row.kind == "host_world_writable"}
    assert sticky == {"/open": False, "/drop": False, "/tmp": True}
    assert [miss for miss in misses if miss.kind != "host_file_capability"] == []


@pytest.mark.skipif(not ROOT or shutil.which("setcap") is None, reason="needs root and setcap")
def test_the_walk_finds_capabilities(tmp_path: Path, section: Section) -> None:
    for name in ("raw", "raw too"):
        shutil.copy(shutil.which("true") or "/bin/true", tmp_path / name)
        done = subprocess.run(["setcap", "cap_net_raw,cap_setuid+ep", str(tmp_path / name)], check=False)
        if done.returncode != 0:
            pytest.skip("this file system holds no capabilities")
    rows, _, _ = section("walk", tmp_path)
    found = {
        row.data["path"].rsplit("/", 1)[-1]: row.data for row in rows if row.kind == "host_file_capability"
    }
    assert set(found) == {"raw", "raw too"}
    assert found["raw"]["capabilities"] == ["cap_net_raw", "cap_setuid"]
    assert found["raw"]["as_root"]


def test_a_walk_that_is_cut_off_says_so(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"open{number}").write_text("")
        (tmp_path / f"open{number}").chmod(0o666)
    source = HostSource({"root": str(tmp_path)})
    reply = source.send(source.root(), "host:walk", {"seconds": 20, "entries": 10}, 60)
    items = list(SECTIONS["walk"].parse(read(reply.data["text"])))
    assert {item.kind for item in items if getattr(item, "reason", None) is Outcome.BUDGET} == {
        "host_suid_bin",
        "host_file_capability",
        "host_world_writable",
        "host_unowned_file",
    }


# --- certificates ------------------------------------------------------------------------------------


def certificate(name: str, key: object, hash_: hashes.HashAlgorithm | None = None) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), 4711, start, start + timedelta(days=90)
    )  # type: ignore[attr-defined]
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = builder.sign(key, hash_ or hashes.SHA256())  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def bundle() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    small = rsa.generate_private_key(65537, 1024)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    return (
        f"text before\n{certificate('a.example.org', key)}{pem}{broken}{certificate('b.example.org', small)}"
    )


def test_every_certificate_of_a_file_counts_and_its_key_stays_there(
    bundle: str, tree: Callable[..., Path], section: Section
) -> None:
    root = tree(
        {"etc/nginx/tls/site.pem": bundle, "etc/nginx/tls/text.pem": "nothing\n", "etc/ssl/x.der": "0\x82"}
    )
    rows, misses, _ = section("certificates", root)
    found = {row.data["common_name"]: row.data for row in rows}
    assert set(found) == {"a.example.org", "b.example.org"}
    assert (found["a.example.org"]["number"], found["b.example.org"]["number"]) == (1, 3)
    assert found["a.example.org"]["not_valid_after"] == "2026-04-01T00:00:00Z"
    assert found["a.example.org"]["names"] == ["a.example.org"]
    assert (found["a.example.org"]["key_algorithm"], found["a.example.org"]["weak"]) == ("ec", False)
    assert (found["b.example.org"]["key_bits"], found["b.example.org"]["weak"]) == (1024, True)
    assert all(data["key_in_file"] for data in found.values())
    assert [miss.reason for miss in misses] == [Outcome.MALFORMED]
    source = HostSource({"root": str(root)})
    text = source.send(source.root(), "host:certificates", {}, 30).data["text"]
    key = bundle.partition("PRIVATE KEY-----\n")[2].partition("\n-----END")[0]
    assert not any(line in text for line in key.splitlines())


def test_certificates_that_servers_and_the_option_name_are_read(
    bundle: str, tree: Callable[..., Path], section: Section
) -> None:
    root = tree(
        {
            "etc/nginx/nginx.conf": "server {\n  ssl_certificate /srv/tls/site.chain;\n}\n",
            "srv/tls/site.chain": bundle,
            "opt/app/cert.pem": bundle,
        }
    )
    rows, _, _ = section("certificates", root, "/opt/app")
    assert {row.data["path"] for row in rows} == {"/srv/tls/site.chain", "/opt/app/cert.pem"}
    assert {tuple(row.data["used_by"]) for row in rows if row.data["path"].startswith("/opt")} == {
        ("option: /opt/app",)
    }
    _, misses, _ = section("certificates", root, "/opt/gone")
    assert [miss.reason for miss in misses if "/opt/gone" in miss.detail] == [Outcome.VANISHED]


def test_an_authority_added_on_the_host_is_local(
    bundle: str, tree: Callable[..., Path], section: Section
) -> None:
    own = certificate("own.example.org", ec.generate_private_key(ec.SECP256R1()))
    root = tree(
        {"etc/ssl/certs/ca-certificates.crt": bundle + own, "usr/local/share/ca-certificates/own.crt": own}
    )
    rows, _, _ = section("trust", root)
    local = {row.data["common_name"]: row.data["local"] for row in rows}
    assert local == {"a.example.org": False, "b.example.org": False, "own.example.org": True}


# --- packet filters ----------------------------------------------------------------------------------


def in_a_network_of_its_own(script: str) -> str:
    """Run a script in a network namespace that has no other rules."""
    if not ROOT or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare")
    done = subprocess.run(["unshare", "-n", "sh", "-ec", script], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no packet filter to play with: {done.stderr.strip()[-120:]}")
    return done.stdout


def told(label: str, output: str) -> tuple[dict[str, dict], list[dict]]:
    lines = "\n".join(f"|{line}" for line in output.splitlines())
    others = {"nft", "iptables", "ip6tables"} - {label}
    absent = "\n".join(f"C missing {name}" for name in sorted(others))
    text = f"P 1 firewall 0\nK program /usr/sbin/{label}\nC run {label}\n{lines}\n!\nX 0\n{absent}\nZ"
    rows = list(SECTIONS["firewall"].parse(read(text)))
    families = {row.id: dict(row.data) for row in rows if row.kind == "host_firewall"}
    return families, [dict(row.data) for row in rows if row.kind == "host_firewall_rule"]


@pytest.mark.skipif(shutil.which("nft") is None, reason="nftables is not installed")
def test_rules_of_nftables_are_read_as_nft_shows_them() -> None:
    output = in_a_network_of_its_own(
        "nft add table inet f\n"
        "nft 'add chain inet f input { type filter hook input priority 0; policy drop; }'\n"
        "nft add rule inet f input iifname lo accept\n"
        "nft 'add rule inet f input ip saddr 10.0.0.0/8 tcp dport { 22, 8000-8010 } accept'\n"
        "nft -j list ruleset\n"
    )
    families, rules = told("nft", output)
    assert {
        name: (row["input_default_deny"], row["loopback_rules"], row["rules"])
        for name, row in families.items()
    } == {
        "ipv4": (True, True, 2),
        "ipv6": (True, True, 2),
    }
    assert rules[0]["in_interface"] == "lo"
    second = (rules[1]["source"], rules[1]["protocol"], rules[1]["destination_ports"], rules[1]["action"])
    assert second == ("10.0.0.0/8", "tcp", ["22", "8000-8010"], "accept")


@pytest.mark.skipif(shutil.which("iptables-save") is None, reason="iptables is not installed")
def test_rules_of_iptables_are_read_as_iptables_save_shows_them() -> None:
    output = in_a_network_of_its_own(
        "iptables -A INPUT -i lo -j ACCEPT\n"
        "iptables -A INPUT -p tcp -m multiport --dports 22,443 -m comment --comment 'a -j DROP' -j ACCEPT\n"
        "iptables -A INPUT ! -s 10.0.0.0/8 -p udp --dport 53 -j DROP\n"
        "iptables -A INPUT -j REJECT\n"
        "iptables-save\n"
    )
    families, rules = told("iptables", output)
    assert (families["ipv4"]["input_policy"], families["ipv4"]["input_default_deny"]) == ("accept", True)
    assert families["ipv6"]["input_default_deny"] is False
    assert [rule["action"] for rule in rules] == ["accept", "accept", "drop", "reject"]
    assert rules[1]["destination_ports"] == ["22", "443"]
    assert rules[2]["source"] == "! 10.0.0.0/8"


RULESETS = [
    ("a policy of drop denies", "*filter\n:INPUT DROP [0:0]\nCOMMIT", True),
    ("accept without rules lets all in", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT", False),
    (
        "a last rule with a condition denies not",
        "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\nCOMMIT",
        False,
    ),
    ("rules of another table deny nothing", "*nat\n:INPUT DROP [0:0]\nCOMMIT", False),
]


@pytest.mark.parametrize(("promise", "output", "denies"), RULESETS, ids=[case[0] for case in RULESETS])
def test_what_denies_by_default(promise: str, output: str, denies: bool) -> None:
    assert told("iptables", output)[0]["ipv4"]["input_default_deny"] is denies


def test_rules_that_may_not_be_listed_are_denied_not_none() -> None:
    text = (
        "P 1 firewall 1000\nK program /usr/sbin/nft\nC run nft\n"
        "!Operation not permitted (you must be root)\n!\nX 1\nZ"
    )
    items = list(SECTIONS["firewall"].parse(read(text)))
    (row,) = [item for item in items if getattr(item, "id", "") == "ipv4"]
    assert "active" not in row.data
    assert {gap.reason for gap in row.gaps} == {Outcome.DENIED}
    assert [item.reason for item in items if not hasattr(item, "data")] == [Outcome.DENIED]


def test_a_filter_that_no_tool_can_show_is_not_no_filter() -> None:
    text = (
        "P 1 firewall 0\nC missing nft\nC missing iptables\nC missing ip6tables\n"
        "F ok 8124 0 0 root root 0 0 /proc/modules\n|nf_tables\nZ"
    )
    items = list(SECTIONS["firewall"].parse(read(text)))
    assert [item.reason for item in items if not hasattr(item, "data")] == [Outcome.UNSUPPORTED]
