"""Whether a concept can be read at a stage: the best of many layers, selectivity, description length.

Each function refits probes on arrays and says what the refitting cost; tests of a frozen probe are in
`probes.probing.frozen_scores`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import rankdata

from probes.errors import InputError
from probes.probing import Splits, grouped_folds, make_probe
from probes.probing.baselines import control_labels
from probes.probing.batched import logistic_columns
from probes.probing.estimators import STRENGTHS, fit_probe, refit
from probes.probing.solver import RowSpace, standardised
from probes.stats.jackknife import Measured, Tested, clusters_of, combined, mean_contrast

BLOCKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Shares of the pairs after which the online code refits its probe; the first share is sent at 1 bit each."""


@dataclass(frozen=True)
class LayerTest:
    """The layer chosen on the select split (its place on the first axis), its AUROC on the test split, p, and
    the same AUROC under each permutation, of the layer chosen there, `null` `[permutation]`."""

    layer: int
    auroc: float
    p: float
    null: NDArray[np.float64]


def max_layer_p(
    values: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    splits: Splits,
    *,
    n_permutations: int = 500,
    seed: int = 0,
) -> LayerTest:
    """Permutation p-value of the best layer's test AUROC, in which picking the layer is paid for.

    The statistic is that of a closed-form probe, not of the probe reported elsewhere: ridge regression on
    the train split, standardised there, with the mean eigenvalue of the Gram matrix as its penalty; the layer
    with the best AUROC on select (the widest margin, of equals); its AUROC on test, ties between permutations
    broken by the margin, so that p is uniform without a signal. Every permutation swaps the two labels inside
    randomly chosen groups, in train, select and test together, and repeats fit, choice and test:
    p = (1 + number of permutations at or above) / (1 + n_permutations) (Phipson & Smyth 2010,
    doi:10.2202/1544-6115.1585). All labellings share one Gram matrix a layer.

    Parameters: values `[layer, example, d]`; labels `[example]` in {0, 1}; groups `[example]`, the units in
    which labels can be swapped: pairs, or templates where the pairs of one share wording, because then their
    differences are alike and pairs are not exchangeable one by one; splits, rows of each part.
    Raises InputError for values that are not finite, a group in two parts, or a group that does not hold as
    many examples of one label as of the other.
    """
    values, labels = np.asarray(values), np.asarray(labels).astype(int)
    rows = np.concatenate([splits.train, splits.select, splits.test])
    if values.ndim != 3 or values.shape[1] != labels.size or not np.isfinite(values[:, rows]).all():
        raise InputError(f"values {values.shape}: expected finite numbers [layer, {labels.size}, d]")
    member = clusters_of(groups, labels.size)
    sign = 2 * labels - 1
    _refuse_unbalanced(member[rows], labels[rows])
    parts = [np.unique(member[part]) for part in (splits.train, splits.select, splits.test)]
    if sum(map(len, parts)) > len(np.unique(member[rows])):
        raise InputError("a group is in two splits: expected each pair or template in one of them")
    rng = np.random.default_rng(seed)
    flips = 1 - 2 * rng.integers(0, 2, size=(n_permutations + 1, member.max() + 1))
    flips[0] = 1
    targets = sign * flips[:, member]  # [labelling, example]; the first is the true one

    select, test = (np.empty((len(values), n_permutations + 1, 2)) for _ in range(2))
    evaluated = np.concatenate([splits.select, splits.test])
    for layer, all_rows in enumerate(values):
        space = RowSpace.of(all_rows[splits.train])
        gram = space.rows @ space.rows.T
        penalty = np.trace(gram) / len(gram)
        fit = np.linalg.solve(gram + penalty * np.eye(len(gram)), targets[:, splits.train].T)
        weights = space.raw((space.rows.T @ fit).T)
        scores = weights @ np.asarray(all_rows[evaluated], dtype=np.float64).T
        first = len(splits.select)
        select[layer] = _auroc_and_margin(scores[:, :first], targets[:, splits.select])
        test[layer] = _auroc_and_margin(scores[:, first:], targets[:, splits.test])
    best = np.array([np.lexsort((margin, auroc))[-1] for auroc, margin in zip(*select.T, strict=True)])
    aurocs, margins = test[best, np.arange(len(best))].T
    above = aurocs[1:] > aurocs[0] + 1e-12
    tied = ~above & (aurocs[1:] >= aurocs[0] - 1e-12) & (margins[1:] >= margins[0] - 1e-12)
    p = (1 + (above | tied).sum()) / (1 + n_permutations)
    return LayerTest(int(best[0]), float(aurocs[0]), float(p), aurocs[1:])


def selectivity(
    values: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    types: ArrayLike,
    *,
    estimator: str = "logistic",
    n_tasks: int = 10,
    seed: int = 0,
) -> Tested:
    """Accuracy minus accuracy on control tasks, whose random labels belong to an input's type (Hewitt & Liang
    2019, arXiv 1909.03368): what the probe reads beyond what it could have memorised. p: that it is above 0.

    A control task gives half of the types label 1; types come back in training and test, so it can be
    learned, but only by heart. Both tasks are done out of fold, whole groups held out, each type in every
    fold; the probe of a control task has the strength of regularisation chosen for the concept.

    Parameters: values `[example, d]`; labels `[example]` in {0, 1}; groups `[example]` (pairs); types
    `[example]`, in general the template: both texts of a pair have the same; n_tasks, control tasks that are
    averaged. The interval is over types, whose texts are alike.
    Raises InputError for a type with fewer than 2 groups, or with one label only, which would make control
    labels the labels in disguise.
    """
    values, labels, groups = np.asarray(values), np.asarray(labels).astype(int), np.asarray(groups)
    names, kind = np.unique(np.asarray(types), return_inverse=True)
    for number, name in enumerate(names):
        if len(np.unique(labels[kind == number])) < 2:
            raise InputError(
                f"type {name!r} has one label only: expected types that both texts of a pair share"
            )
        if len(np.unique(groups[kind == number])) < 2:
            raise InputError(
                f"type {name!r} has one pair: expected 2 or more, so that a probe can meet it again"
            )
    if len(names) < 2:
        raise InputError("one type: expected at least 2, so that control labels can differ")
    rng = np.random.default_rng(seed)
    tasks = [labels, *(control_labels(kind, rng) for _ in range(n_tasks))]
    right = np.empty((len(tasks), labels.size))
    for train, held_out in grouped_folds(kind, groups, seed=seed):
        chosen = fit_probe(make_probe(estimator), values[train], labels[train], groups[train])
        for i, probe in enumerate(refit(chosen, values[train], [task[train] for task in tasks])):
            right[i, held_out] = (probe.decision_function(values[held_out]) > 0) == tasks[i][held_out]
    return mean_contrast([right[0], right[1:].mean(0)], [1, -1], kind, bounded=True)


def description_length(
    values: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    n_orders: int = 4,
    n_permutations: int = 99,
    seed: int = 0,
) -> Tested:
    """Compression of the labels by an online code, N log2 K / L (Voita & Titov 2020, arXiv 2003.12298).

    Pairs are sent in blocks that end at the shares `BLOCKS` of all: the labels of the first at 1 bit each,
    those of every other by a logistic probe fitted on all before it, at -log2 p. The probe's strength is not
    chosen: predictions of those in `STRENGTHS` are mixed by their code lengths so far (a Bayesian mixture,
    at most 2 bits longer than the best), so that the code stays a code. L is averaged over n_orders random
    orders of the pairs. 1: nothing was compressed.

    p: that the labels are compressed more than ones that mean nothing. A code that has nothing to learn is
    longer than the labels, so that 1 is no fair bar: the same texts are sent in the same orders with the two
    labels swapped inside randomly chosen groups, p = (1 + number of codes as short) / (1 + n_permutations).
    The interval holds the variance of the pairs' own code lengths and, from the variance between orders,
    that of training on other pairs; its upper end allows for code lengths that vary the more, the more is
    compressed.

    Parameters: values `[example, d]`; labels `[example]` in {0, 1}; groups `[example]`, sent together, left
    out together for the interval and swapped together: pairs, or templates where pairs share wording.
    Raises InputError for fewer than 16 groups, and for a group that does not hold as many examples of one
    label as of the other.
    """
    values, labels = np.asarray(values, dtype=np.float64), np.asarray(labels).astype(int)
    member = clusters_of(groups, labels.size)
    n = int(member.max()) + 1
    if n < 1 / BLOCKS[0]:
        raise InputError(f"{n} groups: the online code needs at least {1 / BLOCKS[0]:g}")
    _refuse_unbalanced(member, labels)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n) for _ in range(n_orders)]
    swapped = rng.integers(0, 2, size=(n_permutations + 1, n)).astype(bool)
    swapped[0] = False
    labelings = labels ^ swapped[:, member]  # the first is the true one
    codes = np.stack([_code(values, labelings, order[member]) for order in orders])
    lengths = codes.mean((0, 2))
    p = (1 + (lengths[1:] <= lengths[0] + 1e-12).sum()) / (1 + n_permutations)

    by_order = codes[:, 0]
    bits = by_order.mean(0)
    kept = (np.arange(n)[:, None] != member).astype(np.float64)
    left_out = -np.log(bits @ kept.T / kept.sum(-1))
    each = np.log(by_order.mean(1))
    # Orders train on different halves of these pairs; other pairs vary as much, and 1 / n_orders is left.
    apart = np.sqrt(n_orders + 1) * (each - each.mean())
    log = combined([Measured(apart - np.log(bits.mean()), left_out[None])], [1])
    reach = log.high - log.value
    # (high - value)^2 = reach^2 (high + reach) / (value + reach): as the variance of a log likelihood ratio,
    # that of a code length is in proportion to what is gained.
    slope = reach**2 / (max(log.value, 0.0) + reach) if reach > 0 else 0.0
    high = log.value + slope / 2 + np.sqrt(slope**2 / 4 + reach**2)
    return Tested(*(float(np.exp(x)) for x in (log.value, log.low, high)), n=log.n, p=float(p))


def _refuse_unbalanced(member: NDArray, labels: NDArray) -> None:
    """InputError for labels that cannot be swapped inside every group."""
    if np.bincount(member, weights=2 * labels - 1).any():
        raise InputError(
            "a group holds more examples of one label: expected whole pairs, or templates of them"
        )


def _auroc_and_margin(scores: NDArray, targets: NDArray) -> NDArray[np.float64]:
    """`[labelling, 2]`: AUROC of scores `[labelling, example]` for targets of -1 and 1, and the distance of
    the class means over the standard deviation of all."""
    positive = targets > 0
    n_positive, n_negative = positive.sum(-1), (~positive).sum(-1)
    ranks = rankdata(scores, axis=-1)
    wins = (ranks * positive).sum(-1) - n_positive * (n_positive + 1) / 2
    spread = scores.std(-1)
    gap = (scores * positive).sum(-1) / n_positive - (scores * ~positive).sum(-1) / n_negative
    return np.column_stack([wins / (n_positive * n_negative), gap / np.where(spread > 0, spread, np.inf)])


def _code(values: NDArray, labelings: NDArray, turn: NDArray) -> NDArray[np.float64]:
    """Bits of each example's label, `[labelling, example]`; turn `[example]`, the place of its pair in the
    order."""
    ends = np.round(np.array(BLOCKS) * (turn.max() + 1)).astype(int)
    bits = np.ones(labelings.shape)
    sent = np.zeros((len(labelings), len(STRENGTHS)))  # log-likelihood of each strength's predictions so far
    for start, end in pairwise(ends):
        known, block = np.flatnonzero(turn < start), np.flatnonzero((turn >= start) & (turn < end))
        mean, scale, rows = standardised(values[known])
        found = logistic_columns(torch.tensor(rows), torch.tensor(labelings[:, known]), STRENGTHS)
        weights, intercepts = found.weights.numpy(), found.intercepts.numpy()
        odds = weights @ ((values[block] - mean) / scale).T + intercepts[..., None]
        said = np.where(labelings[:, None, block] == 1, odds, -odds)  # [labelling, strength, example]
        likelihood = np.log(np.clip(expit(said), 1e-12, None))
        after = sent[..., None] + np.cumsum(likelihood, axis=-1)
        mixed = np.logaddexp.reduce(np.concatenate([sent[..., None], after], axis=-1), axis=1)
        bits[:, block] = -np.diff(mixed) / np.log(2)
        sent = after[..., -1]
    return bits
