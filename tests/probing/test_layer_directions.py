"""The class gap, and the control of a direction."""

import numpy as np
import pytest

from probes.errors import InputError
from probes.models.sites import Site
from probes.probing import (
    class_gap,
    probe_layers,
    shuffled_direction,
    split_rows,
)
from tests.probing.makers import simulate


def test_shuffled_direction_carries_no_concept():
    planted, acts = simulate(n_pairs=400, strengths=(3.0,))
    sweep = probe_layers(acts, baselines=False, n_shuffles=0)
    shuffled = [shuffled_direction(sweep, acts, 0, seed) for seed in range(8)]
    assert (
        np.mean([abs(d.vector @ planted[0]) for d in shuffled])
        < 0.5
        < sweep.best.direction.vector @ planted[0]
    )
    assert not np.array_equal(shuffled[0].vector, shuffled[1].vector)
    assert shuffled[0].site == sweep.best.direction.site


def test_class_gap_is_the_difference_of_training_means_at_its_own_layer():
    _, acts = simulate(seed=4)
    direction = class_gap(acts, 2)
    train = split_rows(acts).train
    values, labels = acts.values[2][train].astype(float), acts.labels[train]
    gap = values[labels == 1].mean(0) - values[labels == 0].mean(0)
    np.testing.assert_allclose(direction.vector, gap / np.linalg.norm(gap), atol=1e-6)
    assert (direction.site, direction.estimator) == (Site(acts.site, 2), "mass_mean")
    assert direction.gap == pytest.approx(np.linalg.norm(gap) / 2)
    with pytest.raises(InputError, match="layer 9 was not extracted"):
        class_gap(acts, 9)
