"""Simulated activations whose answer is known exactly: the instrument's exam without a model in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from probes.errors import InputError
from probes.probing import Splits

SPLITS = (1 / 2, 1 / 6, 1 / 3)
"""Shares of the templates that train, choose the layer, and report: about those of the packaged concepts."""
LEXICAL_WIDTH = 8
SHARED = 0.5
"""Share of the noise of a text that is the same in every model and at every layer."""


@dataclass(frozen=True)
class Setting:
    """What is simulated. Lengths are in standard deviations of an ordinary feature.

    n_pairs, in n_templates of equal size; width, features; n_layers; strength, distance between the class
    means along the concept's direction, at the layer where it is largest; lexical, length by which the words
    of a template move its positives, and its negatives the other way, in a direction of its own that other
    templates do not share; template and pair, what the texts of a template and of a pair have in common, per
    feature; outliers, features that are outlier_scale times as large as the others.
    """

    n_pairs: int = 120
    n_templates: int = 120
    width: int = 48
    n_layers: int = 4
    strength: float = 0.0
    lexical: float = 0.0
    template: float = 0.3
    pair: float = 0.5
    outliers: int = 3
    outlier_scale: float = 30.0


@dataclass(frozen=True, eq=False)
class Simulated:
    """Activations `values` `[model, layer, example, d]`, their labels, pairs, templates and splits, and the
    truth: `gaps` `[model, layer, d]`, difference of the class means, and `covariance` `[d, d]` of one text of
    either class; the mean of all is 0.

    The methods give what a linear probe with fixed `weights` `[d]` has in the population: fresh texts of
    fresh templates, positive and negative drawn independently. Scores are Gaussian there, so all is exact.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.int64]
    pairs: NDArray[np.int64]
    templates: NDArray[np.int64]
    splits: Splits
    gaps: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def separation(self, weights: ArrayLike, model: int = 0, layer: int = 0) -> tuple[float, float]:
        """Distance between the class means of the scores, and their standard deviation within a class."""
        weights = np.asarray(weights, dtype=np.float64)
        variance = weights @ self.covariance @ weights
        return float(weights @ self.gaps[model, layer]), float(np.sqrt(variance))

    def auroc(self, weights: ArrayLike, model: int = 0, layer: int = 0) -> float:
        """P(positive above negative)."""
        gap, std = self.separation(weights, model, layer)
        return float(ndtr(gap / (std * np.sqrt(2))))

    def accuracy(self, weights: ArrayLike, threshold: float = 0.0, model: int = 0, layer: int = 0) -> float:
        """Of the rule "positive above the threshold", with as many positives as negatives."""
        gap, std = self.separation(weights, model, layer)
        return float((ndtr((gap / 2 - threshold) / std) + ndtr((gap / 2 + threshold) / std)) / 2)

    def fragility(self, weights: ArrayLike, residual_std: ArrayLike, model: int = 0, layer: int = 0) -> float:
        """Noise, in units of residual_std, at which the AUROC is half way to 1/2; NaN where it is below."""
        gap, std = self.separation(weights, model, layer)
        if gap <= 0:
            return float("nan")
        tau = np.sqrt(((np.asarray(weights) * residual_std) ** 2).sum())
        distance = gap / (std * np.sqrt(2))
        half_way = ndtri((ndtr(distance) + 0.5) / 2)
        return float(std / tau * np.sqrt((distance / half_way) ** 2 - 1))


def simulate(setting: Setting | None = None, seed: int = 0, strengths: Sequence[float] = ()) -> Simulated:
    """Draw activations of a concept's texts in one or several models.

    x = feature scale * (template effect + pair effect + noise) + side * (gap / 2 + lexical effect), side 1
    for a positive and -1 for a negative text. Models (training seeds, stages, rival readings) read the same
    texts, share half of the noise, and differ in strength.

    Parameters: strengths, that of each model; default one, the setting's. Raises InputError where the pairs
    cannot be dealt to templates of equal size, or the templates not to three splits.
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
    """Templates are alike, so the first train, the next choose, the last report."""
    ends = np.round(np.cumsum(SPLITS) * n_templates)
    part = np.searchsorted(ends, templates, side="right")
    return Splits(*(np.flatnonzero(part == k) for k in range(3)))
