"""All small cases of objectives and controls: taking evidence away makes no status better."""

from __future__ import annotations

from itertools import product

from collector.assess.states import ControlStatus, Counts, Related, Status, control_status, objective_status

TAIL = (ControlStatus.PARTIAL, ControlStatus.STALE, ControlStatus.MANUAL, ControlStatus.NO_EVIDENCE)


def worse_or_equal(before: ControlStatus, after: ControlStatus) -> bool:
    if before is after:
        return True
    return after in TAIL and (before not in TAIL or TAIL.index(after) > TAIL.index(before))


def test_the_first_that_fits_is_the_status_of_an_objective() -> None:
    assert objective_status(Counts(ran=1, passed=9, fail=1, unknown=1), stale=True) is Status.FAIL
    assert objective_status(Counts(ran=1, passed=9, unknown=1, waived=1), stale=True) is Status.UNKNOWN
    assert objective_status(Counts(ran=1, passed=9, waived=1), stale=True) is Status.WAIVED
    assert objective_status(Counts(), stale=True) is Status.NO_EVIDENCE
    assert objective_status(Counts(ran=1, passed=1), stale=True) is Status.STALE
    assert objective_status(Counts(ran=1, passed=1), stale=False) is Status.PASS
    assert objective_status(Counts(ran=1, not_applicable=1), stale=False) is Status.NOT_APPLICABLE


def test_a_finding_that_turns_unknown_moves_an_objective_to_unknown_or_leaves_it() -> None:
    for passed, fail, unknown, waived, not_applicable in product(range(3), repeat=5):
        before = objective_status(Counts(1, passed, fail, unknown, waived, not_applicable), stale=False)
        for name in ("passed", "fail", "waived", "not_applicable"):
            counts = Counts(1, passed, fail, unknown, waived, not_applicable)
            if getattr(counts, name):
                setattr(counts, name, getattr(counts, name) - 1)
                counts.unknown += 1
                assert objective_status(counts, stale=False) in (before, Status.UNKNOWN)


def test_an_objective_that_turns_unknown_makes_no_control_better() -> None:
    sets = ((), (("a",),), (("a", "b"),), (("a", "b", "c"),), (("a",), ("b", "c")))
    for statuses in product(Status, repeat=3):
        objectives = dict(zip("abc", statuses, strict=True))
        for sufficient, alone, manual, out in product(sets, (frozenset(), frozenset("a")), (0, 1), (0, 1)):
            related = Related(objectives, alone, sufficient, bool(manual), bool(out))
            before = control_status(related)
            for name in objectives:
                if objectives[name] is Status.NO_EVIDENCE:
                    continue  # nothing was asked for it that could be denied
                less = Related(
                    {**objectives, name: Status.UNKNOWN}, alone, sufficient, bool(manual), bool(out)
                )
                assert worse_or_equal(before, control_status(less)), (objectives, name, related)


def test_a_control_that_nothing_speaks_of_has_no_evidence() -> None:
    assert control_status(Related({})) is ControlStatus.NO_EVIDENCE
    assert control_status(Related({}, manual=True)) is ControlStatus.MANUAL


def test_not_applicable_alone_satisfies_nothing() -> None:
    related = Related({"a": Status.NOT_APPLICABLE}, sufficient=(("a",),))
    assert control_status(related) is ControlStatus.NO_EVIDENCE
