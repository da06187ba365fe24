"""Which clusters there are, as whom they are asked, and the connections to them.

Configuration, credentials, proxies and certificates are the `kubernetes` client's own business; its pools of
connections carry every request. Programs that a kubeconfig names (`exec`, `cmd-path` of old providers) run
only where collector.toml allows it. Nothing is written back to a kubeconfig.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from collector.model import CallFailed, Json

__all__ = ["IN_CLUSTER", "Clusters", "Connection"]

IN_CLUSTER = "in-cluster"
_POOL = 32  # connections to one server at the same time
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class Connection:
    """A server's address, the pool that reaches it, and what is asked for the credentials of each request."""

    host: str
    pool: Any
    configuration: Any

    def headers(self) -> dict[str, str]:
        """The header that says who asks; tokens that run out are renewed by the client.

        Raises:
            CallFailed: there is no token any more, or it is none that a header can hold.
        """
        try:
            with _unsaid():
                bearer = self.configuration.auth_settings().get("BearerToken")
        except Exception as error:  # noqa: BLE001 - the client runs on whatever files and programs say
            raise CallFailed("login", _line(error)) from None
        value = str(bearer["value"] or "").strip() if bearer else ""
        if not (value.isascii() and value.isprintable()):
            raise CallFailed("login", "the token holds characters that no token can have")
        return {"Authorization": value} if value else {}


class Clusters:
    """The clusters of one `[[source]]` table. Nothing is read before it is needed."""

    def __init__(self, kubeconfig: str, contexts: tuple[str, ...], programs: bool) -> None:
        self._kubeconfig = kubeconfig
        self._contexts = contexts
        self._programs = programs
        self._made: dict[str, Connection] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Contexts to ask, or IN_CLUSTER.

        Raises:
            ValueError: no configuration is there, or it has no such context.
        """
        if not self._kubeconfig and not self._contexts and not _given() and _inside():
            return [IN_CLUSTER]
        known, current = self._known()
        if missing := [name for name in self._contexts if name not in known]:
            raise ValueError(
                f"contexts: the kubeconfig has no context {missing[0]!r}; it has {', '.join(sorted(known))}"
            )
        return list(dict.fromkeys(self._contexts or (current,)))

    def principal(self, name: str) -> str:
        """As whom a cluster is asked, as far as its credentials tell without asking."""
        if name == IN_CLUSTER:
            with suppress(OSError):  # that it cannot be read is said by the connection, which needs it
                return _subject(_ACCOUNT.read_text()) or "service account"
            return "service account"
        user = self._user(name)
        inner = _table(user, "user")
        return (
            _subject(str(inner.get("token") or ""))
            or _common_name(str(inner.get("client-certificate-data") or ""))
            or str(user.get("name") or "nobody")
        )

    def connection(self, name: str) -> Connection:
        """The connection to a cluster; made when first asked for.

        Raises:
            CallFailed: the credentials cannot be used.
        """
        with self._lock:
            if name not in self._made:
                self._made[name] = self._connect(name)
            return self._made[name]

    def _connect(self, name: str) -> Connection:
        from kubernetes import client

        configuration = client.Configuration()
        try:
            self._log_in(name, configuration)
            configuration.connection_pool_maxsize = _POOL
            api = client.ApiClient(configuration)
        except Exception as error:  # noqa: BLE001 - the client runs on whatever a kubeconfig says
            raise CallFailed("login", f"context {name}: {_line(error)}") from None
        return Connection(configuration.host, api.rest_client.pool_manager, configuration)

    def _log_in(self, name: str, configuration: Any) -> None:
        from kubernetes import config

        if name == IN_CLUSTER:
            config.load_incluster_config(configuration)
            return
        program = self._program(name)
        with _unsaid():
            config.load_kube_config(
                self._kubeconfig or None, name, client_configuration=configuration, persist_config=False
            )
        if program and not (configuration.api_key or configuration.cert_file):
            raise ValueError("the program that its user runs to log in gave no credentials")

    def _program(self, name: str) -> bool:
        """Whether a program logs in; one that is not allowed is no reason to ask as nobody."""
        inner = _table(self._user(name), "user")
        runs = "exec" in inner or "cmd-path" in _table(_table(inner, "auth-provider"), "config")
        if runs and not self._programs:
            raise ValueError("its user runs a program to log in; exec = true in [[source]] allows that")
        return runs

    def _known(self) -> tuple[list[str], str]:
        merged = self._merged
        known = [str(each["name"]) for each in merged["contexts"]]
        current = str(merged.get("current-context") or "")
        if not self._contexts and current not in known:
            raise ValueError("kubeconfig: it names no current context; give contexts = […]")
        return known, current

    def _user(self, context: str) -> Mapping[str, Json]:
        merged = self._merged
        told: Mapping[str, Json] = next((each for each in merged["contexts"] if each["name"] == context), {})
        wanted = _table(told, "context").get("user")
        return next((each for each in merged["users"] if each["name"] == wanted), {})

    @cached_property
    def _merged(self) -> dict[str, Any]:
        """What all files of the kubeconfig say together; the first to name something counts.

        Read once: with the certificates of forty clusters in it, reading takes a tenth of a second.
        """
        import yaml

        merged: dict[str, Any] = {"contexts": [], "users": []}
        paths = [Path(path).expanduser() for path in (self._kubeconfig or _usual()).split(os.pathsep) if path]
        found = [path for path in paths if path.exists()]
        if not found:
            raise ValueError(f"kubeconfig: there is no file {', '.join(map(str, paths))}")
        for path in found:
            try:
                told = yaml.safe_load(path.read_text())
                for part in ("contexts", "users"):
                    merged[part] += [each for each in told.get(part) or () if each["name"]]
                merged.setdefault("current-context", told.get("current-context"))
            except OSError as error:
                raise ValueError(f"kubeconfig: {path}: it cannot be read: {error.strerror}") from None
            except yaml.MarkedYAMLError as error:
                line = error.problem_mark.line + 1 if error.problem_mark else 1
                raise ValueError(f"kubeconfig: {path}, line {line}: it is no YAML: {error.problem}") from None
            except (UnicodeDecodeError, yaml.YAMLError):
                raise ValueError(f"kubeconfig: {path}: it is no text in YAML") from None
            except (AttributeError, TypeError, KeyError):
                why = "it has no lists of contexts and users with names"
                raise ValueError(f"kubeconfig: {path}: {why}") from None
        return merged


class _NotTheClients(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.module != "kube_config"


@contextmanager
def _unsaid() -> Iterator[None]:
    """While it lasts, the client does not log what a program that logs in said of its failure.

    That may be the credentials. A handler must be there meanwhile: the client logs by `logging.error`, which
    would set one up for good.
    """
    root, quiet, none = logging.getLogger(), _NotTheClients(), logging.NullHandler()
    root.addFilter(quiet)
    root.addHandler(none)
    try:
        yield
    finally:
        root.removeHandler(none)
        root.removeFilter(quiet)


def _table(told: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    """A member that should be a map; an empty one where it is something else."""
    found = told.get(key)
    return found if isinstance(found, dict) else {}


def _usual() -> str:
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def _given() -> bool:
    return any(Path(path).expanduser().exists() for path in _usual().split(os.pathsep) if path)


def _inside() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and _ACCOUNT.exists()


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _subject(token: str) -> str:
    """The `sub` of a JSON web token (RFC 7519), read and not verified: the server does that."""
    parts = token.strip().split(".")
    if len(parts) != 3:
        return ""
    try:
        return str(json.loads(base64.urlsafe_b64decode(parts[1] + "=="))["sub"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return ""


def _common_name(data: str) -> str:
    """The common name of a client certificate: what Kubernetes takes for the user's name."""
    if not data:
        return ""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(base64.b64decode(data))
        return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    except (ValueError, IndexError, binascii.Error):
        return ""
