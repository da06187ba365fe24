"""A second process beside this one, for work on a large bundle that would take the interpreter's lock.

It is this interpreter with one of the package's modules, and opens the archive for itself. What it read is
held against what is signed, by whoever asked it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from collector.bundle import layout
from collector.bundle.archive import Archive

__all__ = ["WORTH_IT", "Second"]

# Below this many compressed bytes of lines the second process would take longer to start than it saves.
WORTH_IT = 8 << 20


class Second:
    """A context manager: the process starts at once and does not outlive it.

    Attributes:
        process: None where the bundle is small or no process is to be had: the work is to be done here.
    """

    def __init__(self, module: str, archive: Archive, *arguments: Path, worth_it: int = WORTH_IT) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        if sum(each.size for each in archive.members if layout.holds_lines(each.name)) >= worth_it:
            with suppress(OSError):
                self.process = _started(module, archive.path, *arguments)

    def __enter__(self) -> Second:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


def _started(module: str, *paths: Path) -> subprocess.Popen[bytes]:
    modules = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen(  # noqa: S603 - the program is this interpreter, the paths its arguments
        [sys.executable, "-m", module, *(path.absolute() for path in paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath, "PYTHONPATH": modules, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
    )
