"""One request through boto3, and its answer as plain data.

Times become `2026-11-24T02:00:03Z`, bytes base64; what botocore adds (`ResponseMetadata`) and page tokens
are left out. Where an operation has pages, the parameters of the next one are worked out as botocore's
paginators do.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from collector.model import CallFailed, ConfigError, Json, Reply
from collector_aws import errors, paths
from collector_aws.catalogue import Paging, Service, catalogue
from collector_aws.sessions import Clients, Login

__all__ = ["plain", "send"]


def send(
    clients: Clients, login: Login, region: str, op: str, params: Mapping[str, Json], timeout: float
) -> Reply:
    """Ask one page of `service:Operation`.

    Parameters that begin with `@` are ours: `@last` gives StartTime as so many seconds ago.

    Raises:
        CallFailed: with a word of `errors.ERRORS`, or AWS's own code.
        TimeoutError, ConnectionError: as they say.
        ConfigError: the profile does not exist.
    """
    service, _, action = op.partition(":")
    asked = {name: value for name, value in params.items() if not name.startswith("@")}
    if "@last" in params:
        started = datetime.fromtimestamp(int(time.time() - float(params["@last"])), UTC)
        asked["StartTime"] = _moment(started)
        params = {name: value for name, value in params.items() if name != "@last"} | {
            "StartTime": asked["StartTime"]  # the same for each page
        }
    known = _known(service)
    absent = known.absent.get(op, ()) if known else ()
    with _translated(absent):
        answer = _answered(clients.get(login, service, region, timeout), action, asked)
    meta = answer.pop("ResponseMetadata", {})
    length = meta.get("HTTPHeaders", {}).get("content-length", "0")
    paging = known.paging.get(op) if known else None
    following = _following(paging, params, answer) if paging else None
    data = {name: plain(value) for name, value in answer.items() if not _token(paging, name)}
    return Reply(data, items=_counted(data), next=following, size=int(length) if length.isdigit() else 0)


def _answered(client: Any, action: str, asked: Mapping[str, Json]) -> dict[str, Any]:
    """What botocore makes of an answer; it trusts that AWS keeps to its models, and breaks over the rest."""
    from botocore import xform_name

    ask = getattr(client, xform_name(action))
    try:
        answer: dict[str, Any] = ask(**asked)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise CallFailed("unreadable", f"not of the form that was due: {type(error).__name__}") from None
    return answer


@cache
def _known(service: str) -> Service | None:
    """What the catalogue says of a service; two of its files may be about one."""
    found = [each for each in catalogue().values() if each.name == service]
    if not found:
        return None
    paging = {op: each for one in found for op, each in one.paging.items()}
    absent = {op: each for one in found for op, each in one.absent.items()}
    return Service(service, (), paging, absent)


def plain(value: Json) -> Json:
    """What botocore parsed as what JSON can hold."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    return value


def _moment(value: datetime) -> str:
    moment = value.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds") + "Z"


def _following(
    paging: Paging, params: Mapping[str, Json], answer: Mapping[str, Json]
) -> dict[str, Json] | None:
    if paging.more and not paths.value(answer, paging.more):
        return None
    tokens = {name: plain(token) for name, path in paging.tokens if (token := _last(answer, path))}
    if paging.more and not tokens:
        raise CallFailed("truncated", "the answer says that there is more, and not how to ask for it")
    if tokens and all(params.get(name) == token for name, token in tokens.items()):
        raise CallFailed("truncated", "the answer leads to the page that was asked for, again and again")
    return {**params, **tokens} if tokens else None


def _last(answer: Mapping[str, Json], path: str) -> Json:
    """A token; `A || B[-1].C` as botocore writes it: the first that there is."""
    for each in path.split(" || "):
        *way, end = each.split("[-1].") if "[-1]." in each else (each,)
        found = answer
        for step in way:
            listed = paths.value(found, step)
            found = listed[-1] if listed else {}
        if token := paths.value(found, end):
            return token
    return None


def _token(paging: Paging | None, name: str) -> bool:
    if paging is None:
        return False
    return name == paging.more or any(name == path for _, path in paging.tokens)


def _counted(data: Mapping[str, Json]) -> int | None:
    """How many items a page holds: those of its lists."""
    lists = [value for value in data.values() if isinstance(value, list)]
    return sum(map(len, lists)) if lists else None


@contextmanager
def _translated(absent: tuple[tuple[str, str], ...]) -> Iterator[None]:
    """Turn botocore's exceptions into those that the core knows."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _refusal(error, absent) from None
    except ResponseParserError as error:
        raise CallFailed("unreadable", str(error)) from None
    except BotoCoreError as error:
        raise _breakdown(error) from None


def _refusal(error: Any, absent: tuple[tuple[str, str], ...]) -> CallFailed:
    """AWS answered, and not as asked."""
    told = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    if error.operation_name == "AssumeRole":
        return CallFailed("login", f"AssumeRole: {code}: {message[:300]}")
    if code == "500":
        # AWS names what broke (InternalError, InternalFailure …) and that may pass. Where botocore finds no
        # name it gives the status: something else answered, or knows no such operation, and will again.
        return CallFailed("nameless", f"{code}: {message[:300]}")
    return errors.failed(code, message, status, absent)


def _breakdown(error: Exception) -> Exception:
    """Nobody answered, or there was nothing to ask with."""
    from botocore import exceptions as raised

    told = str(error)
    if isinstance(error, (raised.ConnectTimeoutError, raised.ReadTimeoutError)):
        return TimeoutError(told)
    if isinstance(error, raised.ProfileNotFound):
        return ConfigError(f"profiles: {told}")
    if isinstance(error, (raised.HTTPClientError, raised.ConnectionError)):
        return ConnectionError(told)
    if isinstance(
        error,
        (
            raised.NoCredentialsError,
            raised.PartialCredentialsError,
            raised.CredentialRetrievalError,
            raised.TokenRetrievalError,
            raised.SSOError,
        ),
    ):
        return CallFailed("login", told)
    if isinstance(error, (raised.EndpointProviderError, raised.UnknownEndpointError, raised.NoRegionError)):
        return CallFailed("no-endpoint", told)
    return CallFailed(type(error).__name__, told)
