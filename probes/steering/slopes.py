"""Steerability: the slope of a choice on the dose of a direction, beside those of random directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from probes.probing import Direction
from probes.steering.columns import direction_columns, over_directions, over_items
from probes.steering.controls import p_among_random, random_directions, require_random
from probes.steering.gradients import ChoiceGradients
from probes.tables.result import Result
from probes.tables.schema import tidy


@dataclass(repr=False)
class Steerability(Result):
    """The slopes of the choice logit on the dose, at a dose of 0, for one or more directions.

    The keys of the mappings are (variant, layer).
    """

    table: pl.DataFrame
    """Rows `steering_slope` and `steering_p`; see `steerability`."""
    slopes: dict[tuple[str, int], np.ndarray]
    """`[item]`: the slope along the direction."""
    random: dict[tuple[str, int], np.ndarray]
    """`[n_random]`: the slopes along random directions of the same length, each the mean over items."""
    p_values: dict[tuple[str, int], float]
    """The two-sided p-value of the direction's mean slope among those of the random directions."""


def steerability(
    gradients: ChoiceGradients,
    directions: Direction | Sequence[Direction] | Mapping[str, Direction | Sequence[Direction]],
    n_random: int = 100,
    seed: int = 0,
) -> Steerability:
    """The slope of the choice logit on the dose, at a dose of 0, along any directions.

    Parameters
    ----------
    gradients : the `choice_gradients` of a stage, at the layers of the directions.
    directions : one direction, several (one for each of some layers), or a mapping from a variant's name (for
        example "shuffled_labels" or "other_concept") to either. Without a mapping the variant is "direction".
    n_random : the number of random directions, uniform on the sphere. Each is added with the direction's own
        scale, so that their doses have the same norm.
    seed : the seed of the random directions and of the bootstrap over items.

    Returns
    -------
    Steerability. Its rows are `steering_slope`, the mean over items with its interval, and `steering_p`. The
    rows of `steering_slope` with the variant "random_direction" are made once for each layer, with the scale
    of the first direction there; they hold the mean over random directions and the range from 2.5 to 97.5%
    of them.

    Raises
    ------
    InputError : `n_random` is less than 1.
    SiteError : a direction is at a site without gradients, or has another width.

    Example
    -------
    >>> sweep = probes.probe_layers(probes.extract(stage, concept, controls=(), progress=False))
    >>> gradients = probes.choice_gradients(stage, concept.choices, progress=False)
    >>> result = probes.steerability(gradients, sweep.directions[1], n_random=99, seed=0)
    >>> result.slopes["direction", 1].shape, 0 < result.p_values["direction", 1] <= 1
    ((10,), True)
    """
    require_random(n_random)
    ids = gradients.scores.ids
    result = Steerability(tidy([]), {}, {}, {})
    rows: list[dict[str, Any]] = []
    layers_done: set[int] = set()
    for variant, direction in _named(directions):
        slopes = gradients.slopes(direction)
        layer = direction.site.layer or 0
        key = (variant, layer)
        units = random_directions(n_random, len(direction.vector), seed)
        random = direction.scale * (units @ gradients.at(direction.site).mean(0))
        p = p_among_random(float(slopes.mean()), random)
        result.slopes[key], result.random[key], result.p_values[key] = slopes, random, p
        row = gradients.columns | direction_columns(direction) | {"seed": seed}
        row["concept"] = row["concept"] or direction.concept
        slope = row | {"measure": "steering_slope"}
        rows.append(slope | {"variant": variant} | over_items(slopes, ids, seed=seed))
        rows.append(
            row | {"measure": "steering_p", "variant": variant, "estimate": p, "n_pairs": len(set(ids))}
        )
        if layer not in layers_done:
            layers_done.add(layer)
            rows.append(slope | {"variant": "random_direction"} | over_directions(random, ids))
    result.table = tidy(rows)
    return result


def _named(directions: Any) -> Iterator[tuple[str, Direction]]:
    """The variant's name with each of its directions."""
    groups = directions.items() if isinstance(directions, Mapping) else [("direction", directions)]
    for name, group in groups:
        for direction in group if isinstance(group, Sequence) else [group]:
            yield name, direction
