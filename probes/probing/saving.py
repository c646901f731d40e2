"""A layer sweep as arrays, and back: what a saved measurement keeps of the probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64

from probes.activations import Activations
from probes.models.sites import Site
from probes.probing.direction import Direction
from probes.probing.estimators import PenalisedProbe, make_probe
from probes.probing.layers import LayerProbe, LayerSweep


def sweep_arrays(sweep: LayerSweep) -> dict[str, Float64[np.ndarray, "layer ..."]]:
    """The probes and directions of a sweep as arrays whose first axis is the layer, in the order of layers.

    `probe.weights` `[layer, d]` and `probe.intercepts` `[layer]` float64; `probe.strengths` `[layer]`, the
    strength of regularisation (NaN for estimators without one); `direction.scales` and `direction.gaps`
    `[layer]`.
    """
    probes, directions = list(sweep.probes.values()), list(sweep.directions.values())
    return {
        "probe.weights": np.stack([probe.coef_[0] for probe in probes]),
        "probe.intercepts": np.array([probe.intercept_[0] for probe in probes]),
        "probe.strengths": np.array([_strength(probe) for probe in probes]),
        "direction.scales": np.array([direction.scale for direction in directions]),
        "direction.gaps": np.array([direction.gap for direction in directions]),
    }


def restored_sweep(
    acts: Activations,
    table: pl.DataFrame,
    arrays: Mapping[str, Float64[np.ndarray, "layer ..."]],
    estimator: str,
    best_surface: str | None = None,
) -> LayerSweep:
    """The sweep that `sweep_arrays` was made of; `acts` are the activations and `table` the rows it had.

    The scores of the surface baselines are not kept, so `.surface` is empty.

    Example
    -------
    >>> acts = probes.extract(stage, concept, controls=(), progress=False)
    >>> sweep = probes.probe_layers(acts, baselines=False)
    >>> again = restored_sweep(acts, sweep.table, sweep_arrays(sweep), "logistic")
    >>> bool((again.best.probe.coef_ == sweep.best.probe.coef_).all()), again.best.layer == sweep.best.layer
    (True, True)
    """
    probes, directions = {}, {}
    for i, layer in enumerate(acts.layers):
        site = Site("embed") if acts.site == "embed" else Site(acts.site, layer)  # pyright: ignore[reportArgumentType]
        probe = make_probe(estimator)
        probe.site = site
        probe.classes_ = np.array([0, 1])
        probe.n_features_in_ = arrays["probe.weights"].shape[1]
        probe._set(arrays["probe.weights"][i], float(arrays["probe.intercepts"][i]))
        if isinstance(probe, PenalisedProbe):
            setattr(probe, f"{probe.strength_name}_", float(arrays["probe.strengths"][i]))
        probes[layer] = probe
        directions[layer] = Direction(
            vector=probe.direction_.astype(np.float32),
            site=site,
            position=acts.position,
            stage=acts.stage,
            concept=acts.concept,
            estimator=estimator,
            scale=float(arrays["direction.scales"][i]),
            gap=float(arrays["direction.gaps"][i]),
            digest=acts.digest,
        )
    chosen = (pl.col("measure") == "auroc") & (pl.col("variant") == "probe") & pl.col("selected")
    row = table.filter(chosen).row(0, named=True)
    layer = row["layer"]
    best = LayerProbe(layer, directions[layer], probes[layer], row["estimate"], row["ci_low"], row["ci_high"])
    return LayerSweep(table, best, probes, directions, best_surface)


def _strength(probe: Any) -> float:
    return float(getattr(probe, f"{probe.strength_name}_")) if isinstance(probe, PenalisedProbe) else np.nan
