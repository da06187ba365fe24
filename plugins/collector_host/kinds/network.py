"""Kinds about the network: firewall, listening sockets, and what runs behind them."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["KINDS"]

_FIREWALL = Operation(
    "host:firewall", "root: runs nft -j list ruleset, iptables-save, ip6tables-save; reads /etc/ufw"
)
_PORTS = Operation(
    "host:ports", "root: reads /proc/*/fd of other users' processes; the sockets are open to anyone"
)
_SERVICES = Operation(
    "host:services", "anyone: runs systemctl show and list-unit-files; reads unit files, /etc/init.d"
)

_FIREWALL_KIND = Kind(
    name="host_firewall",
    title="Packet filter: which tool, whether it filters, what it does by default",
    columns=(
        Column("family", "VARCHAR", "ipv4 or ipv6"),
        Column("installed", "BOOLEAN", "whether one of nft, iptables, ufw, firewalld is there"),
        Column("tools", "VARCHAR[]", "those that are there"),
        Column(
            "managers",
            "VARCHAR[]",
            "ufw, firewalld, nftables.service, netfilter-persistent: those set to start",
        ),
        Column(
            "active", "BOOLEAN", "whether any rule or a policy other than accept is in the kernel for input"
        ),
        Column(
            "input_policy",
            "VARCHAR",
            "accept or drop: what happens to packets for this host that no rule decides",
        ),
        Column("forward_policy", "VARCHAR", "accept or drop: the same for packets passed on"),
        Column("output_policy", "VARCHAR", "accept or drop: the same for packets sent"),
        Column(
            "input_default_deny",
            "BOOLEAN",
            "whether input is dropped or rejected unless a rule lets it in (policy or last rule)",
        ),
        Column("loopback_rules", "BOOLEAN", "whether a rule lets the loopback interface in"),
        Column("rules", "BIGINT", "rules in the kernel"),
        Column("persistent", "BOOLEAN", "whether rules are set again at the next start"),
        Column("ufw_enabled", "BOOLEAN", "whether ufw is set to start; NULL: no ufw"),
        Column("ipv6_disabled", "BOOLEAN", "whether IPv6 is switched off, so that its rules do not matter"),
    ),
    identity=("family",),
    operations=(_FIREWALL,),
    examples=("SELECT family FROM host_firewall WHERE NOT input_default_deny AND NOT ipv6_disabled",),
)

_RULE = Kind(
    name="host_firewall_rule",
    title="Rules of the packet filter in the kernel",
    columns=(
        Column("tool", "VARCHAR", "nft or iptables"),
        Column("family", "VARCHAR", "ip, ip6, inet, arp, bridge, netdev"),
        Column("table_name", "VARCHAR", "table, as in filter"),
        Column("chain", "VARCHAR", "chain, as in INPUT"),
        Column("position", "BIGINT", "place in the chain, from 1"),
        Column("hook", "VARCHAR", "input, forward, output …; NULL: a chain that others jump to"),
        Column("action", "VARCHAR", "accept, drop, reject, log, return, jump …"),
        Column("target", "VARCHAR", "chain jumped to"),
        Column("protocol", "VARCHAR", "protocol asked for; NULL: any"),
        Column("source", "VARCHAR", "source address asked for; NULL: any"),
        Column("destination", "VARCHAR", "destination address asked for; NULL: any"),
        Column("in_interface", "VARCHAR", "interface that it comes in by; NULL: any"),
        Column("out_interface", "VARCHAR", "interface that it leaves by; NULL: any"),
        Column("destination_ports", "VARCHAR[]", "destination ports or ranges; NULL: any"),
        Column("text", "VARCHAR", "the rule as the tool shows it", free_text=True),
    ),
    identity=("tool", "family", "table_name", "chain", "position"),
    operations=(_FIREWALL,),
    examples=(
        "SELECT text FROM host_firewall_rule WHERE hook = 'input' AND action = 'accept' AND source IS NULL",
    ),
)

_PORT = Kind(
    name="host_listening_port",
    title="Listening sockets and the programs behind them",
    columns=(
        Column("protocol", "VARCHAR", "tcp or udp"),
        Column("family", "VARCHAR", "ipv4 or ipv6"),
        Column("address", "VARCHAR", "address it listens on"),
        Column("port", "BIGINT", "port"),
        Column("loopback", "BOOLEAN", "whether only this machine can reach it"),
        Column("any_address", "BOOLEAN", "whether it listens on every address"),
        Column("uid", "BIGINT", "user that opened it"),
        Column("username", "VARCHAR", "name of that user", identity=Identity.LOGIN),
        Column("processes", "VARCHAR[]", "names of the processes that hold it"),
        Column("paths", "VARCHAR[]", "their programs"),
        Column("sockets", "BIGINT", "sockets that share this address and port"),
    ),
    identity=("protocol", "family", "address", "port"),
    operations=(_PORTS,),
    examples=(
        "SELECT processes, port FROM host_listening_port WHERE NOT loopback AND port IN (21, 23, 111, 512)",
    ),
)

_SERVICE = Kind(
    name="host_service",
    title="Services, and whether they start at boot",
    columns=(
        Column("name", "VARCHAR", "name without .service"),
        Column("manager", "VARCHAR", "systemd, openrc or sysv"),
        Column("description", "VARCHAR", "what it says of itself"),
        Column("enabled", "BOOLEAN", "whether it starts at boot, or when its socket or timer is used"),
        Column("unit_state", "VARCHAR", "enabled, disabled, static, masked, generated, alias …"),
        Column("masked", "BOOLEAN", "whether it cannot be started at all"),
        Column(
            "active",
            "BOOLEAN",
            "whether it runs: as the manager says, or where no manager runs, whether its program does",
        ),
        Column("active_state", "VARCHAR", "active, inactive, failed …; NULL: no manager runs"),
        Column("sub_state", "VARCHAR", "running, exited, dead …; NULL: no manager runs"),
        Column("run_as", "VARCHAR", "user it runs as; NULL: root or not told", identity=Identity.LOGIN),
        Column("program", "VARCHAR", "program that it starts"),
        Column("source", "VARCHAR", "unit file or script"),
        Column("drop_ins", "VARCHAR[]", "files that change it"),
        Column("socket_activated", "BOOLEAN", "whether an enabled socket unit starts it"),
    ),
    identity=("name", "manager"),
    operations=(_SERVICES,),
    examples=("SELECT name FROM host_service WHERE name = 'avahi-daemon' AND (enabled OR active)",),
)

_TIMER = Kind(
    name="host_timer",
    title="systemd timers",
    columns=(
        Column("name", "VARCHAR", "name without .timer"),
        Column("unit", "VARCHAR", "what it starts"),
        Column("schedule", "VARCHAR[]", "its OnCalendar and On…Sec lines"),
        Column("enabled", "BOOLEAN", "whether it starts at boot"),
        Column("unit_state", "VARCHAR", "enabled, disabled, static, masked …"),
        Column("active", "BOOLEAN", "whether it is waiting to fire; false where systemd does not run"),
        Column("source", "VARCHAR", "unit file"),
    ),
    identity=("name",),
    operations=(_SERVICES,),
    examples=("SELECT enabled FROM host_timer WHERE name = 'apt-daily-upgrade'",),
)

KINDS: tuple[Kind, ...] = (_FIREWALL_KIND, _RULE, _PORT, _SERVICE, _TIMER)
