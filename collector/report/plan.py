"""What would be asked of whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from collector.model import Json
from collector.report.page import Page, count, scope_text

if TYPE_CHECKING:
    from collector.collect.ledger import Entry
    from collector.collect.plan import Plan
    from collector.plugins import Plugins

__all__ = ["plan_json", "plan_text"]


def plan_json(
    made: Plan,
    plugins: Plugins,
    unresolved: Sequence[str] = (),
    unanswered: Iterable[Entry] = (),
    problems: Sequence[str] = (),
) -> dict[str, Json]:
    """The one object that `plan --output json` prints: tasks, and the right that each list call needs.

    Args:
        made: the plan.
        plugins: whose kinds it has.
        unresolved: sources whose targets only discovery can tell, where it was not asked.
        unanswered: calls of discovery that failed.
        problems: what a run would complain of, a line each.
    """
    kinds = plugins.kinds()
    tasks = []
    for planned in made.tasks:
        target = planned.task.target
        due = [
            {
                "kind": each.kind,
                "op": each.op,
                "params": dict(each.params),
                "permission": operation.permission
                if (operation := kinds[each.kind].operation(each.op))
                else "",
            }
            for each in planned.task.due
        ]
        tasks.append(
            {
                "id": planned.id,
                "source": target.source,
                "scope": dict(target.scope),
                "principal": target.principal,
                "kinds": sorted(planned.task.kinds),
                "due": due,
            }
        )
    return {
        "as_of": made.as_of.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "frameworks": list(made.frameworks),
        "tasks": tasks,
        "absent": [{"kind": each.kind, "scope": dict(each.scope), "why": each.why} for each in made.absent],
        "undiscovered": [{"source": source, "scope": dict(scope)} for source, scope in made.undiscovered],
        "unresolved": list(unresolved),
        "unanswered": [
            {"op": each.op, "outcome": each.outcome.value, "detail": each.detail} for each in unanswered
        ],
        "problems": list(problems),
    }


def plan_text(value: Mapping[str, Any], page: Page) -> list[str]:
    """The text of the command: for each target, what its lists need."""
    lines: list[str] = []
    targets: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for task in value["tasks"]:
        key = (task["source"], scope_text(task["scope"]), task["principal"])
        rows = targets.setdefault(key, [])
        rows += [(each["kind"], each["op"], each["permission"]) for each in task["due"]]
    for (source, scope, principal), rows in targets.items():
        lines.append(page.heading(f"{source} {scope}", f"as {principal or 'unknown'}"))
        lines += [*page.table(sorted(rows), ("kind", "list call", "needs")), ""]
    for each in value["absent"]:
        lines += page.wrap(f"{each['kind']} {scope_text(each['scope'])}: not there: {each['why']}")
    for each in value["undiscovered"]:
        about = f"{each['source']} {scope_text(each['scope'])}".rstrip()
        lines += page.wrap(f"! {about}: discovery failed; targets are missing", 0, 2)
    for each in value["unanswered"]:
        lines += page.wrap(f"{each['op']}: {each['outcome']}: {each['detail']}", 2, 4)
    for source in value["unresolved"]:
        what = "what it would ask hangs on what discovery finds; `collector plan --discover` asks that"
        lines += page.wrap(f"{source}: {what}", 0, 2)
    for problem in value["problems"]:
        lines += page.wrap(f"! {problem}", 0, 2)
    calls = count(sum(len(rows) for rows in targets.values()), "list call")
    return [*lines, f"{count(len(value['tasks']), 'task')}, {calls} due; nothing was collected"]
