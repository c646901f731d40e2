"""Contrasts as text: read, written, and refused."""

import pytest

from probes.errors import InputError
from probes.measure import formula, read_formula


def test_formulas_are_read_and_written():
    weights = {"msm_aft": 1.0, "aft": -1.0, "msm": -1.0, "base": 1.0}
    assert read_formula("msm_aft - aft - msm + base") == weights
    assert formula(weights) == "msm_aft - aft - msm + base"
    for wrong in ("", "a b", "a -", "- a", "a * b"):
        with pytest.raises(InputError, match="expected names"):
            read_formula(wrong)
