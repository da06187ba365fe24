"""What a run came to, in figures: the worst findings, what could not be seen, how controls stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collector.model import Json, VerifyError
from collector.report.evidence import Evidence
from collector.report.page import clean

__all__ = [
    "Overview",
    "Problem",
    "Unseen",
    "control_counts",
    "overview",
    "problems",
    "unseen",
]

SEVERITIES = ("critical", "high", "medium", "low", "info")
_SUBJECTS = 3  # subjects that a problem names; the rest are counted
_TEXT = 300  # characters of a detail that tell one cause from another


@dataclass(frozen=True, slots=True)
class Problem:
    """A check that fails, and for whom.

    Attributes:
        subjects: the first few, each with its scope and the finding's detail.
        fails: how many subjects fail without a waiver.
    """

    check: str
    title: str
    severity: str
    fix: str
    fails: int
    subjects: tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Unseen:
    """One cause of gaps.

    Attributes:
        reason: a gap's reason.
        right: the right that the calls need, where they were denied.
        details: what was said of it, the most frequent first.
        kinds: what was not seen for it, and how many gaps it left there.
    """

    reason: str
    right: str
    details: tuple[str, ...]
    kinds: Mapping[str, int]

    @property
    def gaps(self) -> int:
        """How many gaps it left."""
        return sum(self.kinds.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """What the screen after a run shows, beside the run's own result.

    Attributes:
        as_of: the moment that time-dependent checks used.
        targets: source, scope, principal and number of kinds, of each target.
        undiscovered: source and scope of what could not be discovered, so that its targets are missing.
        problems: the worst first.
        failing: checks that fail.
        unseen: the most frequent cause first.
        controls: framework to status to count.
        titles: framework to its title.
        failing_control: the first control that is not satisfied; "" if there is none.
    """

    as_of: str
    targets: tuple[Mapping[str, Json], ...]
    undiscovered: tuple[Mapping[str, Json], ...]
    problems: tuple[Problem, ...]
    failing: int
    unseen: tuple[Unseen, ...]
    controls: Mapping[str, Mapping[str, int]]
    titles: Mapping[str, str]
    failing_control: str = ""


def overview(evidence: Evidence, worst: int = 5) -> Overview:
    """Read a run's folder once through.

    Raises:
        VerifyError, MappingError: the folder is not as the format says.
    """
    found = problems(evidence)
    return Overview(
        as_of=evidence.plan["as_of"],
        targets=_targets(evidence.plan["tasks"]),
        undiscovered=tuple(evidence.plan["undiscovered"]),
        problems=found[:worst],
        failing=len(found),
        unseen=unseen(evidence),
        controls=control_counts(evidence.controls()),
        titles={name: framework.title for name, framework in evidence.mappings.frameworks.items()},
        failing_control=next(
            (each["control"] for each in evidence.controls() if each["status"] == "not_satisfied"), ""
        ),
    )


def problems(evidence: Evidence) -> tuple[Problem, ...]:
    """Every check that fails for somebody, the worst first: by severity, then by how many fail."""
    fails: Counter[str] = Counter()
    severity: dict[str, str] = {}
    subjects: dict[str, list[Mapping[str, Json]]] = {}
    for finding in evidence.findings():
        if finding["result"] != "fail" or finding.get("waiver"):
            continue
        check = finding["check"]
        fails[check] += 1
        severity[check] = finding["severity"]
        shown = subjects.setdefault(check, [])
        if len(shown) < _SUBJECTS:
            shown.append({key: finding.get(key) for key in ("subject", "scope", "detail")})
    checks = evidence.mappings.checks
    return tuple(
        Problem(
            check=check,
            title=checks[check].title if check in checks else check,
            severity=severity[check],
            fix=checks[check].fix if check in checks else "",
            fails=fails[check],
            subjects=tuple(subjects[check]),
        )
        for check in sorted(fails, key=lambda each: (_rank(severity[each]), -fails[each], each))
    )


def unseen(evidence: Evidence) -> tuple[Unseen, ...]:
    """The gaps by cause: by the right that was lacking where calls were denied, else by what was said.

    What could not be discovered is a gap of each kind that it might have had.
    """
    denied = {gap["call"] for gap in evidence.gaps() if gap["reason"] == "denied" and gap["call"]}
    operations = {call["call"]: call["op"] for call in evidence.calls(denied)} if denied else {}
    rights = _rights(evidence.kinds)
    kinds: dict[tuple[str, str, str], Counter[str]] = {}
    details: dict[tuple[str, str, str], Counter[str]] = {}
    for gap in evidence.gaps():
        right = rights.get(operations.get(gap["call"], ""), "") if gap["reason"] == "denied" else ""
        detail = str(gap["detail"])[:_TEXT]
        cause = (gap["reason"], right, "" if right else detail)
        kinds.setdefault(cause, Counter())[gap["kind"]] += 1
        details.setdefault(cause, Counter())[detail] += 1
    every = [
        Unseen(cause[0], cause[1], _frequent(details[cause]), dict(sorted(found.items())))
        for cause, found in kinds.items()
    ]
    every += [_undiscovered(each, evidence) for each in evidence.plan["undiscovered"]]
    return tuple(sorted(every, key=lambda each: (-each.gaps, each.reason, each.right, each.details)))


def _undiscovered(target: Mapping[str, Json], evidence: Evidence) -> Unseen:
    """A discovery that failed, with what its target's calls came to."""
    from collector.collect.plan import target_digest
    from collector.model import Target

    source, scope = target["source"], target["scope"]
    try:
        start = f"{target_digest(Target(source, scope))}/"
    except (TypeError, ValueError):
        raise VerifyError(f"plan.json: no scope of a target: {clean(scope)[:_TEXT]}") from None
    failed = [
        call
        for call in evidence.calls()
        if call["call"].startswith(start) and call["outcome"] not in ("ok", "absent")
    ]
    said = Counter(f"{call['op']}: {call.get('detail') or call['outcome']}"[:_TEXT] for call in failed)
    reason = failed[0]["outcome"] if failed else "failed"
    details = [f"what there is could not be discovered, {each}" for each in _frequent(said)]
    collected = {
        name for name, kind in evidence.kinds.items() if kind["source"] == source and not kind.get("derived")
    }
    kinds = dict.fromkeys(sorted(collected), 1)
    return Unseen(reason, "", tuple(details) or ("what there is could not be discovered",), kinds)


def _frequent(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(sorted((text for text in counts if text), key=lambda text: (-counts[text], text)))


def control_counts(controls: Iterable[Mapping[str, Json]]) -> dict[str, dict[str, int]]:
    """Framework to status to count."""
    found: dict[str, Counter[str]] = {}
    for control in controls:
        framework = control["control"].partition(":")[0]
        found.setdefault(framework, Counter())[control["status"]] += 1
    return {framework: dict(counts) for framework, counts in sorted(found.items())}


def _targets(tasks: Iterable[Mapping[str, Json]]) -> tuple[Mapping[str, Json], ...]:
    found: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Json]] = {}
    for task in tasks:
        key = (str(task["source"]), tuple(sorted(task["scope"].items())))
        target = found.setdefault(
            key, {"source": task["source"], "scope": task["scope"], "as": task["principal"], "kinds": 0}
        )
        target["kinds"] += len(task["kinds"])
    return tuple(found[key] for key in sorted(found))


def _rights(kinds: Mapping[str, Mapping[str, Json]]) -> dict[str, str]:
    return {
        operation["name"]: str(operation["permission"])
        for kind in kinds.values()
        for operation in kind["operations"]
    }


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
