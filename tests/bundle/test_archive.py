"""The archive's form at its limits, held against Python's own ZIP reader."""

from __future__ import annotations

import resource
import signal
import zipfile
import zlib
from pathlib import Path

import pytest

from collector.bundle import layout
from collector.bundle.archive import Archive, ArchiveWriter
from collector.bundle.headers import Member, directory, local_header
from collector.model import ConfigError

LARGE = 5 << 30


def sparse(path: Path, members: list[tuple[str, int]]) -> list[Member]:
    """An archive of zeros, which take no room on disk."""
    placed: list[Member] = []
    with path.open("wb") as file:
        for name, size in members:
            crc = zlib.crc32(bytes(size)) if size < 10 else 0
            member = Member(name, size, crc, file.tell())
            file.write(local_header(member))
            file.seek(member.end)
            placed.append(member)
        file.writelines(directory(placed))
    return placed


def test_sizes_and_offsets_beyond_32_bits_use_zip64(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    sizes = [("plan.json", 5), ("ledger.jsonl.gz", LARGE), ("findings.jsonl.gz", 3), ("README.txt", 0)]
    placed = sparse(path, sizes)
    with Archive(path) as archive:
        assert list(archive.members) == placed
    with zipfile.ZipFile(path) as other:
        assert [(info.filename, info.file_size) for info in other.infolist()] == sizes
        assert [info.header_offset for info in other.infolist()] == [member.offset for member in placed]
        assert other.read("findings.jsonl.gz") == bytes(3)


@pytest.mark.parametrize("size", [2**32 - 2, 2**32 - 1, 2**32])
def test_the_largest_size_of_32_bits_is_told_from_zip64(tmp_path: Path, size: int) -> None:
    path = tmp_path / "edge.zip"
    sparse(path, [("ledger.jsonl.gz", size), ("README.txt", 1)])
    with Archive(path) as archive:
        assert archive.members[0].size == size
    with zipfile.ZipFile(path) as other:
        assert other.infolist()[0].file_size == size
        assert (other.infolist()[0].extract_version == 45) == (size >= 2**32 - 1)


def test_more_members_than_16_bits_count_use_zip64(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    names = [f"mappings/a/checks/{number:05}.toml" for number in range(70_000)]
    sparse(path, [(name, 0) for name in names])
    with Archive(path) as archive:
        assert [member.name for member in archive.members] == names
    with zipfile.ZipFile(path) as other:
        assert other.namelist() == names


def test_a_member_that_grows_while_it_is_read_fails_the_writer(tmp_path: Path) -> None:
    # A file of /proc says that it is empty, and is not.
    with (
        pytest.raises(OSError, match="changed while it was read"),
        ArchiveWriter(tmp_path / "out.zip") as archive,
    ):
        archive.add(layout.PLAN, Path("/proc/self/status"))
    assert not list(tmp_path.iterdir())


def test_the_writer_refuses_what_the_reader_would(tmp_path: Path) -> None:
    for names in (["../x"], ["kinds.json", "plan.json"], ["plan.json", "plan.json"], [""]):
        with pytest.raises(ValueError), ArchiveWriter(tmp_path / "out.zip") as archive:
            for name in names:
                archive.add(name, b"x")
    with (
        pytest.raises(ConfigError, match="1048577 bytes, at most 1048576"),
        ArchiveWriter(tmp_path / "out.zip") as archive,
    ):
        archive.add(layout.README, bytes((1 << 20) + 1))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_an_os_error_and_leaves_no_archive(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(OSError, match="too large"), ArchiveWriter(tmp_path / "out.zip") as archive:
            archive.add(layout.PLAN, bytes(8 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        signal.signal(signal.SIGXFSZ, kept)
    assert not list(tmp_path.iterdir())
