"""Intervals against scikit-learn, scipy, and their own promise: 95% of them hold the truth."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from probes.errors import InputError
from probes.statistics import (
    Estimate,
    auroc,
    auroc_difference,
    auroc_interval,
    auroc_intervals,
    mean_interval,
)


def paired(n_pairs):
    return np.tile([0, 1], n_pairs), np.repeat(np.arange(n_pairs), 2)


def simulated_scores(rng, n_sets, n_pairs, true_auroc, correlation=0.5):
    """Scores [set, example] with a pair effect; positives are shifted so that the AUROC is known."""
    labels, groups = paired(n_pairs)
    shift = stats.norm.ppf(true_auroc) * np.sqrt(2)
    common = np.repeat(rng.normal(size=(n_sets, n_pairs)), 2, axis=1)
    own = rng.normal(size=(n_sets, 2 * n_pairs))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own + shift * labels, labels, groups


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


def test_auroc_does_not_depend_on_how_layers_are_blocked(monkeypatch):
    rng = np.random.default_rng(1)
    scores, (labels, groups) = rng.normal(size=(7, 20)), paired(10)
    whole = auroc_intervals(scores, labels, groups, n_boot=50)
    monkeypatch.setattr("probes.statistics.BLOCK_BYTES", 1600)
    assert auroc_intervals(scores, labels, groups, n_boot=50) == whole


@pytest.mark.parametrize("truth", [0.5, 0.75, 0.9, 0.95])
def test_auroc_interval_holds_the_truth_as_often_as_it_says(truth):
    scores, labels, groups = simulated_scores(np.random.default_rng(2), 600, 40, truth)
    assert 0.92 <= coverage(auroc_intervals(scores, labels, groups, n_boot=400), truth) <= 0.98


def test_intervals_that_ignore_pairs_or_templates_would_be_wrong():
    """The clusters matter: with 4 examples a template the example-level interval is far too narrow."""
    rng = np.random.default_rng(3)
    labels, templates = np.repeat(np.tile([0, 1], 20), 4), np.repeat(np.arange(40), 4)
    scores = np.repeat(rng.normal(size=(200, 40)), 4, axis=1) + 0.3 * rng.normal(size=(200, 160)) + labels
    truth = stats.norm.cdf(1 / np.sqrt(2 * (1 + 0.09)))
    assert 0.91 <= coverage(auroc_intervals(scores, labels, templates, n_boot=300), truth) <= 0.98
    assert coverage(auroc_intervals(scores, labels, np.arange(160), n_boot=300), truth) < 0.8


def test_paired_difference_holds_the_truth_and_is_narrower_than_two_intervals():
    rng = np.random.default_rng(4)
    labels, groups = paired(40)
    shared = rng.normal(size=(300, 80))
    a = shared + 0.5 * rng.normal(size=shared.shape) + 1.5 * labels
    b = shared + 0.5 * rng.normal(size=shared.shape) + 0.9 * labels
    sd = np.sqrt(2 * 1.25)
    truth = stats.norm.cdf(1.5 / sd) - stats.norm.cdf(0.9 / sd)
    found = [auroc_difference(x, y, labels, groups, n_boot=300) for x, y in zip(a, b, strict=True)]
    assert 0.92 <= coverage(found, truth) <= 0.98
    single = auroc_interval(a[0], labels, groups)
    assert found[0].high - found[0].low < 1.2 * (single.high - single.low)
    same = auroc_difference(a[0], a[0], labels, groups)
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.9])
def test_rate_interval_holds_the_truth(rate):
    rng = np.random.default_rng(5)
    choices = rng.random((400, 40)) < rate
    found = [mean_interval(row, np.arange(40), n_boot=500, bounds=(0, 1)) for row in choices]
    assert 0.92 <= coverage(found, rate) <= 0.985


def test_mean_interval_agrees_with_scipy():
    values = np.random.default_rng(6).exponential(size=40)
    ours = mean_interval(values, np.arange(40), n_boot=20_000)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20_000, rng=0).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=0.02)
    assert ours.n == 40


def test_training_seeds_widen_the_interval_only_when_they_differ():
    scores, labels, groups = simulated_scores(np.random.default_rng(7), 1, 40, 0.8)
    once = auroc_interval(scores[0], labels, groups)
    assert auroc_interval(scores, labels, groups) == pytest.approx(once)
    same = auroc_interval(np.repeat(scores, 5, axis=0), labels, groups)
    assert (same.value, same.low, same.high) == pytest.approx((once.value, once.low, once.high))
    shifts = np.linspace(-1.2, 1.2, 5)[:, None] * labels
    differ = auroc_interval(scores + shifts, labels, groups)
    assert differ.high - differ.low > 1.3 * (once.high - once.low)
    means = mean_interval([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]], [0, 1, 2])
    assert (means.value, means.low, means.high) == (2.0, 1.0, 3.0)


def test_perfect_scores_do_not_get_an_interval_of_width_zero():
    labels, groups = paired(20)
    perfect = auroc_interval(labels, labels, groups)
    exact = stats.binomtest(20, 20).proportion_ci(method="exact")
    assert (perfect.value, perfect.high) == (1, 1)
    assert perfect.low == pytest.approx(exact.low)
    never = mean_interval(np.zeros(20), np.arange(20), bounds=(0, 1))
    assert never.high == pytest.approx(stats.binomtest(0, 20).proportion_ci(method="exact").high)
    assert mean_interval(np.zeros(20), np.arange(20)) == Estimate(0.0, 0.0, 0.0, 20)


def test_same_seed_same_interval():
    scores, labels, groups = simulated_scores(np.random.default_rng(8), 1, 20, 0.8)
    one, same, other = (auroc_interval(scores[0], labels, groups, seed=s) for s in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize(
    ("scores", "labels", "groups", "message"),
    [
        ([1.0, 2.0], [1, 1], [0, 1], "expected both 0 and 1"),
        ([1.0, np.nan], [0, 1], [0, 1], "NaN"),
        ([1.0, 2.0, 3.0], [0, 1], [0, 1], "expected .* example"),
        ([1.0, 2.0], [0, 1], [0, 0], "at least 2 independent clusters"),
        ([1.0, 2.0], [0, 1], [0], "one per example"),
        ([1.0, 2.0], [0, 2], [0, 1], r"labels are \[0, 2\]"),
    ],
)
def test_bad_input_is_refused_in_one_line(scores, labels, groups, message):
    with pytest.raises(InputError, match=message):
        auroc_interval(scores, labels, groups)


def test_differences_need_one_shape_and_means_need_numbers():
    with pytest.raises(InputError, match="same shape"):
        auroc_difference(np.zeros((2, 4)), np.zeros(4), [0, 1, 0, 1], [0, 0, 1, 1])
    with pytest.raises(InputError, match="NaN or infinity"):
        mean_interval([1.0, np.inf], [0, 1])
