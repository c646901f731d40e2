"""Labels without the concept."""

import numpy as np

from probes.probing.baselines import permuted_labels
from tests.probing.makers import simulate


def test_permuted_labels_stay_balanced_in_every_pair():
    _, acts = simulate(n_pairs=50)
    fake = permuted_labels(acts.labels, acts.groups, np.random.default_rng(0))
    assert (fake.reshape(-1, 2).sum(1) == 1).all()
    assert 0.3 < (fake == acts.labels).mean() < 0.7
    single = permuted_labels(np.repeat([0, 1], 20), np.arange(40), np.random.default_rng(0))
    assert single.sum() == 20
    assert 0 < single[:20].sum() < 20
