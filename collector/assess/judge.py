"""Runs bound checks over loaded tables and gives their findings, in the order of the format.

All single-row checks of a kind run in one scan, whose results are kept as a narrow table; a check
that makes the scan fail is found by running them one by one, and is unknown. What each verdict means
stands in docs/format.md, "Verdicts".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collector.assess.bind import Bound
from collector.assess.populations import Population, Populations
from collector.assess.rows import Loaded
from collector.assess.tables import quoted
from collector.canonical import dumps, loads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["RESULTS", "Findings", "Judge"]

RESULTS = ("pass", "fail", "unknown", "not_applicable")
_PASS, _FAIL, _UNKNOWN, _NOT_APPLICABLE = range(4)
_DETAIL = 300  # characters of a finding's detail
_FETCH = 20_000  # rows at a time

_KIND, _RESULT, _QUOTE, _SCOPE, _END = (
    '\',"kind":"\'',
    '\'","result":"\'',
    "'\"'",
    "',\"scope\":'",
    "',\"waiver\":null}'",
)
"""Pieces of a finding's line, as SQL."""

_SCOPE_TEXT = "TRY_CAST(scope AS VARCHAR)"


Row = tuple[Any, ...]
"""A finding as the database gives it: its line; or for salts and waivers its line before and after the
salt, its result, and of a failure scope and subject."""


@dataclass(frozen=True, slots=True)
class Findings:
    """A check's findings.

    Attributes:
        counts: how many of each result, in the order of `RESULTS`.
        batches: rows, many at a time; consume them before the next check.
    """

    bound: Bound
    counts: tuple[int, int, int, int]
    batches: Iterator[list[Row]]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A check's subjects: a SELECT of `_scope`, `_id`, `r` and `d`, and how many of each result.

    The rows come in order, unless `sort` says that they have to be sorted.
    """

    rows: str
    counts: tuple[int, ...]
    sort: bool = False


def _judged(bound: Bound, table: str, result: str, counts: tuple[int, ...]) -> _Judged:
    """The subjects of one check of a scan. Details are made only where there is something to say."""
    if not counts[_FAIL] and not counts[_UNKNOWN]:
        return _Judged(f"SELECT _scope, _id, {result} AS r, '' AS d FROM {table}", counts)
    detail = _detail(bound, result)
    rows = (
        f"SELECT v._scope, v._id, {result} AS r, {detail} AS d FROM {table} AS v "
        f"JOIN t.{quoted(bound.kind)} AS t ON t.rowid = v.__row"
    )
    return _Judged(rows, counts, sort=True)


class Judge:
    """Verdicts over one database.

    Args:
        connection: holds the tables of `collector.assess.tables`, locked.
        populations, loaded: what was not seen.
        seconds: what one statement may take.
        running: told each check's id, or "" for a scan, before it runs, so that a watcher knows whom
            to blame.
        skip: checks that are not run again, and why: they are unknown.
        alone: checks that share no scan, since one of them is to blame.
    """

    def __init__(
        self,
        connection: DuckDBPyConnection,
        populations: Populations,
        loaded: Loaded,
        *,
        seconds: float,
        running: Callable[[Sequence[str]], None],
        skip: Mapping[str, str],
        alone: frozenset[str] = frozenset(),
    ) -> None:
        self._connection = connection
        self._populations = populations
        self._loaded = loaded
        self._seconds = seconds
        self._running = running
        self._skip = dict(skip)
        self._alone = alone
        self._judged: dict[str, _Judged] = {}
        connection.execute("CREATE SCHEMA IF NOT EXISTS v")

    def findings(self, checks: Sequence[Bound], apart: Callable[[str], bool]) -> Iterator[Findings]:
        """The findings of each check, in the order of ids.

        Args:
            apart: of which checks lines are wanted in their parts, since salts or waivers go into them.
        """
        ordered = sorted(checks, key=lambda bound: bound.check.id)
        self._scan([bound for bound in ordered if bound.check.query is None and not bound.unsupported])
        for bound in ordered:
            if bound.check.query is not None and not bound.unsupported:
                self._query(bound)
            yield self._findings(bound, apart(bound.check.id))

    @property
    def failed(self) -> Mapping[str, str]:
        """Checks that could not be run, and why."""
        return self._skip

    def _scan(self, checks: Sequence[Bound]) -> None:
        by_kind: dict[str, list[Bound]] = {}
        for bound in checks:
            by_kind.setdefault(bound.kind, []).append(bound)
        for kind, all_of_kind in sorted(by_kind.items()):
            group = [bound for bound in all_of_kind if bound.check.id not in self._skip]
            if not self._loaded.counts.get(kind):
                continue  # planning a statement costs milliseconds, and there may be hundreds of kinds
            together = not any(bound.check.id in self._alone for bound in group)
            error = self._try_scan(kind, group, f"v.{quoted(kind)}") if together else "apart"
            if error:
                self._one_by_one(kind, group)
            for bound in all_of_kind:
                if why := self._skip.get(bound.check.id):
                    self._judged[bound.check.id] = self._blamed(kind, why)

    def _one_by_one(self, kind: str, group: Sequence[Bound]) -> None:
        for number, bound in enumerate(group):
            if error := self._try_scan(kind, [bound], f"v.{quoted(f'{kind} {number}')}"):
                self._skip[bound.check.id] = error

    def _try_scan(self, kind: str, group: Sequence[Bound], table: str) -> str:
        """Judge a kind's rows by a group of checks. Returns the error, "" if there was none."""
        if not group:
            return ""
        columns = ", ".join(f"{_verdict(bound)} AS __r{number}" for number, bound in enumerate(group))
        self._running([bound.check.id for bound in group])
        error = self._run(
            f"CREATE TABLE {table} AS SELECT rowid AS __row, _scope, _id, {columns} "
            f"FROM t.{quoted(kind)} ORDER BY _scope, _id"
        )
        if not error:
            counts = self._counts(table, [f"__r{number}" for number in range(len(group))])
            for number, bound in enumerate(group):
                self._judged[bound.check.id] = _judged(bound, table, f"__r{number}", counts[number])
        return error

    def _counts(self, table: str, columns: Sequence[str]) -> list[tuple[int, ...]]:
        """How many rows of each result there are, for each column of results."""
        each = (f"count(*) FILTER ({column} = {code})" for column in columns for code in range(len(RESULTS)))
        flat = self._connection.execute(f"SELECT {', '.join(each)} FROM {table}").fetchone() or ()
        return [tuple(flat[at : at + len(RESULTS)]) for at in range(0, len(flat), len(RESULTS))]

    def _blamed(self, kind: str, why: str) -> _Judged:
        """Every subject of a check that could not be run is unknown, with the error."""
        source = f"SELECT _scope, _id, {_UNKNOWN} AS r, {_text(why[:_DETAIL])} AS d FROM t.{quoted(kind)}"
        return _Judged(source, (0, 0, self._loaded.counts.get(kind, 0), 0), sort=True)

    def _query(self, bound: Bound) -> None:
        id_ = bound.check.id
        table = f"v.{quoted('query ' + id_)}"
        if id_ not in self._skip:
            self._running([id_])
            if error := self._run(f"CREATE TABLE {table} AS {_query_sql(bound, self._tainted(bound))}"):
                self._skip[id_] = error
        if id_ in self._skip:
            self._run(f"DROP TABLE IF EXISTS {table}")
            self._run(f"CREATE TABLE {table} (_scope VARCHAR, _id VARCHAR, __r INTEGER, __d VARCHAR)")
            self._connection.execute(
                f"INSERT INTO {table} VALUES ('{{}}', '', ?, ?)", [_UNKNOWN, self._skip[id_][:_DETAIL]]
            )
        (counts,) = self._counts(table, ["__r"])
        self._judged[id_] = _Judged(f"SELECT _scope, _id, __r AS r, __d AS d FROM {table}", counts)

    def _tainted(self, bound: Bound) -> bool:
        """Whether anything that a query reads was not seen."""
        return any(
            self._populations.incomplete(kind)
            or any(column in self._loaded.column_gaps.get(kind, {}) for column in columns)
            for kind, columns in bound.reads.items()
        )

    def _run(self, sql: str) -> str:
        """Run a statement within its time. Returns the first line of its error, "" if there was none."""
        import duckdb

        timer = threading.Timer(self._seconds, self._connection.interrupt)
        timer.start()
        try:
            self._connection.execute(sql)
        except duckdb.InterruptException:
            return f"the check took more than {self._seconds:g} s and was ended"
        except (duckdb.Error, UnicodeDecodeError) as error:  # a message may be cut inside a character
            return f"the check failed: {str(error).splitlines()[0]}"
        finally:
            timer.cancel()
        return ""

    def _findings(self, bound: Bound, apart: bool) -> Findings:
        judged = self._judged.get(bound.check.id, _Judged("", (0, 0, 0, 0)))
        unseen = list(self._unseen(bound))
        counts = list(judged.counts)
        for _, _, code, _ in unseen:
            counts[code] += 1
        found = (counts[_PASS], counts[_FAIL], counts[_UNKNOWN], counts[_NOT_APPLICABLE])
        if not any(found):
            return Findings(bound, found, iter(()))
        if not any(judged.counts) and all(why.isprintable() for _, _, _, why in unseen):
            return Findings(
                bound, found, iter([[_told(bound, each, apart) for each in sorted(unseen, key=_place)]])
            )
        rows = f"SELECT *, {_text(bound.kind)} AS k FROM ({judged.rows})" if any(judged.counts) else ""
        values = "VALUES " + ", ".join(["(?, '', ?, ?, ?)"] * len(unseen)) if unseen else ""
        before, after = _line(bound)
        wanted = f"{before} || {after}"
        if apart:
            of_failure = f"CASE r WHEN {_FAIL} THEN _scope END, CASE r WHEN {_FAIL} THEN _id END"
            wanted = f"{before}, {after}, r, {of_failure}"
        order = "ORDER BY _scope, _id, k, d" if unseen or judged.sort else ""
        cursor = self._connection.execute(
            f"SELECT {wanted} FROM ({' UNION ALL '.join(filter(None, (rows, values)))}) "
            f"AS found(_scope, _id, r, d, k) {order}",
            [value for kind, scope, code, why in unseen for value in (scope, code, why, kind)],
        )
        return Findings(bound, found, iter(lambda: cursor.fetchmany(_FETCH), []))

    def _unseen(self, bound: Bound) -> Iterator[tuple[str, str, int, str]]:
        """Findings about populations: kind, scope, result and detail."""
        for kind, columns in sorted(bound.reads.items()):
            for population in self._populations.by_kind.get(kind, ()):
                scope = dumps(population.scope).decode()
                if bound.unsupported:
                    yield kind, scope, _UNKNOWN, f"unsupported: {bound.unsupported}"
                elif not population.complete:
                    yield kind, scope, _UNKNOWN, population.detail
                elif population.absent and bound.check.query is None:
                    yield kind, scope, _NOT_APPLICABLE, population.absent
                elif bound.check.query is not None and (why := self._column_gaps(population, columns)):
                    yield kind, scope, _UNKNOWN, why

    def _column_gaps(self, population: Population, columns: Sequence[str]) -> str:
        """What some record of this population lacks that a query reads."""
        found = []
        lacking = self._loaded.column_gaps.get(population.kind, {})
        for column in columns:
            for scope, (reason, detail) in sorted(lacking.get(column, {}).items()):
                inner = loads(scope)
                if all(inner.get(key) == value for key, value in population.scope.items()):
                    found.append(f"{column}: {reason}{f' ({detail})' if detail else ''}")
                    break
        return "; ".join(found)[:_DETAIL]


def _line(bound: Bound) -> tuple[str, str]:
    """SQL for a finding's line before and after the place of its salt."""
    names = ", ".join(_text(name) for name in RESULTS)
    opening = f'{{"check":{_json(bound.check.id)},"detail":'
    severity = f',"severity":{_json(bound.check.severity)},"subject":'
    result = f"[{names}][r + 1]"
    before = [_text(opening), "to_json(coalesce(d, ''))", _KIND, "k", _RESULT, result, _QUOTE]
    after = [_SCOPE, "_scope", _text(severity), "to_json(_id)", _END]
    return " || ".join(before), " || ".join(after)


def _place(unseen: tuple[str, str, int, str]) -> tuple[str, str, str]:
    kind, scope, _, why = unseen
    return scope, kind, why


def _told(bound: Bound, unseen: tuple[str, str, int, str], apart: bool) -> Row:
    """What SQL would give for a finding about a population, without the milliseconds of a statement."""
    kind, scope, code, why = unseen
    before = (
        f'{{"check":{_json(bound.check.id)},"detail":{_json(why)},"kind":"{kind}","result":"{RESULTS[code]}"'
    )
    after = f',"scope":{scope},"severity":{_json(bound.check.severity)},"subject":"","waiver":null}}'
    if not apart:
        return (before + after,)
    return (before, after, code, scope if code == _FAIL else None, "" if code == _FAIL else None)


def _verdict(bound: Bound) -> str:
    check = bound.check
    judged = f"CASE ({check.pass_}\n) WHEN true THEN {_PASS} WHEN false THEN {_FAIL} ELSE {_UNKNOWN} END"
    verdict = f"CASE WHEN {_has_gap(bound.pass_reads)} THEN {_UNKNOWN} ELSE {judged} END"
    if check.applies is not None:
        verdict = (
            f"CASE WHEN {_has_gap(bound.applies_reads)} THEN {_UNKNOWN} ELSE CASE ({check.applies}\n) "
            f"WHEN true THEN {verdict} WHEN false THEN {_NOT_APPLICABLE} ELSE {_UNKNOWN} END END"
        )
    return f"({verdict})::UTINYINT"


def _has_gap(columns: Sequence[str]) -> str:
    return f"list_has_any(_gaps, {_list(columns)})" if columns else "false"


def _detail(bound: Bound, result: str) -> str:
    reads = bound.reads[bound.kind]
    values = [
        f"{_text(column + '=')} || coalesce(CAST({quoted(column)} AS VARCHAR), 'not set')"
        for column in bound.pass_reads
    ]
    shown = f"concat_ws('; ', {', '.join(values)})" if values else "''"
    unseen = f"list_filter(_reasons, lambda __x: split_part(__x, ':', 1) IN {_tuple(reads)})"
    why = f"array_to_string({unseen}, '; ')"
    return (
        f"left(CASE {result} WHEN {_FAIL} THEN {shown} WHEN {_UNKNOWN} THEN "
        f"coalesce(nullif({why}, ''), 'cannot be told from: ' || {shown}) ELSE '' END, {_DETAIL})"
    )


def _query_sql(bound: Bound, tainted: bool) -> str:
    """A query's rows, one a subject: the worst of its results counts."""
    witness = bound.check.witness
    judged = "CASE WHEN bool_or(NOT pass) THEN 1 WHEN bool_or(pass IS NULL) THEN 2 ELSE 0 END"
    kept = {"pass": _PASS, "fail": _FAIL}.get(witness, -1)
    result = f"CASE {judged} WHEN {kept} THEN {kept} ELSE {_UNKNOWN} END" if tainted else judged
    scope = f"CASE WHEN json_type({_SCOPE_TEXT}) = 'OBJECT' THEN {_SCOPE_TEXT} ELSE '{{}}' END"
    scope = scope if bound.scoped else "'{}'"
    unseen = "not all that this check reads was seen"
    of_worst = "coalesce(min(detail) FILTER (WHERE NOT pass), min(detail), '')"
    detail = f"CASE WHEN ({judged}) = {_PASS} THEN '' ELSE {of_worst} END"
    if tainted:
        detail = f"CASE WHEN ({judged}) = {kept} THEN {detail} ELSE {_text(unseen)} END"
    return (
        f"SELECT _scope, _id, ({result})::UTINYINT AS __r, left({detail}, {_DETAIL}) AS __d FROM "
        f"(SELECT {scope} AS _scope, coalesce(CAST(id AS VARCHAR), '') AS _id, "
        "CAST(pass AS BOOLEAN) AS pass, CAST(detail AS VARCHAR) AS detail "
        f"FROM ({bound.sql}\n)) GROUP BY _scope, _id ORDER BY _scope, _id"
    )


def _json(text: str) -> str:
    return dumps(text).decode()


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(_text(name) for name in names) + "]"


def _tuple(names: Sequence[str]) -> str:
    return "(" + ", ".join(_text(name) for name in names or ("",)) + ")"
