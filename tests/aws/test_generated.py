"""What is generated for AWS, how much of it there is, and that nothing is collected for nobody."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tomllib
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.loaders import Loader
from botocore.utils import parse_timestamp

from collector.testing import check_derived, check_source
from collector_aws import sessions
from collector_aws.catalogue import catalogue
from collector_aws.sessions import Clients, Login
from collector_aws.source import Aws
from collector_aws.statements import STATEMENTS

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "collector_aws"
SERVICES = sorted((PLUGIN / "services").glob("*.toml"))


@cache
def compiler(name: str = "generate_aws") -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def checks() -> tuple[dict[str, Any], ...]:
    found: list[dict[str, Any]] = []
    for path in sorted((ROOT / "mappings" / "checks").rglob("*.toml")):
        found += tomllib.loads(path.read_text("utf-8"))["check"]
    return tuple(found)


@pytest.mark.parametrize("path", SERVICES, ids=[path.stem for path in SERVICES])
def test_what_is_checked_in_is_what_the_service_file_and_the_models_give(path: Path) -> None:
    checked_in = (PLUGIN / "generated" / f"{path.stem}.json").read_text("utf-8")
    assert compiler().compiled(path) == checked_in, f"run: python tools/generate_aws.py {path.stem}"


def test_nothing_is_generated_from_a_file_that_is_gone() -> None:
    assert {path.stem for path in (PLUGIN / "generated").glob("*.json")} == {path.stem for path in SERVICES}


def test_models_that_are_checked_in_are_what_botocore_gives_of_the_operations_that_are_asked() -> None:
    cutter = compiler("generate_aws_models")
    made = {service: cutter.written(cutter.cut(service, asked)) for service, asked in cutter.asked().items()}
    checked_in = {path.stem: path.read_text("utf-8") for path in cutter.MODELS.glob("*.json")}
    assert made == checked_in, "run: python tools/generate_aws_models.py"


def test_a_client_knows_every_operation_of_every_kind() -> None:
    clients, login = Clients(), Login()
    for kind in Aws.kinds:
        for operation in kind.operations:
            service, _, action = operation.name.partition(":")
            made = clients.get(login, service, "us-east-1", 10.0)
            assert action in made.meta.method_to_api_mapping.values(), operation.name


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T02:00:03Z",
        "2026-11-24T02:00:03.12Z",
        "2026-11-24T02:00:03.123456789Z",
        "2026-11-24T02:00Z",
        "2026-11-24T02:00:03+01:00",
        "Tue, 24 Nov 2026 02:00:03 GMT",
        "2026-11-24",
        "20261124T020003Z",
        1795485603,
        1795485603.25,
        "1795485603",
    ],
)
def test_times_in_answers_are_those_that_botocore_reads(text: Any) -> None:
    assert sessions._moment(text).astimezone(UTC) == parse_timestamp(text).astimezone(UTC)


def test_a_model_that_users_put_in_place_of_botocores_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path(botocore.__file__).parent / "data" / "sqs"
    cut = sessions._loader.__wrapped__().load_service_model("sqs", "service-2")
    shutil.copytree(own, tmp_path / "sqs")
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(tmp_path))
    whole = sessions._loader.__wrapped__().load_service_model("sqs", "service-2")
    assert set(cut["operations"]) == {"GetQueueAttributes", "ListQueues"}
    assert set(whole["operations"]) > set(cut["operations"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('list = "ListQueues"', 'list = "ListQueue"'), "sqs has no operation ListQueue"),
        (('title = "', 'titel = "'), "unknown key titel"),
        (('items = "QueueUrls"', 'items = "Queues"'), "no 'Queues' there, but"),
    ],
)
def test_a_mistake_in_a_service_file_is_named_with_its_kind(
    change: tuple[str, str], said: str, tmp_path: Path
) -> None:
    text = (PLUGIN / "services" / "sqs.toml").read_text("utf-8")
    assert change[0] in text
    path = tmp_path / "sqs.toml"
    path.write_text(text.replace(*change, 1), "utf-8")
    with pytest.raises(compiler().Wrong, match=rf"kind aws_sqs_queue: .*{re.escape(said)}"):
        compiler().compiled(path)


def test_the_source_and_the_table_of_statements_keep_the_contract() -> None:
    assert check_source(Aws) == []
    assert check_derived(STATEMENTS, Aws.name, Aws.kinds) == []


def test_there_are_as_many_kinds_services_and_checks_as_promised() -> None:
    assert len(Aws.kinds) >= 120
    assert len({service.name for service in catalogue().values()}) >= 60
    ids = [check["id"] for check in checks() if check["id"].startswith("aws-")]
    assert len(ids) == len(set(ids)) >= 300


def test_whatever_is_collected_is_asked_by_a_check_or_shown_by_an_example() -> None:
    asked = set(STATEMENTS.reads)
    for check in checks():
        asked |= {check["kind"]} if "kind" in check else set(check["reads"])
    idle = [kind.name for kind in Aws.kinds if kind.name not in asked and not kind.examples]
    assert idle == []


def test_every_example_of_a_kind_is_sql_over_what_is_collected() -> None:
    import duckdb

    kinds = [*Aws.kinds, STATEMENTS.kind]
    with duckdb.connect() as database:
        for kind in kinds:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in kind.columns)
            database.execute(f"CREATE TABLE {kind.name} ({columns})")
        for example in (example for kind in kinds for example in kind.examples):
            database.execute(example)
    assert sum(len(kind.examples) for kind in kinds) > 100


def test_every_check_of_aws_reads_kinds_that_are_collected() -> None:
    known = {kind.name for kind in Aws.kinds} | {STATEMENTS.kind.name}
    for check in checks():
        if check["id"].startswith("aws-"):
            named = {check["kind"]} if "kind" in check else set(check["reads"])
            assert {name for name in named if name.startswith("aws_")} <= known, check["id"]
