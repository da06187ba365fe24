"""The source `aws`: accounts and regions, through boto3."""

from __future__ import annotations

import json
import threading
from collections.abc import Container, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import ClassVar

from collector.model import (
    Absent,
    Ask,
    Due,
    Fault,
    Gap,
    Json,
    Kind,
    Operation,
    Option,
    Record,
    Reply,
    Target,
    Task,
)
from collector_aws import engine, paths, wire
from collector_aws.catalogue import GATE, Node, catalogue
from collector_aws.discovery import ACCOUNTS, REGIONS, is_open, readable, refuse
from collector_aws.errors import ERRORS
from collector_aws.sessions import Clients, Login, home
from collector_aws.trees import trees

__all__ = ["Aws"]

_Settings = tuple[tuple[tuple[str, str], ...], str, str]

_accounts: dict[tuple[_Settings, str], Login] = {}
"""Which login leads to an account, as far as it was found out; each table of settings has its own."""

_accounts_lock = threading.Lock()


class Aws:
    """AWS accounts, each in its regions."""

    name: ClassVar[str] = "aws"
    title: ClassVar[str] = "AWS accounts and regions"
    options: ClassVar[tuple[Option, ...]] = (
        Option("name", "string", "tells this table from another one for AWS"),
        Option("profiles", "strings", "profiles of the AWS configuration; left out: as boto3 finds them", []),
        Option("roles", "strings", "ARNs of roles to assume, one for each account", []),
        Option("external_id", "string", "external id that the roles ask for"),
        Option(
            "organization_role",
            "string",
            "name of a role to assume in each active account of the organisation",
        ),
        Option("regions", "strings", "regions to ask; left out: all that are enabled", []),
        Option("services", "strings", "services to ask, as in ec2; left out: all", []),
    )
    kinds: ClassVar[tuple[Kind, ...]] = tuple(
        node.kind for service in catalogue().values() for node in service.nodes
    )
    discovery: ClassVar[tuple[Operation, ...]] = (
        Operation(GATE, "sts:GetCallerIdentity"),
        Operation(REGIONS, "ec2:DescribeRegions"),
        Operation(ACCOUNTS, "organizations:ListAccounts"),
    )
    errors: ClassVar[Mapping[str, Fault]] = ERRORS

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._name = settings.get("name") or ""
        self._regions = tuple(settings.get("regions") or ())
        self._services = frozenset(settings.get("services") or ())
        external_id = settings.get("external_id") or ""
        profiles = list(settings.get("profiles") or [""])
        roles = list(settings.get("roles") or ())
        self._external_id = external_id
        self._organization_role = settings.get("organization_role") or ""
        if stray := self._services - catalogue().keys():
            known = ", ".join(sorted(catalogue()))
            raise ValueError(f"services: no service {sorted(stray)[0]!r} is known; known are {known}")
        if roles and len(profiles) > 1:
            raise ValueError("profiles: only one can be given where roles are assumed")
        refuse(self._regions, roles, self._organization_role, external_id)
        self._logins = [Login(profiles[0], role, external_id) for role in roles] or [
            Login(profile) for profile in profiles
        ]
        self._clients = Clients()
        self._key: _Settings = (
            tuple((login.profile, login.role) for login in self._logins),
            external_id,
            self._organization_role,
        )

    def root(self) -> Target:
        """Whatever the credentials lead to."""
        return Target(self.name, {"name": self._name} if self._name else {})

    def discover(self, ask: Ask) -> Json:
        """Who we are with each login, which accounts the organisation has, which regions are enabled."""
        if find_spec("boto3") is None:
            raise ValueError("boto3 is not installed; run pip install 'evidence-collector[aws]'")
        logins = list(self._logins)
        answers = list(ask.many([(GATE, login.params) for login in logins]))
        if self._organization_role:
            own = {answer.data["Account"] for (answer,) in answers if answer.ok}
            members = self._members(ask, logins[0], own)
            answers += ask.many([(GATE, login.params) for login in members])
            logins += members
        found = [
            {"account": answer.data["Account"], "arn": answer.data["Arn"], "login": login.params}
            for login, (answer,) in zip(logins, answers, strict=True)
            if answer.ok
        ]
        if self._regions:
            return [{**each, "regions": list(self._regions)} for each in found]
        asked = ask.many([(REGIONS, each["login"]) for each in found])
        return [
            {**each, "regions": [one["RegionName"] for one in answer.data["Regions"]] if answer.ok else []}
            for each, (answer,) in zip(found, asked, strict=True)
        ]

    def plan(self, found: Json) -> Sequence[Task | Absent]:
        """For each account, a task for each group of kinds that hang together, and so in each region."""
        tasks: list[Task] = []
        for each in _unique(found or ()):
            scope = {**self.root().scope, "account": each["account"]}
            tasks += self._tasks(Target(self.name, scope, each["arn"]), everywhere=True)
            for region in each["regions"]:
                target = Target(self.name, {**scope, "region": region}, each["arn"])
                tasks += self._tasks(target, everywhere=False)
        return tasks

    def collect(self, task: Task, ask: Ask) -> Iterator[Record | Gap]:
        """As the kinds' data says."""
        wanted = frozenset(task.kinds)
        nodes = [
            node for service in catalogue().values() for node in service.nodes if node.kind.name in wanted
        ]
        yield from engine.collect(task, nodes, ask)

    def send(self, target: Target, op: str, params: Mapping[str, Json], timeout: float) -> Reply:
        """One page, by a boto3 client; `@profile`, `@role` and `@region` say through which."""
        login = self._login(target, params, timeout)
        region = params.get("@region") or target.scope.get("region") or _home(target)
        reply = wire.send(self._clients, login, region, op, params, timeout)
        if op == GATE or not target.scope.get("account"):
            readable(op, reply.data)
        if op == GATE:
            with _accounts_lock:
                _accounts.setdefault((self._key, reply.data["Account"]), login)
        return reply

    @classmethod
    def permissions(cls, kinds: Sequence[Kind]) -> str:
        """An IAM policy with exactly the actions that the kinds and discovery need."""
        operations = [*cls.discovery, *(each for kind in kinds for each in kind.operations)]
        actions = sorted({action for each in operations for action in each.permission.split()})
        allowed = [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
        return json.dumps({"Version": "2012-10-17", "Statement": allowed}, indent=2)

    def _members(self, ask: Ask, management: Login, own: Container[str]) -> list[Login]:
        """A login for each account of the organisation that is active and that no login leads to."""
        pages = list(ask.pages(ACCOUNTS, management.params))
        return [
            Login(
                management.profile,
                f"arn:{each['Arn'].split(':')[1]}:iam::{each['Id']}:role/{self._organization_role}",
                self._external_id,
            )
            for page in pages
            for each in (page.data["Accounts"] if page.ok else ())
            if is_open(each) and each["Id"] not in own
        ]

    def _tasks(self, target: Target, *, everywhere: bool) -> Iterator[Task]:
        for group in trees():
            if group.everywhere is not everywhere:
                continue
            if self._services and group.service not in self._services:
                continue
            task = Task(target, tuple(node.kind.name for node in group.nodes))
            words = engine.words(task)
            due = [due for node in group.nodes for due in _due(node, group.roots[node.kind.name], words)]
            yield Task(target, task.kinds, tuple(due))

    def _login(self, target: Target, params: Mapping[str, Json], timeout: float) -> Login:
        """The login that the parameters name, or the one that leads to the target's account."""
        account = target.scope.get("account", "")
        if not account:
            return Login(params.get("@profile", ""), params.get("@role", ""), self._external_id)
        for login in self._logins:
            if login.account == account:
                return login
        with _accounts_lock:
            if known := _accounts.get((self._key, account)):
                return known
        return self._found(target, account, timeout)

    def _found(self, target: Target, account: str, timeout: float) -> Login:
        """A worker in another process finds out again which profile leads to an account."""
        for login in self._logins:
            reply = wire.send(self._clients, login, _home(target), GATE, {}, timeout)
            readable(GATE, reply.data)
            with _accounts_lock:
                _accounts[self._key, reply.data["Account"]] = login
            if reply.data["Account"] == account:
                return login
        partition = target.principal.split(":")[1]
        role = f"arn:{partition}:iam::{account}:role/{self._organization_role}"
        return Login(self._logins[0].profile, role, self._external_id)


def _home(target: Target) -> str:
    """Where an account's own things are asked for; for discovery, where boto3 would."""
    return home(target.principal) if target.principal else ""


def _due(node: Node, root: Node, words: Mapping[str, str]) -> Iterator[Due]:
    """The list calls that a kind's population starts from."""
    for given in root.params:
        yield Due(node.kind.name, root.op or GATE, paths.filled(given, {}, words))


def _unique(found: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Accounts, each once, however many logins lead to it."""
    return list({each["account"]: each for each in reversed(found)}.values())[::-1]
