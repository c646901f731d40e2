"""The angle between two directions, plain or in a space where activations vary equally in all directions."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import ledoit_wolf

from probes.errors import InputError
from probes.probing.direction import Direction

WEIGHTS = frozenset({"logistic", "lda", "ridge"})
"""Estimators whose vector holds the weights of a linear function of activations. The vector of any other is a
displacement of activations. The two transform differently under whitening."""


def cosine(a: Direction | ArrayLike, b: Direction | ArrayLike, covariance: ArrayLike | None = None) -> float:
    """The cosine of the angle between two directions; NaN when one of them is zero.

    Parameters
    ----------
    a, b : Direction or float array `[d]`
        Plain vectors count as displacements of activations.
    covariance : float array `[d, d]`, optional
        Whitens both directions first (see `whiten`), so that a few dimensions with huge variance do not
        decide.

    Raises
    ------
    InputError
        When the widths differ, or the covariance is not positive definite.

    Example
    -------
    >>> cosine([1.0, 0.0], [1.0, 1.0])
    0.707
    >>> cosine([1.0, 0.0], [1.0, 1.0], covariance=[[100.0, 0.0], [0.0, 1.0]])
    0.0995
    """
    (u, u_estimator), (v, v_estimator) = _vector(a), _vector(b)
    if u.shape != v.shape or u.ndim != 1:
        raise InputError(f"directions of shape {u.shape} and {v.shape}: expected two vectors of one width")
    if covariance is None:
        u, v = _unit(u), _unit(v)
    else:
        u, v = whiten(u, covariance, u_estimator), whiten(v, covariance, v_estimator)
    return float(np.clip(u @ v, -1, 1))


def whiten(
    vectors: ArrayLike, covariance: ArrayLike, estimator: str | None = None
) -> Float64[np.ndarray, "*row d"]:
    """Vectors at unit length in a space where the covariance of activations is the identity.

    Their dot products are cosines of the causal inner product (Park et al. 2023, arXiv 2311.03658), with a
    covariance of activations in place of that of the unembedding. Take `pooled_covariance`, and keep it the
    same for all that is compared. With the covariance S = L L', a displacement v of activations, as mass-mean
    finds it, becomes L^-1 v; the weights w of a linear function, as the estimators logistic, lda and ridge
    find them, become L' w. The LDA weights S^-1 d and the displacement d thus become one direction. The
    coordinates mean nothing on their own.

    Parameters
    ----------
    vectors : float array `[..., d]`
        One or many vectors.
    covariance : float array `[d, d]`
        Positive definite.
    estimator : str, optional
        The estimator that found the vectors: those in `WEIGHTS` are transformed as weights, others as
        displacements.

    Returns
    -------
    float array `[..., d]`
        NaN where a vector is zero.

    Raises
    ------
    InputError
        When the widths differ, or the covariance is not positive definite.

    Example
    -------
    >>> whiten([3.0, 4.0], [[9.0, 0.0], [0.0, 16.0]])
    array([0.707, 0.707])
    """
    vectors, matrix = np.asarray(vectors, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    width = vectors.shape[-1]
    if matrix.shape != (width, width):
        raise InputError(f"covariance of shape {matrix.shape}: expected ({width}, {width})")
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise InputError(f"covariance is not positive definite ({error}): use pooled_covariance") from error
    if estimator in WEIGHTS:
        return _unit(vectors @ factor)
    flat = vectors.reshape(-1, width)
    return _unit(scipy.linalg.solve_triangular(factor, flat.T, lower=True).T.reshape(vectors.shape))


def pooled_covariance(X: ArrayLike, y: ArrayLike) -> Float64[np.ndarray, "d d"]:
    """The covariance of activations within classes, shrunk so that it is always positive definite.

    The amount of shrinkage is that of Ledoit & Wolf (2004, doi:10.1016/S0047-259X(03)00096-4), which works
    for fewer examples than dimensions.

    Parameters
    ----------
    X : float array `[n, d]`
        Activations.
    y : array `[n]`
        Labels.

    Returns
    -------
    float array `[d, d]`

    Example
    -------
    >>> acts = probes.extract(stage, concept)
    >>> covariance = pooled_covariance(acts.values[2], acts.labels)
    >>> covariance.shape, bool(np.linalg.eigvalsh(covariance).min() > 0)
    ((32, 32), True)
    """
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
    residuals = X.copy()
    for label in np.unique(y):
        residuals[y == label] -= X[y == label].mean(0)
    return ledoit_wolf(residuals, assume_centered=True)[0]


def _vector(direction: Direction | ArrayLike) -> tuple[NDArray[np.float64], str | None]:
    """The vector of a direction, and the estimator that found it where it is known."""
    if isinstance(direction, Direction):
        return direction.vector.astype(np.float64), direction.estimator
    return np.asarray(direction, dtype=np.float64), None


def _unit(vectors: Float64[np.ndarray, "*row d"]) -> Float64[np.ndarray, "*row d"]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norms > 0, norms, np.nan)
