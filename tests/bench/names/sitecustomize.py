"""Leads `ACCOUNT.127.0.0.1`, as S3 Control writes its host, to 127.0.0.1, in what a benchmark starts."""

import socket
from typing import Any

_resolve = socket.getaddrinfo


def _below(host: Any, *given: Any, **more: Any) -> Any:
    if isinstance(host, str) and host.endswith(".127.0.0.1"):
        host = "127.0.0.1"
    return _resolve(host, *given, **more)


socket.getaddrinfo = _below
