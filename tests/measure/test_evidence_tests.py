"""Tests of evidence against scipy, scikit-learn, DeLong's variance, brute force, and planted answers."""

import numpy as np
import pytest
import scipy.linalg
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from probes.errors import InputError
from probes.probing import Splits, decoding
from probes.probing.decoding import description_length, max_layer_p, selectivity
from probes.probing.frozen_scores import fragility, margin_kept, threshold_drift
from probes.stats.alignment import neutral_offset, offset_removed, procrustes
from probes.stats.contrasts import (
    difference_in_differences,
    push_effect,
    strongest_baseline,
)
from probes.stats.corrections import discoveries
from probes.stats.estimates import auroc


def paired(n_pairs):
    return np.tile([1, 0], n_pairs), np.repeat(np.arange(n_pairs), 2)


def scored(rng, n_pairs, gap, pair=0.7):
    """Scores `[example]` with something in common inside a pair."""
    labels, groups = paired(n_pairs)
    return pair * rng.normal(size=n_pairs)[groups] + rng.normal(size=labels.size) + gap * labels


def in_parts(n_pairs):
    """Rows of train, select and test: the first half of the pairs, the next and the last quarter."""
    ends = 2 * np.array([n_pairs // 2, 3 * n_pairs // 4])
    return Splits(*np.split(np.arange(2 * n_pairs), ends))


class TestMaxLayer:
    def test_statistic_is_ridge_of_sklearn_at_the_layer_chosen_on_select(self):
        rng = np.random.default_rng(0)
        labels, groups = paired(24)
        values = rng.normal(size=(3, 48, 60)) * np.r_[np.full(3, 30.0), np.ones(57)]
        values[1] += 1.2 * (2 * labels - 1)[:, None] * rng.normal(size=60)
        splits, found = in_parts(24), []
        for layer in values:
            scaler = StandardScaler().fit(layer[splits.train])
            rows = scaler.transform(layer[splits.train])
            penalty = (rows**2).sum() / len(rows)
            fit = Ridge(alpha=penalty).fit(rows, 2.0 * labels[splits.train] - 1)
            found.append(
                [
                    roc_auc_score(labels[p], fit.predict(scaler.transform(layer[p])))
                    for p in (splits.select, splits.test)
                ]
            )
        told = max_layer_p(values, labels, groups, splits, n_permutations=19)
        assert told.layer == int(np.argmax([select for select, _ in found]))
        assert told.auroc == pytest.approx(found[told.layer][1])
        assert told.p == 1 / 20
        assert told.null.shape == (19,)

    def test_p_is_uniform_without_a_signal_though_the_best_of_layers_is_taken(self):
        rng = np.random.default_rng(1)
        labels, groups = paired(24)
        p = [
            max_layer_p(
                rng.normal(size=(4, 48, 6)), labels, groups, in_parts(24), n_permutations=19, seed=k
            ).p
            for k in range(200)
        ]
        assert stats.kstest(np.array(p) - rng.uniform(0, 1 / 20, size=200), "uniform").pvalue > 0.01
        assert stats.binomtest(int((np.array(p) <= 0.05).sum()), 200, 0.05).pvalue > 0.01

    def test_same_seed_same_answer(self):
        labels, groups = paired(16)
        values = np.random.default_rng(2).normal(size=(2, 32, 5))
        one, same, other = (max_layer_p(values, labels, groups, in_parts(16), seed=s) for s in (0, 0, 1))
        np.testing.assert_array_equal(one.null, same.null)
        assert (one.null != other.null).any()

    def test_bad_input_is_refused(self):
        labels, groups = paired(16)
        values = np.zeros((2, 32, 5))
        with pytest.raises(InputError, match="more examples of one label"):
            max_layer_p(values, labels, np.arange(32), in_parts(16))
        with pytest.raises(InputError, match="in two splits"):
            max_layer_p(values, labels, np.where(groups == 15, 0, groups), in_parts(16))
        with pytest.raises(InputError, match="expected finite numbers"):
            max_layer_p(values * np.nan, labels, groups, in_parts(16))


class TestSelectivity:
    def texts(self, concept, template, seed=0):
        rng = np.random.default_rng(seed)
        labels, pairs = paired(48)
        templates = pairs // 6
        values = rng.normal(size=(96, 12)) + template * rng.normal(size=(8, 12))[templates]
        values[:, 0] += concept * (2 * labels - 1)
        return values, labels, pairs, templates

    def test_a_concept_is_selective_and_templates_learned_by_heart_are_not(self):
        real = selectivity(*self.texts(concept=2.0, template=0.0))
        assert real.low > 0.2
        assert real.p < 0.01
        heart = selectivity(*self.texts(concept=0.0, template=2.0))
        assert heart.high < 0
        assert heart.p > 0.99

    def test_types_are_shared_by_both_sides_and_come_back(self):
        values, labels, pairs, templates = self.texts(1.0, 1.0)
        with pytest.raises(InputError, match="one label only"):
            selectivity(values, labels, pairs, 2 * templates + labels)
        with pytest.raises(InputError, match="has one pair"):
            selectivity(values, labels, pairs, pairs)
        with pytest.raises(InputError, match="at least 2"):
            selectivity(values, labels, pairs, np.zeros(96))


class TestDescriptionLength:
    def test_code_of_one_strength_and_order_is_the_log_loss_of_sklearn(self, monkeypatch):
        monkeypatch.setattr(decoding, "STRENGTHS", (0.1,))
        rng = np.random.default_rng(0)
        labels, groups = paired(32)
        values = rng.normal(size=(64, 5)) + labels[:, None]
        turn, bits = np.random.default_rng(7).permutation(32)[groups], 4.0
        for start, end in ((2, 4), (4, 8), (8, 16), (16, 32)):
            known, block = turn < start, (turn >= start) & (turn < end)
            scaler = StandardScaler().fit(values[known])
            fit = LogisticRegression(C=0.1, tol=1e-10, max_iter=5000)
            fit.fit(scaler.transform(values[known]), labels[known])
            chances = fit.predict_proba(scaler.transform(values[block]))
            bits += log_loss(labels[block], chances, normalize=False) / np.log(2)
        told = description_length(values, labels, groups, n_orders=1, seed=7)
        assert told.value == pytest.approx(64 / bits, rel=1e-4)

    def test_a_mixture_of_strengths_costs_at_most_two_bits_more_than_the_best(self, monkeypatch):
        labels, groups = paired(32)
        values = np.random.default_rng(1).normal(size=(64, 5)) + 0.7 * labels[:, None]
        mixed = 64 / description_length(values, labels, groups).value
        alone = []
        for strength in decoding.STRENGTHS:
            monkeypatch.setattr(decoding, "STRENGTHS", (strength,))
            alone.append(64 / description_length(values, labels, groups).value)
        assert min(alone) - 1 < mixed <= min(alone) + 2

    def test_noise_is_not_compressed_and_a_concept_is(self):
        labels, groups = paired(40)
        noise = np.random.default_rng(2).normal(size=(80, 10))
        nothing = description_length(noise, labels, groups)
        assert nothing.value < 1.02
        assert nothing.p > 0.05
        concept = description_length(noise + 3 * labels[:, None], labels, groups)
        assert concept.low > 2
        assert concept.p == 0.01  # no code of 99 swapped labelings is as short

    def test_p_is_uniform_where_there_is_nothing_to_compress(self):
        labels, groups = paired(24)
        rng = np.random.default_rng(3)
        found = [
            description_length(rng.normal(size=(48, 6)), labels, groups, n_permutations=19, seed=i).p
            for i in range(120)
        ]
        counts = np.bincount(np.round(20 * np.array(found)).astype(int), minlength=21)[1:]
        assert stats.chisquare(counts.reshape(5, 4).sum(1)).pvalue > 0.01
        assert stats.binomtest(counts[0], 120, 0.05).pvalue > 0.01

    def test_p_counts_swapped_labelings_that_cost_no_more(self):
        labels, groups = paired(16)
        values = np.random.default_rng(5).normal(size=(32, 4)) + 0.8 * labels[:, None]
        told = description_length(values, labels, groups, n_permutations=19, seed=2)
        rng = np.random.default_rng(2)
        for _ in range(4):
            rng.permutation(16)  # the orders are drawn first
        swaps = rng.integers(0, 2, size=(20, 16))[1:]
        longer = [description_length(values, labels ^ swap[groups], groups, seed=2).value for swap in swaps]
        assert told.p == (1 + sum(value >= told.value for value in longer)) / 20

    def test_too_few_pairs_are_refused(self):
        labels, groups = paired(15)
        with pytest.raises(InputError, match="needs at least 16"):
            description_length(np.zeros((30, 2)), labels, groups)

    def test_groups_that_are_not_whole_pairs_are_refused(self):
        labels, groups = paired(20)
        labels[0] = 1 - labels[0]
        with pytest.raises(InputError, match="whole pairs"):
            description_length(np.zeros((40, 2)), labels, groups)


class TestFrozenScores:
    def test_noise_of_that_size_does_halve_what_is_above_chance(self):
        rng = np.random.default_rng(0)
        labels, groups = paired(60)
        std = np.r_[20.0, np.ones(7)]
        values = rng.normal(size=(120, 8)) * std + 0.8 * labels[:, None]
        weights = np.r_[0.01, rng.uniform(0.5, 1, size=7)]
        scores = values @ weights
        told = fragility(scores, labels, groups, weights, std)
        draws = [(values + told.value * std * rng.normal(size=values.shape)) @ weights for _ in range(200)]
        before = auroc(scores, labels)
        assert auroc(np.stack(draws), labels).mean() == pytest.approx((before + 0.5) / 2, abs=0.005)
        assert told.low < told.value < told.high
        louder = fragility(10 * scores, labels, groups, weights, 10 * std)
        assert louder.value == pytest.approx(told.value)

    def test_nothing_to_lose_is_said_as_nan(self):
        labels, groups = paired(10)
        assert np.isnan(fragility(-labels.astype(float), labels, groups, np.ones(3), 1.0).value)

    def test_margin_kept_is_the_ratio_of_gaps_and_covers_it(self):
        """Scores at both stages with a known ratio of gaps and shared noise; 95% intervals over 200 draws."""
        rng, truth, held = np.random.default_rng(3), 0.6, 0
        labels, groups = np.tile([0, 1], 40), np.repeat(np.arange(40), 2)
        for _ in range(200):
            own = 2.0 * labels + rng.standard_normal(80)
            later = truth * 2.0 * labels + 0.5 * (own - 2.0 * labels) + rng.standard_normal(80)
            told = margin_kept(later, own, labels, groups)
            held += told.low <= truth <= told.high
        assert stats.binomtest(held, 200, 0.95).pvalue > 0.01
        gaps = [row[labels == 1].mean() - row[labels == 0].mean() for row in (later, own)]
        assert np.isclose(told.value, gaps[0] / gaps[1])
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


class TestContrasts:
    def test_values_are_differences_of_sklearns_aurocs(self):
        rng = np.random.default_rng(0)
        labels, groups = paired(30)
        scores = {name: scored(rng, 30, gap) for name, gap in (("a", 2), ("b", 1), ("c", 0.5), ("d", 1.5))}
        area = {name: roc_auc_score(labels, row) for name, row in scores.items()}
        a = scores.pop("a")
        told = strongest_baseline(a, scores, labels, groups)
        assert told.name == max(scores, key=lambda name: area[name])
        assert told.gap.value == pytest.approx(area["a"] - area[told.name])
        assert told.gap.p == max(gap.p for gap in told.gaps.values())
        assert told.gap.low == min(gap.low for gap in told.gaps.values()) < told.gap.high
        four = difference_in_differences(a, scores["b"], scores["c"], scores["d"], labels, groups)
        assert four.value == pytest.approx(area["a"] - area["b"] - area["c"] + area["d"])

    def test_training_seeds_that_differ_widen_the_interval_and_lower_the_claim(self):
        rng = np.random.default_rng(1)
        labels, groups = paired(40)
        parent = scored(rng, 40, 0.5)
        steady = np.stack([parent + 1.0 * labels] * 3)
        shaky = np.stack([parent + gain * labels for gain in (0.1, 1.0, 2.2)])
        narrow, wide = (
            difference_in_differences(arm, parent, parent, parent, labels, groups) for arm in (steady, shaky)
        )
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
        assert narrow.p < wide.p

    def test_rank_among_random_directions_counts_the_push_itself(self):
        rng = np.random.default_rng(2)
        effect = 1.0 + rng.normal(size=30)
        random = np.repeat(np.linspace(-0.5, 0.5, 39)[:, None], 30, axis=1)
        told = push_effect(effect, random, {"other": effect - 0.8 + 0.1 * rng.normal(size=30)})
        assert told.p_random == 1 / 40
        assert told.effect.p == pytest.approx(
            stats.ttest_1samp(effect, 0, alternative="greater").pvalue, rel=1e-5
        )
        assert told.specificity.name == "other"
        assert told.specificity.gap.value == pytest.approx(0.8, abs=0.1)
        weak = push_effect(0.1 * effect, random)
        assert weak.p_random == (1 + (random.mean(1) >= 0.1 * effect.mean()).sum()) / 40
        assert weak.specificity is None
        as_much = int((random.mean(1) >= 0.1 * effect.mean()).sum())
        assert weak.chance == pytest.approx(stats.binomtest(as_much, 39).proportion_ci(method="exact").low)
        assert told.chance == 0

    def test_another_concept_that_acts_when_pushed_backwards_is_not_less_strong(self):
        effect, random = np.ones(10), np.zeros((20, 10))
        told = push_effect(effect, random, {"other": -0.9 * effect})
        assert told.specificity.name == "other, pushed backwards"
        assert told.specificity.gap.value == pytest.approx(0.1)

    def test_discoveries_are_benjamini_and_hochbergs(self):
        p = np.random.default_rng(3).uniform(size=(4, 5)) ** 3
        told = discoveries(p, rate=0.1)
        ordered = np.sort(p.ravel())
        limit = max([x for k, x in enumerate(ordered, 1) if x <= 0.1 * k / 20], default=-1)
        np.testing.assert_array_equal(told.found, p <= limit)
        assert told.adjusted.shape == p.shape

    def test_bad_input_is_refused(self):
        labels, groups = paired(4)
        with pytest.raises(InputError, match="no baselines"):
            strongest_baseline(labels, {}, labels, groups)
        with pytest.raises(InputError, match="19 random directions: expected at least 20"):
            push_effect(np.zeros(5), np.zeros((19, 5)))
        with pytest.raises(InputError, match="direction, item"):
            push_effect(np.zeros(5), np.zeros((20, 4)))
        for bad in ([], [0.2, np.nan], [1.2]):
            with pytest.raises(InputError, match="between 0 and 1"):
                discoveries(bad)


class TestAlignment:
    def test_with_enough_texts_it_is_scipys_and_finds_the_rotation(self):
        rng = np.random.default_rng(0)
        rotation = stats.ortho_group.rvs(6, random_state=0)
        source = rng.normal(size=(40, 6)) * np.r_[30.0, np.ones(5)] + 3
        target = (source - 3) @ rotation + 5
        told = procrustes(source, target)
        np.testing.assert_allclose(told.rotation, rotation, atol=1e-10)
        np.testing.assert_allclose(told.activations(source), target, atol=1e-10)
        assert told.unexplained == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(told.outside(rng.normal(size=(3, 6))), 0, atol=1e-12)
        noisy = target + rng.normal(size=target.shape)
        a, b = source - source.mean(0), noisy - noisy.mean(0)
        np.testing.assert_allclose(
            procrustes(source, noisy).rotation, scipy.linalg.orthogonal_procrustes(a, b)[0], atol=1e-10
        )

    def test_with_few_texts_the_span_is_turned_and_the_rest_hardly(self):
        rng = np.random.default_rng(1)
        source = rng.normal(size=(4, 10))
        same = procrustes(source, source + 2)
        np.testing.assert_allclose(same.rotation, np.eye(10), atol=1e-10)
        rotation = stats.ortho_group.rvs(10, random_state=1)
        told = procrustes(source, source @ rotation)
        np.testing.assert_allclose(told.rotation @ told.rotation.T, np.eye(10), atol=1e-10)
        np.testing.assert_allclose(told.activations(source), source @ rotation, atol=1e-10)
        inside = source[0] - source.mean(0)
        across = np.linalg.svd(source - source.mean(0))[2][-1]
        assert told.outside(inside) == pytest.approx(0, abs=1e-12)
        assert told.outside(across) == pytest.approx(1)
        assert told.outside(across + inside / np.linalg.norm(inside)) == pytest.approx(0.5)

    def test_an_offset_is_found_its_size_is_not_chance_and_it_goes(self):
        rng = np.random.default_rng(2)
        parent = rng.normal(size=(50, 8)) * np.r_[100.0, np.ones(7)]
        stage = parent + 0.3 * rng.normal(size=parent.shape)
        assert neutral_offset(stage, parent).size < 0.05
        stage[:, 3] += 4
        offset = neutral_offset(stage, parent)
        assert offset.size == pytest.approx(4 / parent[:, 3].std(ddof=1) / np.sqrt(8), rel=0.1)
        np.testing.assert_allclose(offset_removed(stage, offset).mean(0), parent.mean(0))
        np.testing.assert_allclose(offset_removed(stage, offset, "project") @ offset.vector, 0, atol=1e-9)

    def test_bad_input_is_refused(self):
        with pytest.raises(InputError, match="the same texts"):
            procrustes(np.zeros((4, 3)), np.zeros((5, 3)))
        with pytest.raises(InputError, match="NaN"):
            neutral_offset(np.full((4, 3), np.nan), np.zeros((4, 3)))
        offset = neutral_offset(np.ones((4, 3)), np.zeros((4, 3)))
        with pytest.raises(InputError, match="width of the offset, 3"):
            offset_removed(np.zeros((2, 4)), offset)
        with pytest.raises(InputError, match='expected "shift" or "project"'):
            offset_removed(np.zeros((2, 3)), offset, "erase")
