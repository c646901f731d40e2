"""Simulated activations, for which the true value of every estimate is known exactly.

They are the exam of the toolkit's statistics alone, without a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from probes.errors import InputError
from probes.probing import Splits

SPLITS = (1 / 2, 1 / 6, 1 / 3)
"""Shares of the templates that train a probe, choose its layer, and test it; about as in the packaged
concepts."""
LEXICAL_WIDTH = 8
"""Dimension of the space in which the wording of templates moves activations."""
SHARED = 0.5
"""Share of the noise of a text that is the same in every model and at every layer."""


@dataclass(frozen=True)
class Setting:
    """What is simulated. Lengths are in standard deviations of an ordinary feature.

    Example
    -------
    24 templates of 5 pairs, in which only the wording of a template separates its texts:

    >>> Setting(n_templates=24, lexical=3.0)
    Setting(n_pairs=120, n_templates=24, width=48, n_layers=4, strength=0.0, lexical=3.0, ...)
    """

    n_pairs: int = 120
    n_templates: int = 120
    """Templates of equal size, to which the pairs are dealt."""
    width: int = 48
    """Features of an activation."""
    n_layers: int = 4
    strength: float = 0.0
    """Distance between the class means along the concept's direction, at the layer where it is largest."""
    lexical: float = 0.0
    """Length by which the wording of a template moves its positive texts one way and its negative texts the
    other way, along a direction that other templates do not share."""
    template: float = 0.3
    """Standard deviation, in each feature, of what the texts of a template have in common."""
    pair: float = 0.5
    """The same for the two texts of a pair."""
    outliers: int = 3
    """Features that are `outlier_scale` times as large as the others."""
    outlier_scale: float = 30.0


@dataclass(frozen=True, eq=False)
class Simulated:
    """Simulated activations, and the truth about them.

    The methods say how a linear probe with fixed weights does in the population, which is fresh texts of
    fresh templates, with positive and negative texts drawn independently. Scores are Gaussian there, so these
    values are exact. In all of them `weights` are `[d]`, and `model` and `layer` are indices of `gaps`.

    Example
    -------
    >>> from probes.validation import Setting, simulate
    >>> simulated = simulate(Setting(strength=2.0), seed=0)
    >>> best = simulated.gaps[0].std(axis=-1).argmax()
    >>> direction = simulated.gaps[0, best]
    >>> simulated.auroc(direction, layer=best) > simulated.auroc(direction, layer=0) > 0.5
    True
    """

    values: NDArray[np.float64]
    """`[model, layer, example, d]`: the activations."""
    labels: NDArray[np.int64]
    """`[example]`: 0 or 1."""
    pairs: NDArray[np.int64]
    """`[example]`: number of the pair."""
    templates: NDArray[np.int64]
    """`[example]`: number of the template."""
    splits: Splits
    gaps: NDArray[np.float64]
    """`[model, layer, d]`: true difference between the class means. The mean of both classes is 0."""
    covariance: NDArray[np.float64]
    """`[d, d]`: true covariance of the texts of one class, the same for both."""

    def separation(self, weights: ArrayLike, model: int = 0, layer: int = 0) -> tuple[float, float]:
        """Distance between the class means of a probe's scores, and their standard deviation within a class.

        Example
        -------
        >>> from probes.validation import Setting, simulate
        >>> simulated = simulate(Setting(strength=0.0), seed=0)
        >>> gap, std = simulated.separation(np.ones(48))
        >>> gap
        0.0
        """
        weights = np.asarray(weights, dtype=np.float64)
        variance = weights @ self.covariance @ weights
        return float(weights @ self.gaps[model, layer]), float(np.sqrt(variance))

    def auroc(self, weights: ArrayLike, model: int = 0, layer: int = 0) -> float:
        """Probability that a positive text scores above a negative one.

        Example
        -------
        >>> from probes.validation import Setting, simulate
        >>> simulate(Setting(strength=0.0), seed=0).auroc(np.ones(48))
        0.5
        """
        gap, std = self.separation(weights, model, layer)
        return float(ndtr(gap / (std * np.sqrt(2))))

    def accuracy(self, weights: ArrayLike, threshold: float = 0.0, model: int = 0, layer: int = 0) -> float:
        """Accuracy of calling texts positive whose score is above the threshold, with as many positive as
        negative texts.

        Example
        -------
        >>> from probes.validation import Setting, simulate
        >>> simulate(Setting(strength=0.0), seed=0).accuracy(np.ones(48), threshold=0.3)
        0.5
        """
        gap, std = self.separation(weights, model, layer)
        return float((ndtr((gap / 2 - threshold) / std) + ndtr((gap / 2 + threshold) / std)) / 2)

    def fragility(self, weights: ArrayLike, residual_std: ArrayLike, model: int = 0, layer: int = 0) -> float:
        """Size of the noise at which the AUROC falls half way to 1/2.

        Parameters
        ----------
        residual_std : `[d]`, the unit in which noise is added to each feature.

        Returns
        -------
        The size in units of `residual_std`; NaN where the AUROC is below 1/2 without noise.

        Example
        -------
        >>> from probes.validation import Setting, simulate
        >>> simulated = simulate(Setting(strength=0.0), seed=0)
        >>> simulated.fragility(np.ones(48), residual_std=np.ones(48))
        nan
        """
        gap, std = self.separation(weights, model, layer)
        if gap <= 0:
            return float("nan")
        tau = np.sqrt(((np.asarray(weights) * residual_std) ** 2).sum())
        distance = gap / (std * np.sqrt(2))
        half_way = ndtri((ndtr(distance) + 0.5) / 2)
        return float(std / tau * np.sqrt((distance / half_way) ** 2 - 1))


def simulate(setting: Setting | None = None, seed: int = 0, strengths: Sequence[float] = ()) -> Simulated:
    """Draw activations of a concept's texts in one or several models.

    An activation is `scale * (template effect + pair effect + noise) + side * (gap / 2 + lexical effect)`,
    where `scale` is that of the feature and `side` is 1 for a positive and -1 for a negative text. The models
    stand for training seeds, stages, or probes that are compared. They are given the same texts, share half
    of the noise, and differ in strength.

    Parameters
    ----------
    setting : default `Setting()`.
    seed : draws everything.
    strengths : the strength in each model; default one model, with the setting's strength.

    Raises
    ------
    InputError : the pairs cannot be dealt to templates of equal size, or the templates to three splits.

    Example
    -------
    >>> simulated = simulate(Setting(n_pairs=24, n_templates=12, width=10), seed=0, strengths=(1.0, 3.0))
    >>> simulated.values.shape, len(simulated.splits.test)
    ((2, 4, 48, 10), 16)
    """
    s = setting or Setting()
    if s.n_pairs % s.n_templates or s.n_templates < 6 or s.width < LEXICAL_WIDTH:
        raise InputError(
            f"{s.n_pairs} pairs in {s.n_templates} templates, width {s.width}: expected templates of equal "
            f"size, at least 6 of them, and a width of at least {LEXICAL_WIDTH}"
        )
    rng = np.random.default_rng(seed)
    strengths = strengths or (s.strength,)
    pairs = np.repeat(np.arange(s.n_pairs), 2)
    templates = pairs // (s.n_pairs // s.n_templates)
    labels = np.tile([1, 0], s.n_pairs)
    scale = np.ones(s.width)
    scale[: s.outliers] = s.outlier_scale
    direction = rng.standard_normal(s.width)
    direction /= np.linalg.norm(direction)
    words = np.linalg.qr(rng.standard_normal((s.width, LEXICAL_WIDTH)))[0].T * (
        s.lexical / LEXICAL_WIDTH**0.5
    )

    def normal(*shape: int) -> NDArray[np.float64]:
        return rng.standard_normal((*shape, s.width))

    common = s.template * normal(s.n_templates)[templates] + s.pair * normal(s.n_pairs)[pairs]
    common += SHARED**0.5 * normal(labels.size)
    own = (1 - SHARED) ** 0.5 * normal(len(strengths), s.n_layers, labels.size)
    wording = (rng.standard_normal((s.n_templates, LEXICAL_WIDTH)) @ words)[templates]
    profile = np.sin(np.pi * np.arange(1, s.n_layers + 1) / (s.n_layers + 1))
    gaps = np.multiply.outer(np.multiply.outer(np.asarray(strengths), profile / profile.max()), direction)
    side = (2 * labels - 1)[:, None]
    values = scale * (common + own) + side * (gaps[:, :, None] / 2 + wording)
    covariance = np.diag(scale**2 * (s.template**2 + s.pair**2 + 1)) + words.T @ words
    return Simulated(values, labels, pairs, templates, _split(templates, s.n_templates), gaps, covariance)


def _split(templates: NDArray, n_templates: int) -> Splits:
    """Templates are alike, so the first ones train, the next ones choose a layer, and the last ones test."""
    ends = np.round(np.cumsum(SPLITS) * n_templates)
    part = np.searchsorted(ends, templates, side="right")
    return Splits(*(np.flatnonzero(part == k) for k in range(3)))
