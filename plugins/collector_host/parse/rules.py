"""Rules of the packet filter, read from `nft -j list ruleset` and iptables-save."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.model import Json, Outcome

from ..frames import Command, Frames, Line
from ..rows import Item, Miss, malformed

__all__ = ["Chain", "Rule", "Ruleset", "read_iptables", "read_nft"]

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
_LONGEST = 2000


@dataclass(slots=True)
class Rule:
    """A rule: what it asks for, what it does; `conditions` counts what a packet must meet."""

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
class Chain:
    """A chain; `hook` is where the kernel passes packets to it, None where only others jump to it."""

    hook: str | None = None
    policy: str = "accept"
    filters: bool = False
    rules: list[Rule] = field(default_factory=list)


@dataclass(slots=True)
class Ruleset:
    """All chains, by tool, family, table and name."""

    chains: dict[tuple[str, str, str, str], Chain] = field(default_factory=dict)

    def chain(self, tool: str, family: str, table: str, name: str) -> Chain:
        """That chain, made where it is new."""
        return self.chains.setdefault((tool, family, table, name), Chain())

    def bases(self, family: str, hook: str) -> list[Chain]:
        """Filter chains that packets of a family pass at a hook."""
        families = ("ip", "inet") if family == "ipv4" else ("ip6", "inet")
        return [
            chain
            for key, chain in self.chains.items()
            if key[1] in families and chain.hook == hook and chain.filters
        ]

    def count(self, family: str) -> int:
        """How many rules concern a family."""
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


def _match(rule: Rule, body: Json) -> None:
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


def _statement(rule: Rule, statement: Json) -> None:
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


def read_nft(frames: Frames, found: Ruleset) -> Iterator[Item]:
    """Add what `nft -j list ruleset` shows (libnftables-json(5)); gaps for what it does not."""
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


def _nft_rule(found: Ruleset, body: dict[str, Json]) -> None:
    family, table, name = str(body.get("family")), str(body.get("table")), str(body.get("chain"))
    chain = found.chain("nft", family, table, name)
    expressions = body.get("expr")
    text = json.dumps(expressions, sort_keys=True)[:_LONGEST]
    rule = Rule("nft", family, table, name, len(chain.rules) + 1, text)
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


def _iptables_rule(rule: Rule, words: list[str]) -> None:
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


def read_iptables(command: Command, family: str, found: Ruleset) -> Iterator[Item]:
    """Add what iptables-save shows of one family, ip or ip6; gaps for lines that make no sense."""
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


def _appended(line: Line, family: str, table: str, found: Ruleset) -> Iterator[Item]:
    try:
        words = shlex.split(line.text)
    except ValueError:
        words = []
    if len(words) < 2:
        yield malformed("host_firewall_rule", "iptables-save", line, "quotes do not match")
        return
    chain = found.chain("iptables", family, table, words[1])
    rule = Rule("iptables", family, table, words[1], len(chain.rules) + 1, line.text[:_LONGEST])
    _iptables_rule(rule, words[2:])
    chain.rules.append(rule)
