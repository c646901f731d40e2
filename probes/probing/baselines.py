"""Labels that have nothing to do with the concept: permuted ones, and those of a control task."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped


def permuted_labels(
    labels: Int[np.ndarray, " example"], groups: Shaped[np.ndarray, " example"], rng: np.random.Generator
) -> Int[np.ndarray, " example"]:
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
    single = np.ones(len(labels), dtype=bool)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(np.unique(labels[members])) == 2:
            permuted[members] = rng.permutation(labels[members])
            single[members] = False
    names, first, member = np.unique(groups[single], return_index=True, return_inverse=True)
    permuted[single] = rng.permutation(labels[single][first])[member] if len(names) else labels[single]
    return permuted


def control_labels(
    types: Shaped[np.ndarray, " example"], rng: np.random.Generator
) -> Int[np.ndarray, " example"]:
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
