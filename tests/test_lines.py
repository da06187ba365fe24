"""Files of lines: what is written is what is read, and hostile files are refused in one line."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import resource
import signal
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import canonical, merkle
from collector.lines import LIMITS, Limits, LineWriter, Sealed, line_batches, read_lines, scan
from collector.model import VerifyError

KEY = bytes(range(32))
HEADER = bytes.fromhex("1f8b08000000000000ff")


def written(path: Path, bodies: list[bytes], key: bytes | None = KEY) -> Sealed:
    with LineWriter(path, key) as writer:
        for body in bodies:
            writer.write(b'{"data":"%s"' % body)
    return writer.close()


def packed(data: bytes, level: int = 6) -> io.BytesIO:
    packer = zlib.compressobj(level, wbits=-15)
    trailer = struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return io.BytesIO(HEADER + packer.compress(data) + packer.flush() + trailer)


def refused(data: io.BytesIO, limit: Limits = LIMITS) -> str:
    with pytest.raises(VerifyError) as caught:
        for _ in line_batches(data, "x.jsonl.gz", limit):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(st.lists(st.text("abc", max_size=30), max_size=20))
def test_what_is_sealed_is_what_stands_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl.gz"
    sealed = written(path, [text.encode() for text in texts])
    plain = gzip.decompress(path.read_bytes())
    lines = plain.splitlines()
    assert sealed.sha256 == hashlib.sha256(plain).hexdigest()
    assert (sealed.lines, sealed.size) == (len(texts), len(plain))
    assert sealed.root == merkle.root_of(lines)
    assert list(read_lines(path)) == lines
    with path.open("rb") as file:
        assert scan(file, path) == sealed


def test_each_line_has_the_salt_that_canonical_gives_it(tmp_path: Path) -> None:
    for key in (KEY, b"short", b"longer than a block of the hash" * 5, None):
        path = tmp_path / f"{key!r:.8}.gz"
        with LineWriter(path, key) as writer:
            writer.write(b'{"a":1')
            writer.write(b'{"a":1', b',"z":2}')
        assert list(read_lines(path)) == [
            canonical.salted(b'{"a":1', b"}", key),
            canonical.salted(b'{"a":1', b',"z":2}', key),
        ]


def test_the_same_lines_give_the_same_bytes_without_name_or_time(tmp_path: Path) -> None:
    bodies = [b"%d" % number * 50 for number in range(50_000)]
    written(tmp_path / "a.gz", bodies)
    written(tmp_path / "b.gz", bodies)
    data = (tmp_path / "a.gz").read_bytes()
    assert data == (tmp_path / "b.gz").read_bytes()
    assert data[:10] == HEADER


def test_other_tools_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    sealed = written(path, [b"%d" % number * 50 for number in range(50_000)])
    plain = subprocess.run(["gzip", "-dc", path], check=True, capture_output=True).stdout
    assert hashlib.sha256(plain).hexdigest() == sealed.sha256


def test_a_file_that_exists_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        LineWriter(tmp_path / "a.gz", None)
    assert (tmp_path / "a.gz").read_bytes() == b"kept"


def test_a_writer_that_was_left_by_an_exception_leaves_a_file_that_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), LineWriter(tmp_path / "a.gz", KEY) as writer:
        writer.write(b'{"a":1')
        raise RuntimeError
    with pytest.raises(VerifyError, match="cut off"):
        list(read_lines(tmp_path / "a.gz"))


def test_a_line_with_a_newline_and_a_line_without_end_are_refused_when_written(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "a.gz", KEY)
    with pytest.raises(ValueError, match="at most"):
        writer.write(b"x" * (LIMITS.line + 1))
    writer.write(b'{"a":"\n"')
    with pytest.raises(ValueError, match="newline"):
        writer.close()


def test_a_closed_writer_takes_no_more(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "a.gz", KEY)
    assert writer.close() == writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"{")


def test_a_full_disk_is_an_os_error_and_what_was_written_is_refused(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match="too large"), LineWriter(tmp_path / "a.gz", KEY) as writer:
            for number in range(200_000):
                writer.write(b'{"data":"%s"' % hashlib.sha256(b"%d" % number).hexdigest().encode())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        signal.signal(signal.SIGXFSZ, kept)
    with pytest.raises(VerifyError, match="cut off"):
        list(read_lines(tmp_path / "a.gz"))


def test_mebibytes_of_one_letter_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    sealed = written(path, [b"a" * 3_000_000 for _ in range(10)])
    assert sealed.size > LIMITS.free
    with path.open("rb") as file:
        assert scan(file, path) == sealed


def test_writing_and_reading_take_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    tracemalloc.start()
    try:
        with LineWriter(path, KEY) as writer:
            for number in range(50_000):
                writer.write(b'{"data":"%x"' % (number**40))
        for _ in read_lines(path):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


def test_each_way_to_be_hostile_has_its_line() -> None:
    assert "not gzip" in refused(io.BytesIO(b""))
    assert "not gzip" in refused(io.BytesIO(gzip.compress(b"a\n")))
    assert "cut off" in refused(io.BytesIO(HEADER))
    assert "cut off" in refused(io.BytesIO(packed(b"a\n").read()[:-9]))
    assert "damaged" in refused(io.BytesIO(HEADER + b"\xff" * 20))
    assert "not gzip" in refused(io.BytesIO(b"PK\x03\x04 and so on"))
    assert "does not end" in refused(packed(b'{"a":1}\n{"a":2}'))
    assert "empty line" in refused(packed(b'{"a":1}\n\n{"a":2}\n'))
    assert "bytes follow" in refused(io.BytesIO(packed(b"a\n").read() + b"x"))
    assert "bytes follow" in refused(io.BytesIO(packed(b"a\n").read() * 2))
    assert "of more than 4 bytes" in refused(packed(b"abcde\n"), Limits(line=4))
    assert "of more than 4 bytes" in refused(packed(b"abcde"), Limits(line=4))
    assert "more than 4 bytes uncompressed" in refused(packed(b"abcde\n"), Limits(size=4))


def test_a_thousandfold_expansion_is_refused_before_it_is_large() -> None:
    bomb = packed(b"0" * (64 << 20))
    tracemalloc.start()
    try:
        assert "expands more than 250 times" in refused(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


def test_a_line_without_end_stops_at_the_limit() -> None:
    noise = b"".join(hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(280_000))
    assert "a line of more than 16777216 bytes" in refused(packed(noise))


@given(st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    lines = [b'{"number":%d}' % number for number in range(50)]
    good = packed(b"".join(line + b"\n" for line in lines)).read()
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    # Bits that pad the last deflate block to a byte carry nothing; the bundle's digest covers them.
    with contextlib.suppress(VerifyError):
        assert [line for batch in line_batches(io.BytesIO(bytes(bad)), "x") for line in batch] == lines
        assert bit // 8 == len(good) - 9


@given(st.binary(max_size=200))
def test_nothing_but_a_verify_error_comes_out_of_any_bytes(tail: bytes) -> None:
    for data in (tail, HEADER + tail, packed(b"a\n").read()[:-4] + tail):
        with contextlib.suppress(VerifyError):
            list(line_batches(io.BytesIO(data), "x"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="No such file"):
        list(read_lines(tmp_path / "none.gz"))


def test_stored_blocks_and_other_compressors_are_read_too() -> None:
    plain = b"".join(b"%d\n" % number for number in range(1000))
    for level in (0, 1, 9):
        read = [line for batch in line_batches(packed(plain, level), "x") for line in batch]
        assert read == plain.split(b"\n")[:-1]
