"""Removing everything a linear probe could read about a concept, with the least change to the activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


@dataclass(frozen=True)
class Erasure:
    """The map `x -> x - (x - mean) @ read.T @ write.T`, as fitted.

    mean `[d]`; write `[d, k]` and read `[k, d]`, whose product is W^+ P W; k = number of classes - 1, or 0
    when the classes cannot be told apart linearly.
    """

    mean: NDArray[np.float64]
    write: NDArray[np.float64]
    read: NDArray[np.float64]

    def __call__(self, X: NDArray) -> NDArray:
        """Erase from activations `[..., d]`; same shape."""
        return X - (X - self.mean) @ self.read.T @ self.write.T


class Eraser(TransformerMixin, BaseEstimator):
    """LEACE: least-squares concept erasure (Belrose et al. 2023, arXiv 2306.03819).

    r(x) = x - W^+ P W (x - mu), with W the whitening matrix of the activations and P the orthogonal
    projection onto the column space of W Cov(x, label). After it every class has the same mean, so no linear
    classifier beats the majority rate on the data it was fitted on; of all such affine maps it moves the
    activations least, in every Euclidean-type norm. With fewer examples than dimensions it holds
    exactly on the training rows and says little about others.

    Parameters
    ----------
    tolerance : float
        Principal axes whose standard deviation is below this fraction of the largest are treated as constant.
    site : Site or None
        Where the activations were read; carried, not used.

    Attributes
    ----------
    erasure_ : Erasure
        The frozen map, a plain callable on arrays `[..., d]`.
    """

    def __init__(self, tolerance: float = 1e-6, site: Any = None):
        self.tolerance = tolerance
        self.site = site

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Eraser:
        """Fit on activations `[n, d]` and labels `[n]` of any number of classes; ValueError for NaN."""
        checked = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)  # pyright: ignore
        X, y = map(np.asarray, checked)
        mean = X.mean(0)
        one_hot = (y[:, None] == np.unique(y)).astype(np.float64)
        left, deviation, axes = np.linalg.svd(X - mean, full_matrices=False)
        keep = deviation > self.tolerance * max(deviation[0], np.finfo(float).tiny)
        left, deviation, axes = left[:, keep], deviation[keep], axes[keep]
        # With X - mean = U S V', the whitened cross-covariance is V (U' one_hot) up to a factor.
        concept, strength, _ = np.linalg.svd(left.T @ (one_hot - one_hot.mean(0)), full_matrices=False)
        concept = concept[:, strength > 1e-10]
        self.erasure_ = Erasure(mean, axes.T @ (deviation[:, None] * concept), (concept.T / deviation) @ axes)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Activations `[n, d]` with the concept erased, `[n, d]`."""
        check_is_fitted(self)
        checked = validate_data(self, X, dtype=np.float64, reset=False)  # pyright: ignore
        return self.erasure_(np.asarray(checked))
