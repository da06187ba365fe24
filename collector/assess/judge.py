"""Runs bound checks over loaded tables and gives their findings, in the order of the format.

All single-row checks of a kind run in one scan, whose results are kept as a narrow table; a check
that makes the scan fail is found by running them one by one, and is unknown. What each verdict means
stands in docs/format.md, "Verdicts".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collector.assess import verdict_sql
from collector.assess.bind import Bound
from collector.assess.patience import Patience
from collector.assess.populations import Population, Populations
from collector.assess.rows import Loaded
from collector.assess.subjects import Subject, worst
from collector.assess.tables import quoted
from collector.assess.verdict_sql import FAIL, MAX_DETAIL, NOT_APPLICABLE, PASS, RESULTS, UNKNOWN, literal
from collector.canonical import dumps, loads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["RESULTS", "Findings", "Judge"]

_FETCH = 20_000  # rows at a time
_FEW = 20_000  # results that are kept at once: of a kind's checks, or of a query

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
    """A check's subjects, and how many of each result.

    Attributes:
        few: the subjects themselves; None where there may be many.
        rows: then a SELECT of `_scope`, `_id`, `r` and `d`, in order unless `sort` says otherwise.
    """

    counts: tuple[int, ...]
    few: Sequence[Subject] | None = None
    rows: str = ""
    sort: bool = False


def _judged(bound: Bound, table: str, result: str, counts: tuple[int, ...]) -> _Judged:
    """The subjects of one check of a scan. Details are made only where there is something to say."""
    if not counts[FAIL] and not counts[UNKNOWN]:
        return _Judged(counts, rows=f"SELECT _scope, _id, {result} AS r, '' AS d FROM {table}")
    detail = verdict_sql.detail(bound, result)
    rows = (
        f"SELECT v._scope, v._id, {result} AS r, {detail} AS d FROM {table} AS v "
        f"JOIN t.{quoted(bound.kind)} AS t ON t.rowid = v.__row"
    )
    return _Judged(counts, rows=rows, sort=True)


def _few(subjects: Sequence[Subject]) -> _Judged:
    results = [result for _, _, result, _ in subjects]
    return _Judged(tuple(results.count(code) for code in range(len(RESULTS))), subjects)


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
        self._patience = Patience(seconds, connection.interrupt)
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
        with self._patience:
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
            error = self._try(kind, group, kind) if together else "apart"
            if error:
                self._one_by_one(kind, group)
            for bound in all_of_kind:
                if why := self._skip.get(bound.check.id):
                    self._judged[bound.check.id] = self._blamed(kind, why)

    def _one_by_one(self, kind: str, group: Sequence[Bound]) -> None:
        for number, bound in enumerate(group):
            if error := self._try(kind, [bound], f"{kind} {number}"):
                self._skip[bound.check.id] = error

    def _try(self, kind: str, group: Sequence[Bound], name: str) -> str:
        """Judge a kind's rows by a group of checks. Returns the error, "" if there was none."""
        if not group:
            return ""
        self._running([bound.check.id for bound in group])
        if self._loaded.counts[kind] * len(group) <= _FEW:
            return self._try_at_once(kind, group)
        return self._try_scan(kind, group, f"v.{quoted(name)}")

    def _verdicts(self, kind: str, group: Sequence[Bound]) -> list[str]:
        lacking = self._loaded.column_gaps.get(kind, {})
        return [verdict_sql.verdict(bound, lacking) for bound in group]

    def _try_scan(self, kind: str, group: Sequence[Bound], table: str) -> str:
        verdicts = enumerate(self._verdicts(kind, group))
        columns = ", ".join(f"{verdict} AS __r{number}" for number, verdict in verdicts)
        error = self._run(
            f"CREATE TABLE {table} AS SELECT rowid AS __row, _scope, _id, {columns} "
            f"FROM t.{quoted(kind)} ORDER BY _scope, _id"
        )
        if not error:
            counts = self._counts(table, [f"__r{number}" for number in range(len(group))])
            for number, bound in enumerate(group):
                self._judged[bound.check.id] = _judged(bound, table, f"__r{number}", counts[number])
        return error

    def _try_at_once(self, kind: str, group: Sequence[Bound]) -> str:
        """Take results and details as they are: each statement more costs as much as judging few rows."""
        rows: list[Row] = []
        verdicts = ", ".join(self._verdicts(kind, group))
        error = self._run(f"SELECT rowid, _scope, _id, {verdicts} FROM t.{quoted(kind)}", rows)
        results = list(zip(*(row[3:] for row in rows), strict=True)) or [()] * len(group)
        due = {
            (number, code): why(bound)
            for number, bound in enumerate(group)
            for code, why in ((FAIL, verdict_sql.why_failed), (UNKNOWN, verdict_sql.why_unknown))
            if code in results[number]
        }
        told: list[Row] = []
        if due and not error:
            error = self._run(f"SELECT rowid, {', '.join(due.values())} FROM t.{quoted(kind)}", told)
        details = {(key, row): text for row, *texts in told for key, text in zip(due, texts, strict=True)}
        for number, bound in enumerate(group if not error else ()):
            self._judged[bound.check.id] = _few(
                [
                    (scope, id_, row[3 + number], details.get(((number, row[3 + number]), rowid)) or "")
                    for row in rows
                    for rowid, scope, id_ in (row[:3],)
                ]
            )
        return error

    def _counts(self, table: str, columns: Sequence[str]) -> list[tuple[int, ...]]:
        """How many rows of each result there are, for each column of results."""
        each = (f"count(*) FILTER ({column} = {code})" for column in columns for code in range(len(RESULTS)))
        flat = self._connection.execute(f"SELECT {', '.join(each)} FROM {table}").fetchone() or ()
        return [tuple(flat[at : at + len(RESULTS)]) for at in range(0, len(flat), len(RESULTS))]

    def _blamed(self, kind: str, why: str) -> _Judged:
        """Every subject of a check that could not be run is unknown, with the error."""
        said = literal(why[:MAX_DETAIL])
        source = f"SELECT _scope, _id, {UNKNOWN} AS r, {said} AS d FROM t.{quoted(kind)}"
        return _Judged((0, 0, self._loaded.counts.get(kind, 0), 0), rows=source, sort=True)

    def _query(self, bound: Bound) -> None:
        id_ = bound.check.id
        if id_ not in self._skip:
            self._running([id_])
            if error := self._try_query(bound):
                self._skip[id_] = error
        if id_ in self._skip:
            self._judged[id_] = _few([("{}", "", UNKNOWN, self._skip[id_][:MAX_DETAIL])])

    def _try_query(self, bound: Bound) -> str:
        tainted = self._tainted(bound)
        if sum(self._loaded.counts.get(kind, 0) for kind in bound.reads) <= _FEW:
            rows: list[Row] = []
            error = self._run(verdict_sql.of_query(bound), rows, _FEW + 1)
            if error or len(rows) <= _FEW:
                self._judged[bound.check.id] = _few(worst(bound, rows, tainted))
                return error
        table = f"v.{quoted('query ' + bound.check.id)}"
        if error := self._run(f"CREATE TABLE {table} AS {verdict_sql.by_subject(bound, tainted)}"):
            return error
        (counts,) = self._counts(table, ["__r"])
        rows_of = f"SELECT _scope, _id, __r AS r, __d AS d FROM {table}"
        self._judged[bound.check.id] = _Judged(counts, rows=rows_of)
        return ""

    def _tainted(self, bound: Bound) -> bool:
        """Whether anything that a query reads was not seen."""
        return any(
            self._populations.incomplete(kind)
            or any(column in self._loaded.column_gaps.get(kind, {}) for column in columns)
            for kind, columns in bound.reads.items()
        )

    def _run(self, sql: str, rows: list[Row] | None = None, most: int = _FEW) -> str:
        """Run a statement within its time, and take its rows. Returns the first line of its error, or ""."""
        import duckdb

        try:
            with self._patience.watching():
                cursor = self._connection.execute(sql)
                if rows is not None:
                    rows += cursor.fetchmany(most)
        except duckdb.InterruptException:
            return f"the check took more than {self._seconds:g} s and was ended"
        except (duckdb.Error, UnicodeDecodeError) as error:  # a message may be cut inside a character
            return f"the check failed: {str(error).splitlines()[0]}"
        return ""

    def _findings(self, bound: Bound, apart: bool) -> Findings:
        judged = self._judged.pop(bound.check.id, _few(()))
        unseen = list(self._unseen(bound))
        counts = list(judged.counts)
        for _, _, code, _ in unseen:
            counts[code] += 1
        found = (counts[PASS], counts[FAIL], counts[UNKNOWN], counts[NOT_APPLICABLE])
        if judged.few is not None:
            rows = self._told(bound, judged.few, unseen, apart)
            return Findings(bound, found, iter([rows] if rows else []))
        return Findings(bound, found, self._selected(bound, judged, unseen, apart))

    def _selected(
        self, bound: Bound, judged: _Judged, unseen: Sequence[tuple[str, str, int, str]], apart: bool
    ) -> Iterator[list[Row]]:
        """The findings of a check with many subjects."""
        rows = f"SELECT *, {literal(bound.kind)} AS k FROM ({judged.rows})"
        values = "VALUES " + ", ".join(["(?, '', ?, ?, ?)"] * len(unseen)) if unseen else ""
        before, after = verdict_sql.line(bound)
        wanted = f"{before} || {after}"
        if apart:
            of_failure = f"CASE r WHEN {FAIL} THEN _scope END, CASE r WHEN {FAIL} THEN _id END"
            wanted = f"{before}, {after}, r, {of_failure}"
        order = "ORDER BY _scope, _id, k, d" if unseen or judged.sort else ""
        cursor = self._connection.execute(
            f"SELECT {wanted} FROM ({' UNION ALL '.join(filter(None, (rows, values)))}) "
            f"AS found(_scope, _id, r, d, k) {order}",
            [value for kind, scope, code, why in unseen for value in (scope, code, why, kind)],
        )
        return iter(lambda: cursor.fetchmany(_FETCH), [])

    def _told(
        self,
        bound: Bound,
        few: Sequence[Subject],
        unseen: Sequence[tuple[str, str, int, str]],
        apart: bool,
    ) -> list[Row]:
        """What `_selected` would give for few subjects, without the milliseconds of a statement."""
        found = [(scope, id_, bound.kind, detail, code) for scope, id_, code, detail in few]
        found += [(scope, "", kind, why, code) for kind, scope, code, why in unseen]
        check, severity = self._json(bound.check.id), self._json(bound.check.severity)
        rows: list[Row] = []
        for scope, id_, kind, detail, code in sorted(found):
            told = self._json(detail)
            before = f'{{"check":{check},"detail":{told},"kind":"{kind}","result":"{RESULTS[code]}"'
            subject = self._json(id_)
            after = f',"scope":{scope},"severity":{severity},"subject":{subject},"waiver":null}}'
            where = (scope, id_) if code == FAIL else (None, None)
            rows.append((before, after, code, *where) if apart else (before + after,))
        return rows

    def _json(self, text: str) -> str:
        """A text as the database writes it in JSON, which knows more than one way for control characters."""
        if text.isprintable():
            return dumps(text).decode()
        row = self._connection.execute("SELECT to_json(?::VARCHAR)", [text]).fetchone()
        return str(row[0]) if row else ""

    def _unseen(self, bound: Bound) -> Iterator[tuple[str, str, int, str]]:
        """Findings about populations: kind, scope, result and detail."""
        for kind, columns in sorted(bound.reads.items()):
            for population in self._populations.by_kind.get(kind, ()):
                scope = dumps(population.scope).decode()
                if bound.unsupported:
                    yield kind, scope, UNKNOWN, f"unsupported: {bound.unsupported}"
                elif not population.complete:
                    yield kind, scope, UNKNOWN, population.detail
                elif population.absent and bound.check.query is None:
                    yield kind, scope, NOT_APPLICABLE, population.absent
                elif bound.check.query is not None and (why := self._column_gaps(population, columns)):
                    yield kind, scope, UNKNOWN, why

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
        return "; ".join(found)[:MAX_DETAIL]
