"""Folds hold out whole groups."""

import numpy as np
import pytest

from probes.concepts.folds import grouped_folds


def test_folds_keep_groups_whole_and_classes_balanced():
    labels = np.r_[np.tile([0, 1], 20), np.zeros(10, int), np.ones(10, int)]
    groups = np.r_[np.repeat(np.arange(20), 2), 100 + np.arange(20)]
    folds = grouped_folds(labels, groups)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(60))
    for train, held_out in folds:
        assert not set(groups[train]) & set(groups[held_out])
        assert labels[held_out].mean() == pytest.approx(0.5, abs=0.01)
