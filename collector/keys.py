"""The secret key at home, and what is derived from it.

`secret.key` holds 32 bytes that never leave the machine. Salts, redaction digests, pseudonyms and
answer digests are HMAC-SHA-256 under keys derived from it by HKDF (RFC 5869, SHA-256, no salt, the
label as info), so that nobody who holds a bundle can test a guess, and each purpose has its own key.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from collector.model import ConfigError

__all__ = ["Keys", "create_secret", "create_whole", "load_secret", "read_private"]

SECRET_BYTES = 32
_DIGEST_HEX = 32
_NO_LINKS = frozenset((errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP))  # of file systems such as FAT
_NO_WAIT = os.O_NONBLOCK  # opening a named pipe would else wait for who writes into it


def _hkdf(secret: bytes, label: str) -> bytes:
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(pseudorandom, label.encode() + b"\x01", "sha256")


@dataclass(frozen=True, slots=True)
class Keys:
    """The four working keys and the id by which a statement names their origin."""

    secret: bytes = field(repr=False)
    salt: bytes = field(init=False, repr=False)
    redact: bytes = field(init=False, repr=False)
    person: bytes = field(init=False, repr=False)
    answer: bytes = field(init=False, repr=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ConfigError(f"secret key: {len(self.secret)} bytes, must be {SECRET_BYTES}")
        for label in ("salt", "redact", "person", "answer"):
            object.__setattr__(self, label, _hkdf(self.secret, label))
        object.__setattr__(self, "id", hashlib.sha256(_hkdf(self.secret, "id")).hexdigest()[:16])

    def redaction(self, value: str) -> str:
        """What is written in place of a secret: `hmac:` and 128 bits."""
        return "hmac:" + hmac.digest(self.redact, value.encode(), "sha256").hex()[:_DIGEST_HEX]

    def pseudonym(self, value: str) -> str:
        """What is written in place of a name or mail address, equal for equal people.

        Case and surrounding space do not count, so that one person has one pseudonym.
        """
        return (
            "person:" + hmac.digest(self.person, value.strip().lower().encode(), "sha256").hex()[:_DIGEST_HEX]
        )

    def configuration_digest(self, sha256: str) -> str:
        """What a statement says of the configuration, from its own SHA-256: it tells two apart, and no guess.

        A partial bundle shows the statement, whose reader would else try roles, hosts and stores.
        """
        return hmac.digest(self.salt, b"configuration " + sha256.encode(), "sha256").hex()

    def answer_digest(self, canonical: bytes) -> str:
        """The digest of a parsed answer, as the ledger holds it."""
        return "hmac:" + hmac.digest(self.answer, canonical, "sha256").hex()


def read_private(path: Path) -> bytes:
    """Read a file that must belong to this user and be closed to everyone else.

    Raises:
        ConfigError: it is missing, a symbolic link, someone else's, or open to others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | _NO_WAIT)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such key file; `collector init` makes one") from None
    except OSError as error:
        why = "a symbolic link, which is refused" if path.is_symlink() else error.strerror
        raise ConfigError(f"{path}: {why}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ConfigError(f"{path}: not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_uid != os.geteuid():
            raise ConfigError(f"{path}: belongs to uid {status.st_uid}, must belong to uid {os.geteuid()}")
        if status.st_mode & 0o077:
            raise ConfigError(f"{path}: mode {status.st_mode & 0o777:04o}, must be 0600 (chmod 600 it)")
        return file.read()


def create_secret(path: Path) -> None:
    """Write a new secret key, mode 0600. Raises FileExistsError rather than replace one."""
    create_whole(path, os.urandom(SECRET_BYTES), 0o600)


def create_whole(path: Path, data: bytes, mode: int) -> None:
    """Write a new file that is there whole or not at all, whenever the process ends.

    What a process that was killed leaves has a name of its own that begins with a dot, and is read by nobody.

    Raises:
        FileExistsError: something stands there; it is not replaced.
        OSError: it cannot be written.
    """
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _named(made, path)
    finally:
        made.unlink(missing_ok=True)


def _named(made: Path, path: Path) -> None:
    try:
        path.hardlink_to(made)  # a rename would replace what is there
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(f"{path} exists") from None
        made.rename(path)


def load_secret(path: Path) -> Keys:
    """Load the secret key. Raises ConfigError as `read_private` does, or for a wrong length."""
    return Keys(read_private(path))
