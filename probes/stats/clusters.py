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


def sums_by_cluster(
    values: ArrayLike, member: Int[np.ndarray, " example"]
) -> Float64[np.ndarray, "*row cluster"]:
    """The sum of `values [..., example]` over each cluster, `[..., cluster]`.

    Example
    -------
    >>> sums_by_cluster([1.0, 2.0, 4.0], np.array([1, 1, 0]))
    array([4., 3.])
    """
    values, n = np.asarray(values, dtype=np.float64), int(member.max()) + 1
    rows = values.reshape(-1, member.size)
    sums = [np.bincount(member, weights=row, minlength=n) for row in rows]
    return np.array(sums).reshape(*values.shape[:-1], n)


def means_without_each(
    values: ArrayLike, member: Int[np.ndarray, " example"]
) -> Float64[np.ndarray, "*row cluster"]:
    """The mean of `values [..., example]` when each cluster is left out in turn, `[..., cluster]`.

    Example
    -------
    >>> means_without_each([1.0, 2.0, 4.0], np.array([1, 1, 0]))
    array([1.5, 4. ])
    """
    values = np.asarray(values, dtype=np.float64)
    left = values.sum(-1, keepdims=True) - sums_by_cluster(values, member)
    return left / (member.size - np.bincount(member))
