"""Estimates with 95% intervals when the independent unit is a pair: AUROCs, their differences, and means.

Every interval is a cluster bootstrap. A replicate is a weight per example (how often its cluster was drawn),
so one matrix product evaluates all replicates of all layers. Intervals are bias-corrected and accelerated
(BCa; Efron 1987, doi:10.2307/2289144), which covers better than percentiles near AUROC 1
(`tests/test_statistics.py` measures both).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from probes.errors import InputError

LEVEL = 0.95
"""Coverage of every interval."""

BLOCK_BYTES = 64_000_000
"""Size of the comparison array, [layer, positive, negative], above which layers are taken in turns."""


@dataclass(frozen=True)
class Estimate:
    """A value, its 95% interval, and the number of independent clusters (pairs) behind it."""

    value: float
    low: float
    high: float
    n: int


def auroc(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Probability that a positive example scores above a negative one, ties counting half.

    Parameters: scores `[..., example]`, labels `[example]` in {0, 1}. Returns `[...]` (0-d for one row).
    Raises InputError when a class is missing, a score is not finite, or the lengths differ.
    """
    scores, labels = _checked(scores, labels)
    rows = scores.reshape(-1, labels.size)
    return _weighted_auroc(rows, labels, np.ones((1, labels.size)))[:, 0].reshape(scores.shape[:-1])


def auroc_intervals(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, n_boot: int = 1000, seed: int = 0
) -> list[Estimate]:
    """AUROC of each row of scores `[layer, example]`, all on the same resamples of groups `[example]`."""
    scores, labels = _checked(scores, labels)
    weights = _Resamples(groups, labels.size, n_boot, seed)
    drawn, left_out = (_weighted_auroc(scores, labels, w) for w in (weights.drawn, weights.left_out))
    values = auroc(scores, labels)
    return [
        _estimate(value, d, j, weights.n, bounds=(0.0, 1.0))
        for value, d, j in zip(values, drawn, left_out, strict=True)
    ]


def auroc_interval(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, n_boot: int = 1000, seed: int = 0
) -> Estimate:
    """AUROC with its cluster-bootstrap interval.

    Parameters: scores `[example]`, or `[training seed, example]` for the mean AUROC over training seeds,
    which are then resampled as an outer level, crossed with the clusters (the pigeonhole bootstrap, Owen
    2007, doi:10.1214/07-AOAS122; with k seeds their part of the variance comes out (k - 1)/k times what it
    is); labels `[example]` in {0, 1}; groups `[example]`, the cluster (pair, template) of each example.
    Raises InputError for a missing class, scores that are not finite, or fewer than 2 clusters.
    """
    scores, labels = _checked(scores, labels)
    weights = _Resamples(groups, labels.size, n_boot, seed)
    rows = np.atleast_2d(scores)
    drawn = weights.over_seeds(_weighted_auroc(rows, labels, weights.drawn))
    left_out = _weighted_auroc(rows, labels, weights.left_out).mean(0)
    return _estimate(auroc(rows, labels).mean(), drawn, left_out, weights.n, bounds=(0.0, 1.0))


def auroc_difference(
    scores: ArrayLike,
    other: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> Estimate:
    """AUROC of `scores` minus AUROC of `other` on the same examples, both on the same resamples.

    Shapes, seeds and errors as in `auroc_interval`; `scores` and `other` have the same shape.
    """
    scores, labels = _checked(scores, labels)
    other, _ = _checked(other, labels)
    if scores.shape != other.shape:
        raise InputError(f"scores {scores.shape} and other {other.shape}: expected the same shape")
    weights = _Resamples(groups, labels.size, n_boot, seed)
    a, b = np.atleast_2d(scores), np.atleast_2d(other)
    drawn = weights.over_seeds(
        _weighted_auroc(a, labels, weights.drawn) - _weighted_auroc(b, labels, weights.drawn)
    )
    left_out = (
        _weighted_auroc(a, labels, weights.left_out) - _weighted_auroc(b, labels, weights.left_out)
    ).mean(0)
    return _estimate((auroc(a, labels) - auroc(b, labels)).mean(), drawn, left_out, weights.n)


def mean_interval(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    n_boot: int = 1000,
    seed: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Mean of values (choices, slopes, paired differences) with its cluster-bootstrap interval.

    Parameters: values `[example]` or `[training seed, example]`; groups `[example]`; bounds, the range of the
    quantity when it has one ((0, 1) for rates), so that an all-0 or all-1 sample does not get an interval of
    width zero but the exact binomial bound for n clusters of n (Clopper & Pearson 1934).
    Raises InputError for values that are not finite or fewer than 2 clusters.
    """
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if not np.isfinite(rows).all():
        raise InputError("values hold NaN or infinity: expected finite numbers")
    weights = _Resamples(groups, rows.shape[-1], n_boot, seed)

    def mean(w: NDArray) -> NDArray:
        return rows @ w.T / w.sum(-1)

    return _estimate(
        rows.mean(),
        weights.over_seeds(mean(weights.drawn)),
        mean(weights.left_out).mean(0),
        weights.n,
        bounds,
    )


class _Resamples:
    """Weights of the examples in each bootstrap replicate and in each leave-one-cluster-out sample."""

    def __init__(self, groups: ArrayLike, n_examples: int, n_boot: int, seed: int) -> None:
        groups = np.asarray(groups)
        if groups.shape != (n_examples,):
            raise InputError(f"groups have shape {groups.shape}: expected one per example, ({n_examples},)")
        names, member = np.unique(groups, return_inverse=True)
        self.n = len(names)
        if self.n < 2:
            raise InputError(f"{self.n} cluster: an interval needs at least 2 independent clusters (pairs)")
        self.rng = np.random.default_rng(seed)
        counts = self.rng.multinomial(self.n, np.full(self.n, 1 / self.n), size=n_boot)
        self.drawn = counts[:, member].astype(np.float64)  # [n_boot, example]
        self.left_out = (np.arange(self.n)[:, None] != member).astype(np.float64)  # [cluster, example]

    def over_seeds(self, replicates: NDArray) -> NDArray:
        """`[training seed, n_boot]` -> `[n_boot]`: mean over training seeds drawn with replacement."""
        n_seeds, n_boot = replicates.shape
        counts = self.rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_boot)
        return (replicates * counts.T).sum(0) / n_seeds


def _weighted_auroc(scores: NDArray, labels: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """scores `[row, example]`, weights `[replicate, example]` -> `[row, replicate]`; NaN where a replicate
    lacks a class. The statistic is a quadratic form in the weights: no sorting per replicate."""
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    w_pos, w_neg = weights[:, labels == 1], weights[:, labels == 0]
    total = w_pos.sum(-1) * w_neg.sum(-1)
    wins = np.empty((len(scores), len(weights)))
    step = max(1, BLOCK_BYTES // (8 * positive.shape[1] * negative.shape[1]))
    for start in range(0, len(scores), step):
        block = slice(start, start + step)
        above = positive[block, :, None] - negative[block, None, :]
        kernel = (np.sign(above) + 1) / 2  # 1 above, 1/2 tied, 0 below
        wins[block] = np.einsum("rbn,bn->rb", w_pos @ kernel, w_neg)
    with np.errstate(invalid="ignore", divide="ignore"):
        return wins / np.where(total > 0, total, np.nan)


def _estimate(
    value: float,
    drawn: NDArray,
    left_out: NDArray,
    n: int,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """BCa interval from bootstrap replicates and leave-one-cluster-out values."""
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        raise InputError("no bootstrap replicate holds both classes: expected clusters that mix the classes")
    tail = (1 - LEVEL) / 2
    spread = np.ptp(drawn)
    if spread < 1e-12:
        low = high = float(value)
        if bounds is not None and np.isclose(value, bounds).any():
            room = (bounds[1] - bounds[0]) * (1 - tail ** (1 / n))
            low = max(bounds[0], low - room) if np.isclose(value, bounds[1]) else low
            high = min(bounds[1], high + room) if np.isclose(value, bounds[0]) else high
        return Estimate(float(value), low, high, n)
    below = (drawn < value - 1e-12).mean() + (np.abs(drawn - value) <= 1e-12).mean() / 2
    bias = ndtri(np.clip(below, 1 / (drawn.size + 1), 1 - 1 / (drawn.size + 1)))
    influence = np.nanmean(left_out) - left_out[np.isfinite(left_out)]
    squares = (influence**2).sum()
    acceleration = (influence**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0
    z = bias + ndtri([tail, 1 - tail])
    low, high = np.quantile(drawn, ndtr(bias + z / (1 - acceleration * z)))
    return Estimate(float(value), float(low), float(high), n)


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray]:
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if labels.ndim != 1 or scores.ndim == 0 or scores.shape[-1] != labels.size:
        raise InputError(
            f"scores {scores.shape} and labels {labels.shape}: expected [..., example] and [example]"
        )
    if not np.isin(labels, (0, 1)).all() or len(np.unique(labels)) < 2:
        raise InputError(f"labels are {np.unique(labels).tolist()}: expected both 0 and 1, and nothing else")
    if not np.isfinite(scores).all():
        raise InputError("scores hold NaN or infinity: expected finite numbers")
    return scores, labels
