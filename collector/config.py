"""`collector.toml` as frozen types.

Searched for, read strictly, and overlaid: flags before the environment (`COLLECTOR_…`) before the
file. An error names file, line, key and what is allowed. The options of sources, sinks and signers are
their own (`collector.model.Option`); this module knows none of them by name but those of the defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from collector.canonical import dumps, sha256_hex
from collector.model import ConfigError, Json, MappingPack, Option
from collector.settings import Place, read_options
from collector.toml import Document, Table, nearest, parse, printable, quoted, read

__all__ = [
    "AUTHORITY",
    "OPTIONS",
    "STAMP_OPTIONS",
    "Config",
    "Entry",
    "Registry",
    "StampEntry",
    "config_folder",
    "find",
    "load",
    "state_folder",
]

FILE = "collector.toml"
_APPLICATION = "collector"
_BUILT_IN = b'[[source]]\nuse = "host"\n'  # no file anywhere: this machine
_SERIES = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")  # it names a folder in every store
_WORKERS = 32
_POLICY = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,18})){1,30}\Z")
_MAX_STAMPS = 8  # authorities: each is asked by every run, and a trust file requires no more
AUTHORITY = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
"""What a time stamp authority may be called: it names files, and a dot would end the name."""

_LEAST_OUTBOX = 1 << 20  # less than a small bundle: nothing would ever be collected
_MAX_WORKERS = 256  # more threads than that only wait for each other

OPTIONS = (
    Option("series", "string", "name of the series that the bundles belong to", default="default"),
    Option("cadence", "duration", "how often a bundle is due", default="24h"),
    Option("frameworks", "strings", "frameworks to report on; all that are known if left out"),
    Option("exceptions", "path", "file of waivers, controls out of scope and accepted gaps"),
    Option("state", "path", "folder for runs, outbox and series; the user's state folder if left out"),
    Option("secret_key", "path", "key of salts and pseudonyms, made by `collector init`"),
    Option(
        "workers",
        "integer",
        "tasks that run at the same time; 32 if left out, since they mostly wait for answers",
    ),
    Option("call_timeout", "duration", "what one attempt of a call may take", default="10s"),
    Option("run_timeout", "duration", "what collecting may take; what is left over is a gap", default="10m"),
    Option("sink_timeout", "duration", "what sending to one sink may take in a run", default="1h"),
    Option("outbox_limit", "integer", "bytes that may wait to be delivered", default=20 << 30),
)

STAMP_OPTIONS = (
    Option("name", "string", "what its stamps are called in bundles and stores", required=True),
    Option("url", "string", "where the authority answers, http:// or https://", required=True),
    Option("certificates", "paths", "its root certificates, in PEM; intermediates too", required=True),
    Option("policy", "string", "the OID of the policy that its stamps must be under"),
)


class Registry(Protocol):
    """What `collector.plugins.Plugins` offers here: classes by name, each with its options."""

    @property
    def sources(self) -> Mapping[str, Any]:
        """By the name that `use` gives."""
        ...

    @property
    def sinks(self) -> Mapping[str, Any]:
        """By the name that `use` gives."""
        ...

    @property
    def signers(self) -> Mapping[str, Any]:
        """By the name that `use` gives."""
        ...

    @property
    def packs(self) -> Sequence[MappingPack]:
        """Whose frameworks `frameworks` may name."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A `[[source]]`, `[[sink]]`, `[sign]` or `[witness]` table.

    Attributes:
        use: name of the class.
        settings: its options, validated, references resolved; it may hold secrets.
        where: `file:line`, for errors.
    """

    use: str
    settings: Mapping[str, Json] = field(repr=False)
    where: str


@dataclass(frozen=True, slots=True)
class StampEntry:
    """A `[[stamp]]` table: a time stamp authority to ask.

    Attributes:
        name: what its stamps are called.
        url: where it answers.
        certificates: PEM files of its roots and intermediates.
        policy: OID that its stamps must be under; "" for any.
        where: `file:line`, for errors.
    """

    name: str
    url: str
    certificates: tuple[Path, ...]
    policy: str
    where: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a command needs to know; paths are absolute, times in seconds.

    Attributes:
        path: the file; None for the built-in default.
        series, cadence, frameworks, exceptions: as in the file; no frameworks means all known.
        sources, sign, sinks: what to make of which plugin.
        state: folder for runs, outbox and the heads of series.
        workers, call_timeout, run_timeout: limits of collecting.
        sink_timeout, outbox_limit: limits of delivering, in seconds and bytes.
        digest: SHA-256 of the canonical JSON of all this as written, without secrets (references stand
            for them), and without the paths of state and keys, which differ from machine to machine.
        secret_key: where `secret.key` lies.
        witness: what signs beside `sign`; None: nothing does.
        stamps: time stamp authorities, in the file's order.
    """

    path: Path | None
    series: str
    cadence: float
    frameworks: tuple[str, ...]
    exceptions: Path | None
    sources: tuple[Entry, ...]
    sign: Entry
    sinks: tuple[Entry, ...]
    state: Path
    workers: int
    call_timeout: float
    run_timeout: float
    sink_timeout: float
    outbox_limit: int
    digest: str
    secret_key: Path
    witness: Entry | None = None
    stamps: tuple[StampEntry, ...] = ()


def config_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The user's configuration folder, where keys lie; `COLLECTOR_CONFIG_DIR` replaces it."""
    import platformdirs

    given = (os.environ if environ is None else environ).get("COLLECTOR_CONFIG_DIR")
    return Path(given).absolute() if given else platformdirs.user_config_path(_APPLICATION)


def state_folder() -> Path:
    """The user's state folder, where nothing else is configured."""
    import platformdirs

    return platformdirs.user_state_path(_APPLICATION)


def find(explicit: Path | None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The file to read: the one asked for, else the first of those that are there, else None.

    Looked at in this order: `COLLECTOR_CONFIG`, `./collector.toml`, the user's configuration folder, the
    system's.

    Raises:
        ConfigError: the file that was asked for is not there.
    """
    import platformdirs

    environ = os.environ if environ is None else environ
    if explicit is None and (given := environ.get("COLLECTOR_CONFIG")):
        explicit = Path(given)
    if explicit is not None:
        if not os.path.lexists(explicit):
            raise ConfigError(f"{printable(str(explicit))}: no such file; `collector init` writes one")
        return explicit
    system = platformdirs.site_config_path(_APPLICATION)
    places = (Path(FILE), config_folder(environ) / FILE, system / FILE)
    return next((place for place in places if os.path.lexists(place)), None)


def load(
    path: Path | None,
    plugins: Registry,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read a configuration; the built-in one if `path` is None.

    Args:
        path: as `find` gives it.
        plugins: what `use` may name.
        overrides: values of flags by the name of the option, as text; lists with commas.
        environ: the process's environment if left out.

    Raises:
        ConfigError: the file cannot be used, or a value in it, in the environment or of a flag.
    """
    environ = os.environ if environ is None else environ
    document = parse(_BUILT_IN, Path("built-in configuration")) if path is None else read(path)
    here = Path.cwd() if path is None else Path.cwd() / path.parent
    return _Reader(document, Place(here, environ), plugins).config(path, overrides or {})


@dataclass(frozen=True)
class _Given(Document):
    """A value that stands in no file."""

    origin: str = ""

    def where(self, *_keys: str | int) -> str:
        return self.origin


class _Reader:
    def __init__(self, document: Document, place: Place, plugins: Registry) -> None:
        self._top = Table(document, document.data)
        self._place = place
        self._plugins = plugins

    def config(self, path: Path | None, overrides: Mapping[str, str]) -> Config:
        values, written = self._own(overrides)
        state = Path(values["state"] or state_folder())
        sources = [
            self._entry(table, "source", self._plugins.sources) for table in self._top.tables("source")
        ]
        sign = self._sign()
        witness = self._witness()
        stamps = self._stamps()
        sinks = self._sinks(state)
        self._top.finish()
        if not sources:
            raise self._top.wrong('no [[source]] table; this machine is [[source]] use = "host"')
        for key in ("state", "secret_key"):
            written.pop(key)
        written["source"] = [as_written for _, as_written in sources]
        written["sink"] = [as_written for _, as_written in sinks]
        written["sign"] = sign[1]
        written["witness"] = witness[1] if witness else None
        written["stamp"] = [as_written for _, as_written in stamps]
        return Config(
            path=None if path is None else Path.cwd() / path,
            series=values["series"],
            cadence=float(values["cadence"]),
            frameworks=tuple(values["frameworks"] or ()),
            exceptions=Path(values["exceptions"]) if values["exceptions"] else None,
            sources=tuple(entry for entry, _ in sources),
            sign=sign[0],
            sinks=tuple(entry for entry, _ in sinks),
            state=state,
            workers=values["workers"] or _WORKERS,
            call_timeout=float(values["call_timeout"]),
            run_timeout=float(values["run_timeout"]),
            sink_timeout=float(values["sink_timeout"]),
            outbox_limit=values["outbox_limit"],
            digest=sha256_hex(dumps(written)),
            secret_key=Path(values["secret_key"] or config_folder(self._place.environ) / "secret.key"),
            witness=witness[0] if witness else None,
            stamps=tuple(entry for entry, _ in stamps),
        )

    def _own(self, overrides: Mapping[str, str]) -> tuple[dict[str, Json], dict[str, Json]]:
        """The agent's own options: a flag's value, else the environment's, else the file's."""
        if unknown := set(overrides) - {option.name for option in OPTIONS}:
            raise ConfigError(f"{min(unknown)}: no option of that name")
        values, written = read_options(self._top, OPTIONS, self._place)
        for option in OPTIONS:
            variable = f"COLLECTOR_{option.name.upper()}"
            if option.name in overrides:
                flag = f"--{option.name.replace('_', '-')}"
                table = _given(option, overrides[option.name], flag)
            elif self._place.environ.get(variable):
                table = _given(option, self._place.environ[variable], variable)
            else:
                table = self._top
            if table is not self._top:
                place = Place(Path.cwd(), self._place.environ)
                value, as_written = read_options(table, [option], place)
                values |= value
                written |= as_written
            _check(table, option, values[option.name])
            if option.name == "frameworks":
                self._frameworks(table, values["frameworks"] or ())
        return values, written

    def _frameworks(self, table: Table, names: Sequence[str]) -> None:
        if not names:
            return
        folders = [Path(pack.folder) / "frameworks" for pack in self._plugins.packs]
        known = sorted(path.stem for folder in folders for path in folder.glob("*.json"))
        for index, name in enumerate(names):
            if name not in known:
                near = nearest(name, known) or f"; known: {', '.join(known) or 'none'}"
                raise table.wrong(f"no framework {quoted(name)}{near}", "frameworks", index)

    def _entry(self, table: Table, role: str, known: Mapping[str, Any]) -> tuple[Entry, dict[str, Json]]:
        use = table.string("use")
        if use not in known:
            near = nearest(use, known) or f"; installed: {', '.join(sorted(known)) or 'none'}"
            raise table.wrong(f"no plugin gives a {role} {quoted(use)}{near}", "use")
        settings, written = read_options(table, known[use].options, self._place)
        table.finish()
        return Entry(use, settings, table.where()), {"use": use, **written}

    def _sign(self) -> tuple[Entry, dict[str, Json]]:
        table = self._top.table("sign", None)
        users_key = str(config_folder(self._place.environ) / "key.pem")
        if table is None or table.data == {"use": "file"}:
            table = _made("[sign] names no key", {"use": "file", "key": users_key})
        return self._signer(table)

    def _witness(self) -> tuple[Entry, dict[str, Json]] | None:
        table = self._top.table("witness", None)
        return None if table is None else self._signer(table)

    def _signer(self, table: Table) -> tuple[Entry, dict[str, Json]]:
        entry, written = self._entry(table, "signer", self._plugins.signers)
        paths = {option.name for option in self._plugins.signers[entry.use].options if option.type == "path"}
        return entry, {name: value for name, value in written.items() if name not in paths}

    def _stamps(self) -> list[tuple[StampEntry, dict[str, Json]]]:
        tables = self._top.tables("stamp")
        if len(tables) > _MAX_STAMPS:
            raise tables[_MAX_STAMPS].wrong(f"more than {_MAX_STAMPS} [[stamp]] tables")
        found = [self._stamp(table) for table in tables]
        seen: set[str] = set()
        for table, (entry, _) in zip(tables, found, strict=True):
            if entry.name in seen:
                raise table.wrong(f"{quoted(entry.name)} stands twice", "name")
            seen.add(entry.name)
        return found

    def _stamp(self, table: Table) -> tuple[StampEntry, dict[str, Json]]:
        values, written = read_options(table, STAMP_OPTIONS, self._place)
        table.finish()
        if not AUTHORITY.fullmatch(values["name"]):
            raise table.wrong("must be lower case letters, digits, `_` and `-`, at most 32", "name")
        if not _is_address(values["url"]):
            raise table.wrong("must be an http:// or https:// address, without user and password", "url")
        if not values["certificates"]:
            raise table.wrong("names no file", "certificates")
        policy = values["policy"] or ""
        if policy and not _POLICY.match(policy):
            raise table.wrong('must be an OID, such as "1.2.840.1"', "policy")
        paths = tuple(Path(path) for path in values["certificates"])
        written.pop("certificates")  # a path, which differs from machine to machine
        return StampEntry(values["name"], values["url"], paths, policy, table.where()), written

    def _sinks(self, state: Path) -> list[tuple[Entry, dict[str, Json]]]:
        tables = self._top.tables("sink")
        if tables:
            return [self._entry(table, "sink", self._plugins.sinks) for table in tables]
        made = _made("[[sink]] left out", {"use": "directory", "path": str(state / "evidence")})
        entry, _ = self._entry(made, "sink", self._plugins.sinks)
        return [(entry, {"use": entry.use})]


def _is_address(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _made(origin: str, data: Mapping[str, Json]) -> Table:
    return Table(_Given(data, Path(origin), "", origin), data)


def _given(option: Option, text: str, origin: str) -> Table:
    """A value given as text, in a table of its own, read as its option says."""
    value: Json = text
    match option.type:
        case "integer" if re.fullmatch(r"-?[0-9]{1,18}", text):
            value = int(text)
        case "boolean":
            value = {"true": True, "false": False}.get(text, text)
        case "strings" | "paths":
            value = [part.strip() for part in text.split(",") if part.strip()]
    return _made(origin, {option.name: value})


def _check(table: Table, option: Option, value: Json) -> None:
    """The bounds that this module sets itself."""
    if option.name == "series" and not _SERIES.match(value):
        raise table.wrong("must be lower case letters, digits, `.`, `_` and `-`, at most 63", "series")
    if option.name == "workers" and value is not None and not 1 <= value <= _MAX_WORKERS:
        raise table.wrong(f"must be from 1 to {_MAX_WORKERS}", "workers")
    if option.name == "outbox_limit" and value < _LEAST_OUTBOX:
        raise table.wrong(f"must be at least {_LEAST_OUTBOX} bytes", "outbox_limit")
