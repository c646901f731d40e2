"""A direction in activation space with its provenance, and the angle between two of them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from sklearn.covariance import ledoit_wolf

from probes.errors import InputError
from probes.models.sites import Site
from probes.probing.splits import layer_values, split_rows
from probes.tables.writing import written_atomically

if TYPE_CHECKING:
    from probes.activations import Activations

WEIGHTS = frozenset({"logistic", "lda", "ridge"})
"""Estimators whose vector reads activations (the weights of a linear function); that of any other is a
displacement of activations. The two transform differently under whitening."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector at a site, and where it came from.

    vector float32 `[d]`, of length 1 (or 0 when the classes did not differ at all); position, the token
    position it was read at; stage, concept, estimator: what it was fitted on; scale: pooled within-class
    standard deviation of the training activations' projections on it, the natural unit of a push; gap: half
    the distance between the class means along it, in activation units; digest: of the activations.
    Raises InputError for a vector that is not one finite row of length 1 or 0.
    """

    vector: NDArray[np.float32] = field(repr=False)
    site: Site
    position: str
    stage: str
    concept: str
    estimator: str
    scale: float
    gap: float
    digest: str

    def __post_init__(self) -> None:
        vector = np.array(self.vector, dtype=np.float32)
        norm = float(np.linalg.norm(vector)) if vector.ndim == 1 and np.isfinite(vector).all() else np.nan
        if not (norm == 0 or abs(norm - 1) < 1e-3):
            raise InputError(
                f"direction of shape {vector.shape} and length {norm:.3g}: expected a unit vector [d]"
            )
        vector.flags.writeable = False
        object.__setattr__(self, "vector", vector)

    def at(self, acts: Activations, seed: int = 0) -> Direction:
        """The same vector with `scale` and `gap` measured on the train split of another stage's activations,
        so that a push on that stage is in its own natural unit. Raises InputError when the layer was not
        extracted or the widths differ."""
        values = layer_values(acts, self.site, self.vector.size)
        train = split_rows(acts, seed).train
        scale, gap = natural_unit(values[train], np.asarray(acts.labels)[train].astype(int), self.vector)
        return dataclasses.replace(self, scale=scale, gap=gap)

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, provenance as JSON in its metadata. Raises OutputError."""
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "vector"}
        facts["site"] = str(self.site)
        with written_atomically(path) as temporary:
            save_file({"vector": self.vector}, temporary, metadata={"direction": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | Path) -> Direction:
        """Read what `save` wrote. Raises InputError for a file that is missing or something else."""
        try:
            with safe_open(str(path), framework="np") as file:
                facts = json.loads((file.metadata() or {})["direction"])
                facts["site"] = Site.parse(facts["site"])
                return cls(vector=file.get_tensor("vector"), **facts)
        except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise InputError(f"{path}: expected a direction written by Direction.save ({error})") from error

    def _repr_html_(self) -> str:
        facts = {
            "concept": self.concept,
            "stage": self.stage,
            "site": f"{self.site}, position {self.position}",
            "estimator": self.estimator,
            "width": self.vector.size,
            "scale": f"{self.scale:.4g}",
            "half gap": f"{self.gap:.4g}",
        }
        cells = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in facts.items())
        return f"<table><caption>Direction</caption>{cells}</table>"


def natural_unit(X: NDArray, labels: NDArray, vector: NDArray) -> tuple[float, float]:
    """(scale, gap) of activations `X [n, d]` with labels `[n]` in {0, 1} along a unit vector `[d]`: the
    pooled within-class standard deviation of projections, and half the distance between the class means."""
    projections = np.asarray(X, dtype=np.float64) @ np.asarray(vector, dtype=np.float64)
    means = np.array([projections[labels == k].mean() for k in (0, 1)])
    pooled = ((projections - means[labels]) ** 2).sum() / (len(labels) - 2)
    return float(np.sqrt(pooled)), float(means[1] - means[0]) / 2


def cosine(a: Direction | ArrayLike, b: Direction | ArrayLike, covariance: ArrayLike | None = None) -> float:
    """Cosine of the angle between two directions, NaN when one of them is zero.

    Parameters: a and b, directions or vectors `[d]` (plain vectors count as displacements); covariance
    `[d, d]`, to take both through `whiten` first, so that a few huge dimensions do not decide.
    Raises InputError when the widths differ or the covariance is not positive definite.
    """
    (u, u_estimator), (v, v_estimator) = _read(a), _read(b)
    if u.shape != v.shape or u.ndim != 1:
        raise InputError(f"directions of shape {u.shape} and {v.shape}: expected two vectors of one width")
    if covariance is None:
        u, v = _unit(u), _unit(v)
    else:
        u, v = whiten(u, covariance, u_estimator), whiten(v, covariance, v_estimator)
    return float(np.clip(u @ v, -1, 1))


def whiten(vectors: ArrayLike, covariance: ArrayLike, estimator: str | None = None) -> NDArray[np.float64]:
    """Vectors `[..., d]` at unit length in a space where `covariance` `[d, d]` is the identity; NaN for zero.

    Their dot products are the cosines of the causal inner product (Park et al. 2023, arXiv 2311.03658), with
    a covariance of activations in place of the unembedding's: take `pooled_covariance` and keep it frozen
    across what is compared. With S = L L', a displacement of activations v, as in mass-mean, becomes L^-1 v
    and the weights w of a linear function, as in the estimators logistic, lda and ridge (`WEIGHTS`), become
    L' w; so the LDA weights S^-1 d and the displacement d are one direction. Coordinates mean nothing on
    their own.
    Raises InputError when the widths differ or the covariance is not positive definite.
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


def pooled_covariance(X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Within-class covariance `[d, d]` of activations `[n, d]` with labels `[n]`, shrunk by Ledoit & Wolf's
    rule so that it is positive definite however few the examples."""
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
    residuals = X.copy()
    for label in np.unique(y):
        residuals[y == label] -= X[y == label].mean(0)
    return ledoit_wolf(residuals, assume_centered=True)[0]


def _read(direction: Direction | ArrayLike) -> tuple[NDArray[np.float64], str | None]:
    if isinstance(direction, Direction):
        return direction.vector.astype(np.float64), direction.estimator
    return np.asarray(direction, dtype=np.float64), None


def _unit(vectors: NDArray) -> NDArray[np.float64]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(norms > 0, norms, np.nan)
