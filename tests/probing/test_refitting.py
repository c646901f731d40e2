"""Refits of many labelings are those of one at a time."""

import numpy as np
import pytest

from probes.probing import (
    make_probe,
)
from probes.probing.estimators import fit_probe
from probes.probing.refitting import at_same_strength, refit


@pytest.mark.parametrize("estimator", ["logistic", "mass_mean", "lda", "ridge"])
def test_refits_of_many_labelings_are_those_of_one_at_a_time(estimator):
    rng = np.random.default_rng(0)
    X, y, groups = rng.standard_normal((40, 60)), np.tile([0, 1], 20), np.repeat(np.arange(20), 2)
    probe = fit_probe(make_probe(estimator), X + y[:, None], y, groups)
    labelings = [rng.permutation(y) for _ in range(3)]
    for one, labels in zip(refit(probe, X, labelings), labelings, strict=True):
        alone = at_same_strength(probe).fit(X, labels)
        np.testing.assert_allclose(one.decision_function(X), alone.decision_function(X), atol=1e-8)
        assert one.get_params() == alone.get_params()
