"""Performing verdicts again: of the very bytes that were verified."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.bundle.open import open_verified
from collector.bundle.reperform import reperform
from collector.bundle.seal import SealedBundle
from collector.bundle.trust import Trust
from collector.bundle.verify import verify
from collector.model import VerifyError


def test_a_bundle_that_is_exchanged_after_it_was_verified_is_not_performed_again(
    sealed: Callable[[str], SealedBundle], trust: Trust, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.zip"
    shutil.copyfile(sealed("ed").path, path)
    found = verify(path, trust)
    shutil.copyfile(sealed("ec").path, path)
    with pytest.raises(VerifyError, match=r"bundle\.zip: changed after it was verified"):
        reperform(found)


def test_a_member_that_is_exchanged_under_the_same_statement_is_found(
    sealed: Callable[[str], SealedBundle], trust: Trust, tmp_path: Path, forger: Any
) -> None:
    found = verify(sealed("ed").path, trust)
    members = [
        (name, b'{"format":1,"more":1}' if name == "exceptions.json" else data)
        for name, data in forger.members(sealed("ed").path)
    ]
    with pytest.raises(VerifyError, match="changed after it was verified"):
        open_verified(forger.archive(members), found.digest, tmp_path / "opened")


def test_what_was_verified_is_what_is_opened(
    sealed: Callable[[str], SealedBundle], trust: Trust, tmp_path: Path
) -> None:
    found = verify(sealed("ed").path, trust)
    assert (open_verified(found.path, found.digest, tmp_path / "opened") / "findings.jsonl.gz").is_file()
