"""What training does to all activations alike: a constant offset, and a rotation. Both are found on neutral
texts, where no concept is at stake, and taken away before anything is compared between stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from probes.errors import InputError

TOLERANCE = 1e-6
"""Principal axes whose standard deviation is below this fraction of the largest count as not spanned."""


@dataclass(frozen=True, eq=False)
class Offset:
    """Mean difference of neutral activations between a stage and its parent.

    vector `[d]`; size: its root mean square over features, each in the parent's standard deviation over
    texts, with the part that n texts make by chance taken off; n, texts.
    """

    vector: NDArray[np.float64]
    size: float
    n: int


@dataclass(frozen=True, eq=False)
class Alignment:
    """An orthogonal map of one stage's activations onto another's, and the means it turns about.

    rotation `[d, d]`, for rows: x -> (x - source_mean) @ rotation + target_mean; basis `[d, r]`,
    orthonormal, the span of the source's neutral activations; unexplained: share of the target's variance
    that the aligned source misses on the texts it was fitted on (too good when there are fewer than d).
    """

    rotation: NDArray[np.float64]
    source_mean: NDArray[np.float64]
    target_mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    unexplained: float

    def activations(self, values: ArrayLike) -> NDArray[np.float64]:
        """The source's activations `[..., d]` as the target would have them."""
        return (np.asarray(values, dtype=np.float64) - self.source_mean) @ self.rotation + self.target_mean

    def directions(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """The source's directions `[..., d]`, displacements or weights of a probe alike, in the target."""
        return np.asarray(vectors, dtype=np.float64) @ self.rotation

    def outside(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Share of each direction's squared length outside the span, `[...]`: 0 when the neutral texts say
        everything about where it goes, 1 when they say nothing."""
        vectors = np.asarray(vectors, dtype=np.float64)
        length, inside = (vectors**2).sum(-1), ((vectors @ self.basis) ** 2).sum(-1)
        return np.clip(1 - inside / np.where(length > 0, length, np.nan), 0, 1)


def neutral_offset(stage: ArrayLike, parent: ArrayLike) -> Offset:
    """The constant offset that training left; narrow fine-tuning leaves one that is readable on unrelated
    text (Minder et al. 2025, arXiv 2510.13900).

    Parameters: activations `[text, d]` of the same neutral texts at a stage and at its parent. Raises
    InputError for shapes that differ, fewer than 2 texts, or values that are not finite.
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
) -> NDArray[np.float64]:
    """Activations `[..., d]` of a stage without its offset from the parent.

    `shift` takes the vector away: it matters to a frozen probe's threshold and to nothing that is refitted,
    as a constant cannot separate texts of one stage. `project` takes away everything along the vector, so
    that no probe reads a trace that varies in size from text to text; a concept along it is lost with it.
    Raises InputError for another width or another `how`.
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
    """The orthogonal map that takes one stage's centred neutral activations nearest to another's (Schönemann
    1966, doi:10.1007/BF02289451).

    With fewer texts than dimensions the texts fix it on their span alone. The rest is turned as little as an
    orthogonal map can: of all that fit equally well, the one nearest the identity. So a direction outside the
    span is taken not to have moved; `Alignment.outside` says how much of a direction that is.

    Parameters: activations `[text, d]` of the same neutral texts (or tokens) at both stages. Raises
    InputError for shapes that differ, fewer than 2 texts, or values that are not finite.
    """
    source, target = _neutral(source, target)
    means = source.mean(0), target.mean(0)
    a, b = source - means[0], target - means[1]
    left, spread, right = np.linalg.svd(a.T @ b)
    rank = int((spread > TOLERANCE**2 * spread[0]).sum()) if spread[0] > 0 else 0
    known, free = slice(None, rank), slice(rank, None)
    rest = scipy.linalg.orthogonal_procrustes(left[:, free], right[free].T)[0] if rank < len(spread) else None
    rotation = left[:, known] @ right[known]
    if rest is not None:
        rotation = rotation + left[:, free] @ rest @ right[free]
    axes = scipy.linalg.svd(a, full_matrices=False)
    spanned = axes[1] > TOLERANCE * max(axes[1][0], np.finfo(float).tiny)
    total = float((b**2).sum())
    missed = float(((a @ rotation - b) ** 2).sum()) / total if total > 0 else 0.0
    return Alignment(rotation, *means, axes[2][spanned].T, missed)


def _neutral(stage: ArrayLike, parent: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    stage, parent = np.asarray(stage, dtype=np.float64), np.asarray(parent, dtype=np.float64)
    if stage.ndim != 2 or stage.shape != parent.shape or len(stage) < 2:
        raise InputError(
            f"neutral activations {stage.shape} and {parent.shape}: expected [text, d] twice, the same "
            "texts, at least 2"
        )
    if not (np.isfinite(stage).all() and np.isfinite(parent).all()):
        raise InputError("neutral activations hold NaN or infinity: expected finite numbers")
    return stage, parent
