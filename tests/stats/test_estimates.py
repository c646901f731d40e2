"""Intervals against scikit-learn, scipy, and their own promise: 95% of them hold the truth."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from probes.errors import InputError
from probes.stats.estimates import Estimate, all_of_n_limit, auroc, mean_interval, share_interval


def coverage(estimates, truth):
    return np.mean([e.low <= truth <= e.high for e in estimates])


def test_auroc_is_that_of_sklearn_with_ties_and_unequal_classes():
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels = np.r_[0, 1, rng.integers(0, 2, size=28)]
        scores = rng.integers(0, 6, size=(3, 30)).astype(float)
        expected = [roc_auc_score(labels, row) for row in scores]
        np.testing.assert_allclose(auroc(scores, labels), expected, atol=1e-12)
    assert auroc(scores[0], labels).shape == ()


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.9])
def test_rate_interval_holds_the_truth(rate):
    rng = np.random.default_rng(5)
    choices = rng.random((400, 40)) < rate
    intervals = [mean_interval(row, np.arange(40), n_boot=500, bounds=(0, 1)) for row in choices]
    assert 0.92 <= coverage(intervals, rate) <= 0.985


def test_mean_interval_agrees_with_scipy():
    values = np.random.default_rng(6).exponential(size=40)
    ours = mean_interval(values, np.arange(40), n_boot=20_000)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20_000, rng=0).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=0.02)
    assert ours.n == 40


def test_training_seeds_widen_the_interval_only_when_they_differ():
    once = np.random.default_rng(7).normal(size=30)
    alone, same = (mean_interval(v, np.arange(30)) for v in (once, np.tile(once, (5, 1))))
    assert (same.value, same.low, same.high) == pytest.approx((alone.value, alone.low, alone.high))
    means = mean_interval([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]], [0, 1, 2])
    assert (means.value, means.low, means.high) == (2.0, 1.0, 3.0)


def test_a_rate_of_none_does_not_get_an_interval_of_width_zero():
    never = mean_interval(np.zeros(20), np.arange(20), bounds=(0, 1))
    assert never.high == pytest.approx(stats.binomtest(0, 20).proportion_ci(method="exact").high)
    assert mean_interval(np.zeros(20), np.arange(20)) == Estimate(0.0, 0.0, 0.0, 20)


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 20), (20, 20)])
def test_a_share_has_the_exact_binomial_interval(k, n):
    share = share_interval(k, n)
    low, high = stats.beta.ppf(0.025, k, n - k + 1), stats.beta.ppf(0.975, k + 1, n - k)
    assert share == Estimate(
        k / n, pytest.approx(np.nan_to_num(low)), pytest.approx(1 if k == n else high), n
    )
    assert all_of_n_limit(n, 0.025) == pytest.approx(share_interval(n, n).low)


def test_same_seed_same_interval():
    values = np.random.default_rng(8).normal(size=20)
    one, same, other = (mean_interval(values, np.arange(20), seed=s) for s in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [1, 1], "expected both 0 and 1"),
        ([1.0, np.nan], [0, 1], "NaN"),
        ([1.0, 2.0, 3.0], [0, 1], "expected .* example"),
        ([1.0, 2.0], [0, 2], r"labels are \[0, 2\]"),
    ],
)
def test_scores_and_labels_that_cannot_be_used_are_refused_in_one_line(scores, labels, message):
    with pytest.raises(InputError, match=message):
        auroc(scores, labels)


@pytest.mark.parametrize(
    ("values", "groups", "message"),
    [
        ([1.0, np.inf], [0, 1], "NaN or infinity"),
        ([1.0, 2.0], [0, 0], "at least 2 independent clusters"),
        ([1.0, 2.0], [0], "one per example"),
    ],
)
def test_values_and_clusters_that_cannot_be_used_are_refused(values, groups, message):
    with pytest.raises(InputError, match=message):
        mean_interval(values, groups)
