"""Kinds about disks, mounts and files whose permissions matter."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["KINDS"]

_MOUNTS = Operation("host:mounts", "anyone: reads /proc/self/mountinfo and /etc/fstab")
_DISKS = Operation("host:disks", "anyone: runs lsblk, reads /sys/block, /proc/swaps, /etc/crypttab")
_FILES = Operation("host:files", "root: looks into folders that are closed to others (stat only)")
_WALK = Operation(
    "host:walk", "root: walks local file systems, folders closed to others too (no content is read)"
)
_LOGS = Operation("host:logs", "root: walks /var/log, folders closed to others too (stat only)")

_MOUNT = Kind(
    name="host_mount",
    title="Mounted file systems, and those that /etc/fstab would mount",
    columns=(
        Column("path", "VARCHAR", "where it is mounted"),
        Column("device", "VARCHAR", "what is mounted", free_text=True),
        Column("type", "VARCHAR", "file system type"),
        Column("mounted", "BOOLEAN", "whether it is mounted now"),
        Column("options", "VARCHAR[]", "options in effect", free_text=True),
        Column("nodev", "BOOLEAN", "whether device files do not work; in effect"),
        Column("nosuid", "BOOLEAN", "whether SUID bits do not work; in effect"),
        Column("noexec", "BOOLEAN", "whether programs do not run; in effect"),
        Column("readonly", "BOOLEAN", "whether it is read-only; in effect"),
        Column("local", "BOOLEAN", "whether it is on a disk of this machine"),
        Column("network", "BOOLEAN", "whether it is on another machine"),
        Column("pseudo", "BOOLEAN", "whether the kernel makes it up (proc, sysfs, cgroup …)"),
        Column("in_fstab", "BOOLEAN", "whether /etc/fstab has it"),
        Column("fstab_options", "VARCHAR[]", "options there", free_text=True),
        Column("fstab_line", "BIGINT", "its line there"),
        Column("layers", "BIGINT", "mounts on this path; the top one counts"),
    ),
    identity=("path",),
    operations=(_MOUNTS,),
    examples=("SELECT path FROM host_mount WHERE path = '/tmp' AND NOT (nodev AND nosuid AND noexec)",),
)

_DISK = Kind(
    name="host_disk_encryption",
    title="Block devices that hold data, and whether the host encrypts them",
    columns=(
        Column("name", "VARCHAR", "device path"),
        Column("type", "VARCHAR", "disk, part, crypt, lvm, raid1, swap …"),
        Column("fstype", "VARCHAR", "what is on it; NULL: not known"),
        Column("mount_points", "VARCHAR[]", "where it is mounted; [SWAP] for swap"),
        Column("in_use", "BOOLEAN", "whether it is mounted or swapped to"),
        Column("encrypted", "BOOLEAN", "whether it lies on an encrypted layer of this host (dm-crypt)"),
        Column("encryption", "VARCHAR", "LUKS1, LUKS2, PLAIN …; NULL: none"),
        Column("parents", "VARCHAR[]", "devices below it"),
        Column("size", "BIGINT", "bytes"),
        Column("removable", "BOOLEAN", "whether it can be pulled out"),
        Column("zram", "BOOLEAN", "whether it is compressed memory, not a disk"),
    ),
    identity=("name",),
    operations=(_DISKS,),
    examples=(
        "SELECT name, mount_points FROM host_disk_encryption WHERE in_use AND NOT encrypted AND NOT zram",
    ),
)

_STAT: tuple[Column, ...] = (
    Column("type", "VARCHAR", "regular, directory, symlink, socket, fifo, block or character"),
    Column("mode", "VARCHAR", "permissions in octal, as in 0644"),
    Column("uid", "BIGINT", "owner"),
    Column("gid", "BIGINT", "group"),
    Column("username", "VARCHAR", "owner's name; NULL: no account has that number", identity=Identity.LOGIN),
    Column("groupname", "VARCHAR", "group's name; NULL: no group has that number", identity=Identity.LOGIN),
)

_FILE = Kind(
    name="host_file",
    title="Permissions of paths that security rests on",
    columns=(
        Column("path", "VARCHAR", "the path"),
        Column(
            "topic",
            "VARCHAR",
            "accounts, ssh, ssh-host-key, sudo, cron, boot, pam, audit, logging, packages, tls-key or system",
        ),
        Column("exists", "BOOLEAN", "whether it is there"),
        *_STAT,
        Column("size", "BIGINT", "bytes"),
        Column("mtime", "TIMESTAMP", "when its content last changed"),
        Column(
            "target", "VARCHAR", "where it points; NULL: no symbolic link (mode and owner are the target's)"
        ),
        Column("owner_writable", "BOOLEAN", "whether its owner may write"),
        Column("group_readable", "BOOLEAN", "whether its group may read"),
        Column("group_writable", "BOOLEAN", "whether its group may write"),
        Column("group_executable", "BOOLEAN", "whether its group may run or enter it"),
        Column("world_readable", "BOOLEAN", "whether anyone may read"),
        Column("world_writable", "BOOLEAN", "whether anyone may write"),
        Column("world_executable", "BOOLEAN", "whether anyone may run or enter it"),
        Column("sticky", "BOOLEAN", "whether only owners may delete in it"),
    ),
    identity=("path",),
    operations=(_FILES,),
    examples=(
        "SELECT path, mode FROM host_file WHERE path = '/etc/shadow' AND (world_readable OR group_writable)",
    ),
)

_SUID = Kind(
    name="host_suid_bin",
    title="Programs that run with their owner's or group's rights",
    columns=(
        Column("path", "VARCHAR", "the program", identity=Identity.RESOURCE),
        *_STAT,
        Column("setuid", "BOOLEAN", "whether it runs as its owner"),
        Column("setgid", "BOOLEAN", "whether it runs as its group"),
        Column("root", "BOOLEAN", "whether it runs as root (set-uid and owned by 0)"),
        Column("writable_by_others", "BOOLEAN", "whether group or others may write it"),
        Column("mount", "VARCHAR", "file system that it is on"),
        Column("nosuid", "BOOLEAN", "whether that file system is mounted so that the bit does nothing"),
        Column("packaged", "BOOLEAN", "whether the package database knows the path; NULL: not told"),
    ),
    identity=("path",),
    operations=(_WALK,),
    examples=("SELECT path FROM host_suid_bin WHERE root AND NOT nosuid AND NOT packaged",),
)

_CAPABILITY = Kind(
    name="host_file_capability",
    title="Programs that get rights of root piecewise (file capabilities)",
    columns=(
        Column("path", "VARCHAR", "the program", identity=Identity.RESOURCE),
        Column("capabilities", "VARCHAR[]", "the capabilities, as in cap_net_raw"),
        Column("flags", "VARCHAR", "e effective, i inheritable, p permitted"),
        Column("text", "VARCHAR", "as getcap shows them"),
        Column(
            "as_root",
            "BOOLEAN",
            "whether one of them is as good as root (cap_setuid, cap_sys_admin, cap_dac_override …)",
        ),
    ),
    identity=("path",),
    operations=(_WALK,),
    examples=("SELECT path, capabilities FROM host_file_capability WHERE as_root",),
)

_WRITABLE = Kind(
    name="host_world_writable",
    title="Files and folders that anyone may write",
    columns=(
        Column("path", "VARCHAR", "the path", identity=Identity.RESOURCE),
        *_STAT,
        Column("sticky", "BOOLEAN", "for a folder: whether only owners may delete in it"),
        Column("mount", "VARCHAR", "file system that it is on"),
    ),
    identity=("path",),
    operations=(_WALK,),
    examples=(
        "SELECT path FROM host_world_writable WHERE type = 'regular' OR (type = 'directory' AND NOT sticky)",
    ),
)

_UNOWNED = Kind(
    name="host_unowned_file",
    title="Files whose owner or group is no account of this host",
    columns=(
        Column("path", "VARCHAR", "the path", identity=Identity.RESOURCE),
        *_STAT,
        Column("mount", "VARCHAR", "file system that it is on"),
    ),
    identity=("path",),
    operations=(_WALK,),
    examples=("SELECT path, uid, gid FROM host_unowned_file",),
)

_LOG_FILE = Kind(
    name="host_log_file",
    title="Permissions of log files below /var/log",
    columns=(
        Column("path", "VARCHAR", "the path", identity=Identity.RESOURCE),
        *_STAT,
        Column("size", "BIGINT", "bytes"),
        Column("mtime", "TIMESTAMP", "when last written"),
        Column("group_writable", "BOOLEAN", "whether its group may write"),
        Column("world_readable", "BOOLEAN", "whether anyone may read"),
        Column("world_writable", "BOOLEAN", "whether anyone may write"),
    ),
    identity=("path",),
    operations=(_LOGS,),
    examples=("SELECT path, mode FROM host_log_file WHERE world_writable",),
)

KINDS: tuple[Kind, ...] = (_MOUNT, _DISK, _FILE, _SUID, _CAPABILITY, _WRITABLE, _UNOWNED, _LOG_FILE)
