"""The child process in which mappings are loaded and checks run, under limits.

Mappings hold SQL that others wrote. It runs here, where memory, CPU and files are limited by the
kernel and nothing but the run's folder is at hand. Requests come as lines of JSON on standard input,
answers go out the same way; see `collector.assess.assessor` for the other side.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.assess import tables
from collector.assess.bind import Bound, bind
from collector.assess.evidence import moment, read
from collector.assess.mappings import Mappings, load
from collector.assess.verdicts import Order, judge, open_database
from collector.canonical import dumps, loads
from collector.model import CollectorError, Json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["main"]

_OVERHEAD = 6 << 30  # address space, not memory: DuckDB and its allocator reserve far more than they use


def _limit(request: Mapping[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (request["memory"] + _OVERHEAD,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (request["cpu"], request["cpu"] + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["disk"],) * 2)
    resource.setrlimit(resource.RLIMIT_NPROC, resource.getrlimit(resource.RLIMIT_NPROC))


def _say(message: Mapping[str, Json]) -> None:
    sys.stdout.buffer.write(dumps(message) + b"\n")
    sys.stdout.buffer.flush()


def _running(checks: Sequence[str]) -> None:
    _say({"running": list(checks)})


def _prepare(request: Mapping[str, Any]) -> tuple[DuckDBPyConnection, Mappings, list[Bound], list[str]]:
    """Load and bind the mappings against the kinds."""
    mappings = load(
        [Path(folder) for folder in request["mappings"]],
        strict=request["strict"],
        selected=request["frameworks"],
        examples=False,
    )
    connection = open_database(Path(request["scratch"]), request["memory"], request["threads"])
    connection.execute("CREATE MACRO as_of() AS TIMESTAMP '2000-01-01 00:00:00'")
    only, known = set(request["only"]), request["kinds"]
    tables.create(connection, {name: known[name] for name in request["only"]})
    idle = {
        check.id
        for check in mappings.checks.values()
        if known.keys() >= set(check.kinds) and not only.issuperset(check.kinds)
    }
    bindable = [check for id_, check in mappings.checks.items() if id_ not in idle]
    checks, not_run = bind(connection, bindable, known, strict=request["strict"])
    return connection, mappings, checks, [*not_run, *sorted(idle)]


def _judge(
    connection: DuckDBPyConnection,
    mappings: Mappings,
    checks: Sequence[Bound],
    not_run: Sequence[str],
    made: Collection[str],
    request: Mapping[str, Any],
) -> dict[str, Json]:
    evidence = read(Path(request["folder"]))
    tables.create(connection, {name: kind for name, kind in evidence.kinds.items() if name not in made})
    planned = [bound for bound in checks if set(bound.check.kinds) <= evidence.kinds.keys()]
    left_out = [bound.check.id for bound in checks if not set(bound.check.kinds) <= evidence.kinds.keys()]
    order = Order(
        as_of=moment(request["as_of"], "as_of"),
        scratch=Path(request["scratch"]),
        out=Path(request["out"]),
        salt_key=bytes.fromhex(request["salt_key"]) if request["salt_key"] else None,
        seconds=request["seconds"],
        skip=request["skip"],
        alone=frozenset(request["alone"]),
    )
    return judge(connection, evidence, mappings, planned, [*not_run, *left_out], order, _running)


def main() -> None:
    """Answer two requests: prepare, then judge."""
    os.umask(0o077)
    try:
        first = loads(sys.stdin.buffer.readline())
        _limit(first)
        connection, mappings, checks, not_run = _prepare(first)
        _say({"ready": {"checks": len(checks), "objectives": len(mappings.objectives)}})
        line = sys.stdin.buffer.readline()
        if line:
            _say({"done": _judge(connection, mappings, checks, not_run, first["only"], loads(line))})
    except CollectorError as error:
        _say({"error": type(error).__name__, "message": str(error)})
    except OSError as error:
        _say({"error": "OSError", "errno": error.errno, "message": error.strerror})
    except Exception as error:  # noqa: BLE001 - whatever hostile evidence or SQL brings about is told, then blamed
        _say({"crash": f"{type(error).__name__}: {error}".splitlines()[0]})


if __name__ == "__main__":
    main()
