"""What the agent and Prowler say of the same account, where their checks ask the same question.

    python -m tests.bench.compare_prowler FOLDER

FOLDER is what `bench_aws --keep` left of one account and delay, as in `KEPT/70/50ms`: it holds `ours` with a
bundle and `prowler` with its findings in OCSF. `prowler_pairs.toml` says which checks are compared, and
explains each difference that is known: who is right, and why. Exit code 1 if one is not explained.
"""

from __future__ import annotations

import gzip
import json
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAIRS = Path(__file__).with_name("prowler_pairs.toml")
WORST = ("fail", "unknown", "pass", "not_applicable", "nothing")
PROWLERS = {"PASS": "pass", "FAIL": "fail", "MANUAL": "unknown"}

Verdicts = Mapping[str, Mapping[str, str]]
"""By check: resource, or "" for a population, to result."""


@dataclass(frozen=True)
class Difference:
    """One resource of which two checks say different things."""

    ours: str
    theirs: str
    resource: str
    we_say: str
    they_say: str


def short(resource: str) -> str:
    """The end of an ARN, by which both tools name a resource whatever comes before it."""
    end = resource.removesuffix(":*").rpartition("/")[2]
    return end.rpartition(":")[2]


def gathered(found: Iterable[tuple[str, str, str]]) -> Verdicts:
    verdicts: dict[str, dict[str, str]] = {}
    for check, resource, result in found:
        of_check = verdicts.setdefault(check, {})
        of_check[resource] = worst((result, of_check.get(resource, "nothing")))
    return verdicts


def worst(results: Iterable[str]) -> str:
    return min(results, key=WORST.index, default="nothing")


def ours(folder: Path) -> Verdicts:
    bundle = max((folder / "state" / "evidence").rglob("*.zip"))
    with zipfile.ZipFile(bundle) as archive:
        lines = gzip.decompress(archive.read("findings.jsonl.gz")).splitlines()
    found = map(json.loads, lines)
    return gathered((each["check"], short(each["subject"]), each["result"]) for each in found)


def prowlers(folder: Path) -> Verdicts:
    found = json.loads((folder / "out" / "prowler.ocsf.json").read_bytes())
    return gathered(
        (each["metadata"]["event_code"], short(each["resources"][0]["uid"]), PROWLERS[each["status_code"]])
        for each in found
    )


def differences(pairs: Mapping[str, Any], mine: Verdicts, theirs: Verdicts) -> Iterator[Difference]:
    for check, other in pairs["whole"].items():
        we, they = (worst(found.get(name, {}).values()) for found, name in ((mine, check), (theirs, other)))
        if not same(we, they):
            yield Difference(check, other, "(all)", we, they)
    for check, other in pairs["resource"].items():
        we_say, they_say = mine.get(check, {}), theirs.get(other, {})
        for resource in sorted(we_say.keys() | they_say.keys()):
            we, they = we_say.get(resource, "nothing"), they_say.get(resource, "nothing")
            if not same(we, they):
                yield Difference(check, other, resource, we, they)


def same(we: str, they: str) -> bool:
    """Prowler passes, or leaves out, what a check is not about."""
    return we == they or (we == "not_applicable" and they in ("pass", "nothing"))


def explained(difference: Difference, reasons: Iterable[Mapping[str, str]]) -> str:
    for reason in reasons:
        if reason["check"] == difference.ours and reason.get("we", difference.we_say) == difference.we_say:
            return f"{reason['right']}: {reason['why']}"
    return ""


def main(folder: Path) -> int:
    """Print each difference, and how many there are."""
    pairs = tomllib.loads(PAIRS.read_text())
    mine, theirs = ours(folder / "ours"), prowlers(folder / "prowler")
    found = list(differences(pairs, mine, theirs))
    groups = Counter((each.ours, each.theirs, each.we_say, each.they_say) for each in found)
    unexplained = 0
    for each in found:
        why = explained(each, pairs.get("difference", ()))
        unexplained += not why
        sys.stdout.write(
            f"{each.ours} / {each.theirs}  {each.resource}: we {each.we_say}, Prowler {each.they_say}\n"
            f"    {why or 'NOT EXPLAINED'}\n"
        )
    compared = len(pairs["whole"]) + len(pairs["resource"])
    sys.stdout.write(
        f"{compared} pairs of checks; {len(found)} differences of {len(groups)} sorts, "
        f"{unexplained} not explained\n"
    )
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
