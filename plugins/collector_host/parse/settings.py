"""Kernel modules and kernel settings: files in several folders, of which one wins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames, Line
from ..rows import Item, Row, cannot_read, column_gaps, integer, malformed, unread

__all__ = ["modules", "sysctl", "winners"]

# Modules that hardening guides ask about: file systems and protocols that few hosts need.
_ASKED_FOR = """cramfs freevxfs hfs hfsplus jffs2 squashfs udf vfat overlay usb_storage uas firewire_core
    thunderbolt dccp sctp rds tipc can atm ax25 netrom rose x25 appletalk psnap n_hdlc bluetooth btusb
    cfg80211 uvcvideo floppy pcspkr nf_tables ip_tables ip6_tables nfs nfsd ksmbd cifs gfs2 9p""".split()
_MODULE_FOLDERS = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
_SYSCTL_FOLDERS = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
_VERBS = {"alias", "options", "softdep", "weakdep", "remove", "config", "include"}


def winners(frames: Frames, folders: tuple[str, ...]) -> list[File]:
    """Files that count, in the order in which they are read.

    systemd, kmod and procps agree: of files of one name, the one in the earlier folder hides the others,
    also where it is empty or a link to /dev/null; then all are read in the order of their names.
    """
    chosen: dict[str, File] = {}
    for folder in folders:
        for file in frames.below(folder):
            chosen.setdefault(file.name, file)
    return [chosen[name] for name in sorted(chosen, key=str.encode)]


def _plain(name: str) -> str:
    return name.replace("-", "_")


class _Module:
    def __init__(self) -> None:
        self.blacklisted = self.disabled = self.forbidden = False
        self.install: str | None = None
        self.sources: list[str] = []


def _modprobe(frames: Frames, known: dict[str, _Module]) -> Iterator[Item]:
    for file in winners(frames, _MODULE_FOLDERS):
        for line in _joined(file.lines):
            words = line.text.split(None, 2)
            if not words or words[0].startswith("#") or words[0] in _VERBS:
                continue
            if len(words) < 2 or words[0] not in ("blacklist", "install"):
                yield malformed("host_kernel_module", file.path, line, "no modprobe.d line")
                continue
            module = known.setdefault(_plain(words[1]), _Module())
            module.sources.append(f"{file.path}:{line.number}")
            if words[0] == "blacklist":
                module.blacklisted = True
            elif module.install is None:
                module.install = words[2] if len(words) > 2 else ""
                module.disabled = bool(re.match(r"(/usr)?(/bin/)?(true|false)\b", module.install))


def _joined(lines: list[Line]) -> Iterator[Line]:
    """Lines with those that end in a backslash put together with the next."""
    held = ""
    first: Line | None = None
    for line in lines:
        first = first or line
        if line.text.endswith("\\"):
            held += line.text[:-1]
            continue
        yield Line(held + line.text, first.at, first.number)
        held, first = "", None
    if first is not None:
        yield Line(held, first.at, first.number)


def _boot_blacklist(frames: Frames, known: dict[str, _Module]) -> None:
    arguments = " ".join(line.text for line in frames.file("/proc/cmdline").lines).split()
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name in ("module_blacklist", "modprobe.blacklist"):
            for module in value.split(","):
                entry = known.setdefault(_plain(module), _Module())
                entry.blacklisted = True
                entry.forbidden = entry.forbidden or name == "module_blacklist"
                entry.sources.append("/proc/cmdline:1")


def _loaded(frames: Frames) -> Iterator[tuple[str, dict[str, Json]] | Item]:
    file = frames.file("/proc/modules")
    for line in file.lines:
        words = line.text.split()
        if len(words) < 6:
            yield malformed("host_kernel_module", file.path, line, "too few fields")
            continue
        taint = re.search(r"\(([A-Z+-]+)\)\s*$", line.text)
        users = [user for user in words[3].split(",") if user and user != "-"]
        yield (
            _plain(words[0]),
            {"size": integer(words[1]), "used_by": users, "tainting": taint[1] if taint else ""},
        )


def modules(frames: Frames) -> Iterator[Item]:
    """The section `modules`: host_kernel_module."""
    known: dict[str, _Module] = {name: _Module() for name in _ASKED_FOR}
    loaded: dict[str, dict[str, Json]] = {}
    for found in _loaded(frames):
        if isinstance(found, tuple):
            loaded[found[0]] = found[1]
        else:
            yield found
    yield from _modprobe(frames, known)
    _boot_blacklist(frames, known)
    folder = [path for path in frames.files if path.startswith("/lib/modules/")]
    names = {file: {_plain(line.text) for line in frames.files[file].lines} for file in folder}
    on_disk = set().union(*(found for path, found in names.items() if path.endswith("modules.dep")))
    builtin = set().union(*(found for path, found in names.items() if path.endswith("modules.builtin")))
    shut = any(line.text.strip() == "1" for line in frames.file("/proc/sys/kernel/modules_disabled").lines)
    gaps: tuple[ColumnGap, ...] = ()
    for path in folder:
        if frames.files[path].unknown:
            gaps = column_gaps(("available", "builtin", "usable"), *cannot_read(frames, frames.files[path]))
    for name in sorted(known.keys() | loaded.keys()):
        module = known.get(name) or _Module()
        could = name in on_disk and not (module.disabled or module.forbidden or shut)
        data: dict[str, Json] = {
            "name": name,
            "loaded": name in loaded,
            "builtin": name in builtin,
            "available": name in on_disk,
            "blacklisted": module.blacklisted,
            "install_disabled": module.disabled,
            "usable": name in loaded or name in builtin or could,
            "sources": module.sources,
            **loaded.get(name, {}),
        }
        yield Row("host_kernel_module", name, data, gaps)
    yield from unread(
        frames, "host_kernel_module", lambda path: "modprobe.d" in path or path == "/proc/modules"
    )


# --- sysctl ------------------------------------------------------------------------------------------


def _dotted(path: str) -> str:
    """A path below /proc/sys as a name: slashes become dots, dots (in names of interfaces) slashes."""
    return path.translate({ord("/"): ".", ord("."): "/"})


def _named(name: str) -> str:
    """A name as settings write it: whichever of . and / comes first separates."""
    first = re.search(r"[./]", name)
    return name.translate({ord("/"): ".", ord("."): "/"}) if first and first[0] == "/" else name


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _values(frames: Frames) -> Iterator[tuple[str, str | None] | Item]:
    found: dict[str, list[str]] = {}
    denied: list[str] = []
    for line in frames.command("sysctl").lines:
        path, colon, rest = line.text.partition(":")
        if not colon:
            yield malformed("host_sysctl", "/proc/sys", line, "no value")
        elif rest.startswith(" ") and re.search(r": (Permission denied|Operation not permitted)$", line.text):
            denied.append(path)
        elif not (rest.startswith(" ") and re.search(r": [A-Z][a-z /]+$", line.text)):
            found.setdefault(path, []).append(rest)
    for path, parts in found.items():
        yield _dotted(path), _spaced(" ".join(parts))
    for path in denied:
        # What not even root may read can only be written to: it has no value.
        if path not in found and not frames.root:
            yield _dotted(path), None


class _Setting:
    def __init__(self, value: str, where: str) -> None:
        self.value, self.where, self.losers = value, where, list[str]()


def _files(frames: Frames) -> list[File]:
    files = winners(frames, _SYSCTL_FOLDERS)
    systemd = frames.file("/usr/lib/systemd/systemd-sysctl", "/lib/systemd/systemd-sysctl").exists
    main = frames.file("/etc/sysctl.conf")
    linked = any(file.exists and file.size == main.size and file.text == main.text for file in files)
    # systemd reads sysctl.conf only where a link in sysctl.d leads to it; procps reads it last of all.
    if not systemd and not linked:
        files.append(main)
    if _ufw(frames):
        files.append(frames.file("/etc/ufw/sysctl.conf"))
    return files


def _ufw(frames: Frames) -> bool:
    """Whether ufw is on and sets kernel settings of its own, after everyone else."""
    on = any(re.match(r"ENABLED=[\"']?yes", line.text) for line in frames.file("/etc/ufw/ufw.conf").lines)
    sets = any(
        re.match(r"IPT_SYSCTL=[\"']?/etc/ufw/sysctl.conf", line.text)
        for line in frames.file("/etc/default/ufw").lines
    )
    return on and sets


def _configured(files: list[File], exact: dict[str, _Setting], globs: dict[str, _Setting]) -> Iterator[Item]:
    for file in files:
        for line in file.lines:
            text = line.text.strip()
            if not text or text[0] in "#;":
                continue
            name, equals, value = text.partition("=")
            name = _named(name.strip().removeprefix("-").strip())
            if not name or not (equals or text.startswith("-")):
                yield malformed("host_sysctl", file.path, line, "no assignment")
                continue
            where = f"{file.path}:{line.number}"
            setting = _Setting(_spaced(value), where)
            table = globs if re.search(r"[*?\[]", name) else exact
            if old := table.get(name):
                setting.losers = [*old.losers, old.where]
            table[name] = setting


def sysctl(frames: Frames) -> Iterator[Item]:
    """The section `sysctl`: host_sysctl.

    The rules are those of sysctl.d(5): files by name over all folders, later lines win, and a pattern sets
    only what no line names in full.
    """
    values: dict[str, str | None] = {}
    for found in _values(frames):
        if isinstance(found, tuple):
            values[found[0]] = found[1]
        else:
            yield found
    exact: dict[str, _Setting] = {}
    globs: dict[str, _Setting] = {}
    yield from _configured(_files(frames), exact, globs)
    for pattern, setting in globs.items():
        for name in values:
            if name not in exact and fnmatchcase(name, pattern):
                exact[name] = setting
    for name in sorted(values.keys() | exact.keys()):
        yield _setting(frames, name, values, exact.get(name))
    yield from unread(frames, "host_sysctl")


def _setting(frames: Frames, name: str, values: dict[str, str | None], setting: _Setting | None) -> Row:
    value = values.get(name)
    gaps: tuple[ColumnGap, ...] = ()
    columns = ("value", "number", "differs")
    if name in values and value is None:
        gaps = column_gaps(columns, Outcome.DENIED, f"needs root to read /proc/sys/{_dotted(name)}")
    elif name not in values and frames.command("sysctl").status != "run":
        gaps = column_gaps(columns, Outcome.UNSUPPORTED, "no running kernel was asked")
    data: dict[str, Json] = {"name": name, "value": value, "number": integer(value)}
    if setting is not None:
        data |= {"configured": setting.value, "source": setting.where, "overridden": setting.losers}
        data["differs"] = value != setting.value if value is not None else None
    return Row("host_sysctl", name, data, gaps)
