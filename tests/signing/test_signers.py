"""Each signer against the real keeper of its key where one runs here, and its errors."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.bundle.identity import PublicKey
from collector.bundle.sign import sign
from collector.hookspecs import API
from collector.model import ConfigError
from collector_signing import AwsKms, AzureKms, GoogleKms, Gpg, Pkcs11, Vault, api, collector_signers

ROOT = Path(__file__).parents[2]
LARGE = b'{"large":"' + b"x" * 300_000 + b'"}'  # statements are larger than what key services take whole

Openssl = Callable[[bytes, bytes, str], bool]
Pae = Callable[[bytes], bytes]


def complaint(make: Callable[[], Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def signs(openssl: Openssl, pae: Pae) -> Callable[[Any], None]:
    """Has an envelope signed, and verified by OpenSSL."""

    def check(choice: Any) -> None:
        signer = choice.signer()
        envelope = json.loads(sign(LARGE, signer))
        (signature,) = envelope["signatures"]
        pem = PublicKey.of(choice.public_key()).pem
        raw = base64.b64decode(signature["sig"])
        assert openssl(raw, pae(LARGE), pem)
        assert not openssl(raw, pae(LARGE + b" "), pem)

    return check


@pytest.mark.parametrize("which", [{"key": "ed"}, {"key": "ec"}, {"id": "01"}, {"key": "ec", "id": "01"}])
def test_what_a_token_signs_openssl_verifies(token: Any, signs: Any, which: dict[str, str]) -> None:
    signs(Pkcs11({**token, **which}))


def test_connections_that_are_open_stay_so_whatever_a_token_leaves_behind(
    token: Any, connected: tuple[ssl.SSLObject, ssl.SSLObject]
) -> None:
    client, server = connected
    Pkcs11({**token, "key": "ec"}).signer().sign(b"payload")
    for each in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            each.read(1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pin": "1111"}, "pin: the token refuses it: CKR_PIN_INCORRECT"),
        ({"token": "three"}, "0 tokens fit, it must be one; there are: "),
        ({"token": None}, "2 tokens fit"),
        ({"key": "none"}, "0 private keys in the token fit"),
        ({"key": "twin"}, "2 private keys in the token fit"),
        ({"key": "rsa"}, "another kind; it must be Ed25519 or on P-256"),
        ({"key": "p384"}, "another curve; it must be Ed25519 or on P-256"),
        ({"key": None}, "`key` (a label) or `id`"),
        ({"id": "xyz"}, "hexadecimal"),
        ({"module": "/etc/hostname"}, "/etc/hostname: no PKCS#11 library"),
    ],
)
def test_a_token_that_does_not_fit_is_one_line(token: Any, settings: dict[str, Any], said: str) -> None:
    what = complaint(Pkcs11({**token, "key": "ec", **settings}).signer)
    assert said in what
    assert "1111" not in what


def test_what_gpgs_agent_signs_openssl_verifies(keyring: Any, signs: Any) -> None:
    signs(Gpg({"key": keyring.keys["ec"], "home": str(keyring.home)}))


def test_a_sealed_gpg_key_opens_with_its_passphrase_alone(keyring: Any, signs: Any) -> None:
    settings = {"key": keyring.keys["sealed"], "home": str(keyring.home)}
    for passphrase in (None, "horse A"):
        signer = Gpg({**settings, "passphrase": passphrase}).signer()
        what = complaint(lambda signer=signer: signer.sign(b"x"))
        assert what.startswith("[sign] gpg's agent: ")
        assert "horse" not in what
    signs(Gpg({**settings, "passphrase": "horse %41"}))


def test_gpg_keys_that_do_not_fit_are_one_line(keyring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = str(keyring.home)
    assert "nistp256" in complaint(Gpg({"key": keyring.keys["ed"], "home": home}).signer)
    assert "expired" in complaint(Gpg({"key": keyring.keys["old"], "home": home}).signer)
    assert "40 hexadecimal digits" in complaint(Gpg({"key": "--version", "home": home}).signer)
    assert "[sign] gpg: " in complaint(Gpg({"key": "0" * 40, "home": home}).signer)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "gpg is not installed" in complaint(Gpg({"key": "0" * 40, "home": home}).signer)


@pytest.mark.usefixtures("credentials")
def test_a_digest_that_kms_signs_openssl_verifies(serve: Any, kms: Any, signs: Any) -> None:
    signs(AwsKms({"key": "alias/evidence", "region": "eu-west-1", "endpoint": serve(kms)}))


@pytest.mark.usefixtures("credentials")
def test_motos_kms_is_asked_rightly_and_its_own_signature_is_not_given_out(
    moto: str, openssl: Openssl, digest: Callable[[bytes], bytes]
) -> None:
    """It hashes what is a digest already: that shows the way there and back, and that we check what comes."""
    import boto3

    client = boto3.client("kms", region_name="eu-west-1", endpoint_url=moto)
    made = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    client.create_alias(AliasName="alias/evidence", TargetKeyId=made["KeyId"])
    choice = AwsKms({"key": "alias/evidence", "region": "eu-west-1", "endpoint": moto})
    signer = choice.signer()
    raw = bytes.fromhex(signer.sign(LARGE).signature)
    assert openssl(raw, digest(LARGE), PublicKey.of(choice.public_key()).pem)
    assert "what it signed does not verify" in complaint(lambda: sign(LARGE, signer))

    rsa = client.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    settings = {"region": "eu-west-1", "endpoint": moto}
    assert "must be ECC_NIST_P256" in complaint(AwsKms({**settings, "key": rsa}).signer)
    assert "NotFoundException" in complaint(AwsKms({**settings, "key": "alias/none"}).signer)


@pytest.mark.usefixtures("credentials")
def test_a_service_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"key": "k", "region": "eu-west-1", "endpoint": "http://127.0.0.1:9"}
    assert "[sign] AWS KMS: EndpointConnectionError" in complaint(AwsKms(nowhere).signer)
    assert "NoRegionError" in complaint(AwsKms({"key": "k"}).signer)
    assert "ProfileNotFound" in complaint(AwsKms({"key": "k", "profile": "none"}).signer)


def test_vaults_newest_version_signs_by_the_page_of_its_api(
    serve: Any, transit: Any, signs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hvac")
    monkeypatch.setenv("VAULT_ADDR", serve(transit))
    monkeypatch.setenv("VAULT_TOKEN", "t0ken")
    signs(Vault({"key": "evidence"}))
    monkeypatch.setenv("VAULT_TOKEN", "other")
    what = complaint(Vault({"key": "evidence"}).signer)
    assert what.startswith("[sign] Vault: Forbidden")
    assert "other" not in what


@pytest.mark.parametrize("choice", [AwsKms, AzureKms, GoogleKms, Pkcs11, Vault])
def test_a_missing_library_names_what_to_install(choice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, choice.libraries[0], None)
    what = complaint(choice({}).signer)
    assert f"pip install 'evidence-collector[{choice.name}]'" in what


def test_the_extras_that_errors_name_exist() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {choice.name for choice in collector_signers() if choice.libraries} <= set(extras)
    assert api == API


def test_listing_the_signers_imports_no_library() -> None:
    program = (
        "import sys, collector_signing as c; c.collector_signers();"
        "heavy = {'securesystemslib', 'boto3', 'PyKCS11', 'hvac', 'google', 'azure', 'cryptography'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("use", ["pkcs11", "gpg"])
def test_a_whole_run_is_signed_there_and_verified_by_the_script(
    use: str, token: Any, keyring: Any, machine: Any
) -> None:
    """The key is taken into the trust file as `keys list` says; a new pair is not made for such a signer."""
    sign_with = {
        "pkcs11": f'module = "{token["module"]}"\ntoken = "one"\nkey = "ed"\npin = "${{PIN}}"\n',
        "gpg": f'key = "{keyring.keys["ec"]}"\nhome = "{keyring.home}"\n',
    }[use]
    (machine.home / "collector.toml").write_text(
        f'[[source]]\nuse = "program"\nfolder = "program"\n[sign]\nuse = "{use}"\n{sign_with}'
    )
    ran = machine("run", "--quiet", PIN="98765")
    assert ran.returncode in (0, 3), ran.stderr
    bundle = next((machine.home / "state/evidence").rglob("*.zip"))
    assert machine("verify", bundle).returncode == 1  # a stranger's, so far
    trust = machine.home / "config/trust.toml"
    listed = machine("keys", "list", PIN="98765").stdout
    trust.write_text(trust.read_text() + listed[listed.index("# SHA256:") :])
    assert machine("verify", bundle).returncode == 0
    pem = json.loads(machine("keys", "list", "--output", "json", PIN="98765").stdout)["signing_key"]
    (machine.home / "key.pem").write_text(pem)
    script = subprocess.run(
        ["sh", ROOT / "docs/verify.sh", machine.home / "key.pem", bundle], capture_output=True, text=True
    )
    assert script.returncode == 0, script.stderr
    before = trust.read_bytes()
    rotated = machine("keys", "rotate", PIN="98765")
    assert (rotated.returncode, "make the new key where the old one is" in rotated.stderr) == (2, True)
    assert trust.read_bytes() == before
