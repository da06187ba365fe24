"""securesystemslib, loaded without the SDKs of signers that nobody asked for.

`securesystemslib.signer` imports each signer that it knows, and these import the SDKs of their services: AWS'
alone takes 0.2 s, all of them 0.7 s, in every command that signs or verifies. It does without an SDK
that is not installed. So while the package is loaded, SDKs are not found by the thread that loads it; whoever
needs a signer with its SDK loads that signer's module once more (`importlib.reload`).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import ModuleType

__all__ = ["load_securesystemslib"]

_PACKAGE = "securesystemslib.signer"
_SDKS = frozenset(("azure.core", "boto3", "google.cloud.kms", "hvac"))


class _Hiding(MetaPathFinder):
    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - Python's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> None:
        if fullname in _SDKS and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is not loaded for {_PACKAGE}", name=fullname)


def load_securesystemslib() -> None:
    """Load `securesystemslib.signer`; call it before importing from there. SDKs that are there stay."""
    if _PACKAGE in sys.modules:
        return
    hiding = _Hiding()
    sys.meta_path.insert(0, hiding)
    try:
        import_module(_PACKAGE)
    finally:
        sys.meta_path.remove(hiding)
