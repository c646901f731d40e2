"""What training does to all activations alike: it shifts them by a constant offset, and it rotates them.

Both changes are estimated on neutral texts, in which no concept is at stake, and are removed before a concept
is compared between stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
from jaxtyping import Float64
from numpy.typing import ArrayLike

from probes.errors import InputError

TOLERANCE = 1e-6
"""A principal axis counts as spanned when its standard deviation is at least this share of the largest."""


@dataclass(frozen=True, eq=False)
class Offset:
    """The mean difference of neutral activations between a stage and its parent.

    Attributes
    ----------
    vector : float array `[d]`
        The difference.
    size : float
        Its root mean square over features, where each feature is measured in its standard deviation over
        texts at the parent. The part that n texts make by chance is subtracted.
    n : int
        The number of texts.

    Example
    -------
    >>> Offset(np.array([0.0, 2.0]), size=1.4, n=50).n
    50
    """

    vector: Float64[np.ndarray, " d"]
    size: float
    n: int


@dataclass(frozen=True, eq=False)
class Alignment:
    """An orthogonal map of one stage's activations (the source) onto another's (the target).

    Attributes
    ----------
    rotation : float array `[d, d]`
        A row x of activations becomes (x - source_mean) @ rotation + target_mean.
    source_mean, target_mean : float array `[d]`
        The mean neutral activations.
    basis : float array `[d, r]`
        An orthonormal basis of the span of the source's neutral activations.
    unexplained : float
        The share of the target's variance that the aligned source misses, on the texts that it was fitted
        on. With fewer texts than dimensions it is too low.

    Example
    -------
    >>> source = np.random.default_rng(0).normal(size=(20, 2))
    >>> alignment = procrustes(source, source + 3.0)
    >>> alignment.target_mean - alignment.source_mean
    array([3., 3.])
    """

    rotation: Float64[np.ndarray, "d d"]
    source_mean: Float64[np.ndarray, " d"]
    target_mean: Float64[np.ndarray, " d"]
    basis: Float64[np.ndarray, "d r"]
    unexplained: float

    def activations(self, values: ArrayLike) -> Float64[np.ndarray, "*row d"]:
        """The source's activations `[..., d]` in the space of the target.

        Example
        -------
        >>> source = np.random.default_rng(0).normal(size=(20, 2))
        >>> np.allclose(procrustes(source, source[:, ::-1]).activations(source), source[:, ::-1])
        True
        """
        return (np.asarray(values, dtype=np.float64) - self.source_mean) @ self.rotation + self.target_mean

    def directions(self, vectors: ArrayLike) -> Float64[np.ndarray, "*row d"]:
        """The source's directions `[..., d]`, displacements or weights of probes, in the target's space.

        Example
        -------
        >>> source = np.random.default_rng(0).normal(size=(20, 2))
        >>> procrustes(source, source[:, ::-1]).directions([1.0, 0.0]).round(6) + 0.0
        array([0., 1.])
        """
        return np.asarray(vectors, dtype=np.float64) @ self.rotation

    def outside(self, vectors: ArrayLike) -> Float64[np.ndarray, "*row"]:
        """The share of each direction's squared length outside the span of the neutral texts, `[...]`.

        It is 0 when the neutral texts determine where the direction goes, and 1 when they say nothing of it.

        Example
        -------
        >>> flat = np.random.default_rng(0).normal(size=(20, 3)) * [1.0, 1.0, 0.0]
        >>> procrustes(flat, flat).outside([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).round(6)
        array([0., 1.])
        """
        vectors = np.asarray(vectors, dtype=np.float64)
        length, inside = (vectors**2).sum(-1), ((vectors @ self.basis) ** 2).sum(-1)
        return np.asarray(np.clip(1 - inside / np.where(length > 0, length, np.nan), 0, 1))


def neutral_offset(stage: ArrayLike, parent: ArrayLike) -> Offset:
    """The constant offset that training added to all activations.

    Narrow fine-tuning leaves an offset that can be read on unrelated texts (Minder et al. 2025, arXiv
    2510.13900).

    Parameters
    ----------
    stage, parent : float array `[text, d]`
        Activations of the same neutral texts at a stage and at its parent.

    Returns
    -------
    Offset

    Raises
    ------
    InputError
        For shapes that differ, fewer than 2 texts, or values that are not finite.

    Example
    -------
    >>> parent = np.random.default_rng(0).normal(size=(20, 3))
    >>> neutral_offset(parent + [0, 0, 2], parent).vector.round(6)
    array([0., 0., 2.])
    """
    stage, parent = _neutral(stage, parent)
    difference = stage - parent
    vector = difference.mean(0)
    unit = parent.std(0, ddof=1)
    varies = unit > 0
    squares = vector**2 - difference.var(0, ddof=1) / len(difference)
    size = np.sqrt(max(0.0, float((squares[varies] / unit[varies] ** 2).mean()))) if varies.any() else 0.0
    return Offset(vector, float(size), len(difference))


def offset_removed(
    values: ArrayLike, offset: Offset, how: Literal["shift", "project"] = "shift"
) -> Float64[np.ndarray, "*row d"]:
    """Activations of a stage without its offset from the parent.

    Parameters
    ----------
    values : float array `[..., d]`
        The stage's activations.
    offset : Offset
        From `neutral_offset`.
    how : str
        "shift" subtracts the vector. This matters to the threshold of a frozen probe and to nothing that is
        refitted, because a constant cannot separate texts of one stage. "project" removes everything along
        the vector, so that no probe reads a trace whose size varies from text to text; a concept that lies
        along the vector is lost too.

    Returns
    -------
    float array `[..., d]`

    Raises
    ------
    InputError
        For another width, or another value of `how`.

    Example
    -------
    >>> parent = np.random.default_rng(0).normal(size=(20, 3))
    >>> stage_values = parent + [0, 0, 2]
    >>> np.allclose(offset_removed(stage_values, neutral_offset(stage_values, parent)), parent)
    True
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape[-1:] != offset.vector.shape:
        raise InputError(f"values {values.shape}: expected the width of the offset, {offset.vector.size}")
    if how == "shift":
        return values - offset.vector
    if how != "project":
        raise InputError(f'how={how!r}: expected "shift" or "project"')
    length = np.linalg.norm(offset.vector)
    unit = offset.vector / length if length > 0 else offset.vector
    return values - (values @ unit)[..., None] * unit


def procrustes(source: ArrayLike, target: ArrayLike) -> Alignment:
    """The orthogonal map that brings one stage's centred neutral activations nearest to another's.

    This is the orthogonal Procrustes problem (Schönemann 1966, doi:10.1007/BF02289451). With fewer texts than
    dimensions, the texts determine the map on their span alone. Of all maps that fit equally well, the one
    nearest to the identity is taken. A direction outside the span is thus assumed not to have moved;
    `Alignment.outside` says how much of a direction that concerns.

    Parameters
    ----------
    source, target : float array `[text, d]`
        Activations of the same neutral texts (or tokens) at both stages.

    Returns
    -------
    Alignment

    Raises
    ------
    InputError
        For shapes that differ, fewer than 2 texts, or values that are not finite.

    Example
    -------
    >>> source = np.random.default_rng(0).normal(size=(20, 2))
    >>> quarter_turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> alignment = procrustes(source, source @ quarter_turn)
    >>> alignment.rotation.round(6) + 0.0
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    source, target = _neutral(source, target)
    means = source.mean(0), target.mean(0)
    a, b = source - means[0], target - means[1]
    left, spread, right = np.linalg.svd(a.T @ b)
    rank = int((spread > TOLERANCE**2 * spread[0]).sum()) if spread[0] > 0 else 0
    fixed, free = slice(None, rank), slice(rank, None)
    rest = scipy.linalg.orthogonal_procrustes(left[:, free], right[free].T)[0] if rank < len(spread) else None
    rotation = left[:, fixed] @ right[fixed]
    if rest is not None:
        rotation = rotation + left[:, free] @ rest @ right[free]
    axes = scipy.linalg.svd(a, full_matrices=False)
    spanned = axes[1] > TOLERANCE * max(axes[1][0], np.finfo(float).tiny)
    total = float((b**2).sum())
    missed = float(((a @ rotation - b) ** 2).sum()) / total if total > 0 else 0.0
    return Alignment(rotation, *means, axes[2][spanned].T, missed)


def _neutral(
    stage: ArrayLike, parent: ArrayLike
) -> tuple[Float64[np.ndarray, "text d"], Float64[np.ndarray, "text d"]]:
    stage, parent = np.asarray(stage, dtype=np.float64), np.asarray(parent, dtype=np.float64)
    if stage.ndim != 2 or stage.shape != parent.shape or len(stage) < 2:
        raise InputError(
            f"neutral activations {stage.shape} and {parent.shape}: expected [text, d] twice, the same "
            "texts, at least 2"
        )
    if not (np.isfinite(stage).all() and np.isfinite(parent).all()):
        raise InputError("neutral activations hold NaN or infinity: expected finite numbers")
    return stage, parent
