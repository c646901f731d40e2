"""`compare`: from the measurements of several stages to a table of every stage against every stage."""

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
from probes.stats.estimates import Estimate
from probes.steering import steerability
from probes.tables.schema import interval_columns, tidy

N_REFITS = 20
"""The bootstrap refits behind the interval and the noise floor of a cosine."""


@threadpool_limits.wrap(limits=1, user_api="blas")  # many small products: threads halve the speed
def compare(
    measurements: Mapping[str, StageMeasurement],
    *,
    wanted: Callable[[str, str], bool] = lambda source, target: True,
    n_refits: int = N_REFITS,
    seed: int = 0,
) -> pl.DataFrame:
    """Compare the directions of one concept between stages.

    Each row is about a direction of `source_stage`, tested at `stage`. A whitened cosine is computed after
    the space was rescaled by a covariance that is pooled over the classes and over all stages at that layer,
    so that it means the same in the whole table. Stages of another width or depth are not compared with each
    other.

    Parameters
    ----------
    measurements : the name of a stage -> its measurement of the concept, in the order of the lineage.
    wanted : a function of (source stage, stage) that says whether the two are compared; by default all are.
    n_refits : the number of bootstrap refits behind the intervals of cosines.
    seed : the seed of the refits and of the random directions.

    Returns
    -------
    A table in the columns of `probes.tables.schema.SCHEMA`, with the rows that `probes.study.Survival` names.

    Example
    -------
    >>> from probes.measure import Plan, measure_stage
    >>> plan = Plan(items=0, baselines=False, tests=False, alignment_texts=())
    >>> measurements = {
    ...     name: measure_stage(lineage[name], [concept], plan, progress=False)["prices"]
    ...     for name in ("base", "mid")
    ... }
    >>> table = compare(
    ...     measurements, wanted=lambda source, stage: source == "base", n_refits=5, seed=0
    ... )
    >>> table.filter(measure="auroc", variant="frozen").select("source_stage", "stage").rows()
    [('base', 'base'), ('base', 'mid')]
    """
    rows: list[dict[str, Any]] = []
    for measurement in measurements.values():
        if measurement.choices is not None:
            rows += measurement.choices.table.to_dicts()

    @cache
    def metric(space: tuple, layer: int) -> np.ndarray:
        return _pooled([one for one in measurements.values() if one.space == space], layer, seed)

    @cache
    def refits(name: str, layer: int) -> _Refits:
        measurement = measurements[name]
        return _refits(measurement, layer, metric(measurement.space, layer), n_refits, seed)

    for source in measurements.values():
        layer = source.sweep.best.layer
        for name, target in measurements.items():
            if wanted(source.stage, name) and source.space == target.space:
                ours, theirs = refits(source.stage, layer), refits(name, layer)
                rows += _probe_rows(source, target, layer, seed)
                rows += _angle_rows(source, target, layer, ours, theirs, seed)
                rows += _slope_rows(source, target, layer, seed)
    return tidy(rows)


def _context(source: StageMeasurement, target: StageMeasurement, layer: int) -> dict[str, Any]:
    """The columns that are the same in all rows from `source` to `target`."""
    return target.activations.columns | {
        "source_stage": source.stage,
        "estimator": source.sweep.best.direction.estimator,
        "layer": layer,
        "n_seeds": 1,
    }


def _probe_rows(
    source: StageMeasurement, target: StageMeasurement, layer: int, seed: int
) -> list[dict[str, Any]]:
    """How well the source's unchanged probe, and the target's own, do on the target's test pairs."""
    context = _context(source, target, layer) | {"seed": seed}
    frozen = frozen_auroc(source.sweep.probes[layer], target.activations, seed=seed)
    estimates = [
        ("auroc", "frozen", frozen.auroc),
        ("accuracy", "frozen", frozen.accuracy),
        ("accuracy", "frozen_recentred", frozen.accuracy_recentred),
    ]
    rows = [
        context | {"measure": measure, "variant": variant} | interval_columns(estimate)
        for measure, variant, estimate in estimates
        if estimate is not None
    ]
    own = (pl.col("measure") == "auroc") & (pl.col("variant") == "probe") & (pl.col("layer") == layer)
    refit = target.sweep.table.filter(own).to_dicts()[0]
    return [*rows, refit | context | {"variant": "refit", "n_pairs": refit["n_pairs"]}]


def _angle_rows(
    source: StageMeasurement, target: StageMeasurement, layer: int, ours: _Refits, theirs: _Refits, seed: int
) -> list[dict[str, Any]]:
    """The cosines of the two directions with their range over refits on the same resamples.

    Where source and target are one stage, also the noise floor: the cosines between its own refits.
    """
    context = _context(source, target, layer) | {"seed": seed}
    rows = []
    for measure in ("cosine", "cosine_whitened"):
        a, b = ours.directions[measure], theirs.directions[measure]
        value = float(a[0] @ b[0])
        if source is target:
            low = high = value
            within = (a[1:] @ a[1:].T)[np.triu_indices(len(a) - 1, 1)]
            floor_low, floor_high = _middle(within)
            mean = float(np.nanmean(within)) if not np.isnan(within).all() else float("nan")
            floor = Estimate(mean, floor_low, floor_high, ours.n_pairs)
            rows.append(context | {"measure": measure, "variant": "noise_floor"} | interval_columns(floor))
        else:
            paired = np.einsum("rd,rd->r", a[1:], b[1:])
            low, high = _middle(paired)
        cosine = Estimate(value, min(low, value), max(high, value), ours.n_pairs)
        rows.append(context | {"measure": measure, "variant": "direction"} | interval_columns(cosine))
    return rows


def _middle(cosines: np.ndarray) -> tuple[float, float]:
    """The middle 95% of cosines; NaN where no refit has a direction, as with contradictory labels."""
    if np.isnan(cosines).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(cosines, [0.025, 0.975])
    return float(low), float(high)


def _slope_rows(
    source: StageMeasurement, target: StageMeasurement, layer: int, seed: int
) -> list[dict[str, Any]]:
    """How steering along the source's direction changes the target's choices, in the target's natural unit.

    A stage's own directions are measured at every layer.
    """
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
    """A stage's direction at one layer, and its refits on bootstrap resamples of the training pairs."""

    directions: dict[str, np.ndarray]
    """`directions[measure]` is `[1 + refit, width]`: unit vectors, the direction itself in row 0."""
    n_pairs: int
    """The number of training pairs."""


def _refits(
    measurement: StageMeasurement, layer: int, metric: np.ndarray, n_refits: int, seed: int
) -> _Refits:
    acts = measurement.activations
    train = split_rows(acts, seed).train
    values = acts.values[acts.layers.index(layer)][train].astype(np.float64)
    labels, groups = acts.labels[train], acts.groups[train]
    names, member = np.unique(groups, return_inverse=True)
    rows_of = [np.flatnonzero(member == i) for i in range(len(names))]
    # Pairs are resampled among those with the same labels, so that each resample holds both labels.
    held = 2 * np.bincount(member, labels == 1).astype(bool) + np.bincount(member, labels == 0).astype(bool)
    alike = [np.flatnonzero(held == kind) for kind in np.unique(held)]
    rng = np.random.default_rng(seed)  # so that every stage is refitted on the same resamples
    probe = measurement.sweep.probes[layer]
    fitted = [probe]
    for _ in range(n_refits):
        drawn = np.concatenate([those[rng.integers(len(those), size=len(those))] for those in alike])
        rows = np.concatenate([rows_of[i] for i in drawn])
        fitted.append(at_same_strength(probe).fit(values[rows], labels[rows]))
    vectors = np.stack([f.direction_ for f in fitted])
    whitened = whiten(vectors, metric, measurement.sweep.best.direction.estimator)
    return _Refits({"cosine": vectors, "cosine_whitened": whitened}, len(names))


def _pooled(measurements: Iterable[StageMeasurement], layer: int, seed: int) -> np.ndarray:
    """The within-class covariance at one layer, `[width, width]`, over the training rows of all stages.

    Each class of each stage is centred at its own mean.
    """
    values, classes = [], []
    for i, measurement in enumerate(measurements):
        acts = measurement.activations
        train = split_rows(acts, seed).train
        values.append(acts.values[acts.layers.index(layer)][train])
        classes.append(acts.labels[train] + 2 * i)
    return pooled_covariance(np.concatenate(values), np.concatenate(classes))
