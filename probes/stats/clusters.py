"""Clusters of examples: the independent units (pairs, templates, items) behind every interval and p-value."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int
from numpy.typing import ArrayLike

from probes.errors import InputError


def clusters_of(groups: ArrayLike, n_examples: int) -> Int[np.ndarray, " {n_examples}"]:
    """The number of each example's cluster, `[example]`, counted from 0 in the order of sorted group names.

    Raises
    ------
    InputError
        When there is not one group for each example, or fewer than 2 different groups.

    Example
    -------
    >>> clusters_of(["p1", "p1", "p0"], 3)
    array([1, 1, 0])
    """
    groups = np.asarray(groups)
    if groups.shape != (n_examples,):
        raise InputError(f"groups have shape {groups.shape}: expected one per example, ({n_examples},)")
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"{len(names)} cluster: an interval needs at least 2 independent clusters (pairs); add pairs"
        )
    return member


def without_each(member: Int[np.ndarray, " example"]) -> Float64[np.ndarray, "cluster example"]:
    """Weights `[cluster, example]` that leave out one cluster in each row: 0 for its examples, 1 for others.

    Example
    -------
    >>> without_each(np.array([1, 1, 0]))
    array([[1., 1., 0.],
           [0., 0., 1.]])
    """
    return (np.arange(member.max() + 1)[:, None] != member).astype(np.float64)
