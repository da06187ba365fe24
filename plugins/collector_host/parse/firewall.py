"""The packet filter in the kernel: what it does by default, and each of its rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json, Outcome

from ..frames import Frames
from ..rows import Item, Miss, Row, column_gaps, program
from .rules import Chain, Rule, Ruleset, read_iptables, read_nft
from .units import Boot

__all__ = ["firewall"]

_TOOLS = ("nft", "iptables", "ip6tables", "ufw", "firewall-cmd", "firewalld")
_MANAGERS = ("ufw", "firewalld", "nftables", "netfilter-persistent", "iptables", "ip6tables")
_MOST_RULES = 20_000  # rows; a set of rules that large is told as cut off
_DENYING = ("drop", "reject")


def _denies(chain: Chain) -> bool:
    """Whether what no rule decides is dropped: by policy, or by a last rule without condition."""
    last = chain.rules[-1] if chain.rules else None
    return chain.policy == "drop" or (last is not None and last.action in _DENYING and not last.conditions)


def _policy(chains: list[Chain]) -> str:
    return "drop" if any(chain.policy == "drop" for chain in chains) else "accept"


def _unseen(frames: Frames) -> tuple[Outcome, str] | None:
    """Why the rules in the kernel are not known; None where they are."""
    commands = {name: frames.command(name) for name in ("nft", "iptables", "ip6tables")}
    for name, command in commands.items():
        if command.status == "run" and command.exit != 0:
            reason = Outcome.FAILED if frames.root else Outcome.DENIED
            return (
                reason,
                f"{'' if frames.root else 'needs root: '}{name}: {command.complaint[:200] or 'failed'}",
            )
    if all(command.status == "skipped" for command in commands.values()):
        return Outcome.UNSUPPORTED, "no running kernel was asked"
    if all(command.missing for command in commands.values()):
        tables = (
            frames.file("/proc/net/ip_tables_names").lines or frames.file("/proc/net/ip6_tables_names").lines
        )
        module = any(line.text == "nf_tables" for line in frames.file("/proc/modules").lines)
        if tables or module:
            return (
                Outcome.UNSUPPORTED,
                "the kernel's packet filter is loaded, but neither nft nor iptables-save is there to show it",
            )
    return None


def _family(frames: Frames, family: str, found: Ruleset, unseen: tuple[Outcome, str] | None) -> Row:
    boot = Boot.read(frames)
    tools = [name for name in _TOOLS if program(frames, name)]
    managers = [name for name in _MANAGERS if boot.starts(name)]
    ufw = [line.text for line in frames.file("/etc/ufw/ufw.conf").lines if line.text.startswith("ENABLED=")]
    disabled = frames.file("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    inward = found.bases(family, "input")
    data: dict[str, Json] = {
        "family": family,
        "installed": bool(tools),
        "tools": tools,
        "managers": managers,
        "persistent": bool(managers),
        "ufw_enabled": bool(re.match(r"ENABLED=[\"']?yes", ufw[-1])) if ufw else None,
        "ipv6_disabled": family == "ipv6"
        and (disabled.text.strip() == "1" or not frames.file("/proc/net/if_inet6").exists),
    }
    told: dict[str, Json] = {
        "active": any(chain.rules or chain.policy == "drop" for chain in inward),
        "input_policy": _policy(inward),
        "forward_policy": _policy(found.bases(family, "forward")),
        "output_policy": _policy(found.bases(family, "output")),
        "input_default_deny": any(_denies(chain) for chain in inward),
        "loopback_rules": any(
            rule.inward == "lo" and rule.action == "accept" for chain in inward for rule in chain.rules
        ),
        "rules": found.count(family),
    }
    gaps: tuple[ColumnGap, ...] = ()
    if unseen is None:
        data |= told
    else:
        gaps = column_gaps(told, *unseen)
    return Row("host_firewall", family, data, gaps)


def _rule_row(rule: Rule, chain: Chain) -> Row:
    data: dict[str, Json] = {
        "tool": rule.tool,
        "family": rule.family,
        "table_name": rule.table,
        "chain": rule.chain,
        "position": rule.position,
        "hook": chain.hook,
        "action": rule.action,
        "target": rule.target,
        "protocol": rule.protocol,
        "source": rule.source,
        "destination": rule.destination,
        "in_interface": rule.inward,
        "out_interface": rule.outward,
        "destination_ports": rule.ports,
        "text": rule.text,
    }
    key = f"{rule.tool}:{rule.family}:{rule.table}:{rule.chain}:{rule.position}"
    return Row("host_firewall_rule", key, data)


def firewall(frames: Frames) -> Iterator[Item]:
    """The section `firewall`: host_firewall, host_firewall_rule."""
    found = Ruleset()
    nft = frames.command("nft")
    if nft.ran:
        yield from read_nft(frames, found)
    # iptables over nftables shows the same rules again; those of the old kernel interface only it can show.
    legacy = frames.file("/proc/net/ip_tables_names").lines or frames.file("/proc/net/ip6_tables_names").lines
    if not nft.ran or legacy:
        yield from read_iptables(frames.command("iptables"), "ip", found)
        yield from read_iptables(frames.command("ip6tables"), "ip6", found)
    unseen = _unseen(frames)
    for family in ("ipv4", "ipv6"):
        yield _family(frames, family, found, unseen)
    if unseen is not None:
        yield Miss("host_firewall_rule", *unseen)
    rules = [(rule, chain) for chain in found.chains.values() for rule in chain.rules]
    for rule, chain in rules[:_MOST_RULES]:
        yield _rule_row(rule, chain)
    if len(rules) > _MOST_RULES:
        yield Miss("host_firewall_rule", Outcome.BUDGET, f"more than {_MOST_RULES} rules")
