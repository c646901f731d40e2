"""What scores of a frozen probe say: how much noise they stand, and whether only their threshold moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from probes.errors import InputError
from probes.probing import FrozenScore
from probes.stats.estimates import Estimate, auroc
from probes.stats.jackknife import (
    Measured,
    Tested,
    auroc_contrast,
    clusters_of,
    combined,
    mean_contrast,
)

MOST_NOISE = 1e4
"""Noise, in standard deviations of the site, at which any probe is taken to be at chance."""


def fragility(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, weights: ArrayLike, residual_std: ArrayLike
) -> Estimate:
    """sigma*, the scale of activation noise at which a frozen linear probe's AUROC falls half way to chance
    (after arXiv 2606.11375, with AUROC in place of accuracy and the expectation in place of draws).

    Independent Gaussian noise of standard deviation sigma * s_j on each feature j moves a score w.x by noise
    of variance sigma^2 tau^2, tau^2 = sum_j w_j^2 s_j^2, so the expected AUROC is known: the mean over
    positives a and negatives b of Phi((score_a - score_b) / (sigma tau sqrt 2)). sigma* is where it equals
    (AUROC + 1/2) / 2. It is in units of the site's own residual standard deviation s, so that activations
    that only grew do not look more robust; it is larger where the concept is spread over many features.

    Parameters: scores `[example]`, those of the probe; labels `[example]` in {0, 1}; groups `[example]`;
    weights `[d]` of the probe; residual_std `[d]`, standard deviation of each feature within the classes (or
    one number, for isotropic noise). The interval is made on the logarithm. NaN throughout where the AUROC,
    or that without one of the groups, is not above 1/2: there is nothing to lose.
    Raises InputError for sizes that do not fit.
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
    told = combined([Measured(np.array([value]), np.array([left_out]))], [1])
    return Estimate(*(float(np.exp(x)) for x in (told.value, told.low, told.high)), n=n)


def threshold_drift(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, threshold: float = 0.0
) -> FrozenScore:
    """AUROC of frozen scores, accuracy at the probe's own threshold, and accuracy at the mean score.

    AUROC that stays while accuracy falls is a threshold that drifted, not a concept that went. The mean score
    is that of these very examples, found without their labels; near it accuracy is flat, so that its own
    error does not widen the interval. `probes.frozen_auroc` does the same for extracted activations.

    Parameters: scores `[example]`; labels `[example]` in {0, 1}; groups `[example]`. Raises InputError for
    scores that are not finite, or sizes that differ.
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(int)
    ranks = auroc_contrast([scores], [1], labels, groups, null=0.5)

    def accuracy(at: float) -> Estimate:
        return mean_contrast([(scores > at) == labels], [1], groups, bounded=True, null=0.5)

    return FrozenScore(ranks, accuracy(threshold), accuracy(float(scores.mean())))


def margin_kept(after: ArrayLike, before: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> Tested:
    """The gap between the class means of a probe's scores at a later stage, as a share of the gap of the same
    probe's scores before: 1 where nothing changed, 0 where the direction carries nothing any more or points
    elsewhere, below 0 where it points the other way. Unlike AUROC it does not saturate.

    Parameters: after and before, scores `[example]` of one frozen probe on the same examples at both stages;
    labels `[example]` in {0, 1}; groups `[example]`. p: that the share is above 0. NaN throughout where the
    gap before, or that without one of the groups, is not above 0: there is nothing to keep. Raises InputError
    for scores that are not finite or sizes that differ.
    """
    rows, labels = np.asarray([after, before], dtype=np.float64), np.asarray(labels)
    for row in rows:
        auroc(row, labels)  # refuses scores and labels that cannot be used
    member = clusters_of(groups, labels.size)
    left = np.arange(member.max() + 1)[:, None] != member
    keep = np.concatenate([np.ones((1, labels.size), bool), left])

    def gaps(row: NDArray) -> NDArray:
        """With all examples, and without each cluster in turn."""
        sides = [(keep * (labels == k)).astype(float) for k in (1, 0)]
        return sides[0] @ row / sides[0].sum(-1) - sides[1] @ row / sides[1].sum(-1)

    later, own = map(gaps, rows)
    if not (own > 0).all():
        return Tested(*[float("nan")] * 3, n=len(left), p=float("nan"))
    shares = later / own
    return combined([Measured(shares[:1], shares[None, 1:])], [1])


def _half_way(gaps: NDArray, kept: NDArray) -> float:
    """Logarithm of the noise at which the expected AUROC is half way to 1/2; gaps `[positive, negative]` in
    noise deviations at noise 1, kept of the same shape, 0 for comparisons that are left out."""
    share = kept / kept.sum()
    target = (((np.sign(gaps) + 1) / 2 * share).sum() + 0.5) / 2

    def excess(log_noise: float) -> float:
        return float((ndtr(gaps / np.exp(log_noise)) * share).sum() - target)

    low, high = np.log([1 / MOST_NOISE, MOST_NOISE])
    return float(brentq(excess, low, high)) if excess(low) > 0 > excess(high) else float("nan")  # pyright: ignore
