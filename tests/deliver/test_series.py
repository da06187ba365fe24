"""Where the next bundle of a series belongs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.canonical import file_sha256
from collector.deliver.outbox import Outbox
from collector.deliver.series import Link, head, key, next_link, parse_key, record_head
from collector.model import ConfigError, SinkRefused
from collector_directory import DirectorySink

Digest = Callable[[IO[bytes]], str]


class Deaf(DirectorySink):
    """A store that cannot be asked."""

    def list(self, prefix: str) -> Iterator[str]:
        raise PermissionError(13, "Permission denied", prefix)


def store(folder: Path, path: Path, where: str) -> DirectorySink:
    sink = DirectorySink({"path": str(folder)})
    with path.open("rb") as file:
        sink.put(where, file, file_sha256(path))
    return sink


def test_the_first_bundle_begins_an_epoch_with_its_reason(
    tmp_path: Path, as_of: Callable[[int], datetime], digest: Digest
) -> None:
    empty = DirectorySink({"path": str(tmp_path / "store")})
    link = next_link(tmp_path, "acme", as_of(0), [empty], digest)
    assert (link.epoch, link.sequence, link.previous) == ("2026-11-24T02:00:00Z", 1, None)
    assert "no bundle of this series is known" in link.reason


def test_local_state_names_the_next_place_and_no_store_is_asked(
    tmp_path: Path, as_of: Callable[[int], datetime], digest: Digest
) -> None:
    record_head(tmp_path, "acme", Link("2026-11-24T02:00:00Z", 4, "cd" * 32), "ab" * 32)
    link = next_link(tmp_path, "acme", as_of(9), [Deaf({"path": "/"})], digest)
    assert link == Link("2026-11-24T02:00:00Z", 5, "ab" * 32)


def test_without_local_state_the_head_is_read_from_the_first_store_that_can_tell(
    tmp_path: Path, as_of: Callable[[int], datetime], bundle: Any, digest: Digest
) -> None:
    for number in (1, 2, 11):
        link = Link("2026-11-24T02:00:00Z", number, None)
        path, full = bundle(tmp_path / "b.zip", link)
        sink = store(tmp_path / "store", path, key("acme", link, full))
    path, other = bundle(tmp_path / "b.zip", Link("2026-11-24T02:00:00Z", 99, None))
    store(tmp_path / "store", path, key("acme-two", Link("2026-11-24T02:00:00Z", 99, None), other))
    link = next_link(tmp_path / "state", "acme", as_of(9), [Deaf({"path": "/"}), sink], digest)
    assert link == Link("2026-11-24T02:00:00Z", 12, full)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a bundle at all"])
def test_a_store_whose_newest_bundle_is_none_begins_a_new_epoch_with_its_reason(
    tmp_path: Path, as_of: Callable[[int], datetime], digest: Digest, content: bytes
) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(content)
    sink = store(tmp_path / "store", path, "acme/20261124T020000Z/00000003-0123456789ab.zip")
    link = next_link(tmp_path, "acme", as_of(1), [sink], digest)
    assert (link.epoch, link.sequence) == ("2026-11-25T02:00:00Z", 1)
    assert "the newest bundle there is not ours" in link.reason


def test_a_bundle_under_another_bundles_name_is_not_believed(
    tmp_path: Path, as_of: Callable[[int], datetime], bundle: Any, digest: Digest
) -> None:
    path, _ = bundle(tmp_path / "b.zip", Link("2026-11-24T02:00:00Z", 3, None))
    sink = store(tmp_path / "store", path, "acme/20261124T020000Z/00000003-0123456789ab.zip")
    link = next_link(tmp_path, "acme", as_of(1), [sink], digest)
    assert link.sequence == 1
    assert "its name is not that of its statement" in link.reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"epoch":"x","sequence":1,"digest":"a"}',
        b'{"epoch":1,"sequence":1,"digest":"a"}',
    ],
)
def test_damaged_local_state_is_an_error_that_names_the_file(
    tmp_path: Path, as_of: Callable[[int], datetime], digest: Digest, content: bytes
) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "acme.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"series/acme\.json: damaged"):
        next_link(tmp_path, "acme", as_of(0), [], digest)


def test_a_bundle_that_waits_is_the_head_though_its_run_was_cut_off(
    tmp_path: Path, as_of: Callable[[int], datetime], bundle: Any, digest: Digest
) -> None:
    record_head(tmp_path, "acme", Link("2026-11-24T02:00:00Z", 1, None), "ab" * 32)
    link = Link("2026-11-24T02:00:00Z", 2, "ab" * 32)
    path, full = bundle(tmp_path / "b.zip", link)
    Outbox(tmp_path / "outbox").add(path, key("acme", link, full))
    assert next_link(tmp_path, "acme", as_of(2), [], digest) == Link("2026-11-24T02:00:00Z", 3, full)
    assert head(tmp_path, "acme") == ("20261124T020000Z", 2, full)


def test_waiting_bundles_of_other_series_and_older_ones_do_not_count(
    tmp_path: Path, as_of: Callable[[int], datetime], bundle: Any, digest: Digest
) -> None:
    record_head(tmp_path, "acme", Link("2026-11-24T02:00:00Z", 7, None), "ab" * 32)
    for series, number in (("acme", 6), ("other", 9)):
        link = Link("2026-11-24T02:00:00Z", number, None)
        path, full = bundle(tmp_path / "b.zip", link)
        Outbox(tmp_path / "outbox").add(path, key(series, link, full))
    assert next_link(tmp_path, "acme", as_of(1), [], digest) == Link("2026-11-24T02:00:00Z", 8, "ab" * 32)


def test_the_facts_are_what_a_statement_holds() -> None:
    facts = Link("2026-11-24T02:00:00Z", 2, "ab" * 32).facts("acme", 86400.0)
    assert facts == {
        "name": "acme",
        "epoch": "2026-11-24T02:00:00Z",
        "sequence": 2,
        "previous": "ab" * 32,
        "cadence": 86400,
        "reason": None,
    }


@given(st.integers(1, 99_999_999), st.sampled_from(["acme", "a", "a.b-c_d", "0"]))
def test_a_key_is_read_as_it_was_written(sequence: int, series: str) -> None:
    text = key(series, Link("2026-11-24T02:00:00Z", sequence, None), "0123456789abcdef" * 4)
    assert parse_key(text) == (series, "20261124T020000Z", sequence, "0123456789ab")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../acme/20261124T020000Z/00000001-0123456789ab.zip",
        "acme/../20261124T020000Z/00000001-0123456789ab.zip",
        "acme/20261324T020000Z/00000001-0123456789ab.zip",
        "acme/20261124T020000Z/1-0123456789ab.zip",
        "acme/20261124T020000Z/00000001-0123456789AB.zip",
        "acme/20261124T020000Z/00000001-0123456789ab.zip\n",
        "acme/20261124T020000Z/00000001-0123456789ab.tsr",
    ],
)
def test_what_is_no_key_is_none(text: str) -> None:
    assert parse_key(text) is None


def test_a_refusing_store_begins_a_new_epoch(
    tmp_path: Path, as_of: Callable[[int], datetime], digest: Digest
) -> None:
    class Refusing(DirectorySink):
        def list(self, prefix: str) -> Iterator[str]:
            raise SinkRefused("no right to list")

    link = next_link(tmp_path, "acme", as_of(0), [Refusing({"path": "/nowhere"})], digest)
    assert "no right to list" in link.reason
    assert link.facts("acme", 0)["reason"] == link.reason
    assert json.loads(json.dumps(link.facts("acme", 0)))["cadence"] is None


def test_a_store_that_claims_the_last_place_begins_a_new_epoch(
    tmp_path: Path, as_of: Callable[[int], datetime], bundle: Any, digest: Digest
) -> None:
    """A bundle after it would have no key, which would show only when all was collected."""
    last = Link("2026-11-24T02:00:00Z", 99_999_999, "ab" * 32)
    path, full = bundle(tmp_path / "b.zip", last)
    there = tmp_path / "store" / key("acme", last, full)
    there.parent.mkdir(parents=True)
    path.rename(there)
    link = next_link(tmp_path, "acme", as_of(0), [DirectorySink({"path": str(tmp_path / "store")})], digest)
    assert link.sequence == 1
    assert "no bundle can follow it" in link.reason
    assert parse_key(key("acme", link, full)) is not None
