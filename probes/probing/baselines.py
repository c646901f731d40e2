"""Labels that have nothing to do with the concept: permuted ones, and those of a control task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def permuted_labels(labels: NDArray, groups: NDArray, rng: np.random.Generator) -> NDArray:
    """Labels shuffled within pairs, so that every pair keeps one example of each label.

    Within each group that holds both labels, its labels are shuffled. Groups that hold one label only swap
    labels with each other as whole groups, so that the examples of a group stay together.

    Parameters
    ----------
    labels : int array `[example]`
        0 or 1.
    groups : array `[example]`
        Pair ids.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    int array `[example]`

    Example
    -------
    >>> permuted_labels(np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2]), np.random.default_rng(3))
    array([1, 0, 0, 1, 0, 1])
    """
    permuted = labels.copy()
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    size, positive = np.bincount(member), np.bincount(member, weights=labels == 1)
    mixed = (positive > 0) & (positive < size)
    rows = np.split(np.argsort(member, kind="stable"), np.cumsum(size)[:-1])
    for group in np.flatnonzero(mixed):
        permuted[rows[group]] = rng.permutation(labels[rows[group]])
    if not mixed.all():
        exchanged = labels[first]
        exchanged[~mixed] = rng.permutation(exchanged[~mixed])
        single = ~mixed[member]
        permuted[single] = exchanged[member[single]]
    return permuted


def control_labels(types: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """The labels of a control task: a random half of the types has label 1.

    A probe can only learn such labels by heart, type by type (Hewitt & Liang 2019, arXiv 1909.03368).

    Parameters
    ----------
    types : array `[example]`
        The type of each example, in general its template.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    int array `[example]`

    Example
    -------
    >>> control_labels(np.array(["t0", "t0", "t1", "t1"]), np.random.default_rng(0))
    array([0, 0, 1, 1])
    """
    names, member = np.unique(types, return_inverse=True)
    return rng.permutation(np.arange(len(names)) % 2)[member]
