"""A server that passes all on to a real cluster, so that one of its answers can be made to fail."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import urllib3

__all__ = ["Between"]

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


def _beside(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(
        f"kubernetes_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec and spec.loader
    if spec.name not in sys.modules:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
    return sys.modules[spec.name]


_answers = _beside("answers")


class Between(_answers.Server):
    """Passes everything on to a real cluster, as its `admin` or with a certificate of an account's.

    A token or none, as the request has it, where `as_admin` is False and no certificate is given.
    """

    def __init__(
        self, cluster: Any, certificate: tuple[Path, Path] | None = None, *, as_admin: bool = True
    ) -> None:
        cert, key = map(str, certificate) if certificate else (None, None)
        self._target = cluster.url
        self._headers = dict(cluster.admin.headers) if as_admin and not certificate else {}
        self._keeps = not (as_admin or certificate)
        self._pool = urllib3.PoolManager(
            64, ca_certs=str(cluster.authority), cert_file=cert, key_file=key, retries=False, timeout=60
        )
        super().__init__()

    def close(self) -> None:
        super().close()
        self._pool.clear()

    def answer(self, asked: Any) -> Any:
        drop = _HOP if self._keeps else _HOP | {"authorization"}
        headers = {name: value for name, value in asked.headers.items() if name not in drop}
        told = self._pool.request(
            asked.method,
            self._target + asked.target,
            body=asked.body or None,
            headers={**headers, **self._headers},
            decode_content=False,
        )
        kept = {name: value for name, value in told.headers.items() if name.lower() not in _HOP}
        return _answers.Answer(told.status, told.data, kept)
