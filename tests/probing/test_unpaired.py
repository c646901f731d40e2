"""Texts without pairs: they are split, permuted and tested as independent units, whatever their labels."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from probes.activations import Activations
from probes.concepts import Concept
from probes.errors import InputError
from probes.probing import check_splits, probe_layers, split_rows
from probes.probing.baselines import exchanged_labels, permuted_labels
from probes.probing.decoding import description_length, max_layer_p


def activations(values: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> Activations:
    n = len(labels)
    nothing = np.array([None] * n, dtype=object)
    return Activations(
        values=values.astype(np.float32)[None],
        site="resid_post",
        layers=[0],
        position="last",
        labels=labels,
        groups=np.array([f"r{i}" for i in range(n)]) if groups is None else groups,
        splits=nothing,
        templates=nothing,
        texts=[f"text {i}" for i in range(n)],
        stage="s",
        lineage=None,
        concept="c",
        render="own",
        digest="d",
    )


@pytest.mark.parametrize(("n", "every"), [(2000, 100), (400, 40), (1000, 50), (200, 20)])
def test_rare_labels_are_in_every_split_whatever_the_seed(n: int, every: int):
    labels = (np.arange(n) % every == 0).astype(int)
    values = np.random.default_rng(0).normal(size=(n, 4))
    acts = activations(values, labels)
    for seed in range(30):
        splits = split_rows(acts, seed)
        share = [labels[part].sum() / labels.sum() for part in dataclasses.astuple(splits)]
        np.testing.assert_allclose(share, [0.6, 0.2, 0.2], atol=1e-9)
    for seed in range(5):
        probe_layers(acts, seed=seed, baselines=False)


@pytest.mark.parametrize("seed", range(5))
def test_too_few_of_a_label_are_refused_with_the_number_that_is_needed(seed: int):
    acts = activations(np.zeros((200, 4)), (np.arange(200) < 4).astype(int))
    with pytest.raises(InputError, match="label 1 is in 4 independent units of 200: have 10 or more"):
        split_rows(acts, seed)


def test_a_concept_is_refused_before_a_model_reads_it():
    rows = [{"text": f"{i} {'abcdefghijkl'[i]}", "label": i % 2} for i in range(12)]
    with pytest.raises(InputError, match=r"2 pairs in the select split.*have 20 pairs or more in all"):
        check_splits(Concept.from_frame(rows))


def test_permutations_keep_each_split_s_labels_and_whole_groups():
    rng = np.random.default_rng(0)
    labels, groups = np.repeat(rng.integers(0, 2, 30), 2), np.repeat(np.arange(30), 2)
    strata = np.repeat(np.arange(30) % 3, 2)
    for draw in (
        permuted_labels(labels, groups, rng, strata),
        exchanged_labels(labels, groups, 5, rng, strata=strata)[4],
    ):
        assert (draw != labels).any()
        assert (draw[::2] == draw[1::2]).all()
        assert [draw[strata == k].sum() for k in range(3)] == [labels[strata == k].sum() for k in range(3)]


def test_pairs_are_swapped_as_if_there_were_no_incomplete_one():
    labels, member = np.tile([0, 1], 20), np.repeat(np.arange(20), 2)
    whole = exchanged_labels(labels, member, 9, np.random.default_rng(1), n_groups=21)
    with_one = exchanged_labels(np.append(labels, 1), np.append(member, 20), 9, np.random.default_rng(1))
    np.testing.assert_array_equal(with_one[:, :-1], whole)
    assert (with_one[:, -1] == 1).all()


def test_unequal_groups_exchange_their_labels_with_groups_of_their_size():
    labels = np.array([1, 1, 0, 0, 0, 1, 0, 1, 1, 1])
    member = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    drawn = exchanged_labels(labels, member, 50, np.random.default_rng(0))
    assert {tuple(row[:6]) for row in drawn} == {(1, 1, 0, 0, 0, 1), (0, 0, 1, 1, 1, 0)}
    assert (drawn[:, 6:] == labels[6:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("copies", [1, 3])
def test_p_is_uniform_without_a_signal(copies: int):
    p_values = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        groups, values = np.repeat(np.arange(40), copies), rng.normal(size=(40, 6)).repeat(copies, axis=0)
        labels = rng.integers(0, 2, 40 * copies)
        acts = activations(values, labels, groups)
        splits = split_rows(acts, seed)
        p_values.append(max_layer_p(acts.values, labels, groups, splits, n_permutations=19, seed=seed).p)
    counts = np.bincount(np.round(20 * np.array(p_values)).astype(int), minlength=21)[1:]
    assert stats.chisquare(counts.reshape(5, 4).sum(1)).pvalue > 0.01


def test_a_signal_without_pairs_is_found():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(60) % 2)
    values = rng.normal(size=(60, 6)) + 2 * labels[:, None]
    acts = activations(values, labels)
    result = max_layer_p(acts.values, labels, acts.groups, split_rows(acts), n_permutations=99)
    assert result.p == 0.01
    length = description_length(values, labels, acts.groups, n_permutations=19)
    assert length.value > 1.3
    assert length.p == 0.05


def test_a_ridge_of_many_rows_is_the_ridge_of_few():
    from probes.probing import decoding

    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(50, 6)), rng.choice([-1, 1], size=(3, 50))
    few = decoding._ridge(rows, targets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "GRAM_ROWS", 10)
        np.testing.assert_allclose(decoding._ridge(rows, targets), few, atol=1e-12)
