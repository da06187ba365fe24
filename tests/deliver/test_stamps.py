"""Stamps that come late: remembered, fetched once, and put beside the bundle in every sink."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from collector.bundle.authority import TimeAuthority
from collector.bundle.identity import PublicKey
from collector.bundle.seal import seal
from collector.bundle.trust import Authority, Trust, TrustedKey
from collector.bundle.verify import verify
from collector.deliver import durable
from collector.deliver.outbox import Outbox
from collector.deliver.series import Link, key, record_head
from collector.deliver.stamps import LateStamps, OwedStamps
from collector.model import VerifyError
from collector_directory import DirectorySink

Stampers = Callable[..., Any]  # tests/conftest.py
WHEN = "2026-01-01T00:00:00Z"


class Site:
    """A state folder with bundles that two authorities were asked to stamp."""

    def __init__(self, folder: Path, stamper: Stampers) -> None:
        from securesystemslib.signer import CryptoSigner

        self.folder = folder
        self.signer = CryptoSigner.generate_ed25519()
        self.tsa, self.other = stamper("tsa"), stamper("other")
        self.sinks = [DirectorySink({"path": str(folder / name)}) for name in ("one", "two")]
        self.number = 0

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def authorities(self) -> list[TimeAuthority]:
        both = (("tsa", self.tsa), ("other", self.other))
        return [TimeAuthority(name, each.url, each.certificates) for name, each in both]

    @property
    def trust(self) -> Trust:
        known = TrustedKey("agent", PublicKey.of(self.signer.public_key))
        both = (("tsa", self.tsa), ("other", self.other))
        return Trust((known,), tuple(Authority(name, each.certificates) for name, each in both))

    def run(self, run: tuple[Path, dict[str, Any]]) -> str:
        """Seal a bundle and put it into the outbox; its key without `.zip`."""
        self.number += 1
        folder, facts = run
        for name in ("README.txt", "verify.sh"):
            (folder / name).unlink(missing_ok=True)
        before = None if self.number == 1 else "ab" * 32
        link = Link(WHEN, self.number, before, "the first of all" if before is None else "")
        facts |= {"series": link.facts("acme", 86400), "window": {"from": WHEN, "to": WHEN}}
        sealed = seal(folder, facts, self.signer, self.folder / "new.zip", authorities=self.authorities)
        where = key("acme", link, sealed.digest)
        Outbox(self.state / "outbox").add(sealed.path, where)
        record_head(self.state, "acme", link, sealed.digest)
        return where.removesuffix(".zip")

    def deliver(self, *sinks: Any) -> LateStamps:
        """As `collector deliver` does."""
        owed = OwedStamps(self.state / "outbox")
        owed.remember("acme")
        Outbox(self.state / "outbox").deliver(sinks or self.sinks, "acme")
        return owed.deliver("acme", self.authorities, sinks or self.sinks)

    def beside(self, stem: str, sink: str = "one") -> list[str]:
        folder = (self.folder / sink / stem).parent
        return sorted(each.name.removeprefix(Path(stem).name) for each in folder.glob(f"{Path(stem).name}*"))


@pytest.fixture
def site(tmp_path: Path, stamper: Stampers) -> Site:
    return Site(tmp_path, stamper)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any]]:
    """The small finished run of tests/bundle/conftest.py."""
    import importlib.util
    import sys

    path = Path(__file__).parents[1] / "bundle" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return tmp_path / "run", module.finished_run(tmp_path / "run")


def test_a_late_stamp_comes_to_every_sink_and_counts(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    first = site.deliver()
    assert len(first.problems) == 1
    assert "NOT STAMPED by tsa: it answers with HTTP status 503" in first.problems[0]
    assert site.beside(stem) == [".zip"]
    site.tsa.mode = "good"
    second = site.deliver()
    assert (second.fetched, second.problems) == ([f"{stem}.tsa.tsr"], [])
    for sink in ("one", "two"):
        assert site.beside(stem, sink) == [".sigstore.json", ".tsa.tsr", ".zip"]
        found = verify(site.folder / sink / f"{stem}.zip", site.trust)
        assert {each.authority for each in found.stamps} == {"tsa", "other"}
        assert not found.warnings
    assert not list((site.state / "outbox").rglob("*.json"))


def test_a_stamp_is_asked_for_once_and_each_sink_gets_the_same(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    site.deliver()
    site.tsa.mode = "good"
    asked = site.tsa.asked

    class Dead(DirectorySink):
        def head(self, key: str) -> int | None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    late = site.deliver(site.sinks[0], Dead({"path": str(site.folder / "two")}))
    assert len(late.problems) == 1
    assert "Connection refused" in late.problems[0]
    assert site.beside(stem, "two") == [".zip"]
    assert not site.deliver().problems
    assert site.tsa.asked == asked + 1
    one, two = ((site.folder / sink / f"{stem}.tsa.tsr").read_bytes() for sink in ("one", "two"))
    assert one == two


def test_what_is_owed_is_remembered_from_the_bundle_wherever_it_was_cut_off(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)  # and here the process ends, before anything was noted
    site.tsa.mode = "good"
    assert site.deliver().fetched == [f"{stem}.tsa.tsr"]
    assert ".tsa.tsr" in site.beside(stem)


@pytest.mark.parametrize("after", range(5))
def test_a_crash_while_stamps_are_put_repeats_and_changes_nothing(site: Site, run: Any, after: int) -> None:
    site.tsa.mode = site.other.mode = "down"
    stem = site.run(run)
    site.deliver()
    site.tsa.mode = site.other.mode = "good"
    left = after

    class Crash(BaseException):
        pass

    class Dying(DirectorySink):
        def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
            nonlocal left
            super().put(key, file, sha256, absent)
            if left == 0:
                raise Crash
            left -= 1

    dying = [Dying({"path": str(site.folder / name)}) for name in ("one", "two")]
    with pytest.raises(Crash):
        site.deliver(*dying)
    assert not site.deliver().problems
    for sink in ("one", "two"):
        assert site.beside(stem, sink) == [".other.tsr", ".sigstore.json", ".tsa.tsr", ".zip"]
        assert len(verify(site.folder / sink / f"{stem}.zip", site.trust).stamps) == 2


def test_a_stamp_that_cannot_be_noted_is_put_nowhere_and_asked_for_again(
    site: Site, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    site.deliver()
    site.tsa.mode = "good"
    with monkeypatch.context() as patch:
        patch.setattr(durable, "write", _full)
        late = site.deliver()
    assert any("outbox cannot be written: [Errno 28]" in each for each in late.problems)
    assert (late.fetched, site.beside(stem)) == ([], [".zip"])
    assert not site.deliver().problems
    for sink in ("one", "two"):
        assert site.beside(stem, sink) == [".sigstore.json", ".tsa.tsr", ".zip"]
        assert not verify(site.folder / sink / f"{stem}.zip", site.trust).warnings


def _full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_authority_that_fails_is_asked_once_for_all_bundles(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    for _ in range(3):
        site.run(run)
    asked = site.tsa.asked
    assert len(site.deliver().problems) == 3
    assert site.tsa.asked == asked + 1


def test_a_debt_to_an_authority_that_is_no_longer_configured_is_dropped_and_said(
    site: Site, run: Any
) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    site.deliver()
    owed = OwedStamps(site.state / "outbox")
    late = owed.deliver("acme", [], site.sinks)
    assert late.problems == [f"{stem}: no [[stamp]] is named tsa any more: it stays unstamped"]
    assert not owed.deliver("acme", [], site.sinks).problems


def test_a_damaged_note_is_said(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    site.deliver()
    note = site.state / "outbox" / f"{stem}.stamps.json"
    value = json.loads(note.read_bytes())
    for bad in (b"", b"{}", b"[]", json.dumps({**value, "envelope": "eA=="}).encode()):
        note.write_bytes(bad)
        assert "damaged" in site.deliver().problems[0]


def test_a_changed_sigstore_bundle_beside_is_refused(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    site.deliver()
    site.tsa.mode = "good"
    site.deliver()
    bundle = site.folder / "one" / f"{stem}.zip"
    beside = bundle.with_name(f"{bundle.stem}.sigstore.json")
    good = beside.read_bytes()
    for bad in (b"", b"{}", good + b" ", good.replace(b'"rfc3161Timestamps":[', b'"rfc3161Timestamps":[{},')):
        beside.write_bytes(bad)
        with pytest.raises(VerifyError, match="not what the statement and all stamps make"):
            verify(bundle, site.trust)
    beside.unlink()
    assert verify(bundle, site.trust)


def test_no_stamp_is_put_beside_a_bundle_that_its_store_has_dropped(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    site.deliver()
    (site.folder / "one" / f"{stem}.zip").unlink()
    site.tsa.mode = "good"
    assert not site.deliver().problems
    assert site.beside(stem, "one") == []
    assert ".tsa.tsr" in site.beside(stem, "two")


def test_a_sink_that_never_answers_keeps_no_other_from_its_stamps(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    stem = site.run(run)
    site.deliver()
    site.tsa.mode = "good"
    release = threading.Event()

    class Stuck(DirectorySink):
        def head(self, key: str) -> int | None:
            release.wait(60)
            return super().head(key)

    sinks = [Stuck({"path": str(site.folder / "one")}), site.sinks[1]]
    try:
        late = OwedStamps(site.state / "outbox", seconds=5).deliver("acme", site.authorities, sinks)
    finally:
        release.set()
    assert [each for each in late.problems if "not done after 5 s" in each]
    assert site.beside(stem, "two") == [".sigstore.json", ".tsa.tsr", ".zip"]
    assert not site.deliver().problems
    assert site.beside(stem, "one") == [".sigstore.json", ".tsa.tsr", ".zip"]


def test_a_stamp_that_one_store_will_not_have_keeps_no_later_one_from_it(site: Site, run: Any) -> None:
    site.tsa.mode = "down"
    first, second = site.run(run), site.run(run)
    site.deliver()
    site.tsa.mode = "good"
    (site.folder / "one" / f"{first}.tsa.tsr").write_bytes(b"somebody else's")
    late = site.deliver()
    assert [each for each in late.problems if "other bytes are stored" in each]
    assert site.beside(second, "one") == [".sigstore.json", ".tsa.tsr", ".zip"]
