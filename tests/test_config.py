from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import config
from collector.model import ConfigError, MappingPack, Option
from collector.plugins import Plugins

ROOT = Path(__file__).parents[1]


class Part:
    def __init__(self, *options: Option) -> None:
        self.options = options


class Known:
    """What the plugins under test offer: every type of option there is."""

    sources: ClassVar = {
        "host": Part(Option("name", "string", "", default="local")),
        "cloud": Part(
            Option("token", "string", ""),
            Option("mode", "string", "", default="fast", choices=("fast", "slow")),
            Option("folder", "path", ""),
            Option("regions", "strings", "", choices=("east", "west", "north")),
            Option("files", "paths", "", default=["a"]),
            Option("limit", "integer", ""),
            Option("deep", "boolean", "", default=False),
            Option("age", "duration", "", default="2d"),
            Option("tags", "table", ""),
        ),
        "strict": Part(Option("folder", "path", "", required=True)),
    }
    sinks: ClassVar = {
        "directory": Part(Option("path", "path", "", required=True), Option("keep", "duration", ""))
    }
    signers: ClassVar = {
        "file": Part(Option("key", "path", "", required=True), Option("password", "string", ""))
    }
    packs: ClassVar = (MappingPack("baseline", "1", str(ROOT / "mappings")),)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("COLLECTOR_", "XDG_"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    monkeypatch.chdir(work)
    return home


def load(text: str, overrides: Mapping[str, str] | None = None, **environ: str) -> config.Config:
    Path("collector.toml").write_text(text)
    return config.load(Path("collector.toml"), Known(), overrides, os.environ | environ)


def source(text: str, **environ: str) -> Mapping[str, Any]:
    return load(f'[[source]]\nuse = "cloud"\n{text}', **environ).sources[0].settings


def test_nothing_configured_is_this_machine_with_the_users_key_and_a_folder_of_evidence(home: Path) -> None:
    found = config.load(None, Known())
    assert [(entry.use, entry.settings) for entry in found.sources] == [("host", {"name": "local"})]
    assert (found.sign.use, found.sign.settings["key"]) == ("file", str(home / ".config/collector/key.pem"))
    assert found.sinks[0].settings["path"] == str(home / ".local/state/collector/evidence")
    assert found.secret_key == home / ".config/collector/secret.key"
    assert (found.path, found.frameworks, found.exceptions) == (None, (), None)
    assert (found.cadence, found.call_timeout, found.run_timeout) == (86400, 10, 600)
    assert found.workers == 32  # whatever the machine: tasks mostly wait for answers


WHOLE = """
series = "acme-production"
cadence = "12h"
frameworks = ["iso27001-2022"]
exceptions = "exceptions.toml"
state = "state"
secret_key = "~/secret.key"
workers = 3
call_timeout = "5s"
run_timeout = "2m"

[[source]]
use = "host"

[[source]]
use = "cloud"
token = "plain"
mode = "slow"
folder = "../up"
regions = ["east", "west"]
files = ["~/a", "/b/c"]
limit = -2
deep = true
age = "400d"
tags = { a = [1, 2027-01-31] }

[sign]
use = "file"
key = "keys/key.pem"

[[sink]]
use = "directory"
path = "~/evidence"
keep = "400d"
"""


def test_every_option_arrives_with_its_type_and_paths_absolute(tmp_path: Path, home: Path) -> None:
    found = load(WHOLE)
    work = tmp_path / "work"
    assert (found.series, found.cadence, found.frameworks) == ("acme-production", 43200.0, ("iso27001-2022",))
    assert (found.exceptions, found.state) == (work / "exceptions.toml", work / "state")
    assert (found.secret_key, found.workers) == (home / "secret.key", 3)
    assert (found.call_timeout, found.run_timeout) == (5.0, 120.0)
    assert found.sources[1].settings == {
        "token": "plain",
        "mode": "slow",
        "folder": str(tmp_path / "up"),
        "regions": ["east", "west"],
        "files": [str(home / "a"), "/b/c"],
        "limit": -2,
        "deep": True,
        "age": 34_560_000,
        "tags": {"a": [1, "2027-01-31"]},
    }
    assert found.sign.settings["key"] == str(work / "keys/key.pem")
    assert found.sinks[0].settings == {"path": str(home / "evidence"), "keep": 34_560_000}
    assert found.sources[1].where == "collector.toml:15"


def test_signing_with_a_file_that_is_not_named_uses_the_users_key(home: Path) -> None:
    found = load("[sign]\nuse = 'file'\n[[source]]\nuse = 'host'")
    assert found.sign.settings["key"] == str(home / ".config/collector/key.pem")


def test_options_left_out_have_their_defaults(tmp_path: Path) -> None:
    assert source("") == {
        "token": None,
        "mode": "fast",
        "folder": None,
        "regions": None,
        "files": [str(tmp_path / "work/a")],
        "limit": None,
        "deep": False,
        "age": 172_800,
        "tags": None,
    }


def test_entries_travel_to_other_processes() -> None:
    entry = load(WHOLE).sources[1]
    assert pickle.loads(pickle.dumps(entry)) == entry


WRONG = [
    ("serie = 'a'", "1: serie: unknown key (did you mean series?)"),
    ("series = 'A B'", "1: series: must be lower case letters, digits"),
    ("series = '../up'", "1: series: must be lower case letters, digits"),
    ("workers = 0", "1: workers: must be from 1 to 256"),
    ("workers = 'many'", "1: workers: must be a whole number, is a string"),
    ("cadence = 24", '1: cadence: must be a duration such as "24h", is a whole number'),
    (
        "frameworks = [\n  'soc2-2017',\n  'iso27001']",
        "3: frameworks: no framework 'iso27001' (did you mean iso27001-2022?)",
    ),
    ("frameworks = 'iso27001-2022'", "1: frameworks: must be a list of strings, is a string"),
    ("exceptions = ''", "1: exceptions: is blank"),
    ("source = []", "1: no [[source]] table"),
    ("[source]\nuse = 'host'", "1: source: must be an array of tables, written [[source]]"),
    ("[[source]]\nname = 'a'", "1: use is missing"),
    ("[[source]]\nuse = 'hots'", "2: use: no plugin gives a source 'hots' (did you mean host?)"),
    ("[[source]]\nuse = 'zzz'", "2: use: no plugin gives a source 'zzz'; installed: cloud, host, strict"),
    ("[[source]]\nuse = 'host'\nnmae = 'a'", "3: nmae: unknown key (did you mean name?)"),
    ("[[source]]\nuse = 'strict'", "1: folder is missing"),
    ("[[source]]\nuse = 'strict'\nfoldr = 'x'", "1: folder is missing (is foldr meant for it?)"),
    ("[[source]]\nuse = 'cloud'\nmode = 'fats'", "3: mode: 'fats' is not allowed (did you mean fast?)"),
    (
        "[[source]]\nuse = 'cloud'\nregions = ['up']",
        "3: regions: 'up' is not allowed; allowed: east, west, north",
    ),
    ('[[source]]\nuse = "cloud"\nfolder = "a\\u0000b"', "3: folder: no path holds a NUL"),
    ("[[source]]\nuse = 'cloud'\nfolder = '~nobody-here/x'", "3: folder: '~nobody-here/x': no home folder"),
    ("[[source]]\nuse = 'cloud'\ntags = 1", "3: tags: must be a table"),
    ("[[source]]\nuse = 'cloud'\ntoken = { fil = 'x' }", "3: file is missing (is fil meant for it?)"),
    ("[[source]]\nuse = 'cloud'\ntoken = { file = 'x' }", "3: token: "),
    (
        "[[source]]\nuse = 'cloud'\ntoken = '${NOT_THERE}'",
        "3: token: the environment variable NOT_THERE is not set",
    ),
    ("[[source]]\nuse = 'cloud'\ntoken = '${a-b}'", "3: token: '${a-b}' is no reference"),
    ("[[source]]\nuse = 'cloud'\ntoken = '${A'", "3: token: '${A' is no reference"),
    (
        "[[source]]\nuse = 'cloud'\ntags = { a = ['${NOT_THERE}'] }",
        "3: tags: the environment variable NOT_THERE",
    ),
    ("[sign]\nuse = 'file'\nkey = 'k'\nextra = 1\n[[source]]\nuse = 'host'", "4: extra: unknown key"),
    ("[[sign]]\nuse = 'file'\n[[source]]\nuse = 'host'", "1: sign: must be a table, is a list"),
    ("[[source]]\nuse = 'host'\n[[sink]]\nuse = 'directory'", "3: path is missing"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_said_with_file_line_key_and_what_is_right(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value).startswith(f"collector.toml:{message}")
    assert "\n" not in str(caught.value)


def test_secret_comes_from_the_environment_or_from_a_file(home: Path) -> None:
    (home / "token").write_text("s3cret\n")
    assert source("token = '${TOKEN}'", TOKEN="s3cret")["token"] == "s3cret"
    assert source("token = 'a-${TOKEN}-b'", TOKEN="x")["token"] == "a-x-b"
    assert source("token = { file = '~/token' }")["token"] == "s3cret"
    assert source("token = { file = '${WHERE}/token' }", WHERE=str(home))["token"] == "s3cret"


def test_value_of_a_reference_is_not_looked_at_again() -> None:
    assert source("token = '${A}'", A="${B}")["token"] == "${B}"


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff", b"x" * 70_000])
def test_secret_file_that_cannot_be_one_is_refused_without_showing_it(home: Path, data: bytes) -> None:
    (home / "token").write_bytes(data)
    with pytest.raises(ConfigError, match=r"collector\.toml:3: token: .*/home/token") as caught:
        source("token = { file = '~/token' }")
    assert len(str(caught.value)) < 500


def test_secrets_are_in_no_representation_of_the_configuration(home: Path) -> None:
    found = load("[[source]]\nuse = 'cloud'\ntoken = '${TOKEN}'", TOKEN="s3cret")
    assert "s3cret" not in repr(found)


def test_environment_goes_before_the_file_and_flags_before_both(tmp_path: Path) -> None:
    text = (
        "series = 'file'\nworkers = 2\ncall_timeout = '1s'\nexceptions = 'a.toml'\n[[source]]\nuse = 'host'"
    )
    found = load(
        text,
        {"series": "flag"},
        COLLECTOR_SERIES="environment",
        COLLECTOR_WORKERS="5",
        COLLECTOR_FRAMEWORKS="soc2-2017, iso27001-2022",
        COLLECTOR_STATE="here",
        COLLECTOR_SECRET_KEY="~/other.key",
    )
    assert (found.series, found.workers, found.call_timeout) == ("flag", 5, 1.0)
    assert found.frameworks == ("soc2-2017", "iso27001-2022")
    assert (found.state, found.secret_key) == (tmp_path / "work/here", tmp_path / "home/other.key")


@pytest.mark.parametrize("name", ["COLLECTOR_WORKERS", "COLLECTOR_CADENCE", "COLLECTOR_SERIES"])
def test_wrong_value_in_the_environment_names_the_variable(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}: "):
        load("[[source]]\nuse = 'host'", **{name: "-7 !"})


def test_wrong_value_of_a_flag_names_the_flag() -> None:
    with pytest.raises(ConfigError, match=r"^--call-timeout: call_timeout: 'x' is no duration"):
        load("[[source]]\nuse = 'host'", {"call_timeout": "x"})


def test_override_of_no_option_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^speed: no option of that name"):
        load("[[source]]\nuse = 'host'", {"speed": "9"})


def test_file_is_looked_for_in_order(tmp_path: Path, home: Path) -> None:
    user, system = home / ".config/collector/collector.toml", tmp_path / "system/collector/collector.toml"
    assert config.find(None) is None
    for path in (system, user, Path("collector.toml")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        assert config.find(None) == path
    Path("named.toml").touch()
    assert config.find(None, os.environ | {"COLLECTOR_CONFIG": "named.toml"}) == Path("named.toml")
    assert config.find(Path("./other.toml") if Path("other.toml").exists() else user) == user


def test_file_that_was_asked_for_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"^nowhere\.toml: no such file; `collector init` writes one$"):
        config.find(Path("nowhere.toml"))


def test_folder_in_the_files_place_is_an_error_and_not_passed_over() -> None:
    Path("collector.toml").mkdir()
    with pytest.raises(ConfigError, match=r"^collector\.toml: cannot be read: Is a directory$"):
        config.load(config.find(None), Known())


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    Path("deep").mkdir()
    Path("deep/c.toml").write_text("[[source]]\nuse = 'strict'\nfolder = 'data'")
    found = config.load(Path("deep/c.toml"), Known())
    assert found.sources[0].settings["folder"] == str(tmp_path / "work/deep/data")
    assert found.path == tmp_path / "work/deep/c.toml"


def test_digest_is_the_same_wherever_the_machine_keeps_things(tmp_path: Path) -> None:
    text = "[[source]]\nuse = 'cloud'\nfolder = 'a'\ntoken = '${TOKEN}'\n"
    first = load(text, TOKEN="one").digest
    assert load(text + "[sign]\nuse = 'file'\nkey = '/elsewhere.pem'", TOKEN="two").digest == first
    assert load("state = '/elsewhere'\nsecret_key = 'k'\n" + text, TOKEN="one").digest == first
    Path("deep").mkdir()
    os.chdir("deep")
    assert load(text, TOKEN="one").digest == first
    assert re.fullmatch(r"[0-9a-f]{64}", first)


@pytest.mark.parametrize(
    "change",
    [
        "series = 'b'\n",
        "frameworks = ['soc2-2017']\n",
        "run_timeout = '1m'\n",
        "[[sink]]\nuse = 'directory'\npath = 'x'\n",
    ],
)
def test_digest_changes_with_what_is_collected_and_where_it_goes(change: str) -> None:
    text = "[[source]]\nuse = 'host'\n"
    assert load(change + text).digest != load(text).digest


keys = st.sampled_from(
    ["series", "workers", "source", "sign", "sink", "use", "folder", "token", "tags", "cadence"]
)
scalars = st.sampled_from(
    [
        "1",
        "'a'",
        "'host'",
        "'cloud'",
        "true",
        "[]",
        "{}",
        "'${X}'",
        "'~x'",
        "'24h'",
        "nan",
        "2027-01-31",
        "['a']",
    ]
) | st.text(max_size=5)
lines = st.one_of(
    st.tuples(keys, scalars).map(" = ".join),
    keys.map("[{}]".format),
    keys.map("[[{}]]".format),
    st.text(max_size=12),
)


@given(st.lists(lines, max_size=8).map("\n".join))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_raises_anything_but_a_config_error(text: str) -> None:
    path = Path("any.toml")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        config.load(path, Known())
    except ConfigError as error:
        assert str(error).startswith("any.toml")
        assert "\n" not in str(error)


# The commented default at the top of the repository.


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    import importlib

    monkeypatch.syspath_prepend(str(ROOT / "plugins"))
    names = ("aws", "baseline", "host", "kubernetes", "program", "directory", "file")
    modules: list[ModuleType] = [importlib.import_module(f"collector_{name}") for name in names]
    yield Plugins.of(*modules)


def uncommented(text: str) -> str:
    """Options stand behind a `#` without a space, words behind one with a space."""
    return re.sub(r"(?m)^#(?=\S)", "", text)


def test_default_audits_this_machine_and_the_example_programme(built_in: Plugins) -> None:
    found = config.load(ROOT / "collector.toml", built_in)
    assert [entry.use for entry in found.sources] == ["host", "program"]
    assert found.sources[1].settings["folder"] == str(ROOT / "examples/program")


def test_default_with_every_option_uncommented_loads(
    built_in: Plugins, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = uncommented((ROOT / "collector.toml").read_text())
    for name in re.findall(r"\$\{([A-Z_]+)\}", text):
        monkeypatch.setenv(name, "value")
    path = tmp_path / "collector.toml"
    path.write_text(text)
    config.load(path, built_in)


def test_every_option_known_to_the_code_stands_in_the_default(built_in: Plugins) -> None:
    import tomllib

    data = tomllib.loads(uncommented((ROOT / "collector.toml").read_text()))
    for option in config.OPTIONS:
        assert option.name in data, option.name
    roles = (("source", built_in.sources), ("sink", built_in.sinks), ("sign", built_in.signers))
    for role, classes in roles:
        tables = data[role] if isinstance(data[role], list) else [data[role]]
        for name, made in classes.items():
            shown = {key for table in tables if table["use"] == name for key in table}
            assert {option.name for option in made.options} <= shown, (role, name)


STAMP = """[[source]]
use = "host"
[[stamp]]
name = "acme"
url = "https://tsa.example/x"
certificates = ["a.pem"]
"""


def test_stamps_and_a_witness_are_read() -> None:
    found = load(STAMP + 'policy = "1.2.3.4"\n[witness]\nuse = "file"\nkey = "w.pem"\n')
    (stamp,) = found.stamps
    assert (stamp.name, stamp.url, stamp.policy) == ("acme", "https://tsa.example/x", "1.2.3.4")
    assert stamp.certificates == (Path.cwd() / "a.pem",)
    assert stamp.where == "collector.toml:3"
    assert found.witness is not None
    assert found.witness.settings["key"] == str(Path.cwd() / "w.pem")
    plain = load('[[source]]\nuse = "host"\n')
    assert (plain.stamps, plain.witness) == ((), None)
    assert plain.digest != found.digest


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"acme"', '"Acme"', r"collector\.toml:4: name: must be lower case"),
        ('"acme"', '"a.b"', r"collector\.toml:4: name: must be lower case"),
        ('"acme"', '"../x"', r"collector\.toml:4: name: must be lower case"),
        ("https:", "file:", r"collector\.toml:5: url: must be an http"),
        ("https://tsa", "https://user:secret@tsa", r"collector\.toml:5: url: must be an http.*without user"),
        ("https://tsa.example/x", "https://", r"collector\.toml:5: url: must be an http"),
        ("https://tsa.example/x", "https://tsa:99999999/", r"collector\.toml:5: url: must be an http"),
        ('["a.pem"]', "[]", r"collector\.toml:6: certificates: names no file"),
        ('["a.pem"]', '["a.pem"]\npolicy = "any"', r"collector\.toml:7: policy: must be an OID"),
        ("url", "uri", r"url is missing"),
        ('["a.pem"]', '["a.pem"]\nwait = 3', r"collector\.toml:7: wait: unknown key"),
    ],
)
def test_a_stamp_table_that_cannot_be_used_is_named(old: str, new: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        load(STAMP.replace(old, new))
    assert "secret" not in str(refused.value)


def test_two_authorities_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"collector\.toml:8: name: 'acme' stands twice"):
        load(STAMP + "[[stamp]]" + STAMP.partition("\n[[stamp]]")[2])
    with pytest.raises(ConfigError, match=r"more than 8 \[\[stamp\]\] tables"):
        load(
            STAMP
            + "".join(f'[[stamp]]\nname = "n{n}"\nurl = "http://x"\ncertificates = ["a"]\n' for n in range(8))
        )
