"""How the controls of frameworks stand: what holds, what fails, what cannot be proven, what is stale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from collector.model import ConfigError, Json
from collector.report.evidence import Evidence
from collector.report.overview import Unseen, unseen
from collector.report.page import Page, clean
from collector.report.screen import STATUSES, control_table, unseen_part
from collector.toml import nearest

__all__ = [
    "ControlState",
    "Readiness",
    "check_judged",
    "decisive",
    "readiness",
    "readiness_json",
    "readiness_text",
]

_OBJECTIVES = {
    "not_satisfied": ("fail",),
    "partial": ("unknown", "fail", "no_evidence", "stale"),
    "waived": ("waived",),
    "stale": ("stale",),
    "no_evidence": ("unknown", "no_evidence"),
}
"""Status of a control to the statuses of the objectives that say why."""

_ORDER = (
    "not_satisfied",
    "stale",
    "waived",
    "partial",
    "satisfied",
    "manual",
    "no_evidence",
    "not_applicable",
)
_HOLDS = 3  # objectives that hold which the text names; `explain` and JSON have them all
_MEANING = {
    "satisfied": "the evidence shows the whole control",
    "partial": "something holds, the rest is not shown",
    "not_satisfied": "something that it needs fails",
    "waived": "fails, and an exception answers for it",
    "stale": "the evidence is older than it may be",
    "manual": "only people can show it",
    "no_evidence": "nothing that was collected speaks of it",
    "not_applicable": "out of scope by an exception",
}


@dataclass(frozen=True, slots=True)
class ControlState:
    """How one control stands.

    Attributes:
        why: the objectives that decide it, with their status.
        holds: the objectives that pass: what evidence there is for it.
    """

    control: str
    title: str
    status: str
    why: tuple[str, ...]
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readiness:
    """How all controls of some frameworks stand.

    Attributes:
        controls: in the frameworks' own order.
        unseen: what could not be had, by cause.
    """

    as_of: str
    controls: Mapping[str, Sequence[ControlState]]
    titles: Mapping[str, str]
    unseen: Sequence[Unseen]

    def counts(self) -> dict[str, dict[str, int]]:
        """Framework to status to count, each status that there is."""
        return {
            framework: {status: sum(each.status == status for each in states) for status in STATUSES}
            for framework, states in self.controls.items()
        }


def readiness(evidence: Evidence, frameworks: Sequence[str] = ()) -> Readiness:
    """How the controls of these frameworks stand; of all that were judged, if none is named.

    Raises:
        ConfigError: a framework that was not judged.
        VerifyError, MappingError: the folder is not as the format says.
    """
    known = evidence.mappings.frameworks
    check_judged(frameworks, known)
    found: dict[str, list[ControlState]] = {name: [] for name in frameworks or known}
    for line in evidence.controls():
        framework, _, id_ = line["control"].partition(":")
        if framework in found:
            control = known[framework].controls.get(id_) if framework in known else None
            title = control.title if control else ""
            found[framework].append(
                ControlState(line["control"], title, line["status"], _why(line), _holds(line))
            )
    titles = {name: known[name].title for name in found if name in known}
    return Readiness(evidence.plan["as_of"], found, titles, unseen(evidence))


def check_judged(frameworks: Sequence[str], judged: Collection[str]) -> None:
    """Raise ConfigError, with the nearest that was, for a framework that was not judged."""
    for name in frameworks:
        if name not in judged:
            near = nearest(name, judged) or f"; judged were: {', '.join(judged) or 'none'}"
            raise ConfigError(f"framework {clean(name)!r} was not judged{near}")


def _why(line: Mapping[str, Json]) -> tuple[str, ...]:
    return tuple(f"{name} {status.replace('_', ' ')}" for name, status in decisive(line))


def _holds(line: Mapping[str, Json]) -> tuple[str, ...]:
    return tuple(sorted(name for name, each in line["objectives"].items() if each["status"] == "pass"))


def decisive(line: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """The objectives that decide a control's line, each with its status, the weightiest first."""
    statuses = {name: each["status"] for name, each in line["objectives"].items()}
    return tuple(
        (name, status)
        for wanted in _OBJECTIVES.get(line["status"], ())
        for name, status in sorted(statuses.items())
        if status == wanted
    )


def readiness_json(found: Readiness) -> dict[str, Json]:
    """The one object that `readiness --output json` prints."""
    counts = found.counts()
    return {
        "as_of": found.as_of,
        "frameworks": {
            framework: {
                "title": found.titles.get(framework, ""),
                "counts": counts[framework],
                "controls": [
                    {
                        "control": each.control,
                        "title": each.title,
                        "status": each.status,
                        "why": list(each.why),
                        "holds": list(each.holds),
                    }
                    for each in states
                ],
            }
            for framework, states in found.controls.items()
        },
        "unseen": [
            {
                "reason": each.reason,
                "right": each.right,
                "details": list(each.details),
                "gaps": each.gaps,
                "kinds": dict(each.kinds),
            }
            for each in found.unseen
        ],
    }


def readiness_text(found: Readiness, page: Page, listed: bool = False) -> list[str]:
    """The text of the command; `listed` names each control, not only how many there are."""
    counts = found.counts()
    lines = [
        page.heading("Controls", f"as of {found.as_of}"),
        *control_table(counts, found.titles, page),
        "",
        *_legend(counts, page),
        "",
    ]
    for framework, states in found.controls.items() if listed else ():
        lines += _listed(found.titles.get(framework, framework), states, page)
    return [*lines, *unseen_part(found.unseen, page)]


def _legend(counts: Mapping[str, Mapping[str, int]], page: Page) -> list[str]:
    rows = [
        (status.replace("_", " "), _MEANING[status])
        for status in STATUSES
        if any(found[status] for found in counts.values())
    ]
    return page.table(rows, styles=("status", "dim"))


def _listed(title: str, states: Sequence[ControlState], page: Page) -> list[str]:
    lines: list[str] = []
    for status in _ORDER:
        rows = [
            (each.control.partition(":")[2], "; ".join(_said(each)))
            for each in states
            if each.status == status
        ]
        if rows:
            lines += [f"{page.heading(title)}: {page.status(status)}, {len(rows)}", *page.table(rows), ""]
    return lines


def _said(state: ControlState) -> list[str]:
    """Title, what holds, shortly, and what decides: all of it, since somebody has to see to each."""
    more = len(state.holds) - _HOLDS
    shown = ", ".join(state.holds[:_HOLDS]) + (f" and {more} more" if more > 0 else "")
    return [state.title, *([f"holds: {shown}"] if shown else []), *state.why]
