"""Delivery to an OCI registry: the sink `oci`.

A bundle is an artifact (OCI Image Specification 1.1, "Guidelines for artifact usage"): one layer, the
empty config, an image manifest with an `artifactType`. Blobs go first; the manifest put under a tag is the
commit mark. A tag is never moved to another digest. A conditional put of a tag is asked for, which the
specification does not know and most registries pass over; so the sink looks first, which is not atomic. Most
registries can be told to keep tags unchanged.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, ClassVar

from collector.hookspecs import check_key, hookimpl, is_key
from collector.model import Enforced, Json, Option, Sink, SinkRefused, SinkTaken, SinkUnreadable
from collector_oci.registry import Registry, digest_of

__all__ = ["OciSink", "api", "collector_sinks", "key_of", "tag_of"]

api = 1

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT = "application/vnd.evidence-collector.bundle.v1"
LAYER = "application/zip"
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
_KEY = "evidence-collector.key"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_READ = 1 << 20


def tag_of(key: str) -> str:
    """A key as a tag: `/` is `__`, `_` is `_-`, and a leading `.` is `_.`, so that it can be read back.

    Raises:
        SinkRefused: the key is none, or too long for a tag (128 characters).
    """
    tag = check_key(key).replace("_", "_-").replace("/", "__")
    tag = f"_{tag}" if tag.startswith(".") else tag
    if not _TAG.match(tag):
        raise SinkRefused(f"{key!r} makes a tag of {len(tag)} characters, the limit is 128")
    return tag


def key_of(tag: str) -> str | None:
    """The key that a tag stands for; None for a tag that is none of ours."""
    text = tag[1:] if tag.startswith("_.") else tag
    key = re.sub("_[_-]", lambda match: "/" if match[0] == "__" else "_", text)
    try:
        return key if is_key(key) and tag_of(key) == tag else None
    except SinkRefused:
        return None


class OciSink:
    """Bundles in a repository of an OCI registry."""

    name: ClassVar[str] = "oci"
    title: ClassVar[str] = "A repository of an OCI registry"
    options: ClassVar[tuple[Option, ...]] = (
        Option("registry", "string", "the registry, as in https://registry.example.org", required=True),
        Option("repository", "string", "the repository there, as in acme/evidence", required=True),
        Option("user", "string", "user name, where the registry asks for one"),
        Option("password", "string", "of the user, or a token; give it as ${ENV}"),
        Option(
            "token_service",
            "string",
            "who may be shown user and password too, as in https://auth.example.org",
        ),
        Option("ca", "path", "certificates of the authorities to trust, PEM, in place of the system's"),
        Option("chunk", "integer", "bytes that are sent in one request", default=64 << 20),
        Option("timeout", "duration", "what one answer of the registry may take", default="60s"),
        Option("keep", "duration", "how long the registry keeps bundles; the collector deletes none"),
    )
    confirms: ClassVar[bool] = True  # a blob is stored under the digest that the registry computed
    replaces: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Json]) -> None:
        self._registry = Registry({"chunk": 64 << 20, "timeout": 60.0, **settings})

    @property
    def address(self) -> str:
        """The repository."""
        return f"{self._registry.origin}/{self._registry.repository}"

    def put(self, key: str, file: IO[bytes], sha256: str, absent: bool = True) -> None:
        """Store a file as an artifact under the tag of its key.

        Raises:
            SinkTaken: the tag is there already.
            SinkRefused: the key makes no tag, the bytes are not those announced, or the registry says no.
            OSError: the registry could not be reached or cannot now.
        """
        tag = tag_of(key)
        if absent and self._is_there(tag):
            raise SinkTaken(f"the tag {tag} is there already, and no tag is moved")
        size = _checked(file, sha256)
        registry = self._registry
        for digest, content, length in (
            (f"sha256:{sha256}", file, size),
            (digest_of(_EMPTY), io.BytesIO(_EMPTY), len(_EMPTY)),
        ):
            if not self._has(digest):
                registry.upload(digest, content, length)
        if not registry.put_manifest(tag, _manifest(key, sha256, size), MANIFEST, absent):
            raise SinkTaken(f"the tag {tag} is there already, and no tag is moved")

    def get(self, key: str) -> IO[bytes]:
        """Open what is stored, by digest. Raises FileNotFoundError if nothing is."""
        layer = self._layer(tag_of(key))
        if layer is None:
            raise FileNotFoundError(f"{key}: no such tag")
        return self._registry.blob(layer["digest"])

    def head(self, key: str) -> int | None:
        """Its size, or None."""
        layer = self._layer(tag_of(key))
        return None if layer is None else int(layer["size"])

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, sorted: those of the tags."""
        keys = (key_of(tag) for tag in self._registry.tags())
        yield from sorted(key for key in keys if key is not None and key.startswith(prefix))

    def prune(self, prefix: str, as_of: str) -> Sequence[str]:  # noqa: ARG002 - kept by the registry's rules
        """Nothing: how long a registry keeps what it has is set there."""
        return []

    def check(self, key: str) -> Sequence[Enforced]:
        """Whether a tag can be moved, a wrong digest is refused, and a manifest can be deleted."""
        registry, tag = self._registry, tag_of(key)
        try:
            registry.upload(digest_of(b"announced"), io.BytesIO(b"sent"), 4)
            refused = False
        except SinkRefused:
            refused = True
        other = _manifest(f"{key}-moved", hashlib.sha256(_EMPTY).hexdigest(), len(_EMPTY))
        before = registry.manifest(tag)
        refuses = not self._takes(tag, other, absent=True)
        moved = self._takes(tag, other, absent=False)
        manifests = {digest_of(other), *([digest_of(before[0])] if before else [])}
        statuses = [registry.delete(f"manifests/{each}") for each in sorted(manifests)]
        deleted = any(200 <= status < 300 for status in statuses)
        return [
            Enforced("a blob that is not of its digest is refused", refused),
            Enforced(
                "a second manifest under a tag is refused with If-None-Match: *", refuses, promised=False
            ),
            Enforced("a tag cannot be moved", not moved, "set in the registry, if it can", promised=False),
            Enforced(
                "what is stored cannot be deleted", not deleted, f"answered {statuses[-1]}", promised=False
            ),
        ]

    def permissions(self) -> str:
        """Scopes of a token, as registries write them."""
        return (
            f"repository:{self._registry.repository}:push      upload\n"
            f"repository:{self._registry.repository}:pull      read back, `verify` over the store\n"
            f"repository:{self._registry.repository}:delete    `collector sink check` only\n"
        )

    def _takes(self, tag: str, manifest: bytes, absent: bool) -> bool:
        try:
            return self._registry.put_manifest(tag, manifest, MANIFEST, absent)
        except SinkRefused:
            return False

    def _is_there(self, tag: str) -> bool:
        try:
            return self._registry.manifest(tag) is not None
        except SinkUnreadable:
            return False

    def _has(self, digest: str) -> bool:
        try:
            return self._registry.has(digest)
        except SinkUnreadable:
            return False

    def _layer(self, tag: str) -> dict[str, Any] | None:
        found = self._registry.manifest(tag)
        return None if found is None else _layer_of(found[0])


def _checked(file: IO[bytes], sha256: str) -> int:
    """The size of a file that has the digest announced; it is at its beginning then."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_READ):
        digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise SinkRefused("the bytes to store are not those that were announced")
    size = file.tell()
    file.seek(0)
    return size


def _manifest(key: str, sha256: str, size: int) -> bytes:
    """The same for the same bundle, to the byte: no time, no order left open."""
    name = key.rpartition("/")[2]
    layer = {
        "mediaType": LAYER,
        "digest": f"sha256:{sha256}",
        "size": size,
        "annotations": {_TITLE: name},
    }
    made = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(_EMPTY), "size": len(_EMPTY)},
        "layers": [layer],
        "annotations": {_KEY: key},
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":")).encode()


def _layer_of(manifest: bytes) -> dict[str, Any]:
    """The one layer of a bundle's manifest. Raises SinkRefused for any other."""
    try:
        (layer,) = json.loads(manifest)["layers"]
        if _DIGEST.match(layer["digest"]) and isinstance(layer["size"], int) and layer["size"] >= 0:
            return dict(layer)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise SinkRefused("what the tag names is no bundle")


@hookimpl
def collector_sinks() -> Sequence[type[Sink]]:
    """The one sink."""
    return [OciSink]
