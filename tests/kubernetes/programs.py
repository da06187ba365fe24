"""Where the servers that the tests of Kubernetes start are to be had."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path

__all__ = ["AbsentError", "programs"]

_BUILD_WITHIN = 45 * 60  # seconds, beside a whole test suite on two cores


class AbsentError(Exception):
    """A program that is needed is not to be had; says which and what would bring it."""


def programs() -> tuple[Path, Path]:
    """Where etcd and kube-apiserver are; waits for a build that is under way.

    Raises:
        AbsentError: one of them is not there.
    """
    etcd = _found("etcd")
    if not etcd:
        raise AbsentError("etcd is not there: tests/setup installs it")
    return etcd, _found("kube-apiserver") or _built()


def _found(name: str) -> Path | None:
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS", "/nonexistent")) / name
    if os.access(assets, os.X_OK):
        return assets
    path = shutil.which(name)
    return Path(path) if path else None


def _built() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "evidence-collector-tests/kube-v1.20.2"
    built = folder / "kube-apiserver"
    if not built.exists() and (folder / "lock").exists():
        _wait_for(folder / "lock")
    if built.exists():
        return built
    log = folder / "build.log"
    said = log.read_text(errors="replace").strip().splitlines()[-3:] if log.exists() else []
    raise AbsentError(" / ".join(["kube-apiserver is not there: tests/setup builds it", *said]))


def _wait_for(lock: Path) -> None:
    until = time.monotonic() + _BUILD_WITHIN
    with lock.open("a") as held:
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(1)
    raise AbsentError(f"kube-apiserver is still being built after {_BUILD_WITHIN // 60} minutes")
