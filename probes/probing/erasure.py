"""Erasing everything that a linear probe could read about a concept, with the least change to activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


@dataclass(frozen=True)
class Erasure:
    """The fitted map `x -> x - (x - mean) @ read.T @ write.T`, which erases a concept.

    Attributes
    ----------
    mean : float array `[d]`
        The mean activation.
    write : float array `[d, k]`
        What is subtracted; k is the number of classes - 1, or less when they cannot be told apart linearly.
    read : float array `[k, d]`
        How much of it is subtracted. `write @ read` is the matrix W^+ P W of the paper (see `Eraser`).

    Example
    -------
    >>> erase = probes.Eraser().fit([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [2.0, 3.0]], [0, 1, 0, 1]).erasure_
    >>> erase(np.array([0.0, 5.0])).round(6)
    array([1., 5.])
    """

    mean: Float64[np.ndarray, " d"]
    write: Float64[np.ndarray, "d k"]
    read: Float64[np.ndarray, "k d"]

    def __call__(self, X: Float[np.ndarray, "*row d"]) -> Float[np.ndarray, "*row d"]:
        """Activations `[..., d]` with the concept erased; same shape."""
        return X - (X - self.mean) @ self.read.T @ self.write.T


class Eraser(TransformerMixin, BaseEstimator):
    """LEACE: least-squares concept erasure (Belrose et al. 2023, arXiv 2306.03819).

    The map is r(x) = x - W^+ P W (x - mu). W is the whitening matrix of the activations, and P the orthogonal
    projection onto the column space of W Cov(x, label). After it all classes have the same mean, so that no
    linear classifier beats the majority rate on the data that it was fitted on. Of all affine maps with this
    property it moves the activations least, in every norm that comes from an inner product. With fewer
    examples than dimensions it holds exactly on the training rows, and says little about others.

    Parameters
    ----------
    tolerance : float
        Principal axes whose standard deviation is below this fraction of the largest are taken as constant.
    site : Site, optional
        Where the activations were read. It is carried along and not used.

    Attributes
    ----------
    erasure_ : Erasure
        The fitted map, which can be called on arrays `[..., d]`.

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> erased = probes.Eraser().fit_transform(acts.values[2], acts.labels)
    >>> means = [erased[acts.labels == label].mean(0) for label in (0, 1)]
    >>> np.allclose(*means, atol=1e-5)
    True
    """

    def __init__(self, tolerance: float = 1e-6, site: Any = None):
        self.tolerance = tolerance
        self.site = site

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> Eraser:
        """Fit on activations `[n, d]` and labels `[n]` of any number of classes.

        Raises
        ------
        ValueError
            For NaN.

        Example
        -------
        >>> probes.Eraser().fit([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [2.0, 3.0]], [0, 1, 0, 1]).erasure_.mean
        array([1., 2.])
        """
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

    def transform(self, X: ArrayLike) -> Float64[np.ndarray, "example d"]:
        """Activations `[n, d]` with the concept erased, `[n, d]`.

        Example
        -------
        >>> eraser = probes.Eraser().fit([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [2.0, 3.0]], [0, 1, 0, 1])
        >>> eraser.transform([[0.0, 5.0], [2.0, 7.0]]).round(6)
        array([[1., 5.],
               [1., 7.]])
        """
        check_is_fitted(self)
        checked = validate_data(self, X, dtype=np.float64, reset=False)  # pyright: ignore
        return self.erasure_(np.asarray(checked))
