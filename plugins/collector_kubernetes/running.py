"""What pods tell beside themselves: images that run, and the settings of the control plane's components."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from collector.model import Column, ColumnGap, Gap, Identity, Json, Kind, Outcome, Record
from collector_kubernetes.catalogue import catalogue

__all__ = ["COMPONENT", "IMAGE", "Running"]

_PODS = catalogue()["kubernetes_pod"].kind.operations
_COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "etcd",
    "cloud-controller-manager",
)
_SYSTEM = "kube-system"
_MOST_IMAGES = 100_000  # images of one cluster that are told apart; each costs some 300 bytes of memory
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_LISTS = frozenset(
    {
        "authorization-mode",
        "cors-allowed-origins",
        "disable-admission-plugins",
        "enable-admission-plugins",
        "etcd-servers",
        "feature-gates",
        "runtime-config",
        "tls-cipher-suites",
    }
)
"""Flags that may be given more than once, each time for more of the same."""

_ENDS = frozenset(";&|<>()")  # signs that end a command of a shell
_UNREAD = "a shell's script starts it, and does not show its flags"
_UNTOLD = "a variable in its flags is not set where its pod shows it"
_VARIABLE = re.compile(r"\$(\$|\(([^()]*)\))")
_HUSHED = re.compile(r"pass|secret|token|cred|key", re.IGNORECASE)
"""Variables that sound like a secret: no value of theirs is put in the place of their name."""

_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")

IMAGE = Kind(
    name="kubernetes_image",
    title="Images that run, with the digests that nodes fetched",
    columns=(
        Column("image", "VARCHAR", "image as the node names it", identity=Identity.RESOURCE),
        Column(
            "image_id", "VARCHAR", "what the node fetched: host, path and digest", identity=Identity.RESOURCE
        ),
        Column("digest", "VARCHAR", "its digest; NULL: the node names none"),
    ),
    identity=("image", "image_id"),
    operations=_PODS,
    examples=("SELECT image, count(*) FROM kubernetes_image GROUP BY image HAVING count(*) > 1",),
)

COMPONENT = Kind(
    name="kubernetes_component",
    title="Components of the control plane that run as pods, with their command line's flags",
    columns=(
        Column("component", "VARCHAR", "kube-apiserver, kube-scheduler, etcd, …", identity=Identity.RESOURCE),
        Column("pod", "VARCHAR", "the pod that it runs in", identity=Identity.RESOURCE),
        Column("node", "VARCHAR", "the node that the pod runs on", identity=Identity.RESOURCE),
        Column("image", "VARCHAR", "its image", identity=Identity.RESOURCE),
        Column("static", "BOOLEAN", "whether the node runs it from a file of its own"),
        Column(
            "flags",
            "JSON",
            "flags by name without dashes; true where one has no value; not `urls`",
            free_text=True,
        ),
        Column("urls", "JSON", "those of its flags that hold an address, `://`", free_text=True),
        Column("env_names", "VARCHAR[]", "its environment variables, by name: etcd takes settings from them"),
    ),
    identity=("component", "pod"),
    operations=_PODS,
    examples=("SELECT pod, flags->>'$.\"authorization-mode\"' FROM kubernetes_component",),
)


class Running:
    """Looks at pods one after the other; gives each image once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def records(self, pod: Mapping[str, Json], scope: Mapping[str, str], call: str) -> Iterator[Record | Gap]:
        """What a pod tells that no pod before it did."""
        yield from self._images(pod.get("status") or {}, scope, call)
        if (pod.get("metadata") or {}).get("namespace") == _SYSTEM:
            yield from _components(pod, scope, call)

    def _images(
        self, status: Mapping[str, Json], scope: Mapping[str, str], call: str
    ) -> Iterator[Record | Gap]:
        for each in (one for name in _STATUSES for one in status.get(name) or ()):
            image, fetched = str(each.get("image") or ""), str(each.get("imageID") or "")
            if not fetched or (image, fetched) in self._seen:
                continue
            if len(self._seen) == _MOST_IMAGES:
                yield Gap(IMAGE.name, scope, Outcome.BUDGET, call, f"more than {_MOST_IMAGES} images")
            self._seen.add((image, fetched))
            if len(self._seen) > _MOST_IMAGES:
                return
            digest = fetched.rpartition("@")[2]
            data = {"image": image, "image_id": fetched} | ({"digest": digest} if ":" in digest else {})
            yield Record(IMAGE.name, f"Image/{image}/{fetched}", scope, (call,), data)


def _components(pod: Mapping[str, Json], scope: Mapping[str, str], call: str) -> Iterator[Record]:
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    static = any(each.get("kind") == "Node" for each in metadata.get("ownerReferences") or ())
    for each in spec.get("containers") or ():
        written = [str(word) for word in (*(each.get("command") or ()), *(each.get("args") or ()))]
        words, known = _expanded(written, each)
        component = _component(words, str(each.get("name")))
        if component is None:
            continue
        own = _own(words, component)
        why = _UNTOLD if own and not known else _UNREAD
        flags = _flags(own if known else None)
        data = {
            "component": component,
            "pod": metadata.get("name"),
            "node": spec.get("nodeName"),
            "image": each.get("image"),
            "static": static,
            "flags": flags and {name: value for name, value in flags.items() if not _is_url(value)},
            "urls": flags and {name: value for name, value in flags.items() if _is_url(value)},
            "env_names": [str(one.get("name")) for one in each.get("env") or ()],
        }
        kept = {name: value for name, value in data.items() if value is not None}
        lost = ("flags", "urls") if flags is None else ()
        gaps = tuple(ColumnGap(column, Outcome.MALFORMED, call, why) for column in lost)
        id_ = f"Component/{component}/{metadata.get('name')}"
        yield Record(COMPONENT.name, id_, scope, (call,), kept, gaps)


def _expanded(words: list[str], container: Mapping[str, Json]) -> tuple[list[str], bool]:
    """Words with `$(NAME)` replaced as kubelets do it, and whether all of it could be.

    Only what stands in the container itself is known: not what is taken from elsewhere (`valueFrom`,
    `envFrom`), nor the variables that name services.
    """
    values: dict[str, str] = {}
    lost = False

    def told(found: re.Match[str]) -> str:
        nonlocal lost
        if found[1] == "$":
            return "$"
        lost = lost or found[2] not in values
        return values.get(found[2], found[0])

    for each in container.get("env") or ():
        name, lost = str(each.get("name")), False
        value = _VARIABLE.sub(told, str(each.get("value") or ""))
        values.pop(name, None)  # the last of a name counts
        if not lost and not each.get("valueFrom") and not _HUSHED.search(name):
            values[name] = value
    lost = False
    return [_VARIABLE.sub(told, word) for word in words], not lost


def _component(words: Sequence[str], container: str) -> str | None:
    """The component that a container is, by the program that it begins with, or by its own name."""
    names = {_program(word) for word in words[:1]} | {container}
    return next((name for name in _COMPONENTS if name in names), None)


def _is_url(value: Json) -> bool:
    """Apart, since a password in an address must not hide what all other flags say."""
    return "://" in str(value)


def _program(word: str) -> str:
    return word.rpartition("/")[2]


def _own(words: list[str], component: str) -> list[str] | None:
    """The words that follow the component's name; of a script for a shell, those of its command.

    None where the script does not show them: what cannot be read must not look like flags that are not set.
    """
    if not words or _program(words[0]) not in _SHELLS:
        return words
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    lexer = shlex.shlex(script, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        told = list(lexer)
    except ValueError:
        return None
    start = next((at for at, word in enumerate(told) if _program(word) == component), None)
    if start is None:
        return None
    end = next((at for at in range(start, len(told)) if told[at] and set(told[at]) <= _ENDS), len(told))
    return None if any("$" in word or "`" in word for word in told[start:end]) else told[start:end]


def _flags(words: list[str] | None) -> dict[str, Json] | None:
    """Flags of a Go program, with `-` or `_` in their names; the last of a name counts, but for lists."""
    if words is None:
        return None
    flags: dict[str, Json] = {}
    for name, value in _given(words):
        before = flags.get(name)
        more = name in _LISTS and isinstance(before, str) and isinstance(value, str)
        flags[name] = f"{before},{value}" if more else value
    return flags


def _given(words: list[str]) -> Iterator[tuple[str, Json]]:
    """Names and values of `--name=value`, `--name value`, or `--name` alone."""
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        name, given, value = word.lstrip("-").partition("=")
        if word.startswith("-") and (given or name):
            alone = True if following.startswith("-") else following
            yield name.replace("_", "-"), value if given else alone
