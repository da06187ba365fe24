"""Backup jobs as evidence, from a backup server's HTTP interface."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlencode, urlsplit

from collector.hookspecs import hookimpl
from collector.model import (
    Absent,
    Ask,
    CallFailed,
    Column,
    Due,
    Fault,
    Gap,
    Identity,
    Json,
    Kind,
    MappingPack,
    Operation,
    Option,
    Outcome,
    Record,
    Reply,
    Source,
    Target,
    Task,
    Text,
)

__all__ = ["api", "collector_mappings", "collector_sources"]

api = 1

LIST_JOBS, LAST_RUN = "backup:ListJobs", "backup:LastRun"
MAX_ANSWER = 4 * 2**20  # bytes; a page has a hundred jobs

JOB = Kind(
    name="sample_backup_job",
    title="Backup jobs and when they last worked",
    columns=(
        Column("name", "VARCHAR", "the job's name", identity=Identity.RESOURCE),
        Column("encrypted", "BOOLEAN", "whether copies are encrypted"),
        Column("keep_days", "BIGINT", "days for which copies are kept"),
        Column("tell", "VARCHAR", "whom it tells of failures", identity=Identity.MAIL),
        Column("succeeded_at", "TIMESTAMP", "end of the last run that worked; NULL: none", calls=(LAST_RUN,)),
    ),
    identity=("name",),
    operations=(
        Operation(LIST_JOBS, "scope jobs:read"),
        Operation(LAST_RUN, "scope runs:read", lists=False),
    ),
    examples=("SELECT name FROM sample_backup_job WHERE NOT encrypted OR keep_days < 30",),
)


class BackupServer:
    """One backup server, asked with a token that may read."""

    name: ClassVar[str] = "sample"
    title: ClassVar[str] = "Backup jobs of a backup server"
    options: ClassVar[tuple[Option, ...]] = (
        Option("url", "string", "where the server is, as in https://backup.example.org", required=True),
        Option("token", "string", "token that may read; give it as ${ENV}", required=True),
    )
    kinds: ClassVar[tuple[Kind, ...]] = (JOB,)
    discovery: ClassVar[tuple[Operation, ...]] = ()
    errors: ClassVar[Mapping[str, Fault]] = {
        "401": Fault(Outcome.DENIED),
        "403": Fault(Outcome.DENIED),
        "404": Fault(Outcome.ABSENT),  # documented: a job that has not run yet
        "429": Fault(Outcome.BUDGET, retry=True),
        "503": Fault(Outcome.UNREACHABLE, retry=True),
        "not-json": Fault(Outcome.MALFORMED),
        "torn": Fault(Outcome.FAILED, retry=True),
    }

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._url = urlsplit(settings["url"])
        self._token = settings["token"]

    def root(self) -> Target:
        """The server."""
        return Target(self.name, {"server": self._url.netloc})

    def discover(self, ask: Ask) -> Json:
        """Nothing needs to be known before planning."""
        return None

    def plan(self, found: Json) -> Sequence[Task | Absent]:
        """All jobs in one task."""
        return [Task(self.root(), (JOB.name,), (Due(JOB.name, LIST_JOBS),))]

    def collect(self, task: Task, ask: Ask) -> Iterator[Record | Gap | Text]:
        """Give each job of each page, with what is known of its last run."""
        for page in ask.pages(LIST_JOBS):
            for job in page.data["jobs"] if page.ok else ():
                run = ask(LAST_RUN, {"job": job["name"]})
                data = {**job, "succeeded_at": run.data["succeeded_at"] if run.ok else None}
                yield Record(JOB.name, job["name"], task.target.scope, (page.call, run.call), data)

    def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:
        """One GET request."""
        if op == LIST_JOBS:
            answer, size = self._get(f"/jobs?{urlencode(params)}", timeout)
            more = {"page": answer["next"]} if answer.get("next") else None
            return Reply({"jobs": answer["jobs"]}, items=len(answer["jobs"]), next=more, size=size)
        answer, size = self._get(f"/jobs/{quote(params['job'], safe='')}/last-run", timeout)
        return Reply(answer, size=size)

    def _get(self, path: str, timeout: float) -> tuple[dict[str, Json], int]:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = kind(self._url.netloc, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            response = connection.getresponse()
            body = response.read(MAX_ANSWER)
        except HTTPException as error:
            raise CallFailed("torn", type(error).__name__) from error
        finally:
            connection.close()
        if response.status != 200:
            raise CallFailed(str(response.status), response.reason)
        if response.length:
            raise CallFailed("torn", "the answer ends early, or is too large")
        try:
            return json.loads(body), len(body)
        except ValueError as error:
            raise CallFailed("not-json", "the answer is no JSON") from error

    @classmethod
    def permissions(cls, kinds: Sequence[Kind]) -> str:
        """The token's scopes."""
        scopes = sorted({operation.permission for kind in kinds for operation in kind.operations})
        return "\n".join(scopes)


@hookimpl
def collector_sources() -> list[type[Source]]:
    """The backup server."""
    return [BackupServer]


@hookimpl
def collector_mappings() -> list[MappingPack]:
    """A check on backup jobs, and the objective that it answers to."""
    return [MappingPack("sample", version="1", folder=str(Path(__file__).resolve().parent / "pack"))]
