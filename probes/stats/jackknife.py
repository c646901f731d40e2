"""Weighted sums of AUROCs or means, with intervals that hold for few clusters and few training seeds.

`probes.stats.estimates` estimates one mean on its own; here several quantities that were measured on the same
clusters are combined. A bootstrap interval is too narrow for 8 templates or 4 training seeds, and for a
difference of AUROCs near 1 (`probes.validation.calibrate` measures by how much). Therefore:

- variances and covariances are the jackknife's over clusters (Miller 1974, doi:10.1093/biomet/61.1.1), plus
  those over training seeds;
- quantiles are those of Student's t with Satterthwaite's degrees of freedom (1946, doi:10.2307/3002019);
- quantities between 0 and 1 have this distribution on the logit scale, jointly, and the distribution of their
  weighted sum follows from it. This makes a generalised confidence interval (Weerahandi 1993,
  doi:10.1080/01621459.1993.10476355).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float64, Int, Shaped
from numpy.typing import ArrayLike
from scipy.special import chdtri, expit, logit, ndtr, ndtri, stdtr, stdtrit
from scipy.stats.qmc import Sobol

from probes.errors import InputError
from probes.stats.clusters import clusters_of, means_without_each, sums_by_cluster
from probes.stats.estimates import LEVEL, Estimate, all_of_n_limit, auroc

POINTS = 2**13
"""Number of quasi-random points at which the distribution of a sum of bounded quantities is evaluated."""


@dataclass(frozen=True)
class Tested(Estimate):
    """An estimate with the one-sided p-value of "the quantity is above its null value".

    The p-value is the level at which the lower end of the interval would lie at the null value. It is never
    below 2^-n, which is the least that n clusters can give to a test of signs, and for sums of bounded
    quantities never below 1 / `POINTS`. The two-sided p-value is twice the smaller of p and 1 - p.

    Attributes
    ----------
    value, low, high, n
        As in `Estimate`.
    p : float
        The null value is 0 unless the function that made the estimate says otherwise.

    Example
    -------
    >>> Tested(0.9, low=0.8, high=0.95, n=40, p=0.001).p
    0.001
    """

    __test__ = False  # pytest takes classes called Test... for tests

    p: float


@dataclass(frozen=True)
class Measured:
    """One quantity, measured on all clusters and again without each of them.

    Attributes
    ----------
    values : float array `[training seed]`
        The quantity on all clusters.
    left_out : float array `[training seed, cluster]` or `[1, cluster]`
        The quantity when one cluster is left out; one row where it is the mean over training seeds.

    Example
    -------
    >>> Measured(values=np.array([2.0]), left_out=np.array([[1.5, 2.0, 2.5]])).left_out.shape
    (1, 3)
    """

    values: Float64[np.ndarray, " seed"]
    left_out: Float64[np.ndarray, "#seed cluster"]


def auroc_contrast(
    scores: Sequence[ArrayLike],
    weights: Sequence[float],
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    null: float = 0.0,
    level: float = LEVEL,
) -> Tested:
    """A weighted sum of AUROCs measured on the same examples, sum_i weights_i * AUROC(scores_i).

    Weights [1] give one AUROC with its interval, [1, -1] a difference of two, [1, -1, -1, 1] a difference in
    differences.

    Parameters
    ----------
    scores : sequence of float arrays `[example]` or `[training seed, example]`
        Higher for label 1. Those with several training seeds have the same number of them, are paired by
        seed, and are averaged.
    weights : sequence of float
        One for each entry of `scores`.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The independent units: pairs, or templates where several pairs share one.
    null : float
        The p-value is that of "the sum is above this"; 0.5 is chance for one AUROC.
    level : float
        Coverage of the interval.

    Returns
    -------
    Tested

    Raises
    ------
    InputError
        For scores that are not finite, labels other than 0 and 1, a class that is all in one group, or
        numbers of training seeds that differ.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    >>> scores = 1.5 * labels + rng.normal(size=60)
    >>> auroc_contrast([scores], [1], labels, pairs, null=0.5)
    Tested(value=0.93, low=0.85, high=0.97, n=30, p=0.000)
    """
    labels, member = np.asarray(labels), clusters_of(groups, np.size(labels))
    measured = [_auroc_without_each(np.atleast_2d(np.asarray(s, float)), labels, member) for s in scores]
    return combined(measured, weights, bounded=True, null=null, level=level)


def mean_contrast(
    values: Sequence[ArrayLike],
    weights: Sequence[float],
    groups: ArrayLike,
    *,
    bounded: bool = False,
    null: float = 0.0,
    level: float = LEVEL,
) -> Tested:
    """A weighted sum of means measured on the same examples.

    For one mean over groups of equal size this is the t-test, for a difference of two the paired t-test.

    Parameters
    ----------
    values : sequence of float arrays `[example]` or `[training seed, example]`
        What is averaged.
    weights : sequence of float
        One for each entry of `values`.
    groups : array `[example]`
        The independent units.
    bounded : bool
        True says that the values lie between 0 and 1 (rates); the interval then stays inside.
    null : float
        The p-value is that of "the sum is above this".
    level : float
        Coverage of the interval.

    Returns
    -------
    Tested

    Raises
    ------
    InputError
        For values that are not finite, or outside [0, 1] when bounded.

    Example
    -------
    >>> before, after = np.array([0.1, 0.3, 0.2, 0.4]), np.array([0.4, 0.5, 0.6, 0.7])
    >>> mean_contrast([after, before], [1, -1], groups=[0, 1, 2, 3])
    Tested(value=0.30, low=0.17, high=0.43, n=4, p=0.06)
    """
    rows = [np.atleast_2d(np.asarray(v, dtype=np.float64)) for v in values]
    member = clusters_of(groups, rows[0].shape[-1])
    for row in rows:
        if row.shape[-1] != member.size or not np.isfinite(row).all():
            raise InputError(
                f"values {row.shape}: expected finite numbers, one for each of {member.size} rows"
            )
        if bounded and not ((row >= 0) & (row <= 1)).all():
            raise InputError("values outside [0, 1]: expected rates, or bounded=False")
    measured = [Measured(row.mean(-1), means_without_each(row, member)) for row in rows]
    return combined(measured, weights, bounded=bounded, null=null, level=level)


def ratio_of_means(
    numerators: ArrayLike,
    denominators: ArrayLike,
    groups: ArrayLike,
    *,
    null: float = 0.0,
    level: float = LEVEL,
) -> Tested:
    """The ratio of two means over the same examples: what share of one quantity another is.

    Parameters
    ----------
    numerators, denominators : float array `[example]`
        What is a share, and what it is a share of.
    groups : array `[example]`
        The independent units.
    null : float
        The p-value is that of "the ratio is above this".
    level : float
        Coverage of the interval.

    Returns
    -------
    Tested

    Raises
    ------
    InputError
        For values that are not finite, fewer than 2 units, or denominators whose mean is 0, with all units or
        without one of them.

    Example
    -------
    >>> ratio_of_means([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], groups=[0, 1, 2]).value
    0.5
    """
    rows = np.stack([np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)])
    if not np.isfinite(rows).all():
        raise InputError("values hold NaN or infinity: expected finite numbers")
    member = clusters_of(groups, rows.shape[-1])
    wholes = [rows[1].mean(), *means_without_each(rows[1:], member)[0]]
    if not np.all(wholes):
        raise InputError("the denominators have a mean of 0, so there is no share of it")
    shares = np.array([rows[0].mean(), *means_without_each(rows[:1], member)[0]]) / wholes
    return combined([Measured(shares[:1], shares[None, 1:])], [1], null=null, level=level)


def combined(
    measured: Sequence[Measured],
    weights: Sequence[float],
    *,
    bounded: bool = False,
    null: float = 0.0,
    level: float = LEVEL,
) -> Tested:
    """A weighted sum of any quantities that were measured on the same clusters.

    Parameters
    ----------
    measured : sequence of Measured
        The quantities. A bounded one that is exactly 0 or 1 gets the exact binomial limit for n clusters of n
        (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404).
    weights : sequence of float
        One for each quantity.
    bounded : bool
        True says that each quantity lies between 0 and 1.
    null : float
        The p-value is that of "the sum is above this".
    level : float
        Coverage of the interval.

    Returns
    -------
    Tested

    Raises
    ------
    InputError
        For fewer than 2 clusters, or numbers of training seeds that differ.

    Example
    -------
    >>> left_out = np.array([[1.1, 0.9, 1.0, 1.2]])
    >>> combined([Measured(np.array([1.05]), left_out)], [1]).n
    4
    """
    part = _Parts.of(measured, np.asarray(weights, dtype=np.float64), (1 - level) / 2)
    if not bounded:
        low, high, p = part.unbounded(null)
    elif len(part.weights) == 1 and part.weights[0] == 1:
        low, high, p = part.single(null)
    else:
        low, high, p = part.bounded(null)
    return Tested(part.value, low, high, part.n, max(p, 0.5**part.n))


@dataclass(frozen=True)
class _Parts:
    """What is summed: means over training seeds, weights, covariance, and the sum's degrees of freedom.

    `n` is the number of clusters, and `tail` the probability outside either end of the interval.
    """

    means: Float64[np.ndarray, " quantity"]
    weights: Float64[np.ndarray, " quantity"]
    covariance: Float64[np.ndarray, "quantity quantity"]
    freedom: float
    n: int
    tail: float

    @classmethod
    def of(
        cls, measured: Sequence[Measured], weights: Float64[np.ndarray, " quantity"], tail: float
    ) -> _Parts:
        seeds = {m.values.size for m in measured} - {1}
        if len(seeds) > 1 or len(weights) != len(measured):
            raise InputError(
                f"{len(measured)} quantities of {sorted(seeds)} training seeds, {len(weights)} weights: "
                "expected a weight each, and one number of seeds (or 1)"
            )
        n = measured[0].left_out.shape[-1]
        left_out = np.stack([m.left_out.mean(0) for m in measured])
        away = left_out - left_out.mean(1, keepdims=True)
        over_clusters = (n - 1) / n * away @ away.T
        over_seeds, seed_freedom = np.zeros_like(over_clusters), 1
        if seeds:
            n_seeds = seeds.pop()
            spread = np.stack([np.broadcast_to(m.values - m.values.mean(), n_seeds) for m in measured])
            seed_freedom = n_seeds - 1
            over_seeds = spread @ spread.T / (seed_freedom * n_seeds)
        cluster_part, seed_part = weights @ over_clusters @ weights, weights @ over_seeds @ weights
        freedom = float(n - 1)
        if seed_part > 0:
            squares = cluster_part**2 / (n - 1) + seed_part**2 / seed_freedom
            freedom = float((cluster_part + seed_part) ** 2 / squares)
        means = np.array([m.values.mean() for m in measured])
        return cls(means, weights, over_clusters + over_seeds, freedom, n, tail)

    @property
    def value(self) -> float:
        return float(self.weights @ self.means)

    def unbounded(self, null: float) -> tuple[float, float, float]:
        """Both ends of the interval and p, for a sum whose parts can have any value: Student's t."""
        error = float(np.sqrt(self.weights @ self.covariance @ self.weights))
        return self._student(self.value, error, null)

    def single(self, null: float) -> tuple[float, float, float]:
        """The same for one quantity between 0 and 1: Student's t on the logit scale."""
        value, far = float(self.means[0]), all_of_n_limit(self.n, self.tail)
        if value >= 1:
            return far, 1.0, null**self.n
        if value <= 0:
            return 0.0, 1 - far, 1 - (1 - null) ** self.n
        error = float(np.sqrt(self.covariance[0, 0])) / (value * (1 - value))
        low, high, p = self._student(float(logit(value)), error, float(logit(null)))
        return float(expit(low)), float(expit(high)), p

    def _student(self, value: float, error: float, null: float) -> tuple[float, float, float]:
        reach = error * float(stdtrit(self.freedom, 1 - self.tail))
        above = value - null
        statistic = above / error if error > 0 else np.inf * np.sign(above) if above else 0.0
        return value - reach, value + reach, float(stdtr(self.freedom, -statistic))

    def bounded(self, null: float) -> tuple[float, float, float]:
        """The same for a sum whose parts lie between 0 and 1, from its distribution at `POINTS` points."""
        errors = np.sqrt(np.diag(self.covariance))
        scale = np.outer(errors, errors)
        correlation = np.divide(self.covariance, scale, out=np.eye(len(errors)), where=scale > 0)
        roots, axes = np.linalg.eigh(correlation)
        normal = _points(len(errors)) @ (axes * np.sqrt(np.maximum(roots, 0.0))).T
        student = normal * _stretch(len(errors), self.freedom)
        at_0, at_1 = self.means <= 0, self.means >= 1
        inside = np.where(at_0 | at_1, 0.5, self.means)
        drawn = expit(logit(inside) + student * errors / (inside * (1 - inside)))
        edge = ndtr(normal) ** (1 / self.n)
        total = np.where(at_1, edge, np.where(at_0, 1 - edge, drawn)) @ self.weights
        low, high = np.quantile(total, [self.tail, 1 - self.tail])
        tied = np.abs(total - null) <= 1e-12
        p = max(1 / POINTS, float((total < null - 1e-12).mean() + tied.mean() / 2))
        return float(low), float(high), p


@lru_cache(maxsize=8)
def _uniform(width: int) -> Float64[np.ndarray, "point {width+1}"]:
    """Points `[POINTS, width + 1]` that fill the unit cube evenly; they are the same in every call."""
    return np.clip(Sobol(width + 1, rng=np.random.default_rng(0)).random(POINTS), 1e-12, 1 - 1e-12)


@lru_cache(maxsize=8)
def _points(width: int) -> Float64[np.ndarray, "point {width}"]:
    """Standard normal points `[POINTS, width]`."""
    return ndtri(_uniform(width)[:, :width])


@lru_cache(maxsize=64)
def _stretch(width: int, freedom: float) -> Float64[np.ndarray, "point 1"]:
    """Factors `[POINTS, 1]` that turn normal points into points of Student's t."""
    return np.sqrt(freedom / chdtri(freedom, _uniform(width)[:, width:]))


def _auroc_without_each(
    rows: Float64[np.ndarray, "seed example"],
    labels: Shaped[np.ndarray, " example"],
    member: Int[np.ndarray, " example"],
) -> Measured:
    """AUROC of scores `[training seed, example]`, and again without each cluster.

    Of all comparisons between a positive and a negative example, those of the cluster's positives and those
    of its negatives are taken away; comparisons between the two were then taken away twice, and are added
    back once.
    """
    values, positive = auroc(rows, labels), labels == 1
    n = np.bincount(member)
    n_positive = np.bincount(member[positive], minlength=len(n))
    total = (n_positive.sum() - n_positive) * ((~positive).sum() - (n - n_positive))
    if (total == 0).any():
        raise InputError("all examples of one class are in one group: expected each class in 2 or more")
    everywhere = np.zeros_like(member)
    left_out = np.empty((len(rows), len(n)))
    for i, row in enumerate(rows):
        own = sums_by_cluster(_wins(row, positive, everywhere), member)
        both = sums_by_cluster(np.where(positive, _wins(row, positive, member), 0.0), member)
        left_out[i] = (own.sum() / 2 - own + both) / total
    return Measured(values, left_out)


def _wins(
    scores: Float64[np.ndarray, " example"],
    positive: Bool[np.ndarray, " example"],
    member: Int[np.ndarray, " example"],
) -> Float64[np.ndarray, " example"]:
    """For each example, how many examples of the other class in its cluster it is compared with rightly.

    A positive example is right above a negative one; a tie counts half. Every comparison is counted at both
    examples.
    """
    _, rank = np.unique(scores, return_inverse=True)
    place = member * (rank.max() + 2) + rank + 1  # first by cluster, then by score
    start = member * (rank.max() + 2)
    wins = np.empty(scores.size)
    for one, sign in ((positive, 1), (~positive, -1)):
        other = np.sort(place[~one])
        below, upto = (np.searchsorted(other, place[one], side) for side in ("left", "right"))
        first = np.searchsorted(other, start[one])
        last = np.searchsorted(other, start[one] + rank.max() + 2)
        wins[one] = (below + upto) / 2 - first if sign > 0 else last - (below + upto) / 2
    return wins
