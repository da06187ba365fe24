"""From evidence to findings, objectives and control states; also years later, from a bundle alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from collector.assess.assessor import Assessor, Budget, Summary
from collector.assess.evidence import read
from collector.keys import Keys

__all__ = ["Assessor", "Budget", "Summary", "assess"]


def assess(
    folder: Path,
    *,
    out: Path | None = None,
    as_of: datetime | None = None,
    packs: Sequence[Path] | None = None,
    frameworks: Sequence[str] | None = None,
    keys: Keys | None = None,
    budget: Budget | None = None,
) -> Summary:
    """Judge a run's folder, or an extracted bundle, in a child process under limits.

    Args:
        folder: as docs/format.md lays it out.
        out: where findings and controls are written; None: into `folder`.
        as_of: None: the moment of the plan.
        packs: folders of mapping packs; None: those in the folder.
        frameworks: None: those of the plan.
        keys: for salts; None writes none.

    Returns:
        Counts; the lines are in `findings.jsonl.gz` and `controls.jsonl.gz`.

    Raises:
        VerifyError: the folder is not as the format says.
        MappingError: the mappings cannot be used.
    """
    evidence = read(folder)
    moment = as_of or evidence.as_of
    found = (
        packs
        if packs is not None
        else sorted(path for path in (folder / "mappings").iterdir() if path.is_dir())
    )
    with (
        tempfile.TemporaryDirectory(prefix="collector-assess-") as scratch,
        Assessor(
            found,
            evidence.kinds,
            Path(scratch),
            frameworks=evidence.plan["frameworks"] if frameworks is None else frameworks,
            strict=False,
            budget=budget,
        ) as assessor,
    ):
        return assessor.judge(
            folder, out or folder, moment.strftime("%Y-%m-%dT%H:%M:%SZ"), keys.salt if keys else None
        )
