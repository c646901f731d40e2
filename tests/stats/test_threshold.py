"""What an interval says about a threshold."""

import pytest

from probes.stats.threshold import Threshold
from tests.makers import estimate

THRESHOLD = Threshold(null=0.5, worth=0.7)


@pytest.mark.parametrize(
    ("value", "half", "p", "outcome"),
    [
        (0.9, 0.05, 0.001, "for"),
        (0.9, 0.05, None, "for"),
        (0.9, 0.05, 0.2, "open"),  # p is above the level
        (0.9, 0.5, 0.001, "open"),  # the interval contains the null
        (0.66, 0.1, 0.001, "open"),  # too small, but the interval reaches what is worth having
        (0.56, 0.03, 0.001, "against"),  # significant, but too small
        (0.5, 0.05, 0.5, "against"),
    ],
)
def test_an_effect_counts_when_it_is_significant_and_worth_having(value, half, p, outcome):
    assert THRESHOLD.outcome(estimate(value, half), p) == outcome


def test_an_effect_that_random_directions_have_too_counts_against():
    assert THRESHOLD.outcome(estimate(0.9), 0.001, chance=0.08) == "against"
    assert THRESHOLD.outcome(estimate(0.9), 0.001, chance=0.02) == "for"
