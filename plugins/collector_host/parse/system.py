"""Operating system, machine, processor flaws, kernel and boot loader."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames
from ..rows import Item, Row, cannot_read, column_gaps, integer, malformed, moment, unread

__all__ = ["boot", "kernel", "os", "os_release"]

_FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "rhel",
    "fedora": "rhel",
    "centos": "rhel",
    "alpine": "alpine",
    "suse": "suse",
    "opensuse": "suse",
    "arch": "arch",
}
# What the firmware of each cloud says of itself (vendor, product or asset tag).
_CLOUDS = (
    ("amazon ec2", "aws"),
    ("google", "gcp"),
    ("7783-7084-3265-9085-8269-3286-77", "azure"),
    ("oraclecloud", "oracle"),
    ("digitalocean", "digitalocean"),
    ("hetzner", "hetzner"),
    ("alibaba cloud", "alibaba"),
    ("openstack", "openstack"),
    ("scaleway", "scaleway"),
    ("vultr", "vultr"),
    ("linode", "linode"),
)
_HYPERVISORS = (
    ("vmware", "vmware"),
    ("virtualbox", "oracle"),
    ("kvm", "kvm"),
    ("qemu", "qemu"),
    ("hvm domu", "xen"),
    ("virtual machine", "microsoft"),
    ("amazon ec2", "amazon"),
    ("google compute engine", "google"),
    ("openstack", "kvm"),
)
_CONTAINERS = {
    "docker",
    "podman",
    "lxc",
    "lxc-libvirt",
    "systemd-nspawn",
    "openvz",
    "rkt",
    "wsl",
    "proot",
    "pouch",
}
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z")
_SUPPORT_END = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


def os_release(file: File) -> tuple[dict[str, str], list[int]]:
    """Read an os-release file: names to values, and the numbers of lines that made no sense."""
    values: dict[str, str] = {}
    bad: list[int] = []
    for line in file.lines:
        text = line.text.strip()
        if not text or text.startswith("#"):
            continue
        if match := _ASSIGNMENT.match(text):
            values[match[1]] = re.sub(r"\\(.)", r"\1", match[2].strip().strip("\"'"))
        else:
            bad.append(line.number)
    return values, bad


def _first(file: File) -> str | None:
    return file.lines[0].text.strip() or None if file.readable and file.lines else None


def _release(frames: Frames) -> Iterator[Item]:
    file = frames.file("/etc/os-release", "/usr/lib/os-release")
    if not file.readable:
        if file.unknown:
            yield from unread(frames, "host_os", lambda path: path.endswith("os-release"))
        else:
            yield Row("host_os", "os", {"platform": "other"})
        return
    values, bad = os_release(file)
    for number in bad:
        yield malformed("host_os", file.path, number, "no assignment")
    likes = values.get("ID_LIKE", "").split()
    family = next((_FAMILIES[word] for word in (values.get("ID", ""), *likes) if word in _FAMILIES), "other")
    end = values.get("SUPPORT_END", "")
    data: dict[str, Json] = {
        "name": values.get("NAME"),
        "id": values.get("ID"),
        "id_like": likes,
        "version": values.get("VERSION"),
        "version_id": values.get("VERSION_ID"),
        "major": integer(values.get("VERSION_ID", "").split(".")[0]),
        "codename": values.get("VERSION_CODENAME"),
        "pretty_name": values.get("PRETTY_NAME"),
        "support_end": end if _SUPPORT_END.match(end) else None,
        "platform": family,
    }
    yield Row("host_os", "os", data)


def _virtualization(frames: Frames, hints: str) -> str | None:
    command = frames.command("virtualization")
    if command.status == "run" and command.lines and command.lines[0].text.strip():
        return command.lines[0].text.strip()
    container = _first(frames.file("/run/systemd/container"))
    if container:
        return container
    if frames.file("/.dockerenv").exists:
        return "docker"
    if frames.file("/run/.containerenv").exists:
        return "podman"
    return next((name for mark, name in _HYPERVISORS if mark in hints), None)


def _processors(frames: Frames) -> tuple[str | None, int | None]:
    lines = [line.text.partition(":") for line in frames.file("/proc/cpuinfo").lines]
    named = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    count = sum(name.strip() == "processor" for name, _, _ in lines)
    return named.get("model name") or named.get("Model") or named.get("Hardware"), count or None


def _memory(frames: Frames) -> int | None:
    for line in frames.file("/proc/meminfo").lines:
        if match := re.match(r"MemTotal:\s+(\d{1,15}) kB", line.text):
            return int(match[1]) * 1024
    return None


def _timezone(frames: Frames) -> str | None:
    links = frames.values("localtime")
    if links and "zoneinfo/" in links[0]:
        return links[0].split("zoneinfo/", 1)[1]
    return _first(frames.file("/etc/timezone"))


def _machine(frames: Frames) -> Iterator[Item]:
    vendor = _first(frames.file("/sys/class/dmi/id/sys_vendor"))
    model = _first(frames.file("/sys/class/dmi/id/product_name"))
    tag = _first(frames.file("/sys/class/dmi/id/chassis_asset_tag"))
    hints = " ".join(filter(None, (vendor, model, tag))).lower()
    virtualization = _virtualization(frames, hints)
    brand, count = _processors(frames)
    arch = frames.command("arch")
    cloud = _first(frames.file("/run/cloud-init/cloud-id"))
    gaps: tuple[ColumnGap, ...] = ()
    if virtualization is None:
        why = "neither systemd-detect-virt nor the firmware tells what this machine is"
        gaps = column_gaps(("virtual", "virtualization", "container"), Outcome.UNSUPPORTED, why)
    data: dict[str, Json] = {
        "hostname": _first(frames.file("/proc/sys/kernel/hostname")) or _first(frames.file("/etc/hostname")),
        "arch": arch.lines[0].text.strip() if arch.ran and arch.lines else None,
        "cpu_brand": brand,
        "cpu_count": count,
        "physical_memory": _memory(frames),
        "vendor": vendor,
        "model": model,
        "virtual": None if virtualization is None else virtualization != "none",
        "virtualization": virtualization,
        "container": None if virtualization is None else virtualization in _CONTAINERS,
        "cloud": cloud or next((name for mark, name in _CLOUDS if mark in hints), None),
        "cloud_init": frames.file("/usr/bin/cloud-init").exists,
        "timezone": _timezone(frames),
    }
    yield Row("host_system", "system", data, gaps)


def _flaws(frames: Frames) -> Iterator[Item]:
    folder = "/sys/devices/system/cpu/vulnerabilities"
    for file in frames.below(folder):
        status = _first(file)
        if status is None:
            continue
        affected = not status.startswith("Not affected")
        data = {
            "name": file.name,
            "status": status,
            "affected": affected,
            "vulnerable": affected and (status.startswith("Vulnerable") or "Vulnerable:" in status),
        }
        yield Row("host_cpu_vulnerability", file.name, data)
    yield from unread(frames, "host_cpu_vulnerability", lambda path: path.startswith(folder))
    listed = frames.folders.get(folder)
    if listed is None or listed.status == "missing":
        why = f"this kernel has no {folder}"
        gap = column_gaps(("status", "affected", "vulnerable"), Outcome.UNSUPPORTED, why)
        yield Row("host_cpu_vulnerability", "all", {"name": "all"}, gap)


def os(frames: Frames) -> Iterator[Item]:
    """The section `os`: host_os, host_system, host_cpu_vulnerability."""
    yield from _release(frames)
    yield from _machine(frames)
    yield from _flaws(frames)


def _by_version(name: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"\d{1,12}|[A-Za-z]+", name)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def _installed_kernels(frames: Frames) -> list[str]:
    names = {re.sub(r"^(vmlinuz|kernel)-", "", file.name) for file in frames.below("/boot")}
    names |= {file.name for folder in ("/lib/modules", "/usr/lib/modules") for file in frames.below(folder)}
    return sorted((name for name in names if re.match(r"[1-9]\d*\.\d", name)), key=_by_version)


def _bracketed(text: str | None) -> str | None:
    match = re.search(r"\[([a-z]+)\]", text or "")
    return match[1] if match else None


def _secure_boot(frames: Frames, uefi: bool) -> tuple[bool | None, tuple[ColumnGap, ...]]:
    command = frames.command("secure-boot")
    numbers = " ".join(line.text for line in command.lines).split()
    if numbers:
        return numbers[-1] == "1", ()
    if not uefi:
        return None, ()
    why = "started by UEFI, but efivars does not show SecureBoot to us"
    return None, column_gaps(("secure_boot",), Outcome.DENIED, why)


def kernel(frames: Frames) -> Iterator[Item]:
    """The section `kernel`: host_kernel."""
    arguments = _first(frames.file("/proc/cmdline")) or ""
    version = _first(frames.file("/proc/sys/kernel/osrelease"))
    kernels = _installed_kernels(frames)
    uefi = frames.file("/sys/firmware/efi").exists
    secure_boot, gaps = _secure_boot(frames, uefi)
    for column, path in (
        ("lockdown", "/sys/kernel/security/lockdown"),
        ("security_modules", "/sys/kernel/security/lsm"),
    ):
        if frames.file(path).unknown:
            reason, detail = cannot_read(frames, frames.file(path))
            gaps += column_gaps((column,), reason, detail)
    started = [integer(line.text.removeprefix("btime ")) for line in frames.file("/proc/stat").lines]
    packages = frames.file("/run/reboot-required.pkgs", "/var/run/reboot-required.pkgs").lines
    modules = _first(frames.file("/sys/kernel/security/lsm"))
    data: dict[str, Json] = {
        "version": version,
        "build": _first(frames.file("/proc/sys/kernel/version")),
        "arguments": arguments,
        "parameters": arguments.split(),
        "installed": kernels,
        "newest_installed": kernels[-1] if kernels else None,
        "newest_runs": kernels[-1] == version if kernels and version else None,
        "reboot_required": frames.file("/run/reboot-required", "/var/run/reboot-required").exists,
        "reboot_packages": sorted({line.text for line in packages if line.text}),
        "lockdown": _bracketed(_first(frames.file("/sys/kernel/security/lockdown"))),
        "secure_boot": secure_boot,
        "uefi": uefi,
        "tainted": integer(_first(frames.file("/proc/sys/kernel/tainted"))),
        "modules_supported": frames.file("/proc/modules").exists,
        "booted_at": moment(started[0]) if started else None,
        "security_modules": modules.split(",") if modules else None,
    }
    yield Row("host_kernel", "kernel", data, gaps)


_LOADERS = {
    "grub": (
        "/boot/grub/grub.cfg",
        "/boot/grub2/grub.cfg",
        "/boot/efi/EFI/redhat/grub.cfg",
    ),
    "systemd-boot": ("/boot/loader/loader.conf", "/boot/efi/loader/loader.conf"),
    "extlinux": ("/boot/extlinux.conf",),
}


def _grub(frames: Frames, file: File) -> tuple[dict[str, Json], tuple[ColumnGap, ...]]:
    users: set[str] = set()
    protected = False
    gaps: tuple[ColumnGap, ...] = ()
    for settings in (file, frames.file("/boot/grub2/user.cfg", "/boot/grub/user.cfg")):
        if settings.unknown:
            gaps = column_gaps(("superusers", "password_set"), *cannot_read(frames, settings))
        for line in settings.lines:
            words = line.text.split()
            if match := re.match(r"\s*set\s+superusers\s*=\s*[\"']?([^\"']*)", line.text):
                users |= set(re.split(r"[\s,;&|]+", match[1])) - {"", "${superusers}"}
            protected = protected or (bool(words) and words[0].startswith(("password", "GRUB2_PASSWORD")))
    # A password counts only where someone is named who must give it; RHEL names root in grub.cfg itself.
    return {"superusers": sorted(users), "password_set": protected and bool(users)}, gaps


def boot(frames: Frames) -> Iterator[Item]:
    """The section `boot`: host_boot_loader."""
    found = False
    for name, paths in _LOADERS.items():
        file = frames.file(*paths)
        if not file.exists:
            continue
        found = True
        data: dict[str, Json] = {
            "name": name,
            "installed": True,
            "path": file.path,
            "mode": file.mode,
            "uid": file.uid,
            "gid": file.gid,
            "group_or_world_access": file.has(0o066),
        }
        gaps: tuple[ColumnGap, ...] = ()
        if name == "grub":
            more, gaps = _grub(frames, file)
            data.update(more)
        yield Row("host_boot_loader", name, data, gaps)
    hidden = [file for file in frames.files.values() if file.status == "denied" and not file.exists]
    if not found and not hidden:
        yield Row("host_boot_loader", "none", {"name": "none", "installed": False})
    if not found:
        yield from unread(frames, "host_boot_loader")
