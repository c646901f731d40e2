"""From the measurements of several stages to the table of every stage against every stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from probes.measure import StageMeasurement
from probes.probing import at_same_strength, frozen_auroc, pooled_covariance, split_rows, whiten
from probes.steering import steerability
from probes.tables.schema import tidy

N_REFITS = 20
"""Bootstrap refits behind the interval and the noise floor of a cosine."""


@threadpool_limits.wrap(limits=1, user_api="blas")  # many small products: threads halve the speed
def compare(
    measurements: Mapping[str, StageMeasurement],
    *,
    wanted: Callable[[str, str], bool] = lambda source, target: True,
    n_refits: int = N_REFITS,
    seed: int = 0,
) -> pl.DataFrame:
    """Rows of `probes.study.Survival` for the `wanted` ordered pairs of stages.

    `measurements` maps the name of a stage to its measurement, in the order of the lineage.

    Covariances are pooled over the classes and over all stages at the layer in question, so that the metric
    of `cosine_whitened` is one for the whole table.
    """
    rows: list[dict[str, Any]] = []
    for measurement in measurements.values():
        if measurement.gradients is not None:
            rows += measurement.gradients.scores.table.to_dicts()
    metric = cache(lambda layer: _pooled(measurements.values(), layer, seed))
    refits = cache(lambda name, layer: _refits(measurements[name], layer, metric(layer), n_refits, seed))
    for source in measurements.values():
        layer = source.sweep.best.layer
        for name, target in measurements.items():
            if wanted(source.stage, name):
                rows += _reads(source, target, layer, seed)
                rows += _angles(source, target, layer, refits(source.stage, layer), refits(name, layer), seed)
                rows += _pushes(source, target, layer, seed)
    return tidy(rows)


def _context(source: StageMeasurement, target: StageMeasurement, layer: int) -> dict[str, Any]:
    return target.activations.columns | {
        "source_stage": source.stage,
        "estimator": source.sweep.best.direction.estimator,
        "layer": layer,
        "n_seeds": 1,
    }


def _reads(source: StageMeasurement, target: StageMeasurement, layer: int, seed: int) -> list[dict[str, Any]]:
    """The source's probe, unchanged, and the target's own, on the target's test pairs."""
    context = _context(source, target, layer) | {"seed": seed}
    frozen = frozen_auroc(source.sweep.probes[layer], target.activations, seed=seed)
    estimates = [
        ("auroc", "frozen", frozen.auroc),
        ("accuracy", "frozen", frozen.accuracy),
        ("accuracy", "frozen_recentred", frozen.accuracy_recentred),
    ]
    rows = [
        context
        | {"measure": measure, "variant": variant}
        | {"estimate": e.value, "ci_low": e.low, "ci_high": e.high, "n_pairs": e.n}
        for measure, variant, e in estimates
        if e is not None
    ]
    own = (pl.col("measure") == "auroc") & (pl.col("variant") == "probe") & (pl.col("layer") == layer)
    refit = target.sweep.table.filter(own).to_dicts()[0]
    return [*rows, refit | context | {"variant": "refit", "n_pairs": refit["n_pairs"]}]


def _angles(
    source: StageMeasurement, target: StageMeasurement, layer: int, ours: _Refits, theirs: _Refits, seed: int
) -> list[dict[str, Any]]:
    """Cosines with their range over refits on the same resamples, and the noise floor within the source."""
    context = _context(source, target, layer) | {"n_pairs": ours.n_pairs, "seed": seed}
    rows = []
    for measure in ("cosine", "cosine_whitened"):
        a, b = ours.directions[measure], theirs.directions[measure]
        value = float(a[0] @ b[0])
        if source is target:
            low = high = value
            within = (a[1:] @ a[1:].T)[np.triu_indices(len(a) - 1, 1)]
            floor_low, floor_high = np.nanquantile(within, [0.025, 0.975])
            floor = {
                "estimate": float(np.nanmean(within)),
                "ci_low": float(floor_low),
                "ci_high": float(floor_high),
            }
            rows.append(context | {"measure": measure, "variant": "noise_floor"} | floor)
        else:
            paired = np.einsum("rd,rd->r", a[1:], b[1:])
            low, high = np.nanquantile(paired, [0.025, 0.975])
        numbers = {"estimate": value, "ci_low": min(float(low), value), "ci_high": max(float(high), value)}
        rows.append(context | {"measure": measure, "variant": "direction"} | numbers)
    return rows


def _pushes(
    source: StageMeasurement, target: StageMeasurement, layer: int, seed: int
) -> list[dict[str, Any]]:
    """What the source's direction does to the target's choices, in the target's natural unit. A stage's own
    directions are pushed at every layer."""
    if target.gradients is None:
        return []
    if source is target:
        directions = list(target.sweep.directions.values())
    else:
        directions = [source.sweep.directions[layer].at(target.activations, seed=seed)]
    rows = steerability(target.gradients, directions, seed=seed).table.to_dicts()
    return [row | {"n_seeds": 1, "selected": row["layer"] == layer} for row in rows]


@dataclass(frozen=True)
class _Refits:
    """A stage's direction at one layer (row 0) and its refits on bootstrap resamples of the training pairs
    (the rest), as unit vectors: `directions[measure]` is `[1 + refit, d]`."""

    directions: dict[str, np.ndarray]
    n_pairs: int


def _refits(
    measurement: StageMeasurement, layer: int, metric: np.ndarray, n_refits: int, seed: int
) -> _Refits:
    acts = measurement.activations
    train = split_rows(acts, seed).train
    values = acts.values[acts.layers.index(layer)][train].astype(np.float64)
    labels, groups = acts.labels[train], acts.groups[train]
    names, member = np.unique(groups, return_inverse=True)
    rows_of = [np.flatnonzero(member == i) for i in range(len(names))]
    rng = np.random.default_rng(seed)  # the same resamples at every stage
    probe = measurement.sweep.probes[layer]
    fitted = [probe]
    for _ in range(n_refits):
        rows = np.concatenate([rows_of[i] for i in rng.integers(len(names), size=len(names))])
        fitted.append(at_same_strength(probe).fit(values[rows], labels[rows]))
    vectors = np.stack([f.direction_ for f in fitted])
    whitened = whiten(vectors, metric, measurement.sweep.best.direction.estimator)
    return _Refits({"cosine": vectors, "cosine_whitened": whitened}, len(names))


def _pooled(measurements: Iterable[StageMeasurement], layer: int, seed: int) -> np.ndarray:
    """`[d, d]` within-class covariance at one layer, over the training rows of all stages, each centred."""
    values, classes = [], []
    for i, measurement in enumerate(measurements):
        acts = measurement.activations
        train = split_rows(acts, seed).train
        values.append(acts.values[acts.layers.index(layer)][train])
        classes.append(acts.labels[train] + 2 * i)
    return pooled_covariance(np.concatenate(values), np.concatenate(classes))
