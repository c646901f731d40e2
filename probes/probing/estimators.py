"""The four linear probes: what reads a binary concept out of activations.

To add an estimator, write a subclass of `LinearProbe` here and name it in `ESTIMATORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.utils.validation import has_fit_parameter

from probes.concepts.folds import grouped_folds
from probes.errors import InputError
from probes.probing.batched import EXACT, logistic_columns
from probes.probing.linear_probe import LinearProbe, ProbabilisticProbe
from probes.probing.solver import RowSpace, logistic_path, ridge_path
from probes.stats.estimates import auroc

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Values of C that LogisticProbe(C=None) tries; RidgeProbe(alpha=None) tries their inverses."""


class MassMeanProbe(LinearProbe):
    """The difference of the class means, with the threshold half way between them.

    Source: Marks & Tegmark 2023, arXiv 2310.06824. Attributes are those of `LinearProbe`.

    Parameters
    ----------
    site : Site, optional
        Where the activations were read. It is carried along and not used.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> probe = probes.MassMeanProbe().fit(acts.values[2], acts.labels)
    >>> probe.direction_.shape
    (32,)
    """

    def __init__(self, site: Any = None):
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike) -> MassMeanProbe:
        """Fit on activations `[n, d]` and binary labels `[n]`.

        Raises
        ------
        ValueError
            For NaN, or another number of classes than 2.

        Example
        -------
        >>> probes.MassMeanProbe().fit([[0.0], [2.0], [0.5], [2.5]], [0, 1, 0, 1]).predict([[1.9]])
        array([1])
        """
        X, labels = self._check(X, y)
        low, high = X[labels == 0].mean(0), X[labels == 1].mean(0)
        self._set(high - low, -float((high - low) @ (high + low)) / 2)
        return self


class LDAProbe(ProbabilisticProbe):
    """Linear discriminant analysis: the difference of class means times the inverse within-class covariance.

    The covariance of standardised activations is shrunk towards a multiple of the identity by the amount of
    Ledoit & Wolf (2004, doi:10.1016/S0047-259X(03)00096-4), which keeps it invertible with fewer examples
    than dimensions. Marks & Tegmark (2023, arXiv 2310.06824) call this mass-mean with covariance correction.
    Its probabilities hold if the classes are Gaussian with one covariance. Attributes are those of
    `LinearProbe`.

    Parameters
    ----------
    site : Site, optional
        Where the activations were read. It is carried along and not used.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> probe = probes.LDAProbe().fit(acts.values[2], acts.labels)
    >>> probe.predict_proba(acts.values[2]).shape
    (48, 2)
    """

    def __init__(self, site: Any = None):
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike) -> LDAProbe:
        """Fit on activations `[n, d]` and binary labels `[n]`.

        Raises
        ------
        ValueError
            For NaN, or another number of classes than 2.

        Example
        -------
        >>> probes.LDAProbe().fit([[0.0], [2.0], [0.5], [2.5]], [0, 1, 0, 1]).predict([[1.9]])
        array([1])
        """
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


class PenalisedProbe(LinearProbe):
    """A probe with a penalty whose strength is given, or chosen on inner folds that hold out whole groups.

    A subclass names its parameter (`strength_name`), the values that are tried when it is None, the strongest
    regularisation first (`tried`), and its solver (`_path`).
    """

    strength_name: ClassVar[str]
    tried: ClassVar[tuple[float, ...]]

    @staticmethod
    def _path(
        rows: Float64[np.ndarray, "n r"], labels: Int[np.ndarray, " n"], strengths: Sequence[float]
    ) -> tuple[Float64[np.ndarray, "strength r"], Float64[np.ndarray, " strength"]]:
        """Weights `[strength, r]` and intercepts `[strength]` for rows `[n, r]` and labels `[n]`."""
        raise NotImplementedError

    def _solve_labelings(
        self, rows: Float64[np.ndarray, "n r"], labelings: Int[np.ndarray, "labelling n"], strength: float
    ) -> tuple[Float64[np.ndarray, "labelling r"], Float64[np.ndarray, " labelling"]]:
        """Weights `[labelling, r]` and intercepts `[labelling]` for labelings `[labelling, n]`."""
        solved = [self._path(rows, labels, [strength]) for labels in labelings]
        return tuple(np.concatenate(parts) for parts in zip(*solved, strict=True))  # pyright: ignore

    def fit_labelings(
        self, X: Float[np.ndarray, "n d"], labelings: Sequence[ArrayLike], copies: Sequence[Any]
    ) -> None:
        """Fit copies of this probe, one for each labelling; what depends on X alone is computed once."""
        checked = [copy._check(X, labels)[1] for copy, labels in zip(copies, labelings, strict=True)]
        if not checked:
            return
        space = RowSpace.of(X)
        strength = getattr(copies[0], self.strength_name)
        weights, intercepts = self._solve_labelings(space.rows, np.stack(checked), strength)
        for copy, one, intercept in zip(copies, weights, intercepts, strict=True):
            copy._take(space, one, intercept, strength)

    def _fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None) -> None:
        X, labels = self._check(X, y)
        name, strength = self.strength_name, getattr(self, self.strength_name)
        if strength is not None and not (np.isfinite(strength) and strength > 0):
            raise InputError(
                f"{name}={strength!r}: expected a positive number, or None to choose it by group"
            )
        if strength is None:
            if groups is None:
                raise InputError(f"{name}=None without groups: pass groups to fit, or a positive {name}")
            folds = grouped_folds(labels, groups)
            strength = self.tried[int(np.argmax(self._held_out_aurocs(X, labels, folds)))]
        space = RowSpace.of(X)
        weights, intercepts = self._path(space.rows, labels, [float(strength)])
        self._take(space, weights[0], intercepts[0], float(strength))

    def _take(
        self, space: RowSpace, weights: Float64[np.ndarray, " r"], intercept: float, strength: float
    ) -> None:
        """Become the solution in a row space, found at a strength."""
        coef = space.raw(weights)
        self._set(coef, float(intercept - space.mean @ coef))
        setattr(self, f"{self.strength_name}_", strength)

    def _held_out_aurocs(
        self,
        X: Float64[np.ndarray, "n d"],
        labels: Int[np.ndarray, " n"],
        folds: Sequence[tuple[NDArray, NDArray]],
    ) -> Float64[np.ndarray, " strength"]:
        """AUROC summed over held-out folds, `[strength]`; a fold that holds out one class only is skipped."""
        totals = np.zeros(len(self.tried))
        for train, held_out in folds:
            if len(np.unique(labels[held_out])) == 2:
                space = RowSpace.of(X[train])
                weights, _ = self._path(space.rows, labels[train], self.tried)
                totals += auroc(space.raw(weights) @ X[held_out].T, labels[held_out])
        return totals


class LogisticProbe(PenalisedProbe, ProbabilisticProbe):
    """Logistic regression with an L2 penalty on standardised activations, solved exactly.

    Attributes are those of `LinearProbe`, and `C_`, the C that was used.

    Parameters
    ----------
    C : float or None
        Inverse strength of the penalty, as in scikit-learn. None chooses the value in `STRENGTHS` with the
        best mean AUROC on inner folds that hold out whole groups and are standardised afresh; of equals it
        takes the smallest.
    site : Site, optional
        Where the activations were read. It is carried along and not used.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> probe = probes.LogisticProbe(C=None).fit(acts.values[2], acts.labels, groups=acts.groups)
    >>> probe.C_ in (1e-4, 1e-3, 1e-2, 1e-1), probe.predict_proba(acts.values[2]).shape
    (True, (48, 2))
    """

    strength_name = "C"
    tried = STRENGTHS
    _path = staticmethod(logistic_path)

    def __init__(self, C: float | None = 1.0, site: Any = None):
        self.C = C
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> LogisticProbe:
        """Fit on activations `[n, d]`, binary labels `[n]` and, when C is None, groups `[n]`.

        Raises
        ------
        ValueError
            For NaN, another number of classes than 2, or C=None without groups (an InputError).

        Example
        -------
        >>> X, y, pairs = [[0.0], [2.0], [0.5], [2.5]], [0, 1, 0, 1], ["a", "a", "b", "b"]
        >>> probes.LogisticProbe(C=None).fit(X, y, groups=pairs).predict([[1.9]])
        array([1])
        """
        self._fit(X, y, groups)
        return self

    def _solve_labelings(
        self, rows: Float64[np.ndarray, "n r"], labelings: Int[np.ndarray, "labelling n"], strength: float
    ) -> tuple[Float64[np.ndarray, "labelling r"], Float64[np.ndarray, " labelling"]]:
        problem = torch.from_numpy(rows), torch.from_numpy(labelings)
        solution = logistic_columns(*problem, [strength], tolerance=EXACT)
        return solution.weights[:, 0].numpy(), solution.intercepts[:, 0].numpy()


class RidgeProbe(PenalisedProbe):
    """Least squares on targets -1 and 1 with an L2 penalty, on standardised activations.

    Attributes are those of `LinearProbe`, and `alpha_`, the alpha that was used.

    Parameters
    ----------
    alpha : float or None
        Strength of the penalty, as in scikit-learn. None chooses among the inverses of `STRENGTHS` on inner
        folds that hold out whole groups; of equals it takes the largest.
    site : Site, optional
        Where the activations were read. It is carried along and not used.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> probes.RidgeProbe(alpha=30.0).fit(acts.values[2], acts.labels).alpha_
    30.0
    """

    strength_name = "alpha"
    tried = tuple(1 / C for C in STRENGTHS)
    _path = staticmethod(ridge_path)

    def __init__(self, alpha: float | None = 1.0, site: Any = None):
        self.alpha = alpha
        self.site = site

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> RidgeProbe:
        """Fit on activations `[n, d]`, binary labels `[n]` and, when alpha is None, groups `[n]`.

        Raises
        ------
        ValueError
            For NaN, another number of classes than 2, or alpha=None without groups (an InputError).

        Example
        -------
        >>> X, y, pairs = [[0.0], [2.0], [0.5], [2.5]], [0, 1, 0, 1], ["a", "a", "b", "b"]
        >>> probes.RidgeProbe(alpha=None).fit(X, y, groups=pairs).predict([[1.9]])
        array([1])
        """
        self._fit(X, y, groups)
        return self


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticProbe(C=None),
    "mass_mean": MassMeanProbe,
    "lda": LDAProbe,
    "ridge": lambda: RidgeProbe(alpha=None),
}
"""Estimators by the name they have in result tables. Strengths of penalties are chosen by inner folds."""


def make_probe(estimator: str) -> Any:
    """A new, unfitted probe.

    Parameters
    ----------
    estimator : str
        "logistic", "mass_mean", "lda" or "ridge".

    Raises
    ------
    InputError
        For another name.

    Example
    -------
    >>> probes.probing.make_probe("logistic")
    LogisticProbe(C=None)
    """
    if estimator not in ESTIMATORS:
        raise InputError(f"estimator={estimator!r}: expected one of {', '.join(ESTIMATORS)}")
    return ESTIMATORS[estimator]()


def fit_probe(probe: Any, X: ArrayLike, y: ArrayLike, groups: ArrayLike) -> Any:
    """Fit a probe on activations `[n, d]` and labels `[n]`, with groups `[n]` when its `fit` takes them.

    Returns
    -------
    probe
        The same object, fitted.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> fit_probe(make_probe("lda"), acts.values[2], acts.labels, acts.groups)
    LDAProbe()
    """
    return probe.fit(X, y, groups=groups) if has_fit_parameter(probe, "groups") else probe.fit(X, y)
