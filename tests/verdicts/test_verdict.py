"""Verdicts: every rung of the ladder, what is open, and the n that would settle it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from probes.errors import InputError
from probes.stats.estimates import Estimate, mean_interval
from probes.stats.threshold import Threshold
from probes.tables.tests import USE
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


def all_but(*names):
    return [strong(test) for test in TESTS if test not in names]


def test_internal_needs_every_test_for_it():
    verdict = judge(all_but())
    assert verdict.label == "internal"
    assert verdict.of("against") == verdict.of("open") == []
    assert verdict.n_to_settle is None
    for left_out in set(TESTS) - set(OPTIONAL):
        assert judge(all_but(left_out)).label == "inconclusive"


def test_rungs_of_which_nothing_was_asked_are_left_out():
    assert judge(all_but(*OPTIONAL)).label == "internal"
    assert not set(judge(all_but(*OPTIONAL)).missing) & set(OPTIONAL)
    for name in OPTIONAL:
        verdict = judge(all_but(name), {name: "the plan names no axis that the concept has"})
        assert (verdict.label, verdict.decided_by) == ("inconclusive", name)


def test_every_verdict_is_one_plain_sentence():
    made = {"internal": judge(all_but()).sentence}
    for failed in TESTS:
        made[failed] = judge([*all_but(failed), none(failed)]).sentence
    made["open"] = judge([vague("decodable")]).sentence
    made["missing"] = judge([strong("decodable")], {"followed": "no item can be aligned"}).sentence
    made["reading alone"] = judge([strong("decodable"), strong("shift")]).sentence
    made["strings"] = judge([*all_but("followed"), none("followed"), strong("string")]).sentence
    assert len(set(made.values())) == len(made)
    for name, sentence in made.items():
        assert sentence.endswith("."), name
        assert "\n" not in sentence
    assert (
        "does not follow questions: of 60 undisputed answers a share of .00 [-.04, .01]" in made["competent"]
    )
    assert "the same whatever is asked" in made["principled"]
    assert "one test was not made (followed: no item can be aligned)" in made["missing"]
    assert "was not asked, as there are no choice items" in made["reading alone"]
    assert "says other things than its parent" in made["strings"]


@pytest.mark.parametrize("failed", [test for test in TESTS if test != "decodable"])
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


def test_absent_is_what_is_neither_read_nor_used():
    unread = none("decodable")
    assert judge([unread]).label == "absent"
    assert judge([unread, none("followed")]).label == "absent"
    assert judge([unread, strong("followed"), none("used")]).label == "absent"
    used = judge([unread, *all_but("decodable")])
    assert (used.label, used.decided_by) == ("inconclusive", "decodable")
    assert "read them at another position" in used.sentence
    assert judge([unread, vague("followed")]).label == "inconclusive"


def test_where_there_are_no_choice_items_the_verdict_says_what_reading_supports():
    assert judge([strong("decodable"), strong("shift")]).label == "represented"
    assert judge([strong("decodable"), none("shift")]).label == "surface"
    assert judge([strong("decodable"), vague("shift")]).label == "inconclusive"
    alone = judge([strong("decodable")])
    assert (alone.label, alone.decided_by) == ("inconclusive", "shift")
    assert "no pairs on a shift axis" in alone.sentence


def test_what_a_reader_of_the_text_could_have_told_decides_nothing():
    for told in (strong, none, vague):
        assert judge([*all_but(), told("beyond_surface")]).label == "internal"
        assert judge([strong("decodable"), none("followed"), told("beyond_surface")]).label == "represented"


def test_choices_that_follow_nothing_and_say_other_things_than_the_parent_are_surface():
    found = [strong("decodable"), none("followed")]
    assert judge(found).label == judge([*found, none("string")]).label == "represented"
    said = judge([*found, strong("string")])
    assert (said.label, said.decided_by) == ("surface", "string")
    assert judge([*all_but(), strong("string")]).label == "internal"


def test_an_effect_against_the_concept_counts_as_one():
    against = finding("followed", Estimate(-0.9, -0.95, -0.8, 60))
    assert judge([*all_but("followed"), against]).label == "internal"
    unsure = finding("followed", Estimate(-0.2, -0.5, 0.1, 60))
    assert judge([*all_but("followed"), unsure]).label == "inconclusive"


def test_a_lower_rung_decides_before_a_higher_one():
    assert judge([vague("decodable"), none("shift")]).label == "inconclusive"
    assert judge([strong("decodable"), none("shift"), vague("followed")]).label == "surface"
    assert judge([none("competent"), none("decodable")]).label == "untestable"


def test_every_axis_of_a_test_must_hold():
    found = [strong(test) for test in TESTS]
    assert judge([*found, none("shift")]).label == "surface"


def test_the_n_that_settles_has_the_power_it_says():
    rng = np.random.default_rng(0)
    effect, sd, n = 0.3, 1.0, 20
    seen = rng.normal(0, 1, n)
    seen = (seen - seen.mean()) / seen.std() * sd + effect
    seen_mean = mean_interval(seen, np.arange(n))
    settled = Finding("used", seen_mean, Threshold(0.0, 0.05))
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


def test_an_effect_that_random_subspaces_have_too_counts_against_whatever_n():
    effect = Estimate(0.39, 0.36, 0.41, 32)
    assert finding("used", effect, p=0.1).outcome == "open"
    common = finding("used", effect, p=0.1, chance=0.087)
    assert (common.outcome, common.n_to_settle) == ("against", None)
    assert finding("used", effect, p=0.026, chance=0.006).outcome == "for"


def test_unknown_tests_are_refused():
    with pytest.raises(InputError, match="no test 'vibes'"):
        judge([Finding("vibes", Estimate(1, 1, 1, 2), Threshold(0, 0.1))])


def test_what_is_missing_is_named_with_its_reason():
    verdict = judge([strong("decodable")], {"shift": "the plan names no shift axis", "used": "saved"})
    assert (verdict.label, verdict.decided_by) == ("inconclusive", "shift")
    assert tuple(verdict.missing) == ("shift", *USE)
    assert "missing  shift: the plan names no shift axis" in str(verdict)
    assert verdict.missing["necessary"] == "not measured"
