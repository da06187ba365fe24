"""What the store answers, as the sink contract has it: refused for good, or perhaps later.

S3's error codes: Amazon S3 API Reference, "Error responses".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collector.model import SinkRefused, SinkTaken, SinkUnreadable

__all__ = ["code_of", "reading", "told"]

_MAX_LINE = 300
_LATER = frozenset(
    (
        "ExpiredToken ExpiredTokenException TokenRefreshRequired RequestTimeTooSkewed RequestTimeout "
        "SlowDown NoSuchUpload Throttling ThrottlingException RequestLimitExceeded"
    ).split()
)
_CONFLICT = 409  # another write to the key was under way
_TOO_MANY = 429
_SERVER = 500
_FOR_GOOD = frozenset("ProfileNotFound NoRegionError ParamValidationError InvalidRegionError".split())


def code_of(error: Any) -> str:
    """The code of a botocore ClientError; for HEAD, which has no body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what botocore raises into SinkRefused, SinkTaken or OSError: one line that begins with `what`."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _answer(what, error) from error
    except (BotoCoreError, HTTPError) as error:
        line = _line(what, type(error).__name__, str(error))
        raise (SinkRefused(line) if type(error).__name__ in _FOR_GOOD else OSError(line)) from error


@contextmanager
def reading(what: str, key: str) -> Iterator[None]:
    """As `told`, for what write-only credentials may not do.

    Raises:
        SinkUnreadable: the credentials may not. Where they may not list either, the answer is the same
            for a key that is not there.
        FileNotFoundError: nothing is stored under the key.
    """
    from botocore.exceptions import ClientError

    with told(what):
        try:
            yield
        except ClientError as error:
            if code_of(error) in ("AccessDenied", "403"):
                raise SinkUnreadable(_line(what, code_of(error), "these credentials may not read")) from error
            if code_of(error) in ("NoSuchKey", "404"):
                raise FileNotFoundError(f"{key}: nothing is stored under this key") from error
            raise


def _answer(what: str, error: Any) -> Exception:
    code = code_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    line = _line(what, code, str(error.response.get("Error", {}).get("Message", "")))
    if code in ("PreconditionFailed", "412"):
        return SinkTaken(f"{what}: something is stored under this key already, and it stays")
    if code in _LATER or status in (_CONFLICT, _TOO_MANY) or status >= _SERVER:
        return OSError(line)
    return SinkRefused(line)


def _line(what: str, code: str, message: str) -> str:
    return " ".join(f"{what}: {code}: {message}".split())[:_MAX_LINE]
