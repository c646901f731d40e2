"""Cross-validation in which whole groups (pairs, templates) are held out and nothing of them is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_array
from sklearn.utils.validation import has_fit_parameter

from probes.concepts.folds import N_FOLDS, grouped_folds

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
) -> NDArray[np.float64]:
    """The score of each example from a probe that never saw its group: nested when the estimator is.

    A clone is fitted on the other folds of each fold; an estimator that takes `groups` (LogisticProbe and
    RidgeProbe, whose strength is chosen on inner folds when it is None) gets those of its training rows, or
    their finer `units` where a single group is left to train on.

    Parameters: X `[example, d]`; y, groups and units `[example]`. Returns `[example]` decision values.
    Scores of different folds come from different probes: compare them within folds, or rank them together
    knowing that offsets between folds can only lower the AUROC.
    Raises InputError as `grouped_folds` does.
    """
    X, y, groups = np.asarray(check_array(X)), np.asarray(y), np.asarray(groups)
    scores = np.empty(len(y))
    for train, held_out in grouped_folds(y, groups, n_folds, seed):
        inner = groups if units is None or len(np.unique(groups[train])) > 1 else np.asarray(units)
        extra = {"groups": inner[train]} if has_fit_parameter(estimator, "groups") else {}
        fresh: Any = clone(estimator)
        scores[held_out] = fresh.fit(X[train], y[train], **extra).decision_function(X[held_out])
    return scores
