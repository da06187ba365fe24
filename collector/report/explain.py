"""Why one control stands as it does, down to the records and the calls behind it.

Control, objectives, checks, findings, records, calls: each step is looked up in the bundle, so that
what is shown is what was signed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from collector.canonical import dumps
from collector.model import ConfigError, Json
from collector.report.behind import Behind, Finding, behind
from collector.report.evidence import Evidence
from collector.report.page import Page, clean, scope_text
from collector.toml import nearest

if TYPE_CHECKING:
    from collector.assess.mappings import Check, Mappings

__all__ = ["explain", "explain_text"]

_SHOWN = 3  # findings of one result that are followed down; the rest are counted
_FOLLOWED = ("fail", "unknown", "pass", "not_applicable")
_VALUE = 100  # characters of one value that the text shows


def explain(evidence: Evidence, control: str) -> dict[str, Json]:
    """Everything that decides a control, as `explain --output json` prints it.

    Args:
        control: `framework:id`, as in `iso27001-2022:A.8.3`.

    Raises:
        ConfigError: no such control was judged.
        VerifyError, MappingError: the folder is not as the format says.
    """
    line = _line(evidence, control)
    mappings = evidence.mappings
    checks = [
        check
        for check in mappings.checks.values()
        if not set(check.objectives).isdisjoint(line["objectives"])
    ]
    findings, counts = _findings(evidence, [check.id for check in checks])
    seen = behind(evidence, [(check, each) for check in checks for each in findings[check.id]])
    framework, _, id_ = control.partition(":")
    known = mappings.frameworks.get(framework)
    rule = mappings.rules.get(control)
    return {
        "control": control,
        "title": known.controls[id_].title if known and id_ in known.controls else "",
        "framework": known.title if known else framework,
        "status": line["status"],
        "sufficient": [list(names) for names in rule.sufficient] if rule else [],
        "manual": rule.manual if rule else "",
        "objectives": [
            {
                "objective": name,
                **counted,
                **_objective(mappings, name, control),
                "checks": [
                    _check(check, counts[check.id], findings[check.id], seen)
                    for check in checks
                    if name in check.objectives
                ],
            }
            for name, counted in sorted(line["objectives"].items())
        ],
    }


def _line(evidence: Evidence, control: str) -> Mapping[str, Json]:
    known = []
    for line in evidence.controls():
        if line["control"] == control:
            return line
        known.append(line["control"])
    near = nearest(control, known) or "; must be like iso27001-2022:A.8.3"
    raise ConfigError(f"control {clean(control)!r} was not judged{near}")


def _objective(mappings: Mappings, name: str, control: str) -> dict[str, Json]:
    objective = mappings.objectives.get(name)
    relations = [each for each in objective.relations if each.control == control] if objective else []
    return {
        "statement": objective.statement if objective else "",
        "facet": objective.facet if objective else "",
        "relation": relations[0].relation if relations else "",
        "why": relations[0].why if relations else "",
    }


Findings = Mapping[str, list[Mapping[str, Json]]]


def _findings(evidence: Evidence, checks: Sequence[str]) -> tuple[Findings, Mapping[str, Counter[str]]]:
    """The first findings of each check and result, and how many there are of each."""
    counts: dict[str, Counter[str]] = {check: Counter() for check in checks}
    kept: dict[str, list[Mapping[str, Json]]] = {check: [] for check in checks}
    for finding in evidence.findings(checks):
        check, result = finding["check"], _result(finding)
        counts[check][result] += 1
        if counts[check][result] <= _SHOWN:
            kept[check].append(finding)
    for found in kept.values():
        found.sort(key=lambda each: _FOLLOWED.index(each["result"]) if each["result"] in _FOLLOWED else 9)
    return kept, counts


def _result(finding: Mapping[str, Json]) -> str:
    return "waived" if finding.get("waiver") else str(finding["result"])


def _check(
    check: Check, counts: Mapping[str, int], findings: Sequence[Finding], seen: Behind
) -> dict[str, Json]:
    return {
        "check": check.id,
        "title": check.title,
        "severity": check.severity,
        "asks": (check.query or check.pass_ or "").strip(),
        "fix": check.fix,
        "counts": dict(sorted(counts.items())),
        "findings": [_finding(check, finding, seen) for finding in findings],
    }


def _finding(check: Check, finding: Finding, seen: Behind) -> dict[str, Json]:
    records, gaps = seen.records(check, finding), seen.gaps(check, finding)
    return {
        "result": finding["result"],
        "subject": finding["subject"],
        "scope": finding["scope"],
        "detail": finding.get("detail", ""),
        "waiver": finding.get("waiver"),
        "records": [_record(record, seen) for record in records],
        "gaps": [_gap(gap, seen) for gap in gaps],
        "lists": [] if records or gaps else seen.lists(check),
    }


def _record(record: Mapping[str, Json], seen: Behind) -> dict[str, Json]:
    asked = [*record["calls"], *(gap.get("call") for gap in record["gaps"])]
    kept = {key: record[key] for key in ("kind", "id", "data", "gaps")}
    return {**kept, "calls": seen.asked(asked)}


def _gap(gap: Mapping[str, Json], seen: Behind) -> dict[str, Json]:
    kept = {key: gap[key] for key in ("kind", "reason", "detail")}
    return {**kept, "calls": seen.asked([gap["call"]])}


def explain_text(found: Mapping[str, Any], page: Page) -> list[str]:
    """The text of what `explain` found."""
    lines = [
        page.heading(f"{clean(found['control'])}  {clean(found['title'])}", clean(found["framework"])),
        f"  {page.status(found['status'])}",
    ]
    for names in found["sufficient"]:
        lines += page.wrap(f"shown as a whole by: {' and '.join(names)}", 2, 4)
    if found["manual"]:
        lines += page.wrap(f"what people must show: {found['manual']}", 2, 4)
    if not found["objectives"]:
        lines.append("  no objective speaks of it")
    for objective in found["objectives"]:
        lines += ["", *_objective_text(objective, page)]
    return lines


def _objective_text(objective: Mapping[str, Any], page: Page) -> list[str]:
    relation = f"{objective['relation']}: {objective['why']}" if objective["relation"] else ""
    lines = [
        f"{page.status(objective['status'])}  {page.heading(clean(objective['objective']))}",
        *page.wrap(objective["statement"], 2),
        *page.wrap(relation, 2, 4),
    ]
    if not objective["checks"]:
        lines.append("  no check answers to it")
    for check in objective["checks"]:
        lines += _check_text(check, page)
    return lines


def _check_text(check: Mapping[str, Any], page: Page) -> list[str]:
    figures = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in check["counts"].items())
    lines = page.wrap(f"- {check['check']}: {check['title']}", 2, 4)
    lines += page.wrap(f"{figures or 'not run: nothing of its kind was collected'}", 4)
    decisive = [each for each in check["findings"] if each["result"] in ("fail", "unknown")]
    for finding in decisive or check["findings"][:1]:
        lines += _finding_text(finding, check["asks"], page)
    if any(each["result"] == "fail" for each in decisive):
        lines += page.wrap(f"Fix: {check['fix']}", 4, 9)
    return lines


def _finding_text(finding: Mapping[str, Any], asks: str, page: Page) -> list[str]:
    where = scope_text(finding["scope"])
    subject = clean(finding["subject"]) or "the whole population"
    label = page.status("waived" if finding["waiver"] else finding["result"], 7)
    lines = [f"    {label}  {subject}{f' ({where})' if where else ''}"]
    lines += page.wrap(finding["detail"], 13)
    if waiver := finding["waiver"]:
        lines += page.wrap(
            f"waived until {waiver.get('until')} by {waiver.get('approver')}: {waiver.get('reason')}", 13
        )
    for record in finding["records"]:
        lines += _record_text(record, asks, page)
    for gap in finding["gaps"]:
        lines += page.wrap(f"{gap['kind']}: {gap['reason']} {gap['detail']}", 13, 15)
        lines += _calls_text(gap["calls"], page)
    return lines + _calls_text(finding["lists"], page)


def _record_text(record: Mapping[str, Any], asks: str, page: Page) -> list[str]:
    lines = page.wrap(f"{record['kind']} {record['id']}", 13, 15)
    lines += page.wrap(_values(record["data"], asks), 15, 17)
    for gap in record["gaps"]:
        lines += page.wrap(f"lacks {gap['column']}: {gap['reason']} {gap.get('detail', '')}", 13, 15)
    return lines + _calls_text(record["calls"], page)


def _values(data: Mapping[str, Json], asks: str) -> str:
    """The columns that a check's SQL speaks of, or all of them where it names none."""
    words = set(re.findall(r"\w+", asks.lower()))
    read = {name: value for name, value in data.items() if name.lower() in words}
    shown = [f"{name}={dumps(value).decode()}" for name, value in (read or data).items()]
    return ", ".join(each if len(each) <= _VALUE else f"{each[:_VALUE]}..." for each in shown)


def _calls_text(calls: Iterable[Mapping[str, Any]], page: Page) -> list[str]:
    lines: list[str] = []
    for call in calls:
        params = dumps(call["params"]).decode() if call["params"] else ""
        asked = f"{call['op']} {params}".strip()
        lines += page.wrap(
            f"asked {asked} at {call['at']} as {call['as'] or 'unknown'}: {call['outcome']}", 13, 15
        )
    return lines
