"""Verdicts: every rung of the ladder, what is open, and the n that would settle it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from probes.errors import InputError
from probes.stats.estimates import Estimate, mean_interval
from probes.stats.threshold import Threshold
from probes.verdicts import CRITERIA, LADDER, OPTIONAL, TESTS, Finding, correct, judge
from tests.makers import finding


def strong(test):
    return finding(test, Estimate(0.95, 0.9, 0.99, 60), p=0.001)


def none(test):
    null = CRITERIA.threshold(test).null
    return finding(test, Estimate(null, null - 0.04, null + 0.01, 60), p=0.6)


def vague(test):
    threshold = CRITERIA.threshold(test)
    estimate = Estimate(threshold.worth + 0.02, threshold.null - 0.05, threshold.worth + 0.2, 12)
    return finding(test, estimate, p=0.2)


def test_internal_needs_every_test_for_it():
    verdict = judge([strong(test) for test in TESTS])
    assert verdict.label == "internal"
    assert verdict.of("against") == verdict.of("open") == []
    assert verdict.n_to_settle is None
    for left_out in set(TESTS) - set(OPTIONAL):
        assert judge([strong(test) for test in TESTS if test != left_out]).label == "inconclusive"


def test_the_rungs_of_the_battery_are_left_out_where_it_was_not_asked():
    without = [strong(test) for test in TESTS if test not in OPTIONAL]
    assert judge(without).label == "internal"
    assert not set(judge(without).missing) & set(OPTIONAL)
    reason = {"principled": "the items have no 'reversed' text"}
    assert (judge(without, reason).label, judge(without, reason).decided_by) == ("inconclusive", "principled")


def test_every_verdict_is_one_plain_sentence():
    made = {"internal": judge([strong(test) for test in TESTS]).sentence}
    for failed in TESTS:
        verdict = judge([none(test) if test == failed else strong(test) for test in TESTS])
        made[failed] = verdict.sentence
    made["open"] = judge([vague("decodable")]).sentence
    made["missing"] = judge([strong("decodable")]).sentence
    for name, sentence in made.items():
        assert sentence.endswith("."), name
        assert "\n" not in sentence
    assert (
        "does not follow questions: of 60 undisputed answers a share of .00 [-.04, .01]" in made["competent"]
    )
    assert "the same whatever is asked" in made["principled"]
    assert "one test was not made (beyond surface: not measured)" in made["missing"]


@pytest.mark.parametrize("failed", TESTS)
def test_the_first_test_that_counts_against_decides(failed):
    verdict = judge([none(test) if test == failed else strong(test) for test in TESTS])
    assert verdict.label == next(label for tests, label in LADDER if failed in tests)
    assert verdict.decided_by == failed
    assert [one.test for one in verdict.of("against")] == [failed]


@pytest.mark.parametrize("unsure", TESTS)
def test_an_open_test_leaves_it_inconclusive_and_says_what_n_would_settle_it(unsure):
    verdict = judge([vague(test) if test == unsure else strong(test) for test in TESTS])
    assert (verdict.label, verdict.decided_by) == ("inconclusive", unsure)
    assert verdict.n_to_settle is not None
    assert verdict.n_to_settle > 12
    assert "would settle it" in str(verdict)


def test_a_lower_rung_decides_before_a_higher_one():
    assert (
        judge([none("decodable"), *(strong(test) for test in TESTS if test != "decodable")]).label == "absent"
    )
    assert judge([vague("decodable"), none("beyond_surface")]).label == "inconclusive"
    assert judge([strong("decodable"), none("beyond_surface"), vague("shift")]).label == "surface"


def test_every_axis_of_a_test_must_hold():
    found = [strong(test) for test in TESTS]
    assert judge([*found, none("shift")]).label == "surface"


def test_the_n_that_settles_has_the_power_it_says():
    rng = np.random.default_rng(0)
    effect, sd, n = 0.3, 1.0, 20
    seen = rng.normal(0, 1, n)
    seen = (seen - seen.mean()) / seen.std() * sd + effect
    seen_mean = mean_interval(seen, np.arange(n))
    settled = Finding("sufficient", seen_mean, Threshold(0.0, 0.05))
    assert settled.outcome == "open"
    needed = settled.n_to_settle
    assert needed is not None
    wins = 0
    for trial in range(300):
        values = rng.normal(effect, sd, needed)
        wins += mean_interval(values, np.arange(needed), n_boot=200, seed=trial).low > 0
    assert 0.68 < wins / 300 < 0.92


def test_p_values_are_corrected_over_everything_judged_together():
    p = {"a": 0.01, "b": 0.02, "c": 0.9}
    findings = {key: [replace(strong("decodable"), p=value)] for key, value in p.items()}
    corrected = correct(findings)
    expected = false_discovery_control(list(p.values()))
    assert [corrected[key][0].p for key in p] == pytest.approx(list(expected))


def test_an_effect_that_random_directions_have_too_counts_against_whatever_n():
    effect = Estimate(0.19, 0.16, 0.21, 32)
    assert finding("sufficient", effect, p=0.1).outcome == "open"
    common = finding("sufficient", effect, p=0.1, chance=0.087)
    assert (common.outcome, common.n_to_settle) == ("against", None)
    assert finding("sufficient", effect, p=0.026, chance=0.006).outcome == "for"


def test_unknown_tests_are_refused():
    with pytest.raises(InputError, match="no test 'vibes'"):
        judge([Finding("vibes", Estimate(1, 1, 1, 2), Threshold(0, 0.1))])


def test_what_is_missing_is_named_with_its_reason():
    verdict = judge([strong("decodable")], {"shift": "the concept has no pairs on a shift axis"})
    assert (verdict.label, verdict.decided_by) == ("inconclusive", "beyond_surface")
    assert tuple(verdict.missing) == tuple(t for t in TESTS if t not in ("decodable", *OPTIONAL))
    assert "missing  shift: the concept has no pairs on a shift axis" in str(verdict)
    assert verdict.missing["necessary"] == "not measured"
