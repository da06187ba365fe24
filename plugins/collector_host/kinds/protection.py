"""Kinds about mandatory access control, certificates and cryptography."""

from __future__ import annotations

from collector.model import Column, Kind, Operation

__all__ = ["KINDS"]

_MAC = Operation("host:mac", "root: reads /sys/kernel/security/apparmor/profiles; the rest is open to anyone")
_CERTIFICATES = Operation(
    "host:certificates", "root: reads certificates in folders that are closed to others (keys are never read)"
)
_TRUST = Operation("host:trust", "anyone: reads the CA certificates of the system")
_CRYPTO = Operation("host:crypto", "anyone: reads openssl.cnf, /etc/crypto-policies, /proc/sys/crypto")

_APPARMOR = Kind(
    name="host_apparmor",
    title="AppArmor: there, on, how much it guards",
    columns=(
        Column("installed", "BOOLEAN", "whether its parser is there"),
        Column("enabled", "BOOLEAN", "whether the kernel has it switched on"),
        Column("boot_argument", "VARCHAR", "apparmor= of the kernel's start line; NULL: not given"),
        Column("profiles_on_disk", "BIGINT", "profiles below /etc/apparmor.d"),
        Column("loaded", "BIGINT", "profiles in the kernel"),
        Column("enforcing", "BIGINT", "of them: enforced"),
        Column("complaining", "BIGINT", "of them: only logging"),
        Column("disabled", "VARCHAR[]", "profiles switched off on disk"),
    ),
    identity=(),
    operations=(_MAC,),
    examples=("SELECT enabled AND enforcing > 0 AND complaining = 0 FROM host_apparmor WHERE installed",),
)

_PROFILE = Kind(
    name="host_apparmor_profile",
    title="AppArmor profiles in the kernel",
    columns=(
        Column("name", "VARCHAR", "name"),
        Column("mode", "VARCHAR", "enforce, complain, kill, unconfined"),
    ),
    identity=("name",),
    operations=(_MAC,),
    examples=("SELECT name FROM host_apparmor_profile WHERE mode = 'complain'",),
)

_SELINUX = Kind(
    name="host_selinux",
    title="SELinux: there, on, enforcing",
    columns=(
        Column("installed", "BOOLEAN", "whether a policy is configured (/etc/selinux/config)"),
        Column("enabled", "BOOLEAN", "whether the kernel has it switched on"),
        Column("enforcing", "BOOLEAN", "whether it refuses, not only logs"),
        Column("mode", "VARCHAR", "enforcing, permissive or disabled: now"),
        Column("config_mode", "VARCHAR", "the same after the next start"),
        Column("policy", "VARCHAR", "policy configured: targeted, mls, minimum"),
        Column("boot_disabled", "BOOLEAN", "whether selinux=0 or enforcing=0 is on the kernel's start line"),
        Column("deny_unknown", "BOOLEAN", "whether what the policy does not know is refused"),
    ),
    identity=(),
    operations=(_MAC,),
    examples=("SELECT enforcing AND config_mode = 'enforcing' FROM host_selinux WHERE installed",),
)

_MAC_KIND = Kind(
    name="host_mandatory_access",
    title="Whether any mandatory access control guards this host",
    columns=(
        Column("system", "VARCHAR", "apparmor, selinux or none"),
        Column("active", "BOOLEAN", "whether it is switched on in the kernel"),
        Column(
            "enforcing", "BOOLEAN", "whether it refuses: SELinux enforcing, or an AppArmor profile enforced"
        ),
    ),
    identity=(),
    operations=(_MAC,),
    examples=("SELECT active AND enforcing FROM host_mandatory_access",),
)

_FIELDS: tuple[Column, ...] = (
    Column("number", "BIGINT", "place in the file, from 1"),
    Column("subject", "VARCHAR", "subject (RFC 4514)"),
    Column("issuer", "VARCHAR", "issuer (RFC 4514)"),
    Column("common_name", "VARCHAR", "common name of the subject"),
    Column("serial", "VARCHAR", "serial number in hexadecimal"),
    Column("not_valid_before", "TIMESTAMP", "valid from"),
    Column("not_valid_after", "TIMESTAMP", "valid until"),
    Column("key_algorithm", "VARCHAR", "rsa, ec, ed25519, ed448, dsa or other"),
    Column("key_bits", "BIGINT", "key size"),
    Column(
        "signing_algorithm", "VARCHAR", "hash in the signature: sha256, sha1, md5 …; NULL: part of the scheme"
    ),
    Column("self_signed", "BOOLEAN", "whether subject and issuer are the same"),
    Column("ca", "BOOLEAN", "whether it may sign others"),
    Column("sha256", "VARCHAR", "fingerprint"),
    Column(
        "weak",
        "BOOLEAN",
        "RSA or DSA below 2048 bits, EC below 224, or signed with MD5 or SHA-1 (not self-signed)",
    ),
)

_CERTIFICATE = Kind(
    name="host_certificate",
    title="Certificates of services on this host, every one in a file",
    columns=(
        Column("path", "VARCHAR", "file"),
        *_FIELDS,
        Column("names", "VARCHAR[]", "DNS names and addresses that it is for"),
        Column("key_in_file", "BOOLEAN", "whether the same file holds a private key (never read)"),
        Column("mode", "VARCHAR", "permissions of the file in octal"),
        Column(
            "used_by",
            "VARCHAR[]",
            "why the file was looked at: a folder, a service's settings, the user's option",
        ),
    ),
    identity=("path", "number"),
    operations=(_CERTIFICATES,),
    examples=(
        "SELECT path, subject FROM host_certificate WHERE not_valid_after < as_of() + INTERVAL 30 DAY",
    ),
)

_CA = Kind(
    name="host_ca_certificate",
    title="Certificate authorities that this host trusts",
    columns=(
        Column("path", "VARCHAR", "bundle or file"),
        *_FIELDS,
        Column("local", "BOOLEAN", "whether it was added on this host, not by the distribution"),
    ),
    identity=("path", "number"),
    operations=(_TRUST,),
    examples=("SELECT subject FROM host_ca_certificate WHERE local",),
)

_CRYPTO_KIND = Kind(
    name="host_crypto_policy",
    title="System-wide settings for cryptography",
    columns=(
        Column("fips_enabled", "BOOLEAN", "whether the kernel is in FIPS mode"),
        Column(
            "policy",
            "VARCHAR",
            "crypto-policies in effect, as in DEFAULT, FUTURE, FIPS, LEGACY; NULL: not used here",
        ),
        Column("openssl_version", "VARCHAR", "version of the openssl program; NULL: not there"),
        Column(
            "openssl_min_protocol",
            "VARCHAR",
            "MinProtocol of openssl.cnf in effect; NULL: the library's default",
        ),
        Column(
            "openssl_security_level", "BIGINT", "SECLEVEL of its CipherString; NULL: the library's default"
        ),
        Column("openssl_cipher_string", "VARCHAR", "its CipherString; NULL: the library's default"),
    ),
    identity=(),
    operations=(_CRYPTO,),
    examples=("SELECT policy <> 'LEGACY' FROM host_crypto_policy",),
)

KINDS: tuple[Kind, ...] = (_APPARMOR, _PROFILE, _SELINUX, _MAC_KIND, _CERTIFICATE, _CA, _CRYPTO_KIND)
