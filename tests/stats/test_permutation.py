"""The add-one p-value keeps its level with any number of permutations."""

import numpy as np
import pytest

from probes.stats.permutation import add_one_p


@pytest.mark.parametrize("n", [4, 19, 99])
def test_p_is_uniform_when_the_observed_value_is_one_of_the_permutations(n):
    draws = np.random.default_rng(0).normal(size=(4000, n + 1))
    p = np.array([add_one_p(int((row[1:] >= row[0]).sum()), n) for row in draws])
    assert p.min() == pytest.approx(1 / (n + 1))
    assert p.max() == 1
    for level in (1, 2, n // 2):
        share = (p <= level / (n + 1) + 1e-12).mean()
        assert share == pytest.approx(level / (n + 1), abs=4 * np.sqrt(level / (n + 1) / 4000))
