"""Cross-validation in which whole groups (pairs, templates) are held out and nothing of them is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_array
from sklearn.utils.validation import has_fit_parameter

from probes.errors import InputError

N_FOLDS = 5


def grouped_folds(
    labels: ArrayLike, groups: ArrayLike, n_folds: int = N_FOLDS, seed: int = 0
) -> list[tuple[NDArray, NDArray]]:
    """(train, held-out) row indices with no group on both sides, classes balanced as far as groups allow.

    Parameters: labels `[example]` with two values; groups `[example]`. There are never more folds than
    groups. Raises InputError with fewer than 2 groups, or when a fold would train on one class only.
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
    dealt = shuffled[np.lexsort(counts[:, shuffled])]  # groups of like composition side by side
    n_folds = max(2, min(n_folds, *(counts > 0).sum(1)))
    fold = np.empty(len(names), dtype=int)
    fold[dealt] = np.arange(len(names)) % n_folds
    folds = [(np.flatnonzero(fold[member] != k), np.flatnonzero(fold[member] == k)) for k in range(n_folds)]
    if any(len(np.unique(labels[train])) < len(classes) for train, _ in folds):
        raise InputError("a fold would train on one class only: expected each class in at least 2 groups")
    return folds


def out_of_fold_scores(
    estimator: Any, X: ArrayLike, y: ArrayLike, groups: ArrayLike, *, n_folds: int = N_FOLDS, seed: int = 0
) -> NDArray[np.float64]:
    """The score of each example from a probe that never saw its group: nested when the estimator is.

    A clone is fitted on the other folds of each fold; an estimator that takes `groups` (LogisticProbe and
    RidgeProbe, whose strength is chosen on inner folds when it is None) gets those of its training rows.

    Parameters: X `[example, d]`; y `[example]`; groups `[example]`. Returns `[example]` decision values.
    Scores of different folds come from different probes: compare them within folds, or rank them together
    knowing that offsets between folds can only lower the AUROC.
    Raises InputError as `grouped_folds` does.
    """
    X, y, groups = np.asarray(check_array(X)), np.asarray(y), np.asarray(groups)
    scores = np.empty(len(y))
    for train, held_out in grouped_folds(y, groups, n_folds, seed):
        extra = {"groups": groups[train]} if has_fit_parameter(estimator, "groups") else {}
        fresh: Any = clone(estimator)
        scores[held_out] = fresh.fit(X[train], y[train], **extra).decision_function(X[held_out])
    return scores
