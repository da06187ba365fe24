"""One connection to an SFTP server, made when it is first needed.

The server is who `known_hosts` or a pinned fingerprint says, or nothing is sent to it; a key is never
added on the way. What goes wrong is told as the sink contract has it: OSError for what may work later,
SinkRefused for what will not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.hookspecs import read_private
from collector.model import ConfigError, Json, SinkRefused

__all__ = ["Connection", "fingerprint", "fsync", "is_lost"]

_EXTENDED = 200  # SSH_FXP_EXTENDED, draft-ietf-secsh-filexfer-02 section 3


def fingerprint(key: bytes) -> str:
    """The fingerprint of a public key's wire form, as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def is_lost(error: OSError) -> bool:
    """Whether the connection went, rather than the server said no; paramiko has no class for it."""
    return isinstance(error, (ConnectionError, TimeoutError)) or str(error) == "Socket is closed"


class Connection:
    """Connects late, again where the connection was lost, and closes with the object."""

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._settings = settings
        self._client: Any = None
        self._files: Any = None
        self._end: weakref.finalize[[], Connection] | None = None

    @contextmanager
    def files(self) -> Iterator[Any]:
        """A paramiko SFTPClient, and its exceptions in the words of the contract.

        Raises:
            SinkRefused: the server is not who it should be, or does not let us in.
            OSError: it could not be reached, went away, or did not do what was asked.
        """
        import paramiko

        try:
            yield self._opened()
        except paramiko.AuthenticationException:
            self.close()
            raise SinkRefused("the server does not accept this user's key or password") from None
        except (paramiko.SSHException, paramiko.SFTPError, EOFError) as error:
            self.close()
            raise ConnectionError(
                f"the connection was lost: {str(error) or 'closed by the server'}"
            ) from None
        except TimeoutError:
            self.close()
            raise TimeoutError(f"no answer within {self._settings['timeout']:g} s") from None
        except OSError as error:
            if not is_lost(error):
                raise
            self.close()
            if error.errno is not None:
                raise
            raise ConnectionError(f"the connection was lost: {error}") from None

    def close(self) -> None:
        """Leave; the next use connects again."""
        if self._end is not None:
            self._end()
        self._client = self._files = self._end = None

    def _opened(self) -> Any:
        if self._files is not None and self._client.get_transport().is_active():
            return self._files
        self.close()
        self._client = self._connected()
        # Closed with this object: its threads would else outlive it.
        self._end = weakref.finalize(self, self._client.close)
        self._files = self._client.open_sftp()
        self._files.get_channel().settimeout(self._settings["timeout"])
        return self._files

    def _connected(self) -> Any:
        import paramiko

        timeout = self._settings["timeout"]
        identity = self._identity()
        client = paramiko.SSHClient()
        self._trust(client)
        address = (self._settings["host"], self._settings["port"])
        try:
            client.connect(
                *address,
                username=self._settings["user"],
                sock=_reach(address, timeout),
                timeout=timeout,
                banner_timeout=timeout,
                auth_timeout=timeout,
                channel_timeout=timeout,
                look_for_keys=False,
                allow_agent=bool(self._settings.get("agent")),
                **identity,
            )
        except paramiko.BadHostKeyException as error:
            client.close()
            raise SinkRefused(
                f"the host key has changed: the server shows {fingerprint(error.key.asbytes())}, known is "
                f"{fingerprint(error.expected_key.asbytes())}; nothing was sent"
            ) from None
        except BaseException:
            client.close()
            raise
        return client

    def _identity(self) -> dict[str, Any]:
        """How to log in; a key file must be this user's alone, as ssh has it too."""
        import paramiko

        if (password := self._settings.get("password")) is not None:
            return {"password": password}
        if (path := self._settings.get("key")) is None:
            return {}
        try:
            read_private(Path(path))
            return {"pkey": paramiko.PKey.from_path(path, self._settings.get("passphrase"))}
        except ConfigError as error:
            raise SinkRefused(str(error)) from None
        except (paramiko.SSHException, ValueError, TypeError) as error:
            raise SinkRefused(f"{path}: no private key that can be used: {error}") from None

    def _trust(self, client: Any) -> None:
        pinned: list[str] = self._settings.get("host_key") or []
        known = Path(self._settings["known_hosts"])
        client.set_missing_host_key_policy(_pin(pinned, known))
        if pinned or not known.exists():
            return
        try:
            lines = known.read_text(errors="replace").splitlines()
        except OSError as error:
            raise SinkRefused(f"{known}: cannot be read: {error.strerror}") from None
        _add_known(client.get_host_keys(), lines)


def _add_known(trusted: Any, lines: list[str]) -> None:
    """Read known_hosts, sshd(8); paramiko's own reader stops at lines with a marker.

    A key that is marked as revoked does not count for any host, nor do certificate authorities.
    """
    import paramiko
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

    revoked = {word for line in lines if line.startswith("@revoked") for word in line.split()}
    for line in lines:
        try:
            entry = None if line.lstrip().startswith(("#", "@")) else HostKeyEntry.from_line(line.strip())
        except (InvalidHostKey, paramiko.SSHException, ValueError):
            continue
        if entry is not None and entry.key.get_base64() not in revoked:
            for name in entry.hostnames:
                trusted.add(name, entry.key.get_name(), entry.key)


def _pin(pinned: list[str], known: Path) -> Any:
    import paramiko

    class Pinned(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko is untyped
        """Accepts a key whose fingerprint is pinned, and no other."""

        def missing_host_key(self, _client: Any, hostname: str, key: Any) -> None:
            seen = fingerprint(key.asbytes())
            if any(hmac.compare_digest(seen, each) for each in pinned):
                return
            where = "`host_key`" if pinned else str(known)
            raise SinkRefused(
                f"the host key of {hostname} is not in {where}: the server shows {key.get_name()} {seen}; "
                "add it if the server's keeper confirms it; nothing was sent"
            )

    return Pinned()


def _reach(address: tuple[str, int], timeout: float) -> socket.socket:
    try:
        return socket.create_connection(address, timeout)
    except TimeoutError:
        raise TimeoutError(f"no answer within {timeout:g} s") from None


def fsync(files: Any, file: Any) -> bool:
    """Make what was written durable; False where the server does not offer fsync@openssh.com.

    OpenSSH's PROTOCOL, section 4.5. paramiko has no public word for it.
    """
    try:
        files._request(_EXTENDED, "fsync@openssh.com", file.handle)
    except OSError as error:
        if "unsupported" in str(error).lower():
            return False
        raise
    return True
