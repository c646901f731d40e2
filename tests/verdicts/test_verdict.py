"""Verdicts: every rung of the ladder, what is open, and the n that would settle it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from probes.errors import InputError
from probes.stats.estimates import Estimate, mean_interval
from probes.verdicts.criteria import CRITERIA, Criteria
from probes.verdicts.origin import judge_origin
from probes.verdicts.survival import Following, judge_fate
from probes.verdicts.verdict import LADDER, Finding, correct, judge, weigh

TESTS = [name for tests, _ in LADDER for name in tests]


def strong(test):
    return weigh(test, Estimate(0.95, 0.9, 0.99, 60), p=0.001)


def none(test):
    null = 0.5 if test in ("decodable", "shift") else 0.0
    return weigh(test, Estimate(null, null - 0.04, null + 0.01, 60), p=0.6)


def vague(test):
    null = 0.5 if test in ("decodable", "shift") else 0.0
    return weigh(test, Estimate(null + 0.21, null - 0.05, null + 0.4, 12), p=0.2)


def test_internal_needs_every_test_for_it():
    verdict = judge([strong(test) for test in TESTS])
    assert verdict.label == "internal"
    assert verdict.of("against") == verdict.of("open") == []
    assert verdict.n_to_settle is None
    for left_out in TESTS:
        assert judge([strong(test) for test in TESTS if test != left_out]).label == "inconclusive"


@pytest.mark.parametrize("failed", TESTS)
def test_the_first_test_that_counts_against_decides(failed):
    verdict = judge([none(test) if test == failed else strong(test) for test in TESTS])
    assert verdict.label == next(label for tests, label in LADDER if failed in tests)
    assert verdict.decided_by == failed
    assert [finding.test for finding in verdict.of("against")] == [failed]


@pytest.mark.parametrize("unsure", TESTS)
def test_an_open_test_leaves_it_inconclusive_and_says_what_n_would_settle_it(unsure):
    verdict = judge([vague(test) if test == unsure else strong(test) for test in TESTS])
    assert (verdict.label, verdict.decided_by) == ("inconclusive", unsure)
    assert verdict.n_to_settle is not None
    assert verdict.n_to_settle > 12
    assert "would settle it" in str(verdict)


def test_a_lower_rung_decides_before_a_higher_one():
    assert judge([none("decodable"), *(strong(test) for test in TESTS[1:])]).label == "absent"
    assert judge([vague("decodable"), none("beyond_surface")]).label == "inconclusive"
    assert judge([strong("decodable"), none("beyond_surface"), vague("shift")]).label == "surface"


def test_every_axis_of_a_test_must_hold():
    found = [strong(test) for test in TESTS]
    assert judge([*found, none("shift")]).label == "surface"


def test_a_significant_effect_that_is_too_small_does_not_count():
    tiny = weigh("decodable", Estimate(0.56, 0.53, 0.59, 900), p=0.001)
    assert tiny.outcome == "against"
    assert weigh("decodable", Estimate(0.66, 0.56, 0.75, 90), p=0.001).outcome == "open"
    assert weigh("decodable", Estimate(0.9, 0.8, 0.95, 90), p=0.2).outcome == "open"


def test_the_n_that_settles_has_the_power_it_says():
    rng = np.random.default_rng(0)
    effect, sd, n = 0.3, 1.0, 20
    seen = rng.normal(0, 1, n)
    seen = (seen - seen.mean()) / seen.std() * sd + effect
    told = mean_interval(seen, np.arange(n))
    finding = Finding("sufficient", told, 0.0, 0.05)
    assert finding.outcome == "open"
    needed = finding.n_to_settle
    assert needed is not None
    wins = 0
    for trial in range(300):
        values = rng.normal(effect, sd, needed)
        wins += mean_interval(values, np.arange(needed), n_boot=200, seed=trial).low > 0
    assert 0.68 < wins / 300 < 0.92


def test_p_values_are_corrected_over_everything_judged_together():
    p = {"a": 0.01, "b": 0.02, "c": 0.9}
    findings = {key: [replace(strong("decodable"), p=value)] for key, value in p.items()}
    told = correct(findings)
    expected = false_discovery_control(list(p.values()))
    assert [told[key][0].p for key in p] == pytest.approx(list(expected))


def test_an_effect_that_random_directions_have_too_counts_against_whatever_n():
    effect = Estimate(0.19, 0.16, 0.21, 32)
    assert weigh("sufficient", effect, p=0.1).outcome == "open"
    common = weigh("sufficient", effect, p=0.1, chance=0.087)
    assert (common.outcome, common.n_to_settle) == ("against", None)
    assert weigh("sufficient", effect, p=0.026, chance=0.006).outcome == "for"


def test_criteria_are_frozen_printed_and_checked():
    assert "decodable" in str(CRITERIA)
    assert Criteria(**CRITERIA.to_dict()) == CRITERIA
    with pytest.raises(AttributeError):
        CRITERIA.alpha = 0.5  # pyright: ignore[reportAttributeAccessIssue]
    for wrong in ({"alpha": 0}, {"decodable": 1.5}, {"random_directions": 5}):
        with pytest.raises(InputError, match="expected"):
            Criteria(**wrong)


def test_unknown_tests_are_refused():
    with pytest.raises(InputError, match="no test 'vibes'"):
        weigh("vibes", Estimate(1, 1, 1, 2))
    with pytest.raises(InputError, match="no test 'vibes'"):
        judge([Finding("vibes", Estimate(1, 1, 1, 2), 0, 0.1)])


def about(value, half=0.03):
    return Estimate(value, value - half, value + half, 80)


def following(
    refit=0.95, gap=0.01, kept=0.95, realigned: float | None = 0.95, source=0.96, half=0.03, turned=1.0
):
    return Following(
        source=about(source, half),
        refit=about(refit, half),
        refit_drop=about(source - refit, half),
        frozen=about(refit - gap, half),
        frozen_gap=about(gap, half),
        kept=about(kept, half),
        realigned=None if realigned is None else about(realigned, half),
        turned=turned,
    )


@pytest.mark.parametrize(
    ("told", "label", "decided_by"),
    [
        (following(), "persists", "refit_drop"),
        (following(kept=0.95, realigned=0.7, turned=0.2), "persists", "refit_drop"),
        (following(gap=0.45, kept=0.02), "rotated", "realigned"),
        (following(gap=0.01, kept=0.02), "rotated", "realigned"),
        (following(gap=0.01, kept=0.6, turned=0.3), "rotated", "realigned"),
        (following(gap=0.25, kept=0.02, realigned=0.02), "lost", "frozen_gap"),
        (following(refit=0.64, gap=0.12, kept=0.0, realigned=0.0, half=0.1), "lost", "frozen"),
        (following(refit=0.52, kept=0.9), "lost", "decodable"),
        (following(refit=0.80, gap=0.02, kept=0.3, realigned=0.3), "faded", "refit_drop"),
        (following(refit=0.80, kept=0.8), "faded", "refit_drop"),
        (following(kept=0.3, realigned=0.3), "faded", "frozen_gap"),
        (following(gap=0.45, kept=0.02, realigned=None), "inconclusive", "realigned"),
        (following(refit=0.72, kept=0.9, source=0.72, half=0.25), "inconclusive", "source"),
        (following(kept=0.5, realigned=0.5), "inconclusive", "kept"),
        (following(refit=0.87, kept=0.9, half=0.09), "inconclusive", "refit_drop"),
    ],
)
def test_fates_follow_from_the_margin_and_what_alignment_brings_back(told, label, decided_by):
    fate = judge_fate(told)
    assert (fate.label, fate.decided_by) == (label, decided_by)


def test_a_margin_that_cannot_be_measured_is_open():
    nan = Estimate(np.nan, np.nan, np.nan, 40)
    assert judge_fate(replace(following(), kept=nan)).label == "inconclusive"


def weighed(value, half=0.03):
    return weigh("decodable", about(value, half), p=0.001)


@pytest.mark.parametrize(
    ("here", "parent", "change", "label"),
    [
        (0.95, 0.55, 0.40, "made here"),
        (0.95, 0.80, 0.15, "strengthened"),
        (0.80, 0.95, -0.15, "weakened"),
        (0.55, 0.95, -0.40, "weakened"),
        (0.95, 0.94, 0.01, "inherited"),
        (0.52, 0.53, -0.01, "absent"),
        (0.72, 0.68, 0.04, "unclear"),
    ],
)
def test_origins_credit_a_stage_only_with_what_its_parent_lacks(here, parent, change, label):
    assert judge_origin(weighed(here), weighed(parent), about(change), 0.05).label == label


def test_a_change_that_may_be_nothing_is_not_called_inherited():
    assert judge_origin(weighed(0.95), weighed(0.9), about(0.05, 0.1), 0.05).label == "unclear"
