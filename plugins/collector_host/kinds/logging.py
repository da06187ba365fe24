"""Kinds about what is recorded: audit, logs, time, scheduled jobs."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["KINDS"]

_AUDIT = Operation("host:audit", "root: runs auditctl -s and -l; reads /etc/audit")
_LOGGING = Operation(
    "host:logging", "root: reads /etc/rsyslog.conf, rsyslog.d and journald's settings where closed to others"
)
_TIME = Operation(
    "host:time", "anyone: reads settings of chrony, ntp, timesyncd; runs timedatectl show, chronyc tracking"
)
_CRON = Operation(
    "host:cron", "root: reads /var/spool/cron and those of /etc/cron.* that are closed to others"
)

_AUDIT_KIND = Kind(
    name="host_audit",
    title="The audit daemon and the kernel's audit state",
    columns=(
        Column("installed", "BOOLEAN", "whether auditd is there"),
        Column("running", "BOOLEAN", "whether the daemon runs"),
        Column("boot_enabled", "BOOLEAN", "whether the daemon starts at boot"),
        Column("enabled", "BOOLEAN", "whether the kernel records (1 or 2)"),
        Column("immutable", "BOOLEAN", "whether rules cannot be changed until the next start (2)"),
        Column("immutable_configured", "BOOLEAN", "whether the last -e of the rule files is 2"),
        Column(
            "failure", "BIGINT", "what the kernel does when it cannot record: 0 nothing, 1 message, 2 halt"
        ),
        Column("backlog_limit", "BIGINT", "records that may wait"),
        Column("lost", "BIGINT", "records lost since the start"),
        Column("rules_loaded", "BIGINT", "rules in the kernel"),
        Column("rules_configured", "BIGINT", "rules in the rule files"),
        Column("kernel_argument", "BOOLEAN", "whether the kernel was started with audit=1"),
        Column(
            "backlog_argument", "BIGINT", "audit_backlog_limit of the kernel's start line; NULL: not given"
        ),
        Column("log_file", "VARCHAR", "where records go"),
        Column("log_group", "VARCHAR", "group that may read them"),
        Column("max_log_file", "BIGINT", "MB until a file is full"),
        Column("max_log_file_action", "VARCHAR", "what happens then: rotate, keep_logs …, lower case"),
        Column("num_logs", "BIGINT", "files kept when rotating"),
        Column("space_left_action", "VARCHAR", "what happens when space gets short, lower case"),
        Column("admin_space_left_action", "VARCHAR", "what happens when it gets very short, lower case"),
        Column("disk_full_action", "VARCHAR", "what happens when the disk is full, lower case"),
        Column("disk_error_action", "VARCHAR", "what happens on a disk error, lower case"),
        Column("remote", "BOOLEAN", "whether a plug-in sends records to another machine"),
    ),
    identity=(),
    operations=(_AUDIT,),
    examples=(
        "SELECT enabled AND running FROM host_audit",
        "SELECT immutable OR immutable_configured FROM host_audit",
    ),
)

_AUDIT_RULE = Kind(
    name="host_audit_rule",
    title="Audit rules, in the kernel and in the files that set them at start",
    columns=(
        Column("text", "VARCHAR", "the rule, white space normalised"),
        Column("type", "VARCHAR", "watch, syscall, exclude or control"),
        Column("loaded", "BOOLEAN", "whether the kernel has it"),
        Column("configured", "BOOLEAN", "whether a rule file has it"),
        Column("source", "VARCHAR", "file:line; NULL: only in the kernel"),
        Column("path", "VARCHAR", "file or folder watched (-w, -F path=, -F dir=)"),
        Column("permissions", "VARCHAR", "of r, w, x, a: those watched"),
        Column("list", "VARCHAR", "exit, exclude, user, task, filesystem"),
        Column("action", "VARCHAR", "always or never"),
        Column("arch", "VARCHAR", "b32 or b64"),
        Column("syscalls", "VARCHAR[]", "system calls"),
        Column("fields", "VARCHAR[]", "conditions (-F)"),
        Column("key", "VARCHAR", "its key (-k)"),
    ),
    identity=("text",),
    operations=(_AUDIT,),
    examples=("SELECT text FROM host_audit_rule WHERE path = '/etc/passwd' AND loaded",),
)

_JOURNALD = Kind(
    name="host_journald",
    title="The systemd journal's settings in effect",
    columns=(
        Column("installed", "BOOLEAN", "whether systemd-journald is there"),
        Column("storage", "VARCHAR", "auto, persistent, volatile or none"),
        Column(
            "persistent",
            "BOOLEAN",
            "whether it survives a restart: persistent, or auto and /var/log/journal is there",
        ),
        Column("compress", "BOOLEAN", "whether large entries are compressed"),
        Column("seal", "BOOLEAN", "whether files are sealed against change, given a key"),
        Column("forward_to_syslog", "BOOLEAN", "whether entries are passed to syslog"),
        Column("forward_to_wall", "BOOLEAN", "whether emergencies are shown to everyone"),
        Column("system_max_use", "VARCHAR", "most disk space"),
        Column("system_keep_free", "VARCHAR", "disk space left free"),
        Column("runtime_max_use", "VARCHAR", "most memory"),
        Column("max_retention_sec", "VARCHAR", "how long entries are kept"),
        Column("max_file_sec", "VARCHAR", "how long one file is written"),
        Column("max_level_store", "VARCHAR", "least severity kept"),
        Column("rate_limit_interval_sec", "VARCHAR", "period of the rate limit"),
        Column("rate_limit_burst", "BIGINT", "messages in it"),
        Column("audit", "BOOLEAN", "whether it switches kernel auditing on"),
        Column(
            "upload_url",
            "VARCHAR",
            "where systemd-journal-upload sends entries; NULL: nowhere",
            free_text=True,
        ),
        Column("upload_enabled", "BOOLEAN", "whether that service starts at boot"),
        Column("sources", "VARCHAR[]", "files that set something, in the order in which they apply"),
    ),
    identity=(),
    operations=(_LOGGING,),
    examples=("SELECT persistent AND compress FROM host_journald",),
)

_RSYSLOG = Kind(
    name="host_rsyslog",
    title="rsyslog: installed, what it writes, sends and receives",
    columns=(
        Column("installed", "BOOLEAN", "whether rsyslogd is there"),
        Column("running", "BOOLEAN", "whether it runs"),
        Column("boot_enabled", "BOOLEAN", "whether it starts at boot"),
        Column("file_create_mode", "VARCHAR", "permissions of new log files in octal; 0644 where not set"),
        Column("umask", "VARCHAR", "its mask in octal; NULL: not set"),
        Column("remote_targets", "VARCHAR[]", "where it sends messages"),
        Column("remote_encrypted", "BOOLEAN", "whether all of it is sent by TLS; NULL: nothing is sent"),
        Column("listens", "VARCHAR[]", "inputs that take messages from the network, as in imtcp 514"),
        Column("files", "VARCHAR[]", "files read, in order"),
        Column("other_daemons", "VARCHAR[]", "syslog-ng, busybox syslogd: those that are there"),
    ),
    identity=(),
    operations=(_LOGGING,),
    examples=("SELECT len(remote_targets) > 0 FROM host_rsyslog WHERE installed",),
)

_RSYSLOG_RULE = Kind(
    name="host_rsyslog_rule",
    title="rsyslog rules: what goes where",
    columns=(
        Column("source", "VARCHAR", "file"),
        Column("line", "BIGINT", "its line"),
        Column("selector", "VARCHAR", "facility.severity, or the condition"),
        Column("action", "VARCHAR", "file, forward, discard, users, pipe, program or module"),
        Column("target", "VARCHAR", "file or address"),
        Column("remote", "BOOLEAN", "whether it is sent to another machine"),
        Column("text", "VARCHAR", "the rule as written", free_text=True),
    ),
    identity=("source", "line"),
    operations=(_LOGGING,),
    examples=("SELECT target FROM host_rsyslog_rule WHERE contains(selector, 'auth')",),
)

_TIME_SYNC = Kind(
    name="host_time_sync",
    title="Time synchronisation",
    columns=(
        Column("installed", "BOOLEAN", "whether a service for it is there"),
        Column(
            "service",
            "VARCHAR",
            "chrony, ntp, ntpsec, openntpd, systemd-timesyncd …: the one that runs, or starts, or is there",
        ),
        Column("services", "VARCHAR[]", "all that are there"),
        Column("enabled", "BOOLEAN", "whether it starts at boot"),
        Column("active", "BOOLEAN", "whether it runs"),
        Column("running_services", "VARCHAR[]", "all that run; more than one disturb each other"),
        Column("servers", "VARCHAR[]", "servers and pools that it asks"),
        Column("synchronized", "BOOLEAN", "whether the clock is in step, as the kernel or the service says"),
        Column("run_as", "VARCHAR", "user it runs as, where its settings say", identity=Identity.LOGIN),
        Column("sources", "VARCHAR[]", "files that name its servers"),
        Column(
            "hypervisor_clock", "BOOLEAN", "whether the kernel offers the hypervisor's clock as a PTP device"
        ),
    ),
    identity=(),
    operations=(_TIME,),
    examples=("SELECT active AND len(servers) > 0 FROM host_time_sync",),
)

_CRONTAB = Kind(
    name="host_crontab",
    title="Jobs run by cron, and files that it passes over",
    columns=(
        Column("source", "VARCHAR", "crontab, or script in /etc/cron.hourly and such"),
        Column("line", "BIGINT", "its line; 0 for a script or a file passed over"),
        Column("type", "VARCHAR", "entry, script or file (one that is passed over as a whole)"),
        Column("effective", "BOOLEAN", "whether cron or run-parts runs it"),
        Column("skipped", "VARCHAR", "why not: name, not-executable, mode, owner; NULL: it runs"),
        Column("event", "VARCHAR", "reboot, hourly, daily …; NULL: a time"),
        Column("minute", "VARCHAR", "minutes"),
        Column("hour", "VARCHAR", "hours"),
        Column("day_of_month", "VARCHAR", "days of the month"),
        Column("month", "VARCHAR", "months"),
        Column("day_of_week", "VARCHAR", "days of the week"),
        Column("run_as", "VARCHAR", "user that it runs as", identity=Identity.LOGIN),
        Column("command", "VARCHAR", "what is run", free_text=True),
        Column("writable_by_others", "BOOLEAN", "whether group or others may write the file"),
    ),
    identity=("source", "line"),
    operations=(_CRON,),
    examples=("SELECT source, command FROM host_crontab WHERE run_as = 'root' AND writable_by_others",),
)

_CRON_KIND = Kind(
    name="host_cron",
    title="cron and at: installed, running, who may use them",
    columns=(
        Column("installed", "BOOLEAN", "whether a cron is there"),
        Column("implementation", "VARCHAR", "debian, cronie, busybox, dcron or other"),
        Column("running", "BOOLEAN", "whether it runs"),
        Column("boot_enabled", "BOOLEAN", "whether it starts at boot"),
        Column(
            "allow_exists", "BOOLEAN", "whether /etc/cron.allow is there: only its users may have a crontab"
        ),
        Column("allowed", "VARCHAR[]", "users in it", identity=Identity.LOGIN),
        Column("deny_exists", "BOOLEAN", "whether /etc/cron.deny is there"),
        Column("denied", "VARCHAR[]", "users in it", identity=Identity.LOGIN),
        Column("restricted", "BOOLEAN", "whether only named users may have a crontab"),
        Column("at_installed", "BOOLEAN", "whether at is there"),
        Column("at_allow_exists", "BOOLEAN", "whether /etc/at.allow is there"),
        Column("at_deny_exists", "BOOLEAN", "whether /etc/at.deny is there"),
        Column("at_restricted", "BOOLEAN", "whether only named users may use at"),
    ),
    identity=(),
    operations=(_CRON,),
    examples=("SELECT restricted FROM host_cron WHERE installed",),
)

KINDS: tuple[Kind, ...] = (
    _AUDIT_KIND,
    _AUDIT_RULE,
    _JOURNALD,
    _RSYSLOG,
    _RSYSLOG_RULE,
    _TIME_SYNC,
    _CRONTAB,
    _CRON_KIND,
)
