"""Tests of decodability against scikit-learn, brute force, and their own promise of uniform p-values."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler

from probes.errors import InputError
from probes.probing import (
    Splits,
    decoding,
)
from probes.probing.decoding import description_length, max_layer_p, selectivity
from tests.makers import paired


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
        splits, by_layer = in_parts(24), []
        for layer in values:
            scaler = StandardScaler().fit(layer[splits.train])
            rows = scaler.transform(layer[splits.train])
            penalty = (rows**2).sum() / len(rows)
            fit = Ridge(alpha=penalty).fit(rows, 2.0 * labels[splits.train] - 1)
            by_layer.append(
                [
                    roc_auc_score(labels[p], fit.predict(scaler.transform(layer[p])))
                    for p in (splits.select, splits.test)
                ]
            )
        result = max_layer_p(values, labels, groups, splits, n_permutations=19)
        assert result.layer == int(np.argmax([select for select, _ in by_layer]))
        assert result.auroc == pytest.approx(by_layer[result.layer][1])
        assert result.p == 1 / 20
        assert result.null.shape == (19,)

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
        result = description_length(values, labels, groups, n_orders=1, seed=7)
        assert result.value == pytest.approx(64 / bits, rel=1e-4)

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

    @pytest.mark.slow
    def test_p_is_uniform_where_there_is_nothing_to_compress(self):
        labels, groups = paired(24)
        rng = np.random.default_rng(3)
        p_values = [
            description_length(rng.normal(size=(48, 6)), labels, groups, n_permutations=19, seed=i).p
            for i in range(120)
        ]
        counts = np.bincount(np.round(20 * np.array(p_values)).astype(int), minlength=21)[1:]
        assert stats.chisquare(counts.reshape(5, 4).sum(1)).pvalue > 0.01
        assert stats.binomtest(counts[0], 120, 0.05).pvalue > 0.01

    def test_p_counts_swapped_labelings_that_cost_no_more(self):
        labels, groups = paired(16)
        values = np.random.default_rng(5).normal(size=(32, 4)) + 0.8 * labels[:, None]
        result = description_length(values, labels, groups, n_permutations=19, seed=2)
        rng = np.random.default_rng(2)
        for _ in range(4):
            rng.permutation(16)  # the orders are drawn first
        swaps = rng.integers(0, 2, size=(20, 16))[1:]
        longer = [description_length(values, labels ^ swap[groups], groups, seed=2).value for swap in swaps]
        assert result.p == (1 + sum(value >= result.value for value in longer)) / 20

    def test_too_few_pairs_are_refused(self):
        labels, groups = paired(15)
        with pytest.raises(InputError, match="needs at least 16"):
            description_length(np.zeros((30, 2)), labels, groups)

    def test_groups_that_are_not_whole_pairs_are_refused(self):
        labels, groups = paired(20)
        labels[0] = 1 - labels[0]
        with pytest.raises(InputError, match="whole pairs"):
            description_length(np.zeros((40, 2)), labels, groups)
