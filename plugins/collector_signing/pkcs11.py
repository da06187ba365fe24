"""Signs in a token, through its PKCS#11 module (OASIS PKCS #11 v3.0); imported when it is used.

securesystemslib's own signer for tokens takes the module from an environment variable, one for the
whole process, and knows no Ed25519; this one takes its options.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import PyKCS11  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from securesystemslib.signer import Key, Signature, SSlibKey

from collector.model import ConfigError, Json
from collector_signing.made import Made

__all__ = ["TokenSigner"]

_P256 = bytes.fromhex("06082a8648ce3d030107")  # the object identifier prime256v1 in DER
_WANTED = "must be Ed25519 or on P-256"

Result = TypeVar("Result")


class TokenSigner(Made):
    """A key in a token. Each signature is a session of its own, closed again at once.

    Raises:
        ConfigError: module, token, PIN or key do not fit.
    """

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._settings = settings
        self._which = _template(settings)
        self._library = PyKCS11.PyKCS11Lib()
        self._public = _apart(self._looked_up)

    @property
    def public_key(self) -> Key:
        """The key's public half."""
        return self._public

    def sign(self, payload: bytes) -> Signature:
        """Sign in the token: the whole payload with Ed25519, its SHA-256 with ECDSA."""
        return Signature(self._public.keyid, _apart(lambda: self._signed(payload)).hex())

    def _looked_up(self) -> SSlibKey:
        try:
            self._library.load(self._settings["module"])
        except PyKCS11.PyKCS11Error:
            raise ConfigError(f"[sign] module: {self._settings['module']}: no PKCS#11 library") from None
        with self._session() as session:
            self._find(session, PyKCS11.CKO_PRIVATE_KEY)
            return _public(session, self._find(session, PyKCS11.CKO_PUBLIC_KEY))

    def _signed(self, payload: bytes) -> bytes:
        with self._session() as session:
            private = self._find(session, PyKCS11.CKO_PRIVATE_KEY)
            if self._public.keytype == "ed25519":
                return bytes(session.sign(private, payload, PyKCS11.Mechanism(PyKCS11.CKM_EDDSA, None)))
            digest = hashlib.sha256(payload).digest()
            raw = bytes(session.sign(private, digest, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA, None)))
            half = len(raw) // 2  # r and s, of equal length (PKCS #11 v3.0, 2.3.1)
            return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

    @contextmanager
    def _session(self) -> Iterator[Any]:
        try:
            session = self._library.openSession(self._slot())
            try:
                self._log_in(session)
                yield session
            finally:
                with suppress(PyKCS11.PyKCS11Error):
                    session.closeSession()
        except PyKCS11.PyKCS11Error as error:
            raise ConfigError(f"[sign] token: {error}") from None

    def _log_in(self, session: Any) -> None:
        try:
            session.login(self._settings["pin"])
        except PyKCS11.PyKCS11Error as error:
            if error.value == PyKCS11.CKR_USER_ALREADY_LOGGED_IN:
                return
            # Said once and not tried again: a token locks itself after a few wrong PINs.
            raise ConfigError(f"[sign] pin: the token refuses it: {error}") from None

    def _slot(self) -> Any:
        wanted = self._settings.get("token")
        slots = {}
        for slot in self._library.getSlotList(tokenPresent=True):
            info = self._library.getTokenInfo(slot)
            if info.flags & PyKCS11.CKF_TOKEN_INITIALIZED:
                slots[slot] = str(info.label).strip("\0 ")
        fitting = [slot for slot, label in slots.items() if wanted in (None, label)]
        if len(fitting) != 1:
            there = ", ".join(slots.values()) or "none"
            raise ConfigError(f"[sign] token: {len(fitting)} tokens fit, it must be one; there are: {there}")
        return fitting[0]

    def _find(self, session: Any, kind: int) -> Any:
        found = session.findObjects([(PyKCS11.CKA_CLASS, kind), *self._which])
        if len(found) != 1:
            half = "private" if kind == PyKCS11.CKO_PRIVATE_KEY else "public"
            raise ConfigError(f"[sign] key: {len(found)} {half} keys in the token fit, it must be one")
        return found[0]


def _apart(work: Callable[[], Result]) -> Result:
    """Use the token in a thread of its own: a module that shares the process's OpenSSL leaves errors in the
    thread's queue, which the next TLS connection that is read there takes for its own."""
    with ThreadPoolExecutor(1, thread_name_prefix="token") as pool:
        return pool.submit(work).result()


def _template(settings: Mapping[str, Json]) -> list[tuple[int, Any]]:
    label, id_ = settings.get("key"), settings.get("id")
    if label is None and id_ is None:
        raise ConfigError("[sign]: `key` (a label) or `id` must say which key of the token signs")
    template: list[tuple[int, Any]] = []
    if label is not None:
        template.append((PyKCS11.CKA_LABEL, label))
    if id_ is not None:
        try:
            template.append((PyKCS11.CKA_ID, tuple(binascii.unhexlify(id_))))
        except ValueError:
            raise ConfigError("[sign] id: must be hexadecimal digits, two a byte") from None
    return template


def _public(session: Any, handle: Any) -> SSlibKey:
    attributes = [PyKCS11.CKA_KEY_TYPE, PyKCS11.CKA_EC_PARAMS, PyKCS11.CKA_EC_POINT]
    kind, curve, point = session.getAttributeValue(handle, attributes)
    if kind not in (PyKCS11.CKK_EC, PyKCS11.CKK_EC_EDWARDS):
        raise ConfigError(f"[sign] key: is of another kind; it {_WANTED}")
    data = _unwrapped(bytes(point))
    try:
        if kind == PyKCS11.CKK_EC_EDWARDS:
            return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(data))
        if bytes(curve) != _P256:
            raise ConfigError(f"[sign] key: is on another curve; it {_WANTED}")
        return SSlibKey.from_crypto(EllipticCurvePublicKey.from_encoded_point(SECP256R1(), data))
    except ValueError:
        raise ConfigError(f"[sign] key: not a point of its curve; it {_WANTED}") from None


def _unwrapped(point: bytes) -> bytes:
    """A point without the DER OCTET STRING that the standard puts around it and some tokens leave out."""
    wrapped = len(point) > 2 and point[0] == 4 and point[1] == len(point) - 2
    return point[2:] if wrapped else point
