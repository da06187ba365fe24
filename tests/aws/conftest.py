"""A real HTTP double of AWS (moto), a proxy in front of it that can fail, and runs of the agent."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")


def loaded(path: Path) -> Any:
    """A module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(f"aws_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Moto:
    """moto's server on a free port of loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environ = {
            **os.environ,
            "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
            "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        }
        self._log = (folder / "moto.log").open("wb")
        self._process = subprocess.Popen(
            [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(self.port)],
            env=environ,
            stdout=self._log,
            stderr=self._log,
        )
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/moto-api/", timeout=2).close()
                return
            time.sleep(0.1)
        raise RuntimeError("moto did not start")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._process.kill()  # it keeps nothing
        self._process.wait()
        self._log.close()


def session(url: str, region: str = "us-east-1", role: str = "") -> Any:
    """A boto3 session whose clients all go to `url`; with a role, as that role."""
    import boto3

    class Session(boto3.Session):
        def client(self, *names: Any, **options: Any) -> Any:
            return super().client(*names, **{"endpoint_url": url, **options})

    made = Session("test", "test", region_name=region)
    if not role:
        return made
    given = made.client("sts").assume_role(RoleArn=role, RoleSessionName="seed")["Credentials"]
    return Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=region)


@pytest.fixture(scope="session")
def another_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Moto]]:
    """One server more, with nothing in it."""
    with contextlib.ExitStack() as running:
        yield lambda: running.enter_context(contextlib.closing(Moto(tmp_path_factory.mktemp("moto"))))


@pytest.fixture(scope="session")
def moto(another_moto: Callable[[], Moto]) -> Moto:
    return another_moto()


def isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Credentials that lead nowhere, and nothing of this machine's own."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            patch.delenv(name)
    patch.setenv("AWS_ACCESS_KEY_ID", "test")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "none"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))


def seeded(url: str, region: str = "us-east-1") -> None:
    """Fill an account with what is as it should be, and with what is not."""
    for path in sorted((HERE / "seeds").glob("*.py")):
        module = loaded(path)
        module.seed_good(session(url, region), region)
        module.seed_bad(session(url, region), region)


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    isolate(monkeypatch, tmp_path)
    return monkeypatch


@pytest.fixture
def proxy(moto: Moto) -> Iterator[Any]:
    made = loaded(HERE / "proxy.py").Proxy(moto.port)
    yield made
    made.close()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request says in its headers what it asks, so that the proxy can tell."""
    from collector_aws import sessions

    made = sessions._client

    def told(*given: Any) -> Any:
        client = made(*given)
        client.meta.events.register("before-call", say)
        return client

    def say(model: Any, params: dict[str, Any], **_: Any) -> None:
        service = model.service_model
        params["headers"]["X-Operation"] = f"{service.service_name}:{model.name}"
        params["headers"]["X-Protocol"] = service.resolved_protocol

    def below(host: Any, *given: Any, **more: Any) -> Any:
        """S3 Control puts the account before the endpoint's name: lead that to the same address."""
        if isinstance(host, str) and host.endswith(".127.0.0.1"):
            host = "127.0.0.1"
        return resolve(host, *given, **more)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", below)
    monkeypatch.setattr(sessions, "_client", told)


@dataclass
class Evidence:
    """What one run left: records by kind, gap lines, ledger entries, and what each task came to."""

    records: dict[str, list[dict[str, Any]]]
    gaps: list[dict[str, Any]]
    calls: list[Any]
    written: Any

    def ops(self) -> set[str]:
        return {call.op for call in self.calls}

    def gap_kinds(self, op: str) -> set[str]:
        ids = {call.call for call in self.calls if call.op == op and not call.outcome.answered}
        return {gap["kind"] for gap in self.gaps if gap.get("call") in ids}


@pytest.fixture
def collecting(
    proxy: Any, named: None, aws_environment: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Evidence]:
    """Collect through the proxy with the settings of a `[[source]]` table."""
    from collector.collect.ask import Limits, Stop
    from collector.collect.executor import Settings, collect, discover
    from collector.collect.plan import make
    from collector.keys import create_secret
    from collector.lines import read_lines
    from collector_aws.source import Aws

    aws_environment.setenv("AWS_ENDPOINT_URL", proxy.url)
    secret = tmp_path / "secret.key"
    create_secret(secret)
    runs = iter(range(1000))

    def collected(limits: Limits | None = None, seconds: float = 120, **settings: Any) -> Evidence:
        limits = limits or Limits(tries=1)
        found = discover(Aws, settings, secret, limits, Stop())
        plan = make(datetime(2026, 11, 24, tzinfo=UTC), (), [(Aws, settings, found.items)])
        folder = tmp_path / f"run{next(runs)}"
        folder.mkdir()
        done = collect(plan, Settings(folder, secret, 16, limits, seconds), [found])
        records: dict[str, list[dict[str, Any]]] = {}
        gaps = []
        for written in done.written:
            for line in map(json.loads, read_lines(written.segment.path)):
                if "gap" in line:
                    gaps.append(line["gap"])
                else:
                    records.setdefault(line["record"]["kind"], []).append(line["record"])
        return Evidence(records, gaps, list(done.ledger.entries.values()), done.written)

    return collected


@pytest.fixture(name="session", scope="session")
def _session() -> Callable[..., Any]:
    return session


@pytest.fixture(scope="session")
def regions() -> tuple[str, ...]:
    return REGIONS


@pytest.fixture(name="seeded", scope="session")
def _seeded() -> Callable[[str], None]:
    return seeded
