"""Edits of states within a subspace, and subspaces that are read off the states of exchanged tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from torch import Tensor

READERS = ("class_mean", "probe", "lda")
"""Directions that are read off the states: the difference of the class means, and the weights of a logistic
regression and of a linear discriminant analysis with shrinkage."""


@dataclass(eq=False)
class Within:
    """The edit that exchanges the component within a subspace and leaves the rest of a state as it is.

    Parameters
    ----------
    basis : `[k, d]`, orthonormal rows.
    along : `[k, d]`, orthonormal rows; where given, what would be exchanged is added along these instead,
        which makes a control of equal dimension and dose.
    """

    basis: Tensor
    along: Tensor | None = None

    def __call__(self, here: Tensor, there: Tensor, sign: Tensor) -> Tensor:
        along = self.basis if self.along is None else self.along
        return here + (there - here) @ self.basis.T @ along


@dataclass(eq=False)
class Held:
    """The edit that holds the component within a subspace at that of `centre` `[d]`, which erases it."""

    basis: Tensor
    centre: Tensor

    def __call__(self, here: Tensor, there: Tensor, sign: Tensor) -> Tensor:
        return here + (self.centre - here) @ self.basis.T @ self.basis


def orthonormal(vectors: Float64[np.ndarray, "k d"]) -> Tensor:
    """An orthonormal basis of the span of `vectors`, `[k, d]` float32."""
    q, _ = np.linalg.qr(np.asarray(vectors, dtype=float).T)
    return torch.tensor(q.T, dtype=torch.float32)


def random_basis(k: int, width: int, seed: int) -> Tensor:
    """`[k, width]` float32: a basis of a subspace that is uniform among those of dimension k."""
    return orthonormal(np.random.default_rng(seed).standard_normal((k, width)))


def read_direction(reader: str, states: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """A direction `[d]` in which the classes differ, of length 1.

    Parameters
    ----------
    reader : one of `READERS`.
    states : `[token, d]`.
    signs : `[token]`, 1 for the positive class and -1 for the other.
    """
    if reader == "class_mean":
        vector = states[signs > 0].mean(0) - states[signs < 0].mean(0)
    elif reader == "probe":
        scale = states.std() or 1.0
        vector = LogisticRegression(C=1e-2, max_iter=500).fit(states / scale, signs > 0).coef_[0]
    else:
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(states, signs > 0)
        vector = model.coef_[0]
    norm = np.linalg.norm(vector)
    return vector / norm if norm else vector
