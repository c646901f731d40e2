"""Simulated activations: their stated truth against very large samples."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from probes.errors import InputError
from probes.stats.estimates import auroc
from probes.validation import Setting, simulate
from probes.validation.simulated import SPLITS


def test_population_values_are_those_of_a_very_large_sample():
    setting = Setting(
        n_pairs=40_000, n_templates=40_000, width=9, n_layers=1, strength=2, lexical=1.5, outliers=1
    )
    sim = simulate(setting, seed=3)
    weights = (np.random.default_rng(0).normal(size=9) + sim.gaps[0, 0]) * np.r_[0.02, np.ones(8)]
    scores = sim.values[0, 0] @ weights
    gap, std = sim.separation(weights)
    assert scores[sim.labels == 1].mean() - scores[sim.labels == 0].mean() == pytest.approx(gap, rel=0.03)
    assert scores[sim.labels == 1].std() == pytest.approx(std, rel=0.03)
    assert roc_auc_score(sim.labels, scores) == pytest.approx(sim.auroc(weights), abs=0.006)
    assert ((scores > 0.5) == sim.labels).mean() == pytest.approx(sim.accuracy(weights, 0.5), abs=0.006)
    std_of_features = np.r_[30.0, np.ones(8)]
    noise = sim.fragility(weights, std_of_features) * std_of_features
    drowned = scores + (noise * np.random.default_rng(2).normal(size=sim.values[0, 0].shape)) @ weights
    assert roc_auc_score(sim.labels, drowned) == pytest.approx((sim.auroc(weights) + 0.5) / 2, abs=0.006)


def test_wording_separates_the_templates_that_trained_and_no_others():
    sim = simulate(Setting(n_templates=12, lexical=6.0, strength=0.0), seed=1)
    values, train = sim.values[0, 0, :, 3:], sim.splits.train
    inside, held_out = [], []
    for template in np.unique(sim.templates[train]):
        rows = sim.templates == template
        direction = values[rows & (sim.labels == 1)].mean(0) - values[rows & (sim.labels == 0)].mean(0)
        for other in np.unique(sim.templates):
            scores = values[sim.templates == other] @ direction
            area = float(auroc(scores, sim.labels[sim.templates == other]))
            (inside if other == template else held_out).append(area)
    assert min(inside) > 0.9
    assert np.mean(held_out) == pytest.approx(0.5, abs=0.12)
    assert np.std(held_out) > 0.25


def test_layers_models_and_splits_are_as_set():
    sim = simulate(Setting(n_templates=24, strength=2.0), seed=0, strengths=(1.0, 3.0))
    assert sim.values.shape == (2, 4, 240, 48)
    strengths = np.linalg.norm(sim.gaps, axis=-1)
    np.testing.assert_allclose(strengths[1], 3 * strengths[0])
    assert strengths[0].max() == pytest.approx(1.0)
    assert sim.values[0, 0, :, 0].std() > 10 * sim.values[0, 0, :, 5].std()
    parts = [sim.splits.train, sim.splits.select, sim.splits.test]
    assert sorted(np.concatenate(parts)) == list(range(240))
    for part, share in zip(parts, SPLITS, strict=True):
        assert len(np.unique(sim.templates[part])) == 24 * share
    models = np.corrcoef(sim.values[0, 0, :, 5], sim.values[1, 0, :, 5])[0, 1]
    assert 0.4 < models < 0.9
    again = simulate(Setting(n_templates=24, strength=2.0), seed=0, strengths=(1.0, 3.0))
    np.testing.assert_array_equal(sim.values, again.values)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="templates of equal size"):
        simulate(Setting(n_pairs=10, n_templates=4))
    with pytest.raises(InputError, match="at least 6"):
        simulate(Setting(n_pairs=8, n_templates=4))
