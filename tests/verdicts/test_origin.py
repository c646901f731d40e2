"""Where a finding comes from, against the parent stage."""

import pytest

from probes.verdicts import judge_origin
from tests.makers import estimate, finding


def weighed(value, half=0.03):
    return finding("decodable", estimate(value, half), p=0.001)


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
    assert judge_origin(weighed(here), weighed(parent), estimate(change), 0.05).label == label


def test_a_change_that_may_be_nothing_is_not_called_inherited():
    assert judge_origin(weighed(0.95), weighed(0.9), estimate(0.05, 0.1), 0.05).label == "unclear"
