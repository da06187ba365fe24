"""Where packages come from, and whether updates are installed by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json, Outcome

from ..frames import File, Frames
from ..rows import Item, Row, boolean, column_gaps, integer, malformed, unread
from .system import os_release
from .units import Boot

__all__ = ["apt_settings", "ini", "update_policy"]

_KIND = "host_package_source"
_LOCAL = ("file:", "cdrom:", "copy:")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([{};])|(//[^\n]*|#[^\n]*|/\*.*?\*/)|([^\s"{};]+)', re.DOTALL)
_MANAGERS = {"apt": ("/usr/bin/apt-get",), "dnf": ("/usr/bin/dnf", "/usr/bin/yum"), "apk": ("/sbin/apk",)}
_FAMILY = {"debian": "apt", "ubuntu": "apt", "rhel": "dnf", "fedora": "dnf", "centos": "dnf", "alpine": "apk"}


# --- archives ----------------------------------------------------------------------------------------


def _encrypted(uri: str) -> bool:
    return bool(re.match(r"([a-z0-9+]+\+)?https:", uri)) or uri.startswith((*_LOCAL, "/"))


def _row(file: File, line: int, manager: str, uri: str, suite: str, more: dict[str, Json]) -> Row:
    data: dict[str, Json] = {
        "source": file.path,
        "line": line,
        "manager": manager,
        "enabled": True,
        "uri": uri,
        "suite": suite,
        "components": [],
        "types": [],
        "encrypted": _encrypted(uri),
        "verified": True,
        "signed_by": None,
        "security": "security" in uri.lower() or "security" in suite.lower(),
        **more,
    }
    return Row(_KIND, f"{file.path}:{line}:{suite}:{uri}", data)


def _one_line(file: File) -> Iterator[Item]:
    """sources.list(5), one-line style."""
    for line in file.lines:
        text = line.text.partition("#")[0].strip()
        if not text:
            continue
        match = re.match(r"(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)\Z", text)
        if match is None:
            yield malformed(_KIND, file.path, line, "no deb line")
            continue
        options = dict(option.partition("=")[::2] for option in (match[2] or "").split())
        more: dict[str, Json] = {
            "components": match[5].split(),
            "types": [match[1]],
            "verified": not boolean(options.get("trusted")),
            "signed_by": options.get("signed-by"),
        }
        yield _row(file, line.number, "apt", match[3], match[4], more)


def _stanzas(file: File) -> Iterator[tuple[int, dict[str, str]]]:
    """deb822 paragraphs, names in lower case; a line that starts with a space continues the one before."""
    first, last, values = 0, "", dict[str, str]()
    for line in [*file.lines, None]:
        if line is None or not line.text.strip():
            if values:
                yield first, values
            first, last, values = 0, "", {}
        elif line.text.startswith("#"):
            continue
        elif line.text[0] in " \t" and last:
            values[last] += f"\n{line.text.strip()}"
        else:
            first = first or line.number
            name, _, value = line.text.partition(":")
            last = name.strip().lower()
            values[last] = value.strip()


def _deb822(file: File) -> Iterator[Item]:
    for number, values in _stanzas(file):
        uris, suites = values.get("uris", "").split(), values.get("suites", "").split()
        if not uris or not suites or "types" not in values:
            yield malformed(_KIND, file.path, number, "a paragraph without Types, URIs or Suites")
            continue
        signed = values.get("signed-by")
        more: dict[str, Json] = {
            "enabled": boolean(values.get("enabled", "yes")) is not False,
            "components": values.get("components", "").split(),
            "types": values["types"].split(),
            "verified": not boolean(values.get("trusted")),
            "signed_by": "a key in the file itself" if signed and "BEGIN PGP" in signed else signed,
        }
        for uri in uris:
            for suite in suites:
                yield _row(file, number, "apt", uri, suite, more)


def ini(file: File) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Sections of an INI file: line, name, values; what stands before the first section is named ''."""
    number, name, values = 0, "", dict[str, str]()
    for line in file.lines:
        text = line.text.strip()
        if match := re.match(r"\[\s*([^\]]*?)\s*\]", text):
            yield number, name, values
            number, name, values = line.number, match[1], {}
        elif text and text[0] not in "#;":
            key, equals, value = text.partition("=")
            if equals:
                values[key.strip()] = value.strip()
    yield number, name, values


def _yum(file: File, check: bool) -> Iterator[Item]:
    for number, name, values in ini(file):
        if not name:
            continue
        uri = values.get("baseurl") or values.get("metalink") or values.get("mirrorlist") or ""
        if not uri:
            yield malformed(_KIND, file.path, number, "a repository without baseurl, metalink or mirrorlist")
            continue
        checked = boolean(values.get("gpgcheck"))
        more: dict[str, Json] = {
            "enabled": boolean(values.get("enabled", "1")) is not False,
            "types": ["rpm"],
            "verified": check if checked is None else checked,
            "signed_by": values.get("gpgkey"),
        }
        yield _row(file, number, "dnf", uri, name, more)


def _apk(file: File) -> Iterator[Item]:
    for line in file.lines:
        text = line.text.strip()
        if not text or text.startswith("#"):
            continue
        match = re.match(r"(?:(@\S+)\s+)?((?:https?://|ftp://|/)\S+)\Z", text)
        if match is None:
            yield malformed(_KIND, file.path, line, "no address of a repository")
            continue
        yield _row(file, line.number, "apk", match[2], match[1] or "", {"types": ["apk"]})


def _sources(frames: Frames) -> Iterator[Item]:
    yield from _one_line(frames.file("/etc/apt/sources.list"))
    for file in frames.below("/etc/apt/sources.list.d"):
        yield from _one_line(file) if file.name.endswith(".list") else _deb822(file)
    check = _main_check(frames)
    for file in frames.below("/etc/yum.repos.d"):
        yield from _yum(file, check)
    yield from _apk(frames.file("/etc/apk/repositories"))
    yield from unread(frames, _KIND, lambda path: "apt.conf" not in path and "automatic" not in path)


def _main_check(frames: Frames) -> bool:
    """gpgcheck of the main settings of dnf or yum; both check unless told not to."""
    main = frames.file("/etc/dnf/dnf.conf", "/etc/yum.conf")
    values = next((values for _, name, values in ini(main) if name == "main"), {})
    return boolean(values.get("gpgcheck", "1")) is not False


# --- automatic updates -------------------------------------------------------------------------------


def apt_settings(text: str) -> Iterator[tuple[str, str]]:
    """Settings of apt.conf(5), as files nest them or `apt-config dump` lists them: name and value.

    Names of nested scopes are joined by `::`; members of a list have a name that ends in `::`.
    """
    scopes: list[str] = []
    pending, value = "", None
    for match in _TOKEN.finditer(text):
        quoted, mark, comment, word = match.groups()
        if comment is not None:
            continue
        if quoted is not None:
            value = quoted
        elif word is not None:
            pending, value = (word, None) if not pending else (pending, word)
        elif mark == "{":
            scopes.append(pending)
            pending, value = "", None
        else:
            if value is not None:
                yield "::".join([*filter(None, scopes), pending]), value
            if mark == "}" and scopes:
                scopes.pop()
            pending, value = "", None


def _days(text: str | None) -> int | None:
    """An interval of APT::Periodic in days; "always" and parts of a day count as one."""
    if text is None:
        return None
    if text.strip().lower() == "always" or re.match(r"\d+[smh]\Z", text.strip()):
        return 1
    return integer(text.strip().removesuffix("d"))


class _Apt:
    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        dump = frames.command("apt-config")
        texts = ["\n".join(line.text for line in dump.lines)]
        if dump.status == "skipped":
            texts = [
                file.text
                for file in [*frames.below("/etc/apt/apt.conf.d"), frames.file("/etc/apt/apt.conf")]
                if _counts(file)
            ]
        self.failed = dump.status == "run" and not dump.ran
        self.one: dict[str, str] = {}
        self.many: dict[str, list[str]] = {}
        for text in texts:
            for name, value in apt_settings(text):
                self.one[name.lower()] = value
                self.many.setdefault(name.lower().rstrip(":"), []).append(value)

    def on(self, name: str) -> bool | None:
        return boolean(self.one.get(name))

    def row(self, boot: Boot) -> Row:
        refresh = _days(self.one.get("apt::periodic::update-package-lists")) or 0
        upgrade = _days(self.one.get("apt::periodic::unattended-upgrade")) or 0
        switched = self.one.get("apt::periodic::enable", "1") != "0"
        tool = self.frames.file("/usr/bin/unattended-upgrade", "/usr/bin/unattended-upgrades").exists
        timer = boot.starts("apt-daily-upgrade") or self.frames.file("/etc/cron.daily/apt-compat").exists
        names = ("unattended-upgrade::allowed-origins", "unattended-upgrade::origins-pattern")
        origins = [value for name in names for value in self.many.get(name, [])]
        unsigned = any(self.on(name) for name in _UNSIGNED)
        data: dict[str, Json] = {
            "manager": "apt",
            "installed": tool,
            "enabled": tool and switched and upgrade > 0 and timer,
            "refresh_days": refresh if switched else 0,
            "upgrade_days": upgrade if switched else 0,
            "security": any("security" in origin.lower() for origin in origins),
            "origins": origins,
            "excluded": self.many.get("unattended-upgrade::package-blacklist", []),
            "automatic_reboot": self.on("unattended-upgrade::automatic-reboot") or False,
            "mail": self.one.get("unattended-upgrade::mail") or None,
            "timer_enabled": timer,
            "unsigned_allowed": unsigned,
            "signature_check": not unsigned,
        }
        gaps: tuple[ColumnGap, ...] = ()
        if self.failed:
            columns = [name for name in data if name not in ("manager", "installed", "timer_enabled")]
            why = f"apt-config dump: {self.frames.command('apt-config').complaint[:200]}"
            gaps = column_gaps(columns, Outcome.FAILED, why)
        return Row("host_update_policy", "apt", data, gaps)


def _counts(file: File) -> bool:
    """Whether apt reads the file: no extension or conf, and no odd character in its name."""
    return bool(re.match(r"[A-Za-z0-9_-]+(\.conf)?\Z", file.name))


_UNSIGNED = (
    "apt::get::allowunauthenticated",
    "acquire::allowinsecurerepositories",
    "acquire::allowdowngradetoinsecurerepositories",
    "acquire::allowweakrepositories",
)


def _dnf(frames: Frames, boot: Boot) -> Row:
    automatic = frames.file("/etc/dnf/automatic.conf")
    values: dict[str, str] = {}
    for _, name, found in ini(automatic):
        values |= {f"{name}.{key}": value for key, value in found.items()}
    tool = frames.file("/usr/bin/dnf-automatic", "/usr/libexec/dnf-automatic").exists or automatic.exists
    installs = boot.starts("dnf-automatic-install")
    timer = installs or boot.starts("dnf-automatic")
    applies = installs or bool(boolean(values.get("commands.apply_updates")))
    check = _main_check(frames)
    data: dict[str, Json] = {
        "manager": "dnf",
        "installed": tool,
        "enabled": tool and timer and applies,
        "refresh_days": int(timer),
        "upgrade_days": int(timer and applies),
        "security": tool and applies,
        "origins": [values.get("commands.upgrade_type", "default")] if tool else [],
        "automatic_reboot": values.get("commands.reboot", "never") not in ("never", ""),
        "mail": values.get("email.email_to") or None,
        "timer_enabled": timer,
        "unsigned_allowed": not check,
        "signature_check": check,
    }
    return Row("host_update_policy", "dnf", data)


def _other(frames: Frames, manager: str) -> Row:
    script = frames.file("/etc/periodic/daily/apk-upgrade").exists
    data: dict[str, Json] = {
        "manager": manager,
        "installed": script,
        "enabled": script,
        "upgrade_days": int(script),
        "unsigned_allowed": False if manager == "apk" else None,
        "signature_check": True if manager == "apk" else None,
    }
    gaps: tuple[ColumnGap, ...] = ()
    if manager == "other":
        why = "automatic updates are known for apt, dnf and apk only"
        columns = ("installed", "enabled", "upgrade_days", "unsigned_allowed", "signature_check", "security")
        gaps = column_gaps(columns, Outcome.UNSUPPORTED, why)
    return Row("host_update_policy", manager, data, gaps)


def update_policy(frames: Frames) -> Iterator[Item]:
    """The section `update-policy`: host_package_source, host_update_policy."""
    yield from _sources(frames)
    boot = Boot.read(frames)
    release, _ = os_release(frames.file("/etc/os-release"))
    words = (release.get("ID", ""), *release.get("ID_LIKE", "").split())
    guess = next((_FAMILY[word] for word in words if word in _FAMILY), "other")
    there = [name for name, paths in _MANAGERS.items() if frames.file(*paths).exists] or [guess]
    for manager in there:
        if manager == "apt":
            yield _Apt(frames).row(boot)
        elif manager == "dnf":
            yield _dnf(frames, boot)
        else:
            yield _other(frames, manager)
