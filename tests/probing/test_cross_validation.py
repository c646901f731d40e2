"""Held-out scores know nothing of what is held out."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from probes.concepts.folds import grouped_folds
from probes.probing import (
    LogisticProbe,
    out_of_fold_scores,
)
from tests.probing.makers import simulate


def test_held_out_scores_know_nothing_of_a_group_but_plain_folds_do():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    labels = np.repeat(np.tile([0, 1], 20), 4)
    grouped, leaky = [], []
    for _ in range(20):
        X = np.repeat(rng.normal(size=(40, 60)), 4, axis=0) + 0.1 * rng.normal(size=(160, 60))
        grouped.append(roc_auc_score(labels, out_of_fold_scores(LogisticProbe(), X, labels, groups)))
        leaky.append(roc_auc_score(labels, out_of_fold_scores(LogisticProbe(), X, labels, np.arange(160))))
    assert np.mean(grouped) == pytest.approx(0.5, abs=0.07)
    assert min(leaky) > 0.95


def test_wild_values_in_one_held_out_group_change_no_other_score_of_its_fold():
    _, acts = simulate(n_pairs=20, strengths=(1.0,))
    X, y, groups = acts.values[0].astype(float), acts.labels, acts.groups
    before = out_of_fold_scores(LogisticProbe(C=None), X, y, groups)
    _, held_out = grouped_folds(y, groups)[0]
    wild = X.copy()
    wild[held_out[:2]] *= 1e4
    after = out_of_fold_scores(LogisticProbe(C=None), wild, y, groups)
    np.testing.assert_array_equal(after[held_out[2:]], before[held_out[2:]])
