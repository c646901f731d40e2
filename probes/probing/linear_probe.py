"""What all probes have in common: a binary linear classifier with the interface of scikit-learn."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int, Shaped
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from probes.errors import InputError


class LinearProbe(ClassifierMixin, BaseEstimator):
    """A binary linear classifier whose weights act on raw activations.

    A subclass implements `fit`, which calls `_check` first and `_set` last.

    Attributes
    ----------
    classes_ : array `[2]`
        The two labels, the negative one first.
    coef_ : float array `[1, d]`
        The weights. The decision value of a row X is `X @ coef_[0] + intercept_[0]`.
    intercept_ : float array `[1]`
        The constant of the decision value.
    direction_ : float array `[d]`
        `coef_` at unit length, all zeros where `coef_` is zero.

    Example
    -------
    >>> probe = probes.MassMeanProbe().fit([[0.0, 1.0], [2.0, 1.0]], ["dear", "cheap"][::-1])
    >>> probe.classes_.tolist(), probe.coef_, probe.direction_
    (['cheap', 'dear'], array([[2., 0.]]), array([1., 0.]))
    """

    classes_: Shaped[np.ndarray, " 2"]
    coef_: Float64[np.ndarray, "1 d"]
    intercept_: Float64[np.ndarray, " 1"]
    direction_: Float64[np.ndarray, " d"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def decision_function(self, X: ArrayLike) -> Float64[np.ndarray, " n"]:
        """The signed score of each row.

        Parameters
        ----------
        X : float array `[n, d]`
            Activations.

        Returns
        -------
        float array `[n]`
            Positive values mean `classes_[1]`.

        Example
        -------
        >>> probe = probes.MassMeanProbe().fit([[0.0], [2.0]], [0, 1])
        >>> probe.decision_function([[1.0], [3.0]])
        array([0., 4.])
        """
        check_is_fitted(self)
        X = np.asarray(validate_data(self, X, dtype=np.float64, reset=False))  # pyright: ignore
        return X @ self.coef_[0] + self.intercept_[0]

    def predict(self, X: ArrayLike) -> Shaped[np.ndarray, " n"]:
        """The class of each row.

        Parameters
        ----------
        X : float array `[n, d]`
            Activations.

        Returns
        -------
        array `[n]`
            Values of `classes_`.

        Example
        -------
        >>> probes.MassMeanProbe().fit([[0.0], [2.0]], ["dear", "cheap"]).predict([[0.5], [3.0]])
        array(['dear', 'cheap'], dtype='<U5')
        """
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def _check(self, X: ArrayLike, y: ArrayLike) -> tuple[Float64[np.ndarray, "n d"], Int[np.ndarray, " n"]]:
        """Checked X `[n, d]` and labels `[n]` in {0, 1}, which are positions in `classes_`."""
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

    def _set(self, coef: Float64[np.ndarray, " d"], intercept: float) -> None:
        norm = np.linalg.norm(coef)
        self.coef_ = coef[None]
        self.intercept_ = np.array([intercept])
        self.direction_ = coef / norm if norm > 0 else np.zeros_like(coef)


class ProbabilisticProbe(LinearProbe):
    """A linear probe whose decision value is the log odds of the positive class.

    Example
    -------
    >>> issubclass(probes.LDAProbe, ProbabilisticProbe), issubclass(probes.MassMeanProbe, ProbabilisticProbe)
    (True, False)
    """

    def predict_proba(self, X: ArrayLike) -> Float64[np.ndarray, "n 2"]:
        """The probability of each class, the negative one first.

        Parameters
        ----------
        X : float array `[n, d]`
            Activations.

        Returns
        -------
        float array `[n, 2]`

        Example
        -------
        >>> probe = probes.LDAProbe().fit([[0.0], [2.0], [1.0], [3.0]], [0, 1, 0, 1])
        >>> probe.predict_proba([[1.5]])
        array([[0.5, 0.5]])
        """
        positive = expit(self.decision_function(X))
        return np.column_stack([1 - positive, positive])
