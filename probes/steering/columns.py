"""Columns of the result table that all measurements of steering fill in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from probes.probing import Direction
from probes.stats.estimates import Estimate, mean_interval
from probes.tables.schema import interval_columns


def direction_columns(direction: Direction) -> dict[str, Any]:
    """The columns of `probes.tables.schema.SCHEMA` that say which direction was steered along."""
    return {
        "source_stage": direction.stage,
        "estimator": direction.estimator,
        "site": direction.site.kind,
        "layer": direction.site.layer,
        "position": direction.position,
    }


def over_items(
    values: np.ndarray, ids: Sequence[Any] | np.ndarray, rate: bool = False, seed: int | None = 0
) -> dict[str, Any]:
    """The columns of a mean over items, with its 95% interval.

    Parameters
    ----------
    values : `[item]`.
    ids : `[item]`, the names of the items, which are the independent units.
    rate : whether the values are shares, whose interval stays between 0 and 1.
    seed : the seed of the bootstrap.

    Returns
    -------
    `estimate`, `ci_low`, `ci_high` and `n_pairs`; a single item has no interval.

    Example
    -------
    >>> over_items(np.array([0.0, 1.0, 1.0, 1.0]), ["a", "b", "c", "d"], rate=True)["estimate"]
    0.75
    >>> over_items(np.array([0.5]), ["a"])
    {'estimate': 0.5, 'n_pairs': 1}
    """
    if len(set(ids)) < 2:
        return {"estimate": float(values.mean()), "n_pairs": len(set(ids))}
    estimate = mean_interval(values, np.asarray(ids), seed=seed or 0, bounds=(0.0, 1.0) if rate else None)
    return interval_columns(estimate)


def over_directions(values: Float[np.ndarray, " direction"], ids: Sequence[str]) -> dict[str, Any]:
    """The columns of a mean over random directions, with the range from 2.5 to 97.5% of them.

    Parameters
    ----------
    values : `[direction]`.
    ids : the names of the items behind each value.

    Returns
    -------
    `estimate`, `ci_low`, `ci_high` and `n_pairs`; `estimator` is null, because nothing was fitted.
    """
    low, high = np.quantile(values, [0.025, 0.975])
    range_of_them = Estimate(float(values.mean()), float(low), float(high), len(set(ids)))
    return interval_columns(range_of_them) | {"estimator": None}
