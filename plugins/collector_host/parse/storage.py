"""Mounts and disks: what is mounted how (proc(5), fstab(5)), and what lies on an encrypted layer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from collector.model import ColumnGap, Json, Outcome

from ..frames import Frames, Line
from ..rows import Item, Miss, Row, column_gaps, integer, malformed, unread

__all__ = ["Mount", "disks", "mounts", "mounts_of"]

_PSEUDO = set(
    "proc sysfs cgroup cgroup2 devpts securityfs debugfs tracefs configfs bpf pstore efivarfs mqueue"
    " hugetlbfs fusectl binfmt_misc autofs"
    " rpc_pipefs nsfs selinuxfs devtmpfs nfsd sockfs pipefs ramfs".split()
)
_NETWORK = set(
    "nfs nfs4 cifs smb3 smbfs ceph glusterfs fuse.glusterfs fuse.sshfs 9p virtiofs afs lustre ncpfs gfs2"
    " ocfs2".split()
)
_DISK = set(
    "ext2 ext3 ext4 xfs btrfs zfs f2fs jfs reiserfs vfat exfat ntfs ntfs3 iso9660 udf squashfs erofs bcachefs"
    " nilfs2 fuseblk".split()
)
_MOUNT_FIELDS = 10
_FSTAB_FIELDS = 4


def _unescaped(text: str) -> str:
    """Undo the octal escapes of space, tab, newline and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8) & 0xFF), text)


@dataclass(slots=True)
class Mount:
    """A mounted file system; `options` are those of the mount, `all_options` with the file system's."""

    path: str
    device: str
    type: str
    options: list[str]
    all_options: list[str]
    layers: int = 1


def mounts_of(frames: Frames) -> tuple[dict[str, Mount], list[Line]]:
    """What is mounted, by path, the topmost mount counting; and lines that made no sense."""
    found: dict[str, Mount] = {}
    bad: list[Line] = []
    for line in frames.file("/proc/self/mountinfo").lines:
        fields = line.text.split(" ")
        if len(fields) < _MOUNT_FIELDS or "-" not in fields[6:] or fields.index("-", 6) + 3 >= len(fields):
            bad.append(line)
            continue
        dash = fields.index("-", 6)
        path, options = _unescaped(fields[4]), fields[5].split(",")
        below = fields[dash + 3].split(",")
        mount = Mount(
            path,
            _unescaped(fields[dash + 2]),
            fields[dash + 1],
            options,
            list(dict.fromkeys(options + below)),
        )
        if path in found:
            mount.layers = found[path].layers + 1
        found[path] = mount
    return found, bad


def mounts(frames: Frames) -> Iterator[Item]:
    """The section `mounts`: host_mount."""
    found, bad = mounts_of(frames)
    for line in bad:
        yield malformed("host_mount", "/proc/self/mountinfo", line, "no mountinfo line")
    rows = {path: _mounted(mount) for path, mount in found.items()}
    for line in frames.file("/etc/fstab").lines:
        fields = line.text.split()
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) < _FSTAB_FIELDS:
            yield malformed("host_mount", "/etc/fstab", line, "fewer than four fields")
            continue
        device, path, type_, options = (_unescaped(field) for field in fields[:4])
        if not path.startswith("/"):
            continue  # swap is no mount; host_disk_encryption has it
        path = path.rstrip("/") or "/"
        row = rows.setdefault(
            path, {"path": path, "device": device, "type": type_, "mounted": False, "in_fstab": True}
        )
        row |= {"in_fstab": True, "fstab_options": options.split(","), "fstab_line": line.number}
    for path, row in rows.items():
        yield Row("host_mount", path, row)
    if not frames.file("/proc/self/mountinfo").exists:
        why = "/proc/self/mountinfo is not there: what is mounted is not known"
        yield Miss("host_mount", Outcome.UNSUPPORTED, why)
    yield from unread(frames, "host_mount")


def _mounted(mount: Mount) -> dict[str, Json]:
    return {
        "path": mount.path,
        "device": mount.device,
        "type": mount.type,
        "mounted": True,
        "options": mount.all_options,
        "nodev": "nodev" in mount.options,
        "nosuid": "nosuid" in mount.options,
        "noexec": "noexec" in mount.options,
        "readonly": "ro" in mount.all_options,
        "local": mount.type in _DISK or (mount.device.startswith("/dev/") and mount.type not in _PSEUDO),
        "network": mount.type in _NETWORK,
        "pseudo": mount.type in _PSEUDO,
        "in_fstab": False,
        "layers": mount.layers,
    }


@dataclass(slots=True)
class _Device:
    name: str
    type: str = "disk"
    fstype: str | None = None
    size: int | None = None
    removable: bool | None = None
    mounts: list[str] = field(default_factory=list)
    parents: set[str] = field(default_factory=set)
    encryption: str | None = None


def _lsblk(frames: Frames, devices: dict[str, _Device]) -> Iterator[Item]:
    for line in frames.command("lsblk").lines:
        if not line.text.strip():
            continue
        try:
            words = shlex.split(line.text)
        except ValueError:
            words = []
        values = dict(word.partition("=")[::2] for word in words)
        if not values.get("NAME"):
            yield malformed("host_disk_encryption", "lsblk", line, "no lsblk line")
            continue
        device = devices.setdefault(values["NAME"], _Device(values["NAME"]))
        device.type = values.get("TYPE") or "disk"
        device.fstype = values.get("FSTYPE") or None
        device.size = integer(values.get("SIZE"))
        device.removable = values.get("RM") == "1"
        if (mount := values.get("MOUNTPOINT")) and mount not in device.mounts:
            device.mounts.append(mount)
        if parent := values.get("PKNAME"):
            device.parents.add(parent)


def _mapper(frames: Frames, devices: dict[str, _Device]) -> None:
    """Device mapper's own word: its uuid says CRYPT and the scheme."""
    for path, file in frames.files.items():
        match = re.match(r"/sys/block/(dm-\d+)/dm/uuid\Z", path)
        if match is None or not file.lines:
            continue
        named = frames.file(f"/sys/block/{match[1]}/dm/name").text.strip()
        known = devices.get(f"/dev/mapper/{named}") or devices.get(f"/dev/{match[1]}")
        device = known or devices.setdefault(f"/dev/mapper/{named}", _Device(f"/dev/mapper/{named}", "dm"))
        if crypt := re.match(r"CRYPT-([A-Z0-9]+)-", file.text):
            device.encryption = crypt[1]
            device.type = "crypt"
        for slave in frames.values("slave"):
            if slave.startswith(f"{match[1]}/slaves/"):
                device.parents.add(f"/dev/{slave.rsplit('/', 1)[-1]}")


def _used(frames: Frames, devices: dict[str, _Device]) -> None:
    found, _ = mounts_of(frames)
    for mount in found.values():
        if mount.device.startswith("/dev/") or mount.type == "zfs":
            device = devices.setdefault(
                mount.device, _Device(mount.device, "dataset" if mount.type == "zfs" else "disk")
            )
            device.fstype = device.fstype or mount.type
            if mount.path not in device.mounts:
                device.mounts.append(mount.path)
    for line in frames.file("/proc/swaps").lines[1:]:
        words = line.text.split()
        if len(words) > 1 and words[0].startswith("/"):
            name = _unescaped(words[0])
            device = devices.setdefault(name, _Device(name, "swap"))
            device.mounts = [*(mount for mount in device.mounts if mount != "[SWAP]"), "[SWAP]"]


def _layer(device: _Device, devices: dict[str, _Device], seen: frozenset[str] = frozenset()) -> str | None:
    """The encryption of the device or of what it lies on."""
    if device.encryption:
        return device.encryption
    if device.type == "crypt":
        return "dm-crypt"
    for parent in sorted(device.parents):
        below = devices.get(parent) or devices.get(parent.replace("/dev/", "/dev/mapper/", 1))
        if below is not None and parent not in seen and (found := _layer(below, devices, seen | {parent})):
            return found
    return None


def disks(frames: Frames) -> Iterator[Item]:
    """The section `disks`: host_disk_encryption."""
    devices: dict[str, _Device] = {}
    yield from _lsblk(frames, devices)
    _mapper(frames, devices)
    _used(frames, devices)
    asked = frames.command("lsblk").ran
    for name in sorted(devices):
        device = devices[name]
        if device.type in ("loop", "rom") and not device.mounts:
            continue
        encryption = _layer(device, devices)
        gaps: tuple[ColumnGap, ...] = ()
        if device.fstype in ("zfs", "zfs_member") and not encryption:
            gaps = column_gaps(
                ("encrypted", "encryption"), Outcome.UNSUPPORTED, "encryption of ZFS is not asked for"
            )
        elif not asked and not encryption:
            why = "lsblk did not answer: what lies below the device is not known"
            gaps = column_gaps(("encrypted", "encryption", "parents"), Outcome.UNSUPPORTED, why)
        data: dict[str, Json] = {
            "name": name,
            "type": device.type,
            "fstype": device.fstype,
            "mount_points": device.mounts,
            "in_use": bool(device.mounts),
            "encrypted": encryption is not None,
            "encryption": encryption,
            "parents": sorted(device.parents),
            "size": device.size,
            "removable": device.removable,
            "zram": name.startswith("/dev/zram"),
        }
        yield Row("host_disk_encryption", name, data, gaps)
    yield from unread(frames, "host_disk_encryption")
