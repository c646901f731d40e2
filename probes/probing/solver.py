"""Exact linear solutions in the row space of the training data, apart because every probe solves there.

With fewer examples than dimensions, the L2-penalised optimum is a combination of the (centred) training rows,
so it is found in at most n_examples coordinates and mapped back: the same optimum at a fraction of the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

NEWTON_LIMIT = 600
"""Coordinates above which a Newton step costs more than many L-BFGS steps."""


@dataclass(frozen=True)
class RowSpace:
    """Standardised training rows in an orthonormal basis of their span.

    mean, scale `[d]`: the standardisation; basis `[d, r]` or None for the identity; rows `[n, r]`.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    basis: NDArray[np.float64] | None
    rows: NDArray[np.float64]

    @classmethod
    def of(cls, X: NDArray, standardise: bool = True) -> RowSpace:
        """Row space of `X [n, d]`, centred, and divided by the standard deviation where it is not zero."""
        mean, scale, centred = standardised(X, standardise)
        if X.shape[0] >= X.shape[1]:
            return cls(mean, scale, None, centred)
        basis, triangle = np.linalg.qr(centred.T)
        return cls(mean, scale, basis, triangle.T)

    def raw(self, weights: NDArray) -> NDArray[np.float64]:
        """Weights on the rows' coordinates `[..., r]` -> weights on raw activations `[..., d]`."""
        return (weights if self.basis is None else weights @ self.basis.T) / self.scale


def standardised(X: NDArray, divide: bool = True) -> tuple[NDArray, NDArray, NDArray[np.float64]]:
    """Mean `[d]`, scale `[d]` and standardised `X [n, d]`: a constant feature is 0, its scale 1."""
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
    rows: NDArray, labels: NDArray, strengths: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimise `C * sum(log loss) + |w|^2 / 2` for each C; the intercept is not penalised.

    rows `[n, r]`, labels `[n]` in {0, 1} -> weights `[strength, r]`, intercepts `[strength]`. Newton's
    method, each solution starting from the one before; L-BFGS (scikit-learn) above `NEWTON_LIMIT`
    coordinates. For one labelling at a few strengths; many labelings are `batched.logistic_columns`', which
    has more to set up and is slower here below some hundred rows.
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


def _newton(design: NDArray, labels: NDArray, penalty: NDArray, start: NDArray) -> NDArray[np.float64]:
    """Damped Newton from `start` until the gradient vanishes."""

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
            if candidate_value <= value - 1e-4 * size * decrease:
                break
        else:
            break
        solution, scores, value = candidate, candidate_scores, candidate_value
    return solution


def ridge_path(
    rows: NDArray, labels: NDArray, strengths: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimise `|y - f|^2 + alpha |w|^2` with y = -1 or 1 for each alpha; the intercept is not penalised.

    rows `[n, r]`, centred, labels `[n]` in {0, 1} -> weights `[strength, r]`, intercepts `[strength]`.
    """
    target = 2.0 * labels - 1.0
    values, vectors = np.linalg.eigh(rows.T @ rows)
    projected = vectors.T @ (rows.T @ (target - target.mean()))
    weights = [vectors @ (projected / (np.maximum(values, 0.0) + alpha)) for alpha in strengths]
    return np.stack(weights), np.full(len(weights), target.mean())
