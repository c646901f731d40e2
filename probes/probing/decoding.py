"""Whether a concept can be decoded at a stage: the best of many layers, selectivity, description length.

Each of the three tests refits probes on arrays; `probes.probing.frozen_scores` has tests of a frozen probe.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy.typing import ArrayLike
from scipy.special import expit
from scipy.stats import rankdata

from probes.concepts.folds import grouped_folds
from probes.errors import InputError
from probes.probing.baselines import control_labels, exchanged_labels
from probes.probing.batched import logistic_columns
from probes.probing.estimators import STRENGTHS, fit_probe, make_probe
from probes.probing.refitting import refit
from probes.probing.solver import RowSpace, standardised
from probes.probing.splits import Splits
from probes.stats.clusters import clusters_of, means_without_each
from probes.stats.jackknife import Measured, Tested, combined, mean_contrast
from probes.stats.permutation import add_one_p

BLOCKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""The online code refits its probe after these shares of the pairs; labels of the first cost 1 bit each."""

GRAM_ROWS = 2000
"""With more training rows than this, and than dimensions, a ridge regression solves for its weights."""


@dataclass(frozen=True)
class LayerTest:
    """The result of `max_layer_p`.

    Attributes
    ----------
    layer : int
        The layer that was chosen on the select split, as its place on the first axis of the values.
    auroc : float
        Its AUROC on the test split.
    p : float
        The p-value of that AUROC, corrected for having chosen the best layer.
    null : float array `[permutation]`
        The same AUROC under each permutation, each of the layer that was chosen under it.

    Example
    -------
    >>> LayerTest(layer=2, auroc=0.9, p=0.05, null=np.full(19, 0.5)).p
    0.05
    """

    layer: int
    auroc: float
    p: float
    null: Float64[np.ndarray, " permutation"]


def max_layer_p(
    values: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    splits: Splits,
    *,
    n_permutations: int = 500,
    seed: int = 0,
) -> LayerTest:
    """The permutation p-value of the best layer's test AUROC, corrected for having chosen the best layer.

    The statistic is that of a probe in closed form, not of the probe that is reported elsewhere. It is ridge
    regression on the standardised train split, with the mean eigenvalue of the Gram matrix as its penalty.
    The layer is the one with the best AUROC on the select split (of equals, the one with the widest margin),
    and the statistic is its AUROC on the test split. Ties between permutations are broken by the margin, so
    that p is uniform when there is no signal. Every permutation swaps the two labels inside randomly chosen
    groups, in all three splits together, and repeats the fit, the choice and the test; p follows from
    `add_one_p`. Groups that cannot swap, because they hold one label or more examples of one, exchange their
    labels with others of their split (see `exchanged_labels`). All labelings of a layer share one
    Gram matrix.

    Parameters
    ----------
    values : float array `[layer, example, d]`
        Activations.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The units in which labels are swapped: pairs, or templates where the pairs of one template share
        their wording. Pairs of one template differ alike, so that they cannot be swapped one by one.
    splits : Splits
        The rows of each part.
    n_permutations : int
        Number of permutations.
    seed : int
        Of the permutations.

    Returns
    -------
    LayerTest

    Raises
    ------
    InputError
        For values that are not finite, or a group in two parts.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> splits = probes.probing.split_rows(acts)
    >>> result = max_layer_p(acts.values, acts.labels, acts.groups, splits, n_permutations=19)
    >>> result.layer in acts.layers, result.p >= 0.05, result.null.shape
    (True, True, (19,))
    """
    values, labels = np.asarray(values), np.asarray(labels).astype(int)
    rows = np.concatenate([splits.train, splits.select, splits.test])
    if values.ndim != 3 or values.shape[1] != labels.size or not np.isfinite(values[:, rows]).all():
        raise InputError(f"values {values.shape}: expected finite numbers [layer, {labels.size}, d]")
    member = clusters_of(groups, labels.size)
    parts = [np.unique(member[part]) for part in (splits.train, splits.select, splits.test)]
    if sum(map(len, parts)) > len(np.unique(member[rows])):
        raise InputError("a group is in two splits: expected each pair or template in one of them")
    rng = np.random.default_rng(seed)
    targets = np.zeros((n_permutations + 1, labels.size), dtype=np.int64)  # [labelling, example]
    targets[:, rows] = (
        2
        * exchanged_labels(
            labels[rows],
            member[rows],
            n_permutations,
            rng,
            n_groups=int(member.max()) + 1,
            strata=splits.names(labels.size)[rows],
        )
        - 1
    )

    select, test = (np.empty((len(values), n_permutations + 1, 2)) for _ in range(2))
    evaluated = np.concatenate([splits.select, splits.test])
    for layer, all_rows in enumerate(values):
        space = RowSpace.of(all_rows[splits.train])
        weights = space.raw(_ridge(space.rows, targets[:, splits.train]))
        scores = weights @ np.asarray(all_rows[evaluated], dtype=np.float64).T
        first = len(splits.select)
        select[layer] = _auroc_and_margin(scores[:, :first], targets[:, splits.select])
        test[layer] = _auroc_and_margin(scores[:, first:], targets[:, splits.test])
    best = np.array([np.lexsort((margin, auroc))[-1] for auroc, margin in zip(*select.T, strict=True)])
    aurocs, margins = test[best, np.arange(len(best))].T
    above = aurocs[1:] > aurocs[0] + 1e-12
    tied = ~above & (aurocs[1:] >= aurocs[0] - 1e-12) & (margins[1:] >= margins[0] - 1e-12)
    p = add_one_p((above | tied).sum(), n_permutations)
    return LayerTest(int(best[0]), float(aurocs[0]), p, aurocs[1:])


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
    """The accuracy on the concept minus the accuracy on control tasks.

    It says how much a probe reads beyond what it could have memorised (Hewitt & Liang 2019, arXiv
    1909.03368). A control task gives label 1 to a
    random half of the types of input. The types of the training rows come back in the test rows, so that a
    control task can be learned, but only by heart. Both accuracies are out of fold, with whole groups held
    out and each type in every fold. The probe of a control task has the strength of regularisation that was
    chosen for the concept.

    Parameters
    ----------
    values : float array `[example, d]`
        Activations of one layer.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        Pairs.
    types : array `[example]`
        In general templates; both examples of a pair have the same type.
    estimator : str
        "logistic", "mass_mean", "lda" or "ridge".
    n_tasks : int
        Number of control tasks, whose accuracies are averaged.
    seed : int
        Of the control tasks and the folds.

    Returns
    -------
    Tested
        Its interval is over types, because texts of one type are alike. Its p is that of "the difference is
        above 0".

    Raises
    ------
    InputError
        For a type with fewer than 2 groups, or for a type with one label only, whose control labels would be
        the labels in disguise.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 32), np.repeat(np.arange(32), 2)
    >>> values = rng.normal(size=(64, 4)) + 3 * labels[:, None]
    >>> selectivity(values, labels, pairs, types=pairs % 8, estimator="mass_mean").low > 0.2
    True
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
    """How far a probe compresses the labels: an online code's N / L (Voita & Titov 2020, arXiv 2003.12298).

    N labels of 1 bit each are sent in blocks of pairs, which end at the shares `BLOCKS` of all pairs. The
    labels of the first block cost 1 bit each. Those of every other block cost -log2 of the probability that a
    logistic probe gives them, which is fitted on all earlier blocks. The probe's strength is not chosen: the
    predictions of all strengths in `STRENGTHS` are mixed by their code lengths so far (a Bayesian mixture,
    which is at most 2 bits longer than the best of them). L is the length of the code, averaged over random
    orders of the pairs. The result is 1 when nothing was compressed.

    A code that has nothing to learn is longer than the labels themselves, so 1 would be no fair threshold.
    The p-value therefore compares the code with codes of the same texts in the same orders, with the two
    labels swapped inside randomly chosen groups, or exchanged between groups (see `exchanged_labels`); it
    follows from `add_one_p`.

    Parameters
    ----------
    values : float array `[example, d]`
        Activations of one layer.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        What is sent, swapped and (for the interval) left out together: pairs, or templates where the pairs
        of one template share their wording.
    n_orders : int
        Number of random orders.
    n_permutations : int
        Number of swapped labelings.
    seed : int
        Of the orders and the swaps.

    Returns
    -------
    Tested
        Its p is that of "these labels are compressed more than labels that mean nothing". The interval holds
        the variance of the pairs' own code lengths and, estimated from the variance between orders, that of
        training on other pairs. Its upper end allows for code lengths that vary the more, the more they are
        compressed.

    Raises
    ------
    InputError
        For fewer than 16 groups.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 16), np.repeat(np.arange(16), 2)
    >>> values = rng.normal(size=(32, 4)) + 3 * labels[:, None]
    >>> result = description_length(values, labels, pairs, n_orders=2, n_permutations=19)
    >>> result.value > 1.5, result.p
    (True, 0.05)
    """
    values, labels = np.asarray(values, dtype=np.float64), np.asarray(labels).astype(int)
    member = clusters_of(groups, labels.size)
    n = int(member.max()) + 1
    if n < 1 / BLOCKS[0]:
        raise InputError(f"{n} groups: the online code needs at least {1 / BLOCKS[0]:g}")
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(n) for _ in range(n_orders)]
    labelings = exchanged_labels(labels, member, n_permutations, rng)  # the first is the true one
    codes = np.stack([_code(values, labelings, order[member]) for order in orders])
    lengths = codes.mean((0, 2))
    p = add_one_p((lengths[1:] <= lengths[0] + 1e-12).sum(), n_permutations)

    by_order = codes[:, 0]
    bits = by_order.mean(0)
    left_out = -np.log(means_without_each(bits, member))
    each = np.log(by_order.mean(1))
    # Orders train on different halves of these pairs, and training on other pairs varies as much; the mean
    # over orders leaves 1 / n_orders of it besides.
    apart = np.sqrt(n_orders + 1) * (each - each.mean())
    log = combined([Measured(apart - np.log(bits.mean()), left_out[None])], [1])
    reach = log.high - log.value
    # (high - value)^2 = reach^2 (high + reach) / (value + reach): the variance of a code length, like that of
    # a log likelihood ratio, is in proportion to what is gained.
    slope = reach**2 / (max(log.value, 0.0) + reach) if reach > 0 else 0.0
    high = log.value + slope / 2 + np.sqrt(slope**2 / 4 + reach**2)
    return Tested(*(float(np.exp(x)) for x in (log.value, log.low, high)), n=log.n, p=p)


def _ridge(
    rows: Float64[np.ndarray, "example r"], targets: Int[np.ndarray, "labelling example"]
) -> Float64[np.ndarray, "labelling r"]:
    """Weights `[labelling, r]` of ridge regression of targets `[labelling, n]` on rows `[n, r]`.

    The penalty is the mean eigenvalue of the Gram matrix of the rows. Above `GRAM_ROWS` rows the same weights
    come from the covariance matrix.
    """
    n, width = rows.shape
    if not rows.any():
        return np.zeros((len(targets), width))
    if n > max(GRAM_ROWS, width):
        covariance = rows.T @ rows
        penalty = np.trace(covariance) / n
        return np.linalg.solve(covariance + penalty * np.eye(width), rows.T @ targets.T).T
    gram = rows @ rows.T
    penalty = np.trace(gram) / n
    fit = np.linalg.solve(gram + penalty * np.eye(n), targets.T)
    return (rows.T @ fit).T


def _auroc_and_margin(
    scores: Float64[np.ndarray, "labelling example"], targets: Int[np.ndarray, "labelling example"]
) -> Float64[np.ndarray, "labelling 2"]:
    """AUROC and margin of scores `[labelling, example]` for targets of -1 and 1, `[labelling, 2]`.

    The margin is the distance of the class means divided by the standard deviation of all scores.
    """
    positive = targets > 0
    n_positive, n_negative = positive.sum(-1), (~positive).sum(-1)
    ranks = rankdata(scores, axis=-1)
    wins = (ranks * positive).sum(-1) - n_positive * (n_positive + 1) / 2
    spread = scores.std(-1)
    gap = (scores * positive).sum(-1) / n_positive - (scores * ~positive).sum(-1) / n_negative
    return np.column_stack([wins / (n_positive * n_negative), gap / np.where(spread > 0, spread, np.inf)])


def _code(
    values: Float64[np.ndarray, "example d"],
    labelings: Int[np.ndarray, "labelling example"],
    turn: Int[np.ndarray, " example"],
) -> Float64[np.ndarray, "labelling example"]:
    """The bits that each example's label costs, `[labelling, example]`.

    turn `[example]` is the place of the example's pair in the order of sending.
    """
    ends = np.round(np.array(BLOCKS) * (turn.max() + 1)).astype(int)
    bits = np.ones(labelings.shape)
    sent = np.zeros((len(labelings), len(STRENGTHS)))  # log-likelihood of each strength's predictions so far
    for start, end in pairwise(ends):
        earlier, block = np.flatnonzero(turn < start), np.flatnonzero((turn >= start) & (turn < end))
        mean, scale, rows = standardised(values[earlier])
        seen = labelings[:, earlier].sum(1)
        both = (seen > 0) & (seen < len(earlier))
        # Where all earlier labels are the same, the next ones have Laplace's odds.
        odds = np.zeros((len(labelings), len(STRENGTHS), len(block)))
        odds += np.log((seen + 1) / (len(earlier) - seen + 1))[:, None, None]
        if both.any():
            problem = torch.tensor(rows), torch.tensor(labelings[both][:, earlier])
            solution = logistic_columns(*problem, STRENGTHS)
            weights, intercepts = solution.weights.numpy(), solution.intercepts.numpy()
            odds[both] = weights @ ((values[block] - mean) / scale).T + intercepts[..., None]
        log_odds = np.where(labelings[:, None, block] == 1, odds, -odds)  # [labelling, strength, example]
        likelihood = np.log(np.clip(expit(log_odds), 1e-12, None))
        after = sent[..., None] + np.cumsum(likelihood, axis=-1)
        mixed = np.logaddexp.reduce(np.concatenate([sent[..., None], after], axis=-1), axis=1)
        bits[:, block] = -np.diff(mixed) / np.log(2)
        sent = after[..., -1]
    return bits
