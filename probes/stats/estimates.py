"""AUROC, and 95% intervals of a mean and of a share, where the independent unit is a pair, item or template.

The interval of a mean is a cluster bootstrap, bias-corrected and accelerated (BCa; Efron 1987,
doi:10.2307/2289144). It serves means over many items or several training seeds. AUROCs, and whatever rests
on few clusters, have the intervals of `probes.stats.jackknife` instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest, rankdata

from probes.errors import InputError
from probes.stats.clusters import clusters_of, means_without_each, sums_by_cluster

LEVEL = 0.95
"""Coverage of every interval."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% confidence interval.

    Attributes
    ----------
    value : float
        The estimate.
    low, high : float
        The ends of its interval.
    n : int
        The number of independent clusters (pairs, items or templates) behind it.

    Example
    -------
    >>> Estimate(0.9, low=0.8, high=0.95, n=40)
    Estimate(value=0.9, low=0.8, high=0.95, n=40)
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def short(self) -> str:
        """The value and its interval, without the zeros before the points.

        Example
        -------
        >>> print(Estimate(0.9, low=-0.05, high=1.2, n=40).short)
        .90 [-.05, 1.20]
        """
        text = f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"
        return re.sub(r"\b0\.", ".", text)


def auroc(scores: ArrayLike, labels: ArrayLike) -> Float64[np.ndarray, "*row"]:
    """The probability that a positive example scores above a negative one; ties count half.

    This is the area under the ROC curve (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747).

    Parameters
    ----------
    scores : float array `[..., example]`
        One or many rows of scores.
    labels : int array `[example]`
        0 or 1.

    Returns
    -------
    float array `[...]`
        The AUROC of each row; 0-dimensional for one row.

    Raises
    ------
    InputError
        When a class is missing, a score is not finite, or the lengths differ.

    Example
    -------
    >>> float(auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]))
    0.75
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
    """The mean of values (choices, slopes, paired differences) with its cluster-bootstrap interval.

    Parameters
    ----------
    values : float array `[example]` or `[training seed, example]`
        With several training seeds the mean is over them too. They are then resampled as an outer level,
        crossed with the clusters (the pigeonhole bootstrap; Owen 2007, doi:10.1214/07-AOAS122). With k
        training seeds their part of the variance comes out at (k - 1) / k of what it is.
    groups : array `[example]`
        The cluster of each example.
    n_boot : int
        Number of bootstrap replicates.
    seed : int
        Of the resampling.
    bounds : (float, float), optional
        The range of the quantity where it has one, (0, 1) for rates. Values that all lie at a bound then get
        the exact binomial interval for n clusters of n, instead of one of width 0.

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        For values that are not finite, or fewer than 2 clusters.

    Example
    -------
    >>> mean_interval([0.2, 0.4, 0.3, 0.5, 0.6], groups=[0, 1, 2, 3, 4])
    Estimate(value=0.40, low=0.28, high=0.52, n=5)
    """
    rows = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if not np.isfinite(rows).all():
        raise InputError("values hold NaN or infinity: expected finite numbers")
    member = clusters_of(groups, rows.shape[-1])
    resamples = _Resamples(int(member.max()) + 1, n_boot, seed)
    drawn = sums_by_cluster(rows, member) @ resamples.counts.T / (resamples.counts @ np.bincount(member))
    left_out = means_without_each(rows, member).mean(0)
    return _estimate(rows.mean(), resamples.over_seeds(drawn), left_out, resamples.n, bounds)


def share_interval(k: int, n: int, level: float = LEVEL) -> Estimate:
    """The share k / n with its exact binomial interval (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404).

    Parameters
    ----------
    k, n : int
        How many of n independent units have the property.
    level : float
        Coverage of the interval.

    Example
    -------
    >>> share_interval(8, 10)
    Estimate(value=0.8, low=0.444, high=0.975, n=10)
    """
    interval = binomtest(k, n).proportion_ci(level, method="exact")
    return Estimate(k / n, float(interval.low), float(interval.high), n)


def all_of_n_limit(n: int, tail: float) -> float:
    """The lower end of `share_interval(n, n)`, with probability `tail` outside it, in closed form.

    Example
    -------
    >>> all_of_n_limit(20, tail=0.025), share_interval(20, 20).low
    (0.8316, 0.8316)
    """
    return tail ** (1 / n)


class _Resamples:
    """How often each cluster is drawn in each bootstrap replicate, `counts [n_boot, cluster]`.

    The weight of an example in a replicate is how often its cluster was drawn, so that one matrix product
    evaluates a mean in all replicates.
    """

    def __init__(self, n: int, n_boot: int, seed: int) -> None:
        self.n = n
        self.rng = np.random.default_rng(seed)
        counts = self.rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
        self.counts = counts.astype(np.float64)

    def over_seeds(self, replicates: Float64[np.ndarray, "seed boot"]) -> Float64[np.ndarray, " boot"]:
        """`[training seed, n_boot]` -> `[n_boot]`: the mean over training seeds drawn with replacement."""
        n_seeds, n_boot = replicates.shape
        counts = self.rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_boot)
        return (replicates * counts.T).sum(0) / n_seeds


def _estimate(
    value: float,
    drawn: Float64[np.ndarray, " boot"],
    left_out: Float64[np.ndarray, " cluster"],
    n: int,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """The BCa interval from bootstrap replicates `[n_boot]` and leave-one-cluster-out values `[cluster]`."""
    tail = (1 - LEVEL) / 2
    spread = np.ptp(drawn)
    if spread < 1e-12:
        low = high = float(value)
        if bounds is not None and np.isclose(value, bounds).any():
            room = (bounds[1] - bounds[0]) * (1 - all_of_n_limit(n, tail))
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


def _checked(
    scores: ArrayLike, labels: ArrayLike
) -> tuple[Float64[np.ndarray, "*row example"], Shaped[np.ndarray, " example"]]:
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
