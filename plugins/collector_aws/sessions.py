"""boto3 sessions and clients: made late, shared between threads, dropped early.

Configuration, credentials (profiles, SSO, IMDS, containers), endpoints (`AWS_ENDPOINT_URL`, FIPS,
dual-stack), proxies and certificates are boto3's own business. One loader serves all sessions, since service
models are most of what a client costs: sixty of them take some 150 MB.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["Clients", "Login", "home", "session"]

_HOMES = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Where what belongs to a whole account is asked for, by partition."""

_SESSION_NAME = "evidence-collector"
_KEPT = 24  # clients of one target; some 2 MB each
_RULES = 48  # entries of the loader, three for each service; a quarter of a megabyte for each service
_MODELS = Path(__file__).parent / "generated" / "models"  # cut by tools/generate_aws_models.py
_POOL = 32  # connections to one service at the same time


def home(arn: str) -> str:
    """The region in which an ARN's partition keeps what belongs to whole accounts."""
    return _HOMES.get(arn.split(":")[1] if ":" in arn else "aws", "us-east-1")


class Login:
    """Whose credentials are used: a profile of the AWS configuration, and a role to assume with it."""

    def __init__(self, profile: str = "", role: str = "", external_id: str = "") -> None:
        self.profile, self.role, self.external_id = profile, role, external_id

    @property
    def params(self) -> dict[str, str]:
        """How calls name it."""
        return ({"@role": self.role} if self.role else {}) | (
            {"@profile": self.profile} if self.profile else {}
        )

    @property
    def account(self) -> str:
        """The account that the role lies in; "" where only asking tells."""
        return self.role.split(":")[4] if self.role.count(":") >= 5 else ""


@cache
def _loader() -> Any:
    import botocore
    import orjson
    from botocore.loaders import JSONFileLoader, Loader
    from isal import igzip

    own = Path(botocore.__file__).parent / "data"

    class Quick(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
        """Reads models in a fifth of the time, and those of services as far as they are asked."""

        def load_file(self, file_path: str) -> Any:
            """botocore's hook. A model that users have put in place of its own is read as it is."""
            path = Path(file_path)
            if path.name == "service-2" and path.parents[2] == own:
                cut = _MODELS / f"{path.parts[-3]}.json"
                if cut.is_file():
                    return orjson.loads(cut.read_bytes())
            return super().load_file(file_path)

        def _load_file(self, full_path: str, open_method: Any) -> Any:  # noqa: ARG002 - botocore's signature
            path = Path(full_path)
            if not path.is_file():
                return None
            data = path.read_bytes()
            return orjson.loads(igzip.decompress(data) if path.suffix == ".gz" else data)

    class Few(dict[Any, Any]):
        """All that was read, but of the rules of endpoints the last: one region needs them once each."""

        def __init__(self) -> None:
            self._rules: deque[Any] = deque()

        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, value)
            if any("endpoint-rule-set" in str(part) for part in key[1:]) and isinstance(value, (dict, tuple)):
                self._rules.append(key)
            while len(self._rules) > _RULES:
                self.pop(self._rules.popleft(), None)

    loader = Loader(file_loader=Quick())
    loader._cache = Few()
    return loader


def _made(profile: str) -> Session:
    """A session with our loader, and without the half of botocore's hooks that is for documentation: each
    client copies them all."""
    import botocore.session
    from botocore.hooks import HierarchicalEmitter

    class Silent(HierarchicalEmitter):  # type: ignore[misc]
        """Takes no hooks for documentation."""

        def _register_section(self, event_name: str, *given: Any, **named: Any) -> None:
            if not event_name.startswith("docs."):
                super()._register_section(event_name, *given, **named)

    made = botocore.session.Session(profile=profile or None, event_hooks=Silent())
    made.register_component("data_loader", _loader())
    made.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return made


def _moment(value: Any) -> datetime:
    """A time in an answer; most are in the one form that need not be guessed, as botocore does for all."""
    from botocore.utils import parse_timestamp

    if isinstance(value, str) and value[10:11] == "T" and value[-1:] == "Z":
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    found: datetime = parse_timestamp(value)
    return found


@cache
def _plain(profile: str) -> Session:
    return _made(profile)


_lock = threading.RLock()


def session(login: Login) -> Session:
    """The session of a login; a role is assumed when a call first needs it, and again before it expires."""
    with _lock:  # botocore's sessions are not made for threads
        return _assumed(login.profile, login.role, login.external_id) if login.role else _plain(login.profile)


@cache
def _assumed(profile: str, role: str, external_id: str) -> Session:
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    base = _plain(profile)
    extra = {"RoleSessionName": _SESSION_NAME} | ({"ExternalId": external_id} if external_id else {})
    region = base.get_config_variable("region") or home(role)
    create = partial(base.create_client, region_name=region)
    fetcher = AssumeRoleCredentialFetcher(create, base.get_credentials(), role, extra_args=extra)
    made = _made(profile)
    made._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    return made


class Clients:
    """The clients of one source: one for each login, service and region, the last used of them.

    Tasks run service by service, so that a client that was not used for a while is not needed again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, str, str, str], Any] = OrderedDict()

    def get(self, login: Login, service: str, region: str, timeout: float) -> Any:
        """The client for a call; made when first asked for.

        Raises:
            botocore.exceptions.BotoCoreError: no credentials, no such profile, no endpoint.
        """
        key = (login.profile, login.role, service, region)
        with self._lock:
            if made := self._made.get(key):
                self._made.move_to_end(key)
                return made
        with _lock:  # making one takes the processor alone: threads that make some at once gain nothing
            made = self._made.get(key) or _client(session(login), service, region, timeout)
        with self._lock:
            self._made[key] = made
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)  # whoever still uses it holds it; then its connections close
        return made


def _client(made: Session, service: str, region: str, timeout: float) -> Any:
    import botocore
    from botocore.config import Config

    config = Config(
        connect_timeout=min(timeout, 5.0),
        read_timeout=timeout,
        max_pool_connections=_POOL,
        parameter_validation=False,
        retries={"total_max_attempts": 1},  # trying again, and slower, is the core's business
        # As one text: botocore puts a longer one together anew for each call, in a tenth of the call's time.
        user_agent=f"evidence-collector botocore/{botocore.__version__}",
    )
    region = region or made.get_config_variable("region") or home("")
    return made.create_client(service, region_name=region, config=config)
