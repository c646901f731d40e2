"""Cross-validation folds that hold out whole groups (pairs or templates), for the lint and for probes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probes.errors import InputError

N_FOLDS = 5


def grouped_folds(
    labels: ArrayLike, groups: ArrayLike, n_folds: int = N_FOLDS, seed: int = 0
) -> list[tuple[NDArray, NDArray]]:
    """Row indices of the training and the held-out part of each fold; no group is in both parts.

    Classes are balanced between folds as far as the groups allow.

    Parameters
    ----------
    labels : array `[example]`
        Two different values.
    groups : array `[example]`
        What is held out together: pair ids or template ids.
    n_folds : int
        Number of folds; there are never more folds than groups that hold a class.
    seed : int
        Of the order in which groups are dealt out.

    Returns
    -------
    list of (train, held_out)
        Row indices of each fold.

    Raises
    ------
    InputError
        With fewer than 2 groups, or when a fold would train on one class only.

    Example
    -------
    >>> folds = grouped_folds(concept.labels, concept.groups)
    >>> train, held_out = folds[0]
    >>> len(folds), set(concept.groups[train]) & set(concept.groups[held_out])
    (5, set())
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    if groups.shape != labels.shape:
        raise InputError(f"groups {groups.shape} and labels {labels.shape}: expected one group per example")
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"{len(names)} group: cross-validation needs at least 2 (pairs or templates)")
    classes = np.unique(labels)
    counts = np.stack([np.bincount(member[labels == c], minlength=len(names)) for c in classes])
    shuffled = np.random.default_rng(seed).permutation(len(names))
    dealt = shuffled[np.lexsort(counts[:, shuffled])]  # groups of one composition lie side by side
    n_folds = max(2, min(n_folds, *(counts > 0).sum(1)))
    fold = np.empty(len(names), dtype=int)
    fold[dealt] = np.arange(len(names)) % n_folds
    folds = [(np.flatnonzero(fold[member] != k), np.flatnonzero(fold[member] == k)) for k in range(n_folds)]
    if any(len(np.unique(labels[train])) < len(classes) for train, _ in folds):
        raise InputError("a fold would train on one class only: expected each class in at least 2 groups")
    return folds
