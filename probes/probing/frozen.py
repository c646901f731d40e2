"""Scoring a stage's activations with a probe that was fitted at another and is not changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.errors import InputError
from probes.models.sites import Site
from probes.probing.direction import Direction
from probes.probing.layers import LayerProbe
from probes.probing.splits import clusters, layer_values, split_rows
from probes.stats.estimates import Estimate
from probes.stats.jackknife import auroc_contrast, mean_contrast

if TYPE_CHECKING:
    from probes.activations import Activations


@dataclass(frozen=True)
class FrozenScore:
    """How a frozen probe does on one split of another stage.

    auroc: ranks alone. accuracy: at the probe's own threshold, None for a direction, which has none.
    accuracy_recentred: at the mean score of this stage's train split, found without labels. AUROC that stays
    while accuracy falls is a threshold that drifted, not a concept that went.
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

    Parameters: reader, a Direction, a LayerProbe, or a fitted probe; acts, of the stage to be scored, with
    the same concept and seed as in `probe_layers` so that the splits are the same; split, `train`, `select`
    or `test`; layer, by default the one of the reader's site; groups, seed as in `probe_layers`.
    Raises InputError when the layer or site was not extracted, or the widths differ.
    """
    if isinstance(reader, LayerProbe):
        reader = reader.probe
    site = reader.site if layer is None else Site(acts.site, layer)  # pyright: ignore[reportArgumentType]
    if site is None:
        raise InputError("the probe carries no site: pass layer=")
    vector, threshold = (
        (reader.vector.astype(np.float64), None)
        if isinstance(reader, Direction)
        else (reader.coef_[0], -float(reader.intercept_[0]))
    )
    values = layer_values(acts, site, vector.size)
    splits = split_rows(acts, seed)
    if split not in ("train", "select", "test"):
        raise InputError(f"split={split!r}: expected train, select or test")
    rows = getattr(splits, split)
    scores = values.astype(np.float64) @ vector
    if not np.isfinite(scores).all():
        raise InputError(f"stage {acts.stage!r}, {acts.site} layer {layer}: activations hold NaN or infinity")
    labels, units = np.asarray(acts.labels)[rows], clusters(acts, groups)[rows]

    def accuracy(at: float) -> Estimate:
        right = (scores[rows] > at) == labels
        return mean_contrast([right], [1], units, bounded=True, null=0.5)

    return FrozenScore(
        auroc=auroc_contrast([scores[rows]], [1], labels, units, null=0.5),
        accuracy=None if threshold is None else accuracy(threshold),
        accuracy_recentred=accuracy(float(scores[splits.train].mean())),
    )
