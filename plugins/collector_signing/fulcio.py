"""Signs with a key that lives for minutes, certified by Fulcio for an OpenID identity; imported when used.

No log of signatures is written to: a stamp says when it was signed, and what was signed stays at home. What
becomes public is the certificate, in Fulcio's own log, and with it the identity and when it signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from securesystemslib.signer import Key, Signature, SSlibKey

from collector.model import ConfigError, Json
from collector_signing.made import Made

__all__ = ["CertifiedSigner"]

_PLACE = "/api/v2/signingCert"
_SECONDS = 20.0  # for one attempt; Fulcio answers within two
_MAX_ANSWER = 256 * 2**10  # three certificates and a log's promise take some five thousand bytes
_MAX_TOKEN = 64 * 2**10
_MOST = 4  # certificates that a statement may hold
_YOUNG = timedelta(minutes=2)  # of ten; what is younger signs as it is
_HERE = ("127.0.0.1", "::1", "localhost")


class CertifiedSigner(Made):
    """A new key on P-256, and its certificate.

    Attributes:
        certificates: in PEM, the key's own first, without the root.

    Raises:
        ConfigError: there is no identity token, or Fulcio does not certify.
    """

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._settings = settings
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._public = SSlibKey.from_crypto(self._key.public_key())
        self._made = datetime.now(UTC)
        self.certificates = _certificates(settings, self._key)

    @property
    def public_key(self) -> Key:
        """The key's public half."""
        return self._public

    def sign(self, payload: bytes) -> Signature:
        """Sign with ECDSA and SHA-256."""
        made = self._key.sign(payload, ec.ECDSA(hashes.SHA256()))
        return Signature(self._public.keyid, made.hex())

    def renewed(self) -> CertifiedSigner:
        """This one while it is young; else a new one, since its certificate will not hold until the stamp."""
        young = datetime.now(UTC) - self._made < _YOUNG
        return self if young else CertifiedSigner(self._settings)


def _certificates(settings: Mapping[str, Json], key: ec.EllipticCurvePrivateKey) -> tuple[str, ...]:
    token = _token(settings.get("token_file"))
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    asked = base64.b64encode(request.public_bytes(Encoding.PEM)).decode()
    answer = _asked(settings, token, {"certificateSigningRequest": asked})
    try:
        kinds = ("signedCertificateEmbeddedSct", "signedCertificateDetachedSct")
        (said,) = [answer[kind] for kind in kinds if kind in answer]
        found = [x509.load_pem_x509_certificate(each.encode()) for each in said["chain"]["certificates"]]
        ours = found[0].public_key() == key.public_key()
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ConfigError("[sign] fulcio: its answer holds no certificates") from None
    if not ours:
        raise ConfigError("[sign] fulcio: it certifies another key than the one that it was asked for")
    below = [each for each in found if each.issuer != each.subject]
    if len(below) > _MOST:
        raise ConfigError(f"[sign] fulcio: {len(below)} certificates below the root, at most {_MOST}")
    return tuple(each.public_bytes(Encoding.PEM).decode() for each in below)


def _token(file: str | None) -> str:
    """The identity token. It is read again for each certificate, since whoever gives it renews it."""
    if file is None:
        return _ambient()
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(_MAX_TOKEN + 1)
        token = data.decode("ascii").strip()
    except OSError as error:
        raise ConfigError(f"[sign] token_file: {error.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if not token or len(data) > _MAX_TOKEN or len(token.split()) != 1:
        raise ConfigError("[sign] token_file: holds no identity token")
    return token


def _ambient() -> str:
    try:
        from sigstore.oidc import IdentityError, detect_credential
    except ImportError:
        raise ConfigError(
            '[sign] use = "sigstore" without a token_file needs sigstore: '
            "pip install 'evidence-collector[sigstore]'"
        ) from None
    try:
        token = detect_credential()
    except IdentityError as error:
        raise ConfigError(f"[sign] identity token: {' '.join(str(error).split())[:200]}") from None
    if token is None:
        raise ConfigError("[sign] no identity token: nothing around gives one; name a token_file")
    return token


def _asked(settings: Mapping[str, Json], token: str, body: Mapping[str, Json]) -> Mapping[str, Json]:
    url = str(settings.get("fulcio") or "https://fulcio.sigstore.dev")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise ConfigError("[sign] fulcio: must be https://, since it is shown an identity token")
    try:
        with requests.post(
            url.rstrip("/") + _PLACE,
            json=body,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            auth=lambda request: request,  # requests would else take what ~/.netrc has instead of the token
            timeout=_SECONDS,
            allow_redirects=False,
            stream=True,
            verify=settings.get("ca") or True,
        ) as response:
            data = response.raw.read(_MAX_ANSWER + 1, decode_content=True)
            status = response.status_code
    except (requests.RequestException, OSError) as error:
        raise ConfigError(f"[sign] fulcio: cannot be reached: {type(error).__name__}") from None
    try:
        value = json.loads(data) if len(data) <= _MAX_ANSWER else None
    except ValueError:
        value = None
    if status not in (200, 201) or not isinstance(value, dict):
        said = value.get("message") if isinstance(value, dict) else None
        why = f": {' '.join(str(said).replace(token, '…').split())[:200]}" if said else ""
        raise ConfigError(f"[sign] fulcio: it answers with HTTP status {status}{why}")
    return value
