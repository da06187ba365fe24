"""What loading securesystemslib brings with it: no SDK, unless a signer needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SDKS = ["boto3", "botocore", "google.cloud.kms", "azure.core", "hvac"]


def told(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_signing_and_verifying_load_no_sdk() -> None:
    program = f"""
import sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from collector.bundle.sign import parse_envelope, public_key, sign, signed_by
from collector.lean import load_securesystemslib
load_securesystemslib()
from securesystemslib.signer import CryptoSigner
signer = CryptoSigner(Ed25519PrivateKey.generate())
assert signed_by(parse_envelope(sign(b"{{}}", signer)), public_key(signer))
print([name for name in {SDKS} if name in sys.modules])
print([each for each in sys.meta_path if type(each).__module__ == "collector.lean"])
"""
    assert told(program).splitlines() == ["[]", "[]"]


def test_other_threads_find_sdks_meanwhile() -> None:
    pytest.importorskip("boto3")
    program = """
import sys, threading
from collector.lean import _Hiding
sys.meta_path.insert(0, _Hiding())
found = []
def look():
    import boto3
    found.append(boto3.__name__)
thread = threading.Thread(target=look)
thread.start()
thread.join()
sys.modules.pop("boto3")
try:
    import boto3
except ImportError as error:
    found.append(error.name)
print(found)
"""
    assert told(program) == "['boto3', 'boto3']"


def test_a_signer_that_needs_its_sdk_has_it_though_the_library_was_loaded_without() -> None:
    pytest.importorskip("boto3")
    program = """
from collector.lean import load_securesystemslib
load_securesystemslib()
from securesystemslib.signer import _aws_signer
assert _aws_signer.AWS_IMPORT_ERROR
from collector_signing.services import aws
from collector.model import ConfigError
try:
    aws({"key": "alias/none", "region": "eu-west-1", "endpoint": "http://127.0.0.1:9"})
except ConfigError as error:
    print(error)
assert not _aws_signer.AWS_IMPORT_ERROR
"""
    access = "import os; os.environ.update(AWS_ACCESS_KEY_ID='a', AWS_SECRET_ACCESS_KEY='b')"
    assert "EndpointConnectionError" in told(access + program)
