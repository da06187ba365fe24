"""What a run came to, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.assess import Summary
from collector.assess.exceptions import Exceptions
from collector.canonical import loads
from collector.model import ConfigError, Json
from collector.run.facts import Gaps

__all__ = ["EXITS", "RunResult", "Threshold", "exit_reasons", "threshold"]

SEVERITIES = ("info", "low", "medium", "high", "critical")
EXITS = (75, 2, 4, 1, 3, 0)
"""Exit codes; where several fit, the first of them in this order is given."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What `--fail-on` names: `fail`, `fail:SEVERITY` and worse, `gap`, or `control`."""

    what: str
    severity: str = "info"


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run's outcome, as `run --output json` prints it, and where its bundle lies."""

    bundle: Path | str
    series: str
    sequence: int
    tasks: Mapping[str, int]
    calls: int
    gaps: int
    records: int
    findings: Mapping[str, int]
    controls: Mapping[str, Mapping[str, int]]
    delivered: Sequence[str]
    exit: int
    reasons: Sequence[int]
    problems: Sequence[str] = field(default_factory=tuple)

    def json(self) -> dict[str, Json]:
        """The one object that `run --output json` prints."""
        return {
            "bundle": str(self.bundle),
            "series": self.series,
            "sequence": self.sequence,
            "tasks": dict(self.tasks),
            "calls": self.calls,
            "gaps": self.gaps,
            "records": self.records,
            "findings": dict(self.findings),
            "controls": {name: dict(found) for name, found in self.controls.items()},
            "delivered": list(self.delivered),
            "exit": self.exit,
            "reasons": list(self.reasons),
            "problems": list(self.problems),
        }


def threshold(text: str) -> Threshold:
    """Read a threshold. Raises ConfigError for what is none."""
    what, colon, severity = text.partition(":")
    if what == "fail" and (not colon or severity in SEVERITIES):
        return Threshold("fail", severity or "info")
    if text in ("gap", "control"):
        return Threshold(text)
    allowed = f"fail, fail:SEVERITY ({', '.join(SEVERITIES)}), gap or control"
    raise ConfigError(f"--fail-on {text!r} is not allowed; must be {allowed}")


def exit_reasons(
    summary: Summary, gaps: Gaps, exceptions: Exceptions, thresholds: Iterable[Threshold], undelivered: bool
) -> list[int]:
    """Every exit code that fits, the first of which is the program's; never empty."""
    open_gaps = any(
        not exceptions.accepts(kind, column, loads(scope), reason) for kind, column, scope, reason in gaps
    )
    found = {0}
    if undelivered:
        found.add(4)
    if any(_met(each, summary, open_gaps) for each in thresholds):
        found.add(1)
    if open_gaps:
        found.add(3)
    return [code for code in EXITS if code in found and (code or len(found) == 1)]


def _met(threshold: Threshold, summary: Summary, open_gaps: bool) -> bool:
    match threshold.what:
        case "gap":
            return open_gaps
        case "control":
            return any(found.get("not_satisfied") for found in summary.controls.values())
        case _:
            worst = SEVERITIES[SEVERITIES.index(threshold.severity) :]
            return any(summary.failing.get(severity) for severity in worst)
