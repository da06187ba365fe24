"""Kinds about the operating system, its kernel and the machine below it."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["KINDS"]

_OS = Operation("host:os", "anyone: reads /etc/os-release, /proc and /sys")
_KERNEL = Operation(
    "host:kernel", "anyone: reads /proc/cmdline, /proc/sys/kernel, /sys/kernel/security, /boot"
)
_BOOT = Operation("host:boot", "root: reads /boot/grub/grub.cfg or /boot/grub2/grub.cfg and user.cfg")
_MODULES = Operation("host:modules", "anyone: reads /proc/modules, /etc/modprobe.d, /lib/modules")
_SYSCTL = Operation("host:sysctl", "root: reads those of /proc/sys that are closed to others")

_OS_VERSION = Kind(
    name="host_os",
    title="The operating system's release",
    columns=(
        Column("name", "VARCHAR", "name of the distribution"),
        Column("id", "VARCHAR", "short name in lower case, as in debian, ubuntu, rhel, alpine"),
        Column("id_like", "VARCHAR[]", "distributions that it derives from"),
        Column("version", "VARCHAR", "version for people"),
        Column("version_id", "VARCHAR", "version number, as in 12 or 22.04"),
        Column("major", "BIGINT", "first number of the version"),
        Column("codename", "VARCHAR", "code name of the release"),
        Column("pretty_name", "VARCHAR", "name and version for people"),
        Column("support_end", "DATE", "end of support, where the distribution's own file states it"),
        Column("platform", "VARCHAR", "family by package format: debian, rhel, alpine, suse, arch or other"),
    ),
    identity=(),
    operations=(_OS,),
    examples=("SELECT pretty_name FROM host_os WHERE support_end < DATE '2026-11-24'",),
)

_SYSTEM = Kind(
    name="host_system",
    title="The machine: hardware, virtualisation, cloud",
    columns=(
        Column("hostname", "VARCHAR", "name of the host", identity=Identity.RESOURCE),
        Column("arch", "VARCHAR", "processor architecture"),
        Column("cpu_brand", "VARCHAR", "model of the first processor"),
        Column("cpu_count", "BIGINT", "logical processors"),
        Column("physical_memory", "BIGINT", "memory in bytes"),
        Column("vendor", "VARCHAR", "maker, as the firmware states it"),
        Column("model", "VARCHAR", "product, as the firmware states it"),
        Column("virtual", "BOOLEAN", "whether it is a virtual machine or container"),
        Column("virtualization", "VARCHAR", "kvm, vmware, microsoft, xen, docker, lxc …; none on bare metal"),
        Column("container", "BOOLEAN", "whether the agent itself runs in a container"),
        Column("cloud", "VARCHAR", "aws, azure, gcp, … as hinted by firmware or cloud-init; NULL: no hint"),
        Column("cloud_init", "BOOLEAN", "whether cloud-init is installed"),
        Column("timezone", "VARCHAR", "time zone set"),
    ),
    identity=(),
    operations=(_OS,),
    examples=("SELECT hostname, virtualization, cloud FROM host_system WHERE virtual",),
)

_CPU = Kind(
    name="host_cpu_vulnerability",
    title="Flaws of the processor and what the kernel does about each",
    columns=(
        Column("name", "VARCHAR", "the flaw, as the kernel calls it"),
        Column("status", "VARCHAR", "the kernel's words"),
        Column("affected", "BOOLEAN", "whether this processor has the flaw"),
        Column("vulnerable", "BOOLEAN", "whether it has the flaw and nothing is done about it"),
    ),
    identity=("name",),
    operations=(_OS,),
    examples=("SELECT name, status FROM host_cpu_vulnerability WHERE vulnerable",),
)

_KERNEL_INFO = Kind(
    name="host_kernel",
    title="The running kernel and its start-up parameters",
    columns=(
        Column("version", "VARCHAR", "release of the running kernel"),
        Column("build", "VARCHAR", "build text of the running kernel"),
        Column("arguments", "VARCHAR", "start-up command line", free_text=True),
        Column("parameters", "VARCHAR[]", "start-up parameters, one an entry", free_text=True),
        Column("installed", "VARCHAR[]", "kernel releases found below /boot or /lib/modules"),
        Column("newest_installed", "VARCHAR", "the highest of them"),
        Column(
            "newest_runs", "BOOLEAN", "whether the running kernel is the highest installed; NULL: none found"
        ),
        Column("reboot_required", "BOOLEAN", "whether the package manager left a mark that a restart is due"),
        Column("reboot_packages", "VARCHAR[]", "packages that asked for the restart"),
        Column(
            "lockdown", "VARCHAR", "kernel lockdown: none, integrity or confidentiality; NULL: not built in"
        ),
        Column("secure_boot", "BOOLEAN", "whether the firmware checked signatures; NULL: no UEFI"),
        Column("uefi", "BOOLEAN", "whether it was started by UEFI"),
        Column("tainted", "BIGINT", "the kernel's taint bits; 0: none"),
        Column("modules_supported", "BOOLEAN", "whether this kernel can load modules at all"),
        Column("booted_at", "TIMESTAMP", "when it was started"),
        Column("security_modules", "VARCHAR[]", "active Linux security modules in order"),
    ),
    identity=(),
    operations=(_KERNEL,),
    examples=(
        "SELECT version, newest_installed FROM host_kernel WHERE NOT newest_runs",
        "SELECT list_contains(parameters, 'audit=1') FROM host_kernel",
    ),
)

_BOOT_LOADER = Kind(
    name="host_boot_loader",
    title="The boot loader's configuration",
    columns=(
        Column("name", "VARCHAR", "grub, systemd-boot, extlinux or none found"),
        Column("installed", "BOOLEAN", "whether a configuration was found"),
        Column("path", "VARCHAR", "its configuration file"),
        Column("mode", "VARCHAR", "permissions of that file in octal, as in 0600"),
        Column("uid", "BIGINT", "its owner"),
        Column("gid", "BIGINT", "its group"),
        Column("group_or_world_access", "BOOLEAN", "whether others than its owner may read or write it"),
        Column("superusers", "VARCHAR[]", "names that may edit entries", identity=Identity.LOGIN),
        Column(
            "password_set", "BOOLEAN", "whether editing entries needs a password (the hash is never read)"
        ),
    ),
    identity=("name",),
    operations=(_BOOT,),
    examples=("SELECT path FROM host_boot_loader WHERE installed AND NOT password_set",),
)

_MODULE = Kind(
    name="host_kernel_module",
    title="Kernel modules: loaded, loadable, forbidden",
    columns=(
        Column("name", "VARCHAR", "name with underscores"),
        Column("loaded", "BOOLEAN", "whether it is in the kernel now, as a module"),
        Column("builtin", "BOOLEAN", "whether it is compiled into the kernel"),
        Column("available", "BOOLEAN", "whether its file is there for the running kernel"),
        Column("blacklisted", "BOOLEAN", "whether a modprobe.d line keeps aliases from loading it"),
        Column(
            "install_disabled", "BOOLEAN", "whether an install line replaces its loading by true or false"
        ),
        Column("usable", "BOOLEAN", "whether it is loaded, compiled in, or could be loaded by name"),
        Column("used_by", "VARCHAR[]", "modules that use it"),
        Column("size", "BIGINT", "bytes in memory"),
        Column("tainting", "VARCHAR", "taint letters of the module; empty: none"),
        Column("sources", "VARCHAR[]", "file:line of each modprobe.d line about it"),
    ),
    identity=("name",),
    operations=(_MODULES,),
    examples=(
        "SELECT name FROM host_kernel_module WHERE name IN ('cramfs', 'usb_storage', 'dccp') AND usable",
    ),
)

_SYSCTL_KIND = Kind(
    name="host_sysctl",
    title="Kernel settings: what holds now and what holds after the next start",
    columns=(
        Column("name", "VARCHAR", "name with dots, as in net.ipv4.ip_forward"),
        Column("value", "VARCHAR", "value in effect; inner white space is one space"),
        Column("number", "BIGINT", "the same as a number, where it is one"),
        Column("configured", "VARCHAR", "value that the winning file sets at start; NULL: no file sets it"),
        Column("source", "VARCHAR", "file:line that wins at start"),
        Column("overridden", "VARCHAR[]", "file:line of the lines that lose"),
        Column("differs", "BOOLEAN", "whether value and configured are not the same; NULL: no file sets it"),
    ),
    identity=("name",),
    operations=(_SYSCTL,),
    examples=(
        "SELECT value = '0' FROM host_sysctl WHERE name = 'net.ipv4.conf.all.accept_redirects'",
        "SELECT name, value, configured, source FROM host_sysctl WHERE differs",
    ),
)

KINDS: tuple[Kind, ...] = (_OS_VERSION, _SYSTEM, _CPU, _KERNEL_INFO, _BOOT_LOADER, _MODULE, _SYSCTL_KIND)
