"""Proves chosen lines in a process beside the one that chooses them.

Choosing parses lines and proving hashes them, and neither lets go of the interpreter's lock. For a large
bundle a second process reads the same members and is told of each few lines which are taken; the digest of
what it read comes back with the proofs, so that both are known to have read the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from collector.bundle.archive import Archive
from collector.bundle.proofs import Choose, Spill, spill
from collector.bundle.second import WORTH_IT, Second
from collector.canonical import dumps, loads
from collector.lines import line_batches
from collector.model import CollectorError, Json, VerifyError

__all__ = ["Proving", "main"]


class Proving:
    """Spills members, one after the other: a context manager, since a second process may do it."""

    def __init__(self, archive: Archive, folder: Path, worth_it: int = WORTH_IT) -> None:
        self._archive = archive
        self._folder = folder
        self._second = Second(__name__, archive, folder, worth_it=worth_it)

    def __enter__(self) -> Proving:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._second.__exit__(kind, value, trace)

    def spill(self, name: str, size: int, choose: Choose) -> Spill:
        """As `collector.bundle.proofs.spill`, of a member of the archive.

        Raises:
            VerifyError, OSError: as there; VerifyError also if the archive changed meanwhile.
            CollectorError: the second process was killed.
        """
        window = self._archive.window(name)
        process = self._second.process
        if process is None or process.stdin is None or process.stdout is None:
            return spill(window, name, size, choose, self._folder)
        try:
            _say(process.stdin, [name, size])
            for lines in line_batches(window, name):
                _say(process.stdin, choose(lines))
            _say(process.stdin, None)
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and its answer says why
        said = _answer(process.stdout)
        if said["read"] != window.sha256():
            raise _changed(name)
        return Spill(said["root"], said["size"], Path(said["path"]), said["uppers"])


def _say(file: IO[bytes], value: Json) -> None:
    file.write(dumps(value) + b"\n")


def _answer(file: IO[bytes]) -> Json:
    answer = file.readline()
    if not answer:
        raise CollectorError("the process that proves lines was ended: nothing is disclosed; try again")
    said = loads(answer)
    if "error" in said:
        raise VerifyError(said["error"])
    if "errno" in said:
        raise OSError(said["errno"], said["why"])
    return said


def _changed(name: str) -> VerifyError:
    return VerifyError(f"{name}: changed while it was disclosed")


def main(path: Path, folder: Path) -> None:
    """Spill the members that are asked for on standard input, and answer on standard output.

    Each is asked for by its name and number of lines, then come the places that are taken of each few lines,
    then null; each a line of JSON. The answer is one.
    """
    try:
        with Archive(path) as archive:
            while asked := sys.stdin.buffer.readline():
                _say(sys.stdout.buffer, _made(archive, folder, *loads(asked)))
                sys.stdout.buffer.flush()
    except VerifyError as error:
        _say(sys.stdout.buffer, {"error": str(error)})
    except OSError as error:
        _say(sys.stdout.buffer, {"errno": error.errno, "why": error.strerror})


def _made(archive: Archive, folder: Path, name: str, size: int) -> Json:
    def told(lines: list[bytes]) -> Sequence[int]:
        places = loads(sys.stdin.buffer.readline())
        if places is None or any(place >= len(lines) for place in places[-1:]):
            raise _changed(name)
        return list(places)

    window = archive.window(name)
    made = spill(window, name, size, told, folder)
    while loads(sys.stdin.buffer.readline()) is not None:
        pass  # what was read differs, and so do its digests
    return {
        "read": window.sha256(),
        "root": made.root,
        "size": made.size,
        "path": str(made.path),
        "uppers": made.uppers,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
