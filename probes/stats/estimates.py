"""AUROC, and means of choices with 95% intervals when the independent unit is a pair, an item or a template.

The interval is a cluster bootstrap, bias-corrected and accelerated (BCa; Efron 1987, doi:10.2307/2289144). A
replicate is a weight per example (how often its cluster was drawn), so one matrix product evaluates them all.
It is for what is measured over many items, and several training seeds; intervals of AUROCs and of what rests
on few clusters are those of `probes.stats.jackknife`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from probes.errors import InputError

LEVEL = 0.95
"""Coverage of every interval."""


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
    n_positive = int((labels == 1).sum())
    above = rankdata(scores, axis=-1)[..., labels == 1].sum(-1) - n_positive * (n_positive + 1) / 2
    return np.asarray(above / (n_positive * (labels.size - n_positive)))


def mean_interval(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    n_boot: int = 1000,
    seed: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Mean of values (choices, slopes, paired differences) with its cluster-bootstrap interval.

    Parameters: values `[example]`, or `[training seed, example]` for the mean over training seeds, which are
    then resampled as an outer level, crossed with the clusters (the pigeonhole bootstrap, Owen 2007,
    doi:10.1214/07-AOAS122; with k seeds their part of the variance comes out (k - 1)/k times what it is);
    groups `[example]`; bounds, the range of the
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


def _estimate(
    value: float,
    drawn: NDArray,
    left_out: NDArray,
    n: int,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """BCa interval from bootstrap replicates and leave-one-cluster-out values."""
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
    influence = left_out.mean() - left_out
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
