"""How controls stood over a period, as JSON and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from collector.deliver.audit import CANNOT_SHOW, Bundle, span
from collector.model import Json
from collector.report.changes import Change
from collector.report.page import Page, clean, count
from collector.report.period import ControlPeriod, Period
from collector.report.screen import STATUSES, control_table
from collector.report.standing import STANDINGS, Stretch

__all__ = ["period_json", "period_text"]

_MEANING = {
    "held": "each run shows the whole control, and no night is missing",
    "failed": "at some run something that it needs fails",
    "waived": "fails at some run, and an exception answers for it",
    "unproven": "never seen to fail, and not shown for all of the period",
    "manual": "only people can show it",
    "no_evidence": "nothing that was collected speaks of it",
    "not_applicable": "out of scope by an exception",
}
_ORDER = ("failed", "unproven", "waived", "held", "manual", "no_evidence", "not_applicable")
_DECIDE = {
    "failed": ("not_satisfied",),
    "waived": ("waived",),
    "unproven": (*(status for status in STATUSES if status != "satisfied"), "not_judged", "doubted", "hole"),
}
"""What a control comes to, to the statuses of the stretches that say why."""

_HOLES = 40  # that the text names; the rest are counted, and JSON has all
_NOTES = 10
_STRETCHES = 6
_NAMES = 4  # of checks, kinds or objectives
_SHIFTS = 20


def period_json(found: Period) -> dict[str, Json]:
    """The one object that `readiness --from --to --output json` prints.

    `frameworks` and `unseen` are as for one bundle; a control has its `stretches` and `changes` too.
    """
    counts = found.counts()
    return {
        "as_of": _moment(found.runs[-1].as_of),
        "from": _moment(found.begins),
        "to": _moment(found.ends),
        "store": str(found.store),
        "series": found.series,
        "seen": found.seen,
        "runs": [_run_json(each) for each in found.runs],
        "whole": not found.holes.holes,
        "holes": [
            {
                "what": each.what,
                "where": each.where,
                "from": _moment(each.since),
                "to": _moment(each.until),
                "text": each.text,
            }
            for each in found.holes.holes
        ],
        "remarks": [
            {"what": each.what, "where": each.where, "text": each.text, "breaks": each.breaks}
            for each in found.holes.notes
        ],
        "outside": found.holes.outside,
        "waiting": list(found.waiting),
        "changes": [{"what": each.what, **_at_json(each.at), "text": each.text} for each in found.shifts],
        "frameworks": {
            framework: {
                "title": found.titles.get(framework, ""),
                "counts": counts[framework],
                "controls": [_control_json(each) for each in controls],
            }
            for framework, controls in found.controls.items()
        },
        "unseen": [
            {
                "reason": each.reason,
                "right": "",
                "details": [],
                "gaps": sum(each.kinds.values()),
                "kinds": dict(sorted(each.kinds.items())),
                "runs": len(each.runs),
                "from": _moment(each.runs[0]),
                "to": _moment(each.runs[-1]),
            }
            for each in found.unseen
        ],
        "cannot_show": list(CANNOT_SHOW),
        "exit": 1 if found.holes.contradictions else 0,
    }


def _run_json(bundle: Bundle) -> dict[str, Json]:
    return {
        "bundle": str(bundle.path),
        "statement": bundle.digest,
        "epoch": bundle.epoch,
        "window": {"from": _moment(bundle.opened), "to": _moment(bundle.closed)},
        **_at_json(bundle),
    }


def _at_json(bundle: Bundle) -> dict[str, Json]:
    return {"as_of": _moment(bundle.as_of), "sequence": bundle.sequence}


def _control_json(control: ControlPeriod) -> dict[str, Json]:
    decide = _DECIDE.get(control.standing, ())
    decisive = [each for each in control.stretches if each.status in decide]
    why = dict.fromkeys(each for stretch in decisive for each in _why(stretch))
    return {
        "control": control.control,
        "title": control.title,
        "status": control.standing,
        "why": list(why),
        "stretches": [
            {
                "status": each.status,
                "from": _moment(each.since),
                "to": _moment(each.until),
                "runs": each.runs,
                "why": list(_why(each)),
            }
            for each in control.stretches
        ],
        "changes": [
            {
                **_at_json(at),
                "added": list(change.added),
                "removed": list(change.removed),
                "altered": list(change.altered),
                "counted": change.counted,
            }
            for at, change in control.changes
        ],
    }


def period_text(found: Period, page: Page, listed: bool = False) -> list[str]:
    """The text of the command; `listed` names each control, not only how many there are."""
    counts = found.counts()
    lines = [
        *_heading(found, page),
        *_holes(found, page),
        "",
        page.heading("Controls"),
        *control_table(counts, found.titles, page, STANDINGS),
        "",
        *_legend(counts, page),
        "",
    ]
    for framework, controls in found.controls.items() if listed else ():
        lines += _listed(found, found.titles.get(framework, framework), controls, page)
    return [*lines, *_shifts(found, page), *_unseen(found, page), *_not_shown(page)]


def _heading(found: Period, page: Page) -> list[str]:
    first, last = found.runs[0], found.runs[-1]
    due = f"one is due every {span(last.cadence)}" if last.cadence else "no cadence is stated"
    numbers = " to ".join(f"number {each.sequence} of {_moment(each.as_of)}" for each in (first, last))
    return [
        page.heading("Period", f"{_moment(found.begins)} to {_moment(found.ends)}"),
        *page.wrap(f"series {found.series}: {count(len(found.runs), 'bundle')}, {numbers}; {due}", 2, 4),
        *page.wrap(f"in {found.store}", 2, 4),
        "",
    ]


def _holes(found: Period, page: Page) -> list[str]:
    holes = found.holes.holes
    if holes:
        note = "nothing counts as holding in one, so no control held throughout"
        lines = [page.heading("Holes in the series", f"{len(holes)}; {note}")]
    else:
        lines = [page.heading("No hole in the series")]
    for each in holes[:_HOLES]:
        word = page.paint("red", each.what.replace("_", " "))
        lines += [f"  {_moment(each.since)} to {_moment(each.until)}  {word}"]
        lines += page.wrap(f"{each.where}: {each.text}", 6, 8)
    lines += _more(len(holes) - _HOLES, "hole", page)
    for remark in found.holes.notes[:_NOTES]:
        word = page.paint("red", remark.what) if remark.breaks else f"note: {remark.what}"
        lines += page.wrap(f"{word}  {remark.where}: {remark.text}", 2, 4)
    lines += _more(len(found.holes.notes) - _NOTES, "remark", page)
    if found.waiting:
        text = f"{count(len(found.waiting), 'bundle')} still in the outbox; `collector deliver` sends them"
        lines += page.wrap(f"note: {text}", 2, 4)
    if found.holes.outside:
        text = f"{count(found.holes.outside, 'remark')} on other times; `collector verify` has them"
        lines += page.wrap(f"note: {text}", 2, 4)
    return lines


def _legend(counts: Mapping[str, Mapping[str, int]], page: Page) -> list[str]:
    rows = [
        (word.replace("_", " "), _MEANING[word])
        for word in STANDINGS
        if any(found[word] for found in counts.values())
    ]
    return page.table(rows, styles=("status", "dim"))


def _listed(found: Period, title: str, controls: Sequence[ControlPeriod], page: Page) -> list[str]:
    lines: list[str] = []
    for word in _ORDER:
        here = [each for each in controls if each.standing == word]
        if not here:
            continue
        throughout = " throughout" if word == "held" else ""
        lines.append(f"{page.heading(clean(title))}: {page.status(word)}{throughout}, {len(here)}")
        if word in ("held", "manual", "no_evidence", "not_applicable"):
            changed = [f"{each.title}{_changes_text(each)}" for each in here]
            rows = [(each.control.partition(":")[2], text) for each, text in zip(here, changed, strict=True)]
            lines += page.table(rows)
        else:
            for each in here:
                lines += _control(found, each, page)
        lines.append("")
    return lines


def _control(found: Period, control: ControlPeriod, page: Page) -> list[str]:
    lines = page.wrap(f"{control.control.partition(':')[2]}  {control.title}", 2, 4)
    worst = sorted(control.stretches, key=lambda each: each.status != "not_satisfied")
    told = [each for each in worst if each.status != "satisfied"]
    for each in told[:_STRETCHES]:
        lines += page.wrap(_stretch_text(each), 6, 8)
    lines += page.wrap(f"and {count(len(told) - _STRETCHES, 'stretch', 'stretches')} more", 6) * (
        len(told) > _STRETCHES
    )
    held = sum(each.runs for each in control.stretches if each.status == "satisfied")
    if held:
        lines += page.wrap(f"satisfied at {held} of {count(len(found.runs), 'run')}", 6, 8)
    changed = _changes_text(control)
    return lines + (page.wrap(changed.removeprefix("; "), 6, 8) if changed else [])


_WORDS = {
    "not_satisfied": "failed",
    "partial": "could not be proven in whole",
    "stale": "could not be proven, evidence is stale",
    "waived": "failed, and an exception answered for it,",
    "manual": "could not be proven but by people",
    "no_evidence": "could not be proven, no evidence speaks of it",
    "not_applicable": "was out of scope by an exception",
    "not_judged": "could not be proven, it was not judged",
    "doubted": "could not be proven, bundles are in doubt",
    "hole": "could not be proven",
}


def _stretch_text(stretch: Stretch) -> str:
    """One stretch in words: since and until are what was seen, not when it began and ended."""
    word = _WORDS.get(stretch.status, stretch.status)
    runs = count(stretch.runs, "run") if stretch.runs else "a hole"
    if stretch.runs == 1:
        when = f"at {_moment(stretch.since)}"
    else:
        when = f"from {_moment(stretch.since)} to {_moment(stretch.until)}, {runs}"
    why = _some(_why(stretch))
    return f"{word} {when}{': ' if why else ''}{why}"


def _why(stretch: Stretch) -> Sequence[str]:
    return [f"{name} {status}".replace("_", " ").strip() for name, status in stretch.why]


def _changes_text(control: ControlPeriod) -> str:
    return "".join(f"; {_change_text(at, change)}" for at, change in control.changes)


def _change_text(at: Bundle, change: Change) -> str:
    every = {"added": change.added, "removed": change.removed, "altered": change.altered}
    parts = [f"{word} {_some(checks)}" for word, checks in every.items() if checks]
    if change.counted:
        parts.append("its objectives count otherwise")
    return f"judged by others from {_moment(at.as_of)} on: {'; '.join(parts)}"


def _some(names: Sequence[str]) -> str:
    more = [f"{len(names) - _NAMES} more"] if len(names) > _NAMES else []
    return ", ".join([*names[:_NAMES], *more])


def _shifts(found: Period, page: Page) -> list[str]:
    if not found.shifts:
        return []
    lines = [page.heading("Not as it was", "what held before is not what was asked after")]
    for each in found.shifts[:_SHIFTS]:
        lines += page.wrap(f"number {each.at.sequence}, {_moment(each.at.as_of)}: {clean(each.text)}", 2, 4)
    return [*lines, *_more(len(found.shifts) - _SHIFTS, "change", page), ""]


def _unseen(found: Period, page: Page) -> list[str]:
    if not found.unseen:
        return [page.heading("All that was asked for was seen"), ""]
    rows = [
        (
            each.reason,
            f"{count(sum(each.kinds.values()), 'gap')} at {count(len(each.runs), 'run')},"
            f" {_moment(each.runs[0])} to {_moment(each.runs[-1])}, in {_kinds(each.kinds)}",
        )
        for each in found.unseen
    ]
    total = sum(sum(each.kinds.values()) for each in found.unseen)
    return [page.heading("Could not be seen", count(total, "gap")), *page.table(rows), ""]


def _kinds(kinds: Mapping[str, int]) -> str:
    return _some(sorted(kinds, key=lambda each: (-kinds[each], each)))


def _not_shown(page: Page) -> list[str]:
    return [line for text in CANNOT_SHOW for line in page.wrap(f"not shown: {text}", 0, 2)]


def _more(number: int, noun: str, page: Page) -> list[str]:
    return [page.paint("dim", f"  and {count(number, f'more {noun}')}")] if number > 0 else []


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
