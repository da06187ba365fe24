"""What is generated for Kubernetes, how much of it there is, and that nothing is collected for nobody."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from collector.testing import check_source
from collector_kubernetes.catalogue import catalogue
from collector_kubernetes.source import Kubernetes

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "collector_kubernetes"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@cache
def compiler() -> Any:
    spec = importlib.util.spec_from_file_location(
        "generate_kubernetes", ROOT / "tools/generate_kubernetes.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def checks() -> tuple[dict[str, Any], ...]:
    found: list[dict[str, Any]] = []
    for path in sorted((ROOT / "mappings" / "checks" / "kubernetes").rglob("*.toml")):
        found += tomllib.loads(path.read_text("utf-8"))["check"]
    return tuple(found)


def test_what_is_checked_in_is_what_the_kinds_and_the_schemas_give() -> None:
    checked_in = (PLUGIN / "generated.json").read_text("utf-8")
    assert compiler().compiled() == checked_in, "run: python tools/generate_kubernetes.py"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('resource = "services"', 'ressource = "services"'), "no key is called ressource"),
        (
            ('status = ["status.loadBalancer"]', 'status = ["status.balancer"]'),
            "no schema has status.balancer",
        ),
        (('free_text = ["rules"]', 'free_text = ["rule"]'), "no column is called rule"),
        (('types = ["V1IngressClass"]', 'types = ["V9IngressClass"]'), "no schema is called V9IngressClass"),
    ],
)
def test_a_mistake_in_a_kind_is_named_with_its_file_and_kind(
    change: tuple[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (PLUGIN / "kinds" / "network.toml").read_text("utf-8")
    assert change[0] in text
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "network.toml").write_text(text.replace(*change, 1), "utf-8")
    monkeypatch.setattr(compiler(), "PLUGIN", tmp_path)
    with pytest.raises(compiler().Wrong, match=rf"network.toml: kubernetes_\w+: .*{re.escape(said)}"):
        compiler().compiled()


def test_the_source_keeps_the_contract() -> None:
    assert check_source(Kubernetes) == []


def test_there_are_as_many_kinds_as_promised() -> None:
    assert len(Kubernetes.kinds) >= 60


def test_every_kind_is_read_by_a_check_or_shown_by_an_example() -> None:
    asked: set[str] = set()
    for check in checks():
        asked |= {check["kind"]} if "kind" in check else set(check["reads"])
    idle = [kind.name for kind in Kubernetes.kinds if kind.name not in asked and not kind.examples]
    assert idle == []


def test_every_example_of_a_kind_is_sql_over_what_is_collected() -> None:
    import duckdb

    with duckdb.connect() as database:
        database.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
        for kind in Kubernetes.kinds:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in kind.columns)
            database.execute(f"CREATE TABLE {kind.name} ({columns})")
        for example in (example for kind in Kubernetes.kinds for example in kind.examples):
            database.execute(example)


def test_what_programs_say_of_their_troubles_is_not_kept() -> None:
    for node in catalogue().values():
        for column in node.kind.columns:
            if column.name == "conditions":
                assert column.free_text, node.kind.name
                assert "message" in column.literals, node.kind.name


def test_of_config_maps_and_environments_no_value_is_kept() -> None:
    kinds = {kind.name: kind for kind in Kubernetes.kinds}
    assert kinds["kubernetes_config_map"].column("data").literals == ("*",)
    assert "value" in kinds["kubernetes_workload"].column("template").literals
    for name in ("containers", "initContainers", "ephemeralContainers"):
        assert "value" in kinds["kubernetes_pod"].column(name).literals
    assert all(kind.column("annotations").free_text for kind in kinds.values() if _has(kind, "annotations"))


def _has(kind: Any, column: str) -> bool:
    return any(each.name == column for each in kind.columns)


# The page.


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def test_the_page_has_each_option_and_no_other() -> None:
    named = re.findall(r"^\| `(\w+)` \|", section("Options"), re.MULTILINE)
    assert named == [option.name for option in Kubernetes.options]


@pytest.mark.parametrize("text", TABLES, ids=range(len(TABLES)))
def test_each_table_that_the_page_shows_makes_a_source(text: str) -> None:
    (table,) = tomllib.loads(text)["source"]
    assert table.pop("use") == Kubernetes.name
    assert table.keys() <= {option.name for option in Kubernetes.options}
    assert Kubernetes(table).root().source == "kubernetes"


def test_the_page_has_each_reason_that_a_gap_of_kubernetes_can_have() -> None:
    said = set(re.findall(r"^\|.*\| `(\w+)` \|$", section("Gaps and absence"), re.MULTILINE))
    reasons = {fault.outcome.value for fault in Kubernetes.errors.values()}
    assert said == reasons | {"off", "unreachable", "timeout"}


def test_each_query_that_the_page_shows_names_columns_that_are_there() -> None:
    import duckdb

    from collector import plugins

    kinds = plugins.load().kinds()
    with duckdb.connect() as database:
        for query in re.findall(r'collector query BUNDLE "(.*?)"$', PAGE, re.MULTILINE):
            for name in re.findall(r"kubernetes_\w+", query):
                columns = ", ".join(f'"{column.name}" {column.type}' for column in kinds[name].columns)
                database.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
            database.execute(query)
