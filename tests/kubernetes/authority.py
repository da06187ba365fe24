"""Certificates for test servers and for the users that they know by certificate."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "service_account_key"]

_SAN = x509.SubjectAlternativeName(
    [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


class Authority:
    """A certificate authority whose certificate and issues lie in a folder as PEM.

    Attributes:
        certificate: the file of its own certificate.
    """

    def __init__(self, folder: Path, name: str = "test-authority") -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = folder / f"{name}.pem"
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        own = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        own = own.add_extension(usage, critical=True)
        self.certificate.write_bytes(self._signed(own))

    def server(self, name: str = "server") -> tuple[Path, Path]:
        """Certificate and key of a server on loopback."""
        return self._issue(name, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), server=True)

    def user(self, name: str, groups: tuple[str, ...] = ()) -> tuple[Path, Path]:
        """Certificate and key of a user: Kubernetes reads its name from CN and its groups from O."""
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        return self._issue(name, x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, name)]))

    def _issue(self, file: str, subject: x509.Name, *, server: bool = False) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = self._builder(subject, key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if server:
            builder = builder.add_extension(_SAN, critical=False)
        certificate, private = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        certificate.write_bytes(self._signed(builder))
        private.touch(mode=0o600)
        private.write_bytes(_pem(key))
        return certificate, private

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = x509.CertificateBuilder(self._name, subject, key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=30))
        return builder.add_extension(identifier, critical=False).add_extension(issuer, critical=False)

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def service_account_key(file: Path) -> Path:
    """The key that signs service accounts' tokens."""
    file.touch(mode=0o600)
    file.write_bytes(_pem(rsa.generate_private_key(65537, 2048)))
    return file
