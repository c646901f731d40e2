"""Linear probes with the scikit-learn interface: what reads a binary concept out of activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from probes.errors import InputError
from probes.probing.batched import EXACT, logistic_columns
from probes.probing.cross_validation import grouped_folds
from probes.probing.solver import RowSpace, logistic_path, ridge_path
from probes.stats.estimates import auroc

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Values of C tried by LogisticProbe(C=None); RidgeProbe(alpha=None) tries their inverses."""


class _LinearProbe(ClassifierMixin, BaseEstimator):
    """A binary linear classifier whose weights act on raw activations.

    Learned by `fit`: `classes_` [2]; `coef_` [1, d] and `intercept_` [1], so that the decision value is
    `X @ coef_[0] + intercept_[0]`; `direction_` [d], `coef_` at unit length (all zeros where it is zero).
    """

    classes_: NDArray
    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]
    direction_: NDArray[np.float64]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Signed score of each row of `X [n, d]`, `[n]`; positive means `classes_[1]`."""
        check_is_fitted(self)
        X = np.asarray(validate_data(self, X, dtype=np.float64, reset=False))  # pyright: ignore
        return X @ self.coef_[0] + self.intercept_[0]

    def predict(self, X: ArrayLike) -> NDArray:
        """The class of each row of `X [n, d]`, `[n]`."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def _check(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Validated X `[n, d]` and labels `[n]` in {0, 1}, the position in `classes_`."""
        checked = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)  # pyright: ignore
        X, y = map(np.asarray, checked)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise InputError(
                "Only binary classification is supported. The type of the target is multiclass: "
                f"{len(self.classes_)} classes, expected 2"
            )
        if len(self.classes_) < 2:
            raise InputError(f"y holds one class, {self.classes_[0]!r}: a probe needs examples of 2 classes")
        return X, labels

    def _set(self, coef: NDArray, intercept: float) -> None:
        norm = np.linalg.norm(coef)
        self.coef_ = coef[None]
        self.intercept_ = np.array([intercept])
        self.direction_ = coef / norm if norm > 0 else np.zeros_like(coef)


class MassMeanProbe(_LinearProbe):
    """Difference of class means, threshold half way between them (Marks & Tegmark 2023, arXiv 2310.06824).

    Parameters
    ----------
    site : Site or None
        Where the activations were read; carried, not used.
    """

    def __init__(self, site: Any = None):
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike) -> MassMeanProbe:
        """Fit on activations `[n, d]` and binary labels `[n]`; ValueError for NaN or other than 2 classes."""
        X, labels = self._check(X, y)
        low, high = X[labels == 0].mean(0), X[labels == 1].mean(0)
        self._set(high - low, -float((high - low) @ (high + low)) / 2)
        return self


class LDAProbe(_LinearProbe):
    """Difference of class means times the inverse within-class covariance (linear discriminant analysis).

    The covariance of standardised activations is shrunk towards a multiple of the identity by Ledoit & Wolf's
    rule (2004, doi:10.1016/S0047-259X(03)00096-4), which keeps it invertible with fewer examples than
    dimensions. This is mass-mean with covariance correction (Marks & Tegmark 2023, arXiv 2310.06824).

    Parameters
    ----------
    site : Site or None
        Where the activations were read; carried, not used.
    """

    def __init__(self, site: Any = None):
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike) -> LDAProbe:
        """Fit on activations `[n, d]` and binary labels `[n]`; ValueError for NaN or other than 2 classes."""
        X, labels = self._check(X, y)
        space = RowSpace.of(X)
        means = np.stack([space.rows[labels == k].mean(0) for k in (0, 1)])
        residuals = space.rows - means[labels]
        covariance = residuals.T @ residuals / len(X)
        full = residuals if space.basis is None else residuals @ space.basis.T
        shrinkage = ledoit_wolf_shrinkage(full, assume_centered=True)
        average_variance = np.trace(covariance) / X.shape[1]
        shrunk = (1 - shrinkage) * covariance + shrinkage * average_variance * np.eye(len(covariance))
        gap = means[1] - means[0]
        weights = np.linalg.pinv(shrunk, hermitian=True) @ gap
        coef = space.raw(weights)
        odds = np.log((labels == 1).mean() / (labels == 0).mean())
        self._set(coef, float(odds - means.sum(0) @ weights / 2 - space.mean @ coef))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Posterior of each class under equal-covariance Gaussians, `[n, 2]`."""
        return _probabilities(self.decision_function(X))


class _PenalisedProbe(_LinearProbe):
    """A probe with a strength of regularisation that can be chosen on inner grouped folds."""

    def _fit_path(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None,
        strength: float | None,
        strengths: Sequence[float],
        solve: Callable,
        name: str,
    ) -> float:
        """Fit at `strength`, or at the one of `strengths` (strongest regularisation first) with the best mean
        AUROC on held-out groups, the first of equals; returns it."""
        X, labels = self._check(X, y)
        if strength is not None and not (np.isfinite(strength) and strength > 0):
            raise InputError(
                f"{name}={strength!r}: expected a positive number, or None to choose it by group"
            )
        if strength is None:
            if groups is None:
                raise InputError(f"{name}=None without groups: pass groups to fit, or a positive {name}")
            folds = grouped_folds(labels, groups)
            strength = strengths[int(np.argmax(_held_out_aurocs(X, labels, folds, strengths, solve)))]
        self._solve(RowSpace.of(X), labels, float(strength), solve)
        return float(strength)

    def _solve(self, space: RowSpace, labels: NDArray, strength: float, solve: Callable) -> None:
        weights, intercepts = solve(space.rows, labels, [strength])
        self._take(space, weights[0], intercepts[0])

    def _take(self, space: RowSpace, weights: NDArray, intercept: float) -> None:
        coef = space.raw(weights)
        self._set(coef, float(intercept - space.mean @ coef))


class LogisticProbe(_PenalisedProbe):
    """Logistic regression with an L2 penalty on standardised activations, solved exactly in their row space.

    Parameters
    ----------
    C : float or None
        Inverse strength of the penalty, as in scikit-learn. None: chosen among `STRENGTHS` by mean AUROC on
        inner folds that hold out whole groups (standardised afresh in each), the smallest of equals.
    site : Site or None
        Where the activations were read; carried, not used.

    Attributes
    ----------
    C_ : float
        The C that was used.
    """

    def __init__(self, C: float | None = 1.0, site: Any = None):
        self.C = C
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> LogisticProbe:
        """Fit on activations `[n, d]`, binary labels `[n]` and, when C is None, groups `[n]`.

        Raises ValueError for NaN or other than 2 classes, InputError for C=None without groups.
        """
        self.C_ = self._fit_path(X, y, groups, self.C, STRENGTHS, logistic_path, "C")
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probability of each class, `[n, 2]`."""
        return _probabilities(self.decision_function(X))


class RidgeProbe(_PenalisedProbe):
    """Least squares on targets -1 and 1 with an L2 penalty, on standardised activations.

    Parameters
    ----------
    alpha : float or None
        Strength of the penalty, as in scikit-learn. None: chosen among 1 / `STRENGTHS` on inner grouped
        folds, the largest of equals.
    site : Site or None
        Where the activations were read; carried, not used.

    Attributes
    ----------
    alpha_ : float
        The alpha that was used.
    """

    def __init__(self, alpha: float | None = 1.0, site: Any = None):
        self.alpha = alpha
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> RidgeProbe:
        """Fit on activations `[n, d]`, binary labels `[n]` and, when alpha is None, groups `[n]`.

        Raises ValueError for NaN or other than 2 classes, InputError for alpha=None without groups.
        """
        alphas = [1 / C for C in STRENGTHS]
        self.alpha_ = self._fit_path(X, y, groups, self.alpha, alphas, ridge_path, "alpha")
        return self


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticProbe(C=None),
    "mass_mean": MassMeanProbe,
    "lda": LDAProbe,
    "ridge": lambda: RidgeProbe(alpha=None),
}
"""Estimators by the name they have in result tables; strengths are chosen on inner grouped folds."""


def make_probe(estimator: str) -> Any:
    """A new, unfitted probe by name. Raises InputError for a name that is not in `ESTIMATORS`."""
    if estimator not in ESTIMATORS:
        raise InputError(f"estimator={estimator!r}: expected one of {', '.join(ESTIMATORS)}")
    return ESTIMATORS[estimator]()


def fit_probe(probe: Any, X: ArrayLike, y: ArrayLike, groups: ArrayLike) -> Any:
    """Fit a probe, with groups when it takes them; returns it."""
    return (
        probe.fit(X, y, groups=groups) if isinstance(probe, LogisticProbe | RidgeProbe) else probe.fit(X, y)
    )


def at_same_strength(probe: Any) -> Any:
    """An unfitted copy of a fitted probe, its strength fixed at the one that was chosen."""
    copy: Any = clone(probe)
    if isinstance(probe, LogisticProbe):
        copy.C = probe.C_
    elif isinstance(probe, RidgeProbe):
        copy.alpha = probe.alpha_
    return copy


def refit(probe: Any, X: NDArray, labelings: Sequence[NDArray]) -> list[Any]:
    """Copies of a fitted probe at the same strength, one fitted on X `[n, d]` for each of several labelings
    `[n]` in {0, 1}; what depends on X alone is found once."""
    copies = [at_same_strength(probe) for _ in labelings]
    if not isinstance(probe, LogisticProbe | RidgeProbe):
        return [copy.fit(X, labels) for copy, labels in zip(copies, labelings, strict=True)]
    checked = [copy._check(X, labels)[1] for copy, labels in zip(copies, labelings, strict=True)]
    space = RowSpace.of(X)
    if isinstance(probe, RidgeProbe):
        for copy, labels in zip(copies, checked, strict=True):
            copy._solve(space, labels, copy.alpha, ridge_path)
            copy.alpha_ = copy.alpha
    elif copies:
        rows, labels = torch.from_numpy(space.rows), torch.from_numpy(np.stack(checked))
        found = logistic_columns(rows, labels, [probe.C_], tolerance=EXACT)
        weights, intercepts = found.weights[:, 0].numpy(), found.intercepts[:, 0].numpy()
        for copy, one, intercept in zip(copies, weights, intercepts, strict=True):
            copy._take(space, one, intercept)
            copy.C_ = copy.C
    return copies


def _held_out_aurocs(
    X: NDArray,
    labels: NDArray,
    folds: Sequence[tuple[NDArray, NDArray]],
    strengths: Sequence[float],
    solve: Callable,
) -> NDArray[np.float64]:
    """AUROC summed over held-out folds, `[strength]`; a fold that holds out one class only is left out."""
    totals = np.zeros(len(strengths))
    for train, held_out in folds:
        if len(np.unique(labels[held_out])) == 2:
            space = RowSpace.of(X[train])
            weights, _ = solve(space.rows, labels[train], strengths)
            totals += auroc(space.raw(weights) @ X[held_out].T, labels[held_out])
    return totals


def _probabilities(decision: NDArray) -> NDArray[np.float64]:
    positive = expit(decision)
    return np.column_stack([1 - positive, positive])
