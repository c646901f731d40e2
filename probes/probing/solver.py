"""Exact solutions for one labelling: logistic regression by Newton's method, and ridge regression.

This is the solver behind `LogisticProbe.fit` and `RidgeProbe.fit`, for one labelling at a few strengths. The
other logistic solver, `probes.probing.batched`, is for many labelings or strengths on the same rows; both
find the same optimum.

With fewer examples than dimensions, the L2-penalised optimum is a combination of the centred training rows.
It is therefore found in the row space, in at most as many coordinates as there are examples, and mapped back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

NEWTON_LIMIT = 600
"""With more coordinates than this, one Newton step costs more than many steps of L-BFGS."""

ROUNDING = 8 * np.finfo(float).eps
"""A decrease below this share of the objective is lost in rounding; the full step is then taken unseen."""


@dataclass(frozen=True)
class RowSpace:
    """Standardised training rows in an orthonormal basis of their span.

    Attributes
    ----------
    mean, scale : float array `[d]`
        What the rows were standardised by.
    basis : float array `[d, r]` or None
        An orthonormal basis of the span; None stands for the identity.
    rows : float array `[n, r]`
        The rows in coordinates of the basis.
    """

    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]
    basis: Float64[np.ndarray, "d r"] | None
    rows: Float64[np.ndarray, "n r"]

    @classmethod
    def of(cls, X: Float[np.ndarray, "n d"], standardise: bool = True) -> RowSpace:
        """The row space of `X [n, d]`, centred and divided by the standard deviation where it is not 0."""
        mean, scale, centred = standardised(X, standardise)
        if X.shape[0] >= X.shape[1]:
            return cls(mean, scale, None, centred)
        basis, triangle = np.linalg.qr(centred.T)
        return cls(mean, scale, basis, triangle.T)

    def raw(self, weights: Float64[np.ndarray, "*row r"]) -> Float64[np.ndarray, "*row d"]:
        """Weights on coordinates of the basis `[..., r]` as weights on raw activations `[..., d]`."""
        return (weights if self.basis is None else weights @ self.basis.T) / self.scale


def standardised(
    X: Float[np.ndarray, "n d"], divide: bool = True
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, " d"], Float64[np.ndarray, "n d"]]:
    """The mean `[d]`, the scale `[d]` and the standardised rows of `X [n, d]`.

    A constant feature becomes 0, and its scale is 1.

    Example
    -------
    >>> standardised(np.array([[1.0, 7.0], [3.0, 7.0]]))[2]
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    X = np.asarray(X, dtype=np.float64)
    mean = X.mean(0)
    centred = X - mean
    scale = np.ones(X.shape[1])
    if divide:
        deviation = np.sqrt((centred**2).mean(0))
        constant = deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))
        scale = np.where(constant, 1.0, deviation)
        centred = np.where(constant, 0.0, centred / scale)
    return mean, scale, centred


def logistic_path(
    rows: Float64[np.ndarray, "n r"], labels: Int[np.ndarray, " n"], strengths: Sequence[float]
) -> tuple[Float64[np.ndarray, "strength r"], Float64[np.ndarray, " strength"]]:
    """Minimise `C * sum(log loss) + |w|^2 / 2` for each C; the intercept is not penalised.

    The method is Newton's, and each solution starts from the one before; above `NEWTON_LIMIT` coordinates it
    is scikit-learn's L-BFGS. `batched.logistic_columns` solves many labelings together; it has more to set
    up, and is slower for one labelling of up to some hundred rows.

    Parameters
    ----------
    rows : float array `[n, r]`
        As `RowSpace` holds them.
    labels : int array `[n]`
        0 or 1.
    strengths : sequence of float
        Values of C.

    Returns
    -------
    weights : float array `[strength, r]`
    intercepts : float array `[strength]`

    Example
    -------
    >>> weights, intercepts = logistic_path(np.array([[-1.0], [1.0]]), np.array([0, 1]), [0.1, 1.0])
    >>> weights.shape, bool(weights[1, 0] > weights[0, 0] > 0)
    ((2, 1), True)
    """
    if rows.shape[1] > NEWTON_LIMIT:
        fits = [LogisticRegression(C=C, tol=1e-6, max_iter=2000).fit(rows, labels) for C in strengths]
        return np.concatenate([fit.coef_ for fit in fits]), np.concatenate([fit.intercept_ for fit in fits])
    design = np.column_stack([rows, np.ones(len(rows))])
    solution = np.zeros(design.shape[1])
    path = []
    for C in strengths:
        penalty = np.full(design.shape[1], 1 / C)
        penalty[-1] = 0.0
        solution = _newton(design, labels, penalty, solution)
        path.append(solution)
    return np.stack(path)[:, :-1], np.stack(path)[:, -1]


def _newton(
    design: Float64[np.ndarray, "n q"],
    labels: Int[np.ndarray, " n"],
    penalty: Float64[np.ndarray, " q"],
    start: Float64[np.ndarray, " q"],
) -> Float64[np.ndarray, " q"]:
    """Damped Newton steps from `start` until the gradient vanishes."""

    def objective(solution: NDArray, scores: NDArray) -> float:
        return np.logaddexp(0, scores).sum() - labels @ scores + (penalty * solution**2).sum() / 2

    solution, scores = start, design @ start
    value = objective(solution, scores)
    diagonal = np.diag_indices(len(penalty))
    for _ in range(100):
        probability = expit(scores)
        gradient = design.T @ (probability - labels) + penalty * solution
        if np.abs(gradient).max() < 1e-8:
            break
        hessian = (design.T * (probability * (1 - probability))) @ design
        hessian[diagonal] += penalty + 1e-12
        step = np.linalg.solve(hessian, gradient)
        decrease = gradient @ step
        for size in 0.5 ** np.arange(30):
            candidate = solution - size * step
            candidate_scores = design @ candidate
            candidate_value = objective(candidate, candidate_scores)
            if candidate_value <= value - 1e-4 * size * decrease or decrease < ROUNDING * value:
                break
        else:
            break
        solution, scores, value = candidate, candidate_scores, candidate_value
    return solution


def ridge_path(
    rows: Float64[np.ndarray, "n r"], labels: Int[np.ndarray, " n"], strengths: Sequence[float]
) -> tuple[Float64[np.ndarray, "strength r"], Float64[np.ndarray, " strength"]]:
    """Minimise `|y - f|^2 + alpha |w|^2` with y = -1 or 1 for each alpha; the intercept is not penalised.

    Parameters
    ----------
    rows : float array `[n, r]`
        Centred, as `RowSpace` holds them.
    labels : int array `[n]`
        0 or 1.
    strengths : sequence of float
        Values of alpha.

    Returns
    -------
    weights : float array `[strength, r]`
    intercepts : float array `[strength]`

    Example
    -------
    >>> ridge_path(np.array([[-1.0], [1.0]]), np.array([0, 1]), [0.0, 2.0])[0]
    array([[1. ],
           [0.5]])
    """
    target = 2.0 * labels - 1.0
    values, vectors = np.linalg.eigh(rows.T @ rows)
    projected = vectors.T @ (rows.T @ (target - target.mean()))
    weights = [vectors @ (projected / (np.maximum(values, 0.0) + alpha)) for alpha in strengths]
    return np.stack(weights), np.full(len(weights), target.mean())
