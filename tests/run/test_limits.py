"""What `collector.toml` says of limits holds in delivery."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, ClassVar

import pytest

from collector.config import Entry
from collector.deliver.series import Link, key, record_head
from collector.model import DeliveryError, Json
from collector.run.delivery import outbox, send
from collector_directory import DirectorySink

AS_OF = "2026-11-24T02:00:00Z"


class Stuck(DirectorySink):
    """Does not come back while it stores, or while it drops what is old."""

    release: ClassVar[threading.Event]
    at: ClassVar[str]

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        if self.at == "put":
            self.release.wait(60)
        super().put(key, file, sha256, absent)

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:
        if self.at == "prune":
            self.release.wait(60)
        return super().prune(prefix, as_of)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], type[Stuck]]]:
    monkeypatch.setattr(Stuck, "release", threading.Event(), raising=False)

    def make(at: str) -> type[Stuck]:
        monkeypatch.setattr(Stuck, "at", at, raising=False)
        return Stuck

    yield make
    Stuck.release.set()


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Any]:
    """A configuration with two sinks, `fine` and `stuck`, and one bundle that waits."""

    def make(**limits: Any) -> Any:
        def entry(use: str) -> Entry:
            settings: dict[str, Json] = {"path": str(tmp_path / use), "keep": 86400.0}
            return Entry(use, settings, f"[[sink]] {use}")

        given = {"sink_timeout": 60.0, "outbox_limit": 1 << 30, **limits}
        config: Any = SimpleNamespace(
            state=tmp_path / "state", series="acme", sinks=[entry("stuck"), entry("fine")], stamps=(), **given
        )
        link = Link(AS_OF, 1, None)
        (tmp_path / "bundle.zip").write_bytes(b"x" * 1000)
        outbox(config).add(tmp_path / "bundle.zip", key("acme", link, "ab" * 32))
        record_head(config.state, "acme", link, "ab" * 32)
        return config

    return make


@pytest.mark.parametrize("at", ["put", "prune"])
def test_a_sink_has_as_long_as_is_configured_and_no_longer(
    configured: Any, stuck: Any, tmp_path: Path, at: str
) -> None:
    plugins: Any = SimpleNamespace(sinks={"stuck": stuck(at), "fine": DirectorySink})
    (problem,) = send(configured(sink_timeout=3.0), plugins, AS_OF).problems
    assert f"{tmp_path / 'stuck'}: not done after 3 s" in problem
    assert len(list((tmp_path / "fine").rglob("*.zip"))) == 1


def test_what_may_wait_is_as_much_as_is_configured(configured: Any) -> None:
    assert "1000 of at most 1200 bytes" in outbox(configured(outbox_limit=1200)).check_room()
    with pytest.raises(DeliveryError, match="1000 bytes wait to be delivered, the limit is 900"):
        outbox(configured(outbox_limit=900)).check_room()


def test_nothing_is_dropped_for_a_moment_that_has_not_come(configured: Any) -> None:
    """`run --as-of 2126-…`, a slip of a finger, would else leave the newest bundle alone."""
    counted: list[str] = []

    class Counting(DirectorySink):
        def prune(self, prefix: str, as_of: str) -> Sequence[str]:
            counted.append(as_of)
            return super().prune(prefix, as_of)

    plugins: Any = SimpleNamespace(sinks={"stuck": Counting, "fine": Counting})
    config = configured()
    assert send(config, plugins, "2126-11-24T02:00:00Z").problems == []
    assert send(config, plugins, "2020-01-01T00:00:00Z").problems == []
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert all(each <= now for each in counted[:2])
    assert counted[2:] == ["2020-01-01T00:00:00Z"] * 2
