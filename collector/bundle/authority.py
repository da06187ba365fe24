"""Asks time stamp authorities over HTTP (RFC 3161, section 3.4), and believes no answer unverified.

An authority is a stranger: it may be down, hang, send for ever or lie. Each is asked in a thread of its
own with one limit over all of it, so that none holds up a bundle, and a redirect is not followed: it could
lead to another scheme or into this machine's own network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from collector.bundle.stamp import MAX_STAMP, SKEW, check_answer, labels

if TYPE_CHECKING:
    from requests import Response

__all__ = ["SECONDS", "Asked", "TimeAuthority", "ask_all"]

SECONDS = 10.0
"""How long an authority may take; a run that is stopped has twice that to end."""

_QUERY = "application/timestamp-query"
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class TimeAuthority:
    """An authority to ask.

    Attributes:
        name: what its stamps are called.
        url: where it answers.
        certificates: roots, and intermediates that its answers lack, in DER.
        policy: the OID of the policy that its stamps must be under; "" for any.
    """

    name: str
    url: str
    certificates: tuple[bytes, ...]
    policy: str = ""

    def stamp(self, signature: bytes, seconds: float = SECONDS) -> bytes:
        """Ask for a stamp over a signature.

        Returns:
            The answer in DER, verified.

        Raises:
            ValueError: why there is none, in one line.
        """
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        asking = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256)
        request = asking.nonce(nonce=True).cert_request(cert_request=True).build()
        answer = _within(seconds, lambda: _post(self.url, request.as_bytes(), seconds))
        stamp = check_answer(answer, request, signature, self.certificates, self.policy)
        apart = abs(stamp.time - datetime.now(UTC))
        if apart > SKEW:
            raise ValueError(f"its clock and this machine's are {apart} apart; one of them is wrong")
        return answer


@dataclass(slots=True)
class Asked:
    """What asking authorities came to.

    Attributes:
        stamps: label to stamp.
        problems: authority to why one of its stamps is missing.
    """

    stamps: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def ask_all(authorities: Sequence[TimeAuthority], signatures: Sequence[bytes]) -> Asked:
    """Ask each authority for a stamp over each signature, all authorities at the same time."""
    asked = Asked()

    def ask(authority: TimeAuthority) -> None:
        until = monotonic() + SECONDS
        try:
            for label, signature in zip(labels(authority.name, len(signatures)), signatures, strict=True):
                asked.stamps[label] = authority.stamp(signature, max(until - monotonic(), 0.1))
        except ValueError as error:
            asked.problems[authority.name] = str(error)

    threads = [threading.Thread(target=ask, args=(each,), daemon=True) for each in authorities]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return asked


def _within(seconds: float, call: Callable[[], bytes]) -> bytes:
    """What a call gives, if it gives it in time; it is left to itself if not, since nothing can end it."""
    answers: list[bytes] = []
    problems: list[Exception] = []

    def run() -> None:
        try:
            answers.append(call())
        except Exception as error:  # noqa: BLE001 - handed to the caller
            problems.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if answers:
        return answers[0]
    if problems and isinstance(problems[0], ValueError):
        raise problems[0]
    if problems:
        raise ValueError(_reason(problems[0])) from problems[0]
    raise ValueError(f"no answer within {seconds:.0f} seconds")


def _post(url: str, query: bytes, seconds: float) -> bytes:
    import requests

    until = monotonic() + seconds
    with requests.post(
        url,
        data=query,
        headers=_headers(),
        auth=lambda request: request,  # requests would else look into ~/.netrc, and many speak plain HTTP
        timeout=seconds,
        allow_redirects=False,
        stream=True,
    ) as response:
        if response.is_redirect:
            raise ValueError("it answers with a redirect, which is not followed; name where it leads")
        if response.status_code != requests.codes.ok:
            raise ValueError(f"it answers with HTTP status {response.status_code}")
        return _body(response, until)


def _headers() -> Mapping[str, str]:
    # Plain bytes, so that the limit on size is one on what is received.
    return {"Content-Type": _QUERY, "Accept": "application/timestamp-reply", "Accept-Encoding": "identity"}


def _body(response: Response, until: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > MAX_STAMP:
            raise ValueError(f"its answer is larger than {MAX_STAMP} bytes")
        if monotonic() > until:
            raise ValueError("its answer takes too long")
    return bytes(body)


def _reason(error: Exception) -> str:
    """One line without the address, which is named where the line is shown."""
    import requests

    match error:
        case requests.exceptions.SSLError():
            return "TLS fails: its certificate does not verify, or it speaks no TLS that this machine does"
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.ConnectionError():
            return "cannot be reached"
    return f"cannot be asked: {type(error).__name__}"
