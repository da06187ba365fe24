"""The packet filter in the kernel, from `nft -j list ruleset` and iptables-save."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.model import ColumnGap, Json, Outcome

from ..frames import Command, Frames, Line
from ..rows import Item, Miss, Row, column_gaps, malformed, program
from .units import Boot

__all__ = ["firewall"]

_TOOLS = ("nft", "iptables", "ip6tables", "ufw", "firewall-cmd", "firewalld")
_MANAGERS = ("ufw", "firewalld", "nftables", "netfilter-persistent", "iptables", "ip6tables")
_VERDICTS = (
    "accept",
    "drop",
    "reject",
    "return",
    "jump",
    "goto",
    "masquerade",
    "dnat",
    "snat",
    "redirect",
    "queue",
)
_MOST_RULES = 20_000  # rows; a set of rules that large is told as cut off
_DENYING = ("drop", "reject")
_LONGEST = 2000


@dataclass(slots=True)
class _Rule:
    tool: str
    family: str
    table: str
    chain: str
    position: int
    text: str
    action: str | None = None
    target: str | None = None
    protocol: str | None = None
    source: str | None = None
    destination: str | None = None
    inward: str | None = None
    outward: str | None = None
    ports: list[str] | None = None
    conditions: int = 0


@dataclass(slots=True)
class _Chain:
    hook: str | None = None
    policy: str = "accept"
    filters: bool = False
    rules: list[_Rule] = field(default_factory=list)


@dataclass(slots=True)
class _Ruleset:
    chains: dict[tuple[str, str, str, str], _Chain] = field(default_factory=dict)

    def chain(self, tool: str, family: str, table: str, name: str) -> _Chain:
        return self.chains.setdefault((tool, family, table, name), _Chain())

    def bases(self, family: str, hook: str) -> list[_Chain]:
        """Filter chains that packets of a family pass at a hook."""
        families = ("ip", "inet") if family == "ipv4" else ("ip6", "inet")
        return [
            chain
            for key, chain in self.chains.items()
            if key[1] in families and chain.hook == hook and chain.filters
        ]

    def count(self, family: str) -> int:
        families = ("ip", "inet") if family == "ipv4" else ("ip6", "inet")
        return sum(len(chain.rules) for key, chain in self.chains.items() if key[1] in families)


# --- nft ---------------------------------------------------------------------------------------------


def _plain(value: Json) -> str:
    if isinstance(value, dict):
        if isinstance(prefix := value.get("prefix"), dict):
            return f"{prefix.get('addr')}/{prefix.get('len')}"
        if isinstance(span := value.get("range"), list):
            return "-".join(_plain(part) for part in span)
        if isinstance(members := value.get("set"), list):
            return ",".join(_plain(part) for part in members)
        if isinstance(element := value.get("elem"), dict):
            return _plain(element.get("val"))
    return value if isinstance(value, str) else json.dumps(value)


def _match(rule: _Rule, body: Json) -> None:
    rule.conditions += 1
    left = body.get("left") if isinstance(body, dict) else None
    if not isinstance(left, dict):
        return
    right = _plain(body.get("right"))
    value = f"! {right}" if body.get("op") == "!=" else right
    meta, payload = left.get("meta"), left.get("payload")
    if isinstance(meta, dict):
        key = meta.get("key")
        if key in ("iif", "iifname"):
            rule.inward = value
        elif key in ("oif", "oifname"):
            rule.outward = value
        elif key == "l4proto":
            rule.protocol = value
    elif isinstance(payload, dict):
        name = payload.get("field")
        if name == "saddr":
            rule.source = value
        elif name == "daddr":
            rule.destination = value
        elif name == "dport":
            rule.ports = value.split(",")
            rule.protocol = str(payload.get("protocol"))


def _statement(rule: _Rule, statement: Json) -> None:
    if not isinstance(statement, dict):
        return
    for name, body in statement.items():
        if name == "match":
            _match(rule, body)
        elif name in _VERDICTS:
            rule.action = name
            rule.target = str(body.get("target")) if isinstance(body, dict) and "target" in body else None
        elif name == "log" and rule.action is None:
            rule.action = "log"
        elif name in ("limit", "connlimit", "ct", "xt", "vmap"):
            rule.conditions += 1


def _nft(frames: Frames, found: _Ruleset) -> Iterator[Item]:
    command = frames.command("nft")
    text = "\n".join(line.text for line in command.lines)
    try:
        entries = json.loads(text)["nftables"] if text.strip() else []
    except (ValueError, KeyError, TypeError, RecursionError):
        yield Miss("host_firewall_rule", Outcome.MALFORMED, "nft -j list ruleset: no JSON of the known shape")
        return
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            continue
        if isinstance(body := entry.get("chain"), dict):
            chain = found.chain("nft", str(body.get("family")), str(body.get("table")), str(body.get("name")))
            chain.hook = str(body["hook"]) if "hook" in body else None
            chain.policy = str(body.get("policy", "accept"))
            chain.filters = body.get("type") == "filter"
        elif isinstance(body := entry.get("rule"), dict):
            _nft_rule(found, body)


def _nft_rule(found: _Ruleset, body: dict[str, Json]) -> None:
    family, table, name = str(body.get("family")), str(body.get("table")), str(body.get("chain"))
    chain = found.chain("nft", family, table, name)
    expressions = body.get("expr")
    text = json.dumps(expressions, sort_keys=True)[:_LONGEST]
    rule = _Rule("nft", family, table, name, len(chain.rules) + 1, text)
    for statement in expressions if isinstance(expressions, list) else []:
        _statement(rule, statement)
    chain.rules.append(rule)


# --- iptables ----------------------------------------------------------------------------------------

_HOOKS = {
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "PREROUTING": "prerouting",
    "POSTROUTING": "postrouting",
}
_FLAGS = {"-p": "protocol", "-s": "source", "-d": "destination", "-i": "inward", "-o": "outward"}
_PORTS = ("--dport", "--dports", "--destination-port", "--destination-ports")


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """`-x value` pairs, with `!` before an option put before its value; an option without value gives ''."""
    negated = False
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "!":
            negated = True
        elif word.startswith("-"):
            value = ""
            if place < len(words) and not words[place].startswith("-") and words[place] != "!":
                value = words[place]
                place += 1
            yield word, f"! {value}" if negated else value
            negated = False


def _iptables_rule(rule: _Rule, words: list[str]) -> None:
    for option, value in _options(words):
        if option in _FLAGS:
            setattr(rule, _FLAGS[option], value)
            rule.conditions += 1
        elif option in ("-j", "-g"):
            known = value.lower() in (*_VERDICTS, "log")
            rule.action = value.lower() if known else "jump"
            rule.target = None if known else value
        elif option in _PORTS:
            rule.ports = [port.replace(":", "-") for port in value.split(",")]
            rule.conditions += 1
        elif option == "-m" or option.startswith("--"):
            rule.conditions += option == "-m" and value != "comment"


def _iptables(command: Command, family: str, found: _Ruleset) -> Iterator[Item]:
    table = ""
    for line in command.lines:
        text = line.text.strip()
        if text.startswith("*"):
            table = text[1:]
        elif text.startswith(":"):
            name, _, policy = text[1:].partition(" ")
            chain = found.chain("iptables", family, table, name)
            chain.hook = _HOOKS.get(name)
            chain.policy = policy.split(" ")[0].lower().replace("-", "accept")
            chain.filters = table == "filter"
        elif text.startswith("-A "):
            yield from _appended(line, family, table, found)
        elif text and not text.startswith("#") and text != "COMMIT":
            yield malformed("host_firewall_rule", "iptables-save", line, "no rule, chain or table")


def _appended(line: Line, family: str, table: str, found: _Ruleset) -> Iterator[Item]:
    try:
        words = shlex.split(line.text)
    except ValueError:
        words = []
    if len(words) < 2:
        yield malformed("host_firewall_rule", "iptables-save", line, "quotes do not match")
        return
    chain = found.chain("iptables", family, table, words[1])
    rule = _Rule("iptables", family, table, words[1], len(chain.rules) + 1, line.text[:_LONGEST])
    _iptables_rule(rule, words[2:])
    chain.rules.append(rule)


# --- rows --------------------------------------------------------------------------------------------


def _denies(chain: _Chain) -> bool:
    """Whether what no rule decides is dropped: by policy, or by a last rule without condition."""
    last = chain.rules[-1] if chain.rules else None
    return chain.policy == "drop" or (last is not None and last.action in _DENYING and not last.conditions)


def _policy(chains: list[_Chain]) -> str:
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


def _family(frames: Frames, family: str, found: _Ruleset, unseen: tuple[Outcome, str] | None) -> Row:
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


def _rule_row(rule: _Rule, chain: _Chain) -> Row:
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
    found = _Ruleset()
    nft = frames.command("nft")
    if nft.ran:
        yield from _nft(frames, found)
    # iptables over nftables shows the same rules again; those of the old kernel interface only it can show.
    legacy = frames.file("/proc/net/ip_tables_names").lines or frames.file("/proc/net/ip6_tables_names").lines
    if not nft.ran or legacy:
        yield from _iptables(frames.command("iptables"), "ip", found)
        yield from _iptables(frames.command("ip6tables"), "ip6", found)
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
