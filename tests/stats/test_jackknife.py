"""The jackknife's intervals and p-values: against t-tests, DeLong's variance, exact bounds, and their own
promise that 95% of them hold the truth."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from probes.errors import InputError
from probes.stats.contrasts import beyond
from probes.stats.jackknife import auroc_contrast, mean_contrast, ratio_of_means
from tests.makers import paired, scored


def simulated_scores(rng, n_sets, n_pairs, true_auroc, correlation=0.5):
    """Scores [set, example] with a pair effect; positives are shifted so that the AUROC is known."""
    labels, groups = paired(n_pairs)
    shift = stats.norm.ppf(true_auroc) * np.sqrt(2)
    common = np.repeat(rng.normal(size=(n_sets, n_pairs)), 2, axis=1)
    own = rng.normal(size=(n_sets, 2 * n_pairs))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own + shift * labels, labels, groups


def coverage(estimates, truth):
    return np.mean([e.low <= truth <= e.high for e in estimates])


def test_a_mean_is_the_t_test():
    values = np.random.default_rng(0).exponential(size=15)
    ours = mean_contrast([values], [1], np.arange(15), null=0.7)
    theirs = stats.ttest_1samp(values, 0.7, alternative="greater")
    interval = stats.ttest_1samp(values, 0.7).confidence_interval()
    assert (ours.value, ours.n) == (pytest.approx(values.mean()), 15)
    assert (ours.low, ours.high) == pytest.approx(tuple(interval))
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6)


def test_a_difference_of_means_is_the_paired_t_test():
    a, b = np.random.default_rng(1).normal(size=(2, 12))
    ours = mean_contrast([a, b], [1, -1], np.arange(12))
    theirs = stats.ttest_rel(a, b, alternative="greater")
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6)
    assert mean_contrast([b, a], [1, -1], np.arange(12)).p == pytest.approx(1 - ours.p)


def test_where_only_training_seeds_differ_it_is_the_t_test_over_seeds():
    seeds = np.array([0.3, 0.9, 0.5, 1.4])
    ours = mean_contrast([np.repeat(seeds[:, None], 6, axis=1)], [1], np.arange(6))
    theirs = stats.ttest_1samp(seeds, 0.0)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval()))
    once = np.random.default_rng(2).normal(size=8)
    same = mean_contrast([np.tile(once, (5, 1))], [1], np.arange(8))
    single = mean_contrast([once], [1], np.arange(8))
    assert (same.low, same.high) == pytest.approx((single.low, single.high))


def test_its_variance_of_an_auroc_is_delongs_when_examples_are_independent():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, size=200)
    scores = rng.normal(size=200) + labels
    wins = (scores[labels == 1][:, None] > scores[labels == 0]).astype(float)
    delong = wins.mean(1).var(ddof=1) / len(wins) + wins.mean(0).var(ddof=1) / wins.shape[1]
    estimate = auroc_contrast([scores], [1], labels, np.arange(200), null=0.5)
    odds = [np.log(x / (1 - x)) for x in (estimate.low, estimate.high)]
    width = np.sqrt(delong) / (estimate.value * (1 - estimate.value)) * stats.t.ppf(0.975, 199)
    assert np.subtract(*odds[::-1]) / 2 == pytest.approx(width, rel=0.01)
    assert np.mean(odds) == pytest.approx(np.log(estimate.value / (1 - estimate.value)))


def test_aurocs_without_each_cluster_are_those_of_the_other_examples():
    from probes.stats.jackknife import _auroc_without_each

    rng = np.random.default_rng(4)
    labels, member = np.r_[0, 1, rng.integers(0, 2, size=40)], np.r_[0, 1, rng.integers(0, 7, size=40)]
    scores = rng.integers(0, 5, size=(2, 42)).astype(float)
    estimate = _auroc_without_each(scores, labels, member)
    for k in range(7):
        expected = [roc_auc_score(labels[member != k], row[member != k]) for row in scores]
        np.testing.assert_allclose(estimate.left_out[:, k], expected)


def test_p_is_the_level_at_which_the_interval_reaches_the_null():
    labels, groups = paired(20)
    rng = np.random.default_rng(5)
    both = [scored(rng, 20, 1.6), scored(rng, 20, 0.8)]
    estimate = auroc_contrast(both, [1, -1], labels, groups)
    assert 0.001 < estimate.p < 0.5
    again = auroc_contrast(both, [1, -1], labels, groups, level=1 - 2 * estimate.p)
    assert again.low == pytest.approx(0, abs=1e-3)
    one = auroc_contrast(both[1:], [1], labels, groups, null=0.5)
    again = auroc_contrast(both[1:], [1], labels, groups, level=1 - 2 * one.p)
    assert again.low == pytest.approx(0.5)


def test_perfect_scores_have_the_exact_binomial_bound_and_no_p_of_zero():
    labels, groups = paired(20)
    estimate = auroc_contrast([labels], [1], labels, groups, null=0.5)
    assert estimate.low == pytest.approx(stats.binomtest(20, 20).proportion_ci(method="exact").low)
    assert (estimate.value, estimate.high) == (1, 1)
    assert estimate.p >= 0.5**20
    both = beyond(labels, 3.0 * labels, labels, groups)
    assert both.low < 0 < both.high
    assert both.p == pytest.approx(0.5, abs=0.01)


def test_a_difference_that_cannot_vary_has_no_width():
    labels, groups = paired(20)
    scores = scored(np.random.default_rng(7), 20, 1.0)
    same = beyond(scores, scores, labels, groups)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 0.5)


@pytest.mark.parametrize(("truth", "n_templates"), [(0.5, 8), (0.8, 8), (0.95, 12)])
def test_few_templates_with_wording_of_their_own_are_covered_and_pairs_alone_are_not(truth, n_templates):
    rng, shift = np.random.default_rng(8), stats.norm.ppf(truth) * np.sqrt(2 * 1.8)
    labels, pairs = paired(5 * n_templates)
    templates = pairs // 5
    hits = np.zeros(2)
    for _ in range(120):
        wording = 0.5**0.5 * rng.normal(size=n_templates)[templates] * (2 * labels - 1)
        scores = wording + 0.3**0.5 * rng.normal(size=n_templates)[templates] + shift * labels
        scores += rng.normal(size=labels.size)
        for i, unit in enumerate((templates, pairs)):
            estimate = auroc_contrast([scores], [1], labels, unit)
            hits[i] += estimate.low <= truth <= estimate.high
    by_template, by_pair = hits / 120
    assert by_template > 0.91
    assert by_pair < 0.86


@pytest.mark.parametrize(
    ("scores", "groups", "message"),
    [
        ([np.zeros(6)], np.zeros(6), "at least 2 independent"),
        ([np.zeros(6)], np.arange(5), "one per example"),
        ([np.zeros(6)], [0, 1, 0, 1, 0, 1], "all examples of one class"),
        ([np.full(6, np.nan)], np.arange(6), "NaN or infinity"),
        ([np.zeros((2, 6)), np.zeros((3, 6))], [0, 0, 1, 1, 2, 2], "one number of seeds"),
    ],
)
def test_bad_input_is_refused(scores, groups, message):
    with pytest.raises(InputError, match=message):
        auroc_contrast(scores, [1] * len(scores), [1, 0, 1, 0, 1, 0], groups)


def test_rates_must_be_rates():
    with pytest.raises(InputError, match="expected rates"):
        mean_contrast([[0.2, 1.2]], [1], [0, 1], bounded=True)
    with pytest.raises(InputError, match="finite"):
        mean_contrast([[0.2, np.inf]], [1], [0, 1])


@pytest.mark.parametrize("truth", [0.5, 0.75, 0.9, 0.95])
def test_auroc_interval_holds_the_truth_as_often_as_it_says(truth):
    scores, labels, groups = simulated_scores(np.random.default_rng(2), 600, 40, truth)
    estimates = [auroc_contrast([row], [1], labels, groups) for row in scores]
    assert 0.92 <= coverage(estimates, truth) <= 0.98


def test_intervals_that_ignore_pairs_or_templates_would_be_wrong():
    """The clusters matter: with 4 examples a template the example-level interval is far too narrow."""
    rng = np.random.default_rng(3)
    labels, templates = np.repeat(np.tile([0, 1], 20), 4), np.repeat(np.arange(40), 4)
    scores = np.repeat(rng.normal(size=(200, 40)), 4, axis=1) + 0.3 * rng.normal(size=(200, 160)) + labels
    truth = stats.norm.cdf(1 / np.sqrt(2 * (1 + 0.09)))

    def intervals(units):
        return [auroc_contrast([row], [1], labels, units) for row in scores]

    assert 0.91 <= coverage(intervals(templates), truth) <= 0.98
    assert coverage(intervals(np.arange(160)), truth) < 0.8


def test_paired_difference_holds_the_truth_and_is_narrower_than_two_intervals():
    rng = np.random.default_rng(4)
    labels, groups = paired(40)
    shared = rng.normal(size=(300, 80))
    a = shared + 0.5 * rng.normal(size=shared.shape) + 1.5 * labels
    b = shared + 0.5 * rng.normal(size=shared.shape) + 0.9 * labels
    sd = np.sqrt(2 * 1.25)
    truth = stats.norm.cdf(1.5 / sd) - stats.norm.cdf(0.9 / sd)
    estimates = [auroc_contrast([x, y], [1, -1], labels, groups) for x, y in zip(a, b, strict=True)]
    assert 0.92 <= coverage(estimates, truth) <= 0.985
    single = auroc_contrast([a[0]], [1], labels, groups)
    assert estimates[0].high - estimates[0].low < 1.2 * (single.high - single.low)


def test_the_interval_of_a_ratio_of_means_holds_for_few_items():
    """A bootstrap of 14 items, resampled whole, covers .90 of the time (percentiles)."""
    hits, n, share, runs = 0, 14, 0.6, 400
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        wholes = 3 * rng.lognormal(0, 0.5, n) * np.where(rng.random(n) < 0.05, -1, 1)
        parts = share * wholes + 0.8 * rng.standard_normal(n) * rng.lognormal(0, 0.4, n)
        found = ratio_of_means(parts, wholes, np.arange(n))
        assert found.value == pytest.approx(parts.mean() / wholes.mean())
        hits += found.low <= share <= found.high
    assert hits / runs >= 0.93


def test_a_ratio_of_means_is_near_the_delta_method_and_refuses_what_has_no_share():
    rng = np.random.default_rng(0)
    wholes = 5 + rng.normal(size=300)
    parts = 0.4 * wholes + rng.normal(size=300)
    found = ratio_of_means(parts, wholes, np.arange(300))
    residuals = (parts - found.value * wholes) / wholes.mean()
    half = 1.96 * residuals.std(ddof=1) / np.sqrt(300)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), rel=0.02)
    assert ratio_of_means(wholes, wholes, np.arange(300)).low == pytest.approx(1)
    with pytest.raises(InputError, match="denominators have a mean of 0"):
        ratio_of_means([1.0, 2.0], [1.0, -1.0], [0, 1])
    with pytest.raises(InputError, match="NaN or infinity"):
        ratio_of_means([1.0, np.nan], [1.0, 1.0], [0, 1])
