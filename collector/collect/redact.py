"""What must not be written, replaced before anything is (docs/format.md, "Redaction before disk").

Three things are replaced:

- values of secret columns, by a keyed digest; values of columns that name people, by a pseudonym;
- secrets that nobody declared, where a detector finds them in a free-text column or a raw text: the
  stretch alone, by `[redacted hmac:…]`;
- in raw texts and free text, also values that secret and personal columns of earlier records held.

Literal members of free text (`Column.literals`: what an environment variable is set to) are never written:
`[not kept]` stands there, or `[redacted hmac:…]` for the whole of it where a detector finds a secret.

Each replacement is listed: `{"path": …, "by": …, "digest": …}`. `by` is `column` for a secret column,
`person` for a person's, `known` for a value that a column held, `span` for what a source marked in a
text, `spans unknown` for a text that its source could not mark, `size` and `depth` for what is too large
or nested too deeply to look through; anything else is a detector's name.

A path leads from `data` to the value: names joined by dots, places in lists in brackets, as in
`Environment[3].value`; a name that is no identifier is written `["as JSON"]`. A stretch of a text has the
path of the text; several stretches are listed in their order.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from collector.canonical import dumps
from collector.collect.detect import detect, detect_in_arguments
from collector.collect.known import Known
from collector.collect.likely import harmless, is_random, names_secret
from collector.collect.nested import MAX_DEPTH, mapped, step, strings, utf8
from collector.collect.stretches import Stretch, apart
from collector.model import Column, ColumnGap, Identity, Json, Kind, Outcome, Record, Span, Text

if TYPE_CHECKING:
    from collector.keys import Keys

__all__ = ["MAX_TEXT", "RedactingFilter", "Redaction", "Redactor", "answer_kind"]

MAX_TEXT = 2**20
"""Characters of one text that are kept and looked through; of a longer one, digest and size are kept."""

_MAX_LINE = 64 * 2**10  # characters of a message; what is longer is cut before it is looked through
_MAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_NONE: frozenset[str] = frozenset()
_MAX_CLEAN, _MOST_CLEAN = 256, 4096  # characters of a text, and how many of them, that are remembered
_MAX_LOOKED, _MOST_LOOKED = 16384, 64  # bytes of a column's value, and how many of them
# Below the name of a secret, what these say is which secret it is, where it lies, or whom it is for.
_NAMING = re.compile(
    r"\.(?:name|namespace|path|audience|[a-z]\w{0,62}(?:Name|Namespace|Ref)|items\[\d{1,4}\]\.key)\Z",
    re.ASCII,
)
_RANDOM_NAME = 20  # characters from which a name that reads like random base64 is none
_HEADERS = ("auth", "authorization", "proxy-authorization", "cookie", "set-cookie")

Redaction = dict[str, str]


def answer_kind(source: str) -> Kind:
    """The kind that a source's raw texts are records of."""
    return Kind(
        name=f"{source}_answer",
        title=f"Texts that the records of {source} were read from",
        columns=(
            Column("op", "VARCHAR", "the operation that brought the text"),
            Column("name", "VARCHAR", "tells texts of one call apart, as a file's path does"),
            Column("text", "VARCHAR", "the text as received, but for what was redacted", free_text=True),
            Column("size", "BIGINT", "bytes of the text as received"),
            Column("digest", "VARCHAR", "keyed digest of the text as received"),
        ),
        identity=("op", "name"),
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a kind that redaction touches."""

    secret: frozenset[str]
    personal: frozenset[str]
    named: frozenset[str]  # logins and resources: never touched, and no person's name where they are equal
    untouched: frozenset[str]
    literals: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, kind: Kind) -> _Columns:
        secret = frozenset(column.name for column in kind.columns if column.secret)
        personal = frozenset(
            column.name
            for column in kind.columns
            if column.identity and column.identity.personal and not column.secret
        )
        named = frozenset(
            column.name for column in kind.columns if column.identity and not column.identity.personal
        )
        plain = frozenset(column.name for column in kind.columns if not column.free_text)
        literals = {column.name: frozenset(column.literals) for column in kind.columns if column.literals}
        return cls(secret, personal, named - secret, (plain | named) - secret - personal, literals)


class Redactor:
    """Replaces what must not be written.

    It may be shared between threads. What records held is remembered for the texts behind them, so make
    one for each target or task (that costs little, detectors are shared): then what is replaced depends
    on the order of its records, and not on that of threads.
    """

    def __init__(self, kinds: Mapping[str, Kind], keys: Keys, detect: bool = True) -> None:
        """`detect` says whether to look for secrets that were not declared."""
        self._kinds = kinds
        self._keys = keys
        self._detect = detect
        self._columns: dict[str, _Columns] = {}
        self._known = Known()
        # What was looked through already, until more is known of secrets and people.
        self._clean: set[str] = set()  # short texts in which nothing was found
        self._looked: dict[tuple[str, frozenset[str], bytes], tuple[Json, list[Redaction]]] = {}
        self._lock = threading.Lock()

    def record(self, record: Record) -> tuple[dict[str, Json], list[Redaction]]:
        """What is written of a record: its data, and what was replaced in it.

        A column that the kind does not declare is looked through as free text.

        Raises:
            KeyError: no such kind.
        """
        columns = self._of(record.kind)
        data = dict(record.data)
        redactions: list[Redaction] = []
        self._remember(data, columns)
        for name, value in data.items():
            if value is None or name in columns.untouched:
                continue
            if name in columns.secret:
                value = _opaque(value)
                replace = partial(self._declared, self._keys.redaction, "column", redactions)
            elif name in columns.personal:
                replace = partial(self._declared, self._keys.pseudonym, "person", redactions)
            else:
                data[name] = self._column(redactions, value, name, columns.literals.get(name, _NONE))
                continue
            data[name] = replace(value, step("", name))
        return data, redactions

    def _column(self, redactions: list[Redaction], value: Json, name: str, literals: frozenset[str]) -> Json:
        """Look through a free-text column; what other records hold alike was looked through with them."""
        whole = _fingerprint(value)
        key = (name, literals, whole)  # two kinds may have a column of one name and other literals
        known = self._looked.get(key) if whole else None
        if known is None:
            own: list[Redaction] = []
            known = (self._free(own, value, step("", name), literals=literals), own)
            if whole:
                if len(self._looked) == _MOST_LOOKED:
                    self._looked.clear()  # what is alike stands side by side
                self._looked[key] = known
        redactions += known[1]
        return known[0]

    def id(self, record: Record) -> str:
        """What is written of a record's id: without what its secret and personal columns hold."""
        columns = self._of(record.kind)
        id_ = record.id
        for name in sorted(columns.secret | columns.personal):
            replace = self._keys.redaction if name in columns.secret else self._keys.pseudonym
            for value in sorted(strings(record.data.get(name)), key=len, reverse=True):
                if value.strip():
                    id_ = id_.replace(value, replace(value))
        return id_

    def text(self, text: Text, source: str) -> tuple[Record, list[Redaction]]:
        """The record that is kept of a raw text, and what was replaced in it.

        Give the records of its call to `record` first: what their secret and personal columns held is
        replaced in the text even where the source marked no span. More than MAX_TEXT characters: a gap
        `truncated` on the column `text`.
        """
        raw = _received(text.text)
        digest = self._keys.answer_digest(raw)
        redactions: list[Redaction] = []
        gaps: tuple[ColumnGap, ...] = ()
        kept: str | None = None
        if len(text.text) > MAX_TEXT:
            detail = f"{len(text.text)} characters, no more than {MAX_TEXT} are kept"
            gaps = (ColumnGap("text", Outcome.TRUNCATED, text.call, detail),)
        elif text.spans is None or self._known.overflown:
            redactions.append({"path": "text", "by": "spans unknown", "digest": digest})
        else:
            marked = self._marked(text.spans, text.text)
            kept = utf8(self._replaced(redactions, text.text, "text", marked))
        name = utf8(self._replaced(redactions, text.name, "name"))
        data = {"op": text.op, "name": name, "text": kept, "size": len(raw), "digest": digest}
        id_ = f"{text.call}#{name}" if name else text.call
        return Record(f"{source}_answer", id_, text.scope, (text.call,), data, gaps), redactions

    def params(self, params: Mapping[str, Json]) -> dict[str, Json]:
        """What is written of a call's parameters.

        Mail addresses become pseudonyms, as do values that are as a whole a person known from a record;
        secrets are replaced where a detector finds them.
        """
        return {key: mapped(value, key, self._parameter) for key, value in params.items()}

    def line(self, line: str) -> str:
        """What is written of a message, a detail or an error: no secret, mail address or known value."""
        kept = utf8(self._mails(self._replaced([], line[:_MAX_LINE], "")))
        return kept + " …" if len(line) > _MAX_LINE else kept

    def _of(self, kind: str) -> _Columns:
        columns = self._columns.get(kind)
        if columns is None:
            columns = self._columns[kind] = _Columns.of(self._kinds[kind])
        return columns

    def _remember(self, data: Mapping[str, Json], columns: _Columns) -> None:
        """Keep what texts must not show; a person's name that is also the name of a thing stays."""
        if not (columns.secret or columns.personal):
            return
        named = {value.lower() for name in columns.named for value in strings(data.get(name))}
        with self._lock:
            self._clean.clear()
            self._looked.clear()
            for name, value in data.items():
                for each in strings(value) if name in columns.secret else ():
                    self._known.add(each, self._keys.redaction(each), exact=True)
                for each in strings(value) if name in columns.personal else ():
                    if each.strip().lower() not in named:
                        self._known.add(each, self._keys.pseudonym(each), exact=False)

    def _declared(
        self, digest: Callable[[str], str], by: str, redactions: list[Redaction], value: Json, path: str
    ) -> Json:
        """Replace every text in a secret or personal column, and every number as well."""

        def replace(text: Json, at: str) -> Json:
            if not isinstance(text, str):
                text = dumps(text).decode()
            if not text.strip():
                return text
            redactions.append({"path": at, "by": by, "digest": digest(text)})
            return digest(text)

        return mapped(value, path, replace, everything=True)

    def _free(
        self,
        redactions: list[Redaction],
        value: Json,
        path: str,
        depth: int = 0,
        literals: frozenset[str] = _NONE,
    ) -> Json:
        """Look through a value, however it is nested."""
        if isinstance(value, str):
            return self._replaced(redactions, value, path)
        if not isinstance(value, (list, dict)) or not value:
            return value
        if depth == MAX_DEPTH:
            return self._whole(redactions, "nested too deeply to look through", path, "depth")
        if isinstance(value, list):
            return self._free_list(redactions, value, path, depth, literals)
        return self._free_dict(redactions, value, path, depth, literals)

    def _free_dict(
        self,
        redactions: list[Redaction],
        value: Mapping[str, Json],
        path: str,
        depth: int,
        literals: frozenset[str],
    ) -> dict[str, Json]:
        """A name says what its value is: `{"password": …}`, `{"name": "DB_PASSWORD", "value": …}`."""
        free: dict[str, Json] = {}
        every = "*" in literals
        for name, each in value.items():
            secret = self._detect and _names_secret(name, each, value)
            literal = every or name in literals
            if not secret and not literal and name in self._clean and self._settled(each):
                free[name] = each
                continue
            shown = self._replaced(redactions, name, path)
            at = step(path, shown)
            if literal:
                free[shown] = mapped(each, at, partial(self._literal, redactions, secret))
            elif secret:
                free[shown] = mapped(each, at, partial(self._named, redactions))
            else:
                free[shown] = self._free(redactions, each, at, depth + 1, literals)
        return free

    def _settled(self, value: Json) -> bool:
        """Whether a value needs no look: a number, or a text in which nothing was found before."""
        return value in self._clean if type(value) is str else not isinstance(value, (str, list, dict))

    def _literal(self, redactions: list[Redaction], secret: bool, value: str, path: str) -> str:
        """What stands for a text that is not kept; a secret in it is told as anywhere else."""
        if len(value) > MAX_TEXT:
            return self._whole(redactions, value, path, "size")
        if secret and not harmless(value):
            return self._whole(redactions, value, path, "keyword")
        if found := self._found(value):
            return self._whole(redactions, value, path, found[0].by)
        return "[not kept]" if value.strip() else value

    def _named(self, redactions: list[Redaction], value: str, path: str) -> str:
        if harmless(value) or (_NAMING.search(path) and not is_random(value, _RANDOM_NAME)):
            return self._replaced(redactions, value, path)
        return self._whole(redactions, value, path, "keyword")

    def _whole(self, redactions: list[Redaction], value: str, path: str, by: str) -> str:
        digest = self._keys.redaction(value)
        redactions.append({"path": path, "by": by, "digest": digest})
        return f"[redacted {digest}]"

    def _free_list(
        self,
        redactions: list[Redaction],
        value: Sequence[Json],
        path: str,
        depth: int,
        literals: frozenset[str],
    ) -> list[Json]:
        """Texts in a list are looked through together: they may be a file's lines or a command's words."""
        if not all(isinstance(each, str) for each in value):
            return [
                self._free(redactions, each, f"{path}[{n}]", depth + 1, literals)
                for n, each in enumerate(value)
            ]
        if sum(map(len, value)) > MAX_TEXT:
            return [self._replaced(redactions, each, f"{path}[{n}]") for n, each in enumerate(value)]
        joined = "\n".join(value)
        found = self._stretches(joined)
        if self._detect:
            arguments = " ".join(each.replace("\n", " ") for each in value)
            found += (Stretch(each.start, each.end, each.by) for each in detect_in_arguments(arguments))
        if not found:
            return list(value)
        return self._split(redactions, value, path, apart(found))

    def _split(
        self, redactions: list[Redaction], value: Sequence[str], path: str, found: Sequence[Stretch]
    ) -> list[Json]:
        """Bring stretches of the texts put together back to the texts, each of which starts one further."""
        free: list[Json] = []
        start = 0
        for n, each in enumerate(value):
            end = start + len(each)
            own = [
                Stretch(max(one.start, start) - start, min(one.end, end) - start, one.by, one.digest)
                for one in found
                if one.start < end and one.end > start
            ]
            free.append(self._put(redactions, each, f"{path}[{n}]", own))
            start = end + 1
        return free

    def _parameter(self, value: str, _path: str) -> str:
        with self._lock:
            known = self._known.digest(value)
        return known or utf8(self._mails(self._put([], value, "", self._found(value))))

    def _mails(self, text: str) -> str:
        return _MAIL.sub(lambda match: self._keys.pseudonym(match[0]), text) if "@" in text else text

    def _marked(self, spans: Iterable[Span], text: str) -> list[Stretch]:
        """A source's own marks, of which those of people get their pseudonym."""
        marked = []
        for span in spans:
            stretch = text[span.start : span.end]
            personal = span.what in (Identity.PERSON_NAME, Identity.MAIL) and stretch.strip()
            digest = self._keys.pseudonym(stretch) if personal else ""
            marked.append(Stretch(max(span.start, 0), min(span.end, len(text)), "span", digest))
        return marked

    def _found(self, text: str) -> list[Stretch]:
        if not self._detect:
            return []
        return [Stretch(each.start, each.end, each.by) for each in detect(text)]

    def _stretches(self, text: str) -> list[Stretch]:
        found = self._found(text)
        with self._lock:  # else what another thread learns meanwhile would be forgotten here
            seen = self._known.find(text)
            if not (found or seen) and len(text) <= _MAX_CLEAN:
                if len(self._clean) == _MOST_CLEAN:
                    self._clean.clear()
                self._clean.add(text)
        return [*found, *(Stretch(each.start, each.end, "known", each.digest) for each in seen)]

    def _replaced(
        self, redactions: list[Redaction], text: str, path: str, marked: Sequence[Stretch] = ()
    ) -> str:
        if text in self._clean and not marked:
            return text
        if len(text) > MAX_TEXT:
            return self._whole(redactions, text, path, "size")
        return self._put(redactions, text, path, apart([*marked, *self._stretches(text)]))

    def _put(self, redactions: list[Redaction], text: str, path: str, found: Sequence[Stretch]) -> str:
        """Replace stretches that are in order and apart, and list them."""
        if not found:
            return text
        parts: list[str] = []
        at = 0
        for each in found:
            digest = each.digest or self._keys.redaction(text[each.start : each.end])
            redactions.append({"path": path, "by": each.by, "digest": digest})
            parts += (text[at : each.start], f"[redacted {digest}]")
            at = each.end
        return "".join((*parts, text[at:]))


def _fingerprint(value: Json) -> bytes:
    """What tells a nested value from others; nothing for one that is small, large or no JSON."""
    if not isinstance(value, (list, dict)) or not value:
        return b""
    try:
        whole = dumps(value)
    except TypeError:
        return b""
    return whole if len(whole) <= _MAX_LOOKED else b""


@lru_cache(4096)  # objects have the same members, one after the other
def _sort(name: str) -> str:
    """What a member's name says of its value: `secret`, `value` (ask the name beside it), `header` or ""."""
    small = name.lower()
    if small == "value":
        return small
    if names_secret(name):
        return "secret"
    return "header" if small in _HEADERS else ""


def _names_secret(name: str, value: Json, beside: Mapping[str, Json]) -> bool:
    sort = _sort(name)
    if sort == "value":
        named = next((each for key, each in beside.items() if key.lower() in ("name", "key")), "")
        return isinstance(named, str) and _sort(named) == "secret"
    if sort == "header":
        return isinstance(value, str) and bool(detect(f'"{name}": "{value}"'))
    return sort == "secret"


def _opaque(value: Json, inside: bool = False) -> Json:
    """A secret column's value as a text or texts: inside of anything else, names could be secret too."""
    if isinstance(value, list) and not inside:
        return [_opaque(each, inside=True) for each in value]
    if isinstance(value, (list, dict)):
        try:
            return dumps(value).decode()
        except TypeError:  # nested more deeply than JSON is written
            return "nested too deeply"
    return value


def _received(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class RedactingFilter(logging.Filter):
    """Lets every log record through, redacted: message, exception, and texts that were added to it."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace what the record would show. Formatting happens here, so nothing is left in `args`."""
        line = self._redactor.line
        record.msg, record.args = line(record.getMessage()), None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_info = None
        if record.exc_text:
            record.exc_text = line(record.exc_text)
        if record.stack_info:
            record.stack_info = line(record.stack_info)
        for name, value in vars(record).items():
            if name not in _STANDARD and isinstance(value, str):
                setattr(record, name, line(value))
        return True
