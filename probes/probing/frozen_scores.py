"""What scores of a frozen probe say: how much noise they survive, whether only the threshold moved."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Shaped
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from probes.errors import InputError
from probes.probing.frozen import FrozenScore, score_frozen
from probes.stats.clusters import clusters_of, sums_by_cluster
from probes.stats.estimates import Estimate, auroc
from probes.stats.jackknife import Measured, Tested, combined

MOST_NOISE = 1e4
"""With this much noise, in standard deviations of the site, any probe is taken to be at chance."""


def fragility(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, weights: ArrayLike, residual_std: ArrayLike
) -> Estimate:
    """How much noise in the activations brings the AUROC of a frozen probe half way down to chance.

    This is sigma* of arXiv 2606.11375, with AUROC in place of accuracy and an expectation in place of random
    draws. Independent Gaussian noise of standard deviation sigma * s_j on each feature j adds to a score w.x
    noise of variance sigma^2 tau^2, where tau^2 = sum_j w_j^2 s_j^2. The expected AUROC is therefore the mean
    over positives a and negatives b of Phi((score_a - score_b) / (sigma tau sqrt 2)), and sigma* is where it
    equals (AUROC + 1/2) / 2. Its unit is the site's own standard deviation s, so that activations that merely
    grew do not look more robust. It is larger where the concept is spread over many features.

    Parameters
    ----------
    scores : float array `[example]`
        Of the probe.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The independent units: pairs or templates.
    weights : float array `[d]`
        Of the probe.
    residual_std : float array `[d]`, or one float
        The standard deviation of each feature within the classes; one number means isotropic noise.

    Returns
    -------
    Estimate
        Its interval is computed on the logarithm. All NaN where the AUROC, or the AUROC without one of the
        groups, is not above 1/2, because then there is nothing to lose.

    Raises
    ------
    InputError
        For sizes that do not fit.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    >>> values = rng.normal(size=(60, 4)) + labels[:, None]
    >>> fragility(values.sum(1), labels, pairs, weights=np.ones(4), residual_std=np.ones(4))
    Estimate(value=2.34, low=1.96, high=2.80, n=30)
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    member = clusters_of(groups, labels.size)
    auroc(scores, labels)  # refuses scores and labels that cannot be used
    weights, std = np.asarray(weights, dtype=np.float64), np.asarray(residual_std, dtype=np.float64)
    if weights.ndim != 1 or std.shape not in ((), weights.shape) or not (std >= 0).all():
        raise InputError(
            f"weights {weights.shape} and residual_std {std.shape}: expected [d] and [d], or one"
        )
    tau = float(np.sqrt((weights**2 * std**2).sum()))
    if tau == 0:
        raise InputError("the probe's weights are 0 wherever the site varies: expected a fitted probe")
    n = int(member.max()) + 1
    gaps = (scores[labels == 1][:, None] - scores[labels == 0]) / (tau * np.sqrt(2))
    owners = member[labels == 1], member[labels == 0]
    everything = np.ones(gaps.shape)
    value = _half_way(gaps, everything)
    left_out = [_half_way(gaps, (owners[0] != k)[:, None] * (owners[1] != k)) for k in range(n)]
    if not np.isfinite([value, *left_out]).all():
        return Estimate(float("nan"), float("nan"), float("nan"), n)
    log = combined([Measured(np.array([value]), np.array([left_out]))], [1])
    return Estimate(*(float(np.exp(x)) for x in (log.value, log.low, log.high)), n=n)


def threshold_drift(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, threshold: float = 0.0
) -> FrozenScore:
    """AUROC of frozen scores, accuracy at the probe's own threshold, and accuracy at the mean score.

    An AUROC that stays while the accuracy falls means that the threshold drifted, not that the concept is
    gone. The mean score is that of these very examples, found without their labels. Accuracy hardly changes
    near it, so that its own error does not widen the interval. `probes.probing.frozen_auroc` does the same
    for extracted activations.

    Parameters
    ----------
    scores : float array `[example]`
        Of the frozen probe.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The independent units: pairs or templates.
    threshold : float
        The probe's own threshold.

    Returns
    -------
    FrozenScore

    Raises
    ------
    InputError
        For scores that are not finite, or sizes that differ.

    Example
    -------
    >>> labels, pairs = np.tile([0, 1], 8), np.repeat(np.arange(8), 2)
    >>> drifted = threshold_drift(labels + 5.0, labels, pairs, threshold=0.5)
    >>> drifted.accuracy.value, drifted.accuracy_recentred.value
    (0.5, 1.0)
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(int)
    return score_frozen(scores, labels, np.asarray(groups), threshold, float(scores.mean()))


def margin_kept(after: ArrayLike, before: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> Tested:
    """How much of the gap between the class means of a frozen probe's scores is left at a later stage.

    It is the gap after divided by the gap before: 1 where nothing changed, 0 where the direction carries
    nothing any more, and below 0 where it points the other way. Unlike AUROC it does not saturate.

    Parameters
    ----------
    after, before : float array `[example]`
        Scores of one frozen probe on the same examples at the later and at the earlier stage.
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        The independent units: pairs or templates.

    Returns
    -------
    Tested
        Its p is that of "the share is above 0". All NaN where the gap before, or the gap without one of the
        groups, is not above 0, because then there is nothing to keep.

    Raises
    ------
    InputError
        For scores that are not finite, or sizes that differ.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> labels, pairs = np.tile([0, 1], 30), np.repeat(np.arange(30), 2)
    >>> before = labels + rng.normal(size=60)
    >>> margin_kept(0.5 * before, before, labels, pairs).value
    0.5
    """
    rows, labels = np.asarray([after, before], dtype=np.float64), np.asarray(labels)
    for row in rows:
        auroc(row, labels)  # refuses scores and labels that cannot be used
    member = clusters_of(groups, labels.size)
    n = int(member.max()) + 1

    def gaps(row: NDArray) -> NDArray:
        """The gap with all examples, and without each cluster in turn, `[1 + cluster]`."""
        means = []
        for side in (labels == 1, labels == 0):
            total, size = (x.sum() - np.append(0.0, sums_by_cluster(x, member)) for x in (row * side, side))
            means.append(total / size)
        return means[0] - means[1]

    later, own = map(gaps, rows)
    if not (own > 0).all():
        return Tested(*[float("nan")] * 3, n=n, p=float("nan"))
    shares = later / own
    return combined([Measured(shares[:1], shares[None, 1:])], [1])


def _half_way(
    gaps: Float64[np.ndarray, "positive negative"], kept: Shaped[np.ndarray, "positive negative"]
) -> float:
    """The logarithm of the noise at which the expected AUROC is half way to 1/2.

    gaps `[positive, negative]` are in standard deviations of the noise at noise 1; kept, of the same shape,
    is 0 for comparisons that are left out.
    """
    share = kept / kept.sum()
    target = (((np.sign(gaps) + 1) / 2 * share).sum() + 0.5) / 2

    def excess(log_noise: float) -> float:
        return float((ndtr(gaps / np.exp(log_noise)) * share).sum() - target)

    low, high = np.log([1 / MOST_NOISE, MOST_NOISE])
    return float(brentq(excess, low, high)) if excess(low) > 0 > excess(high) else float("nan")  # pyright: ignore
