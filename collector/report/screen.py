"""The screen that ends a run: what was looked at, what is wrong, what could not be seen, what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collector.model import Json
from collector.report.overview import Overview, Problem, Unseen
from collector.report.page import Page, clean, count, scope_text

__all__ = ["STATUSES", "control_table", "run_screen", "unseen_part"]

STATUSES = (
    "satisfied",
    "partial",
    "not_satisfied",
    "waived",
    "stale",
    "manual",
    "no_evidence",
    "not_applicable",
)
"""The statuses of a control, in the order in which tables show them."""

_TARGETS = 12
_CAUSES = 10
_KINDS = 6
_DETAILS = 3


def run_screen(result: Mapping[str, Json], seen: Overview, page: Page) -> list[str]:
    """The text of the screen.

    Args:
        result: what `run --output json` prints.
        seen: what the bundle shows.
    """
    parts = [
        _looked_at(result, seen, page),
        _worst(result, seen, page),
        unseen_part(seen.unseen, page),
        _controls(seen, page),
        _bundle(result, page),
        _next(result, seen, page),
    ]
    return [line for part in parts if part for line in [*part, ""]][:-1]


def _looked_at(result: Mapping[str, Json], seen: Overview, page: Page) -> list[str]:
    rows = [
        (
            each["source"],
            scope_text(each["scope"]),
            count(each["kinds"], "kind"),
            f"as {each['as'] or 'unknown'}",
        )
        for each in seen.targets
    ]
    rows += [(each["source"], scope_text(each["scope"]), "not discovered", "") for each in seen.undiscovered]
    tasks = result["tasks"]
    states = ", ".join(
        f"{number} {state}" for state, number in tasks.items() if state != "planned" and number
    )
    return [
        page.heading("Looked at", f"as of {seen.as_of}"),
        *page.table(rows[:_TARGETS]),
        *_rest(len(rows) - _TARGETS, "target", page),
        *page.wrap(
            f"{count(result['records'], 'record')} from {count(result['calls'], 'call')}; "
            f"{count(tasks['planned'], 'task')}: {states or 'none done'}",
            2,
        ),
    ]


def _worst(result: Mapping[str, Json], seen: Overview, page: Page) -> list[str]:
    found = result["findings"]
    figures = ", ".join(f"{found.get(name, 0):,} {name.replace('_', ' ')}" for name in _RESULTS)
    lines = [page.heading("Worst findings" if seen.problems else "Nothing that was seen fails", figures)]
    for number, problem in enumerate(seen.problems, 1):
        lines += _problem(number, problem, page)
    return lines + _rest(seen.failing - len(seen.problems), "failing check", page)


_RESULTS = ("fail", "unknown", "pass", "not_applicable")


def _problem(number: int, problem: Problem, page: Page) -> list[str]:
    label = page.status(problem.severity, 8)
    first, *more = page.wrap(problem.title, 14) or [""]
    lines = [f"  {number}. {label} {first.strip()}", *more]
    lines += page.wrap(f"{problem.check}: {_subjects(problem)}", 14)
    return lines + page.wrap(f"Fix: {problem.fix}", 14, 19)


def _subjects(problem: Problem) -> str:
    shown = [clean(each["subject"] or "the whole population") for each in problem.subjects]
    where = scope_text(problem.subjects[0]["scope"]) if problem.subjects else ""
    rest = problem.fails - len(shown)
    more = f" and {rest:,} more" if rest > 0 else ""
    return ", ".join(shown) + more + (f" ({where})" if where and problem.fails == 1 else "")


def unseen_part(causes: Sequence[Unseen], page: Page) -> list[str]:
    """What could not be seen and why, by cause, with the right that is lacking."""
    total = sum(each.gaps for each in causes)
    if not causes:
        return [page.heading("All that was asked for was seen")]
    lines = [page.heading("Could not be seen", count(total, "gap"))]
    for each in causes[:_CAUSES]:
        lines += _cause(each, page)
    return lines + _rest(len(causes) - _CAUSES, "cause", page)


def _cause(cause: Unseen, page: Page) -> list[str]:
    label = page.paint("yellow", clean(cause.reason).ljust(11))
    said = _some(cause.details, _DETAILS, "; ") or "no more was said"
    first, *more = page.wrap(f"{said} ({count(cause.gaps, 'gap')})", 14) or [""]
    lines = [f"  {label} {first.strip()}", *more]
    if cause.right:
        lines += page.wrap(f"right: {cause.right}", 14, 21)
    return lines + page.wrap(f"in {_some(list(cause.kinds), _KINDS, ', ')}", 14, 17)


def _some(texts: Sequence[str], most: int, between: str) -> str:
    rest = [f"{len(texts) - most} more"] if len(texts) > most else []
    return between.join([*map(clean, texts[:most]), *rest])


def _controls(seen: Overview, page: Page) -> list[str]:
    return (
        [page.heading("Controls"), *control_table(seen.controls, seen.titles, page)] if seen.controls else []
    )


def control_table(
    controls: Mapping[str, Mapping[str, int]],
    titles: Mapping[str, str],
    page: Page,
    statuses: Sequence[str] = STATUSES,
) -> list[str]:
    """A row a framework, a column a status that any of them has, and titles where there is room."""
    used = [status for status in statuses if any(found.get(status) for found in controls.values())]
    rows = [
        (name, *(found.get(status, 0) for status in used), sum(found.values()))
        for name, found in controls.items()
    ]
    header = ("framework", *(status.replace("_", " ") for status in used), "of")
    right = range(1, len(used) + 2)
    with_titles = [(*row, titles.get(name, "")) for name, row in zip(controls, rows, strict=True)]
    titled = page.table(with_titles, (*header, ""), right=right)
    return titled if len(titled) == len(rows) + 1 else page.table(rows, header, right=right)


def _bundle(result: Mapping[str, Json], page: Page) -> list[str]:
    delivered = ", ".join(clean(each) for each in result["delivered"])
    lines = [
        page.heading("Bundle", f"series {clean(result['series'])}, number {result['sequence']}"),
        f"  {clean(result['bundle'])}",
        *page.wrap(f"delivered to {delivered}" if delivered else "delivered to nobody yet", 2),
    ]
    for problem in result.get("problems", ()):
        lines += page.wrap(f"! {problem}", 2, 4)
    return lines


def _next(result: Mapping[str, Json], seen: Overview, page: Page) -> list[str]:
    rows = [(f"collector verify {clean(result['bundle'])}", "proves that nobody has changed it")]
    if framework := next(iter(seen.controls), ""):
        rows.append((f"collector readiness --framework {clean(framework)}", "how its controls stand"))
    if seen.failing_control:
        rows.append((f"collector explain {clean(seen.failing_control)}", "why one of them fails"))
    return [
        page.heading("Next"),
        *(line for command, why in rows for line in (f"  {command}", page.paint("dim", f"      {why}"))),
    ]


def _rest(number: int, noun: str, page: Page) -> list[str]:
    return [page.paint("dim", f"  and {count(number, f'more {noun}')}")] if number > 0 else []
