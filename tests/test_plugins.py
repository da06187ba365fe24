from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from collector.hookspecs import API, GROUP, hookimpl
from collector.model import (
    Column,
    ConfigError,
    Derived,
    Fault,
    Kind,
    MappingPack,
    Operation,
    Option,
    Outcome,
)
from collector.plugins import Plugins, load

LIST = Operation("toy:list", "anyone")
TOY = Kind("toy_thing", "Things", (Column("Name", "VARCHAR", "its name"),), ("Name",), (LIST,))


def made_source(**changes: Any) -> type:
    """A source that keeps the contract, but for the attributes given; None takes one away."""

    class Toy:
        name: ClassVar[str] = "toy"
        title: ClassVar[str] = "Toys"
        options: ClassVar[tuple[Option, ...]] = (Option("size", "integer", "how large"),)
        kinds: ClassVar[tuple[Kind, ...]] = (TOY,)
        discovery: ClassVar[tuple[Operation, ...]] = ()
        errors: ClassVar[Mapping[str, Fault]] = {"no": Fault(Outcome.DENIED)}
        root = discover = plan = collect = send = lambda self: None

        @classmethod
        def permissions(cls, kinds: Sequence[Kind]) -> str:
            return ""

    for name, value in changes.items():
        setattr(Toy, name, value)
    return Toy


class Shelf:
    name = "shelf"
    title = "A shelf"
    options = ()
    address = ""
    confirms = replaces = False
    put = get = head = list = prune = check = permissions = lambda self: None


class Pen:
    name = "pen"
    title = "A pen"
    options = ()
    signer = public_key = lambda self: None


def plugin(name: str = "collector_toy", api: Any = API, **hooks: Callable[[], Any]) -> ModuleType:
    module = ModuleType(name)
    if api is not None:
        module.api = api  # type: ignore[attr-defined]
    for hook, function in hooks.items():
        function.__name__ = hook
        setattr(module, hook, hookimpl(function))
    return module


def gives(hook: str, *parts: Any, name: str = "collector_toy") -> ModuleType:
    return plugin(name, **{hook: lambda: list(parts)})


def test_all_roles_of_a_plugin_are_found_by_name() -> None:
    pack = MappingPack("toy", "1", "/nowhere")
    found = Plugins.of(
        plugin(
            collector_sources=lambda: [made_source()],
            collector_sinks=lambda: (Shelf,),
            collector_signers=lambda: [Pen],
            collector_mappings=lambda: [pack],
        )
    )
    assert list(found.sources) == ["toy"]
    assert dict(found.sinks) == {"shelf": Shelf}
    assert dict(found.signers) == {"pen": Pen}
    assert found.packs == (pack,)
    assert found.kinds() == {"toy_thing": TOY}
    assert found.giver["source toy"] == "collector_toy"


def test_kinds_hold_what_packs_derive() -> None:
    derived = Kind("toy_part", "Parts", (Column("Name", "VARCHAR", "its name"),), ("Name",))
    pack = MappingPack("toy", "1", "/nowhere", (Derived(derived, 1, {}, lambda records: iter(())),))
    found = Plugins.of(gives("collector_sources", made_source()), gives("collector_mappings", pack, name="b"))
    assert list(found.kinds()) == ["toy_part", "toy_thing"]


@pytest.mark.parametrize(("api", "message"), [(None, "states no version"), (2, "is written for api = 2")])
def test_plugin_for_another_version_of_the_contract_is_refused_by_name(api: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^plugin collector_toy: {message}"):
        Plugins.of(plugin(api=api))


def test_misspelt_hook_is_refused_with_the_nearest() -> None:
    def hook() -> list[Any]:
        return []

    with pytest.raises(ConfigError, match=r"no hook collector_source \(did you mean collector_sources\?\)"):
        Plugins.of(plugin(collector_source=hook))


def test_hook_with_arguments_that_the_contract_lacks_is_refused() -> None:
    def hook(config: Any) -> list[Any]:
        return []

    with pytest.raises(ConfigError, match="plugin collector_toy: PluginValidationError"):
        Plugins.of(plugin(collector_sources=hook))


def test_hook_that_raises_stops_with_the_plugins_name() -> None:
    def hook() -> list[Any]:
        raise RuntimeError("out\nof order")

    with pytest.raises(
        ConfigError,
        match=r"^plugin collector_toy: collector_sources failed: RuntimeError: out of order$",
    ):
        Plugins.of(plugin(collector_sources=hook))


@pytest.mark.parametrize("given", [None, "toy", 3, {made_source()}])
def test_hook_that_gives_no_list_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="must return a list"):
        Plugins.of(plugin(collector_sources=lambda: given))


FAULTY: list[tuple[dict[str, Any], str]] = [
    ({"name": "Toy Box"}, "`name` must be lower case"),
    ({"name": None}, "`name` must be lower case"),
    ({"title": None}, "`title` must be a string"),
    ({"options": [Option("a", "string", "")]}, "`options` must be a tuple of Option"),
    ({"options": (Option("a", "string", ""), Option("a", "path", ""))}, "option a: that name is taken"),
    ({"options": (Option("use", "string", ""),)}, "option use: that name is taken"),
    ({"options": (Option("a", "number", ""),)}, "option a: type 'number' is none of"),
    ({"kinds": ()}, "at least one Kind"),
    ({"kinds": (TOY, TOY)}, "kind toy_thing stands twice"),
    ({"name": "box"}, "kind toy_thing: its name must begin with box_"),
    ({"discovery": None}, "`discovery` must be a tuple of Operation"),
    ({"errors": {"no": "denied"}}, "`errors` must map codes to Fault"),
    ({"collect": None}, "has no method collect"),
    ({"permissions": None}, "has no method permissions"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTY)
def test_source_that_breaks_the_contract_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Plugins.of(gives("collector_sources", made_source(**changes)))
    assert str(caught.value).startswith("plugin collector_toy: source ")
    assert message in str(caught.value)


def kind(**changes: Any) -> Kind:
    columns = (Column("Name", "VARCHAR", "its name"),)
    parts = {"name": "toy_thing", "title": "", "columns": columns, "identity": (), "operations": (LIST,)}
    return Kind(**(parts | changes))


FAULTY_KINDS = [
    (kind(name="toy_answer"), "that name is the core's"),
    (kind(operations=(Operation("toy:detail", "", lists=False),)), "none of its operations lists"),
    (kind(operations=(LIST, LIST)), "operation toy:list stands twice"),
    (kind(columns=(Column("Name", "STRING", ""),)), "column Name: "),
    (kind(columns=(Column("Name", "BIGINT", "", secret=True),)), "a secret must be VARCHAR"),
    (kind(columns=()), "has no columns"),
]


@pytest.mark.parametrize(("faulty", "message"), FAULTY_KINDS)
def test_kind_that_breaks_the_contract_is_refused(faulty: Kind, message: str) -> None:
    with pytest.raises(ConfigError, match="kind toy_") as caught:
        Plugins.of(gives("collector_sources", made_source(kinds=(faulty,))))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("hook", "part", "message"),
    [
        ("collector_sources", object(), "must be a class"),
        ("collector_sinks", type("S", (), {"name": "s", "title": "", "options": ()}), "has no method put"),
        ("collector_signers", type("S", (), {"name": "s", "title": "", "options": ()}), "no method signer"),
        ("collector_mappings", "folder", "which is no MappingPack"),
        ("collector_mappings", MappingPack("../x", "1", "/"), "its name must be lower case"),
    ],
)
def test_other_parts_that_break_the_contract_are_refused(hook: str, part: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Plugins.of(gives(hook, part))


@pytest.mark.parametrize(
    ("hook", "first", "second", "what"),
    [
        ("collector_sources", made_source(), made_source(), "source toy"),
        ("collector_sinks", Shelf, Shelf, "sink shelf"),
        ("collector_signers", Pen, Pen, "signer pen"),
        ("collector_mappings", MappingPack("m", "1", "/a"), MappingPack("m", "2", "/b"), "pack m"),
    ],
)
def test_one_name_from_two_plugins_is_an_error_that_names_both(
    hook: str, first: Any, second: Any, what: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{what} is given twice, by plugin a and by plugin b$"):
        Plugins.of(gives(hook, first, name="a"), gives(hook, second, name="b"))


def test_one_kind_from_a_source_and_a_pack_is_an_error_that_names_both() -> None:
    derived = Derived(kind(operations=()), 1, {}, lambda records: iter(()))
    with pytest.raises(ConfigError, match=r"^kind toy_thing is given twice, by plugin a and by plugin b$"):
        Plugins.of(
            gives("collector_sources", made_source(), name="a"),
            gives("collector_mappings", MappingPack("m", "1", "/", (derived,)), name="b"),
        )


def install(folder: Path, distribution: str, entries: Mapping[str, str], **modules: str) -> None:
    info = folder / f"{distribution}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    lines = [f"{name} = {module}" for name, module in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[evidence_collector]", *lines, ""]))
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


def test_installed_plugin_is_found_with_its_distribution(tmp_path: Path, monkeypatch: Any) -> None:
    install(tmp_path, "acme", {"acme": "acme_plugin"}, acme_plugin="api = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load().origin["acme"] == "acme 1.2"


def test_installed_plugin_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    install(tmp_path, "acme", {"acme": "acme_broken"}, acme_broken="import nowhere_to_be_found\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"^plugin acme \(acme 1\.2\): cannot be imported: ModuleNotFound"):
        load()


def test_two_distributions_with_one_plugin_name_are_both_named(tmp_path: Path, monkeypatch: Any) -> None:
    install(tmp_path / "a", "acme", {"twin": "twin_a"}, twin_a="api = 1\n")
    install(tmp_path / "b", "bcme", {"twin": "twin_b"}, twin_b="api = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "a")
    monkeypatch.syspath_prepend(tmp_path / "b")
    with pytest.raises(ConfigError, match=r"plugin twin \(bcme 1\.2\): acme 1\.2 has a plugin of that name"):
        load()


HEAVY = {"duckdb", "boto3", "cryptography", "securesystemslib", "detect_secrets"}


def test_what_an_installation_that_was_cut_off_left_is_no_second_plugin(
    tmp_path: Path, monkeypatch: Any
) -> None:
    install(tmp_path, "one", {"toy": "collector_one"}, collector_one="api = 1\n")
    left = tmp_path / "~ne-1.2.dist-info"
    left.mkdir()
    entries = (tmp_path / "one-1.2.dist-info/entry_points.txt").read_text()
    (left / "entry_points.txt").write_text(entries)  # pip has taken its METADATA already
    monkeypatch.syspath_prepend(tmp_path)
    assert load().origin["toy"] == "one 1.2"
    (tmp_path / "one-1.2.dist-info/entry_points.txt").unlink()
    assert load().origin["toy"] == ""  # and what is there alone is not passed over in silence


def test_finding_the_built_in_plugins_loads_no_library_that_they_need_later(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1]
    built_in = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    install(tmp_path, "evidence_collector", built_in)
    script = f"import sys; from collector.plugins import load; load(); print({HEAVY} & sys.modules.keys())"
    path = os.pathsep.join(map(str, (tmp_path, folder, folder / "plugins")))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
