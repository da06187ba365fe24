"""The sink `s3` against a real S3 server with Object Lock (the fixture `bucket`)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.deliver.canary import check
from collector.deliver.outbox import Outbox
from collector.deliver.series import Link, key
from collector.model import ConfigError, Sink, SinkRefused, SinkTaken, SinkUnreadable
from collector.plugins import load
from collector_s3 import S3Sink
from collector_s3.answers import told
from collector_s3.multipart import PART, composite

Made = Callable[..., S3Sink]
GOVERNED = {"mode": "governance", "days": 3}
LARGE = 2 * PART + 1000


@pytest.fixture
def sink(bucket: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Made:
    """Makes a sink with a prefix of this test's own, as `agent` unless told otherwise."""
    prefix = f"{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}/"

    def make(who: str = "agent", **more: Any) -> S3Sink:
        for name, value in bucket.environ(who).items():
            monkeypatch.setenv(name, value)
        made = S3Sink({"bucket": "evidence", "prefix": prefix, "endpoint": bucket.endpoint} | more)
        assert made.client  # credentials are read here
        return made

    return make


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(sink: S3Sink, where: str, data: bytes, absent: bool = True) -> None:
    sink.put(where, io.BytesIO(data), digest(data), absent)


def read(sink: S3Sink, where: str) -> bytes:
    with sink.get(where) as file:
        return file.read()


def place(sink: S3Sink, where: str) -> dict[str, str]:
    prefix = sink.address.removesuffix("/").rsplit("/", 1)[1]
    return {"Bucket": "evidence", "Key": f"{prefix}/{where}"}


def pending(bucket: Any, sink: S3Sink, where: str) -> list[Any]:
    found = bucket.client("owner").list_multipart_uploads(Bucket="evidence", Prefix=place(sink, where)["Key"])
    return list(found.get("Uploads", ()))


def versions(bucket: Any, sink: S3Sink, where: str) -> list[Any]:
    found = bucket.client("owner").list_object_versions(Bucket="evidence", Prefix=place(sink, where)["Key"])
    return list(found.get("Versions", ()))


def test_it_keeps_the_contract_of_sinks(sink: Made) -> None:
    assert isinstance(sink(), Sink)
    assert load().sinks["s3"] is S3Sink


def test_what_is_stored_comes_back_and_is_listed(sink: Made) -> None:
    store = sink()
    put(store, "acme/b", b"two")
    put(store, "acme/a", b"one")
    put(store, "other/c", b"")
    assert [read(store, each) for each in ("acme/a", "acme/b", "other/c")] == [b"one", b"two", b""]
    assert list(store.list("acme/")) == ["acme/a", "acme/b"]
    assert list(store.list("")) == ["acme/a", "acme/b", "other/c"]
    assert [store.head("acme/b"), store.head("other/c"), store.head("none")] == [3, 0, None]
    with pytest.raises(FileNotFoundError, match="none"):
        store.get("none")


def test_a_list_of_several_pages_is_whole(sink: Made) -> None:
    store = sink()
    keys = [f"many/{number:04}" for number in range(1003)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: put(store, each, b""), keys))
    assert list(store.list("many/")) == keys


@pytest.mark.parametrize("data", [b"first", b"other"], ids=["same bytes", "other bytes"])
def test_a_key_that_is_taken_is_refused_and_keeps_its_bytes(sink: Made, bucket: Any, data: bytes) -> None:
    store = sink()
    put(store, "x", b"first")
    with pytest.raises(SinkTaken, match="already"):
        put(store, "x", data)
    assert read(store, "x") == b"first"
    assert len(versions(bucket, store, "x")) == 1


def test_other_bytes_than_announced_are_refused_by_the_store_and_leave_nothing(sink: Made) -> None:
    store = sink()
    with pytest.raises(SinkRefused, match="BadDigest"):
        store.put("x", io.BytesIO(b"these"), digest(b"those"))
    assert store.head("x") is None


@pytest.mark.parametrize("size", [10, LARGE], ids=["at once", "in parts"])
def test_a_bundle_is_locked_for_the_days_asked_for(sink: Made, bucket: Any, size: int) -> None:
    store = sink(lock=GOVERNED)
    put(store, "x", b"x" * size)
    found = bucket.client("owner").head_object(**place(store, "x"))
    assert found["ObjectLockMode"] == "GOVERNANCE"
    left = found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=3, minutes=-5) < left <= timedelta(days=3)
    with pytest.raises(Exception, match="AccessDenied"):
        bucket.client("owner").delete_object(**place(store, "x"), VersionId=found["VersionId"])


def test_pruning_fights_no_lock_and_deletes_nothing(sink: Made) -> None:
    store = sink(lock=GOVERNED, keep=400 * 86400)
    put(store, "acme/x", b"x")
    assert list(store.prune("acme/", "2036-01-01T00:00:00Z")) == []
    assert list(store.list("acme/")) == ["acme/x"]


# --- large bundles


class Parts:
    """Counts the parts that a sink sends."""

    def __init__(self, sink: S3Sink) -> None:
        self.sent = 0
        sink.client.meta.events.register("before-call.s3.UploadPart", self._count)

    def _count(self, **_: Any) -> None:
        self.sent += 1


KILLED = """
import io, json, os, signal, sys
from collector_s3 import S3Sink

class Deadly(io.FileIO):
    reads = 0
    def read(self, size=-1):
        self.reads += 1
        if self.reads == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)

settings, key, path, sha256 = json.loads(sys.argv[1])
S3Sink(settings).put(key, Deadly(path), sha256)
"""


@pytest.fixture
def cut_off(bucket: Any, tmp_path: Path) -> Callable[..., bytes]:
    """Sends a large file and kills the process after its second part; gives the file's bytes."""

    def send(store: S3Sink, where: str, lock: Any = None) -> bytes:
        data = os.urandom(LARGE)
        (tmp_path / "large").write_bytes(data)
        prefix = place(store, where)["Key"].removesuffix(where)
        settings = {"bucket": "evidence", "prefix": prefix, "endpoint": bucket.endpoint, "lock": lock}
        argument = json.dumps([settings, where, str(tmp_path / "large"), digest(data)])
        environ = os.environ | bucket.environ("agent")
        done = subprocess.run([sys.executable, "-c", KILLED, argument], env=environ, check=False)
        assert done.returncode == -signal.SIGKILL
        assert store.head(where) is None
        return data

    return send


def test_an_upload_that_was_killed_goes_on_and_becomes_one_object(
    sink: Made, bucket: Any, cut_off: Callable[..., bytes]
) -> None:
    store = sink()
    data = cut_off(store, "large")
    parts = Parts(store)
    put(store, "large", data)
    assert parts.sent == 1
    assert read(store, "large") == data
    assert len(versions(bucket, store, "large")) == 1
    assert pending(bucket, store, "large") == []


def test_an_upload_that_was_killed_does_not_go_on_with_other_bytes(
    sink: Made, bucket: Any, cut_off: Callable[..., bytes]
) -> None:
    store = sink()
    data = bytearray(cut_off(store, "large"))
    data[PART + 5] ^= 1
    parts = Parts(store)
    put(store, "large", bytes(data))
    assert parts.sent == 3
    assert read(store, "large") == bytes(data)
    assert pending(bucket, store, "large") == []


def test_an_upload_that_goes_on_gets_the_lock_of_today(
    sink: Made, bucket: Any, cut_off: Callable[..., bytes]
) -> None:
    store = sink(lock={"mode": "governance", "days": 9})
    data = cut_off(store, "large", {"mode": "governance", "days": 1})
    put(store, "large", data)
    found = bucket.client("owner").head_object(**place(store, "large"))
    assert found["ObjectLockRetainUntilDate"] - datetime.now(UTC) > timedelta(days=8)


def test_without_the_right_to_look_for_parts_an_upload_begins_anew(
    sink: Made, cut_off: Callable[..., bytes]
) -> None:
    data = cut_off(sink("agent"), "large")
    writer = sink("writer")
    parts = Parts(writer)
    put(writer, "large", data)
    assert parts.sent == 3
    assert read(sink("agent"), "large") == data


def test_parts_that_are_not_the_bundle_announced_become_no_object(sink: Made, bucket: Any) -> None:
    store = sink()
    with pytest.raises(SinkRefused, match="not those that were announced"):
        store.put("large", io.BytesIO(b"x" * LARGE), digest(b"y"))
    assert store.head("large") is None
    assert pending(bucket, store, "large") == []


def test_a_key_that_was_taken_meanwhile_is_not_completed(sink: Made, bucket: Any) -> None:
    store = sink()
    put(store, "large", b"first")
    with pytest.raises(SinkTaken):
        put(store, "large", b"x" * LARGE)
    assert read(store, "large") == b"first"
    assert pending(bucket, store, "large") == []


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_the_composite_checksum_depends_on_every_part_and_its_place(parts: list[bytes]) -> None:
    import base64

    def checksum(data: bytes) -> str:
        return base64.b64encode(hashlib.sha256(data).digest()).decode()

    made = composite([checksum(each) for each in parts])
    assert made.endswith(f"-{len(parts)}")
    changed = [parts[0] + b"!", *parts[1:]]
    assert composite([checksum(each) for each in changed]) != made
    if parts != parts[::-1]:
        assert composite([checksum(each) for each in parts[::-1]]) != made


# --- credentials that may only write


def waiting(folder: Path, bundle: Any) -> Outbox:
    outbox = Outbox(folder / "state" / "outbox")
    link = Link("2026-11-24T02:00:00Z", 1, None)
    path, full = bundle(folder / "a.zip", link)
    outbox.add(path, key("acme", link, full))
    return outbox


def test_reading_with_credentials_that_may_only_write_is_said_to_be_impossible(sink: Made) -> None:
    writer = sink("writer")
    put(writer, "x", b"x")
    for attempt in (lambda: writer.head("x"), lambda: writer.get("x"), lambda: list(writer.list(""))):
        with pytest.raises(SinkUnreadable):
            attempt()


def test_what_the_store_confirmed_counts_as_delivered_and_the_result_says_so(
    sink: Made, tmp_path: Path, bundle: Any
) -> None:
    outbox = waiting(tmp_path, bundle)
    entry = outbox.entries()[0]
    delivered = outbox.deliver([sink("writer")])
    assert delivered.problems == []
    assert "not read back" in delivered.notes[0]
    assert "the store confirmed its SHA-256" in delivered.notes[0]
    with sink("agent").get(entry.key) as file:
        assert digest(file.read()) == entry.sha256


def test_with_credentials_that_read_the_copy_is_compared_and_nothing_is_noted(
    sink: Made, tmp_path: Path, bundle: Any
) -> None:
    delivered = waiting(tmp_path, bundle).deliver([sink("agent")])
    assert (delivered.problems, delivered.notes) == ([], [])


def test_a_lost_answer_does_not_hold_up_write_only_delivery(
    sink: Made, bucket: Any, tmp_path: Path, bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = waiting(tmp_path, bundle)
    store = sink("writer")
    real = store.put

    def lost(*arguments: Any, **more: Any) -> None:
        real(*arguments, **more)
        raise ConnectionResetError("the answer was lost")

    monkeypatch.setattr(store, "put", lost)
    assert "the answer was lost" in outbox.deliver([store]).problems[0]
    monkeypatch.setattr(store, "put", real)
    delivered = outbox.deliver([store])
    assert delivered.problems == []
    assert "sent before, and cut off" in delivered.notes[0]
    assert len(versions(bucket, store, "acme/")) == 1


@pytest.mark.parametrize("confirmed", [None, digest(b"other")])
def test_a_checksum_of_other_bytes_confirms_nothing(
    confirmed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that answers 200 to everything, whatever it kept, and lets nobody read."""

    class Vague(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200 if self.command == "PUT" else 403)
            if confirmed:
                told = base64.b64encode(bytes.fromhex(confirmed)).decode()
                self.send_header("x-amz-checksum-sha256", told)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            return

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "writer")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vague)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sink = S3Sink({"bucket": "evidence", "endpoint": f"http://127.0.0.1:{server.server_port}"})
        with pytest.raises(SinkRefused, match="did not confirm the SHA-256"):
            put(sink, "acme/20261124T020000Z/00000001-0123456789ab.zip", b"x")
    finally:
        server.shutdown()
        server.server_close()


def test_a_strangers_object_is_no_delivery(sink: Made, tmp_path: Path, bundle: Any) -> None:
    outbox = waiting(tmp_path, bundle)
    put(sink("agent"), outbox.entries()[0].key, b"a stranger's")
    delivered = outbox.deliver([sink("writer")])
    assert "something is stored under this key, and cannot be read back" in delivered.problems[0]


# --- what goes wrong


def test_a_store_that_is_down_may_work_later(sink: Made) -> None:
    store = sink(endpoint="http://127.0.0.1:9")
    for attempt in (lambda: put(store, "x", b""), lambda: store.head("x"), lambda: list(store.list(""))):
        with pytest.raises(OSError) as caught:
            attempt()
        assert "\n" not in str(caught.value)


def test_unknown_credentials_are_refused_without_telling_them(sink: Made) -> None:
    with pytest.raises(SinkRefused) as caught:
        put(sink("nobody"), "x", b"")
    assert "InvalidAccessKeyId" in str(caught.value)
    assert "nobodysecret" not in str(caught.value)


def test_an_unknown_profile_is_named(sink: Made) -> None:
    with pytest.raises(SinkRefused, match="audit"):
        sink(profile="audit")


def test_a_bucket_without_locks_refuses_a_locked_bundle(sink: Made) -> None:
    with pytest.raises(SinkRefused, match="InvalidRequest"):
        put(sink(bucket="plain", lock=GOVERNED), "x", b"x")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (503, "SlowDown", OSError),
        (500, "InternalError", OSError),
        (409, "ConditionalRequestConflict", OSError),
        (400, "ExpiredToken", OSError),
        (404, "NoSuchUpload", OSError),
        (412, "PreconditionFailed", SinkTaken),
        (403, "AccessDenied", SinkRefused),
        (404, "NoSuchBucket", SinkRefused),
        (400, "InvalidDigest", SinkRefused),
    ],
)
def test_an_answer_is_final_or_not(status: int, code: str, expected: type[Exception]) -> None:
    from botocore.exceptions import ClientError

    answer: Any = {
        "Error": {"Code": code, "Message": "of\nmany\nlines"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with pytest.raises(expected) as caught, told("storing"):
        raise ClientError(answer, "PutObject")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, SinkRefused) == issubclass(expected, SinkRefused)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bucket": "No"}, "bucket"),
        ({"bucket": "192.168.0.1"}, "bucket"),
        ({"bucket": "a..b"}, "bucket"),
        ({"prefix": "acme"}, "prefix"),
        ({"prefix": "../"}, "prefix"),
        ({"prefix": "/acme/"}, "prefix"),
        ({"endpoint": "http://s3.example.org"}, "https only"),
        ({"endpoint": "https://me:secret@s3.example.org"}, "scheme, host and port only"),
        ({"endpoint": "s3.example.org"}, "endpoint"),
        ({"endpoint": "https://s3.example.org:x"}, "endpoint"),
        ({"lock": {"mode": "legal", "days": 3}}, "lock"),
        ({"lock": {"mode": "governance"}}, "lock"),
        ({"lock": {"mode": "governance", "days": 0}}, "days"),
        ({"lock": {"mode": "governance", "days": True}}, "days"),
        ({"lock": {"mode": "governance", "days": 9}, "keep": 86400}, "keep: is shorter than the lock"),
        ({"region": "a\nb"}, "region"),
        ({"kms_key": ""}, "kms_key"),
    ],
)
def test_settings_that_cannot_be_used_are_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        S3Sink({"bucket": "evidence", "prefix": "acme/"} | changed)
    assert "secret" not in str(caught.value)


def test_stores_of_one_bucket_name_at_two_endpoints_are_two_places() -> None:
    one, two = ({"bucket": "evidence", "endpoint": f"https://{name}.example.org/"} for name in "ab")
    assert S3Sink(one).address != S3Sink(two).address != S3Sink({"bucket": "evidence"}).address


# --- what the store enforces, and what it needs


def failed(found: Any) -> list[str]:
    return [each.what for each in found.found if each.promised and each.held is not True]


@pytest.mark.parametrize("mode", ["governance", "compliance"])
@pytest.mark.parametrize("who", ["agent", "writer"])
def test_a_store_that_enforces_its_locks_is_called_good(sink: Made, who: str, mode: str) -> None:
    found = check(sink(who, lock={"mode": mode, "days": 400}), f"{who}-{mode}")
    assert failed(found) == []
    assert found.holds
    assert [each.held for each in found.found].count(True) >= 6


def test_canaries_are_locked_for_minutes_and_listed_as_no_bundles(sink: Made, bucket: Any) -> None:
    store = sink(lock={"mode": "compliance", "days": 400})
    found = check(store, "canary")
    assert "stay below" in found.found[-1].detail
    kept = versions(bucket, store, ".collector-check/")
    assert kept
    for each in kept:
        head = bucket.client("owner").head_object(
            Bucket="evidence", Key=each["Key"], VersionId=each["VersionId"]
        )
        assert head["ObjectLockRetainUntilDate"] - datetime.now(UTC) < timedelta(minutes=3)
    assert list(store.list("")) == []


def test_credentials_that_can_lift_a_lock_are_told(sink: Made) -> None:
    found = check(sink("owner", lock=GOVERNED), "lift")
    assert failed(found) == ["these credentials cannot lift a lock"]
    assert "s3:BypassGovernanceRetention" in next(
        each.detail for each in found.found if each.what in failed(found)
    )


def test_without_a_lock_nothing_about_locks_is_promised_and_no_canary_stays(sink: Made, bucket: Any) -> None:
    store = sink()
    found = check(store, "unlocked")
    assert found.holds
    assert any(each.held is False and "no `lock`" in each.detail for each in found.found)
    assert versions(bucket, store, ".collector-check/") == []


def test_a_lock_that_the_bucket_cannot_keep_does_not_hold(sink: Made) -> None:
    found = check(sink("owner", bucket="plain", lock=GOVERNED), "plain")
    assert failed(found) == ["an object is stored"]
    assert not found.holds


@pytest.fixture
def weak(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store that takes what it is told without looking."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def test_a_store_that_compares_no_checksum_is_called_weak(weak: str) -> None:
    store = S3Sink({"bucket": "evidence", "endpoint": weak, "lock": GOVERNED})
    store.client.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
    found = check(store, "weak")
    assert "bytes that are not those announced are refused" in failed(found)
    assert "the retention of a locked version cannot be shortened" in failed(found)
    assert not found.holds


def test_the_key_that_encrypts_is_handed_to_the_store(weak: str) -> None:
    store = S3Sink({"bucket": "evidence", "endpoint": weak, "kms_key": "alias/evidence"})
    store.client.create_bucket(Bucket="evidence")
    for where, data in (("small", b"x"), ("large", b"x" * LARGE)):
        put(store, where, data)
        found = store.client.head_object(Bucket="evidence", Key=where)
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/evidence")


def policies(text: str) -> list[Any]:
    parts = "\n".join(line for line in text.splitlines() if not line.startswith("#")).split("\n\n")
    return [json.loads(part) for part in parts]


def actions(policy: Any) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def test_the_policy_for_uploading_reads_and_deletes_nothing() -> None:
    table = {"bucket": "evidence", "prefix": "acme/", "lock": GOVERNED, "kms_key": "alias/e"}
    upload, back, resume, checks = policies(S3Sink(table).permissions())
    assert actions(upload) == {"s3:PutObject", "s3:PutObjectRetention", "kms:GenerateDataKey", "kms:Decrypt"}
    assert actions(back) == {"s3:GetObject", "s3:ListBucket"}
    assert "s3:ListMultipartUploadParts" in actions(resume)
    assert [each["Resource"] for each in checks["Statement"]] == [
        "arn:aws:s3:::evidence/acme/.collector-check/*"
    ]
    everything = actions(upload) | actions(back) | actions(resume) | actions(checks)
    assert "s3:BypassGovernanceRetention" not in everything


def test_the_policy_without_lock_and_key_asks_for_less() -> None:
    upload = policies(S3Sink({"bucket": "evidence"}).permissions())[0]
    assert actions(upload) == {"s3:PutObject"}
    assert upload["Statement"][0]["Resource"] == "arn:aws:s3:::evidence/*"


def test_what_breaks_while_reading_may_work_later(sink: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ReadTimeoutError

    class Body:
        def read(self, _size: int) -> bytes:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")

        def close(self) -> None: ...

    store = sink()
    monkeypatch.setattr(store.client, "get_object", lambda **_: {"Body": Body()})
    file: IO[bytes]
    with store.get("x") as file, pytest.raises(OSError, match="reading"):
        file.read()
