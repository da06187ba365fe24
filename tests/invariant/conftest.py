"""A recorded run of every source, and a way to run it again with any of its calls failing."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import config as configuration
from collector import plugins as registry
from collector.assess import tables
from collector.assess.bind import Bound, bind
from collector.assess.evidence import read
from collector.assess.mappings import Mappings, load
from collector.assess.verdicts import Order, judge, open_database
from collector.canonical import loads
from collector.collect.ask import Limits, Stop
from collector.collect.executor import Settings, collect, discover
from collector.collect.plan import Plan, make
from collector.keys import Keys, create_secret, load_secret
from collector.lines import read_lines
from collector.plugins import Plugins
from collector.run import folder as layout
from collector.testing import Call, Recording, recording_source, replay_source

AS_OF = datetime(2026, 11, 24, tzinfo=UTC)
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Judged:
    """The verdicts of one run.

    `findings` by check, scope and subject; `objectives` and `controls` to their statuses.
    """

    findings: Mapping[tuple[str, str, str], str]
    objectives: Mapping[str, str]
    controls: Mapping[str, str]


class World:
    """Recorded calls of all sources, replayed as often as is asked."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        create_secret(scratch / "secret.key")
        self._keys: Keys = load_secret(scratch / "secret.key")
        self.plugins: Plugins = registry.load()
        self._config = configuration.load(HERE / "collector.toml", self.plugins)
        self.recordings = {name: Recording() for name in self.plugins.sources}
        self.kinds = layout.all_kinds(self.plugins)
        packs = [Path(pack.folder) for pack in self.plugins.packs]
        self.mappings: Mappings = load(packs, strict=True)
        self.bound: list[Bound] = self._bind()
        self.plan: Plan | None = None
        self._run(
            {
                name: recording_source(source, self.recordings[name])
                for name, source in self.plugins.sources.items()
            }
        )
        self.whole = self.judged({})

    @property
    def calls(self) -> list[tuple[str, Call]]:
        """Every recorded call, with its source."""
        return [(name, call) for name, found in self.recordings.items() for call in found.calls]

    def owing(self, source: str, call: Call) -> set[str]:
        """The kinds whose population the plan says to start with this call."""
        assert self.plan is not None
        return {
            due.kind
            for planned in self.plan.tasks
            if (planned.task.target.source, planned.task.target.scope) == (source, call.scope)
            for due in planned.task.due
            if (due.op, due.params) == (call.op, call.params)
        }

    def judged(self, failing: Mapping[str, Mapping[str, str]]) -> Judged:
        """Replay with some calls failing: source to `Call.key` to code."""
        return self._run(
            {
                name: replay_source(source, self.recordings[name], failing.get(name))
                for name, source in self.plugins.sources.items()
            }
        )

    def _bind(self) -> list[Bound]:
        with tempfile.TemporaryDirectory() as scratch:
            connection = open_database(Path(scratch), 256 << 20, threads=1)
            connection.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
            tables.create(connection, self.kinds)
            bound, _ = bind(connection, self.mappings.checks.values(), self.kinds, strict=True)
            connection.close()
        return bound

    def _run(self, sources: Mapping[str, type]) -> Judged:
        plugins = replace(self.plugins, sources=sources)
        limits = Limits(tries=1)
        secret = self._scratch / "secret.key"
        discovered = [
            discover(sources[entry.use], entry.settings, secret, limits, Stop())
            for entry in self._config.sources
        ]
        planned = [(each.source, each.settings, each.items) for each in discovered]
        undiscovered = [(each.source.name, each.root.scope) for each in discovered if not each.complete]
        plan = make(AS_OF, tuple(self.mappings.frameworks), planned, undiscovered)
        self.plan = self.plan or plan
        with tempfile.TemporaryDirectory(dir=self._scratch) as made:
            folder = Path(made)
            layout.write_plan(folder, plan, plugins, self._keys)
            collected = collect(plan, Settings(folder, secret, workers=2, limits=limits), discovered)
            layout.write_ledger(folder, collected.ledger, self._keys)
            segments = layout.place(folder, collected)
            paths = [folder / "segments" / f"{name}.jsonl.gz" for name in segments.values() if name]
            layout.write_derived(folder, layout.due_derived(plugins, plan), paths, self._keys)
            nothing = {"format": 1, "waivers": [], "out_of_scope": [], "accepted_gaps": []}
            layout.write_exceptions(folder, nothing, self._keys)
            return self._judge(folder)

    def _judge(self, folder: Path) -> Judged:
        evidence = read(folder)
        checks = [bound for bound in self.bound if set(bound.check.kinds) <= evidence.kinds.keys()]
        scratch = folder / "scratch"
        scratch.mkdir()
        connection = open_database(scratch, 256 << 20, threads=1)
        tables.create(connection, evidence.kinds)
        order = Order(AS_OF, scratch, folder, None, 60, {}, frozenset())
        connection.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
        judge(connection, evidence, self.mappings, checks, [], order, lambda _: None)
        connection.close()
        findings = {}
        for line in map(loads, read_lines(folder / "findings.jsonl.gz")):
            key = (line["check"], str(line["scope"]), line["subject"])
            worst = {line["result"], findings.get(key, line["result"])}
            findings[key] = "unknown" if "unknown" in worst else line["result"]
        objectives: dict[str, str] = {}
        controls: dict[str, str] = {}
        for line in map(loads, read_lines(folder / "controls.jsonl.gz")):
            controls[line["control"]] = line["status"]
            objectives |= {name: each["status"] for name, each in line["objectives"].items()}
        return Judged(findings, objectives, controls)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Recorded once: AWS from moto, a cluster from a stand-in, the rest from here."""
    scratch = tmp_path_factory.mktemp("world")
    aws = _loaded(HERE.parent / "aws" / "conftest.py")
    with pytest.MonkeyPatch.context() as patch:
        aws.isolate(patch, scratch)
        with contextlib.closing(aws.Moto(scratch)) as moto, _cluster(scratch / "kubeconfig") as cluster:
            patch.setenv("AWS_ENDPOINT_URL", moto.url)
            patch.setenv("INVARIANT_KUBECONFIG", str(cluster))
            aws.seeded(moto.url)
            made = World(scratch)
    yield made


@contextlib.contextmanager
def _cluster(kubeconfig: Path) -> Iterator[Path]:
    """The kubeconfig, which stays, of a stand-in for a server of 1.20 in which all seeds are."""
    kubernetes = HERE.parent / "kubernetes"
    seeds = _loaded(kubernetes / "seeds.py")
    with _loaded(kubernetes / "recorded.py").Recorded(20) as server:
        definitions = list(seeds.definitions())
        for each in definitions:
            spec = each["spec"]
            for version in spec["versions"]:
                name, names = f"{spec['group']}/{version['name']}", spec["names"]
                server.serve(name, names["plural"], names["kind"], namespaced=spec["scope"] == "Namespaced")
        server.add(*definitions, *seeds.objects("good"), *seeds.objects("bad"))
        for node in (each for each in seeds.objects("good") + seeds.objects("bad") if each["kind"] == "Node"):
            for address in node.get("status", {}).get("addresses", ()):
                if isinstance(told := seeds.KUBELETS.get(address["address"]), dict):
                    server.own[f"/api/v1/nodes/{node['metadata']['name']}/proxy/configz"] = told
        kubeconfig.write_text(server.kubeconfig().read_text())
        yield kubeconfig


def _loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"invariant_{path.parent.name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
