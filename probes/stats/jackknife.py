"""Contrasts of AUROCs and means whose intervals and p-values hold with few clusters and few training seeds.

Apart from `probes.stats.estimates` because there one mean is estimated on its own; here several quantities,
measured on the same clusters, are combined. A bootstrap of 8 templates or 4 training seeds is too narrow, and
so is that of a difference of AUROCs near 1 (`probes.organisms.calibrate` measures it). Hence: variances and
covariances are the jackknife's over clusters (Miller 1974, doi:10.1093/biomet/61.1.1) plus those over
training seeds; quantiles are Student's t with Satterthwaite's degrees of freedom (1946,
doi:10.2307/3002019); quantities between 0 and 1 have this distribution on the logit scale, all of them
together, and that of their weighted sum follows from it (a generalised confidence interval, Weerahandi 1993,
doi:10.1080/01621459.1993.10476355).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, expit, logit, ndtr, ndtri, stdtr, stdtrit
from scipy.stats.qmc import Sobol

from probes.errors import InputError
from probes.stats.estimates import LEVEL, Estimate, auroc

POINTS = 2**13
"""Quasi-random points that the distribution of a sum of bounded quantities is evaluated at."""


@dataclass(frozen=True)
class Tested(Estimate):
    """An estimate with the one-sided p-value of "the quantity is above its null value" (0, or as said).

    It is the level at which the interval's lower end would be the null value, and never below 2^-n, the least
    that n clusters can give to a test of signs, nor for bounded quantities below 1 / `POINTS`. The two-sided
    p-value is twice the smaller of p and 1 - p.
    """

    p: float


@dataclass(frozen=True)
class Measured:
    """One quantity: of each training seed `[seed]`, and without each cluster in turn `[seed, cluster]`."""

    values: NDArray[np.float64]
    left_out: NDArray[np.float64]


def auroc_contrast(
    scores: Sequence[ArrayLike],
    weights: Sequence[float],
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    null: float = 0.0,
    level: float = LEVEL,
) -> Tested:
    """Weighted sum of AUROCs measured on the same examples: sum_i weights_i * AUROC(scores_i).

    Parameters: scores, each `[example]` or `[training seed, example]`: those with several seeds have the same
    number, are paired by seed and averaged; weights, one for each; labels `[example]` in {0, 1}; groups
    `[example]`, the independent units (pairs, or templates where pairs share one); null, the value to beat;
    level, coverage of the interval.
    Raises InputError for scores that are not finite, labels other than 0 and 1, a class that is all in one
    group, or numbers of seeds that differ.
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
    """Weighted sum of means measured on the same examples; of one mean over groups of equal size it is the
    t-test. Parameters as in `auroc_contrast`; bounded, the values lie between 0 and 1 (rates).
    Raises InputError for values that are not finite, or outside [0, 1] when bounded.
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
    kept = (np.arange(member.max() + 1)[:, None] != member).astype(np.float64)
    measured = [Measured(row.mean(-1), row @ kept.T / kept.sum(-1)) for row in rows]
    return combined(measured, weights, bounded=bounded, null=null, level=level)


def combined(
    measured: Sequence[Measured],
    weights: Sequence[float],
    *,
    bounded: bool = False,
    null: float = 0.0,
    level: float = LEVEL,
) -> Tested:
    """Weighted sum of quantities measured on the same clusters; bounded: each lies between 0 and 1.

    A bounded quantity that is exactly 0 or 1 gets the exact binomial limit for n clusters of n (Clopper &
    Pearson 1934). Raises InputError for fewer than 2 clusters or numbers of seeds that differ.
    """
    part = _Parts.of(measured, np.asarray(weights, dtype=np.float64), (1 - level) / 2)
    if not bounded:
        low, high, p = part.unbounded(null)
    elif len(part.weights) == 1 and part.weights[0] == 1:
        low, high, p = part.single(null)
    else:
        low, high, p = part.bounded(null)
    return Tested(part.value, low, high, part.n, max(p, 0.5**part.n))


def clusters_of(groups: ArrayLike, n_examples: int) -> NDArray[np.int64]:
    """The number of each example's group, `[example]`. Raises InputError for fewer than 2 groups."""
    groups = np.asarray(groups)
    if groups.shape != (n_examples,):
        raise InputError(f"groups have shape {groups.shape}: expected one per example, ({n_examples},)")
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"{len(names)} group: an interval needs at least 2 independent ones (pairs)")
    return member


@dataclass(frozen=True)
class _Parts:
    """What is summed: means over seeds, weights, covariance, degrees of freedom of the sum's variance; tail,
    the probability outside either end of the interval."""

    means: NDArray
    weights: NDArray
    covariance: NDArray
    freedom: float
    n: int
    tail: float

    @classmethod
    def of(cls, measured: Sequence[Measured], weights: NDArray, tail: float) -> _Parts:
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
        """Both ends of the interval and p, of a sum whose parts can have any value: Student's."""
        error = float(np.sqrt(self.weights @ self.covariance @ self.weights))
        return self._student(self.value, error, null)

    def single(self, null: float) -> tuple[float, float, float]:
        """The same of one quantity between 0 and 1: Student's on the logit scale."""
        value, far = float(self.means[0]), self.tail ** (1 / self.n)
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
        """The same of a sum whose parts lie between 0 and 1, from its distribution at `POINTS` points."""
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
def _uniform(width: int) -> NDArray[np.float64]:
    """Points `[POINTS, width + 1]` that fill the unit cube evenly, the same in every call."""
    return np.clip(Sobol(width + 1, rng=np.random.default_rng(0)).random(POINTS), 1e-12, 1 - 1e-12)


@lru_cache(maxsize=8)
def _points(width: int) -> NDArray[np.float64]:
    """Standard normal points `[POINTS, width]`."""
    return ndtri(_uniform(width)[:, :width])


@lru_cache(maxsize=64)
def _stretch(width: int, freedom: float) -> NDArray[np.float64]:
    """What makes Student's t of normal points, `[POINTS, 1]`."""
    return np.sqrt(freedom / chdtri(freedom, _uniform(width)[:, width:]))


def _auroc_without_each(rows: NDArray, labels: NDArray, member: NDArray) -> Measured:
    """AUROC of scores `[seed, example]`, and without each cluster: of all comparisons, those of its own
    positives, those of its own negatives are taken away, those between the two given back."""
    values = auroc(rows, labels)
    inside = member[:, None] == np.arange(member.max() + 1)
    positive, negative = inside[labels == 1].astype(float), inside[labels == 0].astype(float)
    total = (len(positive) - positive.sum(0)) * (len(negative) - negative.sum(0))
    if (total == 0).any():
        raise InputError("all examples of one class are in one group: expected each class in 2 or more")
    left_out = np.empty((len(rows), positive.shape[1]))
    for i, row in enumerate(rows):
        wins = (np.sign(row[labels == 1][:, None] - row[labels == 0]) + 1) / 2
        own_positive = positive.T @ wins
        own_negative = wins.sum(0) @ negative
        both = (own_positive * negative.T).sum(1)
        left_out[i] = (wins.sum() - own_positive.sum(1) - own_negative + both) / total
    return Measured(values, left_out)
