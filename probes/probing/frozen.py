"""Scoring the activations of one stage with a probe that was fitted at another and is not changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int, Shaped

from probes.errors import InputError
from probes.probing.direction import Direction
from probes.probing.layer_values import check_finite, site_of, values_at
from probes.probing.layers import LayerProbe
from probes.probing.splits import NAMES, split_rows, units_of
from probes.stats.estimates import Estimate
from probes.stats.jackknife import auroc_contrast, mean_contrast

if TYPE_CHECKING:
    from probes.activations import Activations


@dataclass(frozen=True)
class FrozenScore:
    """How well a frozen probe does on one split of another stage.

    An AUROC that stays while the accuracy falls means that the threshold drifted, not that the concept is
    gone.

    Attributes
    ----------
    auroc : Estimate
        Uses the order of scores alone.
    accuracy : Estimate or None
        At the probe's own threshold; None for a direction, which has none.
    accuracy_recentred : Estimate
        At the mean score of this stage's train split, which is computed without labels.

    Example
    -------
    >>> best = probes.probe_layers(probes.extract(stage, concept), baselines=False).best
    >>> score = probes.probing.frozen_auroc(best.direction, probes.extract(stage, concept))
    >>> score.accuracy is None, score.auroc.n
    (True, 8)
    """

    auroc: Estimate
    accuracy: Estimate | None
    accuracy_recentred: Estimate


def frozen_auroc(
    reader: Any,
    acts: Activations,
    split: str = "test",
    *,
    layer: int | None = None,
    groups: str = "pair",
    seed: int = 0,
) -> FrozenScore:
    """Score activations with a frozen probe or direction.

    Parameters
    ----------
    reader : Direction, LayerProbe or fitted probe
        What reads the concept.
    acts : Activations
        Of the stage to be scored, for the same concept.
    split : str
        "train", "select" or "test".
    layer : int, optional
        The layer to read at; by default that of the reader's site.
    groups : str
        "pair" or "template": what intervals count as one independent unit.
    seed : int
        As given to `probe_layers`, so that the splits are the same.

    Returns
    -------
    FrozenScore

    Raises
    ------
    InputError
        When the site or layer was not extracted, or the widths differ.

    Example
    -------
    >>> best = probes.probe_layers(probes.extract(lineage["base"], concept)).best
    >>> later = probes.probing.frozen_auroc(best, probes.extract(stage, concept))
    >>> 0 <= later.auroc.low <= later.auroc.value <= later.auroc.high <= 1
    True
    """
    if isinstance(reader, LayerProbe):
        reader = reader.probe
    site = reader.site if layer is None else site_of(acts, layer)
    if site is None:
        raise InputError("the probe carries no site: pass layer=")
    if split not in NAMES:
        raise InputError(f"split={split!r}: expected train, select or test")
    vector, threshold = (
        (reader.vector.astype(np.float64), None)
        if isinstance(reader, Direction)
        else (reader.coef_[0], -float(reader.intercept_[0]))
    )
    values = values_at(acts, site, vector.size)
    check_finite(values, acts, site.layer or 0)
    splits = split_rows(acts, seed)
    rows = getattr(splits, split)
    scores = values.astype(np.float64) @ vector
    middle = float(scores[splits.train].mean())
    labels, units = np.asarray(acts.labels)[rows], units_of(acts, groups)[rows]
    return score_frozen(scores[rows], labels, units, threshold, middle)


def score_frozen(
    scores: Float64[np.ndarray, " example"],
    labels: Int[np.ndarray, " example"],
    groups: Shaped[np.ndarray, " example"],
    threshold: float | None,
    middle: float,
) -> FrozenScore:
    """AUROC of scores, and accuracy at two thresholds: the probe's own, where it has one, and the mean score.

    Example
    -------
    >>> labels, pairs = np.tile([0, 1], 8), np.repeat(np.arange(8), 2)
    >>> drifted = score_frozen(labels + 5.0, labels, pairs, threshold=0.5, middle=5.5)
    >>> drifted.auroc.value, drifted.accuracy.value, drifted.accuracy_recentred.value
    (1.0, 0.5, 1.0)
    """

    def accuracy(at: float) -> Estimate:
        return mean_contrast([(scores > at) == labels], [1], groups, bounded=True, null=0.5)

    return FrozenScore(
        auroc=auroc_contrast([scores], [1], labels, groups, null=0.5),
        accuracy=None if threshold is None else accuracy(threshold),
        accuracy_recentred=accuracy(middle),
    )
