"""Cross-validation in which whole groups (pairs or templates) are held out, and nothing of them is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_array

from probes.concepts.folds import N_FOLDS, grouped_folds
from probes.probing.estimators import fit_probe

__all__ = ["N_FOLDS", "grouped_folds", "out_of_fold_scores"]


def out_of_fold_scores(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    *,
    units: ArrayLike | None = None,
    n_folds: int = N_FOLDS,
    seed: int = 0,
) -> Float64[np.ndarray, " example"]:
    """The score of each example by a probe that never saw its group.

    For each fold, a clone of the estimator is fitted on the other folds. An estimator that chooses the
    strength of its penalty does so inside those (nested cross-validation).

    Parameters
    ----------
    estimator : scikit-learn estimator
        For example `probes.LogisticProbe(C=None)`.
    X : float array `[example, d]`
        Activations.
    y : array `[example]`
        Two different labels.
    groups : array `[example]`
        What folds hold out together.
    units : array `[example]`, optional
        Finer groups for the inner folds, used where a single group is left to train on.
    n_folds : int
        Number of folds.
    seed : int
        Of the order in which groups are dealt to folds.

    Returns
    -------
    float array `[example]`
        Scores of different folds come from different probes. Compare them within folds, or rank them all
        together, knowing that offsets between folds can only lower the AUROC.

    Raises
    ------
    InputError
        As `grouped_folds` does.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> probe = probes.LogisticProbe(C=0.01)
    >>> probes.probing.out_of_fold_scores(probe, acts.values[2], acts.labels, acts.groups).shape
    (48,)
    """
    X, y, groups = np.asarray(check_array(X)), np.asarray(y), np.asarray(groups)
    scores = np.empty(len(y))
    for train, held_out in grouped_folds(y, groups, n_folds, seed):
        inner = groups if units is None or len(np.unique(groups[train])) > 1 else np.asarray(units)
        fitted = fit_probe(clone(estimator), X[train], y[train], inner[train])
        scores[held_out] = fitted.decision_function(X[held_out])
    return scores
