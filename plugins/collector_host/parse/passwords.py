"""Password rules and lock-out as the PAM stacks enforce them, and login.defs.

What counts: libpwquality reads its drop-ins first and its main file last, so the main file wins, and
arguments of the module win over both. faillock.conf gives way to the module's arguments too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from collector.model import ColumnGap, Json

from ..frames import File, Frames
from ..rows import Item, Row, boolean, cannot_read, column_gaps, integer, malformed
from .pam import Entry, Stacks

__all__ = ["login_defs_values", "pam"]

_QUALITY = {
    "pam_pwquality.so": "pam_pwquality",
    "pam_cracklib.so": "pam_cracklib",
    "pam_passwdqc.so": "pam_passwdqc",
}
# Defaults that the libraries document (pwquality.conf(5), pam_cracklib(8)).
_PWQUALITY = {
    **dict.fromkeys("dcredit ucredit lcredit ocredit minclass maxrepeat maxsequence".split(), 0),
    "difok": 1,
    "minlen": 8,
    "dictcheck": 1,
    "usercheck": 1,
    "enforcing": 1,
    "retry": 1,
}
_CRACKLIB = {
    **dict.fromkeys("dcredit ucredit lcredit ocredit dictcheck enforcing retry".split(), 1),
    "difok": 5,
    "minlen": 9,
    "minclass": 0,
    "maxrepeat": 0,
    "maxsequence": 0,
    "usercheck": 0,
}
_LEAST = 6  # pam_unix refuses shorter ones where nothing else is said, libpwquality allows no lower minlen
_HASHES = ("yescrypt", "gost_yescrypt", "sha512", "sha256", "blowfish", "md5", "bigcrypt")
_MFA = re.compile(
    r"pam_(google_authenticator|oath|u2f|duo|yubico|radius_auth|radius|securid|pkcs11|okta|privacyidea|totp)\.so\Z"
)
_BINARY = ("dictcheck", "usercheck", "enforcing")


def _assignments(file: File, kind: str) -> Iterator[tuple[str, str, str] | Item]:
    """`name = value` and lone `name` lines: name, value, file:line."""
    for line in file.lines:
        text = line.text.partition("#")[0].strip()
        if not text:
            continue
        match = re.match(r"([A-Za-z_]+)\s*(?:=\s*(.*)|\s+(\S.*))?\Z", text)
        if match is None:
            yield malformed(kind, file.path, line, "no assignment")
            continue
        yield match[1], (match[2] or match[3] or "").strip(), f"{file.path}:{line.number}"


class _Policy:
    """The row, filled step by step; what decided is noted."""

    def __init__(self, frames: Frames, stacks: Stacks) -> None:
        self.frames, self.stacks = frames, stacks
        self.data: dict[str, Json] = {}
        self.sources: list[str] = []
        self.bad: list[Item] = []
        self.password = stacks.stack(
            stacks.first("passwd", "system-auth", "common-password", "base-password") or "", "password"
        )
        self.auth = stacks.stack(
            stacks.first("sshd", "login", "system-auth", "common-auth", "base-auth") or "", "auth"
        )
        self.login = stacks.stack(stacks.first("login", "sshd", "system-auth", "common-auth") or "", "auth")

    def settings(self, file: File) -> Iterator[tuple[str, str, str]]:
        """Assignments of a file; broken lines are kept as gaps."""
        for found in _assignments(file, "host_password_policy"):
            if isinstance(found, tuple):
                yield found
            else:
                self.bad.append(found)

    def fill(self) -> None:
        """All of it."""
        self._quality()
        self._history_and_hash()
        self._lockout()
        self._su()
        modules = {
            entry.module for service in self.stacks.files for entry in self.stacks.stack(service, "auth")
        }
        self.data["mfa_modules"] = sorted(name for name in modules if _MFA.match(name))
        self.data["sources"] = list(dict.fromkeys(self.sources))

    def _quality(self) -> None:
        entry = next((entry for entry in self.password if entry.module in _QUALITY), None)
        if entry is None:
            unix = self._module(self.password, "pam_unix.so")
            if unix is not None:
                self.data["minlen"] = integer(unix.value("minlen")) or _LEAST
                self.sources.append(unix.where)
            self.data["quality_enforced"] = False
            return
        self.data["quality_module"] = _QUALITY[entry.module]
        self.data["quality_enforced"] = entry.binding
        if entry.module == "pam_passwdqc.so":
            self._passwdqc(entry)
            return
        values = dict(_PWQUALITY if entry.module == "pam_pwquality.so" else _CRACKLIB)
        root = False
        if entry.module == "pam_pwquality.so":
            root = self._quality_files(values)
        for argument in entry.arguments:
            name, _, value = argument.partition("=")
            if name in values and (number := integer(value)) is not None:
                values[name] = number
            root = root or name == "enforce_for_root"
        self.sources.append(entry.where)
        self.data |= {name: bool(value) if name in _BINARY else value for name, value in values.items()}
        self.data["minlen"] = max(_LEAST, values["minlen"])
        self.data["enforce_for_root"] = root

    def _quality_files(self, values: dict[str, int]) -> bool:
        root = False
        main = self.frames.file("/etc/security/pwquality.conf")
        for file in [*self.frames.below("/etc/security/pwquality.conf.d"), main]:
            for name, value, where in self.settings(file):
                if name in values and (number := integer(value)) is not None:
                    values[name] = number
                    self.sources.append(where)
                root = root or name == "enforce_for_root"
        return root

    def _passwdqc(self, entry: Entry) -> None:
        spec = entry.value("min")
        for name, value, _where in self.settings(self.frames.file("/etc/passwdqc.conf")):
            spec = spec or (value if name == "min" else None)
        numbers = [integer(part) for part in (spec or "disabled,24,11,8,7").split(",")]
        self.data["minlen"] = min((number for number in numbers if number is not None), default=None)
        self.data["enforcing"] = entry.value("enforce") != "none"
        self.data["enforce_for_root"] = entry.value("enforce") in (None, "everyone")
        self.sources.append(entry.where)

    @staticmethod
    def _module(stack: list[Entry], name: str) -> Entry | None:
        return next((entry for entry in stack if entry.module == name), None)

    def _history_and_hash(self) -> None:
        unix = self._module(self.password, "pam_unix.so")
        history = self._module(self.password, "pam_pwhistory.so")
        remember = integer(unix.value("remember")) if unix else None
        if history is not None:
            remember = 10  # the module's own default
            for name, value, where in self.settings(self.frames.file("/etc/security/pwhistory.conf")):
                if name == "remember":
                    remember = integer(value)
                    self.sources.append(where)
            if history.value("remember") is not None:
                remember = integer(history.value("remember"))
            self.sources.append(history.where)
        self.data["remember"] = remember or 0
        defs = login_defs_values(self.frames.file("/etc/login.defs"))
        chosen = next((name for name in _HASHES if unix and name in unix.arguments), None)
        method = defs.get("ENCRYPT_METHOD", ("", 0))[0].lower() or None
        self.data["hash_algorithm"] = chosen or method
        self.data["rounds"] = integer(unix.value("rounds")) if unix else None
        logins = [*self.auth, *self.login]
        self.data["nullok"] = any(
            entry.module == "pam_unix.so" and "nullok" in entry.arguments for entry in logins
        )

    def _lockout(self) -> None:
        fail = self._module(self.auth, "pam_faillock.so")
        tally = self._module(self.auth, "pam_tally2.so") or self._module(self.auth, "pam_tally.so")
        delay = self._module(self.login, "pam_faildelay.so")
        if delay is not None:
            self.data["fail_delay"] = integer(delay.value("delay"))
        if fail is not None:
            self._faillock()
        elif tally is not None:
            self.data |= {
                "lockout_module": tally.module.removesuffix(".so"),
                "deny": integer(tally.value("deny")) or 0,
                "unlock_time": integer(tally.value("unlock_time")) or 0,
                "even_deny_root": "even_deny_root" in tally.arguments,
            }
            self.sources.append(tally.where)

    def _faillock(self) -> None:
        values: dict[str, int] = {"deny": 3, "fail_interval": 900, "unlock_time": 600}  # faillock.conf(5)
        root = False
        for name, value, where in self.settings(self.frames.file("/etc/security/faillock.conf")):
            root = root or name == "even_deny_root"
            if name in values:
                values[name] = self._seconds(value, values[name])
                self.sources.append(where)
        for entry in self.auth:
            if entry.module == "pam_faillock.so":
                root = root or "even_deny_root" in entry.arguments
                values |= {name: self._seconds(entry.value(name), old) for name, old in values.items()}
                self.sources.append(entry.where)
        # preauth only looks whether an account is locked; without authfail nothing counts towards it.
        if not any(e.module == "pam_faillock.so" and "authfail" in e.arguments for e in self.auth):
            values["deny"] = 0
        self.data |= {"lockout_module": "pam_faillock", **values, "even_deny_root": root}

    @staticmethod
    def _seconds(text: str | None, default: int) -> int:
        if text == "never":
            return 0
        number = integer(text)
        return default if number is None else number

    def _su(self) -> None:
        wheel = self._module(self.stacks.stack("su", "auth"), "pam_wheel.so")
        self.data["su_restricted"] = wheel is not None and wheel.binding and "deny" not in wheel.arguments
        if wheel is not None:
            self.data["su_group"] = wheel.value("group") or "wheel"
            self.sources.append(wheel.where)


def _policy(frames: Frames, stacks: Stacks) -> Iterator[Item]:
    policy = _Policy(frames, stacks)
    policy.fill()
    gaps: tuple[ColumnGap, ...] = ()
    columns = [name for name in _COLUMNS if name != "sources"]
    for file in frames.files.values():
        if file.unknown and file.path.startswith(("/etc/pam.d/", "/usr/lib/pam.d/", "/etc/security/")):
            gaps = column_gaps(columns, *cannot_read(frames, file))
    for folder in frames.folders.values():
        if folder.status in ("denied", "budget"):
            reason, detail = cannot_read(frames, File(folder.path, "denied"))
            gaps = column_gaps(columns, reason, detail)
    yield from policy.bad
    yield Row("host_password_policy", "password-policy", policy.data, gaps)


_COLUMNS = (
    *(
        "quality_module",
        "quality_enforced",
        "enforce_for_root",
        "remember",
        "hash_algorithm",
        "rounds",
        "nullok",
    ),
    *(
        "lockout_module",
        "deny",
        "unlock_time",
        "fail_interval",
        "even_deny_root",
        "fail_delay",
        "su_restricted",
    ),
    *("su_group", "mfa_modules", *_PWQUALITY),
)


# --- login.defs --------------------------------------------------------------------------------------

_NUMBERS = (
    "PASS_MAX_DAYS PASS_MIN_DAYS PASS_WARN_AGE PASS_MIN_LEN SHA_CRYPT_MIN_ROUNDS SHA_CRYPT_MAX_ROUNDS"
    " YESCRYPT_COST_FACTOR UID_MIN UID_MAX GID_MIN LOGIN_RETRIES LOGIN_TIMEOUT FAIL_DELAY"
).split()
_WORDS = ("ENCRYPT_METHOD", "UMASK", "HOME_MODE")
_FLAGS = ("FAILLOG_ENAB", "LOG_UNKFAIL_ENAB", "LOG_OK_LOGINS", "USERGROUPS_ENAB", "CREATE_HOME")


def login_defs_values(file: File) -> dict[str, tuple[str, int]]:
    """Names to value and line of login.defs; a later line wins."""
    values: dict[str, tuple[str, int]] = {}
    for line in file.lines:
        words = line.text.partition("#")[0].split(None, 1)
        if words:
            values[words[0]] = (words[1].strip().strip('"') if len(words) > 1 else "", line.number)
    return values


def _login_defs(frames: Frames) -> Iterator[Item]:
    file = frames.file("/etc/login.defs")
    values = login_defs_values(file)
    data: dict[str, Json] = {"installed": file.exists}
    gaps: tuple[ColumnGap, ...] = ()
    for name in _NUMBERS:
        text, number = values.get(name, ("", 0))
        data[name.lower()] = integer(text)
        if text and data[name.lower()] is None:
            yield malformed("host_login_defs", file.path, number, f"{name} is no number")
    data |= {name.lower(): values[name][0] for name in _WORDS if name in values}
    data |= {name.lower(): boolean(values[name][0]) for name in _FLAGS if name in values}
    for line in frames.file("/etc/default/useradd").lines:
        name, _, value = line.text.strip().partition("=")
        if name == "INACTIVE":
            data["default_inactive"] = integer(value)
        if name == "SHELL":
            data["default_shell"] = value.strip("\"'")
    if file.unknown:
        gaps = column_gaps(
            [name.lower() for name in (*_NUMBERS, *_WORDS, *_FLAGS)], *cannot_read(frames, file)
        )
    yield Row("host_login_defs", "login-defs", data, gaps)


def pam(frames: Frames) -> Iterator[Item]:
    """The section `pam`: host_pam, host_password_policy, host_login_defs."""
    stacks = Stacks(frames)
    yield from _policy(frames, stacks)
    yield from _login_defs(frames)
    yield from stacks.rows()
