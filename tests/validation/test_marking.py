"""Marks: what is counted, of which half, and with what interval."""

import pytest
from scipy.stats import binomtest

from probes.validation import marks
from probes.validation.answers import answers_table


def test_marks_count_right_answers_and_false_internals_of_one_half_with_exact_intervals():
    verdict = {"exam": "verdict", "half": "held out", "truth": "surface", "split_alone": True}
    rows = [verdict | {"answer": "surface"}] * 18 + [verdict | {"answer": "internal"}] * 2
    rows += [{"exam": "verdict", "half": "set", "truth": "surface", "answer": "internal"}] * 50
    rows += [{"exam": "survival", "half": "held out", "truth": "lost", "answer": None}]
    table = marks(answers_table(rows))
    false = table.filter(exam="verdict", measure="false internal").to_dicts()[0]
    expected = binomtest(2, 20).proportion_ci(0.95)
    assert (false["k"], false["n"]) == (2, 20)
    assert (false["ci_low"], false["ci_high"]) == pytest.approx((expected.low, expected.high))
    assert table.filter(exam="split_alone")["estimate"].to_list() == [1.0]
    assert table.filter(exam="survival", measure="right")["k"].to_list() == [0, 0]
