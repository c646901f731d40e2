"""The plan: printed line by line, checked, and what its savings skip."""

import pytest

from probes.errors import InputError
from probes.measure import LADDER_SAVINGS, Plan, Saving


def test_a_plan_says_what_is_measured_how_much_and_why():
    text = str(Plan(items=10, dose_items=4, shifts=("wording",), savings=LADDER_SAVINGS))
    for words in (
        "logistic at every layer of resid_post, position mean",
        "shifts       wording; whether the probe carries over",
        "10 test items",
        "4 items; how the choice grows with the dose",
        "saving       shift only where decodable does not count against it",
        "necessary only where decodable, beyond surface, shift, sufficient hold and specific does not count",
    ):
        assert words in text, words
    bare = str(Plan(items=0, baselines=False, tests=False, alignment_texts=()))
    assert len(bare.splitlines()) == 1


def test_savings_need_every_test_before_them():
    plan = Plan(savings=(Saving("sufficient", after=("decodable", "shift"), unless=("specific",)),))
    assert plan.skipped("sufficient", {"decodable": ["for"], "shift": ["for", "for"]}) is None
    assert plan.skipped("sufficient", {"decodable": ["for"], "shift": ["for", "open"]})
    assert plan.skipped("sufficient", {"decodable": ["for"]})
    assert plan.skipped("sufficient", {"decodable": ["for"], "shift": ["for"], "specific": ["against"]})
    assert plan.skipped("decodable", {}) is None
    assert Plan().skipped("sufficient", {"decodable": ["against"]}) is None


def test_an_unknown_axis_is_refused():
    with pytest.raises(InputError, match="'wordings' is no shift axis: expected some of wording"):
        Plan(shifts=("wordings",))
