"""Tests of a frozen probe's scores against draws of noise and known ratios."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from probes.errors import InputError
from probes.probing.frozen_scores import fragility, margin_kept, threshold_drift
from probes.stats.estimates import auroc
from tests.makers import paired, scored


class TestFrozenScores:
    def test_noise_of_that_size_does_halve_what_is_above_chance(self):
        rng = np.random.default_rng(0)
        labels, groups = paired(60)
        std = np.r_[20.0, np.ones(7)]
        values = rng.normal(size=(120, 8)) * std + 0.8 * labels[:, None]
        weights = np.r_[0.01, rng.uniform(0.5, 1, size=7)]
        scores = values @ weights
        estimate = fragility(scores, labels, groups, weights, std)
        draws = [
            (values + estimate.value * std * rng.normal(size=values.shape)) @ weights for _ in range(200)
        ]
        before = auroc(scores, labels)
        assert auroc(np.stack(draws), labels).mean() == pytest.approx((before + 0.5) / 2, abs=0.005)
        assert estimate.low < estimate.value < estimate.high
        louder = fragility(10 * scores, labels, groups, weights, 10 * std)
        assert louder.value == pytest.approx(estimate.value)

    def test_nothing_to_lose_is_said_as_nan(self):
        labels, groups = paired(10)
        assert np.isnan(fragility(-labels.astype(float), labels, groups, np.ones(3), 1.0).value)

    def test_margin_kept_is_the_ratio_of_gaps_and_covers_it(self):
        """Scores at both stages with a known ratio of gaps and shared noise; 95% intervals over 200 draws."""
        rng, truth, covered = np.random.default_rng(3), 0.6, 0
        labels, groups = np.tile([0, 1], 40), np.repeat(np.arange(40), 2)
        for _ in range(200):
            own = 2.0 * labels + rng.standard_normal(80)
            later = truth * 2.0 * labels + 0.5 * (own - 2.0 * labels) + rng.standard_normal(80)
            estimate = margin_kept(later, own, labels, groups)
            covered += estimate.low <= truth <= estimate.high
        assert stats.binomtest(covered, 200, 0.95).pvalue > 0.01
        gaps = [row[labels == 1].mean() - row[labels == 0].mean() for row in (later, own)]
        assert np.isclose(estimate.value, gaps[0] / gaps[1])
        assert margin_kept(own, own, labels, groups).value == 1
        assert np.isclose(margin_kept(-own, own, labels, groups).value, -1)
        assert np.isclose(margin_kept(3 + own, own, labels, groups).value, 1)  # no threshold in it

    def test_margin_kept_of_nothing_is_nan_and_bad_scores_are_refused(self):
        labels, groups = np.tile([0, 1], 4), np.repeat(np.arange(4), 2)
        assert np.isnan(margin_kept(labels, 1.0 - labels, labels, groups).value)
        with pytest.raises(InputError, match="finite"):
            margin_kept(np.full(8, np.nan), labels, labels, groups)

    def test_fragility_refuses_what_does_not_fit(self):
        labels, groups = paired(10)
        with pytest.raises(InputError, match="expected \\[d\\] and \\[d\\]"):
            fragility(labels, labels, groups, np.ones(3), np.ones(2))
        with pytest.raises(InputError, match="expected a fitted probe"):
            fragility(labels, labels, groups, np.zeros(3), 1.0)

    def test_a_threshold_that_drifts_leaves_ranks_and_the_recentred_accuracy(self):
        labels, groups = paired(40)
        scores = scored(np.random.default_rng(1), 40, 2.5)
        scores -= scores.mean()
        here, drifted = threshold_drift(scores, labels, groups), threshold_drift(scores + 3, labels, groups)
        assert here.auroc.value == pytest.approx(roc_auc_score(labels, scores))
        assert here.accuracy.value == pytest.approx(((scores > 0) == labels).mean())
        assert drifted.auroc.value == here.auroc.value
        assert drifted.accuracy.value == pytest.approx(((scores > -3) == labels).mean())
        assert drifted.accuracy_recentred.value == pytest.approx(here.accuracy.value)
