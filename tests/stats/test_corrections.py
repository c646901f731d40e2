"""Corrections for many tests against the procedure as Benjamini and Hochberg wrote it."""

import numpy as np
import pytest

from probes.errors import InputError
from probes.stats.corrections import discoveries


def test_discoveries_are_benjamini_and_hochbergs():
    p = np.random.default_rng(3).uniform(size=(4, 5)) ** 3
    result = discoveries(p, rate=0.1)
    ordered = np.sort(p.ravel())
    limit = max([x for k, x in enumerate(ordered, 1) if x <= 0.1 * k / 20], default=-1)
    assert 0 < result.found.sum() < p.size
    np.testing.assert_array_equal(result.found, p <= limit)
    assert result.adjusted.shape == p.shape


@pytest.mark.parametrize("bad", [[], [0.2, np.nan], [1.2]])
def test_p_values_must_be_p_values(bad):
    with pytest.raises(InputError, match="between 0 and 1"):
        discoveries(bad)
