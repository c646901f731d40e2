"""The plan: printed line by line, checked, and what its savings skip."""

import pytest

from probes.errors import InputError
from probes.measure import SAVINGS, Plan, Saving
from probes.stats.threshold import Threshold
from probes.tables.tests import MeasuredTest
from tests.makers import estimate


def test_a_plan_says_what_is_measured_how_much_and_why():
    text = str(Plan(items=10, dose_items=4, shifts=("wording",), savings=SAVINGS))
    for words in (
        "logistic at every layer of resid_post, position mean",
        "shifts       wording; whether the probe carries over",
        "10 test items",
        "4 items; how the choice grows with the dose",
        "saving       shift only where decodable does not count against it",
        "necessary only where followed holds and competent, principled do not count against it",
        "exchange     every layer, subspaces of dimension 1, 2, 4; 24 items to fit them, 12 to choose the",
        "battery      asked, reversed, not asked, other agent, unconditioned, in 2 wordings; 48 undisputed",
    ):
        assert words in text, words
    bare = str(Plan(items=0, baselines=False, tests=False, alignment_texts=()))
    assert len(bare.splitlines()) == 1


def tests_that(**outcomes):
    """Measured tests that come out as said under `THRESHOLD`."""
    values = {"for": 0.9, "against": 0.1, "open": 0.69}
    return [
        MeasuredTest(name, estimate(values[outcome], half=0.05), p=0.01)
        for name, several in outcomes.items()
        for outcome in several
    ]


def test_savings_need_every_test_before_them():
    threshold = Threshold(null=0.5, worth=0.7)
    names = ("decodable", "shift", "specific")
    saving = Saving("used", after=("decodable", "shift"), unless=("specific",))
    plan = Plan(savings=(saving,), thresholds=dict.fromkeys(names, threshold))

    def skipped(**outcomes):
        return plan.skipped("used", tests_that(**outcomes))

    assert skipped(decodable=["for"], shift=["for", "for"]) is None
    assert skipped(decodable=["for"], shift=["for", "open"])
    assert skipped(decodable=["for"])
    assert skipped(decodable=["for"], shift=["for"], specific=["against"])
    assert skipped(decodable=["for"], shift=["for"], specific=["open"]) is None
    assert plan.skipped("decodable", []) is None
    assert Plan().skipped("used", tests_that(decodable=["against"])) is None
    assert "decodable holds above 0.5, from 0.7, p <= 0.05" in str(plan)


def test_an_unknown_axis_is_refused():
    with pytest.raises(InputError, match="'wordings' is not a shift axis: expected some of wording"):
        Plan(shifts=("wordings",))
